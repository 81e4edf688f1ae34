//! Notifications.

use std::collections::HashSet;

use ::consultation::notification::{
    AnswerSearch, AssistantSeat, Cause, Channel, Notification, NotificationFilter, NotificationRepository,
    NotificationState, Reason, Recipient,
};
use async_trait::async_trait;
use domain::id::{ConsultationId, NotificationId};
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QueryResult, QuerySelect, QueryTrait};

use super::{answers, reach};
use crate::backend::store_error;
use crate::bulk;
use crate::convert::{corrupt, known, list, newest_first, parse, parse_opt, text, text_opt};
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "notification")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub recipient_kind: String,
    pub recipient_id: String,
    pub consultation_id: Option<String>,
    pub cause: String,
    pub state: String,
    pub reason: String,
    pub channel: Option<String>,
    pub due_at: i64,
    pub created_at: i64,
    pub updated_at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Kind word and id of a recipient.
pub(super) fn recipient_columns(recipient: Recipient) -> (&'static str, String) {
    match recipient {
        Recipient::Doctor(id) => ("doctor", text(&id)),
        Recipient::Patient(id) => ("patient", text(&id)),
    }
}

pub(super) fn row(n: &Notification) -> ActiveModel {
    let (kind, id) = recipient_columns(n.recipient);
    ActiveModel {
        id: Set(text(&n.id)),
        recipient_kind: Set(kind.to_owned()),
        recipient_id: Set(id),
        consultation_id: Set(text_opt(n.consultation_id.as_ref())),
        cause: Set(n.cause.as_str().to_owned()),
        state: Set(n.state.as_str().to_owned()),
        reason: Set(n.reason.as_str().to_owned()),
        channel: Set(n.channel.map(|c| c.as_str().to_owned())),
        due_at: Set(n.due_at.as_millis()),
        created_at: Set(n.created_at.as_millis()),
        updated_at: Set(n.updated_at.as_millis()),
    }
}

fn notification(row: Model) -> Result<Notification, StoreError> {
    let recipient = match row.recipient_kind.as_str() {
        "doctor" => Recipient::Doctor(parse("notification.recipient_id", &row.recipient_id)?),
        "patient" => Recipient::Patient(parse("notification.recipient_id", &row.recipient_id)?),
        _ => return corrupt("notification.recipient_kind"),
    };
    Ok(Notification {
        id: parse("notification.id", &row.id)?,
        recipient,
        consultation_id: parse_opt("notification.consultation_id", row.consultation_id.as_deref())?,
        cause: known("notification.cause", Cause::parse(&row.cause))?,
        state: known("notification.state", NotificationState::parse(&row.state))?,
        reason: known("notification.reason", Reason::parse(&row.reason))?,
        channel: row.channel.map(|c| known("notification.channel", Channel::parse(&c))).transpose()?,
        due_at: Timestamp::from_millis(row.due_at),
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
    })
}

#[async_trait]
impl NotificationRepository for SeaUnit {
    async fn insert_all(&mut self, notifications: &[Notification]) -> Result<(), StoreError> {
        bulk::insert::<Entity>(self, notifications.iter().map(row), "").await?;
        Ok(())
    }

    async fn reachable_by_wechat(
        &mut self,
        recipients: &[Recipient],
        notification: Option<NotificationId>,
    ) -> Result<HashSet<Recipient>, StoreError> {
        reach::by_wechat(self, recipients, notification).await
    }

    async fn find_all(&mut self, ids: &[NotificationId]) -> Result<Vec<Notification>, StoreError> {
        self.rows_of::<Entity>(ids, "").await?.into_iter().map(notification).collect()
    }

    async fn settle(&mut self, notifications: &[Notification], from: &[NotificationState]) -> Result<u64, StoreError> {
        let columns = [Column::State, Column::Reason, Column::Channel, Column::DueAt, Column::UpdatedAt];
        let from: Vec<String> = from.iter().map(|state| format!("'{}'", state.as_str())).collect();
        let is_still = format!("notification.state IN ({})", from.join(", "));
        bulk::update::<Entity>(self, notifications.iter().map(row), &columns, &is_still).await
    }

