//! A store in memory with the unique rules of the real one, and ways to make it fail.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use account::session::Session;
use account::user::{User, identities};
use async_trait::async_trait;
use consultation::Relation;
use consultation::consultation::{Consultation, ConsultationEvent, Pair};
use domain::doctor::Doctor;
use domain::file::{File, FilePlace};
use domain::id::{ConsultationId, ConversationId, FileId, RelationId, UserId};
use domain::patient::Patient;
use domain::{ObjectId, StoreError, Timestamp};
use im::{Conversation, ConversationKind, Member, MemberKind, Message};

use super::super::store::{
    ConversationState, DialogOwner, DocumentRelation, ImportClass, ImportConsulting, ImportDocuments, ImportFiles,
    ImportHistory, ImportLedger, ImportPeople, ImportStore, ImportUnit, LoginKey, RowState, Verification,
};
use crate::rest::{ClassInfo, Document};

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Rows {
    pub(super) users: BTreeMap<ObjectId, User>,
    pub(super) sessions: Vec<Session>,
    pub(super) files: BTreeMap<ObjectId, File>,
    pub(super) doctors: BTreeMap<ObjectId, Doctor>,
    pub(super) patients: BTreeMap<ObjectId, Patient>,
    pub(super) relations: BTreeMap<ObjectId, Relation>,
    pub(super) conversations: BTreeMap<ObjectId, Conversation>,
    pub(super) members: Vec<Member>,
    pub(super) consultations: BTreeMap<ObjectId, Consultation>,
    pub(super) events: Vec<ConsultationEvent>,
    pub(super) messages: Vec<Message>,
    pub(super) documents: BTreeMap<(String, ObjectId), Document>,
    pub(super) document_relations: Vec<DocumentRelation>,
    pub(super) epochs: u32,
    origins: BTreeMap<String, ObjectId>,
    exported: BTreeMap<(String, ObjectId), Timestamp>,
}

#[derive(Default)]
struct Faults {
    conflicts: u32,
    refused: Option<ObjectId>,
    commits: u32,
    is_down_after: Option<u32>,
}

#[derive(Clone, Default)]
pub(super) struct MemoryImport {
    rows: Arc<Mutex<Rows>>,
    faults: Arc<Mutex<Faults>>,
}

impl MemoryImport {
    pub(super) fn rows(&self) -> Rows {
        self.rows.lock().unwrap().clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Rows)) {
        change(&mut self.rows.lock().unwrap());
    }

    /// The next so many commits meet somebody else.
    pub(super) fn conflict(&self, times: u32) {
        self.faults.lock().unwrap().conflicts = times;
    }

    /// No transaction with this patient is accepted.
    pub(super) fn refuse(&self, id: ObjectId) {
        self.faults.lock().unwrap().refused = Some(id);
    }

    /// The store is gone after so many more commits; `None` brings it back.
    pub(super) fn go_down_after(&self, commits: Option<u32>) {
        let mut faults = self.faults.lock().unwrap();
        faults.is_down_after = commits.map(|more| faults.commits + more);
    }

    pub(super) fn commits(&self) -> u32 {
        self.faults.lock().unwrap().commits
    }
}

fn down() -> StoreError {
    StoreError::backend(std::io::Error::other("down"))
}

#[async_trait]
impl ImportStore for MemoryImport {
    async fn begin(&self) -> Result<Box<dyn ImportUnit>, StoreError> {
        let faults = self.faults.lock().unwrap();
        if faults.is_down_after.is_some_and(|last| faults.commits >= last) {
            return Err(down());
        }
        Ok(Box::new(Unit { rows: self.rows(), store: self.clone() }))
    }

    async fn verify(&self) -> Result<Verification, StoreError> {
        Ok(Verification { messages: i64::try_from(self.rows().messages.len()).unwrap(), ..Verification::default() })
    }
}

struct Unit {
    rows: Rows,
    store: MemoryImport,
}

#[async_trait]
impl ImportUnit for Unit {
    fn ledger(&mut self) -> &mut dyn ImportLedger {
        self
    }

    fn people(&mut self) -> &mut dyn ImportPeople {
        self
    }

    fn consulting(&mut self) -> &mut dyn ImportConsulting {
        self
    }

