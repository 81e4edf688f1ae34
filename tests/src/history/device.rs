//! A device of somebody: sends, retries, doubles, reorders, reads, recalls, loses its connection and comes back, as chance
//! has it, and notes everything it is told.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::dice::Dice;
use super::line::{Heard, Line};
use super::record::{Ack, DeviceLog, Seen, Sent, Stored};

/// Messages of one device that wait for their answer.
const MAX_WAITING: usize = 12;
/// New messages of one device in one round.
const MAX_NEW: u32 = 60;
/// Recalls of one device in one round.
const MAX_RECALLS: u32 = 3;
/// A message is said again on the same connection after this long without an answer.
const REPEAT_AFTER: Duration = Duration::from_secs(3);
/// How long everything may take to be answered, and then to arrive, once all is well again.
const SETTLE_WITHIN: Duration = Duration::from_secs(40);
/// Answers after which the same message is sent again.
const PASSING: [&str; 7] = [
    "im.too_many_frames",
    "message.outcome_unknown",
    "server.busy",
    "server.stopping",
    "store.conflict",
    "store.unavailable",
    "server.timeout",
];
/// Good-byes that a sound client may get while nodes and databases come and go.
const EXPECTED_BYES: [&str; 4] = ["draining", "unavailable", "resync_required", "heartbeat_timeout"];

/// What a round is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Everybody writes, and things break.
    Storm,
    /// Nothing breaks any more, nobody writes anything new: what waits is sent until it is answered.
    Settle,
    /// Everything is answered: devices wait until they have seen it.
    Arrive,
}

/// What all devices of a round share.
pub struct Stage {
    /// `host:port` of the nodes.
    pub nodes: Vec<String>,
    pub round: u32,
    phase: AtomicU8,
    settled: AtomicUsize,
    expected: OnceLock<Expected>,
}

/// What must arrive: of each conversation the newest number, and those that were recalled.
pub type Expected = HashMap<String, (i64, BTreeSet<i64>)>;

impl Stage {
    pub const fn new(nodes: Vec<String>, round: u32) -> Self {
        let (phase, settled) = (AtomicU8::new(Phase::Storm as u8), AtomicUsize::new(0));
        Self { nodes, round, phase, settled, expected: OnceLock::new() }
    }

    /// Nobody is to write anything new.
    pub fn settle(&self) {
        self.phase.store(Phase::Settle as u8, Ordering::Release);
    }

    /// How many devices have nothing that waits for an answer, or gave up waiting.
    pub fn settled(&self) -> usize {
        self.settled.load(Ordering::Acquire)
    }

    /// This is what must arrive.
    pub fn arrive(&self, expected: Expected) {
        self.expected.get_or_init(|| expected);
        self.phase.store(Phase::Arrive as u8, Ordering::Release);
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Storm,
            1 => Phase::Settle,
            _ => Phase::Arrive,
        }
    }
}

/// Somebody with devices. What one of them sends, the others may send again.
pub struct Person {
    pub client_id: String,
    pub token: String,
    sent: Mutex<Vec<Sent>>,
}

