//! The use cases the handlers call, and the extractor that hands them over.

use std::ops::Deref;
use std::sync::Arc;

use account::Accounts;
use account::oversight::Oversight;
use async_trait::async_trait;
use consultation::service::{
    Certifications, Consultations, DeskTasks, Doctors, Initiate, Initiated, Invitations, Relations, Reports,
};
use domain::Clock;
use im::desk::Desk;
use leancloud::realtime::Realtime;
use leancloud::rest::Rest;
use poem::{Request, RequestBody, Result};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use runtime::LogSms;
use runtime::thumbnails::Thumbnails;
use sms::oversight::SmsOversight;

use crate::http::caller::Gatekeeper;
use crate::http::files::links::Links;
use crate::http::messaging::MessagingUseCases;
use crate::http::problem::ApiError;
use crate::http::wechat::Wechat;

/// Starts consultations, gathering calls into batches.
#[async_trait]
pub trait InitiateQueue: Send + Sync {
    /// # Errors
    /// What the use case answers, or that the server is stopping.
    async fn call(&self, call: Initiate) -> Result<Initiated, ApiError>;
}

/// Everything a handler may call.
pub struct Services {
    pub gatekeeper: Arc<dyn Gatekeeper>,
    pub clock: Arc<dyn Clock>,
    pub accounts: Arc<Accounts>,
    pub certifications: Certifications,
    pub consultations: Consultations,
    pub desk_tasks: DeskTasks,
    pub doctors: Doctors,
    pub desk: Desk,
    pub initiate: Arc<dyn InitiateQueue>,
    pub invitations: Invitations,
    pub messaging: MessagingUseCases,
    pub oversight: Oversight,
    pub relations: Relations,
    pub reports: Reports,
    pub wechat: Wechat,
    /// The storage interface of LeanCloud clients.
    pub rest: Arc<Rest>,
    /// The realtime protocol of LeanCloud clients.
    pub realtime: Arc<Realtime>,
    pub thumbnails: Thumbnails,
    pub sms: SmsOversight,
    /// Messages that were not sent anywhere, where the profile lets them be shown.
    pub kept_sms: Option<Arc<LogSms>>,
    /// Own address as clients see it.
    pub public_url: String,
}

impl Services {
    /// Whether clients reach the server by https.
    pub fn is_https(&self) -> bool {
        self.public_url.starts_with("https://")
    }

    /// Makes the download addresses inside views.
    pub fn links(&self) -> Links<'_> {
        Links::new(&self.accounts, &self.public_url)
    }
}

/// The services, as an argument of a handler.
pub struct App(Arc<Services>);

impl Deref for App {
    type Target = Services;

    fn deref(&self) -> &Services {
        &self.0
    }
}

impl<'a> ApiExtractor<'a> for App {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::PoemExtractor];
    type ParamType = ();
    type ParamRawType = ();

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        let services = request.data::<Arc<Services>>().cloned();
        Ok(Self(services.ok_or_else(|| ApiError::internal("a request without services"))?))
    }
}
