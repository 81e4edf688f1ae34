//! The access-token service: one fetch whoever asks, one refetch for a dead token, no loop for a broken one.

use std::time::Duration;

use futures_util::future::join_all;
use wechat::Secret;
use wechat::message::MessageState;
use wechat::token::{Forced, LEASE, NewToken, TokenError, TokenRepository};
use wechat_standin::{Fault, FaultKind};

use crate::support::{Node, Stage, on_each_database};

const STABLE: &str = "/cgi-bin/stable_token";
const SEND: &str = "/cgi-bin/message/subscribe/send";

async fn send_all(stage: &Stage, nodes: &[&Node], count: usize) -> Vec<domain::ObjectId> {
    let mut ids = Vec::new();
    for n in 0..count {
        let node = nodes[n % nodes.len()];
        ids.push(node.queue(&format!("o{n}"), &format!("k{n}")).await.unwrap());
    }
    let drives = ids.iter().enumerate().map(|(n, id)| nodes[n % nodes.len()].drive_to_end(stage, *id));
    join_all(drives).await;
    ids
}

/// So many people with one accept each, told by the platform's own ledger and ours.
async fn people(stage: &Stage, node: &Node, count: usize) {
    // Templates are known, so that sends are the only calls that need a token.
    wechat::template::Templates::new(node.context.clone()).sync("patient").await.unwrap();
    for n in 0..count {
        stage.consenting(node, &format!("o{n}"), 1).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_with_two_hundred_cold_sends_fetch_one_token() {
    on_each_database(async |stage| {
        let prepared = stage.node().await;
        people(stage, &prepared, 200).await;
        let token = prepared.context.client.tokens().get(prepared.app()).await.unwrap();
        stage.platform().kill_token(crate::support::APPID);
        prepared.context.client.tokens().invalidate(prepared.app(), token.version).await.unwrap();
        let before = stage.platform().count(STABLE);
        let (one, two) = (stage.node().await, stage.node().await);
        send_all(stage, &[&one, &two], 200).await;
        assert_eq!(stage.platform().count(STABLE) - before, 1, "one fetch for 200 sends on two nodes");
        assert_eq!(stage.platform().delivered.len(), 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_token_is_replaced_once_and_every_message_arrives_once() {
    on_each_database(async |stage| {
        let (one, two) = (stage.node().await, stage.node().await);
        people(stage, &one, 100).await;
        one.context.client.tokens().get(one.app()).await.unwrap();
        two.context.client.tokens().get(two.app()).await.unwrap();
        let before = stage.platform().count(STABLE);
        stage.platform().kill_token(crate::support::APPID);
        send_all(stage, &[&one, &two], 100).await;
        let mut openids: Vec<String> = stage.platform().delivered.iter().map(|d| d.openid.clone()).collect();
        openids.sort();
        openids.dedup();
        assert_eq!((openids.len(), stage.platform().delivered.len()), (100, 100));
        assert_eq!(stage.platform().count(STABLE) - before, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_permanent_refusal_of_tokens_is_tried_twice_and_stops() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        people(stage, &node, 20).await;
        let message = "access_token is invalid or not latest".to_owned();
        let refusal = FaultKind::Refuse { code: 40_001, message };
        stage.platform().faults.push(Fault::always(SEND, refusal));
        let before = stage.platform().count(STABLE);
        let ids = send_all(stage, &[&node], 20).await;
        for id in ids {
            let message = node.message(id).await;
            assert_eq!(message.state, MessageState::Refused);
            assert_eq!(message.attempts, 1, "one attempt, with one more call at most inside it");
        }
        let sends = stage.platform().count(SEND);
        assert!(sends <= 40, "{sends} sends for 20 messages");
        assert_eq!(stage.platform().count(STABLE) - before, 1, "the same token came back: no loop");
        assert!(stage.platform().delivered.is_empty());
        let row = node.context.client.tokens().row(node.app()).await.unwrap();
        assert_eq!(row.fault.unwrap().code, 40_001, "the operator is told");
        assert_eq!(node.available("o0").await, 1, "nothing was sent, so nothing is spent");
    })
    .await;
}

#[tokio::test]
async fn a_node_that_dies_while_fetching_is_waited_for_and_then_replaced() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let now = stage.clock_now();
        assert!(node.store.try_lease("patient", "dead", 0, now, now + LEASE).await.unwrap());
        assert!(!node.store.try_lease("patient", "other", 0, now, now + LEASE).await.unwrap());
        stage.clock.advance(LEASE);
        let token = node.context.client.tokens().get(node.app()).await.unwrap();
        assert_eq!(token.version, 1);
        let late = NewToken { sealed: vec![1], good_until: now + LEASE, is_new_value: true };
        let saved = node.store.save("patient", "dead", &late, stage.clock_now()).await.unwrap();
        assert_eq!(saved, None, "the dead one's lease is lost");
    })
    .await;
}

#[tokio::test]
async fn a_token_is_renewed_in_the_background_while_the_old_one_is_served() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let tokens = node.context.client.tokens();
        let first = tokens.get(node.app()).await.unwrap();
        assert!(!tokens.refresh_if_due(node.app()).await.unwrap(), "nothing is due yet");
        stage.clock.advance(Duration::from_secs(7_200 - 290));
        assert_eq!(tokens.get(node.app()).await.unwrap(), first, "still good");
        assert!(tokens.refresh_if_due(node.app()).await.unwrap());
        let second = tokens.get(node.app()).await.unwrap();
        assert_eq!(second.version, 2);
        assert_ne!(second.value, first.value);
        let other = stage.node().await;
        assert_eq!(other.context.client.tokens().get(other.app()).await.unwrap(), second, "shared by the row");
        assert_eq!(stage.platform().count(STABLE), 2);
    })
    .await;
}

#[tokio::test]
async fn a_late_report_of_an_old_token_does_not_hit_its_successor() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let tokens = node.context.client.tokens();
        let first = tokens.get(node.app()).await.unwrap();
        stage.platform().kill_token(crate::support::APPID);
        tokens.invalidate(node.app(), first.version).await.unwrap();
        let second = tokens.get(node.app()).await.unwrap();
        tokens.invalidate(node.app(), first.version).await.unwrap();
        assert_eq!(tokens.get(node.app()).await.unwrap(), second);
        assert_eq!(stage.platform().count(STABLE), 2);
    })
    .await;
}