impl Person {
    pub const fn new(client_id: String, token: String) -> Self {
        Self { client_id, token, sent: Mutex::new(Vec::new()) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Sent>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what was sent in the round before.
    pub fn begin_round(&self) {
        self.lock().clear();
    }
}

/// Counted for the figures.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub connects: u64,
    pub drops: u64,
    pub repeats: u64,
    pub over_http: u64,
    pub conflicts: u64,
    pub recalls: u64,
}

/// What a device hands over after a round.
pub struct Harvest {
    pub log: DeviceLog,
    pub sent: Vec<Sent>,
    pub acks: Vec<Ack>,
    pub refusals: Vec<String>,
    pub tally: Tally,
}

struct Waiting {
    message: Sent,
    /// On which connection it was said last, and when.
    said: Option<(u64, Instant)>,
}

/// One device. It lives through all rounds, with its cursor.
pub struct Device {
    number: usize,
    person: Arc<Person>,
    http: reqwest::blocking::Client,
    dice: Dice,
    line: Option<Line>,
    /// Counts connections.
    line_number: u64,
    is_welcome: bool,
    greeted_at: Instant,
    cursor: Option<i64>,
    epoch: String,
    /// The newest cursor of an event on this connection.
    newest_on_line: i64,
    conversations: Vec<String>,
    past: HashSet<String>,
    waiting: BTreeMap<String, Waiting>,
    acked: Vec<(Sent, String)>,
    /// Names under which other words were tried.
    doubted: HashSet<String>,
    known: HashMap<String, BTreeSet<i64>>,
    made: u32,
    recalled: u32,
    harvest: Harvest,
}

impl Device {
    pub fn new(number: usize, person: Arc<Person>, http: reqwest::blocking::Client, dice: Dice) -> Self {
        let harvest = Harvest::of(number, &person.client_id);
        Self {
            number,
            person,
            http,
            dice,
            line: None,
            line_number: 0,
            is_welcome: false,
            greeted_at: Instant::now(),
            cursor: None,
            epoch: String::new(),
            newest_on_line: 0,
            conversations: Vec::new(),
            past: HashSet::new(),
            waiting: BTreeMap::new(),
            acked: Vec::new(),
            doubted: HashSet::new(),
            known: HashMap::new(),
            made: 0,
            recalled: 0,
            harvest,
        }
    }

    /// Whose it is.
    pub fn client_id(&self) -> &str {
        &self.person.client_id
    }

    /// Connects for the first time: from here on nothing may be missed. False when nobody answers.
    pub fn greet(&mut self, nodes: &[String]) -> bool {
        let until = Instant::now() + SETTLE_WITHIN;
        while !self.is_welcome && Instant::now() < until {
            self.connect_if_needed(nodes);
            self.listen();
        }
        self.is_welcome
    }

    /// One round in these conversations.
    pub fn run(&mut self, stage: &Stage, conversations: Vec<String>) -> Harvest {
        self.begin(conversations);
        while stage.phase() == Phase::Storm {
            self.connect_if_needed(&stage.nodes);
            self.listen();
            self.act(stage);
        }
        let until = Instant::now() + SETTLE_WITHIN;
        while !self.waiting.is_empty() && Instant::now() < until {
            self.connect_if_needed(&stage.nodes);
            self.repeat_what_waits();
            self.listen();
        }
        stage.settled.fetch_add(1, Ordering::AcqRel);
        while stage.phase() != Phase::Arrive {
            self.connect_if_needed(&stage.nodes);
            self.listen();
        }
        let until = Instant::now() + SETTLE_WITHIN;
        while !self.has_all(stage) && Instant::now() < until {
            self.connect_if_needed(&stage.nodes);
            self.listen();
        }
        std::mem::replace(&mut self.harvest, Harvest::of(self.number, &self.person.client_id))
    }

    fn begin(&mut self, conversations: Vec<String>) {
        self.past.extend(std::mem::replace(&mut self.conversations, conversations));
        self.waiting.clear();
        self.acked.clear();
        self.doubted.clear();
        self.known.clear();
        (self.made, self.recalled) = (0, 0);
    }

    fn has_all(&self, stage: &Stage) -> bool {
        let Some(expected) = stage.expected.get() else { return false };
        self.conversations.iter().all(|id| {
            let Some((last_seq, recalled)) = expected.get(id) else { return true };
            let has_messages = match self.known.get(id) {
                Some(known) => (1..=*last_seq).all(|seq| known.contains(&seq)),
                None => *last_seq == 0,
            };
            has_messages && recalled.iter().all(|seq| self.harvest.log.recalls.contains(&(id.clone(), *seq)))
        })
    }

    /// Something, or nothing, as chance has it.
    fn act(&mut self, stage: &Stage) {
        match self.dice.below(1000) {
            0..180 => self.write(stage, false),
            180..200 => self.write(stage, true),
            200..280 => self.repeat_something(),
            280..320 => self.repeat_anothers(),
            320..340 => self.say_otherwise(),
            340..400 => self.read("read"),
            400..420 => self.read("delivered"),
            420..435 => self.recall(stage),
            435..460 => drop(self.say(&json!({ "type": "ping" }))),
            460..475 => self.lose_the_line(),
            475..520 => self.repeat_what_waits(),
            _ => {}
        }
    }

