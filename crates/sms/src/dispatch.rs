//! Sending: keep the message, choose a provider, submit outside of any unit, judge the answer, go on.
//!
//! An attempt is committed before it leaves, so whatever happens then is found again. Refused attempts may be
//! followed by others; one that may have produced a message is only ever followed by [`crate::reconcile`].

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::id::{JobId, SmsMessageId};
use domain::outbox::NewJob;
use domain::sms::{SmsGateway, SmsNotSent, SmsRequest, SmsResend};
use domain::time::span;
use domain::{Coded, Phone, StoreError, Timestamp};
use metrics::counter;
use serde_json::json;

use crate::class::ErrorClass;
use crate::context::SmsContext;
use crate::error::SmsError;
use crate::message::{Attempt, AttemptState, MessageState, SmsMessage, TemplateKind, state_of};
use crate::provider::{ProviderName, Refusal, SmsProvider, Submission, Submitted};
use crate::reaction::{self, Next, Reaction, Situation};
use crate::reconcile::{FIRST_LOOK, RECONCILE_SMS};
use crate::route;
use crate::unit::SmsUnit;

/// Submissions of one message that a provider took or may have taken.
pub const MAX_SUBMISSIONS: u32 = 2;
/// Attempts of one message altogether, refused ones included: two providers, each twice, and one more.
pub const MAX_ATTEMPTS: u32 = 5;
/// Below so many messages within an hour and a day our own counters for a number are low: a cap that a provider
/// tells of then counts other senders too.
const LOW_COUNTS: [(u32, Duration); 2] = [(5, span::hours(1)), (10, span::hours(24))];

/// A message to be sent. No `Debug`.
#[derive(Clone)]
pub struct Draft {
    pub phone: Phone,
    pub template: String,
    pub params: Vec<(String, String)>,
    pub idempotency_key: String,
    pub thread: String,
    pub useful_until: Timestamp,
    pub origin: Option<String>,
    /// Only by this provider.
    pub only: Option<ProviderName>,
}

impl Draft {
    fn kind(&self) -> TemplateKind {
        if self.params.iter().any(|(name, _)| name == "code") { TemplateKind::Code } else { TemplateKind::Notice }
    }
}

impl From<SmsRequest> for Draft {
    fn from(request: SmsRequest) -> Self {
        Self {
            phone: request.phone,
            template: request.template.to_owned(),
            params: request.params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            idempotency_key: request.idempotency_key,
            thread: request.thread,
            useful_until: request.useful_until,
            origin: request.origin,
            only: None,
        }
    }
}

/// The gateway over all providers.
#[derive(Clone)]
pub struct Dispatcher {
    pub(crate) context: SmsContext,
}

/// An attempt that is committed and about to leave.
struct Begun {
    attempt: Attempt,
    provider: Arc<dyn SmsProvider>,
    was_retried: bool,
}

/// Where the next attempt may go.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// To a provider that was not tried.
    Other,
    /// To this one once more.
    Same(ProviderName),
}

/// What is to be done after an answer was written.
enum After {
    Sent,
    Again(Duration),
    FailOver,
    GivenUp(ErrorClass),
}

impl Dispatcher {
    pub fn new(context: SmsContext) -> Self {
        Self { context }
    }

    /// Sends one message, or tells what became of the one under the same key.
    ///
    /// # Errors
    /// [`SmsError::Refused`], [`SmsError::NotSent`], [`SmsError::RejectedBefore`], [`SmsError::TooMany`],
    /// [`SmsError::OverBudget`].
    pub async fn dispatch(&self, draft: &Draft) -> Result<SmsMessageId, SmsError> {
        let (id, known) = self.admit(draft).await?;
        if let Some(state) = known {
            return if state == MessageState::Rejected { Err(SmsError::RejectedBefore) } else { Ok(id) };
        }
        self.drive(id, draft, Way::Other).await?;
        Ok(id)
    }