    fn files(&mut self) -> &mut dyn ImportFiles {
        self
    }

    fn documents(&mut self) -> &mut dyn ImportDocuments {
        self
    }

    fn history(&mut self) -> &mut dyn ImportHistory {
        self
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let mut faults = self.store.faults.lock().unwrap();
        if faults.conflicts > 0 {
            faults.conflicts -= 1;
            return Err(StoreError::Conflict);
        }
        faults.commits += 1;
        *self.store.rows.lock().unwrap() = self.rows;
        Ok(())
    }
}

impl Unit {
    fn note_origins(&mut self, files: &[File]) {
        for file in files {
            if let FilePlace::External { url } = &file.place {
                self.rows.origins.entry(url.clone()).or_insert(file.id.0);
            }
        }
    }

    /// Id and time of the last change.
    fn state(&self, class: ImportClass, id: ObjectId) -> Option<(ObjectId, Option<Timestamp>)> {
        let rows = &self.rows;
        match class {
            ImportClass::User => rows.users.get(&id).map(|row| (id, Some(row.updated_at))),
            ImportClass::File => rows.files.get(&id).map(|_| (id, None)),
            ImportClass::Doctor => rows.doctors.get(&id).map(|row| (id, Some(row.updated_at))),
            ImportClass::Patient => rows.patients.get(&id).map(|row| (id, Some(row.updated_at))),
            ImportClass::Relation => rows.relations.get(&id).map(|row| (id, Some(row.updated_at))),
            ImportClass::Conversation => rows.conversations.get(&id).map(|row| (id, Some(row.updated_at))),
            ImportClass::Consultation => rows.consultations.get(&id).map(|row| (id, Some(row.updated_at))),
        }
    }
}

#[async_trait]
impl ImportLedger for Unit {
    async fn states(&mut self, class: ImportClass, ids: &[ObjectId]) -> Result<Vec<RowState>, StoreError> {
        let state = |id: &ObjectId| {
            let exported_at = self.rows.exported.get(&(class.name().to_owned(), *id)).copied();
            self.state(class, *id).map(|(id, updated_at)| RowState { id, updated_at, exported_at })
        };
        Ok(ids.iter().filter_map(state).collect())
    }

    async fn existing(&mut self, class: ImportClass, ids: &[ObjectId]) -> Result<Vec<ObjectId>, StoreError> {
        Ok(ids.iter().copied().filter(|id| self.state(class, *id).is_some()).collect())
    }

    async fn remember(&mut self, class: &str, rows: &[(ObjectId, Timestamp)]) -> Result<(), StoreError> {
        self.rows.exported.extend(rows.iter().map(|(id, at)| ((class.to_owned(), *id), *at)));
        Ok(())
    }
}

fn keys(user: &User) -> Vec<LoginKey> {
    let mut keys = vec![LoginKey::Username(user.username.clone())];
    keys.extend(user.email.clone().map(LoginKey::Email));
    keys.extend(user.phone.clone().map(LoginKey::Phone));
    keys.extend(identities(&user.auth_data).into_iter().map(LoginKey::Identity));
    keys
}

#[async_trait]
impl ImportPeople for Unit {
    async fn login_owners(&mut self, wanted: &[LoginKey]) -> Result<Vec<(LoginKey, UserId)>, StoreError> {
        let owned = self.rows.users.values().flat_map(|user| keys(user).into_iter().map(|key| (key, user.id)));
        Ok(owned.filter(|(key, _)| wanted.contains(key)).collect())
    }

    async fn save_users(&mut self, users: &[User]) -> Result<(), StoreError> {
        self.rows.users.extend(users.iter().map(|user| (user.id.0, user.clone())));
        let all: Vec<LoginKey> = self.rows.users.values().flat_map(keys).collect();
        let distinct: std::collections::BTreeSet<&LoginKey> = all.iter().collect();
        if distinct.len() == all.len() { Ok(()) } else { Err(StoreError::Unique("user".into())) }
    }

    async fn add_sessions(&mut self, sessions: &[Session]) -> Result<(), StoreError> {
        for session in sessions {
            if !self.rows.sessions.iter().any(|known| known.token_hash == session.token_hash) {
                self.rows.sessions.push(session.clone());
            }
        }
        Ok(())
    }

