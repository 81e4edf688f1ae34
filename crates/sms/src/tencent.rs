//! Tencent Cloud SMS 2021-01-11, signed with TC3-HMAC-SHA256.
//!
//! The answer is always HTTP 200, with failures in either of two places; a message counts as accepted only when the
//! row of its number says so.

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Clock, Phone, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::aliyun::without_envelope;
use crate::class::{ErrorClass, Stage, classify};
use crate::http::{BaseUrl, HttpAnswer, HttpCall, HttpFault, HttpPort};
use crate::keys::Credential;
use crate::lenient;
use crate::provider::{
    LookUp, ProviderName, Refusal, Report, SmsProvider, Submission, Submitted, Wanted, shortened, transport,
};
use crate::tc3;
use crate::template::Templates;

const VERSION: &str = "2021-01-11";
const CONTENT_TYPE: &str = "application/json";
/// Most rows of one pull.
const PULL_LIMIT: u32 = 100;
/// Clocks may differ by this much when a message is looked for by its time.
const CLOCK_SLACK_S: i64 = 60;
/// A pull reaches this far back at most.
const LONGEST_PULL_S: i64 = 3 * 24 * 3_600;

/// What the account is.
#[derive(Clone)]
pub struct TencentSettings {
    pub base_url: BaseUrl,
    pub credential: Credential,
    pub sdk_app_id: String,
    pub sign_name: String,
    pub region: String,
    pub templates: Templates,
}

/// The adapter.
pub struct TencentSms {
    settings: TencentSettings,
    http: Arc<dyn HttpPort>,
    clock: Arc<dyn Clock>,
}

impl TencentSms {
    pub fn new(settings: TencentSettings, http: Arc<dyn HttpPort>, clock: Arc<dyn Clock>) -> Self {
        Self { settings, http, clock }
    }

    async fn call(&self, action: &str, body: &Value) -> Result<HttpAnswer, HttpFault> {
        self.http.post(self.signed(action, body.to_string().into_bytes())).await
    }

    fn signed(&self, action: &str, body: Vec<u8>) -> HttpCall {
        let base = &self.settings.base_url;
        let at = self.clock.now();
        let request = tc3::Request { service: "sms", content_type: CONTENT_TYPE, host: &base.host, at, body: &body };
        let headers = [
            ("host", base.host.clone()),
            ("content-type", CONTENT_TYPE.to_owned()),
            ("x-tc-action", action.to_owned()),
            ("x-tc-version", VERSION.to_owned()),
            ("x-tc-region", self.settings.region.clone()),
            ("x-tc-timestamp", tc3::seconds(at).to_string()),
            ("authorization", tc3::authorization(&request, &self.settings.credential)),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
        HttpCall { url: base.with_query(""), headers, body }
    }
}

#[async_trait]
impl SmsProvider for TencentSms {
    fn name(&self) -> ProviderName {
        ProviderName::Tencent
    }

    fn offers(&self, template: &str) -> bool {
        self.settings.templates.offers(template)
    }

    async fn submit(&self, submission: &Submission) -> Submitted {
        let Some(template) = self.settings.templates.find(&submission.template) else {
            return Submitted::Refused(Refusal::plain("own.no_template", ErrorClass::Config));
        };
        let values: Vec<String> = Templates::values(template, submission).into_iter().map(|(_, value)| value).collect();
        let body = json!({
            "PhoneNumberSet": [submission.phone.as_e164()],
            "SmsSdkAppId": self.settings.sdk_app_id,
            "SignName": self.settings.sign_name,
            "TemplateId": template.id,
            "TemplateParamSet": values,
            "SessionContext": submission.out_id,
        });
        submitted(self.call("SendSms", &body).await, &submission.phone)
    }

