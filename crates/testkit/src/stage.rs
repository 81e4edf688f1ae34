//! Everything a use case of the `consultation` crate is given, standing still, with handles to look at it.

use std::sync::Arc;

use consultation::ConsultationPolicy;
use consultation::service::Context;

use crate::{CountingSignal, ManualClock, MemoryStore, SequentialIds};

/// An empty store, a stopped clock, ids in order, a counted bell and the default policy.
#[derive(Clone, Default)]
pub struct Stage {
    pub store: MemoryStore,
    pub clock: Arc<ManualClock>,
    pub ids: Arc<SequentialIds>,
    pub signal: Arc<CountingSignal>,
    pub policy: ConsultationPolicy,
}

impl Stage {
    /// What the use cases take; they share this stage's store, clock, ids and bell.
    pub fn context(&self) -> Context {
        Context {
            store: Arc::new(self.store.clone()),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            signal: self.signal.clone(),
            policy: Arc::new(self.policy.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use consultation::service::{Initiate, InitiateConsultations};
    use consultation::{ConsultationStore, ConsultationType, Status};
    use domain::Actor;

    use super::*;
    use crate::build::{doctor, doctor_id, pair, patient, patient_id};

    #[tokio::test]
    async fn a_use_case_runs_on_the_stage_as_on_a_database() {
        let stage = Stage::default();
        let mut unit = stage.store.begin().await.unwrap();
        unit.doctors().insert(&doctor(1).certified().hours("08:00", "22:00").done()).await.unwrap();
        unit.patients().insert(&patient(1).done()).await.unwrap();
        unit.commit().await.unwrap();
        let call = Initiate {
            actor: Actor::App,
            doctor: doctor_id(1),
            patient: patient_id(1),
            kind: ConsultationType::Normal,
        };
        let initiate = InitiateConsultations::new(stage.context());

        let first = initiate.run(vec![call.clone()]).await.pop().unwrap().unwrap();
        let again = initiate.run(vec![call]).await.pop().unwrap().unwrap();

        assert_eq!((first.is_old, again.is_old), (false, true));
        assert_eq!(first.consultation_id, again.consultation_id);
        let rows = stage.store.committed();
        let stored = rows.consultations.get(&first.consultation_id).unwrap();
        assert_eq!((stored.pair, stored.status), (pair(1, 1), Status::New));
        assert_eq!((rows.relations.len(), rows.conversations.len(), rows.members.len()), (1, 1, 2));
        assert_eq!((rows.notifications.len(), rows.jobs.len()), (1, 1));
        assert_eq!(stage.signal.wakes(), 1);
    }
}
