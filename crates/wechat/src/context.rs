//! What every use case of this crate is given.

use std::sync::Arc;

use domain::audit::AuditEvent;
use domain::id::{AuditId, IdSource, JobId};
use domain::outbox::{JobSignal, NewJob};
use domain::rng::SecureRandom;
use domain::{Actor, Clock, ObjectId, Timestamp};
use serde_json::{Value, json};

use crate::app::{App, Apps};
use crate::client::Client;
use crate::error::WechatError;
use crate::ports::WechatStore;
use crate::secret::Sealer;

/// Shared by all use cases; cheap to clone.
#[derive(Clone)]
pub struct Context {
    pub apps: Apps,
    pub client: Client,
    pub store: Arc<dyn WechatStore>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub random: Arc<dyn SecureRandom>,
    pub sealer: Sealer,
    pub signal: Arc<dyn JobSignal>,
}

impl Context {
    /// # Errors
    /// [`WechatError::AppNotFound`].
    pub fn app(&self, name: &str) -> Result<&App, WechatError> {
        self.apps.find(name).ok_or(WechatError::AppNotFound)
    }

    pub(crate) fn audit(&self, actor: &Actor, action: &'static str, subject: String, detail: Value) -> AuditEvent {
        AuditEvent { id: AuditId(self.ids.next()), actor: actor.label(), action, subject, detail, at: self.clock.now() }
    }

    /// A job about one row, whose payload is `{"id": …}`.
    pub(crate) fn job(&self, kind: &'static str, id: ObjectId, run_at: Timestamp) -> NewJob {
        NewJob {
            id: JobId(self.ids.next()),
            kind,
            payload: json!({ "id": id }),
            run_at,
            idempotency_key: format!("{kind}:{id}"),
            created_at: self.clock.now(),
        }
    }
}
