//! Pushes: one effect for every message, however often and wherever it arrives.

use wechat::inbox::PushError;
use wechat::push::{PushQuery, PushRefusal};
use wechat::sign::push_signature;
use wechat::{PushFormat, PushMode};

use crate::support::{NOW, Node, Stage, TEMPLATE, apps, on_each_database};

const NOW_S: i64 = NOW.as_millis() / 1_000;

/// A plain push, signed now.
pub(crate) fn signed(stage: &Stage, nonce: &str) -> PushQuery {
    let timestamp = (stage.clock_now().as_millis() / 1_000).to_string();
    let signature = push_signature(&["push-token", &timestamp, nonce]);
    PushQuery {
        signature: Some(signature),
        timestamp: Some(timestamp),
        nonce: Some(nonce.to_owned()),
        ..PushQuery::default()
    }
}

async fn receive(stage: &Stage, node: &Node, nonce: &str, message: &serde_json::Value) {
    let inbox = node.inbox();
    let opened = inbox.open("patient", &signed(stage, nonce), message.to_string().as_bytes()).unwrap();
    inbox.store(opened).await.unwrap();
}

/// Receives one push and takes it in.
pub(crate) async fn take_in(stage: &Stage, node: &Node, message: &serde_json::Value) {
    receive(stage, node, "1", message).await;
    node.take_in_pushes().await;
}

fn popup() -> serde_json::Value {
    serde_json::json!({ "FromUserName": "o1", "CreateTime": NOW_S, "MsgType": "event",
        "Event": "subscribe_msg_popup_event",
        "List": { "TemplateId": TEMPLATE, "SubscribeStatusString": "accept", "PopupScene": "0" } })
}

#[tokio::test]
async fn the_same_event_three_times_and_after_a_restart_has_one_effect() {
    on_each_database(async |stage| {
        let plain = || apps(PushMode::Plain, PushFormat::Json);
        let node = stage.node_of(plain()).await;
        for nonce in ["1", "1", "2"] {
            receive(stage, &node, nonce, &popup()).await;
        }
        assert_eq!(node.take_in_pushes().await, 1);
        node.store.close().await;
        let restarted = stage.node_of(plain()).await;
        receive(stage, &restarted, "3", &popup()).await;
        assert_eq!(restarted.take_in_pushes().await, 0);
        assert_eq!(restarted.available("o1").await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_job_that_runs_twice_has_one_effect() {
    on_each_database(async |stage| {
        let node = stage.node_of(apps(PushMode::Plain, PushFormat::Json)).await;
        receive(stage, &node, "1", &popup()).await;
        assert_eq!(node.take_in_pushes().await, 1);
        // The worker died before it could settle the job.
        stage.clock.advance(std::time::Duration::from_secs(2));
        assert_eq!(node.take_in_pushes().await, 1);
        assert_eq!(node.available("o1").await, 1);
    })
    .await;
}

#[tokio::test]
async fn forged_and_foreign_pushes_leave_nothing() {
    on_each_database(async |stage| {
        let safe = stage.node().await;
        let body = popup().to_string();
        let refused = |query: &PushQuery, body: &str| match safe.inbox().open("patient", query, body.as_bytes()) {
            Err(PushError::Refused(refusal)) => refusal,
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("it was taken"),
        };
        assert_eq!(refused(&signed(stage, "1"), &body), PushRefusal::Signature, "no talking down to plain");
        assert_eq!(refused(&PushQuery::default(), &body), PushRefusal::Signature);
        assert_eq!(refused(&signed(stage, "1"), &"x".repeat(65 * 1024)), PushRefusal::TooLarge);
        assert!(matches!(
            safe.inbox().open("nobody", &signed(stage, "1"), body.as_bytes()),
            Err(PushError::NotConfigured)
        ));
        assert_eq!(safe.take_in_pushes().await, 0);
    })
    .await;
}

#[tokio::test]
async fn what_was_pushed_is_sealed_and_forgotten_after_a_day() {
    on_each_database(async |stage| {
        let node = stage.node_of(apps(PushMode::Plain, PushFormat::Xml)).await;
        let xml = format!(
            "<xml><FromUserName>o1</FromUserName><CreateTime>{NOW_S}</CreateTime><MsgType>text</MsgType>\
             <Content><![CDATA[我失眠了]]></Content><MsgId>7</MsgId></xml>"
        );
        let inbox = node.inbox();
        inbox.store(inbox.open("patient", &signed(stage, "1"), xml.as_bytes()).unwrap()).await.unwrap();
        assert_eq!(node.take_in_pushes().await, 1);
        assert_eq!(inbox.purge().await.unwrap(), 0);
        stage.clock.advance(std::time::Duration::from_hours(25));
        assert_eq!(inbox.purge().await.unwrap(), 1);
        assert_eq!(inbox.purge().await.unwrap(), 0);
    })
    .await;
}
