//! The apps this deployment has with the platform.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::secret::Secret;

/// What an app is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppKind {
    Miniprogram,
    ServiceAccount,
}

impl AppKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Miniprogram => "miniprogram",
            Self::ServiceAccount => "service_account",
        }
    }
}

/// Whose app it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    Patient,
    Doctor,
}

impl Audience {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Patient => "patient",
            Self::Doctor => "doctor",
        }
    }
}

/// How pushed messages are encrypted. Fixed by the configuration; what a request says about it does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushMode {
    Plain,
    Compat,
    Safe,
}

impl PushMode {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Compat => "compat",
            Self::Safe => "safe",
        }
    }
}

/// How pushed messages are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PushFormat {
    Xml,
    Json,
}

/// How an app receives pushed messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushSettings {
    pub token: Secret,
    pub aes_key: Option<Secret>,
    pub mode: PushMode,
    pub format: PushFormat,
}

/// Which published version of a mini-program links and messages open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EnvVersion {
    #[default]
    Release,
    Trial,
    Develop,
}

impl EnvVersion {
    /// As `env_version` of codes and links.
    pub const fn of_link(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Trial => "trial",
            Self::Develop => "develop",
        }
    }

    /// As `miniprogram_state` of a message.
    pub const fn of_message(self) -> &'static str {
        match self {
            Self::Release => "formal",
            Self::Trial => "trial",
            Self::Develop => "developer",
        }
    }
}

/// One app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Own name, part of its callback address.
    pub name: String,
    pub appid: String,
    pub secret: Secret,
    pub kind: AppKind,
    pub audience: Audience,
    pub push: Option<PushSettings>,
    /// The platform's template ids by logical name.
    pub templates: BTreeMap<String, String>,
    /// Page an invitation code opens; the home page when unset.
    pub invitation_page: Option<String>,
    /// Page a message opens; `{consultationId}` is filled in.
    pub message_page: Option<String>,
    pub env_version: EnvVersion,
}

impl App {
    pub fn is_miniprogram(&self) -> bool {
        self.kind == AppKind::Miniprogram
    }
}

/// All apps, in the order of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Apps(Arc<[App]>);

impl Apps {
    pub fn new(apps: Vec<App>) -> Self {
        Self(apps.into())
    }

    pub fn find(&self, name: &str) -> Option<&App> {
        self.0.iter().find(|app| app.name == name)
    }

    /// The apps of one kind for one audience.
    pub fn of(&self, kind: AppKind, audience: Audience) -> impl Iterator<Item = &App> {
        self.0.iter().filter(move |app| app.kind == kind && app.audience == audience)
    }

    pub fn iter(&self) -> impl Iterator<Item = &App> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
