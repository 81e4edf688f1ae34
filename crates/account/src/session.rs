//! Sessions: opaque tokens, stored hashed, sliding, revocable one by one.

use std::time::Duration;

use async_trait::async_trait;
use domain::actor::UserActor;
use domain::id::{AgentId, DoctorId, PatientId, SessionId, UserId};
use domain::rng::SecureRandom;
use domain::time::span;
use domain::{Actor, StoreError, Timestamp};
use sha2::{Digest, Sha256};

use crate::agent::AgentRole;
use crate::service::Accounts;
use crate::unit::AccountUnit;
use crate::{AccountError, text};

/// Length of a token in base62 characters: 256 bits.
const TOKEN_CHARS: usize = 43;
/// Longest token that is looked at, in bytes.
const MAX_TOKEN_BYTES: usize = 256;
/// Most characters kept of a device's label.
pub const MAX_DEVICE_LABEL_CHARS: usize = 80;
/// Most characters kept of why a device is signed out.
pub const MAX_REVOKE_REASON_CHARS: usize = 100;

/// The reasons sockets are told when nobody gave one.
pub const REVOKED: &str = "revoked";
pub const SIGNED_OUT: &str = "signed_out";
pub(crate) const ACCOUNT_CLOSED: &str = "account_closed";
const REPLACED: &str = "replaced";

/// What the client holds. No revealing `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionToken(String);

impl SessionToken {
    /// A fresh token.
    pub fn generate(random: &dyn SecureRandom) -> Self {
        Self(random.base62(TOKEN_CHARS))
    }

    /// A token as a client or an export shows it; any text is taken, most match nothing.
    pub fn shown(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The token itself. Never log it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored: SHA-256, which is enough for 256 random bits.
    pub fn hash(&self) -> TokenHash {
        TokenHash(hex::encode(Sha256::digest(&self.0)))
    }
}

impl std::fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionToken")
    }
}

/// Lower-case hex SHA-256 of a token.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TokenHash(pub String);

/// Whose session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionSubject {
    User(UserId),
    Agent(AgentId),
}

/// One signed-in device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    pub id: SessionId,
    pub subject: SessionSubject,
    pub token_hash: TokenHash,
    /// What the person calls the device, e.g. `iPhone 15`.
    pub device_label: Option<String>,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub expires_at: Timestamp,
}

/// A session and what is known of its subject: what it takes to name the [`Actor`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionContext {
    pub session: Session,
    /// Of a user: the profiles linked to it.
    pub patient: Option<PatientId>,
    pub doctor: Option<DoctorId>,
    /// Of an agent: the role, unless disabled.
    pub staff_role: Option<AgentRole>,
}

impl SessionContext {
    /// Who is asking; `None` for an agent that is disabled.
    pub fn actor(&self) -> Option<Actor> {
        match self.session.subject {
            SessionSubject::User(user) => Some(Actor::User(UserActor {
                user,
                session: self.session.id,
                patient: self.patient,
                doctor: self.doctor,
            })),
            SessionSubject::Agent(agent) => self.staff_role.map(|role| role.actor(agent)),
        }
    }
}

/// How long the sessions of one kind of subject last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLifetime {
    /// Ends when not used for this long; each use renews it.
    pub idle: Duration,
    /// Ends this long after the sign-in however much it is used; off when `None`.
    pub absolute: Option<Duration>,
}

/// Settings of sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionSettings {
    /// Default: 30 days without use.
    pub user: SessionLifetime,
    /// Default: 12 hours without use, 7 days in all.
    pub agent: SessionLifetime,
    /// Use is written down, and the session renewed, at most once within this time. Default 5 minutes.
    pub touch_every: Duration,
    /// A further sign-in beyond this many ends the one unused for longest. Default 20.
    pub max_per_subject: usize,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            user: SessionLifetime { idle: span::days(30), absolute: None },
            agent: SessionLifetime { idle: span::hours(12), absolute: Some(span::days(7)) },
            touch_every: span::minutes(5),
            max_per_subject: 20,
        }
    }
}

impl SessionSettings {
    fn lifetime(&self, subject: SessionSubject) -> SessionLifetime {
        match subject {
            SessionSubject::User(_) => self.user,
            SessionSubject::Agent(_) => self.agent,
        }
    }

