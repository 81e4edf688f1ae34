//! One socket of the WebSocket protocol as a state machine: no input, output or waiting, so every limit can be tested.
//!
//! Whoever drives it hands in frames and the time, and does what it is told.

use std::time::{Duration, Instant};

use domain::FieldError;
use domain::id::ConversationId;

use crate::error::ImError;
use crate::log::LogHead;
use crate::protocol::{
    Bye, ByeReason, ClientFrame, ErrorFrame, HelloFrame, LimitsView, Malformed, RangeFrame, SendFrame, SeqFrame,
};

/// Most messages of one `range`.
pub const MAX_RANGE: u32 = 200;
/// Frames that are none of the protocol before the socket is closed.
const MAX_MALFORMED: u32 = 10;
/// Refused frames, in seconds' worth of frames, before the socket is closed; at most [`MAX_REFUSED`].
const FLOOD_SECONDS: u32 = 2;
/// Refused frames before the socket is closed, however many frames a second are allowed.
const MAX_REFUSED: u32 = 1000;

/// What a socket may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// `hello` must come within this.
    pub hello_within: Duration,
    /// The server speaks at least this often; a client that is silent for twice as long is gone.
    pub heartbeat: Duration,
    /// Whether the session is still valid is looked at this often.
    pub recheck_every: Duration,
    pub max_frame_bytes: usize,
    pub frames_per_second: u32,
    pub typing_per_minute: u32,
    pub sends_in_flight: usize,
}

impl SessionLimits {
    /// As clients are told.
    pub const fn view(&self) -> LimitsView {
        LimitsView {
            max_frame_bytes: self.max_frame_bytes,
            frames_per_second: self.frames_per_second,
            sends_in_flight: self.sends_in_flight,
            range: MAX_RANGE,
        }
    }
}

/// What is to be done about a frame.
#[derive(Debug)]
pub enum Action<'a> {
    Nothing,
    /// Find out whose token this is; then [`Session::welcome`].
    Authenticate(HelloFrame<'a>),
    /// Store the message; then [`Session::answered`].
    Send(SendFrame<'a>),
    /// Move the reader on; then [`Session::answered`].
    Read(SeqFrame),
    Delivered(SeqFrame),
    Typing(ConversationId),
    /// The person has left one conversation and opened another.
    View {
        before: Option<ConversationId>,
        now: Option<ConversationId>,
    },
    /// Answer with the messages; then [`Session::answered`].
    Range(RangeFrame),
    /// Answer with `pong`.
    Pong,
    Refuse(ErrorFrame),
    Close(Bye),
}

/// What is to be done because of the time.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    Nothing,
    /// Send a `ping`.
    Ping,
    /// Look whether the session is still valid; then [`Session::rechecked`].
    Recheck,
    Close(Bye),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing was heard yet.
    Expecting,
    /// `hello` was heard.
    Greeted,
    Open,
}

/// The state of one socket.
#[derive(Debug)]
pub struct Session {
    limits: SessionLimits,
    phase: Phase,
    opened_at: Instant,
    heard_at: Instant,
    pinged_at: Instant,
    checked_at: Instant,
    frames: Bucket,
    typing: Bucket,
    refused: u32,
    malformed: u32,
    in_flight: usize,
    viewing: Option<ConversationId>,
    /// Everything of the log up to here was sent.
    sent_to: i64,
}

impl Session {
    pub fn new(limits: SessionLimits, now: Instant) -> Self {
        Self {
            limits,
            phase: Phase::Expecting,
            opened_at: now,
            heard_at: now,
            pinged_at: now,
            checked_at: now,
            frames: Bucket::new(limits.frames_per_second, Duration::from_secs(1), now),
            typing: Bucket::new(limits.typing_per_minute, Duration::from_mins(1), now),
            refused: 0,
            malformed: 0,
            in_flight: 0,
            viewing: None,
            sent_to: 0,
        }
    }

