//! Users, and the identities by which they are found.

use ::account::password::StoredPassword;
use ::account::user::{AuthIdentity, User, UserRepository, identities};
use async_trait::async_trait;
use domain::id::UserId;
use domain::{Phone, StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;

use crate::backend::store_error;
use crate::convert::{instant, known, millis, parse, text};
use crate::seal::Seal;
use crate::store::SeaUnit;
use crate::values::tuples;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "account_user")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub username: String,
    pub email: Option<String>,
    pub phone: Option<String>,
    pub is_phone_verified: bool,
    pub is_email_verified: bool,
    pub password: Option<String>,
    #[sea_orm(column_type = "JsonBinary")]
    pub auth_data: Json,
    #[sea_orm(column_type = "JsonBinary", nullable)]
    pub acl: Option<Json>,
    #[sea_orm(column_type = "JsonBinary")]
    pub extra: Json,
    pub closed_at: Option<i64>,
    pub created_at: i64,
    pub updated_at: i64,
    pub version: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub(crate) fn row(seal: &Seal, user: &User) -> ActiveModel {
    ActiveModel {
        id: Set(text(&user.id)),
        username: Set(seal.name(&user.username)),
        email: Set(user.email.clone()),
        phone: Set(seal.phone_opt(user.phone.as_ref())),
        is_phone_verified: Set(user.is_phone_verified),
        is_email_verified: Set(user.is_email_verified),
        password: Set(user.password.as_ref().map(|p| p.as_stored().to_owned())),
        auth_data: Set(seal.auth_data(&user.auth_data)),
        acl: Set(user.acl.clone()),
        extra: Set(seal.extra(&user.extra)),
        closed_at: Set(millis(user.closed_at)),
        created_at: Set(user.created_at.as_millis()),
        updated_at: Set(user.updated_at.as_millis()),
        version: Set(user.version),
    }
}

fn user(seal: &Seal, row: Model) -> Result<User, StoreError> {
    let password = row.password.as_deref().map(StoredPassword::parse).transpose().ok();
    Ok(User {
        id: parse("account_user.id", &row.id)?,
        username: seal.open_name("account_user.username", row.username)?,
        email: row.email,
        phone: seal.open_phone_opt("account_user.phone", row.phone.as_deref())?,
        is_phone_verified: row.is_phone_verified,
        is_email_verified: row.is_email_verified,
        password: known("account_user.password", password)?,
        auth_data: seal.open_auth_data("account_user.auth_data", row.auth_data)?,
        acl: row.acl,
        extra: seal.open_extra("account_user.extra", row.extra)?,
        closed_at: instant(row.closed_at),
        created_at: Timestamp::from_millis(row.created_at),
        updated_at: Timestamp::from_millis(row.updated_at),
        version: row.version,
    })
}

impl SeaUnit {
    async fn find_user(&self, select: Select<Entity>) -> Result<Option<User>, StoreError> {
        let found = select.one(&self.db()).await.map_err(store_error)?;
        found.map(|row| user(&self.seal, row)).transpose()
    }

    async fn insert_identities(&self, user: &User) -> Result<(), StoreError> {
        let identities = identities(&user.auth_data);
        if identities.is_empty() {
            return Ok(());
        }
        let list = tuples(identities.len(), 3, 1);
        let values: Vec<Value> = { identities.into_iter() }
            .flat_map(|identity| [identity.provider.into(), identity.uid.into(), text(&user.id).into()])
            .collect();
        self.execute(&format!("INSERT INTO user_identity (provider, uid, user_id) VALUES {list}"), values).await?;
        Ok(())
    }
}

#[async_trait]
impl UserRepository for SeaUnit {
    async fn find(&mut self, id: UserId) -> Result<Option<User>, StoreError> {
        self.find_user(Entity::find_by_id(text(&id))).await
    }

    async fn find_by_phone(&mut self, phone: &Phone) -> Result<Option<User>, StoreError> {
        self.find_user(Entity::find().filter(Column::Phone.eq(self.seal.phone(phone)))).await
    }

    async fn find_by_username(&mut self, username: &str) -> Result<Option<User>, StoreError> {
        self.find_user(Entity::find().filter(Column::Username.eq(self.seal.name(username)))).await
    }

    async fn find_by_email(&mut self, email: &str) -> Result<Option<User>, StoreError> {
        self.find_user(Entity::find().filter(Column::Email.eq(email))).await
    }

    async fn find_by_identity(&mut self, identity: &AuthIdentity) -> Result<Option<User>, StoreError> {
        let sql = "SELECT user_id FROM user_identity WHERE provider = $1 AND uid = $2";
        let rows = self.query(sql, [identity.provider.as_str().into(), identity.uid.as_str().into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let id: String = row.try_get("", "user_id").map_err(store_error)?;
        self.find_user(Entity::find_by_id(id)).await
    }

    async fn insert(&mut self, user: &User) -> Result<(), StoreError> {
        Entity::insert(row(&self.seal, user)).exec_without_returning(&self.db()).await.map_err(store_error)?;
        self.insert_identities(user).await
    }

    async fn update(&mut self, user: &User) -> Result<(), StoreError> {
        let next = ActiveModel { version: Set(user.version + 1), ..row(&self.seal, user) };
        let update = Entity::update_many()
            .set(next)
            .filter(Column::Id.eq(text(&user.id)))
            .filter(Column::Version.eq(user.version));
        let done = update.exec(&self.db()).await.map_err(store_error)?;
        if done.rows_affected != 1 {
            return Err(StoreError::Conflict);
        }
        self.execute("DELETE FROM user_identity WHERE user_id = $1", [text(&user.id).into()]).await?;
        self.insert_identities(user).await
    }
}
