//! Writes a synthetic LeanCloud application to import: users, patients, doctors, relations, files, consultations with
//! their dialogs, a class the product does not know, and the history of messages as the REST interface answers it,
//! newest first. Nobody in it exists. The same numbers give the same export.
//!
//! `synthetic-export DIR` writes 100,000 users, 1,000,000 consultations and 5,000,000 messages; `--scale 0.05` a
//! twentieth of all.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Parser;
use serde_json::{Value, json};

#[derive(Parser)]
#[command(about = "Writes a synthetic LeanCloud application to import")]
struct Arguments {
    /// Where to; made if it is not there.
    dir: PathBuf,
    #[arg(long, default_value_t = 100_000)]
    users: u64,
    #[arg(long, default_value_t = 1_000_000)]
    consultations: u64,
    #[arg(long, default_value_t = 5_000_000)]
    messages: u64,
    /// Of all three.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
}

/// One in so many users is a doctor; the others are patients.
const USERS_PER_DOCTOR: u64 = 100;
/// Consultations of one pair, on average.
const CONSULTATIONS_PER_PAIR: u64 = 4;
/// Messages in one array, as one answer of the REST interface holds, and arrays in one file.
const MESSAGES_PER_PAGE: u64 = 1_000;
const PAGES_PER_FILE: u64 = 500;
/// 2024-01-01 in milliseconds; a consultation begins every ten seconds or so from then on.
const BEGIN_MS: u64 = 1_704_067_200_000;

/// What an object is, as a part of its id.
#[derive(Clone, Copy)]
enum Kind {
    User = 1,
    Patient,
    Doctor,
    Relation,
    Conversation,
    Consultation,
    File,
    Diary,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    let scaled = |count: u64| {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count"
        )]
        let scaled = (count as f64 * arguments.scale) as u64;
        scaled.max(1)
    };
    let application = Application {
        users: scaled(arguments.users).max(USERS_PER_DOCTOR),
        consultations: scaled(arguments.consultations),
        messages: scaled(arguments.messages),
    };
    fs::create_dir_all(&arguments.dir)?;
    application.write(&arguments.dir)
}

struct Application {
    users: u64,
    consultations: u64,
    messages: u64,
}

impl Application {
    fn doctors(&self) -> u64 {
        (self.users / USERS_PER_DOCTOR).max(1)
    }

    fn patients(&self) -> u64 {
        self.users - self.doctors()
    }

    fn pairs(&self) -> u64 {
        (self.consultations / CONSULTATIONS_PER_PAIR).clamp(1, self.patients() * self.doctors())
    }

    /// Doctor and patient of a pair; each pair is another one.
    fn pair(&self, pair: u64) -> (u64, u64) {
        let patient = pair % self.patients();
        ((pair / self.patients() + patient * 7) % self.doctors(), patient)
    }

    fn of_consultation(&self, n: u64) -> (u64, u64, u64) {
        let pair = n % self.pairs();
        let (doctor, patient) = self.pair(pair);
        (pair, doctor, patient)
    }

    fn write(&self, folder: &Path) -> io::Result<()> {
        let (doctors, patients) = (self.doctors(), self.patients());
        write_class(folder, "_User", (0..self.users).map(user))?;
        write_class(folder, "_File", (0..patients.div_ceil(5)).map(file))?;
        write_class(folder, "Doctor", (0..doctors).map(|n| doctor(n, patients + n)))?;
        write_class(folder, "Patients", (0..patients).map(|n| patient(n, n)))?;
        write_class(folder, "DoctorPatientRelation", (0..self.pairs()).map(|n| self.relation(n)))?;
        write_class(folder, "_Conversation", (0..self.consultations).map(|n| self.conversation(n)))?;
        write_class(folder, "Consultation", (0..self.consultations).map(|n| self.consultation(n)))?;
        write_class(folder, "Diary", (0..self.users / 10).map(diary))?;
        self.write_messages(folder)
    }

