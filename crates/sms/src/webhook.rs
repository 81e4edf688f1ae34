//! A provider behind one's own HTTP endpoint: the seam for every other way to send.
//!
//! `POST <base_url>` with `{"id", "phone", "template", "params": {…}}`. `X-Sms-Timestamp` holds the seconds since
//! 1970 and `X-Sms-Signature` the hex HMAC-SHA256, keyed with the shared secret, over the timestamp, a line feed and
//! the body exactly as sent. The endpoint answers 200 with one of
//!
//! - `{"result": "accepted", "id": "…", "segments": 1}`
//! - `{"result": "refused", "class": "recipient", "code": "…"}`, `class` being a word of [`crate::class::ErrorClass`]
//!
//! The same `id` must not be sent twice. `POST <base_url>/lookup` with `{"id"}` asks for a message whose answer was
//! lost: `{"result": "found", "id": "…", "status": "delivered" | "failed" | "pending", "code": "…"}` or
//! `{"result": "absent"}`; an endpoint without it answers 404. Receipts are described in [`crate::callback`].

use std::sync::Arc;

use async_trait::async_trait;
use domain::{Clock, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::aliyun::without_envelope;
use crate::class::ErrorClass;
use crate::digest::hmac_sha256;
use crate::http::{BaseUrl, HttpAnswer, HttpCall, HttpFault, HttpPort};
use crate::keys::Credential;
use crate::provider::{
    LookUp, ProviderName, Refusal, Report, SmsProvider, Submission, Submitted, Wanted, shortened, transport,
};

/// The adapter.
pub struct WebhookSms {
    base_url: BaseUrl,
    /// Only its secret is used.
    credential: Credential,
    http: Arc<dyn HttpPort>,
    clock: Arc<dyn Clock>,
}

impl WebhookSms {
    pub fn new(base_url: BaseUrl, credential: Credential, http: Arc<dyn HttpPort>, clock: Arc<dyn Clock>) -> Self {
        Self { base_url, credential, http, clock }
    }

    async fn call(&self, url: String, body: &Value) -> Result<HttpAnswer, HttpFault> {
        let body = body.to_string();
        let seconds = self.clock.now().as_millis().div_euclid(1_000).to_string();
        let signature = signature(&self.credential, &seconds, body.as_bytes());
        let headers = [
            ("host", self.base_url.host.clone()),
            ("content-type", "application/json".to_owned()),
            ("x-sms-timestamp", seconds),
            ("x-sms-signature", signature),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value)).into();
        self.http.post(HttpCall { url, headers, body: body.into_bytes() }).await
    }
}