    async fn save_files(&mut self, files: &[File]) -> Result<(), StoreError> {
        self.note_origins(files);
        for file in files {
            let mut next = file.clone();
            if let Some(known) = self.rows.files.get(&file.id.0) {
                (next.place, next.size, next.sha256) = (known.place.clone(), known.size, known.sha256.clone());
            }
            self.rows.files.insert(file.id.0, next);
        }
        Ok(())
    }

    async fn add_files(&mut self, files: &[File]) -> Result<(), StoreError> {
        self.note_origins(files);
        for file in files {
            self.rows.files.entry(file.id.0).or_insert_with(|| file.clone());
        }
        Ok(())
    }

    async fn save_doctors(&mut self, doctors: &[Doctor]) -> Result<(), StoreError> {
        self.rows.doctors.extend(doctors.iter().map(|doctor| (doctor.id.0, doctor.clone())));
        Ok(())
    }

    async fn save_patients(&mut self, patients: &[Patient]) -> Result<(), StoreError> {
        let refused = self.store.faults.lock().unwrap().refused;
        if patients.iter().any(|patient| Some(patient.id.0) == refused) {
            return Err(down());
        }
        self.rows.patients.extend(patients.iter().map(|patient| (patient.id.0, patient.clone())));
        Ok(())
    }

    async fn profiles_of(
        &mut self,
        class: ImportClass,
        users: &[UserId],
    ) -> Result<Vec<(UserId, ObjectId)>, StoreError> {
        let of_doctors = self.rows.doctors.values().filter_map(|row| Some((row.user_id?, row.id.0)));
        let of_patients = self.rows.patients.values().filter_map(|row| Some((row.user_id?, row.id.0)));
        let all: Vec<_> = if class == ImportClass::Doctor { of_doctors.collect() } else { of_patients.collect() };
        Ok(all.into_iter().filter(|(user, _)| users.contains(user)).collect())
    }
}

#[async_trait]
impl ImportConsulting for Unit {
    async fn save_relations(&mut self, relations: &[Relation]) -> Result<(), StoreError> {
        for relation in relations {
            let mut others = self.rows.relations.values().filter(|other| other.id != relation.id);
            if others.any(|other| other.pair == relation.pair) {
                return Err(StoreError::Unique("relation_pair".into()));
            }
            self.rows.relations.insert(relation.id.0, relation.clone());
        }
        Ok(())
    }

    async fn relations_of(&mut self, pairs: &[Pair]) -> Result<Vec<(Pair, RelationId)>, StoreError> {
        let relations = self.rows.relations.values().filter(|relation| pairs.contains(&relation.pair));
        Ok(relations.map(|relation| (relation.pair, relation.id)).collect())
    }

    async fn save_conversations(
        &mut self,
        conversations: &[Conversation],
        members: &[Member],
    ) -> Result<(), StoreError> {
        for conversation in conversations {
            let mut next = conversation.clone();
            if let Some(known) = self.rows.conversations.get(&conversation.id.0) {
                next.kind = known.kind;
                next.consultation_id = known.consultation_id;
                next.last_seq = known.last_seq;
            }
            let is_dialog = next.kind == ConversationKind::Consultation;
            let stays = |m: &Member| {
                members.iter().any(|n| (n.conversation_id, &n.client_id) == (m.conversation_id, &m.client_id))
            };
            self.rows.members.retain(|member| {
                member.conversation_id != conversation.id
                    || is_dialog && member.kind != MemberKind::Other
                    || stays(member)
            });
            self.rows.conversations.insert(conversation.id.0, next);
        }
        self.add_members(members).await?;
        Ok(())
    }

    async fn add_members(&mut self, members: &[Member]) -> Result<Vec<Member>, StoreError> {
        let mut added = Vec::new();
        for member in members {
            let is_same = |m: &Member| (m.conversation_id, &m.client_id) == (member.conversation_id, &member.client_id);
            if !self.rows.members.iter().any(is_same) {
                let last = self.rows.conversations.get(&member.conversation_id.0).map_or(0, |c| c.last_seq);
                self.rows.members.push(Member { read_seq: last, delivered_seq: last, ..member.clone() });
                added.push(member.clone());
            }
        }
        Ok(added)
    }

