//! `wechat.*` and `sms.*`: the outside services and their limits.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use domain::time::span;
use serde::Deserialize;

use super::duration;
use super::secret::Secret;

/// `wechat.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wechat {
    pub base_url: String,
    pub apps: Vec<WechatApp>,
}

impl Default for Wechat {
    fn default() -> Self {
        Self { base_url: "https://api.weixin.qq.com".to_owned(), apps: Vec::new() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WechatAppKind {
    Miniprogram,
    ServiceAccount,
}

/// Whose app it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    Patient,
    Doctor,
}

/// How message push is encrypted, as chosen in the platform's console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushMode {
    Plain,
    Compat,
    #[default]
    Safe,
}

/// How message push is written, as chosen in the platform's console.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PushFormat {
    Xml,
    #[default]
    Json,
}

/// One of `wechat.apps`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WechatApp {
    /// Own name of the app, part of its callback address.
    pub name: String,
    pub appid: String,
    pub secret: Secret,
    pub kind: WechatAppKind,
    pub audience: Audience,
    pub push_token: Option<Secret>,
    pub push_aes_key: Option<Secret>,
    #[serde(default)]
    pub push_mode: PushMode,
    #[serde(default)]
    pub push_format: PushFormat,
    /// The platform's template ids by logical name.
    #[serde(default)]
    pub templates: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmsProvider {
    Aliyun,
    Tencent,
    Webhook,
    /// Development only: keeps messages in memory and shows them.
    Log,
}

impl SmsProvider {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aliyun => "aliyun",
            Self::Tencent => "tencent",
            Self::Webhook => "webhook",
            Self::Log => "log",
        }
    }
}

/// `sms.*`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sms {
    /// In order of preference; `["log"]` in development and none in production unless set.
    pub(super) providers: Option<Vec<SmsProvider>>,
    pub aliyun: Option<AliyunSms>,
    pub tencent: Option<TencentSms>,
    pub webhook: Option<WebhookSms>,
    /// By logical name (`login_code`, `new_message`, …) and provider.
    pub templates: BTreeMap<String, BTreeMap<SmsProvider, SmsTemplate>>,
    /// The secret path segment of receipt callbacks.
    pub receipt_secret: Option<Secret>,
    pub limits: SmsLimits,
}

/// A provider's template.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmsTemplate {
    pub id: String,
    /// Names of the variables, in the provider's order.
    #[serde(default)]
    pub params: Vec<String>,
}

/// `sms.aliyun.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AliyunSms {
    #[serde(default = "aliyun_url")]
    pub base_url: String,
    pub access_key_id: String,
    pub access_key_secret: Secret,
    pub sign_name: String,
}

/// `sms.tencent.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TencentSms {
    #[serde(default = "tencent_url")]
    pub base_url: String,
    pub secret_id: String,
    pub secret_key: Secret,
    pub sdk_app_id: String,
    pub sign_name: String,
    #[serde(default = "tencent_region")]
    pub region: String,
}

/// `sms.webhook.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSms {
    pub base_url: String,
    /// Signs the requests.
    pub secret: Secret,
}

fn aliyun_url() -> String {
    "https://dysmsapi.aliyuncs.com".to_owned()
}

fn tencent_url() -> String {
    "https://sms.tencentcloudapi.com".to_owned()
}

fn tencent_region() -> String {
    "ap-guangzhou".to_owned()
}

/// `sms.limits.*`: the life of a code, and how many may be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmsLimits {
    #[serde(deserialize_with = "duration::deserialize")]
    pub code_lifetime: Duration,
    /// Wrong tries that kill a code.
    pub tries_per_code: NonZeroU32,
    /// Wrong tries in a row, over all codes of a number, that lock it.
    pub failures_before_lock: NonZeroU32,
    /// First lock of a number; doubles each time.
    #[serde(deserialize_with = "duration::deserialize")]
    pub lock: Duration,
    /// Pause between two codes to one number.
    #[serde(deserialize_with = "duration::deserialize")]
    pub phone_pause: Duration,
    pub phone_per_hour: NonZeroU32,
    pub phone_per_day: NonZeroU32,
    /// An address is one IPv4 or one IPv6 /64.
    pub address_per_hour: NonZeroU32,
    pub address_per_day: NonZeroU32,
    /// Distinct numbers one address may ask codes for.
    pub address_phones_per_hour: NonZeroU32,
    pub device_per_hour: NonZeroU32,
    /// Country codes that may receive codes.
    pub countries: Vec<String>,
}

impl Default for SmsLimits {
    fn default() -> Self {
        let count = |n: u32| NonZeroU32::MIN.saturating_add(n - 1);
        Self {
            code_lifetime: span::minutes(5),
            tries_per_code: count(5),
            failures_before_lock: count(10),
            lock: span::minutes(30),
            phone_pause: span::minutes(1),
            phone_per_hour: count(5),
            phone_per_day: count(10),
            address_per_hour: count(10),
            address_per_day: count(50),
            address_phones_per_hour: count(5),
            device_per_hour: count(5),
            countries: vec!["86".to_owned()],
        }
    }
}