    async fn look_up(&self, wanted: &Wanted) -> LookUp {
        let now = tc3::seconds(self.clock.now());
        let begin = (tc3::seconds(wanted.submitted_at) - CLOCK_SLACK_S).max(now - LONGEST_PULL_S);
        let body = json!({
            "BeginTime": begin,
            "EndTime": now + CLOCK_SLACK_S,
            "Offset": 0,
            "Limit": PULL_LIMIT,
            "PhoneNumber": wanted.phone.as_e164(),
            "SmsSdkAppId": self.settings.sdk_app_id,
        });
        let answer = match self.call("PullSmsSendStatusByPhoneNumber", &body).await {
            Ok(answer) => answer,
            Err(HttpFault::NotReached) => return LookUp::Unavailable { code: transport::NOT_REACHED.to_owned() },
            Err(HttpFault::NoAnswer) => return LookUp::Unavailable { code: transport::NO_ANSWER.to_owned() },
        };
        let Ok(Answer { response }) = serde_json::from_slice::<Answer>(&answer.body) else {
            return LookUp::Unavailable { code: transport::UNREADABLE.to_owned() };
        };
        match response {
            Response { error: Some(error), .. } => LookUp::Unavailable { code: shortened(&error.code) },
            Response { reports: Some(rows), .. } => found(&rows, wanted),
            Response { .. } => LookUp::Unavailable { code: transport::UNREADABLE.to_owned() },
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    response: Response,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Response {
    error: Option<Fault>,
    send_status_set: Option<Vec<SendStatus>>,
    #[serde(rename = "PullSmsSendStatusSet")]
    reports: Option<Vec<PulledStatus>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Fault {
    code: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendStatus {
    #[serde(default, deserialize_with = "lenient::text")]
    serial_no: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    phone_number: Option<String>,
    #[serde(default, deserialize_with = "lenient::number")]
    fee: Option<u32>,
    code: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PulledStatus {
    #[serde(default, deserialize_with = "lenient::text")]
    serial_no: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    session_context: Option<String>,
    report_status: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    description: Option<String>,
    #[serde(default, deserialize_with = "lenient::number")]
    user_receive_time: Option<i64>,
}

fn submitted(answer: Result<HttpAnswer, HttpFault>, phone: &Phone) -> Submitted {
    let answer = match answer {
        Ok(answer) => answer,
        Err(HttpFault::NotReached) => {
            return Submitted::Refused(Refusal::plain(transport::NOT_REACHED, ErrorClass::Transient));
        }
        Err(HttpFault::NoAnswer) => return Submitted::Unknown { code: transport::NO_ANSWER.to_owned() },
    };
    let Ok(Answer { response }) = serde_json::from_slice::<Answer>(&answer.body) else {
        return without_envelope(&answer);
    };
    if let Some(error) = response.error {
        return refused(&error.code);
    }
    let is_ours = |row: &&SendStatus| row.phone_number.as_deref().is_none_or(|n| n.parse() == Ok(phone.clone()));
    match response.send_status_set.as_deref().and_then(|rows| rows.iter().find(is_ours)) {
        Some(SendStatus { serial_no: Some(id), fee, code, .. }) if code == "Ok" && !id.is_empty() => {
            Submitted::Accepted { provider_id: id.clone(), segments: *fee }
        }
        Some(row) if row.code != "Ok" => refused(&row.code),
        _ => Submitted::Unknown { code: transport::UNREADABLE.to_owned() },
    }
}

fn refused(code: &str) -> Submitted {
    let refusal = Refusal::coded(ProviderName::Tencent, code);
    if refusal.class == ErrorClass::Unknown {
        Submitted::Unknown { code: refusal.code }
    } else {
        Submitted::Refused(refusal)
    }
}

/// The row of the wanted message: by its id, by ours, or, where the account does not give ours back, a row that is
/// no other message we know of.
fn found(rows: &[PulledStatus], wanted: &Wanted) -> LookUp {
    let id = |row: &PulledStatus| row.serial_no.clone().filter(|id| !id.is_empty());
    let context = |row: &PulledStatus| row.session_context.clone().filter(|c| !c.is_empty());
    let by_id = || rows.iter().find(|row| wanted.provider_id.is_some() && id(row) == wanted.provider_id);
    let by_context = || rows.iter().find(|row| context(row).as_deref() == Some(wanted.out_id.as_str()));
    let is_stranger =
        |row: &&PulledStatus| context(row).is_none() && id(row).is_some_and(|id| !wanted.known_ids.contains(&id));
    let by_exclusion = || if wanted.provider_id.is_some() { None } else { rows.iter().find(is_stranger) };
    match by_id().or_else(by_context).or_else(by_exclusion) {
        Some(row) => LookUp::Found { provider_id: id(row), report: row.report() },
        None => LookUp::Absent,
    }
}

impl PulledStatus {
    fn report(&self) -> Option<Report> {
        let code = shortened(self.description.as_deref().unwrap_or_default());
        let at = self.user_receive_time.filter(|s| *s > 0).map(|s| Timestamp::from_millis(s.saturating_mul(1_000)));
        match self.report_status.as_deref() {
            Some("SUCCESS") => {
                Some(Report { class: ErrorClass::Delivered, code: "DELIVRD".to_owned(), at, segments: None })
            }
            Some("FAIL") => {
                let class = classify(ProviderName::Tencent, Stage::Receipt, &code).class;
                let class = if class == ErrorClass::Delivered { ErrorClass::Route } else { class };
                Some(Report { class, code, at, segments: None })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
