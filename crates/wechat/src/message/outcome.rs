//! What an attempt means for its message, its lane and the ledger: the table of the contract as one pure function.

use std::time::Duration;

use chrono::{Days, NaiveTime, TimeZone};
use chrono_tz::Asia::Shanghai;
use domain::Timestamp;

use super::{Message, MessageKind, MessageState};
use crate::errcode::{Class, RateWindow, code, rate_window};
use crate::reply::CallError;
use crate::token::TokenError;

/// Attempts at a message that the platform was too busy for.
const MAX_BUSY_ATTEMPTS: u32 = 3;
/// Attempts at a message that met another one to the same person.
const MAX_CONCURRENT_ATTEMPTS: u32 = 5;
/// Attempts at a message for which there was no token at the moment; nothing was sent, so trying again is harmless.
const MAX_TOKENLESS_ATTEMPTS: u32 = 5;
/// The platform drops duplicates under one `client_msg_id` for ten minutes; a second try stays well within.
const KEYED_RETRY_WITHIN: Duration = Duration::from_mins(8);
/// Longest wait for a rate window before the message is given to another channel.
const LONGEST_WAIT: Duration = Duration::from_mins(10);
/// How long a capability that was refused stays off.
pub(super) const CAPABILITY_OFF: Duration = Duration::from_hours(24);

/// What becomes of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Settled(MessageState),
    /// Once more, not before this.
    Again(Timestamp),
}

/// What becomes of the grant that was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantEffect {
    Keep,
    Release,
    Spend,
    Correct,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    pub next: Next,
    pub grant: GrantEffect,
    /// Nothing of this kind leaves the app before this.
    pub pause_until: Option<Timestamp>,
    /// Somebody has to act.
    pub is_alarm: bool,
}

/// Reads the result of attempt number `message.attempts`.
pub fn settle(message: &Message, result: &Result<Option<String>, CallError>, now: Timestamp) -> Settlement {
    let settled = |state, grant| Settlement { next: Next::Settled(state), grant, pause_until: None, is_alarm: false };
    let refused = || settled(MessageState::Refused, GrantEffect::Release);
    let again = |after| Settlement {
        next: Next::Again(now + after),
        grant: GrantEffect::Keep,
        pause_until: None,
        is_alarm: false,
    };
    let back_off = Duration::from_secs(1 << message.attempts.min(6));
    let Err(error) = result else { return settled(MessageState::Accepted, GrantEffect::Spend) };
    let refusal = match error {
        CallError::Ambiguous => {
            let is_young = now.since(message.created_at) < KEYED_RETRY_WITHIN;
            let has_key = message.kind == MessageKind::Template && is_young;
            let may_repeat = (has_key || message.is_harmless_twice) && message.attempts < MAX_BUSY_ATTEMPTS;
            return if may_repeat { again(back_off) } else { settled(MessageState::Unknown, GrantEffect::Spend) };
        }
        CallError::NotSent => return if message.attempts < MAX_BUSY_ATTEMPTS { again(back_off) } else { refused() },
        // Another node was slow to fetch one, or the database to answer: no fault of the app.
        CallError::Token(TokenError::Unavailable | TokenError::Store(_))
            if message.attempts < MAX_TOKENLESS_ATTEMPTS =>
        {
            return again(back_off);
        }
        CallError::Token(_) => return Settlement { is_alarm: true, ..refused() },
        CallError::Refused(refusal) => refusal,
    };
    match refusal.class() {
        Class::Busy if message.attempts < MAX_BUSY_ATTEMPTS => again(back_off),
        Class::Concurrent if message.attempts < MAX_CONCURRENT_ATTEMPTS => again(Duration::from_secs(1)),
        Class::Rate => {
            let until = window_end(refusal.code, now);
            let pause_until = Some(until);
            if until.since(now) <= LONGEST_WAIT {
                Settlement { next: Next::Again(until), pause_until, ..again(Duration::ZERO) }
            } else {
                Settlement { pause_until, is_alarm: true, ..refused() }
            }
        }
        Class::Recipient if refusal.code == code::NO_GRANT => settled(MessageState::Refused, GrantEffect::Correct),
        Class::Busy | Class::Concurrent | Class::Recipient => refused(),
        Class::Capability => Settlement { pause_until: Some(now + CAPABILITY_OFF), is_alarm: true, ..refused() },
        Class::Token | Class::Credentials | Class::OurData | Class::Code | Class::Other => {
            Settlement { is_alarm: true, ..refused() }
        }
    }
}

/// When the window of a rate limit turns.
fn window_end(code: i64, now: Timestamp) -> Timestamp {
    match rate_window(code, false) {
        RateWindow::For(wait) => now + wait,
        RateWindow::UntilMidnight => next_midnight(now),
    }
}

/// The next midnight in Shanghai.
fn next_midnight(now: Timestamp) -> Timestamp {
    let local = now.to_datetime().with_timezone(&Shanghai);
    let tomorrow = local.date_naive().checked_add_days(Days::new(1));
    let midnight = tomorrow.and_then(|day| Shanghai.from_local_datetime(&day.and_time(NaiveTime::MIN)).earliest());
    midnight.map_or(now + Duration::from_hours(24), |at| Timestamp::from_datetime(at.to_utc()))
}

#[cfg(test)]
mod tests {
    use domain::ObjectId;
    use rstest::rstest;

    use super::*;
    use crate::reply::Refusal;

    const NOW: Timestamp = Timestamp::from_millis(1_795_406_400_000);

