//! What workers do: handlers of outbox jobs and scheduled tasks, one file each.

mod deliver_notification;
mod purge_accounts;
mod purge_jobs;
mod sweep_consultations;
mod wechat;
mod wechat_upkeep;

pub(crate) use deliver_notification::DeliverNotification;
pub(crate) use purge_accounts::PurgeAccounts;
pub(crate) use purge_jobs::PurgeJobs;
pub(crate) use sweep_consultations::SweepConsultations;
pub(crate) use wechat::wechat_jobs;
pub(crate) use wechat_upkeep::wechat_schedules;
