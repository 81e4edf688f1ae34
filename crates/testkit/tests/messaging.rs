//! Use cases of messaging from beginning to end, in memory with a stopped clock.
#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]

use std::sync::Arc;

use domain::actor::UserActor;
use domain::audit::AuditRecord;
use domain::id::{AgentId, MessageId, PatientId, SessionId, UserId};
use domain::time::span;
use domain::{Actor, Clock, Timestamp};
use im::log::{Committed, LogListener, LogWatch};
use im::message::HistoryPage;
use im::owner::{ConversationOwner, Refusal};
use im::policy::ImPolicy;
use im::presence::Presence;
use im::service::{History, ImContext, LogSync, Reads, Recalls, SyncRequest};
use im::{
    Appended, Content, Conversation, ConversationKind, ImError, ImStore, ImUnit, Member, MessageKind, NewMessage,
};
use serde_json::{Map, json};
use testkit::build::{dialog_id, patient_id};
use testkit::ids::object_id;
use testkit::{ManualClock, MemoryStore, SequentialIds};

struct Quiet;

impl LogListener for Quiet {
    fn committed(&self, _: Committed) {}
    fn moved(&self) {}
}

#[async_trait::async_trait]
impl LogWatch for Quiet {
    async fn moved_for(&self, _: &[String], _: i64) {
        std::future::pending::<()>().await;
    }
}

#[async_trait::async_trait]
impl ConversationOwner for Quiet {
    async fn accept(&self, _: &NewMessage) -> Result<Appended, Refusal> {
        panic!("nothing is sent through the queue here")
    }
}

/// Two patients in one conversation, each with an owner to be asked from an hour on.
struct Scene {
    store: MemoryStore,
    clock: Arc<ManualClock>,
    context: ImContext,
}

fn person(patient: PatientId) -> Actor {
    let (user, session) = (UserId(object_id(1)), SessionId(object_id(2)));
    Actor::User(UserActor { user, session, patient: Some(patient), doctor: None })
}

fn admin() -> Actor {
    Actor::Admin(AgentId(object_id(3)))
}

fn message(n: u32, kind: MessageKind, at: Timestamp) -> NewMessage {
    NewMessage {
        id: MessageId(object_id(n)),
        conversation_id: dialog_id(1),
        sender: Some(patient_id(1).to_string()),
        acted_by: None,
        client_message_id: None,
        kind,
        content: Content::of(&json!({ "text": "x" })),
        corrects: None,
        created_at: at,
        is_agreed: true,
        origin: None,
    }
}

impl Scene {
    async fn new() -> Self {
        let (store, clock) = (MemoryStore::default(), Arc::new(ManualClock::default()));
        let now = clock.now();
        let context = ImContext {
            store: Arc::new(store.clone()),
            clock: clock.clone(),
            ids: Arc::new(SequentialIds::default()),
            log: Arc::new(Quiet),
            owner: Arc::new(Quiet),
            policy: Arc::new(ImPolicy::default()),
        };
        let conversation = Conversation {
            id: dialog_id(1),
            kind: ConversationKind::Consultation,
            consultation_id: None,
            name: None,
            creator: None,
            last_seq: 0,
            last_position: 0,
            last_message_at: None,
            attributes: Map::new(),
            extra: Map::new(),
            created_at: now,
            updated_at: now,
        };
        let members = [1, 2].map(|n| Member {
            review_at: Some(now + span::hours(1)),
            ..Member::patient(dialog_id(1), patient_id(n), now)
        });
        let scene = Self { store, clock, context };
        scene.write(async |unit| unit.conversations().insert_all(&[conversation], &members).await.unwrap()).await;
        scene
    }

    async fn write(&self, act: impl AsyncFnOnce(&mut dyn ImUnit)) {
        let mut unit = ImStore::begin(&self.store).await.unwrap();
        act(&mut *unit).await;
        unit.commit().await.unwrap();
    }

    async fn append(&self, n: u32, kind: MessageKind) {
        ImStore::append(&self.store, &[message(n, kind, self.clock.now())]).await.unwrap();
    }

    fn reviews(&self) -> Vec<Timestamp> {
        self.store.committed().members.values().filter_map(|m| m.review_at).collect()
    }

