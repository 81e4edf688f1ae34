//! Consent: one accept counts once, whoever tells of it and how often.

use std::time::Duration;

use domain::Actor;
use domain::actor::UserActor;
use domain::id::{SessionId, UserId};
use serde_json::json;
use wechat::consent::{Answer, Consents, Prompt};
use wechat::follower::Followers;
use wechat::identity::{Identity, Logins};
use wechat::ports::WechatStore;
use wechat::{PushFormat, PushMode, WechatError};

use crate::pushes::take_in;
use crate::support::{APPID, NOW, Node, SERVICE_APPID, TEMPLATE, apps, on_each_database};

pub(crate) fn signed_in(user: UserId) -> Actor {
    let session = SessionId(testkit::ids::object_id(9));
    Actor::User(UserActor { user, session, patient: None, doctor: None })
}

/// Somebody who followed before.
pub(crate) async fn follower(node: &Node, openid: &str) {
    let mut unit = WechatStore::begin(&*node.store).await.unwrap();
    let identity = Identity { is_following: Some(true), ..Identity::new("service", openid, NOW) };
    unit.identities().save(&identity).await.unwrap();
    unit.commit().await.unwrap();
}

fn prompt(id: &str, answers: &[(&str, bool)]) -> Prompt {
    let answer = |(template, is_accepted): &(&str, bool)| Answer {
        template_id: (*template).to_owned(),
        is_accepted: *is_accepted,
    };
    Prompt { app: "patient".into(), id: id.into(), answered_at: None, answers: answers.iter().map(answer).collect() }
}

fn popup(at_s: i64, status: &str) -> serde_json::Value {
    json!({ "FromUserName": "o1", "CreateTime": at_s, "MsgType": "event", "Event": "subscribe_msg_popup_event",
        "List": { "TemplateId": TEMPLATE, "SubscribeStatusString": status, "PopupScene": "0" } })
}

const NOW_S: i64 = NOW.as_millis() / 1_000;

#[tokio::test]
async fn the_clients_report_and_the_platforms_push_are_one_accept() {
    on_each_database(async |stage| {
        let node = stage.node_of(apps(PushMode::Plain, PushFormat::Json)).await;
        let actor = signed_in(stage.visitor(&node, "o1").await);
        let consents = Consents::new(node.context.clone());
        // The client first, then the platform.
        consents.report(&actor, &prompt("p1", &[(TEMPLATE, true)])).await.unwrap();
        take_in(stage, &node, &popup(NOW_S + 2, "accept")).await;
        assert_eq!(node.available("o1").await, 1);
        // The platform first, then the client, twice.
        stage.clock.advance(Duration::from_hours(1));
        take_in(stage, &node, &popup(NOW_S + 3_600, "accept")).await;
        for _ in 0..2 {
            consents.report(&actor, &prompt("p2", &[(TEMPLATE, true)])).await.unwrap();
        }
        assert_eq!(node.available("o1").await, 2);
        // Two popups at nearly the same time are two accepts, told four times.
        for (n, id) in [(3_601, "p3"), (3_602, "p4")] {
            consents.report(&actor, &prompt(id, &[(TEMPLATE, true)])).await.unwrap();
            take_in(stage, &node, &popup(NOW_S + n, "accept")).await;
        }
        assert_eq!(node.available("o1").await, 4);
    })
    .await;
}

#[tokio::test]
async fn either_telling_alone_counts_and_refusals_do_not() {
    on_each_database(async |stage| {
        let node = stage.node_of(apps(PushMode::Plain, PushFormat::Json)).await;
        let actor = signed_in(stage.visitor(&node, "o1").await);
        let consents = Consents::new(node.context.clone());
        take_in(stage, &node, &popup(NOW_S, "reject")).await;
        consents.report(&actor, &prompt("p0", &[(TEMPLATE, false)])).await.unwrap();
        assert_eq!(node.available("o1").await, 0);
        take_in(stage, &node, &popup(NOW_S + 1, "accept")).await;
        stage.clock.advance(Duration::from_hours(1));
        let known = consents.report(&actor, &prompt("p1", &[(TEMPLATE, true)])).await.unwrap();
        assert_eq!((known[0].0.as_str(), known[0].1.available(), known[0].1.should_ask()), ("new_message", 2, false));
        let change = json!({ "FromUserName": "o1", "CreateTime": NOW_S + 9, "MsgType": "event",
            "Event": "subscribe_msg_change_event",
            "List": [{ "TemplateId": TEMPLATE, "SubscribeStatusString": "reject" }] });
        take_in(stage, &node, &change).await;
        let known = consents.list(&actor, "patient").await.unwrap();
        assert!(known[0].1.available() == 0 && known[0].1.should_ask() && known[0].1.rejected_at.is_some());
    })
    .await;
}

#[tokio::test]
async fn nobody_reports_for_templates_or_apps_that_are_not_theirs() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let actor = signed_in(stage.visitor(&node, "o1").await);
        let consents = Consents::new(node.context.clone());
        let foreign = consents.report(&actor, &prompt("p", &[("someone-elses", true)])).await;
        assert!(matches!(foreign, Err(WechatError::Invalid(_))));
        let stranger = signed_in(UserId(testkit::ids::object_id(77)));
        let refused = consents.report(&stranger, &prompt("p", &[(TEMPLATE, true)])).await;
        assert!(matches!(refused, Err(WechatError::NoSession)));
        let many: Vec<(&str, bool)> = vec![(TEMPLATE, true); 11];
        assert!(matches!(consents.report(&actor, &prompt("p", &many)).await, Err(WechatError::Invalid(_))));
        assert!(consents.report(&Actor::Nobody, &prompt("p", &[(TEMPLATE, true)])).await.is_err());
    })
    .await;
}

#[tokio::test]
async fn a_follower_with_the_same_unionid_is_the_same_person() {
    on_each_database(async |stage| {
        let node = stage.node_of(apps(PushMode::Plain, PushFormat::Json)).await;
        let code = stage.platform().login_code(APPID, "o1", Some("u1"));
        let logins = Logins::new(node.context.clone());
        let user = UserId(node.context.ids.next());
        logins.remember(&logins.exchange("patient", &code).await.unwrap(), user).await.unwrap();
        stage.platform().follow(SERVICE_APPID, "f1", Some("u1"), true);
        assert!(Followers::new(node.context.clone()).link("service", "f1").await.unwrap());
        assert_eq!(node.identity("service", "f1").await.unwrap().user, Some(user));
        // Whoever follows first and signs in later is linked then.
        stage.platform().follow(SERVICE_APPID, "f2", Some("u2"), true);
        assert!(!Followers::new(node.context.clone()).link("service", "f2").await.unwrap());
        let code = stage.platform().login_code(APPID, "o2", Some("u2"));
        let other = UserId(node.context.ids.next());
        logins.remember(&logins.exchange("patient", &code).await.unwrap(), other).await.unwrap();
        assert_eq!(node.identity("service", "f2").await.unwrap().user, Some(other));
    })
    .await;
}