    fn write(&mut self, stage: &Stage, over_http: bool) {
        if self.made >= MAX_NEW || self.waiting.len() >= MAX_WAITING {
            return;
        }
        let Some(conversation) = self.dice.pick(&self.conversations).cloned() else { return };
        self.made += 1;
        let message = Sent {
            conversation,
            sender: self.person.client_id.clone(),
            name: format!("r{}-d{}-{}", stage.round, self.number, self.made),
            text: format!("第{}句：{:08x}", self.made, self.dice.next() >> 32),
        };
        self.person.lock().push(message.clone());
        self.harvest.sent.push(message.clone());
        if over_http {
            self.post(stage, &message);
        } else {
            self.send(&message);
        }
        // An answer that came meanwhile is not waited for again.
        if !self.acked.iter().any(|(acked, _)| acked.name == message.name) {
            let said = (!over_http).then(|| (self.line_number, Instant::now()));
            self.waiting.insert(message.name.clone(), Waiting { message, said });
        }
    }

    /// The same message through the other door.
    fn post(&mut self, stage: &Stage, message: &Sent) {
        self.harvest.tally.over_http += 1;
        let Some(node) = self.dice.pick(&stage.nodes).cloned() else { return };
        let url = format!("http://{node}/api/v1/conversations/{}/messages", message.conversation);
        let body = json!({ "clientMessageId": message.name, "type": "text", "content": { "text": message.text } });
        let Ok(answer) = self.http.post(url).bearer_auth(&self.person.token).json(&body).send() else { return };
        let is_ok = answer.status().is_success();
        let status = answer.status();
        let Ok(body) = answer.json::<Value>() else { return };
        if is_ok {
            let (seq, id) = (body["seq"].as_i64().unwrap_or_default(), text(&body["messageId"]));
            self.acked(message.clone(), seq, id, body["duplicate"] == true);
        } else if !status.is_server_error() && status.as_u16() != 429 && status.as_u16() != 408 {
            self.harvest.refusals.push(format!("{status} {} for {}", body["code"], message.name));
        }
    }

    fn send(&mut self, message: &Sent) {
        let frame = json!({ "type": "send", "clientMessageId": message.name, "conversationId": message.conversation,
            "messageType": "text", "content": { "text": message.text } });
        self.say(&frame);
    }

    /// Says again what has no answer: everything after a new connection, in any order.
    fn repeat_what_waits(&mut self) {
        if !self.is_welcome {
            return;
        }
        let now = Instant::now();
        let line = self.line_number;
        let is_due = |waiting: &Waiting| {
            waiting.said.is_none_or(|(said_on, at)| said_on != line || now.duration_since(at) > REPEAT_AFTER)
        };
        let mut due: Vec<Sent> =
            self.waiting.values().filter(|waiting| is_due(waiting)).map(|waiting| waiting.message.clone()).collect();
        while !due.is_empty() {
            let message = due.swap_remove(self.dice.below(due.len()));
            self.harvest.tally.repeats += 1;
            self.send(&message);
            if let Some(waiting) = self.waiting.get_mut(&message.name) {
                waiting.said = Some((line, now));
            }
        }
    }

    /// Says something again though there is no need: what waits, or what was answered already.
    fn repeat_something(&mut self) {
        let waiting: Vec<Sent> = self.waiting.values().map(|waiting| waiting.message.clone()).collect();
        let answered: Vec<Sent> = self.acked.iter().map(|(sent, _)| sent.clone()).collect();
        let from = if self.dice.percent(60) { waiting } else { answered };
        if let Some(message) = self.dice.pick(&from).cloned() {
            self.harvest.tally.repeats += 1;
            self.send(&message);
        }
    }

    /// Says what the other device has said, perhaps at the same time. Having said it, this device wants its answer too:
    /// the event may go to all others.
    fn repeat_anothers(&mut self) {
        let said = self.person.lock().clone();
        if let Some(message) = self.dice.pick(&said).cloned() {
            self.harvest.tally.repeats += 1;
            self.send(&message);
            if !self.acked.iter().any(|(acked, _)| acked.name == message.name) {
                let said = Some((self.line_number, Instant::now()));
                self.waiting.insert(message.name.clone(), Waiting { message, said });
            }
        }
    }

