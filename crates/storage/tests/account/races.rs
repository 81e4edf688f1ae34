//! Many at once: what may happen once happens once.

use account::agent::AgentRole;
use account::challenge::{ChallengeRef, Origin};
use account::codes::CodeRequest;
use account::counter::{GuardKey, GuardScope, OneTime};
use account::idempotency::IdempotencyStart;
use account::password::Password;
use account::sign_in::{Role, SignedIn, SmsSignIn};
use account::staff::{AgentSignIn, NewAgent};
use account::{AccountError, AccountKeys, AccountStore};
use domain::Actor;
use domain::page::PageRequest;
use futures_util::future::join_all;

use crate::support::{Fixture, NOW, PHONE, exempt, on_each_database};

async fn answer(f: &Fixture, challenge: &ChallengeRef, code: &str) -> Result<SignedIn, AccountError> {
    let request = SmsSignIn {
        challenge: challenge.clone(),
        code: code.to_owned(),
        role: Some(Role::Patient),
        device_label: None,
        origin: exempt(),
    };
    f.accounts.sign_in_with_sms(&Actor::App, request).await
}

async fn issue(f: &Fixture) -> ChallengeRef {
    let issued = f.accounts.request_code(&Actor::App, Fixture::code_request(PHONE)).await.unwrap();
    ChallengeRef::Id(issued.id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_requests_for_one_number_send_one_code() {
    on_each_database(async |f| {
        let asked = (0..100).map(|_| f.accounts.request_code(&Actor::App, Fixture::code_request(PHONE)));
        let results = join_all(asked).await;
        let sent = results.iter().filter(|r| r.is_ok()).count();
        let refused = results.iter().filter(|r| matches!(r, Err(AccountError::TooManyCodes { .. }))).count();
        assert_eq!((sent, refused, f.sms.count()), (1, 99, 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_one_address_for_many_numbers_stay_within_its_limit() {
    on_each_database(async |f| {
        let tasks: Vec<_> = (0..40).map(|_| f.accounts.captcha_task()).collect();
        let asked = tasks.iter().enumerate().map(|(i, task)| {
            let challenge = task.params["challenge"].as_str().unwrap();
            let origin = Origin { address: "192.0.2.1".parse().unwrap(), device: None };
            let captcha = Some(format!("{challenge}:0"));
            let request = CodeRequest { origin, captcha, ..Fixture::code_request(&format!("139000000{i:02}")) };
            f.accounts.request_code(&Actor::App, request)
        });
        let sent = join_all(asked).await.iter().filter(|r| r.is_ok()).count();
        assert_eq!((sent, f.sms.count()), (5, 5), "five different numbers an hour");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_answers_with_one_right_code_sign_in_once() {
    on_each_database(async |f| {
        let challenge = issue(f).await;
        let code = f.sms.last_code();
        let results = join_all((0..50).map(|_| answer(f, &challenge, &code))).await;
        let signed: Vec<_> = results.iter().filter_map(|r| r.as_ref().ok()).collect();
        let refused = results.iter().filter(|r| matches!(r, Err(AccountError::CodeNotAccepted))).count();
        assert_eq!((signed.len(), refused), (1, 49));
        let resolved = f.accounts.resolve(&signed[0].session.token).await.unwrap().unwrap();
        assert_eq!(resolved.actor.patient(), signed[0].patient);
        assert_eq!(f.accounts.list_sessions(&resolved.actor).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_wrong_answers_count_as_the_five_that_were_allowed() {
    on_each_database(async |f| {
        let challenge = issue(f).await;
        let wrong = if f.sms.last_code() == "000000" { "000001" } else { "000000" };
        let results = join_all((0..40).map(|_| answer(f, &challenge, wrong))).await;
        assert!(results.iter().all(|r| matches!(r, Err(AccountError::CodeNotAccepted))));
        assert!(answer(f, &challenge, &f.sms.last_code()).await.is_err(), "the challenge is dead");
        let phone = PHONE.parse().unwrap();
        let subject = AccountKeys::derive(&[7; 32]).unwrap().phone_index(&phone);
        let mut unit = f.store.begin().await.unwrap();
        let guard = unit.counters().lock_guard(&GuardKey { scope: GuardScope::Phone, subject }).await.unwrap();
        assert_eq!(guard.failures, 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_devices_signing_in_for_the_first_time_make_one_account() {
    on_each_database(async |f| {
        let by_phone = ChallengeRef::Phone(PHONE.parse().unwrap());
        let findable = CodeRequest { is_findable_by_phone: true, ..Fixture::code_request(PHONE) };
        f.accounts.request_code(&Actor::App, findable).await.unwrap();
        let code = f.sms.last_code();
        let results = join_all((0..10).map(|_| answer(f, &by_phone, &code))).await;
        assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_once_is_used_once() {
    on_each_database(async |f| {
        let spent = join_all((0..20).map(async |_| {
            let mut unit = f.store.begin().await.unwrap();
            let one_time = OneTime { id: "captcha:x".into(), expires_at: NOW };
            let is_first = unit.counters().spend(&one_time).await.unwrap();
            unit.commit().await.unwrap();
            is_first
        }));
        assert_eq!(spent.await.into_iter().filter(|is_first| *is_first).count(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_guesses_at_once_cannot_slip_under_the_throttle() {
    on_each_database(async |f| {
        f.accounts.create_admin(&Actor::System, "root", "管理员").await.unwrap();
        let guesses = (0..30).map(|i| {
            let request = AgentSignIn {
                username: "root".into(),
                password: Password::typed(format!("guess {i}")),
                device_label: None,
                origin: exempt(),
            };
            f.accounts.sign_in_agent(&Actor::Nobody, request)
        });
        let results = join_all(guesses).await;
        let looked_at = results.iter().filter(|r| matches!(r, Err(AccountError::SignInFailed))).count();
        let held_back = results.iter().filter(|r| matches!(r, Err(AccountError::SignInThrottled { .. }))).count();
        assert_eq!((looked_at, held_back), (5, 25));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn administrators_cannot_all_disable_one_another() {
    on_each_database(async |f| {
        let mut admins = vec![f.accounts.create_admin(&Actor::System, "admin0", "x").await.unwrap().agent.id];
        for i in 1..4 {
            let new = NewAgent { username: format!("admin{i}"), display_name: "x".into(), role: AgentRole::Admin };
            admins.push(f.accounts.create_agent(&Actor::Admin(admins[0]), new).await.unwrap().agent.id);
        }
        let disabled = admins.iter().map(|id| f.accounts.set_agent_enabled(&Actor::System, *id, false));
        assert!(join_all(disabled).await.iter().all(Result::is_err), "only administrators may");
        let by = Actor::Admin(admins[0]);
        let disabled = join_all(admins.iter().map(|id| f.accounts.set_agent_enabled(&by, *id, false))).await;
        assert_eq!(disabled.iter().filter(|r| r.is_ok()).count(), 3);
        assert_eq!(disabled.iter().filter(|r| matches!(r, Err(AccountError::LastAdmin))).count(), 1);
        let left = f.accounts.list_agents(&by, PageRequest::first()).await.unwrap().items;
        assert_eq!(left.iter().filter(|agent| agent.is_enabled).count(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_equal_requests_does_the_work() {
    on_each_database(async |f| {
        let started =
            join_all((0..20).map(|_| f.accounts.start_idempotent(&Actor::Integrator, "create", "key", "asked"))).await;
        let at_work = started.iter().filter(|r| matches!(r, Ok(IdempotencyStart::Work(_)))).count();
        let in_progress =
            started.iter().filter(|r| matches!(r, Err(AccountError::IdempotencyInProgress { .. }))).count();
        assert_eq!((at_work, in_progress), (1, 19));
    })
    .await;
}
