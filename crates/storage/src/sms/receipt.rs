//! Receipts and replies as rows.

use ::sms::class::ErrorClass;
use ::sms::provider::ProviderName;
use ::sms::receipt::{Receipt, ReceiptFate, ReceiptRepository, Reply};
use async_trait::async_trait;
use domain::id::{SmsReceiptId, SmsReplyId};
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{FromQueryResult, QueryTrait};

use super::attempt::small;
use crate::backend::store_error;
use crate::bulk;
use crate::convert::{instant, known, millis, newest_first, parse, text};
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sms_receipt")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub provider: String,
    pub provider_id: String,
    pub out_id: Option<String>,
    pub phone_hash: String,
    pub class: String,
    pub code: String,
    pub segments: Option<i32>,
    pub reported_at: Option<i64>,
    pub received_at: i64,
    pub looked_at: i64,
    pub fate: Option<String>,
    pub settled_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn row(r: &Receipt) -> ActiveModel {
    ActiveModel {
        id: Set(text(&r.id)),
        provider: Set(r.provider.as_str().to_owned()),
        provider_id: Set(r.provider_id.clone()),
        out_id: Set(r.out_id.clone()),
        phone_hash: Set(r.phone_hash.clone()),
        class: Set(r.class.as_str().to_owned()),
        code: Set(r.code.clone()),
        segments: Set(r.segments.map(small)),
        reported_at: Set(millis(r.reported_at)),
        received_at: Set(r.received_at.as_millis()),
        looked_at: Set(0),
        fate: Set(None),
        settled_at: Set(None),
    }
}

fn receipt(row: Model) -> Result<Receipt, StoreError> {
    Ok(Receipt {
        id: parse("sms_receipt.id", &row.id)?,
        provider: known("sms_receipt.provider", ProviderName::parse(&row.provider))?,
        provider_id: row.provider_id,
        out_id: row.out_id,
        phone_hash: row.phone_hash,
        class: known("sms_receipt.class", ErrorClass::parse(&row.class))?,
        code: row.code,
        segments: row.segments.map(|n| known("sms_receipt.segments", u32::try_from(n).ok())).transpose()?,
        reported_at: instant(row.reported_at),
        received_at: Timestamp::from_millis(row.received_at),
    })
}

mod reply {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "sms_reply")]
    pub(crate) struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub provider: String,
        pub reference: String,
        pub phone_hash: String,
        pub phone_masked: String,
        pub sealed_phone: Vec<u8>,
        pub sealed_text: Vec<u8>,
        pub received_at: i64,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub(crate) enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

fn reply(row: reply::Model) -> Result<Reply, StoreError> {
    Ok(Reply {
        id: parse("sms_reply.id", &row.id)?,
        provider: known("sms_reply.provider", ProviderName::parse(&row.provider))?,
        reference: row.reference,
        phone_hash: row.phone_hash,
        phone_masked: row.phone_masked,
        sealed_phone: row.sealed_phone,
        sealed_text: row.sealed_text,
        received_at: Timestamp::from_millis(row.received_at),
    })
}

impl SeaUnit {
    /// Sets columns of the receipts named.
    async fn mark_receipts(&self, ids: &[SmsReceiptId], change: ActiveModel) -> Result<(), StoreError> {
        if ids.is_empty() {
            return Ok(());
        }
        let update = Entity::update_many().set(change).filter(Column::Id.is_in(ids.iter().map(text)));
        update.exec(&self.db()).await.map_err(store_error)?;
        Ok(())
    }
}

#[async_trait]
impl ReceiptRepository for SeaUnit {
    async fn keep(&mut self, receipts: &[Receipt]) -> Result<(), StoreError> {
        bulk::insert::<Entity>(self, receipts.iter().map(row), "ON CONFLICT DO NOTHING").await?;
        Ok(())
    }

    async fn take(&mut self, not_since: Timestamp, limit: u32) -> Result<Vec<Receipt>, StoreError> {
        let sql = format!(
            "SELECT id, provider, provider_id, out_id, phone_hash, class, code, segments, reported_at, received_at, \
             looked_at, fate, settled_at FROM sms_receipt WHERE fate IS NULL AND looked_at <= $1 \
             ORDER BY received_at, id LIMIT $2{}",
            self.backend.skip_locked()
        );
        let rows = self.query(&sql, [not_since.as_millis().into(), i64::from(limit).into()]).await?;
        let model = |row: &QueryResult| Model::from_query_result(row, "").map_err(store_error);
        rows.iter().map(|row| receipt(model(row)?)).collect()
    }

    async fn settle(&mut self, ids: &[SmsReceiptId], fate: ReceiptFate, now: Timestamp) -> Result<(), StoreError> {
        let change = ActiveModel {
            fate: Set(Some(fate.as_str().to_owned())),
            settled_at: Set(Some(now.as_millis())),
            ..Default::default()
        };
        self.mark_receipts(ids, change).await
    }

    async fn touch(&mut self, ids: &[SmsReceiptId], now: Timestamp) -> Result<(), StoreError> {
        self.mark_receipts(ids, ActiveModel { looked_at: Set(now.as_millis()), ..Default::default() }).await
    }

    async fn keep_replies(&mut self, replies: &[Reply]) -> Result<(), StoreError> {
        for r in replies {
            let sql = "INSERT INTO sms_reply (id, provider, reference, phone_hash, phone_masked, sealed_phone, \
                       sealed_text, received_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
            let values = [
                text(&r.id).into(),
                r.provider.as_str().into(),
                r.reference.as_str().into(),
                r.phone_hash.as_str().into(),
                r.phone_masked.as_str().into(),
                r.sealed_phone.clone().into(),
                r.sealed_text.clone().into(),
                r.received_at.as_millis().into(),
            ];
            self.execute(sql, values).await?;
        }
        Ok(())
    }

    async fn list_replies(&mut self, page: PageRequest) -> Result<Page<Reply>, StoreError> {
        let mut select = reply::Entity::find();
        newest_first(QueryTrait::query(&mut select), "sms_reply", "received_at", page);
        let rows = select.all(&self.db()).await.map_err(store_error)?;
        let replies = rows.into_iter().map(reply).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(replies, page.limit, |r| Cursor { at: r.received_at, id: r.id.0 }))
    }

    async fn find_reply(&mut self, id: SmsReplyId) -> Result<Option<Reply>, StoreError> {
        let select = reply::Entity::find_by_id(text(&id));
        select.one(&self.db()).await.map_err(store_error)?.map(reply).transpose()
    }

    async fn purge(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let sql = "DELETE FROM sms_receipt WHERE fate IS NOT NULL AND settled_at < $1";
        self.execute(sql, [before.as_millis().into()]).await
    }
}
