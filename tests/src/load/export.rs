//! A synthetic LeanCloud export: certified doctors and patients without any consultation between them, and for
//! messaging pairs of them who are talking, with users whose session tokens the load generator knows.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

const CREATED_AT: &str = "2020-01-01T00:00:00.000Z";

/// The id of the `n`-th doctor, the same in every run.
pub fn doctor_id(n: u32) -> String {
    format!("5d00000000000000d0{n:06x}")
}

/// The id of the `n`-th patient, the same in every run.
pub fn patient_id(n: u32) -> String {
    format!("5d000000000000000a{n:06x}")
}

/// Phone of the `n`-th doctor.
pub fn doctor_phone(n: u32) -> String {
    format!("138{n:08}")
}

/// Phone of the `n`-th patient.
pub fn patient_phone(n: u32) -> String {
    format!("139{n:08}")
}

/// The id of the dialog of the `n`-th doctor with the `n`-th patient.
pub fn conversation_id(n: u32) -> String {
    format!("5d00000000000000c0{n:06x}")
}

/// The session token of the `n`-th doctor, in an application of talking pairs.
pub fn doctor_token(n: u32) -> String {
    format!("load-doctor-{n}")
}

/// The session token of the `n`-th patient, in an application of talking pairs.
pub fn patient_token(n: u32) -> String {
    format!("load-patient-{n}")
}

/// Writes `Doctor.0.jsonl` and `Patients.0.jsonl` into `folder`.
///
/// # Errors
/// When the files cannot be written.
pub fn write(folder: &Path, doctors: u32, patients: u32) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    write_class(folder, "Doctor", (0..doctors).map(doctor))?;
    write_class(folder, "Patients", (0..patients).map(patient))
}

/// Writes an application in which the first `pairs` doctors and patients are each in the middle of a consultation, and
/// `patients` patients all in all are signed in.
///
/// # Errors
/// When the files cannot be written.
pub fn write_talking(folder: &Path, pairs: u32, patients: u32) -> io::Result<()> {
    let patients = patients.max(pairs);
    fs::create_dir_all(folder)?;
    let signed_in = |mut row: Value, user: String| {
        row["user"] = pointer("_User", &user);
        row
    };
    write_class(folder, "Doctor", (0..pairs).map(|n| signed_in(doctor(n), doctor_user(n))))?;
    write_class(folder, "Patients", (0..patients).map(|n| signed_in(patient(n), patient_user(n))))?;
    let doctors = (0..pairs).map(|n| user(&doctor_user(n), &doctor_phone(n), &doctor_token(n)));
    let all = doctors.chain((0..patients).map(|n| user(&patient_user(n), &patient_phone(n), &patient_token(n))));
    write_class(folder, "_User", all)?;
    write_class(folder, "DoctorPatientRelation", (0..pairs).map(relation))?;
    write_class(folder, "Consultation", (0..pairs).map(consultation))?;
    write_class(folder, "_Conversation", (0..pairs).map(conversation))
}

fn doctor_user(n: u32) -> String {
    format!("5d00000000000000e0{n:06x}")
}

fn patient_user(n: u32) -> String {
    format!("5d00000000000000f0{n:06x}")
}

fn relation_id(n: u32) -> String {
    format!("5d00000000000000b0{n:06x}")
}

fn pointer(class: &str, id: &str) -> Value {
    json!({ "__type": "Pointer", "className": class, "objectId": id })
}

fn user(id: &str, phone: &str, token: &str) -> Value {
    json!({
        "objectId": id,
        "username": phone,
        "mobilePhoneNumber": phone,
        "mobilePhoneVerified": true,
        "sessionToken": token,
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT,
    })
}

fn relation(n: u32) -> Value {
    json!({
        "objectId": relation_id(n),
        "idDoctor": pointer("Doctor", &doctor_id(n)),
        "idPatient": pointer("Patients", &patient_id(n)),
        "block": false,
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT,
    })
}

fn consultation(n: u32) -> Value {
    json!({
        "objectId": format!("5d0000000000000090{n:06x}"),
        "idDoctor": pointer("Doctor", &doctor_id(n)),
        "idPatient": pointer("Patients", &patient_id(n)),
        "idRelation": pointer("DoctorPatientRelation", &relation_id(n)),
        "idDialog": pointer("_Conversation", &conversation_id(n)),
        // The doctor has replied.
        "status": "1",
        "isInvalid": false,
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT,
    })
}

fn conversation(n: u32) -> Value {
    json!({
        "objectId": conversation_id(n),
        "name": "咨询",
        "m": [doctor_id(n), patient_id(n)],
        "c": patient_id(n),
        "unique": false,
        "attr": {},
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT,
    })
}

fn write_class(folder: &Path, class: &str, rows: impl Iterator<Item = Value>) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(folder.join(format!("{class}.0.jsonl")))?);
    writeln!(file, "#filetype:JSON-streaming {{\"type\": \"Class\", \"class\": \"{class}\"}}")?;
    for row in rows {
        writeln!(file, "{row}")?;
    }
    file.flush()
}

fn doctor(n: u32) -> Value {
    json!({
        "objectId": doctor_id(n),
        "name": format!("医生{n}"),
        "gender": "女",
        "hospital": "示例医院",
        "department": "睡眠中心",
        "title": "主任医师",
        "authenticated": "1",
        "openid": format!("o{n:027}"),
        "phone": doctor_phone(n),
        "startConsultation": true,
        "startConsultationTime": "00:00",
        "endConsultationTime": "24:00",
        "isNormalConsultingOpen": true,
        "normalConsultingPrice": 29.9,
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT,
    })
}

fn patient(n: u32) -> Value {
    json!({
        "objectId": patient_id(n),
        "name": format!("患者{n}"),
        "gender": "男",
        "birthday": "1980-01-31",
        "phone": patient_phone(n),
        "createdAt": CREATED_AT,
        "updatedAt": CREATED_AT,
    })
}
