//! Text messages wired from the configuration: the providers, what they are over, and the notices that leave by them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use ::sms::aliyun::{AliyunSettings, AliyunSms};
use ::sms::budget::Budget;
use ::sms::http::{BaseUrl, HttpPort, HyperHttp, MalformedUrl};
use ::sms::provider::{LookUp, Wanted};
use ::sms::template::{ProviderTemplate, TemplateProblem, Templates};
use ::sms::tencent::{TencentSettings, TencentSms};
use ::sms::webhook::WebhookSms;
use ::sms::{Credential, ProviderName, SmsContext, SmsKeys, SmsProvider, SmsSettings, TokioPause};
use domain::rng::SecureRandom;
use domain::{Clock, Phone};
use runtime::config::{Secret, SmsProvider as Named};
use runtime::{Config, LogSms, StartError};

use crate::Ground;

/// A number that look-ups are tried with; nothing is sent to it.
const PROBED: &str = "13800138000";

/// Everything about text messages.
pub struct Sms {
    pub context: SmsContext,
    /// The messages that were not sent, where the profile lets them be shown.
    pub kept: Option<Arc<LogSms>>,
    /// Value of the variable `link` of notices.
    pub notice_link: String,
}

/// The providers of the configuration, in order of preference.
pub struct Providers {
    pub all: Vec<Arc<dyn SmsProvider>>,
    pub kept: Option<Arc<LogSms>>,
    /// What may go wrong although it is allowed.
    pub warnings: Vec<String>,
}

