//! The settings of the business rules (every † of the consultation contract).

use std::time::Duration;

use chrono_tz::Tz;
use domain::time::span;

/// What happens to a new consultation when the doctor has consulting switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenDoctorClosed {
    Allow,
    Refuse,
}

/// Settings of the consultation rules; [`ConsultationPolicy::default`] is the documented default.
#[derive(Debug, Clone, PartialEq)]
pub struct ConsultationPolicy {
    /// Zone of office hours where a doctor has none.
    pub timezone: Tz,
    /// A new consultation expires when the doctor has not replied for this long.
    pub no_reply_after: Duration,
    /// A running consultation ends when nobody has written for this long.
    pub idle_after: Duration,
    /// Doctors get this much beyond a deadline before the sweep acts.
    pub sweep_grace: Duration,
    /// Both sides are warned this long before a deadline.
    pub warn_before: Duration,
    /// A doctor may reopen for this long after the end.
    pub reopen_within: Duration,
    /// Hard limit on the length of a consultation; off when `None`.
    pub max_duration: Option<Duration>,
    /// Hard limit on the patient's messages; off when `None`.
    pub max_patient_messages: Option<i64>,
    pub when_doctor_closed: WhenDoctorClosed,
    /// At most one notification per unread run within this time.
    pub cool_down: Duration,
    /// Unread and unanswered for this long inside hours: escalate.
    pub escalate_after: Duration,
    /// Nobody was told of a message since its recipient was looking: when it is not read by then, and nobody looks any
    /// more, it is decided about again.
    pub unseen_after: Duration,
    /// Whether starting a consultation needs a session beside the application's key.
    pub require_session: bool,
}

impl Default for ConsultationPolicy {
    fn default() -> Self {
        Self {
            timezone: chrono_tz::Asia::Shanghai,
            no_reply_after: span::hours(48),
            idle_after: span::hours(48),
            sweep_grace: span::minutes(10),
            warn_before: span::hours(2),
            reopen_within: span::hours(24),
            max_duration: None,
            max_patient_messages: None,
            when_doctor_closed: WhenDoctorClosed::Allow,
            cool_down: span::minutes(10),
            escalate_after: span::minutes(30),
            unseen_after: span::minutes(1),
            require_session: false,
        }
    }
}
