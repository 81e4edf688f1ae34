//! Queueing a message and taking it as far as it goes.

use std::time::Duration;

use domain::id::{ConsultationId, UserId};
use domain::page::{Page, PageRequest};
use domain::{Actor, FieldError, ObjectId, StoreError, Timestamp, text};
use metrics::counter;
use serde_json::{Map, Value, json};

use super::outcome::{GrantEffect, Next, settle};
use super::{Message, MessageFilter, MessageKind, MessageState};
use crate::app::{App, AppKind};
use crate::client::{CALL_TIMEOUT, Call};
use crate::context::Context;
use crate::errcode::{Class, advice, class_of, code};
use crate::error::WechatError;
use crate::field::{Facts, fill};
use crate::grant::{Grant, GrantKey};
use crate::ports::WechatUnit;
use crate::push::SentEntry;
use crate::reply::CallError;
use crate::secret::Secret;
use crate::service_message::Relay;
use crate::template::{Template, Templates};

/// Kind of the job that sends one message; its payload is `{"id": …}`.
pub const WECHAT_SEND: &str = "wechat_send";
/// How long a sender holds its lane: longer than any answer is waited for, both tries and a token counted.
const LEASE: Duration = Duration::from_secs(45);
/// A message that could not be sent by then is stale.
const EXPIRES_AFTER: Duration = Duration::from_hours(2);
/// Wait for another message to the same person.
const LANE_WAIT: Duration = Duration::from_millis(500);
/// Rows settled by one sweep.
const SWEEP: u32 = 200;
/// Longest customer-service text, in bytes.
const MAX_TEXT_BYTES: usize = 2_048;

/// A message from a template.
#[derive(Debug, Clone)]
pub struct NewMessage {
    pub app: String,
    pub openid: String,
    /// Logical name in the app's `templates`.
    pub template: String,
    pub facts: Facts,
    /// What the card opens.
    pub consultation: Option<ConsultationId>,
    /// The same key again is the same message.
    pub key: String,
    pub is_harmless_twice: bool,
}

/// Why a message was not even queued: another channel has to carry it.
#[derive(Debug, thiserror::Error)]
pub enum NotQueued {
    #[error("the app has no such template")]
    NoTemplate,
    #[error("the person has given no consent that is left")]
    NoGrant,
    #[error("the person does not follow the service account")]
    NotFollowing,
    #[error("the facts do not fit the template's fields")]
    FieldRule,
    #[error("the app may not send this at the moment")]
    Off,
    #[error(transparent)]
    Failed(#[from] WechatError),
}

impl From<StoreError> for NotQueued {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// How far a message has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    Accepted,
    /// It may have been delivered.
    Unknown,
    /// It was not delivered, for good.
    Refused,
    /// Not now; look again then.
    Later(Timestamp),
}

/// The outbox to the platform.
#[derive(Clone)]
pub struct Messages {
    context: Context,
    templates: Templates,
}

impl Messages {
    pub fn new(context: Context) -> Self {
        let templates = Templates::new(context.clone());
        Self { context, templates }
    }