    /// Keeps the message; with the state of the one that is kept under its key already.
    async fn admit(&self, draft: &Draft) -> Result<(SmsMessageId, Option<MessageState>), SmsError> {
        let context = &self.context;
        let now = context.clock.now();
        let mut unit = context.store.begin().await?;
        if let Some(known) = unit.messages().find_by_key(&draft.idempotency_key).await? {
            return Ok((known.id, Some(known.state)));
        }
        let phone_hash = context.keys.phone_hash(&draft.phone);
        if draft.kind() == TemplateKind::Notice {
            let since = now - span::hours(24);
            let sent = unit.messages().count_to(&phone_hash, Some(TemplateKind::Notice), since).await?;
            if sent >= context.settings.notices_per_day {
                return Err(SmsError::TooMany);
            }
        }
        let message = self.message(draft, phone_hash, now);
        match unit.messages().insert(&message).await {
            Ok(()) => unit.commit().await?,
            // Somebody else was faster with the same key.
            Err(StoreError::Unique(_)) => {
                drop(unit);
                let mut unit = context.store.begin().await?;
                let known = unit.messages().find_by_key(&draft.idempotency_key).await?.ok_or(StoreError::Conflict)?;
                return Ok((known.id, Some(known.state)));
            }
            Err(other) => return Err(other.into()),
        }
        Ok((message.id, None))
    }

    fn message(&self, draft: &Draft, phone_hash: String, now: Timestamp) -> SmsMessage {
        let context = &self.context;
        let id = SmsMessageId(context.ids.next());
        SmsMessage {
            id,
            idempotency_key: draft.idempotency_key.clone(),
            thread: draft.thread.clone(),
            kind: draft.kind(),
            template: draft.template.clone(),
            phone_hash,
            phone_masked: draft.phone.masked(),
            sealed_phone: context.seal_phone(&id.to_string(), &draft.phone),
            sealed_params: Some(context.seal_params(id, &draft.params)),
            origin: draft.origin.clone(),
            state: MessageState::Queued,
            attempts: 0,
            created_at: now,
            updated_at: now,
            useful_until: draft.useful_until,
        }
    }

    /// Submits until a provider took it, may have taken it, or none is left.
    pub(crate) async fn drive(&self, id: SmsMessageId, draft: &Draft, mut way: Way) -> Result<(), SmsError> {
        let mut refused_for = None;
        loop {
            let begun = match self.begin_attempt(id, draft, way).await {
                Ok(Some(begun)) => begun,
                Ok(None) => break,
                Err(error) => {
                    self.conclude(id).await?;
                    return Err(error);
                }
            };
            let submission = Submission {
                out_id: begun.attempt.out_id(),
                phone: draft.phone.clone(),
                template: draft.template.clone(),
                params: draft.params.clone(),
            };
            let answer = begun.provider.submit(&submission).await;
            match self.settle(&begun, answer).await? {
                After::Sent => return Ok(()),
                After::Again(pause) => {
                    self.context.pause.pause(pause).await;
                    way = Way::Same(begun.attempt.provider);
                }
                After::FailOver => way = Way::Other,
                After::GivenUp(class) => {
                    refused_for = Some(class);
                    break;
                }
            }
        }
        match self.conclude(id).await? {
            MessageState::Rejected | MessageState::Queued => {
                counter!("sms_rejected_total").increment(1);
                let is_final = matches!(
                    refused_for,
                    Some(ErrorClass::Request | ErrorClass::Recipient | ErrorClass::Content | ErrorClass::UserLimit)
                );
                Err(if is_final { SmsError::Refused } else { SmsError::NotSent })
            }
            _ => Ok(()),
        }
    }

    /// Chooses a provider and commits the attempt; `None` when no way is left or it may not be sent any more.
    async fn begin_attempt(&self, id: SmsMessageId, draft: &Draft, way: Way) -> Result<Option<Begun>, SmsError> {
        let context = &self.context;
        let now = context.clock.now();
        let mut unit = context.store.begin().await?;
        let Some(mut message) = unit.messages().find_locked(id).await? else { return Ok(None) };
        let attempts = unit.messages().attempts(id).await?;
        let count = u32::try_from(attempts.len()).unwrap_or(u32::MAX);
        let submissions = attempts.iter().filter(|a| a.state != AttemptState::Refused).count();
        let is_live = attempts.iter().any(Attempt::may_have_left);
        let is_over = is_live || count >= MAX_ATTEMPTS || submissions >= MAX_SUBMISSIONS as usize;
        if is_over || now >= message.useful_until {
            return Ok(None);
        }
        let Some((provider, was_retried)) = self.choose(&mut *unit, &message, &attempts, draft.only, way).await? else {
            return Ok(None);
        };
        let attempt = Attempt {
            message_id: id,
            attempt: count + 1,
            provider: provider.name(),
            kind: message.kind,
            phone_hash: message.phone_hash.clone(),
            state: AttemptState::Submitting,
            class: None,
            code: None,
            provider_id: None,
            segments: 1,
            cost_milliyuan: context.price(provider.name()),
            submitted_at: now,
            answered_at: None,
            receipt: None,
            receipt_code: None,
            reported_at: None,
            receipt_at: None,
            next_poll_at: None,
            polls: 0,
        };
        unit.messages().insert_attempt(&attempt).await?;
        (message.state, message.attempts, message.updated_at) = (MessageState::Submitting, attempt.attempt, now);
        unit.messages().update(&message).await?;
        self.reserve(&mut *unit, &attempt).await?;
        unit.commit().await?;
        Ok(Some(Begun { attempt, provider, was_retried }))
    }

