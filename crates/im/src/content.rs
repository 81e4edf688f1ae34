//! What each kind of message may say: reads what a client sent and keeps exactly what is known.

use domain::FieldError;
use domain::id::{FileId, ReportId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::{Content, MessageKind};

/// Most bytes of a text, in UTF-8.
pub const MAX_TEXT_BYTES: usize = 64 * 1024;
/// Most bytes of the JSON of a kind this product does not know.
pub const MAX_OTHER_BYTES: usize = 64 * 1024;
/// Most bytes of an address.
pub const MAX_URL_BYTES: usize = 2048;
/// Most characters of a title or name.
pub const MAX_TITLE_CHARS: usize = 200;
/// Most characters of a description.
pub const MAX_DESCRIPTION_CHARS: usize = 1000;
/// Longest voice message, in milliseconds.
pub const MAX_VOICE_MS: u32 = 5 * 60 * 1000;

/// `text`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TextContent {
    pub text: String,
}

/// `image`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageContent {
    pub file_id: FileId,
    /// Pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
}

/// `file`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FileContent {
    pub file_id: FileId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// `voice`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VoiceContent {
    pub file_id: FileId,
    /// Milliseconds.
    pub duration_ms: u32,
}

/// `link`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LinkContent {
    /// http or https.
    pub url: String,
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Address of a picture, http or https.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cover: Option<String>,
}

/// `report`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReportContent {
    pub report_id: ReportId,
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// Content that is in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    pub content: Content,
    /// The file it shows, which must be the sender's.
    pub file: Option<FileId>,
}

impl Checked {
    fn plain(content: &impl Serialize) -> Self {
        Self { content: Content::of(content), file: None }
    }

    fn with_file(content: &impl Serialize, file: FileId) -> Self {
        Self { content: Content::of(content), file: Some(file) }
    }
}

/// Reads the content of a message that a person sends. `json` is JSON text.
///
/// # Errors
/// A [`FieldError`] naming the field at fault, e.g. `content.text`; kinds that people cannot send are refused as
/// `type`.
pub fn check(kind: &MessageKind, json: &str) -> Result<Checked, FieldError> {
    match kind {
        MessageKind::Text => {
            let content: TextContent = read(json)?;
            let length = content.text.len();
            require(length > 0 && !content.text.trim().is_empty(), "content.text", "must not be empty")?;
            require(length <= MAX_TEXT_BYTES, "content.text", "is at most 65536 bytes of UTF-8")?;
            Ok(Checked::plain(&content))
        }
        MessageKind::Image => {
            let content: ImageContent = read(json)?;
            Ok(Checked::with_file(&content, content.file_id))
        }
        MessageKind::File => {
            let content: FileContent = read(json)?;
            if let Some(name) = &content.name {
                require_chars(name, MAX_TITLE_CHARS, "content.name")?;
            }
            Ok(Checked::with_file(&content, content.file_id))
        }
        MessageKind::Voice => {
            let content: VoiceContent = read(json)?;
            let is_fitting = (1..=MAX_VOICE_MS).contains(&content.duration_ms);
            require(is_fitting, "content.durationMs", "is between 1 and 300000")?;
            Ok(Checked::with_file(&content, content.file_id))
        }
        MessageKind::Link => {
            let content: LinkContent = read(json)?;
            require_url(&content.url, "content.url")?;
            require_title(&content.title)?;
            require_description(content.description.as_deref())?;
            if let Some(cover) = &content.cover {
                require_url(cover, "content.cover")?;
            }
            Ok(Checked::plain(&content))
        }
        MessageKind::Report => {
            let content: ReportContent = read(json)?;
            require_title(&content.title)?;
            require_description(content.description.as_deref())?;
            Ok(Checked::plain(&content))
        }
        MessageKind::System | MessageKind::Other(_) => {
            Err(FieldError::new("type", "is one of text, image, link, file, voice, report"))
        }
    }
}

/// Reads the content of a message of a kind this product does not know, from a LeanCloud client.
///
/// # Errors
/// A [`FieldError`] when it is too long or no JSON.
pub fn check_other(json: &str) -> Result<Content, FieldError> {
    require(json.len() <= MAX_OTHER_BYTES, "content", "is at most 65536 bytes")?;
    Content::parse(json).ok().ok_or_else(|| FieldError::new("content", "is not JSON"))
}

/// The line of a message that lists and notifications show, without anything a person wrote for kinds but text.
pub fn excerpt(kind: &MessageKind, content: &Content) -> String {
    let field = |name: &str| content.to_value().get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    match kind {
        MessageKind::Text | MessageKind::System => field("text"),
        MessageKind::Image => "[图片]".to_owned(),
        MessageKind::File => format!("[文件] {}", field("name")).trim_end().to_owned(),
        MessageKind::Voice => "[语音]".to_owned(),
        MessageKind::Link => format!("[链接] {}", field("title")),
        MessageKind::Report => format!("[报告] {}", field("title")),
        MessageKind::Other(_) => "[消息]".to_owned(),
    }
}

