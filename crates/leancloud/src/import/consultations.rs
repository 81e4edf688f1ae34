//! Writing consultations: their relation and dialog are made sure of, and of several open ones of a pair only the
//! newest stays open.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use consultation::consultation::{Consultation, ConsultationEvent, Pair};
use consultation::dialog::{dialog_of, parties_of};
use consultation::relation::Relation;
use consultation::{EndReason, Status};
use domain::id::{ConsultationEventId, ConsultationId, ConversationId, RelationId};
use domain::{Actor, ObjectId, StoreError, Timestamp};
use serde_json::{Map, Value};

use super::batch::{Candidate, ClassImport, Outcome, Run};
use super::merge::superseded;
use super::references::{existing, keep_whole_pairs};
use super::store::{DialogOwner, ImportClass, ImportUnit};
use crate::finding::{Note, Problem};
use crate::mapping::{ConsultationRow, MapContext, Mapped, Unmappable, map_consultation};
use crate::report::Place;

/// Words of the events an import leaves: a newer state was taken, and one ended for a newer one.
const IMPORTED: &str = "imported";
const SUPERSEDED: &str = "superseded";

pub(super) enum Consultations {}

#[async_trait]
impl ClassImport for Consultations {
    type Row = ConsultationRow;
    const CLASS: ImportClass = ImportClass::Consultation;

    fn map(row: &Map<String, Value>, context: &MapContext) -> Result<Mapped<ConsultationRow>, Unmappable> {
        map_consultation(row, context)
    }

    fn key(row: &ConsultationRow) -> (ObjectId, Timestamp) {
        (row.consultation.id.0, row.consultation.updated_at)
    }

    async fn write(
        run: &Run<'_>,
        unit: &mut dyn ImportUnit,
        rows: Vec<Candidate<ConsultationRow>>,
        outcome: &mut Outcome,
    ) -> Result<(), StoreError> {
        let mut rows = keep_whole_pairs(unit, rows, |row| row.consultation.pair, outcome).await?;
        settle_relations(unit, &mut rows, outcome).await?;
        record_updates(run, unit, &rows).await?;
        let older = settle_open(run, unit, &mut rows, outcome).await?;
        settle_dialogs(unit, &mut rows, outcome).await?;
        let rows = rows.into_iter().map(|row| row.entity.consultation);
        let (open, ended): (Vec<_>, Vec<_>) = rows.chain(older).partition(Consultation::is_open);
        // What ends goes first: at no moment may a pair have two open ones.
        unit.consulting().save_consultations(&ended).await?;
        unit.consulting().save_consultations(&open).await
    }
}

/// Gives each consultation the relation of its pair, making one where there is none.
async fn settle_relations(
    unit: &mut dyn ImportUnit,
    rows: &mut [Candidate<ConsultationRow>],
    outcome: &mut Outcome,
) -> Result<(), StoreError> {
    let pairs: BTreeSet<Pair> = rows.iter().map(|row| row.entity.consultation.pair).collect();
    let pairs: Vec<Pair> = pairs.into_iter().collect();
    let mut relations: BTreeMap<Pair, RelationId> = unit.consulting().relations_of(&pairs).await?.into_iter().collect();
    let exported = rows.iter().filter_map(|row| row.entity.relation).map(|id| id.0);
    let mut taken = existing(unit, ImportClass::Relation, exported).await?;
    let mut made = Vec::new();
    for row in rows {
        let ConsultationRow { consultation, relation: exported } = &mut row.entity;
        let exported = *exported;
        let known = relations.get(&consultation.pair).copied();
        let id = known.unwrap_or_else(|| {
            // The exported id is good unless another pair has it; then the consultation's own is free to use.
            let id = exported.filter(|id| !taken.contains(&id.0)).unwrap_or(RelationId(consultation.id.0));
            let mut relation = Relation::new(id, consultation.pair, consultation.created_at);
            relation.latest_consultation_id = Some(consultation.id);
            made.push(relation);
            taken.insert(id.0);
            relations.insert(consultation.pair, id);
            id
        });
        consultation.relation_id = id;
        if exported.is_some_and(|exported| exported != id) {
            let original = row.original("idRelation");
            row.entity.consultation.extra.insert("idRelation".into(), original);
            outcome.note(row, Note::field("idRelation", Problem::WrongRelation).about(&id));
        }
        if known.is_none() {
            outcome.note(row, Note::field("idRelation", Problem::RelationCreated).about(&id));
        }
    }
    unit.consulting().save_relations(&made).await
}

