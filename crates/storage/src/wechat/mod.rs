//! The rows of WeChat: tokens, people, consents, messages, pushes, content checks, customer-service sessions.

mod check;
mod grant;
mod identity;
mod message;
mod push;
mod service;
mod template;
mod token;

use ::wechat::ports::{
    CheckRepository, GrantRepository, IdentityRepository, MessageRepository, PushRepository, ServiceRepository,
    TemplateRepository, WechatStore, WechatUnit,
};
use async_trait::async_trait;
use domain::audit::AuditRepository;
use domain::outbox::OutboxRepository;
use domain::{StoreError, Timestamp};
use sea_orm::{QueryResult, TryGetable};

use crate::backend::store_error;
use crate::store::{SeaStore, SeaUnit};

/// Reads a column.
fn get<T: TryGetable>(row: &QueryResult, column: &str) -> Result<T, StoreError> {
    row.try_get("", column).map_err(store_error)
}

/// Reads a count, which is never negative.
fn count(row: &QueryResult, column: &str) -> Result<u32, StoreError> {
    let value: i32 = get(row, column)?;
    Ok(u32::try_from(value).unwrap_or(0))
}

/// Writes a count.
fn column_of(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

#[async_trait]
impl WechatUnit for SeaUnit {
    fn grants(&mut self) -> &mut dyn GrantRepository {
        self
    }
    fn messages(&mut self) -> &mut dyn MessageRepository {
        self
    }
    fn templates(&mut self) -> &mut dyn TemplateRepository {
        self
    }
    fn identities(&mut self) -> &mut dyn IdentityRepository {
        self
    }
    fn pushes(&mut self) -> &mut dyn PushRepository {
        self
    }
    fn checks(&mut self) -> &mut dyn CheckRepository {
        self
    }
    fn service(&mut self) -> &mut dyn ServiceRepository {
        self
    }
    fn audit(&mut self) -> &mut dyn AuditRepository {
        self
    }
    fn outbox(&mut self) -> &mut dyn OutboxRepository {
        self
    }
    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.finish().await
    }
}

#[async_trait]
impl WechatStore for SeaStore {
    async fn begin(&self) -> Result<Box<dyn WechatUnit>, StoreError> {
        Ok(Box::new(self.unit().await?))
    }

    fn read(&self) -> Box<dyn WechatUnit> {
        Box::new(self.reading())
    }

    async fn try_lease(&self, name: &str, holder: &str, now: Timestamp, until: Timestamp) -> Result<bool, StoreError> {
        let unit = self.unit().await?;
        let sql = "INSERT INTO wechat_lease (name, holder, lease_until) VALUES ($1, $2, $3) \
                   ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, lease_until = excluded.lease_until \
                   WHERE wechat_lease.lease_until <= $4";
        let values = [name.into(), holder.into(), until.as_millis().into(), now.as_millis().into()];
        let is_taken = unit.execute(sql, values).await? == 1;
        unit.finish().await?;
        Ok(is_taken)
    }

    async fn end_lease(&self, name: &str, holder: &str) -> Result<(), StoreError> {
        let unit = self.unit().await?;
        unit.execute("DELETE FROM wechat_lease WHERE name = $1 AND holder = $2", [name.into(), holder.into()]).await?;
        unit.finish().await
    }
}