    /// The provider of the next attempt, and whether it was already tried twice then.
    async fn choose(
        &self,
        unit: &mut dyn SmsUnit,
        message: &SmsMessage,
        attempts: &[Attempt],
        only: Option<ProviderName>,
        way: Way,
    ) -> Result<Option<(Arc<dyn SmsProvider>, bool)>, SmsError> {
        let context = &self.context;
        if let Way::Same(name) = way {
            return Ok(context.provider(name).map(|provider| (provider, true)));
        }
        let now = context.clock.now();
        let tried: Vec<ProviderName> = attempts.iter().map(|a| a.provider).collect();
        let mut usable = context.usable_for(&message.template);
        usable.retain(|name| only.is_none_or(|wanted| wanted == *name));
        let avoided = if attempts.is_empty() { last_way(unit, message).await? } else { None };
        let breakers = unit.breakers().list().await?;
        let Some(name) = route::choose(&usable, &tried, avoided, &breakers, message.kind, now) else {
            return Ok(None);
        };
        let mut breaker = route::of(&breakers, name, message.kind, now);
        let before = breaker.clone();
        breaker.begin_trial(now);
        if breaker != before {
            unit.breakers().save(&breaker).await?;
        }
        Ok(context.provider(name).map(|provider| (provider, false)))
    }

    async fn reserve(&self, unit: &mut dyn SmsUnit, attempt: &Attempt) -> Result<(), SmsError> {
        let context = &self.context;
        let budget = context.settings.daily_budget;
        let (day, cost) = (context.day(attempt.submitted_at), attempt.cost_milliyuan);
        let Some(spent) = unit.spending().reserve(&day, cost, budget.ceiling(attempt.kind)).await? else {
            tracing::error!(kind = attempt.kind.as_str(), "the daily budget of text messages is used up");
            return Err(SmsError::OverBudget);
        };
        if budget.crosses_alarm(spent - cost, spent) {
            tracing::error!("the daily budget of text messages is nearly used up");
        }
        Ok(())
    }

    /// Writes what the provider answered and says what is next.
    async fn settle(&self, begun: &Begun, answer: Submitted) -> Result<After, SmsError> {
        let context = &self.context;
        let now = context.clock.now();
        let mut unit = context.store.begin().await?;
        let id = begun.attempt.message_id;
        let Some(mut message) = unit.messages().find_locked(id).await? else { return Ok(After::Sent) };
        let mut attempts = unit.messages().attempts(id).await?;
        let Some(at) = attempts.iter().position(|a| a.attempt == begun.attempt.attempt) else {
            return Ok(After::Sent);
        };
        let mut attempt = attempts.swap_remove(at);
        attempt.answered_at = Some(now);
        let after = match answer {
            Submitted::Accepted { provider_id, segments } => {
                attempt.accept(Some(provider_id), now);
                self.note_success(&mut *unit, attempt.provider, attempt.kind).await?;
                if let Some(segments) = segments.filter(|n| *n > 0) {
                    self.bill(&mut *unit, &mut attempt, segments).await?;
                }
                After::Sent
            }
            // A receipt or a look-up was faster than the answer and knows better.
            _ if attempt.state != AttemptState::Submitting => After::Sent,
            Submitted::Unknown { code } => {
                attempt.state = AttemptState::Unknown;
                (attempt.class, attempt.code) = (Some(ErrorClass::Unknown), Some(code));
                self.blame(&mut *unit, &attempt, &message, Next::Reconcile, reaction::Blame::Count).await?;
                let job = self.reconcile_job(&attempt, now);
                unit.outbox().append_all(&[job]).await?;
                After::Sent
            }
            Submitted::Refused(refusal) => {
                let reaction = self.judge(&mut *unit, begun, &attempts, &refusal, now).await?;
                attempt.state = AttemptState::Refused;
                (attempt.class, attempt.code) = (Some(refusal.class), Some(refusal.code.clone()));
                if reaction.is_alarming {
                    alarm(&attempt, &refusal);
                }
                self.blame(&mut *unit, &attempt, &message, reaction.next, reaction.blame).await?;
                let (day, cost) = (context.day(attempt.submitted_at), attempt.cost_milliyuan);
                unit.spending().adjust(&day, -cost).await?;
                attempt.cost_milliyuan = 0;
                match reaction.next {
                    Next::Again(pause) => After::Again(pause),
                    Next::FailOver => After::FailOver,
                    Next::GiveUp | Next::Reconcile => After::GivenUp(refusal.class),
                }
            }
        };
        unit.messages().update_attempt(&attempt).await?;
        count(&attempt);
        if matches!(after, After::Sent) {
            attempts.push(attempt);
            message.state = state_of(&attempts);
            if message.kind == TemplateKind::Notice && message.state != MessageState::Unknown {
                message.sealed_params = None;
            }
        }
        message.updated_at = now;
        unit.messages().update(&message).await?;
        unit.commit().await?;
        context.signal.wake();
        Ok(after)
    }

