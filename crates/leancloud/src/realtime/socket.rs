//! One socket of the realtime protocol as a state machine: no input, output or waiting, so every limit can be tested.
//!
//! Whoever drives it hands in commands and the time, and does what it is told.

use std::time::{Duration, Instant};

use super::frame;
use super::policy::RealtimePolicy;
use super::refusal::{Refusal, code};
use super::wire::{CommandType, GenericCommand, OpType};

/// Frames that are no commands before the socket is closed.
const MAX_MALFORMED: u32 = 10;

/// Why a socket is closed, in LeanCloud's numbers. Clients come back after each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Farewell {
    pub code: u16,
    pub reason: &'static str,
}

/// Silence for too long.
pub const SILENT: Farewell = Farewell { code: 4107, reason: "READ_TIMEOUT" };
/// Nobody opened a session.
pub const UNUSED: Farewell = Farewell { code: 4108, reason: "LOGIN_TIMEOUT" };
/// What was sent is no protocol.
pub const GARBLED: Farewell = Farewell { code: 4114, reason: "UNPARSEABLE_RAW_MSG" };
/// The client reads too slowly, or the server goes away: it comes back and catches up.
pub const AWAY: Farewell = Farewell { code: 1001, reason: "GOING_AWAY" };

/// What is to be done about a frame.
#[derive(Clone, PartialEq)]
pub enum Action {
    Nothing,
    Answer(Box<GenericCommand>),
    /// Open a session; then [`Socket::opened`].
    Open(Box<GenericCommand>),
    /// Do what an open client asks for.
    Run {
        peer: String,
        command: Box<GenericCommand>,
    },
    Close(Farewell),
}

/// What a command counts as.
#[derive(Clone, Copy)]
enum Budget {
    Sends,
    Logs,
    Commands,
    /// Receipts and heartbeats.
    Free,
}

/// The state of one socket.
pub struct Socket {
    max_clients: usize,
    open_within: Duration,
    idle_limit: Duration,
    opened_at: Instant,
    heard_at: Instant,
    sends: Bucket,
    logs: Bucket,
    commands: Bucket,
    malformed: u32,
    is_sent_away: bool,
    peers: Vec<String>,
}

impl Socket {
    pub fn new(policy: &RealtimePolicy, now: Instant) -> Self {
        Self {
            max_clients: policy.max_clients_per_socket,
            open_within: policy.open_within,
            idle_limit: policy.idle_limit,
            opened_at: now,
            heard_at: now,
            sends: Bucket::new(policy.sends_per_minute, now),
            logs: Bucket::new(policy.logs_per_minute, now),
            commands: Bucket::new(policy.commands_per_minute, now),
            malformed: 0,
            is_sent_away: false,
            peers: Vec::new(),
        }
    }

    /// Takes a frame.
    pub fn on_frame(&mut self, read: Result<GenericCommand, Refusal>, now: Instant) -> Action {
        self.heard_at = now;
        let command = match read {
            Ok(command) => command,
            Err(refusal) => {
                self.malformed += 1;
                let is_hopeless = self.malformed > MAX_MALFORMED;
                return if is_hopeless { Action::Close(GARBLED) } else { answer(None, &refusal) };
            }
        };
        let Some(cmd) = command.cmd.and_then(|cmd| CommandType::try_from(cmd).ok()) else {
            return answer(command.i, &Refusal::not_supported("this command"));
        };
        if cmd == CommandType::Echo {
            let echo = GenericCommand { i: command.i, peer_id: command.peer_id, ..frame::command(cmd, None) };
            return Action::Answer(Box::new(echo));
        }
        let is_in_budget = match budget_of(cmd) {
            Budget::Sends => self.sends.take(now),
            Budget::Logs => self.logs.take(now),
            Budget::Commands => self.commands.take(now),
            Budget::Free => true,
        };
        if !is_in_budget {
            return answer(command.i, &Refusal::new(code::TOO_FAST, "TOO_MANY_REQUESTS"));
        }
        if cmd == CommandType::Session && command.op == Some(OpType::Open.into()) {
            let is_new = command.peer_id.as_ref().is_none_or(|peer| !self.peers.contains(peer));
            if is_new && self.peers.len() >= self.max_clients {
                return answer(command.i, &Refusal::new(code::TOO_FAST, "TOO_MANY_CLIENTS"));
            }
            return Action::Open(Box::new(command));
        }
        // How live queries begin, which asks for no session.
        if cmd == CommandType::Login {
            return answer(command.i, &Refusal::not_supported("live queries"));
        }
        match self.peer_of(&command) {
            Some(peer) => Action::Run { peer, command: Box::new(command) },
            None => answer(command.i, &Refusal::new(code::NO_SESSION, "SESSION_REQUIRED")),
        }
    }

