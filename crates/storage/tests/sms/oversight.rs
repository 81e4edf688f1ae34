//! What administrators see and do.

use domain::audit::AuditFilter;
use domain::page::PageRequest;
use domain::{Actor, Coded};
use sms::breaker::BreakerState;
use sms::message::{MessageState, TemplateKind};
use sms::oversight::{LogQuery, TestMessage};
use sms::{ProviderName, SmsError, SmsStore};
use testkit::sms::{At, Fault};

use crate::support::{Fixture, PHONE, PRICE, admin, on_each_database};

async fn audited(f: &Fixture, action: &str) -> usize {
    let filter = AuditFilter { action: Some(action.into()), ..AuditFilter::default() };
    SmsStore::read(&f.store).audit().list(&filter, PageRequest::first()).await.unwrap().items.len()
}

#[tokio::test]
async fn the_log_is_masked_and_revealing_is_audited() {
    on_each_database(async |f| {
        let id = f.send_code("k").await;
        f.dispatcher.dispatch(&f.notice("n")).await.unwrap();
        let all = f.oversight.messages(&admin(), LogQuery::default(), PageRequest::first()).await.unwrap().items;
        assert_eq!((all.len(), all[0].phone_masked.as_str()), (2, "139****0001"));
        let of = |phone: &str, state| LogQuery {
            phone: Some(phone.parse().unwrap()),
            state: Some(state),
            kind: Some(TemplateKind::Code),
        };
        for (query, count) in [
            (of(PHONE, MessageState::Accepted), 1),
            (of("13900000002", MessageState::Accepted), 0),
            (of(PHONE, MessageState::Failed), 0),
        ] {
            let found = f.oversight.messages(&admin(), query, PageRequest::first()).await.unwrap();
            assert_eq!(found.items.len(), count);
        }
        let (_, attempts) = f.oversight.message(&admin(), id).await.unwrap();
        assert_eq!((attempts[0].provider, attempts[0].cost_milliyuan), (ProviderName::Aliyun, PRICE));
        assert_eq!(f.oversight.reveal(&admin(), id).await.unwrap().unwrap().national(), PHONE);
        assert_eq!(audited(f, "sms.reveal").await, 1);
    })
    .await;
}

#[tokio::test]
async fn nobody_else_sees_anything() {
    on_each_database(async |f| {
        let id = f.send_code("k").await;
        let test = TestMessage { phone: PHONE.parse().unwrap(), template: "new_message".into(), provider: None };
        for actor in [Actor::Nobody, Actor::App, Actor::Integrator, Actor::System] {
            let page = PageRequest::first();
            let refusals = [
                f.oversight.messages(&actor, LogQuery::default(), page).await.err(),
                f.oversight.message(&actor, id).await.err(),
                f.oversight.reveal(&actor, id).await.err(),
                f.oversight.replies(&actor, page).await.err(),
                f.oversight.health(&actor).await.err(),
                f.oversight.budget(&actor).await.err(),
                f.oversight.send_test(&actor, test.clone()).await.err(),
            ];
            assert!(refusals.iter().all(|e| matches!(e, Some(SmsError::Access(_)))), "{actor:?}");
        }
        assert_eq!(f.providers.accepted().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn health_and_budget_tell_what_happened() {
    on_each_database(async |f| {
        f.providers.fail(At::Aliyun, [Fault::Code("isv.AMOUNT_NOT_ENOUGH".into())]);
        f.send_code("k").await;
        let ways = f.oversight.health(&admin()).await.unwrap();
        let way = |name, kind| ways.iter().find(|w| w.breaker.provider == name && w.breaker.kind == kind).unwrap();
        let aliyun = way(ProviderName::Aliyun, TemplateKind::Code);
        assert_eq!((aliyun.breaker.state, aliyun.count.unwrap().refused), (BreakerState::Open, 1));
        assert_eq!(aliyun.breaker.reason.as_deref(), Some("isv.AMOUNT_NOT_ENOUGH"));
        let tencent = way(ProviderName::Tencent, TemplateKind::Code);
        assert_eq!((tencent.count.unwrap().accepted, tencent.count.unwrap().cost_milliyuan), (1, PRICE));
        let budget = f.oversight.budget(&admin()).await.unwrap();
        assert_eq!((budget.spent_milliyuan, budget.budget_milliyuan), (PRICE, 1_000 * PRICE));
    })
    .await;
}

#[tokio::test]
async fn a_test_message_goes_the_way_it_is_to_try() {
    on_each_database(async |f| {
        let test = |template: &str, provider| TestMessage {
            phone: PHONE.parse().unwrap(),
            template: template.into(),
            provider,
        };
        let id = f.oversight.send_test(&admin(), test("new_message", Some(ProviderName::Tencent))).await.unwrap();
        assert_eq!(f.state(id).await, MessageState::Accepted);
        assert_eq!(f.providers.accepted()[0].at, At::Tencent);
        f.oversight.send_test(&admin(), test("login_code", None)).await.unwrap();
        assert_eq!(audited(f, "sms.send_test").await, 2);
        for wrong in [test("of_mine", None), test("new_message", Some(ProviderName::Log))] {
            let refused = f.oversight.send_test(&admin(), wrong).await.unwrap_err();
            assert_eq!(refused.code(), "request.invalid");
        }
        f.providers.fail(At::Tencent, [Fault::Code("FailedOperation.PhoneNumberInBlacklist".into())]);
        let refused = f.oversight.send_test(&admin(), test("new_message", Some(ProviderName::Tencent))).await;
        assert!(matches!(refused, Err(SmsError::Refused)));
    })
    .await;
}
