//! What becomes of one conversation when history is added to it. Pure.
//!
//! Imported messages stand before everything that was written here, in the order of their times. History that is newer
//! than what was imported before is put behind it; anything else is a reason to write the imported part anew. Whoever
//! had read everything has read everything afterwards; whoever had not stays at the message he had got to.

use std::collections::{BTreeMap, BTreeSet};

use domain::Timestamp;
use im::message::FOREIGN_KEY;
use im::{Content, Member, Message};
use serde_json::Value;

use crate::import::store::ConversationState;

/// A message of the history.
pub(super) struct Line {
    /// Without number and position.
    pub(super) message: Message,
    /// Its content with the addresses it came with, where those were replaced.
    pub(super) as_it_came: Option<Content>,
    /// When it was changed, in milliseconds.
    pub(super) edited_at: Option<i64>,
}

/// What to do.
pub(super) struct Plan {
    pub(super) end: ConversationState,
    /// To be written, numbered.
    pub(super) messages: Vec<Message>,
    /// The imported part is written anew: what is here of it has to go first.
    pub(super) is_rebuilt: bool,
    /// How far the numbers of messages written here move up.
    pub(super) shift: i64,
    /// Imported before, and to be shown otherwise now.
    pub(super) rewritten: Vec<Message>,
    pub(super) inserted: u64,
    pub(super) updated: u64,
    pub(super) unchanged: u64,
    /// How far members have got; `None`: to the end, if there is anything new.
    pub(super) reads: Option<Vec<Member>>,
}

impl Plan {
    /// `here`: all messages of the conversation, in order. `lines`: in order.
    pub(super) fn of(state: ConversationState, here: Vec<Message>, lines: Vec<Line>, members: Vec<Member>) -> Self {
        let total = lines.len() as u64;
        let (new, rewritten) = sort_out(&here, lines);
        let (inserted, updated) = (new.len() as u64, rewritten.len() as u64);
        let had_messages = !here.is_empty();
        let is_recall = rewritten.values().any(Message::is_recalled);
        let (mut imported, native): (Vec<Message>, Vec<Message>) = here.into_iter().partition(is_imported);
        for message in &mut imported {
            if let Some(other) = rewritten.get(&message.position) {
                message.clone_from(other);
            }
        }
        let last_message_at = new.last().map(|message| message.created_at).max(state.last_message_at);
        let last_seq = state.last_seq + i64::try_from(new.len()).unwrap_or(i64::MAX);
        let end = ConversationState { last_seq, last_message_at, ..state };
        let is_behind = imported.last().zip(new.first()).is_none_or(|(last, first)| place(last) < place(first));
        let stays = native.is_empty() && is_behind;
        let is_rebuilt = !new.is_empty() && !stays;
        let shift = if is_rebuilt && !native.is_empty() { last_seq - state.last_seq } else { 0 };

        let mut entries: Vec<Entry> = native.iter().map(|message| Entry::of(message, message.seq + shift)).collect();
        let messages = if is_rebuilt {
            let mut all = imported;
            all.extend(new);
            all.sort_by(|a, b| place(a).cmp(&place(b)));
            numbered(all, 1, &mut entries)
        } else {
            entries.extend(imported.iter().map(|message| Entry::of(message, message.seq)));
            numbered(new, state.last_seq + 1, &mut entries)
        };
        let must_recount = had_messages && (inserted > 0 || is_recall);
        let recount = |member| recounted(member, state.last_seq, last_seq, &entries);
        let reads = must_recount.then(|| members.into_iter().map(recount).collect());
        Self {
            end,
            messages,
            is_rebuilt,
            shift,
            // What is written anew is written as it is to be shown.
            rewritten: if is_rebuilt { Vec::new() } else { rewritten.into_values().collect() },
            inserted,
            updated,
            unchanged: total - inserted - updated,
            reads,
        }
    }
}

/// A message before and after.
struct Entry {
    old_seq: Option<i64>,
    seq: i64,
    sender: Option<String>,
    is_recalled: bool,
}

impl Entry {
    fn of(message: &Message, seq: i64) -> Self {
        Self {
            old_seq: (message.seq > 0).then_some(message.seq),
            seq,
            sender: message.sender.clone(),
            is_recalled: message.is_recalled(),
        }
    }
}

