//! What is written comes back, unique rules hold, and writes name the version they read.

use std::time::Duration;

use account::agent::{Agent, AgentRole};
use account::challenge::{Challenge, Purpose};
use account::counter::{Guard, GuardKey, GuardScope, LedgerKey, LedgerScope, OneTime};
use account::idempotency::{IdempotencyRecord, IdempotencyScope, StoredResponse};
use account::password::StoredPassword;
use account::session::{SessionContext, SessionSettings, SessionSubject, SessionToken};
use account::user::{AuthIdentity, User};
use account::{AccountStore, AccountUnit};
use domain::StoreError;
use domain::doctor::Doctor;
use domain::id::{AgentId, ChallengeId, DoctorId, PatientId, SessionId, UserId};
use domain::page::PageRequest;
use domain::patient::Patient;
use domain::time::span;
use serde_json::json;

use crate::support::{Fixture, NOW, PHONE, object_id, on_each_database};

const HASH: &str = "$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc";

fn user(n: u32) -> User {
    User::new(UserId(object_id(n)), format!("user{n}"), NOW)
}

fn full_user() -> User {
    let auth_data = json!({"lc_weapp": {"openid": "o1"}, "_weixin_unionid": {"uid": "u1"}});
    User {
        email: Some("a@example.com".into()),
        phone: Some(PHONE.parse().unwrap()),
        is_phone_verified: true,
        password: Some(StoredPassword::parse(HASH).unwrap()),
        auth_data: auth_data.as_object().unwrap().clone(),
        acl: Some(json!({"*": {"read": true}})),
        extra: json!({"nickname": "芳"}).as_object().unwrap().clone(),
        ..user(1)
    }
}

fn agent(n: u32, role: AgentRole) -> Agent {
    Agent {
        id: AgentId(object_id(n)),
        username: format!("agent{n}"),
        display_name: "李伟".into(),
        role,
        password: StoredPassword::parse(HASH).unwrap(),
        is_enabled: true,
        created_at: NOW + Duration::from_millis(n.into()),
        updated_at: NOW,
        version: 1,
    }
}

/// Does something in a unit and commits it.
async fn within<T>(f: &Fixture, act: impl AsyncFnOnce(&mut dyn AccountUnit) -> T) -> T {
    let mut unit = f.store.begin().await.unwrap();
    let done = act(unit.as_mut()).await;
    unit.commit().await.unwrap();
    done
}

/// Does something in a unit that is dropped.
async fn undone<T>(f: &Fixture, act: impl AsyncFnOnce(&mut dyn AccountUnit) -> T) -> T {
    let mut unit = f.store.begin().await.unwrap();
    act(unit.as_mut()).await
}

#[tokio::test]
async fn users_are_found_by_everything_that_names_them() {
    on_each_database(async |f| {
        let written = full_user();
        within(f, async |unit| unit.users().insert(&written).await.unwrap()).await;
        within(f, async |unit| unit.users().insert(&user(2)).await.unwrap()).await;
        let mut unit = f.store.read();
        let users = unit.users();
        let by_openid = AuthIdentity { provider: "lc_weapp".into(), uid: "o1".into() };
        let other_app = AuthIdentity { provider: "other".into(), uid: "o1".into() };
        assert!(users.find(written.id).await.unwrap() == Some(written.clone()));
        assert!(users.find_by_phone(&PHONE.parse().unwrap()).await.unwrap() == Some(written.clone()));
        assert!(users.find_by_username("user1").await.unwrap() == Some(written.clone()));
        assert!(users.find_by_email("a@example.com").await.unwrap() == Some(written.clone()));
        assert!(users.find_by_identity(&by_openid).await.unwrap() == Some(written));
        assert!(users.find_by_identity(&other_app).await.unwrap().is_none());
        assert!(users.find(user(2).id).await.unwrap() == Some(user(2)));
    })
    .await;
}