/// A consultation's last event always names the status it is in, so a newer state leaves one.
async fn record_updates(
    run: &Run<'_>,
    unit: &mut dyn ImportUnit,
    rows: &[Candidate<ConsultationRow>],
) -> Result<(), StoreError> {
    let updates = rows.iter().filter(|row| row.is_update).map(|row| &row.entity.consultation);
    let events: Vec<_> = updates.map(|consultation| event_of(run, IMPORTED, consultation, None)).collect();
    unit.consulting().append_events(&events).await
}

fn event_of(run: &Run<'_>, event: &str, now: &Consultation, from_status: Option<Status>) -> ConsultationEvent {
    ConsultationEvent {
        id: ConsultationEventId(run.ids.next()),
        consultation_id: now.id,
        event: event.into(),
        actor: Actor::System.label(),
        from_status,
        to_status: now.status,
        end_reason: now.end_reason,
        note: None,
        at: run.now,
    }
}

/// Ends all open consultations of a pair but the newest, among these rows and those in the store. Returns the ones of
/// the store that have to be written as well.
async fn settle_open(
    run: &Run<'_>,
    unit: &mut dyn ImportUnit,
    rows: &mut [Candidate<ConsultationRow>],
    outcome: &mut Outcome,
) -> Result<Vec<Consultation>, StoreError> {
    let open = rows.iter().map(|row| &row.entity.consultation).filter(|consultation| consultation.is_open());
    let pairs: BTreeSet<Pair> = open.map(|consultation| consultation.pair).collect();
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let pairs: Vec<Pair> = pairs.into_iter().collect();
    let written: BTreeSet<ConsultationId> = rows.iter().map(|row| row.entity.consultation.id).collect();
    let mut here = unit.consulting().open_consultations(&pairs).await?;
    here.retain(|consultation| !written.contains(&consultation.id));
    let all = rows.iter().map(|row| &row.entity.consultation).chain(&here);
    let all: Vec<&Consultation> = all.filter(|consultation| consultation.is_open()).collect();
    let started: BTreeMap<ConsultationId, Timestamp> = all.iter().map(|c| (c.id, c.started_at)).collect();
    let losers = superseded(&all);
    let places: BTreeMap<ConsultationId, Place> =
        rows.iter().map(|row| (row.entity.consultation.id, row.place.clone())).collect();
    here.retain(|consultation| losers.contains_key(&consultation.id));
    let mut events = Vec::new();
    let of_rows = rows.iter_mut().map(|row| &mut row.entity.consultation);
    for consultation in of_rows.chain(&mut here) {
        let Some(newer) = losers.get(&consultation.id) else { continue };
        // A row of the store has no place in the export: the newer one's is told.
        if let Some(place) = places.get(&consultation.id).or_else(|| places.get(newer)) {
            outcome.note_at(consultation.id.0, place, Note::row(Problem::Superseded).about(newer));
        }
        let began = started.get(newer).copied().unwrap_or(run.now);
        let from = consultation.status;
        end_for_newer(consultation, began);
        events.push(event_of(run, SUPERSEDED, consultation, Some(from)));
    }
    unit.consulting().append_events(&events).await?;
    Ok(here)
}

