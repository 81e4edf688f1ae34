//! Content checks: within the budget, without blocking a consultation, with a person for a doctor's words.

use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use domain::outbox::JobQueue;
use domain::page::PageRequest;
use domain::{Actor, StoreError};
use serde_json::json;
use testkit::ids::object_id;
use wechat::content::{
    Author, CheckState, CheckedContent, ContentSettings, Contents, MediaCheck, Medium, OnNoVerdict, Ruling, Subject,
    WECHAT_RECHECK,
};
use wechat::{PushFormat, PushMode, WechatError};
use wechat_standin::{Fault, FaultKind};

use crate::pushes::take_in;
use crate::support::{NOW, Node, Stage, apps, on_each_database};

/// A budget that a crowded machine keeps; and one that is soon over where there is no verdict.
const PATIENT: Duration = Duration::from_secs(2);
const IMPATIENT: Duration = Duration::from_millis(300);

const CHECK: &str = "/wxa/msg_sec_check";
const NOW_S: i64 = NOW.as_millis() / 1_000;

fn settings(on_no_verdict: OnNoVerdict) -> ContentSettings {
    let words = vec!["加微信".to_owned()];
    ContentSettings { is_enabled: true, budget: PATIENT, on_no_verdict, words }
}

fn contents(node: &Node, on_no_verdict: OnNoVerdict) -> Contents {
    Contents::new(node.context.clone(), settings(on_no_verdict))
}

fn impatient(node: &Node, on_no_verdict: OnNoVerdict) -> Contents {
    Contents::new(node.context.clone(), ContentSettings { budget: IMPATIENT, ..settings(on_no_verdict) })
}

fn admin() -> Actor {
    Actor::Admin(domain::id::AgentId(object_id(1)))
}

/// What the conversation was told, and what it says.
#[derive(Default)]
struct Dialog {
    told: Mutex<Vec<String>>,
    text: Option<String>,
}

#[async_trait]
impl CheckedContent for Dialog {
    async fn text_of(&self, _: &Subject) -> Result<Option<String>, StoreError> {
        Ok(self.text.clone())
    }
    async fn withdraw(&self, subject: &Subject) -> Result<(), StoreError> {
        self.told.lock().unwrap().push(format!("withdraw {}", subject.client_message_id));
        Ok(())
    }
    async fn release(&self, subject: &Subject, body: &str) -> Result<(), StoreError> {
        self.told.lock().unwrap().push(format!("release {} {body}", subject.client_message_id));
        Ok(())
    }
}

/// Message `n` of some conversation.
fn subject(n: u32) -> Subject {
    Subject { conversation: object_id(900), sender: "s".into(), client_message_id: format!("m{n}") }
}

/// The picture of message 1.
fn picture(author: Author) -> MediaCheck {
    MediaCheck {
        id: object_id(1),
        subject: subject(1),
        file: object_id(7),
        medium: Medium::Picture,
        author: author.user(),
        is_by_doctor: author.is_doctor(),
        until: NOW + Duration::from_mins(1),
    }
}

async fn text(contents: &Contents, n: u32, author: Author, words: &str) -> Ruling {
    contents.check_text(subject(n), author, words, &format!("body of {n}")).await.unwrap()
}

async fn states(contents: &Contents, state: CheckState) -> usize {
    contents.list(&admin(), state, PageRequest::first()).await.unwrap().items.len()
}

/// Runs the jobs that look again.
async fn recheck(stage: &Stage, node: &Node, contents: &Contents, dialog: &Dialog) {
    let jobs = node.store.claim("test", 100, stage.clock_now(), Duration::from_secs(1)).await.unwrap();
    for job in jobs.iter().filter(|job| job.kind == WECHAT_RECHECK) {
        contents.recheck(job.payload["id"].as_str().unwrap().parse().unwrap(), dialog).await.unwrap();
    }
}

#[tokio::test]
async fn harmless_words_pass_and_risky_ones_of_a_patient_do_not() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let contents = contents(&node, OnNoVerdict::Deliver);
        let patient = Author::Patient(stage.visitor(&node, "o1").await);
        assert_eq!(text(&contents, 1, patient, "睡眠不好").await, Ruling::Deliver);
        assert_eq!(text(&contents, 2, patient, "代开发票").await, Ruling::Refuse);
        assert_eq!((states(&contents, CheckState::Passed).await, states(&contents, CheckState::Refused).await), (1, 1));
    })
    .await;
}

#[tokio::test]
async fn who_is_not_known_to_the_platform_is_looked_at_by_the_own_list() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let contents = contents(&node, OnNoVerdict::Hold);
        // A doctor at the web desk never signed in with the mini-program.
        let doctor = Author::Doctor(domain::id::UserId(object_id(5)));
        assert_eq!(text(&contents, 1, doctor, "请加微信").await, Ruling::Deliver);
        assert_eq!(states(&contents, CheckState::Review).await, 1, "a person decides about a doctor's words");
        assert_eq!(stage.platform().count(CHECK), 0, "no call in vain");
        // A patient whom the platform does not know any more.
        let patient = Author::Patient(stage.visitor(&node, "o1").await);
        let unknown = FaultKind::Refuse { code: 61_010, message: "code is expired".into() };
        stage.platform().faults.push(Fault::once(CHECK, unknown));
        assert_eq!(text(&contents, 2, patient, "睡眠不好").await, Ruling::Deliver);
        stage.clock.advance(Duration::from_hours(2));
        assert_eq!(text(&contents, 3, patient, "睡眠不好").await, Ruling::Deliver);
        assert_eq!(stage.platform().count(CHECK), 1);
    })
    .await;
}