    async fn dialog_owners(&mut self, dialogs: &[ConversationId]) -> Result<Vec<DialogOwner>, StoreError> {
        let owner = |dialog: &ConversationId| {
            let consultation = self.rows.conversations.get(&dialog.0)?.consultation_id?;
            let started_at = self.rows.consultations.get(&consultation.0)?.started_at;
            Some(DialogOwner { dialog: *dialog, consultation, started_at })
        };
        Ok(dialogs.iter().filter_map(owner).collect())
    }

    async fn link_dialogs(&mut self, links: &[(ConversationId, ConsultationId)]) -> Result<(), StoreError> {
        for (dialog, consultation) in links {
            let conversation = self.rows.conversations.get_mut(&dialog.0).unwrap();
            conversation.kind = ConversationKind::Consultation;
            conversation.consultation_id = Some(*consultation);
        }
        Ok(())
    }

    async fn open_consultations(&mut self, pairs: &[Pair]) -> Result<Vec<Consultation>, StoreError> {
        let open = self.rows.consultations.values().filter(|c| c.is_open() && pairs.contains(&c.pair));
        Ok(open.cloned().collect())
    }

    async fn save_consultations(&mut self, consultations: &[Consultation]) -> Result<(), StoreError> {
        for consultation in consultations {
            let mut others = self.rows.consultations.values().filter(|c| c.id != consultation.id && c.is_open());
            if consultation.is_open() && others.any(|other| other.pair == consultation.pair) {
                return Err(StoreError::Unique("consultation_open".into()));
            }
            self.rows.consultations.insert(consultation.id.0, consultation.clone());
        }
        Ok(())
    }

    async fn append_events(&mut self, events: &[ConsultationEvent]) -> Result<(), StoreError> {
        self.rows.events.extend_from_slice(events);
        Ok(())
    }
}

#[async_trait]
impl ImportFiles for Unit {
    async fn outside(&mut self, after: Option<FileId>, limit: u32) -> Result<Vec<File>, StoreError> {
        let is_next = |file: &&File| after.is_none_or(|after| file.id > after);
        let is_outside = |file: &&File| matches!(file.place, FilePlace::External { .. });
        let files = self.rows.files.values().filter(is_next).filter(is_outside);
        Ok(files.take(limit as usize).cloned().collect())
    }

    async fn brought_in(&mut self, files: &[File]) -> Result<(), StoreError> {
        self.rows.files.extend(files.iter().map(|file| (file.id.0, file.clone())));
        Ok(())
    }

    async fn at_addresses(&mut self, urls: &[String]) -> Result<Vec<(String, File)>, StoreError> {
        let file = |url: &String| Some((url.clone(), self.rows.files.get(self.rows.origins.get(url)?)?.clone()));
        Ok(urls.iter().filter_map(file).collect())
    }
}

#[async_trait]
impl ImportDocuments for Unit {
    async fn states(&mut self, class: &str, ids: &[ObjectId]) -> Result<Vec<RowState>, StoreError> {
        let state = |id: &ObjectId| {
            let key = (class.to_owned(), *id);
            let updated_at = Some(self.rows.documents.get(&key)?.updated_at);
            Some(RowState { id: *id, updated_at, exported_at: self.rows.exported.get(&key).copied() })
        };
        Ok(ids.iter().filter_map(state).collect())
    }

    async fn save(&mut self, class: &str, _: &ClassInfo, documents: &[Document]) -> Result<(), StoreError> {
        let keyed = documents.iter().map(|document| ((class.to_owned(), document.id), document.clone()));
        self.rows.documents.extend(keyed);
        let roles = self.rows.documents.values().filter(|document| document.class == "_Role");
        let names: Vec<_> = roles.filter_map(|role| role.fields.get("name")).collect();
        let distinct: std::collections::BTreeSet<_> = names.iter().map(ToString::to_string).collect();
        if distinct.len() == names.len() { Ok(()) } else { Err(StoreError::Unique("document_unique".into())) }
    }

