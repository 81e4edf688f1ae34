//! What both binaries stand on: the database opened and migrated, and the consultation rules wired to it.

use std::sync::Arc;

use ::sms::inbox::Inbox;
use ::sms::poll::Polls;
use ::sms::reconcile::Reconciler;
use account::housekeeping::Housekeeping;
use account::{AccountKeys, keys};
use consultation::retention::Retention;
use consultation::service::{Answers, Closures, Context, Deliveries, Dialogs, Escalations, Sweeps, Unseen};
use domain::file::BlobStore;
use domain::id::IdSource;
use domain::{Clock, StoreError};
use im::desk::{Desk, DeskError};
use im::log::LogListener;
use im::owner::OwnerByKind;
use im::service::ImContext;
use runtime::config::SqliteSynchronous;
use runtime::{Config, Credentials, HyperWire, ObjectIds, OpendalBlobs, OsRandom, StartError, SystemClock};
use storage::{ConnectError, DatabaseOptions, RecordingNotifier, SeaStore, Seal, SealError, SqliteSync};
use wechat::identity::Logins;
use wechat::message::Messages;
use wechat::message_link::MessageLinks;
use wechat::secret::SecretTooShort;
use wechat::wire::Wire;
use wechat::{Client, Sealer, Tokens};

use crate::assistant::Assistant;
use crate::channels::Channels;
use crate::chat_content::ChatContent;
use crate::jobs::{
    AccountClosed, ApplySmsReceipts, AssignChats, DeliverNotification, EscalateUnanswered, PollSms, PurgeAccounts,
    PurgeJobs, PurgeRecords, PurgeSms, ReconcileSms, RelayAnswers, SweepConsultations, SweepDesk, TellOfAnswers,
    TellUnseen, wechat_jobs, wechat_schedules,
};
use crate::notices::SmsNotifier;
use crate::wechat_notifier::WechatNotifier;
use crate::wechat_wiring::NoWire;
use crate::{Bell, JobHandler, ScheduledTask, Sms, Worker, WorkerOptions};

/// Jobs claimed at once for each one that runs side by side.
const CLAIM_FACTOR: usize = 32;

/// The store, the rules, and the bell between them and the worker.
pub struct Ground {
    pub store: SeaStore,
    pub context: Context,
    pub bell: Arc<Bell>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub random: Arc<OsRandom>,
    pub blobs: Arc<dyn BlobStore>,
    pub credentials: Credentials,
    pub wechat: wechat::Context,
    /// The assistant and its desk.
    pub desk: Desk,
    /// Signs addresses of files and makes indexes of numbers.
    pub account_keys: AccountKeys,
}

