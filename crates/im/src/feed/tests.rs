//! What the feed passes on, to whom, and what it asks for.

use std::collections::BTreeMap;

use serde_json::json;

use super::samples::{conversation, event, message};
use super::*;
use crate::conversation::MemberKind;

/// Keeps what it is handed.
#[derive(Default)]
struct Recorder {
    positions: Mutex<Vec<i64>>,
    ephemeral: Mutex<Vec<String>>,
    bye: Mutex<Option<Bye>>,
}

impl Outlet for Recorder {
    fn push(&self, outgoing: Outgoing) {
        match outgoing {
            Outgoing::Entry { entry, frame } => {
                assert!(frame.contains(&format!("\"cursor\":{}", entry.position())));
                self.positions.lock().unwrap().push(entry.position());
            }
            Outgoing::Ephemeral { frame, .. } => self.ephemeral.lock().unwrap().push(frame.to_string()),
        }
    }

    fn close(&self, bye: Bye) {
        *self.bye.lock().unwrap() = Some(bye);
    }
}

/// A feed at position 0, over a store of members and entries.
struct Node {
    feed: Feed,
    members: BTreeMap<ConversationId, Vec<&'static str>>,
    stored: Vec<LogEntry>,
    member_reads: usize,
    next_id: u64,
}

impl Node {
    fn new(members: &[(u32, &[&'static str])]) -> Self {
        let head = LogHead { position: 0, epoch: "one".to_owned() };
        let members = members.iter().map(|(number, ids)| (conversation(*number), ids.to_vec())).collect();
        Self { feed: Feed::new(head, || ()), members, stored: Vec::new(), member_reads: 0, next_id: 1 }
    }

    fn subscriber(&mut self, ids: &[&str]) -> (Subscriber, Arc<Recorder>) {
        let outlet = Arc::new(Recorder::default());
        let session =
            Some(SessionId(domain::id::ObjectId::from_parts(3, [0; 5], u32::try_from(self.next_id).unwrap())));
        let client_ids = ids.iter().map(|id| (*id).to_owned()).collect();
        let subscriber = Subscriber { id: self.next_id, client_ids, session, outlet: outlet.clone() };
        self.next_id += 1;
        self.feed.join(&subscriber, 2);
        (subscriber, outlet)
    }

    fn live(&mut self, ids: &[&str]) -> Arc<Recorder> {
        let (subscriber, outlet) = self.subscriber(ids);
        self.feed.go_live(&subscriber);
        outlet
    }

    /// Commits and tells the feed.
    fn commit(&mut self, entries: Vec<LogEntry>, origin: Option<u64>) {
        self.stored.extend(entries.iter().cloned());
        let entries = entries.into_iter().map(|entry| (Arc::new(entry), origin)).collect();
        self.feed.committed(&Committed { entries }, Instant::now());
        self.bring();
    }

    /// Brings what the feed needs until it needs nothing.
    fn bring(&mut self) {
        loop {
            let now = Instant::now() + GRACE;
            match self.feed.needs(now) {
                Need::Nothing => return,
                Need::Patience(_) => {}
                Need::Head => {
                    let position = self.stored.iter().map(LogEntry::position).max().unwrap_or(0);
                    self.feed.head_read(LogHead { position, epoch: "one".to_owned() }, now);
                }
                Need::Entries(gap) => {
                    let within = |entry: &&LogEntry| (gap.after + 1..=gap.until).contains(&entry.position());
                    let entries = self.stored.iter().filter(within).cloned().collect();
                    self.feed.entries_read(gap, entries, now);
                }
                Need::Members { ids, as_of } => {
                    self.member_reads += 1;
                    let members = self.members.iter().filter(|(id, _)| ids.contains(id));
                    let members = members.flat_map(|(id, names)| names.iter().map(|name| member(*id, name))).collect();
                    self.feed.members_read(&ids, as_of, members);
                }
            }
        }
    }
}

fn member(id: ConversationId, name: &str) -> Member {
    Member::free(id, name.to_owned(), MemberKind::Other, domain::Timestamp::EPOCH)
}

fn seen(outlet: &Recorder) -> Vec<i64> {
    outlet.positions.lock().unwrap().clone()
}

#[test]
fn entries_reach_the_members_and_nobody_else() {
    let mut node = Node::new(&[(1, &["patient", "doctor"]), (2, &["other", "doctor"])]);
    let (patient, doctor, other) = (node.live(&["patient"]), node.live(&["doctor"]), node.live(&["other"]));
    node.commit(vec![message(1, conversation(1)), message(2, conversation(2))], None);
    node.commit(vec![event(3, EventKind::Assignment, (None, Some("other")), json!({}))], None);
    assert_eq!((seen(&patient), seen(&doctor), seen(&other)), (vec![1], vec![1, 2], vec![2, 3]));
    assert_eq!(node.member_reads, 1, "members are read for the whole batch at once, and then known");
    assert_eq!(node.feed.horizon(), 3);
}

#[test]
fn the_socket_a_message_came_through_does_not_get_it_again() {
    let mut node = Node::new(&[(1, &["patient"])]);
    let (first, second) = (node.live(&["patient"]), node.live(&["patient"]));
    node.commit(vec![message(1, conversation(1))], Some(1));
    assert_eq!((seen(&first), seen(&second)), (vec![], vec![1]));
}

#[test]
fn joining_and_leaving_count_from_their_place_in_the_log() {
    let mut node = Node::new(&[(1, &["patient"])]);
    let (patient, doctor) = (node.live(&["patient"]), node.live(&["doctor"]));
    node.commit(vec![message(1, conversation(1))], None);
    node.members.insert(conversation(1), vec!["patient", "doctor"]);
    let joined = event(2, EventKind::Joined, (Some(conversation(1)), None), json!({}));
    node.commit(vec![joined, message(3, conversation(1))], None);
    assert_eq!(seen(&doctor), [2, 3]);
    node.members.insert(conversation(1), vec!["doctor"]);
    let [to_all, to_one] = left(4);
    node.commit(vec![to_all, to_one, message(6, conversation(1))], None);
    assert_eq!((seen(&patient), seen(&doctor)), (vec![1, 2, 3, 5], vec![2, 3, 4, 6]));
}

#[test]
fn somebody_who_left_before_the_members_were_read_still_hears_of_it_once() {
    let mut node = Node::new(&[(1, &["doctor"])]);
    let patient = node.live(&["patient"]);
    node.commit(left(1).into(), None);
    assert_eq!(seen(&patient), [2]);
}

/// The patient leaves: told to those who stay, and to the patient.
fn left(position: i64) -> [LogEntry; 2] {
    let to = |position, client: Option<&str>| {
        let where_to = (Some(conversation(1)), client);
        event(position, EventKind::Left, where_to, json!({ "clientId": "patient" }))
    };
    [to(position, None), to(position + 1, Some("patient"))]
}

#[test]
fn what_is_missed_is_read_from_the_store() {
    let mut node = Node::new(&[(1, &["patient"])]);
    let patient = node.live(&["patient"]);
    node.stored.extend([message(1, conversation(1)), message(2, conversation(1))]);
    node.feed.moved();
    node.bring();
    assert_eq!(seen(&patient), [1, 2]);
    node.stored.push(message(3, conversation(1)));
    node.commit(vec![message(5, conversation(1))], None);
    assert_eq!(seen(&patient), [1, 2, 3, 5], "position 4 was undone");
}

#[test]
fn nothing_is_read_while_nobody_listens() {
    let mut node = Node::new(&[(1, &["patient"])]);
    node.commit(vec![message(1, conversation(1))], None);
    assert_eq!((node.member_reads, node.feed.horizon()), (0, 1));
}

#[test]
fn a_socket_that_is_not_live_yet_gets_nothing() {
    let mut node = Node::new(&[(1, &["patient"])]);
    let (subscriber, outlet) = node.subscriber(&["patient"]);
    node.commit(vec![message(1, conversation(1))], None);
    assert_eq!(node.feed.go_live(&subscriber), 1);
    node.commit(vec![message(2, conversation(1))], None);
    node.feed.leave(&subscriber);
    node.commit(vec![message(3, conversation(1))], None);
    assert_eq!(seen(&outlet), [2]);
}

#[test]
fn going_live_while_entries_wait_says_how_far_they_were_passed_on() {
    let mut node = Node::new(&[(1, &["patient"])]);
    let (subscriber, outlet) = node.subscriber(&["patient"]);
    let entries = vec![(Arc::new(message(1, conversation(1))), None)];
    node.feed.committed(&Committed { entries }, Instant::now());
    assert_eq!(node.feed.go_live(&subscriber), 0, "the members are not known yet");
    node.bring();
    assert_eq!(seen(&outlet), [1]);
}

#[test]
fn one_socket_more_closes_the_oldest() {
    let mut node = Node::new(&[]);
    let sockets: Vec<_> = (0..3).map(|_| node.live(&["patient", "doctor"])).collect();
    let reasons: Vec<_> = sockets.iter().map(|s| s.bye.lock().unwrap().clone().map(|bye| bye.reason)).collect();
    assert_eq!(reasons, [Some(ByeReason::TooManySockets), None, None]);
}

#[test]
fn the_sockets_of_an_ended_session_are_closed() {
    let mut node = Node::new(&[]);
    let (subscriber, first) = node.subscriber(&["patient"]);
    let second = node.live(&["patient"]);
    let payload = json!({ "sessionId": subscriber.session.unwrap(), "reason": "kicked" });
    node.commit(vec![event(1, EventKind::SessionEnded, (None, Some("patient")), payload)], None);
    let bye = first.bye.lock().unwrap().clone().unwrap();
    assert_eq!((bye.reason, bye.detail.as_deref()), (ByeReason::SessionEnded, Some("kicked")));
    assert_eq!((seen(&second), second.bye.lock().unwrap().clone()), (vec![1], None));
}

#[test]
fn a_session_that_ended_while_its_socket_was_joining_is_closed_too() {
    let mut node = Node::new(&[]);
    let session = SessionId(domain::id::ObjectId::from_parts(3, [0; 5], 1));
    let payload = json!({ "sessionId": session, "reason": "kicked" });
    node.commit(vec![event(1, EventKind::SessionEnded, (None, Some("patient")), payload)], None);
    let outlet = node.live(&["patient"]);
    assert_eq!(outlet.bye.lock().unwrap().clone().unwrap().reason, ByeReason::SessionEnded);
}

#[test]
fn ephemeral_frames_go_to_the_other_members_and_only_from_a_member() {
    let mut node = Node::new(&[(1, &["patient", "doctor"])]);
    let (patient, doctor) = (node.live(&["patient"]), node.live(&["doctor"]));
    for from in ["patient", "stranger"] {
        node.feed.ephemeral(Ephemeral {
            conversation_id: conversation(1),
            client_ids: vec![from.to_owned(), "another".to_owned()],
            kind: EphemeralKind::Typing,
        });
        node.bring();
    }
    let expected = format!(r#"{{"type":"typing","conversationId":"{}","clientId":"patient"}}"#, conversation(1));
    assert_eq!(*doctor.ephemeral.lock().unwrap(), [expected]);
    assert!(patient.ephemeral.lock().unwrap().is_empty());
}

#[test]
fn a_new_epoch_sends_everybody_away_and_starts_again() {
    let mut node = Node::new(&[(1, &["patient"])]);
    let patient = node.live(&["patient"]);
    node.commit(vec![message(1, conversation(1))], None);
    node.feed.head_read(LogHead { position: 0, epoch: "two".to_owned() }, Instant::now());
    assert_eq!(patient.bye.lock().unwrap().clone().unwrap().reason, ByeReason::ResyncRequired);
    assert_eq!(node.feed.head(), LogHead { position: 0, epoch: "two".to_owned() });
}
