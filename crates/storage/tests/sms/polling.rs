//! Asking for receipts, picking up what was left, and watching deliveries.

use std::time::Duration;

use domain::Clock;
use domain::time::span;
use sms::breaker::BreakerState;
use sms::message::{AttemptState, MessageState, TemplateKind};
use sms::{ProviderName, SmsStore};
use testkit::sms::{At, Delivery};

use crate::support::{on_each_database, with_providers};

#[tokio::test]
async fn receipts_that_are_not_pushed_are_asked_for() {
    for (provider, at) in [(ProviderName::Aliyun, At::Aliyun), (ProviderName::Tencent, At::Tencent)] {
        with_providers(&[provider], async |f| {
            let id = f.send_code("k").await;
            assert_eq!(f.polls.run().await.unwrap(), 0, "not at once");
            f.clock.advance(Duration::from_secs(30));
            f.providers.deliver(at, Delivery::Silent);
            assert_eq!(f.polls.run().await.unwrap(), 1);
            assert_eq!(f.state(id).await, MessageState::Accepted);
            f.providers.deliver(at, Delivery::Delivered);
            f.clock.advance(span::minutes(2));
            assert_eq!(f.polls.run().await.unwrap(), 1);
            assert_eq!(f.state(id).await, MessageState::Delivered);
            f.clock.advance(span::hours(1));
            assert_eq!(f.polls.run().await.unwrap(), 0);
        })
        .await;
    }
}

#[tokio::test]
async fn a_message_without_a_receipt_expires_after_three_days() {
    on_each_database(async |f| {
        f.providers.deliver(At::Aliyun, Delivery::Silent);
        let id = f.send_code("k").await;
        let mut asked = 0;
        for _ in 0..80 {
            f.clock.advance(span::hours(1));
            asked += f.polls.run().await.unwrap();
        }
        assert_eq!((asked, f.state(id).await), (7, MessageState::Expired));
        assert_eq!(f.providers.accepted().len(), 1, "and nothing was sent again");
    })
    .await;
}

#[tokio::test]
async fn what_a_process_left_when_it_ended_is_looked_for() {
    on_each_database(async |f| {
        let id = f.send_code("k").await;
        let mut unit = SmsStore::begin(&f.store).await.unwrap();
        let mut message = unit.messages().find_locked(id).await.unwrap().unwrap();
        let mut attempt = unit.messages().attempts(id).await.unwrap().remove(0);
        message.state = MessageState::Submitting;
        (attempt.state, attempt.provider_id, attempt.next_poll_at) = (AttemptState::Submitting, None, None);
        unit.messages().update(&message).await.unwrap();
        unit.messages().update_attempt(&attempt).await.unwrap();
        unit.commit().await.unwrap();
        f.clock.advance(span::minutes(2));
        f.polls.run().await.unwrap();
        assert_eq!(f.state(id).await, MessageState::Unknown);
        f.reconcile_all().await;
        assert_eq!((f.state(id).await, f.providers.accepted().len()), (MessageState::Delivered, 1));
    })
    .await;
}

#[tokio::test]
async fn a_provider_that_delivers_too_little_is_left_alone_for_a_while() {
    on_each_database(async |f| {
        for n in 0..50 {
            f.send_code(&format!("k{n}")).await;
        }
        let mut failing = 0;
        let mut unit = SmsStore::begin(&f.store).await.unwrap();
        for n in 0..50 {
            let id = unit.messages().find_by_key(&format!("k{n}")).await.unwrap().unwrap().id;
            let mut attempt = unit.messages().attempts(id).await.unwrap().remove(0);
            let class = if n < 16 { sms::class::ErrorClass::Route } else { sms::class::ErrorClass::Delivered };
            failing += u32::from(n < 16);
            let report = sms::provider::Report { class, code: "x".into(), at: Some(f.clock.now()), segments: None };
            assert!(attempt.report(&report, f.clock.now()));
            unit.messages().update_attempt(&attempt).await.unwrap();
        }
        unit.commit().await.unwrap();
        f.clock.advance(span::minutes(4));
        f.polls.run().await.unwrap();
        assert_eq!(failing, 16);
        assert_eq!(f.breaker(ProviderName::Aliyun, TemplateKind::Code).await, BreakerState::Open, "32 % failed");
        assert_eq!(f.breaker(ProviderName::Aliyun, TemplateKind::Notice).await, BreakerState::Closed);
        f.send_code("another way").await;
        assert_eq!(f.providers.accepted().last().unwrap().at, At::Tencent);
        f.clock.advance(span::minutes(5));
        f.send_code("tries it").await;
        f.clock.advance(span::minutes(4));
        f.polls.run().await.unwrap();
        assert_eq!(
            f.breaker(ProviderName::Aliyun, TemplateKind::Code).await,
            BreakerState::Closed,
            "what was judged before is not judged again"
        );
    })
    .await;
}
