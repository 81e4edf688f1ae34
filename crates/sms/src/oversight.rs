//! What administrators look at: the log of messages, replies, the health of providers and the budget; and a message
//! to try them with.

use std::time::Duration;

use domain::id::{SmsMessageId, SmsReplyId};
use domain::page::{Page, PageRequest};
use domain::time::span;
use domain::{Actor, FieldError, Phone};
use serde_json::{Value, json};

use crate::breaker::{Breaker, DeliveryCount, WATCHED_MESSAGES};
use crate::budget::{ALARM_PERCENT, NOTICE_PERCENT};
use crate::context::SmsContext;
use crate::dispatch::{Dispatcher, Draft};
use crate::error::SmsError;
use crate::message::{Attempt, MessageFilter, MessageState, ProviderCount, SmsMessage, TemplateKind};
use crate::provider::ProviderName;
use crate::receipt::Reply;
use crate::route;

/// What a test message may say; nothing can be done with its code.
pub const TEST_TEMPLATES: [&str; 2] = ["new_message", "login_code"];
const COUNTED: Duration = span::hours(24);

/// Which messages are asked for.
#[derive(Clone, Default)]
pub struct LogQuery {
    pub phone: Option<Phone>,
    pub state: Option<MessageState>,
    pub kind: Option<TemplateKind>,
}

/// One way and how it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayHealth {
    pub breaker: Breaker,
    /// Of the last day.
    pub count: Option<ProviderCount>,
    /// Of the last messages.
    pub delivery: DeliveryCount,
}

/// What was spent today, in 1/1000 yuan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetState {
    pub day: String,
    pub spent_milliyuan: i64,
    pub budget_milliyuan: i64,
    pub alarm_percent: i64,
    pub notice_percent: i64,
}

/// A message to try a provider with.
#[derive(Clone)]
pub struct TestMessage {
    pub phone: Phone,
    pub template: String,
    pub provider: Option<ProviderName>,
}

/// A reply in full. No `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct RevealedReply {
    pub phone: Option<Phone>,
    pub text: Option<String>,
}

/// The use cases of administrators.
#[derive(Clone)]
pub struct SmsOversight {
    context: SmsContext,
    /// Value of the variable `link` of notices.
    notice_link: String,
}

impl SmsOversight {
    pub fn new(context: SmsContext, notice_link: String) -> Self {
        Self { context, notice_link }
    }

    /// The log of messages, newest first, numbers masked.
    ///
    /// # Errors
    /// [`SmsError::Access`] for anybody but administrators.
    pub async fn messages(
        &self,
        actor: &Actor,
        query: LogQuery,
        page: PageRequest,
    ) -> Result<Page<SmsMessage>, SmsError> {
        actor.require_admin()?;
        let phone_hash = query.phone.map(|phone| self.context.keys.phone_hash(&phone));
        let filter = MessageFilter { phone_hash, state: query.state, kind: query.kind };
        Ok(self.context.store.read().messages().list(&filter, page).await?)
    }

    /// One message with its attempts.
    ///
    /// # Errors
    /// [`SmsError::Access`], [`SmsError::MessageNotFound`].
    pub async fn message(&self, actor: &Actor, id: SmsMessageId) -> Result<(SmsMessage, Vec<Attempt>), SmsError> {
        actor.require_admin()?;
        let mut unit = self.context.store.read();
        let message = unit.messages().find(id).await?.ok_or(SmsError::MessageNotFound(id))?;
        Ok((message, unit.messages().attempts(id).await?))
    }

    /// The number of a message in full, `None` when the deployment's secret was changed since; audited either way.
    ///
    /// # Errors
    /// [`SmsError::Access`], [`SmsError::MessageNotFound`].
    pub async fn reveal(&self, actor: &Actor, id: SmsMessageId) -> Result<Option<Phone>, SmsError> {
        actor.require_admin()?;
        let mut unit = self.context.store.begin().await?;
        let message = unit.messages().find(id).await?.ok_or(SmsError::MessageNotFound(id))?;
        let event = self.context.audit(actor.label(), "sms.reveal", format!("sms:{id}"), Value::Null);
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        Ok(self.context.open_phone(&id.to_string(), &message.sealed_phone))
    }

    /// What people sent back, newest first, numbers masked and without the text.
    ///
    /// # Errors
    /// [`SmsError::Access`].
    pub async fn replies(&self, actor: &Actor, page: PageRequest) -> Result<Page<Reply>, SmsError> {
        actor.require_admin()?;
        Ok(self.context.store.read().receipts().list_replies(page).await?)
    }

