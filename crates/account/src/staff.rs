//! Signing in to the console and looking after those who may.

use domain::Actor;
use domain::actor::AccessError;
use domain::id::{AgentId, SessionId};
use domain::page::{Page, PageRequest};
use domain::text::required;
use domain::{FieldError, StoreError};

use crate::AccountError;
use crate::agent::{Agent, AgentRole, MAX_DISPLAY_NAME_CHARS, check_username};
use crate::challenge::Origin;
use crate::codes::is_public;
use crate::counter::{GuardKey, GuardScope};
use crate::password::Password;
use crate::service::Accounts;
use crate::session::{NewSession, SessionSubject};
use crate::unit::AccountUnit;

/// A sign-in to the console.
#[derive(Clone)]
pub struct AgentSignIn {
    pub username: String,
    pub password: Password,
    pub device_label: Option<String>,
    pub origin: Origin,
}

/// A member of the staff is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedInAgent {
    pub agent: Agent,
    pub session: NewSession,
}

/// A new member of the staff.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAgent {
    pub username: String,
    pub display_name: String,
    pub role: AgentRole,
}

/// An agent whose password was just generated: the only time it is shown. No `Debug`.
pub struct AgentWithPassword {
    pub agent: Agent,
    pub password: Password,
}

impl Accounts {
    /// Signs an agent or administrator in.
    ///
    /// # Errors
    /// [`AccountError::SignInFailed`] for a wrong name, a wrong password and a disabled account alike;
    /// [`AccountError::SignInThrottled`].
    pub async fn sign_in_agent(&self, actor: &Actor, request: AgentSignIn) -> Result<SignedInAgent, AccountError> {
        actor.require(is_public(actor) || actor.staff().is_some())?;
        let name = request.username.trim().to_lowercase();
        let guard = GuardKey { scope: GuardScope::Agent, subject: self.keys.index_of("agent", &name) };
        self.reserve_password_try(&guard, &self.settings.passwords.agent_guard, &request.origin).await?;
        let found = self.store.read().agents().find_by_username(&name).await?;
        let stored = found.as_ref().map(|agent| agent.password.clone());
        let is_right = self.hasher.verify(request.password.clone(), stored.clone()).await?;
        let agent = found.filter(|agent| is_right && agent.is_enabled).ok_or(AccountError::SignInFailed)?;
        let renewed = match stored.filter(|stored| self.hasher.is_outdated(stored)) {
            Some(_) => Some(self.hasher.hash(request.password).await?),
            None => None,
        };

        let mut unit = self.store.begin().await?;
        self.clear_guard(unit.as_mut(), &guard).await?;
        // Read again: it may have been disabled or given another password while this one was checked.
        let current = unit.agents().find(agent.id).await?;
        let is_unchanged = |now: &Agent| now.is_enabled && now.password == agent.password;
        let mut agent = current.filter(is_unchanged).ok_or(AccountError::SignInFailed)?;
        if let Some(renewed) = renewed {
            agent.password = renewed;
            agent = self.save_agent(unit.as_mut(), agent).await?;
        }
        let label = request.device_label.as_deref();
        let session = self.begin_session(unit.as_mut(), SessionSubject::Agent(agent.id), label).await?;
        let who = agent.role.actor(agent.id);
        let event = self.audit_event(&who, "sign_in", format!("session:{}", session.session.id));
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        Ok(SignedInAgent { agent, session })
    }

    /// Makes an administrator from outside the console, e.g. the first one.
    ///
    /// # Errors
    /// [`AccountError::Invalid`], [`AccountError::UsernameTaken`]; [`AccountError::Access`] for anybody but the system.
    pub async fn create_admin(
        &self,
        actor: &Actor,
        username: &str,
        display_name: &str,
    ) -> Result<AgentWithPassword, AccountError> {
        actor.require(matches!(actor, Actor::System))?;
        let (username, display_name) = (username.to_owned(), display_name.to_owned());
        self.insert_agent(actor, NewAgent { username, display_name, role: AgentRole::Admin }).await
    }

    /// Makes an agent or administrator.
    ///
    /// # Errors
    /// [`AccountError::Invalid`], [`AccountError::UsernameTaken`]; [`AccountError::Access`] for anybody but an administrator.
    pub async fn create_agent(&self, actor: &Actor, new: NewAgent) -> Result<AgentWithPassword, AccountError> {
        actor.require_admin()?;
        self.insert_agent(actor, new).await
    }

