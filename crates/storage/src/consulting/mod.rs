//! Relations, invitations, consultations and notifications.

mod answers;
mod closed_profile;
pub(crate) mod consultation;
mod delivery;
mod desk_task;
pub(crate) mod event;
mod invitation;
mod notification;
pub(crate) mod probe;
mod reach;
pub(crate) mod relation;
mod retention;
mod trace;

pub use delivery::RecordingNotifier;
