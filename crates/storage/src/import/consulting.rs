//! Relations, consultations and their dialogs.

use std::collections::HashMap;

use ::consultation::Consultation;
use ::consultation::Relation;
use ::consultation::consultation::{ConsultationEvent, ConsultationRepository as _, Pair};
use ::im::{Conversation, ConversationKind, Member, MemberKind};
use ::leancloud::import::store::{DialogOwner, ImportConsulting};
use async_trait::async_trait;
use domain::id::{ConsultationId, ConversationId, RelationId};
use domain::{StoreError, Timestamp};
use sea_orm::Value;

use super::{MAX_NAMED_PARAMETERS, Taken};
use crate::backend::store_error;
use crate::consulting::consultation::{self, IS_OPEN};
use crate::consulting::probe::{is_of_pair, pair_list};
use crate::consulting::{event, relation};
use crate::convert::{parse, text};
use crate::im::conversation;
use crate::store::SeaUnit;
use crate::values::tuples;

/// Members in one statement, of four parameters each.
const MEMBERS_AT_ONCE: usize = MAX_NAMED_PARAMETERS / 4;

#[async_trait]
impl ImportConsulting for SeaUnit {
    async fn save_relations(&mut self, relations: &[Relation]) -> Result<(), StoreError> {
        let rows = relations.iter().map(relation::row).collect();
        self.put::<relation::Entity>(rows, Taken::Replace { except: &[] }).await
    }

    async fn relations_of(&mut self, pairs: &[Pair]) -> Result<Vec<(Pair, RelationId)>, StoreError> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        let sql = format!("SELECT doctor_id, patient_id, id FROM relation WHERE {}", is_of_pair(self.backend));
        let mut found = Vec::with_capacity(pairs.len());
        for row in self.query(&sql, [pair_list(pairs)]).await? {
            let column = |name: &str| row.try_get::<String>("", name).map_err(store_error);
            let pair = Pair {
                doctor: parse("relation.doctor_id", &column("doctor_id")?)?,
                patient: parse("relation.patient_id", &column("patient_id")?)?,
            };
            found.push((pair, parse("relation.id", &column("id")?)?));
        }
        Ok(found)
    }

    async fn save_conversations(
        &mut self,
        conversations: &[Conversation],
        members: &[Member],
    ) -> Result<(), StoreError> {
        let rows = conversations.iter().map(conversation::row).collect();
        let except = &["kind", "consultation_id", "last_seq", "last_position"];
        self.put::<conversation::Entity>(rows, Taken::Replace { except }).await?;
        for conversations in conversations.chunks(MAX_NAMED_PARAMETERS) {
            let list = tuples(1, conversations.len(), 3);
            let sql = format!(
                "DELETE FROM conversation_member WHERE (kind = $1 OR conversation_id NOT IN \
                 (SELECT id FROM conversation WHERE kind = $2)) AND conversation_id IN {list}"
            );
            let kinds = [MemberKind::Other.as_str(), ConversationKind::Consultation.as_str()].map(Value::from);
            let values = kinds.into_iter().chain(conversations.iter().map(|c| text(&c.id).into()));
            self.execute(&sql, values).await?;
        }
        self.add_members(members).await?;
        Ok(())
    }

    async fn add_members(&mut self, members: &[Member]) -> Result<Vec<Member>, StoreError> {
        let mut added = Vec::new();
        for members in members.chunks(MEMBERS_AT_ONCE) {
            let sql = format!(
                "INSERT INTO conversation_member (conversation_id, client_id, kind, joined_at) VALUES {} \
                 ON CONFLICT (conversation_id, client_id) DO NOTHING RETURNING conversation_id, client_id",
                tuples(members.len(), 4, 1)
            );
            let values = members.iter().flat_map(|member| -> [Value; 4] {
                [
                    text(&member.conversation_id).into(),
                    member.client_id.as_str().into(),
                    member.kind.as_str().into(),
                    member.joined_at.as_millis().into(),
                ]
            });
            let key = |member: &Member| (text(&member.conversation_id), member.client_id.clone());
            let mut wanted: HashMap<(String, String), &Member> = members.iter().map(|m| (key(m), m)).collect();
            for row in self.query(&sql, values).await? {
                let column = |name: &str| row.try_get::<String>("", name).map_err(store_error);
                added.extend(wanted.remove(&(column("conversation_id")?, column("client_id")?)).cloned());
            }
        }
        Ok(added)
    }

    async fn dialog_owners(&mut self, dialogs: &[ConversationId]) -> Result<Vec<DialogOwner>, StoreError> {
        let mut owners = Vec::new();
        for dialogs in dialogs.chunks(MAX_NAMED_PARAMETERS) {
            let sql = format!(
                "SELECT dialog.id AS dialog, owner.id AS owner, owner.started_at AS started_at FROM conversation dialog \
                 JOIN consultation owner ON owner.id = dialog.consultation_id WHERE dialog.id IN {}",
                tuples(1, dialogs.len(), 1)
            );
            for row in self.query(&sql, dialogs.iter().map(|dialog| text(dialog).into())).await? {
                let column = |name: &str| row.try_get::<String>("", name).map_err(store_error);
                owners.push(DialogOwner {
                    dialog: parse("conversation.id", &column("dialog")?)?,
                    consultation: parse("consultation.id", &column("owner")?)?,
                    started_at: Timestamp::from_millis(row.try_get("", "started_at").map_err(store_error)?),
                });
            }
        }
        Ok(owners)
    }

    async fn link_dialogs(&mut self, links: &[(ConversationId, ConsultationId)]) -> Result<(), StoreError> {
        for links in links.chunks(MAX_NAMED_PARAMETERS / 2) {
            let sql = format!(
                "WITH link AS (VALUES {}) UPDATE conversation SET kind = 'consultation', \
                 consultation_id = link.column2 FROM link WHERE conversation.id = link.column1",
                tuples(links.len(), 2, 1)
            );
            let values = links.iter().flat_map(|(dialog, owner)| [text(dialog).into(), text(owner).into()]);
            self.execute(&sql, values).await?;
        }
        Ok(())
    }

    async fn open_consultations(&mut self, pairs: &[Pair]) -> Result<Vec<Consultation>, StoreError> {
        if pairs.is_empty() {
            return Ok(Vec::new());
        }
        let (is_of_pair, lock) = (is_of_pair(self.backend), self.backend.for_update());
        let sql = format!("SELECT id FROM consultation WHERE {IS_OPEN} AND {is_of_pair} ORDER BY id{lock}");
        self.query(&sql, [pair_list(pairs)]).await?;
        self.find_open(pairs).await
    }

    async fn save_consultations(&mut self, consultations: &[Consultation]) -> Result<(), StoreError> {
        let rows = consultations.iter().map(consultation::row).collect();
        self.put::<consultation::Entity>(rows, Taken::Replace { except: &[] }).await
    }

    async fn append_events(&mut self, events: &[ConsultationEvent]) -> Result<(), StoreError> {
        event::append(self, events).await
    }
}
