//! Asking providers for receipts, for deployments that no callback reaches, and watching what they deliver.

use std::time::Duration;

use domain::time::span;
use serde_json::json;

use crate::breaker::WATCHED_MESSAGES;
use crate::class::ErrorClass;
use crate::context::SmsContext;
use crate::dispatch::Dispatcher;
use crate::error::SmsError;
use crate::message::{Attempt, AttemptState, MessageState, TemplateKind, state_of};
use crate::provider::{LookUp, ProviderName, Report};
use crate::reconcile::{self, FIRST_LOOK, RECONCILE_SMS};
use crate::route;
use crate::unit::SmsUnit;

/// When a provider is first asked for a receipt that was not pushed.
pub const FIRST_POLL: Duration = Duration::from_secs(30);
/// Pauses between further polls; after the last one no receipt will come.
const PAUSES: [Duration; 6] =
    [span::minutes(2), span::minutes(10), span::hours(1), span::hours(6), span::hours(24), span::hours(41)];
/// Attempts asked for in one run.
const MAX_POLLS: u32 = 50;
/// A message in hand for longer than this was left by a process that ended.
const STUCK_AFTER: Duration = span::minutes(1);
/// Messages younger than this may still be reported in time.
const WATCH_AFTER: Duration = span::minutes(3);
/// Older messages say nothing about the provider of today.
const WATCH_WITHIN: Duration = span::hours(24);
/// Messages are kept this long.
const KEEP_MESSAGES: Duration = span::days(180);
/// Settled receipts are kept this long, so that late doubles are still recognised.
const KEEP_RECEIPTS: Duration = span::days(30);

/// The use cases of the worker's schedules.
#[derive(Clone)]
pub struct Polls {
    context: SmsContext,
    dispatcher: Dispatcher,
}

impl Polls {
    pub fn new(context: SmsContext) -> Self {
        Self { dispatcher: Dispatcher::new(context.clone()), context }
    }

    /// Asks for receipts that are due, picks up what ended processes left, and watches deliveries.
    ///
    /// # Errors
    /// [`SmsError::Store`].
    pub async fn run(&self) -> Result<u32, SmsError> {
        self.forget().await?;
        self.pick_up().await?;
        let asked = self.poll().await?;
        self.watch().await?;
        Ok(asked)
    }

    /// Deletes what is of no use any more.
    ///
    /// # Errors
    /// [`SmsError::Store`].
    pub async fn purge(&self) -> Result<(), SmsError> {
        let now = self.context.clock.now();
        let mut unit = self.context.store.begin().await?;
        unit.messages().purge(now - KEEP_MESSAGES).await?;
        unit.receipts().purge(now - KEEP_RECEIPTS).await?;
        Ok(unit.commit().await?)
    }

    /// Codes are not kept longer than they are of use.
    async fn forget(&self) -> Result<(), SmsError> {
        let mut unit = self.context.store.begin().await?;
        unit.messages().forget_params(self.context.clock.now()).await?;
        Ok(unit.commit().await?)
    }

    async fn poll(&self) -> Result<u32, SmsError> {
        let now = self.context.clock.now();
        let due = self.context.store.read().messages().due_polls(now, MAX_POLLS).await?;
        let mut asked = 0;
        for attempt in due {
            let message = self.context.store.read().messages().find(attempt.message_id).await?;
            let Some(message) = message else { continue };
            asked += 1;
            match reconcile::look_up(&self.context, &message, &attempt).await? {
                LookUp::Found { provider_id, report: Some(report) } => {
                    apply(&self.dispatcher, &attempt, provider_id, Some(&report)).await?;
                }
                LookUp::Found { provider_id, report: None } => {
                    apply(&self.dispatcher, &attempt, provider_id, None).await?;
                    self.later(&attempt).await?;
                }
                LookUp::Absent | LookUp::Unavailable { .. } => self.later(&attempt).await?,
            }
        }
        Ok(asked)
    }

    /// Puts the next poll off, or gives up waiting.
    async fn later(&self, attempt: &Attempt) -> Result<(), SmsError> {
        let now = self.context.clock.now();
        let mut unit = self.context.store.begin().await?;
        let Some(mut message) = unit.messages().find_locked(attempt.message_id).await? else { return Ok(()) };
        let attempts = unit.messages().attempts(attempt.message_id).await?;
        let Some(mut current) = attempts.into_iter().find(|a| a.attempt == attempt.attempt) else { return Ok(()) };
        if current.receipt.is_some() || current.polls != attempt.polls {
            return Ok(());
        }
        let pause = PAUSES.get(current.polls as usize);
        current.polls += 1;
        current.next_poll_at = pause.map(|pause| now + *pause);
        unit.messages().update_attempt(&current).await?;
        let is_waiting = matches!(message.state, MessageState::Accepted | MessageState::Unknown);
        if pause.is_none() && is_waiting {
            (message.state, message.updated_at) = (MessageState::Expired, now);
            unit.messages().update(&message).await?;
        }
        Ok(unit.commit().await?)
    }

