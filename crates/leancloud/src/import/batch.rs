//! One batch of rows of one class: mapped, compared with what is here, and written in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use account::session::SessionSettings;
use async_trait::async_trait;
use domain::file::File;
use domain::id::IdSource;
use domain::{ObjectId, StoreError, Timestamp};
use serde_json::{Map, Value};

use super::merge::{Decision, decide};
use super::store::{ImportClass, ImportStore, ImportUnit};
use crate::export::{ExportRow, RowFault};
use crate::finding::{Note, Problem};
use crate::mapping::{MapContext, Mapped, Unmappable};
use crate::report::{ClassCounts, Finding, Place, ReportBuilder};
use crate::rest::FileUrls;

/// How often a batch is tried when somebody else is in the way.
pub(super) const MAX_ATTEMPTS: u32 = 5;

/// What a running import works with.
pub(super) struct Run<'a> {
    pub(super) store: &'a dyn ImportStore,
    pub(super) ids: &'a dyn IdSource,
    pub(super) sessions: SessionSettings,
    pub(super) now: Timestamp,
    pub(super) context: MapContext,
    /// Makes the addresses of files that are here.
    pub(super) file_urls: Option<&'a dyn FileUrls>,
}

/// How rows of one class are mapped and written.
#[async_trait]
pub(super) trait ClassImport {
    type Row: Clone + Send + Sync + 'static;
    const CLASS: ImportClass;

    fn map(row: &Map<String, Value>, context: &MapContext) -> Result<Mapped<Self::Row>, Unmappable>;

    /// Id and exported `updatedAt`.
    fn key(row: &Self::Row) -> (ObjectId, Timestamp);

    /// Writes rows that are new here or newer than here. Rows that cannot be written are skipped in the outcome.
    async fn write(
        run: &Run<'_>,
        unit: &mut dyn ImportUnit,
        rows: Vec<Candidate<Self::Row>>,
        outcome: &mut Outcome,
    ) -> Result<(), StoreError>;
}

/// A mapped row on its way into the store.
#[derive(Debug, Clone)]
pub(super) struct Candidate<T> {
    pub(super) id: ObjectId,
    pub(super) entity: T,
    pub(super) files: Vec<File>,
    /// The row as exported, for what turns out not to fit after all.
    pub(super) raw: Arc<Map<String, Value>>,
    pub(super) place: Place,
    /// An older state of it is here.
    pub(super) is_update: bool,
}

impl<T> Candidate<T> {
    /// The exported value of a field.
    pub(super) fn original(&self, field: &str) -> Value {
        self.raw.get(field).cloned().unwrap_or(Value::Null)
    }
}

/// What came of a batch. Nothing of it counts until the transaction is committed.
#[derive(Debug)]
pub(super) struct Outcome {
    class: Arc<str>,
    pub(super) counts: ClassCounts,
    pub(super) findings: Vec<Finding>,
    skipped: BTreeSet<ObjectId>,
}

impl Outcome {
    fn new(class: ImportClass) -> Self {
        Self {
            class: class.name().into(),
            counts: ClassCounts::default(),
            findings: Vec::new(),
            skipped: BTreeSet::new(),
        }
    }

    /// Tells something of a row that is imported all the same.
    pub(super) fn note<T>(&mut self, row: &Candidate<T>, note: Note) {
        self.note_at(row.id, &row.place, note);
    }

    pub(super) fn note_at(&mut self, id: ObjectId, place: &Place, note: Note) {
        self.findings.push(Finding::new(&self.class, Some(id), place, note, false));
    }

    /// Leaves a row out and says why.
    pub(super) fn skip<T>(&mut self, row: &Candidate<T>, note: Note) {
        self.findings.push(Finding::new(&self.class, Some(row.id), &row.place, note, true));
        self.skipped.insert(row.id);
    }

    fn absorb(&mut self, other: Self) {
        self.counts.inserted += other.counts.inserted;
        self.counts.updated += other.counts.updated;
        self.counts.unchanged += other.counts.unchanged;
        self.counts.skipped += other.counts.skipped;
        self.findings.extend(other.findings);
    }
}

/// Maps a batch. Lines that hold no row and rows that cannot be mapped are counted and reported at once.
pub(super) fn map_rows<C: ClassImport>(
    class: &Arc<str>,
    rows: Vec<ExportRow>,
    context: &MapContext,
    report: &mut ReportBuilder<'_>,
) -> std::io::Result<Vec<Candidate<C::Row>>> {
    let mut candidates = Vec::with_capacity(rows.len());
    for ExportRow { file, line, content, is_repaired } in rows {
        let place = Place { file, line: Some(line) };
        let mut skip = |id, note| {
            report.count(class, ClassCounts { read: 1, skipped: 1, ..ClassCounts::default() });
            report.add(Finding::new(class, id, &place, note, true))
        };
        let raw = match content {
            Ok(raw) => raw,
            Err(fault) => {
                skip(None, Note::row(problem_of(fault)))?;
                continue;
            }
        };
        match C::map(&raw, context) {
            Ok(Mapped { entity, files, notes }) => {
                report.count(class, ClassCounts { read: 1, ..ClassCounts::default() });
                let (id, _) = C::key(&entity);
                let repaired = is_repaired.then_some(Note::row(Problem::RepairedText));
                for note in repaired.into_iter().chain(notes) {
                    report.add(Finding::new(class, Some(id), &place, note, false))?;
                }
                candidates.push(Candidate { id, entity, files, raw: Arc::new(raw), place, is_update: false });
            }
            Err(Unmappable { id, note }) => skip(id, note)?,
        }
    }
    Ok(candidates)
}

