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
use serde_json::json;

use super::{MAX_NAMED_PARAMETERS, Taken};
use crate::backend::store_error;
use crate::consulting::consultation::{self, IS_OPEN};
use crate::consulting::probe::{is_of_pair, pair_list};
use crate::consulting::{event, relation};
use crate::convert::{list, parse, text};
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
        // Members who stay keep what they have read.
        let given: Vec<[String; 2]> = members.iter().map(|m| [text(&m.conversation_id), m.client_id.clone()]).collect();
        let sql = format!(
            "DELETE FROM conversation_member WHERE (kind = $3 OR conversation_id NOT IN (SELECT id FROM conversation \
             WHERE kind = $4)) AND {} AND (conversation_id, client_id) NOT IN (SELECT value ->> 0, value ->> 1 FROM {})",
            self.backend.is_among("conversation_id", "$1"),
            self.backend.each(2)
        );
        let (other, dialog) = (MemberKind::Other.as_str(), ConversationKind::Consultation.as_str());
        let ids = list(conversations.iter().map(|conversation| conversation.id));
        self.execute(&sql, [ids, json!(given).to_string().into(), other.into(), dialog.into()]).await?;
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
        has_read_all(self, &added).await?;
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

/// Who is added to a conversation with messages has read what is there.
async fn has_read_all(unit: &SeaUnit, added: &[Member]) -> Result<(), StoreError> {
    let pairs: Vec<[String; 2]> = added.iter().map(|m| [text(&m.conversation_id), m.client_id.clone()]).collect();
    let ids = list(added.iter().map(|member| member.conversation_id));
    let is_among = unit.backend.is_among("id", "$1");
    let sql = format!("SELECT 1 AS found FROM conversation WHERE last_seq > 0 AND {is_among} LIMIT 1");
    if added.is_empty() || unit.query(&sql, [ids]).await?.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "UPDATE conversation_member SET read_seq = c.last_seq, delivered_seq = c.last_seq FROM conversation c \
         WHERE c.id = conversation_member.conversation_id AND (conversation_id, client_id) IN \
         (SELECT value ->> 0, value ->> 1 FROM {})",
        unit.backend.each(1)
    );
    unit.execute(&sql, [json!(pairs).to_string().into()]).await?;
    Ok(())
}
