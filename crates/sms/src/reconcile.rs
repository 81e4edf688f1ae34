//! A submission without an answer: look for the message at 2, 5 and 10 s, and only when it is not there send it
//! another way, once.

use std::time::Duration;

use domain::Timestamp;
use domain::id::SmsMessageId;
use domain::time::span;
use serde_json::json;

use crate::context::SmsContext;
use crate::dispatch::{Dispatcher, Draft, Way};
use crate::error::SmsError;
use crate::message::{Attempt, AttemptState, SmsMessage, state_of};
use crate::poll;
use crate::provider::{LookUp, Wanted};

/// Kind of the outbox job; its payload is `{"messageId": …, "attempt": …}`.
pub const RECONCILE_SMS: &str = "reconcile_sms";

/// When it is looked for the first time.
pub const FIRST_LOOK: Duration = Duration::from_secs(2);
/// And then, after the answer was missed; absent at the last one means that it was not accepted.
const LOOKS: [Duration; 3] = [FIRST_LOOK, Duration::from_secs(5), Duration::from_secs(10)];
/// While the provider cannot be asked, it is asked again this often …
const UNAVAILABLE_PAUSE: Duration = Duration::from_secs(15);
/// … until a person has long asked for another message.
const GIVE_UP_AFTER: Duration = span::minutes(5);

/// How far a reconciliation came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Settled,
    /// Look again then.
    NotYet(Timestamp),
}

/// The use case behind the job.
#[derive(Clone)]
pub struct Reconciler {
    context: SmsContext,
    dispatcher: Dispatcher,
}

impl Reconciler {
    pub fn new(context: SmsContext) -> Self {
        Self { dispatcher: Dispatcher::new(context.clone()), context }
    }

    /// Looks once for an attempt whose fate is unknown. Running it again is harmless.
    ///
    /// # Errors
    /// [`SmsError::Store`]. That a failover was refused is no error.
    pub async fn run(&self, id: SmsMessageId, attempt: u32) -> Result<Progress, SmsError> {
        let mut unit = self.context.store.read();
        let Some(message) = unit.messages().find(id).await? else { return Ok(Progress::Settled) };
        let attempts = unit.messages().attempts(id).await?;
        let found = attempts.into_iter().find(|a| a.attempt == attempt && a.state == AttemptState::Unknown);
        let Some(attempt) = found else { return Ok(Progress::Settled) };
        drop(unit);
        let since = attempt.answered_at.unwrap_or(attempt.submitted_at);
        let elapsed = self.context.clock.now().since(since);
        match look_up(&self.context, &message, &attempt).await? {
            LookUp::Found { provider_id, report } => {
                poll::apply(&self.dispatcher, &attempt, provider_id, report.as_ref()).await?;
                Ok(Progress::Settled)
            }
            LookUp::Absent => match LOOKS.into_iter().find(|look| *look > elapsed) {
                Some(look) => Ok(Progress::NotYet(since + look)),
                None => self.fail_over(&message, &attempt).await,
            },
            // Nothing is known, so nothing is sent. A person may ask again and gets it another way.
            LookUp::Unavailable { .. } if elapsed >= GIVE_UP_AFTER => {
                self.hand_to_polls(&attempt).await?;
                Ok(Progress::Settled)
            }
            LookUp::Unavailable { .. } => {
                let next = LOOKS.into_iter().find(|look| *look > elapsed).unwrap_or(elapsed + UNAVAILABLE_PAUSE);
                Ok(Progress::NotYet(since + next))
            }
        }
    }

    /// The provider does not have it: note that, and send it another way if it is still of use.
    async fn fail_over(&self, message: &SmsMessage, attempt: &Attempt) -> Result<Progress, SmsError> {
        if !self.note_absent(attempt).await? {
            return Ok(Progress::Settled);
        }
        let context = &self.context;
        let phone = context.open_phone(&message.id.to_string(), &message.sealed_phone);
        let (Some(phone), Some(params)) = (phone, context.open_params(message)) else {
            self.dispatcher.conclude(message.id).await?;
            return Ok(Progress::Settled);
        };
        let draft = Draft {
            phone,
            template: message.template.clone(),
            params,
            idempotency_key: message.idempotency_key.clone(),
            thread: message.thread.clone(),
            useful_until: message.useful_until,
            origin: message.origin.clone(),
            only: None,
        };
        match self.dispatcher.drive(message.id, &draft, Way::Other).await {
            Err(SmsError::Store(error)) => Err(error.into()),
            // Sent, or no other way took it: the message says which.
            _ => Ok(Progress::Settled),
        }
    }

    /// False when somebody learned meanwhile what became of it.
    async fn note_absent(&self, attempt: &Attempt) -> Result<bool, SmsError> {
        let context = &self.context;
        let mut unit = context.store.begin().await?;
        if unit.messages().find_locked(attempt.message_id).await?.is_none() {
            return Ok(false);
        }
        let attempts = unit.messages().attempts(attempt.message_id).await?;
        let current = attempts.into_iter().find(|a| a.attempt == attempt.attempt);
        let Some(mut current) = current.filter(|a| a.state == AttemptState::Unknown && a.receipt.is_none()) else {
            return Ok(false);
        };
        current.state = AttemptState::Absent;
        let (day, cost) = (context.day(current.submitted_at), current.cost_milliyuan);
        current.cost_milliyuan = 0;
        unit.messages().update_attempt(&current).await?;
        unit.spending().adjust(&day, -cost).await?;
        let detail = json!({ "attempt": current.attempt, "provider": current.provider.as_str(), "code": current.code });
        let subject = format!("sms:{}", current.message_id);
        let event = context.audit("system".to_owned(), "sms.not_found_at_provider", subject, detail);
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        Ok(true)
    }

    /// Its fate stays unknown; receipts and polls may still tell.
    async fn hand_to_polls(&self, attempt: &Attempt) -> Result<(), SmsError> {
        let mut unit = self.context.store.begin().await?;
        let Some(mut message) = unit.messages().find_locked(attempt.message_id).await? else { return Ok(()) };
        let mut attempts = unit.messages().attempts(attempt.message_id).await?;
        let unknown = |a: &&mut Attempt| a.attempt == attempt.attempt && a.state == AttemptState::Unknown;
        if let Some(current) = attempts.iter_mut().find(unknown) {
            current.next_poll_at = Some(self.context.clock.now() + poll::FIRST_POLL);
            unit.messages().update_attempt(&current.clone()).await?;
        }
        message.state = state_of(&attempts);
        unit.messages().update(&message).await?;
        Ok(unit.commit().await?)
    }
}

/// Asks the provider of an attempt for it.
pub(crate) async fn look_up(context: &SmsContext, message: &SmsMessage, attempt: &Attempt) -> Result<LookUp, SmsError> {
    let unavailable = |code: &str| Ok(LookUp::Unavailable { code: code.to_owned() });
    let Some(provider) = context.provider(attempt.provider) else { return unavailable("own.not_configured") };
    let Some(phone) = context.open_phone(&message.id.to_string(), &message.sealed_phone) else {
        return unavailable("own.key_changed");
    };
    let mut unit = context.store.read();
    let since = attempt.submitted_at - span::days(1);
    let known_ids = unit.messages().provider_ids(attempt.provider, &attempt.phone_hash, since).await?;
    drop(unit);
    let wanted = Wanted {
        phone,
        out_id: attempt.out_id(),
        provider_id: attempt.provider_id.clone(),
        submitted_at: attempt.submitted_at,
        known_ids,
    };
    Ok(provider.look_up(&wanted).await)
}
