//! The outbox: written in business units, claimed by workers.

mod queue;
pub(crate) mod row;
