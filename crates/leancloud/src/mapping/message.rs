//! Messages as the REST interface answers them.

use domain::id::{ConversationId, MessageId};
use domain::{ObjectId, Timestamp};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::read;
use crate::finding::{Note, Problem};

/// What every message has, and what is told elsewhere or of no use here: the parties of a conversation are its
/// members, addresses of senders are not kept.
const KNOWN_KEYS: [&str; 16] = [
    "timestamp",
    "conv-id",
    "data",
    "from",
    "msg-id",
    "is-conv",
    "is-room",
    "to",
    "bin",
    "from-ip",
    "ack-at",
    "mention-all",
    "mention-pids",
    "mention-client-ids",
    "patch-timestamp",
    "recall",
];
/// `_lctype` of what is left of a recalled message.
const RECALLED_TYPE: i64 = -127;

/// A message of the history. No `Debug`: it is what patients write.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageRow {
    pub conversation_id: ConversationId,
    /// LeanCloud's id of it.
    pub message_id: String,
    pub sender: String,
    /// In milliseconds.
    pub at: i64,
    pub data: String,
    pub is_binary: bool,
    pub mentions: Vec<String>,
    pub mentions_all: bool,
    /// When it was changed, in milliseconds.
    pub edited_at: Option<i64>,
    pub is_recalled: bool,
}

impl MessageRow {
    /// Its id here: the time, and what LeanCloud calls it, so that it is the same in every import.
    pub fn id(&self) -> MessageId {
        let digest = Md5::new()
            .chain_update(self.conversation_id.0.as_bytes())
            .chain_update(&self.message_id)
            .chain_update(&self.sender)
            .finalize();
        let seconds = u32::try_from(self.at / 1_000).unwrap_or(0).to_be_bytes();
        let mut bytes = [0; 12];
        bytes.iter_mut().zip(seconds.into_iter().chain(digest)).for_each(|(byte, value)| *byte = value);
        MessageId(ObjectId::from_bytes(bytes))
    }

    pub const fn sent_at(&self) -> Timestamp {
        Timestamp::from_millis(self.at)
    }

    /// Where it stands among the messages of its conversation.
    pub fn place(&self) -> (i64, &str) {
        (self.at, &self.message_id)
    }
}

/// Maps a message of the history.
///
/// # Errors
/// A note that names what it lacks: its id, conversation, sender, time or text.
pub fn map_message(row: &Map<String, Value>) -> Result<(MessageRow, Vec<Note>), Note> {
    let text = |key: &str| row.get(key).and_then(|value| read::text(value).ok()).filter(|text| !text.is_empty());
    let Some(message_id) = text("msg-id") else { return Err(Note::field("msg-id", Problem::MissingReference)) };
    let lacks = |field, problem| Note::field(field, problem).about(&message_id);
    let conversation = text("conv-id").ok_or_else(|| lacks("conv-id", Problem::MissingReference))?;
    let conversation_id = conversation.parse().ok().ok_or_else(|| lacks("conv-id", Problem::BadReference))?;
    let sender = text("from").ok_or_else(|| lacks("from", Problem::MissingReference))?;
    let at = row.get("timestamp").and_then(|value| read::number(value, &[]).ok()).and_then(millis);
    let at = at.ok_or_else(|| lacks("timestamp", Problem::BadTime))?;
    let data = match row.get("data") {
        Some(Value::String(data)) => data.clone(),
        // Some tools write the text of a typed message unfolded.
        Some(object @ Value::Object(_)) => object.to_string(),
        _ => return Err(lacks("data", Problem::WrongType)),
    };
    let flag = |key: &str| row.get(key).is_some_and(|value| read::flag(value).unwrap_or(false));
    let mentions = ["mention-pids", "mention-client-ids"].into_iter().find_map(|key| row.get(key)?.as_array());
    let mentions = mentions.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    let is_recalled = flag("recall") || (data.contains("-127") && lc_type(&data) == Some(RECALLED_TYPE));
    let unknown = row.iter().filter(|(key, value)| !KNOWN_KEYS.contains(&key.as_str()) && !value.is_null());
    let notes = unknown.map(|(key, _)| Note::row(Problem::FieldNotKept).about(key)).collect();
    let message = MessageRow {
        conversation_id,
        message_id,
        sender,
        at,
        data,
        is_binary: flag("bin"),
        mentions,
        mentions_all: flag("mention-all"),
        edited_at: row.get("patch-timestamp").and_then(Value::as_i64),
        is_recalled,
    };
    Ok((message, notes))
}

