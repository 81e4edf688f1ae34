//! Ledgers, guards and one-time ids.
//!
//! Rows are made before they are locked, in key order, so that two units that count the same things for the
//! first time wait for each other instead of both finding nothing.

use std::collections::HashMap;

use ::account::counter::{CounterRepository, Guard, GuardKey, Ledger, LedgerKey, LedgerScope, Mark, OneTime};
use async_trait::async_trait;
use domain::{StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use crate::backend::store_error;
use crate::convert::{from_json, instant, known, millis, to_json};
use crate::store::SeaUnit;
use crate::values::tuples;

fn key_values(keys: &[LedgerKey]) -> Vec<Value> {
    keys.iter().flat_map(|key| [key.scope.as_str().into(), key.subject.as_str().into()]).collect()
}

fn ledger(row: &QueryResult) -> Result<Ledger, StoreError> {
    let scope: String = row.try_get("", "scope").map_err(store_error)?;
    let subject: String = row.try_get("", "subject").map_err(store_error)?;
    let marks: Vec<Mark> = from_json("rate_ledger.marks", row.try_get("", "marks").map_err(store_error)?)?;
    let scope = known("rate_ledger.scope", LedgerScope::parse(&scope))?;
    Ok(Ledger { key: LedgerKey { scope, subject }, marks })
}

fn guard(row: &QueryResult, key: &GuardKey) -> Result<Guard, StoreError> {
    let failures: i64 = row.try_get("", "failures").map_err(store_error)?;
    Ok(Guard {
        key: key.clone(),
        failures: known("sign_in_guard.failures", u32::try_from(failures).ok())?,
        locked_until: instant(row.try_get("", "locked_until").map_err(store_error)?),
        last_failure_at: instant(row.try_get("", "last_failure_at").map_err(store_error)?),
    })
}

impl SeaUnit {
    async fn select_ledgers(&self, keys: &[LedgerKey], lock: &str) -> Result<Vec<Ledger>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let list = tuples(keys.len(), 2, 1);
        let sql = format!(
            "SELECT scope, subject, marks FROM rate_ledger WHERE (scope, subject) IN (VALUES {list}) \
             ORDER BY scope, subject{lock}"
        );
        let rows = self.query(&sql, key_values(keys)).await?;
        let found = rows.iter().map(ledger).collect::<Result<Vec<_>, _>>()?;
        let mut found: HashMap<_, _> = found.into_iter().map(|ledger| (ledger.key.clone(), ledger)).collect();
        Ok(keys.iter().map(|key| found.remove(key).unwrap_or_else(|| Ledger::empty(key.clone()))).collect())
    }
}

#[async_trait]
impl CounterRepository for SeaUnit {
    async fn lock_ledgers(&mut self, keys: &[LedgerKey]) -> Result<Vec<Ledger>, StoreError> {
        let mut ordered = keys.to_vec();
        // As the database orders them, not as they are declared.
        ordered.sort_by(|a, b| (a.scope.as_str(), &a.subject).cmp(&(b.scope.as_str(), &b.subject)));
        for key in &ordered {
            let sql = "INSERT INTO rate_ledger (scope, subject, marks, updated_at) VALUES ($1, $2, $3, 0) \
                       ON CONFLICT (scope, subject) DO NOTHING";
            let none: [Mark; 0] = [];
            let values = [key.scope.as_str().into(), key.subject.as_str().into(), to_json(&none).into()];
            self.execute(sql, values).await?;
        }
        self.select_ledgers(keys, self.backend.for_update()).await
    }

    async fn peek_ledgers(&mut self, keys: &[LedgerKey]) -> Result<Vec<Ledger>, StoreError> {
        self.select_ledgers(keys, "").await
    }

    async fn save_ledgers(&mut self, ledgers: &[Ledger], now: Timestamp) -> Result<(), StoreError> {
        for ledger in ledgers {
            let sql = "UPDATE rate_ledger SET marks = $1, updated_at = $2 WHERE scope = $3 AND subject = $4";
            let values = [
                to_json(&ledger.marks).into(),
                now.as_millis().into(),
                ledger.key.scope.as_str().into(),
                ledger.key.subject.as_str().into(),
            ];
            if self.execute(sql, values).await? != 1 {
                return Err(StoreError::Conflict);
            }
        }
        Ok(())
    }

    async fn lock_guard(&mut self, key: &GuardKey) -> Result<Guard, StoreError> {
        let names = || [key.scope.as_str().into(), key.subject.as_str().into()];
        let sql = "INSERT INTO sign_in_guard (scope, subject, failures, updated_at) VALUES ($1, $2, 0, 0) \
                   ON CONFLICT (scope, subject) DO NOTHING";
        self.execute(sql, names()).await?;
        let lock = self.backend.for_update();
        let sql = format!(
            "SELECT failures, locked_until, last_failure_at FROM sign_in_guard WHERE scope = $1 AND subject = $2{lock}"
        );
        let rows = self.query(&sql, names()).await?;
        rows.first().map_or_else(|| Ok(Guard::open(key.clone())), |row| guard(row, key))
    }

    async fn save_guard(&mut self, guard: &Guard, now: Timestamp) -> Result<(), StoreError> {
        let sql = "UPDATE sign_in_guard SET failures = $1, locked_until = $2, last_failure_at = $3, updated_at = $4 \
                   WHERE scope = $5 AND subject = $6";
        let values = [
            i64::from(guard.failures).into(),
            millis(guard.locked_until).into(),
            millis(guard.last_failure_at).into(),
            now.as_millis().into(),
            guard.key.scope.as_str().into(),
            guard.key.subject.as_str().into(),
        ];
        if self.execute(sql, values).await? == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn spend(&mut self, one_time: &OneTime) -> Result<bool, StoreError> {
        let sql = "INSERT INTO one_time (id, expires_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING";
        let values = [one_time.id.as_str().into(), one_time.expires_at.as_millis().into()];
        Ok(self.execute(sql, values).await? == 1)
    }

    async fn purge(&mut self, idle_since: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let idle = idle_since.as_millis();
        let ledgers = self.execute("DELETE FROM rate_ledger WHERE updated_at < $1", [idle.into()]).await?;
        let guards = "DELETE FROM sign_in_guard WHERE updated_at < $1 AND failures = 0";
        let guards = self.execute(guards, [idle.into()]).await?;
        let spent = self.execute("DELETE FROM one_time WHERE expires_at < $1", [now.as_millis().into()]).await?;
        Ok(ledgers + guards + spent)
    }
}
