//! Text messages on the wire of administrators.

use poem_openapi::Object;
use sms::message::{Attempt, ProviderCount, SmsMessage};
use sms::oversight::{BudgetState, RevealedReply, TestMessage, WayHealth};
use sms::receipt::Reply;

use crate::http::auth::dto::parse_phone;
use crate::http::problem::ApiError;
use crate::http::values::{Id, Instant};
use crate::http::words::{SmsAttemptState, SmsBreakerState, SmsErrorClass, SmsKind, SmsProvider, SmsState};

/// A text message. What it said is not kept.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct SmsMessageView {
    /// Id of the message.
    pub object_id: Id,
    /// The number, masked.
    pub phone: String,
    /// Stands for the number in the audit log.
    pub phone_hash: String,
    /// What it is for.
    pub kind: SmsKind,
    /// Logical name of its template.
    pub template: String,
    /// What has become of it.
    pub state: SmsState,
    /// Submissions to providers so far.
    pub attempts: u32,
    /// When it was asked for.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl From<SmsMessage> for SmsMessageView {
    fn from(message: SmsMessage) -> Self {
        Self {
            object_id: message.id.into(),
            phone: message.phone_masked,
            phone_hash: message.phone_hash,
            kind: message.kind.into(),
            template: message.template,
            state: message.state.into(),
            attempts: message.attempts,
            created_at: Instant(message.created_at),
            updated_at: Instant(message.updated_at),
        }
    }
}

/// One submission of a text message to a provider.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct SmsAttemptView {
    /// From 1.
    pub attempt: u32,
    /// To whom it was submitted.
    pub provider: SmsProvider,
    /// What has become of it.
    pub state: SmsAttemptState,
    /// What its refusal means.
    pub class: Option<SmsErrorClass>,
    /// The provider's code of its refusal.
    pub code: Option<String>,
    /// The provider's id of the message.
    pub provider_id: Option<String>,
    /// Billed parts.
    pub segments: u32,
    /// What it costs, in 1/1000 yuan.
    pub cost_milliyuan: i64,
    /// When it was submitted.
    pub submitted_at: Instant,
    /// When the provider answered.
    pub answered_at: Option<Instant>,
    /// What its receipt says.
    pub receipt: Option<SmsErrorClass>,
    /// The provider's code in the receipt.
    pub receipt_code: Option<String>,
    /// When it arrived or failed, as the provider says.
    pub reported_at: Option<Instant>,
}

impl From<Attempt> for SmsAttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            attempt: attempt.attempt,
            provider: attempt.provider.into(),
            state: attempt.state.into(),
            class: attempt.class.map(Into::into),
            code: attempt.code,
            provider_id: attempt.provider_id,
            segments: attempt.segments,
            cost_milliyuan: attempt.cost_milliyuan,
            submitted_at: Instant(attempt.submitted_at),
            answered_at: attempt.answered_at.map(Instant),
            receipt: attempt.receipt.map(Into::into),
            receipt_code: attempt.receipt_code,
            reported_at: attempt.reported_at.map(Instant),
        }
    }
}

/// A text message with its submissions.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct SmsMessageDetailView {
    /// The message.
    pub message: SmsMessageView,
    /// Its submissions, oldest first.
    pub attempts: Vec<SmsAttemptView>,
}

impl From<(SmsMessage, Vec<Attempt>)> for SmsMessageDetailView {
    fn from((message, attempts): (SmsMessage, Vec<Attempt>)) -> Self {
        Self { message: message.into(), attempts: attempts.into_iter().map(Into::into).collect() }
    }
}

/// A text message somebody sent back.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct SmsReplyView {
    /// Id of the reply.
    pub object_id: Id,
    /// Through whom it came.
    pub provider: SmsProvider,
    /// The number, masked.
    pub phone: String,
    /// When it came.
    pub received_at: Instant,
}

impl From<Reply> for SmsReplyView {
    fn from(reply: Reply) -> Self {
        Self {
            object_id: reply.id.into(),
            provider: reply.provider.into(),
            phone: reply.phone_masked,
            received_at: Instant(reply.received_at),
        }
    }
}