    /// Takes a sign of life below the frames.
    pub const fn on_sign_of_life(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// A session was opened.
    pub fn opened(&mut self, peer: &str) {
        if !self.peers.iter().any(|known| known == peer) {
            self.peers.push(peer.to_owned());
        }
    }

    /// A session is over.
    pub fn closed(&mut self, peer: &str) {
        self.peers.retain(|known| known != peer);
    }

    /// The server goes away: the command that says so, once.
    pub fn send_away(&mut self) -> Option<GenericCommand> {
        (!std::mem::replace(&mut self.is_sent_away, true)).then(|| frame::command(CommandType::Goaway, None))
    }

    /// When [`Socket::on_time`] is to be called next.
    pub fn next_due(&self) -> Instant {
        let silent = self.heard_at + self.idle_limit;
        if self.peers.is_empty() { silent.min(self.opened_at + self.open_within) } else { silent }
    }

    /// Whether it is time to close.
    pub fn on_time(&mut self, now: Instant) -> Option<Farewell> {
        if now >= self.heard_at + self.idle_limit {
            return Some(SILENT);
        }
        let is_unused = self.peers.is_empty() && now >= self.opened_at + self.open_within;
        is_unused.then_some(UNUSED)
    }

    /// Who speaks: clients leave their id out while they are alone on the socket.
    fn peer_of(&self, command: &GenericCommand) -> Option<String> {
        match command.peer_id.as_deref().filter(|peer| !peer.is_empty()) {
            Some(peer) => self.peers.iter().find(|known| *known == peer).cloned(),
            None if self.peers.len() == 1 => self.peers.first().cloned(),
            None => None,
        }
    }
}

const fn budget_of(cmd: CommandType) -> Budget {
    match cmd {
        CommandType::Direct => Budget::Sends,
        CommandType::Logs => Budget::Logs,
        CommandType::Ack | CommandType::Read | CommandType::Rcp | CommandType::Echo => Budget::Free,
        _ => Budget::Commands,
    }
}

fn answer(i: Option<i32>, refusal: &Refusal) -> Action {
    Action::Answer(Box::new(GenericCommand { i, ..frame::error(refusal) }))
}

/// So many a minute, all of which may come at once.
struct Bucket {
    most: f64,
    left: f64,
    filled_at: Instant,
}

impl Bucket {
    fn new(per_minute: u32, now: Instant) -> Self {
        let most = f64::from(per_minute);
        Self { most, left: most, filled_at: now }
    }