    /// Agents and administrators, newest first.
    ///
    /// # Errors
    /// [`AccountError::Access`] for anybody but an administrator.
    pub async fn list_agents(&self, actor: &Actor, page: PageRequest) -> Result<Page<Agent>, AccountError> {
        actor.require_admin()?;
        Ok(self.store.read().agents().list(page).await?)
    }

    /// The caller's own entry.
    ///
    /// # Errors
    /// [`AccountError::Access`] for anybody but staff.
    pub async fn own_agent(&self, actor: &Actor) -> Result<Agent, AccountError> {
        let id = require_staff(actor)?;
        self.store.read().agents().find(id).await?.ok_or(AccountError::AgentNotFound(id))
    }

    /// Lets an agent in again, or out: disabling ends all of their sessions.
    ///
    /// # Errors
    /// [`AccountError::AgentNotFound`], [`AccountError::LastAdmin`]; [`AccountError::Access`] for anybody but an administrator.
    pub async fn set_agent_enabled(&self, actor: &Actor, id: AgentId, enabled: bool) -> Result<Agent, AccountError> {
        actor.require_admin()?;
        let mut unit = self.store.begin().await?;
        let admins = unit.agents().lock_enabled_admins().await?;
        let mut agent = unit.agents().find(id).await?.ok_or(AccountError::AgentNotFound(id))?;
        if !enabled && admins == [id] {
            return Err(AccountError::LastAdmin);
        }
        agent.is_enabled = enabled;
        let agent = self.save_agent(unit.as_mut(), agent).await?;
        if !enabled {
            unit.sessions().revoke_all(SessionSubject::Agent(id), None, self.clock.now()).await?;
        }
        let action = if enabled { "agent.enable" } else { "agent.disable" };
        unit.audit().append_all(&[self.audit_event(actor, action, format!("agent:{id}"))]).await?;
        unit.commit().await?;
        Ok(agent)
    }

    /// Changes the caller's own password; their other devices are signed out.
    ///
    /// # Errors
    /// [`AccountError::SignInFailed`] when the current password is wrong, [`AccountError::SignInThrottled`],
    /// [`AccountError::Invalid`]; [`AccountError::Access`] for anybody but staff.
    pub async fn change_agent_password(
        &self,
        actor: &Actor,
        current: Password,
        new: &str,
        origin: &Origin,
        keep: Option<SessionId>,
    ) -> Result<(), AccountError> {
        let id = require_staff(actor)?;
        let new = Password::chosen("newPassword", new)?;
        let agent = self.own_agent(actor).await?;
        let guard = GuardKey { scope: GuardScope::Agent, subject: self.keys.index_of("agent", &agent.username) };
        self.reserve_password_try(&guard, &self.settings.passwords.agent_guard, origin).await?;
        if !self.hasher.verify(current, Some(agent.password.clone())).await? {
            return Err(AccountError::SignInFailed);
        }
        let password = self.hasher.hash(new).await?;
        let mut unit = self.store.begin().await?;
        self.clear_guard(unit.as_mut(), &guard).await?;
        self.save_agent(unit.as_mut(), Agent { password, ..agent }).await?;
        unit.sessions().revoke_all(SessionSubject::Agent(id), keep, self.clock.now()).await?;
        unit.audit().append_all(&[self.audit_event(actor, "agent.change_password", format!("agent:{id}"))]).await?;
        Ok(unit.commit().await?)
    }

    /// Gives an agent a new generated password and signs all of their devices out.
    ///
    /// # Errors
    /// [`AccountError::AgentNotFound`]; [`AccountError::Access`] for anybody but an administrator.
    pub async fn reset_agent_password(&self, actor: &Actor, id: AgentId) -> Result<AgentWithPassword, AccountError> {
        actor.require_admin()?;
        let password = Password::generate(self.random.as_ref());
        let stored = self.hasher.hash(password.clone()).await?;
        let mut unit = self.store.begin().await?;
        let agent = unit.agents().find(id).await?.ok_or(AccountError::AgentNotFound(id))?;
        let guard = GuardKey { scope: GuardScope::Agent, subject: self.keys.index_of("agent", &agent.username) };
        self.clear_guard(unit.as_mut(), &guard).await?;
        let agent = self.save_agent(unit.as_mut(), Agent { password: stored, ..agent }).await?;
        unit.sessions().revoke_all(SessionSubject::Agent(id), None, self.clock.now()).await?;
        unit.audit().append_all(&[self.audit_event(actor, "agent.reset_password", format!("agent:{id}"))]).await?;
        unit.commit().await?;
        Ok(AgentWithPassword { agent, password })
    }

