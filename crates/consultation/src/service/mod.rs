//! The use cases: begin, load, decide, write, record, commit, wake.

mod answers;
mod certifications;
mod consultations;
mod context;
mod deliveries;
mod desk_history;
mod desk_tasks;
mod dialogs;
mod doctors;
mod escalations;
mod initiate;
mod invitations;
mod lines;
mod notify;
mod relations;
mod reports;
mod sweeps;
mod transition;
mod unseen;

pub use answers::Answers;
pub use certifications::Certifications;
pub use consultations::{ConsultationRecord, ConsultationTrail, Consultations};
pub use context::Context;
pub use deliveries::{DELIVER_NOTIFICATION, Deliveries, DeliveryProgress};
pub use desk_history::DeskConsultation;
pub use desk_tasks::DeskTasks;
pub use dialogs::Dialogs;
pub use doctors::Doctors;
pub use escalations::Escalations;
pub use initiate::{Initiate, InitiateConsultations, Initiated};
pub use invitations::Invitations;
pub use relations::{RelationWithDoctor, RelationWithPatient, Relations};
pub use reports::Reports;
pub use sweeps::Sweeps;
pub use unseen::Unseen;
