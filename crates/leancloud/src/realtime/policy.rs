//! The settings of the realtime protocol.

use std::time::Duration;

use domain::time::span;

/// Who may open a client id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoginPolicy {
    /// Whoever has the application's id, as LeanCloud does unless signatures are switched on.
    #[default]
    Open,
    /// Only whoever shows a signature: of the application's own server, or of this one for a session.
    SessionOrSignature,
}

/// Settings; [`RealtimePolicy::default`] is the documented default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealtimePolicy {
    pub login: LoginPolicy,
    /// How long a client believes in its session token before it has it refreshed.
    pub ticket_refresh: Duration,
    /// How long a session token is good when it is not used.
    pub ticket_lifetime: Duration,
    /// Most bytes of one message.
    pub max_message_bytes: usize,
    /// Most bytes of one frame.
    pub max_frame_bytes: usize,
    pub sends_per_minute: u32,
    pub logs_per_minute: u32,
    pub commands_per_minute: u32,
    /// Most clients on one socket.
    pub max_clients_per_socket: usize,
    pub max_members: usize,
    /// A socket on which nobody opened a session is closed after this.
    pub open_within: Duration,
    /// A socket that is silent for this long is closed.
    pub idle_limit: Duration,
    /// Client id of the official assistant, which nobody opens.
    pub assistant: Option<String>,
}

impl Default for RealtimePolicy {
    fn default() -> Self {
        Self {
            login: LoginPolicy::Open,
            ticket_refresh: span::days(2),
            ticket_lifetime: span::days(60),
            max_message_bytes: 5 * 1024,
            max_frame_bytes: 64 * 1024,
            sends_per_minute: 600,
            logs_per_minute: 600,
            commands_per_minute: 600,
            max_clients_per_socket: 20,
            max_members: 500,
            open_within: Duration::from_mins(1),
            idle_limit: Duration::from_secs(400),
            assistant: None,
        }
    }
}
