//! What is noted when a server looks at patients with the master key, as when staff do: that it did, never what it saw.

use domain::audit::AuditEvent;
use domain::id::AuditId;
use serde_json::{Value, json};

use super::objects::{Caller, Rest};
use super::{ClassKind, RestError};

impl Rest {
    /// Notes that a server saw patients among rows of a class: one line for each look, however many they were.
    ///
    /// # Errors
    /// [`RestError::Store`].
    pub(super) async fn note_look(&self, caller: &Caller, class: &str, rows: &[Value]) -> Result<(), RestError> {
        let seen = if caller.viewer.is_master() { patients_in(class, rows) } else { 0 };
        if seen == 0 {
            return Ok(());
        }
        self.note(caller, "patient.list", format!("class:{class}"), json!({ "patients": seen })).await
    }

    /// Notes that a server read one patient by its id.
    ///
    /// # Errors
    /// [`RestError::Store`].
    pub(super) async fn note_read(&self, caller: &Caller, class: &str, id: &str, row: &Value) -> Result<(), RestError> {
        if ClassKind::of(class) == ClassKind::Patient && caller.viewer.is_master() {
            return self.note(caller, "patient.read", format!("patient:{id}"), json!({})).await;
        }
        self.note_look(caller, class, std::slice::from_ref(row)).await
    }

    async fn note(
        &self,
        caller: &Caller,
        action: &'static str,
        subject: String,
        detail: Value,
    ) -> Result<(), RestError> {
        let event = AuditEvent {
            id: AuditId(self.ports.ids.next()),
            actor: caller.actor.label(),
            action,
            subject,
            detail,
            at: self.ports.clock.now(),
        };
        let mut unit = self.ports.store.begin().await?;
        unit.audit().append_all(&[event]).await?;
        Ok(unit.commit().await?)
    }
}

/// How many patients rows of a class show: the rows themselves, and those included in them.
fn patients_in(class: &str, rows: &[Value]) -> usize {
    let own = if ClassKind::of(class) == ClassKind::Patient { rows.len() } else { 0 };
    own + rows.iter().map(included).sum::<usize>()
}

fn included(value: &Value) -> usize {
    match value {
        Value::Array(items) => items.iter().map(included).sum(),
        Value::Object(object) => {
            let class = object.get("className").and_then(Value::as_str).unwrap_or_default();
            // A pointer that shows more than where it points.
            let is_whole = object.len() > 3 && object.get("__type").and_then(Value::as_str) == Some("Pointer");
            let is_patient = is_whole && ClassKind::of(class) == ClassKind::Patient;
            usize::from(is_patient) + object.values().map(included).sum::<usize>()
        }
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patients_are_counted_wherever_they_are_shown() {
        let bare = json!({ "__type": "Pointer", "className": "Patients", "objectId": "x" });
        let whole = json!({ "__type": "Pointer", "className": "Patients", "objectId": "x", "name": "y" });
        let doctor = json!({ "__type": "Pointer", "className": "Doctor", "objectId": "x", "name": "y" });
        let consultations = [json!({ "idPatient": whole, "idDoctor": doctor }), json!({ "idPatient": bare })];
        assert_eq!(patients_in("Consultation", &consultations), 1);
        assert_eq!(patients_in("Diary", &[json!({ "by": [whole, { "deep": whole }] })]), 2);
        assert_eq!(patients_in("Patients", &[json!({}), json!({})]), 2);
        assert_eq!(patients_in("Doctor", &[json!({})]), 0);
    }
}
