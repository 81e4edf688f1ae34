//! What workers do: handlers of outbox jobs and scheduled tasks, one file each.

mod deliver_notification;
mod purge_jobs;
mod sweep_consultations;

pub use deliver_notification::DeliverNotification;
pub use purge_jobs::PurgeJobs;
pub use sweep_consultations::SweepConsultations;
