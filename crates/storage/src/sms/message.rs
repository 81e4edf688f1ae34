//! Text messages as rows.

use ::sms::breaker::DeliveryCount;
use ::sms::message::{
    Attempt, MessageFilter, MessageRepository, MessageState, ProviderCount, SmsMessage, TemplateKind,
};
use ::sms::provider::ProviderName;
use async_trait::async_trait;
use domain::id::SmsMessageId;
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect, QueryTrait};

use super::attempt::small;
use crate::backend::store_error;
use crate::convert::{known, newest_first, parse, text};
use crate::store::SeaUnit;

/// Messages of one thread that are looked at: a code is asked for again a few times at most.
const MAX_THREAD: u64 = 20;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sms_message")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub idempotency_key: String,
    pub thread: String,
    pub kind: String,
    pub template: String,
    pub phone_hash: String,
    pub phone_masked: String,
    pub sealed_phone: Vec<u8>,
    pub sealed_params: Option<Vec<u8>>,
    pub origin: Option<String>,
    pub state: String,
    pub attempts: i32,
    pub created_at: i64,
    pub updated_at: i64,
    pub useful_until: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn row(m: &SmsMessage) -> ActiveModel {
    ActiveModel {
        id: Set(text(&m.id)),
        idempotency_key: Set(m.idempotency_key.clone()),
        thread: Set(m.thread.clone()),
        kind: Set(m.kind.as_str().to_owned()),
        template: Set(m.template.clone()),
        phone_hash: Set(m.phone_hash.clone()),
        phone_masked: Set(m.phone_masked.clone()),
        sealed_phone: Set(m.sealed_phone.clone()),
        sealed_params: Set(m.sealed_params.clone()),
        origin: Set(m.origin.clone()),
        state: Set(m.state.as_str().to_owned()),
        attempts: Set(small(m.attempts)),
        created_at: Set(m.created_at.as_millis()),
        updated_at: Set(m.updated_at.as_millis()),
        useful_until: Set(m.useful_until.as_millis()),
    }
}

fn message(row: Model) -> Result<SmsMessage, StoreError> {
    Ok(SmsMessage {
        id: parse("sms_message.id", &row.id)?,
        idempotency_key: row.idempotency_key,
        thread: row.thread,
        kind: known("sms_message.kind", TemplateKind::parse(&row.kind))?,
        template: row.template,
        phone_hash: row.phone_hash,
        phone_masked: row.phone_masked,
        sealed_phone: row.sealed_phone,
        sealed_params: row.sealed_params,
        origin: row.origin,
        state: known("sms_message.state", MessageState::parse(&row.state))?,
        attempts: known("sms_message.attempts", u32::try_from(row.attempts).ok())?,
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
        useful_until: Timestamp::from_millis(row.useful_until),
    })
}

#[async_trait]
impl MessageRepository for SeaUnit {
    async fn insert(&mut self, m: &SmsMessage) -> Result<(), StoreError> {
        Entity::insert(row(m)).exec_without_returning(&self.db()).await.map_err(store_error)?;
        Ok(())
    }

    async fn find(&mut self, id: SmsMessageId) -> Result<Option<SmsMessage>, StoreError> {
        Entity::find_by_id(text(&id)).one(&self.db()).await.map_err(store_error)?.map(message).transpose()
    }

    async fn find_locked(&mut self, id: SmsMessageId) -> Result<Option<SmsMessage>, StoreError> {
        let select = Entity::find_by_id(text(&id)).lock_exclusive();
        select.one(&self.db()).await.map_err(store_error)?.map(message).transpose()
    }

    async fn find_by_key(&mut self, idempotency_key: &str) -> Result<Option<SmsMessage>, StoreError> {
        let select = Entity::find().filter(Column::IdempotencyKey.eq(idempotency_key));
        select.one(&self.db()).await.map_err(store_error)?.map(message).transpose()
    }

    async fn thread(&mut self, thread: &str) -> Result<Vec<SmsMessage>, StoreError> {
        let select = Entity::find()
            .filter(Column::Thread.eq(thread))
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .limit(MAX_THREAD);
        select.all(&self.db()).await.map_err(store_error)?.into_iter().map(message).collect()
    }

