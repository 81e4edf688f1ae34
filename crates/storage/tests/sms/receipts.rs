//! Receipts and replies that are pushed.

use domain::audit::AuditFilter;
use domain::page::PageRequest;
use domain::rng::SecureRandom;
use domain::time::span;
use domain::{Actor, Clock};
use serde_json::{Value, json};
use sms::message::{MessageState, TemplateKind};
use sms::{ProviderName, SmsError, SmsStore};
use testkit::SeededRandom;
use testkit::sms::{At, Delivery, Fault};

use crate::support::{Fixture, PHONE, PRICE, admin, on_each_database};

async fn push(f: &Fixture, provider: ProviderName, rows: &[Value]) {
    f.inbox.accept(provider, json!(rows).to_string().as_bytes()).await.unwrap();
}

#[tokio::test]
async fn a_receipt_settles_its_message_and_its_cost() {
    on_each_database(async |f| {
        let id = f.send_code("k").await;
        let mut receipt = f.providers.receipts(At::Aliyun).remove(0);
        receipt["sms_size"] = json!("2");
        push(f, ProviderName::Aliyun, &[receipt]).await;
        assert_eq!(f.state(id).await, MessageState::Accepted, "stored first, looked at afterwards");
        assert_eq!(f.inbox.apply().await.unwrap(), 1);
        assert_eq!(f.state(id).await, MessageState::Delivered);
        assert_eq!(f.spent().await, 2 * PRICE, "two parts");
        assert_eq!(f.polls.run().await.unwrap(), 0, "and nobody asks for it any more");
    })
    .await;
}

#[tokio::test]
async fn receipts_of_others_are_not_ours() {
    on_each_database(async |f| {
        let id = f.send_code("k").await;
        let real = f.providers.receipts(At::Aliyun).remove(0);
        let with = |field: &str, value: &str| {
            let mut forged = real.clone();
            (forged["success"], forged["err_code"]) = (json!(false), json!("MOBILE_NOT_ON_SERVICE"));
            forged[field] = json!(value);
            forged
        };
        let forged = [with("phone_number", "13900000099"), with("biz_id", "1^0"), with("out_id", "made-up")];
        push(f, ProviderName::Aliyun, &forged).await;
        f.inbox.apply().await.unwrap();
        let at_another = json!({
            "mobile": PHONE, "nationcode": "86", "report_status": "FAIL", "errmsg": "x", "sid": real["biz_id"],
        });
        push(f, ProviderName::Tencent, &[at_another]).await;
        assert_eq!(f.inbox.apply().await.unwrap(), 0);
        f.clock.advance(span::minutes(11));
        assert_eq!(f.inbox.apply().await.unwrap(), 0, "also not later");
        assert!(f.attempts(id).await[0].receipt.is_none());
        assert_eq!(f.state(id).await, MessageState::Accepted);
    })
    .await;
}

#[tokio::test]
async fn a_forged_failure_never_makes_a_message_leave() {
    on_each_database(async |f| {
        f.providers.deliver(At::Aliyun, Delivery::Failed("NO_ROUTE".into()));
        // One that was accepted, and one whose fate is unknown when the receipt comes.
        let accepted = f.send_code("accepted").await;
        f.providers.fail(At::Aliyun, [Fault::LoseAnswer]);
        let unknown = f.send_code("unknown").await;
        push(f, ProviderName::Aliyun, &f.providers.receipts(At::Aliyun)).await;
        f.inbox.apply().await.unwrap();
        assert_eq!((f.state(accepted).await, f.state(unknown).await), (MessageState::Failed, MessageState::Failed));
        assert_eq!(f.spent().await, 0, "Aliyun bills what was delivered");
        f.reconcile_all().await;
        for _ in 0..5 {
            f.clock.advance(span::minutes(10));
            f.polls.run().await.unwrap();
        }
        assert_eq!((f.providers.submissions(At::Aliyun), f.providers.submissions(At::Tencent)), (2, 0));
    })
    .await;
}

#[tokio::test]
async fn the_first_final_state_wins_and_the_contradiction_is_audited() {
    on_each_database(async |f| {
        let id = f.send_code("k").await;
        let delivered = f.providers.receipts(At::Aliyun).remove(0);
        f.providers.deliver(At::Aliyun, Delivery::Failed("NO_ROUTE".into()));
        let failed = f.providers.receipts(At::Aliyun).remove(0);
        for receipt in [delivered, failed] {
            push(f, ProviderName::Aliyun, &[receipt]).await;
            f.inbox.apply().await.unwrap();
        }
        assert_eq!(f.state(id).await, MessageState::Delivered);
        let filter = AuditFilter { action: Some("sms.receipt_contradiction".into()), ..AuditFilter::default() };
        let audited = SmsStore::read(&f.store).audit().list(&filter, PageRequest::first()).await.unwrap();
        assert_eq!(audited.items[0].subject, format!("sms:{id}"));
    })
    .await;
}

#[tokio::test]
async fn a_receipt_may_be_faster_than_the_answer() {
    on_each_database(async |f| {
        f.providers.fail(At::Aliyun, [Fault::LoseAnswer]);
        let id = f.send_code("k").await;
        push(f, ProviderName::Aliyun, &f.providers.receipts(At::Aliyun)).await;
        f.inbox.apply().await.unwrap();
        assert_eq!(f.state(id).await, MessageState::Delivered);
        f.reconcile_all().await;
        assert_eq!(f.providers.accepted().len(), 1);
    })
    .await;
}

