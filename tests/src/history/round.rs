//! Rounds: people write to each other while things break; when all is whole again, what the server shows is read and
//! judged together with what the devices saw.

use std::collections::BTreeSet;
use std::ops::AddAssign;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::cluster::{Blow, Cluster};
use super::device::{Device, Expected, Person, Stage, Tally, stored};
use super::dice::Dice;
use super::record::{Conversation, History, Member, Stored};
use crate::load::export::{doctor_id, doctor_phone, patient_id, patient_phone};
use crate::server::Database;
use crate::world::{As, Http, violations};

/// Doctors and patients; every doctor talks with every patient.
const DOCTORS: u32 = 2;
const PATIENTS: u32 = 2;
/// Devices of each.
const DEVICES: usize = 2;
/// How long people write before the first blow, between blows, and after the last.
const CALM_MILLIS: (u64, u64) = (100, 450);
/// Longest wait for all devices to be answered.
const SETTLE_WITHIN: Duration = Duration::from_secs(90);

/// What a round brought.
pub struct Round {
    pub history: History,
    pub blows: &'static [Blow],
    pub tally: Tally,
    pub took: Duration,
}

/// Everything that is needed for rounds.
pub struct Trial {
    cluster: Cluster,
    people: Vec<(Arc<Person>, As)>,
    devices: Vec<Device>,
    /// Consultations that are open, of the round before.
    open: Vec<(String, As)>,
    dice: Dice,
}

impl Trial {
    /// Starts servers and signs people in.
    ///
    /// # Panics
    /// When anything of it fails.
    pub fn start(database: Database, nodes: usize, seed: u64) -> Self {
        let dice = Dice::new(seed);
        let cluster = Cluster::start(database, nodes, DOCTORS, PATIENTS, dice.own(1_000));
        let http = Http::new(cluster.api());
        let doctors = (0..DOCTORS).map(|n| (doctor_id(n), http.sign_in(&doctor_phone(n), "doctor")));
        let patients = (0..PATIENTS).map(|n| (patient_id(n), http.sign_in(&patient_phone(n), "patient")));
        let people: Vec<_> = doctors
            .chain(patients)
            .map(|(id, who)| (Arc::new(Person::new(id, crate::socket::token(&who).to_owned())), who))
            .collect();
        let client = reqwest::blocking::Client::builder().timeout(Duration::from_secs(2)).build().expect("a client");
        let addresses = cluster.addresses();
        let mut devices = Vec::new();
        for (person, _) in &people {
            for _ in 0..DEVICES {
                let number = devices.len();
                let own = dice.own(u64::try_from(number).unwrap_or_default());
                let mut device = Device::new(number, person.clone(), client.clone(), own);
                assert!(device.greet(&addresses), "device {number} is not welcome");
                devices.push(device);
            }
        }
        Self { cluster, people, devices, open: Vec::new(), dice: dice.own(2_000) }
    }

    /// One round.
    ///
    /// # Panics
    /// When servers do not come back, or cannot be asked when all is whole.
    pub fn round(&mut self, round: u32) -> Round {
        let began = Instant::now();
        let conversations = self.open_conversations();
        let stage = Stage::new(self.cluster.addresses(), round);
        let blows = self.cluster.blows(round);
        for (person, _) in &self.people {
            person.begin_round();
        }
        let mut devices = std::mem::take(&mut self.devices);
        let count = devices.len();
        let mut history = History::default();
        let mut tally = Tally::default();
        thread::scope(|scope| {
            let running: Vec<_> = devices
                .iter_mut()
                .map(|device| {
                    let (stage, own) = (&stage, self.conversations_of(device, &conversations));
                    scope.spawn(move || device.run(stage, own))
                })
                .collect();
            self.calm();
            for blow in blows {
                self.cluster.deal(*blow);
                self.calm();
            }
            stage.settle();
            let until = Instant::now() + SETTLE_WITHIN;
            while stage.settled() < count {
                assert!(Instant::now() < until, "devices are stuck");
                thread::sleep(Duration::from_millis(2));
            }
            history.conversations = conversations.iter().map(|(id, members)| self.look(id, members)).collect();
            stage.arrive(expected(&history));
            for device in running {
                let harvest = device.join().expect("a device does not panic");
                history.devices.push(harvest.log);
                history.sent.extend(harvest.sent);
                history.acks.extend(harvest.acks);
                history.refusals.extend(harvest.refusals);
                tally += harvest.tally;
            }
        });
        self.devices = devices;
        Round { history, blows, tally, took: began.elapsed() }
    }

