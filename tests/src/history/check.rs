//! The judge: whether a history keeps the promise. A pure function, so that it can be tried on spoiled histories.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

use super::record::{Ack, Conversation, DeviceLog, History, Sent, Stored};

/// A part of the promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// What was acknowledged is stored, where the ack said.
    AckedIsStored,
    /// Everything that was sent is answered in the end.
    SentIsAnswered,
    /// A message is stored once, however often it was sent.
    StoredOnce,
    /// All answers to one message say the same, and only one says that it is new.
    RetriesAgree,
    /// `seq` goes from 1 without holes.
    NoHoles,
    /// Nothing is stored that nobody sent, nor with other words.
    NothingInvented,
    /// A device sees what is stored.
    SeenAsStored,
    /// A device sees each conversation in its order.
    SeenInOrder,
    /// A device sees everything of the conversations its person is in.
    NothingMissed,
    /// A device sees nothing of other conversations.
    NothingLeaked,
    /// A recall reaches every device.
    RecallsArrive,
    /// The unread count is what its definition says.
    UnreadIsExact,
    /// How far somebody has read only grows.
    ReadsGrow,
    /// Cursors grow, and none is forgotten.
    CursorsHold,
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub rule: Rule,
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.detail)
    }
}

/// Conversation, sender and the sender's own name: one message.
type Name<'a> = (&'a str, &'a str, &'a str);

/// Everything in the history that breaks the promise.
pub fn check(history: &History) -> Vec<Violation> {
    let mut judge = Judge { history, found: Vec::new() };
    judge.conversations();
    judge.answers();
    for device in &history.devices {
        judge.device(device);
    }
    judge.found
}

struct Judge<'a> {
    history: &'a History,
    found: Vec<Violation>,
}

impl<'a> Judge<'a> {
    fn broken(&mut self, rule: Rule, detail: impl Into<String>) {
        self.found.push(Violation { rule, detail: detail.into() });
    }

    /// What is stored, for itself.
    fn conversations(&mut self) {
        let sent: HashMap<Name<'a>, &'a Sent> = self.history.sent.iter().map(|s| (name_of_sent(s), s)).collect();
        let (mut names, mut ids) = (HashSet::new(), HashSet::new());
        for conversation in &self.history.conversations {
            self.numbers(conversation);
            self.unread(conversation);
            for message in &conversation.messages {
                if !ids.insert(message.id.as_str()) {
                    self.broken(Rule::StoredOnce, format!("the id {} is there twice", message.id));
                }
                let Some(name) = name_of_stored(&conversation.id, message) else {
                    if message.sender.is_some() || message.name.is_some() {
                        self.broken(Rule::NothingInvented, format!("{} has half a name", place(conversation, message)));
                    }
                    continue;
                };
                if !names.insert(name) {
                    self.broken(Rule::StoredOnce, format!("{} is {name:?} again", place(conversation, message)));
                }
                match sent.get(&name) {
                    None => {
                        self.broken(Rule::NothingInvented, format!("{}: {name:?}", place(conversation, message)));
                    }
                    Some(sent) if message.text.as_ref().is_some_and(|text| *text != sent.text) => {
                        self.broken(
                            Rule::NothingInvented,
                            format!("{} has other words than {name:?}", place(conversation, message)),
                        );
                    }
                    Some(_) => {}
                }
            }
        }
    }

    fn numbers(&mut self, conversation: &Conversation) {
        let seqs: Vec<i64> = conversation.messages.iter().map(|m| m.seq).collect();
        let expected: Vec<i64> = (1..=conversation.last_seq).collect();
        if seqs != expected {
            let odd = seqs.iter().zip(&expected).position(|(a, b)| a != b).unwrap_or(seqs.len().min(expected.len()));
            self.broken(
                Rule::NoHoles,
                format!(
                    "{}: {} messages up to {}, odd from place {odd} on",
                    conversation.id,
                    seqs.len(),
                    conversation.last_seq
                ),
            );
        }
    }

