//! Who is connected, as long as the node's lease runs.

use std::time::Duration;

use domain::Timestamp;
use domain::id::ConversationId;
use im::presence::Presence;

use super::samples::{at, conversation, members};
use super::{Harness, given_conversations, member, messaging};
use crate::build::{self, dialog_id};

const LEASE: Duration = Duration::from_secs(45);

fn socket(node: &str, socket: u64, client: &str, viewing: Option<ConversationId>) -> Presence {
    Presence { socket, node: node.to_owned(), client_id: client.to_owned(), viewing }
}

async fn put(h: &dyn Harness, sockets: &[Presence]) {
    messaging(h, async |unit| unit.presence().put(sockets).await.unwrap()).await;
}

async fn renew(h: &dyn Harness, node: &str, now: Timestamp) {
    messaging(h, async |unit| unit.presence().renew(node, now, LEASE).await.unwrap()).await;
}

async fn connected(h: &dyn Harness, now: Timestamp) -> Vec<String> {
    let asked = ["a", "b", "c"].map(str::to_owned);
    super::sorted(h.im().read().presence().connected(&asked, now).await.unwrap())
}

async fn is_viewing(h: &dyn Harness, client: &str, n: u32, now: Timestamp) -> bool {
    h.im().read().presence().is_viewing(client, dialog_id(n), now).await.unwrap()
}

pub async fn sockets_count_while_the_lease_runs(h: &dyn Harness) {
    renew(h, "n1", at(0)).await;
    put(h, &[socket("n1", 1, "a", None), socket("n1", 2, "b", None), socket("n1", 3, "other", None)]).await;
    assert_eq!(connected(h, at(0)).await, ["a", "b"]);
    assert_eq!(connected(h, at(45_000)).await, ["a", "b"]);
    assert!(connected(h, at(45_001)).await.is_empty());
    renew(h, "n1", at(40_000)).await;
    assert_eq!(connected(h, at(85_000)).await, ["a", "b"]);
    assert!(h.im().read().presence().connected(&[], at(0)).await.unwrap().is_empty());
}

pub async fn a_node_that_died_is_forgotten_when_another_renews(h: &dyn Harness) {
    renew(h, "n1", at(0)).await;
    put(h, &[socket("n1", 1, "a", None)]).await;
    renew(h, "n2", at(60_000)).await;
    put(h, &[socket("n2", 1, "b", None)]).await;
    // Back under its old name, it does not bring its old sockets with it.
    renew(h, "n1", at(60_000)).await;
    assert_eq!(connected(h, at(60_000)).await, ["b"]);
}

pub async fn what_a_node_had_in_front_is_decided_about_anew_when_it_is_gone(h: &dyn Harness) {
    let patient = build::patient_id(1).to_string();
    given_conversations(h, &[conversation(1), conversation(2)], &[members(1), members(2)].concat()).await;
    renew(h, "n1", at(0)).await;
    renew(h, "n2", at(30_000)).await;
    for n in [1, 2] {
        messaging(h, async |unit| {
            let patient = build::patient_id(n).to_string();
            unit.conversations().set_review(dialog_id(n), &patient, at(90_000)).await.unwrap();
        })
        .await;
    }
    put(h, &[socket("n1", 1, "a", Some(dialog_id(1))), socket("n2", 1, "b", Some(dialog_id(2)))]).await;
    renew(h, "n2", at(40_000)).await;
    assert_eq!(member(h, dialog_id(1), &patient).await.review_at, Some(at(90_000)), "the lease runs");
    renew(h, "n2", at(46_000)).await;
    assert_eq!(member(h, dialog_id(1), &patient).await.review_at, Some(Timestamp::EPOCH));
    let other = build::patient_id(2).to_string();
    assert_eq!(member(h, dialog_id(2), &other).await.review_at, Some(at(90_000)));
    messaging(h, async |unit| unit.presence().remove_node("n2").await.unwrap()).await;
    assert_eq!(member(h, dialog_id(2), &other).await.review_at, Some(Timestamp::EPOCH));
}

pub async fn what_is_in_front_is_known_by_conversation(h: &dyn Harness) {
    renew(h, "n1", at(0)).await;
    renew(h, "n2", at(0)).await;
    put(h, &[socket("n1", 1, "a", Some(dialog_id(1))), socket("n1", 2, "b", None)]).await;
    assert!(is_viewing(h, "a", 1, at(0)).await);
    assert!(!is_viewing(h, "a", 2, at(0)).await && !is_viewing(h, "b", 1, at(0)).await);
    assert!(!is_viewing(h, "a", 1, at(45_001)).await, "the lease is over");
    put(h, &[socket("n1", 1, "a", Some(dialog_id(2)))]).await;
    assert!(is_viewing(h, "a", 2, at(0)).await && !is_viewing(h, "a", 1, at(0)).await);
    put(h, &[socket("n2", 1, "a", Some(dialog_id(1)))]).await;
    assert!(is_viewing(h, "a", 2, at(0)).await && is_viewing(h, "a", 1, at(0)).await, "two devices, two nodes");
    put(h, &[socket("n1", 1, "a", None)]).await;
    assert!(!is_viewing(h, "a", 2, at(0)).await);
    assert_eq!(connected(h, at(0)).await, ["a", "b"], "still connected");
}

pub async fn one_socket_may_be_two_clients(h: &dyn Harness) {
    renew(h, "n1", at(0)).await;
    put(h, &[socket("n1", 1, "a", None), socket("n1", 1, "b", None)]).await;
    assert_eq!(connected(h, at(0)).await, ["a", "b"]);
    messaging(h, async |unit| unit.presence().remove("n1", &[1]).await.unwrap()).await;
    assert!(connected(h, at(0)).await.is_empty());
}

pub async fn removed_sockets_and_nodes_are_gone(h: &dyn Harness) {
    renew(h, "n1", at(0)).await;
    renew(h, "n2", at(0)).await;
    put(h, &[socket("n1", 1, "a", None), socket("n1", 2, "b", None), socket("n2", 1, "c", None)]).await;
    messaging(h, async |unit| unit.presence().remove("n1", &[1, 9]).await.unwrap()).await;
    assert_eq!(connected(h, at(0)).await, ["b", "c"]);
    messaging(h, async |unit| unit.presence().remove_node("n1").await.unwrap()).await;
    assert_eq!(connected(h, at(0)).await, ["c"]);
    messaging(h, async |unit| unit.presence().remove("n2", &[]).await.unwrap()).await;
    assert_eq!(connected(h, at(0)).await, ["c"]);
}
