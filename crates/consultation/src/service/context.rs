//! What every use case is given: the store, time, ids, the rules' settings and the workers' bell.

use std::sync::Arc;

use domain::audit::AuditEvent;
use domain::id::{AuditId, IdSource};
use domain::outbox::JobSignal;
use domain::{Actor, Clock};
use serde_json::Value;

use crate::policy::ConsultationPolicy;
use crate::unit::ConsultationStore;

/// Shared by all consultation use cases; cheap to clone.
#[derive(Clone)]
pub struct Context {
    pub store: Arc<dyn ConsultationStore>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub signal: Arc<dyn JobSignal>,
    pub policy: Arc<ConsultationPolicy>,
}

impl Context {
    /// A row of the audit log for something done now.
    pub(super) fn audit(&self, actor: &Actor, action: &'static str, subject: String, detail: Value) -> AuditEvent {
        AuditEvent { id: AuditId(self.ids.next()), actor: actor.label(), action, subject, detail, at: self.clock.now() }
    }
}