#[tokio::test]
async fn names_numbers_addresses_and_identities_are_unique() {
    on_each_database(async |f| {
        let first = full_user();
        within(f, async |unit| unit.users().insert(&first).await.unwrap()).await;
        let clashes = [
            User { username: first.username.clone(), ..user(2) },
            User { phone: first.phone.clone(), ..user(2) },
            User { email: first.email.clone(), ..user(2) },
            User { auth_data: first.auth_data.clone(), ..user(2) },
        ];
        for clash in clashes {
            let refused = undone(f, async |unit| unit.users().insert(&clash).await).await;
            assert!(matches!(refused, Err(StoreError::Unique(_))), "{refused:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn an_update_needs_the_version_that_was_read_and_moves_the_identities() {
    on_each_database(async |f| {
        let read = full_user();
        within(f, async |unit| unit.users().insert(&read).await.unwrap()).await;
        let mut changed = read.clone();
        changed.auth_data = json!({"lc_weapp": {"openid": "o2"}}).as_object().unwrap().clone();
        within(f, async |unit| unit.users().update(&changed).await.unwrap()).await;
        let stale = undone(f, async |unit| unit.users().update(&changed).await).await;
        assert!(matches!(stale, Err(StoreError::Conflict)));
        let find = async |uid: &str| {
            let identity = AuthIdentity { provider: "lc_weapp".into(), uid: uid.into() };
            AccountStore::read(&f.store).users().find_by_identity(&identity).await.unwrap()
        };
        assert!(find("o1").await.is_none());
        assert_eq!(find("o2").await.map(|user| user.version), Some(2));
    })
    .await;
}

#[tokio::test]
async fn a_session_comes_with_the_profiles_or_the_role_of_its_subject() {
    on_each_database(async |f| {
        let (user, admin) = (user(1), agent(2, AgentRole::Admin));
        let token = |n: u32| SessionToken::shown(format!("token{n}"));
        let begin = |n: u32, subject| {
            let label = Some("小米".to_owned());
            SessionSettings::default().begin(SessionId(object_id(10 + n)), subject, &token(n), label, NOW)
        };
        let of_user = begin(1, SessionSubject::User(user.id));
        let of_admin = begin(2, SessionSubject::Agent(admin.id));
        let (patient, doctor) = (PatientId(object_id(3)), DoctorId(object_id(4)));
        within(f, async |unit| {
            unit.users().insert(&user).await.unwrap();
            unit.agents().insert(&admin).await.unwrap();
            unit.sessions().insert(&of_user).await.unwrap();
            unit.sessions().insert(&of_admin).await.unwrap();
        })
        .await;
        let find = async |n: u32| AccountStore::read(&f.store).sessions().find_active(&token(n).hash()).await.unwrap();
        let bare = SessionContext { session: of_user.clone(), patient: None, doctor: None, staff_role: None };
        assert_eq!(find(1).await, Some(bare.clone()));
        within(f, async |unit| {
            let linked = Patient { user_id: Some(user.id), ..Patient::new(patient, NOW) };
            unit.patients().insert(&linked).await.unwrap();
            let linked = Doctor { user_id: Some(user.id), ..Doctor::new(doctor, NOW) };
            unit.doctors().insert(&linked).await.unwrap();
        })
        .await;
        assert_eq!(find(1).await, Some(SessionContext { patient: Some(patient), doctor: Some(doctor), ..bare }));
        assert_eq!(find(2).await.and_then(|context| context.staff_role), Some(AgentRole::Admin));
        let disabled = Agent { is_enabled: false, ..admin };
        within(f, async |unit| unit.agents().update(&disabled).await.unwrap()).await;
        assert_eq!(find(2).await.and_then(|context| context.staff_role), None);
        assert_eq!(find(3).await, None);
    })
    .await;
}

#[tokio::test]
async fn sessions_are_listed_touched_revoked_and_purged() {
    on_each_database(async |f| {
        let subject = SessionSubject::User(user(1).id);
        let sessions: Vec<_> = (0..3)
            .map(|n| {
                let token = SessionToken::shown(format!("token{n}"));
                SessionSettings::default().begin(SessionId(object_id(n)), subject, &token, None, NOW)
            })
            .collect();
        let mut used = sessions[0].clone();
        used.last_seen_at = NOW + span::minutes(5);
        let listed = async || AccountStore::read(&f.store).sessions().list(subject, NOW).await.unwrap();
        within(f, async |unit| {
            for session in &sessions {
                unit.sessions().insert(session).await.unwrap();
            }
            unit.sessions().touch(&used).await.unwrap();
        })
        .await;
        assert_eq!(listed().await, [used.clone(), sessions[2].clone(), sessions[1].clone()], "last used first");
        let other = SessionSubject::User(user(2).id);
        within(f, async |unit| {
            let id = sessions[1].id;
            assert!(!unit.sessions().revoke(other, id, "kicked", NOW).await.unwrap(), "not theirs");
            assert!(unit.sessions().revoke(subject, id, "kicked", NOW).await.unwrap());
            assert!(!unit.sessions().revoke(subject, id, "kicked", NOW).await.unwrap(), "it is gone");
            assert_eq!(unit.sessions().revoke_all(subject, Some(used.id), NOW).await.unwrap(), 1);
        })
        .await;
        assert_eq!(listed().await, [used.clone()]);
        let late = AccountStore::read(&f.store).sessions().list(subject, used.expires_at).await.unwrap();
        assert!(late.is_empty(), "expired");
        within(f, async |unit| {
            assert_eq!(unit.sessions().purge(NOW).await.unwrap(), 0);
            assert_eq!(unit.sessions().purge(NOW + Duration::from_millis(1)).await.unwrap(), 2);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn agents_are_unique_paged_and_versioned() {
    on_each_database(async |f| {
        let agents: Vec<_> = (1..=3).map(|n| agent(n, AgentRole::Agent)).collect();
        within(f, async |unit| {
            for agent in &agents {
                unit.agents().insert(agent).await.unwrap();
            }
        })
        .await;
        let again = Agent { username: "agent1".into(), ..agent(4, AgentRole::Agent) };
        let refused = undone(f, async |unit| unit.agents().insert(&again).await).await;
        assert!(matches!(refused, Err(StoreError::Unique(_))));
        let mut unit = AccountStore::read(&f.store);
        assert_eq!(unit.agents().find_by_username("agent2").await.unwrap().as_ref(), Some(&agents[1]));
        let first = unit.agents().list(PageRequest { limit: 2, after: None }).await.unwrap();
        assert_eq!(first.items, [agents[2].clone(), agents[1].clone()]);
        let second = unit.agents().list(PageRequest { limit: 2, after: first.next }).await.unwrap();
        assert_eq!((second.items, second.next), (vec![agents[0].clone()], None));
        let stale = Agent { version: 2, ..agents[0].clone() };
        let refused = undone(f, async |unit| unit.agents().update(&stale).await).await;
        assert!(matches!(refused, Err(StoreError::Conflict)));
    })
    .await;
}

fn challenge(n: u32, is_findable_by_phone: bool) -> Challenge {
    Challenge {
        id: ChallengeId(object_id(n)),
        purpose: Purpose::Login,
        phone: PHONE.parse().unwrap(),
        code_hash: "ab".repeat(32),
        user: Some(user(1).id),
        device: Some("device".into()),
        address: "address".into(),
        is_findable_by_phone,
        tries_left: 2,
        created_at: NOW + Duration::from_millis(n.into()),
        expires_at: NOW + span::minutes(5),
        consumed_at: None,
    }
}

#[tokio::test]
async fn challenges_run_out_of_tries_time_and_use() {
    on_each_database(async |f| {
        let (findable, newer, hidden) = (challenge(1, true), challenge(2, true), challenge(3, false));
        let phone = PHONE.parse().unwrap();
        within(f, async |unit| {
            for challenge in [&findable, &newer, &hidden] {
                unit.challenges().insert(challenge).await.unwrap();
            }
            let challenges = unit.challenges();
            assert!(challenges.find(hidden.id).await.unwrap() == Some(hidden.clone()));
            assert!(challenges.find_newest(&phone, Purpose::Login).await.unwrap() == Some(newer.clone()));
            assert!(challenges.find_newest(&phone, Purpose::BindPhone).await.unwrap().is_none());
            let open = challenges.find_open(&phone, Purpose::Login, NOW).await.unwrap();
            assert!(open == [hidden.clone(), newer.clone(), findable.clone()], "newest first");
            assert!(challenges.find_open(&phone, Purpose::Login, hidden.expires_at).await.unwrap().is_empty());
            assert!(!challenges.take_try(hidden.id, hidden.expires_at).await.unwrap(), "expired");
            assert!(challenges.take_try(hidden.id, NOW).await.unwrap());
            assert!(challenges.take_try(hidden.id, NOW).await.unwrap());
            assert!(!challenges.take_try(hidden.id, NOW).await.unwrap(), "no tries left");
            assert!(challenges.consume(newer.id, NOW).await.unwrap());
            assert!(!challenges.consume(newer.id, NOW).await.unwrap(), "used");
            assert!(!challenges.take_try(newer.id, NOW).await.unwrap(), "used");
            let stored = challenges.find(newer.id).await.unwrap().unwrap();
            assert_eq!((stored.tries_left, stored.consumed_at), (2, Some(NOW)));
            assert_eq!(challenges.purge(findable.expires_at).await.unwrap(), 0);
            assert_eq!(challenges.purge(findable.expires_at + Duration::from_millis(1)).await.unwrap(), 3);
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn ledgers_and_guards_come_back_as_saved_and_in_the_order_asked() {
    on_each_database(async |f| {
        let keys = [LedgerKey::new(LedgerScope::Upload, "b"), LedgerKey::new(LedgerScope::SmsAddress, "a")];
        within(f, async |unit| {
            let mut ledgers = unit.counters().lock_ledgers(&keys).await.unwrap();
            assert!(ledgers.iter().zip(&keys).all(|(ledger, key)| ledger.key == *key && ledger.marks.is_empty()));
            ledgers[0].record(NOW, None, Duration::ZERO, span::hours(1));
            ledgers[1].record(NOW, Some("tag".into()), Duration::ZERO, span::hours(1));
            unit.counters().save_ledgers(&ledgers, NOW).await.unwrap();
            let missing = LedgerKey::all(LedgerScope::SmsAll);
            let asked = [keys[1].clone(), missing.clone(), keys[0].clone()];
            let peeked = unit.counters().peek_ledgers(&asked).await.unwrap();
            assert_eq!(peeked[0], ledgers[1]);
            assert_eq!((peeked[1].key.clone(), peeked[1].marks.len()), (missing, 0));
            assert_eq!(peeked[2], ledgers[0]);
        })
        .await;
        let key = GuardKey { scope: GuardScope::Phone, subject: "x".into() };
        let guard =
            Guard { failures: 7, locked_until: Some(NOW), last_failure_at: Some(NOW), ..Guard::open(key.clone()) };
        within(f, async |unit| {
            assert_eq!(unit.counters().lock_guard(&key).await.unwrap(), Guard::open(key.clone()));
            unit.counters().save_guard(&guard, NOW).await.unwrap();
        })
        .await;
        within(f, async |unit| {
            let later = NOW + span::days(2);
            let used = OneTime { id: "x".into(), expires_at: NOW };
            assert!(unit.counters().spend(&used).await.unwrap());
            assert_eq!(unit.counters().purge(later, later).await.unwrap(), 3, "two ledgers and the used id");
            assert_eq!(unit.counters().lock_guard(&key).await.unwrap(), guard, "failures are not forgotten");
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn idempotency_records_are_held_answered_and_expire() {
    on_each_database(async |f| {
        let scope = IdempotencyScope { actor: "integrator".into(), operation: "create".into(), key: "k".into() };
        let lease = NOW + span::minutes(1);
        let record = IdempotencyRecord {
            scope: scope.clone(),
            fingerprint: "f".into(),
            leased_until: lease,
            response: None,
            created_at: NOW,
            expires_at: NOW + span::hours(24),
        };
        let response =
            StoredResponse { status: 201, content_type: Some("application/json".into()), body: vec![0, 255, 10] };
        within(f, async |unit| {
            let keys = unit.idempotency();
            assert!(keys.insert_or_find(&record, NOW).await.unwrap().is_none());
            assert!(keys.insert_or_find(&record, NOW).await.unwrap() == Some(record.clone()));
            assert!(!keys.take_over(&scope, NOW, lease).await.unwrap(), "held until another time");
            let longer = lease + span::minutes(1);
            assert!(keys.take_over(&scope, lease, longer).await.unwrap());
            assert!(!keys.complete(&scope, lease, &response).await.unwrap(), "lost the lease");
            keys.release(&scope, lease).await.unwrap();
            assert!(keys.complete(&scope, longer, &response).await.unwrap());
            keys.release(&scope, longer).await.unwrap();
            let found = keys.insert_or_find(&record, NOW).await.unwrap().unwrap();
            assert!(found.response == Some(response.clone()));
            assert!(keys.insert_or_find(&record, record.expires_at).await.unwrap().is_none(), "expired: free again");
            keys.release(&scope, lease).await.unwrap();
            assert!(keys.insert_or_find(&record, NOW).await.unwrap().is_none(), "released: free again");
            assert_eq!(keys.purge(record.expires_at).await.unwrap(), 1);
        })
        .await;
    })
    .await;
}