    async fn update(&mut self, m: &SmsMessage) -> Result<(), StoreError> {
        let change = ActiveModel {
            state: Set(m.state.as_str().to_owned()),
            attempts: Set(small(m.attempts)),
            sealed_params: Set(m.sealed_params.clone()),
            updated_at: Set(m.updated_at.as_millis()),
            ..Default::default()
        };
        let update = Entity::update_many().set(change).filter(Column::Id.eq(text(&m.id)));
        let done = update.exec(&self.db()).await.map_err(store_error)?;
        if done.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn insert_attempt(&mut self, attempt: &Attempt) -> Result<(), StoreError> {
        self.write_attempt(attempt).await
    }

    async fn update_attempt(&mut self, attempt: &Attempt) -> Result<(), StoreError> {
        self.rewrite_attempt(attempt).await
    }

    async fn attempts(&mut self, message: SmsMessageId) -> Result<Vec<Attempt>, StoreError> {
        self.attempts_of(&text(&message)).await
    }

    async fn find_attempt(
        &mut self,
        provider: ProviderName,
        provider_id: &str,
        phone_hash: &str,
    ) -> Result<Option<Attempt>, StoreError> {
        self.attempt_by_provider_id(provider, provider_id, phone_hash).await
    }

    async fn provider_ids(
        &mut self,
        provider: ProviderName,
        phone_hash: &str,
        since: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        self.provider_ids_to(provider, phone_hash, since).await
    }

    async fn count_to(
        &mut self,
        phone_hash: &str,
        kind: Option<TemplateKind>,
        since: Timestamp,
    ) -> Result<u32, StoreError> {
        let mut select = Entity::find()
            .filter(Column::PhoneHash.eq(phone_hash))
            .filter(Column::CreatedAt.gte(since.as_millis()))
            .filter(Column::State.ne(MessageState::Rejected.as_str()));
        if let Some(kind) = kind {
            select = select.filter(Column::Kind.eq(kind.as_str()));
        }
        let count = select.count(&self.db()).await.map_err(store_error)?;
        Ok(u32::try_from(count).unwrap_or(u32::MAX))
    }

    async fn list(&mut self, filter: &MessageFilter, page: PageRequest) -> Result<Page<SmsMessage>, StoreError> {
        let mut select = Entity::find();
        if let Some(hash) = &filter.phone_hash {
            select = select.filter(Column::PhoneHash.eq(hash.as_str()));
        }
        if let Some(state) = filter.state {
            select = select.filter(Column::State.eq(state.as_str()));
        }
        if let Some(kind) = filter.kind {
            select = select.filter(Column::Kind.eq(kind.as_str()));
        }
        newest_first(QueryTrait::query(&mut select), "sms_message", "created_at", page);
        let rows = select.all(&self.db()).await.map_err(store_error)?;
        let messages = rows.into_iter().map(message).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(messages, page.limit, |m| Cursor { at: m.created_at, id: m.id.0 }))
    }

    async fn due_polls(&mut self, now: Timestamp, limit: u32) -> Result<Vec<Attempt>, StoreError> {
        self.attempts_to_poll(now, limit).await
    }

    async fn stuck(&mut self, before: Timestamp, limit: u32) -> Result<Vec<SmsMessageId>, StoreError> {
        let sql = "SELECT id FROM sms_message WHERE state IN ('queued', 'submitting') AND updated_at < $1 \
                   ORDER BY updated_at LIMIT $2";
        let rows = self.query(sql, [before.as_millis().into(), i64::from(limit).into()]).await?;
        let id = |row: &QueryResult| row.try_get::<String>("", "id").map_err(store_error);
        rows.iter().map(|row| parse("sms_message.id", &id(row)?)).collect()
    }

    async fn delivery_count(
        &mut self,
        provider: ProviderName,
        kind: TemplateKind,
        since: Timestamp,
        before: Timestamp,
        limit: u32,
    ) -> Result<DeliveryCount, StoreError> {
        self.count_deliveries(provider, kind, (since, before), limit).await
    }

    async fn provider_counts(&mut self, since: Timestamp) -> Result<Vec<ProviderCount>, StoreError> {
        self.count_by_provider(since).await
    }

    async fn forget_params(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let sql = "UPDATE sms_message SET sealed_params = NULL WHERE sealed_params IS NOT NULL AND useful_until <= $1";
        self.execute(sql, [now.as_millis().into()]).await
    }

    async fn purge(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let before = before.as_millis();
        let attempts = "DELETE FROM sms_attempt WHERE message_id IN (SELECT id FROM sms_message WHERE created_at < $1)";
        self.execute(attempts, [before.into()]).await?;
        self.execute("DELETE FROM sms_message WHERE created_at < $1", [before.into()]).await
    }
}