    /// The provider took a message: the way works. Before anything is billed, as breakers are locked first.
    pub(crate) async fn note_success(
        &self,
        unit: &mut dyn SmsUnit,
        provider: ProviderName,
        kind: TemplateKind,
    ) -> Result<(), SmsError> {
        let breakers = unit.breakers().list().await?;
        if let Some(breaker) = route::after_success(provider, kind, &breakers, self.context.clock.now()) {
            unit.breakers().save(&breaker).await?;
        }
        Ok(())
    }

    /// Corrects the cost of an attempt to what the provider bills.
    pub(crate) async fn bill(
        &self,
        unit: &mut dyn SmsUnit,
        attempt: &mut Attempt,
        segments: u32,
    ) -> Result<(), SmsError> {
        let cost = self.context.price(attempt.provider) * i64::from(segments);
        let difference = cost - attempt.cost_milliyuan;
        (attempt.segments, attempt.cost_milliyuan) = (segments, cost);
        if difference != 0 {
            unit.spending().adjust(&self.context.day(attempt.submitted_at), difference).await?;
        }
        Ok(())
    }

    async fn judge(
        &self,
        unit: &mut dyn SmsUnit,
        begun: &Begun,
        others: &[Attempt],
        refusal: &Refusal,
        now: Timestamp,
    ) -> Result<Reaction, SmsError> {
        let attempt = &begun.attempt;
        let mut are_counters_low = true;
        for (limit, within) in LOW_COUNTS {
            let sent = unit.messages().count_to(&attempt.phone_hash, None, now - within).await?;
            // This message is among them.
            are_counters_low &= sent <= limit;
        }
        let elsewhere = |other: &&Attempt| other.provider != attempt.provider;
        Ok(reaction::react(&Situation {
            kind: attempt.kind,
            class: refusal.class,
            is_listed: refusal.is_listed,
            is_about_keys: reaction::is_about_keys(&refusal.code),
            retry_after: refusal.retry_after,
            was_retried: begun.was_retried,
            is_repeated: others.iter().filter(elsewhere).any(|other| other.class == Some(refusal.class)),
            are_counters_low,
        }))
    }

    async fn blame(
        &self,
        unit: &mut dyn SmsUnit,
        attempt: &Attempt,
        message: &SmsMessage,
        next: Next,
        blame: reaction::Blame,
    ) -> Result<(), SmsError> {
        // A pause asked for before the second try is not yet a failure.
        if blame == reaction::Blame::None || matches!(next, Next::Again(_)) {
            return Ok(());
        }
        let now = self.context.clock.now();
        let usable = self.context.usable_for(&message.template);
        let breakers = unit.breakers().list_locked().await?;
        let code = attempt.code.as_deref().unwrap_or_default();
        let changed = route::after_failure(attempt.provider, attempt.kind, blame, code, &usable, &breakers, now);
        for breaker in &changed {
            unit.breakers().save(breaker).await?;
        }
        Ok(())
    }

