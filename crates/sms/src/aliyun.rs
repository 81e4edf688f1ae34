//! Aliyun Dysmsapi 2017-05-25, signed with ACS3-HMAC-SHA256.
//!
//! Submitting is not idempotent there. `OutId` carries our own id and is what a message is found by when its answer
//! was lost. Details of sent messages hold their text, code included: nothing of them is kept or logged.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::NaiveDateTime;
use chrono_tz::Asia::Shanghai;
use domain::rng::SecureRandom;
use domain::{Clock, Phone, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::acs3;
use crate::class::ErrorClass;
use crate::class::{Stage, classify};
use crate::digest::sha256_hex;
use crate::encoding::{form, query};
use crate::http::{BaseUrl, HttpAnswer, HttpCall, HttpFault, HttpPort};
use crate::keys::Credential;
use crate::lenient;
use crate::provider::{
    LookUp, ProviderName, Refusal, Report, SmsProvider, Submission, Submitted, Wanted, shortened, transport,
};
use crate::template::Templates;

const VERSION: &str = "2017-05-25";
/// Most rows of one page of details.
const PAGE_SIZE: u32 = 50;
/// Pages looked through for one message: a number gets far fewer messages a day.
const MAX_PAGES: u32 = 4;
/// Most numbers of one batch.
pub const MAX_BATCH: usize = 100;

/// What the account is.
#[derive(Clone)]
pub struct AliyunSettings {
    pub base_url: BaseUrl,
    pub credential: Credential,
    pub sign_name: String,
    pub templates: Templates,
}

/// The adapter.
pub struct AliyunSms {
    settings: AliyunSettings,
    http: Arc<dyn HttpPort>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn SecureRandom>,
}

impl AliyunSms {
    pub fn new(
        settings: AliyunSettings,
        http: Arc<dyn HttpPort>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn SecureRandom>,
    ) -> Self {
        Self { settings, http, clock, random }
    }

    /// Submits up to [`MAX_BATCH`] messages of one template in one request; one id covers them all.
    pub async fn submit_batch(&self, batch: &[Submission], out_id: &str) -> Submitted {
        let Some(template) = batch.first().and_then(|first| self.settings.templates.find(&first.template)) else {
            return no_template();
        };
        let phones: Vec<&str> = batch.iter().map(|s| number(&s.phone)).collect();
        let names = vec![self.settings.sign_name.as_str(); batch.len()];
        let params: Vec<Value> = batch.iter().map(|s| object(Templates::values(template, s))).collect();
        let search = [("OutId", out_id.to_owned()), ("TemplateCode", template.id.clone())];
        let body = form(&[
            ("PhoneNumberJson", json!(phones).to_string()),
            ("SignNameJson", json!(names).to_string()),
            ("TemplateParamJson", json!(params).to_string()),
        ]);
        submitted(self.call("SendBatchSms", &search, body.as_bytes()).await)
    }

    async fn call(&self, action: &str, search: &[(&str, String)], body: &[u8]) -> Result<HttpAnswer, HttpFault> {
        let query = query(search);
        let call = self.signed(action, &query, body);
        self.http.post(call).await
    }

    fn signed(&self, action: &str, query: &str, body: &[u8]) -> HttpCall {
        let base = &self.settings.base_url;
        let mut nonce = [0; 16];
        self.random.fill(&mut nonce);
        let mut headers: Vec<(String, String)> = [
            ("host", base.host.clone()),
            ("x-acs-action", action.to_owned()),
            ("x-acs-content-sha256", sha256_hex(body)),
            ("x-acs-date", acs3::date(self.clock.now())),
            ("x-acs-signature-nonce", hex::encode(nonce)),
            ("x-acs-version", VERSION.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        if !body.is_empty() {
            headers.push(("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
        }
        let request = acs3::Request { method: "POST", path: &base.path, query, headers: &headers, body };
        let authorization = acs3::authorization(&request, &self.settings.credential);
        headers.push(("authorization".to_owned(), authorization));
        headers.push(("accept".to_owned(), "application/json".to_owned()));
        HttpCall { url: base.with_query(query), headers, body: body.to_vec() }
    }

    async fn details(&self, wanted: &Wanted, day: &str, page: u32) -> Result<Vec<Detail>, String> {
        let mut search = vec![
            ("CurrentPage", page.to_string()),
            ("PageSize", PAGE_SIZE.to_string()),
            ("PhoneNumber", number(&wanted.phone).to_owned()),
            ("SendDate", day.to_owned()),
        ];
        if let Some(id) = &wanted.provider_id {
            search.push(("BizId", id.clone()));
        }
        let answer = match self.call("QuerySendDetails", &search, b"").await {
            Ok(answer) => answer,
            Err(HttpFault::NotReached) => return Err(transport::NOT_REACHED.to_owned()),
            Err(HttpFault::NoAnswer) => return Err(transport::NO_ANSWER.to_owned()),
        };
        let Ok(answer) = serde_json::from_slice::<Details>(&answer.body) else {
            return Err(transport::UNREADABLE.to_owned());
        };
        if answer.code == "OK" { Ok(answer.rows.unwrap_or_default().rows) } else { Err(shortened(&answer.code)) }
    }

    async fn look_up_on(&self, wanted: &Wanted, day: &str) -> LookUp {
        for page in 1..=MAX_PAGES {
            let rows = match self.details(wanted, day, page).await {
                Ok(rows) => rows,
                Err(code) => return LookUp::Unavailable { code },
            };
            let is_last = rows.len() < PAGE_SIZE as usize;
            if let Some(row) = rows.into_iter().find(|row| row.out_id.as_deref() == Some(wanted.out_id.as_str())) {
                return LookUp::Found { provider_id: wanted.provider_id.clone(), report: row.report() };
            }
            if is_last {
                return LookUp::Absent;
            }
        }
        LookUp::Absent
    }
}

#[async_trait]
impl SmsProvider for AliyunSms {
    fn name(&self) -> ProviderName {
        ProviderName::Aliyun
    }

    fn offers(&self, template: &str) -> bool {
        self.settings.templates.offers(template)
    }

    async fn submit(&self, submission: &Submission) -> Submitted {
        let Some(template) = self.settings.templates.find(&submission.template) else { return no_template() };
        let search = [
            ("OutId", submission.out_id.clone()),
            ("PhoneNumbers", number(&submission.phone).to_owned()),
            ("SignName", self.settings.sign_name.clone()),
            ("TemplateCode", template.id.clone()),
            ("TemplateParam", object(Templates::values(template, submission)).to_string()),
        ];
        submitted(self.call("SendSms", &search, b"").await)
    }

    async fn look_up(&self, wanted: &Wanted) -> LookUp {
        // A day ends at midnight in Beijing: a message sent then may be listed under either.
        let slack = Duration::from_mins(1);
        let mut days = [wanted.submitted_at - slack, wanted.submitted_at + slack].map(beijing_day).to_vec();
        days.dedup();
        for day in days {
            match self.look_up_on(wanted, &day).await {
                LookUp::Absent => {}
                other => return other,
            }
        }
        LookUp::Absent
    }
}

fn no_template() -> Submitted {
    Submitted::Refused(Refusal::plain("own.no_template", ErrorClass::Config))
}

/// The 11 digits of a mainland number, else country code and number.
fn number(phone: &Phone) -> &str {
    phone.mainland().unwrap_or_else(|| phone.as_e164().trim_start_matches('+'))
}

/// Values must be JSON strings.
fn object(values: Vec<(String, String)>) -> Value {
    Value::Object(values.into_iter().map(|(name, value)| (name, Value::String(value))).collect())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Envelope {
    code: String,
    #[serde(default, deserialize_with = "lenient::text")]
    biz_id: Option<String>,
}

fn submitted(answer: Result<HttpAnswer, HttpFault>) -> Submitted {
    let answer = match answer {
        Ok(answer) => answer,
        Err(HttpFault::NotReached) => {
            return Submitted::Refused(Refusal::plain(transport::NOT_REACHED, ErrorClass::Transient));
        }
        Err(HttpFault::NoAnswer) => return Submitted::Unknown { code: transport::NO_ANSWER.to_owned() },
    };
    let Ok(envelope) = serde_json::from_slice::<Envelope>(&answer.body) else {
        return without_envelope(&answer);
    };
    match envelope.biz_id.filter(|id| !id.is_empty()) {
        Some(provider_id) if envelope.code == "OK" => Submitted::Accepted { provider_id, segments: None },
        _ if envelope.code == "OK" => Submitted::Unknown { code: transport::UNREADABLE.to_owned() },
        _ => {
            let refusal = Refusal::coded(ProviderName::Aliyun, &envelope.code);
            if refusal.class == ErrorClass::Unknown {
                return Submitted::Unknown { code: refusal.code };
            }
            let retry_after = answer.retry_after.as_deref().and_then(wait);
            Submitted::Refused(Refusal { retry_after, ..refusal })
        }
    }
}

/// An answer that is not the provider's.
pub(crate) fn without_envelope(answer: &HttpAnswer) -> Submitted {
    match answer.status {
        429 => {
            let retry_after = answer.retry_after.as_deref().and_then(wait);
            Submitted::Refused(Refusal { retry_after, ..Refusal::plain(transport::TOO_FAST, ErrorClass::Throttle) })
        }
        400..=499 => Submitted::Refused(Refusal::plain(transport::CLIENT_ERROR, ErrorClass::Config)),
        500.. => Submitted::Unknown { code: transport::SERVER_ERROR.to_owned() },
        _ => Submitted::Unknown { code: transport::UNREADABLE.to_owned() },
    }
}

/// Reads a wait. Its unit is not documented: what is too long for seconds is milliseconds.
pub(crate) fn wait(text: &str) -> Option<Duration> {
    let number: u64 = text.trim().parse().ok()?;
    Some(if number < 100 { Duration::from_secs(number) } else { Duration::from_millis(number) })
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Details {
    code: String,
    #[serde(rename = "SmsSendDetailDTOs")]
    rows: Option<Rows>,
}

#[derive(Default, Deserialize)]
struct Rows {
    #[serde(rename = "SmsSendDetailDTO", default)]
    rows: Vec<Detail>,
}

/// One sent message, less its number and text.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Detail {
    #[serde(default, deserialize_with = "lenient::number")]
    send_status: Option<u64>,
    #[serde(default, deserialize_with = "lenient::text")]
    err_code: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    out_id: Option<String>,
    receive_date: Option<String>,
}

impl Detail {
    /// 1 is waiting, 2 failed, 3 delivered.
    fn report(&self) -> Option<Report> {
        let code = shortened(self.err_code.as_deref().unwrap_or_default());
        let at = self.receive_date.as_deref().and_then(beijing_time);
        let report = |class, code| Some(Report { class, code, at, segments: None });
        match self.send_status {
            Some(3) => report(ErrorClass::Delivered, "DELIVERED".to_owned()),
            Some(2) => {
                let class = classify(ProviderName::Aliyun, Stage::Receipt, &code).class;
                // A failure is a failure, whatever its code says.
                let is_failure = !matches!(class, ErrorClass::Delivered | ErrorClass::Pending);
                report(if is_failure { class } else { ErrorClass::Route }, code)
            }
            _ => None,
        }
    }
}

/// `20260102`, in Beijing.
fn beijing_day(at: Timestamp) -> String {
    at.to_datetime().with_timezone(&Shanghai).format("%Y%m%d").to_string()
}

/// Reads `2026-01-02 11:04:05`, Beijing's time without a zone.
pub(crate) fn beijing_time(text: &str) -> Option<Timestamp> {
    let local = NaiveDateTime::parse_from_str(text.trim(), "%Y-%m-%d %H:%M:%S").ok()?;
    let at = local.and_local_timezone(Shanghai).earliest()?;
    Some(Timestamp::from_millis(at.timestamp_millis()))
}

#[cfg(test)]
mod tests;
