//! Messages as LeanCloud clients write them, and as the product keeps them: one translation for clients that are
//! connected and for history that is imported.
//!
//! Typed messages the product knows become messages of its own kinds, so that every client shows them. The bytes that
//! were sent are kept beside wherever they cannot be made again from the content, so LeanCloud clients get exactly
//! what was written. All else is kept under a kind of its own, e.g. `lc.5`, and passes through unchanged.

use domain::id::FileId;
use im::message::FOREIGN_KEY;
use im::{Content, Message, MessageKind, content};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// `_lctype` of a recalled message.
const RECALLED: i64 = -127;
/// What clients get of a message that was recalled.
pub const RECALLED_DATA: &str = r#"{"_lctype":-127}"#;
/// Word of the kinds of messages that are not one of the product's.
const OTHER: &str = "lc.";
const PLAIN: &str = "lc.plain";
const BINARY: &str = "lc.binary";

/// A message as a client sent it. `data` is Base64 when it is binary. No `Debug`: it is what patients write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Written<'a> {
    pub data: &'a str,
    pub is_binary: bool,
    /// The sender wants to know when it arrives and is read.
    pub wants_receipt: bool,
    pub mentions: &'a [String],
    pub mentions_all: bool,
    /// When it was changed, in milliseconds.
    pub edited_at: Option<i64>,
    /// From whom it comes, where that is none of the members.
    pub from: Option<&'a str>,
}

/// A message as a client gets it. No `Debug`: it is what patients write.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Shown {
    pub data: String,
    pub is_binary: bool,
    pub wants_receipt: bool,
    pub mentions: Vec<String>,
    pub mentions_all: bool,
    pub edited_at: Option<i64>,
    /// From whom it comes, where that is none of the members.
    pub from: Option<String>,
}

impl Shown {
    /// Whether it is a typed message of this type.
    pub fn is_of_type(&self, kind: i32) -> bool {
        Written::plain(&self.data, self.is_binary).typed().as_ref().and_then(kind_of) == Some(i64::from(kind))
    }
}

/// What is kept beside the content under [`FOREIGN_KEY`].
#[derive(Default, Serialize, Deserialize)]
struct Beside {
    /// The bytes that were sent, if the content does not give them.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
    #[serde(rename = "b", default, skip_serializing_if = "is_false")]
    is_binary: bool,
    #[serde(rename = "r", default, skip_serializing_if = "is_false")]
    wants_receipt: bool,
    #[serde(rename = "m", default, skip_serializing_if = "Vec::is_empty")]
    mentions: Vec<String>,
    #[serde(rename = "a", default, skip_serializing_if = "is_false")]
    mentions_all: bool,
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    edited_at: Option<i64>,
    #[serde(rename = "f", default, skip_serializing_if = "Option::is_none")]
    from: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A typed text as the SDKs write it.
#[derive(Serialize)]
struct TextForm<'a> {
    #[serde(rename = "_lctype")]
    kind: i64,
    #[serde(rename = "_lctext")]
    text: &'a str,
}

fn text_form(text: &str) -> String {
    // A struct of a number and a text always serialises.
    serde_json::to_string(&TextForm { kind: -1, text }).unwrap_or_default()
}

/// Reads a message. `may_show` says whether a file may be shown in this message: it is here, and the sender's.
pub fn read(data: &str, is_binary: bool, may_show: impl Fn(FileId) -> bool) -> (MessageKind, Content) {
    Written::plain(data, is_binary).read(may_show)
}

impl<'a> Written<'a> {
    /// Without any of the extras.
    pub const fn plain(data: &'a str, is_binary: bool) -> Self {
        Self { data, is_binary, wants_receipt: false, mentions: &[], mentions_all: false, edited_at: None, from: None }
    }

    /// The file it shows, if it is a message of a file.
    pub fn file(&self) -> Option<FileId> {
        let typed = self.typed()?;
        matches!(kind_of(&typed)?, -2 | -3 | -4 | -6).then(|| file_id(&typed)).flatten()
    }

