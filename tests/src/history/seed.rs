//! Seeded bugs: each spoils a sound history in the way a bug of the server would, and names the rule that must catch it.

use super::check::Rule;
use super::record::{Ack, History, Seen, Stored};

/// A bug, as it would show in a history.
#[derive(Debug, Clone, Copy)]
pub struct Bug {
    pub name: &'static str,
    /// The rule that must be found broken.
    pub caught_by: Rule,
    /// Answers false when the history has nothing to spoil in this way.
    spoil: fn(&mut History) -> bool,
}

impl Bug {
    /// The history as it would look with this bug; `None` when there is nothing in it that the bug would show in.
    pub fn in_history(&self, sound: &History) -> Option<History> {
        let mut spoiled = sound.clone();
        (self.spoil)(&mut spoiled).then_some(spoiled)
    }
}

/// All of them.
pub const BUGS: [Bug; 22] = [
    Bug { name: "an acknowledged message is lost", caught_by: Rule::AckedIsStored, spoil: lose_the_last },
    Bug { name: "an ack names another message", caught_by: Rule::AckedIsStored, spoil: ack_another },
    Bug { name: "an ack says another number", caught_by: Rule::AckedIsStored, spoil: ack_another_seq },
    Bug { name: "a message is never answered", caught_by: Rule::SentIsAnswered, spoil: forget_answers },
    Bug { name: "a message is refused without a reason", caught_by: Rule::SentIsAnswered, spoil: refuse },
    Bug { name: "a retry is stored again", caught_by: Rule::StoredOnce, spoil: store_twice },
    Bug { name: "a retry is stored again under the same id", caught_by: Rule::StoredOnce, spoil: same_id_twice },
    Bug { name: "a retry gets another answer", caught_by: Rule::RetriesAgree, spoil: answer_otherwise },
    Bug { name: "a retry is said to be new", caught_by: Rule::RetriesAgree, spoil: new_twice },
    Bug { name: "a number is left out", caught_by: Rule::NoHoles, spoil: leave_a_hole },
    Bug { name: "the newest number is beyond the messages", caught_by: Rule::NoHoles, spoil: last_seq_beyond },
    Bug { name: "history is shown in another order", caught_by: Rule::NoHoles, spoil: swap_history },
    Bug { name: "a message appears that nobody sent", caught_by: Rule::NothingInvented, spoil: invent },
    Bug { name: "the words of a message change", caught_by: Rule::NothingInvented, spoil: change_words },
    Bug { name: "two devices see two orders", caught_by: Rule::SeenInOrder, spoil: swap_seen },
    Bug { name: "a device sees other words", caught_by: Rule::SeenAsStored, spoil: change_seen },
    Bug { name: "one delivery is missed", caught_by: Rule::NothingMissed, spoil: miss_one },
    Bug { name: "an outsider is told", caught_by: Rule::NothingLeaked, spoil: leak },
    Bug { name: "a recall does not arrive", caught_by: Rule::RecallsArrive, spoil: miss_a_recall },
    Bug { name: "unread is one too many", caught_by: Rule::UnreadIsExact, spoil: count_one_more },
    Bug { name: "reading goes back", caught_by: Rule::ReadsGrow, spoil: read_back },
    Bug { name: "a cursor is forgotten", caught_by: Rule::CursorsHold, spoil: resync },
];

/// A message with a sender, after others, that was not recalled.
fn victim(messages: &[Stored]) -> Option<usize> {
    messages.iter().rposition(|m| m.sender.is_some() && m.text.is_some() && m.seq > 1)
}

fn spoil_message(history: &mut History, spoil: impl Fn(&mut Vec<Stored>, usize)) -> bool {
    let found = history.conversations.iter_mut().find_map(|c| victim(&c.messages).map(|at| (c, at)));
    found.is_some_and(|(conversation, at)| {
        spoil(&mut conversation.messages, at);
        conversation.last_seq = conversation.messages.iter().map(|m| m.seq).max().unwrap_or_default();
        true
    })
}

fn lose_the_last(history: &mut History) -> bool {
    spoil_message(history, |messages, at| {
        messages.truncate(at);
    })
}

fn ack_another(history: &mut History) -> bool {
    history.acks.first_mut().is_some_and(|ack| {
        ack.message_id = "f".repeat(24);
        true
    })
}

fn ack_another_seq(history: &mut History) -> bool {
    history.acks.first_mut().is_some_and(|ack| {
        ack.seq += 1;
        true
    })
}

fn forget_answers(history: &mut History) -> bool {
    let Some(Ack { conversation, sender, name, .. }) = history.acks.first().cloned() else { return false };
    history.acks.retain(|a| a.conversation != conversation || a.sender != sender || a.name != name);
    true
}

fn refuse(history: &mut History) -> bool {
    history.refusals.push("store.internal".to_owned());
    true
}

fn store_twice(history: &mut History) -> bool {
    spoil_message(history, |messages, at| {
        let seq = messages.len();
        let again =
            Stored { id: "again".to_owned(), seq: i64::try_from(seq).unwrap_or_default() + 1, ..messages[at].clone() };
        messages.push(again);
    })
}

fn same_id_twice(history: &mut History) -> bool {
    spoil_message(history, |messages, at| messages[at].id = messages[0].id.clone())
}

