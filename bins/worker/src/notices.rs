//! Notices by text message: neutral words and a link, nothing of what was said or by whom.

use std::sync::Arc;

use ::sms::{Dispatcher, Draft, SmsError};
use async_trait::async_trait;
use consultation::ConsultationStore;
use consultation::notification::{Delivery, DeliveryError, Notifier, Recipient};
use domain::time::span;
use domain::{Clock, Coded, Phone, StoreError};
use tracing::warn;
use wechat::Audience;
use wechat::message_link::MessageLinks;

use crate::sms::Sms;

/// Longest value of a variable in a notice, by the providers' rules.
const MAX_LINK_CHARS: usize = 35;

/// The logical template of all notices; its variable is `link`.
const NOTICE_TEMPLATE: &str = "new_message";
/// A notice that could not leave for so long is not worth sending any more.
const USEFUL_FOR: std::time::Duration = span::hours(6);
/// Times a notice that no provider took is offered again, each as a message of its own.
const MAX_OFFERS: u32 = 5;

/// The channel for text messages.
pub(crate) struct SmsNotifier {
    store: Arc<dyn ConsultationStore>,
    clock: Arc<dyn Clock>,
    dispatcher: Dispatcher,
    is_offered: bool,
    /// Value of `link` of the configuration; made from the mini-programs when it is empty.
    link: String,
    links: MessageLinks,
    /// Keeps the delivery beside the message.
    recorder: Arc<dyn Notifier>,
}

impl SmsNotifier {
    pub(crate) fn new(
        store: Arc<dyn ConsultationStore>,
        sms: &Sms,
        links: MessageLinks,
        recorder: Arc<dyn Notifier>,
    ) -> Self {
        Self {
            store,
            clock: sms.context.clock.clone(),
            dispatcher: Dispatcher::new(sms.context.clone()),
            is_offered: sms.context.providers.iter().any(|provider| provider.offers(NOTICE_TEMPLATE)),
            link: sms.notice_link.clone(),
            links,
            recorder,
        }
    }

    async fn phone(&self, recipient: Recipient) -> Result<Option<Phone>, StoreError> {
        let mut unit = self.store.read();
        Ok(match recipient {
            Recipient::Doctor(id) => unit.doctors().find(id).await?.and_then(|doctor| doctor.phone),
            Recipient::Patient(id) => unit.patients().find(id).await?.and_then(|patient| patient.phone),
        })
    }

    /// What the variable `link` says: templates hold the address before it, as providers refuse whole addresses.
    async fn link(&self, recipient: Recipient) -> String {
        if !self.link.is_empty() {
            return self.link.clone();
        }
        let audience = match recipient {
            Recipient::Doctor(_) => Audience::Doctor,
            Recipient::Patient(_) => Audience::Patient,
        };
        match self.links.get(audience).await {
            Ok(url) => {
                let end = url.as_deref().and_then(|url| url.rsplit('/').next()).unwrap_or_default();
                if end.chars().count() <= MAX_LINK_CHARS { end.to_owned() } else { String::new() }
            }
            Err(error) => {
                warn!(code = error.code(), "no link for a notice could be made; it leaves without one");
                String::new()
            }
        }
    }

    async fn send(&self, delivery: &Delivery, phone: &Phone) -> Result<(), SmsError> {
        let link = self.link(delivery.recipient).await;
        let thread = format!("notification:{}", delivery.notification_id);
        for offer in 1..=MAX_OFFERS {
            let draft = Draft {
                phone: phone.clone(),
                template: NOTICE_TEMPLATE.to_owned(),
                params: vec![("link".to_owned(), link.clone())],
                idempotency_key: format!("{thread}:{offer}"),
                thread: thread.clone(),
                useful_until: self.clock.now() + USEFUL_FOR,
                origin: None,
                only: None,
            };
            match self.dispatcher.dispatch(&draft).await {
                // An earlier run of this delivery found no provider: this is the next one.
                Err(SmsError::RejectedBefore) => {}
                other => return other.map(drop),
            }
        }
        Err(SmsError::Refused)
    }
}

#[async_trait]
impl Notifier for SmsNotifier {
    async fn deliver(&self, delivery: &Delivery) -> Result<(), DeliveryError> {
        if !self.is_offered {
            return Err(DeliveryError::Refused);
        }
        let phone = self.phone(delivery.recipient).await.or(Err(DeliveryError::Unavailable))?;
        let phone = phone.ok_or(DeliveryError::Refused)?;
        match self.send(delivery, &phone).await {
            Ok(()) => self.recorder.deliver(delivery).await,
            Err(error) => {
                warn!(notification.id = %delivery.notification_id, code = error.code(), "a notice was not sent");
                Err(match error {
                    SmsError::NotSent | SmsError::Store(_) => DeliveryError::Unavailable,
                    _ => DeliveryError::Refused,
                })
            }
        }
    }
}
