//! Attempts of text messages as rows.

use ::sms::breaker::{DeliveryCount, IN_TIME};
use ::sms::class::ErrorClass;
use ::sms::message::{Attempt, AttemptState, ProviderCount, TemplateKind};
use ::sms::provider::ProviderName;
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::ExprTrait;
use sea_orm::{QueryOrder, QueryResult, QuerySelect};

use crate::backend::store_error;
use crate::convert::{instant, known, millis, parse, text};
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sms_attempt")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub message_id: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub attempt: i32,
    pub provider: String,
    pub kind: String,
    pub phone_hash: String,
    pub state: String,
    pub class: Option<String>,
    pub code: Option<String>,
    pub provider_id: Option<String>,
    pub segments: i32,
    pub cost_milliyuan: i64,
    pub submitted_at: i64,
    pub answered_at: Option<i64>,
    pub receipt: Option<String>,
    pub receipt_code: Option<String>,
    pub reported_at: Option<i64>,
    pub receipt_at: Option<i64>,
    pub next_poll_at: Option<i64>,
    pub polls: i32,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub(super) fn small(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn row(a: &Attempt) -> ActiveModel {
    let class = |class: Option<ErrorClass>| class.map(|c| c.as_str().to_owned());
    ActiveModel {
        message_id: Set(text(&a.message_id)),
        attempt: Set(small(a.attempt)),
        provider: Set(a.provider.as_str().to_owned()),
        kind: Set(a.kind.as_str().to_owned()),
        phone_hash: Set(a.phone_hash.clone()),
        state: Set(a.state.as_str().to_owned()),
        class: Set(class(a.class)),
        code: Set(a.code.clone()),
        provider_id: Set(a.provider_id.clone()),
        segments: Set(small(a.segments)),
        cost_milliyuan: Set(a.cost_milliyuan),
        submitted_at: Set(a.submitted_at.as_millis()),
        answered_at: Set(millis(a.answered_at)),
        receipt: Set(class(a.receipt)),
        receipt_code: Set(a.receipt_code.clone()),
        reported_at: Set(millis(a.reported_at)),
        receipt_at: Set(millis(a.receipt_at)),
        next_poll_at: Set(millis(a.next_poll_at)),
        polls: Set(small(a.polls)),
    }
}

fn attempt(row: Model) -> Result<Attempt, StoreError> {
    let class = |column, word: Option<String>| word.map(|w| known(column, ErrorClass::parse(&w))).transpose();
    let number = |column, n: i32| known(column, u32::try_from(n).ok());
    Ok(Attempt {
        message_id: parse("sms_attempt.message_id", &row.message_id)?,
        attempt: number("sms_attempt.attempt", row.attempt)?,
        provider: known("sms_attempt.provider", ProviderName::parse(&row.provider))?,
        kind: known("sms_attempt.kind", TemplateKind::parse(&row.kind))?,
        phone_hash: row.phone_hash,
        state: known("sms_attempt.state", AttemptState::parse(&row.state))?,
        class: class("sms_attempt.class", row.class)?,
        code: row.code,
        provider_id: row.provider_id,
        segments: number("sms_attempt.segments", row.segments)?,
        cost_milliyuan: row.cost_milliyuan,
        submitted_at: Timestamp::from_millis(row.submitted_at),
        answered_at: instant(row.answered_at),
        receipt: class("sms_attempt.receipt", row.receipt)?,
        receipt_code: row.receipt_code,
        reported_at: instant(row.reported_at),
        receipt_at: instant(row.receipt_at),
        next_poll_at: instant(row.next_poll_at),
        polls: number("sms_attempt.polls", row.polls)?,
    })
}

impl SeaUnit {
    pub(super) async fn write_attempt(&self, a: &Attempt) -> Result<(), StoreError> {
        Entity::insert(row(a)).exec_without_returning(&self.db()).await.map_err(store_error)?;
        Ok(())
    }

    pub(super) async fn rewrite_attempt(&self, a: &Attempt) -> Result<(), StoreError> {
        let own = Column::MessageId.eq(text(&a.message_id)).and(Column::Attempt.eq(small(a.attempt)));
        let done = Entity::update_many().set(row(a)).filter(own).exec(&self.db()).await.map_err(store_error)?;
        if done.rows_affected == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    pub(super) async fn attempts_of(&self, message: &str) -> Result<Vec<Attempt>, StoreError> {
        let select = Entity::find().filter(Column::MessageId.eq(message)).order_by_asc(Column::Attempt);
        select.all(&self.db()).await.map_err(store_error)?.into_iter().map(attempt).collect()
    }

    pub(super) async fn attempt_by_provider_id(
        &self,
        provider: ProviderName,
        provider_id: &str,
        phone_hash: &str,
    ) -> Result<Option<Attempt>, StoreError> {
        let select = Entity::find()
            .filter(Column::Provider.eq(provider.as_str()))
            .filter(Column::ProviderId.eq(provider_id))
            .filter(Column::PhoneHash.eq(phone_hash))
            .order_by_desc(Column::SubmittedAt)
            .limit(1);
        select.one(&self.db()).await.map_err(store_error)?.map(attempt).transpose()
    }

    pub(super) async fn provider_ids_to(
        &self,
        provider: ProviderName,
        phone_hash: &str,
        since: Timestamp,
    ) -> Result<Vec<String>, StoreError> {
        let sql = "SELECT provider_id FROM sms_attempt WHERE phone_hash = $1 AND submitted_at >= $2 \
                   AND provider = $3 AND provider_id IS NOT NULL";
        let rows = self.query(sql, [phone_hash.into(), since.as_millis().into(), provider.as_str().into()]).await?;
        rows.iter().map(|row| row.try_get("", "provider_id").map_err(store_error)).collect()
    }

    pub(super) async fn attempts_to_poll(&self, now: Timestamp, limit: u32) -> Result<Vec<Attempt>, StoreError> {
        let select = Entity::find()
            .filter(Column::NextPollAt.lte(now.as_millis()))
            .order_by_asc(Column::NextPollAt)
            .limit(u64::from(limit));
        select.all(&self.db()).await.map_err(store_error)?.into_iter().map(attempt).collect()
    }

    pub(super) async fn count_deliveries(
        &self,
        provider: ProviderName,
        kind: TemplateKind,
        between: (Timestamp, Timestamp),
        limit: u32,
    ) -> Result<DeliveryCount, StoreError> {
        let concern_numbers = [ErrorClass::Recipient.as_str(), ErrorClass::UserLimit.as_str()];
        let select = Entity::find()
            .filter(Column::Provider.eq(provider.as_str()))
            .filter(Column::Kind.eq(kind.as_str()))
            .filter(Column::State.eq(AttemptState::Accepted.as_str()))
            .filter(Column::SubmittedAt.between(between.0.as_millis(), between.1.as_millis()))
            .filter(Column::Receipt.is_null().or(Column::Receipt.is_not_in(concern_numbers)))
            .order_by_desc(Column::SubmittedAt)
            .limit(u64::from(limit));
        let mut count = DeliveryCount::default();
        for row in select.all(&self.db()).await.map_err(store_error)? {
            let attempt = attempt(row)?;
            count.looked_at += 1;
            count.reported += u32::from(attempt.receipt.is_some());
            let arrived = attempt.reported_at.or(attempt.receipt_at);
            let is_in_time = arrived.is_some_and(|at| at.since(attempt.submitted_at) <= IN_TIME);
            count.in_time += u32::from(attempt.receipt == Some(ErrorClass::Delivered) && is_in_time);
        }
        Ok(count)
    }

    pub(super) async fn count_by_provider(&self, since: Timestamp) -> Result<Vec<ProviderCount>, StoreError> {
        let sql = "SELECT provider, kind, COUNT(*) AS submitted, \
                   COUNT(*) FILTER (WHERE state = 'accepted') AS accepted, \
                   COUNT(*) FILTER (WHERE state = 'refused') AS refused, \
                   COUNT(*) FILTER (WHERE state IN ('unknown', 'absent', 'submitting')) AS unknown, \
                   COUNT(*) FILTER (WHERE receipt = 'delivered') AS delivered, \
                   COUNT(*) FILTER (WHERE receipt <> 'delivered') AS failed, \
                   CAST(COALESCE(SUM(cost_milliyuan), 0) AS bigint) AS cost \
                   FROM sms_attempt WHERE submitted_at >= $1 GROUP BY provider, kind ORDER BY provider, kind";
        self.query(sql, [since.as_millis().into()]).await?.iter().map(provider_count).collect()
    }
}

fn provider_count(row: &QueryResult) -> Result<ProviderCount, StoreError> {
    let word = |column: &str| row.try_get::<String>("", column).map_err(store_error);
    let number = |column: &str| {
        let n: i64 = row.try_get("", column).map_err(store_error)?;
        Ok::<u32, StoreError>(u32::try_from(n).unwrap_or(u32::MAX))
    };
    Ok(ProviderCount {
        provider: known("sms_attempt.provider", ProviderName::parse(&word("provider")?))?,
        kind: known("sms_attempt.kind", TemplateKind::parse(&word("kind")?))?,
        submitted: number("submitted")?,
        accepted: number("accepted")?,
        refused: number("refused")?,
        unknown: number("unknown")?,
        delivered: number("delivered")?,
        failed: number("failed")?,
        cost_milliyuan: row.try_get("", "cost").map_err(store_error)?,
    })
}