    /// Takes a frame.
    pub fn on_text<'a>(&mut self, text: &'a str, now: Instant) -> Action<'a> {
        self.heard_at = now;
        if text.len() > self.limits.max_frame_bytes {
            return Action::Close(bye(ByeReason::FrameTooLarge));
        }
        if let Err(wait) = self.frames.take(now) {
            return self.refuse_flood(text, wait);
        }
        let frame = match ClientFrame::parse(text) {
            Ok(frame) => frame,
            Err(malformed) => return self.refuse_malformed(&malformed),
        };
        match (self.phase, frame) {
            (Phase::Expecting, ClientFrame::Hello(hello)) => {
                self.phase = Phase::Greeted;
                Action::Authenticate(hello)
            }
            (Phase::Open, ClientFrame::Send(frame)) => self.begin(Action::Send(frame)),
            (Phase::Open, ClientFrame::Read(frame)) => self.begin(seq_action("read", frame, Action::Read)),
            (Phase::Open, ClientFrame::Delivered(frame)) => seq_action("delivered", frame, Action::Delivered),
            (Phase::Open, ClientFrame::Typing(frame)) => match self.typing.take(now) {
                Ok(()) => Action::Typing(frame.conversation_id),
                Err(_) => Action::Nothing,
            },
            (Phase::Open, ClientFrame::Presence(frame)) => {
                let before = std::mem::replace(&mut self.viewing, frame.viewing);
                if before == frame.viewing { Action::Nothing } else { Action::View { before, now: frame.viewing } }
            }
            (Phase::Open, ClientFrame::Range(frame)) => self.begin(range_action(frame)),
            (Phase::Open, ClientFrame::Ping) => Action::Pong,
            (Phase::Open, ClientFrame::Pong) => Action::Nothing,
            (_, frame) => self.refuse_out_of_place(frame.word()),
        }
    }

    /// Takes a sign of life below the frames: a ping or pong of the WebSocket itself.
    pub fn on_sign_of_life(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// The token was valid: the socket is open, and entries up to `position` are not sent.
    pub fn welcome(&mut self, position: i64, now: Instant) {
        self.phase = Phase::Open;
        self.sent_to = position;
        self.checked_at = now;
        self.pinged_at = now;
    }

    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether more frames may be read: not while too much is under way.
    pub const fn wants_input(&self) -> bool {
        self.in_flight < self.limits.sends_in_flight
    }

    /// Something that was under way is done.
    pub const fn answered(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Whether everything that was asked for is done.
    pub const fn is_settled(&self) -> bool {
        self.in_flight == 0
    }

    /// The conversation open in front.
    pub const fn viewing(&self) -> Option<ConversationId> {
        self.viewing
    }

    /// Whether an entry is still to be sent; each is sent once, in order.
    pub const fn admits(&mut self, position: i64) -> bool {
        let is_new = position > self.sent_to;
        if is_new {
            self.sent_to = position;
        }
        is_new
    }

    /// Nothing up to `position` is left to be sent.
    pub fn caught_up(&mut self, position: i64) {
        self.sent_to = self.sent_to.max(position);
    }

    /// Everything up to here was sent.
    pub const fn sent_to(&self) -> i64 {
        self.sent_to
    }

    /// The session was still valid.
    pub const fn rechecked(&mut self, now: Instant) {
        self.checked_at = now;
    }

    /// When [`Session::on_time`] is to be called next.
    pub fn next_due(&self) -> Instant {
        if self.phase != Phase::Open {
            return self.opened_at + self.limits.hello_within;
        }
        let ping = self.pinged_at + self.limits.heartbeat;
        let recheck = self.checked_at + self.limits.recheck_every;
        ping.min(recheck).min(self.silent_at())
    }

    /// What the time asks for.
    pub fn on_time(&mut self, now: Instant) -> Due {
        if self.phase != Phase::Open {
            let is_late = now >= self.opened_at + self.limits.hello_within;
            return if is_late { Due::Close(bye(ByeReason::HelloTimeout)) } else { Due::Nothing };
        }
        if now >= self.silent_at() {
            return Due::Close(Bye { reconnect_after_ms: Some(0), ..bye(ByeReason::HeartbeatTimeout) });
        }
        if now >= self.checked_at + self.limits.recheck_every {
            return Due::Recheck;
        }
        if now >= self.pinged_at + self.limits.heartbeat {
            self.pinged_at = now;
            return Due::Ping;
        }
        Due::Nothing
    }

    /// Counts what takes a while.
    fn begin<'a>(&mut self, action: Action<'a>) -> Action<'a> {
        if matches!(action, Action::Send(_) | Action::Read(_) | Action::Range(_)) {
            self.in_flight += 1;
        }
        action
    }

    fn silent_at(&self) -> Instant {
        self.heard_at + self.limits.heartbeat * 2
    }

    fn refuse_flood<'a>(&mut self, text: &str, wait: Duration) -> Action<'a> {
        self.refused = self.refused.saturating_add(1);
        if self.refused > self.limits.frames_per_second.saturating_mul(FLOOD_SECONDS).min(MAX_REFUSED) {
            return Action::Close(bye(ByeReason::Flood));
        }
        let retry_after_ms = Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX).max(1));
        let mut refusal = ErrorFrame { retry_after_ms, ..ErrorFrame::of("", &ImError::TooManyFrames) };
        refusal.frame = None;
        // A message must be told apart from the others, so that it can be sent again.
        if let Ok(frame) = ClientFrame::parse(text) {
            refusal.frame = Some(frame.word().to_owned());
            if let ClientFrame::Send(send) = frame {
                refusal.client_message_id = Some(send.client_message_id.into_owned());
                refusal.conversation_id = Some(send.conversation_id);
            }
        }
        Action::Refuse(refusal)
    }

    fn refuse_malformed<'a>(&mut self, malformed: &Malformed) -> Action<'a> {
        self.malformed += 1;
        if self.malformed > MAX_MALFORMED {
            return Action::Close(bye(ByeReason::ProtocolError));
        }
        let mut refusal = ErrorFrame::of("", &ImError::MalformedFrame(malformed.clone()));
        refusal.frame = match malformed {
            Malformed::Fields { frame } => Some((*frame).to_owned()),
            Malformed::NoFrame | Malformed::UnknownType => None,
        };
        Action::Refuse(refusal)
    }

    /// Frames before `hello`, and a second `hello`.
    fn refuse_out_of_place<'a>(&mut self, word: &str) -> Action<'a> {
        self.malformed += 1;
        if self.malformed > MAX_MALFORMED {
            return Action::Close(bye(ByeReason::ProtocolError));
        }
        Action::Refuse(ErrorFrame::of(word, &ImError::FrameOutOfPlace))
    }
}

