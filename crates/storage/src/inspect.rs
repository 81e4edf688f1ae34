//! Looking for rows that contradict each other, for `check` and for the proofs: none may ever be found.

use domain::StoreError;
use serde::Serialize;

use crate::backend::store_error;
use crate::store::SeaStore;

/// A rule that must hold between rows, and how many break it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub rule: &'static str,
    pub rows: i64,
}

/// The numbers that unread is made of, as the messages themselves tell them.
mod unread {
    macro_rules! own {
        () => {
            "(SELECT COUNT(*) FROM message s WHERE s.conversation_id = m.conversation_id AND s.seq > m.read_seq \
             AND s.sender = m.client_id)"
        };
    }
    macro_rules! recalled {
        () => {
            "(SELECT COUNT(*) FROM message s WHERE s.conversation_id = m.conversation_id AND s.seq > m.read_seq \
             AND s.recalled_at IS NOT NULL AND (s.sender IS NULL OR s.sender <> m.client_id))"
        };
    }
    macro_rules! differ {
        () => {
            concat!("(m.own_after_read <> ", own!(), " OR m.recalled_after_read <> ", recalled!(), ")")
        };
    }
    pub(super) const WRONG: &str = concat!("SELECT COUNT(*) FROM conversation_member m WHERE ", differ!());
    /// Messages are appended under the lock of their conversation, so nothing moves between counting and writing.
    pub(super) const LOCK: &str = concat!(
        "SELECT c.id FROM conversation c WHERE EXISTS (SELECT 1 FROM conversation_member m \
         WHERE m.conversation_id = c.id AND ",
        differ!(),
        ") ORDER BY c.id"
    );
    pub(super) const RECOUNT: &str = concat!(
        "UPDATE conversation_member AS m SET own_after_read = ",
        own!(),
        ", recalled_after_read = ",
        recalled!(),
        " WHERE ",
        differ!()
    );
}