    /// Reads it. `may_show` says whether a file may be shown in this message: it is here, and the sender's.
    pub fn read(&self, may_show: impl Fn(FileId) -> bool) -> (MessageKind, Content) {
        let own = self.typed().and_then(|typed| own_kind(&typed)).filter(|(kind, content)| {
            content::check(kind, content).is_ok_and(|checked| checked.file.is_none_or(&may_show))
        });
        if let Some((kind, content)) = own {
            let content = serde_json::from_str(&content).unwrap_or_default();
            return (kind, self.beside(content, true));
        }
        let content = Map::from_iter([("data".to_owned(), json!(self.data))]);
        (self.other_kind(), self.beside(content, false))
    }

    fn typed(&self) -> Option<Map<String, Value>> {
        if self.is_binary || !self.data.starts_with('{') {
            return None;
        }
        serde_json::from_str(self.data).ok()
    }

    fn other_kind(&self) -> MessageKind {
        if self.is_binary {
            return MessageKind::Other(BINARY.into());
        }
        match self.typed().as_ref().and_then(kind_of) {
            Some(number) => MessageKind::Other(format!("{OTHER}{number}").into()),
            None => MessageKind::Other(PLAIN.into()),
        }
    }

    /// The content with what is to be kept beside it.
    fn beside(&self, mut content: Map<String, Value>, is_own: bool) -> Content {
        let is_given =
            !is_own || content.get("text").and_then(Value::as_str).is_some_and(|t| text_form(t) == self.data);
        let beside = Beside {
            payload: (!is_given).then(|| self.data.to_owned()),
            is_binary: self.is_binary,
            wants_receipt: self.wants_receipt,
            mentions: self.mentions.to_vec(),
            mentions_all: self.mentions_all,
            edited_at: self.edited_at,
            from: self.from.map(str::to_owned),
        };
        if let Ok(Value::Object(kept)) = serde_json::to_value(&beside)
            && !kept.is_empty()
        {
            content.insert(FOREIGN_KEY.to_owned(), kept.into());
        }
        Content::of(&content)
    }
}

fn kind_of(typed: &Map<String, Value>) -> Option<i64> {
    typed.get("_lctype")?.as_i64()
}

/// `_lcfile.objId`, which the SDKs also write as `objectId`.
fn file_id(typed: &Map<String, Value>) -> Option<FileId> {
    let file = typed.get("_lcfile")?.as_object()?;
    file.get("objId").or_else(|| file.get("objectId"))?.as_str()?.parse().ok()
}

/// The kind and content of the product's own that a typed message comes to.
fn own_kind(typed: &Map<String, Value>) -> Option<(MessageKind, String)> {
    let meta = |key: &str| typed.get("_lcfile")?.get("metaData")?.get(key).cloned();
    let file = || file_id(typed).map(|id| json!(id));
    let (kind, content) = match kind_of(typed)? {
        -1 => match link(typed) {
            Some(link) => (MessageKind::Link, link),
            None => (MessageKind::Text, json!({ "text": typed.get("_lctext")?.as_str()? })),
        },
        -2 => {
            let pixels = |key: &str| meta(key)?.as_f64().filter(|n| (1.0..=65_535.0).contains(n)).map(whole);
            (
                MessageKind::Image,
                without_nulls(json!({
                    "fileId": file()?, "width": pixels("width"), "height": pixels("height"),
                })),
            )
        }
        -3 => {
            let seconds = meta("duration")?.as_f64()?;
            (MessageKind::Voice, json!({ "fileId": file()?, "durationMs": whole(seconds * 1000.0) }))
        }
        -4 | -6 => {
            let name = meta("name").filter(Value::is_string);
            (MessageKind::File, without_nulls(json!({ "fileId": file()?, "name": name })))
        }
        _ => return None,
    };
    Some((kind, content.to_string()))
}

/// A text that carries a link as this server writes one.
fn link(typed: &Map<String, Value>) -> Option<Value> {
    let attributes = typed.get("_lcattrs")?.as_object()?;
    if attributes.get("kind")?.as_str()? != "link" {
        return None;
    }
    let taken = ["url", "title", "description", "cover"];
    let fields = taken.iter().filter_map(|key| Some(((*key).to_owned(), attributes.get(*key)?.clone())));
    let link = Value::Object(fields.collect());
    content::check(&MessageKind::Link, &link.to_string()).is_ok().then_some(link)
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(object) => Value::Object(object.into_iter().filter(|(_, value)| !value.is_null()).collect()),
        other => other,
    }
}