    /// Messages whose process ended between submitting and writing the answer: whether they were accepted is
    /// unknown.
    async fn pick_up(&self) -> Result<(), SmsError> {
        let now = self.context.clock.now();
        let stuck = self.context.store.read().messages().stuck(now - STUCK_AFTER, MAX_POLLS).await?;
        for id in stuck {
            let mut unit = self.context.store.begin().await?;
            let Some(mut message) = unit.messages().find_locked(id).await? else { continue };
            let mut attempts = unit.messages().attempts(id).await?;
            for attempt in attempts.iter_mut().filter(|a| a.state == AttemptState::Submitting) {
                attempt.state = AttemptState::Unknown;
                (attempt.class, attempt.answered_at) = (Some(ErrorClass::Unknown), Some(now));
                attempt.code = Some("own.interrupted".to_owned());
                unit.messages().update_attempt(attempt).await?;
                let job = domain::outbox::NewJob {
                    id: domain::id::JobId(self.context.ids.next()),
                    kind: RECONCILE_SMS,
                    payload: json!({ "messageId": id, "attempt": attempt.attempt }),
                    run_at: now + FIRST_LOOK,
                    idempotency_key: format!("sms.reconcile:{}", attempt.out_id()),
                    created_at: now,
                };
                unit.outbox().append_all(&[job]).await?;
            }
            message.state = match state_of(&attempts) {
                MessageState::Queued => MessageState::Rejected,
                state => state,
            };
            message.updated_at = now;
            unit.messages().update(&message).await?;
            unit.commit().await?;
        }
        Ok(())
    }

    /// Leaves providers alone that deliver too little.
    async fn watch(&self) -> Result<(), SmsError> {
        for provider in self.context.providers.iter() {
            for kind in TemplateKind::ALL {
                self.watch_one(provider.name(), kind).await?;
            }
        }
        Ok(())
    }

    async fn watch_one(&self, provider: ProviderName, kind: TemplateKind) -> Result<(), SmsError> {
        let now = self.context.clock.now();
        let mut unit = self.context.store.read();
        let breakers = unit.breakers().list().await?;
        let breaker = route::of(&breakers, provider, kind, now - WATCH_WITHIN);
        // What was sent before it was last left alone was judged then.
        let since = breaker.changed_at.max(now - WATCH_WITHIN);
        let count = unit.messages().delivery_count(provider, kind, since, now - WATCH_AFTER, WATCHED_MESSAGES).await?;
        drop(unit);
        if !count.is_poor() {
            return Ok(());
        }
        let usable: Vec<ProviderName> = self.context.providers.iter().map(|p| p.name()).collect();
        let mut unit = self.context.store.begin().await?;
        let breakers = unit.breakers().list_locked().await?;
        if let Some(opened) = route::after_poor_delivery(provider, kind, &usable, &breakers, now) {
            unit.breakers().save(&opened).await?;
            unit.commit().await?;
            tracing::error!(
                sms.provider = provider.as_str(),
                sms.kind = kind.as_str(),
                looked_at = count.looked_at,
                in_time = count.in_time,
                "too few text messages arrive; the provider is left alone for a while"
            );
        }
        Ok(())
    }
}

/// Writes what a provider knows of an attempt: that it took it, and its final state.
pub(crate) async fn apply(
    dispatcher: &Dispatcher,
    attempt: &Attempt,
    provider_id: Option<String>,
    report: Option<&Report>,
) -> Result<(), SmsError> {
    let mut unit = dispatcher.context.store.begin().await?;
    unit.messages().find_locked(attempt.message_id).await?;
    if attempt.state != AttemptState::Accepted {
        dispatcher.note_success(&mut *unit, attempt.provider, attempt.kind).await?;
    }
    apply_in(dispatcher, &mut *unit, attempt, provider_id, report).await?;
    Ok(unit.commit().await?)
}

/// The same inside a unit. False when the message is none of ours any more.
pub(crate) async fn apply_in(
    dispatcher: &Dispatcher,
    unit: &mut dyn SmsUnit,
    attempt: &Attempt,
    provider_id: Option<String>,
    report: Option<&Report>,
) -> Result<bool, SmsError> {
    let context = &dispatcher.context;
    let now = context.clock.now();
    let Some(mut message) = unit.messages().find_locked(attempt.message_id).await? else { return Ok(false) };
    let mut attempts = unit.messages().attempts(attempt.message_id).await?;
    let Some(at) = attempts.iter().position(|a| a.attempt == attempt.attempt) else { return Ok(false) };
    let mut current = attempts.swap_remove(at);
    if current.state != AttemptState::Accepted {
        current.accept(provider_id, now);
    }
    if let Some(report) = report {
        let billed = if current.receipt.is_none() { current.billed_by(report) } else { None };
        if current.report(report, now) {
            if let Some(segments) = billed {
                dispatcher.bill(unit, &mut current, segments).await?;
            }
        } else {
            let detail = json!({
                "attempt": current.attempt,
                "provider": current.provider.as_str(),
                "kept": current.receipt.map(ErrorClass::as_str),
                "contradicted_by": report.class.as_str(),
            });
            let subject = format!("sms:{}", current.message_id);
            let event = context.audit("system".to_owned(), "sms.receipt_contradiction", subject, detail);
            unit.audit().append_all(&[event]).await?;
        }
    }
    unit.messages().update_attempt(&current).await?;
    attempts.push(current);
    attempts.sort_by_key(|a| a.attempt);
    let is_in_hand =
        message.state == MessageState::Submitting && attempts.iter().any(|a| a.state == AttemptState::Submitting);
    let state = state_of(&attempts);
    if !is_in_hand && state != message.state {
        (message.state, message.updated_at) = (state, now);
        unit.messages().update(&message).await?;
    }
    Ok(true)
}