    fn expiry(&self, subject: SessionSubject, created_at: Timestamp, now: Timestamp) -> Timestamp {
        let SessionLifetime { idle, absolute } = self.lifetime(subject);
        absolute.map_or(now + idle, |longest| (now + idle).min(created_at + longest))
    }

    /// A session that begins now. Imported tokens begin at the import.
    pub fn begin(
        &self,
        id: SessionId,
        subject: SessionSubject,
        token: &SessionToken,
        device_label: Option<String>,
        now: Timestamp,
    ) -> Session {
        Session {
            id,
            subject,
            token_hash: token.hash(),
            device_label,
            created_at: now,
            last_seen_at: now,
            expires_at: self.expiry(subject, now, now),
        }
    }

    /// The session after being used now, if that is worth writing down.
    pub fn touched(&self, session: &Session, now: Timestamp) -> Option<Session> {
        let is_due = now.since(session.last_seen_at) >= self.touch_every;
        is_due.then(|| Session {
            last_seen_at: now,
            expires_at: self.expiry(session.subject, session.created_at, now),
            ..session.clone()
        })
    }
}

/// Stores sessions. Revoked ones are as good as absent.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SessionRepository: Send {
    async fn insert(&mut self, session: &Session) -> Result<(), StoreError>;
    /// The session of this token with its subject's profiles or role, unless revoked or of a closed account. The caller
    /// checks the expiry.
    async fn find_active(&mut self, token_hash: &TokenHash) -> Result<Option<SessionContext>, StoreError>;
    /// The sessions of a subject that are neither revoked nor expired, last used first.
    async fn list(&mut self, subject: SessionSubject, now: Timestamp) -> Result<Vec<Session>, StoreError>;
    /// Writes `last_seen_at` and `expires_at`, unless the session was revoked meanwhile.
    async fn touch(&mut self, session: &Session) -> Result<(), StoreError>;
    /// Revokes one session of the subject, whose open sockets are then closed with the reason; false if there is no
    /// such active one.
    async fn revoke(
        &mut self,
        subject: SessionSubject,
        id: SessionId,
        reason: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Revokes all sessions of the subject but `keep`; returns how many.
    async fn revoke_all(
        &mut self,
        subject: SessionSubject,
        keep: Option<SessionId>,
        now: Timestamp,
    ) -> Result<u64, StoreError>;
    /// Deletes sessions revoked or expired before `before`; returns how many.
    async fn purge(&mut self, before: Timestamp) -> Result<u64, StoreError>;
}

/// Who a token stands for, and through which session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedSession {
    pub actor: Actor,
    pub session: Session,
}

/// A session that was just begun, with the only showing of its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSession {
    pub session: Session,
    pub token: SessionToken,
}

impl Accounts {
    /// Who holds this token; `None` when it is unknown, revoked or expired. Use renews the session.
    ///
    /// # Errors
    /// [`AccountError::Store`].
    pub async fn resolve(&self, token: &SessionToken) -> Result<Option<ResolvedSession>, AccountError> {
        let now = self.clock.now();
        if token.reveal().is_empty() || token.reveal().len() > MAX_TOKEN_BYTES {
            return Ok(None);
        }
        let Some(context) = self.store.read().sessions().find_active(&token.hash()).await? else {
            return Ok(None);
        };
        let (Some(actor), true) = (context.actor(), context.session.expires_at > now) else {
            return Ok(None);
        };
        if let Some(touched) = self.settings.sessions.touched(&context.session, now) {
            // A busy database must not sign people out: the next use tries again.
            if let Err(error) = self.touch(&touched).await {
                tracing::warn!(session.id = %touched.id, error = &error as &dyn std::error::Error, "session not renewed");
            }
        }
        Ok(Some(ResolvedSession { actor, session: context.session }))
    }

    async fn touch(&self, session: &Session) -> Result<(), StoreError> {
        let mut unit = self.store.begin().await?;
        unit.sessions().touch(session).await?;
        unit.commit().await
    }

    /// Begins a session inside a unit, ending the least used one when there are too many.
    pub(crate) async fn begin_session(
        &self,
        unit: &mut dyn AccountUnit,
        subject: SessionSubject,
        device_label: Option<&str>,
    ) -> Result<NewSession, AccountError> {
        let now = self.clock.now();
        let active = unit.sessions().list(subject, now).await?;
        for excess in active.iter().skip(self.settings.sessions.max_per_subject.saturating_sub(1)) {
            unit.sessions().revoke(subject, excess.id, REPLACED, now).await?;
        }
        let token = SessionToken::generate(self.random.as_ref());
        let label = device_label.map(|label| text::shortened(label, MAX_DEVICE_LABEL_CHARS)).filter(|l| !l.is_empty());
        let session = self.settings.sessions.begin(SessionId(self.ids.next()), subject, &token, label, now);
        unit.sessions().insert(&session).await?;
        Ok(NewSession { session, token })
    }

