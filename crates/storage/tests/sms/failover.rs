//! Failing over without sending twice.

use domain::time::span;
use std::time::Duration;

use domain::Clock;
use domain::sms::{SmsGateway, SmsResend};
use sms::breaker::{BreakerState, FAILURES_TO_OPEN};
use sms::message::{AttemptState, MessageState, TemplateKind};
use sms::{ProviderName, SmsError};
use testkit::sms::{At, Delivery, Fault};

use crate::support::{CODE, PHONE, PRICE, is_not_sent, on_each_database, with_providers};

#[tokio::test]
async fn a_code_leaves_once_and_nothing_readable_stays() {
    on_each_database(async |f| {
        let id = f.send_code("k").await;
        let accepted = f.providers.accepted();
        assert_eq!((accepted.len(), accepted[0].at), (1, At::Aliyun));
        assert_eq!((accepted[0].phone.as_str(), accepted[0].params.as_slice()), (PHONE, [CODE.to_owned()].as_slice()));
        assert_eq!(f.state(id).await, MessageState::Accepted);
        for file in f.database_files() {
            let bytes = std::fs::read(file).unwrap();
            let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            assert!(!holds(PHONE) && !holds(CODE), "neither number nor code are readable in the database");
        }
        assert_eq!(f.send_code("k").await, id, "the same key is not sent again");
        assert_eq!(f.providers.submissions(At::Aliyun), 1);
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_was_lost_after_acceptance_means_one_message() {
    for (first, at) in [(ProviderName::Aliyun, At::Aliyun), (ProviderName::Tencent, At::Tencent)] {
        let second = if at == At::Aliyun { ProviderName::Tencent } else { ProviderName::Aliyun };
        with_providers(&[first, second], async |f| {
            for (key, fault) in [("a", Fault::LoseAnswer), ("b", Fault::HalfAnswer)] {
                f.providers.fail(at, [fault]);
                let id = f.send_code(key).await;
                assert_eq!(f.state(id).await, MessageState::Unknown);
                f.reconcile_all().await;
                assert_eq!(f.state(id).await, MessageState::Delivered);
                let attempts = f.attempts(id).await;
                assert_eq!((attempts.len(), attempts[0].state), (1, AttemptState::Accepted));
            }
            assert_eq!(f.providers.accepted().len(), 2, "one for each");
        })
        .await;
    }
}

#[tokio::test]
async fn a_request_that_was_lost_goes_another_way_after_ten_seconds() {
    on_each_database(async |f| {
        for (key, fault) in [("a", Fault::LoseRequest), ("b", Fault::Bare(502))] {
            let sent_at = f.clock.now();
            f.providers.fail(At::Aliyun, [fault]);
            let id = f.send_code(key).await;
            f.reconcile_all().await;
            assert_eq!(f.clock.now().since(sent_at), Duration::from_secs(10));
            let attempts = f.attempts(id).await;
            let states: Vec<_> = attempts.iter().map(|a| (a.provider, a.state)).collect();
            let expected =
                [(ProviderName::Aliyun, AttemptState::Absent), (ProviderName::Tencent, AttemptState::Accepted)];
            assert_eq!(states, expected);
            assert_eq!(f.state(id).await, MessageState::Accepted);
        }
        assert_eq!(f.providers.accepted().len(), 2);
        assert_eq!(f.spent().await, 2 * PRICE, "what was not found costs nothing");
    })
    .await;
}

#[tokio::test]
async fn at_most_two_submissions_may_have_produced_a_message() {
    on_each_database(async |f| {
        f.providers.fail(At::Aliyun, [Fault::LoseRequest]);
        f.providers.fail(At::Tencent, [Fault::LoseRequest]);
        let id = f.send_code("k").await;
        f.reconcile_all().await;
        assert_eq!(f.attempts(id).await.len(), 2);
        assert_eq!(f.state(id).await, MessageState::Rejected);
    })
    .await;
}

#[tokio::test]
async fn while_the_provider_cannot_be_asked_nothing_is_sent_again() {
    on_each_database(async |f| {
        f.providers.fail(At::Aliyun, [Fault::LoseAnswer]);
        f.providers.be_deaf(At::Aliyun, true);
        let id = f.send_code("k").await;
        f.reconcile_all().await;
        assert_eq!(f.state(id).await, MessageState::Unknown);
        assert_eq!(f.providers.accepted().len(), 1);
        f.providers.be_deaf(At::Aliyun, false);
        f.clock.advance(span::minutes(1));
        f.polls.run().await.unwrap();
        assert_eq!(f.state(id).await, MessageState::Delivered, "a poll finds it later");
    })
    .await;
}

#[tokio::test]
async fn a_code_that_is_of_no_use_any_more_does_not_fail_over() {
    on_each_database(async |f| {
        f.providers.fail(At::Aliyun, [Fault::LoseRequest]);
        let mut draft = f.code("k");
        draft.useful_until = f.clock.now() + Duration::from_secs(5);
        let id = f.dispatcher.dispatch(&draft).await.unwrap();
        f.reconcile_all().await;
        assert_eq!((f.state(id).await, f.providers.accepted().len()), (MessageState::Rejected, 0));
    })
    .await;
}

#[tokio::test]
async fn asked_for_again_the_same_code_goes_the_other_way() {
    on_each_database(async |f| {
        f.send_code("thread").await;
        for n in 1..=3 {
            f.clock.advance(span::minutes(1));
            let resend = SmsResend { thread: "thread".into(), idempotency_key: format!("thread:{n}"), origin: None };
            assert!(f.dispatcher.resend(resend).await.unwrap());
        }
        let accepted = f.providers.accepted();
        let ways: Vec<At> = accepted.iter().map(|m| m.at).collect();
        assert_eq!(ways, [At::Aliyun, At::Tencent, At::Aliyun, At::Tencent]);
        assert!(accepted.iter().all(|m| m.params.contains(&CODE.to_owned())), "the same code");
        f.clock.advance(span::minutes(5));
        let late = SmsResend { thread: "thread".into(), idempotency_key: "late".into(), origin: None };
        assert!(!f.dispatcher.resend(late).await.unwrap(), "it is not kept any longer than it is of use");
    })
    .await;
}

#[tokio::test]
async fn a_provider_that_cannot_be_reached_is_passed_over() {
    on_each_database(async |f| {
        f.providers.fail(At::Aliyun, vec![Fault::Code("isp.SYSTEM_ERROR".into()); 20]);
        for n in 0..FAILURES_TO_OPEN {
            f.send_code(&format!("k{n}")).await;
        }
        assert_eq!(f.breaker(ProviderName::Aliyun, TemplateKind::Code).await, BreakerState::Open);
        assert_eq!(f.breaker(ProviderName::Aliyun, TemplateKind::Notice).await, BreakerState::Closed);
        let before = f.providers.submissions(At::Aliyun);
        f.send_code("passed over").await;
        assert_eq!(f.providers.submissions(At::Aliyun), before);
        f.clock.advance(span::minutes(2));
        f.send_code("tries it").await;
        f.send_code("does not").await;
        assert_eq!(f.providers.submissions(At::Aliyun), before + 1, "one message tries it");
        assert_eq!(f.breaker(ProviderName::Aliyun, TemplateKind::Code).await, BreakerState::Open);
    })
    .await;
}

#[tokio::test]
async fn the_last_provider_that_works_is_never_left_alone() {
    with_providers(&[ProviderName::Aliyun], async |f| {
        f.providers.fail(At::Aliyun, vec![Fault::Code("isv.AMOUNT_NOT_ENOUGH".into()); 9]);
        for n in 0..9 {
            assert!(is_not_sent(&f.dispatcher.dispatch(&f.code(&format!("k{n}"))).await));
        }
        assert_eq!(f.breaker(ProviderName::Aliyun, TemplateKind::Code).await, BreakerState::Closed);
        f.send_code("works again").await;
    })
    .await;
}

#[tokio::test]
async fn the_budget_stops_notices_before_codes() {
    on_each_database(async |f| {
        let fill = |n: i64| async move {
            let mut unit = sms::SmsStore::begin(&f.store).await.unwrap();
            let day = f.oversight.budget(&crate::support::admin()).await.unwrap().day;
            unit.spending().reserve(&day, n * PRICE, i64::MAX).await.unwrap();
            unit.commit().await.unwrap();
        };
        fill(899).await;
        f.dispatcher.dispatch(&f.notice("n1")).await.unwrap();
        let refused = f.dispatcher.dispatch(&f.notice("n2")).await;
        assert!(matches!(refused, Err(SmsError::OverBudget)));
        f.send_code("c1").await;
        fill(99).await;
        assert!(matches!(f.dispatcher.dispatch(&f.code("c2")).await, Err(SmsError::OverBudget)));
        f.clock.advance(span::hours(24));
        f.send_code("c3").await;
    })
    .await;
}

#[tokio::test]
async fn a_number_gets_a_limited_number_of_notices() {
    on_each_database(async |f| {
        for n in 0..10 {
            f.dispatcher.dispatch(&f.notice(&format!("n{n}"))).await.unwrap();
        }
        assert!(matches!(f.dispatcher.dispatch(&f.notice("one more")).await, Err(SmsError::TooMany)));
        f.send_code("codes do").await;
        assert_eq!(f.providers.accepted().len(), 11);
    })
    .await;
}

#[tokio::test]
async fn both_providers_limits_are_failed_over_once() {
    on_each_database(async |f| {
        f.providers.enforce_limits(At::Aliyun);
        f.providers.deliver(At::Aliyun, Delivery::Silent);
        f.send_code("first").await;
        f.clock.advance(Duration::from_secs(30));
        f.send_code("second").await;
        let ways: Vec<At> = f.providers.accepted().iter().map(|m| m.at).collect();
        assert_eq!(ways, [At::Aliyun, At::Tencent]);
    })
    .await;
}
