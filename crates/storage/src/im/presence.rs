//! Nodes, their leases, and the sockets they hold.

use std::time::Duration;

use ::im::conversation::ConversationRepository;
use ::im::presence::{Attention, Presence, PresenceRepository};
use async_trait::async_trait;
use domain::id::ConversationId;
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::QueryResult;
use sea_orm::entity::prelude::*;

use crate::backend::{Backend, store_error};
use crate::bulk;
use crate::convert::{instant, list, parse, text, text_opt};
use crate::store::SeaUnit;

#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "presence")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub node: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub socket: i64,
    #[sea_orm(primary_key, auto_increment = false)]
    pub client_id: String,
    pub viewing: Option<String>,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What the sockets of these nodes had in front is in front no more: whether somebody is to be told of the next message
/// there is decided anew.
async fn look_away(unit: &mut SeaUnit, nodes: &str, value: Value) -> Result<(), StoreError> {
    let sql = format!(
        "SELECT DISTINCT p.viewing AS id FROM presence p JOIN node n ON n.id = p.node \
         WHERE p.viewing IS NOT NULL AND {nodes} ORDER BY p.viewing"
    );
    let rows = unit.query(&sql, [value]).await?;
    let id = |row: &QueryResult| row.try_get::<String>("", "id").map_err(store_error);
    let left = rows.iter().map(|row| parse("presence.viewing", &id(row)?)).collect::<Result<Vec<_>, _>>()?;
    if left.is_empty() { Ok(()) } else { unit.reset_review(&left).await }
}

fn number(socket: u64) -> Result<i64, StoreError> {
    i64::try_from(socket).map_err(StoreError::backend)
}

#[async_trait]
impl PresenceRepository for SeaUnit {
    async fn renew(&mut self, node: &str, now: Timestamp, lease: Duration) -> Result<(), StoreError> {
        let until = (now + lease).as_millis();
        let sql = "INSERT INTO node (id, lease_until) VALUES ($1, $2) \
                   ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until";
        self.execute(sql, [node.into(), until.into()]).await?;
        let late: Value = now.as_millis().into();
        look_away(self, "n.lease_until < $1", late.clone()).await?;
        let sql = "DELETE FROM presence WHERE node IN (SELECT id FROM node WHERE lease_until < $1)";
        self.execute(sql, [late.clone()]).await?;
        self.execute("DELETE FROM node WHERE lease_until < $1", [late]).await?;
        Ok(())
    }

    async fn put(&mut self, sockets: &[Presence]) -> Result<(), StoreError> {
        let mut rows = Vec::with_capacity(sockets.len());
        for socket in sockets {
            rows.push(ActiveModel {
                node: Set(socket.node.clone()),
                socket: Set(number(socket.socket)?),
                client_id: Set(socket.client_id.clone()),
                viewing: Set(text_opt(socket.viewing.as_ref())),
            });
        }
        let tail = "ON CONFLICT (node, socket, client_id) DO UPDATE SET viewing = excluded.viewing";
        bulk::insert::<Entity>(self, rows, tail).await?;
        Ok(())
    }

    async fn remove(&mut self, node: &str, sockets: &[u64]) -> Result<(), StoreError> {
        let sockets = sockets.iter().map(|socket| number(*socket)).collect::<Result<Vec<_>, _>>()?;
        let delete = Entity::delete_many().filter(Column::Node.eq(node)).filter(Column::Socket.is_in(sockets));
        delete.exec(&self.db()).await.map_err(store_error)?;
        Ok(())
    }

    async fn remove_node(&mut self, node: &str) -> Result<(), StoreError> {
        look_away(self, "n.id = $1", node.into()).await?;
        self.execute("DELETE FROM presence WHERE node = $1", [node.into()]).await?;
        self.execute("DELETE FROM node WHERE id = $1", [node.into()]).await?;
        Ok(())
    }

    async fn is_viewing(
        &mut self,
        client_id: &str,
        conversation: ConversationId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let sql = "SELECT 1 AS found FROM presence p JOIN node n ON n.id = p.node \
                   WHERE p.client_id = $1 AND p.viewing = $2 AND n.lease_until >= $3 LIMIT 1";
        let values = [client_id.into(), text(&conversation).into(), now.as_millis().into()];
        Ok(!self.query(sql, values).await?.is_empty())
    }

    async fn attention(
        &mut self,
        seats: &[(ConversationId, String)],
        now: Timestamp,
    ) -> Result<Vec<Attention>, StoreError> {
        if seats.is_empty() {
            return Ok(Vec::new());
        }
        let given = match self.backend {
            Backend::Sqlite => {
                "SELECT key AS ord, value ->> 0 AS conversation_id, value ->> 1 AS client_id FROM json_each($1)"
            }
            Backend::Postgres => {
                "SELECT ord, value ->> 0 AS conversation_id, value ->> 1 AS client_id \
                 FROM jsonb_array_elements(CAST($1 AS jsonb)) WITH ORDINALITY AS t (value, ord)"
            }
        };
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM presence p JOIN node n ON n.id = p.node WHERE p.client_id = seat.client_id \
             AND p.viewing = seat.conversation_id AND n.lease_until >= $2) AS is_viewing, \
             (SELECT m.created_at FROM conversation_member cm JOIN message m \
             ON m.conversation_id = cm.conversation_id AND m.seq = cm.read_seq + 1 \
             WHERE cm.conversation_id = seat.conversation_id AND cm.client_id = seat.client_id) AS unread_since \
             FROM ({given}) AS seat ORDER BY seat.ord"
        );
        let seats = serde_json::to_string(seats).map_err(StoreError::backend)?;
        let rows = self.query(&sql, [seats.into(), now.as_millis().into()]).await?;
        let read = |row: &QueryResult| {
            let since: Option<i64> = row.try_get("", "unread_since").map_err(store_error)?;
            let is_viewing = row.try_get("", "is_viewing").map_err(store_error)?;
            Ok(Attention { is_viewing, unread_since: instant(since) })
        };
        rows.iter().map(read).collect()
    }

    async fn connected(&mut self, client_ids: &[String], now: Timestamp) -> Result<Vec<String>, StoreError> {
        let is_asked = self.backend.is_among("p.client_id", "$1");
        let sql = format!(
            "SELECT DISTINCT p.client_id AS client_id FROM presence p JOIN node n ON n.id = p.node \
             WHERE {is_asked} AND n.lease_until >= $2 ORDER BY p.client_id"
        );
        let rows = self.query(&sql, [list(client_ids), now.as_millis().into()]).await?;
        rows.iter().map(|row| row.try_get("", "client_id").map_err(store_error)).collect()
    }
}
