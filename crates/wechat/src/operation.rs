//! For operators and sister services: how the apps are, a forced refresh, and handing out tokens.

use domain::{Actor, FieldError, Timestamp};
use serde_json::json;

use crate::app::App;
use crate::context::Context;
use crate::errcode::advice;
use crate::error::WechatError;
use crate::message::MessageKind;
use crate::token::{AccessToken, BETWEEN_FORCES, FORCES_A_DAY, Forced, TokenRow};

/// A lane that is paused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    pub lane: &'static str,
    pub until: Timestamp,
    pub code: i64,
    pub advice: Option<&'static str>,
}

/// How one app is.
#[derive(Debug, Clone)]
pub struct AppHealth {
    pub app: App,
    pub token: TokenRow,
    pub advice: Option<&'static str>,
    pub forces_left_today: u32,
    pub pauses: Vec<Pause>,
}

/// Use cases of operation.
#[derive(Clone)]
pub struct Operations {
    context: Context,
}

impl Operations {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// How all apps are. For administrators.
    ///
    /// # Errors
    /// [`WechatError::Access`].
    pub async fn health(&self, actor: &Actor) -> Result<Vec<AppHealth>, WechatError> {
        actor.require_admin()?;
        let mut found = Vec::new();
        for app in self.context.apps.iter() {
            found.push(self.health_of(app).await?);
        }
        Ok(found)
    }

    async fn health_of(&self, app: &App) -> Result<AppHealth, WechatError> {
        let now = self.context.clock.now();
        let token = self.context.client.tokens().row(app).await?;
        let today = now.to_datetime().with_timezone(&chrono_tz::Asia::Shanghai).format("%Y-%m-%d").to_string();
        let used = if token.forced_day.as_ref() == Some(&today) { token.forced_count } else { 0 };
        let mut unit = self.context.store.read();
        let mut pauses = Vec::new();
        for kind in MessageKind::ALL {
            let lane = kind.as_str();
            if let Some((until, code)) = unit.messages().paused(&app.name, lane, now).await? {
                pauses.push(Pause { lane, until, code, advice: advice(code) });
            }
        }
        let advice = token.fault.as_ref().and_then(|fault| advice(fault.code));
        let forces_left_today = FORCES_A_DAY.saturating_sub(used);
        Ok(AppHealth { app: app.clone(), token, advice, forces_left_today, pauses })
    }

    /// Makes the platform give a new token at once. For administrators; audited.
    ///
    /// # Errors
    /// [`WechatError::ForceNotAllowed`] within 30 seconds of the last, and after 20 on one day.
    pub async fn force_token(&self, actor: &Actor, app: &str, reason: &str) -> Result<AppHealth, WechatError> {
        actor.require_admin()?;
        let reason = domain::text::required("reason", reason, 500)?;
        let app = self.context.app(app)?;
        let row = self.context.client.tokens().row(app).await?;
        let now = self.context.clock.now();
        if row.forced_at.is_some_and(|at| now.since(at) < BETWEEN_FORCES) {
            return Err(WechatError::ForceNotAllowed);
        }
        self.audit(actor, "wechat.token.force", app, json!({ "reason": reason })).await?;
        match self.context.client.tokens().force(app).await? {
            Forced::Done(_) => self.health_of(app).await,
            Forced::NotAllowed => Err(WechatError::ForceNotAllowed),
        }
    }

    /// A token for a sister service; audited. `refused_version` is the one it saw refused, if it did.
    ///
    /// # Errors
    /// [`WechatError::AppFault`] when the platform gives none.
    pub async fn hand_out_token(
        &self,
        actor: &Actor,
        app: &str,
        refused_version: Option<i64>,
    ) -> Result<(AccessToken, Timestamp), WechatError> {
        actor.require(*actor == Actor::Integrator)?;
        let app = self.context.app(app)?;
        let tokens = self.context.client.tokens();
        if let Some(version) = refused_version {
            if version < 1 {
                return Err(FieldError::new("refusedVersion", "is a version that was handed out").into());
            }
            tokens.invalidate(app, version).await?;
        }
        let token = tokens.get(app).await?;
        self.audit(actor, "wechat.token.read", app, json!({ "version": token.version })).await?;
        Ok((token, self.context.clock.now()))
    }

    async fn audit(
        &self,
        actor: &Actor,
        action: &'static str,
        app: &App,
        detail: serde_json::Value,
    ) -> Result<(), WechatError> {
        let mut unit = self.context.store.begin().await?;
        let event = self.context.audit(actor, action, format!("wechat_app:{}", app.name), detail);
        unit.audit().append_all(&[event]).await?;
        Ok(unit.commit().await?)
    }
}