    /// The caller's signed-in devices, last used first.
    ///
    /// # Errors
    /// [`AccountError::Access`] without a session.
    pub async fn list_sessions(&self, actor: &Actor) -> Result<Vec<Session>, AccountError> {
        let subject = subject_of(actor)?;
        Ok(self.store.read().sessions().list(subject, self.clock.now()).await?)
    }

    /// Signs one of the caller's devices out; its sockets are told the reason.
    ///
    /// # Errors
    /// [`AccountError::Access`] without a session, or when the session is not the caller's.
    pub async fn revoke_session(&self, actor: &Actor, id: SessionId, reason: Option<&str>) -> Result<(), AccountError> {
        let subject = subject_of(actor)?;
        let reason = reason.map(|reason| text::shortened(reason, MAX_REVOKE_REASON_CHARS));
        let reason = reason.filter(|reason| !reason.is_empty());
        let mut unit = self.store.begin().await?;
        let reason = reason.as_deref().unwrap_or(REVOKED);
        let was_active = unit.sessions().revoke(subject, id, reason, self.clock.now()).await?;
        actor.require_visible(was_active)?;
        unit.audit().append_all(&[self.audit_event(actor, "session.revoke", format!("session:{id}"))]).await?;
        Ok(unit.commit().await?)
    }

    /// Signs all of the caller's devices out, except `keep`; answers how many.
    ///
    /// # Errors
    /// [`AccountError::Access`] without a session.
    pub async fn revoke_all_sessions(&self, actor: &Actor, keep: Option<SessionId>) -> Result<u64, AccountError> {
        let subject = subject_of(actor)?;
        let mut unit = self.store.begin().await?;
        let revoked = unit.sessions().revoke_all(subject, keep, self.clock.now()).await?;
        unit.audit().append_all(&[self.audit_event(actor, "session.revoke_all", actor.label())]).await?;
        unit.commit().await?;
        Ok(revoked)
    }

    /// Replaces the caller's current session by a new one; the old token is dead.
    ///
    /// # Errors
    /// [`AccountError::Access`] unless a user is signed in.
    pub async fn replace_session(&self, actor: &Actor) -> Result<NewSession, AccountError> {
        let user = actor.require_user()?;
        let subject = SessionSubject::User(user.user);
        let mut unit = self.store.begin().await?;
        let was_active = unit.sessions().revoke(subject, user.session, REPLACED, self.clock.now()).await?;
        actor.require_visible(was_active)?;
        let new = self.begin_session(unit.as_mut(), subject, None).await?;
        unit.audit()
            .append_all(&[self.audit_event(actor, "session.replace", format!("session:{}", new.session.id))])
            .await?;
        unit.commit().await?;
        Ok(new)
    }
}

