//! The history checker: a few rounds against real servers that are killed, and proof that the judge catches bugs.
//! The whole proof is `just proof`; see `docs/history-checker.md`.

use std::collections::BTreeSet;

use serde_json::Value;
use tests::history::check::check;
use tests::history::record::{Ack, Conversation, DeviceLog, History, Member, Seen, Sent, Stored};
use tests::history::round::Trial;
use tests::history::seed::BUGS;
use tests::server::Database;

fn rounds() -> u32 {
    std::env::var("HISTORY_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3)
}

fn try_rounds(database: Database, nodes: usize) {
    let mut trial = Trial::start(database, nodes, 7);
    for number in 0..rounds() {
        let round = trial.round(number);
        let violations = check(&round.history);
        assert!(violations.is_empty(), "round {number} ({:?}): {violations:#?}", round.blows);
        assert!(!round.history.acks.is_empty(), "nothing was sent: round {number} proved nothing");
        for bug in BUGS {
            if let Some(spoiled) = bug.in_history(&round.history) {
                assert!(check(&spoiled).iter().any(|v| v.rule == bug.caught_by), "not caught: {}", bug.name);
            }
        }
    }
    assert_eq!(trial.inspect(), Vec::<Value>::new());
}

#[test]
fn one_node_over_sqlite_keeps_the_promise_while_it_is_killed() {
    try_rounds(Database::Sqlite, 1);
}

#[test]
fn three_nodes_keep_the_promise_while_they_and_their_services_are_killed() {
    // It starts services of its own; whether they are installed is known by those of the whole suite.
    if Database::available().contains(&Database::Postgres) {
        try_rounds(Database::Postgres, 3);
    }
}

fn stored(seq: i64, sender: Option<&str>, name: Option<&str>, text: Option<&str>) -> Stored {
    let owned = |text: Option<&str>| text.map(str::to_owned);
    Stored { seq, id: format!("id-{seq}"), sender: owned(sender), name: owned(name), text: owned(text) }
}

/// A small history that keeps the promise: five messages, one retried, one recalled, each on two devices of two
/// people, and somebody else who must not see them.
fn sound() -> History {
    let messages = vec![
        stored(1, None, None, Some("问诊开始")),
        stored(2, Some("p"), Some("p-1"), Some("一")),
        stored(3, Some("d"), Some("d-1"), Some("二")),
        stored(4, Some("p"), Some("p-2"), None),
        stored(5, Some("d"), Some("d-2"), Some("四")),
    ];
    let member = |client: &str, read_seq, unread_count| Member { client_id: client.into(), read_seq, unread_count };
    let conversation = Conversation {
        id: "c".into(),
        last_seq: 5,
        members: vec![member("p", 2, 2), member("d", 5, 0)],
        messages: messages.clone(),
    };
    let other = Conversation { id: "o".into(), last_seq: 0, members: vec![member("x", 0, 0)], messages: Vec::new() };
    let sent = |sender: &str, name: &str, text: &str| Sent {
        conversation: "c".into(),
        sender: sender.into(),
        name: name.into(),
        text: text.into(),
    };
    let ack = |sender: &str, name: &str, device, seq, is_duplicate| Ack {
        conversation: "c".into(),
        sender: sender.into(),
        name: name.into(),
        device,
        seq,
        message_id: format!("id-{seq}"),
        is_duplicate,
    };
    // Device 0 is told of its own messages by acks, the others by events.
    let log = |device, client: &str, not: &[i64]| DeviceLog {
        device,
        client_id: client.into(),
        seen: messages
            .iter()
            .filter(|m| !not.contains(&m.seq))
            .map(|m| Seen { conversation: "c".into(), message: m.clone() })
            .collect(),
        recalls: BTreeSet::from([("c".to_owned(), 4)]),
        reads: vec![("c".into(), "p".into(), 2), ("c".into(), "d".into(), 5)],
        ..DeviceLog::default()
    };
    History {
        conversations: vec![conversation, other],
        sent: vec![sent("p", "p-1", "一"), sent("d", "d-1", "二"), sent("p", "p-2", "三"), sent("d", "d-2", "四")],
        acks: vec![
            ack("p", "p-1", 0, 2, false),
            ack("p", "p-1", 0, 2, true),
            ack("p", "p-2", 0, 4, false),
            ack("d", "d-1", 2, 3, false),
            ack("d", "d-2", 2, 5, true),
        ],
        refusals: Vec::new(),
        devices: vec![
            log(0, "p", &[2, 4]),
            log(1, "p", &[]),
            log(2, "d", &[3, 5]),
            log(3, "d", &[]),
            DeviceLog { device: 4, client_id: "x".into(), ..DeviceLog::default() },
        ],
    }
}

#[test]
fn a_sound_history_is_found_sound() {
    assert_eq!(check(&sound()), Vec::new());
    let mut again = sound();
    let repeated = again.devices[1].seen[1].clone();
    again.devices[1].seen.push(repeated);
    assert_eq!(check(&again), Vec::new(), "what is delivered twice is no harm");
}

#[test]
fn every_seeded_bug_is_caught() {
    for bug in BUGS {
        let spoiled = bug.in_history(&sound()).unwrap_or_else(|| panic!("no place for: {}", bug.name));
        let violations = check(&spoiled);
        assert!(violations.iter().any(|v| v.rule == bug.caught_by), "{}: {violations:?}", bug.name);
    }
}
