//! Every example of the protocol document is read into the types and back.

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

const DOCUMENT: &str = include_str!("../../../../openapi/im-protocol.md");

/// The JSON blocks between two headings.
fn examples(from: &str, to: &str) -> Vec<Value> {
    let section = DOCUMENT.split_once(from).unwrap().1.split_once(to).unwrap().0;
    let blocks = section.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.map(|block| serde_json::from_str(block).unwrap()).collect()
}

fn words(examples: &[Value]) -> BTreeSet<&str> {
    examples.iter().map(|example| example["type"].as_str().unwrap()).collect()
}

#[test]
fn examples_of_clients_are_what_the_server_reads() {
    let examples = examples("## From the client", "## From the server");
    for example in &examples {
        let text = example.to_string();
        let frame = ClientFrame::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(frame.word(), example["type"], "{text}");
        assert_eq!(serde_json::to_value(&frame).unwrap(), *example);
    }
    let all = ["hello", "send", "read", "delivered", "typing", "presence", "range", "ping", "pong"];
    assert_eq!(words(&examples), BTreeSet::from(all));
}

#[test]
fn examples_of_the_server_are_what_it_sends() {
    let examples = examples("## From the server", "## Rules");
    for example in &examples {
        let frame: ServerFrame = serde_json::from_value(example.clone()).unwrap_or_else(|e| panic!("{e}: {example}"));
        assert_eq!(serde_json::from_str::<Value>(&frame.to_json()).unwrap(), *example);
    }
    let all =
        ["ready", "ack", "event", "typing", "receipt", "presence", "range", "ping", "pong", "error", "bye", "resync"];
    assert_eq!(words(&examples), BTreeSet::from(all));
    let kinds: BTreeSet<_> = examples.iter().filter_map(|example| example["kind"].as_str()).collect();
    let known = crate::log::EventKind::ALL.map(crate::log::EventKind::as_str);
    assert_eq!(kinds, known.into_iter().chain(["message"]).collect());
}

#[test]
fn every_reason_to_be_closed_is_documented() {
    for reason in ByeReason::ALL {
        let word = serde_json::to_value(reason).unwrap();
        assert!(DOCUMENT.contains(&format!("| `{}` |", word.as_str().unwrap())), "{reason:?}");
    }
}

#[test]
fn content_is_taken_as_written() {
    let text = r#"{"type":"send","clientMessageId":"a\u002d1","conversationId":"5daeb07b7b968a0074945056",
        "messageType":"text","content":{ "text" : "您好 \u00e9" },"later":1}"#;
    let Ok(ClientFrame::Send(frame)) = ClientFrame::parse(text) else { panic!("not a send frame") };
    assert_eq!(frame.content.get(), r#"{ "text" : "您好 \u00e9" }"#);
    assert_eq!(frame.client_message_id, "a-1");
}

#[test]
fn what_is_no_frame_is_refused_without_quoting_it() {
    let refused = |text: &str| ClientFrame::parse(text).unwrap_err();
    assert_eq!(refused("王"), Malformed::NoFrame);
    assert_eq!(refused("[]"), Malformed::NoFrame);
    assert_eq!(refused("{}"), Malformed::NoFrame);
    assert_eq!(refused(r#"{"type":"secret"}"#), Malformed::UnknownType);
    assert_eq!(refused(r#"{"type":"read","seq":"1"}"#), Malformed::Fields { frame: "read" });
    assert_eq!(refused(r#"{"type":"typing"}"#).to_string(), "a typing frame does not have these fields");
}

#[test]
fn frames_with_secrets_do_not_show_them() {
    let hello = ClientFrame::parse(r#"{"type":"hello","token":"open-sesame"}"#).unwrap();
    assert!(!format!("{hello:?}").contains("sesame"));
    let text = r#"{"type":"send","clientMessageId":"1","conversationId":"5daeb07b7b968a0074945056",
        "messageType":"text","content":{"text":"private"}}"#;
    assert!(!format!("{:?}", ClientFrame::parse(text).unwrap()).contains("private"));
}

#[test]
fn an_event_is_written_as_its_frame_says() {
    use crate::feed::samples::{conversation, event, message};
    use crate::log::{EventKind, LogEntry};

    let LogEntry::Message(sent) = message(7, conversation(1)) else { panic!("not a message") };
    let id = domain::id::MessageId(conversation(9).0);
    let at = domain::Timestamp::from_millis(1_767_323_045_678);
    let recalled = crate::Message { recalled_at: Some(at), corrects: Some(id), ..sent.clone() };
    let system = crate::Message { sender: None, client_message_id: None, ..sent.clone() };
    let read = event(8, EventKind::Read, (Some(conversation(1)), None), serde_json::json!({ "seq": 3 }));
    for entry in [LogEntry::Message(sent), LogEntry::Message(recalled), LogEntry::Message(system), read] {
        let frame: ServerFrame = serde_json::from_str(&EventFrame::json_of(&entry)).unwrap();
        assert_eq!(frame, ServerFrame::Event(EventFrame::of(&entry)));
        assert_eq!(EventFrame::json_of(&entry), frame.to_json(), "byte by byte");
    }
}