    /// Queues a message from a template, setting a grant aside. Whoever calls drives it.
    ///
    /// # Errors
    /// [`NotQueued`] says why another channel has to carry it.
    pub async fn queue(&self, new: &NewMessage) -> Result<ObjectId, NotQueued> {
        if let Some(known) = self.context.store.read().messages().find_by_key(&new.key).await? {
            return Ok(known.id);
        }
        let app = self.context.app(&new.app)?;
        let template_id = app.templates.get(&new.template).ok_or(NotQueued::NoTemplate)?;
        let template = self.template(app, template_id).await?;
        let words = |key: &str| template.words.get(key).cloned().unwrap_or_default();
        let data = fill(&template.keys(), &new.facts, words).ok_or_else(|| {
            tracing::error!(app = app.name, template = new.template, "no facts fit a field of the template");
            NotQueued::FieldRule
        })?;
        let kind = match app.kind {
            AppKind::Miniprogram => MessageKind::Subscribe,
            AppKind::ServiceAccount => MessageKind::Template,
        };
        let now = self.context.clock.now();
        let mut message = blank(self.context.ids.next(), app, kind, &new.openid, &new.key, now);
        message.template_id = Some(template_id.clone());
        message.page = page_of(app, new.consultation);
        message.data = data;
        message.is_harmless_twice = new.is_harmless_twice;
        let mut unit = self.context.store.begin().await?;
        if unit.messages().paused(&app.name, kind.as_str(), now).await?.is_some_and(|(_, code)| is_off(code)) {
            return Err(NotQueued::Off);
        }
        if kind == MessageKind::Subscribe {
            let mut grant = unit.grants().lock(&grant_key(&message)).await?;
            if !grant.reserve() {
                return Err(NotQueued::NoGrant);
            }
            message.holds_grant = true;
            unit.grants().save(&grant).await?;
        } else {
            let identity = unit.identities().find(&app.name, &new.openid).await?;
            if identity.and_then(|identity| identity.is_following) == Some(false) {
                return Err(NotQueued::NotFollowing);
            }
        }
        if !unit.messages().insert(&message).await? {
            // Somebody else queued it meanwhile: theirs holds the grant.
            drop(unit);
            let known = self.context.store.read().messages().find_by_key(&new.key).await?;
            return known.map(|known| known.id).ok_or(NotQueued::Failed(WechatError::Conflict));
        }
        unit.commit().await?;
        Ok(message.id)
    }

    /// The template's keys, fetched when they are not known yet.
    async fn template(&self, app: &App, template_id: &str) -> Result<Template, NotQueued> {
        for is_second in [false, true] {
            if is_second {
                self.templates.sync(&app.name).await?;
            }
            let known = self.context.store.read().templates().list(&app.name).await?;
            let found = known.into_iter().find(|t| t.template_id == template_id && t.missing_since.is_none());
            if let Some(template) = found {
                return Ok(template);
            }
        }
        Err(NotQueued::NoTemplate)
    }

    /// Queues an answer in the customer-service session, with its job.
    ///
    /// # Errors
    /// [`WechatError::WindowClosed`]; the person has to write first.
    pub async fn answer(&self, actor: &Actor, app: &str, openid: &str, words: &str) -> Result<ObjectId, WechatError> {
        actor.require_admin()?;
        let app = self.context.app(app)?;
        let words = text::required("text", words, MAX_TEXT_BYTES)?;
        if words.len() > MAX_TEXT_BYTES {
            return Err(FieldError::new("text", format!("must have at most {MAX_TEXT_BYTES} bytes")).into());
        }
        let now = self.context.clock.now();
        let id = self.context.ids.next();
        let message = self.custom(id, app, openid, &format!("custom:{id}"), words);
        let mut unit = self.context.store.begin().await?;
        let mut window = unit.service().lock_window(&app.name, openid).await?;
        if !window.take(now) {
            return Err(WechatError::WindowClosed);
        }
        unit.service().save_window(&window).await?;
        unit.messages().insert(&message).await?;
        unit.outbox().append_all(&[self.context.job(WECHAT_SEND, id, now)]).await?;
        let subject = format!("wechat_message:{id}");
        let event = self.context.audit(actor, "wechat.answer", subject, json!({ "app": app.name }));
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        self.context.signal.wake();
        Ok(id)
    }

    /// Passes an answer of the assistant's conversation on to the customer-service session. The same message again is
    /// not sent again.
    ///
    /// # Errors
    /// [`WechatError::WindowClosed`]; the person has to write first.
    pub async fn relay(&self, relay: &Relay, message: ObjectId, words: &str) -> Result<(), WechatError> {
        let app = self.context.app(&relay.app)?;
        let now = self.context.clock.now();
        let mut end = words.len().min(MAX_TEXT_BYTES);
        while !words.is_char_boundary(end) {
            end -= 1;
        }
        let words = words.get(..end).unwrap_or_default().to_owned();
        let id = self.context.ids.next();
        let custom = self.custom(id, app, &relay.openid, &format!("relay:{message}"), words);
        let mut unit = self.context.store.begin().await?;
        let mut window = unit.service().lock_window(&app.name, &relay.openid).await?;
        let is_open = window.take(now);
        if unit.messages().find_by_key(&custom.key).await?.is_none() {
            if !is_open {
                return Err(WechatError::WindowClosed);
            }
            unit.service().save_window(&window).await?;
            unit.messages().insert(&custom).await?;
            unit.outbox().append_all(&[self.context.job(WECHAT_SEND, id, now)]).await?;
        }
        unit.service().save_relay(relay).await?;
        unit.commit().await?;
        self.context.signal.wake();
        Ok(())
    }