    fn acts(&self) -> Vec<String> {
        self.store.committed().audit.values().map(|a: &AuditRecord| a.action.clone()).collect()
    }
}

#[tokio::test]
async fn reading_lets_the_next_message_be_decided_anew_unless_it_is_seen_anyway() {
    let scene = Scene::new().await;
    scene.append(1, MessageKind::Text).await;
    scene.append(2, MessageKind::Text).await;
    let reads = Reads::new(scene.context.clone());
    let (reader, hour) = (person(patient_id(2)), scene.clock.now() + span::hours(1));
    let in_front =
        Presence { socket: 1, node: "n".into(), client_id: patient_id(2).to_string(), viewing: Some(dialog_id(1)) };
    scene
        .write(async |unit| {
            unit.presence().renew("n", scene.clock.now(), span::minutes(1)).await.unwrap();
            unit.presence().put(&[in_front]).await.unwrap();
        })
        .await;
    let state = reads.read(&reader, dialog_id(1), 1).await.unwrap();
    assert_eq!((state.read_seq, state.unread_count), (1, 1));
    assert_eq!(scene.reviews(), [hour, hour], "the reader is looking");
    scene.write(async |unit| unit.presence().remove_node("n").await.unwrap()).await;
    reads.read(&reader, dialog_id(1), 2).await.unwrap();
    assert!(scene.reviews().iter().all(|at| *at <= scene.clock.now()), "{:?}", scene.reviews());
    let head = scene.store.committed().head;
    reads.read(&reader, dialog_id(1), 2).await.unwrap();
    assert_eq!(scene.store.committed().head, head, "reading again tells nothing");
}

#[tokio::test]
async fn a_sender_recalls_within_two_minutes_and_an_administrator_whenever() {
    let scene = Scene::new().await;
    scene.append(1, MessageKind::Text).await;
    let recalls = Recalls::new(scene.context.clone());
    scene.clock.advance(span::minutes(3));
    let id = MessageId(object_id(1));
    let late = recalls.recall(&person(patient_id(1)), dialog_id(1), id).await;
    assert!(matches!(late, Err(ImError::RecallTooLate)), "{late:?}");
    let recalled = recalls.recall(&admin(), dialog_id(1), id).await.unwrap();
    assert_eq!(recalled.shown_content(), None);
    assert_eq!(scene.acts(), ["message.recall"]);
    let told: Vec<_> = scene.store.committed().log_events.values().map(|e| e.payload.clone()).collect();
    assert_eq!(told, [json!({ "seq": 1, "messageId": id, "by": "admin" })]);
    let sealed = recalls.original(&person(patient_id(1)), dialog_id(1), id).await;
    assert!(matches!(sealed, Err(ImError::Access(_))), "{sealed:?}");
}

#[tokio::test]
async fn members_and_overseers_read_a_dialog_and_the_look_of_overseers_is_audited() {
    let scene = Scene::new().await;
    scene.append(1, MessageKind::Text).await;
    scene.append(2, MessageKind::Image).await;
    let history = History::new(scene.context.clone());
    let seen = async |actor: &Actor| {
        let page = history.page(actor, dialog_id(1), HistoryPage::After(0), 9).await.unwrap();
        page.messages.into_iter().map(|m| m.seq).collect::<Vec<_>>()
    };
    assert_eq!(seen(&person(patient_id(2))).await, [1, 2]);
    assert!(scene.acts().is_empty());
    assert_eq!(seen(&admin()).await, [1, 2]);
    assert_eq!(scene.acts(), ["conversation.read"]);
    let sync = LogSync::new(scene.context.clone(), Arc::new(Quiet));
    let all = SyncRequest { cursor: Some(0), ..SyncRequest::default() };
    let missed = sync.missed(&person(patient_id(2)), &all).await.unwrap();
    assert_eq!((missed.entries.len(), missed.cursor), (2, scene.store.committed().head));
    let hidden = history.page(&person(patient_id(9)), dialog_id(1), HistoryPage::After(0), 9).await;
    assert!(matches!(hidden, Err(ImError::ConversationNotFound)), "{hidden:?}");
}
