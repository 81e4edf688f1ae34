//! What the use cases of this crate need, gathered in one place. The use cases themselves are in the files
//! named for their subject.

use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use chrono_tz::Tz;
use domain::audit::AuditEvent;
use domain::file::BlobStore;
use domain::id::{AuditId, IdSource};
use domain::rng::SecureRandom;
use domain::sms::SmsGateway;
use domain::time::span;
use domain::{Actor, Clock};
use serde_json::Value;

use crate::captcha::CaptchaVerifier;
use crate::counter::{GuardPolicy, Window};
use crate::files::FileSettings;
use crate::idempotency::IdempotencySettings;
use crate::keys::AccountKeys;
use crate::limits::SmsCodePolicy;
use crate::password::PasswordHasher;
use crate::session::SessionSettings;
use crate::unit::AccountStore;

/// The outside of this crate.
pub struct AccountPorts {
    pub store: Arc<dyn AccountStore>,
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn IdSource>,
    pub random: Arc<dyn SecureRandom>,
    pub sms: Arc<dyn SmsGateway>,
    pub captcha: Arc<dyn CaptchaVerifier>,
    pub hasher: Arc<dyn PasswordHasher>,
    pub blobs: Arc<dyn BlobStore>,
}

/// Settings of this crate; [`AccountSettings::default`] is the documented default.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountSettings {
    /// Zone in which "today" is meant.
    pub timezone: Tz,
    pub codes: SmsCodePolicy,
    pub sessions: SessionSettings,
    pub passwords: PasswordPolicy,
    /// Sign-ins with another provider's identity per address. Default 300/h: a hospital's visitors share one.
    pub identities_per_address: Window,
    pub files: FileSettings,
    pub idempotency: IdempotencySettings,
    /// A sign-in not longer ago than this lets a number be changed without a code to the old one. Default 10 minutes.
    pub fresh_sign_in: Duration,
}

impl Default for AccountSettings {
    fn default() -> Self {
        Self {
            timezone: chrono_tz::Asia::Shanghai,
            codes: SmsCodePolicy::default(),
            sessions: SessionSettings::default(),
            passwords: PasswordPolicy::default(),
            identities_per_address: Window::new(300, span::hours(1)),
            files: FileSettings::default(),
            idempotency: IdempotencySettings::default(),
            fresh_sign_in: span::minutes(10),
        }
    }
}

/// How often passwords may be tried.
#[derive(Debug, Clone, PartialEq)]
pub struct PasswordPolicy {
    /// Per agent's name. Default: 5 wrong ones lock for 15 minutes, doubling up to 4 hours.
    pub agent_guard: GuardPolicy,
    /// Per user. Default: 7 wrong ones within 15 minutes lock for 15 minutes, as on LeanCloud.
    pub user_guard: GuardPolicy,
    /// Tries per address, right or wrong. Default 60/h.
    pub per_address: Window,
}

impl Default for PasswordPolicy {
    fn default() -> Self {
        let quarter = span::minutes(15);
        Self {
            agent_guard: GuardPolicy {
                failures_per_lock: 5,
                first_lock: quarter,
                longest_lock: span::hours(4),
                hard_lock_at: None,
                forget_after: Some(span::hours(24)),
            },
            user_guard: GuardPolicy {
                failures_per_lock: 7,
                first_lock: quarter,
                longest_lock: quarter,
                hard_lock_at: None,
                forget_after: Some(quarter),
            },
            per_address: Window::new(60, span::hours(1)),
        }
    }
}

/// The use cases around accounts.
pub struct Accounts {
    pub(crate) store: Arc<dyn AccountStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) random: Arc<dyn SecureRandom>,
    pub(crate) sms: Arc<dyn SmsGateway>,
    pub(crate) captcha: Arc<dyn CaptchaVerifier>,
    pub(crate) hasher: Arc<dyn PasswordHasher>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) keys: AccountKeys,
    pub(crate) settings: AccountSettings,
}

impl Accounts {
    pub fn new(ports: AccountPorts, keys: AccountKeys, settings: AccountSettings) -> Self {
        let AccountPorts { store, clock, ids, random, sms, captcha, hasher, blobs } = ports;
        Self { store, clock, ids, random, sms, captcha, hasher, blobs, keys, settings }
    }

    /// Today in the deployment's zone.
    pub(crate) fn today(&self) -> NaiveDate {
        self.clock.now().to_datetime().with_timezone(&self.settings.timezone).date_naive()
    }

    pub(crate) fn audit_event(&self, actor: &Actor, action: &'static str, subject: String) -> AuditEvent {
        self.audit_detail(actor.label(), action, subject, Value::Null)
    }

    pub(crate) fn audit_detail(
        &self,
        actor: String,
        action: &'static str,
        subject: String,
        detail: Value,
    ) -> AuditEvent {
        AuditEvent { id: AuditId(self.ids.next()), actor, action, subject, detail, at: self.clock.now() }
    }
}
