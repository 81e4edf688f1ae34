//! The history of messages: arrays as the REST interface answers them, in any order, spread over any files.
//!
//! Messages of a conversation are numbered in the order of their times, so all of them must be together before any
//! is written. They are first spread over files by conversation ([`spool`]), each of which fits into memory, and then
//! merged with what is here ([`plan`]) conversation by conversation. Nothing is lost when it is broken off: running it
//! again finds what is here already by LeanCloud's own ids.

mod plan;
mod spool;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use domain::id::{ConversationId, FileId};
use domain::{StoreError, Timestamp};
use im::{Conversation, ConversationKind, Member, MemberKind, Message};
use serde_json::Map;

use super::addresses::Addresses;
use super::batch::{MAX_ATTEMPTS, Run, is_alive, problem_of};
use super::references::existing;
use super::store::{ConversationState, ImportClass, ImportUnit};
use super::{ImportError, ImportProgress};
use crate::export::{Export, ExportRow, MESSAGE_CLASS};
use crate::finding::{Note, Problem};
use crate::mapping::{MessageRow, map_message};
use crate::message::Written;
use crate::report::{ClassCounts, Finding, Place, ReportBuilder};

use self::plan::{Line, Plan};
use self::spool::{Spool, Spooled};

/// Messages and conversations that are written in one transaction, unless one conversation alone has more.
const MAX_MESSAGES: usize = 4_000;
const MAX_CONVERSATIONS: usize = 1_000;
/// Before LeanCloud's id in the sender's own name of a message.
const NAME_PREFIX: &str = "lc:";

/// Imports the history. `folder` holds the files in between; they are gone afterwards.
pub(super) async fn import(
    run: &Run<'_>,
    export: &Export,
    folder: PathBuf,
    report: &mut ReportBuilder<'_>,
    progress: &dyn ImportProgress,
) -> Result<(), ImportError> {
    let files = export.files_of(MESSAGE_CLASS);
    if files.is_empty() {
        return Ok(());
    }
    let class: Arc<str> = MESSAGE_CLASS.into();
    report.count(&class, ClassCounts::default());
    let bytes = export.bytes_of(MESSAGE_CLASS);
    let mut spool = Spool::create(&folder, bytes)?;
    let mut rows = export.rows(MESSAGE_CLASS);
    while let Some(rows) = rows.next().await? {
        for ExportRow { file, line, content, is_repaired } in rows {
            report.count(&class, ClassCounts { read: 1, ..ClassCounts::default() });
            let number = files.iter().position(|known| *known == file).unwrap_or_default();
            let place = Place { file, line: Some(line) };
            let mapped = content.map_err(|fault| Note::row(problem_of(fault))).and_then(|raw| map_message(&raw));
            match mapped {
                Ok((row, notes)) => {
                    let repaired = is_repaired.then_some(Note::row(Problem::RepairedText));
                    for note in repaired.into_iter().chain(notes) {
                        report.add(Finding::new(&class, None, &place, note, false))?;
                    }
                    spool.push(&Spooled { row, file: number, line })?;
                }
                Err(note) => {
                    report.count(&class, ClassCounts { skipped: 1, ..ClassCounts::default() });
                    report.add(Finding::new(&class, None, &place, note, true))?;
                }
            }
        }
        progress.advance(export.bytes_read());
    }
    let parts = spool.finish()?;
    let mut is_reordered = false;
    let (read, count) = (export.bytes_read(), parts.len().max(1) as u64);
    for (number, part) in parts.iter().enumerate() {
        for conversations in batches(part.read()?) {
            let done = store(run, &conversations, &files).await?;
            is_reordered |= done.must_renew_epoch;
            report.count(&class, done.counts);
            for (place, note, is_skipped) in done.findings {
                report.add(Finding::new(&class, None, &place, note, is_skipped))?;
            }
        }
        progress.advance(read + bytes * (number as u64 + 1) / count);
    }
    if is_reordered {
        // Clients hold numbers that have changed.
        let mut unit = run.store.begin().await?;
        unit.history().renew_epoch(&run.ids.next().to_string()).await?;
        unit.commit().await?;
    }
    Ok(())
}

/// The messages of one conversation, in their order, each once.
type OfConversation = (ConversationId, Vec<Spooled>);

/// Sorts the messages of a part and cuts them into batches of whole conversations.
fn batches(mut messages: Vec<Spooled>) -> Vec<Vec<OfConversation>> {
    messages.sort_by(|a, b| (a.row.conversation_id, a.row.place()).cmp(&(b.row.conversation_id, b.row.place())));
    let mut batches: Vec<Vec<OfConversation>> = Vec::new();
    let mut room = 0;
    let mut messages = messages.into_iter().peekable();
    while let Some(first) = messages.next() {
        let id = first.row.conversation_id;
        let mut of_conversation = vec![first];
        while let Some(next) = messages.next_if(|next| next.row.conversation_id == id) {
            of_conversation.push(next);
        }
        let count = of_conversation.len();
        let has_room = |batch: &&mut Vec<OfConversation>| room >= count && batch.len() < MAX_CONVERSATIONS;
        if let Some(batch) = batches.last_mut().filter(has_room) {
            batch.push((id, of_conversation));
            room -= count;
        } else {
            batches.push(vec![(id, of_conversation)]);
            room = MAX_MESSAGES.saturating_sub(count);
        }
    }
    batches
}

