//! The plain sections: what each key means and its default.

use std::net::{IpAddr, SocketAddr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use domain::id::AssistantId;
use domain::time::span;
use im::policy::{DEFAULT_ASSISTANT, ImPolicy};
use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de};

use super::duration;
use super::rate::Rate;
use super::secret::Secret;

/// How much is forgiven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// Credentials are generated, codes are shown.
    #[default]
    Development,
    /// Weak or missing secrets and development aids are refused.
    Production,
}

/// `http.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// Address and port to listen at.
    #[serde(deserialize_with = "socket_address")]
    pub listen: SocketAddr,
    /// Own address as clients see it, without a slash at the end.
    pub(super) public_url: Option<String>,
    /// Most bytes of a request that is not an upload.
    pub max_body_bytes: NonZeroUsize,
    /// Proxies whose `X-Forwarded-For` is believed, as networks in CIDR form or single addresses.
    #[serde(deserialize_with = "networks")]
    pub trusted_proxies: Vec<IpNet>,
    /// A request that takes longer is answered with 503.
    #[serde(deserialize_with = "duration::deserialize")]
    pub request_timeout: Duration,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            public_url: None,
            max_body_bytes: NonZeroUsize::MIN.saturating_add(1024 * 1024 - 1),
            trusted_proxies: Vec::new(),
            request_timeout: Duration::from_secs(30),
        }
    }
}

impl Http {
    /// The configured address, else the listening one.
    pub fn public_url(&self) -> String {
        self.public_url.clone().unwrap_or_else(|| format!("http://{}", self.listen))
    }
}

/// Which database the URL names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseKind {
    Sqlite,
    Postgres,
}

/// How surely SQLite has written before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SqliteSynchronous {
    /// An acknowledged write survives a power cut.
    #[default]
    Full,
    /// The last acknowledged writes may be lost in a power cut, never in a crash of the process.
    Normal,
}

/// `database.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Database {
    /// `sqlite://path` or `postgres://…`; may hold a password.
    pub url: Secret,
    /// Most connections to PostgreSQL of one process.
    pub max_connections: NonZeroU32,
    /// Read connections to SQLite, beside its single writer.
    pub sqlite_readers: NonZeroU32,
    pub sqlite_synchronous: SqliteSynchronous,
    /// How long a request waits for a free connection.
    #[serde(deserialize_with = "duration::deserialize")]
    pub acquire_timeout: Duration,
    /// Group commits done at the same time; 2 on SQLite and 4 on PostgreSQL unless set.
    pub(super) batch_runners: Option<NonZeroUsize>,
    /// Most writes in one group commit.
    pub batch_max: NonZeroUsize,
}

impl Default for Database {
    fn default() -> Self {
        Self {
            url: Secret::new("sqlite://data/zhaoguan.db"),
            max_connections: NonZeroU32::MIN.saturating_add(19),
            sqlite_readers: NonZeroU32::MIN.saturating_add(3),
            sqlite_synchronous: SqliteSynchronous::Full,
            acquire_timeout: Duration::from_secs(5),
            batch_runners: None,
            batch_max: NonZeroUsize::MIN.saturating_add(255),
        }
    }
}

impl Database {
    /// SQLite unless the URL says PostgreSQL; [`super::Config::load`] lets nothing else pass.
    pub fn kind(&self) -> DatabaseKind {
        let url = self.url.expose();
        let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
        if is_postgres { DatabaseKind::Postgres } else { DatabaseKind::Sqlite }
    }

    /// Group commits at the same time. SQLite has one writer: a second one is made ready while the first is written.
    pub fn batch_runners(&self) -> usize {
        let unless_set = match self.kind() {
            DatabaseKind::Sqlite => 2,
            DatabaseKind::Postgres => 4,
        };
        self.batch_runners.map_or(unless_set, NonZeroUsize::get)
    }
}

/// `files.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Files {
    /// `fs://folder`, `fs:///absolute/folder`, `memory://`, or `s3://`, `oss://`, `cos://` with bucket and prefix.
    pub url: String,
    /// Most bytes of one uploaded file.
    pub max_bytes: NonZeroUsize,
    /// Uploads of one account.
    pub uploads: Rate,
    /// How long a signed download address is good.
    #[serde(deserialize_with = "duration::deserialize")]
    pub link_lifetime: Duration,
    /// Address of the object store, e.g. `https://oss-cn-shanghai.aliyuncs.com`.
    pub endpoint: Option<String>,
    /// Region, which S3 asks for; `auto` suits most compatible stores.
    pub region: Option<String>,
    pub access_key_id: Option<String>,
    pub access_key_secret: Option<Secret>,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            url: "fs://data/files".to_owned(),
            max_bytes: NonZeroUsize::MIN.saturating_add(20 * 1024 * 1024 - 1),
            uploads: Rate::new(120, span::hours(1)),
            link_lifetime: span::hours(1),
            endpoint: None,
            region: None,
            access_key_id: None,
            access_key_secret: None,
        }
    }
}