fn answer_otherwise(history: &mut History) -> bool {
    let Some(first) = history.acks.first().cloned() else { return false };
    history.acks.push(Ack { seq: first.seq + 1, message_id: "again".to_owned(), is_duplicate: true, ..first });
    true
}

fn new_twice(history: &mut History) -> bool {
    let Some(first) = history.acks.iter().find(|a| !a.is_duplicate).cloned() else { return false };
    history.acks.push(first);
    true
}

fn leave_a_hole(history: &mut History) -> bool {
    spoil_message(history, |messages, at| {
        for message in &mut messages[at..] {
            message.seq += 1;
        }
    })
}

fn last_seq_beyond(history: &mut History) -> bool {
    history.conversations.first_mut().is_some_and(|conversation| {
        conversation.last_seq += 1;
        true
    })
}

fn swap_history(history: &mut History) -> bool {
    spoil_message(history, |messages, at| messages.swap(at - 1, at))
}

fn invent(history: &mut History) -> bool {
    spoil_message(history, |messages, at| messages[at].name = Some("nobody-sent-this".to_owned()))
}

fn change_words(history: &mut History) -> bool {
    spoil_message(history, |messages, at| messages[at].text = Some("other words".to_owned()))
}

/// Two messages of one conversation that a device saw one after the other.
fn neighbours(seen: &[Seen]) -> Option<(usize, usize)> {
    (1..seen.len()).find_map(|late| {
        let early = seen[..late].iter().rposition(|one| one.conversation == seen[late].conversation)?;
        (seen[early].message.seq < seen[late].message.seq).then_some((early, late))
    })
}

fn swap_seen(history: &mut History) -> bool {
    history.devices.iter_mut().any(|device| match neighbours(&device.seen) {
        Some((early, late)) => {
            device.seen.swap(early, late);
            true
        }
        None => false,
    })
}

fn change_seen(history: &mut History) -> bool {
    let with_words = |seen: &&mut Seen| seen.message.text.is_some() && seen.message.sender.is_some();
    let recalled: Vec<(String, i64)> = recalled(history);
    let is_kept = |seen: &Seen| !recalled.contains(&(seen.conversation.clone(), seen.message.seq));
    history.devices.iter_mut().any(|device| {
        match device.seen.iter_mut().filter(with_words).find(|seen| is_kept(seen)) {
            Some(seen) => {
                seen.message.text = Some("other words".to_owned());
                true
            }
            None => false,
        }
    })
}

fn recalled(history: &History) -> Vec<(String, i64)> {
    let all = history.conversations.iter();
    all.flat_map(|c| c.messages.iter().filter(|m| m.text.is_none()).map(|m| (c.id.clone(), m.seq))).collect()
}

/// Takes one message away from one device that knows it by no ack of its own.
fn miss_one(history: &mut History) -> bool {
    let acked: Vec<(usize, String, i64)> =
        history.acks.iter().map(|a| (a.device, a.conversation.clone(), a.seq)).collect();
    history.devices.iter_mut().any(|device| {
        let number = device.device;
        let is_only_seen = |s: &Seen| !acked.contains(&(number, s.conversation.clone(), s.message.seq));
        let Some(missed) = device.seen.iter().find(|s| is_only_seen(s)).cloned() else { return false };
        device.seen.retain(|s| s.conversation != missed.conversation || s.message.seq != missed.message.seq);
        true
    })
}

fn leak(history: &mut History) -> bool {
    let Some((outsider, seen)) = history.devices.iter().enumerate().find_map(|(n, device)| {
        let foreign = |id: &str| {
            let conversation = history.conversations.iter().find(|c| c.id == id);
            conversation.is_some_and(|c| c.members.iter().all(|m| m.client_id != device.client_id))
        };
        let all = history.devices.iter().flat_map(|d| &d.seen);
        all.into_iter().find(|seen| foreign(&seen.conversation)).map(|seen| (n, seen.clone()))
    }) else {
        return false;
    };
    history.devices[outsider].seen.push(seen);
    true
}

fn miss_a_recall(history: &mut History) -> bool {
    let Some((conversation, seq)) = recalled(history).into_iter().next() else { return false };
    history.devices.iter_mut().any(|device| {
        let was_told = device.recalls.remove(&(conversation.clone(), seq));
        for seen in &mut device.seen {
            if seen.conversation == conversation && seen.message.seq == seq {
                seen.message.text = Some("not recalled".to_owned());
            }
        }
        was_told
    })
}

fn count_one_more(history: &mut History) -> bool {
    let members = history.conversations.iter_mut().flat_map(|c| &mut c.members);
    members.into_iter().next().is_some_and(|member| {
        member.unread_count += 1;
        true
    })
}

fn read_back(history: &mut History) -> bool {
    history.devices.iter_mut().any(|device| match device.reads.iter().find(|(_, _, seq)| *seq > 1).cloned() {
        Some((conversation, client, _)) => {
            device.reads.push((conversation, client, 0));
            true
        }
        None => false,
    })
}

fn resync(history: &mut History) -> bool {
    history.devices.first_mut().is_some_and(|device| {
        device.resyncs = 1;
        true
    })
}