/// A provider could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SmsSetupError {
    #[error("sms.{0} is missing, but sms.providers lists it")]
    Missing(&'static str),
    #[error("sms.{name}.base_url: {source}")]
    Url { name: &'static str, source: MalformedUrl },
    #[error(transparent)]
    Template(#[from] TemplateProblem),
    #[error(transparent)]
    Refused(#[from] StartError),
    #[error("the machine's certificate authorities cannot be read")]
    Certificates(#[source] io::Error),
}

impl Sms {
    /// Over the given ground, with keys derived from the deployment's secret.
    ///
    /// # Errors
    /// [`SmsSetupError`] naming the setting at fault.
    pub fn wire(config: &Config, ground: &Ground, secret: &Secret) -> Result<Self, SmsSetupError> {
        let random: Arc<dyn SecureRandom> = ground.random.clone();
        let providers = Providers::of(config, &ground.clock, &random)?;
        for warning in &providers.warnings {
            tracing::warn!("{warning}");
        }
        let context = SmsContext {
            store: Arc::new(ground.store.clone()),
            clock: ground.clock.clone(),
            ids: ground.ids.clone(),
            signal: ground.bell.clone(),
            pause: Arc::new(TokioPause),
            keys: SmsKeys::derive(secret.expose().as_bytes(), random),
            providers: providers.all.into(),
            settings: Arc::new(settings(config)),
        };
        Ok(Self { context, kept: providers.kept, notice_link: config.sms.notice_link.clone() })
    }
}

impl Providers {
    /// # Errors
    /// [`SmsSetupError`] naming the setting at fault.
    pub fn of(config: &Config, clock: &Arc<dyn Clock>, random: &Arc<dyn SecureRandom>) -> Result<Self, SmsSetupError> {
        let mut providers = Self { all: Vec::new(), kept: None, warnings: Vec::new() };
        let http: Arc<dyn HttpPort> =
            Arc::new(HyperHttp::new(config.sms.timeout).map_err(SmsSetupError::Certificates)?);
        for named in config.sms_providers() {
            let provider: Arc<dyn SmsProvider> = match named {
                Named::Aliyun => Arc::new(providers.aliyun(config, &http, clock, random)?),
                Named::Tencent => Arc::new(providers.tencent(config, &http, clock)?),
                Named::Webhook => Arc::new(webhook(config, &http, clock)?),
                Named::Log => {
                    let log = Arc::new(LogSms::new(config.profile, true, Arc::clone(clock))?);
                    providers.kept = Some(log.clone());
                    log
                }
            };
            providers.all.push(provider);
        }
        Ok(providers)
    }

    fn aliyun(
        &mut self,
        config: &Config,
        http: &Arc<dyn HttpPort>,
        clock: &Arc<dyn Clock>,
        random: &Arc<dyn SecureRandom>,
    ) -> Result<AliyunSms, SmsSetupError> {
        let set = config.sms.aliyun.as_ref().ok_or(SmsSetupError::Missing("aliyun"))?;
        let settings = AliyunSettings {
            base_url: base_url("aliyun", &set.base_url)?,
            credential: Credential::new(&set.access_key_id, set.access_key_secret.expose()),
            sign_name: set.sign_name.clone(),
            templates: self.templates(config, Named::Aliyun)?,
        };
        Ok(AliyunSms::new(settings, Arc::clone(http), Arc::clone(clock), Arc::clone(random)))
    }

    fn tencent(
        &mut self,
        config: &Config,
        http: &Arc<dyn HttpPort>,
        clock: &Arc<dyn Clock>,
    ) -> Result<TencentSms, SmsSetupError> {
        let set = config.sms.tencent.as_ref().ok_or(SmsSetupError::Missing("tencent"))?;
        let settings = TencentSettings {
            base_url: base_url("tencent", &set.base_url)?,
            credential: Credential::new(&set.secret_id, set.secret_key.expose()),
            sdk_app_id: set.sdk_app_id.clone(),
            sign_name: set.sign_name.clone(),
            region: set.region.clone(),
            templates: self.templates(config, Named::Tencent)?,
        };
        Ok(TencentSms::new(settings, Arc::clone(http), Arc::clone(clock)))
    }

    /// What each logical template is at one provider.
    fn templates(&mut self, config: &Config, named: Named) -> Result<Templates, SmsSetupError> {
        let of_it = config.sms.templates.iter().filter_map(|(name, by_provider)| {
            let template = by_provider.get(&named)?;
            let params = template.params.clone();
            Some((name.clone(), ProviderTemplate { id: template.id.clone(), params }))
        });
        let templates = Templates::new(provider_name(named), of_it.collect())?;
        self.warnings.extend(templates.warnings());
        Ok(templates)
    }
}

fn webhook(config: &Config, http: &Arc<dyn HttpPort>, clock: &Arc<dyn Clock>) -> Result<WebhookSms, SmsSetupError> {
    let set = config.sms.webhook.as_ref().ok_or(SmsSetupError::Missing("webhook"))?;
    let credential = Credential::new("", set.secret.expose());
    Ok(WebhookSms::new(base_url("webhook", &set.base_url)?, credential, Arc::clone(http), Arc::clone(clock)))
}

fn base_url(name: &'static str, text: &str) -> Result<BaseUrl, SmsSetupError> {
    BaseUrl::parse(text).map_err(|source| SmsSetupError::Url { name, source })
}

const fn provider_name(named: Named) -> ProviderName {
    match named {
        Named::Aliyun => ProviderName::Aliyun,
        Named::Tencent => ProviderName::Tencent,
        Named::Webhook => ProviderName::Webhook,
        Named::Log => ProviderName::Log,
    }
}

fn settings(config: &Config) -> SmsSettings {
    let sms = &config.sms;
    let prices = [
        (ProviderName::Aliyun, sms.aliyun.as_ref().map(|set| set.price_milliyuan)),
        (ProviderName::Tencent, sms.tencent.as_ref().map(|set| set.price_milliyuan)),
        (ProviderName::Webhook, sms.webhook.as_ref().map(|set| set.price_milliyuan)),
    ];
    let prices = prices.into_iter().filter_map(|(name, price)| Some((name, i64::from(price?))));
    SmsSettings {
        timezone: config.business.timezone,
        daily_budget: Budget(i64::from(sms.daily_budget_yuan).saturating_mul(1_000)),
        prices_milliyuan: prices.collect::<BTreeMap<_, _>>(),
        notices_per_day: sms.notices_per_number,
    }
}

/// Asks a provider for a message that was never sent, which costs nothing and needs right credentials.
///
/// # Errors
/// The provider's code, or what came instead.
pub async fn probe(provider: &dyn SmsProvider, clock: &dyn Clock) -> Result<(), String> {
    let phone: Phone = PROBED.parse().or(Err("the number to try is malformed".to_owned()))?;
    let wanted = Wanted {
        phone,
        out_id: "check".to_owned(),
        provider_id: None,
        submitted_at: clock.now(),
        known_ids: Vec::new(),
    };
    match provider.look_up(&wanted).await {
        LookUp::Found { .. } | LookUp::Absent => Ok(()),
        LookUp::Unavailable { code } => Err(code),
    }
}

#[cfg(test)]
mod tests;