fn read<'a, T: Deserialize<'a>>(json: &'a str) -> Result<T, FieldError> {
    // The reason names fields and types, never values.
    serde_json::from_str(json).map_err(|error| FieldError::new("content", reason_of(&error)))
}

/// What serde says up to the first value it would quote.
fn reason_of(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.split(" at line").next() {
        Some(said) if said.starts_with("missing field") || said.starts_with("unknown field") => said.to_owned(),
        _ => "does not have the fields of this type".to_owned(),
    }
}

fn require(holds: bool, field: &str, message: &str) -> Result<(), FieldError> {
    if holds { Ok(()) } else { Err(FieldError::new(field, message)) }
}

fn require_chars(text: &str, most: usize, field: &str) -> Result<(), FieldError> {
    let is_fitting = !text.trim().is_empty() && text.chars().count() <= most;
    if is_fitting { Ok(()) } else { Err(FieldError::new(field, format!("is between 1 and {most} characters"))) }
}

fn require_title(title: &str) -> Result<(), FieldError> {
    require_chars(title, MAX_TITLE_CHARS, "content.title")
}

fn require_description(description: Option<&str>) -> Result<(), FieldError> {
    description.map_or(Ok(()), |text| require_chars(text, MAX_DESCRIPTION_CHARS, "content.description"))
}

/// http or https with a host, so that no client is handed a script.
fn require_url(url: &str, field: &str) -> Result<(), FieldError> {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    let has_host = rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_alphanumeric() || c == '['));
    let is_clean = !url.chars().any(|c| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\\'));
    require(
        has_host && is_clean && url.len() <= MAX_URL_BYTES,
        field,
        "is an http or https address of at most 2048 bytes",
    )
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn field(kind: &MessageKind, json: &str) -> String {
        check(kind, json).unwrap_err().field
    }

    #[test]
    fn text_is_kept_as_written() {
        let checked = check(&MessageKind::Text, r#"{"text":" 您好\n" }"#).unwrap();
        assert_eq!(checked.content.as_str(), r#"{"text":" 您好\n"}"#);
    }

    #[test]
    fn text_is_bounded_in_bytes() {
        let just = serde_json::json!({ "text": "a".repeat(MAX_TEXT_BYTES) }).to_string();
        assert!(check(&MessageKind::Text, &just).is_ok());
        let over = serde_json::json!({ "text": "a".repeat(MAX_TEXT_BYTES + 1) }).to_string();
        assert_eq!(field(&MessageKind::Text, &over), "content.text");
        assert_eq!(field(&MessageKind::Text, r#"{"text":"  "}"#), "content.text");
    }

    #[test]
    fn files_are_named_by_the_content() {
        let json = r#"{"fileId":"5daeb07b7b968a0074945056","width":3}"#;
        let checked = check(&MessageKind::Image, json).unwrap();
        assert_eq!(checked.file, Some("5daeb07b7b968a0074945056".parse().unwrap()));
        assert_eq!(checked.content.as_str(), json);
    }

    #[rstest]
    #[case(r#"{"url":"javascript:alert(1)","title":"x"}"#, "content.url")]
    #[case(r#"{"url":"https://","title":"x"}"#, "content.url")]
    #[case(r#"{"url":"https://a b","title":"x"}"#, "content.url")]
    #[case(r#"{"url":"https://a","title":" "}"#, "content.title")]
    #[case(r#"{"url":"https://a","title":"x","cover":"data:,"}"#, "content.cover")]
    #[case(r#"{"url":"https://a"}"#, "content")]
    fn links_lead_to_the_web_only(#[case] json: &str, #[case] at_fault: &str) {
        assert_eq!(field(&MessageKind::Link, json), at_fault);
    }

    #[test]
    fn system_lines_and_kinds_of_others_cannot_be_sent() {
        for kind in [MessageKind::System, MessageKind::parse("note"), MessageKind::parse("lc.-9")] {
            assert_eq!(field(&kind, r#"{"text":"x"}"#), "type");
        }
    }

    #[test]
    fn faults_never_quote_values() {
        let fault = check(&MessageKind::Text, r#"{"text":{"secret":"13900000000"}}"#).unwrap_err();
        assert!(!fault.message.contains("139"), "{fault}");
        let fault = check(&MessageKind::Text, r#"{"text":"x","phone":"y"}"#).unwrap_err();
        assert!(fault.message.contains("unknown field `phone`"), "{fault}");
    }
}
