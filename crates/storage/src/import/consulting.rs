//! Relations, consultations and their dialogs.

use std::collections::HashSet;

use ::consultation::Consultation;
use ::consultation::Relation;
use ::consultation::consultation::{ConsultationEvent, ConsultationRepository as _, Pair};
use ::im::{Conversation, ConversationKind, Member, MemberKind};
use ::leancloud::import::store::{DialogOwner, ImportConsulting};
use async_trait::async_trait;
use domain::id::{ConsultationId, ConversationId, RelationId};
use domain::{StoreError, Timestamp};
use sea_orm::QueryResult;
use serde_json::json;

use super::Taken;
use crate::backend::store_error;
use crate::consulting::consultation::{self, IS_OPEN};
use crate::consulting::probe::{is_of_pair, pair_list};
use crate::consulting::{event, relation};
use crate::convert::{list, parse, text};
use crate::im::conversation;
use crate::store::SeaUnit;

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
        let key = |member: &Member| (text(&member.conversation_id), member.client_id.clone());
        let pairs: Vec<(String, String)> = members.iter().map(key).collect();
        let sql = format!(
            "SELECT conversation_id, client_id FROM conversation_member WHERE (conversation_id, client_id) IN \
             (SELECT value ->> 0, value ->> 1 FROM {})",
            self.backend.each(1)
        );
        let mut known = HashSet::new();
        for row in self.query(&sql, [json!(pairs).to_string().into()]).await? {
            let column = |name: &str| row.try_get::<String>("", name).map_err(store_error);
            known.insert((column("conversation_id")?, column("client_id")?));
        }
        let added: Vec<Member> = members.iter().filter(|member| known.insert(key(member))).cloned().collect();
        let rows = added.iter().map(conversation::member_row).collect();
        self.put::<conversation::member::Entity>(rows, Taken::Keep).await?;
        has_read_all(self, &added).await?;
        Ok(added)
    }

    async fn dialog_owners(&mut self, dialogs: &[ConversationId]) -> Result<Vec<DialogOwner>, StoreError> {
        let sql = format!(
            "SELECT dialog.id AS dialog, owner.id AS owner, owner.started_at AS started_at FROM conversation dialog \
             JOIN consultation owner ON owner.id = dialog.consultation_id WHERE {}",
            self.backend.is_among("dialog.id", "$1")
        );
        let owner = |row: &QueryResult| {
            let column = |name: &str| row.try_get::<String>("", name).map_err(store_error);
            Ok(DialogOwner {
                dialog: parse("conversation.id", &column("dialog")?)?,
                consultation: parse("consultation.id", &column("owner")?)?,
                started_at: Timestamp::from_millis(row.try_get("", "started_at").map_err(store_error)?),
            })
        };
        self.query(&sql, [list(dialogs)]).await?.iter().map(owner).collect()
    }

    async fn link_dialogs(&mut self, links: &[(ConversationId, ConsultationId)]) -> Result<(), StoreError> {
        let pairs: Vec<[String; 2]> = links.iter().map(|(dialog, owner)| [text(dialog), text(owner)]).collect();
        let sql = format!(
            "UPDATE conversation SET kind = 'consultation', consultation_id = link.owner FROM \
             (SELECT value ->> 0 AS dialog, value ->> 1 AS owner FROM {}) AS link WHERE conversation.id = link.dialog",
            self.backend.each(1)
        );
        self.execute(&sql, [json!(pairs).to_string().into()]).await?;
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
