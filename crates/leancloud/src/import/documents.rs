//! Classes the product does not know, roles among them, and the members of relations.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use domain::{ObjectId, StoreError};

use super::addresses::{self, Addresses};
use super::batch::{MAX_ATTEMPTS, Run, is_alive, problem_of};
use super::merge::{Decision, decide};
use super::store::{DocumentRelation, ImportUnit};
use super::{ImportError, ImportProgress};
use crate::export::{Export, ExportRow, JOIN_PREFIX};
use crate::finding::{Note, Problem};
use crate::mapping::{JoinRow, Mapped, Unmappable, map_document, map_join};
use crate::report::{ClassCounts, Finding, Place, ReportBuilder};
use crate::rest::{ClassInfo, Document};
use crate::value::checked_class;

/// Relations that every application has, with the class of their members.
const KNOWN_TARGETS: [(&str, &str, &str); 2] = [("_Role", "users", "_User"), ("_Role", "roles", "_Role")];

/// The class that a relation's members are of, by owning class and field, as objects told.
pub(super) type Targets = BTreeMap<(String, String), String>;

/// Imports one class as documents; notes in `targets` what its relations lead to.
pub(super) async fn import(
    run: &Run<'_>,
    export: &Export,
    name: &str,
    targets: &mut Targets,
    report: &mut ReportBuilder<'_>,
    progress: &dyn ImportProgress,
) -> Result<(), ImportError> {
    let class: Arc<str> = name.into();
    report.count(&class, ClassCounts::default());
    let is_class = checked_class(name).is_ok();
    let mut rows = export.rows(name);
    while let Some(rows) = rows.next().await? {
        let mut documents = Vec::with_capacity(rows.len());
        for ExportRow { file, line, content, is_repaired } in rows {
            report.count(&class, ClassCounts { read: 1, ..ClassCounts::default() });
            let place = Place { file, line: Some(line) };
            let mapped = match content {
                _ if !is_class => Err(Unmappable { id: None, note: Note::row(Problem::BadClassName) }),
                Err(fault) => Err(Unmappable { id: None, note: Note::row(problem_of(fault)) }),
                Ok(raw) => map_document(name, &raw),
            };
            match mapped {
                Ok(Mapped { entity, notes, .. }) => {
                    let repaired = is_repaired.then_some(Note::row(Problem::RepairedText));
                    for note in repaired.into_iter().chain(notes) {
                        report.add(Finding::new(&class, Some(entity.id), &place, note, false))?;
                    }
                    note_targets(&entity, targets);
                    documents.push((entity, place));
                }
                Err(Unmappable { id, note }) => {
                    report.count(&class, ClassCounts { skipped: 1, ..ClassCounts::default() });
                    report.add(Finding::new(&class, id, &place, note, true))?;
                }
            }
        }
        store(run, &class, &documents, report).await?;
        progress.advance(export.bytes_read());
    }
    Ok(())
}

fn note_targets(document: &Document, targets: &mut Targets) {
    for (key, value) in &document.fields {
        if value.get("__type").and_then(serde_json::Value::as_str) == Some("Relation")
            && let Some(target) = value.get("className").and_then(serde_json::Value::as_str)
        {
            targets.entry((document.class.clone(), key.clone())).or_insert_with(|| target.to_owned());
        }
    }
}

