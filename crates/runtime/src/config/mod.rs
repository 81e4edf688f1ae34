//! Settings: defaults, then `zhaoguan.toml`, then `ZHAOGUAN__SECTION__KEY` variables. A key that is unknown,
//! badly written or unsafe for the profile stops the start with a message naming it and where it was set.

mod accounts;
mod business;
mod channels;
mod duration;
mod layers;
mod problem;
mod rate;
mod secret;
mod sections;
#[cfg(test)]
mod tests;
mod validate;

use std::num::NonZeroUsize;

use consultation::policy::ConsultationPolicy;
use im::policy::ImPolicy;
use im::session::SessionLimits;
use serde::Deserialize;

pub use business::{Business, DoctorClosed};
pub use channels::{
    AliyunSms, Audience, ContentChecks, EnvVersion, OnNoVerdict, PushFormat, PushMode, Sms, SmsLimits, SmsProvider,
    SmsTemplate, TencentSms, WebhookSms, Wechat, WechatApp, WechatAppKind,
};
pub use layers::{ConfigSources, DEFAULT_FILE, FILE_VARIABLE, PREFIX};
pub use problem::{ConfigError, Problem};
pub use rate::Rate;
pub use secret::Secret;
pub use sections::{
    App, Assistant, AuthData, Database, DatabaseKind, Fanout, Files, Http, Im, ImLogin, Leancloud, Log, LogFormat,
    Profile, Security, Session, SqliteSynchronous, Worker,
};

/// All settings of a process. `Debug` shows no secret.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub profile: Profile,
    pub http: Http,
    pub database: Database,
    pub files: Files,
    pub fanout: Fanout,
    pub im: Im,
    pub assistant: Assistant,
    pub app: App,
    pub leancloud: Leancloud,
    pub business: Business,
    pub session: Session,
    pub worker: Worker,
    pub wechat: Wechat,
    pub sms: Sms,
    pub log: Log,
    pub security: Security,
}

impl Config {
    /// Reads and checks the settings.
    ///
    /// # Errors
    /// [`ConfigError`] listing every key at fault that could be found.
    pub fn load(sources: &ConfigSources) -> Result<Self, ConfigError> {
        let figment = sources.figment()?;
        // Lossy: text from the environment becomes a number or a boolean where one is expected.
        let config: Self = figment.extract_lossy()?;
        let mut problems = validate::problems(&config);
        if problems.is_empty() {
            return Ok(config);
        }
        for problem in &mut problems {
            // figment finds no items of lists, so an item's origin is that of its list.
            let list_or_key = problem.key.split(".0").next().unwrap_or(&problem.key);
            problem.origin = figment.find_metadata(list_or_key).map(|metadata| metadata.name.clone().into_owned());
        }
        Err(ConfigError { problems })
    }

    /// What is allowed but probably not meant; one sentence each, naming the key.
    pub fn warnings(&self) -> Vec<String> {
        validate::warnings(self)
    }

    pub fn is_production(&self) -> bool {
        self.profile == Profile::Production
    }

    /// The settings of the consultation rules.
    pub fn consultation_policy(&self) -> ConsultationPolicy {
        self.business.policy(self.leancloud.require_session)
    }

    /// The settings of the messaging rules.
    pub fn im_policy(&self) -> ImPolicy {
        ImPolicy {
            recall_within: self.im.recall_within,
            presence_lease: self.im.presence_lease,
            assistant: self.assistant.id,
        }
    }

    /// What one WebSocket may do.
    pub fn session_limits(&self) -> SessionLimits {
        SessionLimits {
            hello_within: self.im.hello_within,
            heartbeat: self.im.heartbeat,
            recheck_every: self.im.recheck_every,
            max_frame_bytes: self.im.max_frame_bytes.get(),
            frames_per_second: self.im.frames_per_second.get(),
            typing_per_minute: self.im.typing_per_minute.get(),
            sends_in_flight: self.im.sends_in_flight.get(),
        }
    }

    /// Group commits of messages at the same time: never more than one on SQLite, which has one writer. On PostgreSQL a
    /// second one spends its waiting for the disk, but halves the batches: it pays where a processor is idle meanwhile.
    pub fn message_lanes(&self) -> usize {
        match self.database.kind() {
            DatabaseKind::Sqlite => 1,
            DatabaseKind::Postgres => self.im.lanes.map_or_else(lanes_of_this_machine, NonZeroUsize::get),
        }
    }

    /// Whether the API process runs the worker itself.
    pub fn worker_is_embedded(&self) -> bool {
        self.worker.embedded.unwrap_or_else(|| self.database.kind() == DatabaseKind::Sqlite)
    }

    /// The SMS providers in order of preference.
    pub fn sms_providers(&self) -> &[SmsProvider] {
        match (&self.sms.providers, self.profile) {
            (Some(providers), _) => providers,
            (None, Profile::Development) => &[SmsProvider::Log],
            (None, Profile::Production) => &[],
        }
    }
}

/// One, and two from four processors on, which the database shares.
fn lanes_of_this_machine() -> usize {
    std::thread::available_parallelism().map_or(1, |processors| (processors.get() / 2).clamp(1, 2))
}
