//! Checks that what rows refer to exists, and settles for less where it does not.

use std::collections::{BTreeMap, BTreeSet};

use consultation::consultation::Pair;
use domain::file::File;
use domain::id::{FileId, UserId};
use domain::{ObjectId, StoreError};
use serde_json::{Map, Value};

use super::batch::{Candidate, Outcome};
use super::store::{ImportClass, ImportUnit};
use crate::finding::{Note, Problem};

/// A row that belongs to a user and shows files.
pub(super) trait Profile {
    fn user(&mut self) -> &mut Option<UserId>;
    /// Wire names and values of the fields that hold files.
    fn files(&mut self) -> Vec<(&'static str, &mut Option<FileId>)>;
    fn extra(&mut self) -> &mut Map<String, Value>;
}

/// The existing ones of some ids.
pub(super) async fn existing(
    unit: &mut dyn ImportUnit,
    class: ImportClass,
    ids: impl IntoIterator<Item = ObjectId>,
) -> Result<BTreeSet<ObjectId>, StoreError> {
    let ids: BTreeSet<ObjectId> = ids.into_iter().collect();
    if ids.is_empty() {
        return Ok(ids);
    }
    let ids: Vec<ObjectId> = ids.into_iter().collect();
    Ok(unit.ledger().existing(class, &ids).await?.into_iter().collect())
}

/// Adds the files that stood in the rows, and clears fields whose file is nowhere. The original goes to `extra`.
pub(super) async fn settle_files<T: Profile>(
    unit: &mut dyn ImportUnit,
    rows: &mut [Candidate<T>],
    outcome: &mut Outcome,
) -> Result<(), StoreError> {
    let mut new: BTreeMap<FileId, File> = BTreeMap::new();
    for row in rows.iter_mut() {
        new.extend(std::mem::take(&mut row.files).into_iter().map(|file| (file.id, file)));
    }
    let referred = |row: &mut Candidate<T>| {
        let files = row.entity.files().into_iter();
        files
            .filter_map(|(_, file)| *file)
            .filter(|file| !new.contains_key(file))
            .map(|file| file.0)
            .collect::<Vec<_>>()
    };
    let referred: Vec<ObjectId> = rows.iter_mut().flat_map(referred).collect();
    let known = existing(unit, ImportClass::File, referred).await?;
    for row in rows.iter_mut() {
        let is_missing = |file: &FileId| !new.contains_key(file) && !known.contains(&file.0);
        let missing: Vec<(&'static str, FileId)> = row
            .entity
            .files()
            .into_iter()
            .filter_map(|(field, slot)| slot.take_if(|file| is_missing(file)).map(|file| (field, file)))
            .collect();
        for (field, file) in missing {
            let original = row.original(field);
            row.entity.extra().insert(field.to_owned(), original);
            outcome.note(row, Note::field(field, Problem::DanglingReference).about(&file));
        }
    }
    let new: Vec<File> = new.into_values().collect();
    if new.is_empty() { Ok(()) } else { unit.people().add_files(&new).await }
}

/// Clears links to users that do not exist or sign in as somebody else of this class already.
pub(super) async fn settle_users<T: Profile>(
    unit: &mut dyn ImportUnit,
    class: ImportClass,
    rows: &mut [Candidate<T>],
    outcome: &mut Outcome,
) -> Result<(), StoreError> {
    let users: BTreeSet<UserId> = rows.iter_mut().filter_map(|row| *row.entity.user()).collect();
    if users.is_empty() {
        return Ok(());
    }
    let known = existing(unit, ImportClass::User, users.iter().map(|user| user.0)).await?;
    let users: Vec<UserId> = users.into_iter().collect();
    let mut owners: BTreeMap<UserId, ObjectId> = unit.people().profiles_of(class, &users).await?.into_iter().collect();
    for row in rows {
        let Some(user) = *row.entity.user() else { continue };
        let owner = *owners.entry(user).or_insert(row.id);
        let note = if !known.contains(&user.0) {
            Note::field("user", Problem::DanglingReference).about(&user)
        } else if owner != row.id {
            Note::field("user", Problem::DuplicateValue).about(&owner)
        } else {
            continue;
        };
        *row.entity.user() = None;
        let original = row.original("user");
        row.entity.extra().insert("user".to_owned(), original);
        outcome.note(row, note);
    }
    Ok(())
}

/// Leaves out rows whose doctor or patient does not exist.
pub(super) async fn keep_whole_pairs<T>(
    unit: &mut dyn ImportUnit,
    rows: Vec<Candidate<T>>,
    pair_of: impl Fn(&T) -> Pair,
    outcome: &mut Outcome,
) -> Result<Vec<Candidate<T>>, StoreError> {
    let pairs = || rows.iter().map(|row| pair_of(&row.entity));
    let doctors = existing(unit, ImportClass::Doctor, pairs().map(|pair| pair.doctor.0)).await?;
    let patients = existing(unit, ImportClass::Patient, pairs().map(|pair| pair.patient.0)).await?;
    let mut whole = Vec::with_capacity(rows.len());
    for row in rows {
        let pair = pair_of(&row.entity);
        if !doctors.contains(&pair.doctor.0) {
            outcome.skip(&row, Note::field("idDoctor", Problem::DanglingReference).about(&pair.doctor));
        } else if !patients.contains(&pair.patient.0) {
            outcome.skip(&row, Note::field("idPatient", Problem::DanglingReference).about(&pair.patient));
        } else {
            whole.push(row);
        }
    }
    Ok(whole)
}