/// Gives messages their numbers, and notes what they had before.
fn numbered(mut messages: Vec<Message>, first: i64, entries: &mut Vec<Entry>) -> Vec<Message> {
    for (message, seq) in messages.iter_mut().zip(first..) {
        entries.push(Entry::of(message, seq));
        message.seq = seq;
    }
    messages
}

/// The lines that are new, each once, and what is to become of imported messages, by position.
fn sort_out(here: &[Message], lines: Vec<Line>) -> (Vec<Message>, BTreeMap<i64, Message>) {
    let imported = here.iter().filter(|message| is_imported(message));
    let by_name: BTreeMap<_, &Message> = imported.map(|message| (name_of(message), message)).collect();
    let (mut new, mut rewritten, mut seen) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
    for line in lines {
        if let Some(known) = by_name.get(&name_of(&line.message)) {
            rewritten.extend(rewriting(known, &line).map(|message| (message.position, message)));
            continue;
        }
        let (sender, name) = name_of(&line.message);
        if seen.insert((sender.map(str::to_owned), name.map(str::to_owned))) {
            new.push(line.message);
        }
    }
    (new, rewritten)
}

/// What an imported message becomes when the history has it otherwise: recalled, changed there since, or with files
/// that have come here meanwhile. What was done to it here stays.
fn rewriting(known: &Message, line: &Line) -> Option<Message> {
    let given = &line.message;
    let recalled_at = known.recalled_at.or(given.recalled_at);
    let is_edited = line.edited_at.is_some_and(|at| edited_at(&known.content).is_none_or(|known| at > known));
    let is_other = given.content != known.content && given.recalled_at.is_none();
    let is_shown_otherwise = is_other && (is_edited || line.as_it_came.as_ref() == Some(&known.content));
    if is_shown_otherwise {
        return Some(Message {
            kind: given.kind.clone(),
            content: given.content.clone(),
            recalled_at,
            ..known.clone()
        });
    }
    (recalled_at != known.recalled_at).then(|| Message { recalled_at, ..known.clone() })
}

fn edited_at(content: &Content) -> Option<i64> {
    content.to_value().get(FOREIGN_KEY)?.get("e").and_then(Value::as_i64)
}

/// Where a member stands afterwards. Unread: what is behind that, is not the member's own and not recalled.
fn recounted(member: Member, old_last_seq: i64, last_seq: i64, entries: &[Entry]) -> Member {
    if member.unread_count(old_last_seq) == 0 {
        return Member {
            read_seq: last_seq,
            delivered_seq: last_seq,
            own_after_read: 0,
            recalled_after_read: 0,
            ..member
        };
    }
    let first = entries.iter().filter(|entry| entry.old_seq.is_some()).map(|entry| entry.seq).min().unwrap_or(1);
    let now_at =
        |old: i64| entries.iter().find(|entry| entry.old_seq == Some(old)).map_or(first - 1, |entry| entry.seq);
    let read_seq = now_at(member.read_seq);
    let is_own = |entry: &&Entry| entry.sender.as_deref() == Some(member.client_id.as_str());
    let after = || entries.iter().filter(|entry| entry.seq > read_seq);
    let count = |entries: usize| i64::try_from(entries).unwrap_or(i64::MAX);
    Member {
        read_seq,
        delivered_seq: now_at(member.delivered_seq).max(read_seq),
        own_after_read: count(after().filter(is_own).count()),
        recalled_after_read: count(after().filter(|entry| entry.is_recalled && !is_own(entry)).count()),
        ..member
    }
}

const fn is_imported(message: &Message) -> bool {
    message.position < 0
}

fn name_of(message: &Message) -> (Option<&str>, Option<&str>) {
    (message.sender.as_deref(), message.client_message_id.as_deref())
}

fn place(message: &Message) -> (Timestamp, Option<&str>) {
    (message.created_at, message.client_message_id.as_deref())
}

#[cfg(test)]
mod tests {
    use domain::ObjectId;
    use domain::id::{ConversationId, MessageId};
    use im::{MemberKind, MessageKind};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn conversation() -> ConversationId {
        ConversationId(ObjectId::from_parts(1, [1; 5], 1))
    }

