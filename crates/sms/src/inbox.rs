//! Receipts and replies coming in: stored and answered at once, looked at afterwards.
//!
//! A receipt counts only if provider, id and number are those of one of our attempts. Nothing a receipt says makes
//! a message leave: resending is decided by answers to submissions and by people.

use std::time::Duration;

use domain::id::{JobId, SmsReceiptId, SmsReplyId};
use domain::outbox::NewJob;
use domain::time::span;
use metrics::counter;
use serde_json::json;

use crate::callback::{self, PushedReceipt, PushedReply};
use crate::context::SmsContext;
use crate::dispatch::Dispatcher;
use crate::error::SmsError;
use crate::message::{Attempt, parse_out_id};
use crate::poll;
use crate::provider::{ProviderName, Report};
use crate::receipt::{Receipt, ReceiptFate, Reply};
use crate::unit::SmsUnit;

/// Kind of the outbox job that looks at stored receipts; it has no payload.
pub const APPLY_SMS_RECEIPTS: &str = "apply_sms_receipts";

/// Receipts looked at in one unit.
const BATCH: u32 = 100;
/// A receipt may be faster than the answer to its submission: it is looked at again for this long.
const MATCH_WITHIN: Duration = span::minutes(10);
/// Pause before an unmatched receipt is looked at again.
const LOOK_AGAIN: Duration = Duration::from_secs(20);

/// The use cases of callbacks.
#[derive(Clone)]
pub struct Inbox {
    context: SmsContext,
    dispatcher: Dispatcher,
}

impl Inbox {
    pub fn new(context: SmsContext) -> Self {
        Self { dispatcher: Dispatcher::new(context.clone()), context }
    }

    /// Stores a push. That its sender may push was checked by its address.
    ///
    /// # Errors
    /// [`SmsError::MalformedCallback`], [`SmsError::Store`]; then the provider is to push it again.
    pub async fn accept(&self, provider: ProviderName, body: &[u8]) -> Result<(), SmsError> {
        let pushed = callback::parse(provider, body).ok_or(SmsError::MalformedCallback)?;
        let receipts: Vec<Receipt> = pushed.receipts.into_iter().map(|r| self.receipt(provider, r)).collect();
        let replies: Vec<Reply> = pushed.replies.into_iter().map(|r| self.reply(provider, r)).collect();
        counter!("sms_receipts_total", "provider" => provider.as_str()).increment(receipts.len() as u64);
        let mut unit = self.context.store.begin().await?;
        unit.receipts().keep(&receipts).await?;
        unit.receipts().keep_replies(&replies).await?;
        if !receipts.is_empty() {
            unit.outbox().append_all(&[self.job()]).await?;
        }
        unit.commit().await?;
        self.context.signal.wake();
        Ok(())
    }

    /// Looks at everything stored that nobody looked at yet; answers how many were about our messages.
    ///
    /// # Errors
    /// [`SmsError::Store`].
    pub async fn apply(&self) -> Result<u64, SmsError> {
        let mut applied = 0;
        loop {
            let (looked_at, found) = self.apply_batch().await?;
            applied += found;
            if looked_at == 0 {
                return Ok(applied);
            }
        }
    }

