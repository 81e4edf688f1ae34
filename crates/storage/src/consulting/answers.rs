//! Answers of the desk that their customers have not read.

use ::consultation::notification::{AnswerSearch, AssistantSeat, Recipient};
use domain::StoreError;
use sea_orm::{QueryResult, Value};

use crate::backend::store_error;
use crate::convert::{known, list, parse, text};
use crate::store::SeaUnit;

fn seat(row: &QueryResult) -> Result<AssistantSeat, StoreError> {
    let read = |column: &str| row.try_get::<String>("", column).map_err(store_error);
    let id = read("customer_id")?;
    let recipient = match read("customer_kind")?.as_str() {
        "doctor" => Some(Recipient::Doctor(parse("desk_chat.customer_id", &id)?)),
        "patient" => Some(Recipient::Patient(parse("desk_chat.customer_id", &id)?)),
        _ => None,
    };
    Ok(AssistantSeat {
        conversation_id: parse("desk_chat.conversation_id", &read("conversation_id")?)?,
        recipient: known("desk_chat.customer_kind", recipient)?,
    })
}

/// See [`::consultation::notification::NotificationRepository::find_unread_answers`].
pub(super) async fn find_unread(
    unit: &SeaUnit,
    search: &AnswerSearch,
    limit: u32,
) -> Result<Vec<AssistantSeat>, StoreError> {
    let only_one = if search.only.is_some() { "AND c.conversation_id = $6" } else { "" };
    let sql = format!(
        "SELECT c.conversation_id, c.customer_id, c.customer_kind FROM desk_chat c \
         JOIN conversation v ON v.id = c.conversation_id \
         JOIN conversation_member m ON m.conversation_id = c.conversation_id AND m.client_id = c.customer_id \
         WHERE c.updated_at >= $1 {only_one} \
         AND v.last_seq - m.read_seq - m.own_after_read - m.recalled_after_read > 0 \
         AND EXISTS (SELECT 1 FROM message a WHERE a.conversation_id = c.conversation_id AND a.seq > m.read_seq \
         AND a.acted_by IS NOT NULL AND a.recalled_at IS NULL AND a.created_at >= $1 AND a.created_at <= $2 \
         AND NOT EXISTS (SELECT 1 FROM message o WHERE o.conversation_id = a.conversation_id AND o.seq > a.seq \
         AND o.sender = c.customer_id) \
         AND NOT EXISTS (SELECT 1 FROM notification n WHERE n.recipient_id = c.customer_id \
         AND n.cause = 'assistant_answer' AND (n.created_at >= a.created_at OR n.created_at >= $3))) \
         AND NOT EXISTS (SELECT 1 FROM presence p JOIN node s ON s.id = p.node \
         WHERE p.client_id = c.customer_id AND p.viewing = c.conversation_id AND s.lease_until >= $4) \
         AND NOT EXISTS (SELECT 1 FROM wechat_relay r WHERE r.conversation_id = c.conversation_id AND r.is_active) \
         ORDER BY c.updated_at, c.conversation_id LIMIT $5"
    );
    let (after, before) = search.said;
    let times = [after, before, search.not_told_since, search.now];
    let mut values: Vec<Value> = times.into_iter().map(|at| at.as_millis().into()).collect();
    values.push(i64::from(limit).into());
    values.extend(search.only.map(|id| text(&id).into()));
    unit.query(&sql, values).await?.iter().map(seat).collect()
}

/// See [`::consultation::notification::NotificationRepository::assistant_conversations`].
pub(super) async fn conversations(unit: &SeaUnit, recipients: &[Recipient]) -> Result<Vec<AssistantSeat>, StoreError> {
    if recipients.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<String> = recipients.iter().map(|recipient| recipient.client_id()).collect();
    let is_theirs = unit.backend.is_among("customer_id", "$1");
    let sql = format!("SELECT conversation_id, customer_id, customer_kind FROM desk_chat WHERE {is_theirs}");
    unit.query(&sql, [list(&ids)]).await?.iter().map(seat).collect()
}
