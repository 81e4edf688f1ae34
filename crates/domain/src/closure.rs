//! That an account was closed, told by whoever keeps accounts to whoever keeps what its person had begun.

use serde::{Deserialize, Serialize};

use crate::id::{DoctorId, PatientId, UserId};

/// The kind of the jobs that tell it.
pub const ACCOUNT_CLOSED: &str = "account_closed";

/// A closed account and its profiles; the payload of [`ACCOUNT_CLOSED`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClosedAccount {
    /// `None` where nobody ever signed in.
    pub user: Option<UserId>,
    pub patient: Option<PatientId>,
    pub doctor: Option<DoctorId>,
}
