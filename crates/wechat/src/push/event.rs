//! What a pushed message says. XML and JSON are one shape here; numbers may come as texts and lists as single objects.

use domain::Timestamp;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// A pushed message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// openid of the person it is about.
    pub from: String,
    pub created_at: Timestamp,
    pub kind: PushKind,
    /// The same for every delivery of one message: 64 hex digits.
    pub dedupe_key: String,
}

/// A person's answer about one template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscribeEntry {
    pub template_id: String,
    pub is_accepted: bool,
}

/// What became of one sent message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentEntry {
    pub template_id: String,
    pub msg_id: Option<String>,
    pub error_code: i64,
}

/// What a content check found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Review,
    Risky,
}

impl Verdict {
    pub const ALL: [Self; 3] = [Self::Pass, Self::Review, Self::Risky];

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Review => "review",
            Self::Risky => "risky",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.as_str() == text)
    }
}

/// The result of a check of a picture or a sound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaVerdict {
    pub trace_id: String,
    /// Only when the check itself succeeded.
    pub verdict: Option<Verdict>,
    pub label: i64,
    pub error_code: i64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PushKind {
    /// Answered a consent popup.
    Popup(Vec<SubscribeEntry>),
    /// Changed the consent in the settings; only refusals are pushed.
    Change(Vec<SubscribeEntry>),
    /// Results of subscribe messages.
    Sent(Vec<SentEntry>),
    MediaCheck(MediaVerdict),
    /// Result of a service-account template message.
    TemplateJob {
        msg_id: String,
        status: String,
    },
    /// Wrote in the customer-service session.
    Text {
        msg_id: String,
        content: String,
    },
    Image {
        msg_id: String,
        url: String,
    },
    /// Sent something else there.
    OtherMessage {
        msg_id: String,
        kind: String,
    },
    /// Opened the customer-service session.
    EnterSession,
    Follow,
    Unfollow,
    /// The console's test.
    Demo,
    Other(String),
}

impl PushKind {
    /// One word for metrics.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Popup(_) => "popup",
            Self::Change(_) => "change",
            Self::Sent(_) => "sent",
            Self::MediaCheck(_) => "media_check",
            Self::TemplateJob { .. } => "template_job",
            Self::Text { .. } => "text",
            Self::Image { .. } => "image",
            Self::OtherMessage { .. } => "other_message",
            Self::EnterSession => "enter_session",
            Self::Follow => "follow",
            Self::Unfollow => "unfollow",
            Self::Demo => "demo",
            Self::Other(_) => "other",
        }
    }
}

/// Reads an opened push; `None` when it lacks what every push has.
pub(super) fn read(value: &Value) -> Option<Incoming> {
    let map = value.as_object()?;
    let from = text(map, "FromUserName")?;
    let created: i64 = text(map, "CreateTime")?.parse().ok()?;
    let message_type = text(map, "MsgType")?;
    let (kind, marks) =
        if message_type == "event" { event(map, &text(map, "Event")?)? } else { message(map, &message_type)? };
    let parts = [from.clone(), created.to_string(), message_type, text(map, "Event").unwrap_or_default(), marks];
    let mut digest = Sha256::new();
    for part in &parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let created_at = Timestamp::from_millis(created.checked_mul(1_000)?);
    Some(Incoming { from, created_at, kind, dedupe_key: hex::encode(digest.finalize()) })
}

/// A message of a person; known by its id.
fn message(map: &Map<String, Value>, kind: &str) -> Option<(PushKind, String)> {
    let msg_id = text(map, "MsgId")?;
    let mark = msg_id.clone();
    let read = match kind {
        "text" => PushKind::Text { msg_id, content: text(map, "Content")? },
        "image" => PushKind::Image { msg_id, url: text(map, "PicUrl")? },
        other => PushKind::OtherMessage { msg_id, kind: other.chars().take(32).collect() },
    };
    Some((read, mark))
}

