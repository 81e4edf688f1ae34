//! Destroying records whose time is over.

use ::consultation::retention::{Profile, PurgeCertificate, Purged, RetentionStore};
use async_trait::async_trait;
use domain::audit::{AuditEvent, AuditRepository as _};
use domain::id::{AuditId, RelationId};
use domain::{ObjectId, StoreError, Timestamp};
use sea_orm::{QueryResult, Value};
use serde_json::json;

use super::closed_profile;
use crate::backend::{Backend, store_error};
use crate::convert::{list, parse, text, text_opt};
use crate::store::{SeaStore, SeaUnit};

/// The condition that nothing has happened in relation `r` since the instant in the first parameter, and that none of
/// its consultations is open.
const IS_DUE: &str = "r.updated_at < $1 AND NOT EXISTS (SELECT 1 FROM consultation c \
     LEFT JOIN conversation d ON d.id = c.dialog_id WHERE c.patient_id = r.patient_id AND c.doctor_id = r.doctor_id \
     AND (c.updated_at >= $1 OR d.last_message_at >= $1 OR (c.status <> '2' AND NOT c.is_invalid)))";

/// Kinds of messages that show a file.
const WITH_FILES: &str = "kind IN ('image', 'file', 'voice')";

#[async_trait]
impl RetentionStore for SeaStore {
    async fn due(
        &self,
        before: Timestamp,
        after: Option<RelationId>,
        limit: u32,
    ) -> Result<Vec<RelationId>, StoreError> {
        let sql = format!("SELECT r.id FROM relation r WHERE r.id > $2 AND {IS_DUE} ORDER BY r.id LIMIT {limit}");
        let after = after.map(|id| text(&id)).unwrap_or_default();
        let rows = self.reading().query(&sql, [before.as_millis().into(), after.into()]).await?;
        texts(&rows, "id")?.iter().map(|id| parse("relation.id", id)).collect()
    }

    async fn purge(
        &self,
        relation: RelationId,
        before: Timestamp,
        certificate: ObjectId,
        now: Timestamp,
    ) -> Result<Option<Purged>, StoreError> {
        let unit = self.unit().await?;
        let lock = unit.backend.for_update();
        let sql = format!(
            "SELECT r.doctor_id, r.patient_id, r.updated_at FROM relation r WHERE r.id = $2 AND {IS_DUE}{lock}"
        );
        let rows = unit.query(&sql, [before.as_millis().into(), text(&relation).into()]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (doctor, patient) = (column(row, "doctor_id")?, column(row, "patient_id")?);
        let updated_at: i64 = row.try_get("", "updated_at").map_err(store_error)?;

        let of_pair = "SELECT id, dialog_id, updated_at FROM consultation WHERE doctor_id = $1 AND patient_id = $2";
        let rows = unit.query(of_pair, [doctor.as_str().into(), patient.as_str().into()]).await?;
        let consultations = texts(&rows, "id")?;
        let dialogs = texts(&rows, "dialog_id")?;
        let at = |row: &QueryResult| row.try_get::<i64>("", "updated_at").map_err(store_error);
        let mut last_activity_at = updated_at;
        for row in &rows {
            last_activity_at = last_activity_at.max(at(row)?);
        }

        let (blob_keys, files) = purge_files(&unit, &dialogs).await?;
        let messages = purge_conversations(&unit, &dialogs).await?;
        let of_notifications = format!(
            "DELETE FROM delivery WHERE notification_id IN (SELECT id FROM notification WHERE {})",
            unit.backend.is_among("consultation_id", "$1")
        );
        unit.execute(&of_notifications, [list(&consultations)]).await?;
        for table in ["notification", "consultation_event"] {
            delete(&unit, table, "consultation_id", &consultations).await?;
        }
        delete(&unit, "consultation", "id", &consultations).await?;
        let id = text(&relation);
        delete(&unit, "relation", "id", std::slice::from_ref(&id)).await?;
        let gone = [&consultations[..], &dialogs[..], &[id]].concat();
        delete(&unit, "imported_row", "id", &gone).await?;

        let certificate = PurgeCertificate {
            id: certificate,
            relation_id: Some(relation),
            doctor_id: Some(parse("relation.doctor_id", &doctor)?),
            patient_id: Some(parse("relation.patient_id", &patient)?),
            consultations: consultations.len() as u64,
            messages,
            files,
            last_activity_at: Timestamp::from_millis(last_activity_at),
            purged_at: now,
        };
        record(unit, format!("relation:{relation}"), &certificate).await?;
        Ok(Some(Purged { certificate, blob_keys }))
    }

    async fn due_profiles(&self, before: Timestamp, limit: u32) -> Result<Vec<Profile>, StoreError> {
        closed_profile::due(&self.reading(), before, limit).await
    }

    async fn purge_profile(
        &self,
        profile: Profile,
        before: Timestamp,
        certificate: ObjectId,
        now: Timestamp,
    ) -> Result<Option<Purged>, StoreError> {
        closed_profile::purge(self.unit().await?, profile, before, (certificate, now)).await
    }
}

/// Writes the certificate and the audit event, and ends the unit.
pub(super) async fn record(
    mut unit: SeaUnit,
    subject: String,
    certificate: &PurgeCertificate,
) -> Result<(), StoreError> {
    let count = |n: u64| Value::from(i64::try_from(n).unwrap_or(i64::MAX));
    let sql = "INSERT INTO purge_certificate (id, relation_id, doctor_id, patient_id, consultations, messages, files, \
         last_activity_at, purged_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let values: [Value; 9] = [
        text(&certificate.id).into(),
        text_opt(certificate.relation_id.as_ref()).into(),
        text_opt(certificate.doctor_id.as_ref()).into(),
        text_opt(certificate.patient_id.as_ref()).into(),
        count(certificate.consultations),
        count(certificate.messages),
        count(certificate.files),
        certificate.last_activity_at.as_millis().into(),
        certificate.purged_at.as_millis().into(),
    ];
    unit.execute(sql, values).await?;
    let event = AuditEvent {
        id: AuditId(certificate.id),
        actor: "system".to_owned(),
        action: "retention.purge",
        subject,
        detail: json!({
            "consultations": certificate.consultations, "messages": certificate.messages, "files": certificate.files,
        }),
        at: certificate.purged_at,
    };
    unit.append_all(&[event]).await?;
    unit.finish().await
}

