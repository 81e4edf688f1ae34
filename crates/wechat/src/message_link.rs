//! A link for text messages that opens a mini-program where its messages are.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::Timestamp;
use domain::time::span;
use serde_json::{Value, json};

use crate::app::{AppKind, Audience};
use crate::client::Call;
use crate::context::Context;
use crate::error::WechatError;

/// Days a link is good for: the most there is.
const DAYS: u32 = 30;
/// A link is replaced when it is good for less than that: whoever gets it last still has time to follow it.
const RENEW_BEFORE: Duration = span::days(7);

/// Makes links and keeps them while they are good.
#[derive(Clone)]
pub struct MessageLinks {
    context: Context,
    /// By app: the address, and until when it is good.
    kept: Arc<Mutex<HashMap<String, (String, Timestamp)>>>,
}

impl MessageLinks {
    pub fn new(context: Context) -> Self {
        Self { context, kept: Arc::default() }
    }

    /// The link into the mini-program of these people; `None` when there is no such app.
    ///
    /// # Errors
    /// [`WechatError`] when the platform gives none.
    pub async fn get(&self, audience: Audience) -> Result<Option<String>, WechatError> {
        let Some(app) = self.context.apps.of(AppKind::Miniprogram, audience).next() else { return Ok(None) };
        let now = self.context.clock.now();
        let kept = self.kept().get(&app.name).cloned();
        if let Some((url, _)) = kept.filter(|(_, until)| now + RENEW_BEFORE < *until) {
            return Ok(Some(url));
        }
        let mut body = json!({
            "expire_type": 1,
            "expire_interval": DAYS,
            "env_version": app.env_version.of_link(),
        });
        // Not one consultation's page: the link is the same for everybody.
        let page = app.message_page.as_ref().and_then(|page| page.split('?').next()).filter(|page| !page.is_empty());
        if let (Some(map), Some(page)) = (body.as_object_mut(), page) {
            map.insert("path".to_owned(), Value::String(page.to_owned()));
        }
        let call = Call::post("generate_urllink", "/wxa/generate_urllink", body).repeatable();
        let answer = self.context.client.json(app, &call).await?;
        let url = answer.get("url_link").and_then(Value::as_str).ok_or(WechatError::Unavailable)?;
        self.kept().insert(app.name.clone(), (url.to_owned(), now + span::days(u64::from(DAYS))));
        Ok(Some(url.to_owned()))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<String, (String, Timestamp)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
