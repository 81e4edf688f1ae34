//! Answers kept ready.

use ::im::desk::canned::{CannedReply, CannedScope};
use ::im::desk::ports::CannedReplyRepository;
use async_trait::async_trait;
use domain::id::{AgentId, CannedReplyId};
use domain::{StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use super::{get, json, read};
use crate::convert::{known, list, parse, text};
use crate::store::SeaUnit;

fn reply(row: &QueryResult) -> Result<CannedReply, StoreError> {
    Ok(CannedReply {
        id: parse("canned_reply.id", &get::<String>(row, "id")?)?,
        scope: known("canned_reply.scope", CannedScope::parse(&get::<String>(row, "scope")?))?,
        owner: parse("canned_reply.owner", &get::<String>(row, "owner")?)?,
        group: get(row, "group_name")?,
        title: get(row, "title")?,
        shortcut: get(row, "shortcut")?,
        text: get(row, "text")?,
        files: read(row, "files")?,
        pinyin: get(row, "pinyin")?,
        initials: get(row, "initials")?,
        updated_at: Timestamp::from_millis(get(row, "updated_at")?),
        version: get(row, "version")?,
    })
}

#[async_trait]
impl CannedReplyRepository for SeaUnit {
    async fn find(&mut self, id: CannedReplyId) -> Result<Option<CannedReply>, StoreError> {
        let rows = self.query("SELECT * FROM canned_reply WHERE id = $1", [text(&id).into()]).await?;
        rows.first().map(reply).transpose()
    }

    async fn list(&mut self, agent: AgentId, groups: &[String]) -> Result<Vec<CannedReply>, StoreError> {
        let is_in_group = self.backend.is_among("group_name", "$2");
        let sql = format!(
            "SELECT * FROM canned_reply WHERE scope = 'all' OR (scope = 'personal' AND owner = $1) \
             OR (scope = 'group' AND {is_in_group}) ORDER BY title, id"
        );
        self.query(&sql, [text(&agent).into(), list(groups)]).await?.iter().map(reply).collect()
    }

    async fn insert(&mut self, reply: &CannedReply) -> Result<(), StoreError> {
        let sql = "INSERT INTO canned_reply (id, scope, owner, group_name, title, shortcut, text, files, pinyin, \
                   initials, updated_at, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)";
        let values: [Value; 12] = [
            text(&reply.id).into(),
            reply.scope.as_str().into(),
            text(&reply.owner).into(),
            reply.group.clone().into(),
            reply.title.clone().into(),
            reply.shortcut.clone().into(),
            reply.text.clone().into(),
            json(&reply.files)?.into(),
            reply.pinyin.clone().into(),
            reply.initials.clone().into(),
            reply.updated_at.as_millis().into(),
            reply.version.into(),
        ];
        self.execute(sql, values).await?;
        Ok(())
    }

    async fn update(&mut self, reply: &CannedReply) -> Result<(), StoreError> {
        let sql = "UPDATE canned_reply SET title = $3, shortcut = $4, text = $5, files = $6, pinyin = $7, \
                   initials = $8, updated_at = $9, version = version + 1 WHERE id = $1 AND version = $2";
        let values: [Value; 9] = [
            text(&reply.id).into(),
            reply.version.into(),
            reply.title.clone().into(),
            reply.shortcut.clone().into(),
            reply.text.clone().into(),
            json(&reply.files)?.into(),
            reply.pinyin.clone().into(),
            reply.initials.clone().into(),
            reply.updated_at.as_millis().into(),
        ];
        if self.execute(sql, values).await? == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn delete(&mut self, id: CannedReplyId) -> Result<(), StoreError> {
        self.execute("DELETE FROM canned_reply WHERE id = $1", [text(&id).into()]).await?;
        Ok(())
    }
}