/// `fanout.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fanout {
    /// Empty for within the process, or `nats://…`; may hold a password.
    pub url: Secret,
}

impl Default for Fanout {
    fn default() -> Self {
        Self { url: Secret::new("") }
    }
}

/// `im.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Im {
    /// Most WebSockets of one process.
    pub max_sockets: NonZeroUsize,
    /// Most WebSockets of one person on one node; one more closes the oldest.
    pub max_sockets_per_user: NonZeroUsize,
    /// Most bytes of one frame of a client.
    pub max_frame_bytes: NonZeroUsize,
    /// Frames of one socket a second, and at once. A sender that waits for each acknowledgement stays far below.
    pub frames_per_second: NonZeroU32,
    /// Frames saying that somebody is writing, of one socket a minute.
    pub typing_per_minute: NonZeroU32,
    /// Messages of one socket that may wait for their acknowledgement.
    pub sends_in_flight: NonZeroUsize,
    /// Frames that may wait for one socket before it is closed as too slow.
    pub queue_frames: NonZeroUsize,
    /// The server says something at least this often; who is silent for twice as long is gone.
    #[serde(deserialize_with = "duration::deserialize")]
    pub heartbeat: Duration,
    /// Within this a new socket must say who it is.
    #[serde(deserialize_with = "duration::deserialize")]
    pub hello_within: Duration,
    /// How often it is looked whether the session of a socket is still valid.
    #[serde(deserialize_with = "duration::deserialize")]
    pub recheck_every: Duration,
    /// Sockets come back spread over this after their node has stopped.
    #[serde(deserialize_with = "duration::deserialize")]
    pub drain_spread: Duration,
    /// A sender may recall a message for this long.
    #[serde(deserialize_with = "duration::deserialize")]
    pub recall_within: Duration,
    /// A node's presence counts for this long after its last sign of life.
    #[serde(deserialize_with = "duration::deserialize")]
    pub presence_lease: Duration,
    /// Group commits of messages at the same time; 1 on SQLite, and on PostgreSQL 1, or 2 from four processors on, unless set.
    pub(super) lanes: Option<NonZeroUsize>,
}

/// `assistant.*`: the official assistant. What can be changed while the server runs is kept in the database.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Assistant {
    /// The assistant's fixed id, which is its client id in conversations.
    pub id: AssistantId,
}

impl Default for Assistant {
    fn default() -> Self {
        Self { id: DEFAULT_ASSISTANT }
    }
}

impl Default for Im {
    fn default() -> Self {
        let policy = ImPolicy::default();
        let count = |number: usize| NonZeroUsize::MIN.saturating_add(number - 1);
        Self {
            max_sockets: count(20_000),
            max_sockets_per_user: count(8),
            max_frame_bytes: count(192 * 1024),
            frames_per_second: NonZeroU32::MIN.saturating_add(3999),
            typing_per_minute: NonZeroU32::MIN.saturating_add(39),
            sends_in_flight: count(64),
            queue_frames: count(512),
            heartbeat: Duration::from_secs(25),
            hello_within: Duration::from_secs(10),
            recheck_every: span::minutes(1),
            drain_spread: Duration::from_secs(3),
            recall_within: policy.recall_within,
            presence_lease: policy.presence_lease,
            lanes: None,
        }
    }
}

/// `app.*`: the application's credentials; in development generated when absent, see [`crate::Credentials`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct App {
    pub id: Option<String>,
    pub key: Option<Secret>,
    pub master_key: Option<Secret>,
}

/// `leancloud.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct Leancloud {
    /// Whether the LeanCloud surface is served.
    pub enabled: bool,
    /// Whether starting a consultation needs a session beside the application's key.
    pub require_session: bool,
    /// Whether its clients, which cannot solve captchas, get SMS codes without one unless the server is under attack.
    pub sms_without_captcha: bool,
    /// Whether a sign-in with a mini-program answers the key of its WeChat session, for clients that decrypt by
    /// themselves.
    pub weapp_session_key: bool,
    /// Fields of document classes to have indexes for, as `Class.field`.
    pub indexes: Vec<String>,
    /// Who may open a client id of the realtime protocol; by default everybody in development, and in production who
    /// shows a signature of the application's server or of this one.
    pub im_login: Option<ImLogin>,
    /// Which identities at other providers (`authData`) an account is found by; by default also claimed ones in
    /// development, and in production only those that are proven here.
    pub auth_data: Option<AuthData>,
    /// Most bytes of one message of a realtime client.
    pub im_max_message_bytes: NonZeroUsize,
    /// Messages, queries of history and other commands a realtime socket may send in a minute.
    pub im_sends_per_minute: NonZeroU32,
    pub im_logs_per_minute: NonZeroU32,
    pub im_commands_per_minute: NonZeroU32,
}