    async fn apply_batch(&self) -> Result<(usize, u64), SmsError> {
        let now = self.context.clock.now();
        let mut unit = self.context.store.begin().await?;
        let mut receipts = Vec::new();
        for receipt in unit.receipts().take(now - LOOK_AGAIN, BATCH).await? {
            let attempt = find(&mut *unit, &receipt).await?;
            receipts.push((attempt, receipt));
        }
        // Several messages are locked in one order, and all of them before anything is billed.
        receipts.sort_by_key(|(attempt, _)| attempt.as_ref().map(|a| a.message_id));
        for (attempt, _) in &receipts {
            if let Some(attempt) = attempt {
                unit.messages().find_locked(attempt.message_id).await?;
            }
        }
        let (mut applied, mut ignored, mut waiting) = (Vec::new(), Vec::new(), Vec::new());
        for (attempt, receipt) in &receipts {
            let is_ours = match attempt {
                Some(attempt) => self.apply_one(&mut *unit, attempt, receipt).await?,
                None => false,
            };
            if is_ours {
                applied.push(receipt.id);
            } else if now.since(receipt.received_at) < MATCH_WITHIN {
                waiting.push(receipt.id);
            } else {
                ignored.push(receipt.id);
            }
        }
        counter!("sms_receipts_ignored_total").increment(ignored.len() as u64);
        unit.receipts().settle(&applied, ReceiptFate::Applied, now).await?;
        unit.receipts().settle(&ignored, ReceiptFate::Ignored, now).await?;
        unit.receipts().touch(&waiting, now).await?;
        unit.commit().await?;
        Ok((receipts.len(), applied.len() as u64))
    }

    async fn apply_one(&self, unit: &mut dyn SmsUnit, attempt: &Attempt, receipt: &Receipt) -> Result<bool, SmsError> {
        let report = Report {
            class: receipt.class,
            code: receipt.code.clone(),
            at: receipt.reported_at,
            segments: receipt.segments,
        };
        let provider_id = Some(receipt.provider_id.clone());
        poll::apply_in(&self.dispatcher, unit, attempt, provider_id, Some(&report)).await
    }

    fn receipt(&self, provider: ProviderName, pushed: PushedReceipt) -> Receipt {
        Receipt {
            id: SmsReceiptId(self.context.ids.next()),
            provider,
            provider_id: pushed.provider_id,
            out_id: pushed.out_id,
            phone_hash: self.context.keys.phone_hash(&pushed.phone),
            class: pushed.class,
            code: pushed.code,
            segments: pushed.segments,
            reported_at: pushed.reported_at,
            received_at: self.context.clock.now(),
        }
    }

    fn reply(&self, provider: ProviderName, pushed: PushedReply) -> Reply {
        let id = SmsReplyId(self.context.ids.next());
        Reply {
            id,
            provider,
            reference: pushed.reference,
            phone_hash: self.context.keys.phone_hash(&pushed.phone),
            phone_masked: pushed.phone.masked(),
            sealed_phone: self.context.seal_phone(&id.to_string(), &pushed.phone),
            sealed_text: self.context.keys.seal(&format!("text of {id}"), pushed.text.as_bytes()),
            received_at: self.context.clock.now(),
        }
    }

    fn job(&self) -> NewJob {
        let (id, now) = (JobId(self.context.ids.next()), self.context.clock.now());
        NewJob {
            id,
            kind: APPLY_SMS_RECEIPTS,
            payload: json!({}),
            run_at: now,
            idempotency_key: format!("sms.receipts:{id}"),
            created_at: now,
        }
    }
}

/// Our attempt that a receipt is about: ours by our own id or the provider's, at this provider, to this number.
async fn find(unit: &mut dyn SmsUnit, receipt: &Receipt) -> Result<Option<Attempt>, SmsError> {
    let is_meant = |attempt: &Attempt| {
        attempt.provider == receipt.provider
            && attempt.phone_hash == receipt.phone_hash
            && attempt.provider_id.as_ref().is_none_or(|id| *id == receipt.provider_id)
    };
    if let Some(out_id) = &receipt.out_id {
        // Ours are always of this form; any other is somebody else's.
        let Some((message, number)) = parse_out_id(out_id) else { return Ok(None) };
        let attempts = unit.messages().attempts(message).await?;
        let found = attempts.into_iter().find(|a| a.attempt == number);
        return Ok(found.filter(is_meant));
    }
    let found = unit.messages().find_attempt(receipt.provider, &receipt.provider_id, &receipt.phone_hash).await?;
    Ok(found.filter(is_meant))
}
