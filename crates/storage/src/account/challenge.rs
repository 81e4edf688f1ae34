//! Challenges for SMS codes.

use ::account::challenge::{Challenge, ChallengeRepository, Purpose};
use async_trait::async_trait;
use domain::id::ChallengeId;
use domain::{Phone, StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use sea_orm::{QueryOrder, QuerySelect};

use crate::backend::store_error;
use crate::convert::{instant, known, millis, parse, parse_opt, text, text_opt};
use crate::seal::Seal;
use crate::store::SeaUnit;

/// Open challenges of one number that are looked at: a number gets few codes within the life of one.
const MAX_OPEN: u64 = 10;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "sms_challenge")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub purpose: String,
    pub phone: String,
    pub code_hash: String,
    pub user_id: Option<String>,
    pub device: Option<String>,
    pub address: String,
    pub is_findable_by_phone: bool,
    pub tries_left: i32,
    pub created_at: i64,
    pub expires_at: i64,
    pub consumed_at: Option<i64>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

fn row(seal: &Seal, challenge: &Challenge) -> ActiveModel {
    ActiveModel {
        id: Set(text(&challenge.id)),
        purpose: Set(challenge.purpose.as_str().to_owned()),
        phone: Set(seal.phone(&challenge.phone)),
        code_hash: Set(challenge.code_hash.clone()),
        user_id: Set(text_opt(challenge.user.as_ref())),
        device: Set(challenge.device.clone()),
        address: Set(challenge.address.clone()),
        is_findable_by_phone: Set(challenge.is_findable_by_phone),
        tries_left: Set(i32::try_from(challenge.tries_left).unwrap_or(i32::MAX)),
        created_at: Set(challenge.created_at.as_millis()),
        expires_at: Set(challenge.expires_at.as_millis()),
        consumed_at: Set(millis(challenge.consumed_at)),
    }
}

fn challenge(seal: &Seal, row: Model) -> Result<Challenge, StoreError> {
    Ok(Challenge {
        id: parse("sms_challenge.id", &row.id)?,
        purpose: known("sms_challenge.purpose", Purpose::parse(&row.purpose))?,
        phone: seal.open_phone("sms_challenge.phone", &row.phone)?,
        code_hash: row.code_hash,
        user: parse_opt("sms_challenge.user_id", row.user_id.as_deref())?,
        device: row.device,
        address: row.address,
        is_findable_by_phone: row.is_findable_by_phone,
        tries_left: known("sms_challenge.tries_left", u32::try_from(row.tries_left).ok())?,
        created_at: Timestamp::from_millis(row.created_at),
        expires_at: Timestamp::from_millis(row.expires_at),
        consumed_at: instant(row.consumed_at),
    })
}

impl SeaUnit {
    async fn challenge_of(&self, select: Select<Entity>) -> Result<Option<Challenge>, StoreError> {
        let found = select.one(&self.db()).await.map_err(store_error)?;
        found.map(|row| challenge(&self.seal, row)).transpose()
    }
}

#[async_trait]
impl ChallengeRepository for SeaUnit {
    async fn insert(&mut self, challenge: &Challenge) -> Result<(), StoreError> {
        Entity::insert(row(&self.seal, challenge)).exec_without_returning(&self.db()).await.map_err(store_error)?;
        Ok(())
    }

    async fn find(&mut self, id: ChallengeId) -> Result<Option<Challenge>, StoreError> {
        self.challenge_of(Entity::find_by_id(text(&id))).await
    }

    async fn find_newest(&mut self, phone: &Phone, purpose: Purpose) -> Result<Option<Challenge>, StoreError> {
        let select = Entity::find()
            .filter(Column::Phone.eq(self.seal.phone(phone)))
            .filter(Column::Purpose.eq(purpose.as_str()))
            .filter(Column::IsFindableByPhone.eq(true))
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .limit(1);
        self.challenge_of(select).await
    }

    async fn find_newest_of_device(&mut self, device: &str, purpose: Purpose) -> Result<Option<Challenge>, StoreError> {
        let select = Entity::find()
            .filter(Column::Device.eq(device))
            .filter(Column::Purpose.eq(purpose.as_str()))
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .limit(1);
        self.challenge_of(select).await
    }

    async fn find_open(
        &mut self,
        phone: &Phone,
        purpose: Purpose,
        now: Timestamp,
    ) -> Result<Vec<Challenge>, StoreError> {
        let select = Entity::find()
            .filter(Column::Phone.eq(self.seal.phone(phone)))
            .filter(Column::Purpose.eq(purpose.as_str()))
            .filter(Column::ConsumedAt.is_null())
            .filter(Column::ExpiresAt.gt(now.as_millis()))
            .filter(Column::TriesLeft.gt(0))
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .limit(MAX_OPEN);
        let rows = select.all(&self.db()).await.map_err(store_error)?;
        rows.into_iter().map(|row| challenge(&self.seal, row)).collect()
    }

    async fn take_try(&mut self, id: ChallengeId, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE sms_challenge SET tries_left = tries_left - 1 \
                   WHERE id = $1 AND consumed_at IS NULL AND expires_at > $2 AND tries_left > 0";
        Ok(self.execute(sql, [text(&id).into(), now.as_millis().into()]).await? == 1)
    }

    async fn consume(&mut self, id: ChallengeId, now: Timestamp) -> Result<bool, StoreError> {
        let sql = "UPDATE sms_challenge SET consumed_at = $2 WHERE id = $1 AND consumed_at IS NULL";
        Ok(self.execute(sql, [text(&id).into(), now.as_millis().into()]).await? == 1)
    }

    async fn purge(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        self.execute("DELETE FROM sms_challenge WHERE expires_at < $1", [before.as_millis().into()]).await
    }
}