fn subject_of(actor: &Actor) -> Result<SessionSubject, AccountError> {
    match actor {
        Actor::User(user) => Ok(SessionSubject::User(user.user)),
        Actor::Agent(id) | Actor::Admin(id) => Ok(SessionSubject::Agent(*id)),
        other => Err(other.refuse(domain::actor::AccessError::Forbidden).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::{Fixture, fixture, just_under};

    async fn signed_in(f: &Fixture) -> (Actor, SessionToken) {
        let signed = f.sign_in("13900000000").await;
        let token = signed.session.token;
        (f.accounts.resolve(&token).await.unwrap().unwrap().actor, token)
    }

    #[test]
    fn tokens_are_hashed_and_hidden() {
        let token = SessionToken::shown("6spsc3lkr2aqxv9upctnwlavy");
        assert_eq!(token.hash().0.len(), 64);
        assert_eq!(format!("{token:?}"), "SessionToken");
    }

    #[tokio::test]
    async fn a_fresh_token_has_256_bits_and_names_its_user() {
        let f = fixture();
        let (actor, token) = signed_in(&f).await;
        assert_eq!(token.reveal().len(), 43);
        assert!(actor.patient().is_some());
        assert!(f.accounts.resolve(&SessionToken::shown("unknown")).await.unwrap().is_none());
        assert!(f.accounts.resolve(&SessionToken::shown("")).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn use_renews_a_session_and_silence_ends_it() {
        let f = fixture();
        let (_, token) = signed_in(&f).await;
        for _ in 0..3 {
            f.clock.advance(just_under(span::days(30)));
            assert!(f.accounts.resolve(&token).await.unwrap().is_some());
        }
        f.clock.advance(span::days(30));
        assert!(f.accounts.resolve(&token).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn use_is_written_down_at_most_every_five_minutes() {
        let f = fixture();
        let (_, token) = signed_in(&f).await;
        let begun = f.clock.now();
        f.clock.advance(just_under(span::minutes(5)));
        f.accounts.resolve(&token).await.unwrap();
        assert_eq!(f.state().sessions[0].session.last_seen_at, begun);
        f.clock.advance(Duration::from_millis(1));
        f.accounts.resolve(&token).await.unwrap();
        assert_eq!(f.state().sessions[0].session.last_seen_at, begun + span::minutes(5));
    }

    #[test]
    fn an_absolute_limit_caps_the_renewal() {
        let settings = SessionSettings::default();
        let subject = SessionSubject::Agent(AgentId(domain::ObjectId::from_parts(1, [0; 5], 1)));
        let id = SessionId(domain::ObjectId::from_parts(1, [0; 5], 2));
        let begun = Timestamp::from_millis(0);
        let session = settings.begin(id, subject, &SessionToken::shown("t"), None, begun);
        assert_eq!(session.expires_at, begun + span::hours(12));
        let late = settings.touched(&session, begun + span::days(7) - span::hours(1)).unwrap();
        assert_eq!(late.expires_at, begun + span::days(7));
    }

    #[tokio::test]
    async fn one_device_can_be_signed_out_and_only_by_its_owner() {
        let f = fixture();
        let (actor, token) = signed_in(&f).await;
        f.clock.advance(span::minutes(2));
        let other = f.sign_in("13900000001").await;
        let stranger = f.accounts.resolve(&other.session.token).await.unwrap().unwrap().actor;
        let id = f.accounts.list_sessions(&actor).await.unwrap()[0].id;
        assert!(f.accounts.revoke_session(&stranger, id, None).await.is_err());
        assert!(f.accounts.resolve(&token).await.unwrap().is_some());
        f.accounts.revoke_session(&actor, id, None).await.unwrap();
        assert!(f.accounts.resolve(&token).await.unwrap().is_none());
        assert!(f.accounts.revoke_session(&actor, id, None).await.is_err(), "it is gone");
        assert!(f.accounts.list_sessions(&Actor::App).await.is_err());
    }

    #[tokio::test]
    async fn all_devices_but_one_can_be_signed_out() {
        let f = fixture();
        let (_, first) = signed_in(&f).await;
        f.clock.advance(span::minutes(2));
        let (actor, second) = signed_in(&f).await;
        let keep = f.accounts.resolve(&second).await.unwrap().unwrap().session.id;
        assert_eq!(f.accounts.revoke_all_sessions(&actor, Some(keep)).await.unwrap(), 1);
        assert!(f.accounts.resolve(&first).await.unwrap().is_none());
        assert!(f.accounts.resolve(&second).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn replacing_a_session_kills_the_old_token() {
        let f = fixture();
        let (actor, old) = signed_in(&f).await;
        let new = f.accounts.replace_session(&actor).await.unwrap();
        assert!(f.accounts.resolve(&old).await.unwrap().is_none());
        assert!(f.accounts.resolve(&new.token).await.unwrap().is_some());
        assert!(f.accounts.replace_session(&actor).await.is_err(), "the old session is gone");
    }

    #[tokio::test]
    async fn the_least_used_session_makes_room() {
        let f = fixture();
        let (_, first) = signed_in(&f).await;
        let user = f.state().users[0].id;
        let mut unit = f.store.begin_unit().await;
        for _ in 0..20 {
            f.clock.advance(span::minutes(1));
            f.accounts.begin_session(unit.as_mut(), SessionSubject::User(user), Some("phone")).await.unwrap();
        }
        unit.commit().await.unwrap();
        let active = f.state().sessions.iter().filter(|row| row.revoked_at.is_none()).count();
        assert_eq!(active, 20);
        assert!(f.accounts.resolve(&first).await.unwrap().is_none());
    }
}