    async fn insert_agent(&self, actor: &Actor, new: NewAgent) -> Result<AgentWithPassword, AccountError> {
        let NewAgent { username, display_name, role } = new;
        let name = check_username(&username);
        let shown = required("displayName", &display_name, MAX_DISPLAY_NAME_CHARS);
        let (username, display_name) = both(name, shown)?;
        let password = Password::generate(self.random.as_ref());
        let stored = self.hasher.hash(password.clone()).await?;
        let now = self.clock.now();
        let agent = Agent {
            id: AgentId(self.ids.next()),
            username,
            display_name,
            role,
            password: stored,
            is_enabled: true,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        let mut unit = self.store.begin().await?;
        unit.agents().insert(&agent).await.map_err(|error| match error {
            StoreError::Unique(_) => AccountError::UsernameTaken,
            other => other.into(),
        })?;
        let detail = serde_json::json!({ "role": role.as_str() });
        let event = self.audit_detail(actor.label(), "agent.create", format!("agent:{}", agent.id), detail);
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        Ok(AgentWithPassword { agent, password })
    }

    /// Writes a changed agent; answers it as stored.
    async fn save_agent(&self, unit: &mut dyn AccountUnit, mut agent: Agent) -> Result<Agent, AccountError> {
        agent.updated_at = self.clock.now();
        unit.agents().update(&agent).await?;
        agent.version += 1;
        Ok(agent)
    }
}

fn require_staff(actor: &Actor) -> Result<AgentId, AccountError> {
    actor.staff().ok_or_else(|| actor.refuse(AccessError::Forbidden).into())
}

/// Both values, or all faults.
fn both<A, B>(a: Result<A, FieldError>, b: Result<B, FieldError>) -> Result<(A, B), Vec<FieldError>> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (a, b) => Err(a.err().into_iter().chain(b.err()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use domain::time::span;

    use super::*;
    use crate::memory::{Fixture, fixture, origin};

    fn request(username: &str, password: &str) -> AgentSignIn {
        AgentSignIn {
            username: username.into(),
            password: Password::typed(password),
            device_label: Some("console".into()),
            origin: origin(),
        }
    }

    async fn sign_in(f: &Fixture, username: &str, password: &str) -> Result<SignedInAgent, AccountError> {
        f.accounts.sign_in_agent(&Actor::Nobody, request(username, password)).await
    }

    async fn agent(f: &Fixture) -> AgentWithPassword {
        let new = NewAgent { username: "li.wei".into(), display_name: "李伟".into(), role: AgentRole::Agent };
        f.accounts.create_agent(&f.admin().await, new).await.unwrap()
    }

    #[tokio::test]
    async fn the_generated_password_signs_in_with_any_case_of_the_name() {
        let f = fixture();
        let made = f.accounts.create_admin(&Actor::System, "Root", "管理员").await.unwrap();
        let signed = sign_in(&f, " ROOT ", made.password.reveal()).await.unwrap();
        let actor = f.accounts.resolve(&signed.session.token).await.unwrap().unwrap().actor;
        assert_eq!(actor, Actor::Admin(made.agent.id));
    }

    #[tokio::test]
    async fn only_the_system_makes_admins_out_of_nothing() {
        let f = fixture();
        let admin = f.admin().await;
        assert!(f.accounts.create_admin(&admin, "other", "x").await.is_err());
        let plain = agent(&f).await;
        let new = NewAgent { username: "x.y".into(), display_name: "x".into(), role: AgentRole::Admin };
        let refused = f.accounts.create_agent(&Actor::Agent(plain.agent.id), new).await;
        assert!(matches!(refused.err().unwrap(), AccountError::Access(_)));
    }

    #[tokio::test]
    async fn wrong_names_and_wrong_passwords_look_alike_and_both_lock_after_five() {
        let f = fixture();
        let made = agent(&f).await;
        for name in ["li.wei", "nobody"] {
            for _ in 0..5 {
                assert!(matches!(sign_in(&f, name, "wrong").await, Err(AccountError::SignInFailed)), "{name}");
            }
            let locked = sign_in(&f, name, made.password.reveal()).await.unwrap_err();
            assert!(matches!(locked, AccountError::SignInThrottled { wait } if wait == span::minutes(15)), "{name}");
        }
        f.clock.advance(span::minutes(15));
        assert!(sign_in(&f, "li.wei", made.password.reveal()).await.is_ok());
    }

    #[tokio::test]
    async fn a_success_forgets_the_failures() {
        let f = fixture();
        let made = agent(&f).await;
        for _ in 0..3 {
            for _ in 0..4 {
                assert!(sign_in(&f, "li.wei", "wrong").await.is_err());
            }
            assert!(sign_in(&f, "li.wei", made.password.reveal()).await.is_ok());
        }
    }

    #[tokio::test]
    async fn one_address_is_held_back_over_all_names() {
        let f = fixture();
        for i in 0..60 {
            assert!(matches!(sign_in(&f, &format!("name{i}"), "x").await, Err(AccountError::SignInFailed)));
        }
        assert!(matches!(sign_in(&f, "name60", "x").await, Err(AccountError::SignInThrottled { .. })));
    }

    #[tokio::test]
    async fn disabling_signs_out_and_keeps_out() {
        let f = fixture();
        let (admin, made) = (f.admin().await, agent(&f).await);
        let token = sign_in(&f, "li.wei", made.password.reveal()).await.unwrap().session.token;
        f.accounts.set_agent_enabled(&admin, made.agent.id, false).await.unwrap();
        assert!(f.accounts.resolve(&token).await.unwrap().is_none());
        assert!(matches!(sign_in(&f, "li.wei", made.password.reveal()).await, Err(AccountError::SignInFailed)));
        f.accounts.set_agent_enabled(&admin, made.agent.id, true).await.unwrap();
        assert!(sign_in(&f, "li.wei", made.password.reveal()).await.is_ok());
    }

    #[tokio::test]
    async fn the_last_enabled_administrator_stays() {
        let f = fixture();
        let admin = f.admin().await;
        let own = admin.staff().unwrap();
        assert!(matches!(f.accounts.set_agent_enabled(&admin, own, false).await, Err(AccountError::LastAdmin)));
        let other = f.accounts.create_admin(&Actor::System, "second", "x").await.unwrap();
        assert!(f.accounts.set_agent_enabled(&admin, other.agent.id, false).await.is_ok());
    }

    #[tokio::test]
    async fn changing_the_own_password_needs_the_old_one_and_signs_other_devices_out() {
        let f = fixture();
        let made = agent(&f).await;
        let first = sign_in(&f, "li.wei", made.password.reveal()).await.unwrap().session;
        let second = sign_in(&f, "li.wei", made.password.reveal()).await.unwrap().session;
        let actor = Actor::Agent(made.agent.id);
        let change = |current: Password, new: &'static str| {
            let (f, actor, keep) = (&f, &actor, Some(second.session.id));
            async move { f.accounts.change_agent_password(actor, current, new, &origin(), keep).await }
        };
        let wrong = change(Password::typed("wrong"), "a new password").await;
        assert!(matches!(wrong, Err(AccountError::SignInFailed)));
        assert!(matches!(change(made.password.clone(), "short").await, Err(AccountError::Invalid(_))));
        change(made.password.clone(), "a new password").await.unwrap();
        assert!(f.accounts.resolve(&first.token).await.unwrap().is_none());
        assert!(f.accounts.resolve(&second.token).await.unwrap().is_some());
        assert!(sign_in(&f, "li.wei", "a new password").await.is_ok());
    }

    #[tokio::test]
    async fn a_reset_replaces_the_password_and_lifts_the_lock() {
        let f = fixture();
        let (admin, made) = (f.admin().await, agent(&f).await);
        for _ in 0..5 {
            assert!(sign_in(&f, "li.wei", "wrong").await.is_err());
        }
        let reset = f.accounts.reset_agent_password(&admin, made.agent.id).await.unwrap();
        assert!(sign_in(&f, "li.wei", made.password.reveal()).await.is_err());
        assert!(sign_in(&f, "li.wei", reset.password.reveal()).await.is_ok());
    }

    #[tokio::test]
    async fn names_are_unique_and_faults_are_all_named() {
        let f = fixture();
        agent(&f).await;
        let admin = f.admin().await;
        let again = NewAgent { username: "LI.WEI".into(), display_name: "x".into(), role: AgentRole::Agent };
        assert!(matches!(f.accounts.create_agent(&admin, again).await.err().unwrap(), AccountError::UsernameTaken));
        let bad = NewAgent { username: "x".into(), display_name: " ".into(), role: AgentRole::Agent };
        let AccountError::Invalid(faults) = f.accounts.create_agent(&admin, bad).await.err().unwrap() else {
            panic!("expected field faults");
        };
        assert_eq!(faults.iter().map(|x| x.field.as_str()).collect::<Vec<_>>(), ["username", "displayName"]);
    }
}
