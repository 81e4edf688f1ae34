//! The message table.

use ::im::Message;
use domain::{StoreError, Timestamp};
use sea_orm::ActiveValue::Set;
use sea_orm::entity::prelude::*;
use serde::Serialize;

use crate::convert::{parse, text};

#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Serialize)]
#[sea_orm(table_name = "message")]
pub(crate) struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    pub conversation_id: String,
    pub seq: i64,
    pub sender: Option<String>,
    pub kind: String,
    #[sea_orm(column_type = "JsonBinary")]
    pub content: Json,
    pub created_at: i64,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub(crate) enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub(crate) fn row(message: Message) -> ActiveModel {
    ActiveModel {
        id: Set(text(&message.id)),
        conversation_id: Set(text(&message.conversation_id)),
        seq: Set(message.seq),
        sender: Set(message.sender),
        kind: Set(message.kind),
        content: Set(message.content),
        created_at: Set(message.created_at.as_millis()),
    }
}

pub(super) fn message(row: Model) -> Result<Message, StoreError> {
    Ok(Message {
        id: parse("message.id", &row.id)?,
        conversation_id: parse("message.conversation_id", &row.conversation_id)?,
        seq: row.seq,
        sender: row.sender,
        kind: row.kind,
        content: row.content,
        created_at: Timestamp::from_millis(row.created_at),
    })
}
