//! Signing in, sessions and the signed-in person on the wire.

use account::agent::Agent;
use account::captcha::CaptchaTask;
use account::challenge::{ChallengeRef, Purpose};
use account::codes::IssuedChallenge;
use account::phone_binding::CodeAnswer;
use account::profile::Me;
use account::session::{NewSession, Session};
use account::sign_in::{Role, SignedIn};
use account::staff::SignedInAgent;
use account::user::User;
use domain::id::ChallengeId;
use domain::{Actor, FieldError, Phone};
use poem_openapi::{Enum, Object};
use serde_json::Value;

use crate::http::doctors::dto::DoctorView;
use crate::http::files::links::Links;
use crate::http::patients::dto::PatientView;
use crate::http::problem::ApiError;
use crate::http::values::{Id, Instant};

/// What a code is for. All but `login` need a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case")]
pub enum CodePurpose {
    Login,
    BindPhone,
    ConfirmOldPhone,
    CloseAccount,
}

/// As whom somebody signs in; the profile is made if there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum SignInRole {
    Patient,
    Doctor,
}

/// A request for a code.
#[derive(Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct SmsCodeRequest {
    /// Phone number: 11 digits of a mainland number, or E.164.
    #[oai(validator(min_length = 3, max_length = 32))]
    pub phone: String,
    /// What the code is for; `login` unless said.
    pub purpose: Option<CodePurpose>,
    /// Answer to a captcha, where one is needed.
    #[oai(validator(max_length = 256))]
    pub captcha: Option<String>,
}

/// A code is on its way.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct SmsCodeView {
    /// Send this back with the code.
    pub challenge_id: Id,
    /// Until when the code is accepted.
    pub expires_at: Instant,
    /// Not before this can another code be asked for.
    pub resend_at: Instant,
}

/// A captcha to be solved before the next code.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct CaptchaView {
    /// Names the method. `proof_of_work`: find `n` such that SHA-256 of `challenge:n` begins with `bits` zero bits,
    /// and answer `challenge:n`.
    pub kind: String,
    /// What the method needs.
    pub params: Value,
    /// Until when the answer is accepted.
    pub expires_at: Instant,
}

/// A sign-in with an SMS code.
#[derive(Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct SmsSignInRequest {
    /// Names the code that was sent.
    pub challenge_id: Id,
    /// The six digits.
    #[oai(validator(min_length = 6, max_length = 6))]
    pub code: String,
    /// As whom to sign in.
    pub role: SignInRole,
    /// What the person calls the device, for the list of sessions.
    #[oai(validator(max_length = 100))]
    pub device_label: Option<String>,
}

/// A sign-in to the console.
#[derive(Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentSignInRequest {
    /// User name.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub username: String,
    /// Password.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub password: String,
    /// What the person calls the device, for the list of sessions.
    #[oai(validator(max_length = 100))]
    pub device_label: Option<String>,
}

/// A new password for oneself.
#[derive(Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct PasswordRequest {
    /// The present password.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub current_password: String,
    /// The new one, at least 10 characters.
    #[oai(validator(min_length = 10, max_length = 256))]
    pub new_password: String,
}

/// An answered code.
#[derive(Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct CodeAnswerRequest {
    /// Names the code that was sent.
    pub challenge_id: Id,
    /// The six digits.
    #[oai(validator(min_length = 6, max_length = 6))]
    pub code: String,
}

/// A new phone number for the signed-in account.
#[derive(Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct BindPhoneRequest {
    /// The code (`bind_phone`) sent to the new number.
    pub new: CodeAnswerRequest,
    /// The code (`confirm_old_phone`) sent to the present number; not needed within 10 minutes of signing in.
    pub old: Option<CodeAnswerRequest>,
}

/// The end of the own account.
#[derive(Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct CloseAccountRequest {
    /// The code (`close_account`) sent to the account's number; not needed within 10 minutes of signing in.
    pub proof: Option<CodeAnswerRequest>,
}

/// A signed-in device.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct SessionView {
    /// Id of the session.
    pub object_id: Id,
    /// What the person calls the device.
    pub device_label: Option<String>,
    /// Whether it is the one this request is made with.
    pub is_current: bool,
    /// When it began.
    pub created_at: Instant,
    /// When it was last used, give or take a few minutes.
    pub last_seen_at: Instant,
    /// When it ends unless it is used.
    pub expires_at: Instant,
}

/// A session that has just begun.
#[derive(Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct SignedInView {
    /// The session token, shown only now.
    pub token: String,
    /// Id of the session.
    pub session_id: Id,
    /// When the session ends unless it is used.
    pub expires_at: Instant,
    /// Whether the account was made by this sign-in.
    pub is_new: bool,
    /// Id of the account.
    pub user_id: Id,
    /// Id of the profile as a patient.
    pub patient_id: Option<Id>,
    /// Id of the profile as a doctor.
    pub doctor_id: Option<Id>,
}

/// A session of a member of staff that has just begun.
#[derive(Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct SignedInAgentView {
    /// The session token, shown only now.
    pub token: String,
    /// Id of the session.
    pub session_id: Id,
    /// When the session ends unless it is used.
    pub expires_at: Instant,
    /// The member of staff.
    pub agent: AgentView,
}

/// What a member of staff may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "lowercase")]
pub enum AgentRole {
    Agent,
    Admin,
}

