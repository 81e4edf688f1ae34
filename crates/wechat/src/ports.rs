//! The ports of the use cases around WeChat: one object is one transaction.

use async_trait::async_trait;
use domain::audit::AuditRepository;
use domain::id::UserId;
use domain::outbox::OutboxRepository;
use domain::page::{Page, PageRequest};
use domain::{ObjectId, StoreError, Timestamp};

use crate::content::{Check, CheckState};
use crate::grant::{Grant, GrantKey, Report, Source};
use crate::identity::Identity;
use crate::message::{Message, MessageFilter};
use crate::service_message::{InboundMessage, Relay, ServiceWindow};
use crate::template::Template;

/// Stores grants and the reports they are counted from.
#[async_trait]
pub trait GrantRepository: Send {
    /// The grant, empty if there is none yet, locked until the unit ends.
    async fn lock(&mut self, key: &GrantKey) -> Result<Grant, StoreError>;
    async fn save(&mut self, grant: &Grant) -> Result<(), StoreError>;
    async fn list(&mut self, app: &str, openid: &str) -> Result<Vec<Grant>, StoreError>;
    /// False when this telling was recorded before.
    async fn insert_report(&mut self, report: &Report) -> Result<bool, StoreError>;
    /// The report of `source` without a twin that is nearest to `near`.
    async fn find_unpaired(
        &mut self,
        key: &GrantKey,
        source: Source,
        from: Timestamp,
        to: Timestamp,
        near: Timestamp,
    ) -> Result<Option<ObjectId>, StoreError>;
    async fn pair(&mut self, one: ObjectId, other: ObjectId) -> Result<(), StoreError>;
    async fn purge_reports(&mut self, before: Timestamp) -> Result<u64, StoreError>;
}

/// Stores messages to the platform and the pauses of lanes.
#[async_trait]
pub trait MessageRepository: Send {
    /// False when there is one under the same key.
    async fn insert(&mut self, message: &Message) -> Result<bool, StoreError>;
    async fn find(&mut self, id: ObjectId) -> Result<Option<Message>, StoreError>;
    async fn find_by_key(&mut self, key: &str) -> Result<Option<Message>, StoreError>;
    /// Like `find`, locked until the unit ends.
    async fn lock(&mut self, id: ObjectId) -> Result<Option<Message>, StoreError>;
    async fn update(&mut self, message: &Message) -> Result<(), StoreError>;
    /// The message being sent to this person, if there is one: a lane carries one at a time.
    async fn find_sending(&mut self, app: &str, openid: &str) -> Result<Option<Message>, StoreError>;
    async fn find_by_msg_id(&mut self, app: &str, msg_id: &str) -> Result<Option<ObjectId>, StoreError>;
    /// The newest message whose outcome is not known.
    async fn find_unknown(
        &mut self,
        app: &str,
        openid: &str,
        template_id: &str,
    ) -> Result<Option<ObjectId>, StoreError>;
    /// Messages left behind by a worker that died while sending, and queued ones whose time is over.
    async fn list_stranded(&mut self, now: Timestamp, limit: u32) -> Result<Vec<ObjectId>, StoreError>;
    /// Newest first.
    async fn list(&mut self, filter: &MessageFilter, page: PageRequest) -> Result<Page<Message>, StoreError>;
    async fn pause(&mut self, app: &str, lane: &str, until: Timestamp, code: i64) -> Result<(), StoreError>;
    /// Until when and why a lane is paused, if it is.
    async fn paused(&mut self, app: &str, lane: &str, now: Timestamp) -> Result<Option<(Timestamp, i64)>, StoreError>;
}

/// Stores what is known of the templates of the console.
#[async_trait]
pub trait TemplateRepository: Send {
    async fn list(&mut self, app: &str) -> Result<Vec<Template>, StoreError>;
    async fn save(&mut self, template: &Template) -> Result<(), StoreError>;
}

/// Stores who a person is in which app.
#[async_trait]
pub trait IdentityRepository: Send {
    async fn find(&mut self, app: &str, openid: &str) -> Result<Option<Identity>, StoreError>;
    async fn find_of_user(&mut self, user: UserId) -> Result<Vec<Identity>, StoreError>;
    /// The account that has this unionid in any app.
    async fn find_user_by_unionid(&mut self, unionid: &str) -> Result<Option<UserId>, StoreError>;
    async fn save(&mut self, identity: &Identity) -> Result<(), StoreError>;
    /// Gives identities with this unionid that belong to nobody to this account.
    async fn link_unionid(&mut self, unionid: &str, user: UserId) -> Result<(), StoreError>;
    /// Leaves an account without identities, and them without its sessions.
    async fn release(&mut self, user: UserId) -> Result<(), StoreError>;
}

