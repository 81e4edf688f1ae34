//! `business.*`: the settings of the consultation rules.

use std::num::NonZeroU32;
use std::time::Duration;

use chrono_tz::Tz;
use consultation::policy::{ConsultationPolicy, WhenDoctorClosed};
use serde::{Deserialize, Deserializer, de};

use super::duration;

/// What happens to a new consultation when the doctor has consulting switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoctorClosed {
    Allow,
    Refuse,
}

/// `business.*`; the defaults are those of [`ConsultationPolicy`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Business {
    /// IANA zone of office hours where a doctor has none.
    #[serde(deserialize_with = "time_zone")]
    pub timezone: Tz,
    #[serde(deserialize_with = "duration::deserialize")]
    pub no_reply_after: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    pub idle_after: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    pub sweep_grace: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    pub warn_before: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    pub reopen_within: Duration,
    /// `off`, or the longest a consultation may run.
    #[serde(deserialize_with = "duration::deserialize_or_off")]
    pub max_duration: Option<Duration>,
    /// 0 for no limit.
    pub max_patient_messages: u32,
    pub when_doctor_closed: DoctorClosed,
    #[serde(deserialize_with = "duration::deserialize")]
    pub cool_down: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    pub escalate_after: Duration,
    #[serde(deserialize_with = "duration::deserialize")]
    pub unseen_after: Duration,
    /// Years for which the records of a doctor and a patient are kept after the last of them.
    pub retention_years: NonZeroU32,
}

impl Default for Business {
    fn default() -> Self {
        let policy = ConsultationPolicy::default();
        Self {
            timezone: policy.timezone,
            no_reply_after: policy.no_reply_after,
            idle_after: policy.idle_after,
            sweep_grace: policy.sweep_grace,
            warn_before: policy.warn_before,
            reopen_within: policy.reopen_within,
            max_duration: policy.max_duration,
            max_patient_messages: policy.max_patient_messages.and_then(|n| n.try_into().ok()).unwrap_or(0),
            when_doctor_closed: match policy.when_doctor_closed {
                WhenDoctorClosed::Allow => DoctorClosed::Allow,
                WhenDoctorClosed::Refuse => DoctorClosed::Refuse,
            },
            cool_down: policy.cool_down,
            escalate_after: policy.escalate_after,
            unseen_after: policy.unseen_after,
            retention_years: NonZeroU32::MIN.saturating_add(14),
        }
    }
}

impl Business {
    pub(super) fn policy(&self, require_session: bool) -> ConsultationPolicy {
        ConsultationPolicy {
            timezone: self.timezone,
            no_reply_after: self.no_reply_after,
            idle_after: self.idle_after,
            sweep_grace: self.sweep_grace,
            warn_before: self.warn_before,
            reopen_within: self.reopen_within,
            max_duration: self.max_duration,
            max_patient_messages: (self.max_patient_messages > 0).then(|| i64::from(self.max_patient_messages)),
            when_doctor_closed: match self.when_doctor_closed {
                DoctorClosed::Allow => WhenDoctorClosed::Allow,
                DoctorClosed::Refuse => WhenDoctorClosed::Refuse,
            },
            cool_down: self.cool_down,
            escalate_after: self.escalate_after,
            unseen_after: self.unseen_after,
            require_session,
        }
    }
}

fn time_zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tz, D::Error> {
    let name = String::deserialize(deserializer)?;
    name.parse().map_err(|_unknown| de::Error::custom("is an IANA time zone like Asia/Shanghai"))
}