/// Ends a consultation when the newer one began.
fn end_for_newer(consultation: &mut Consultation, newer_began: Timestamp) {
    consultation.status = Status::Ended;
    consultation.end_reason = Some(EndReason::Superseded);
    consultation.ended_at = Some(newer_began.max(consultation.started_at));
    consultation.no_reply_deadline = None;
    consultation.idle_deadline = None;
}

/// Links dialogs to their consultations. An open consultation without one gets a new dialog: people must be able to
/// go on writing. Where the export names none, the dialog has the consultation's own id, so that it is found again.
/// A dialog that several consultations share belongs to the newest.
async fn settle_dialogs(
    unit: &mut dyn ImportUnit,
    rows: &mut [Candidate<ConsultationRow>],
    outcome: &mut Outcome,
) -> Result<(), StoreError> {
    let wanted = |consultation: &Consultation| consultation.dialog_id.unwrap_or(ConversationId(consultation.id.0));
    let dialogs: BTreeSet<ConversationId> = rows.iter().map(|row| wanted(&row.entity.consultation)).collect();
    let known = existing(unit, ImportClass::Conversation, dialogs.iter().map(|dialog| dialog.0)).await?;
    let mut known: BTreeSet<ConversationId> = known.into_iter().map(ConversationId).collect();
    let dialogs: Vec<ConversationId> = dialogs.into_iter().collect();
    let owners = unit.consulting().dialog_owners(&dialogs).await?;
    let mut owners: BTreeMap<ConversationId, DialogOwner> =
        owners.into_iter().map(|owner| (owner.dialog, owner)).collect();
    let mut conversations = Vec::new();
    let mut parties = Vec::new();
    for row in rows.iter_mut() {
        let consultation = &mut row.entity.consultation;
        let exported = consultation.dialog_id;
        let dialog = wanted(consultation);
        if !known.contains(&dialog) {
            if !consultation.is_open() {
                consultation.dialog_id = None;
                if let Some(missing) = exported {
                    let original = row.original("idDialog");
                    row.entity.consultation.extra.insert("idDialog".into(), original);
                    outcome.note(row, Note::field("idDialog", Problem::DanglingReference).about(&missing));
                }
                continue;
            }
            conversations.push(dialog_of(consultation, dialog, consultation.created_at));
            known.insert(dialog);
            outcome.note(row, Note::field("idDialog", Problem::DialogCreated).about(&dialog));
        }
        let consultation = &mut row.entity.consultation;
        consultation.dialog_id = Some(dialog);
        parties.extend(parties_of(consultation, dialog, consultation.created_at));
        let claim = DialogOwner { dialog, consultation: consultation.id, started_at: consultation.started_at };
        let owner = owners.entry(dialog).or_insert(claim);
        if (claim.started_at, claim.consultation) > (owner.started_at, owner.consultation) {
            *owner = claim;
        }
    }
    unit.consulting().save_conversations(&conversations, &[]).await?;
    let added = unit.consulting().add_members(&parties).await?;
    let made: BTreeSet<ConversationId> = conversations.iter().map(|conversation| conversation.id).collect();
    let completed = added.into_iter().map(|member| member.conversation_id).filter(|dialog| !made.contains(dialog));
    let completed: BTreeSet<ConversationId> = completed.collect();
    for row in rows.iter() {
        let Some(dialog) = row.entity.consultation.dialog_id else { continue };
        if completed.contains(&dialog) {
            outcome.note(row, Note::field("idDialog", Problem::DialogCompleted).about(&dialog));
        }
        if let Some(owner) = owners.get(&dialog).filter(|owner| owner.consultation != row.entity.consultation.id) {
            outcome.note(row, Note::field("idDialog", Problem::DialogShared).about(&owner.consultation));
        }
    }
    let links: Vec<_> = owners.into_values().map(|owner| (owner.dialog, owner.consultation)).collect();
    unit.consulting().link_dialogs(&links).await
}
