//! Development aids. Outside the development profile there is nothing here.

use consultation::certification::Verdict;
use domain::id::{AgentId, DoctorId};
use domain::{Actor, ObjectId};
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use runtime::sms_log::LoggedSms;

use crate::http::Area;
use crate::http::caller::{Anybody, By, SignedIn};
use crate::http::catalogue::code;
use crate::http::certification::dto::CertificationView;
use crate::http::page::PageOf;
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::{Id, Instant};

/// Operations for development.
pub struct DevApi;

/// A short message that was not sent anywhere.
#[derive(Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct DevSmsView {
    /// The number it would have gone to, E.164.
    pub phone: String,
    /// The code in it, if it is a code.
    pub code: Option<String>,
    /// Logical name of its template.
    pub template: String,
    /// As the recipient would have read it.
    pub text: String,
    /// When it would have been sent.
    pub sent_at: Instant,
}

impl From<LoggedSms> for DevSmsView {
    fn from(message: LoggedSms) -> Self {
        Self {
            phone: message.phone.as_e164().to_owned(),
            code: message.code,
            template: message.template,
            text: message.text,
            sent_at: Instant(message.sent_at),
        }
    }
}

#[OpenApi(tag = "Area::Dev")]
impl DevApi {
    /// List the short messages that were not sent
    ///
    /// Those with a code before the others, and the newest first of each, so that the first one to a number is what it signs
    /// in with. Only with the `log` provider of the development profile; everywhere else 404.
    #[oai(path = "/dev/sms", method = "get", operation_id = "list_dev_sms")]
    #[expect(clippy::unused_async, reason = "operations are asynchronous")]
    async fn list_dev_sms(&self, app: App, _caller: By<Anybody>) -> Result<Json<PageOf<DevSmsView>>, ApiError> {
        let kept = app.kept_sms.as_ref().ok_or_else(|| ApiError::of(code::UNKNOWN_PATH))?;
        let mut messages = kept.messages();
        messages.sort_by_key(|message| message.code.is_none());
        Ok(Json(PageOf::whole(messages, DevSmsView::from)))
    }

    /// Approve the own certification
    ///
    /// What an administrator does, for trying the product: a doctor who has submitted pictures approves them. Only in the
    /// development profile; everywhere else 404.
    #[oai(path = "/dev/certifications/:id/approve", method = "post", operation_id = "approve_dev_certification")]
    async fn approve_dev_certification(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the doctor.
        id: Path<Id>,
    ) -> Result<Json<CertificationView>, ApiError> {
        let doctor = DoctorId(id.0.0);
        caller.actor.require(caller.actor.is_doctor(doctor))?;
        app.kept_sms.as_ref().ok_or_else(|| ApiError::of(code::UNKNOWN_PATH))?;
        let reviewer = Actor::Admin(AgentId(ObjectId::from_parts(0, [0; 5], 0)));
        let approved = app.certifications.review(&reviewer, doctor, Verdict::Approve).await?;
        Ok(Json(CertificationView::of(approved, app.links())))
    }
}