#[tokio::test]
async fn without_a_verdict_in_time_the_policy_decides_and_it_is_looked_at_again() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let patient = Author::Patient(stage.visitor(&node, "o1").await);
        let cases = [(OnNoVerdict::Deliver, Ruling::Deliver, 1), (OnNoVerdict::Hold, Ruling::Hold, 2)];
        for (policy, ruling, n) in cases {
            let contents = impatient(&node, policy);
            let slow = Duration::from_mins(1);
            stage.platform().faults.push(Fault::always(CHECK, FaultKind::Slow(slow)));
            let began = std::time::Instant::now();
            assert_eq!(text(&contents, n, patient, "睡眠不好").await, ruling);
            assert!(began.elapsed() < slow, "the budget holds");
            stage.platform().faults.clear();
            let dialog = Dialog { text: Some("睡眠不好".into()), ..Dialog::default() };
            stage.clock.advance(Duration::from_secs(6));
            recheck(stage, &node, &contents, &dialog).await;
            let expected: Vec<String> =
                if ruling == Ruling::Hold { vec![format!("release m{n} body of {n}")] } else { Vec::new() };
            assert_eq!(*dialog.told.lock().unwrap(), expected);
        }
    })
    .await;
}

#[tokio::test]
async fn a_late_verdict_takes_a_picture_back_once() {
    on_each_database(async |stage| {
        let node = stage.node_of(apps(PushMode::Plain, PushFormat::Json)).await;
        let contents = contents(&node, OnNoVerdict::Deliver);
        let patient = Author::Patient(stage.visitor(&node, "o1").await);
        let url = "https://files.example/a.png?signature=1";
        contents.check_media(&picture(patient), url).await.unwrap();
        contents.check_media(&picture(patient), url).await.unwrap();
        assert_eq!(stage.platform().count("/wxa/media_check_async"), 1, "asked once, however often the job runs");
        let pending = contents.list(&admin(), CheckState::Pending, PageRequest::first()).await.unwrap().items;
        let trace = pending[0].trace_id.clone().unwrap();
        let verdict = json!({ "FromUserName": "o1", "CreateTime": NOW_S, "MsgType": "event",
            "Event": "wxa_media_check", "appid": "wx-patient", "trace_id": trace, "version": 2, "errcode": 0,
            "errmsg": "ok", "result": { "suggest": "risky", "label": 20_002 } });
        let dialog = Dialog::default();
        for _ in 0..2 {
            take_in(stage, &node, &verdict).await;
            stage.clock.advance(Duration::from_secs(2));
            recheck(stage, &node, &contents, &dialog).await;
        }
        let told = dialog.told.lock().unwrap().clone();
        assert!(told.iter().all(|word| word == "withdraw m1") && !told.is_empty(), "{told:?}");
        assert_eq!(states(&contents, CheckState::Withdrawn).await, 1);
    })
    .await;
}

#[tokio::test]
async fn a_picture_without_a_verdict_goes_before_a_person() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let contents = contents(&node, OnNoVerdict::Deliver);
        let patient = Author::Patient(stage.visitor(&node, "o1").await);
        contents.check_media(&picture(patient), "https://files.example/a.png").await.unwrap();
        stage.clock.advance(Duration::from_mins(36));
        recheck(stage, &node, &contents, &Dialog::default()).await;
        assert_eq!(states(&contents, CheckState::Review).await, 1);
    })
    .await;
}

#[tokio::test]
async fn the_second_look_asks_the_platform_again_and_takes_back_what_it_refuses() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let patient = Author::Patient(stage.visitor(&node, "o1").await);
        for (n, policy) in [(1, OnNoVerdict::Deliver), (2, OnNoVerdict::Hold)] {
            let contents = impatient(&node, policy);
            stage.platform().faults.push(Fault::always(CHECK, FaultKind::Slow(Duration::from_mins(1))));
            text(&contents, n, patient, "代开发票").await;
            stage.platform().faults.clear();
            let dialog = Dialog { text: Some("代开发票".into()), ..Dialog::default() };
            stage.clock.advance(Duration::from_secs(6));
            recheck(stage, &node, &contents, &dialog).await;
            // What was kept back was never seen, so there is nothing to take back.
            let expected: Vec<String> = if n == 1 { vec!["withdraw m1".to_owned()] } else { Vec::new() };
            let mut told = dialog.told.lock().unwrap().clone();
            told.retain(|word| word.contains(&format!("m{n}")));
            assert_eq!(told, expected);
        }
        assert_eq!(states(&contents(&node, OnNoVerdict::Hold), CheckState::Withdrawn).await, 2);
    })
    .await;
}

#[tokio::test]
async fn a_persons_decision_is_carried_out_once() {
    on_each_database(async |stage| {
        let node = stage.node().await;
        let contents = contents(&node, OnNoVerdict::Deliver);
        let doctor = Author::Doctor(domain::id::UserId(object_id(5)));
        text(&contents, 1, doctor, "请加微信").await;
        let check = contents.list(&admin(), CheckState::Review, PageRequest::first()).await.unwrap().items.remove(0);
        assert!(contents.decide(&Actor::Nobody, check.id, false, "广告").await.is_err());
        contents.decide(&admin(), check.id, false, "广告").await.unwrap();
        assert!(matches!(contents.decide(&admin(), check.id, true, "x").await, Err(WechatError::CheckDecided)));
        let dialog = Dialog::default();
        recheck(stage, &node, &contents, &dialog).await;
        assert_eq!(*dialog.told.lock().unwrap(), ["withdraw m1"]);
    })
    .await;
}
