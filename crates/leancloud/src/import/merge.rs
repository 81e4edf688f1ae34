//! What to do with an exported row when the store may have it already. Pure.

use std::collections::BTreeMap;

use consultation::Consultation;
use consultation::consultation::Pair;
use domain::Timestamp;
use domain::id::ConsultationId;

use super::store::RowState;

/// What becomes of an exported row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Insert,
    Update,
    /// The store has this state or a newer exported one.
    Unchanged,
    /// The row changed here as well; what is here is kept.
    KeepHere,
}

/// A row that came about or changed here is never overwritten; an imported one only by a newer export.
pub(super) fn decide(exported: Timestamp, state: Option<&RowState>) -> Decision {
    let Some(state) = state else { return Decision::Insert };
    match (state.updated_at, state.exported_at) {
        (_, Some(taken)) if exported <= taken => Decision::Unchanged,
        (Some(here), Some(taken)) if here != taken => Decision::KeepHere,
        (Some(here), None) if exported <= here => Decision::Unchanged,
        (Some(_), None) => Decision::KeepHere,
        (Some(_) | None, Some(_)) | (None, None) => Decision::Update,
    }
}

/// Of the open consultations, those whose pair has a newer open one, each with that one. The newest is the one started
/// last; where two were started at once, the one changed last, then the one with the greater id.
pub(super) fn superseded(open: &[&Consultation]) -> BTreeMap<ConsultationId, ConsultationId> {
    let age = |c: &Consultation| (c.started_at, c.updated_at, c.id);
    let mut newest: BTreeMap<Pair, &Consultation> = BTreeMap::new();
    for consultation in open {
        let known = newest.entry(consultation.pair).or_insert(consultation);
        if age(consultation) > age(known) {
            *known = consultation;
        }
    }
    let older =
        |c: &&Consultation| newest.get(&c.pair).filter(|newest| newest.id != c.id).map(|newest| (c.id, newest.id));
    open.iter().filter_map(older).collect()
}

#[cfg(test)]
mod tests {
    use domain::ObjectId;
    use rstest::rstest;

    use super::*;

    fn state(here: Option<i64>, taken: Option<i64>) -> RowState {
        RowState {
            id: ObjectId::from_parts(1, [0; 5], 1),
            updated_at: here.map(Timestamp::from_millis),
            exported_at: taken.map(Timestamp::from_millis),
        }
    }

    #[rstest]
    #[case(None, Decision::Insert)]
    // Imported and not touched since.
    #[case(Some(state(Some(5), Some(5))), Decision::Update)]
    #[case(Some(state(Some(10), Some(10))), Decision::Unchanged)]
    #[case(Some(state(Some(15), Some(15))), Decision::Unchanged)]
    // Imported and changed here.
    #[case(Some(state(Some(7), Some(5))), Decision::KeepHere)]
    #[case(Some(state(Some(20), Some(5))), Decision::KeepHere)]
    #[case(Some(state(Some(20), Some(10))), Decision::Unchanged)]
    // Came about here.
    #[case(Some(state(Some(20), None)), Decision::Unchanged)]
    #[case(Some(state(Some(5), None)), Decision::KeepHere)]
    // Files.
    #[case(Some(state(None, Some(5))), Decision::Update)]
    #[case(Some(state(None, Some(10))), Decision::Unchanged)]
    #[case(Some(state(None, None)), Decision::Update)]
    fn an_export_of_ten_meets(#[case] state: Option<RowState>, #[case] expected: Decision) {
        assert_eq!(decide(Timestamp::from_millis(10), state.as_ref()), expected);
    }
}