    /// A customer-service message, its words sealed.
    fn custom(&self, id: ObjectId, app: &App, openid: &str, key: &str, words: String) -> Message {
        let mut message = blank(id, app, MessageKind::Custom, openid, key, self.context.clock.now());
        let place = text_place(&message);
        message.sealed = Some(self.context.sealer.seal(&*self.context.random, &place, &Secret::new(words)));
        message
    }

    /// Takes a message as far as it goes now. Running it twice sends once.
    ///
    /// # Errors
    /// [`WechatError::Store`] when the database does not answer; [`WechatError::MessageNotFound`].
    pub async fn drive(&self, id: ObjectId) -> Result<Progress, WechatError> {
        let now = self.context.clock.now();
        let message = match self.begin(id, now).await? {
            Begun::Mine(message) => message,
            Begun::Not(progress) => return Ok(progress),
        };
        let result = match self.context.app(&message.app) {
            Ok(app) => self.send(app, &message).await,
            Err(_) => Err(CallError::Token(crate::token::TokenError::Fault(0))),
        };
        self.finish(&message, result).await
    }

    /// Takes the person's lane, or says why not.
    async fn begin(&self, id: ObjectId, now: Timestamp) -> Result<Begun, WechatError> {
        let mut unit = self.context.store.begin().await?;
        let Some(mut message) = unit.messages().lock(id).await? else { return Err(WechatError::MessageNotFound) };
        if let Some(progress) = tidy(&mut *unit, &mut message, now).await? {
            unit.commit().await?;
            return Ok(Begun::Not(progress));
        }
        if message.not_before > now {
            return Ok(Begun::Not(Progress::Later(message.not_before)));
        }
        if let Some((until, reason)) = unit.messages().paused(&message.app, message.kind.as_str(), now).await? {
            if is_off(reason) || until >= message.expires_at {
                (message.code, message.class) = (Some(reason), Some(class_of(reason)));
                close(&mut *unit, &mut message, MessageState::Refused, GrantEffect::Release, now).await?;
                unit.commit().await?;
                return Ok(Begun::Not(Progress::Refused));
            }
            return Ok(Begun::Not(Progress::Later(until)));
        }
        if let Some(mut other) = unit.messages().find_sending(&message.app, &message.openid).await? {
            if other.leased_until.is_some_and(|until| until > now) {
                return Ok(Begun::Not(Progress::Later(now + LANE_WAIT)));
            }
            // Its sender died: nobody knows what became of it.
            abandon(&mut *unit, &mut other, now).await?;
        }
        message.state = MessageState::Sending;
        message.attempts += 1;
        message.leased_until = Some(now + LEASE);
        message.updated_at = now;
        match unit.messages().update(&message).await {
            // Somebody else took the lane at this moment.
            Err(StoreError::Unique(_) | StoreError::Conflict) => Ok(Begun::Not(Progress::Later(now + LANE_WAIT))),
            Err(error) => Err(error.into()),
            Ok(()) => match unit.commit().await {
                Err(StoreError::Unique(_) | StoreError::Conflict) => Ok(Begun::Not(Progress::Later(now + LANE_WAIT))),
                Err(error) => Err(error.into()),
                Ok(()) => Ok(Begun::Mine(Box::new(message))),
            },
        }
    }

    async fn send(&self, app: &App, message: &Message) -> Result<Option<String>, CallError> {
        let (name, path, body) = match message.kind {
            MessageKind::Subscribe => {
                ("subscribe_send", "/cgi-bin/message/subscribe/send", subscribe_body(app, message))
            }
            MessageKind::Template => {
                ("template_send", "/cgi-bin/message/template/send", template_body(&self.context, app, message))
            }
            MessageKind::Custom => {
                let sealed = message.sealed.as_ref();
                let words = sealed.and_then(|sealed| self.context.sealer.open(&text_place(message), sealed));
                let words = words.unwrap_or_else(|| Secret::new(""));
                let body =
                    json!({ "touser": message.openid, "msgtype": "text", "text": { "content": words.expose() } });
                ("custom_send", "/cgi-bin/message/custom/send", body)
            }
        };
        let call = Call::post(name, path, body).within(CALL_TIMEOUT);
        let answer = self.context.client.json(app, &call).await?;
        Ok(match answer.get("msgid") {
            Some(Value::Number(number)) => Some(number.to_string()),
            Some(Value::String(text)) => Some(text.clone()),
            _ => None,
        })
    }