fn lc_type(data: &str) -> Option<i64> {
    serde_json::from_str::<Value>(data).ok()?.get("_lctype")?.as_i64()
}

/// A time of this or the last century, in milliseconds.
fn millis(number: f64) -> Option<i64> {
    #[expect(clippy::cast_possible_truncation, reason = "bounded in the same expression")]
    (number.fract() == 0.0 && (0.0..4.0e12).contains(&number)).then_some(number as i64)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const CONVERSATION: &str = "5e10d76817149d439536b321";

    fn row() -> Value {
        json!({
            "timestamp": 1_767_323_045_678_i64, "conv-id": CONVERSATION, "data": "{\"_lctype\":-1,\"_lctext\":\"您好\"}",
            "from": "5db2cf72f884af0073deb1bc", "msg-id": "lL7iVYwySf6vMPF0qCzNOQ", "is-conv": true, "is-room": false,
            "to": CONVERSATION, "bin": false, "from-ip": "192.0.2.1",
        })
    }

    fn mapped(change: impl FnOnce(&mut Value)) -> Result<(MessageRow, Vec<Note>), Note> {
        let mut row = row();
        change(&mut row);
        map_message(row.as_object().unwrap())
    }

    #[test]
    fn a_message_keeps_its_id_time_and_bytes() {
        let (message, notes) = mapped(|_| {}).ok().unwrap();
        assert_eq!(notes, []);
        assert_eq!(message.place(), (1_767_323_045_678, "lL7iVYwySf6vMPF0qCzNOQ"));
        assert_eq!(message.data, "{\"_lctype\":-1,\"_lctext\":\"您好\"}");
        assert_eq!(message.id(), mapped(|row| row["bin"] = json!(null)).ok().unwrap().0.id());
        assert!(message.id().to_string().starts_with("695735a5"), "{}", message.id());
        assert!(!message.is_recalled && !message.is_binary);
    }

    #[rstest]
    #[case("msg-id", json!(null), "msg-id", Problem::MissingReference)]
    #[case("conv-id", json!("_tmp:abc"), "conv-id", Problem::BadReference)]
    #[case("from", json!(""), "from", Problem::MissingReference)]
    #[case("timestamp", json!("soon"), "timestamp", Problem::BadTime)]
    #[case("timestamp", json!(-5), "timestamp", Problem::BadTime)]
    #[case("data", json!(5), "data", Problem::WrongType)]
    fn what_cannot_be_a_message_is_named(
        #[case] key: &str,
        #[case] value: Value,
        #[case] field: &str,
        #[case] problem: Problem,
    ) {
        let Err(note) = mapped(|row| row[key] = value) else { panic!("mapped") };
        assert_eq!((note.field, note.problem), (Some(field), problem));
    }

    #[test]
    fn what_is_left_of_a_recalled_message_is_recalled_here() {
        let recalled = |data: &str| mapped(|row| row["data"] = json!(data)).ok().unwrap().0.is_recalled;
        assert!(recalled("{\"_lctype\":-127}"));
        assert!(!recalled("-127 is a number"));
    }

    #[test]
    fn unknown_fields_are_told() {
        let (_, notes) = mapped(|row| row["colour"] = json!("red")).ok().unwrap();
        assert_eq!(notes, [Note::row(Problem::FieldNotKept).about(&"colour")]);
    }
}
