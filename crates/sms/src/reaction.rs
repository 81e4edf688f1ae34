//! What an answer to a submission asks for, as one pure function of its class.
//!
//! | class | next | breaker | alarm |
//! |---|---|---|---|
//! | config | fail over | opens for the template kind, or for the whole provider when keys are at fault | yes |
//! | clock | once more here, then fail over | – | yes |
//! | resign | once more here with a new nonce, then fail over | – | – |
//! | request, recipient | give up | – | – |
//! | content | a code fails over once; a notice is given up | – | yes |
//! | `user_limit` | fail over once, only while our own counters for the number are low | – | – |
//! | account | fail over | opens for the whole provider | yes |
//! | throttle | once more here after a pause, then fail over | counts | – |
//! | transient | a code fails over at once; a notice is tried once more here first | counts | – |
//! | unknown | nothing is sent until it was looked for | counts | – |
//!
//! A submission that may have produced a message, accepted or unknown, is never followed by another but through
//! [`crate::reconcile`], and then once: at most two such per request of a person.

use std::time::Duration;

use crate::class::ErrorClass;
use crate::message::TemplateKind;

/// Longest pause that a provider may ask for while somebody is waiting; a longer one fails over.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(3);
/// Pause before the same provider is tried again after it was too fast, unless it names one.
pub const THROTTLE_PAUSE: Duration = Duration::from_secs(1);
/// Pause before a notice is tried again after a passing failure.
pub const TRANSIENT_PAUSE: Duration = Duration::from_millis(750);

/// What is known when an answer is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Situation {
    pub kind: TemplateKind,
    pub class: ErrorClass,
    /// Whether the table of classes knows the code.
    pub is_listed: bool,
    /// The provider's keys or permissions are at fault, not one template.
    pub is_about_keys: bool,
    /// A wait the provider asked for.
    pub retry_after: Option<Duration>,
    /// This provider was already tried a second time for this message.
    pub was_retried: bool,
    /// An earlier attempt of this message ended with the same class elsewhere.
    pub is_repeated: bool,
    /// Our own counters for the number are below our limits.
    pub are_counters_low: bool,
}

/// What to do next with the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Submit it to the same provider again after a pause.
    Again(Duration),
    /// Submit it to the next provider.
    FailOver,
    /// Look whether it was accepted before anything else.
    Reconcile,
    GiveUp,
}

/// What it does to the provider's breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// Nothing: the provider works.
    None,
    /// One more consecutive failure.
    Count,
    /// Opens for this kind of template.
    Template,
    /// Opens for everything.
    Provider,
}

/// The whole reaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reaction {
    pub next: Next,
    pub blame: Blame,
    /// Operators have to act.
    pub is_alarming: bool,
}

/// Judges a submission that was not accepted.
pub fn react(s: &Situation) -> Reaction {
    let once_more = |pause: Duration| {
        if s.was_retried || pause > LONGEST_PAUSE { Next::FailOver } else { Next::Again(pause) }
    };
    let (next, blame, is_alarming) = match s.class {
        ErrorClass::Config if s.is_about_keys => (Next::FailOver, Blame::Provider, true),
        ErrorClass::Config => (Next::FailOver, Blame::Template, true),
        ErrorClass::Clock => (once_more(Duration::ZERO), Blame::None, true),
        ErrorClass::Resign => (once_more(Duration::ZERO), Blame::None, false),
        ErrorClass::Request | ErrorClass::Recipient => (Next::GiveUp, Blame::None, false),
        ErrorClass::Content => {
            let may_fail_over = s.kind == TemplateKind::Code && !s.is_repeated;
            (if may_fail_over { Next::FailOver } else { Next::GiveUp }, Blame::None, true)
        }
        ErrorClass::UserLimit => {
            let may_fail_over = s.are_counters_low && !s.is_repeated;
            (if may_fail_over { Next::FailOver } else { Next::GiveUp }, Blame::None, false)
        }
        ErrorClass::Account => (Next::FailOver, Blame::Provider, true),
        ErrorClass::Throttle => (once_more(s.retry_after.unwrap_or(THROTTLE_PAUSE)), Blame::Count, false),
        ErrorClass::Transient => {
            let next = match s.kind {
                TemplateKind::Code => Next::FailOver,
                TemplateKind::Notice => once_more(TRANSIENT_PAUSE),
            };
            (next, Blame::Count, false)
        }
        // The last four are no answers to a submission: whoever gets one cannot know what happened.
        ErrorClass::Unknown
        | ErrorClass::PerRecipient
        | ErrorClass::Route
        | ErrorClass::Pending
        | ErrorClass::Delivered => (Next::Reconcile, Blame::Count, false),
    };
    Reaction { next, blame, is_alarming: is_alarming || !s.is_listed }
}