/// What came of a batch. Nothing of it counts until the transaction is committed.
#[derive(Default)]
struct Done {
    counts: ClassCounts,
    findings: Vec<(Place, Note, bool)>,
    must_renew_epoch: bool,
}

impl Done {
    fn absorb(&mut self, other: Self) {
        self.counts.inserted += other.counts.inserted;
        self.counts.updated += other.counts.updated;
        self.counts.unchanged += other.counts.unchanged;
        self.counts.skipped += other.counts.skipped;
        self.findings.extend(other.findings);
        self.must_renew_epoch |= other.must_renew_epoch;
    }
}

/// Writes a batch. Should the store refuse it, conversation by conversation, so that one costs only itself.
async fn store(run: &Run<'_>, batch: &[OfConversation], files: &[Arc<str>]) -> Result<Done, StoreError> {
    match attempt(run, batch, files).await {
        Err(error) if is_alive(run).await => {
            tracing::warn!(class = MESSAGE_CLASS, error = &error as &dyn std::error::Error, "batch refused");
            let mut total = Done::default();
            for one in batch {
                match attempt(run, std::slice::from_ref(one), files).await {
                    Ok(done) => total.absorb(done),
                    Err(_) if is_alive(run).await => {
                        total.counts.skipped += one.1.len() as u64;
                        let refused = |spooled: &Spooled| {
                            let note = Note::row(Problem::StoreRefused).about(&spooled.row.message_id);
                            (spooled.place(files), note, true)
                        };
                        total.findings.extend(one.1.iter().map(refused));
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(total)
        }
        done => done,
    }
}

async fn attempt(run: &Run<'_>, batch: &[OfConversation], files: &[Arc<str>]) -> Result<Done, StoreError> {
    let mut attempts = 1;
    loop {
        match write_once(run, batch, files).await {
            Err(StoreError::Conflict) if attempts < MAX_ATTEMPTS => attempts += 1,
            done => return done,
        }
    }
}

async fn write_once(run: &Run<'_>, batch: &[OfConversation], files: &[Arc<str>]) -> Result<Done, StoreError> {
    let mut done = Done::default();
    let mut unit = run.store.begin().await?;
    let mut states = known_conversations(unit.as_mut(), batch).await?;
    make_conversations(unit.as_mut(), batch, &mut states, files, &mut done).await?;
    let with_messages: Vec<ConversationId> = states.values().filter(|s| s.last_seq > 0).map(|s| s.id).collect();
    let (mut here, mut members): (BTreeMap<_, Vec<Message>>, BTreeMap<_, Vec<Member>>) = Default::default();
    if !with_messages.is_empty() {
        for message in unit.history().messages_of(&with_messages).await? {
            here.entry(message.conversation_id).or_default().push(message);
        }
        for member in unit.history().members_of(&with_messages).await? {
            members.entry(member.conversation_id).or_default().push(member);
        }
    }
    let lines = read_lines(run, unit.as_mut(), batch).await?;

    let mut plans = Vec::with_capacity(batch.len());
    for ((id, spooled), lines) in batch.iter().zip(lines) {
        let Some(state) = states.get(id).copied() else { continue };
        let plan = Plan::of(state, here.remove(id).unwrap_or_default(), lines, members.remove(id).unwrap_or_default());
        done.counts.inserted += plan.inserted;
        done.counts.updated += plan.updated;
        done.counts.unchanged += plan.unchanged;
        done.must_renew_epoch |= plan.is_rebuilt;
        if plan.is_rebuilt
            && let Some(first) = spooled.first()
        {
            done.findings.push((first.place(files), Note::row(Problem::HistoryReordered).about(id), false));
        }
        plans.push(plan);
    }
    write(unit.as_mut(), plans).await?;
    unit.commit().await?;
    Ok(done)
}

async fn known_conversations(
    unit: &mut dyn ImportUnit,
    batch: &[OfConversation],
) -> Result<BTreeMap<ConversationId, ConversationState>, StoreError> {
    let ids: Vec<ConversationId> = batch.iter().map(|(id, _)| *id).collect();
    let known = unit.history().conversations(&ids).await?;
    Ok(known.into_iter().map(|state| (state.id, state)).collect())
}

/// Makes the conversations of messages that have none, of everybody who wrote.
async fn make_conversations(
    unit: &mut dyn ImportUnit,
    batch: &[OfConversation],
    states: &mut BTreeMap<ConversationId, ConversationState>,
    files: &[Arc<str>],
    done: &mut Done,
) -> Result<(), StoreError> {
    let missing: Vec<&OfConversation> = batch.iter().filter(|(id, _)| !states.contains_key(id)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let senders = || missing.iter().flat_map(|(_, messages)| messages).filter_map(|m| m.row.sender.parse().ok());
    let patients = existing(unit, ImportClass::Patient, senders()).await?;
    let doctors = existing(unit, ImportClass::Doctor, senders()).await?;
    let kind_of = |client_id: &str| match client_id.parse() {
        Ok(id) if patients.contains(&id) => MemberKind::Patient,
        Ok(id) if doctors.contains(&id) => MemberKind::Doctor,
        _ => MemberKind::Other,
    };
    let (mut conversations, mut members) = (Vec::new(), Vec::new());
    for (id, messages) in missing {
        let Some(first) = messages.first() else { continue };
        let created_at = first.row.sent_at();
        let senders: BTreeSet<&str> = messages.iter().map(|m| m.row.sender.as_str()).collect();
        members.extend(senders.into_iter().map(|s| Member::owned(*id, s.to_owned(), kind_of(s), created_at)));
        conversations.push(Conversation {
            id: *id,
            kind: ConversationKind::Direct,
            consultation_id: None,
            name: None,
            creator: None,
            last_seq: 0,
            last_position: 0,
            last_message_at: None,
            attributes: Map::new(),
            extra: Map::new(),
            created_at,
            updated_at: created_at,
        });
        states.insert(*id, ConversationState { id: *id, last_seq: 0, last_position: 0, last_message_at: None });
        done.findings.push((first.place(files), Note::row(Problem::ConversationCreated).about(id), false));
    }
    unit.consulting().save_conversations(&conversations, &members).await
}

/// Translates the messages of each conversation; addresses of files that are here become own ones.
async fn read_lines(
    run: &Run<'_>,
    unit: &mut dyn ImportUnit,
    batch: &[OfConversation],
) -> Result<Vec<Vec<Line>>, StoreError> {
    let rows = || batch.iter().flat_map(|(_, messages)| messages).map(|spooled| &spooled.row);
    let shown: BTreeSet<FileId> = rows().filter_map(|row| written(row, &row.data).file()).collect();
    let shown = existing(unit, ImportClass::File, shown.into_iter().map(|file| file.0)).await?;
    let may_show = |file: FileId| shown.contains(&file.0);
    let texts = rows().filter(|row| !row.is_binary && row.data.contains("http")).map(|row| row.data.as_str());
    let addresses = Addresses::look_up(run, unit, Addresses::wanted(texts)).await?;
    let line = |spooled: &Spooled| {
        let row = &spooled.row;
        let rewritten = addresses.rewrite(&row.data);
        let (kind, content) = written(row, rewritten.as_deref().unwrap_or(&row.data)).read(may_show);
        let as_it_came = rewritten.map(|_| written(row, &row.data).read(may_show).1);
        let message = Message {
            position: 0,
            id: row.id(),
            conversation_id: row.conversation_id,
            seq: 0,
            sender: Some(row.sender.clone()),
            acted_by: None,
            client_message_id: Some(format!("{NAME_PREFIX}{}", row.message_id)),
            kind,
            content,
            corrects: None,
            recalled_at: row.is_recalled.then(|| row.edited_at.map_or(row.sent_at(), Timestamp::from_millis)),
            created_at: row.sent_at(),
        };
        Line { message, as_it_came, edited_at: row.edited_at }
    };
    Ok(batch.iter().map(|(_, messages)| messages.iter().map(line).collect()).collect())
}

fn written<'a>(row: &'a MessageRow, data: &'a str) -> Written<'a> {
    Written {
        data,
        is_binary: row.is_binary,
        wants_receipt: false,
        mentions: &row.mentions,
        mentions_all: row.mentions_all,
        edited_at: row.edited_at,
        from: None,
    }
}

async fn write(unit: &mut dyn ImportUnit, plans: Vec<Plan>) -> Result<(), StoreError> {
    let rebuilt: Vec<ConversationId> = plans.iter().filter(|plan| plan.is_rebuilt).map(|plan| plan.end.id).collect();
    if !rebuilt.is_empty() {
        unit.history().remove_imported(&rebuilt).await?;
        let by: Vec<_> = plans.iter().filter(|plan| plan.shift > 0).map(|plan| (plan.end.id, plan.shift)).collect();
        unit.history().shift(&by).await?;
    }
    let (mut messages, mut rewritten, mut ends, mut read, mut all_read) =
        <(Vec<_>, Vec<_>, Vec<_>, Vec<_>, Vec<_>)>::default();
    for plan in plans {
        rewritten.extend(plan.rewritten);
        let is_new = !plan.messages.is_empty();
        match plan.reads {
            Some(members) => read.extend(members),
            None if is_new => all_read.push(plan.end.id),
            None => {}
        }
        if is_new {
            messages.extend(plan.messages);
            ends.push(plan.end);
        }
    }
    unit.history().rewrite(&rewritten).await?;
    unit.history().insert(&mut messages).await?;
    let newest: BTreeMap<ConversationId, i64> = messages.iter().map(|m| (m.conversation_id, m.position)).collect();
    for end in &mut ends {
        // What happened here is newer than any history.
        if end.last_position <= 0 {
            end.last_position = newest.get(&end.id).copied().unwrap_or(end.last_position);
        }
    }
    unit.history().save_ends(&ends).await?;
    unit.history().mark_all_read(&all_read).await?;
    unit.history().save_reads(&read).await
}
