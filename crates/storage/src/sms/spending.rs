//! What was spent on text messages, a row for each day.

use ::sms::budget::SpendRepository;
use async_trait::async_trait;
use domain::StoreError;
use sea_orm::QueryResult;

use crate::backend::store_error;
use crate::store::SeaUnit;

fn sum(row: &QueryResult) -> Result<i64, StoreError> {
    row.try_get("", "spent_milliyuan").map_err(store_error)
}

#[async_trait]
impl SpendRepository for SeaUnit {
    async fn reserve(&mut self, day: &str, cost: i64, ceiling: i64) -> Result<Option<i64>, StoreError> {
        let first = "INSERT INTO sms_spending (day, spent_milliyuan) VALUES ($1, 0) ON CONFLICT (day) DO NOTHING";
        self.execute(first, [day.into()]).await?;
        let sql = "UPDATE sms_spending SET spent_milliyuan = spent_milliyuan + $2 \
                   WHERE day = $1 AND spent_milliyuan + $2 <= $3 RETURNING spent_milliyuan";
        let rows = self.query(sql, [day.into(), cost.into(), ceiling.into()]).await?;
        rows.first().map(sum).transpose()
    }

    async fn adjust(&mut self, day: &str, difference: i64) -> Result<(), StoreError> {
        // Never below nothing, also when the day's row was made by another clock.
        let sql = "UPDATE sms_spending SET spent_milliyuan = CASE WHEN spent_milliyuan + $2 < 0 THEN 0 \
                   ELSE spent_milliyuan + $2 END WHERE day = $1";
        self.execute(sql, [day.into(), difference.into()]).await?;
        Ok(())
    }

    async fn spent(&mut self, day: &str) -> Result<i64, StoreError> {
        let rows = self.query("SELECT spent_milliyuan FROM sms_spending WHERE day = $1", [day.into()]).await?;
        Ok(rows.first().map(sum).transpose()?.unwrap_or_default())
    }
}