    fn message(kind: MessageKind, attempts: u32) -> Message {
        Message {
            id: ObjectId::from_parts(1, [0; 5], 1),
            app: "a".into(),
            kind,
            openid: "o".into(),
            template_id: Some("t".into()),
            page: None,
            data: Vec::new(),
            sealed: None,
            key: "k".into(),
            is_harmless_twice: false,
            state: MessageState::Sending,
            holds_grant: true,
            attempts,
            msg_id: None,
            class: None,
            code: None,
            reason: None,
            rid: None,
            not_before: NOW,
            expires_at: NOW + Duration::from_hours(1),
            leased_until: None,
            created_at: NOW,
            updated_at: NOW,
        }
    }

    fn of_code(code: i64, attempts: u32) -> Settlement {
        let refusal = Refusal { code, message: String::new(), rid: None };
        settle(&message(MessageKind::Subscribe, attempts), &Err(CallError::Refused(refusal)), NOW)
    }

    #[rstest]
    #[case(43101, MessageState::Refused, GrantEffect::Correct, false)]
    #[case(40003, MessageState::Refused, GrantEffect::Release, false)]
    #[case(45015, MessageState::Refused, GrantEffect::Release, false)]
    #[case(47003, MessageState::Refused, GrantEffect::Release, true)]
    #[case(40037, MessageState::Refused, GrantEffect::Release, true)]
    #[case(40001, MessageState::Refused, GrantEffect::Release, true)]
    #[case(40164, MessageState::Refused, GrantEffect::Release, true)]
    #[case(43107, MessageState::Refused, GrantEffect::Release, true)]
    #[case(99999, MessageState::Refused, GrantEffect::Release, true)]
    fn final_refusals(
        #[case] code: i64,
        #[case] state: MessageState,
        #[case] grant: GrantEffect,
        #[case] is_alarm: bool,
    ) {
        let settlement = of_code(code, 1);
        assert_eq!((settlement.next, settlement.grant, settlement.is_alarm), (Next::Settled(state), grant, is_alarm));
    }

    #[test]
    fn an_unknown_outcome_is_not_sent_again_and_counts_as_spent() {
        let result = Err(CallError::Ambiguous);
        for kind in [MessageKind::Subscribe, MessageKind::Custom] {
            let settlement = settle(&message(kind, 1), &result, NOW);
            assert_eq!(settlement.next, Next::Settled(MessageState::Unknown));
            assert_eq!(settlement.grant, GrantEffect::Spend);
        }
        let keyed = settle(&message(MessageKind::Template, 1), &result, NOW);
        assert_eq!(keyed.next, Next::Again(NOW + Duration::from_secs(2)), "the platform drops the duplicate");
        let late = settle(&message(MessageKind::Template, 1), &result, NOW + Duration::from_mins(8));
        assert_eq!(late.next, Next::Settled(MessageState::Unknown), "not any more");
        let harmless = Message { is_harmless_twice: true, ..message(MessageKind::Subscribe, 1) };
        assert!(matches!(settle(&harmless, &result, NOW).next, Next::Again(_)));
    }

    #[test]
    fn a_busy_platform_is_tried_three_times() {
        assert!(matches!(of_code(-1, 2).next, Next::Again(_)));
        assert_eq!(of_code(-1, 3).next, Next::Settled(MessageState::Refused));
        let not_sent = |attempts| settle(&message(MessageKind::Custom, attempts), &Err(CallError::NotSent), NOW).next;
        assert!(matches!(not_sent(2), Next::Again(_)));
        assert_eq!(not_sent(3), Next::Settled(MessageState::Refused));
        assert!(matches!(of_code(43_108, 4).next, Next::Again(_)));
    }

    #[test]
    fn limits_pause_the_lane_and_days_are_not_waited_for() {
        let minute = of_code(45_011, 1);
        assert_eq!(minute.next, Next::Again(NOW + Duration::from_mins(1)));
        assert_eq!(minute.pause_until, Some(NOW + Duration::from_mins(1)));
        let day = of_code(45_009, 1);
        assert_eq!(day.next, Next::Settled(MessageState::Refused), "another channel is quicker");
        let midnight = Timestamp::parse_rfc3339("2026-11-24T00:00:00+08:00").unwrap();
        assert_eq!(day.pause_until, Some(midnight));
        assert_eq!(of_code(43_107, 1).pause_until, Some(NOW + CAPABILITY_OFF));
    }

    #[test]
    fn a_token_that_is_only_late_is_waited_for() {
        let of = |attempts| settle(&message(MessageKind::Custom, attempts), &Err(TokenError::Unavailable.into()), NOW);
        assert_eq!(of(1).next, Next::Again(NOW + Duration::from_secs(2)));
        assert_eq!((of(4).grant, of(4).is_alarm), (GrantEffect::Keep, false));
        assert_eq!(of(5).next, Next::Settled(MessageState::Refused), "another channel is quicker by now");
        let busy: TokenError = domain::StoreError::Conflict.into();
        assert!(matches!(settle(&message(MessageKind::Custom, 1), &Err(busy.into()), NOW).next, Next::Again(_)));
    }

    #[test]
    fn without_a_token_the_message_goes_to_another_channel() {
        let settlement = settle(&message(MessageKind::Subscribe, 1), &Err(TokenError::Fault(40_125).into()), NOW);
        assert_eq!(settlement.next, Next::Settled(MessageState::Refused));
    }
}
