//! The push gateway: what the platform pushes is written down once, answered, and then taken in.

use std::time::Duration;

use domain::{ObjectId, StoreError, Timestamp};
use metrics::counter;
use serde_json::{Value, json};

use crate::app::App;
use crate::content;
use crate::context::Context;
use crate::error::WechatError;
use crate::follower::WECHAT_FOLLOWER;
use crate::grant::{GrantKey, Source, record_accept};
use crate::identity::Identity;
use crate::message;
use crate::ports::{StoredPush, WechatUnit};
use crate::push::{self, Incoming, PushKind, PushQuery, PushRefusal};
use crate::secret::Secret;
use crate::service_message::{InboundKind, InboundMessage, WECHAT_RECEIVE, inbound_place};

/// Kind of the job that takes in one push; its payload is `{"id": …}`.
pub const WECHAT_PUSH: &str = "wechat_push";
/// How long bodies are kept after they were taken in.
pub const KEEP_BODIES: Duration = Duration::from_hours(24);
/// How long a duplicate is recognised.
const KEEP_KEYS: Duration = Duration::from_hours(2160);

/// Why a push was not taken.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    #[error(transparent)]
    Refused(#[from] PushRefusal),
    /// Not configured: as if the address did not exist.
    #[error("this app receives no pushes")]
    NotConfigured,
    #[error("the push could not be stored")]
    Store(#[source] StoreError),
}

impl From<StoreError> for PushError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Use cases of the push gateway.
#[derive(Clone)]
pub struct Inbox {
    context: Context,
    /// How far a push's timestamp may be from now.
    window: Duration,
}

impl Inbox {
    pub fn new(context: Context, window: Duration) -> Self {
        Self { context, window }
    }

    /// Answers the platform's first request with what it wants echoed.
    ///
    /// # Errors
    /// [`PushError`].
    pub fn handshake(&self, app: &str, query: &PushQuery) -> Result<String, PushError> {
        let (app, settings) = self.configured(app)?;
        push::handshake(settings, query).map_err(|refusal| refused(app, refusal))
    }

    /// Proves and reads a push. Nothing is written yet.
    ///
    /// # Errors
    /// [`PushError::Refused`], [`PushError::NotConfigured`].
    pub fn open(&self, app: &str, query: &PushQuery, body: &[u8]) -> Result<OpenedPush, PushError> {
        let (app, settings) = self.configured(app)?;
        let now = self.context.clock.now();
        let opened = push::open(app, settings, query, body, now, self.window);
        let (incoming, value) = opened.map_err(|refusal| refused(app, refusal))?;
        Ok(OpenedPush { app: app.name.clone(), incoming, value, received_at: now })
    }

    /// Writes an opened push down with its job; the same again has no effect.
    ///
    /// # Errors
    /// [`PushError::Store`]; the platform then tries again.
    pub async fn store(&self, opened: OpenedPush) -> Result<(), PushError> {
        let OpenedPush { app, incoming, value, received_at } = opened;
        let id = self.context.ids.next();
        let kind = incoming.kind.as_str();
        let body = Secret::new(value.to_string());
        let push = StoredPush {
            id,
            sealed: self.context.sealer.seal(&*self.context.random, &push_place(id), &body),
            app: app.clone(),
            dedupe_key: format!("{app}:{}", incoming.dedupe_key),
            kind: kind.to_owned(),
            received_at,
            handled_at: None,
        };
        let mut unit = self.context.store.begin().await?;
        let is_new = unit.pushes().insert(&push).await?;
        if is_new {
            unit.outbox().append_all(&[self.context.job(WECHAT_PUSH, id, received_at)]).await?;
        }
        unit.commit().await?;
        let outcome = if is_new { "stored" } else { "duplicate" };
        counter!("wechat_pushes_total", "app" => app, "kind" => kind, "outcome" => outcome).increment(1);
        self.context.signal.wake();
        Ok(())
    }

    /// Takes in a stored push. Running it twice has one effect: the mark is written with the effect.
    ///
    /// # Errors
    /// [`WechatError`] when it should be tried again.
    pub async fn handle(&self, id: ObjectId) -> Result<(), WechatError> {
        let now = self.context.clock.now();
        let mut unit = self.context.store.begin().await?;
        let found = unit.pushes().lock(id).await?.filter(|push| push.handled_at.is_none());
        let Some(stored) = found else { return Ok(()) };
        let opened = self.context.sealer.open(&push_place(id), &stored.sealed);
        let value: Option<Value> = opened.and_then(|body| serde_json::from_str(body.expose()).ok());
        let readable = value.as_ref().and_then(push::reread).zip(self.context.apps.find(&stored.app));
        if let Some((incoming, app)) = readable {
            self.take_in(&mut *unit, app, id, incoming, now).await?;
        } else {
            tracing::error!(push.id = %id, app = stored.app, "a stored push cannot be read any more");
        }
        unit.pushes().mark_handled(id, now).await?;
        unit.commit().await?;
        self.context.signal.wake();
        Ok(())
    }

    async fn take_in(
        &self,
        unit: &mut dyn WechatUnit,
        app: &App,
        push: ObjectId,
        incoming: Incoming,
        now: Timestamp,
    ) -> Result<(), WechatError> {
        let Incoming { from, created_at, kind, .. } = incoming;
        let key = |template_id: String| GrantKey { app: app.name.clone(), openid: from.clone(), template_id };
        match kind {
            PushKind::Popup(entries) => {
                let known = unit.templates().list(&app.name).await?;
                for entry in entries.into_iter().filter(|entry| entry.is_accepted) {
                    let template = known.iter().find(|template| template.template_id == entry.template_id);
                    let is_long_term = template.is_some_and(|template| template.is_long_term);
                    let telling = (Source::Popup, push.to_string(), created_at);
                    record_accept(unit, &*self.context.ids, key(entry.template_id), telling, is_long_term).await?;
                }
            }
            PushKind::Change(entries) => {
                for entry in entries.into_iter().filter(|entry| !entry.is_accepted) {
                    let mut grant = unit.grants().lock(&key(entry.template_id)).await?;
                    grant.reject(now);
                    unit.grants().save(&grant).await?;
                }
            }
            PushKind::Sent(entries) => {
                for entry in &entries {
                    message::resolve(unit, &app.name, &from, entry, now).await?;
                }
            }
            PushKind::TemplateJob { msg_id, status } => {
                self.template_job(unit, app, &from, &msg_id, &status, now).await?;
            }
            PushKind::MediaCheck(verdict) => content::take_verdict(&self.context, unit, &app.name, &verdict).await?,
            PushKind::Text { content, .. } => {
                self.write_down(unit, app, &from, (InboundKind::Text, content), created_at, now).await?;
            }
            PushKind::Image { url, .. } => {
                self.write_down(unit, app, &from, (InboundKind::Image, url), created_at, now).await?;
            }
            PushKind::OtherMessage { kind, .. } => {
                self.write_down(unit, app, &from, (InboundKind::Other, kind), created_at, now).await?;
            }
            PushKind::EnterSession => {
                let mut window = unit.service().lock_window(&app.name, &from).await?;
                window.enter(created_at.min(now));
                unit.service().save_window(&window).await?;
            }
            PushKind::Follow => self.follow(unit, app, &from, true, now).await?,
            PushKind::Unfollow => self.follow(unit, app, &from, false, now).await?,
            PushKind::Demo => tracing::info!(app = app.name, "the console's test push arrived"),
            PushKind::Other(event) => tracing::info!(app = app.name, event, "a push nobody asked for"),
        }
        Ok(())
    }

    async fn template_job(
        &self,
        unit: &mut dyn WechatUnit,
        app: &App,
        from: &str,
        msg_id: &str,
        status: &str,
        now: Timestamp,
    ) -> Result<(), WechatError> {
        let plain: String = status.chars().filter(|c| !c.is_whitespace()).collect();
        // Not following, too often, or a failure of the platform.
        let code = match plain.as_str() {
            "success" => 0,
            "failed:userblock" => crate::errcode::code::NOT_FOLLOWING,
            "failed:freqlimit" => 45_009,
            _ => -1,
        };
        let id = unit.messages().find_by_msg_id(&app.name, msg_id).await?;
        message::resolve_as(unit, id, Some(msg_id), code, now).await?;
        if code == crate::errcode::code::NOT_FOLLOWING {
            self.follow(unit, app, from, false, now).await?;
        }
        Ok(())
    }

    async fn follow(
        &self,
        unit: &mut dyn WechatUnit,
        app: &App,
        openid: &str,
        is_following: bool,
        now: Timestamp,
    ) -> Result<(), WechatError> {
        let known = unit.identities().find(&app.name, openid).await?;
        let mut identity = known.unwrap_or_else(|| Identity::new(&app.name, openid, now));
        (identity.is_following, identity.updated_at) = (Some(is_following), now);
        unit.identities().save(&identity).await?;
        if is_following && identity.user.is_none() {
            let mut job = self.context.job(WECHAT_FOLLOWER, self.context.ids.next(), now);
            job.payload = json!({ "app": app.name, "openid": openid });
            unit.outbox().append_all(&[job]).await?;
        }
        Ok(())
    }

    async fn write_down(
        &self,
        unit: &mut dyn WechatUnit,
        app: &App,
        from: &str,
        (kind, content): (InboundKind, String),
        created_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), WechatError> {
        let mut window = unit.service().lock_window(&app.name, from).await?;
        window.write(created_at.min(now));
        unit.service().save_window(&window).await?;
        let user = unit.identities().find(&app.name, from).await?.and_then(|identity| identity.user);
        let id = self.context.ids.next();
        let sealed = self.context.sealer.seal(&*self.context.random, &inbound_place(id), &Secret::new(content));
        let (app, openid) = (app.name.clone(), from.to_owned());
        let inbound = InboundMessage { id, app, openid, user, kind, sealed, received_at: now, handed_over_at: None };
        unit.service().insert_inbound(&inbound).await?;
        Ok(unit.outbox().append_all(&[self.context.job(WECHAT_RECEIVE, id, now)]).await?)
    }

    /// Forgets bodies after a day and keys after the time in which duplicates may come; returns how many rows.
    ///
    /// # Errors
    /// [`WechatError::Store`].
    pub async fn purge(&self) -> Result<u64, WechatError> {
        let now = self.context.clock.now();
        let mut unit = self.context.store.begin().await?;
        let pushes = unit.pushes().purge(now - KEEP_BODIES, now - KEEP_KEYS).await?;
        let reports = unit.grants().purge_reports(now - KEEP_KEYS).await?;
        unit.commit().await?;
        Ok(pushes + reports)
    }

    fn configured(&self, app: &str) -> Result<(&App, &crate::app::PushSettings), PushError> {
        let app = self.context.apps.find(app).ok_or(PushError::NotConfigured)?;
        Ok((app, app.push.as_ref().ok_or(PushError::NotConfigured)?))
    }
}

/// A push that was proven and read. No `Debug`: it may hold what somebody wrote.
pub struct OpenedPush {
    app: String,
    incoming: Incoming,
    value: Value,
    received_at: Timestamp,
}

fn push_place(id: ObjectId) -> String {
    format!("push:{id}")
}

fn refused(app: &App, refusal: PushRefusal) -> PushError {
    counter!("wechat_pushes_total", "app" => app.name.clone(), "kind" => "refused", "outcome" => refusal.as_str())
        .increment(1);
    tracing::warn!(app = app.name, reason = refusal.as_str(), "a push was refused");
    PushError::Refused(refusal)
}
