//! The rows, and what every table needs: unique rules, versions, paging and text search.

use std::collections::BTreeMap;

use consultation::consultation::ConsultationEvent;
use consultation::desk_task::DeskTask;
use consultation::notification::Notification;
use consultation::relation::Invitation;
use consultation::{Consultation, Relation};
use domain::audit::AuditRecord;
use domain::doctor::Doctor;
use domain::file::File;
use domain::id::{
    AuditId, ConsultationEventId, ConsultationId, ConversationId, DeskTaskId, DoctorId, FileId, InvitationId, JobId,
    NotificationId, PatientId, RelationId,
};
use domain::outbox::JobRecord;
use domain::page::{Cursor, Page, PageRequest};
use domain::patient::Patient;
use domain::{StoreError, Timestamp};
use im::log::LogEvent;
use im::presence::Presence;
use im::{Conversation, Member, Message};

use super::desk::DeskTables;

/// All rows.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    pub patients: BTreeMap<PatientId, Patient>,
    pub doctors: BTreeMap<DoctorId, Doctor>,
    pub files: BTreeMap<FileId, File>,
    pub relations: BTreeMap<RelationId, Relation>,
    pub invitations: BTreeMap<InvitationId, Invitation>,
    pub consultations: BTreeMap<ConsultationId, Consultation>,
    pub events: BTreeMap<ConsultationEventId, ConsultationEvent>,
    pub conversations: BTreeMap<ConversationId, Conversation>,
    pub members: BTreeMap<(ConversationId, String), Member>,
    /// By position.
    pub messages: BTreeMap<i64, Message>,
    /// By position.
    pub log_events: BTreeMap<i64, LogEvent>,
    /// The last position given.
    pub head: i64,
    pub epoch: String,
    /// Until when each node's lease runs.
    pub nodes: BTreeMap<String, Timestamp>,
    pub presence: BTreeMap<(String, u64, String), Presence>,
    pub desk: DeskTables,
    pub notifications: BTreeMap<NotificationId, Notification>,
    pub desk_tasks: BTreeMap<DeskTaskId, DeskTask>,
    pub audit: BTreeMap<AuditId, AuditRecord>,
    pub jobs: BTreeMap<JobId, JobRow>,
    pub schedules: BTreeMap<String, ScheduleRow>,
}

/// A job with what operators are not shown.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRow {
    pub record: JobRecord,
    pub idempotency_key: String,
    pub leased_by: Option<String>,
    pub settled_at: Option<Timestamp>,
}

/// When a schedule is next due, and until when a worker holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleRow {
    pub next_run_at: Timestamp,
    pub leased_until: Timestamp,
}

/// The error of a broken unique rule.
pub(super) fn unique(constraint: &str) -> StoreError {
    StoreError::Unique(constraint.to_owned())
}

/// Inserts a row under a key that must be new.
pub(super) fn insert_new<K: Ord, V>(
    rows: &mut BTreeMap<K, V>,
    key: K,
    row: V,
    constraint: &str,
) -> Result<(), StoreError> {
    if rows.contains_key(&key) {
        return Err(unique(constraint));
    }
    rows.insert(key, row);
    Ok(())
}

/// The rows of the given keys that exist, each once.
pub(super) fn all_of<K: Ord + Copy, V: Clone>(rows: &BTreeMap<K, V>, keys: &[K]) -> Vec<V> {
    let mut wanted = keys.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    wanted.iter().filter_map(|key| rows.get(key)).cloned().collect()
}

/// One page of rows, newest first by the time and id of their cursor.
pub(super) fn newest_first<'a, T: Clone + 'a>(
    rows: impl Iterator<Item = &'a T>,
    page: PageRequest,
    cursor_of: impl Fn(&T) -> Cursor,
) -> Page<T> {
    let key = |row: &T| {
        let Cursor { at, id } = cursor_of(row);
        (at, id)
    };
    let is_after = |row: &&T| page.after.is_none_or(|cursor| key(row) < (cursor.at, cursor.id));
    let mut found: Vec<T> = rows.filter(is_after).cloned().collect();
    found.sort_by_key(|row| std::cmp::Reverse(key(row)));
    Page::from_rows(found, page.limit, cursor_of)
}

/// Whether `text` holds `part`, ASCII letters in either case.
pub(super) fn holds(text: Option<&str>, part: &str) -> bool {
    text.is_some_and(|t| t.to_ascii_lowercase().contains(&part.to_ascii_lowercase()))
}