/// A push as it is kept, for a day at most.
#[derive(Clone)]
pub struct StoredPush {
    pub id: ObjectId,
    pub app: String,
    pub dedupe_key: String,
    pub kind: String,
    /// What was inside the envelope, sealed.
    pub sealed: Vec<u8>,
    pub received_at: Timestamp,
    pub handled_at: Option<Timestamp>,
}

/// Stores pushes until they are handled, and their keys for as long as duplicates may come.
#[async_trait]
pub trait PushRepository: Send {
    /// False when it came before.
    async fn insert(&mut self, push: &StoredPush) -> Result<bool, StoreError>;
    /// Locked until the unit ends.
    async fn lock(&mut self, id: ObjectId) -> Result<Option<StoredPush>, StoreError>;
    async fn mark_handled(&mut self, id: ObjectId, now: Timestamp) -> Result<(), StoreError>;
    /// Empties handled bodies received before `bodies`, and forgets pushes received before `keys`.
    async fn purge(&mut self, bodies: Timestamp, keys: Timestamp) -> Result<u64, StoreError>;
}

/// Stores content checks.
#[async_trait]
pub trait CheckRepository: Send {
    async fn insert(&mut self, check: &Check) -> Result<(), StoreError>;
    async fn lock(&mut self, id: ObjectId) -> Result<Option<Check>, StoreError>;
    async fn find_by_trace(&mut self, app: &str, trace_id: &str) -> Result<Option<ObjectId>, StoreError>;
    async fn update(&mut self, check: &Check) -> Result<(), StoreError>;
    /// Empties what was kept back.
    async fn forget_held(&mut self, id: ObjectId) -> Result<(), StoreError>;
    /// Newest first.
    async fn list(&mut self, state: CheckState, page: PageRequest) -> Result<Page<Check>, StoreError>;
}

/// Stores the windows and messages of customer-service sessions.
#[async_trait]
pub trait ServiceRepository: Send {
    /// The window, closed if there is none yet, locked until the unit ends.
    async fn lock_window(&mut self, app: &str, openid: &str) -> Result<ServiceWindow, StoreError>;
    async fn save_window(&mut self, window: &ServiceWindow) -> Result<(), StoreError>;
    async fn insert_inbound(&mut self, message: &InboundMessage) -> Result<(), StoreError>;
    async fn find_inbound(&mut self, id: ObjectId) -> Result<Option<InboundMessage>, StoreError>;
    async fn mark_handed_over(&mut self, id: ObjectId, now: Timestamp) -> Result<(), StoreError>;
    /// Writes a relay, or moves the one of this conversation.
    async fn save_relay(&mut self, relay: &Relay) -> Result<(), StoreError>;
    /// Begins a relay; one that is there keeps how far it came.
    async fn open_relay(&mut self, relay: &Relay) -> Result<(), StoreError>;
    async fn find_relay(&mut self, conversation: ObjectId) -> Result<Option<Relay>, StoreError>;
    /// Newest first.
    async fn list_inbound(&mut self, app: &str, page: PageRequest) -> Result<Page<InboundMessage>, StoreError>;
}

/// A unit of work. Rows are locked in the order push → message → check → window → grant; dropping it undoes everything.
#[async_trait]
pub trait WechatUnit: Send {
    fn grants(&mut self) -> &mut dyn GrantRepository;
    fn messages(&mut self) -> &mut dyn MessageRepository;
    fn templates(&mut self) -> &mut dyn TemplateRepository;
    fn identities(&mut self) -> &mut dyn IdentityRepository;
    fn pushes(&mut self) -> &mut dyn PushRepository;
    fn checks(&mut self) -> &mut dyn CheckRepository;
    fn service(&mut self) -> &mut dyn ServiceRepository;
    fn audit(&mut self) -> &mut dyn AuditRepository;
    fn outbox(&mut self) -> &mut dyn OutboxRepository;
    async fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// Opens units of work, and the locks between nodes.
#[async_trait]
pub trait WechatStore: Send + Sync {
    /// Begins a transaction that may write.
    async fn begin(&self) -> Result<Box<dyn WechatUnit>, StoreError>;
    /// The same repositories for reading only. Never commit it.
    fn read(&self) -> Box<dyn WechatUnit>;
    /// Takes a named lease until `until` if nobody holds it.
    async fn try_lease(&self, name: &str, holder: &str, now: Timestamp, until: Timestamp) -> Result<bool, StoreError>;
    async fn end_lease(&self, name: &str, holder: &str) -> Result<(), StoreError>;
}