    fn message(name: u32, at: i64, sender: &str) -> Message {
        Message {
            position: 0,
            id: MessageId(ObjectId::from_parts(2, [2; 5], name)),
            conversation_id: conversation(),
            seq: 0,
            sender: Some(sender.to_owned()),
            acted_by: None,
            client_message_id: Some(format!("lc:{name}")),
            kind: MessageKind::Text,
            content: Content::of(&json!({ "text": name.to_string() })),
            corrects: None,
            recalled_at: None,
            created_at: Timestamp::from_millis(at),
        }
    }

    fn line(name: u32, at: i64) -> Line {
        Line {
            message: message(name, at, if name.is_multiple_of(2) { "a" } else { "b" }),
            as_it_came: None,
            edited_at: None,
        }
    }

    fn lines(numbers: &[u32]) -> Vec<Line> {
        numbers.iter().map(|n| line(*n, i64::from(*n) * 10)).collect()
    }

    fn native(seq: i64) -> Message {
        let text = u32::try_from(900 + seq).unwrap();
        Message { position: seq, seq, client_message_id: None, ..message(text, 5_000 + seq, "a") }
    }

    fn member(client: &str, read_seq: i64) -> Member {
        let free = Member::free(conversation(), client.to_owned(), MemberKind::Patient, Timestamp::EPOCH);
        Member { read_seq, delivered_seq: read_seq, ..free }
    }

    fn state(last_seq: i64) -> ConversationState {
        ConversationState { id: conversation(), last_seq, last_position: 0, last_message_at: None }
    }

    /// The messages that are here when a plan was carried out.
    fn carried_out(plan: &Plan, before: &[Message]) -> Vec<Message> {
        let mut after: Vec<Message> = before
            .iter()
            .filter(|m| !(plan.is_rebuilt && is_imported(m)))
            .map(|m| plan.rewritten.iter().find(|r| r.position == m.position).unwrap_or(m).clone())
            .map(|m| Message { seq: m.seq + plan.shift, ..m })
            .collect();
        let next = after.iter().map(|m| m.position).filter(|p| *p < 0).max().unwrap_or(-1_000_000) + 1;
        after.extend(plan.messages.iter().cloned().zip(next..).map(|(m, position)| Message { position, ..m }));
        after.sort_by_key(|m| m.seq);
        after
    }