/// A reply in full. Absent fields cannot be read any more, because the deployment's secret was changed.
#[derive(Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct RevealedReplyView {
    /// The 11 digits of a mainland number, else E.164.
    pub phone: Option<String>,
    /// What it says.
    pub text: Option<String>,
}

impl From<RevealedReply> for RevealedReplyView {
    fn from(reply: RevealedReply) -> Self {
        Self { phone: reply.phone.map(|phone| phone.national().to_owned()), text: reply.text }
    }
}

/// How one provider does for one kind of message.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct SmsWayView {
    /// The provider.
    pub provider: SmsProvider,
    /// The kind of message.
    pub kind: SmsKind,
    /// Whether it is used.
    pub state: SmsBreakerState,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Why it is left alone: the provider's code, or `own.few_deliveries`.
    pub reason: Option<String>,
    /// When a message tries it again.
    pub retry_at: Option<Instant>,
    /// The last 24 hours.
    pub last_day: SmsCountView,
    /// Of the last 50 messages, how many there are.
    pub recent: u32,
    /// How many of those arrived within 30 seconds.
    pub recent_in_time: u32,
}

/// Submissions and what became of them.
#[derive(Debug, Clone, Default, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct SmsCountView {
    /// All of them.
    pub submitted: u32,
    /// Taken by the provider.
    pub accepted: u32,
    /// Not taken.
    pub refused: u32,
    /// Without an answer, and not found afterwards.
    pub unknown: u32,
    /// Arrived.
    pub delivered: u32,
    /// Taken but not arrived.
    pub failed: u32,
    /// What they cost, in 1/1000 yuan.
    pub cost_milliyuan: i64,
}

impl From<ProviderCount> for SmsCountView {
    fn from(count: ProviderCount) -> Self {
        Self {
            submitted: count.submitted,
            accepted: count.accepted,
            refused: count.refused,
            unknown: count.unknown,
            delivered: count.delivered,
            failed: count.failed,
            cost_milliyuan: count.cost_milliyuan,
        }
    }
}

impl From<WayHealth> for SmsWayView {
    fn from(way: WayHealth) -> Self {
        Self {
            provider: way.breaker.provider.into(),
            kind: way.breaker.kind.into(),
            state: way.breaker.state.into(),
            consecutive_failures: way.breaker.failures,
            reason: way.breaker.reason,
            retry_at: way.breaker.retry_at.map(Instant),
            last_day: way.count.map(Into::into).unwrap_or_default(),
            recent: way.delivery.looked_at,
            recent_in_time: way.delivery.in_time,
        }
    }
}

/// What was spent today and what may be, in 1/1000 yuan.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct SmsBudgetView {
    /// The day, `YYYY-MM-DD`, in the business's time zone.
    pub day: String,
    /// Spent so far.
    pub spent_milliyuan: i64,
    /// May be spent.
    pub budget_milliyuan: i64,
    /// Share of the budget at which operators are told.
    pub alarm_percent: i64,
    /// Share of the budget from which only codes leave.
    pub notice_percent: i64,
}

impl From<BudgetState> for SmsBudgetView {
    fn from(budget: BudgetState) -> Self {
        Self {
            day: budget.day,
            spent_milliyuan: budget.spent_milliyuan,
            budget_milliyuan: budget.budget_milliyuan,
            alarm_percent: budget.alarm_percent,
            notice_percent: budget.notice_percent,
        }
    }
}

/// A text message to try the providers with.
#[derive(Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct TestMessageRequest {
    /// Phone number: 11 digits of a mainland number, or E.164.
    #[oai(validator(min_length = 3, max_length = 32))]
    pub phone: String,
    /// `new_message` unless said; or `login_code`, whose code opens nothing.
    #[oai(validator(max_length = 32))]
    pub template: Option<String>,
    /// Only by this provider.
    pub provider: Option<SmsProvider>,
}

impl TryFrom<TestMessageRequest> for TestMessage {
    type Error = ApiError;

    fn try_from(sent: TestMessageRequest) -> Result<Self, ApiError> {
        Ok(Self {
            phone: parse_phone(&sent.phone)?,
            template: sent.template.unwrap_or_else(|| "new_message".to_owned()),
            provider: sent.provider.map(Into::into),
        })
    }
}

/// A text message was sent.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct TestMessageView {
    /// Id of the message.
    pub object_id: Id,
}