    /// Other words under a name that is taken: must be refused.
    fn say_otherwise(&mut self) {
        let Some((message, _)) = self.dice.pick(&self.acked).cloned() else { return };
        self.harvest.tally.conflicts += 1;
        self.doubted.insert(message.name.clone());
        self.send(&Sent { text: "别的话".to_owned(), ..message });
    }

    fn read(&mut self, word: &str) {
        let Some(conversation) = self.dice.pick(&self.conversations).cloned() else { return };
        let known: Vec<i64> = self.known.get(&conversation).into_iter().flatten().copied().collect();
        if let Some(seq) = self.dice.pick(&known).copied() {
            self.say(&json!({ "type": word, "conversationId": conversation, "seq": seq }));
        }
    }

    fn recall(&mut self, stage: &Stage) {
        if self.recalled >= MAX_RECALLS {
            return;
        }
        let Some((message, id)) = self.dice.pick(&self.acked).cloned() else { return };
        let Some(node) = self.dice.pick(&stage.nodes).cloned() else { return };
        self.recalled += 1;
        self.harvest.tally.recalls += 1;
        let url = format!("http://{node}/api/v1/conversations/{}/messages/{id}/recall", message.conversation);
        // Whether it came to pass is seen in the end.
        let _ = self.http.post(url).bearer_auth(&self.person.token).send();
    }

    /// Breaks the connection off, with whatever is on its way.
    fn lose_the_line(&mut self) {
        if self.line.take().is_some() {
            self.harvest.tally.drops += 1;
            self.is_welcome = false;
        }
    }

    fn connect_if_needed(&mut self, nodes: &[String]) {
        if self.line.is_some() {
            // A server that does not greet is not waited for for ever.
            if !self.is_welcome && self.greeted_at.elapsed() > REPEAT_AFTER {
                self.line = None;
            }
            return;
        }
        let Some(node) = self.dice.pick(nodes).cloned() else { return };
        let Some(line) = Line::connect(&node) else {
            thread::sleep(self.dice.millis(5, 30));
            return;
        };
        self.line = Some(line);
        self.line_number += 1;
        self.harvest.tally.connects += 1;
        self.greeted_at = Instant::now();
        self.newest_on_line = self.cursor.unwrap_or_default();
        let mut hello =
            json!({ "type": "hello", "token": self.person.token, "device": format!("device-{}", self.number) });
        if let Some(cursor) = self.cursor {
            hello["cursor"] = json!(cursor);
            hello["epoch"] = json!(self.epoch);
        }
        self.is_welcome = false;
        if let Some(line) = &mut self.line
            && !line.say(&hello)
        {
            self.line = None;
        }
    }

    fn say(&mut self, frame: &Value) -> bool {
        if !self.is_welcome {
            return false;
        }
        let is_said = self.line.as_mut().is_some_and(|line| line.say(frame));
        if !is_said {
            self.line = None;
            self.is_welcome = false;
        }
        is_said
    }

    /// Takes what has come.
    fn listen(&mut self) {
        loop {
            match self.line.as_mut().map(Line::hear) {
                Some(Heard::Frame(frame)) => self.take(&frame),
                Some(Heard::Gone) => {
                    self.line = None;
                    self.is_welcome = false;
                    return;
                }
                Some(Heard::Nothing) | None => return,
            }
        }
    }

    fn take(&mut self, frame: &Value) {
        match frame["type"].as_str().unwrap_or_default() {
            "ready" => {
                self.is_welcome = true;
                self.epoch = text(&frame["epoch"]);
                let cursor = frame["cursor"].as_i64().unwrap_or_default();
                self.cursor = Some(self.cursor.map_or(cursor, |own| own.max(cursor)));
            }
            "resync" => self.harvest.log.resyncs += 1,
            "ack" => self.ack(frame),
            "event" => self.event(frame),
            "ping" => {
                self.move_to(frame);
                self.say(&json!({ "type": "pong" }));
            }
            "pong" => self.move_to(frame),
            "error" => self.refused(frame),
            "bye" => {
                let reason = text(&frame["reason"]);
                if !EXPECTED_BYES.contains(&reason.as_str()) {
                    self.harvest.refusals.push(format!("bye {reason}"));
                }
                self.line = None;
                self.is_welcome = false;
            }
            _ => {}
        }
    }

