//! WeChat on the wire of the native API.

use domain::Timestamp;
use poem_openapi::{Enum, Object};
use wechat::consent::{Answer, Prompt};
use wechat::content::Check;
use wechat::grant::Grant;
use wechat::invitation::InvitationLink;
use wechat::message::Message;
use wechat::operation::{AppHealth, Pause};
use wechat::service_message::InboundMessage;
use wechat::template::{SyncReport, Template};
use wechat::token::AccessToken;

use crate::http::values::{Id, Instant};
use crate::http::words::{
    ContentCheckState, ContentVerdict, WechatAppKind, WechatAudience, WechatInboundKind, WechatMessageKind,
    WechatMessageState,
};

/// A sign-in with a mini-program.
#[derive(Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct WechatSignInRequest {
    /// Own name of the app.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub app: String,
    /// The code of `wx.login`.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub code: String,
    /// The code of the phone button, if it was tapped.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub phone_code: Option<String>,
    /// What the list of sessions calls this device.
    #[oai(validator(max_length = 100))]
    pub device_label: Option<String>,
}

/// A code of the phone button.
#[derive(Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct WechatPhoneRequest {
    /// Own name of the app.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub app: String,
    /// The code of the phone button.
    #[oai(validator(min_length = 1, max_length = 256))]
    pub code: String,
}

/// Which app is meant.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct WechatAppRequest {
    /// Own name of the app.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub app: String,
}

/// Whether WeChat knows the session.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct WechatSessionView {
    /// If not, call `wx.login` again.
    pub is_valid: bool,
}

/// How a person answered about one template, in the words of `wx.requestSubscribeMessage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ConsentResult {
    #[oai(rename = "accept")]
    Accept,
    #[oai(rename = "acceptWithAudio")]
    AcceptWithAudio,
    #[oai(rename = "acceptWithAlert")]
    AcceptWithAlert,
    #[oai(rename = "reject")]
    Reject,
    #[oai(rename = "ban")]
    Ban,
    #[oai(rename = "filter")]
    Filter,
}

/// The answer about one template.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsentAnswerRequest {
    /// WeChat's id of the template.
    #[oai(validator(min_length = 1, max_length = 128))]
    pub template_id: String,
    /// What was answered.
    pub result: ConsentResult,
}

/// What a consent popup came to.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConsentRequest {
    /// Own name of the app.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub app: String,
    /// Made by the client, another one for each popup: letters, digits, `-` and `_`.
    #[oai(validator(min_length = 1, max_length = 64))]
    pub prompt_id: String,
    /// When the person answered, if the report is late.
    pub answered_at: Option<Instant>,
    /// The answers, one for each template.
    #[oai(validator(min_items = 1, max_items = 10))]
    pub results: Vec<ConsentAnswerRequest>,
}

impl From<ConsentRequest> for Prompt {
    fn from(sent: ConsentRequest) -> Self {
        let is_accepted = |result| {
            matches!(result, ConsentResult::Accept | ConsentResult::AcceptWithAudio | ConsentResult::AcceptWithAlert)
        };
        let answer = |answer: ConsentAnswerRequest| Answer {
            template_id: answer.template_id,
            is_accepted: is_accepted(answer.result),
        };
        Self {
            app: sent.app,
            id: sent.prompt_id,
            answered_at: sent.answered_at.map(|at| at.0),
            answers: sent.results.into_iter().map(answer).collect(),
        }
    }
}

/// What the caller may be sent from one template.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct GrantView {
    /// Logical name of the template, e.g. `new_message`.
    pub template: String,
    /// WeChat's id of the template, for `wx.requestSubscribeMessage`.
    pub template_id: String,
    /// Messages that may still be sent.
    pub available: u32,
    /// Given once and for all.
    pub is_long_term: bool,
    /// Whether to ask again.
    pub should_ask: bool,
    /// When WeChat last said that there is no consent left.
    pub refused_at: Option<Instant>,
    /// When the person last refused in WeChat's settings.
    pub rejected_at: Option<Instant>,
}

impl From<(String, Grant)> for GrantView {
    fn from((template, grant): (String, Grant)) -> Self {
        Self {
            template,
            available: grant.available(),
            is_long_term: grant.is_long_term,
            should_ask: grant.should_ask(),
            refused_at: grant.refused_at.map(Instant),
            rejected_at: grant.rejected_at.map(Instant),
            template_id: grant.key.template_id,
        }
    }
}

/// A link of an invitation to be made.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct InvitationLinkRequest {
    /// Days it is good for, 30 unless said.
    #[oai(validator(minimum(value = "1"), maximum(value = "30")))]
    pub expires_in_days: Option<u32>,
}

/// A link of an invitation.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct InvitationLinkView {
    /// Opens the patients' mini-program with the invitation.
    pub url: String,
    /// Until when.
    pub expires_at: Instant,
}