/// Who may open a client id of the realtime protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImLogin {
    Open,
    SessionOrSignature,
}

/// Which identities at other providers an account is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuthData {
    /// Those of a mini-program's one-time code, and anonymous ones.
    Proven,
    /// Also whatever clients say of themselves, as LeanCloud takes it.
    Claimed,
}

impl Default for Leancloud {
    fn default() -> Self {
        let per_minute = NonZeroU32::MIN.saturating_add(599);
        Self {
            enabled: true,
            require_session: false,
            sms_without_captcha: true,
            weapp_session_key: false,
            indexes: Vec::new(),
            im_login: None,
            auth_data: None,
            im_max_message_bytes: NonZeroUsize::MIN.saturating_add(5 * 1024 - 1),
            im_sends_per_minute: per_minute,
            im_logs_per_minute: per_minute,
            im_commands_per_minute: per_minute,
        }
    }
}

/// `session.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Session {
    /// A patient's or doctor's session ends when unused for this long.
    #[serde(deserialize_with = "duration::deserialize")]
    pub lifetime: Duration,
    /// `off`, or how long after the sign-in it ends however much it is used.
    #[serde(deserialize_with = "duration::deserialize_or_off")]
    pub max_age: Option<Duration>,
    /// An agent's or administrator's session ends when unused for this long.
    #[serde(deserialize_with = "duration::deserialize")]
    pub staff_lifetime: Duration,
    /// `off`, or how long after the sign-in it ends however much it is used.
    #[serde(deserialize_with = "duration::deserialize_or_off")]
    pub staff_max_age: Option<Duration>,
    /// Use is written down at most this often, so that reading does not write each time.
    #[serde(deserialize_with = "duration::deserialize")]
    pub renew_after: Duration,
    /// One sign-in more ends the session unused for longest.
    pub max_per_subject: NonZeroUsize,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            lifetime: span::days(30),
            max_age: None,
            staff_lifetime: span::hours(12),
            staff_max_age: Some(span::days(7)),
            renew_after: span::minutes(5),
            max_per_subject: NonZeroUsize::MIN.saturating_add(19),
        }
    }
}

/// `worker.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Worker {
    /// Whether the API process runs the worker; on SQLite by default, not on PostgreSQL.
    pub(super) embedded: Option<bool>,
    /// Jobs done at the same time.
    pub concurrency: NonZeroUsize,
    /// Longest pause between looking for due jobs.
    #[serde(deserialize_with = "duration::deserialize")]
    pub poll: Duration,
    /// A claimed job is given to another worker after this long without an outcome.
    #[serde(deserialize_with = "duration::deserialize")]
    pub lease: Duration,
    /// Pause between two looks at the deadlines of consultations.
    #[serde(deserialize_with = "duration::deserialize")]
    pub sweep_every: Duration,
    /// Tries before a job becomes a dead letter.
    pub max_attempts: NonZeroU32,
    /// Where a worker that is a process of its own answers `/healthz`, `/readyz` and `/metrics`; nowhere unless set.
    #[serde(deserialize_with = "some_socket_address")]
    pub listen: Option<SocketAddr>,
}

impl Default for Worker {
    fn default() -> Self {
        Self {
            embedded: None,
            concurrency: NonZeroUsize::MIN.saturating_add(7),
            poll: Duration::from_secs(1),
            lease: span::minutes(1),
            sweep_every: Duration::from_secs(15),
            max_attempts: NonZeroU32::MIN.saturating_add(9),
            listen: None,
        }
    }
}

/// Shape of the log on standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// `log.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    /// Levels by target, e.g. `info,consultation=debug`.
    pub filter: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, filter: "info".to_owned() }
    }
}

/// `security.*`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// Key for digests of codes and phones and for signed links; the same on every node.
    pub secret: Option<Secret>,
    /// Where development keeps its generated credentials.
    pub secrets_file: PathBuf,
}

impl Default for Security {
    fn default() -> Self {
        Self { secret: None, secrets_file: PathBuf::from("data/secrets.toml") }
    }
}

fn socket_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(|_malformed| de::Error::custom("is an address with a port like 127.0.0.1:3000"))
}

fn some_socket_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    socket_address(deserializer).map(Some)
}

/// Networks, or single addresses as networks of one.
pub(super) fn some_networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<IpNet>>, D::Error> {
    networks(deserializer).map(Some)
}

fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let parse = |text: &String| text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let networks: Option<Vec<IpNet>> = texts.iter().map(parse).collect();
    networks.ok_or_else(|| de::Error::custom("is a list of networks or addresses like [\"10.0.0.0/8\", \"::1\"]"))
}