    fn relation(&self, n: u64) -> Value {
        let (doctor, patient) = self.pair(n);
        // The newest consultation of the pair.
        let latest = n + (self.consultations - 1 - n) / self.pairs() * self.pairs();
        row(
            Kind::Relation,
            n,
            at(n),
            json!({
                "idDoctor": id(Kind::Doctor, doctor), "idPatient": id(Kind::Patient, patient), "source": "0",
                "follow": n.is_multiple_of(5), "group": if n.is_multiple_of(5) { json!(["1", "2"]) } else { json!(["1"]) },
                "block": false, "tag": ["失眠"], "latestConsultationId": id(Kind::Consultation, latest),
            }),
        )
    }

    fn conversation(&self, n: u64) -> Value {
        let (_, doctor, patient) = self.of_consultation(n);
        let (doctor, patient) = (id(Kind::Doctor, doctor), id(Kind::Patient, patient));
        row(
            Kind::Conversation,
            n,
            at(n),
            json!({
                "m": [doctor, patient], "c": patient, "unique": false, "attr": { "consultationId": id(Kind::Consultation, n) },
                "lm": { "__type": "Date", "iso": iso(at(n) + 3_600_000) },
            }),
        )
    }

    fn consultation(&self, n: u64) -> Value {
        let (pair, doctor, patient) = self.of_consultation(n);
        let is_newest = n + self.pairs() >= self.consultations;
        let status = match n % 10 {
            0 if is_newest => "0",
            1 if is_newest => "1",
            _ => "2",
        };
        row(
            Kind::Consultation,
            n,
            at(n),
            json!({
                "idDoctor": id(Kind::Doctor, doctor), "idPatient": id(Kind::Patient, patient),
                "idRelation": id(Kind::Relation, pair), "idDialog": id(Kind::Conversation, n),
                "status": status, "isInvalid": false,
            }),
        )
    }

    /// Message `n` counted from the oldest: in turns of the parties, a minute apart within a conversation.
    fn message(&self, n: u64) -> Value {
        let of_conversation = n % self.consultations;
        let turn = n / self.consultations;
        let (_, doctor, patient) = self.of_consultation(of_conversation);
        let from = if turn.is_multiple_of(2) { id(Kind::Patient, patient) } else { id(Kind::Doctor, doctor) };
        let data = json!({
            "_lctype": -1, "_lctext": format!("第{}句：最近睡得不好，夜里常醒，白天没有精神，想请您看一看。", turn + 1),
            "_lcattrs": { "n": n },
        });
        let conversation = id(Kind::Conversation, of_conversation);
        json!({
            "timestamp": at(of_conversation) + turn * 60_000, "conv-id": conversation, "data": data.to_string(), "from": from,
            "msg-id": format!("{:022x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)), "is-conv": true, "is-room": false,
            "to": conversation, "bin": false, "from-ip": "192.0.2.1",
        })
    }

    fn write_messages(&self, folder: &Path) -> io::Result<()> {
        let pages = self.messages.div_ceil(MESSAGES_PER_PAGE);
        let mut file: Option<BufWriter<File>> = None;
        for page in 0..pages {
            if page % PAGES_PER_FILE == 0 {
                let path = folder.join(format!("rtm-messages-{}.json", page / PAGES_PER_FILE));
                if let Some(full) = file.replace(BufWriter::new(File::create(path)?)) {
                    full.into_inner()?.sync_all()?;
                }
            }
            let Some(file) = &mut file else { continue };
            let newest = self.messages - page * MESSAGES_PER_PAGE;
            for (place, n) in (newest.saturating_sub(MESSAGES_PER_PAGE)..newest).rev().enumerate() {
                write!(file, "{}{}", if place == 0 { "[" } else { "," }, self.message(n))?;
            }
            writeln!(file, "]")?;
        }
        file.map_or(Ok(()), |mut file| file.flush())
    }
}

fn write_class(folder: &Path, class: &str, rows: impl Iterator<Item = Value>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(folder.join(format!("{class}.0.jsonl")))?);
    writeln!(file, "#filetype:JSON-streaming {}", json!({ "type": "Class", "class": class }))?;
    for row in rows {
        writeln!(file, "{row}")?;
    }
    file.flush()
}