fn signature(credential: &Credential, seconds: &str, body: &[u8]) -> String {
    let text = [seconds.as_bytes(), b"\n", body].concat();
    hex::encode(hmac_sha256(credential.secret().as_bytes(), &text))
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case", tag = "result")]
enum Answer {
    Accepted {
        id: String,
        segments: Option<u32>,
    },
    Refused {
        class: String,
        code: Option<String>,
    },
    Found {
        id: Option<String>,
        status: Status,
        code: Option<String>,
        #[serde(rename = "at")]
        at: Option<String>,
    },
    Absent,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Delivered,
    Failed,
    Pending,
}

#[async_trait]
impl SmsProvider for WebhookSms {
    fn name(&self) -> ProviderName {
        ProviderName::Webhook
    }

    fn offers(&self, _: &str) -> bool {
        true
    }

    async fn submit(&self, submission: &Submission) -> Submitted {
        let params: Map<String, Value> =
            submission.params.iter().map(|(name, value)| (name.clone(), Value::String(value.clone()))).collect();
        let body = json!({
            "id": submission.out_id,
            "phone": submission.phone.as_e164(),
            "template": submission.template,
            "params": params,
        });
        match self.call(self.base_url.with_query(""), &body).await {
            Ok(answer) => submitted(&answer),
            Err(HttpFault::NotReached) => {
                Submitted::Refused(Refusal::plain(transport::NOT_REACHED, ErrorClass::Transient))
            }
            Err(HttpFault::NoAnswer) => Submitted::Unknown { code: transport::NO_ANSWER.to_owned() },
        }
    }

    async fn look_up(&self, wanted: &Wanted) -> LookUp {
        let answer = match self.call(self.base_url.below("lookup"), &json!({ "id": wanted.out_id })).await {
            Ok(answer) => answer,
            Err(HttpFault::NotReached) => return LookUp::Unavailable { code: transport::NOT_REACHED.to_owned() },
            Err(HttpFault::NoAnswer) => return LookUp::Unavailable { code: transport::NO_ANSWER.to_owned() },
        };
        match serde_json::from_slice(&answer.body) {
            Ok(Answer::Absent) if answer.status == 200 => LookUp::Absent,
            Ok(Answer::Found { id, status, code, at }) => {
                let code = shortened(code.as_deref().unwrap_or_default());
                let at = at.and_then(|text| Timestamp::parse_rfc3339(&text).ok());
                let class = match status {
                    Status::Delivered => ErrorClass::Delivered,
                    Status::Failed => ErrorClass::Route,
                    Status::Pending => ErrorClass::Pending,
                };
                let report = Report { class, code, at, segments: None };
                LookUp::Found { provider_id: id, report: (status != Status::Pending).then_some(report) }
            }
            _ => LookUp::Unavailable { code: transport::UNREADABLE.to_owned() },
        }
    }
}

fn submitted(answer: &HttpAnswer) -> Submitted {
    match serde_json::from_slice(&answer.body) {
        Ok(Answer::Accepted { id, segments }) if !id.is_empty() => Submitted::Accepted { provider_id: id, segments },
        Ok(Answer::Refused { class, code }) => {
            let refusal = Refusal::coded(ProviderName::Webhook, &class);
            let is_listed = ErrorClass::parse(&class).is_some();
            let code = code.map_or_else(|| refusal.code.clone(), |code| shortened(&code));
            if refusal.class == ErrorClass::Unknown {
                return Submitted::Unknown { code };
            }
            Submitted::Refused(Refusal { code, is_listed, ..refusal })
        }
        _ => without_envelope(answer),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct Fixed;
    impl Clock for Fixed {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_767_323_045_678)
        }
    }

    /// Answers always the same and keeps what it was asked.
    struct Endpoint(u16, &'static str, Mutex<Vec<HttpCall>>);

    #[async_trait]
    impl HttpPort for Endpoint {
        async fn post(&self, call: HttpCall) -> Result<HttpAnswer, HttpFault> {
            self.2.lock().unwrap().push(call);
            Ok(HttpAnswer { status: self.0, retry_after: None, body: self.1.into() })
        }
    }

    fn webhook(status: u16, body: &'static str) -> (WebhookSms, Arc<Endpoint>) {
        let endpoint = Arc::new(Endpoint(status, body, Mutex::default()));
        let base_url = BaseUrl::parse("http://127.0.0.1:9/sms").unwrap();
        let credential = Credential::new("", "shared-secret");
        (WebhookSms::new(base_url, credential, endpoint.clone(), Arc::new(Fixed)), endpoint)
    }

    fn submission() -> Submission {
        Submission {
            out_id: "m-1".into(),
            phone: "13900000000".parse().unwrap(),
            template: "login_code".into(),
            params: vec![("code".into(), "012345".into())],
        }
    }

    #[tokio::test]
    async fn the_body_is_signed_as_it_is_sent() {
        let (webhook, endpoint) = webhook(200, r#"{"result":"accepted","id":"w-1","segments":2}"#);
        let accepted = Submitted::Accepted { provider_id: "w-1".into(), segments: Some(2) };
        assert_eq!(webhook.submit(&submission()).await, accepted);
        let calls = endpoint.2.lock().unwrap();
        let header = |name: &str| calls[0].headers.iter().find(|(n, _)| n == name).unwrap().1.clone();
        assert_eq!(header("x-sms-timestamp"), "1767323045");
        let signed = signature(&Credential::new("", "shared-secret"), "1767323045", &calls[0].body);
        assert_eq!(header("x-sms-signature"), signed);
        let body: Value = serde_json::from_slice(&calls[0].body).unwrap();
        assert_eq!((body["id"].as_str(), body["params"]["code"].as_str()), (Some("m-1"), Some("012345")));
    }

    #[tokio::test]
    async fn refusals_are_told_by_their_class() {
        let (refusing, _) = webhook(200, r#"{"result":"refused","class":"recipient","code":"blocked"}"#);
        let Submitted::Refused(refusal) = refusing.submit(&submission()).await else { panic!("refused") };
        assert_eq!((refusal.class, refusal.code.as_str(), refusal.is_listed), (ErrorClass::Recipient, "blocked", true));
        for (status, body, expected) in [
            (500, "oops", Submitted::Unknown { code: transport::SERVER_ERROR.into() }),
            (200, "{", Submitted::Unknown { code: transport::UNREADABLE.into() }),
        ] {
            assert_eq!(webhook(status, body).0.submit(&submission()).await, expected);
        }
    }

    #[tokio::test]
    async fn a_lost_message_can_be_looked_for() {
        let wanted = Wanted {
            phone: "13900000000".parse().unwrap(),
            out_id: "m-1".into(),
            provider_id: None,
            submitted_at: Fixed.now(),
            known_ids: Vec::new(),
        };
        let (found, endpoint) = webhook(200, r#"{"result":"found","id":"w-1","status":"pending"}"#);
        assert_eq!(found.look_up(&wanted).await, LookUp::Found { provider_id: Some("w-1".into()), report: None });
        assert_eq!(endpoint.2.lock().unwrap()[0].url, "http://127.0.0.1:9/sms/lookup");
        assert_eq!(webhook(200, r#"{"result":"absent"}"#).0.look_up(&wanted).await, LookUp::Absent);
        let unsupported = LookUp::Unavailable { code: transport::UNREADABLE.into() };
        assert_eq!(webhook(404, "not found").0.look_up(&wanted).await, unsupported);
    }
}
