//! Relations, invitations, consultations and notifications.

mod consultation;
mod delivery;
mod event;
mod invitation;
mod notification;
mod probe;
mod relation;

pub use delivery::RecordingNotifier;