    async fn cancel_queued(&mut self, consultation: ConsultationId, now: Timestamp) -> Result<u64, StoreError> {
        let sql = format!(
            "UPDATE notification SET state = 'cancelled', reason = $1, updated_at = $2 WHERE id IN \
             (SELECT id FROM notification WHERE consultation_id = $3 AND state = 'queued' AND cause <> $4 \
             ORDER BY id{})",
            self.backend.for_update()
        );
        let values = [
            Reason::ConsultationClosed.as_str().into(),
            now.as_millis().into(),
            text(&consultation).into(),
            Cause::Ended.as_str().into(),
        ];
        self.execute(&sql, values).await
    }

    async fn last_notified(
        &mut self,
        recipient: Recipient,
        consultation: ConsultationId,
        since: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let (kind, id) = recipient_columns(recipient);
        let select = Entity::find()
            .filter(Column::ConsultationId.eq(text(&consultation)))
            .filter(Column::RecipientKind.eq(kind))
            .filter(Column::RecipientId.eq(id))
            .filter(Column::State.is_in([NotificationState::Queued.as_str(), NotificationState::Sent.as_str()]))
            .filter(Column::UpdatedAt.gte(since.as_millis()))
            .order_by_desc(Column::UpdatedAt)
            .limit(1);
        let newest = select.one(&self.db()).await.map_err(store_error)?;
        Ok(newest.map(|n| Timestamp::from_millis(n.updated_at)))
    }

