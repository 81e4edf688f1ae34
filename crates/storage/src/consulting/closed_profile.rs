//! Destroying the profiles of closed accounts whose records have gone.

use ::consultation::retention::{Profile, PurgeCertificate, Purged};
use domain::{ObjectId, StoreError, Timestamp};
use sea_orm::QueryResult;

use super::retention::{delete, forget_files, purge_conversations, purge_files, record, texts};
use crate::backend::store_error;
use crate::convert::{parse, text};
use crate::store::SeaUnit;

/// What differs between the two kinds of profiles.
struct Kind {
    table: &'static str,
    /// The column of relations and consultations that names one.
    party: &'static str,
    /// The columns that name files.
    files: &'static [&'static str],
}

const PATIENT: Kind = Kind { table: "patient", party: "patient_id", files: &["icon"] };
const DOCTOR: Kind = Kind {
    table: "doctor",
    party: "doctor_id",
    files: &["icon", "certificate1", "certificate2", "licence1", "licence2"],
};

impl Kind {
    /// The condition that profile `t` was closed before the instant in the first parameter, and that nothing is left of it.
    fn is_due(&self) -> String {
        let party = self.party;
        format!(
            "t.closed_at < $1 AND NOT EXISTS (SELECT 1 FROM relation r WHERE r.{party} = t.id) \
             AND NOT EXISTS (SELECT 1 FROM consultation c WHERE c.{party} = t.id) \
             AND NOT EXISTS (SELECT 1 FROM desk_chat k WHERE k.customer_id = t.id AND k.updated_at >= $1)"
        )
    }
}

pub(super) async fn due(unit: &SeaUnit, before: Timestamp, limit: u32) -> Result<Vec<Profile>, StoreError> {
    let mut due = Vec::new();
    for kind in [PATIENT, DOCTOR] {
        let sql =
            format!("SELECT t.id FROM {} t WHERE {} ORDER BY t.closed_at LIMIT {limit}", kind.table, kind.is_due());
        for id in texts(&unit.query(&sql, [before.as_millis().into()]).await?, "id")? {
            due.push(match kind.table {
                "patient" => Profile::Patient(parse("patient.id", &id)?),
                _ => Profile::Doctor(parse("doctor.id", &id)?),
            });
        }
    }
    Ok(due)
}

pub(super) async fn purge(
    unit: SeaUnit,
    profile: Profile,
    before: Timestamp,
    (certificate, now): (ObjectId, Timestamp),
) -> Result<Option<Purged>, StoreError> {
    let (kind, id) = match profile {
        Profile::Patient(id) => (PATIENT, text(&id)),
        Profile::Doctor(id) => (DOCTOR, text(&id)),
    };
    let (is_due, lock) = (kind.is_due(), unit.backend.for_update());
    let sql = format!("SELECT t.* FROM {} t WHERE t.id = $2 AND {is_due}{lock}", kind.table);
    let rows = unit.query(&sql, [before.as_millis().into(), id.as_str().into()]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let closed_at: i64 = row.try_get("", "closed_at").map_err(store_error)?;
    let user: Option<String> = row.try_get("", "user_id").map_err(store_error)?;
    let shown = shown_files(row, &kind)?;

    let this = std::slice::from_ref(&id);
    delete(&unit, kind.table, "id", this).await?;
    if matches!(profile, Profile::Doctor(_)) {
        delete(&unit, "invitation", "doctor_id", this).await?;
    }
    let (mut blob_keys, mut files, messages) = purge_chat(&unit, &id).await?;
    let mut gone = shown;
    if let Some(user) = user {
        gone.extend(purge_user(&unit, &user).await?);
    }
    let (more_keys, more_files) = forget_files(&unit, &gone).await?;
    blob_keys.extend(more_keys);
    files += more_files;
    delete(&unit, "imported_row", "id", this).await?;

    let certificate = PurgeCertificate {
        id: certificate,
        relation_id: None,
        doctor_id: if let Profile::Doctor(id) = profile { Some(id) } else { None },
        patient_id: if let Profile::Patient(id) = profile { Some(id) } else { None },
        consultations: 0,
        messages,
        files,
        last_activity_at: Timestamp::from_millis(closed_at),
        purged_at: now,
    };
    record(unit, format!("{}:{id}", kind.table), &certificate).await?;
    Ok(Some(Purged { certificate, blob_keys }))
}

/// The ids of the files that the row of a profile names.
fn shown_files(row: &QueryResult, kind: &Kind) -> Result<Vec<String>, StoreError> {
    let mut ids = Vec::new();
    for name in kind.files {
        ids.extend(row.try_get::<Option<String>>("", name).map_err(store_error)?);
    }
    Ok(ids)
}

/// Forgets the chat with the assistant; answers keys and number of its files, and how many messages it had.
async fn purge_chat(unit: &SeaUnit, customer: &str) -> Result<(Vec<String>, u64, u64), StoreError> {
    let rows = unit.query("SELECT conversation_id FROM desk_chat WHERE customer_id = $1", [customer.into()]).await?;
    let chats = texts(&rows, "conversation_id")?;
    let (blob_keys, files) = purge_files(unit, &chats).await?;
    for table in ["desk_entry", "desk_episode", "desk_draft", "desk_chat"] {
        delete(unit, table, "conversation_id", &chats).await?;
    }
    Ok((blob_keys, files, purge_conversations(unit, &chats).await?))
}

/// Forgets an account without profiles; answers the files it had uploaded.
async fn purge_user(unit: &SeaUnit, user: &str) -> Result<Vec<String>, StoreError> {
    let sql = "DELETE FROM account_user WHERE id = $1 AND closed_at IS NOT NULL \
               AND NOT EXISTS (SELECT 1 FROM patient p WHERE p.user_id = $1) \
               AND NOT EXISTS (SELECT 1 FROM doctor d WHERE d.user_id = $1)";
    if unit.execute(sql, [user.into()]).await? == 0 {
        return Ok(Vec::new());
    }
    let this = [user.to_owned()];
    delete(unit, "user_identity", "user_id", &this).await?;
    delete(unit, "imported_row", "id", &this).await?;
    let owned = "SELECT id FROM file WHERE owner_kind = 'user' AND owner_id = $1";
    texts(&unit.query(owned, [user.into()]).await?, "id")
}
