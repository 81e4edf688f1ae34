//! The grant ledger: consents to be sent a message, which no interface of the platform counts for us.
//!
//! One accept of a one-time template allows one message. It may be told twice, by the client and by the platform's
//! push; two tellings of the same template within [`PAIR_WITHIN`] from different sources are one accept.

use std::time::Duration;

use domain::id::IdSource;
use domain::{ObjectId, StoreError, Timestamp};

use crate::ports::WechatUnit;

/// Two reports of one accept are at most this far apart.
pub const PAIR_WITHIN: Duration = Duration::from_mins(10);
/// More than this nobody can have given; a client that claims more is not believed.
pub const MAX_GRANTS: u32 = 100;
/// With fewer than this the client is told to ask again.
pub const ASK_BELOW: u32 = 2;

/// Whose consent, for which template of which app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantKey {
    pub app: String,
    pub openid: String,
    pub template_id: String,
}

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    pub key: GrantKey,
    /// Messages that may still be sent, those being sent included.
    pub granted: u32,
    /// Of these, set aside for messages that are queued or being sent.
    pub reserved: u32,
    /// Given once and for all.
    pub is_long_term: bool,
    /// When the platform last said that there is none.
    pub refused_at: Option<Timestamp>,
    /// When the person last refused in the app or its settings.
    pub rejected_at: Option<Timestamp>,
}

impl Grant {
    pub fn none(key: GrantKey) -> Self {
        Self { key, granted: 0, reserved: 0, is_long_term: false, refused_at: None, rejected_at: None }
    }

    /// Messages that may be queued now.
    pub const fn available(&self) -> u32 {
        if self.is_long_term { MAX_GRANTS } else { self.granted.saturating_sub(self.reserved) }
    }

    /// Whether the client should ask the person again.
    pub const fn should_ask(&self) -> bool {
        !self.is_long_term && self.available() < ASK_BELOW
    }

    pub fn accept(&mut self, is_long_term: bool) {
        self.is_long_term |= is_long_term;
        self.granted = self.granted.saturating_add(1).min(MAX_GRANTS);
        self.rejected_at = None;
    }

    /// The person refused further messages in the settings.
    pub fn reject(&mut self, now: Timestamp) {
        (self.granted, self.is_long_term, self.rejected_at) = (0, false, Some(now));
    }

    /// Sets one aside; false when there is none.
    pub fn reserve(&mut self) -> bool {
        let is_available = self.available() > 0;
        if is_available {
            self.reserved = self.reserved.saturating_add(1);
        }
        is_available
    }

    /// The message was not sent after all.
    pub fn release(&mut self) {
        self.reserved = self.reserved.saturating_sub(1);
    }

    /// The message was sent, or may have been.
    pub fn spend(&mut self) {
        self.release();
        if !self.is_long_term {
            self.granted = self.granted.saturating_sub(1);
        }
    }

    /// The platform says that there is none (43101).
    pub fn correct(&mut self, now: Timestamp) {
        self.release();
        (self.granted, self.is_long_term, self.refused_at) = (0, false, Some(now));
    }
}

/// Who told of an accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Client,
    Popup,
}

impl Source {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Popup => "popup",
        }
    }

    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Client => Self::Popup,
            Self::Popup => Self::Client,
        }
    }
}

/// One telling of an accept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub id: ObjectId,
    pub key: GrantKey,
    pub source: Source,
    /// Of the client's prompt, or of the push: the same telling again has the same.
    pub prompt: String,
    pub answered_at: Timestamp,
}

/// Counts a telling once; true when it was a new accept.
///
/// # Errors
/// [`StoreError`].
pub async fn record_accept(
    unit: &mut dyn WechatUnit,
    ids: &dyn IdSource,
    key: GrantKey,
    telling: (Source, String, Timestamp),
    is_long_term: bool,
) -> Result<bool, StoreError> {
    let (source, prompt, answered_at) = telling;
    // The lock first: two tellings of one accept wait for each other.
    let mut grant = unit.grants().lock(&key).await?;
    let report = Report { id: ids.next(), key: key.clone(), source, prompt, answered_at };
    if !unit.grants().insert_report(&report).await? {
        return Ok(false);
    }
    let (from, to) = (answered_at - PAIR_WITHIN, answered_at + PAIR_WITHIN);
    if let Some(twin) = unit.grants().find_unpaired(&key, source.other(), from, to, answered_at).await? {
        unit.grants().pair(report.id, twin).await?;
        return Ok(false);
    }
    grant.accept(is_long_term);
    unit.grants().save(&grant).await?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn grant(granted: u32) -> Grant {
        let key = GrantKey { app: "a".into(), openid: "o".into(), template_id: "t".into() };
        Grant { granted, ..Grant::none(key) }
    }

    #[test]
    fn one_grant_is_set_aside_once_and_spent_once() {
        let mut one = grant(1);
        assert!(one.reserve() && !one.reserve());
        one.spend();
        assert_eq!((one.granted, one.reserved, one.available()), (0, 0, 0));
        assert!(one.should_ask());
    }

    #[test]
    fn a_released_grant_can_be_used_again() {
        let mut one = grant(1);
        assert!(one.reserve());
        one.release();
        assert!(one.reserve());
    }

    #[test]
    fn the_platforms_word_corrects_the_ledger() {
        let mut many = grant(5);
        assert!(many.reserve() && many.reserve());
        many.correct(Timestamp::EPOCH);
        assert_eq!((many.available(), many.refused_at), (0, Some(Timestamp::EPOCH)));
        many.spend();
        assert_eq!((many.granted, many.reserved), (0, 0));
    }

    #[test]
    fn long_term_grants_do_not_run_out() {
        let mut long = grant(0);
        long.accept(true);
        for _ in 0..5 {
            assert!(long.reserve());
            long.spend();
        }
        assert!(!long.should_ask() && long.available() > 0);
        long.reject(Timestamp::EPOCH);
        assert_eq!(long.available(), 0);
    }

    proptest! {
        #[test]
        fn never_more_messages_than_accepts(acts in proptest::collection::vec(0u8..5, 0..60)) {
            let (mut grant, mut accepted, mut sent, mut held) = (grant(0), 0u32, 0u32, 0u32);
            for act in acts {
                match act {
                    0 => { grant.accept(false); accepted += 1; }
                    1 => held += u32::from(grant.reserve()),
                    2 if held > 0 => { grant.spend(); held -= 1; sent += 1; }
                    3 if held > 0 => { grant.release(); held -= 1; }
                    4 if held > 0 => { grant.correct(Timestamp::EPOCH); held -= 1; }
                    _ => {}
                }
                prop_assert!(sent + held <= accepted, "{sent} sent, {held} held, {accepted} accepted");
            }
        }
    }
}