    async fn find_unanswered(
        &mut self,
        only: Option<ConsultationId>,
        told_after: Timestamp,
        told_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<ConsultationId>, StoreError> {
        let answered = |since: &str| {
            format!(
                "EXISTS (SELECT 1 FROM message a WHERE a.conversation_id = c.dialog_id AND a.sender = c.doctor_id \
                 AND a.acted_by IS NULL AND a.created_at >= {since})"
            )
        };
        let only_one = if only.is_some() { "AND n.consultation_id = $4" } else { "" };
        let sql = format!(
            "SELECT DISTINCT n.consultation_id AS id FROM notification n \
             JOIN consultation c ON c.id = n.consultation_id AND c.status <> '2' AND NOT c.is_invalid \
             WHERE n.state = 'sent' AND n.recipient_kind = 'doctor' AND n.cause IN ('initiated', 'patient_message') \
             AND n.updated_at >= $1 AND n.updated_at <= $2 {only_one} AND NOT {} \
             AND NOT EXISTS (SELECT 1 FROM conversation_member d JOIN conversation v ON v.id = d.conversation_id \
             WHERE d.conversation_id = c.dialog_id AND d.client_id = c.doctor_id \
             AND v.last_seq - d.read_seq - d.own_after_read - d.recalled_after_read <= 0) \
             AND NOT EXISTS (SELECT 1 FROM notification e WHERE e.consultation_id = n.consultation_id \
             AND e.cause = 'escalation' AND NOT {}) ORDER BY id LIMIT $3",
            answered("n.created_at"),
            answered("e.created_at"),
        );
        let mut values = vec![told_after.as_millis().into(), told_before.as_millis().into(), i64::from(limit).into()];
        values.extend(only.map(|id| text(&id).into()));
        let id = |row: &QueryResult| row.try_get::<String>("", "id").map_err(store_error);
        let rows = self.query(&sql, values).await?;
        rows.iter().map(|row| parse("notification.consultation_id", &id(row)?)).collect()
    }

    async fn find_unseen(
        &mut self,
        only: Option<NotificationId>,
        suppressed: (Timestamp, Timestamp),
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<NotificationId>, StoreError> {
        let only_one = if only.is_some() { "AND n.id = $5" } else { "" };
        let sql = format!(
            "SELECT n.id AS id FROM notification n \
             JOIN consultation c ON c.id = n.consultation_id \
             JOIN conversation v ON v.id = c.dialog_id \
             JOIN conversation_member m ON m.conversation_id = v.id AND m.client_id = n.recipient_id \
             WHERE n.state = 'suppressed' AND n.reason = 'ONLINE_VIEWING' AND n.updated_at >= $1 AND n.updated_at <= $2 \
             {only_one} AND v.last_seq - m.read_seq - m.own_after_read - m.recalled_after_read > 0 \
             AND NOT EXISTS (SELECT 1 FROM presence p JOIN node s ON s.id = p.node \
             WHERE p.client_id = n.recipient_id AND p.viewing = v.id AND s.lease_until >= $3) \
             AND NOT EXISTS (SELECT 1 FROM notification o WHERE o.consultation_id = n.consultation_id \
             AND o.recipient_kind = n.recipient_kind AND o.recipient_id = n.recipient_id AND o.id <> n.id \
             AND (o.created_at > n.created_at OR o.created_at = n.created_at AND o.id > n.id)) ORDER BY n.id LIMIT $4"
        );
        let (after, before) = suppressed;
        let mut values =
            vec![after.as_millis().into(), before.as_millis().into(), now.as_millis().into(), i64::from(limit).into()];
        values.extend(only.map(|id| text(&id).into()));
        let id = |row: &QueryResult| row.try_get::<String>("", "id").map_err(store_error);
        let rows = self.query(&sql, values).await?;
        rows.iter().map(|row| parse("notification.id", &id(row)?)).collect()
    }

    async fn find_unread_answers(
        &mut self,
        search: &AnswerSearch,
        limit: u32,
    ) -> Result<Vec<AssistantSeat>, StoreError> {
        answers::find_unread(self, search, limit).await
    }

    async fn assistant_conversations(&mut self, recipients: &[Recipient]) -> Result<Vec<AssistantSeat>, StoreError> {
        answers::conversations(self, recipients).await
    }

    async fn told_otherwise(
        &mut self,
        ids: &[NotificationId],
        since: Timestamp,
    ) -> Result<Vec<(NotificationId, Timestamp)>, StoreError> {
        let sql = format!(
            "SELECT notification.id AS id, MAX(other.updated_at) AS told_at FROM notification \
             JOIN notification AS other ON other.consultation_id = notification.consultation_id \
             AND other.recipient_kind = notification.recipient_kind \
             AND other.recipient_id = notification.recipient_id AND other.id <> notification.id \
             AND other.state IN ('queued', 'sent') AND other.updated_at >= $2 \
             WHERE {} GROUP BY notification.id",
            self.backend.is_among("notification.id", "$1")
        );
        let rows = self.query(&sql, [list(ids), since.as_millis().into()]).await?;
        let read = |row: &QueryResult| {
            let id: String = row.try_get("", "id").map_err(store_error)?;
            let told_at = Timestamp::from_millis(row.try_get("", "told_at").map_err(store_error)?);
            Ok((parse("notification.id", &id)?, told_at))
        };
        rows.iter().map(read).collect()
    }

    async fn list(&mut self, consultation: ConsultationId) -> Result<Vec<Notification>, StoreError> {
        let select = Entity::find()
            .filter(Column::ConsultationId.eq(text(&consultation)))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Id);
        select.all(&self.db()).await.map_err(store_error)?.into_iter().map(notification).collect()
    }

    async fn list_all(
        &mut self,
        filter: &NotificationFilter,
        page: PageRequest,
    ) -> Result<Page<Notification>, StoreError> {
        let mut select = Entity::find();
        if let Some(id) = filter.consultation {
            select = select.filter(Column::ConsultationId.eq(text(&id)));
        }
        if let Some(recipient) = filter.recipient {
            let (kind, id) = recipient_columns(recipient);
            select = select.filter(Column::RecipientKind.eq(kind)).filter(Column::RecipientId.eq(id));
        }
        if let Some(state) = filter.state {
            select = select.filter(Column::State.eq(state.as_str()));
        }
        newest_first(QueryTrait::query(&mut select), "notification", "created_at", page);
        let rows = select.all(&self.db()).await.map_err(store_error)?;
        let found = rows.into_iter().map(notification).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(found, page.limit, |n| Cursor { at: n.created_at, id: n.id.0 }))
    }
}
