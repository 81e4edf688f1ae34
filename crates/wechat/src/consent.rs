//! What the client reports of consent popups, and what it should ask for again.

use domain::{Actor, FieldError, Timestamp};

use crate::context::Context;
use crate::error::WechatError;
use crate::grant::{Grant, GrantKey, Source, record_accept};
use crate::message::Messages;

/// Templates in one popup.
pub const MAX_TEMPLATES: usize = 10;
/// Longest name a client gives a popup.
const MAX_PROMPT_CHARS: usize = 64;

/// How a person answered about one template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub template_id: String,
    pub is_accepted: bool,
}

/// One popup as the client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    pub app: String,
    /// Made by the client, one for each popup: the same again is the same popup.
    pub id: String,
    /// When the person answered, where the report is late.
    pub answered_at: Option<Timestamp>,
    pub answers: Vec<Answer>,
}

/// Use cases on consent.
#[derive(Clone)]
pub struct Consents {
    context: Context,
    messages: Messages,
}

impl Consents {
    pub fn new(context: Context) -> Self {
        let messages = Messages::new(context.clone());
        Self { context, messages }
    }

    /// Counts the accepts of a popup, each once whoever else tells of it; answers what is then known.
    ///
    /// # Errors
    /// [`WechatError::NoSession`] when the caller never signed in with this app; [`WechatError::Invalid`].
    pub async fn report(&self, actor: &Actor, prompt: &Prompt) -> Result<Vec<(String, Grant)>, WechatError> {
        let user = actor.require_user()?.user;
        let app = self.context.app(&prompt.app)?;
        check(prompt)?;
        let now = self.context.clock.now();
        let answered_at = prompt.answered_at.map_or(now, |at| at.min(now));
        let mut unit = self.context.store.begin().await?;
        let identities = unit.identities().find_of_user(user).await?;
        let identity = identities.into_iter().find(|identity| identity.app == app.name);
        let openid = identity.ok_or(WechatError::NoSession)?.openid;
        let known = unit.templates().list(&app.name).await?;
        let mut answers = prompt.answers.clone();
        // Grants are locked in one order, whatever the client's.
        answers.sort_by(|a, b| a.template_id.cmp(&b.template_id));
        for answer in answers.into_iter().filter(|answer| answer.is_accepted) {
            let is_configured = app.templates.values().any(|id| *id == answer.template_id);
            let template = known.iter().find(|template| template.template_id == answer.template_id);
            if !is_configured && template.is_none() {
                return Err(FieldError::new("results", "name templates of this app").into());
            }
            let is_long_term = template.is_some_and(|template| template.is_long_term);
            let (app, openid) = (app.name.clone(), openid.clone());
            let key = GrantKey { app, openid, template_id: answer.template_id };
            let telling = (Source::Client, prompt.id.clone(), answered_at);
            record_accept(&mut *unit, &*self.context.ids, key, telling, is_long_term).await?;
        }
        unit.commit().await?;
        self.messages.grants_of(user, &app.name).await
    }

    /// What the caller may be sent, and so which templates to ask for again.
    ///
    /// # Errors
    /// [`WechatError::NoSession`] when the caller never signed in with this app.
    pub async fn list(&self, actor: &Actor, app: &str) -> Result<Vec<(String, Grant)>, WechatError> {
        self.messages.grants_of(actor.require_user()?.user, app).await
    }
}

fn check(prompt: &Prompt) -> Result<(), WechatError> {
    let is_named = !prompt.id.is_empty()
        && prompt.id.len() <= MAX_PROMPT_CHARS
        && prompt.id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if !is_named {
        return Err(FieldError::new("promptId", "is made of 1 to 64 letters, digits, - and _").into());
    }
    if prompt.answers.is_empty() || prompt.answers.len() > MAX_TEMPLATES {
        return Err(FieldError::new("results", format!("are 1 to {MAX_TEMPLATES}")).into());
    }
    Ok(())
}
