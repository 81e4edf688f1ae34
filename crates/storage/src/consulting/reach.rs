//! Whom WeChat can carry a message to, as far as the ledger of grants and the followers tell.

use std::collections::HashSet;

use ::consultation::notification::Recipient;
use domain::StoreError;
use domain::id::{DoctorId, NotificationId, PatientId};

use crate::backend::store_error;
use crate::convert::{list, parse, text};
use crate::store::SeaUnit;

/// A grant that is left, in an app the account signed in with, or a service account it follows.
const BY_ACCOUNT: &str = "EXISTS (SELECT 1 FROM wechat_identity i WHERE i.user_id = p.user_id \
     AND (i.is_following = TRUE OR EXISTS (SELECT 1 FROM wechat_grant g WHERE g.app = i.app AND g.openid = i.openid \
     AND (g.is_long_term OR g.granted > g.reserved))))";
/// A grant that is left under the profile's own openid, also of somebody who was imported.
const BY_OPENID: &str = "EXISTS (SELECT 1 FROM wechat_grant g WHERE g.openid = p.openid \
     AND (g.is_long_term OR g.granted > g.reserved))";

pub(super) async fn by_wechat(
    unit: &SeaUnit,
    recipients: &[Recipient],
    notification: Option<NotificationId>,
) -> Result<HashSet<Recipient>, StoreError> {
    if let Some(id) = notification
        && is_under_way(unit, id).await?
    {
        return Ok(recipients.iter().copied().collect());
    }
    let (mut doctors, mut patients) = (Vec::new(), Vec::new());
    for recipient in recipients {
        match recipient {
            Recipient::Doctor(id) => doctors.push(text(id)),
            Recipient::Patient(id) => patients.push(text(id)),
        }
    }
    let of_doctors = format!("({BY_OPENID} OR {BY_ACCOUNT})");
    let doctors = among(unit, "doctor", &doctors, &of_doctors).await?;
    let patients = among(unit, "patient", &patients, BY_ACCOUNT).await?;
    let doctors = doctors.iter().map(|id| parse::<DoctorId>("doctor.id", id).map(Recipient::Doctor));
    let patients = patients.iter().map(|id| parse::<PatientId>("patient.id", id).map(Recipient::Patient));
    doctors.chain(patients).collect()
}

/// The ids of a table's rows that meet the condition. Neither name nor condition holds input.
async fn among(unit: &SeaUnit, table: &str, ids: &[String], condition: &str) -> Result<Vec<String>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    // One statement for any number of people.
    let is_asked = unit.backend.is_among("p.id", "$1");
    let sql = format!("SELECT p.id FROM {table} p WHERE {is_asked} AND p.closed_at IS NULL AND {condition}");
    let rows = unit.query(&sql, [list(ids)]).await?;
    rows.iter().map(|row| row.try_get("", "id").map_err(store_error)).collect()
}

/// Whether a message of this notification was queued and may still arrive, so that no other channel carries it too.
async fn is_under_way(unit: &SeaUnit, id: NotificationId) -> Result<bool, StoreError> {
    let sql = "SELECT 1 AS found FROM wechat_message WHERE message_key >= $1 AND message_key < $2 \
               AND state IN ('queued', 'sending', 'accepted', 'unknown') LIMIT 1";
    let (from, to) = (format!("notification:{id}:"), format!("notification:{id};"));
    Ok(!unit.query(sql, [from.into(), to.into()]).await?.is_empty())
}