    fn unread(&mut self, conversation: &Conversation) {
        for member in &conversation.members {
            let counts = |m: &&Stored| {
                m.seq > member.read_seq && m.sender.as_ref() != Some(&member.client_id) && m.text.is_some()
            };
            let expected = conversation.messages.iter().filter(counts).count();
            if i64::try_from(expected) != Ok(member.unread_count) {
                self.broken(
                    Rule::UnreadIsExact,
                    format!(
                        "{} of {} has read up to {}, so {expected} are unread and not {}",
                        member.client_id, conversation.id, member.read_seq, member.unread_count
                    ),
                );
            }
            if member.read_seq > conversation.last_seq {
                self.broken(Rule::UnreadIsExact, format!("{} has read what is not there", member.client_id));
            }
        }
    }

    /// What was answered, beside what was sent and what is stored.
    fn answers(&mut self) {
        for refusal in &self.history.refusals {
            self.broken(Rule::SentIsAnswered, format!("refused: {refusal}"));
        }
        let stored: HashMap<(&str, i64), &Stored> = self.stored();
        let mut acks: BTreeMap<Name<'a>, Vec<&'a Ack>> = BTreeMap::new();
        for ack in &self.history.acks {
            acks.entry((&ack.conversation, &ack.sender, &ack.name)).or_default().push(ack);
            let is_there = stored.get(&(ack.conversation.as_str(), ack.seq)).is_some_and(|m| {
                m.id == ack.message_id && m.sender.as_ref() == Some(&ack.sender) && m.name.as_ref() == Some(&ack.name)
            });
            if !is_there {
                let Ack { conversation, sender, name, seq, .. } = ack;
                self.broken(Rule::AckedIsStored, format!("{name} of {sender} is not {seq} of {conversation}"));
            }
        }
        for (name, answers) in &acks {
            let numbers: BTreeSet<(i64, &str)> = answers.iter().map(|a| (a.seq, a.message_id.as_str())).collect();
            let firsts = answers.iter().filter(|a| !a.is_duplicate).count();
            if numbers.len() > 1 || firsts > 1 {
                self.broken(Rule::RetriesAgree, format!("{name:?} was answered {numbers:?}, {firsts} times as new"));
            }
        }
        for sent in &self.history.sent {
            if !acks.contains_key(&name_of_sent(sent)) {
                self.broken(Rule::SentIsAnswered, format!("{:?}", name_of_sent(sent)));
            }
        }
    }