/// Whether a `config` code is about keys, permissions or the account rather than one template or signature.
pub fn is_about_keys(code: &str) -> bool {
    const WORDS: [&str; 11] = [
        "SIGNATUREDOESNOTMATCH",
        "INCOMPLETESIGNATURE",
        "ACCESSKEY",
        "AUTHFAILURE",
        "RAM",
        "PERMISSION",
        "ACCOUNT",
        "PRODUCT_UN",
        "SDKAPPID",
        "DENY_IP",
        "WHITELIST",
    ];
    let code = code.to_uppercase();
    // `ParamSet…`, `…Parameters` and the like are about a template.
    let is_about_template = code.contains("PARAM") || code.contains("TEMPLATE");
    !is_about_template && WORDS.iter().any(|word| code.contains(word))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::class::{Stage, listed};
    use crate::provider::ProviderName;
    use ErrorClass as C;
    use TemplateKind::{Code, Notice};

    fn situation(class: ErrorClass, kind: TemplateKind) -> Situation {
        Situation {
            kind,
            class,
            is_listed: true,
            is_about_keys: false,
            retry_after: None,
            was_retried: false,
            is_repeated: false,
            are_counters_low: true,
        }
    }

    fn reaction(next: Next, blame: Blame, is_alarming: bool) -> Reaction {
        Reaction { next, blame, is_alarming }
    }

    const NOW: Next = Next::Again(Duration::ZERO);

    #[rstest]
    #[case(C::Config, Code, Next::FailOver, Blame::Template, true)]
    #[case(C::Config, Notice, Next::FailOver, Blame::Template, true)]
    #[case(C::Clock, Code, NOW, Blame::None, true)]
    #[case(C::Resign, Code, NOW, Blame::None, false)]
    #[case(C::Request, Code, Next::GiveUp, Blame::None, false)]
    #[case(C::Recipient, Code, Next::GiveUp, Blame::None, false)]
    #[case(C::Content, Code, Next::FailOver, Blame::None, true)]
    #[case(C::Content, Notice, Next::GiveUp, Blame::None, true)]
    #[case(C::UserLimit, Code, Next::FailOver, Blame::None, false)]
    #[case(C::Account, Notice, Next::FailOver, Blame::Provider, true)]
    #[case(C::Throttle, Code, Next::Again(THROTTLE_PAUSE), Blame::Count, false)]
    #[case(C::Transient, Code, Next::FailOver, Blame::Count, false)]
    #[case(C::Transient, Notice, Next::Again(TRANSIENT_PAUSE), Blame::Count, false)]
    #[case(C::Unknown, Code, Next::Reconcile, Blame::Count, false)]
    #[case(C::PerRecipient, Code, Next::Reconcile, Blame::Count, false)]
    fn each_class_drives_its_action(
        #[case] class: ErrorClass,
        #[case] kind: TemplateKind,
        #[case] next: Next,
        #[case] blame: Blame,
        #[case] is_alarming: bool,
    ) {
        assert_eq!(react(&situation(class, kind)), reaction(next, blame, is_alarming));
    }

    #[rstest]
    #[case(C::Clock)]
    #[case(C::Resign)]
    #[case(C::Throttle)]
    #[case(C::Transient)]
    fn a_second_failure_here_fails_over(#[case] class: ErrorClass) {
        let again = Situation { was_retried: true, ..situation(class, Notice) };
        assert_eq!(react(&again).next, Next::FailOver);
    }

    #[rstest]
    #[case(C::Content)]
    #[case(C::UserLimit)]
    fn the_same_refusal_elsewhere_is_the_end(#[case] class: ErrorClass) {
        let again = Situation { is_repeated: true, ..situation(class, Code) };
        assert_eq!(react(&again).next, Next::GiveUp);
    }

    #[test]
    fn a_capped_number_that_we_used_up_ourselves_is_left_alone() {
        let used_up = Situation { are_counters_low: false, ..situation(C::UserLimit, Code) };
        assert_eq!(react(&used_up).next, Next::GiveUp);
    }

    #[test]
    fn a_pause_that_is_asked_for_is_kept_or_avoided() {
        let asked = |secs| Situation { retry_after: Some(Duration::from_secs(secs)), ..situation(C::Throttle, Code) };
        assert_eq!(react(&asked(2)).next, Next::Again(Duration::from_secs(2)));
        assert_eq!(react(&asked(4)).next, Next::FailOver);
    }

    #[test]
    fn an_unlisted_code_alarms() {
        assert!(react(&Situation { is_listed: false, ..situation(C::Transient, Code) }).is_alarming);
    }

    #[test]
    fn codes_about_keys_are_told_from_those_about_templates() {
        for code in
            ["SignatureDoesNotMatch", "InvalidAccessKeyId.NotFound", "AuthFailure.SecretIdNotFound", "Forbidden.RAM"]
        {
            assert!(is_about_keys(code), "{code}");
        }
        for code in [
            "isv.SMS_TEMPLATE_ILLEGAL",
            "isv.SMS_SIGNATURE_ILLEGAL",
            "FailedOperation.TemplateParamSetNotMatchApprovedTemplate",
            "FailedOperation.SignatureIncorrectOrUnapproved",
            "isv.TEMPLATE_PARAMS_ILLEGAL",
        ] {
            assert!(!is_about_keys(code), "{code}");
        }
    }

    #[test]
    fn every_listed_code_of_a_submission_leads_somewhere() {
        for provider in [ProviderName::Aliyun, ProviderName::Tencent] {
            for (code, class) in listed(provider, Stage::Submit) {
                let is_answer = !matches!(class, C::Route | C::Pending | C::Delivered);
                assert!(is_answer, "{code} is no answer to a submission");
                let next = react(&situation(class, Code)).next;
                let is_final = matches!(class, C::Request | C::Recipient);
                assert_eq!(next == Next::GiveUp, is_final, "{code}");
            }
        }
    }
}
