//! `wechat.*` and `sms.*`: the outside services and their limits.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use domain::time::span;
use ipnet::IpNet;
use serde::Deserialize;

use super::duration;
use super::rate::Rate;
use super::secret::Secret;
use super::sections::some_networks;

/// `wechat.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wechat {
    pub base_url: String,
    /// Tried in order when the base address cannot be reached at all.
    pub fallback_urls: Vec<String>,
    /// Development only: where the built-in stand-in for the platform listens; it serves when no apps are set.
    pub standin: Option<SocketAddr>,
    /// How far the timestamp of a pushed message may be from now.
    #[serde(deserialize_with = "duration::deserialize")]
    pub push_window: Duration,
    pub content_checks: ContentChecks,
    /// Sign-ins with a mini-program's code tried from one address.
    pub sign_ins_per_address: Rate,
    pub apps: Vec<WechatApp>,
}

/// `wechat.content_checks.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContentChecks {
    pub enabled: bool,
    /// Longest wait for a verdict on a text.
    #[serde(deserialize_with = "duration::deserialize")]
    pub budget: Duration,
    pub on_no_verdict: OnNoVerdict,
    /// Words that put a text before a person where the platform gives no verdict.
    pub words: Vec<String>,
}

impl Default for ContentChecks {
    fn default() -> Self {
        let budget = Duration::from_millis(800);
        Self { enabled: true, budget, on_no_verdict: OnNoVerdict::Deliver, words: Vec::new() }
    }
}

/// What becomes of a text without a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnNoVerdict {
    Deliver,
    Hold,
}

impl Default for Wechat {
    fn default() -> Self {
        Self {
            base_url: "https://api.weixin.qq.com".to_owned(),
            fallback_urls: Vec::new(),
            standin: None,
            push_window: span::minutes(10),
            content_checks: ContentChecks::default(),
            sign_ins_per_address: Rate::new(300, span::hours(1)),
            apps: Vec::new(),
        }
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
    /// Page an invitation code opens; the home page when unset.
    pub invitation_page: Option<String>,
    /// Page a message opens; `{consultationId}` is filled in.
    pub message_page: Option<String>,
    /// Which version of the mini-program codes, links and messages open.
    #[serde(default)]
    pub env_version: EnvVersion,
}

/// A version of a mini-program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EnvVersion {
    #[default]
    Release,
    Trial,
    Develop,
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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
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
    /// Networks that may push receipts; all unless set.
    pub receipt_networks: Vec<IpNet>,
    /// How long a provider may take to answer.
    #[serde(deserialize_with = "duration::deserialize")]
    pub timeout: Duration,
    /// What may be spent a day.
    pub daily_budget_yuan: u32,
    /// Notices one number gets within 24 hours.
    pub notices_per_number: u32,
    /// Value of the variable `link` in notices, e.g. the end of a mini-program's URL link.
    pub notice_link: String,
    pub limits: SmsLimits,
}

impl Default for Sms {
    fn default() -> Self {
        Self {
            providers: None,
            aliyun: None,
            tencent: None,
            webhook: None,
            templates: BTreeMap::new(),
            receipt_secret: None,
            receipt_networks: Vec::new(),
            timeout: Duration::from_secs(5),
            daily_budget_yuan: 1_000,
            notices_per_number: 10,
            notice_link: String::new(),
            limits: SmsLimits::default(),
        }
    }
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
    /// Price of one part of a message, in 1/1000 yuan.
    #[serde(default = "usual_price")]
    pub price_milliyuan: u32,
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
    /// Price of one part of a message, in 1/1000 yuan.
    #[serde(default = "usual_price")]
    pub price_milliyuan: u32,
}

/// `sms.webhook.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSms {
    pub base_url: String,
    /// Signs the requests.
    pub secret: Secret,
    /// Price of one part of a message, in 1/1000 yuan.
    #[serde(default)]
    pub price_milliyuan: u32,
}

const fn usual_price() -> u32 {
    45
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

/// `sms.limits.*`: the life of a code, and how many may be asked for and tried.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmsLimits {
    #[serde(deserialize_with = "duration::deserialize")]
    pub code_lifetime: Duration,
    /// Wrong tries that kill a code.
    pub tries_per_code: NonZeroU32,
    /// Wrong tries in a row, over all codes of a number, that lock it; and so many again the next time.
    pub failures_per_lock: NonZeroU32,
    /// First lock of a number; each further one is twice as long.
    #[serde(deserialize_with = "duration::deserialize")]
    pub first_lock: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    pub longest_lock: Duration,
    /// Wrong tries in a row that lock a number until an administrator unlocks it; well under 100.
    pub hard_lock_at: NonZeroU32,
    /// Codes to one number; these hold for everybody.
    pub per_number: Vec<Rate>,
    /// Codes asked for from one address: one IPv4 or one IPv6 /64.
    pub per_address: Vec<Rate>,
    /// Different numbers one address may ask codes for.
    pub numbers_per_address: Rate,
    pub per_device: Vec<Rate>,
    /// Codes altogether, the last being the daily budget.
    pub overall: Vec<Rate>,
    /// Codes without a session that need no captcha, per address and per device.
    pub free_of_captcha: Rate,
    /// Wrong tries from one address.
    pub failures_per_address: Rate,
    /// Wrong tries altogether.
    pub failures_overall: Rate,
    /// Country codes that may receive codes.
    pub countries: Vec<String>,
    /// National prefixes that may not.
    pub refused_prefixes: Vec<String>,
    /// Networks free of the limits per address and device and of the captcha; in development this
    /// machine itself unless set, so that many people can be signed in while trying things out.
    #[serde(deserialize_with = "some_networks")]
    pub(super) exempt_networks: Option<Vec<IpNet>>,
}

impl Default for SmsLimits {
    fn default() -> Self {
        let count = |n: u32| NonZeroU32::MIN.saturating_add(n - 1);
        let (hour, day) = (span::hours(1), span::hours(24));
        Self {
            code_lifetime: span::minutes(5),
            tries_per_code: count(5),
            failures_per_lock: count(10),
            first_lock: span::minutes(30),
            longest_lock: day,
            hard_lock_at: count(50),
            per_number: vec![Rate::new(1, span::minutes(1)), Rate::new(5, hour), Rate::new(10, day)],
            per_address: vec![Rate::new(10, hour), Rate::new(50, day)],
            numbers_per_address: Rate::new(5, hour),
            per_device: vec![Rate::new(5, hour)],
            overall: vec![Rate::new(2_000, hour), Rate::new(20_000, day)],
            free_of_captcha: Rate::new(1, day),
            failures_per_address: Rate::new(30, hour),
            failures_overall: Rate::new(2_000, hour),
            countries: vec!["86".to_owned()],
            refused_prefixes: Vec::new(),
            exempt_networks: None,
        }
    }
}
