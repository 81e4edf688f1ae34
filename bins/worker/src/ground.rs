//! What both binaries stand on: the database opened and migrated, and the consultation rules wired to it.

use std::sync::Arc;

use ::sms::inbox::Inbox;
use ::sms::poll::Polls;
use ::sms::reconcile::Reconciler;
use account::housekeeping::Housekeeping;
use consultation::service::{Context, Deliveries, Escalations, Sweeps};
use domain::id::IdSource;
use domain::{Clock, StoreError};
use runtime::config::SqliteSynchronous;
use runtime::{Config, ObjectIds, OsRandom, SystemClock};
use storage::{ConnectError, DatabaseOptions, RecordingNotifier, SeaStore, SqliteSync};

use crate::channels::Channels;
use crate::jobs::{
    ApplySmsReceipts, DeliverNotification, EscalateUnanswered, PollSms, PurgeAccounts, PurgeJobs, PurgeSms,
    ReconcileSms, SweepConsultations,
};
use crate::notices::SmsNotifier;
use crate::{Bell, Sms, Worker, WorkerOptions};

/// Jobs claimed at once for each one that runs side by side.
const CLAIM_FACTOR: usize = 8;

/// The store, the rules, and the bell between them and the worker.
pub struct Ground {
    pub store: SeaStore,
    pub context: Context,
    pub bell: Arc<Bell>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub random: Arc<OsRandom>,
}

/// The ground could not be laid.
#[derive(Debug, thiserror::Error)]
pub enum GroundError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the tables could not be brought up to date")]
    Migrate(#[source] StoreError),
}

impl Ground {
    /// Opens the database, brings its tables up to date and wires the rules.
    ///
    /// # Errors
    /// [`GroundError`] naming what could not be opened.
    pub async fn lay(config: &Config) -> Result<Self, GroundError> {
        let store = SeaStore::connect(&database_options(config)).await?;
        store.migrate().await.map_err(GroundError::Migrate)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let random = Arc::new(OsRandom);
        let ids: Arc<dyn IdSource> = Arc::new(ObjectIds::new(clock.clone(), &*random));
        let bell = Arc::new(Bell::default());
        let context = Context {
            store: Arc::new(store.clone()),
            clock: clock.clone(),
            ids: ids.clone(),
            signal: bell.clone(),
            policy: Arc::new(config.consultation_policy()),
        };
        Ok(Self { store, context, bell, clock, ids, random })
    }

    /// A worker over this ground.
    pub fn worker(&self, config: &Config, sms: &Sms) -> Worker {
        let recorder = Arc::new(RecordingNotifier::new(self.store.clone(), self.clock.clone()));
        let notices = SmsNotifier::new(self.context.store.clone(), sms, recorder.clone());
        let channels = Channels { wechat: recorder, sms: Arc::new(notices) };
        let deliveries = Deliveries::new(self.context.clone(), Arc::new(channels));
        let queue = Arc::new(self.store.clone());
        let concurrency = config.worker.concurrency.get();
        let sweeps = Sweeps::new(self.context.clone());
        let escalations = Escalations::new(self.context.clone());
        let (inbox, polls) = (Inbox::new(sms.context.clone()), Polls::new(sms.context.clone()));
        Worker {
            options: WorkerOptions {
                name: format!("worker-{}", self.ids.next()),
                batch: u32::try_from(concurrency * CLAIM_FACTOR).unwrap_or(u32::MAX),
                concurrency,
                lease: config.worker.lease,
                poll: config.worker.poll,
                max_attempts: config.worker.max_attempts.get(),
            },
            queue: queue.clone(),
            handlers: vec![
                Arc::new(DeliverNotification(deliveries)),
                Arc::new(ReconcileSms(Reconciler::new(sms.context.clone()))),
                Arc::new(ApplySmsReceipts(inbox.clone())),
            ],
            schedules: vec![
                Arc::new(SweepConsultations { sweeps, every: config.worker.sweep_every }),
                Arc::new(EscalateUnanswered { escalations, every: config.worker.sweep_every }),
                Arc::new(PollSms { polls: polls.clone(), inbox }),
                Arc::new(PurgeSms(polls)),
                Arc::new(PurgeAccounts(Housekeeping { store: queue.clone(), clock: self.clock.clone() })),
                Arc::new(PurgeJobs { queue, clock: self.clock.clone() }),
            ],
            clock: self.clock.clone(),
            bell: self.bell.clone(),
        }
    }
}

/// How the configuration says the database is opened.
pub fn database_options(config: &Config) -> DatabaseOptions {
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
    }
}
