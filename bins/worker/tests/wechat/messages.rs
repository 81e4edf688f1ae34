//! The outbox: nothing delivered twice, one grant one message, one lane per person, valid fields.

use std::time::Duration;

use domain::ObjectId;
use futures_util::future::join_all;
use wechat::errcode::Class;
use wechat::message::{MessageState, NotQueued, Progress};
use wechat::ports::WechatStore;
use wechat::{PushFormat, PushMode};
use wechat_standin::{Fault, FaultKind};

use crate::support::{APPID, Node, SERVICE_APPID, TEMPLATE, apps, new_message, on_each_database};

const SEND: &str = "/cgi-bin/message/subscribe/send";

#[tokio::test]
async fn one_grant_carries_one_of_two_messages() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        stage.consenting(&node, "o1", 1).await;
        let first = node.queue("o1", "first").await.unwrap();
        assert!(matches!(node.queue("o1", "second").await, Err(NotQueued::NoGrant)), "set aside for the first");
        assert_eq!(node.drive_to_end(stage, first).await, Progress::Accepted);
        assert_eq!(node.available("o1").await, 0);
        assert!(matches!(node.queue("o1", "third").await, Err(NotQueued::NoGrant)));
        assert_eq!(stage.platform().delivered.len(), 1);
        assert_eq!(stage.platform().count(SEND), 1, "no call is made in vain");
    })
    .await;
}

#[tokio::test]
async fn the_same_key_is_the_same_message() {
    on_each_database(async |stage| {
        let (one, two) = (stage.node().await, stage.node().await);
        stage.consenting(&one, "o1", 3).await;
        let ids = [one.queue("o1", "k").await.unwrap(), two.queue("o1", "k").await.unwrap()];
        assert_eq!(ids[0], ids[1]);
        assert_eq!(one.drive_to_end(stage, ids[0]).await, Progress::Accepted);
        assert_eq!(two.drive_to_end(stage, ids[0]).await, Progress::Accepted, "running it again sends nothing");
        assert_eq!(stage.platform().delivered.len(), 1);
        assert_eq!(one.available("o1").await, 2);
    })
    .await;
}

#[tokio::test]
async fn an_answer_lost_after_the_effect_is_unknown_and_not_sent_again() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        for (openid, kind) in [("o1", FaultKind::ResetAfter), ("o2", FaultKind::TruncateAfter)] {
            stage.consenting(&node, openid, 1).await;
            node.context.client.tokens().get(node.app()).await.unwrap();
            let id = node.queue(openid, openid).await.unwrap();
            stage.platform().faults.push(Fault::once(SEND, kind));
            assert_eq!(node.drive_to_end(stage, id).await, Progress::Unknown);
            for _ in 0..3 {
                assert_eq!(node.messages.drive(id).await.unwrap(), Progress::Unknown);
            }
            assert_eq!(node.message(id).await.state, MessageState::Unknown);
            assert_eq!(node.available(openid).await, 0, "the grant may be used up");
        }
        let platform = stage.platform();
        assert_eq!((platform.delivered.len(), platform.count(SEND)), (2, 2));
    })
    .await;
}

#[tokio::test]
async fn an_unknown_message_is_resolved_by_the_platforms_telling() {
    on_each_database(async |stage| {
        let node = stage.node_of(apps(PushMode::Plain, PushFormat::Json)).await;
        for (openid, code, state) in [("o1", 0, MessageState::Accepted), ("o2", -1, MessageState::Refused)] {
            stage.consenting(&node, openid, 1).await;
            let id = node.queue(openid, openid).await.unwrap();
            stage.platform().faults.push(Fault::once(SEND, FaultKind::ResetAfter));
            assert_eq!(node.drive_to_end(stage, id).await, Progress::Unknown);
            let event = serde_json::json!({ "FromUserName": openid, "CreateTime": 1_795_406_400, "MsgType": "event",
                "Event": "subscribe_msg_sent_event", "List": { "TemplateId": TEMPLATE,
                    "MsgID": format!("77{code}"), "ErrorCode": code.to_string(), "ErrorStatus": "x" } });
            crate::pushes::take_in(stage, &node, &event).await;
            assert_eq!(node.message(id).await.state, state);
        }
    })
    .await;
}

#[tokio::test]
async fn a_keyed_message_may_be_sent_again_and_arrives_once() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        stage.platform().follow(SERVICE_APPID, "f1", None, true);
        let id = node.messages.queue(&new_message("service", "f1", "k")).await.unwrap();
        stage.platform().faults.push(Fault::once("/cgi-bin/message/template/send", FaultKind::ResetAfter));
        assert_eq!(node.drive_to_end(stage, id).await, Progress::Accepted);
        assert_eq!(node.message(id).await.attempts, 2);
        assert_eq!(stage.platform().delivered.len(), 1, "the platform drops the duplicate");
    })
    .await;
}

