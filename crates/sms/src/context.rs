//! What every use case is given.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono_tz::Tz;
use domain::audit::AuditEvent;
use domain::id::{AuditId, IdSource, SmsMessageId};
use domain::outbox::JobSignal;
use domain::{Clock, Phone, Timestamp};
use serde_json::Value;

use crate::budget::Budget;
use crate::keys::SmsKeys;
use crate::message::SmsMessage;
use crate::provider::{ProviderName, SmsProvider};
use crate::unit::SmsStore;

/// Settings of sending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmsSettings {
    /// Zone in which a day of the budget begins.
    pub timezone: Tz,
    pub daily_budget: Budget,
    /// Price of one part of a message, in 1/1000 yuan.
    pub prices_milliyuan: BTreeMap<ProviderName, i64>,
    /// Notices one number gets within 24 hours.
    pub notices_per_day: u32,
}

/// Waits between two tries. A port, so that tests need not wait.
#[async_trait]
pub trait Pause: Send + Sync {
    async fn pause(&self, length: Duration);
}

/// Waits for real.
pub struct TokioPause;

#[async_trait]
impl Pause for TokioPause {
    async fn pause(&self, length: Duration) {
        tokio::time::sleep(length).await;
    }
}

/// Shared by all use cases; cheap to clone.
#[derive(Clone)]
pub struct SmsContext {
    pub store: Arc<dyn SmsStore>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub signal: Arc<dyn JobSignal>,
    pub pause: Arc<dyn Pause>,
    pub keys: SmsKeys,
    /// In order of preference.
    pub providers: Arc<[Arc<dyn SmsProvider>]>,
    pub settings: Arc<SmsSettings>,
}

impl SmsContext {
    pub(crate) fn provider(&self, name: ProviderName) -> Option<Arc<dyn SmsProvider>> {
        self.providers.iter().find(|p| p.name() == name).cloned()
    }

    /// The providers that can send a template, in order of preference.
    pub(crate) fn usable_for(&self, template: &str) -> Vec<ProviderName> {
        self.providers.iter().filter(|p| p.offers(template)).map(|p| p.name()).collect()
    }

    pub(crate) fn price(&self, provider: ProviderName) -> i64 {
        self.settings.prices_milliyuan.get(&provider).copied().unwrap_or_default()
    }

    /// The day of the budget.
    pub(crate) fn day(&self, at: Timestamp) -> String {
        at.to_datetime().with_timezone(&self.settings.timezone).format("%Y-%m-%d").to_string()
    }

    pub(crate) fn audit(&self, actor: String, action: &'static str, subject: String, detail: Value) -> AuditEvent {
        AuditEvent { id: AuditId(self.ids.next()), actor, action, subject, detail, at: self.clock.now() }
    }

    pub(crate) fn seal_phone(&self, owner: &str, phone: &Phone) -> Vec<u8> {
        self.keys.seal(&format!("phone of {owner}"), phone.as_e164().as_bytes())
    }

    pub(crate) fn open_phone(&self, owner: &str, sealed: &[u8]) -> Option<Phone> {
        let plain = self.keys.open(&format!("phone of {owner}"), sealed)?;
        std::str::from_utf8(&plain).ok()?.parse().ok()
    }

    pub(crate) fn seal_params(&self, id: SmsMessageId, params: &[(String, String)]) -> Vec<u8> {
        let plain = serde_json::to_vec(params).expect("pairs of texts are JSON");
        self.keys.seal(&format!("params of {id}"), &plain)
    }

    /// The variables of a message, as long as they are kept.
    pub(crate) fn open_params(&self, message: &SmsMessage) -> Option<Vec<(String, String)>> {
        let sealed = message.sealed_params.as_deref()?;
        let plain = self.keys.open(&format!("params of {}", message.id), sealed)?;
        serde_json::from_slice(&plain).ok()
    }
}
