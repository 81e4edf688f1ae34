//! Who a person is in which app.

use ::wechat::identity::Identity;
use ::wechat::ports::IdentityRepository;
use async_trait::async_trait;
use domain::id::UserId;
use domain::{StoreError, Timestamp};
use sea_orm::QueryResult;

use super::get;
use crate::convert::{instant, millis, parse, parse_opt, text, text_opt};
use crate::store::SeaUnit;

fn identity(row: &QueryResult) -> Result<Identity, StoreError> {
    let user: Option<String> = get(row, "user_id")?;
    Ok(Identity {
        app: get(row, "app")?,
        openid: get(row, "openid")?,
        user: parse_opt("wechat_identity.user_id", user.as_deref())?,
        unionid: get(row, "unionid")?,
        session_key: get(row, "session_sealed")?,
        visited_at: instant(get(row, "visited_at")?),
        is_following: get(row, "is_following")?,
        updated_at: Timestamp::from_millis(get(row, "updated_at")?),
    })
}

#[async_trait]
impl IdentityRepository for SeaUnit {
    async fn find(&mut self, app: &str, openid: &str) -> Result<Option<Identity>, StoreError> {
        let sql = "SELECT * FROM wechat_identity WHERE app = $1 AND openid = $2";
        self.query(sql, [app.into(), openid.into()]).await?.first().map(identity).transpose()
    }

    async fn find_of_user(&mut self, user: UserId) -> Result<Vec<Identity>, StoreError> {
        let sql = "SELECT * FROM wechat_identity WHERE user_id = $1 ORDER BY visited_at DESC, app, openid";
        self.query(sql, [text(&user).into()]).await?.iter().map(identity).collect()
    }

    async fn find_user_by_unionid(&mut self, unionid: &str) -> Result<Option<UserId>, StoreError> {
        let sql = "SELECT user_id FROM wechat_identity WHERE unionid = $1 AND user_id IS NOT NULL \
                   ORDER BY updated_at DESC LIMIT 1";
        let rows = self.query(sql, [unionid.into()]).await?;
        rows.first().map(|row| parse("wechat_identity.user_id", &get::<String>(row, "user_id")?)).transpose()
    }

    async fn link_unionid(&mut self, unionid: &str, user: UserId) -> Result<(), StoreError> {
        let sql = "UPDATE wechat_identity SET user_id = $1 WHERE unionid = $2 AND user_id IS NULL";
        self.execute(sql, [text(&user).into(), unionid.into()]).await?;
        Ok(())
    }

    async fn release(&mut self, user: UserId) -> Result<(), StoreError> {
        let sql = "UPDATE wechat_identity SET user_id = NULL, session_sealed = NULL WHERE user_id = $1";
        self.execute(sql, [text(&user).into()]).await?;
        Ok(())
    }

    async fn save(&mut self, identity: &Identity) -> Result<(), StoreError> {
        let sql = "INSERT INTO wechat_identity (app, openid, user_id, unionid, session_sealed, visited_at, \
                   is_following, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                   ON CONFLICT (app, openid) DO UPDATE SET user_id = excluded.user_id, unionid = excluded.unionid, \
                   session_sealed = excluded.session_sealed, visited_at = excluded.visited_at, \
                   is_following = excluded.is_following, updated_at = excluded.updated_at";
        let values = [
            identity.app.as_str().into(),
            identity.openid.as_str().into(),
            text_opt(identity.user.as_ref()).into(),
            identity.unionid.clone().into(),
            identity.session_key.clone().into(),
            millis(identity.visited_at).into(),
            identity.is_following.into(),
            identity.updated_at.as_millis().into(),
        ];
        self.execute(sql, values).await?;
        Ok(())
    }
}
