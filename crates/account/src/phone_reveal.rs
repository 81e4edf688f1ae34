//! Showing a whole phone number to the staff. Everywhere else they see it masked.

use domain::actor::AccessError;
use domain::id::{DoctorId, PatientId};
use domain::{Actor, Phone};

use crate::AccountError;
use crate::service::Accounts;

/// Whose number is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhoneOwner {
    Patient(PatientId),
    Doctor(DoctorId),
}

impl Accounts {
    /// The number of a patient or doctor in full, `None` when the profile has none. Audited either way.
    ///
    /// # Errors
    /// [`AccountError::PatientNotFound`], [`AccountError::DoctorNotFound`]; [`AccountError::Access`] for anybody but
    /// staff.
    pub async fn reveal_phone(&self, actor: &Actor, owner: PhoneOwner) -> Result<Option<Phone>, AccountError> {
        if actor.staff().is_none() {
            return Err(actor.refuse(AccessError::Forbidden).into());
        }
        let mut unit = self.store.begin().await?;
        let (phone, subject) = match owner {
            PhoneOwner::Patient(id) => {
                let patient = unit.patients().find(id).await?.ok_or(AccountError::PatientNotFound(id))?;
                (patient.phone, format!("patient:{id}"))
            }
            PhoneOwner::Doctor(id) => {
                let doctor = unit.doctors().find(id).await?.ok_or(AccountError::DoctorNotFound(id))?;
                (doctor.phone, format!("doctor:{id}"))
            }
        };
        unit.audit().append_all(&[self.audit_event(actor, "phone.reveal", subject)]).await?;
        unit.commit().await?;
        Ok(phone)
    }
}

#[cfg(test)]
mod tests {
    use domain::id::AgentId;

    use super::*;
    use crate::memory::fixture;

    #[tokio::test]
    async fn staff_see_the_number_and_leave_a_trace() {
        let f = fixture();
        let patient = f.sign_in("13900000000").await.patient.unwrap();
        let agent = Actor::Agent(AgentId(f.accounts.ids.next()));
        let shown = f.accounts.reveal_phone(&agent, PhoneOwner::Patient(patient)).await.unwrap().unwrap();
        assert_eq!(shown.national(), "13900000000");
        let event = f.state().audit.pop().unwrap();
        assert_eq!((event.action, event.actor), ("phone.reveal", agent.label()));
        assert_eq!(event.subject, format!("patient:{patient}"));
        assert!(!event.detail.to_string().contains("139"));
    }

    #[tokio::test]
    async fn nobody_else_sees_it_not_even_the_owner() {
        let f = fixture();
        let signed_in = f.sign_in("13900000000").await;
        let patient = signed_in.patient.unwrap();
        let own = f.accounts.resolve(&signed_in.session.token).await.unwrap().unwrap().actor;
        let before = f.state().audit.len();
        for actor in [Actor::Nobody, Actor::App, Actor::Integrator, own] {
            let refused = f.accounts.reveal_phone(&actor, PhoneOwner::Patient(patient)).await;
            assert!(matches!(refused, Err(AccountError::Access(_))), "{actor:?}");
        }
        assert_eq!(f.state().audit.len(), before);
    }

    #[tokio::test]
    async fn the_unknown_are_named() {
        let f = fixture();
        let admin = f.admin().await;
        let (patient, doctor) = (PatientId(f.accounts.ids.next()), DoctorId(f.accounts.ids.next()));
        let refused = f.accounts.reveal_phone(&admin, PhoneOwner::Patient(patient)).await;
        assert!(matches!(refused, Err(AccountError::PatientNotFound(id)) if id == patient));
        let refused = f.accounts.reveal_phone(&admin, PhoneOwner::Doctor(doctor)).await;
        assert!(matches!(refused, Err(AccountError::DoctorNotFound(id)) if id == doctor));
    }
}