    fn texts(messages: &[Message]) -> Vec<String> {
        messages.iter().map(|m| m.content.to_value()["text"].as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn first_history_is_numbered_and_read() {
        let plan = Plan::of(state(0), vec![], lines(&[1, 2, 3]), vec![]);
        assert_eq!((plan.inserted, plan.unchanged, plan.is_rebuilt), (3, 0, false));
        assert_eq!(plan.messages.iter().map(|m| m.seq).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!((plan.end.last_seq, plan.end.last_message_at), (3, Some(Timestamp::from_millis(30))));
        assert!(plan.reads.is_none());
    }

    #[test]
    fn what_is_here_is_not_written_again() {
        let here = carried_out(&Plan::of(state(0), vec![], lines(&[1, 2, 3]), vec![]), &[]);
        let again = Plan::of(state(3), here, lines(&[1, 2, 3]), vec![member("a", 3)]);
        assert_eq!((again.inserted, again.updated, again.unchanged), (0, 0, 3));
        assert!(again.messages.is_empty() && again.rewritten.is_empty() && again.reads.is_none());
    }

    #[test]
    fn newer_history_goes_behind_and_older_makes_a_rebuilding() {
        let here = carried_out(&Plan::of(state(0), vec![], lines(&[4, 5]), vec![]), &[]);
        let newer = Plan::of(state(2), here.clone(), lines(&[5, 6]), vec![member("a", 2)]);
        assert_eq!((newer.is_rebuilt, newer.inserted, newer.unchanged, newer.end.last_seq), (false, 1, 1, 3));
        assert_eq!(newer.reads.unwrap().first().unwrap().read_seq, 3);
        let older = Plan::of(state(2), here.clone(), lines(&[1, 4]), vec![member("a", 2)]);
        assert!(older.is_rebuilt);
        assert_eq!(texts(&carried_out(&older, &here)), ["1", "4", "5"]);
    }

    #[test]
    fn what_was_written_here_moves_up_and_stays_unread() {
        let here = vec![native(1), native(2)];
        // b has read the first of two messages of a.
        let plan = Plan::of(state(2), here.clone(), lines(&[1, 2, 3]), vec![member("b", 1), member("a", 2)]);
        assert_eq!((plan.shift, plan.end.last_seq), (3, 5));
        let reads = plan.reads.clone().unwrap();
        let [b, a] = &reads[..] else { panic!("two members") };
        assert_eq!((b.read_seq, b.unread_count(5)), (4, 1));
        assert_eq!((a.read_seq, a.unread_count(5)), (5, 0));
        assert_eq!(texts(&carried_out(&plan, &here)), ["1", "2", "3", "901", "902"]);
    }

    #[test]
    fn a_recall_and_a_change_there_are_taken_over_once() {
        let here = carried_out(&Plan::of(state(0), vec![], lines(&[1, 2]), vec![]), &[]);
        let mut again = lines(&[1, 2]);
        again[0].message.recalled_at = Some(Timestamp::from_millis(99));
        again[1].edited_at = Some(99);
        again[1].message.content = Content::of(&json!({ "text": "x", FOREIGN_KEY: { "e": 99 } }));
        let plan = Plan::of(state(2), here.clone(), again, vec![member("a", 2)]);
        assert_eq!((plan.inserted, plan.updated, plan.unchanged), (0, 2, 0));
        let after = carried_out(&plan, &here);
        assert!(after[0].is_recalled());
        assert_eq!(texts(&after), ["1", "x"]);
    }

    #[test]
    fn files_that_came_here_are_shown_from_here() {
        let here = carried_out(&Plan::of(state(0), vec![], lines(&[1]), vec![]), &[]);
        let mut again = lines(&[1]);
        again[0].as_it_came = Some(again[0].message.content.clone());
        again[0].message.content = Content::of(&json!({ "text": "own address" }));
        let plan = Plan::of(state(1), here.clone(), again, vec![]);
        assert_eq!(texts(&carried_out(&plan, &here)), ["own address"]);
    }

    proptest! {
        /// However the history comes in, in how many pieces, whatever was written here in between: in the end there is
        /// each message once, in order, without a gap, and unread numbers are what they are defined to be.
        #[test]
        fn pieces_in_any_order_come_to_the_same(
            pieces in prop::collection::vec(prop::collection::btree_set(1_u32..30, 0..12), 1..5),
            natives in 0_i64..4,
            read in 0_i64..4,
        ) {
            let mut here: Vec<Message> = (1..=natives).map(native).collect();
            let read = read.min(natives);
            let own = here.iter().filter(|m| m.seq > read && m.sender.as_deref() == Some("a")).count();
            let mut members = vec![
                member("b", read),
                Member { own_after_read: i64::try_from(own).unwrap(), ..member("a", read) },
            ];
            let mut state = state(natives);
            for piece in &pieces {
                let piece: Vec<u32> = piece.iter().copied().collect();
                let plan = Plan::of(state, here.clone(), lines(&piece), members.clone());
                here = carried_out(&plan, &here);
                state = plan.end;
                if let Some(reads) = plan.reads {
                    members = reads;
                } else if plan.inserted > 0 {
                    for member in &mut members {
                        (member.read_seq, member.delivered_seq, member.own_after_read) = (state.last_seq, state.last_seq, 0);
                    }
                }
            }
            let all: BTreeSet<u32> = pieces.iter().flatten().copied().collect();
            let expected: Vec<String> = all.iter().map(u32::to_string).chain((1..=natives).map(|n| (900 + n).to_string())).collect();
            prop_assert_eq!(texts(&here), expected);
            prop_assert_eq!(state.last_seq, i64::try_from(here.len()).unwrap());
            for (message, seq) in here.iter().zip(1..) {
                prop_assert_eq!(message.seq, seq);
            }
            prop_assert!(here.windows(2).all(|pair| pair[0].position < pair[1].position));
            for member in &members {
                let unread = here.iter().filter(|m| m.seq > member.read_seq && m.sender.as_ref() != Some(&member.client_id));
                prop_assert_eq!(member.unread_count(state.last_seq), i64::try_from(unread.count()).unwrap());
                prop_assert!(member.read_seq <= member.delivered_seq && member.delivered_seq <= state.last_seq);
            }
        }
    }
}