    fn move_to(&mut self, frame: &Value) {
        let cursor = frame["cursor"].as_i64().unwrap_or_default();
        self.cursor = Some(self.cursor.unwrap_or_default().max(cursor));
    }

    fn ack(&mut self, frame: &Value) {
        let (conversation, name) = (text(&frame["conversationId"]), text(&frame["clientMessageId"]));
        let waiting = self.waiting.get(&name).map(|waiting| waiting.message.clone());
        // Of the other device, or answered before.
        let found = waiting.or_else(|| self.person.lock().iter().find(|sent| sent.name == name).cloned());
        let Some(message) = found.filter(|message| message.conversation == conversation) else {
            if self.conversations.contains(&conversation) {
                self.harvest.refusals.push(format!("an ack for {name}, which was never sent"));
            }
            return;
        };
        let (seq, id) = (frame["seq"].as_i64().unwrap_or_default(), text(&frame["messageId"]));
        self.acked(message, seq, id, frame["duplicate"] == true);
    }

    fn acked(&mut self, message: Sent, seq: i64, message_id: String, is_duplicate: bool) {
        self.waiting.remove(&message.name);
        self.known.entry(message.conversation.clone()).or_default().insert(seq);
        self.harvest.acks.push(Ack {
            conversation: message.conversation.clone(),
            sender: message.sender.clone(),
            name: message.name.clone(),
            device: self.number,
            seq,
            message_id: message_id.clone(),
            is_duplicate,
        });
        if !self.acked.iter().any(|(acked, _)| acked.name == message.name) {
            self.acked.push((message, message_id));
        }
    }

    fn event(&mut self, frame: &Value) {
        let cursor = frame["cursor"].as_i64().unwrap_or_default();
        if cursor <= self.newest_on_line {
            self.harvest.log.cursors_back += 1;
        }
        self.newest_on_line = cursor;
        self.move_to(frame);
        let conversation = text(&frame["conversationId"]);
        if conversation.is_empty() || self.past.contains(&conversation) {
            return;
        }
        let data = &frame["data"];
        match frame["kind"].as_str().unwrap_or_default() {
            "message" => {
                let message = stored(&frame["message"]);
                self.known.entry(conversation.clone()).or_default().insert(message.seq);
                self.harvest.log.seen.push(Seen { conversation, message });
            }
            "recalled" => {
                self.harvest.log.recalls.insert((conversation, data["seq"].as_i64().unwrap_or_default()));
            }
            "read" => {
                let read = (conversation, text(&data["clientId"]), data["seq"].as_i64().unwrap_or_default());
                self.harvest.log.reads.push(read);
            }
            _ => {}
        }
    }

    fn refused(&mut self, frame: &Value) {
        let (code, name) = (text(&frame["code"]), text(&frame["clientMessageId"]));
        if PASSING.contains(&code.as_str()) {
            if let Some(waiting) = self.waiting.get_mut(&name) {
                waiting.said = None;
            }
            return;
        }
        if code == "CLIENT_MESSAGE_ID_CONFLICT" && self.doubted.contains(&name) {
            return;
        }
        self.harvest.refusals.push(format!("{code} for {} {name}", text(&frame["frame"])));
    }
}

impl Harvest {
    fn of(device: usize, client_id: &str) -> Self {
        let log = DeviceLog { device, client_id: client_id.to_owned(), ..DeviceLog::default() };
        Self { log, sent: Vec::new(), acks: Vec::new(), refusals: Vec::new(), tally: Tally::default() }
    }
}

/// A message as frames and pages show it.
pub fn stored(message: &Value) -> Stored {
    let optional = |value: &Value| value.as_str().map(str::to_owned);
    Stored {
        seq: message["seq"].as_i64().unwrap_or_default(),
        id: text(&message["id"]),
        sender: optional(&message["sender"]),
        name: optional(&message["clientMessageId"]),
        text: optional(&message["content"]["text"]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
