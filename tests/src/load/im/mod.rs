//! Load on messaging, through its WebSocket protocol only.

mod idle;
mod pairs;
mod senders;
mod steady;
mod tally;
pub mod wire;

pub use idle::{Idle, IdleFigures};
pub use pairs::Pairs;
pub use senders::Senders;
pub use steady::Steady;
pub use tally::{Minute, Tally};

/// Any failure of a run.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// 120 bytes of Chinese.
pub const TEXT: &str = "医生您好我最近一周睡眠一直不太好夜里总是醒来两三次白天也没有精神请问需要做检查吗";

/// Where the servers are: the two sides of a conversation may be on two nodes.
#[derive(Debug, Clone)]
pub struct Nodes {
    /// Of doctors.
    pub first: String,
    /// Of patients.
    pub second: String,
}