/// 4 bytes of time, 1 of the kind, 7 of the number.
fn id(kind: Kind, n: u64) -> String {
    format!("{:08x}{:02x}{n:014x}", at(n) / 1_000, kind as u8)
}

fn at(n: u64) -> u64 {
    BEGIN_MS + n * 10_000 % 70_000_000_000
}

fn iso(ms: u64) -> String {
    let (days, rest) = (ms / 86_400_000, ms % 86_400_000);
    // Days since 1970 to a date of the proleptic Gregorian calendar, by eras of 400 years.
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) =
        (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second, milli) = (rest / 3_600_000, rest / 60_000 % 60, rest / 1_000 % 60, rest % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

fn row(kind: Kind, n: u64, created_ms: u64, mut fields: Value) -> Value {
    if let Some(object) = fields.as_object_mut() {
        object.insert("objectId".into(), json!(id(kind, n)));
        object.insert("createdAt".into(), json!(iso(created_ms)));
        object.insert("updatedAt".into(), json!(iso(created_ms + 7_200_000)));
        object.insert("ACL".into(), json!({ "*": { "read": true, "write": true } }));
    }
    fields
}

fn user(n: u64) -> Value {
    row(
        Kind::User,
        n,
        at(n),
        json!({
            "username": format!("user{n}"), "mobilePhoneNumber": format!("+86139{n:08}"), "mobilePhoneVerified": true,
            "emailVerified": false, "sessionToken": format!("{:025x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            "authData": { "lc_weapp": { "openid": format!("o{n:027}"), "uid": format!("o{n:027}") } },
        }),
    )
}

fn patient(n: u64, user: u64) -> Value {
    row(
        Kind::Patient,
        n,
        at(n),
        json!({
            "name": format!("患者{n}"), "gender": "男", "birthday": "1980-01-31", "height": 170, "weight": "64kg",
            "phone": format!("139{user:08}"), "location": "上海",
            "user": { "__type": "Pointer", "className": "_User", "objectId": id(Kind::User, user) },
            "icon": { "__type": "Pointer", "className": "_File", "objectId": id(Kind::File, n / 5) },
        }),
    )
}

fn doctor(n: u64, user: u64) -> Value {
    row(
        Kind::Doctor,
        n,
        at(n),
        json!({
            "name": format!("医生{n}"), "gender": "女", "hospital": "示例医院", "department": "睡眠中心", "title": "主任医师",
            "authenticated": "1", "phone": format!("139{user:08}"), "startConsultation": true,
            "startConsultationTime": "08:00", "endConsultationTime": "22:00", "isNormalConsultingOpen": true,
            "normalConsultingPrice": 29.9,
            "user": { "__type": "Pointer", "className": "_User", "objectId": id(Kind::User, user) },
        }),
    )
}

fn file(n: u64) -> Value {
    row(
        Kind::File,
        n,
        at(n),
        json!({
            "name": format!("icon{n}.jpg"), "mime_type": "image/jpeg", "metaData": { "size": 80_000 },
            "url": format!("https://files.example.invalid/{n}/icon.jpg"),
        }),
    )
}

fn diary(n: u64) -> Value {
    row(Kind::Diary, n, at(n), json!({ "hours": 6.5, "note": "醒了两次", "tags": ["夜醒", "早醒"] }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_they_are() {
        assert_eq!(iso(1_704_067_200_000), "2024-01-01T00:00:00.000Z");
        assert_eq!(iso(1_709_210_096_789), "2024-02-29T12:34:56.789Z");
        assert_eq!(iso(1_767_323_045_678), "2026-01-02T03:04:05.678Z");
    }

    #[test]
    fn pairs_are_all_different() {
        let application = Application { users: 300, consultations: 2_000, messages: 10 };
        let pairs: std::collections::BTreeSet<_> = (0..application.pairs()).map(|n| application.pair(n)).collect();
        assert_eq!(pairs.len() as u64, application.pairs());
        assert!(pairs.iter().all(|(doctor, patient)| *doctor < 3 && *patient < 297));
    }
}
