//! A synthetic LeanCloud export: certified doctors and patients without any consultation between them.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;

use serde_json::{Value, json};

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

/// Writes `Doctor.0.jsonl` and `Patients.0.jsonl` into `folder`.
///
/// # Errors
/// When the files cannot be written.
pub fn write(folder: &Path, doctors: u32, patients: u32) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    write_class(folder, "Doctor", (0..doctors).map(doctor))?;
    write_class(folder, "Patients", (0..patients).map(patient))
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
        "createdAt": "2020-01-01T00:00:00.000Z",
        "updatedAt": "2020-01-01T00:00:00.000Z",
    })
}

fn patient(n: u32) -> Value {
    json!({
        "objectId": patient_id(n),
        "name": format!("患者{n}"),
        "gender": "男",
        "birthday": "1980-01-31",
        "phone": patient_phone(n),
        "createdAt": "2020-01-01T00:00:00.000Z",
        "updatedAt": "2020-01-01T00:00:00.000Z",
    })
}
