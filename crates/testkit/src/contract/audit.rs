//! The audit log.

use domain::audit::{AuditEvent, AuditFilter, AuditRecord};
use domain::id::AuditId;
use domain::page::PageRequest;
use serde_json::json;

use super::samples::{at, audit_event};
use super::{Harness, assert_unique, attempt, within};
use crate::ids::object_id;

async fn given(h: &dyn Harness, events: &[AuditEvent]) {
    within(h, async |unit| unit.audit().append_all(events).await.unwrap()).await;
}

async fn list(h: &dyn Harness, filter: AuditFilter) -> Vec<AuditRecord> {
    h.store().read().audit().list(&filter, PageRequest::first()).await.unwrap().items
}

pub async fn an_act_keeps_every_field(h: &dyn Harness) {
    let event = AuditEvent {
        actor: "admin:5dae".into(),
        action: "certification.reject",
        subject: "doctor:5dae".into(),
        detail: json!({"reason": "照片\"看不清\"", "n": [1, null]}),
        ..audit_event(1, at(3))
    };
    given(h, std::slice::from_ref(&event)).await;
    let record = AuditRecord {
        id: event.id,
        actor: event.actor,
        action: event.action.to_owned(),
        subject: event.subject,
        detail: event.detail,
        at: event.at,
    };
    assert_eq!(list(h, AuditFilter::default()).await, [record]);
}

pub async fn filters_restrict_together_and_newest_comes_first(h: &dyn Harness) {
    let by = |n: u32, actor: &str, action, subject: &str| AuditEvent {
        actor: actor.into(),
        action,
        subject: subject.into(),
        ..audit_event(n, at(i64::from(n)))
    };
    given(h, &[by(1, "a", "x", "s"), by(2, "a", "y", "s"), by(3, "b", "x", "s"), by(4, "a", "x", "t")]).await;
    let wanted = |actor: Option<&str>, action: Option<&str>, subject: Option<&str>| AuditFilter {
        actor: actor.map(str::to_owned),
        action: action.map(str::to_owned),
        subject: subject.map(str::to_owned),
    };
    for (filter, expected) in [
        (wanted(None, None, None), vec![4, 3, 2, 1]),
        (wanted(Some("a"), None, None), vec![4, 2, 1]),
        (wanted(Some("a"), Some("x"), None), vec![4, 1]),
        (wanted(Some("a"), Some("x"), Some("s")), vec![1]),
        (wanted(Some("A"), None, None), vec![]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|n| AuditId(object_id(n))).collect();
        let found: Vec<_> = list(h, filter.clone()).await.into_iter().map(|r| r.id).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
}

pub async fn appending_nothing_is_fine_and_an_id_is_taken_once(h: &dyn Harness) {
    given(h, &[]).await;
    given(h, &[audit_event(1, at(0))]).await;
    let again = attempt(h, async |unit| unit.audit().append_all(&[audit_event(1, at(1))]).await).await;
    assert_unique(&again, "audit_event");
}