    /// What `zhaoguan-api check` finds in the store itself.
    ///
    /// # Panics
    /// When the check cannot be run.
    pub fn inspect(&self) -> Vec<Value> {
        violations(self.cluster.deployment())
    }

    /// Where the servers write their logs.
    pub fn folder(&self) -> &Path {
        self.cluster.deployment().path()
    }

    fn calm(&mut self) {
        let (from, to) = CALM_MILLIS;
        thread::sleep(self.dice.millis(from, to));
    }

    /// Ends the consultations of the round before and starts new ones: conversation and the people in it.
    fn open_conversations(&mut self) -> Vec<(String, [usize; 2])> {
        let http = Http::new(self.cluster.api());
        for (consultation, doctor) in self.open.drain(..) {
            let end = format!("/api/v1/consultations/{consultation}/end");
            let ended = http.post(&end, &doctor, &json!({ "reason": "下一轮" }));
            assert_eq!(ended.status, 200, "{ended:?}");
        }
        let (doctors, patients) = self.people.split_at(usize::try_from(DOCTORS).unwrap_or_default());
        let mut conversations = Vec::new();
        for (d, (doctor, session)) in doctors.iter().enumerate() {
            for (p, (patient, _)) in patients.iter().enumerate() {
                let started = http.initiate(&doctor.client_id, &patient.client_id);
                let consultation = crate::dialog::text(&started.body["result"]["consultationId"]);
                let found = http.get(&format!("/api/v1/consultations/{consultation}"), session);
                conversations.push((crate::dialog::text(&found.body["idDialog"]), [d, doctors.len() + p]));
                self.open.push((consultation, session.clone()));
            }
        }
        conversations
    }

    fn conversations_of(&self, device: &Device, all: &[(String, [usize; 2])]) -> Vec<String> {
        let own = self.people.iter().position(|(person, _)| person.client_id == device.client_id());
        let own = all.iter().filter(|(_, people)| own.is_some_and(|own| people.contains(&own)));
        own.map(|(id, _)| id.clone()).collect()
    }

    /// A conversation as the server shows it to its members.
    fn look(&self, id: &str, people: &[usize; 2]) -> Conversation {
        let http = Http::new(self.cluster.api());
        let mut conversation =
            Conversation { id: id.to_owned(), last_seq: 0, members: Vec::new(), messages: Vec::new() };
        for place in people {
            let (person, session) = &self.people[*place];
            let found = http.get(&format!("/api/v1/conversations/{id}"), session);
            assert_eq!(found.status, 200, "{found:?}");
            conversation.last_seq = found.body["lastSeq"].as_i64().expect("a number");
            let members = found.body["members"].as_array().expect("members");
            let own = members.iter().find(|m| m["clientId"] == *person.client_id).expect("the asking member");
            conversation.members.push(Member {
                client_id: person.client_id.clone(),
                read_seq: own["readSeq"].as_i64().expect("a number"),
                unread_count: found.body["unreadCount"].as_i64().expect("a number"),
            });
            let messages = history_of(&http, id, session);
            // Everybody is shown the same.
            if conversation.messages.is_empty() {
                conversation.messages = messages;
            } else {
                assert_eq!(conversation.messages, messages, "two members are shown different histories of {id}");
            }
        }
        conversation
    }
}

fn history_of(http: &Http, id: &str, session: &As) -> Vec<Stored> {
    let mut messages: Vec<Stored> = Vec::new();
    loop {
        let after = messages.last().map_or(0, |last| last.seq);
        let page = http.get(&format!("/api/v1/conversations/{id}/messages?after={after}&limit=200"), session);
        assert_eq!(page.status, 200, "{page:?}");
        messages.extend(page.body["items"].as_array().expect("a page").iter().map(stored));
        if page.body["hasMore"] != true {
            return messages;
        }
    }
}

fn expected(history: &History) -> Expected {
    let recalled =
        |c: &Conversation| -> BTreeSet<i64> { c.messages.iter().filter(|m| m.text.is_none()).map(|m| m.seq).collect() };
    history.conversations.iter().map(|c| (c.id.clone(), (c.last_seq, recalled(c)))).collect()
}

impl AddAssign for Tally {
    fn add_assign(&mut self, more: Self) {
        self.connects += more.connects;
        self.drops += more.drops;
        self.repeats += more.repeats;
        self.over_http += more.over_http;
        self.conflicts += more.conflicts;
        self.recalls += more.recalls;
    }
}
