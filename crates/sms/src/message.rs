//! A text message, its attempts, and the state that follows from them.
//!
//! `queued → submitting → accepted | rejected | unknown → delivered | failed | expired`. The state is a function of
//! the attempts, so receipts may come doubled and in any order and still end in the same place.

use async_trait::async_trait;
use domain::id::SmsMessageId;
use domain::page::{Page, PageRequest};
use domain::{StoreError, Timestamp};

use crate::breaker::DeliveryCount;
use crate::class::ErrorClass;
use crate::poll::FIRST_POLL;
use crate::provider::{ProviderName, Report};

/// What a message is for: codes may cost more and leave last when the budget ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TemplateKind {
    Code,
    Notice,
}

impl TemplateKind {
    pub const ALL: [Self; 2] = [Self::Code, Self::Notice];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Notice => "notice",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageState {
    /// Not yet handed to a provider.
    Queued,
    /// In hand.
    Submitting,
    /// A provider took it.
    Accepted,
    /// No provider took it.
    Rejected,
    /// A provider may have taken it; it is being looked for.
    Unknown,
    Delivered,
    /// Taken, but not delivered.
    Failed,
    /// Taken, and no receipt came for so long that none will.
    Expired,
}

impl MessageState {
    pub const ALL: [Self; 8] = [
        Self::Queued,
        Self::Submitting,
        Self::Accepted,
        Self::Rejected,
        Self::Unknown,
        Self::Delivered,
        Self::Failed,
        Self::Expired,
    ];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Submitting => "submitting",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Unknown => "unknown",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
            Self::Expired => "expired",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// One message. No `Debug`: it holds sealed texts.
#[derive(Clone, PartialEq, Eq)]
pub struct SmsMessage {
    pub id: SmsMessageId,
    /// A second message under the same key is not sent.
    pub idempotency_key: String,
    /// Messages of a thread say the same to the same person.
    pub thread: String,
    pub kind: TemplateKind,
    /// Logical template.
    pub template: String,
    /// Keyed hash of the number.
    pub phone_hash: String,
    /// `138****8000`.
    pub phone_masked: String,
    pub sealed_phone: Vec<u8>,
    /// The variables, as long as they may be submitted again.
    pub sealed_params: Option<Vec<u8>>,
    /// Keyed hash of who asked.
    pub origin: Option<String>,
    pub state: MessageState,
    pub attempts: u32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// After this it is not submitted any more.
    pub useful_until: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttemptState {
    Submitting,
    Accepted,
    /// Not accepted, for certain.
    Refused,
    /// Accepted or not.
    Unknown,
    /// Looked for and not found.
    Absent,
}

impl AttemptState {
    pub const ALL: [Self; 5] = [Self::Submitting, Self::Accepted, Self::Refused, Self::Unknown, Self::Absent];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Submitting => "submitting",
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
            Self::Absent => "absent",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// One submission of a message: the audit row of what was paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub message_id: SmsMessageId,
    /// From 1; unique within the message.
    pub attempt: u32,
    pub provider: ProviderName,
    pub kind: TemplateKind,
    pub phone_hash: String,
    pub state: AttemptState,
    /// Of a refusal.
    pub class: Option<ErrorClass>,
    pub code: Option<String>,
    /// The provider's id of the message.
    pub provider_id: Option<String>,
    pub segments: u32,
    /// What it costs, in 1/1000 yuan.
    pub cost_milliyuan: i64,
    pub submitted_at: Timestamp,
    pub answered_at: Option<Timestamp>,
    /// Final class of its receipt: the first one counts.
    pub receipt: Option<ErrorClass>,
    pub receipt_code: Option<String>,
    /// When it arrived or failed, as the provider says.
    pub reported_at: Option<Timestamp>,
    /// When the receipt came here.
    pub receipt_at: Option<Timestamp>,
    /// When the provider is asked for it next.
    pub next_poll_at: Option<Timestamp>,
    pub polls: u32,
}

impl Attempt {
    /// Names the attempt at the provider.
    pub fn out_id(&self) -> String {
        out_id(self.message_id, self.attempt)
    }

    /// A provider took it or may have taken it.
    pub const fn may_have_left(&self) -> bool {
        matches!(self.state, AttemptState::Accepted | AttemptState::Unknown | AttemptState::Submitting)
    }

    /// The provider took it, under this id.
    pub fn accept(&mut self, provider_id: Option<String>, now: Timestamp) {
        self.state = AttemptState::Accepted;
        (self.class, self.code) = (None, None);
        if self.provider_id.is_none() {
            self.provider_id = provider_id;
        }
        self.answered_at.get_or_insert(now);
        if self.receipt.is_none() {
            self.next_poll_at = Some(now + FIRST_POLL);
        }
    }

