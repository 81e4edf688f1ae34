//! The one statement behind most initiate calls.

use std::collections::HashMap;

use ::consultation::consultation::{OpenConsultation, Pair, PairProbe, Status};
use domain::{StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use crate::backend::store_error;
use crate::convert::{known, parse, text};
use crate::store::SeaUnit;
use crate::values::tuples;

/// `(VALUES …)` rows of the pairs, padded by repeating the last one up to a power of two, so that few distinct
/// statements are prepared.
pub(crate) fn pair_values(pairs: &[Pair]) -> (String, Vec<Value>) {
    let padded = pairs.len().next_power_of_two();
    let repeated = pairs.iter().chain(std::iter::repeat_n(pairs.last(), padded).flatten()).take(padded);
    let values = repeated.flat_map(|pair| [text(&pair.doctor).into(), text(&pair.patient).into()]).collect();
    (tuples(padded, 2, 1), values)
}

pub(super) async fn probe(unit: &SeaUnit, pairs: &[Pair]) -> Result<Vec<PairProbe>, StoreError> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let (tuples, values) = pair_values(pairs);
    let sql = format!(
        "SELECT pair.column1, pair.column2, doctor.id IS NOT NULL, patient.id IS NOT NULL, relation.is_blocked, \
         consultation.id, consultation.status, consultation.started_at \
         FROM (VALUES {tuples}) AS pair \
         LEFT JOIN doctor ON doctor.id = pair.column1 \
         LEFT JOIN patient ON patient.id = pair.column2 \
         LEFT JOIN relation ON relation.doctor_id = pair.column1 AND relation.patient_id = pair.column2 \
         LEFT JOIN consultation ON consultation.doctor_id = pair.column1 AND consultation.patient_id = pair.column2 \
         AND consultation.status <> '2' AND NOT consultation.is_invalid"
    );
    let mut found = HashMap::with_capacity(pairs.len());
    for row in unit.query(&sql, values).await? {
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
