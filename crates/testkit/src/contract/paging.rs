//! Paging is the same for every list: newest first, stable under a cursor, exact at the limit.

use std::collections::BTreeSet;

use consultation::consultation::ConsultationFilter;
use consultation::relation::RelationFilter;
use domain::ObjectId;
use domain::audit::AuditFilter;
use domain::certification::Certification;
use domain::doctor::DoctorSearch;
use domain::outbox::JobState;
use domain::page::{Cursor, Page, PageRequest};

use super::samples::{at, audit_event, job};
use super::{Harness, within};
use crate::build::{consultation, doctor, pair, relation};

/// Seven rows; several share an instant, so that ids have to break the tie.
const TIMES: [i64; 7] = [5, 1, 5, 9, 5, 1, 7];

fn numbered() -> impl Iterator<Item = (u32, i64)> {
    (1..).zip(TIMES)
}

fn ids<T>(page: Page<T>, id: impl Fn(&T) -> ObjectId) -> Page<ObjectId> {
    page.map(|row| id(&row))
}

/// Reads a list page by page at every limit and compares with the whole of it.
async fn check(list: impl AsyncFn(PageRequest) -> Page<ObjectId>) {
    let whole = list(PageRequest { limit: 100, after: None }).await;
    assert_eq!(whole.items.len(), TIMES.len());
    assert_eq!(whole.next, None);
    assert_eq!(whole.items.iter().collect::<BTreeSet<_>>().len(), TIMES.len());
    for limit in 1..=8 {
        let mut paged = Vec::new();
        let mut after: Option<Cursor> = None;
        loop {
            let page = list(PageRequest { limit, after }).await;
            assert!(page.items.len() <= limit as usize);
            paged.extend(page.items);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(paged, whole.items, "limit {limit}");
    }
    let exact = list(PageRequest { limit: 7, after: None }).await;
    assert_eq!(exact.next, None, "a full last page is the last one");
}

pub async fn lists_of_doctors_are_paged(h: &dyn Harness) {
    within(h, async |unit| {
        for (n, millis) in numbered() {
            unit.doctors().insert(&doctor(n).certified().created_at(at(millis)).done()).await.unwrap();
        }
    })
    .await;
    let store = h.store();
    check(async |page| {
        let search = DoctorSearch::default();
        ids(store.read().doctors().search_certified(&search, page).await.unwrap(), |d| d.id.0)
    })
    .await;
    check(async |page| {
        let state = Certification::Certified;
        ids(store.read().doctors().list_by_certification(state, page).await.unwrap(), |d| d.id.0)
    })
    .await;
}

pub async fn lists_of_relations_are_paged(h: &dyn Harness) {
    let all: Vec<_> =
        numbered().map(|(n, millis)| relation(n, pair(1, n)).remark("a").created_at(at(millis)).done()).collect();
    within(h, async |unit| unit.relations().ensure_all(&all).await.unwrap()).await;
    let store = h.store();
    for text in [None, Some("a".to_owned())] {
        let filter = RelationFilter { text, group: Some("1".into()), ..RelationFilter::default() };
        check(async |page| ids(store.read().relations().list(&filter, page).await.unwrap(), |r| r.id.0)).await;
    }
}

pub async fn lists_of_consultations_are_paged(h: &dyn Harness) {
    let all: Vec<_> = numbered().map(|(n, millis)| consultation(n, pair(1, n)).started_at(at(millis)).done()).collect();
    within(h, async |unit| unit.consultations().insert_open(&all).await.unwrap()).await;
    let store = h.store();
    let filter = ConsultationFilter::default();
    check(async |page| ids(store.read().consultations().list(&filter, page).await.unwrap(), |c| c.id.0)).await;
}

pub async fn the_audit_log_is_paged(h: &dyn Harness) {
    let all: Vec<_> = numbered().map(|(n, millis)| audit_event(n, at(millis))).collect();
    within(h, async |unit| unit.audit().append_all(&all).await.unwrap()).await;
    let store = h.store();
    let filter = AuditFilter::default();
    check(async |page| ids(store.read().audit().list(&filter, page).await.unwrap(), |r| r.id.0)).await;
}

pub async fn lists_of_jobs_are_paged(h: &dyn Harness) {
    let all: Vec<_> = numbered()
        .map(|(n, millis)| {
            let mut job = job(n, 0);
            job.created_at = at(millis);
            job
        })
        .collect();
    within(h, async |unit| unit.outbox().append_all(&all).await.unwrap()).await;
    let queue = h.queue();
    check(async |page| ids(queue.list(JobState::Queued, page).await.unwrap(), |j| j.id.0)).await;
}

pub async fn a_cursor_stays_put_while_newer_rows_arrive(h: &dyn Harness) {
    let insert = async |n: u32, millis| {
        let new = doctor(n).certified().created_at(at(millis)).done();
        within(h, async |unit| unit.doctors().insert(&new).await.unwrap()).await;
    };
    for (n, millis) in [(1, 1), (2, 2), (3, 3)] {
        insert(n, millis).await;
    }
    let store = h.store();
    let list = async |after| {
        let search = DoctorSearch::default();
        store.read().doctors().search_certified(&search, PageRequest { limit: 2, after }).await.unwrap()
    };
    let first = list(None).await;
    insert(4, 4).await;
    let second = list(first.next).await;
    let seen: Vec<_> = first.items.iter().chain(&second.items).map(|d| d.created_at).collect();
    assert_eq!(seen, [at(3), at(2), at(1)]);
    assert_eq!(second.next, None);
}
