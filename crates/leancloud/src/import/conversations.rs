//! Writing conversations and their members.

use async_trait::async_trait;
use domain::{ObjectId, StoreError, Timestamp};
use im::{Conversation, Member, MemberKind};
use serde_json::{Map, Value};

use super::batch::{Candidate, ClassImport, Outcome, Run};
use super::references::existing;
use super::store::{ImportClass, ImportUnit};
use crate::mapping::{ConversationRow, MapContext, Mapped, Unmappable, map_conversation};

pub(super) enum Conversations {}

#[async_trait]
impl ClassImport for Conversations {
    type Row = ConversationRow;
    const CLASS: ImportClass = ImportClass::Conversation;

    fn map(row: &Map<String, Value>, _: &MapContext) -> Result<Mapped<ConversationRow>, Unmappable> {
        map_conversation(row)
    }

    fn key(row: &ConversationRow) -> (ObjectId, Timestamp) {
        (row.conversation.id.0, row.conversation.updated_at)
    }

    /// The client id of a patient or doctor is their own id; anybody else is another kind of member.
    async fn write(
        _: &Run<'_>,
        unit: &mut dyn ImportUnit,
        rows: Vec<Candidate<ConversationRow>>,
        _: &mut Outcome,
    ) -> Result<(), StoreError> {
        let ids = || rows.iter().flat_map(|row| &row.entity.client_ids).filter_map(|id| id.parse().ok());
        let patients = existing(unit, ImportClass::Patient, ids()).await?;
        let doctors = existing(unit, ImportClass::Doctor, ids()).await?;
        let kind_of = |client_id: &str| match client_id.parse() {
            Ok(id) if patients.contains(&id) => MemberKind::Patient,
            Ok(id) if doctors.contains(&id) => MemberKind::Doctor,
            _ => MemberKind::Other,
        };
        let mut conversations: Vec<Conversation> = Vec::with_capacity(rows.len());
        let mut members: Vec<Member> = Vec::new();
        for ConversationRow { conversation, client_ids } in rows.into_iter().map(|row| row.entity) {
            members.extend(client_ids.into_iter().map(|client_id| {
                let kind = kind_of(&client_id);
                Member::owned(conversation.id, client_id, kind, conversation.created_at)
            }));
            conversations.push(conversation);
        }
        unit.consulting().save_conversations(&conversations, &members).await
    }
}