    fn reconcile_job(&self, attempt: &Attempt, now: Timestamp) -> NewJob {
        NewJob {
            id: JobId(self.context.ids.next()),
            kind: RECONCILE_SMS,
            payload: json!({ "messageId": attempt.message_id, "attempt": attempt.attempt }),
            run_at: now + FIRST_LOOK,
            idempotency_key: format!("sms.reconcile:{}", attempt.out_id()),
            created_at: now,
        }
    }

    /// Nobody works on the message any more: its state is what its attempts say.
    pub(crate) async fn conclude(&self, id: SmsMessageId) -> Result<MessageState, SmsError> {
        let mut unit = self.context.store.begin().await?;
        let Some(mut message) = unit.messages().find_locked(id).await? else { return Ok(MessageState::Rejected) };
        let attempts = unit.messages().attempts(id).await?;
        message.state = match state_of(&attempts) {
            MessageState::Queued => MessageState::Rejected,
            state => state,
        };
        if message.state == MessageState::Rejected {
            message.sealed_params = None;
        }
        message.updated_at = self.context.clock.now();
        unit.messages().update(&message).await?;
        unit.commit().await?;
        Ok(message.state)
    }

    /// What the thread said last, if it may be said again.
    async fn draft_of_thread(&self, resend: &SmsResend) -> Result<Option<Draft>, SmsError> {
        let now = self.context.clock.now();
        let earlier = self.context.store.read().messages().thread(&resend.thread).await?;
        let kept = earlier.into_iter().filter(|m| m.useful_until > now).find_map(|m| {
            let (params, phone) =
                (self.context.open_params(&m)?, self.context.open_phone(&m.id.to_string(), &m.sealed_phone)?);
            Some((m, params, phone))
        });
        Ok(kept.map(|(message, params, phone)| Draft {
            phone,
            template: message.template,
            params,
            idempotency_key: resend.idempotency_key.clone(),
            thread: message.thread,
            useful_until: message.useful_until,
            origin: resend.origin.clone(),
            only: None,
        }))
    }
}

/// The way the last message of the thread went.
async fn last_way(unit: &mut dyn SmsUnit, message: &SmsMessage) -> Result<Option<ProviderName>, SmsError> {
    for earlier in unit.messages().thread(&message.thread).await? {
        if earlier.id == message.id {
            continue;
        }
        let attempts = unit.messages().attempts(earlier.id).await?;
        if let Some(left) = attempts.iter().rev().find(|a| a.may_have_left()) {
            return Ok(Some(left.provider));
        }
    }
    Ok(None)
}

fn alarm(attempt: &Attempt, refusal: &Refusal) {
    counter!("sms_alarms_total", "provider" => attempt.provider.as_str(), "class" => refusal.class.as_str())
        .increment(1);
    tracing::error!(
        sms.provider = attempt.provider.as_str(),
        sms.class = refusal.class.as_str(),
        sms.code = refusal.code,
        sms.is_listed = refusal.is_listed,
        "a provider refuses text messages; somebody has to look"
    );
}

fn count(attempt: &Attempt) {
    let class = attempt.class.map_or("none", ErrorClass::as_str);
    counter!(
        "sms_attempts_total",
        "provider" => attempt.provider.as_str(),
        "kind" => attempt.kind.as_str(),
        "outcome" => attempt.state.as_str(),
        "class" => class
    )
    .increment(1);
    tracing::info!(
        sms.message = %attempt.message_id,
        sms.attempt = attempt.attempt,
        sms.provider = attempt.provider.as_str(),
        sms.outcome = attempt.state.as_str(),
        sms.class = class,
        "text message submitted"
    );
}

#[async_trait]
impl SmsGateway for Dispatcher {
    async fn send(&self, message: SmsRequest) -> Result<(), SmsNotSent> {
        self.dispatch(&message.into()).await.map(drop).map_err(|error| not_sent(&error))
    }

    async fn resend(&self, resend: SmsResend) -> Result<bool, SmsNotSent> {
        match self.draft_of_thread(&resend).await.map_err(|error| not_sent(&error))? {
            Some(draft) => self.dispatch(&draft).await.map(|_| true).map_err(|error| not_sent(&error)),
            None => Ok(false),
        }
    }
}

fn not_sent(error: &SmsError) -> SmsNotSent {
    tracing::warn!(error = error as &dyn std::error::Error, code = error.code(), "a text message was not sent");
    SmsNotSent
}
