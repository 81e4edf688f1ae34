//! Notifications by WeChat: to the right app, with neutral words, and on to the next channel.

use std::sync::Arc;

use consultation::ConsultationStore;
use consultation::notification::{Cause, Channel, Delivery, DeliveryError, Notifier, Recipient};
use domain::id::{ConsultationId, NotificationId, UserId};
use serde_json::json;
use testkit::ids::object_id;
use wechat::message::MessageState;
use wechat_standin::{Fault, FaultKind};
use worker::WechatNotifier;

use crate::support::{Node, SERVICE_APPID, Stage, on_each_database};

const SEND: &str = "/cgi-bin/message/subscribe/send";

fn notifier(node: &Node) -> WechatNotifier {
    WechatNotifier::new(node.context.clone(), node.store.clone())
}

/// A patient with an account and a mini-program openid.
async fn patient(stage: &Stage, node: &Node, n: u32, accepts: u32) -> (Recipient, UserId) {
    let openid = format!("o{n}");
    stage.consenting(node, &openid, accepts).await;
    let user = node.identity("patient", &openid).await.unwrap().user.unwrap();
    let mut patient = testkit::build::patient(n).done();
    patient.user_id = Some(user);
    patient.openids.insert("patient".into(), json!(openid));
    let mut unit = ConsultationStore::begin(&*node.store).await.unwrap();
    unit.patients().insert(&patient).await.unwrap();
    unit.commit().await.unwrap();
    (Recipient::Patient(patient.id), user)
}

fn delivery(recipient: Recipient, n: u32) -> Delivery {
    Delivery {
        notification_id: NotificationId(object_id(n)),
        recipient,
        channel: Channel::Wechat,
        cause: Cause::DoctorMessage,
        consultation_id: Some(ConsultationId(object_id(500))),
    }
}

#[tokio::test]
async fn a_notification_arrives_once_with_neutral_words() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let (recipient, _) = patient(stage, &node, 1, 1).await;
        let notifier = notifier(&node);
        for _ in 0..3 {
            assert_eq!(notifier.deliver(&delivery(recipient, 1)).await, Ok(()));
        }
        let delivered = stage.platform().delivered.clone();
        assert_eq!(delivered.len(), 1);
        let body = &delivered[0].body;
        assert_eq!(body["data"]["thing1"]["value"], "您收到医生的回复");
        assert_eq!(body["page"], format!("pages/consultation?id={}", object_id(500)));
        assert_eq!(node.available("o1").await, 0);
        let refused = notifier.deliver(&delivery(recipient, 2)).await;
        assert_eq!(refused, Err(DeliveryError::Refused), "the next channel has to carry the second");
    })
    .await;
}

#[tokio::test]
async fn without_a_grant_the_service_account_carries_it_and_else_the_next_channel() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let (recipient, user) = patient(stage, &node, 1, 0).await;
        assert_eq!(notifier(&node).deliver(&delivery(recipient, 1)).await, Err(DeliveryError::Refused));
        stage.platform().follow(SERVICE_APPID, "f1", None, true);
        crate::consents::follower(&node, "f1").await;
        let mut unit = wechat::ports::WechatStore::begin(&*node.store).await.unwrap();
        let mut identity = unit.identities().find("service", "f1").await.unwrap().unwrap();
        identity.user = Some(user);
        unit.identities().save(&identity).await.unwrap();
        unit.commit().await.unwrap();
        assert_eq!(notifier(&node).deliver(&delivery(recipient, 2)).await, Ok(()));
        let delivered = stage.platform().delivered.clone();
        assert_eq!((delivered.len(), delivered[0].kind), (1, "template"));
        assert_eq!(delivered[0].body["miniprogram"]["appid"], "wx-patient");
    })
    .await;
}

#[tokio::test]
async fn an_unknown_outcome_goes_to_no_other_channel() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let (recipient, _) = patient(stage, &node, 1, 1).await;
        node.context.client.tokens().get(node.app()).await.unwrap();
        stage.platform().faults.push(Fault::once(SEND, FaultKind::ResetAfter));
        assert_eq!(notifier(&node).deliver(&delivery(recipient, 1)).await, Ok(()), "it may have arrived");
        assert_eq!(notifier(&node).deliver(&delivery(recipient, 1)).await, Ok(()));
        let counts = {
            let platform = stage.platform();
            (platform.delivered.len(), platform.count(SEND))
        };
        assert_eq!(counts, (1, 1));
        let admin = domain::Actor::Admin(domain::id::AgentId(object_id(1)));
        let filter = wechat::message::MessageFilter { state: Some(MessageState::Unknown), app: None };
        let page = domain::page::PageRequest::first();
        let log = node.messages.log(&admin, &filter, page).await.unwrap();
        assert_eq!(log.items.len(), 1, "shown as unknown");
    })
    .await;
}

#[tokio::test]
async fn an_app_without_a_token_leaves_it_to_the_next_channel() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let (recipient, _) = patient(stage, &node, 1, 1).await;
        wechat::template::Templates::new(node.context.clone()).sync("patient").await.unwrap();
        let fresh = stage.node().await;
        let token = fresh.context.client.tokens().get(fresh.app()).await.unwrap();
        stage.platform().kill_token("wx-patient");
        fresh.context.client.tokens().invalidate(fresh.app(), token.version).await.unwrap();
        let reset = FaultKind::Refuse { code: 40_125, message: "invalid appsecret".into() };
        stage.platform().faults.push(Fault::always("/cgi-bin/stable_token", reset));
        assert_eq!(notifier(&fresh).deliver(&delivery(recipient, 1)).await, Err(DeliveryError::Refused));
        assert_eq!(fresh.available("o1").await, 1, "nothing was sent, so nothing is spent");
    })
    .await;
}

#[tokio::test]
async fn nobody_without_an_address_is_reached() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let stranger = Recipient::Patient(testkit::build::patient(9).done().id);
        let notifier = Arc::new(notifier(&node));
        assert_eq!(notifier.deliver(&delivery(stranger, 1)).await, Err(DeliveryError::Refused));
        assert_eq!(stage.platform().count(SEND), 0);
    })
    .await;
}

#[tokio::test]
async fn a_decision_knows_whom_a_message_can_reach() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let (with, _) = patient(stage, &node, 1, 1).await;
        let (without, user) = patient(stage, &node, 2, 0).await;
        let reachable = async |notification: Option<u32>| {
            let id = notification.map(|n| NotificationId(object_id(n)));
            ConsultationStore::read(&*node.store)
                .notifications()
                .reachable_by_wechat(&[with, without], id)
                .await
                .unwrap()
        };
        assert_eq!(reachable(None).await, [with].into());
        assert_eq!(notifier(&node).deliver(&delivery(with, 1)).await, Ok(()));
        assert!(reachable(None).await.is_empty(), "the grant is spent");
        assert_eq!(reachable(Some(1)).await.len(), 2, "its own message is on its way already");
        let mut unit = wechat::ports::WechatStore::begin(&*node.store).await.unwrap();
        let follower = wechat::identity::Identity {
            user: Some(user),
            is_following: Some(true),
            ..wechat::identity::Identity::new("service", "f1", stage.clock_now())
        };
        unit.identities().save(&follower).await.unwrap();
        unit.commit().await.unwrap();
        assert_eq!(reachable(None).await, [without].into());
    })
    .await;
}
