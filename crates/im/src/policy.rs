//! The settings of instant messaging.

use std::time::Duration;

use domain::ObjectId;
use domain::id::AssistantId;
use domain::time::span;

/// Settings; [`ImPolicy::default`] is the documented default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImPolicy {
    /// A sender may recall a message for this long.
    pub recall_within: Duration,
    /// How long a node's presence counts after its last sign of life.
    pub presence_lease: Duration,
    /// The official assistant; its id is its client id.
    pub assistant: AssistantId,
}

/// The assistant's id unless another is configured.
pub const DEFAULT_ASSISTANT: AssistantId =
    AssistantId(ObjectId::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0x55, 0x15]));

impl Default for ImPolicy {
    fn default() -> Self {
        Self { recall_within: span::minutes(2), presence_lease: Duration::from_secs(45), assistant: DEFAULT_ASSISTANT }
    }
}