    async fn finish(&self, sent: &Message, result: Result<Option<String>, CallError>) -> Result<Progress, WechatError> {
        let now = self.context.clock.now();
        let mut unit = self.context.store.begin().await?;
        let held = unit.messages().lock(sent.id).await?;
        let mine = |m: &Message| m.state == MessageState::Sending && m.attempts == sent.attempts;
        let Some(mut message) = held.filter(mine) else {
            // Taken for dead meanwhile; what is known now is still worth keeping.
            drop(unit);
            return self.correct_late(sent, &result, now).await;
        };
        let settlement = settle(&message, &result, now);
        note(&mut message, &result);
        if let Some(until) = settlement.pause_until {
            let code = message.code.unwrap_or_default();
            unit.messages().pause(&message.app, message.kind.as_str(), until, code).await?;
        }
        match settlement.next {
            Next::Settled(state) => close(&mut *unit, &mut message, state, settlement.grant, now).await?,
            Next::Again(at) => {
                (message.state, message.not_before) = (MessageState::Queued, at);
                (message.leased_until, message.updated_at) = (None, now);
                unit.messages().update(&message).await?;
            }
        }
        if message.code == Some(code::NOT_FOLLOWING)
            && let Some(mut identity) = unit.identities().find(&message.app, &message.openid).await?
        {
            (identity.is_following, identity.updated_at) = (Some(false), now);
            unit.identities().save(&identity).await?;
        }
        unit.commit().await?;
        count(&message);
        if settlement.is_alarm {
            alarm(&message);
        }
        Ok(match settlement.next {
            Next::Again(at) => Progress::Later(at),
            Next::Settled(_) => progress_of(&message),
        })
    }

    /// The answer came after the message was given up as unknown.
    async fn correct_late(
        &self,
        sent: &Message,
        result: &Result<Option<String>, CallError>,
        now: Timestamp,
    ) -> Result<Progress, WechatError> {
        let mut unit = self.context.store.begin().await?;
        let Some(mut message) = unit.messages().lock(sent.id).await? else { return Err(WechatError::MessageNotFound) };
        if message.state == MessageState::Unknown && result.is_ok() {
            note(&mut message, result);
            (message.state, message.updated_at) = (MessageState::Accepted, now);
            unit.messages().update(&message).await?;
            unit.commit().await?;
        }
        Ok(progress_of(&message))
    }

    /// Settles what dead workers left behind and what is too late; returns how many.
    ///
    /// # Errors
    /// [`WechatError::Store`].
    pub async fn sweep(&self) -> Result<usize, WechatError> {
        let now = self.context.clock.now();
        let stranded = self.context.store.read().messages().list_stranded(now, SWEEP).await?;
        for id in &stranded {
            let mut unit = self.context.store.begin().await?;
            if let Some(mut message) = unit.messages().lock(*id).await? {
                tidy(&mut *unit, &mut message, now).await?;
                unit.commit().await?;
            }
        }
        Ok(stranded.len())
    }

    /// The log of messages. For administrators.
    ///
    /// # Errors
    /// [`WechatError::Access`].
    pub async fn log(
        &self,
        actor: &Actor,
        filter: &MessageFilter,
        page: PageRequest,
    ) -> Result<Page<Message>, WechatError> {
        actor.require_admin()?;
        Ok(self.context.store.read().messages().list(filter, page).await?)
    }