/// Forgets conversations with everything said in them; answers how many messages there were.
pub(super) async fn purge_conversations(unit: &SeaUnit, ids: &[String]) -> Result<u64, StoreError> {
    let messages = delete(unit, "message", "conversation_id", ids).await?;
    for table in ["log_event", "conversation_member"] {
        delete(unit, table, "conversation_id", ids).await?;
    }
    delete(unit, "conversation", "id", ids).await?;
    Ok(messages)
}

/// Forgets the files that messages of these dialogs show and nothing else does; answers the keys of their bytes, and how
/// many they were.
pub(super) async fn purge_files(unit: &SeaUnit, dialogs: &[String]) -> Result<(Vec<String>, u64), StoreError> {
    let file = match unit.backend {
        Backend::Sqlite => "content ->> '$.fileId'",
        Backend::Postgres => "CAST(content AS json) ->> 'fileId'",
    };
    let of_dialogs = unit.backend.is_among("conversation_id", "$1");
    let shown = format!("SELECT DISTINCT {file} AS id FROM message WHERE {WITH_FILES} AND {of_dialogs}");
    forget_files(unit, &texts(&unit.query(&shown, [list(dialogs)]).await?, "id")?).await
}

/// Forgets those of the files that no profile shows; answers the keys of their bytes, and how many they were.
pub(super) async fn forget_files(unit: &SeaUnit, ids: &[String]) -> Result<(Vec<String>, u64), StoreError> {
    if ids.is_empty() {
        return Ok((Vec::new(), 0));
    }
    let sql = format!(
        "SELECT f.id, f.blob_key FROM file f WHERE {} \
         AND NOT EXISTS (SELECT 1 FROM patient p WHERE p.icon = f.id) \
         AND NOT EXISTS (SELECT 1 FROM doctor d WHERE f.id IN (d.icon, d.certificate1, d.certificate2, d.licence1, d.licence2))",
        unit.backend.is_among("f.id", "$1")
    );
    let rows = unit.query(&sql, [list(ids)]).await?;
    let (ids, keys) = (texts(&rows, "id")?, texts(&rows, "blob_key")?);
    delete(unit, "imported_row", "id", &ids).await?;
    Ok((keys, delete(unit, "file", "id", &ids).await?))
}

pub(super) async fn delete(unit: &SeaUnit, table: &str, column: &str, values: &[String]) -> Result<u64, StoreError> {
    if values.is_empty() {
        return Ok(0);
    }
    let sql = format!("DELETE FROM {table} WHERE {}", unit.backend.is_among(column, "$1"));
    unit.execute(&sql, [list(values)]).await
}

fn column(row: &QueryResult, name: &str) -> Result<String, StoreError> {
    row.try_get("", name).map_err(store_error)
}

/// The values of a column, without those that are NULL.
pub(super) fn texts(rows: &[QueryResult], name: &str) -> Result<Vec<String>, StoreError> {
    let values: Result<Vec<Option<String>>, _> =
        rows.iter().map(|row| row.try_get("", name).map_err(store_error)).collect();
    Ok(values?.into_iter().flatten().collect())
}