#[tokio::test]
async fn who_does_not_follow_is_remembered() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        stage.platform().follow(SERVICE_APPID, "f1", None, false);
        crate::consents::follower(&node, "f1").await;
        let id = node.messages.queue(&new_message("service", "f1", "k")).await.unwrap();
        assert_eq!(node.drive_to_end(stage, id).await, Progress::Refused);
        assert_eq!(node.identity("service", "f1").await.unwrap().is_following, Some(false));
        let again = node.messages.queue(&new_message("service", "f1", "k2")).await;
        assert!(matches!(again, Err(NotQueued::NotFollowing)));
    })
    .await;
}

#[tokio::test]
async fn the_platforms_refusal_corrects_the_ledger() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        stage.visitor(&node, "o1").await;
        for n in 0..3 {
            node.accept_by_client("o1", &format!("p{n}")).await;
        }
        let id = node.queue("o1", "k").await.unwrap();
        assert_eq!(node.drive_to_end(stage, id).await, Progress::Refused);
        let message = node.message(id).await;
        assert_eq!((message.code, message.class), (Some(43_101), Some(Class::Recipient)));
        assert!(message.rid.is_some(), "kept for the platform's support");
        assert_eq!(node.available("o1").await, 0, "there was none, whatever the client said");
    })
    .await;
}

#[tokio::test]
async fn a_worker_that_dies_while_sending_leaves_an_unknown_message() {
    on_each_database(async |stage| {
        let (dying, other) = (stage.node().await, stage.node().await);
        stage.consenting(&dying, "o1", 2).await;
        dying.context.client.tokens().get(dying.app()).await.unwrap();
        let (id, next) = (dying.queue("o1", "k1").await.unwrap(), dying.queue("o1", "k2").await.unwrap());
        stage.platform().faults.push(Fault::once(SEND, FaultKind::TimeoutAfter(Duration::from_mins(1))));
        {
            // Dropped in the middle of the call, as by a crash.
            let sending = dying.messages.drive(id);
            tokio::pin!(sending);
            while stage.platform().count(SEND) == 0 {
                tokio::select! {
                    biased;
                    _ = &mut sending => panic!("the answer is held back"),
                    () = tokio::task::yield_now() => {}
                }
            }
        }
        assert!(matches!(other.messages.drive(next).await.unwrap(), Progress::Later(_)), "the lane is taken");
        stage.clock.advance(Duration::from_mins(1));
        assert_eq!(other.messages.sweep().await.unwrap(), 1);
        assert_eq!(other.message(id).await.state, MessageState::Unknown);
        assert_eq!(other.drive_to_end(stage, next).await, Progress::Accepted, "the lane is free again");
        assert_eq!(other.available("o1").await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_person_gets_one_message_at_a_time() {
    on_each_database(async |stage| {
        let (one, two) = (stage.node().await, stage.node().await);
        stage.consenting(&one, "o1", 12).await;
        let mut ids = Vec::new();
        for n in 0..12 {
            ids.push(one.queue("o1", &format!("k{n}")).await.unwrap());
        }
        // Slow enough for two sends to meet if they could.
        for _ in 0..12 {
            stage.platform().faults.push(Fault::once(SEND, FaultKind::Slow(Duration::from_millis(15))));
        }
        let drives = ids.iter().enumerate().map(|(n, id)| {
            let node = if n % 2 == 0 { &one } else { &two };
            patient_drive(node, *id)
        });
        join_all(drives).await;
        for id in ids {
            let message = one.message(id).await;
            assert_eq!((message.state, message.attempts), (MessageState::Accepted, 1), "no 43108 was met");
        }
        assert_eq!(stage.platform().delivered.len(), 12);
    })
    .await;
}

/// Waits for the lane in real time, because others hold it in real time.
async fn patient_drive(node: &Node, id: ObjectId) {
    loop {
        match node.messages.drive(id).await.unwrap() {
            Progress::Later(_) => tokio::task::yield_now().await,
            settled => return assert_eq!(settled, Progress::Accepted),
        }
    }
}

#[tokio::test]
async fn a_busy_platform_is_waited_for_and_a_full_minute_pauses_the_lane() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        stage.consenting(&node, "o1", 1).await;
        stage.consenting(&node, "o2", 1).await;
        let refusal = |code| FaultKind::Refuse { code, message: "system error".into() };
        stage.platform().faults.push(Fault::once(SEND, refusal(-1)));
        let id = node.queue("o1", "busy").await.unwrap();
        assert_eq!(node.drive_to_end(stage, id).await, Progress::Accepted);
        assert_eq!(node.message(id).await.attempts, 2);
        stage.platform().faults.push(Fault::once(SEND, refusal(45_011)));
        let limited = node.queue("o2", "limited").await.unwrap();
        let before = stage.clock_now();
        assert!(matches!(node.messages.drive(limited).await.unwrap(), Progress::Later(_)));
        let paused = WechatStore::read(&*node.store).messages().paused("patient", "subscribe", before).await.unwrap();
        assert_eq!(paused, Some((before + Duration::from_mins(1), 45_011)), "the whole lane waits");
        assert_eq!(node.drive_to_end(stage, limited).await, Progress::Accepted);
        assert!(stage.clock_now() >= before + Duration::from_mins(1));
    })
    .await;
}

#[tokio::test]
async fn a_banned_capability_is_switched_off_for_the_app() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        stage.consenting(&node, "o1", 2).await;
        let banned = FaultKind::Refuse { code: 43_107, message: "capability banned".into() };
        stage.platform().faults.push(Fault::always(SEND, banned));
        let id = node.queue("o1", "k1").await.unwrap();
        assert_eq!(node.drive_to_end(stage, id).await, Progress::Refused);
        assert!(matches!(node.queue("o1", "k2").await, Err(NotQueued::Off)));
        assert_eq!(stage.platform().count(SEND), 1);
        assert_eq!(node.available("o1").await, 2, "nothing was sent");
    })
    .await;
}