    /// The parts that a final report says are billed, if that changes something. Aliyun bills what was delivered.
    pub fn billed_by(&self, report: &Report) -> Option<u32> {
        if self.provider == ProviderName::Aliyun && report.class != ErrorClass::Delivered {
            return Some(0);
        }
        report.segments.filter(|n| *n > 0 && *n != self.segments)
    }

    /// Takes a final report over. False when an earlier one says something else.
    pub fn report(&mut self, report: &Report, now: Timestamp) -> bool {
        if let Some(known) = self.receipt {
            return (known == ErrorClass::Delivered) == (report.class == ErrorClass::Delivered);
        }
        self.receipt = Some(report.class);
        self.receipt_code = Some(report.code.clone());
        self.reported_at = report.at;
        self.receipt_at = Some(now);
        self.next_poll_at = None;
        true
    }
}

/// The id of an attempt as it is given to the provider.
pub fn out_id(message: SmsMessageId, attempt: u32) -> String {
    format!("{message}-{attempt}")
}

/// Reads one back.
pub fn parse_out_id(text: &str) -> Option<(SmsMessageId, u32)> {
    let (message, attempt) = text.split_once('-')?;
    Some((message.parse().ok()?, attempt.parse().ok()?))
}

/// The state that follows from the attempts of a message nobody is working on.
pub fn state_of(attempts: &[Attempt]) -> MessageState {
    let any = |state| attempts.iter().any(|a| a.state == state && a.receipt.is_none());
    if attempts.iter().any(|a| a.receipt == Some(ErrorClass::Delivered)) {
        MessageState::Delivered
    } else if attempts.is_empty() {
        MessageState::Queued
    } else if any(AttemptState::Submitting) {
        MessageState::Submitting
    } else if any(AttemptState::Accepted) {
        MessageState::Accepted
    } else if any(AttemptState::Unknown) {
        MessageState::Unknown
    } else if attempts.iter().any(|a| a.receipt.is_some()) {
        MessageState::Failed
    } else {
        MessageState::Rejected
    }
}

/// Which messages are asked for; unset fields do not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageFilter {
    pub phone_hash: Option<String>,
    pub state: Option<MessageState>,
    pub kind: Option<TemplateKind>,
}

/// What one provider did since some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProviderCount {
    pub provider: ProviderName,
    pub kind: TemplateKind,
    pub submitted: u32,
    pub accepted: u32,
    pub refused: u32,
    pub unknown: u32,
    pub delivered: u32,
    pub failed: u32,
    pub cost_milliyuan: i64,
}

/// Stores messages and their attempts.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait MessageRepository: Send {
    /// [`StoreError::Unique`] when the idempotency key is taken.
    async fn insert(&mut self, message: &SmsMessage) -> Result<(), StoreError>;
    async fn find(&mut self, id: SmsMessageId) -> Result<Option<SmsMessage>, StoreError>;
    /// Like `find`, locked until the unit ends.
    async fn find_locked(&mut self, id: SmsMessageId) -> Result<Option<SmsMessage>, StoreError>;
    async fn find_by_key(&mut self, idempotency_key: &str) -> Result<Option<SmsMessage>, StoreError>;
    /// The messages of a thread, newest first.
    async fn thread(&mut self, thread: &str) -> Result<Vec<SmsMessage>, StoreError>;
    /// Writes what may change: state, number of attempts, sealed variables.
    async fn update(&mut self, message: &SmsMessage) -> Result<(), StoreError>;
    /// [`StoreError::Unique`] when the message has this attempt already.
    async fn insert_attempt(&mut self, attempt: &Attempt) -> Result<(), StoreError>;
    async fn update_attempt(&mut self, attempt: &Attempt) -> Result<(), StoreError>;
    /// In their order.
    async fn attempts(&mut self, message: SmsMessageId) -> Result<Vec<Attempt>, StoreError>;
    /// The newest attempt with this id of the provider and this number.
    async fn find_attempt(
        &mut self,
        provider: ProviderName,
        provider_id: &str,
        phone_hash: &str,
    ) -> Result<Option<Attempt>, StoreError>;
    /// The provider's ids of messages to this number since `since`.
    async fn provider_ids(
        &mut self,
        provider: ProviderName,
        phone_hash: &str,
        since: Timestamp,
    ) -> Result<Vec<String>, StoreError>;
    /// Messages to a number since `since` that a provider took or may have taken.
    async fn count_to(
        &mut self,
        phone_hash: &str,
        kind: Option<TemplateKind>,
        since: Timestamp,
    ) -> Result<u32, StoreError>;
    /// Newest first.
    async fn list(&mut self, filter: &MessageFilter, page: PageRequest) -> Result<Page<SmsMessage>, StoreError>;
    /// Attempts whose provider is to be asked, longest due first.
    async fn due_polls(&mut self, now: Timestamp, limit: u32) -> Result<Vec<Attempt>, StoreError>;
    /// Messages that somebody took in hand before `before` and never finished.
    async fn stuck(&mut self, before: Timestamp, limit: u32) -> Result<Vec<SmsMessageId>, StoreError>;
    /// What the newest `limit` accepted messages between the two times came to.
    async fn delivery_count(
        &mut self,
        provider: ProviderName,
        kind: TemplateKind,
        since: Timestamp,
        before: Timestamp,
        limit: u32,
    ) -> Result<DeliveryCount, StoreError>;
    async fn provider_counts(&mut self, since: Timestamp) -> Result<Vec<ProviderCount>, StoreError>;
    /// Deletes the variables of messages that are of no use any more; returns how many.
    async fn forget_params(&mut self, now: Timestamp) -> Result<u64, StoreError>;
    /// Deletes messages made before `before` with their attempts; returns how many.
    async fn purge(&mut self, before: Timestamp) -> Result<u64, StoreError>;
}

