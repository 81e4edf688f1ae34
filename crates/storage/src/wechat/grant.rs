//! The grant ledger and the reports it is counted from.

use ::wechat::grant::{Grant, GrantKey, Report, Source};
use ::wechat::ports::GrantRepository;
use async_trait::async_trait;
use domain::{ObjectId, StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use super::get;
use crate::convert::{instant, millis, parse, text};
use crate::store::SeaUnit;

fn grant(row: &QueryResult) -> Result<Grant, StoreError> {
    let number = |column| Ok::<_, StoreError>(u32::try_from(get::<i64>(row, column)?).unwrap_or(0));
    Ok(Grant {
        key: GrantKey { app: get(row, "app")?, openid: get(row, "openid")?, template_id: get(row, "template_id")? },
        granted: number("granted")?,
        reserved: number("reserved")?,
        is_long_term: get(row, "is_long_term")?,
        refused_at: instant(get(row, "refused_at")?),
        rejected_at: instant(get(row, "rejected_at")?),
    })
}

fn key_values(key: &GrantKey) -> [Value; 3] {
    [key.app.as_str().into(), key.openid.as_str().into(), key.template_id.as_str().into()]
}

#[async_trait]
impl GrantRepository for SeaUnit {
    async fn lock(&mut self, key: &GrantKey) -> Result<Grant, StoreError> {
        // Made before it is locked, so that two units that meet here first wait for each other.
        let sql = "INSERT INTO wechat_grant (app, openid, template_id, granted, reserved, is_long_term) \
                   VALUES ($1, $2, $3, 0, 0, FALSE) ON CONFLICT (app, openid, template_id) DO NOTHING";
        self.execute(sql, key_values(key)).await?;
        let lock = self.backend.for_update();
        let sql = format!("SELECT * FROM wechat_grant WHERE app = $1 AND openid = $2 AND template_id = $3{lock}");
        let rows = self.query(&sql, key_values(key)).await?;
        rows.first().map_or_else(|| Ok(Grant::none(key.clone())), grant)
    }

    async fn save(&mut self, grant: &Grant) -> Result<(), StoreError> {
        let sql = "UPDATE wechat_grant SET granted = $4, reserved = $5, is_long_term = $6, refused_at = $7, \
                   rejected_at = $8 WHERE app = $1 AND openid = $2 AND template_id = $3";
        let values: [Value; 5] = [
            i64::from(grant.granted).into(),
            i64::from(grant.reserved).into(),
            grant.is_long_term.into(),
            millis(grant.refused_at).into(),
            millis(grant.rejected_at).into(),
        ];
        let changed = self.execute(sql, key_values(&grant.key).into_iter().chain(values)).await?;
        if changed == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn list(&mut self, app: &str, openid: &str) -> Result<Vec<Grant>, StoreError> {
        let sql = "SELECT * FROM wechat_grant WHERE app = $1 AND openid = $2 ORDER BY template_id";
        self.query(sql, [app.into(), openid.into()]).await?.iter().map(grant).collect()
    }

    async fn insert_report(&mut self, report: &Report) -> Result<bool, StoreError> {
        let sql = "INSERT INTO wechat_grant_report (app, openid, template_id, id, source, prompt, answered_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) \
                   ON CONFLICT (app, openid, template_id, source, prompt) DO NOTHING";
        let values: [Value; 4] = [
            text(&report.id).into(),
            report.source.as_str().into(),
            report.prompt.as_str().into(),
            report.answered_at.as_millis().into(),
        ];
        Ok(self.execute(sql, key_values(&report.key).into_iter().chain(values)).await? == 1)
    }

    async fn find_unpaired(
        &mut self,
        key: &GrantKey,
        source: Source,
        from: Timestamp,
        to: Timestamp,
        near: Timestamp,
    ) -> Result<Option<ObjectId>, StoreError> {
        let sql = "SELECT id FROM wechat_grant_report WHERE app = $1 AND openid = $2 AND template_id = $3 \
                   AND source = $4 AND paired_with IS NULL AND answered_at BETWEEN $5 AND $6 \
                   ORDER BY ABS(answered_at - $7), id LIMIT 1";
        let values: [Value; 4] =
            [source.as_str().into(), from.as_millis().into(), to.as_millis().into(), near.as_millis().into()];
        let rows = self.query(sql, key_values(key).into_iter().chain(values)).await?;
        rows.first().map(|row| parse("wechat_grant_report.id", &get::<String>(row, "id")?)).transpose()
    }

    async fn pair(&mut self, one: ObjectId, other: ObjectId) -> Result<(), StoreError> {
        for (mine, twin) in [(one, other), (other, one)] {
            let sql = "UPDATE wechat_grant_report SET paired_with = $1 WHERE id = $2 AND paired_with IS NULL";
            if self.execute(sql, [text(&twin).into(), text(&mine).into()]).await? != 1 {
                return Err(StoreError::Conflict);
            }
        }
        Ok(())
    }

    async fn purge_reports(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        self.execute("DELETE FROM wechat_grant_report WHERE answered_at < $1", [before.as_millis().into()]).await
    }
}