/// The ground could not be laid.
#[derive(Debug, thiserror::Error)]
pub enum GroundError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the tables could not be brought up to date")]
    Migrate(#[source] StoreError),
    /// What the database was made with is not what it is opened with.
    #[error(
        "security.secret, or the one kept in security.secrets_file, is not that of this database: \
         no phone number in it could be read or found; give back the one it was made with"
    )]
    OtherSecret,
    #[error("the key of the database could not be checked")]
    Prove(#[source] StoreError),
    #[error("the assistant could not be set up")]
    Assistant(#[source] DeskError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("security.secret is too short")]
    Secret(#[from] SecretTooShort),
    #[error("security.secret is too short")]
    AccountSecret(#[from] keys::SecretTooShort),
    #[error("the connection to WeChat could not be prepared: no certificate authorities")]
    Wechat(#[source] std::io::Error),
}

impl From<SealError> for GroundError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::OtherKey => Self::OtherSecret,
            SealError::Store(error) => Self::Prove(error),
        }
    }
}

impl Ground {
    /// Opens the database, brings its tables up to date and wires the rules.
    ///
    /// # Errors
    /// [`GroundError`] naming what could not be opened.
    pub async fn lay(config: &Config) -> Result<Self, GroundError> {
        let random = Arc::new(OsRandom);
        let credentials = Credentials::resolve(config, random.as_ref())?;
        let account_keys = AccountKeys::derive(credentials.secret.expose().as_bytes())?;
        let store = SeaStore::connect(&database_options(config, &credentials)).await?;
        store.migrate().await.map_err(GroundError::Migrate)?;
        store.prove_seal().await?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn IdSource> = Arc::new(ObjectIds::new(clock.clone(), &*random));
        let bell = Arc::new(Bell::default());
        let context = Context {
            store: Arc::new(store.clone()),
            clock: clock.clone(),
            ids: ids.clone(),
            signal: bell.clone(),
            policy: Arc::new(config.consultation_policy()),
        };
        let blobs: Arc<dyn BlobStore> = Arc::new(OpendalBlobs::open(&config.files)?);
        let parts = WechatParts { store: &store, clock: &clock, ids: &ids, random: &random, bell: &bell };
        let wechat = parts.context(config, &credentials)?;
        let policy = config.im_policy();
        let desk = Desk {
            store: Arc::new(store.clone()),
            clock: clock.clone(),
            ids: ids.clone(),
            signal: bell.clone(),
            assistant: policy.assistant,
            home: config.business.timezone,
            recall_within: policy.recall_within,
            relays_messages: !wechat.apps.is_empty(),
        };
        desk.ensure_assistant().await.map_err(GroundError::Assistant)?;
        Ok(Self { store, context, bell, clock, ids, random, blobs, credentials, wechat, desk, account_keys })
    }

    /// What the messaging use cases stand on; `log` is told of what they commit.
    pub fn messaging(&self, config: &Config, log: Arc<dyn LogListener>) -> ImContext {
        let owner = OwnerByKind {
            store: Arc::new(self.store.clone()),
            desk: Arc::new(self.desk.clone()),
            others: Arc::new(Dialogs::new(self.context.clone())),
        };
        ImContext {
            store: Arc::new(self.store.clone()),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            log,
            owner: Arc::new(owner),
            policy: Arc::new(config.im_policy()),
        }
    }

    /// A worker over this ground.
    pub fn worker(&self, config: &Config, sms: &Sms) -> Worker {
        let recorder = Arc::new(RecordingNotifier::new(self.store.clone(), self.clock.clone()));
        let wechat = WechatNotifier::new(self.wechat.clone(), Arc::new(self.store.clone()));
        let links = MessageLinks::new(self.wechat.clone());
        let notices = SmsNotifier::new(self.context.store.clone(), sms, links, recorder);
        let channels = Channels { wechat: Arc::new(wechat), sms: Arc::new(notices) };
        let deliveries = Deliveries::new(self.context.clone(), Arc::new(channels));
        let queue = Arc::new(self.store.clone());
        let concurrency = config.worker.concurrency.get();
        let sweeps = Sweeps::new(self.context.clone());
        let escalations = Escalations::new(self.context.clone());
        let unseen = Unseen::new(self.context.clone());
        let answers = Answers::new(self.context.clone());
        let (inbox, polls) = (Inbox::new(sms.context.clone()), Polls::new(sms.context.clone()));
        let mut handlers: Vec<Arc<dyn JobHandler>> = vec![
            Arc::new(DeliverNotification(deliveries)),
            Arc::new(ReconcileSms(Reconciler::new(sms.context.clone()))),
            Arc::new(ApplySmsReceipts(inbox.clone())),
            Arc::new(AssignChats(self.desk.clone())),
            Arc::new(AccountClosed {
                logins: Logins::new(self.wechat.clone()),
                closures: Closures::new(self.context.clone()),
                desk: self.desk.clone(),
            }),
        ];
        // Whoever follows the log in this process is told by the store.
        let messaging = self.messaging(config, Arc::new(self.store.clone()));
        let chat = ChatContent::new(messaging, self.account_keys.clone(), &config.http.public_url());
        let assistant = Assistant {
            desk: self.desk.clone(),
            people: self.context.store.clone(),
            im: Arc::new(self.store.clone()),
            context: self.wechat.clone(),
        };
        handlers.extend(wechat_jobs(&self.wechat, config, &chat, assistant));
        handlers.push(Arc::new(RelayAnswers {
            context: self.wechat.clone(),
            messages: Messages::new(self.wechat.clone()),
            im: Arc::new(self.store.clone()),
        }));
        let mut schedules: Vec<Arc<dyn ScheduledTask>> = vec![
            Arc::new(SweepConsultations { sweeps, every: config.worker.sweep_every }),
            Arc::new(EscalateUnanswered { escalations, every: config.worker.sweep_every }),
            Arc::new(SweepDesk(self.desk.clone())),
            Arc::new(TellUnseen { unseen, every: config.worker.sweep_every }),
            Arc::new(TellOfAnswers { answers, every: config.worker.sweep_every }),
            Arc::new(PollSms { polls: polls.clone(), inbox }),
            Arc::new(PurgeSms(polls)),
            Arc::new(PurgeAccounts(Housekeeping { store: queue.clone(), clock: self.clock.clone() })),
            Arc::new(PurgeJobs { queue: queue.clone(), clock: self.clock.clone() }),
            Arc::new(PurgeRecords(Retention {
                store: queue.clone(),
                blobs: self.blobs.clone(),
                clock: self.clock.clone(),
                ids: self.ids.clone(),
                years: config.business.retention_years.get(),
            })),
        ];
        schedules.extend(wechat_schedules(&self.wechat, config));
        Worker {
            options: WorkerOptions {
                name: format!("worker-{}", self.ids.next()),
                batch: u32::try_from(concurrency * CLAIM_FACTOR).unwrap_or(u32::MAX),
                concurrency,
                lease: config.worker.lease,
                poll: config.worker.poll,
                max_attempts: config.worker.max_attempts.get(),
            },
            queue,
            handlers,
            schedules,
            clock: self.clock.clone(),
            bell: self.bell.clone(),
        }
    }
}

/// What the WeChat use cases stand on.
struct WechatParts<'a> {
    store: &'a SeaStore,
    clock: &'a Arc<dyn Clock>,
    ids: &'a Arc<dyn IdSource>,
    random: &'a Arc<OsRandom>,
    bell: &'a Arc<Bell>,
}

