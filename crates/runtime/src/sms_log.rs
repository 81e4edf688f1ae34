//! The `log` SMS provider: keeps messages in memory and writes them to the log, so that a person can sign
//! in without a provider. Development only.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use domain::sms::{SmsGateway, SmsNotSent, SmsRequest};
use domain::{Clock, Phone, Timestamp};
use tracing::info;

use crate::StartError;
use crate::config::Profile;

/// Messages kept; older ones are forgotten.
pub const MAX_KEPT_MESSAGES: usize = 200;

/// A message that was not sent anywhere. No `Debug`: it may hold a code.
#[derive(Clone, PartialEq, Eq)]
pub struct LoggedSms {
    pub phone: Phone,
    /// The code of a code template; `None` for others, or when codes are not shown.
    pub code: Option<String>,
    pub template: &'static str,
    /// As the recipient would read it.
    pub text: String,
    pub sent_at: Timestamp,
}

/// Sends nothing. Without `shows_codes` neither the log nor the kept messages hold a code.
pub struct LogSms {
    clock: Arc<dyn Clock>,
    shows_codes: bool,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// Newest first.
    messages: VecDeque<LoggedSms>,
    /// Keys of the kept messages, in the same order: a repeated key is not submitted again.
    keys: VecDeque<String>,
}

impl LogSms {
    /// # Errors
    /// [`StartError::LogSmsInProduction`] in the production profile, whatever the flag says.
    pub fn new(profile: Profile, shows_codes: bool, clock: Arc<dyn Clock>) -> Result<Self, StartError> {
        match profile {
            Profile::Development => Ok(Self { clock, shows_codes, kept: Mutex::default() }),
            Profile::Production => Err(StartError::LogSmsInProduction),
        }
    }

    /// The kept messages, newest first.
    pub fn messages(&self) -> Vec<LoggedSms> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).messages.iter().cloned().collect()
    }

    fn shown(&self, request: &SmsRequest) -> LoggedSms {
        let code = param(request, "code").filter(|_| self.shows_codes);
        LoggedSms {
            phone: request.phone.clone(),
            code: code.map(str::to_owned),
            template: request.template,
            text: render(request, self.shows_codes),
            sent_at: self.clock.now(),
        }
    }
}

#[async_trait]
impl SmsGateway for LogSms {
    async fn send(&self, request: SmsRequest) -> Result<(), SmsNotSent> {
        let message = self.shown(&request);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.keys.contains(&request.idempotency_key) {
            return Ok(());
        }
        info!(template = message.template, "text message to {}, not sent: {}", message.phone, message.text);
        kept.messages.push_front(message);
        kept.keys.push_front(request.idempotency_key);
        kept.messages.truncate(MAX_KEPT_MESSAGES);
        kept.keys.truncate(MAX_KEPT_MESSAGES);
        Ok(())
    }
}

fn param<'a>(request: &'a SmsRequest, name: &str) -> Option<&'a str> {
    request.params.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
}

/// The text as a provider's template would give it.
fn render(request: &SmsRequest, shows_codes: bool) -> String {
    let code = param(request, "code").map(|code| if shows_codes { code } else { "******" });
    let body = match (code, param(request, "minutes")) {
        (Some(code), Some(minutes)) => format!("验证码 {code}，{minutes} 分钟内有效"),
        (Some(code), None) => format!("验证码 {code}"),
        (None, _) if request.template == "new_message" => "您有一条新消息，请打开小程序查看".to_owned(),
        (None, _) => {
            let params: Vec<_> = request.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}] {}", request.template, params.join(" "))
        }
    };
    format!("【兆观医生】{body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    struct FixedClock;
    impl Clock for FixedClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_millis(1_767_323_045_678)
        }
    }

    fn gateway(shows_codes: bool) -> LogSms {
        LogSms::new(Profile::Development, shows_codes, Arc::new(FixedClock)).unwrap()
    }

    fn login_code(key: &str) -> SmsRequest {
        SmsRequest {
            phone: "13900000000".parse().unwrap(),
            template: "login_code",
            params: vec![("code", "012345".to_owned()), ("minutes", "5".to_owned())],
            idempotency_key: key.to_owned(),
        }
    }

    #[tokio::test]
    async fn a_login_code_is_kept_as_the_recipient_would_read_it() {
        let gateway = gateway(true);
        gateway.send(login_code("k")).await.unwrap();
        let kept = gateway.messages();
        assert_eq!(kept[0].text, "【兆观医生】验证码 012345，5 分钟内有效");
        assert_eq!(kept[0].code.as_deref(), Some("012345"));
        assert_eq!((kept[0].phone.as_e164(), kept[0].template), ("+8613900000000", "login_code"));
        assert_eq!(kept[0].sent_at, FixedClock.now());
    }

    #[tokio::test]
    async fn other_templates_are_rendered_too() {
        let gateway = gateway(true);
        gateway.send(SmsRequest { template: "new_message", params: vec![], ..login_code("a") }).await.unwrap();
        let params = vec![("doctor", "王医生".to_owned())];
        gateway.send(SmsRequest { template: "certified", params, ..login_code("b") }).await.unwrap();
        let params = vec![("code", "987654".to_owned())];
        gateway.send(SmsRequest { template: "bind_code", params, ..login_code("c") }).await.unwrap();
        let texts: Vec<String> = gateway.messages().into_iter().map(|m| m.text).collect();
        assert_eq!(texts[0], "【兆观医生】验证码 987654");
        assert_eq!(texts[1], "【兆观医生】[certified] doctor=王医生");
        assert_eq!(texts[2], "【兆观医生】您有一条新消息，请打开小程序查看");
    }

    #[tokio::test]
    async fn without_the_flag_no_code_is_kept() {
        let gateway = gateway(false);
        gateway.send(login_code("a")).await.unwrap();
        gateway.send(SmsRequest { template: "bind_code", ..login_code("b") }).await.unwrap();
        for message in gateway.messages() {
            assert!(message.code.is_none() && !message.text.contains("012345"));
        }
    }

    #[tokio::test]
    async fn the_newest_come_first_and_the_oldest_are_forgotten() {
        let gateway = gateway(true);
        for n in 0..=MAX_KEPT_MESSAGES {
            let params = vec![("code", format!("{n:06}"))];
            gateway.send(SmsRequest { params, ..login_code(&n.to_string()) }).await.unwrap();
        }
        let codes: Vec<_> = gateway.messages().into_iter().filter_map(|m| m.code).collect();
        assert_eq!(codes.len(), MAX_KEPT_MESSAGES);
        assert_eq!((codes[0].as_str(), codes[MAX_KEPT_MESSAGES - 1].as_str()), ("000200", "000001"));
    }

    #[tokio::test]
    async fn the_same_key_is_submitted_once() {
        let gateway = gateway(true);
        gateway.send(login_code("k")).await.unwrap();
        gateway.send(login_code("k")).await.unwrap();
        assert_eq!(gateway.messages().len(), 1);
    }

    #[test]
    fn production_refuses_it() {
        let refused = LogSms::new(Profile::Production, true, Arc::new(FixedClock));
        assert!(matches!(refused, Err(StartError::LogSmsInProduction)));
    }
}