/// Each rule with the statement that counts what breaks it.
const RULES: [(&str, &str); 17] = [
    (
        "a pair has at most one open consultation",
        "SELECT COUNT(*) FROM (SELECT 1 FROM consultation WHERE status <> '2' AND NOT is_invalid \
         GROUP BY doctor_id, patient_id HAVING COUNT(*) > 1) AS broken",
    ),
    (
        "a pair has one relation and a consultation belongs to it",
        "SELECT COUNT(*) FROM consultation c LEFT JOIN relation r ON r.id = c.relation_id \
         WHERE r.id IS NULL OR r.doctor_id <> c.doctor_id OR r.patient_id <> c.patient_id",
    ),
    (
        "a consultation's last event left it in its status",
        "SELECT COUNT(*) FROM consultation c JOIN consultation_event e ON e.consultation_id = c.id \
         WHERE e.to_status <> c.status AND NOT EXISTS (SELECT 1 FROM consultation_event later \
         WHERE later.consultation_id = c.id AND (later.at > e.at OR (later.at = e.at AND later.id > e.id)))",
    ),
    (
        "a consultation started here has its first event",
        "SELECT COUNT(*) FROM consultation c WHERE c.end_reason IS NULL AND c.dialog_id IS NOT NULL AND EXISTS \
         (SELECT 1 FROM notification n WHERE n.consultation_id = c.id AND n.cause = 'initiated') AND NOT EXISTS \
         (SELECT 1 FROM consultation_event e WHERE e.consultation_id = c.id AND e.from_status IS NULL)",
    ),
    (
        "ended exactly when there is an end",
        "SELECT COUNT(*) FROM consultation WHERE (status = '2') <> (ended_at IS NOT NULL AND end_reason IS NOT NULL)",
    ),
    (
        "a dialog exists and has both parties",
        "SELECT COUNT(*) FROM consultation c WHERE c.dialog_id IS NOT NULL AND (SELECT COUNT(*) FROM conversation d \
         JOIN conversation_member m ON m.conversation_id = d.id AND m.client_id IN (c.doctor_id, c.patient_id) \
         WHERE d.id = c.dialog_id) <> 2",
    ),
    (
        "sequence numbers are contiguous from one",
        "SELECT COUNT(*) FROM conversation c WHERE c.last_seq <> (SELECT COUNT(*) FROM message m \
         WHERE m.conversation_id = c.id) OR c.last_seq <> (SELECT COALESCE(MAX(m.seq), 0) FROM message m \
         WHERE m.conversation_id = c.id)",
    ),
    (
        "messages are in the log in the order of their sequence numbers",
        "SELECT COUNT(*) FROM message m JOIN message later ON later.conversation_id = m.conversation_id \
         AND later.seq = m.seq + 1 WHERE later.position <= m.position",
    ),
    (
        "a position of the log is given once and not beyond its head",
        "SELECT COUNT(*) FROM (SELECT position FROM message UNION ALL SELECT position FROM log_event) AS entry \
         WHERE position > (SELECT h.position FROM log_head h) OR position IN (SELECT m.position FROM message m \
         JOIN log_event e ON e.position = m.position)",
    ),
    (
        "a conversation knows the newest entry of the log that concerns it",
        "SELECT COUNT(*) FROM conversation c WHERE c.last_position <> (SELECT COALESCE(MAX(entry.position), 0) FROM \
         (SELECT m.position FROM message m WHERE m.conversation_id = c.id UNION ALL \
         SELECT e.position FROM log_event e WHERE e.conversation_id = c.id) AS entry)",
    ),
    (
        "members are in a conversation that is there and have got no farther than it",
        "SELECT COUNT(*) FROM conversation_member m LEFT JOIN conversation c ON c.id = m.conversation_id \
         WHERE c.id IS NULL OR m.read_seq > m.delivered_seq OR m.delivered_seq > c.last_seq OR m.read_seq < 0",
    ),
    ("unread numbers equal their definition", unread::WRONG),
    ("a follow is a group", "SELECT COUNT(*) FROM relation WHERE is_followed <> (CAST(groups AS text) LIKE '%\"2\"%')"),
    (
        "a queued notification has its job",
        "SELECT COUNT(*) FROM notification n WHERE n.state = 'queued' AND NOT EXISTS (SELECT 1 FROM job j \
         WHERE j.idempotency_key = 'notification:' || n.id AND j.state IN ('queued', 'dead'))",
    ),
    (
        "a text message has the attempts it counts",
        "SELECT COUNT(*) FROM sms_message m WHERE m.attempts <> (SELECT COUNT(*) FROM sms_attempt a \
         WHERE a.message_id = m.id)",
    ),
    (
        "a sent notification was delivered",
        "SELECT COUNT(*) FROM notification n WHERE n.state = 'sent' AND NOT EXISTS (SELECT 1 FROM delivery d \
         WHERE d.notification_id = n.id)",
    ),
    (
        "a delivery belongs to a notification that is sent or about to be",
        "SELECT COUNT(*) FROM delivery d LEFT JOIN notification n ON n.id = d.notification_id \
         WHERE n.id IS NULL OR n.state NOT IN ('sent', 'queued') AND NOT (n.state = 'cancelled' AND EXISTS \
         (SELECT 1 FROM job j WHERE j.idempotency_key = 'notification:' || n.id AND j.state = 'queued'))",
    ),
];

/// How many rules there are.
pub(crate) const fn rule_count() -> usize {
    RULES.len()
}

impl SeaStore {
    /// Every rule that some rows break. Reads whole tables: for operators and proofs, not for requests.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn inspect(&self) -> Result<Vec<Violation>, StoreError> {
        let mut violations = Vec::new();
        for (rule, sql) in RULES {
            let rows = self.reading().query(sql, []).await?;
            let count = rows.first().map(|row| row.try_get_by_index::<i64>(0).map_err(store_error)).transpose()?;
            if let Some(rows @ 1..) = count {
                violations.push(Violation { rule, rows });
            }
        }
        Ok(violations)
    }

    /// Counts unread anew from the messages where the stored numbers differ; answers for how many members they did.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn recount_unread(&self) -> Result<u64, StoreError> {
        let unit = self.unit().await?;
        unit.query(&format!("{}{}", unread::LOCK, unit.backend.for_update()), []).await?;
        let recounted = unit.execute(unread::RECOUNT, []).await?;
        unit.finish().await?;
        Ok(recounted)
    }
}