/// An agent or administrator.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct AgentView {
    /// Id of the agent.
    pub object_id: Id,
    /// User name.
    pub username: String,
    /// Name shown to others.
    pub display_name: String,
    /// What they may do.
    pub role: AgentRole,
    /// Whether they may sign in.
    pub is_enabled: bool,
    /// When the account was made.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// The account of a person.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct UserView {
    /// Id of the account.
    pub object_id: Id,
    /// User name.
    pub username: String,
    /// Phone number, E.164.
    pub phone: Option<String>,
    /// Whether the number was proven with a code.
    pub is_phone_verified: bool,
    /// When the account was made.
    pub created_at: Instant,
}

/// Everything about whoever is signed in: `user` with its profiles, or `agent`.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct MeView {
    /// The account of a person.
    pub user: Option<UserView>,
    /// The profile as a patient.
    pub patient: Option<PatientView>,
    /// The profile as a doctor.
    pub doctor: Option<DoctorView>,
    /// The account of a member of staff.
    pub agent: Option<AgentView>,
}

/// Reads a phone number of a request.
///
/// # Errors
/// 400 naming `phone`.
pub fn parse_phone(text: &str) -> Result<Phone, ApiError> {
    text.parse().map_err(|malformed: domain::phone::MalformedPhone| {
        ApiError::field(FieldError::new("phone", format!("is not accepted: {malformed}")))
    })
}

impl From<CodePurpose> for Purpose {
    fn from(purpose: CodePurpose) -> Self {
        match purpose {
            CodePurpose::Login => Self::Login,
            CodePurpose::BindPhone => Self::BindPhone,
            CodePurpose::ConfirmOldPhone => Self::ConfirmOldPhone,
            CodePurpose::CloseAccount => Self::CloseAccount,
        }
    }
}

impl From<SignInRole> for Role {
    fn from(role: SignInRole) -> Self {
        match role {
            SignInRole::Patient => Self::Patient,
            SignInRole::Doctor => Self::Doctor,
        }
    }
}

impl From<CodeAnswerRequest> for CodeAnswer {
    fn from(answer: CodeAnswerRequest) -> Self {
        Self { challenge: ChallengeRef::Id(ChallengeId(answer.challenge_id.0)), code: answer.code }
    }
}

impl From<IssuedChallenge> for SmsCodeView {
    fn from(issued: IssuedChallenge) -> Self {
        Self {
            challenge_id: issued.id.into(),
            expires_at: Instant(issued.expires_at),
            resend_at: Instant(issued.resend_at),
        }
    }
}

impl From<CaptchaTask> for CaptchaView {
    fn from(task: CaptchaTask) -> Self {
        Self { kind: task.kind.to_owned(), params: task.params, expires_at: Instant(task.expires_at) }
    }
}

impl SessionView {
    pub fn of(session: Session, current: Option<Id>) -> Self {
        Self {
            object_id: session.id.into(),
            device_label: session.device_label,
            is_current: current == Some(session.id.into()),
            created_at: Instant(session.created_at),
            last_seen_at: Instant(session.last_seen_at),
            expires_at: Instant(session.expires_at),
        }
    }
}

impl From<SignedIn> for SignedInView {
    fn from(signed_in: SignedIn) -> Self {
        let NewSession { session, token } = signed_in.session;
        Self {
            token: token.reveal().to_owned(),
            session_id: session.id.into(),
            expires_at: Instant(session.expires_at),
            is_new: signed_in.is_new,
            user_id: signed_in.user.id.into(),
            patient_id: signed_in.patient.map(Id::from),
            doctor_id: signed_in.doctor.map(Id::from),
        }
    }
}

impl From<SignedInAgent> for SignedInAgentView {
    fn from(signed_in: SignedInAgent) -> Self {
        let NewSession { session, token } = signed_in.session;
        Self {
            token: token.reveal().to_owned(),
            session_id: session.id.into(),
            expires_at: Instant(session.expires_at),
            agent: signed_in.agent.into(),
        }
    }
}

impl From<account::agent::AgentRole> for AgentRole {
    fn from(role: account::agent::AgentRole) -> Self {
        match role {
            account::agent::AgentRole::Agent => Self::Agent,
            account::agent::AgentRole::Admin => Self::Admin,
        }
    }
}

impl From<AgentRole> for account::agent::AgentRole {
    fn from(role: AgentRole) -> Self {
        match role {
            AgentRole::Agent => Self::Agent,
            AgentRole::Admin => Self::Admin,
        }
    }
}

impl From<Agent> for AgentView {
    fn from(agent: Agent) -> Self {
        Self {
            object_id: agent.id.into(),
            username: agent.username,
            display_name: agent.display_name,
            role: agent.role.into(),
            is_enabled: agent.is_enabled,
            created_at: Instant(agent.created_at),
            updated_at: Instant(agent.updated_at),
        }
    }
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            object_id: user.id.into(),
            username: user.username,
            phone: user.phone.map(|phone| phone.as_e164().to_owned()),
            is_phone_verified: user.is_phone_verified,
            created_at: Instant(user.created_at),
        }
    }
}

impl MeView {
    pub fn of(me: Me, reader: &Actor, links: Links<'_>) -> Self {
        match me {
            Me::User { user, patient, doctor } => Self {
                user: Some((*user).into()),
                patient: patient.map(|patient| PatientView::of(*patient, reader, links)),
                doctor: doctor.map(|doctor| DoctorView::of(*doctor, reader, links)),
                agent: None,
            },
            Me::Staff(agent) => Self { user: None, patient: None, doctor: None, agent: Some((*agent).into()) },
        }
    }
}