    /// The grants a person has given in an app, by logical template name; templates without any included.
    ///
    /// # Errors
    /// [`WechatError::NoSession`] when the caller never signed in with this app.
    pub async fn grants_of(&self, user: UserId, app: &str) -> Result<Vec<(String, Grant)>, WechatError> {
        let app = self.context.app(app)?;
        let mut unit = self.context.store.read();
        let identities = unit.identities().find_of_user(user).await?;
        let openid = identities.into_iter().find(|identity| identity.app == app.name).map(|identity| identity.openid);
        let openid = openid.ok_or(WechatError::NoSession)?;
        let known = unit.grants().list(&app.name, &openid).await?;
        let of = |template_id: &String| {
            let found = known.iter().find(|grant| grant.key.template_id == *template_id).cloned();
            let key = GrantKey { app: app.name.clone(), openid: openid.clone(), template_id: template_id.clone() };
            found.unwrap_or_else(|| Grant::none(key))
        };
        Ok(app.templates.iter().map(|(name, id)| (name.clone(), of(id))).collect())
    }
}

/// Whether a message may be sent to a person now, and what is in the way otherwise.
enum Begun {
    Mine(Box<Message>),
    Not(Progress),
}

/// Takes in what the platform tells of a sent message.
pub(crate) async fn resolve(
    unit: &mut dyn WechatUnit,
    app: &str,
    openid: &str,
    entry: &SentEntry,
    now: Timestamp,
) -> Result<(), StoreError> {
    let by_id = match &entry.msg_id {
        Some(msg_id) => unit.messages().find_by_msg_id(app, msg_id).await?,
        None => None,
    };
    let found = match by_id {
        Some(id) => Some(id),
        None => unit.messages().find_unknown(app, openid, &entry.template_id).await?,
    };
    resolve_as(unit, found, entry.msg_id.as_deref(), entry.error_code, now).await
}

/// Takes in the final word on one message.
pub(crate) async fn resolve_as(
    unit: &mut dyn WechatUnit,
    id: Option<ObjectId>,
    msg_id: Option<&str>,
    error_code: i64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let Some(id) = id else { return Ok(()) };
    let Some(mut message) = unit.messages().lock(id).await? else { return Ok(()) };
    if !matches!(message.state, MessageState::Unknown | MessageState::Accepted) {
        return Ok(());
    }
    message.msg_id = message.msg_id.or_else(|| msg_id.map(str::to_owned));
    message.state = if error_code == 0 { MessageState::Accepted } else { MessageState::Refused };
    if error_code != 0 {
        (message.code, message.class) = (Some(error_code), Some(class_of(error_code)));
    }
    message.updated_at = now;
    unit.messages().update(&message).await
}

fn blank(id: ObjectId, app: &App, kind: MessageKind, openid: &str, key: &str, now: Timestamp) -> Message {
    Message {
        id,
        app: app.name.clone(),
        kind,
        openid: openid.to_owned(),
        template_id: None,
        page: None,
        data: Vec::new(),
        sealed: None,
        key: key.to_owned(),
        is_harmless_twice: false,
        state: MessageState::Queued,
        holds_grant: false,
        attempts: 0,
        msg_id: None,
        class: None,
        code: None,
        reason: None,
        rid: None,
        not_before: now,
        expires_at: now + EXPIRES_AFTER,
        leased_until: None,
        created_at: now,
        updated_at: now,
    }
}

fn grant_key(message: &Message) -> GrantKey {
    let template_id = message.template_id.clone().unwrap_or_default();
    GrantKey { app: message.app.clone(), openid: message.openid.clone(), template_id }
}

fn text_place(message: &Message) -> String {
    format!("text:{}", message.id)
}

/// What a card opens: the configured page with the consultation in it; without one, the page without its query.
fn page_of(app: &App, consultation: Option<ConsultationId>) -> Option<String> {
    let page = app.message_page.as_ref()?;
    Some(match consultation {
        Some(id) => page.replace("{consultationId}", &id.to_string()),
        None if page.contains("{consultationId}") => page.split('?').next().unwrap_or_default().to_owned(),
        None => page.clone(),
    })
}

fn fields(message: &Message) -> Value {
    let field = |(key, value): &(String, String)| (key.clone(), json!({ "value": value }));
    Value::Object(message.data.iter().map(field).collect::<Map<_, _>>())
}

fn subscribe_body(app: &App, message: &Message) -> Value {
    let mut body = json!({
        "touser": message.openid,
        "template_id": message.template_id,
        "data": fields(message),
        "miniprogram_state": app.env_version.of_message(),
        "lang": "zh_CN",
    });
    if let (Some(map), Some(page)) = (body.as_object_mut(), &message.page) {
        map.insert("page".to_owned(), json!(page));
    }
    body
}

fn template_body(context: &Context, app: &App, message: &Message) -> Value {
    let mut body = json!({
        "touser": message.openid,
        "template_id": message.template_id,
        "data": fields(message),
        "client_msg_id": message.id.to_string(),
    });
    // The card opens the mini-program of the same people, where there is one.
    let linked = context.apps.of(AppKind::Miniprogram, app.audience).next();
    if let (Some(map), Some(linked), Some(page)) = (body.as_object_mut(), linked, &message.page) {
        map.insert("miniprogram".to_owned(), json!({ "appid": linked.appid, "pagepath": page }));
    }
    body
}

const fn is_off(code: i64) -> bool {
    matches!(class_of(code), Class::Capability)
}

const fn progress_of(message: &Message) -> Progress {
    match message.state {
        MessageState::Accepted => Progress::Accepted,
        MessageState::Unknown => Progress::Unknown,
        MessageState::Refused | MessageState::Expired => Progress::Refused,
        MessageState::Queued | MessageState::Sending => Progress::Later(message.not_before),
    }
}

/// Settles a message whose sender died or whose time is over; `None` when it is waiting to be sent.
async fn tidy(
    unit: &mut dyn WechatUnit,
    message: &mut Message,
    now: Timestamp,
) -> Result<Option<Progress>, StoreError> {
    Ok(match message.state {
        MessageState::Sending => {
            if let Some(until) = message.leased_until.filter(|until| *until > now) {
                return Ok(Some(Progress::Later(until)));
            }
            abandon(unit, message, now).await?;
            Some(Progress::Unknown)
        }
        MessageState::Queued if message.expires_at <= now => {
            close(unit, message, MessageState::Expired, GrantEffect::Release, now).await?;
            Some(Progress::Refused)
        }
        MessageState::Queued => None,
        _ => Some(progress_of(message)),
    })
}

/// Marks a message whose sender died.
async fn abandon(unit: &mut dyn WechatUnit, message: &mut Message, now: Timestamp) -> Result<(), StoreError> {
    message.reason = Some("its sender died while sending".to_owned());
    close(unit, message, MessageState::Unknown, GrantEffect::Spend, now).await?;
    count(message);
    Ok(())
}

async fn close(
    unit: &mut dyn WechatUnit,
    message: &mut Message,
    state: MessageState,
    effect: GrantEffect,
    now: Timestamp,
) -> Result<(), StoreError> {
    if message.holds_grant && effect != GrantEffect::Keep {
        let mut grant = unit.grants().lock(&grant_key(message)).await?;
        match effect {
            GrantEffect::Keep => {}
            GrantEffect::Release => grant.release(),
            GrantEffect::Spend => grant.spend(),
            GrantEffect::Correct => grant.correct(now),
        }
        unit.grants().save(&grant).await?;
        message.holds_grant = false;
    }
    message.state = state;
    message.leased_until = None;
    message.updated_at = now;
    // The words have done their service.
    message.sealed = None;
    unit.messages().update(message).await
}

/// Keeps what the platform said.
fn note(message: &mut Message, result: &Result<Option<String>, CallError>) {
    (message.class, message.code, message.reason, message.rid) = (None, None, None, None);
    match result {
        Ok(msg_id) => message.msg_id.clone_from(msg_id),
        Err(CallError::Refused(refusal)) => {
            (message.class, message.code) = (Some(refusal.class()), Some(refusal.code));
            (message.reason, message.rid) = (Some(refusal.message.clone()), refusal.rid.clone());
        }
        Err(error) => {
            if let CallError::Token(crate::token::TokenError::Fault(code)) = error {
                (message.class, message.code) = (Some(class_of(*code)), Some(*code));
            }
            message.reason = Some(error.to_string());
        }
    }
}

fn count(message: &Message) {
    let (kind, state) = (message.kind.as_str(), message.state.as_str());
    counter!("wechat_messages_total", "app" => message.app.clone(), "kind" => kind, "state" => state).increment(1);
}

fn alarm(message: &Message) {
    let code = message.code.unwrap_or_default();
    tracing::error!(
        message.id = %message.id,
        app = message.app,
        kind = message.kind.as_str(),
        errcode = code,
        errmsg = message.reason,
        rid = message.rid,
        advice = advice(code),
        "the platform refused a message"
    );
}
