//! Writing relations, and checking afterwards what they refer to.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use consultation::consultation::Pair;
use consultation::relation::Relation;
use domain::id::RelationId;
use domain::{ObjectId, StoreError, Timestamp};
use serde_json::{Map, Value};

use super::batch::{Candidate, ClassImport, Outcome, Run};
use super::references::{existing, keep_whole_pairs};
use super::store::{ImportClass, ImportUnit};
use super::{ImportError, ImportProgress};
use crate::export::Export;
use crate::finding::{Note, Problem};
use crate::mapping::{MapContext, Mapped, Unmappable, map_relation};
use crate::report::{Finding, Place, ReportBuilder};

pub(super) enum Relations {}

#[async_trait]
impl ClassImport for Relations {
    type Row = Relation;
    const CLASS: ImportClass = ImportClass::Relation;

    fn map(row: &Map<String, Value>, _: &MapContext) -> Result<Mapped<Relation>, Unmappable> {
        map_relation(row)
    }

    fn key(relation: &Relation) -> (ObjectId, Timestamp) {
        (relation.id.0, relation.updated_at)
    }

    /// A pair has one relation: the first one keeps it.
    async fn write(
        _: &Run<'_>,
        unit: &mut dyn ImportUnit,
        rows: Vec<Candidate<Relation>>,
        outcome: &mut Outcome,
    ) -> Result<(), StoreError> {
        let rows = keep_whole_pairs(unit, rows, |relation| relation.pair, outcome).await?;
        let pairs: Vec<Pair> = rows.iter().map(|row| row.entity.pair).collect();
        let mut owners: BTreeMap<Pair, RelationId> =
            unit.consulting().relations_of(&pairs).await?.into_iter().collect();
        let mut relations = Vec::with_capacity(rows.len());
        for row in rows {
            let owner = *owners.entry(row.entity.pair).or_insert(row.entity.id);
            if owner == row.entity.id {
                relations.push(row.entity);
            } else {
                outcome.skip(&row, Note::row(Problem::DuplicatePair).about(&owner));
            }
        }
        unit.consulting().save_relations(&relations).await
    }
}

/// Reports relations whose latest consultation is nowhere. That can be told only when the consultations are in.
pub(super) async fn check_latest(
    run: &Run<'_>,
    export: &Export,
    report: &mut ReportBuilder<'_>,
    progress: &dyn ImportProgress,
) -> Result<(), ImportError> {
    let class: Arc<str> = ImportClass::Relation.name().into();
    let mut rows = export.rows(&class);
    while let Some(rows) = rows.next().await? {
        let latest = |relation: &Relation| relation.latest_consultation_id.map(|latest| (relation.id.0, latest.0));
        let referring: Vec<(Place, ObjectId, ObjectId)> = rows
            .into_iter()
            .filter_map(|row| {
                let mapped = map_relation(row.content.as_ref().ok()?).ok()?;
                let (id, latest) = latest(&mapped.entity)?;
                Some((Place { file: row.file, line: Some(row.line) }, id, latest))
            })
            .collect();
        let mut unit = run.store.begin().await?;
        let imported = existing(unit.as_mut(), ImportClass::Relation, referring.iter().map(|r| r.1)).await?;
        let known = existing(unit.as_mut(), ImportClass::Consultation, referring.iter().map(|r| r.2)).await?;
        for (place, id, latest) in referring {
            if imported.contains(&id) && !known.contains(&latest) {
                let note = Note::field("latestConsultationId", Problem::DanglingReference).about(&latest);
                report.add(Finding::new(&class, Some(id), &place, note, false))?;
            }
        }
        progress.advance(export.bytes_read());
    }
    Ok(())
}