/// Writes a batch; should the store refuse it, row by row.
async fn store(
    run: &Run<'_>,
    class: &Arc<str>,
    documents: &[(Document, Place)],
    report: &mut ReportBuilder<'_>,
) -> Result<(), ImportError> {
    match attempt(run, documents).await {
        Ok(done) => done.tell(class, report)?,
        Err(error) if is_alive(run).await => {
            tracing::warn!(class = %class, error = &error as &dyn std::error::Error, "batch refused");
            for one in documents {
                match attempt(run, std::slice::from_ref(one)).await {
                    Ok(done) => done.tell(class, report)?,
                    Err(_) if is_alive(run).await => {
                        report.count(class, ClassCounts { skipped: 1, ..ClassCounts::default() });
                        let note = Note::row(Problem::StoreRefused);
                        report.add(Finding::new(class, Some(one.0.id), &one.1, note, true))?;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// What came of a batch.
#[derive(Default)]
struct Done {
    counts: ClassCounts,
    changed_here: Vec<(ObjectId, Place)>,
}

impl Done {
    fn tell(self, class: &Arc<str>, report: &mut ReportBuilder<'_>) -> std::io::Result<()> {
        report.count(class, self.counts);
        for (id, place) in self.changed_here {
            report.add(Finding::new(class, Some(id), &place, Note::row(Problem::ChangedHere), false))?;
        }
        Ok(())
    }
}

async fn attempt(run: &Run<'_>, documents: &[(Document, Place)]) -> Result<Done, StoreError> {
    let mut attempts = 1;
    loop {
        match write_once(run, documents).await {
            Err(StoreError::Conflict) if attempts < MAX_ATTEMPTS => attempts += 1,
            done => return done,
        }
    }
}

async fn write_once(run: &Run<'_>, documents: &[(Document, Place)]) -> Result<Done, StoreError> {
    let mut done = Done::default();
    // Exports by date overlap: of several rows with one id the newest is taken.
    let mut newest: BTreeMap<ObjectId, &(Document, Place)> = BTreeMap::new();
    for one in documents {
        let known = newest.entry(one.0.id).or_insert(one);
        if one.0.updated_at > known.0.updated_at {
            *known = one;
        }
    }
    done.counts.unchanged += (documents.len() - newest.len()) as u64;
    let Some(class) = documents.first().map(|(document, _)| document.class.as_str()) else { return Ok(done) };
    let mut unit = run.store.begin().await?;
    let ids: Vec<ObjectId> = newest.keys().copied().collect();
    let states = unit.documents().states(class, &ids).await?;
    let states: BTreeMap<ObjectId, _> = states.into_iter().map(|state| (state.id, state)).collect();
    let mut taken: Vec<Document> = Vec::new();
    for (id, (document, place)) in newest {
        match decide(document.updated_at, states.get(&id)) {
            Decision::Insert => done.counts.inserted += 1,
            Decision::Update => done.counts.updated += 1,
            decision => {
                done.counts.unchanged += 1;
                if decision == Decision::KeepHere {
                    done.changed_here.push((id, place.clone()));
                }
                continue;
            }
        }
        taken.push(document.clone());
    }
    if taken.is_empty() {
        return Ok(done);
    }
    rewrite_addresses(run, unit.as_mut(), &mut taken).await?;
    let mut info = ClassInfo::default();
    for document in &taken {
        let more = ClassInfo::of_object(&document.fields);
        info.relation_keys.extend(more.relation_keys);
        info.array_keys.extend(more.array_keys);
    }
    unit.documents().save(class, &info, &taken).await?;
    let remembered: Vec<_> = taken.iter().map(|document| (document.id, document.updated_at)).collect();
    unit.ledger().remember(class, &remembered).await?;
    unit.commit().await?;
    Ok(done)
}

async fn rewrite_addresses(
    run: &Run<'_>,
    unit: &mut dyn ImportUnit,
    documents: &mut [Document],
) -> Result<(), StoreError> {
    let mut urls = BTreeSet::new();
    for document in documents.iter() {
        document.fields.values().for_each(|value| addresses::gather(value, &mut urls));
    }
    let known = Addresses::look_up(run, unit, urls).await?;
    for document in documents {
        document.fields.values_mut().for_each(|value| known.rewrite_value(value));
    }
    Ok(())
}

/// `_Join:users:_Role`: the field, and the class that owns it.
pub(super) fn join_of(class: &str) -> Option<(&str, &str)> {
    let rest = class.strip_prefix(JOIN_PREFIX)?.strip_prefix([':', '_'])?;
    rest.split_once(':').filter(|(field, owner)| !field.is_empty() && !owner.is_empty())
}

/// Imports the members of one relation.
pub(super) async fn import_members(
    run: &Run<'_>,
    export: &Export,
    name: &str,
    targets: &Targets,
    report: &mut ReportBuilder<'_>,
    progress: &dyn ImportProgress,
) -> Result<(), ImportError> {
    let class: Arc<str> = name.into();
    report.count(&class, ClassCounts::default());
    let Some((field, owner)) = join_of(name) else { return Ok(()) };
    let told = targets.get(&(owner.to_owned(), field.to_owned())).map(String::as_str);
    let known =
        KNOWN_TARGETS.iter().find(|(class, key, _)| (*class, *key) == (owner, field)).map(|(.., target)| *target);
    let target = told.or(known).or_else(|| export.relation_target(owner, field));
    let mut rows = export.rows(name);
    while let Some(rows) = rows.next().await? {
        let mut members: Vec<(DocumentRelation, Place)> = Vec::with_capacity(rows.len());
        for ExportRow { file, line, content, .. } in rows {
            report.count(&class, ClassCounts { read: 1, ..ClassCounts::default() });
            let place = Place { file, line: Some(line) };
            let mapped = content.map_err(|fault| Note::row(problem_of(fault))).and_then(|raw| map_join(&raw));
            let member = mapped.and_then(|JoinRow { owning_id, related_id, related_class }| {
                let related_class = related_class.or_else(|| target.map(str::to_owned));
                let related_class = related_class.ok_or(Note::row(Problem::UnknownTarget))?;
                let (owning_class, name) = (owner.to_owned(), field.to_owned());
                Ok(DocumentRelation { owning_class, owning_id, name, related_class, related_id })
            });
            match member {
                Ok(member) => members.push((member, place)),
                Err(note) => {
                    report.count(&class, ClassCounts { skipped: 1, ..ClassCounts::default() });
                    report.add(Finding::new(&class, None, &place, note, true))?;
                }
            }
        }
        let mut unit = run.store.begin().await?;
        let whole = whole_members(unit.as_mut(), &class, members, report).await?;
        let inserted = unit.documents().add_relations(&whole).await?;
        unit.commit().await?;
        let unchanged = whole.len() as u64 - inserted.min(whole.len() as u64);
        report.count(&class, ClassCounts { inserted, unchanged, ..ClassCounts::default() });
        progress.advance(export.bytes_read());
    }
    Ok(())
}

/// The members whose both sides exist.
async fn whole_members(
    unit: &mut dyn ImportUnit,
    class: &Arc<str>,
    members: Vec<(DocumentRelation, Place)>,
    report: &mut ReportBuilder<'_>,
) -> Result<Vec<DocumentRelation>, ImportError> {
    let mut wanted: BTreeMap<String, BTreeSet<ObjectId>> = BTreeMap::new();
    for (member, _) in &members {
        wanted.entry(member.owning_class.clone()).or_default().insert(member.owning_id);
        wanted.entry(member.related_class.clone()).or_default().insert(member.related_id);
    }
    let mut known: BTreeSet<(String, ObjectId)> = BTreeSet::new();
    for (of_class, ids) in wanted {
        let ids: Vec<ObjectId> = ids.into_iter().collect();
        let existing = unit.documents().existing(&of_class, &ids).await?;
        known.extend(existing.into_iter().map(|id| (of_class.clone(), id)));
    }
    let mut whole = Vec::with_capacity(members.len());
    for (member, place) in members {
        let missing = [
            (&member.owning_class, member.owning_id, "owningId"),
            (&member.related_class, member.related_id, "relatedId"),
        ]
        .into_iter()
        .find(|(class, id, _)| !known.contains(&((*class).clone(), *id)));
        match missing {
            None => whole.push(member),
            Some((_, id, side)) => {
                report.count(class, ClassCounts { skipped: 1, ..ClassCounts::default() });
                let note = Note::field(side, Problem::DanglingReference).about(&id);
                report.add(Finding::new(class, Some(member.owning_id), &place, note, true))?;
            }
        }
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_name_their_field_and_owner() {
        assert_eq!(join_of("_Join:users:_Role"), Some(("users", "_Role")));
        assert_eq!(join_of("_Join:likes:Post"), Some(("likes", "Post")));
        assert_eq!(join_of("_Role"), None);
        assert_eq!(join_of("_Join:"), None);
    }
}