/// An event and what tells it from others of the same second.
fn event(map: &Map<String, Value>, name: &str) -> Option<(PushKind, String)> {
    let entries = || list(map, name).into_iter();
    Some(match name {
        "subscribe_msg_popup_event" | "subscribe_msg_change_event" => {
            let entries: Vec<SubscribeEntry> = entries().filter_map(subscribe_entry).collect();
            let mark = |e: &SubscribeEntry| format!("{}={}", e.template_id, e.is_accepted);
            let marks: Vec<String> = entries.iter().map(mark).collect();
            let is_popup = name == "subscribe_msg_popup_event";
            (if is_popup { PushKind::Popup(entries) } else { PushKind::Change(entries) }, marks.join("|"))
        }
        "subscribe_msg_sent_event" => {
            let entries: Vec<SentEntry> = entries().filter_map(sent_entry).collect();
            let mark = |e: &SentEntry| format!("{}={}", e.template_id, e.msg_id.as_deref().unwrap_or_default());
            let marks: Vec<String> = entries.iter().map(mark).collect();
            (PushKind::Sent(entries), marks.join("|"))
        }
        "wxa_media_check" => {
            let verdict = media_verdict(map)?;
            let mark = verdict.trace_id.clone();
            (PushKind::MediaCheck(verdict), mark)
        }
        "TEMPLATESENDJOBFINISH" => {
            let msg_id = text(map, "MsgID").or_else(|| text(map, "MsgId"))?;
            let status = text(map, "Status")?.chars().take(64).collect();
            (PushKind::TemplateJob { msg_id: msg_id.clone(), status }, msg_id)
        }
        "user_enter_tempsession" => (PushKind::EnterSession, text(map, "SessionFrom").unwrap_or_default()),
        "subscribe" => (PushKind::Follow, String::new()),
        "unsubscribe" => (PushKind::Unfollow, String::new()),
        "debug_demo" => (PushKind::Demo, String::new()),
        other => (PushKind::Other(other.chars().take(64).collect()), String::new()),
    })
}

fn subscribe_entry(entry: &Map<String, Value>) -> Option<SubscribeEntry> {
    let status = text(entry, "SubscribeStatusString")?;
    // acceptWithAudio and acceptWithAlert are accepts as well.
    Some(SubscribeEntry { template_id: text(entry, "TemplateId")?, is_accepted: status.starts_with("accept") })
}

fn sent_entry(entry: &Map<String, Value>) -> Option<SentEntry> {
    let error_code = text(entry, "ErrorCode").and_then(|code| code.parse().ok()).unwrap_or(0);
    Some(SentEntry { template_id: text(entry, "TemplateId")?, msg_id: text(entry, "MsgID"), error_code })
}

fn media_verdict(map: &Map<String, Value>) -> Option<MediaVerdict> {
    let error_code = text(map, "errcode").and_then(|code| code.parse().ok()).unwrap_or(0);
    let result = map.get("result").and_then(Value::as_object);
    let suggest = result.and_then(|result| text(result, "suggest"));
    let label = result.and_then(|result| text(result, "label")).and_then(|label| label.parse().ok());
    let verdict = suggest.and_then(|suggest| Verdict::parse(&suggest)).filter(|_| error_code == 0);
    Some(MediaVerdict { trace_id: text(map, "trace_id")?, verdict, label: label.unwrap_or(0), error_code })
}

/// The entries of a list event, at the top (JSON) or below an element named like the event (XML).
fn list<'a>(map: &'a Map<String, Value>, event: &str) -> Vec<&'a Map<String, Value>> {
    let wanted: String = event.chars().filter(|c| *c != '_').collect();
    let nested =
        map.iter().find(|(name, _)| name.eq_ignore_ascii_case(&wanted)).and_then(|(_, value)| value.get("List"));
    match map.get("List").or(nested) {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_object).collect(),
        Some(Value::Object(one)) => vec![one],
        _ => Vec::new(),
    }
}

/// A field that is a text or a number.
fn text(map: &Map<String, Value>, name: &str) -> Option<String> {
    match map.get(name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
