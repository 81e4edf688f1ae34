//! What tests of every crate share: an in-memory store with real transactions, time, ids and randomness that
//! stand still, recording ports, builders, and the contract every store has to keep. Development only.

pub mod build;
pub mod clock;
pub mod contract;
pub mod ids;
pub mod leancloud;
pub mod memory;
pub mod notifier;
pub mod random;
pub mod signal;
pub mod sms;
pub mod stage;

pub use clock::ManualClock;
pub use ids::SequentialIds;
pub use memory::{MemoryStore, MemoryUnit};
pub use notifier::MemoryNotifier;
pub use random::SeededRandom;
pub use signal::CountingSignal;
pub use sms::SmsStandIn;
pub use stage::Stage;
