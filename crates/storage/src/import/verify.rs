//! Looking whether what was imported is here and agrees with the rest.

use ::leancloud::import::store::{BrokenRule, ImportClass, Verification};
use domain::StoreError;

use super::ledger::table_of;
use crate::backend::store_error;
use crate::store::SeaStore;

/// What rows of an imported application refer to. Each statement counts what is missing; rules between the rows
/// themselves are those of [`SeaStore::inspect`].
const REFERENCES: [(&str, &str); 6] = [
    (
        "the doctor and the patient of a relation are here",
        "SELECT COUNT(*) FROM relation r WHERE NOT EXISTS (SELECT 1 FROM doctor d WHERE d.id = r.doctor_id) \
         OR NOT EXISTS (SELECT 1 FROM patient p WHERE p.id = r.patient_id)",
    ),
    (
        "the doctor and the patient of a consultation are here",
        "SELECT COUNT(*) FROM consultation c WHERE NOT EXISTS (SELECT 1 FROM doctor d WHERE d.id = c.doctor_id) \
         OR NOT EXISTS (SELECT 1 FROM patient p WHERE p.id = c.patient_id)",
    ),
    (
        "the dialog of a consultation is here",
        "SELECT COUNT(*) FROM consultation c WHERE c.dialog_id IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM conversation d WHERE d.id = c.dialog_id)",
    ),
    (
        "the conversation of a message is here",
        "SELECT COUNT(*) FROM message m WHERE NOT EXISTS (SELECT 1 FROM conversation c WHERE c.id = m.conversation_id)",
    ),
    (
        "the account of a patient or doctor is here",
        "SELECT (SELECT COUNT(*) FROM patient p WHERE p.user_id IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM account_user u WHERE u.id = p.user_id)) + \
         (SELECT COUNT(*) FROM doctor d WHERE d.user_id IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM account_user u WHERE u.id = d.user_id))",
    ),
    (
        "the file that a profile shows is here",
        "SELECT (SELECT COUNT(*) FROM patient p WHERE p.icon IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM file f WHERE f.id = p.icon)) + \
         (SELECT COUNT(*) FROM doctor d WHERE d.icon IS NOT NULL \
         AND NOT EXISTS (SELECT 1 FROM file f WHERE f.id = d.icon))",
    ),
];

pub(super) async fn verify(store: &SeaStore) -> Result<Verification, StoreError> {
    let mut found = Verification::default();
    let mut look = Vec::new();
    for class in classes(store).await? {
        let product = ImportClass::ALL.into_iter().find(|known| known.name() == class);
        let (table, of_class) = match product {
            Some(known) => (table_of(known), ""),
            None => ("document", "here.class = taken.class AND "),
        };
        let is_here = format!("EXISTS (SELECT 1 FROM {table} here WHERE {of_class}here.id = taken.id)");
        let sql = format!("SELECT COUNT(*) FROM imported_row taken WHERE taken.class = $1 AND {is_here}");
        let present = count(store, &sql, Some(&class)).await?;
        let all = count(store, "SELECT COUNT(*) FROM imported_row WHERE class = $1", Some(&class)).await?;
        look.push((format!("rows of {class} that were imported are here"), all - present));
        found.present.push((class, present));
    }
    found.messages = count(store, "SELECT COUNT(*) FROM message WHERE position < 0", None).await?;
    for (rule, sql) in REFERENCES {
        look.push((rule.to_owned(), count(store, sql, None).await?));
    }
    found.rules = look.len() + crate::inspect::rule_count();
    let broken = look.into_iter().filter(|(_, rows)| *rows != 0);
    found.broken = broken.map(|(rule, rows)| BrokenRule { rule, rows }).collect();
    let violations = store.inspect().await?.into_iter();
    found
        .broken
        .extend(violations.map(|violation| BrokenRule { rule: violation.rule.to_owned(), rows: violation.rows }));
    Ok(found)
}

async fn classes(store: &SeaStore) -> Result<Vec<String>, StoreError> {
    let rows = store.reading().query("SELECT DISTINCT class FROM imported_row ORDER BY class", []).await?;
    rows.iter().map(|row| row.try_get("", "class").map_err(store_error)).collect()
}

async fn count(store: &SeaStore, sql: &str, class: Option<&String>) -> Result<i64, StoreError> {
    let rows = store.reading().query(sql, class.map(|class| class.as_str().into())).await?;
    let count = rows.first().map(|row| row.try_get_by_index::<i64>(0).map_err(store_error)).transpose()?;
    Ok(count.unwrap_or_default())
}