/// A good-bye after which connecting again in the same way is of no use.
pub const fn bye(reason: ByeReason) -> Bye {
    Bye { reason, detail: None, reconnect_after_ms: None }
}

fn seq_action<'a>(word: &str, frame: SeqFrame, action: impl FnOnce(SeqFrame) -> Action<'a>) -> Action<'a> {
    if frame.seq >= 0 { action(frame) } else { refuse_field(word, frame.conversation_id, "seq") }
}

fn range_action<'a>(frame: RangeFrame) -> Action<'a> {
    if frame.after < 0 {
        return refuse_field("range", frame.conversation_id, "after");
    }
    match frame.before {
        Some(before) if before <= frame.after => refuse_field("range", frame.conversation_id, "before"),
        _ => Action::Range(frame),
    }
}

fn refuse_field<'a>(word: &str, conversation_id: ConversationId, field: &str) -> Action<'a> {
    let error = ImError::from(FieldError::new(field, "is not a sequence number that fits"));
    Action::Refuse(ErrorFrame { conversation_id: Some(conversation_id), ..ErrorFrame::of(word, &error) })
}

/// Where a socket begins, from what its `hello` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// With what comes from now on.
    Now,
    /// With what came after this position.
    After(i64),
    /// The cursor means nothing: with what comes from now on, once the client has loaded everything again.
    Resync,
}

impl Start {
    /// `head` is how far the log goes at least.
    pub fn of(hello: &HelloFrame<'_>, head: &LogHead) -> Self {
        match (hello.cursor, &hello.epoch) {
            (None, _) => Self::Now,
            (Some(cursor), Some(epoch)) if *epoch == head.epoch && (0..=head.position).contains(&cursor) => {
                Self::After(cursor)
            }
            _ => Self::Resync,
        }
    }
}

/// So many in so long, and as many at once.
#[derive(Debug)]
struct Bucket {
    /// What one token costs, in nanoseconds.
    cost: u64,
    most: u64,
    left: u64,
    filled_at: Instant,
}

impl Bucket {
    fn new(count: u32, per: Duration, now: Instant) -> Self {
        let per = u64::try_from(per.as_nanos()).unwrap_or(u64::MAX);
        let cost = per / u64::from(count.max(1));
        Self { cost, most: per, left: per, filled_at: now }
    }

