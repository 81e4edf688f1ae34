//! What workers do: handlers of outbox jobs and scheduled tasks, one file each.

mod account_closed;
mod apply_sms_receipts;
mod assign_chats;
mod deliver_notification;
mod escalate_unanswered;
mod poll_sms;
mod purge_accounts;
mod purge_jobs;
mod purge_records;
mod reconcile_sms;
mod relay_answers;
mod sweep_consultations;
mod sweep_desk;
mod tell_of_answers;
mod tell_unseen;
mod wechat;
mod wechat_upkeep;

pub(crate) use account_closed::AccountClosed;
pub(crate) use apply_sms_receipts::ApplySmsReceipts;
pub(crate) use assign_chats::AssignChats;
pub(crate) use deliver_notification::DeliverNotification;
pub(crate) use escalate_unanswered::EscalateUnanswered;
pub(crate) use poll_sms::{PollSms, PurgeSms};
pub(crate) use purge_accounts::PurgeAccounts;
pub(crate) use purge_jobs::PurgeJobs;
pub(crate) use purge_records::PurgeRecords;
pub(crate) use reconcile_sms::ReconcileSms;
pub(crate) use relay_answers::RelayAnswers;
pub(crate) use sweep_consultations::SweepConsultations;
pub(crate) use sweep_desk::SweepDesk;
pub(crate) use tell_of_answers::TellOfAnswers;
pub(crate) use tell_unseen::TellUnseen;
pub(crate) use wechat::wechat_jobs;
pub(crate) use wechat_upkeep::wechat_schedules;