    fn stored(&self) -> HashMap<(&'a str, i64), &'a Stored> {
        let conversations = self.history.conversations.iter();
        conversations.flat_map(|c| c.messages.iter().map(|m| ((c.id.as_str(), m.seq), m))).collect()
    }

    /// What one device saw.
    fn device(&mut self, log: &'a DeviceLog) {
        let who = format!("device {} of {}", log.device, log.client_id);
        if log.resyncs > 0 || log.cursors_back > 0 {
            let (resyncs, back) = (log.resyncs, log.cursors_back);
            self.broken(Rule::CursorsHold, format!("{who}: {resyncs} resyncs, {back} cursors that went back"));
        }
        let mut known: HashMap<&str, BTreeSet<i64>> = HashMap::new();
        for seen in &log.seen {
            self.one_seen(&who, log, seen, &mut known);
        }
        let own = self.history.acks.iter().filter(|ack| ack.device == log.device);
        for ack in own {
            known.entry(&ack.conversation).or_default().insert(ack.seq);
        }
        for conversation in self.of(&log.client_id) {
            let known = known.remove(conversation.id.as_str()).unwrap_or_default();
            let missed: Vec<i64> = (1..=conversation.last_seq).filter(|seq| !known.contains(seq)).collect();
            if !missed.is_empty() {
                self.broken(Rule::NothingMissed, format!("{who}: {missed:?} of {}", conversation.id));
            }
        }
        self.recalls_of(&who, log);
        self.reads_of(&who, log);
    }

    fn one_seen(
        &mut self,
        who: &str,
        log: &DeviceLog,
        seen: &'a super::record::Seen,
        known: &mut HashMap<&'a str, BTreeSet<i64>>,
    ) {
        let Some(conversation) = self.history.conversations.iter().find(|c| c.id == seen.conversation) else {
            self.broken(Rule::NothingLeaked, format!("{who}: {} is not known", seen.conversation));
            return;
        };
        if !conversation.members.iter().any(|m| m.client_id == log.client_id) {
            self.broken(Rule::NothingLeaked, format!("{who}: {}", place(conversation, &seen.message)));
        }
        let seq = seen.message.seq;
        let stored = conversation.messages.iter().find(|m| m.seq == seq);
        let is_same = stored.is_some_and(|stored| {
            // What was recalled later was seen with its words.
            let has_words = seen.message.text.is_none() || stored.text.is_none() || seen.message.text == stored.text;
            stored.id == seen.message.id
                && stored.sender == seen.message.sender
                && stored.name == seen.message.name
                && has_words
        });
        if !is_same {
            self.broken(Rule::SeenAsStored, format!("{who}: {}", place(conversation, &seen.message)));
        }
        let known = known.entry(&conversation.id).or_default();
        // Seen again is fine; something older for the first time is not.
        if !known.contains(&seq) && known.last().is_some_and(|last| *last > seq) {
            let last = known.last().copied();
            self.broken(Rule::SeenInOrder, format!("{who}: {seq} of {} after {last:?}", conversation.id));
        }
        known.insert(seq);
    }

    fn recalls_of(&mut self, who: &str, log: &'a DeviceLog) {
        let told: HashSet<(&str, i64)> = log.recalls.iter().map(|(c, seq)| (c.as_str(), *seq)).collect();
        let empty = log.seen.iter().filter(|seen| seen.message.text.is_none());
        let empty: HashSet<(&str, i64)> = empty.map(|seen| (seen.conversation.as_str(), seen.message.seq)).collect();
        for conversation in self.of(&log.client_id) {
            for message in conversation.messages.iter().filter(|m| m.text.is_none()) {
                let key = (conversation.id.as_str(), message.seq);
                if !told.contains(&key) && !empty.contains(&key) {
                    self.broken(Rule::RecallsArrive, format!("{who}: {}", place(conversation, message)));
                }
            }
        }
        let stored = self.stored();
        for (conversation, seq) in told {
            if stored.get(&(conversation, seq)).is_none_or(|m| m.text.is_some()) {
                self.broken(Rule::RecallsArrive, format!("{who}: {seq} of {conversation} is not recalled"));
            }
        }
    }

    fn reads_of(&mut self, who: &str, log: &'a DeviceLog) {
        let mut furthest: HashMap<(&str, &str), i64> = HashMap::new();
        for (conversation, client, seq) in &log.reads {
            let before = furthest.insert((conversation, client), *seq);
            if before.is_some_and(|before| before > *seq) {
                self.broken(Rule::ReadsGrow, format!("{who}: {client} went from {before:?} back to {seq}"));
            }
        }
        for conversation in &self.history.conversations {
            for member in &conversation.members {
                let told = furthest.get(&(conversation.id.as_str(), member.client_id.as_str()));
                if told.is_some_and(|told| *told > member.read_seq) {
                    let read_seq = member.read_seq;
                    self.broken(Rule::ReadsGrow, format!("{who}: {} is back at {read_seq}", member.client_id));
                }
            }
        }
    }

    /// The conversations somebody is in.
    fn of(&self, client_id: &str) -> Vec<&'a Conversation> {
        let all = self.history.conversations.iter();
        all.filter(|c| c.members.iter().any(|m| m.client_id == client_id)).collect()
    }
}

fn name_of_sent(sent: &Sent) -> Name<'_> {
    (&sent.conversation, &sent.sender, &sent.name)
}

fn name_of_stored<'a>(conversation: &'a str, message: &'a Stored) -> Option<Name<'a>> {
    Some((conversation, message.sender.as_deref()?, message.name.as_deref()?))
}

fn place(conversation: &Conversation, message: &Stored) -> String {
    format!("{} of {}", message.seq, conversation.id)
}