pub(super) const fn problem_of(fault: RowFault) -> Problem {
    match fault {
        RowFault::TooLong => Problem::LineTooLong,
        RowFault::NotJson => Problem::NotJson,
        RowFault::NotAnObject => Problem::NotAnObject,
        RowFault::Damaged => Problem::DamagedFile,
    }
}

/// Writes a batch. Should the store refuse it, it is written row by row, so that one bad row costs only itself.
pub(super) async fn store_rows<C: ClassImport>(
    run: &Run<'_>,
    candidates: Vec<Candidate<C::Row>>,
) -> Result<Outcome, StoreError> {
    let mut total = Outcome::new(C::CLASS);
    let candidates = newest_of_each::<C>(candidates, &mut total);
    match attempt::<C>(run, &candidates).await {
        Ok(outcome) => total.absorb(outcome),
        Err(error) if is_alive(run).await => {
            tracing::warn!(class = C::CLASS.name(), error = &error as &dyn std::error::Error, "batch refused");
            for candidate in &candidates {
                match attempt::<C>(run, std::slice::from_ref(candidate)).await {
                    Ok(outcome) => total.absorb(outcome),
                    Err(_) if is_alive(run).await => {
                        total.skip(candidate, Note::row(Problem::StoreRefused));
                        total.counts.skipped += 1;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Err(error) => return Err(error),
    }
    Ok(total)
}

/// Whether the store answers at all.
pub(super) async fn is_alive(run: &Run<'_>) -> bool {
    let Ok(mut unit) = run.store.begin().await else { return false };
    unit.ledger().existing(ImportClass::User, &[ObjectId::from_bytes([0; 12])]).await.is_ok()
}

/// Exports by date overlap: of several rows with one id the newest is taken, the others count as unchanged.
fn newest_of_each<C: ClassImport>(candidates: Vec<Candidate<C::Row>>, outcome: &mut Outcome) -> Vec<Candidate<C::Row>> {
    let mut position: BTreeMap<ObjectId, usize> = BTreeMap::new();
    let mut newest: Vec<Candidate<C::Row>> = Vec::with_capacity(candidates.len());
    for candidate in candidates {
        let known = position.get(&candidate.id).and_then(|at| newest.get_mut(*at));
        match known {
            None => {
                position.insert(candidate.id, newest.len());
                newest.push(candidate);
            }
            Some(known) => {
                outcome.counts.unchanged += 1;
                if C::key(&candidate.entity).1 > C::key(&known.entity).1 {
                    *known = candidate;
                }
            }
        }
    }
    newest
}

/// Tries a batch, and again while somebody else is in the way.
async fn attempt<C: ClassImport>(run: &Run<'_>, candidates: &[Candidate<C::Row>]) -> Result<Outcome, StoreError> {
    let mut attempts = 1;
    loop {
        match write_once::<C>(run, candidates).await {
            Err(StoreError::Conflict) if attempts < MAX_ATTEMPTS => attempts += 1,
            done => return done,
        }
    }
}

async fn write_once<C: ClassImport>(run: &Run<'_>, candidates: &[Candidate<C::Row>]) -> Result<Outcome, StoreError> {
    let mut outcome = Outcome::new(C::CLASS);
    let mut unit = run.store.begin().await?;
    let ids: Vec<ObjectId> = candidates.iter().map(|candidate| candidate.id).collect();
    let states = unit.ledger().states(C::CLASS, &ids).await?;
    let states: BTreeMap<ObjectId, _> = states.into_iter().map(|state| (state.id, state)).collect();
    let mut rows = Vec::new();
    let mut written = Vec::new();
    for candidate in candidates {
        let (id, exported_at) = C::key(&candidate.entity);
        let decision = decide(exported_at, states.get(&id));
        match decision {
            Decision::Insert | Decision::Update => {
                written.push((id, exported_at, decision));
                rows.push(Candidate { is_update: decision == Decision::Update, ..candidate.clone() });
            }
            Decision::Unchanged => outcome.counts.unchanged += 1,
            Decision::KeepHere => {
                outcome.counts.unchanged += 1;
                outcome.note(candidate, Note::row(Problem::ChangedHere));
            }
        }
    }
    if rows.is_empty() {
        return Ok(outcome);
    }
    C::write(run, unit.as_mut(), rows, &mut outcome).await?;
    written.retain(|(id, ..)| !outcome.skipped.contains(id));
    outcome.counts.skipped += outcome.skipped.len() as u64;
    for (_, _, decision) in &written {
        match decision {
            Decision::Insert => outcome.counts.inserted += 1,
            _ => outcome.counts.updated += 1,
        }
    }
    let remembered: Vec<_> = written.into_iter().map(|(id, exported_at, _)| (id, exported_at)).collect();
    unit.ledger().remember(C::CLASS.name(), &remembered).await?;
    unit.commit().await?;
    Ok(outcome)
}