    /// Number and text of a reply; audited.
    ///
    /// # Errors
    /// [`SmsError::Access`], [`SmsError::ReplyNotFound`].
    pub async fn reveal_reply(&self, actor: &Actor, id: SmsReplyId) -> Result<RevealedReply, SmsError> {
        actor.require_admin()?;
        let mut unit = self.context.store.begin().await?;
        let reply = unit.receipts().find_reply(id).await?.ok_or(SmsError::ReplyNotFound(id))?;
        let event = self.context.audit(actor.label(), "sms.reveal", format!("sms_reply:{id}"), Value::Null);
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        let text = self.context.keys.open(&format!("text of {id}"), &reply.sealed_text);
        Ok(RevealedReply {
            phone: self.context.open_phone(&id.to_string(), &reply.sealed_phone),
            text: text.and_then(|text| String::from_utf8(text).ok()),
        })
    }

    /// How each configured provider does, in order of preference, for each kind of template.
    ///
    /// # Errors
    /// [`SmsError::Access`].
    pub async fn health(&self, actor: &Actor) -> Result<Vec<WayHealth>, SmsError> {
        actor.require_admin()?;
        let now = self.context.clock.now();
        let mut unit = self.context.store.read();
        let breakers = unit.breakers().list().await?;
        let counts = unit.messages().provider_counts(now - COUNTED).await?;
        let mut ways = Vec::new();
        for provider in self.context.providers.iter().map(|p| p.name()) {
            for kind in TemplateKind::ALL {
                let delivery =
                    unit.messages().delivery_count(provider, kind, now - COUNTED, now, WATCHED_MESSAGES).await?;
                let breaker = route::of(&breakers, provider, kind, now);
                let count = counts.iter().find(|c| c.provider == provider && c.kind == kind).copied();
                ways.push(WayHealth { breaker, count, delivery });
            }
        }
        Ok(ways)
    }

    /// What was spent today and what may be.
    ///
    /// # Errors
    /// [`SmsError::Access`].
    pub async fn budget(&self, actor: &Actor) -> Result<BudgetState, SmsError> {
        actor.require_admin()?;
        let day = self.context.day(self.context.clock.now());
        let spent_milliyuan = self.context.store.read().spending().spent(&day).await?;
        Ok(BudgetState {
            day,
            spent_milliyuan,
            budget_milliyuan: self.context.settings.daily_budget.0,
            alarm_percent: ALARM_PERCENT,
            notice_percent: NOTICE_PERCENT,
        })
    }

    /// Sends a message to try the providers, or one of them; audited. It costs what any message costs.
    ///
    /// # Errors
    /// [`SmsError::Access`], and what sending answers.
    pub async fn send_test(&self, actor: &Actor, test: TestMessage) -> Result<SmsMessageId, SmsError> {
        actor.require_admin()?;
        if !TEST_TEMPLATES.contains(&test.template.as_str()) {
            return Err(FieldError::new("template", format!("is one of {}", TEST_TEMPLATES.join(", "))).into());
        }
        let is_configured = |name: &ProviderName| self.context.provider(*name).is_some();
        if test.provider.is_some_and(|name| !is_configured(&name)) {
            return Err(FieldError::new("provider", "is not among sms.providers").into());
        }
        let context = &self.context;
        let key = format!("test:{}", context.ids.next());
        let mut unit = context.store.begin().await?;
        let detail = json!({
            "phone": context.keys.phone_hash(&test.phone),
            "template": test.template,
            "provider": test.provider.map(ProviderName::as_str),
        });
        let event = context.audit(actor.label(), "sms.send_test", key.clone(), detail);
        unit.audit().append_all(&[event]).await?;
        unit.commit().await?;
        let params = match test.template.as_str() {
            "login_code" => vec![("code".to_owned(), "000000".to_owned()), ("minutes".to_owned(), "5".to_owned())],
            _ => vec![("link".to_owned(), self.notice_link.clone())],
        };
        let draft = Draft {
            phone: test.phone,
            template: test.template,
            params,
            idempotency_key: key.clone(),
            thread: key,
            useful_until: context.clock.now() + span::minutes(5),
            origin: Some(actor.label()),
            only: test.provider,
        };
        Dispatcher::new(context.clone()).dispatch(&draft).await
    }
}
