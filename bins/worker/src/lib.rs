//! The worker: claims jobs from the outbox, runs schedules, and survives being killed at any point.
//!
//! Any number of workers may run at once: a job belongs to one of them while its lease lasts, and every handler
//! may run twice without harm. `zhaoguan-api serve` runs one in its own process by default on SQLite.

mod assistant;
mod bell;
mod channels;
mod chat_content;
mod claim;
mod ground;
mod jobs;
mod notices;
mod schedule;
pub mod sms;
mod wechat_notifier;
mod wechat_wiring;

use std::sync::Arc;
use std::time::Duration;

use domain::Clock;
use domain::outbox::JobQueue;
use runtime::tasks::Tasks;

pub use bell::Bell;
pub use claim::{JobFailure, JobHandler, JobResult};
pub use ground::{Ground, GroundError, database_options};
pub use schedule::ScheduledTask;
pub use sms::Sms;
pub use wechat_notifier::WechatNotifier;

/// Settings of the claim loop.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// Unique among workers; names the holder of leases.
    pub name: String,
    /// Jobs claimed at once.
    pub batch: u32,
    /// Jobs run side by side.
    pub concurrency: usize,
    /// How long a claimed job belongs to this worker. Handlers are cut off before it runs out.
    pub lease: Duration,
    /// How often to look when nobody rings the bell.
    pub poll: Duration,
    /// Tries before a job is a dead letter.
    pub max_attempts: u32,
}

/// Everything a worker needs.
pub struct Worker {
    pub options: WorkerOptions,
    pub queue: Arc<dyn JobQueue>,
    pub handlers: Vec<Arc<dyn JobHandler>>,
    pub schedules: Vec<Arc<dyn ScheduledTask>>,
    pub clock: Arc<dyn Clock>,
    pub bell: Arc<Bell>,
}

impl Worker {
    /// Starts the loops; they end when `tasks` are told to stop, after settling what they hold.
    pub fn start(self, tasks: &Tasks) {
        let worker = Arc::new(self);
        let claiming = Arc::clone(&worker);
        let stopping = tasks.stopping();
        tasks.spawn("worker.claim", async move { storage::in_background(claim::run(&claiming, stopping)).await });
        for task in worker.schedules.clone() {
            let worker = Arc::clone(&worker);
            let stopping = tasks.stopping();
            tasks.spawn("worker.schedule", async move {
                storage::in_background(schedule::run(&worker, &*task, stopping)).await;
            });
        }
    }
}
