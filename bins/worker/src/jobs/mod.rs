//! What workers do: handlers of outbox jobs and scheduled tasks, one file each.

mod deliver_notification;
mod purge_accounts;
mod purge_jobs;
mod sweep_consultations;

pub(crate) use deliver_notification::DeliverNotification;
pub(crate) use purge_accounts::PurgeAccounts;
pub(crate) use purge_jobs::PurgeJobs;
pub(crate) use sweep_consultations::SweepConsultations;