    /// Takes a token, or says how long until there is one.
    fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let elapsed = now.saturating_duration_since(self.filled_at);
        self.filled_at = now;
        let gained = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        self.left = self.left.saturating_add(gained).min(self.most);
        match self.left.checked_sub(self.cost) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(Duration::from_nanos(self.cost - self.left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: &str = r#"{"type":"hello","token":"t","cursor":5,"epoch":"one"}"#;
    const PING: &str = r#"{"type":"ping"}"#;
    const SEND: &str = r#"{"type":"send","clientMessageId":"m1","conversationId":"5daeb07b7b968a0074945056","messageType":"text","content":{"text":"x"}}"#;

    const LIMITS: SessionLimits = SessionLimits {
        hello_within: Duration::from_secs(10),
        heartbeat: Duration::from_secs(20),
        recheck_every: Duration::from_mins(1),
        max_frame_bytes: 1000,
        frames_per_second: 50,
        typing_per_minute: 3,
        sends_in_flight: 2,
    };

    fn expecting() -> (Session, Instant) {
        let now = Instant::now();
        (Session::new(LIMITS, now), now)
    }

    fn open() -> (Session, Instant) {
        let (mut session, now) = expecting();
        assert!(matches!(session.on_text(HELLO, now), Action::Authenticate(_)));
        session.welcome(5, now);
        (session, now)
    }

    fn code(action: &Action<'_>) -> String {
        match action {
            Action::Refuse(error) => error.code.clone(),
            Action::Close(bye) => format!("bye {:?}", bye.reason),
            other => panic!("{other:?} is no refusal"),
        }
    }

    #[test]
    fn nothing_is_done_before_hello() {
        let (mut session, now) = expecting();
        assert_eq!(code(&session.on_text(SEND, now)), "im.frame_out_of_place");
        assert!(matches!(session.on_text(HELLO, now), Action::Authenticate(hello) if hello.token == "t"));
        assert_eq!(code(&session.on_text(PING, now)), "im.frame_out_of_place", "not before the welcome");
        session.welcome(0, now);
        assert!(matches!(session.on_text(PING, now), Action::Pong));
        assert_eq!(code(&session.on_text(HELLO, now)), "im.frame_out_of_place");
    }

    #[test]
    fn hello_must_come_in_time() {
        let (mut session, now) = expecting();
        assert_eq!(session.next_due(), now + LIMITS.hello_within);
        assert_eq!(session.on_time(now + LIMITS.hello_within / 2), Due::Nothing);
        assert_eq!(session.on_time(now + LIMITS.hello_within), Due::Close(bye(ByeReason::HelloTimeout)));
    }

    #[test]
    fn no_more_is_read_while_too_many_messages_wait() {
        let (mut session, now) = open();
        for _ in 0..LIMITS.sends_in_flight {
            assert!(session.wants_input());
            assert!(matches!(session.on_text(SEND, now), Action::Send(_)));
        }
        assert!(!session.wants_input());
        session.answered();
        assert!(session.wants_input());
    }

    #[test]
    fn frames_that_come_too_fast_are_refused_and_then_end_it() {
        let (mut session, now) = open();
        // The first one was `hello`.
        for _ in 1..LIMITS.frames_per_second {
            assert!(matches!(session.on_text(PING, now), Action::Pong));
        }
        let Action::Refuse(error) = session.on_text(SEND, now) else { panic!("not refused") };
        assert_eq!(error.code, "im.too_many_frames");
        assert_eq!((error.client_message_id.as_deref(), error.retry_after_ms), (Some("m1"), Some(20)));
        let later = now + Duration::from_millis(20);
        assert!(matches!(session.on_text(PING, later), Action::Pong));
        let closed = (0..1000).map(|_| session.on_text(PING, later)).find(|a| matches!(a, Action::Close(_)));
        assert_eq!(code(&closed.unwrap()), "bye Flood");
    }

    #[test]
    fn typing_too_often_is_dropped_without_a_word() {
        let (mut session, now) = open();
        let typing = r#"{"type":"typing","conversationId":"5daeb07b7b968a0074945056"}"#;
        let passed = (0..10).filter(|_| matches!(session.on_text(typing, now), Action::Typing(_))).count();
        assert_eq!(passed, 3);
        assert!(matches!(session.on_text(typing, now + Duration::from_secs(20)), Action::Typing(_)));
    }

    #[test]
    fn what_is_no_frame_is_refused_a_few_times() {
        let (mut session, now) = open();
        assert_eq!(code(&session.on_text("{", now)), "im.malformed_frame");
        let Action::Refuse(error) = session.on_text(r#"{"type":"read"}"#, now) else { panic!("not refused") };
        assert_eq!(error.frame.as_deref(), Some("read"));
        let closed = (0..MAX_MALFORMED).map(|_| session.on_text("x", now)).last();
        assert_eq!(code(&closed.unwrap()), "bye ProtocolError");
    }

    #[test]
    fn a_frame_too_large_ends_it() {
        let (mut session, now) = open();
        let just = format!("{PING}{}", " ".repeat(LIMITS.max_frame_bytes - PING.len()));
        assert!(matches!(session.on_text(&just, now), Action::Pong));
        assert_eq!(code(&session.on_text(&format!("{just} "), now)), "bye FrameTooLarge");
    }

    #[test]
    fn a_silent_client_is_gone_after_two_heartbeats() {
        let (mut session, now) = open();
        assert_eq!(session.next_due(), now + LIMITS.heartbeat);
        assert_eq!(session.on_time(now + LIMITS.heartbeat), Due::Ping);
        assert_eq!(session.on_time(now + LIMITS.heartbeat), Due::Nothing, "one ping is enough");
        let late = now + LIMITS.heartbeat * 2;
        assert!(matches!(session.on_time(late), Due::Close(bye) if bye.reason == ByeReason::HeartbeatTimeout));
    }

    #[test]
    fn a_client_that_answers_stays_and_is_looked_at_again() {
        let (mut session, start) = open();
        let mut now = start;
        while now < start + LIMITS.recheck_every {
            assert_ne!(session.on_time(now), Due::Recheck);
            session.on_text(r#"{"type":"pong"}"#, now);
            now += Duration::from_secs(10);
        }
        assert_eq!(session.on_time(now), Due::Recheck);
        session.rechecked(now);
        assert_ne!(session.on_time(now), Due::Recheck);
        assert!(session.next_due() > now);
    }

    #[test]
    fn each_entry_is_sent_once() {
        let (mut session, _) = open();
        assert!(!session.admits(5), "the client has it");
        assert!(session.admits(7));
        assert!(!session.admits(7));
        session.caught_up(9);
        assert!(!session.admits(9));
        assert!(session.admits(10));
        assert_eq!(session.sent_to(), 10);
    }

    #[test]
    fn what_is_in_front_changes_only_once() {
        let (mut session, now) = open();
        let viewing = r#"{"type":"presence","viewing":"5daeb07b7b968a0074945056"}"#;
        assert!(matches!(session.on_text(viewing, now), Action::View { before: None, now: Some(_) }));
        assert!(matches!(session.on_text(viewing, now), Action::Nothing));
        let nothing = r#"{"type":"presence","viewing":null}"#;
        assert!(matches!(session.on_text(nothing, now), Action::View { before: Some(_), now: None }));
    }

    #[test]
    fn sequence_numbers_that_cannot_be_are_refused() {
        let (mut session, now) = open();
        for (frame, field) in [
            (r#"{"type":"read","conversationId":"5daeb07b7b968a0074945056","seq":-1}"#, "seq"),
            (r#"{"type":"range","conversationId":"5daeb07b7b968a0074945056","after":-1}"#, "after"),
            (r#"{"type":"range","conversationId":"5daeb07b7b968a0074945056","after":3,"before":3}"#, "before"),
        ] {
            let Action::Refuse(error) = session.on_text(frame, now) else { panic!("not refused: {frame}") };
            assert_eq!((error.code.as_str(), error.fields[0].field.as_str()), ("request.invalid", field));
        }
    }

    #[test]
    fn a_cursor_counts_only_in_its_epoch_and_up_to_the_end() {
        let head = LogHead { position: 9, epoch: "one".to_owned() };
        let start = |cursor: Option<i64>, epoch: Option<&'static str>| {
            let hello = HelloFrame { token: "t".into(), cursor, epoch: epoch.map(Into::into), device: None };
            Start::of(&hello, &head)
        };
        assert_eq!(start(None, None), Start::Now);
        assert_eq!(start(Some(9), Some("one")), Start::After(9));
        assert_eq!(start(Some(10), Some("one")), Start::Resync);
        assert_eq!(start(Some(-1), Some("one")), Start::Resync);
        assert_eq!(start(Some(9), Some("two")), Start::Resync);
        assert_eq!(start(Some(9), None), Start::Resync);
    }
}
