//! Who is asking, and the few questions every authorization rule is made of.

use std::sync::Arc;

use crate::id::{AgentId, DoctorId, PatientId, SessionId, UserId};
use crate::{Coded, ErrorKind};

/// The caller of an operation, established by the transport from credentials before anything else runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// No credentials at all.
    Nobody,
    /// The application's own id and key, without a session.
    App,
    /// A signed-in person, who may be a patient, a doctor or both.
    User(UserActor),
    /// A client of the realtime protocol of LeanCloud, which speaks as its client ids and nothing else.
    Client(ClientActor),
    /// A customer-service agent in the console.
    Agent(AgentId),
    /// An administrator in the console.
    Admin(AgentId),
    /// A server holding the master key.
    Integrator,
    /// The worker and the importer.
    System,
}

/// A person with a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserActor {
    pub user: UserId,
    pub session: SessionId,
    pub patient: Option<PatientId>,
    pub doctor: Option<DoctorId>,
}

/// A client of the realtime protocol of LeanCloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientActor {
    /// The client ids it speaks as: the one it opened, and those of the person that one stands for.
    pub ids: Arc<[String]>,
    /// The user it stands for, if it does.
    pub user: Option<UserId>,
}

/// Why an operation was refused before it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    #[error("sign in first")]
    Unauthenticated,
    #[error("this is not allowed for you")]
    Forbidden,
    /// The caller must not learn whether the thing exists.
    #[error("there is no such thing")]
    Hidden,
}

impl Coded for AccessError {
    fn code(&self) -> &'static str {
        match self {
            Self::Unauthenticated => "access.unauthenticated",
            Self::Forbidden => "access.forbidden",
            Self::Hidden => "access.not_found",
        }
    }

    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unauthenticated => ErrorKind::Unauthenticated,
            Self::Forbidden => ErrorKind::Forbidden,
            Self::Hidden => ErrorKind::NotFound,
        }
    }
}

impl Actor {
    pub fn patient(&self) -> Option<PatientId> {
        match self {
            Self::User(user) => user.patient,
            _ => None,
        }
    }

    pub fn doctor(&self) -> Option<DoctorId> {
        match self {
            Self::User(user) => user.doctor,
            _ => None,
        }
    }

    pub fn is_patient(&self, id: PatientId) -> bool {
        self.patient() == Some(id)
    }

    pub fn is_doctor(&self, id: DoctorId) -> bool {
        self.doctor() == Some(id)
    }

    pub fn is_admin(&self) -> bool {
        matches!(self, Self::Admin(_))
    }

    /// An agent or an administrator.
    pub fn staff(&self) -> Option<AgentId> {
        match self {
            Self::Agent(id) | Self::Admin(id) => Some(*id),
            _ => None,
        }
    }

    /// May act without belonging to the thing: administrators, integrators and the system itself.
    pub fn is_trusted(&self) -> bool {
        matches!(self, Self::Admin(_) | Self::Integrator | Self::System)
    }

    /// The refusal for this caller: `Unauthenticated` when nobody is signed in, else `refusal`.
    pub fn refuse(&self, refusal: AccessError) -> AccessError {
        match self {
            Self::Nobody | Self::App => AccessError::Unauthenticated,
            _ => refusal,
        }
    }

    /// Passes when `allowed`; otherwise refuses with [`AccessError::Forbidden`] (or `Unauthenticated`).
    ///
    /// # Errors
    /// [`AccessError`] as described.
    pub fn require(&self, allowed: bool) -> Result<(), AccessError> {
        if allowed { Ok(()) } else { Err(self.refuse(AccessError::Forbidden)) }
    }

    /// Passes when `allowed`; otherwise refuses without telling whether the thing exists.
    ///
    /// # Errors
    /// [`AccessError`] as described.
    pub fn require_visible(&self, allowed: bool) -> Result<(), AccessError> {
        if allowed { Ok(()) } else { Err(self.refuse(AccessError::Hidden)) }
    }

    /// The administrator asking.
    ///
    /// # Errors
    /// [`AccessError`] for anybody else.
    pub fn require_admin(&self) -> Result<AgentId, AccessError> {
        match self {
            Self::Admin(id) => Ok(*id),
            _ => Err(self.refuse(AccessError::Forbidden)),
        }
    }

    /// The signed-in person asking.
    ///
    /// # Errors
    /// [`AccessError`] for anybody else.
    pub fn require_user(&self) -> Result<&UserActor, AccessError> {
        match self {
            Self::User(user) => Ok(user),
            _ => Err(self.refuse(AccessError::Forbidden)),
        }
    }

    /// The signed-in patient asking.
    ///
    /// # Errors
    /// [`AccessError`] for anybody else.
    pub fn require_patient(&self) -> Result<PatientId, AccessError> {
        self.patient().ok_or_else(|| self.refuse(AccessError::Forbidden))
    }

    /// The signed-in doctor asking.
    ///
    /// # Errors
    /// [`AccessError`] for anybody else.
    pub fn require_doctor(&self) -> Result<DoctorId, AccessError> {
        self.doctor().ok_or_else(|| self.refuse(AccessError::Forbidden))
    }

    /// How the audit log and events name the actor: `patient:…`, `admin:…`, `system`.
    pub fn label(&self) -> String {
        match self {
            Self::Nobody => "nobody".into(),
            Self::App => "app".into(),
            Self::User(user) => format!("user:{}", user.user),
            Self::Client(client) => match client.user {
                Some(user) => format!("user:{user}"),
                None => "client".into(),
            },
            Self::Agent(id) => format!("agent:{id}"),
            Self::Admin(id) => format!("admin:{id}"),
            Self::Integrator => "integrator".into(),
            Self::System => "system".into(),
        }
    }
}