impl WechatParts<'_> {
    fn context(self, config: &Config, credentials: &Credentials) -> Result<wechat::Context, GroundError> {
        let apps = config.wechat_apps();
        // Without apps nothing is ever called, and a machine without certificate authorities is fine.
        let wire: Arc<dyn Wire> = if apps.is_empty() {
            Arc::new(NoWire)
        } else {
            let (url, fallbacks) = (config.wechat_base_url(), &config.wechat.fallback_urls);
            Arc::new(HyperWire::new(&url, fallbacks).map_err(GroundError::Wechat)?)
        };
        let sealer = Sealer::derive(credentials.secret.expose().as_bytes())?;
        let store = Arc::new(self.store.clone());
        let (clock, random) = (self.clock.clone(), self.random.clone());
        let tokens = Tokens::new(wire.clone(), store.clone(), clock.clone(), random.clone(), sealer.clone());
        let client = Client::new(wire, Arc::new(tokens));
        let (ids, signal) = (self.ids.clone(), self.bell.clone());
        Ok(wechat::Context { apps, client, store, clock, ids, random, sealer, signal })
    }
}

/// How the configuration says the database is opened, and under which key.
pub fn database_options(config: &Config, credentials: &Credentials) -> DatabaseOptions {
    let database = &config.database;
    DatabaseOptions {
        url: database.url.expose().to_owned(),
        max_connections: database.max_connections.get(),
        sqlite_readers: database.sqlite_readers.get(),
        acquire_timeout: database.acquire_timeout,
        sqlite_sync: match database.sqlite_synchronous {
            SqliteSynchronous::Full => SqliteSync::Full,
            SqliteSynchronous::Normal => SqliteSync::Normal,
        },
        seal: Seal::derive(credentials.secret.expose().as_bytes()),
    }
}