#[tokio::test]
async fn a_wrong_secret_is_explained_and_not_tried_again_and_again() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let message = "invalid ip 203.0.113.9, not in whitelist".to_owned();
        stage.platform().faults.push(Fault::always(STABLE, FaultKind::Refuse { code: 40_164, message }));
        let tokens = node.context.client.tokens();
        for _ in 0..20 {
            assert!(matches!(tokens.get(node.app()).await, Err(TokenError::Fault(40_164))));
        }
        assert_eq!(stage.platform().count(STABLE), 1, "long back-off");
        let fault = tokens.row(node.app()).await.unwrap().fault.unwrap();
        assert!(fault.message.contains("203.0.113.9"), "the address to be listed is shown");
        stage.platform().faults.clear();
        stage.clock.advance(Duration::from_secs(31));
        assert!(tokens.get(node.app()).await.is_ok(), "it recovers by itself");
    })
    .await;
}

#[tokio::test]
async fn a_fetch_whose_answer_is_lost_is_made_again() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        stage.platform().faults.push(Fault::once(STABLE, FaultKind::ResetAfter));
        let tokens = node.context.client.tokens();
        assert!(matches!(tokens.get(node.app()).await, Err(TokenError::Unavailable)));
        stage.clock.advance(Duration::from_secs(2));
        assert!(tokens.get(node.app()).await.is_ok());
        assert_eq!(stage.platform().count(STABLE), 2);
    })
    .await;
}

#[tokio::test]
async fn forcing_is_guarded() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let tokens = node.context.client.tokens();
        let first = tokens.get(node.app()).await.unwrap();
        let Forced::Done(second) = tokens.force(node.app()).await.unwrap() else { panic!("the first is allowed") };
        assert_ne!(second.value, first.value);
        stage.clock.advance(LEASE);
        assert!(matches!(tokens.force(node.app()).await.unwrap(), Forced::NotAllowed), "30 seconds apart");
        for _ in 1..20 {
            stage.clock.advance(Duration::from_secs(31));
            assert!(matches!(tokens.force(node.app()).await.unwrap(), Forced::Done(_)));
        }
        stage.clock.advance(Duration::from_secs(31));
        assert!(matches!(tokens.force(node.app()).await.unwrap(), Forced::NotAllowed), "20 a day");
        stage.clock.advance(Duration::from_hours(24));
        assert!(matches!(tokens.force(node.app()).await.unwrap(), Forced::Done(_)));
    })
    .await;
}

#[tokio::test]
async fn the_row_does_not_show_the_token() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let token = node.context.client.tokens().get(node.app()).await.unwrap();
        let row = node.store.find("patient").await.unwrap();
        let sealed = row.sealed.unwrap();
        let value = token.value.expose().as_bytes();
        assert!(!sealed.windows(value.len()).any(|part| part == value));
        let elsewhere = node.context.sealer.open("token:service:wx-service", &sealed);
        assert_eq!(elsewhere, None::<Secret>);
    })
    .await;
}
