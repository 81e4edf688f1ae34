//! What both binaries stand on: the database opened and migrated, and the consultation rules wired to it.

use std::sync::Arc;

use account::housekeeping::Housekeeping;
use consultation::service::{Context, Deliveries, Sweeps};
use domain::id::IdSource;
use domain::{Clock, StoreError};
use runtime::config::SqliteSynchronous;
use runtime::{Config, ObjectIds, OsRandom, SystemClock};
use storage::{ConnectError, DatabaseOptions, RecordingNotifier, SeaStore, SqliteSync};

use crate::channels::Channels;
use crate::jobs::{DeliverNotification, PurgeAccounts, PurgeJobs, SweepConsultations};
use crate::{Bell, Worker, WorkerOptions};

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
    pub fn worker(&self, config: &Config) -> Worker {
        let recorder = Arc::new(RecordingNotifier::new(self.store.clone(), self.clock.clone()));
        let channels = Channels { wechat: recorder.clone(), sms: recorder };
        let deliveries = Deliveries::new(self.context.clone(), Arc::new(channels));
        let queue = Arc::new(self.store.clone());
        let concurrency = config.worker.concurrency.get();
        let sweeps = Sweeps::new(self.context.clone());
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
            handlers: vec![Arc::new(DeliverNotification(deliveries))],
            schedules: vec![
                Arc::new(SweepConsultations { sweeps, every: config.worker.sweep_every }),
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
