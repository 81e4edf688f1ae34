//! Episodes.

use ::im::MemberKind;
use ::im::desk::chat::CloseReason;
use ::im::desk::episode::Episode;
use ::im::desk::ports::EpisodeRepository;
use async_trait::async_trait;
use domain::id::{AgentId, ConversationId, EpisodeId};
use domain::{StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use super::get;
use crate::convert::{corrupt, instant, known, millis, parse, parse_opt, text, text_opt};
use crate::store::SeaUnit;

fn episode(row: &QueryResult) -> Result<Episode, StoreError> {
    Ok(Episode {
        id: parse("desk_episode.id", &get::<String>(row, "id")?)?,
        conversation_id: parse("desk_episode.conversation_id", &get::<String>(row, "conversation_id")?)?,
        customer_kind: known("desk_episode.customer_kind", MemberKind::parse(&get::<String>(row, "customer_kind")?))?,
        number: get(row, "number")?,
        opened_at: Timestamp::from_millis(get(row, "opened_at")?),
        assigned_at: instant(get(row, "assigned_at")?),
        first_reply_at: instant(get(row, "first_reply_at")?),
        closed_at: instant(get(row, "closed_at")?),
        close_reason: match get::<Option<String>>(row, "close_reason")? {
            Some(word) => Some(known("desk_episode.close_reason", CloseReason::parse(&word))?),
            None => None,
        },
        agent: parse_opt("desk_episode.agent_id", get::<Option<String>>(row, "agent_id")?.as_deref())?,
        reply_count: get(row, "reply_count")?,
        rating: match get::<Option<i64>>(row, "rating")? {
            Some(score) => Some(u8::try_from(score).or_else(|_| corrupt("desk_episode.rating"))?),
            None => None,
        },
        comment: get(row, "comment")?,
        rated_at: instant(get(row, "rated_at")?),
    })
}

#[async_trait]
impl EpisodeRepository for SeaUnit {
    async fn find(&mut self, id: EpisodeId) -> Result<Option<Episode>, StoreError> {
        let rows = self.query("SELECT * FROM desk_episode WHERE id = $1", [text(&id).into()]).await?;
        rows.first().map(episode).transpose()
    }

    async fn insert(&mut self, episode: &Episode) -> Result<(), StoreError> {
        let sql = "INSERT INTO desk_episode (id, conversation_id, customer_kind, number, opened_at, reply_count) \
                   VALUES ($1, $2, $3, $4, $5, 0)";
        let values: [Value; 5] = [
            text(&episode.id).into(),
            text(&episode.conversation_id).into(),
            episode.customer_kind.as_str().into(),
            episode.number.into(),
            episode.opened_at.as_millis().into(),
        ];
        self.execute(sql, values).await?;
        Ok(())
    }

    async fn update(&mut self, episode: &Episode) -> Result<(), StoreError> {
        let sql = "UPDATE desk_episode SET assigned_at = $2, first_reply_at = $3, closed_at = $4, close_reason = $5, \
                   agent_id = $6, reply_count = $7, rating = $8, comment = $9, rated_at = $10 WHERE id = $1";
        let values: [Value; 10] = [
            text(&episode.id).into(),
            millis(episode.assigned_at).into(),
            millis(episode.first_reply_at).into(),
            millis(episode.closed_at).into(),
            episode.close_reason.map(|reason| reason.as_str().to_owned()).into(),
            text_opt(episode.agent.as_ref()).into(),
            episode.reply_count.into(),
            episode.rating.map(i64::from).into(),
            episode.comment.clone().into(),
            millis(episode.rated_at).into(),
        ];
        if self.execute(sql, values).await? == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn list(&mut self, id: ConversationId, limit: u32) -> Result<Vec<Episode>, StoreError> {
        let sql = "SELECT * FROM desk_episode WHERE conversation_id = $1 ORDER BY number DESC LIMIT $2";
        self.query(sql, [text(&id).into(), i64::from(limit).into()]).await?.iter().map(episode).collect()
    }

    async fn list_opened(
        &mut self,
        from: Timestamp,
        to: Timestamp,
        agent: Option<AgentId>,
        limit: u32,
    ) -> Result<Vec<Episode>, StoreError> {
        let sql = "SELECT * FROM desk_episode WHERE opened_at >= $1 AND opened_at < $2 \
                   AND ($3 = '' OR agent_id = $3) ORDER BY opened_at, id LIMIT $4";
        let agent = text_opt(agent.as_ref()).unwrap_or_default();
        let values: [Value; 4] =
            [from.as_millis().into(), to.as_millis().into(), agent.into(), i64::from(limit).into()];
        self.query(sql, values).await?.iter().map(episode).collect()
    }
}
