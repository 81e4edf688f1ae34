//! Holding back password guessing: per name and per address, counted in the database before a password is
//! looked at, so that it holds across nodes and for many tries at once.

use std::time::Duration;

use domain::time::span;

use crate::AccountError;
use crate::challenge::Origin;
use crate::counter::{GuardKey, GuardPolicy, LedgerKey, LedgerScope, Locked};
use crate::service::Accounts;
use crate::unit::AccountUnit;

impl Accounts {
    /// Counts a try at a password as failed until [`Accounts::clear_guard`] takes it back.
    pub(crate) async fn reserve_password_try(
        &self,
        guard: &GuardKey,
        policy: &GuardPolicy,
        origin: &Origin,
    ) -> Result<(), AccountError> {
        let now = self.clock.now();
        let mut unit = self.store.begin().await?;
        let mut guard = unit.counters().lock_guard(guard).await?;
        guard.check(policy, now).map_err(|Locked { wait }| throttled(wait))?;
        guard.fail(policy, now);
        unit.counters().save_guard(&guard, now).await?;
        self.count_password_address(unit.as_mut(), origin).await?;
        if guard.check(policy, now).is_err() {
            let subject = format!("{}:{}", guard.key.scope.as_str(), guard.key.subject);
            let event = self.audit_event(&domain::Actor::App, "password.lock", subject);
            unit.audit().append_all(&[event]).await?;
        }
        Ok(unit.commit().await?)
    }

    /// Counts a password request of this address, or refuses it.
    pub(crate) async fn count_password_address(
        &self,
        unit: &mut dyn AccountUnit,
        origin: &Origin,
    ) -> Result<(), AccountError> {
        if self.settings.codes.is_exempt(origin.address) {
            return Ok(());
        }
        let (now, window) = (self.clock.now(), self.settings.passwords.per_address);
        let key = LedgerKey::new(LedgerScope::PasswordAddress, self.address_index(origin));
        let mut ledgers = unit.counters().lock_ledgers(&[key]).await?;
        for ledger in &mut ledgers {
            if let Some(wait) = ledger.wait(&[window], now) {
                return Err(throttled(Some(wait)));
            }
            ledger.record(now, None, Duration::ZERO, window.within);
        }
        Ok(unit.counters().save_ledgers(&ledgers, now).await?)
    }

    /// Forgets the failures of a name after a success.
    pub(crate) async fn clear_guard(&self, unit: &mut dyn AccountUnit, key: &GuardKey) -> Result<(), AccountError> {
        let mut guard = unit.counters().lock_guard(key).await?;
        guard.succeed();
        Ok(unit.counters().save_guard(&guard, self.clock.now()).await?)
    }
}

/// A lock without an end is said to last a day: whoever comes back then is told the same.
fn throttled(wait: Option<Duration>) -> AccountError {
    AccountError::SignInThrottled { wait: wait.unwrap_or(span::days(1)) }
}