#[tokio::test]
async fn a_message_that_could_not_be_sent_in_time_expires_and_gives_its_grant_back() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        stage.consenting(&node, "o1", 1).await;
        let id = node.queue("o1", "k").await.unwrap();
        stage.clock.advance(Duration::from_hours(3));
        assert_eq!(node.messages.drive(id).await.unwrap(), Progress::Refused);
        assert_eq!(node.message(id).await.state, MessageState::Expired);
        assert_eq!((node.available("o1").await, stage.platform().count(SEND)), (1, 0));
    })
    .await;
}

#[tokio::test]
async fn a_template_changed_in_the_console_is_noticed_and_filled_as_it_is() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        stage.consenting(&node, "o1", 1).await;
        let templates = wechat::template::Templates::new(node.context.clone());
        templates.sync("patient").await.unwrap();
        crate::codes::change_template(stage, "提醒:{{thing9.DATA}}\n日期:{{date2.DATA}}");
        let report = templates.sync("patient").await.unwrap();
        assert_eq!((report.known, report.changed, report.missing), (1, 1, 0));
        let id = node.queue("o1", "k").await.unwrap();
        assert_eq!(node.drive_to_end(stage, id).await, Progress::Accepted, "the new keys were filled");
        let body = stage.platform().delivered[0].body.clone();
        assert!(body["data"]["thing9"]["value"].is_string() && body["data"]["date2"]["value"].is_string(), "{body}");
        assert_eq!((body["lang"].as_str(), body["miniprogram_state"].as_str()), (Some("zh_CN"), Some("formal")));
    })
    .await;
}

#[tokio::test]
async fn answers_in_a_session_keep_its_window() {
    on_each_database(async |stage| {
        let node = stage.node_of(apps(PushMode::Plain, PushFormat::Json)).await;
        stage.visitor(&node, "o1").await;
        let admin = domain::Actor::Admin(domain::id::AgentId(testkit::ids::object_id(1)));
        let refused = node.messages.answer(&admin, "patient", "o1", "您好").await;
        assert!(matches!(refused, Err(wechat::WechatError::WindowClosed)), "nobody is written to first");
        stage.platform().wrote(APPID, "o1");
        let text = serde_json::json!({ "FromUserName": "o1", "CreateTime": 1_795_406_400, "MsgType": "text",
            "Content": "在吗", "MsgId": 42 });
        crate::pushes::take_in(stage, &node, &text).await;
        for n in 0..5 {
            let id = node.messages.answer(&admin, "patient", "o1", &format!("第{n}条")).await.unwrap();
            assert_eq!(node.drive_to_end(stage, id).await, Progress::Accepted);
            assert_eq!(node.message(id).await.sealed, None, "words that were sent are not kept");
        }
        let sixth = node.messages.answer(&admin, "patient", "o1", "第六条").await;
        assert!(matches!(sixth, Err(wechat::WechatError::WindowClosed)));
        assert_eq!(stage.platform().delivered.len(), 5);
    })
    .await;
}