/// A number of pixels or milliseconds; what is out of bounds is refused by the check of the content.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "casts of floats saturate")]
fn whole(number: f64) -> u32 {
    number.round() as u32
}

/// The file whose address is needed to show a message; `None` when it shows none or was sent with its address.
pub fn needed_file(message: &Message) -> Option<FileId> {
    if message.is_recalled() || !matches!(message.kind, MessageKind::Image | MessageKind::Voice | MessageKind::File) {
        return None;
    }
    let content = message.content.to_value();
    if content.get(FOREIGN_KEY).and_then(|beside| beside.get("p")).is_some() {
        return None;
    }
    content.get("fileId")?.as_str()?.parse().ok()
}

/// A message as a LeanCloud client gets it. `file` gives the `_lcfile` of a file.
pub fn show(message: &Message, file: impl Fn(FileId) -> Option<Value>) -> Shown {
    let mut content = match message.content.to_value() {
        Value::Object(content) => content,
        _ => Map::new(),
    };
    let beside = content.remove(FOREIGN_KEY).and_then(|beside| serde_json::from_value(beside).ok());
    let Beside { payload, is_binary, wants_receipt, mentions, mentions_all, edited_at, from } =
        beside.unwrap_or_default();
    if message.is_recalled() {
        return Shown { data: RECALLED_DATA.to_owned(), wants_receipt, from, ..Shown::default() };
    }
    let text = |key: &str| content.get(key).and_then(Value::as_str).unwrap_or_default();
    let data = payload.unwrap_or_else(|| match &message.kind {
        MessageKind::Text => text_form(text("text")),
        MessageKind::Other(_) => text("data").to_owned(),
        kind => typed_form(kind, &content, file).to_string(),
    });
    Shown { data, is_binary, wants_receipt, mentions, mentions_all, edited_at, from }
}

/// What LeanCloud has no type for is a text with attributes, which clients that know them can do better with.
fn typed_form(kind: &MessageKind, content: &Map<String, Value>, file: impl Fn(FileId) -> Option<Value>) -> Value {
    let text = |key: &str| content.get(key).and_then(Value::as_str).unwrap_or_default();
    let of_file = |number: i64| {
        let id = text("fileId").parse().ok();
        let mut described = id.and_then(file).unwrap_or_else(|| json!({ "objId": text("fileId"), "metaData": {} }));
        if let Some(meta) = described.get_mut("metaData").and_then(Value::as_object_mut) {
            for key in ["width", "height", "name"] {
                meta.extend(content.get(key).map(|value| (key.to_owned(), value.clone())));
            }
            if let Some(millis) = content.get("durationMs").and_then(Value::as_f64) {
                meta.insert("duration".to_owned(), json!(millis / 1000.0));
            }
        }
        json!({ "_lctype": number, "_lctext": "", "_lcfile": described })
    };
    let with_attributes = |line: &str, kind: &str| {
        let mut attributes = content.clone();
        attributes.insert("kind".to_owned(), json!(kind));
        json!({ "_lctype": -1, "_lctext": line, "_lcattrs": attributes })
    };
    match kind {
        MessageKind::Image => of_file(-2),
        MessageKind::Voice => of_file(-3),
        MessageKind::File => of_file(-6),
        MessageKind::Link => with_attributes(&format!("{}\n{}", text("title"), text("url")), "link"),
        MessageKind::Report => with_attributes(text("title"), "report"),
        other => with_attributes(text("text"), other.as_str()),
    }
}

/// Whether a client wrote a message that stands for a recalled one.
pub fn is_recalled_form(data: &str) -> bool {
    Written::plain(data, false).typed().as_ref().and_then(kind_of) == Some(RECALLED)
}

#[cfg(test)]
#[path = "message/tests.rs"]
mod tests;
