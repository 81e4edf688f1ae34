//! The one statement behind most initiate calls.

use std::collections::HashMap;

use ::consultation::consultation::{OpenConsultation, Pair, PairProbe, Status};
use domain::{StoreError, Timestamp};
use sea_orm::{QueryResult, Value};
use serde_json::json;

use crate::backend::{Backend, store_error};
use crate::convert::{known, parse, text};
use crate::store::SeaUnit;

/// The pairs as one parameter: a JSON array of arrays.
pub(crate) fn pair_list(pairs: &[Pair]) -> Value {
    let pairs: Vec<[String; 2]> = pairs.iter().map(|pair| [text(&pair.doctor), text(&pair.patient)]).collect();
    json!(pairs).to_string().into()
}

/// The rows of the first parameter, a [`pair_list`], as a table `pair`.
pub(super) fn pair_table(backend: Backend) -> String {
    format!("(SELECT value ->> 0 AS doctor_id, value ->> 1 AS patient_id FROM {}) AS pair", backend.each(1))
}

/// The condition that a row is one of a pair in the first parameter, a [`pair_list`].
pub(crate) fn is_of_pair(backend: Backend) -> String {
    format!("(doctor_id, patient_id) IN (SELECT value ->> 0, value ->> 1 FROM {})", backend.each(1))
}

pub(super) async fn probe(unit: &SeaUnit, pairs: &[Pair]) -> Result<Vec<PairProbe>, StoreError> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let backend = unit.backend;
    let of_pair = |table| format!("{table}.doctor_id = pair.doctor_id AND {table}.patient_id = pair.patient_id");
    let is_open = format!("{} AND consultation.status <> '2' AND NOT consultation.is_invalid", of_pair("consultation"));
    let sql = format!(
        "SELECT pair.doctor_id, pair.patient_id, doctor.id IS NOT NULL, patient.id IS NOT NULL, relation.is_blocked, \
         consultation.id, consultation.status, consultation.started_at FROM {} {} {} {} {}",
        pair_table(backend),
        backend.look_up("doctor", "doctor.id = pair.doctor_id", ""),
        backend.look_up("patient", "patient.id = pair.patient_id", ""),
        backend.look_up("relation", &of_pair("relation"), ""),
        backend.look_up("consultation", &is_open, ""),
    );
    let mut found = HashMap::with_capacity(pairs.len());
    for row in unit.query(&sql, [pair_list(pairs)]).await? {
        let probe = read(&row)?;
        found.insert(probe.pair, probe);
    }
    pairs.iter().map(|pair| known("consultation.doctor_id", found.get(pair).cloned())).collect()
}

fn read(row: &QueryResult) -> Result<PairProbe, StoreError> {
    let get = |index| row.try_get_by_index::<Option<String>>(index).map_err(store_error);
    let flag = |index| row.try_get_by_index::<Option<bool>>(index).map_err(store_error);
    let id = |index| -> Result<String, StoreError> { Ok(get(index)?.unwrap_or_default()) };
    let open = match get(5)? {
        None => None,
        Some(open) => Some(OpenConsultation {
            id: parse("consultation.id", &open)?,
            status: known("consultation.status", get(6)?.as_deref().and_then(Status::parse))?,
            started_at: Timestamp::from_millis(row.try_get_by_index(7).map_err(store_error)?),
        }),
    };
    Ok(PairProbe {
        pair: Pair { doctor: parse("doctor.id", &id(0)?)?, patient: parse("patient.id", &id(1)?)? },
        doctor_exists: flag(2)?.unwrap_or(false),
        patient_exists: flag(3)?.unwrap_or(false),
        is_blocked: flag(4)?.unwrap_or(false),
        open,
    })
}
