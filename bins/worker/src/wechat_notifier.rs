//! Notifications by WeChat: the mini-program's subscribe message first, the service account's template message next.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use consultation::ConsultationStore;
use consultation::notification::{Cause, Delivery, DeliveryError, Notifier, Recipient, Side};
use domain::id::UserId;
use domain::{Coded, ErrorKind, StoreError};
use serde_json::Value;
use tracing::warn;
use wechat::field::Facts;
use wechat::message::{Messages, NewMessage, NotQueued, Progress};
use wechat::{App, AppKind, Audience, WechatError};

/// Template used where the cause has none of its own.
const GENERAL_TEMPLATE: &str = "new_message";
/// Waits for a busy lane or platform while the job is held; longer ones are left to the outbox.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
const MOST_WAITS: u32 = 8;

/// Carries notifications through the outbox to the platform.
pub struct WechatNotifier {
    context: wechat::Context,
    messages: Messages,
    people: Arc<dyn ConsultationStore>,
}

impl WechatNotifier {
    pub fn new(context: wechat::Context, people: Arc<dyn ConsultationStore>) -> Self {
        let messages = Messages::new(context.clone());
        Self { context, messages, people }
    }

    /// Where the recipient can be reached, best first.
    async fn addresses(&self, recipient: Recipient) -> Result<Vec<(&App, String)>, StoreError> {
        let mut unit = self.people.read();
        let (user, noted): (Option<UserId>, Vec<(Option<String>, String)>) = match recipient {
            Recipient::Doctor(id) => {
                let doctor = unit.doctors().find(id).await?;
                let openid = doctor.as_ref().and_then(|doctor| doctor.openid.clone());
                (doctor.and_then(|doctor| doctor.user_id), openid.into_iter().map(|id| (None, id)).collect())
            }
            Recipient::Patient(id) => {
                let patient = unit.patients().find(id).await?;
                let openids = patient.as_ref().map(|patient| patient.openids.clone()).unwrap_or_default();
                let noted = |(app, id): (String, Value)| id.as_str().map(|id| (Some(app), id.to_owned()));
                (patient.and_then(|patient| patient.user_id), openids.into_iter().filter_map(noted).collect())
            }
        };
        let identities = match user {
            Some(user) => self.context.store.read().identities().find_of_user(user).await?,
            None => Vec::new(),
        };
        let audience = match recipient.side() {
            Side::Doctor => Audience::Doctor,
            Side::Patient => Audience::Patient,
        };
        let mut found = Vec::new();
        for kind in [AppKind::Miniprogram, AppKind::ServiceAccount] {
            for (index, app) in self.context.apps.of(kind, audience).enumerate() {
                let known = identities.iter().find(|identity| identity.app == app.name).map(|id| id.openid.clone());
                let is_of = |name: &Option<String>| match name {
                    Some(name) => *name == app.name || *name == app.appid,
                    // A profile's only openid is of the first mini-program.
                    None => index == 0 && kind == AppKind::Miniprogram,
                };
                let noted = noted.iter().find(|(name, _)| is_of(name)).map(|(_, openid)| openid.clone());
                found.extend(known.or(noted).map(|openid| (app, openid)));
            }
        }
        Ok(found)
    }

    /// Takes one message as far as it goes while this job lasts.
    async fn carry(&self, new: &NewMessage) -> Result<(), DeliveryError> {
        let id = match self.messages.queue(new).await {
            Ok(id) => id,
            Err(NotQueued::Failed(error)) => return Err(failure(&error)),
            Err(_) => return Err(DeliveryError::Refused),
        };
        for _ in 0..MOST_WAITS {
            match self.messages.drive(id).await.map_err(|error| failure(&error))? {
                // Unknown is not sent again, by no channel: it may have arrived.
                Progress::Accepted | Progress::Unknown => return Ok(()),
                Progress::Refused => return Err(DeliveryError::Refused),
                Progress::Later(at) => {
                    let wait = at.since(self.context.clock.now());
                    if wait > LONGEST_WAIT {
                        return Err(DeliveryError::Unavailable);
                    }
                    tokio::time::sleep(wait.max(Duration::from_millis(20))).await;
                }
            }
        }
        Err(DeliveryError::Unavailable)
    }
}

#[async_trait]
impl Notifier for WechatNotifier {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        let addresses = self.addresses(delivery.recipient).await.map_err(|error| {
            warn!(error = &error as &dyn std::error::Error, "the recipient of a notification could not be read");
            DeliveryError::Unavailable
        })?;
        for (app, openid) in addresses {
            let own = delivery.cause.as_str();
            let template = if app.templates.contains_key(own) { own } else { GENERAL_TEMPLATE };
            let new = NewMessage {
                app: app.name.clone(),
                openid,
                template: template.to_owned(),
                facts: self.facts(delivery),
                consultation: delivery.consultation_id,
                key: format!("notification:{}:{}", delivery.notification_id, app.name),
                is_harmless_twice: false,
            };
            match self.carry(&new).await {
                Err(DeliveryError::Refused) => {}
                settled => return settled,
            }
        }
        Err(DeliveryError::Refused)
    }
}

impl WechatNotifier {
    /// Neutral words: a card shows on locked screens.
    fn facts(&self, delivery: &Delivery) -> Facts {
        let reference = delivery.consultation_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        Facts {
            subject: subject(delivery.cause).to_owned(),
            hint: "请打开小程序查看".to_owned(),
            status: "待查看".to_owned(),
            sender: "兆观医生".to_owned(),
            reference,
            at: self.context.clock.now(),
        }
    }
}

const fn subject(cause: Cause) -> &'static str {
    match cause {
        Cause::Initiated => "您有新的咨询",
        Cause::PatientMessage => "您收到患者的新消息",
        Cause::DoctorMessage => "您收到医生的回复",
        Cause::Ended => "您的咨询已结束",
        Cause::Reopened => "您的咨询已重新开启",
        Cause::AboutToExpire => "您的咨询即将到期",
        Cause::Escalation => "有咨询等待您回复",
        Cause::AssistantAnswer => "官方助手回复了您",
        Cause::CertificationApproved | Cause::CertificationRejected | Cause::CertificationRevoked => {
            "您的认证状态有更新"
        }
        Cause::RepeatInitiate | Cause::OwnMessage | Cause::SystemMessage => "您有新的消息",
    }
}

/// What a failure means for the channel.
fn failure(error: &WechatError) -> DeliveryError {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Conflict | ErrorKind::RateLimited => match error {
            WechatError::AppFault { .. } | WechatError::Refused { .. } => DeliveryError::Refused,
            _ => DeliveryError::Unavailable,
        },
        _ => DeliveryError::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_has_neutral_words_that_fit_a_thing() {
        for cause in Cause::ALL {
            assert!(wechat::field::is_valid("thing1", subject(cause), &[]), "{cause:?}");
        }
    }
}