impl From<InvitationLink> for InvitationLinkView {
    fn from(link: InvitationLink) -> Self {
        Self { url: link.url, expires_at: Instant(link.expires_at) }
    }
}

/// An access token for a sister service.
#[derive(Clone, Object)]
#[oai(rename_all = "camelCase")]
pub struct WechatTokenView {
    /// To be sent as `access_token` in the query.
    pub access_token: String,
    /// To be reported when WeChat refuses the token.
    pub version: i64,
    /// Seconds for which WeChat accepts it, unless it is replaced by force.
    pub expires_in: u64,
}

impl WechatTokenView {
    pub fn of(token: &AccessToken, now: Timestamp) -> Self {
        let expires_in = token.good_until.since(now).as_secs();
        Self { access_token: token.value.expose().to_owned(), version: token.version, expires_in }
    }
}

/// Why an app gets no token.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct WechatFaultView {
    /// WeChat's code; 0 when it was not reached.
    pub code: i64,
    /// WeChat's words.
    pub message: String,
    /// WeChat's id of the request, known to it for seven days.
    pub rid: Option<String>,
    /// What to do about it.
    pub advice: Option<String>,
    /// When it was last met.
    pub at: Instant,
}

/// A kind of message that is not sent at the moment.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct WechatPauseView {
    /// Kind of the messages.
    pub lane: String,
    /// Until when.
    pub until: Instant,
    /// WeChat's code.
    pub code: i64,
    /// What to do about it.
    pub advice: Option<String>,
}

impl From<Pause> for WechatPauseView {
    fn from(pause: Pause) -> Self {
        Self {
            lane: pause.lane.to_owned(),
            until: Instant(pause.until),
            code: pause.code,
            advice: pause.advice.map(str::to_owned),
        }
    }
}

/// A WeChat app and how it is.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct WechatAppView {
    /// Own name of the app.
    pub name: String,
    /// WeChat's id of the app.
    pub appid: String,
    /// What it is.
    pub kind: WechatAppKind,
    /// Whose it is.
    pub audience: WechatAudience,
    /// Whether pushes are received, and how they are encrypted: `plain`, `compat` or `safe`.
    pub push_mode: Option<String>,
    /// Version of the token, 0 before the first.
    pub token_version: i64,
    /// Until when the token is good.
    pub token_good_until: Option<Instant>,
    /// When it was fetched.
    pub token_fetched_at: Option<Instant>,
    /// Fetches so far.
    pub token_fetches: i64,
    /// Forced refreshes left today.
    pub forces_left_today: u32,
    /// Why there is no token.
    pub fault: Option<WechatFaultView>,
    /// Kinds of messages that are not sent at the moment.
    pub pauses: Vec<WechatPauseView>,
}

impl From<AppHealth> for WechatAppView {
    fn from(health: AppHealth) -> Self {
        let AppHealth { app, token, advice, forces_left_today, pauses } = health;
        let fault = token.fault.map(|fault| WechatFaultView {
            code: fault.code,
            message: fault.message,
            rid: fault.rid,
            advice: advice.map(str::to_owned),
            at: Instant(fault.at),
        });
        Self {
            name: app.name,
            appid: app.appid,
            kind: app.kind.into(),
            audience: app.audience.into(),
            push_mode: app.push.map(|push| push.mode.as_str().to_owned()),
            token_version: token.version,
            token_good_until: token.good_until.map(Instant),
            token_fetched_at: token.fetched_at.map(Instant),
            token_fetches: token.fetches,
            forces_left_today,
            fault,
            pauses: pauses.into_iter().map(Into::into).collect(),
        }
    }
}

/// A template of WeChat's console.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct WechatTemplateView {
    /// WeChat's id of the template.
    pub template_id: String,
    /// Its title.
    pub title: String,
    /// Its lines, with the keys that are filled.
    pub content: String,
    /// Whether one consent is for all messages.
    pub is_long_term: bool,
    /// When it was last compared.
    pub synced_at: Instant,
    /// When it was last found changed.
    pub changed_at: Option<Instant>,
    /// Since when the console has it no more.
    pub missing_since: Option<Instant>,
}

impl From<Template> for WechatTemplateView {
    fn from(template: Template) -> Self {
        Self {
            template_id: template.template_id,
            title: template.title,
            content: template.content,
            is_long_term: template.is_long_term,
            synced_at: Instant(template.synced_at),
            changed_at: template.changed_at.map(Instant),
            missing_since: template.missing_since.map(Instant),
        }
    }
}

/// What a comparison found.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct TemplateSyncView {
    /// Templates in the console.
    pub known: u64,
    /// Templates that were changed there.
    pub changed: u64,
    /// Templates that are gone there.
    pub missing: u64,
}