/// Messages and the receipts of one run.
const MESSAGES: u32 = 5_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_receipts_shuffled_and_doubled_converge() {
    on_each_database(async |f| {
        let expected = fill(f).await;
        let mut receipts: Vec<Value> = expected.iter().flat_map(|(r, _)| [r.clone(), r.clone()]).collect();
        shuffle(&mut receipts);
        assert_eq!(receipts.len(), 10_000);
        for (n, rows) in receipts.chunks(100).enumerate() {
            push(f, ProviderName::Aliyun, rows).await;
            if n % 7 == 0 {
                f.inbox.apply().await.unwrap();
            }
        }
        f.inbox.apply().await.unwrap();
        let mut unit = SmsStore::read(&f.store);
        for (receipt, state) in &expected {
            let key = receipt["biz_id"].as_str().unwrap();
            let message = unit.messages().find_by_key(key).await.unwrap().unwrap();
            assert_eq!(message.state, *state, "{key}");
        }
    })
    .await;
}

/// Accepted messages to different numbers, as rows, each with its receipt and the state it leads to.
async fn fill(f: &Fixture) -> Vec<(Value, MessageState)> {
    let mut expected = Vec::new();
    let template = f.send_code("template").await;
    let mut unit = SmsStore::begin(&f.store).await.unwrap();
    let message = unit.messages().find(template).await.unwrap().unwrap();
    let attempt = unit.messages().attempts(template).await.unwrap().remove(0);
    for n in 0..MESSAGES {
        let phone = format!("138{n:08}");
        let (id, biz_id) = (domain::id::SmsMessageId(f.context.ids.next()), format!("biz-{n}"));
        let mut message = message.clone();
        (message.id, message.idempotency_key) = (id, biz_id.clone());
        message.phone_hash = f.context.keys.phone_hash(&phone.parse().unwrap());
        let mut attempt = attempt.clone();
        (attempt.message_id, attempt.provider_id) = (id, Some(biz_id.clone()));
        attempt.phone_hash.clone_from(&message.phone_hash);
        unit.messages().insert(&message).await.unwrap();
        unit.messages().insert_attempt(&attempt).await.unwrap();
        let (is_delivered, code, state) = match n % 3 {
            0 => (false, "MOBILE_NOT_ON_SERVICE", MessageState::Failed),
            1 => (false, "NO_ROUTE", MessageState::Failed),
            _ => (true, "DELIVERED", MessageState::Delivered),
        };
        let receipt = json!({
            "phone_number": phone, "success": is_delivered, "err_code": code, "biz_id": biz_id, "sms_size": "1",
            "out_id": attempt.out_id(), "report_time": "2026-11-23 12:00:05",
        });
        expected.push((receipt, state));
    }
    unit.commit().await.unwrap();
    expected
}

fn shuffle(rows: &mut [Value]) {
    let random = SeededRandom::new(42);
    for n in (1..rows.len()).rev() {
        rows.swap(n, random.below(u32::try_from(n + 1).unwrap()) as usize);
    }
}

#[tokio::test]
async fn replies_are_kept_once_and_shown_to_administrators_only() {
    on_each_database(async |f| {
        let reply =
            json!({ "phone_number": "13900000001", "content": "好的谢谢", "dest_code": "1069", "sequence_id": "1" });
        push(f, ProviderName::Aliyun, &[reply.clone(), reply]).await;
        let listed = f.oversight.replies(&admin(), PageRequest::first()).await.unwrap().items;
        assert_eq!((listed.len(), listed[0].phone_masked.as_str()), (1, "139****0001"));
        let shown = f.oversight.reveal_reply(&admin(), listed[0].id).await.unwrap();
        assert_eq!((shown.text.as_deref(), shown.phone.unwrap().national()), (Some("好的谢谢"), "13900000001"));
        let refused = f.oversight.replies(&Actor::App, PageRequest::first()).await;
        assert!(matches!(refused, Err(SmsError::Access(_))));
        let unreadable = f.inbox.accept(ProviderName::Aliyun, b"{").await;
        assert!(matches!(unreadable, Err(SmsError::MalformedCallback)));
    })
    .await;
}

#[tokio::test]
async fn old_receipts_and_messages_are_forgotten() {
    on_each_database(async |f| {
        let id = f.send_code("k").await;
        push(f, ProviderName::Aliyun, &f.providers.receipts(At::Aliyun)).await;
        f.inbox.apply().await.unwrap();
        f.clock.advance(span::minutes(5));
        f.polls.run().await.unwrap();
        let mut unit = SmsStore::read(&f.store);
        assert!(unit.messages().find(id).await.unwrap().unwrap().sealed_params.is_none(), "the code is gone");
        f.clock.advance(span::days(181));
        f.polls.purge().await.unwrap();
        assert!(unit.messages().find(id).await.unwrap().is_none());
        let since = f.clock.now() - span::days(365);
        assert_eq!(unit.messages().count_to("x", Some(TemplateKind::Code), since).await.unwrap(), 0);
        assert!(unit.messages().provider_counts(since).await.unwrap().is_empty());
    })
    .await;
}
