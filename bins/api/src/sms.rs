//! Which gateway sends short messages.

use std::sync::Arc;

use async_trait::async_trait;
use domain::Clock;
use domain::sms::{SmsGateway, SmsNotSent, SmsRequest};
use runtime::config::SmsProvider;
use runtime::{Config, LogSms, StartError};

/// The gateway, and the kept messages where codes may be shown.
pub struct Sms {
    pub gateway: Arc<dyn SmsGateway>,
    pub kept: Option<Arc<LogSms>>,
}

/// A provider that this version cannot use.
#[derive(Debug, thiserror::Error)]
#[error("the SMS provider `{0}` (sms.providers) is not available in this version")]
pub struct ProviderNotAvailable(&'static str);

/// Nobody sends: every request for a code is answered with `sms.not_sent`.
struct NoSms;

#[async_trait]
impl SmsGateway for NoSms {
    async fn send(&self, _: SmsRequest) -> Result<(), SmsNotSent> {
        Err(SmsNotSent)
    }
}

/// The gateway of the configuration.
///
/// # Errors
/// When a provider is not available, here or in this profile.
pub fn gateway(config: &Config, clock: &Arc<dyn Clock>) -> Result<Sms, SmsError> {
    let providers = config.sms_providers();
    if let Some(other) = providers.iter().find(|provider| **provider != SmsProvider::Log) {
        return Err(ProviderNotAvailable(other.as_str()).into());
    }
    if providers.is_empty() {
        return Ok(Sms { gateway: Arc::new(NoSms), kept: None });
    }
    let log = Arc::new(LogSms::new(config.profile, true, Arc::clone(clock))?);
    Ok(Sms { gateway: log.clone(), kept: Some(log) })
}

/// No gateway could be made.
#[derive(Debug, thiserror::Error)]
pub enum SmsError {
    #[error(transparent)]
    NotAvailable(#[from] ProviderNotAvailable),
    #[error(transparent)]
    Refused(#[from] StartError),
}