#[cfg(test)]
mod tests {
    use domain::ObjectId;
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn attempt(n: u32, state: AttemptState) -> Attempt {
        Attempt {
            message_id: SmsMessageId(ObjectId::from_parts(1, [0; 5], 1)),
            attempt: n,
            provider: ProviderName::Aliyun,
            kind: TemplateKind::Code,
            phone_hash: "h".into(),
            state,
            class: None,
            code: None,
            provider_id: None,
            segments: 1,
            cost_milliyuan: 45,
            submitted_at: NOW,
            answered_at: None,
            receipt: None,
            receipt_code: None,
            reported_at: None,
            receipt_at: None,
            next_poll_at: None,
            polls: 0,
        }
    }

    fn report(class: ErrorClass) -> Report {
        Report { class, code: class.as_str().into(), at: None, segments: None }
    }

    fn reported(n: u32, class: ErrorClass) -> Attempt {
        let mut a = attempt(n, AttemptState::Accepted);
        assert!(a.report(&report(class), NOW));
        a
    }

    #[test]
    fn the_state_follows_from_the_attempts() {
        use AttemptState as A;
        use MessageState as M;
        let of = |states: &[A]| {
            let attempts: Vec<_> = (1..).zip(states).map(|(n, s)| attempt(n, *s)).collect();
            state_of(&attempts)
        };
        assert_eq!(of(&[]), M::Queued);
        assert_eq!(of(&[A::Submitting]), M::Submitting);
        assert_eq!(of(&[A::Refused]), M::Rejected);
        assert_eq!(of(&[A::Refused, A::Accepted]), M::Accepted);
        assert_eq!(of(&[A::Unknown]), M::Unknown);
        assert_eq!(of(&[A::Absent]), M::Rejected);
        assert_eq!(of(&[A::Absent, A::Accepted]), M::Accepted);
    }

    #[test]
    fn a_message_failed_only_when_no_attempt_can_still_arrive() {
        let failed = reported(1, ErrorClass::Route);
        assert_eq!(state_of(std::slice::from_ref(&failed)), MessageState::Failed);
        let waiting = [failed.clone(), attempt(2, AttemptState::Accepted)];
        assert_eq!(state_of(&waiting), MessageState::Accepted);
        assert_eq!(state_of(&[failed, reported(2, ErrorClass::Delivered)]), MessageState::Delivered);
    }

    #[test]
    fn the_first_final_report_wins_and_a_contradiction_is_told() {
        let mut a = reported(1, ErrorClass::Delivered);
        assert!(a.report(&report(ErrorClass::Delivered), NOW), "the same again is none");
        assert!(!a.report(&report(ErrorClass::Recipient), NOW));
        assert_eq!(a.receipt, Some(ErrorClass::Delivered));
    }

    #[test]
    fn out_ids_are_read_back_and_short_enough_for_every_provider() {
        let a = attempt(2, AttemptState::Accepted);
        assert_eq!(parse_out_id(&a.out_id()), Some((a.message_id, 2)));
        assert!(a.out_id().len() < 64);
        for bad in ["", "5daeb07b7b968a0074945056", "x-1", "5daeb07b7b968a0074945056-x"] {
            assert_eq!(parse_out_id(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn doubled_and_shuffled_reports_end_in_the_same_state(
            outcomes in proptest::collection::vec(proptest::bool::ANY, 1..4),
            order in proptest::collection::vec(0_usize..100, 20),
        ) {
            let fresh = || -> Vec<Attempt> {
                (1..).zip(&outcomes).map(|(n, _)| attempt(n, AttemptState::Accepted)).collect()
            };
            let class = |delivered: bool| if delivered { ErrorClass::Delivered } else { ErrorClass::Route };
            let mut in_order = fresh();
            for (a, delivered) in in_order.iter_mut().zip(&outcomes) {
                a.report(&report(class(*delivered)), NOW);
            }
            let mut shuffled = fresh();
            let count = outcomes.len();
            for at in order.iter().map(|n| n % count).chain(0..count) {
                shuffled[at].report(&report(class(outcomes[at])), NOW);
            }
            prop_assert_eq!(state_of(&shuffled), state_of(&in_order));
        }
    }
}
