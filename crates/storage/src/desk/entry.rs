//! Notes and events.

use ::im::desk::entry::{DeskEntry, EntryKind};
use ::im::desk::ports::EntryRepository;
use async_trait::async_trait;
use domain::id::ConversationId;
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use super::{get, json, read};
use crate::convert::{known, parse, parse_opt, text, text_opt};
use crate::store::SeaUnit;

fn entry(row: &QueryResult) -> Result<DeskEntry, StoreError> {
    Ok(DeskEntry {
        id: parse("desk_entry.id", &get::<String>(row, "id")?)?,
        conversation_id: parse("desk_entry.conversation_id", &get::<String>(row, "conversation_id")?)?,
        kind: known("desk_entry.kind", EntryKind::parse(&get::<String>(row, "kind")?))?,
        agent: parse_opt("desk_entry.agent_id", get::<Option<String>>(row, "agent_id")?.as_deref())?,
        after_seq: get(row, "after_seq")?,
        text: get(row, "text")?,
        data: read(row, "data")?,
        at: Timestamp::from_millis(get(row, "at")?),
    })
}

#[async_trait]
impl EntryRepository for SeaUnit {
    async fn append_all(&mut self, entries: &[DeskEntry]) -> Result<(), StoreError> {
        let sql = "INSERT INTO desk_entry (id, conversation_id, kind, agent_id, after_seq, text, data, at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        for entry in entries {
            let values: [Value; 8] = [
                text(&entry.id).into(),
                text(&entry.conversation_id).into(),
                entry.kind.as_str().into(),
                text_opt(entry.agent.as_ref()).into(),
                entry.after_seq.into(),
                entry.text.clone().into(),
                json(&entry.data)?.into(),
                entry.at.as_millis().into(),
            ];
            self.execute(sql, values).await?;
        }
        Ok(())
    }

    async fn list(&mut self, id: ConversationId, page: PageRequest) -> Result<Page<DeskEntry>, StoreError> {
        let sql = "SELECT * FROM desk_entry WHERE conversation_id = $1 AND (at < $2 OR (at = $2 AND id < $3)) \
                   ORDER BY at DESC, id DESC LIMIT $4";
        let (at, before) = page.after.map_or((i64::MAX, String::new()), |c| (c.at.as_millis(), c.id.to_string()));
        let limit = i64::from(page.limit) + 1;
        let values: [Value; 4] = [text(&id).into(), at.into(), before.into(), limit.into()];
        let rows = self.query(sql, values).await?.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(rows, page.limit, |e| Cursor { at: e.at, id: e.id.0 }))
    }
}
