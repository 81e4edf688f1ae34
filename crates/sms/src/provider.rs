//! The port of a provider: submit a message, look for one whose answer was lost.

use std::time::Duration;

use async_trait::async_trait;
use domain::{Phone, Timestamp};

use crate::class::{Classified, ErrorClass, Stage, classify};

/// The providers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProviderName {
    Aliyun,
    Tencent,
    Webhook,
    /// Sends nothing and shows codes. Development only.
    Log,
}

impl ProviderName {
    pub const ALL: [Self; 4] = [Self::Aliyun, Self::Tencent, Self::Webhook, Self::Log];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aliyun => "aliyun",
            Self::Tencent => "tencent",
            Self::Webhook => "webhook",
            Self::Log => "log",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }
}

/// One message for one provider. No `Debug`: it may hold a code.
#[derive(Clone, PartialEq, Eq)]
pub struct Submission {
    /// Names this attempt; comes back in receipts and look-ups. Holds no personal data.
    pub out_id: String,
    pub phone: Phone,
    /// Logical template.
    pub template: String,
    /// Its variables by name.
    pub params: Vec<(String, String)>,
}

impl Submission {
    /// The value of a variable.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// A provider's refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The provider's code, or one of [`transport`].
    pub code: String,
    pub class: ErrorClass,
    pub is_listed: bool,
    /// How long to wait, where the provider says.
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// By the provider's own code.
    pub fn coded(provider: ProviderName, code: &str) -> Self {
        let Classified { class, is_listed } = classify(provider, Stage::Submit, code);
        Self { code: shortened(code), class, is_listed, retry_after: None }
    }

    /// Without one.
    pub fn plain(code: &str, class: ErrorClass) -> Self {
        Self { code: code.to_owned(), class, is_listed: true, retry_after: None }
    }
}

/// Own words for what came instead of a provider's code.
pub mod transport {
    /// No connection was made; nothing was sent.
    pub const NOT_REACHED: &str = "transport.not_reached";
    /// The request was sent, and no answer came.
    pub const NO_ANSWER: &str = "transport.no_answer";
    /// An answer that cannot be read.
    pub const UNREADABLE: &str = "transport.unreadable";
    /// A server error without the provider's envelope.
    pub const SERVER_ERROR: &str = "transport.server_error";
    /// A client error without the provider's envelope.
    pub const CLIENT_ERROR: &str = "transport.client_error";
    /// HTTP 429 without the provider's envelope.
    pub const TOO_FAST: &str = "transport.too_fast";
}

/// Longest code that is kept.
const MAX_CODE_CHARS: usize = 96;

/// Codes come from outside: keep them short and printable.
pub(crate) fn shortened(code: &str) -> String {
    code.chars().filter(char::is_ascii_graphic).take(MAX_CODE_CHARS).collect()
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Submitted {
    Accepted {
        /// The provider's id of the message (`BizId`, `SerialNo`).
        provider_id: String,
        /// Billed parts, where the provider says at once.
        segments: Option<u32>,
    },
    /// Not accepted, for certain.
    Refused(Refusal),
    /// It may have been accepted or not.
    Unknown { code: String },
}

/// A message that is looked for. No `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Wanted {
    pub phone: Phone,
    pub out_id: String,
    /// Known once it was accepted.
    pub provider_id: Option<String>,
    pub submitted_at: Timestamp,
    /// Ids of other messages to this number, which cannot be this one.
    pub known_ids: Vec<String>,
}

/// The final state of a message as its provider reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub class: ErrorClass,
    pub code: String,
    /// When the message arrived or failed, where the provider says.
    pub at: Option<Timestamp>,
    pub segments: Option<u32>,
}

/// What became of a look-up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LookUp {
    /// The provider has the message; with its final state once there is one.
    Found { provider_id: Option<String>, report: Option<Report> },
    /// The provider does not have it.
    Absent,
    /// It could not be found out.
    Unavailable { code: String },
}

/// A way to send messages. Time-outs are the provider's own.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SmsProvider: Send + Sync {
    fn name(&self) -> ProviderName;
    /// Whether this logical template can be sent this way.
    fn offers(&self, template: &str) -> bool;
    /// Submits once. Never tries again by itself.
    async fn submit(&self, submission: &Submission) -> Submitted;
    /// Looks for a message by number, day and own id.
    async fn look_up(&self, wanted: &Wanted) -> LookUp;
}
