//! What a provider's code means: 202 codes with their class, as data.
//!
//! The table is `data/error-classes.json`. A code that is not listed is treated as `transient` when it answers a
//! submission and as `route` when it comes in a receipt; both are told to operators.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::provider::ProviderName;

/// What went wrong, or right. What each asks for is in [`crate::reaction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorClass {
    /// Our set-up at this provider is wrong.
    Config,
    /// The server's clock is off.
    Clock,
    /// The nonce was used before.
    Resign,
    /// Wrong everywhere: the number or a parameter is not valid.
    Request,
    /// The text was refused.
    Content,
    /// The number refuses or cannot receive.
    Recipient,
    /// A frequency cap on this number.
    UserLimit,
    /// Balance, quota or an account-wide cap.
    Account,
    /// Too fast; definitely not accepted.
    Throttle,
    /// The provider says it failed.
    Transient,
    /// Whether it was accepted cannot be known.
    Unknown,
    /// Each recipient has a code of its own.
    PerRecipient,
    /// Accepted, not delivered, the path is to blame.
    Route,
    /// Not final.
    Pending,
    /// Final success.
    Delivered,
}

impl ErrorClass {
    pub const ALL: [Self; 15] = [
        Self::Config,
        Self::Clock,
        Self::Resign,
        Self::Request,
        Self::Content,
        Self::Recipient,
        Self::UserLimit,
        Self::Account,
        Self::Throttle,
        Self::Transient,
        Self::Unknown,
        Self::PerRecipient,
        Self::Route,
        Self::Pending,
        Self::Delivered,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Config => "config",
            Self::Clock => "clock",
            Self::Resign => "resign",
            Self::Request => "request",
            Self::Content => "content",
            Self::Recipient => "recipient",
            Self::UserLimit => "user_limit",
            Self::Account => "account",
            Self::Throttle => "throttle",
            Self::Transient => "transient",
            Self::Unknown => "unknown",
            Self::PerRecipient => "per_recipient",
            Self::Route => "route",
            Self::Pending => "pending",
            Self::Delivered => "delivered",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == text)
    }
}

/// When a provider gave the code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// In answer to a submission.
    Submit,
    /// In a receipt.
    Receipt,
}

/// The class of a code, and whether the table lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Classified {
    pub class: ErrorClass,
    pub is_listed: bool,
}

#[derive(Deserialize)]
struct Table {
    codes: HashMap<String, Vec<Entry>>,
}

#[derive(Deserialize)]
struct Entry {
    code: String,
    #[serde(rename = "where")]
    stage: Stage,
    class: ErrorClass,
}

type Classes = HashMap<(String, Stage, String), ErrorClass>;

static CLASSES: LazyLock<Classes> = LazyLock::new(|| {
    let table: Table =
        serde_json::from_str(include_str!("../data/error-classes.json")).expect("the table is part of the program");
    let rows = table.codes.into_iter().flat_map(|(provider, entries)| {
        entries.into_iter().map(move |entry| ((provider.clone(), entry.stage, entry.code), entry.class))
    });
    rows.collect()
});

/// Looks a provider's code up.
pub fn classify(provider: ProviderName, stage: Stage, code: &str) -> Classified {
    let key = (provider.as_str().to_owned(), stage, code.to_owned());
    match CLASSES.get(&key) {
        Some(class) => Classified { class: *class, is_listed: true },
        None => Classified { class: unlisted(provider, stage, code), is_listed: false },
    }
}

fn unlisted(provider: ProviderName, stage: Stage, code: &str) -> ErrorClass {
    match (provider, stage) {
        // These two speak our own words.
        (ProviderName::Webhook | ProviderName::Log, _) => ErrorClass::parse(code).unwrap_or(match stage {
            Stage::Submit => ErrorClass::Transient,
            Stage::Receipt => ErrorClass::Route,
        }),
        (_, Stage::Submit) => ErrorClass::Transient,
        (_, Stage::Receipt) => ErrorClass::Route,
    }
}

/// All listed codes of a provider, for tests of what they drive.
pub fn listed(provider: ProviderName, stage: Stage) -> Vec<(String, ErrorClass)> {
    let mut rows: Vec<(String, ErrorClass)> = CLASSES
        .iter()
        .filter(|((name, at, _), _)| name == provider.as_str() && *at == stage)
        .map(|((_, _, code), class)| (code.clone(), *class))
        .collect();
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use ProviderName::{Aliyun, Tencent};

    #[test]
    fn the_table_has_202_codes_each_once() {
        assert_eq!(CLASSES.len(), 202);
        assert_eq!(listed(Aliyun, Stage::Submit).len(), 54);
        assert_eq!(listed(Aliyun, Stage::Receipt).len(), 17);
        assert_eq!(listed(Tencent, Stage::Submit).len(), 79);
    }

    #[test]
    fn codes_have_their_class() {
        let class = |provider, stage, code| classify(provider, stage, code).class;
        assert_eq!(class(Aliyun, Stage::Submit, "isv.BUSINESS_LIMIT_CONTROL"), ErrorClass::UserLimit);
        assert_eq!(class(Aliyun, Stage::Receipt, "DELIVERED"), ErrorClass::Delivered);
        assert_eq!(class(Tencent, Stage::Submit, "InternalError.Timeout"), ErrorClass::Unknown);
        assert_eq!(class(Tencent, Stage::Receipt, "DELIVRD"), ErrorClass::Delivered);
    }

    #[test]
    fn what_is_not_listed_is_transient_or_the_route() {
        for provider in [Aliyun, Tencent] {
            let submitted = classify(provider, Stage::Submit, "No.Such.Code");
            assert_eq!(submitted, Classified { class: ErrorClass::Transient, is_listed: false });
            assert_eq!(classify(provider, Stage::Receipt, "MK:0001").class, ErrorClass::Route);
        }
    }

    #[test]
    fn a_webhook_answers_with_the_words_of_the_classes() {
        assert_eq!(classify(ProviderName::Webhook, Stage::Submit, "recipient").class, ErrorClass::Recipient);
        assert_eq!(classify(ProviderName::Webhook, Stage::Submit, "oops").class, ErrorClass::Transient);
    }

    #[test]
    fn words_round_trip() {
        assert!(ErrorClass::ALL.into_iter().all(|class| ErrorClass::parse(class.as_str()) == Some(class)));
    }
}
