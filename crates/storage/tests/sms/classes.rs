//! Every code of the table drives the action of its class, through real requests.

use std::time::Duration;

use domain::time::span;
use serde_json::{Value, json};
use sms::breaker::BreakerState;
use sms::class::{ErrorClass, Stage, listed};
use sms::message::{MessageState, TemplateKind};
use sms::reaction::is_about_keys;
use sms::{Draft, ProviderName};
use testkit::sms::{At, Fault};

use crate::support::{Fixture, with_providers};

/// What a class is to drive at the first provider, when that always answers so.
struct Driven {
    /// Submissions there.
    here: u32,
    /// Submissions at the other.
    elsewhere: u32,
    state: MessageState,
    opens: bool,
}

fn driven(class: ErrorClass, kind: TemplateKind) -> Driven {
    let (here, elsewhere, opens) = match (class, kind) {
        (ErrorClass::Config | ErrorClass::Account, _) => (1, 1, true),
        (ErrorClass::Clock | ErrorClass::Resign | ErrorClass::Throttle, _)
        | (ErrorClass::Transient, TemplateKind::Notice) => (2, 1, false),
        // An unknown one is looked for at 2, 5 and 10 s, not found, and failed over once.
        (ErrorClass::Transient | ErrorClass::Content, TemplateKind::Code)
        | (ErrorClass::UserLimit | ErrorClass::Unknown, _) => (1, 1, false),
        (ErrorClass::Request | ErrorClass::Recipient, _) | (ErrorClass::Content, TemplateKind::Notice) => (1, 0, false),
        (ErrorClass::PerRecipient | ErrorClass::Route | ErrorClass::Pending | ErrorClass::Delivered, _) => {
            panic!("{class:?} is no answer to a submission")
        }
    };
    let state = if elsewhere == 0 { MessageState::Rejected } else { MessageState::Accepted };
    Driven { here, elsewhere, state, opens }
}

async fn check(f: &Fixture, provider: ProviderName, code: &str, class: ErrorClass, kind: TemplateKind) {
    let (at, other) =
        if provider == ProviderName::Aliyun { (At::Aliyun, At::Tencent) } else { (At::Tencent, At::Aliyun) };
    // A day later nothing of the code before is left in counters, breakers or limits.
    f.clock.advance(span::hours(25));
    f.send_code_elsewhere_closed(provider).await;
    let before = (f.providers.submissions(at), f.providers.submissions(other));
    let name = format!("{}/{code}/{}", provider.as_str(), kind.as_str());
    let expected = driven(class, kind);
    f.providers.fail(at, vec![Fault::Code(code.to_owned()); expected.here as usize]);
    let draft = if kind == TemplateKind::Code { f.code(&name) } else { f.notice(&name) };
    let sent = f.dispatcher.dispatch(&draft).await;
    assert_eq!(sent.is_ok(), expected.state == MessageState::Accepted, "{name}");
    f.reconcile_all().await;
    let id = f.message_under(&name).await;
    let after = (f.providers.submissions(at), f.providers.submissions(other));
    let driven = (after.0 - before.0, after.1 - before.1, f.state(id).await);
    assert_eq!(driven, (expected.here, expected.elsewhere, expected.state), "{name}");
    let of_kind = f.breaker(provider, kind).await;
    assert_eq!(of_kind == BreakerState::Open, expected.opens, "{name}");
    if expected.opens {
        let other_kind = if kind == TemplateKind::Code { TemplateKind::Notice } else { TemplateKind::Code };
        let is_for_all = class == ErrorClass::Account || is_about_keys(code);
        assert_eq!(f.breaker(provider, other_kind).await == BreakerState::Open, is_for_all, "{name}");
    }
}

impl Fixture {
    /// Closes the breakers of a provider by messages that it accepts.
    async fn send_code_elsewhere_closed(&self, provider: ProviderName) {
        for draft in [self.code("c"), self.notice("n")] {
            let key = format!("{}{}", draft.idempotency_key, self.context.ids.next());
            let draft = Draft { only: Some(provider), idempotency_key: key.clone(), thread: key, ..draft };
            self.dispatcher.dispatch(&draft).await.unwrap();
        }
        for kind in TemplateKind::ALL {
            assert_eq!(self.breaker(provider, kind).await, BreakerState::Closed);
        }
        self.clock.advance(span::minutes(2));
    }
}

