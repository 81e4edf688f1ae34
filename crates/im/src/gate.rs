//! Looking at what people write before it is passed on, and keeping back what is not clear yet.

use async_trait::async_trait;
use domain::id::{ConversationId, FileId, MessageId};
use domain::{ErrorKind, FieldError, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::ImError;
use crate::message::{Content, MessageKind, NewMessage};
use crate::owner::Refusal;

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Pass,
    /// It is not stored.
    Refuse,
    /// It was kept back and is passed on later, unless somebody decides otherwise.
    Hold,
}

/// Looks at messages on their way to the store.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait ContentGate: Send + Sync {
    /// Looks at a message. Never fails: what cannot be looked at passes.
    async fn admit(&self, message: &NewMessage) -> Admission;
}

/// The refusal of a message for what it says.
pub fn refused() -> ImError {
    let fields = vec![FieldError::new("content", "was refused by the content check")];
    let message = "this message was refused by the content check".to_owned();
    ImError::Refused(Refusal { code: "message.content_refused", kind: ErrorKind::Invalid, message, fields })
}

/// The answer for a message that was kept back.
pub fn held() -> ImError {
    let message = "this message is being checked and is passed on by itself afterwards".to_owned();
    ImError::Refused(Refusal { code: "message.held", kind: ErrorKind::Conflict, message, fields: Vec::new() })
}

/// The words of a message that people read; `None` when it has none.
pub fn words_of(kind: &MessageKind, content: &Content) -> Option<String> {
    let value = content.to_value();
    let text = |names: &[&str]| {
        let found: Vec<&str> = names.iter().filter_map(|name| value.get(*name)?.as_str()).collect();
        (!found.is_empty()).then(|| found.join("\n"))
    };
    match kind {
        MessageKind::Text => text(&["text"]),
        MessageKind::Link | MessageKind::Report => text(&["title", "description"]),
        MessageKind::File => text(&["name"]),
        MessageKind::Other(_) => {
            let mut found = Vec::new();
            texts_of(&value, &mut found);
            (!found.is_empty()).then(|| found.join("\n"))
        }
        MessageKind::Image | MessageKind::Voice | MessageKind::System => None,
    }
}

/// All texts of a kind this product does not know.
fn texts_of(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts_of(item, found)),
        Value::Object(fields) => fields.values().for_each(|item| texts_of(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The file that a picture or voice message shows or plays.
pub fn media_of(kind: &MessageKind, content: &Content) -> Option<FileId> {
    if !matches!(kind, MessageKind::Image | MessageKind::Voice) {
        return None;
    }
    content.to_value().get("fileId")?.as_str()?.parse().ok()
}

/// A message that is kept back, as JSON text.
#[derive(Serialize, Deserialize)]
struct Held {
    id: MessageId,
    conversation_id: ConversationId,
    sender: Option<String>,
    client_message_id: Option<String>,
    kind: String,
    content: String,
    corrects: Option<MessageId>,
}

/// Writes a message down.
pub fn write_held(message: &NewMessage) -> String {
    let held = Held {
        id: message.id,
        conversation_id: message.conversation_id,
        sender: message.sender.clone(),
        client_message_id: message.client_message_id.clone(),
        kind: message.kind.as_str().to_owned(),
        content: message.content.as_str().to_owned(),
        corrects: message.corrects,
    };
    serde_json::to_string(&held).unwrap_or_default()
}

/// Reads it again, to be passed on now.
pub fn read_held(text: &str, now: Timestamp) -> Option<NewMessage> {
    let held: Held = serde_json::from_str(text).ok()?;
    Some(NewMessage {
        id: held.id,
        conversation_id: held.conversation_id,
        sender: held.sender,
        acted_by: None,
        client_message_id: held.client_message_id,
        kind: MessageKind::parse(&held.kind),
        content: Content::parse(&held.content).ok()?,
        corrects: held.corrects,
        created_at: now,
        is_agreed: false,
        origin: None,
    })
}

#[cfg(test)]
mod tests {
    use domain::{Coded, ObjectId};
    use rstest::rstest;
    use serde_json::json;

    use super::*;
    use crate::message::SystemNotice;

    #[rstest]
    #[case(MessageKind::Text, json!({ "text": "您好" }), Some("您好"))]
    #[case(MessageKind::Link, json!({ "url": "https://x", "title": "一", "description": "二" }), Some("一\n二"))]
    #[case(MessageKind::Image, json!({ "fileId": "5daeb07b7b968a0074945056" }), None)]
    #[case(MessageKind::Other("-8".into()), json!({ "a": ["x", { "b": "y" }], "n": 1 }), Some("x\ny"))]
    #[case(MessageKind::System, json!({ "text": "x" }), None)]
    fn the_words_that_people_read(#[case] kind: MessageKind, #[case] content: Value, #[case] words: Option<&str>) {
        assert_eq!(words_of(&kind, &Content::of(&content)).as_deref(), words);
    }

    #[test]
    fn pictures_and_voices_show_a_file() {
        let content = Content::of(&json!({ "fileId": "5daeb07b7b968a0074945056" }));
        assert!(media_of(&MessageKind::Image, &content).is_some() && media_of(&MessageKind::Voice, &content).is_some());
        assert!(media_of(&MessageKind::File, &content).is_none());
    }

    #[test]
    fn what_is_kept_back_comes_again_as_it_was() {
        let id = ObjectId::from_parts(1, [0; 5], 1);
        let at = Timestamp::from_millis(7);
        let notice = NewMessage::system(MessageId(id), ConversationId(id), &SystemNotice::new("e", "t"), at);
        let message = NewMessage {
            sender: Some("a".into()),
            client_message_id: Some("c1".into()),
            kind: MessageKind::Text,
            is_agreed: false,
            ..notice
        };
        assert_eq!(read_held(&write_held(&message), at), Some(message));
        assert_eq!(read_held("{", at), None);
    }

    #[test]
    fn both_answers_are_told_apart() {
        assert_eq!((refused().code(), held().code()), ("message.content_refused", "message.held"));
    }
}
