//! The use cases of the assistant and its desk.

mod accept;
mod agents;
mod assigning;
mod canned;
mod customers;
mod drafts;
mod handing_over;
mod holding;
mod looking;
mod messages;
mod reports;
mod settings;
mod sweep;
mod work;

use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use domain::Clock;
use domain::id::{AssistantId, IdSource};
use domain::outbox::JobSignal;

use super::assistant::Assistant;
use super::error::DeskError;
use super::ports::{DeskStore, DeskUnit};

pub use assigning::ASSIGN_JOB;
pub use canned::{CannedReplyView, NewCannedReply};
pub use customers::{CustomerChat, CustomerRole, InboundMessage};
pub use handing_over::TransferTo;
pub use looking::{ChatRow, Customer, Profile};
pub use settings::ChatPatch;
pub use work::RELAY_JOB;

/// Tries of a change that lost a race to another.
const MAX_TRIES: usize = 5;

/// Runs something again while it loses races.
macro_rules! retrying {
    ($act:expr) => {{
        let mut tries = 0;
        loop {
            tries += 1;
            match $act.await {
                Err($crate::desk::DeskError::Conflict) if tries < $crate::desk::service::MAX_TRIES => {}
                other => break other,
            }
        }
    }};
}
use retrying;

/// The assistant and its desk; cheap to clone.
#[derive(Clone)]
pub struct Desk {
    pub store: Arc<dyn DeskStore>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    /// Rung when a job was left.
    pub signal: Arc<dyn JobSignal>,
    pub assistant: AssistantId,
    /// The zone of the deployment.
    pub home: Tz,
    /// An agent may take a message back for this long.
    pub recall_within: Duration,
    /// Whether what the assistant says also goes out another way, as a job of kind [`RELAY_JOB`].
    pub relays_messages: bool,
}

impl Desk {
    /// The assistant as it is, or as it begins.
    async fn assistant(&self, unit: &mut dyn DeskUnit) -> Result<Assistant, DeskError> {
        let found = unit.assistants().find(self.assistant).await?;
        Ok(found.unwrap_or_else(|| Assistant::new(self.assistant, self.clock.now())))
    }
}