    fn take(&mut self, now: Instant) -> bool {
        let waited = now.saturating_duration_since(self.filled_at).as_secs_f64();
        self.filled_at = now;
        self.left = (self.left + waited * self.most / 60.0).min(self.most);
        let has_one = self.left >= 1.0;
        if has_one {
            self.left -= 1.0;
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Driven {
        socket: Socket,
        now: Instant,
    }

    impl Driven {
        fn new(policy: &RealtimePolicy) -> Self {
            let now = Instant::now();
            Self { socket: Socket::new(policy, now), now }
        }

        fn command(&mut self, cmd: CommandType, op: Option<OpType>, peer: Option<&str>) -> Action {
            let command = GenericCommand { i: Some(7), peer_id: peer.map(str::to_owned), ..frame::command(cmd, op) };
            self.socket.on_frame(Ok(command), self.now)
        }

        fn refused(&mut self, cmd: CommandType, peer: Option<&str>) -> i32 {
            match self.command(cmd, None, peer) {
                Action::Answer(answer) => {
                    assert_eq!(answer.i, Some(7));
                    answer.error_message.map(|error| error.code).unwrap_or_default()
                }
                _ => 0,
            }
        }
    }

    #[test]
    fn nothing_is_done_before_a_session_is_open() {
        let mut driven = Driven::new(&RealtimePolicy::default());
        for cmd in [CommandType::Conv, CommandType::Direct, CommandType::Logs, CommandType::Patch, CommandType::Read] {
            assert_eq!(driven.refused(cmd, None), code::NO_SESSION);
            assert_eq!(driven.refused(cmd, Some("tom")), code::NO_SESSION);
        }
        assert!(matches!(driven.command(CommandType::Session, Some(OpType::Open), Some("tom")), Action::Open(_)));
    }

    #[test]
    fn a_client_alone_leaves_its_id_out_and_of_several_each_says_who_it_is() {
        let mut driven = Driven::new(&RealtimePolicy::default());
        driven.socket.opened("tom");
        let run = |action| matches!(action, Action::Run { peer, .. } if peer == "tom");
        assert!(run(driven.command(CommandType::Conv, Some(OpType::Query), None)));
        driven.socket.opened("jerry");
        assert_eq!(driven.refused(CommandType::Conv, None), code::NO_SESSION);
        assert!(run(driven.command(CommandType::Conv, Some(OpType::Query), Some("tom"))));
        driven.socket.closed("jerry");
        assert!(run(driven.command(CommandType::Conv, Some(OpType::Query), None)));
        assert_eq!(driven.refused(CommandType::Conv, Some("jerry")), code::NO_SESSION);
    }

    #[test]
    fn what_comes_too_fast_is_refused_and_answered() {
        let mut driven = Driven::new(&RealtimePolicy { sends_per_minute: 2, logs_per_minute: 1, ..Default::default() });
        driven.socket.opened("tom");
        let sent: Vec<i32> = (0..3).map(|_| driven.refused(CommandType::Direct, None)).collect();
        assert_eq!(sent, [0, 0, code::TOO_FAST]);
        assert_eq!([0; 2].map(|_| driven.refused(CommandType::Logs, None)), [0, code::TOO_FAST]);
        driven.now += Duration::from_secs(31);
        assert_eq!(driven.refused(CommandType::Direct, None), 0);
    }

    #[test]
    fn heartbeats_are_answered_and_unknown_commands_refused() {
        let mut driven = Driven::new(&RealtimePolicy::default());
        match driven.command(CommandType::Echo, None, None) {
            Action::Answer(echo) => assert!(echo.cmd() == CommandType::Echo && echo.i == Some(7)),
            _ => panic!("an echo is answered"),
        }
        assert_eq!(driven.refused(CommandType::Login, None), code::NOT_SUPPORTED);
        let unknown = GenericCommand { cmd: Some(99), i: Some(7), ..GenericCommand::default() };
        assert!(matches!(driven.socket.on_frame(Ok(unknown), driven.now), Action::Answer(_)));
    }

    #[test]
    fn garbage_is_answered_a_few_times_and_then_the_socket_is_closed() {
        let mut driven = Driven::new(&RealtimePolicy::default());
        for _ in 0..MAX_MALFORMED {
            assert!(matches!(driven.socket.on_frame(Err(Refusal::malformed()), driven.now), Action::Answer(_)));
        }
        assert!(driven.socket.on_frame(Err(Refusal::malformed()), driven.now) == Action::Close(GARBLED));
    }

    #[test]
    fn goaway_is_said_once() {
        let mut driven = Driven::new(&RealtimePolicy::default());
        assert!(driven.socket.send_away().is_some_and(|away| away.cmd() == CommandType::Goaway));
        assert!(driven.socket.send_away().is_none());
    }

    #[test]
    fn sockets_nobody_uses_are_closed() {
        let policy = RealtimePolicy::default();
        let mut driven = Driven::new(&policy);
        assert_eq!(driven.socket.on_time(driven.now), None);
        assert_eq!(driven.socket.on_time(driven.now + policy.open_within), Some(UNUSED));
        driven.socket.opened("tom");
        assert_eq!(driven.socket.on_time(driven.now + policy.open_within), None);
        assert_eq!(driven.socket.next_due(), driven.now + policy.idle_limit);
        assert_eq!(driven.socket.on_time(driven.now + policy.idle_limit), Some(SILENT));
    }

    #[test]
    fn a_socket_takes_so_many_clients() {
        let mut driven = Driven::new(&RealtimePolicy { max_clients_per_socket: 1, ..Default::default() });
        driven.socket.opened("tom");
        assert!(matches!(driven.command(CommandType::Session, Some(OpType::Open), Some("tom")), Action::Open(_)));
        assert!(matches!(driven.command(CommandType::Session, Some(OpType::Open), Some("x")), Action::Answer(_)));
    }
}