async fn all_codes_of(provider: ProviderName, other: ProviderName) {
    with_providers(&[provider, other], async |f| {
        for (code, class) in listed(provider, Stage::Submit) {
            for kind in TemplateKind::ALL {
                check(f, provider, &code, class, kind).await;
            }
        }
        for kind in TemplateKind::ALL {
            check(f, provider, "A.Code.Nobody.Listed", ErrorClass::Transient, kind).await;
        }
        let longest = f.pauses.take().into_iter().max();
        assert_eq!(longest, Some(Duration::from_secs(1)), "pauses are short: somebody is waiting");
    })
    .await;
}

#[tokio::test]
async fn every_code_of_aliyun_drives_its_action() {
    all_codes_of(ProviderName::Aliyun, ProviderName::Tencent).await;
}

#[tokio::test]
async fn every_code_of_tencent_drives_its_action() {
    all_codes_of(ProviderName::Tencent, ProviderName::Aliyun).await;
}

/// What a receipt with a code leads to.
fn state_after(class: ErrorClass) -> MessageState {
    match class {
        ErrorClass::Delivered => MessageState::Delivered,
        // Not final: the message stays as it is, and is asked for later.
        ErrorClass::Pending => MessageState::Accepted,
        _ => MessageState::Failed,
    }
}

fn receipt(provider: ProviderName, pushed: &Value, code: &str, is_delivered: bool) -> Value {
    let told = if provider == ProviderName::Aliyun {
        json!({ "success": is_delivered, "err_code": code })
    } else {
        json!({ "report_status": if is_delivered { "SUCCESS" } else { "FAIL" }, "errmsg": code })
    };
    let mut receipt = pushed.as_object().cloned().unwrap();
    receipt.extend(told.as_object().cloned().unwrap());
    Value::Object(receipt)
}

/// Receipts settle their message and its cost, and never make anything leave.
async fn all_receipts_of(provider: ProviderName, other: ProviderName) {
    with_providers(&[provider, other], async |f| {
        let at = if provider == ProviderName::Aliyun { At::Aliyun } else { At::Tencent };
        let codes = listed(provider, Stage::Receipt);
        for (n, (code, class)) in codes.iter().enumerate() {
            f.clock.advance(span::hours(25));
            let id = f.send_code(&format!("{n}/{code}")).await;
            let pushed = f.providers.receipts(at).pop().unwrap();
            let row = receipt(provider, &pushed, code, *class == ErrorClass::Delivered);
            f.inbox.accept(provider, json!([row]).to_string().as_bytes()).await.unwrap();
            f.inbox.apply().await.unwrap();
            assert_eq!(f.state(id).await, state_after(*class), "{code}");
            let attempt = f.attempts(id).await.remove(0);
            assert_eq!(attempt.receipt, (*class != ErrorClass::Pending).then_some(*class), "{code}");
            // Aliyun bills what was delivered.
            let is_free = provider == ProviderName::Aliyun && state_after(*class) == MessageState::Failed;
            assert_eq!(attempt.cost_milliyuan == 0, is_free, "{code}");
            assert_eq!(f.breaker(provider, TemplateKind::Code).await, BreakerState::Closed, "{code}");
            f.reconcile_all().await;
        }
        let submissions = (f.providers.submissions(At::Aliyun), f.providers.submissions(At::Tencent));
        let sent = u32::try_from(codes.len()).unwrap();
        assert_eq!(submissions, if at == At::Aliyun { (sent, 0) } else { (0, sent) });
    })
    .await;
}

#[tokio::test]
async fn every_receipt_of_aliyun_settles_its_message() {
    all_receipts_of(ProviderName::Aliyun, ProviderName::Tencent).await;
}

#[tokio::test]
async fn every_receipt_of_tencent_settles_its_message() {
    all_receipts_of(ProviderName::Tencent, ProviderName::Aliyun).await;
}
