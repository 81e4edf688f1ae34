//! The `log` SMS provider: keeps messages in memory and writes them to the log, so that a person can sign
//! in without a provider. Development only.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use domain::{Clock, Phone, Timestamp};
use sms::class::ErrorClass;
use sms::provider::{LookUp, Report, Submission, Submitted, Wanted};
use sms::{ProviderName, SmsProvider};
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
    pub template: String,
    /// As the recipient would read it.
    pub text: String,
    pub sent_at: Timestamp,
}

/// Sends nothing. Without `shows_codes` neither the log nor the kept messages hold a code.
pub struct LogSms {
    clock: Arc<dyn Clock>,
    shows_codes: bool,
    /// Newest first.
    kept: Mutex<VecDeque<LoggedSms>>,
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
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    fn shown(&self, submission: &Submission) -> LoggedSms {
        let code = submission.param("code").filter(|_| self.shows_codes);
        LoggedSms {
            phone: submission.phone.clone(),
            code: code.map(str::to_owned),
            template: submission.template.clone(),
            text: render(submission, self.shows_codes),
            sent_at: self.clock.now(),
        }
    }
}

#[async_trait]
impl SmsProvider for LogSms {
    fn name(&self) -> ProviderName {
        ProviderName::Log
    }

    fn offers(&self, _: &str) -> bool {
        true
    }

    async fn submit(&self, submission: &Submission) -> Submitted {
        let message = self.shown(submission);
        info!(template = message.template, "text message to {}, not sent: {}", message.phone, message.text);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front(message);
        kept.truncate(MAX_KEPT_MESSAGES);
        Submitted::Accepted { provider_id: submission.out_id.clone(), segments: None }
    }

    /// Whatever was kept was read.
    async fn look_up(&self, wanted: &Wanted) -> LookUp {
        let at = Some(wanted.submitted_at);
        let report = Report { class: ErrorClass::Delivered, code: "shown".to_owned(), at, segments: None };
        LookUp::Found { provider_id: Some(wanted.out_id.clone()), report: Some(report) }
    }
}

/// The text as a provider's template would give it.
fn render(submission: &Submission, shows_codes: bool) -> String {
    let code = submission.param("code").map(|code| if shows_codes { code } else { "******" });
    let body = match (code, submission.param("minutes")) {
        (Some(code), Some(minutes)) => format!("验证码 {code}，{minutes} 分钟内有效"),
        (Some(code), None) => format!("验证码 {code}"),
        (None, _) if submission.template == "new_message" => "您有一条新消息，请打开小程序查看".to_owned(),
        (None, _) if submission.template == "phone_changed" => {
            "您的账号已更换手机号，如非本人操作请联系客服".to_owned()
        }
        (None, _) => {
            let params: Vec<_> = submission.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
            format!("[{}] {}", submission.template, params.join(" "))
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

    fn log(shows_codes: bool) -> LogSms {
        LogSms::new(Profile::Development, shows_codes, Arc::new(FixedClock)).unwrap()
    }

    fn pairs(params: &[(&str, &str)]) -> Vec<(String, String)> {
        params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn submission(template: &str, params: &[(&str, &str)]) -> Submission {
        Submission {
            out_id: "m-1".to_owned(),
            phone: "13900000000".parse().unwrap(),
            template: template.to_owned(),
            params: pairs(params),
        }
    }

    fn login_code() -> Submission {
        submission("login_code", &[("code", "012345"), ("minutes", "5")])
    }

    #[tokio::test]
    async fn a_login_code_is_kept_as_the_recipient_would_read_it() {
        let log = log(true);
        let accepted = Submitted::Accepted { provider_id: "m-1".to_owned(), segments: None };
        assert_eq!(log.submit(&login_code()).await, accepted);
        let kept = log.messages();
        assert_eq!(kept[0].text, "【兆观医生】验证码 012345，5 分钟内有效");
        assert_eq!(kept[0].code.as_deref(), Some("012345"));
        assert_eq!((kept[0].phone.as_e164(), kept[0].template.as_str()), ("+8613900000000", "login_code"));
        assert_eq!(kept[0].sent_at, FixedClock.now());
    }

    #[tokio::test]
    async fn other_templates_are_rendered_too() {
        let log = log(true);
        log.submit(&submission("new_message", &[])).await;
        log.submit(&submission("certified", &[("doctor", "王医生")])).await;
        log.submit(&submission("bind_code", &[("code", "987654")])).await;
        let texts: Vec<String> = log.messages().into_iter().map(|m| m.text).collect();
        assert_eq!(texts[0], "【兆观医生】验证码 987654");
        assert_eq!(texts[1], "【兆观医生】[certified] doctor=王医生");
        assert_eq!(texts[2], "【兆观医生】您有一条新消息，请打开小程序查看");
    }

    #[tokio::test]
    async fn without_the_flag_no_code_is_kept() {
        let log = log(false);
        log.submit(&login_code()).await;
        log.submit(&submission("bind_code", &[("code", "012345")])).await;
        for message in log.messages() {
            assert!(message.code.is_none() && !message.text.contains("012345"));
        }
    }

    #[tokio::test]
    async fn the_newest_come_first_and_the_oldest_are_forgotten() {
        let log = log(true);
        for n in 0..=MAX_KEPT_MESSAGES {
            log.submit(&submission("login_code", &[("code", &format!("{n:06}"))])).await;
        }
        let codes: Vec<_> = log.messages().into_iter().filter_map(|m| m.code).collect();
        assert_eq!(codes.len(), MAX_KEPT_MESSAGES);
        assert_eq!((codes[0].as_str(), codes[MAX_KEPT_MESSAGES - 1].as_str()), ("000200", "000001"));
    }

    #[tokio::test]
    async fn what_was_shown_counts_as_delivered() {
        let wanted = Wanted {
            phone: "13900000000".parse().unwrap(),
            out_id: "m-1".to_owned(),
            provider_id: None,
            submitted_at: FixedClock.now(),
            known_ids: Vec::new(),
        };
        let LookUp::Found { report: Some(report), .. } = log(true).look_up(&wanted).await else { panic!("found") };
        assert_eq!(report.class, ErrorClass::Delivered);
    }

    #[test]
    fn production_refuses_it() {
        let refused = LogSms::new(Profile::Production, true, Arc::new(FixedClock));
        assert!(matches!(refused, Err(StartError::LogSmsInProduction)));
    }
}