impl From<SyncReport> for TemplateSyncView {
    fn from(report: SyncReport) -> Self {
        Self { known: report.known as u64, changed: report.changed as u64, missing: report.missing as u64 }
    }
}

/// A message sent by WeChat. What it says is not shown.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct WechatMessageView {
    /// Id of the message.
    pub object_id: Id,
    /// Own name of the app.
    pub app: String,
    /// Which interface it leaves by.
    pub kind: WechatMessageKind,
    /// Where it stands; `unknown` may have arrived.
    pub state: WechatMessageState,
    /// WeChat's id of the template.
    pub template_id: Option<String>,
    /// What it belongs to, e.g. `notification:5dae…`.
    pub key: String,
    /// Attempts so far.
    pub attempts: u32,
    /// WeChat's id of the message.
    pub msg_id: Option<String>,
    /// Class of WeChat's refusal.
    pub class: Option<String>,
    /// WeChat's code.
    pub code: Option<i64>,
    /// WeChat's words.
    pub reason: Option<String>,
    /// WeChat's id of the request.
    pub rid: Option<String>,
    /// What to do about it.
    pub advice: Option<String>,
    /// When it was queued.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl From<Message> for WechatMessageView {
    fn from(message: Message) -> Self {
        Self {
            object_id: Id(message.id),
            app: message.app,
            kind: message.kind.into(),
            state: message.state.into(),
            template_id: message.template_id,
            key: message.key,
            attempts: message.attempts,
            msg_id: message.msg_id,
            class: message.class.map(|class| class.as_str().to_owned()),
            code: message.code,
            reason: message.reason,
            rid: message.rid,
            advice: message.code.and_then(wechat::errcode::advice).map(str::to_owned),
            created_at: Instant(message.created_at),
            updated_at: Instant(message.updated_at),
        }
    }
}

/// A content check. What was checked is not kept here.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ContentCheckView {
    /// Id of the check.
    pub object_id: Id,
    /// The conversation the message is in, or is to be.
    pub conversation_id: Id,
    /// Client id of whose message it is.
    pub sender: String,
    /// The sender's own id of the message.
    pub client_message_id: String,
    /// Whether it is a picture.
    pub is_picture: bool,
    /// Whether a doctor wrote it.
    pub is_by_doctor: bool,
    /// Who looked: `wechat` or the own list of `words`.
    pub checker: String,
    /// Where it stands.
    pub state: ContentCheckState,
    /// What was found.
    pub verdict: Option<ContentVerdict>,
    /// WeChat's label, e.g. 20002; 0 when there is none.
    pub label: i64,
    /// Whether the message is kept back.
    pub is_held: bool,
    /// Who decided.
    pub reviewer: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// When it was made.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

impl From<Check> for ContentCheckView {
    fn from(check: Check) -> Self {
        Self {
            object_id: Id(check.id),
            conversation_id: Id(check.subject.conversation),
            sender: check.subject.sender,
            client_message_id: check.subject.client_message_id,
            is_picture: check.is_picture,
            is_by_doctor: check.is_by_doctor,
            checker: check.checker.as_str().to_owned(),
            state: check.state.into(),
            verdict: check.verdict.map(Into::into),
            label: check.label,
            is_held: check.is_held,
            reviewer: check.reviewer,
            reason: check.reason,
            created_at: Instant(check.created_at),
            updated_at: Instant(check.updated_at),
        }
    }
}

/// A decision about a message.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct DecideCheckRequest {
    /// Whether it stands; otherwise it is taken back.
    pub keeps: bool,
    /// Why.
    #[oai(validator(min_length = 1, max_length = 500))]
    pub reason: String,
}

/// What somebody wrote in the customer-service session.
#[derive(Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ServiceMessageView {
    /// Id of the message.
    pub object_id: Id,
    /// Whom to answer.
    pub openid: String,
    /// The account of this person, if they ever signed in.
    pub user_id: Option<Id>,
    /// What kind it is.
    pub kind: WechatInboundKind,
    /// The text, or the address of the picture.
    pub content: String,
    /// When it came.
    pub received_at: Instant,
    /// When the assistant's conversation took it.
    pub handed_over_at: Option<Instant>,
}

impl From<(InboundMessage, String)> for ServiceMessageView {
    fn from((message, content): (InboundMessage, String)) -> Self {
        Self {
            object_id: Id(message.id),
            openid: message.openid,
            user_id: message.user.map(Id::from),
            kind: message.kind.into(),
            content,
            received_at: Instant(message.received_at),
            handed_over_at: message.handed_over_at.map(Instant),
        }
    }
}

/// An answer in the customer-service session.
#[derive(Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceAnswerRequest {
    /// Whom to answer.
    #[oai(validator(min_length = 1, max_length = 128))]
    pub openid: String,
    /// The text, at most 2048 bytes.
    #[oai(validator(min_length = 1, max_length = 2048))]
    pub text: String,
}