    async fn existing(&mut self, class: &str, ids: &[ObjectId]) -> Result<Vec<ObjectId>, StoreError> {
        let product = ImportClass::ALL.into_iter().find(|known| known.name() == class);
        let is_here = |id: &&ObjectId| match product {
            Some(known) => self.state(known, **id).is_some(),
            None => self.rows.documents.contains_key(&(class.to_owned(), **id)),
        };
        Ok(ids.iter().filter(is_here).copied().collect())
    }

    async fn add_relations(&mut self, relations: &[DocumentRelation]) -> Result<u64, StoreError> {
        let mut added = 0;
        for relation in relations {
            if !self.rows.document_relations.contains(relation) {
                self.rows.document_relations.push(relation.clone());
                added += 1;
            }
        }
        Ok(added)
    }
}

#[async_trait]
impl ImportHistory for Unit {
    async fn conversations(&mut self, ids: &[ConversationId]) -> Result<Vec<ConversationState>, StoreError> {
        let state = |id: &ConversationId| {
            let row = self.rows.conversations.get(&id.0)?;
            let (last_seq, last_position, last_message_at) = (row.last_seq, row.last_position, row.last_message_at);
            Some(ConversationState { id: *id, last_seq, last_position, last_message_at })
        };
        Ok(ids.iter().filter_map(state).collect())
    }

    async fn messages_of(&mut self, ids: &[ConversationId]) -> Result<Vec<Message>, StoreError> {
        let mut found: Vec<Message> =
            self.rows.messages.iter().filter(|m| ids.contains(&m.conversation_id)).cloned().collect();
        found.sort_by_key(|message| (message.conversation_id, message.seq));
        Ok(found)
    }

    async fn members_of(&mut self, ids: &[ConversationId]) -> Result<Vec<Member>, StoreError> {
        Ok(self.rows.members.iter().filter(|m| ids.contains(&m.conversation_id)).cloned().collect())
    }

    async fn remove_imported(&mut self, ids: &[ConversationId]) -> Result<(), StoreError> {
        self.rows.messages.retain(|m| m.position > 0 || !ids.contains(&m.conversation_id));
        Ok(())
    }

    async fn shift(&mut self, by: &[(ConversationId, i64)]) -> Result<(), StoreError> {
        for (id, by) in by {
            let of = self.rows.messages.iter_mut().filter(|m| m.conversation_id == *id);
            of.for_each(|message| message.seq += by);
        }
        Ok(())
    }

    async fn insert(&mut self, messages: &mut [Message]) -> Result<(), StoreError> {
        let newest = self.rows.messages.iter().map(|m| m.position).filter(|p| *p < 0).max().unwrap_or(-1_000_000);
        for (message, position) in messages.iter_mut().zip(newest + 1..) {
            message.position = position;
            self.rows.messages.push(message.clone());
        }
        Ok(())
    }

    async fn rewrite(&mut self, messages: &[Message]) -> Result<(), StoreError> {
        for message in messages {
            let known = self.rows.messages.iter_mut().find(|known| known.position == message.position).unwrap();
            known.clone_from(message);
        }
        Ok(())
    }

    async fn save_ends(&mut self, ends: &[ConversationState]) -> Result<(), StoreError> {
        for end in ends {
            let row = self.rows.conversations.get_mut(&end.id.0).unwrap();
            (row.last_seq, row.last_position, row.last_message_at) =
                (end.last_seq, end.last_position, end.last_message_at);
        }
        Ok(())
    }

    async fn save_reads(&mut self, members: &[Member]) -> Result<(), StoreError> {
        for member in members {
            let is_it =
                |m: &&mut Member| (m.conversation_id, &m.client_id) == (member.conversation_id, &member.client_id);
            self.rows.members.iter_mut().find(is_it).unwrap().clone_from(member);
        }
        Ok(())
    }

    async fn mark_all_read(&mut self, ids: &[ConversationId]) -> Result<(), StoreError> {
        let Rows { members, conversations, .. } = &mut self.rows;
        for member in members.iter_mut().filter(|member| ids.contains(&member.conversation_id)) {
            let last = conversations[&member.conversation_id.0].last_seq;
            (member.read_seq, member.delivered_seq, member.own_after_read) = (last, last, 0);
        }
        Ok(())
    }

    async fn renew_epoch(&mut self, _: &str) -> Result<(), StoreError> {
        self.rows.epochs += 1;
        Ok(())
    }
}
