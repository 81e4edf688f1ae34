//! Searching messages.

use domain::id::MessageId;
use im::message::MessageSearch;
use im::{Content, MessageKind, NewMessage};
use serde_json::json;

use super::samples::{at, conversation, guest, message, text};
use super::{Harness, append, given_conversations, messaging};
use crate::build::dialog_id;
use crate::ids::object_id;

fn query(text: &str) -> MessageSearch {
    MessageSearch {
        client_ids: vec!["a".into()],
        conversation_id: None,
        text: text.to_owned(),
        before: None,
        limit: 100,
    }
}

async fn found(h: &dyn Harness, search: &MessageSearch) -> Vec<MessageId> {
    h.im().read().messages().search(search).await.unwrap().into_iter().map(|m| m.id).collect()
}

fn ids<const N: usize>(numbers: [u32; N]) -> [MessageId; N] {
    numbers.map(|n| MessageId(object_id(n)))
}

async fn given(h: &dyn Harness, texts: &[&str]) {
    given_conversations(h, &[conversation(1), conversation(2)], &[guest(1, "a"), guest(1, "b"), guest(2, "b")]).await;
    let messages: Vec<_> = (1..).zip(texts).map(|(n, words)| text(n, dialog_id(1), "b", words)).collect();
    append(h, &messages).await;
}

pub async fn words_of_two_chinese_characters_are_found(h: &dyn Harness) {
    given(h, &["最近总是打鼾，白天嗜睡", "血压正常", "夜间憋醒，打 鼾", "不再打鼾了"]).await;
    assert_eq!(found(h, &query("打鼾")).await, ids([4, 1]));
    assert_eq!(found(h, &query("嗜睡")).await, ids([1]));
    assert_eq!(found(h, &query("鼾")).await, ids([4, 3, 1]));
    assert!(found(h, &query("鼾打")).await.is_empty());
}

pub async fn wildcards_quotes_and_backslashes_are_literal(h: &dyn Harness) {
    given(h, &["100% 好", "a_b", "aXb", "it's \"so\"", r"c:\dir", "100 percent"]).await;
    assert_eq!(found(h, &query("100%")).await, ids([1]));
    assert_eq!(found(h, &query("%")).await, ids([1]));
    assert_eq!(found(h, &query("a_b")).await, ids([2]));
    assert_eq!(found(h, &query("it's \"so")).await, ids([4]));
    assert_eq!(found(h, &query(r"c:\d")).await, ids([5]));
}

pub async fn the_case_of_ascii_letters_does_not_matter(h: &dyn Harness) {
    given(h, &["用 CPAP 呼吸机", "cpap", "C P A P"]).await;
    assert_eq!(found(h, &query("cPaP")).await, ids([2, 1]));
}

pub async fn only_own_conversations_are_searched(h: &dyn Harness) {
    given(h, &["打鼾"]).await;
    append(h, &[text(7, dialog_id(2), "b", "打鼾")]).await;
    assert_eq!(found(h, &query("打鼾")).await, ids([1]));
    let of_b = MessageSearch { client_ids: vec!["b".into(), "x".into()], ..query("打鼾") };
    assert_eq!(found(h, &of_b).await, ids([7, 1]));
    let within = MessageSearch { conversation_id: Some(dialog_id(2)), ..of_b };
    assert_eq!(found(h, &within).await, ids([7]));
    let not_in_it = MessageSearch { conversation_id: Some(dialog_id(2)), ..query("打鼾") };
    assert!(found(h, &not_in_it).await.is_empty());
    assert!(found(h, &MessageSearch { client_ids: Vec::new(), ..query("打鼾") }).await.is_empty());
}

pub async fn only_texts_that_were_not_recalled_are_found(h: &dyn Harness) {
    given(h, &["打鼾", "打鼾"]).await;
    let of_kind =
        |n, kind, content| NewMessage { kind, content: Content::of(&content), ..text(n, dialog_id(1), "b", "") };
    let others = [
        of_kind(3, MessageKind::System, json!({"text": "打鼾"})),
        of_kind(4, MessageKind::Link, json!({"url": "https://a.example/打鼾", "title": "打鼾"})),
        of_kind(5, MessageKind::Other("lc.7".into()), json!("打鼾")),
        message(6, dialog_id(1)),
    ];
    append(h, &others).await;
    messaging(h, async |unit| {
        let first = unit.messages().find_seq(dialog_id(1), 1).await.unwrap().unwrap();
        unit.messages().recall(&first, at(90)).await.unwrap();
    })
    .await;
    assert_eq!(found(h, &query("打鼾")).await, ids([2]));
    assert!(found(h, &query("text")).await.is_empty(), "names of fields are not what was written");
}

pub async fn what_was_found_is_paged_newest_first(h: &dyn Harness) {
    given(h, &["睡眠 1", "睡眠 2", "别的", "睡眠 4", "睡眠 5", "睡眠 6"]).await;
    let mut paged = Vec::new();
    let mut before = None;
    loop {
        let page = h.im().read().messages().search(&MessageSearch { before, limit: 2, ..query("睡眠") }).await.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        before = Some(last.position);
        paged.extend(page.into_iter().map(|m| m.id));
    }
    assert_eq!(paged, ids([6, 5, 4, 2, 1]));
}
