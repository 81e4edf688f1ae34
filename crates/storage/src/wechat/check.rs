//! Content checks.

use ::wechat::content::{Check, CheckState, Checker, Subject};
use ::wechat::ports::CheckRepository;
use ::wechat::push::Verdict;
use async_trait::async_trait;
use domain::page::{Cursor, Page, PageRequest};
use domain::{ObjectId, StoreError, Timestamp};
use sea_orm::{QueryResult, Value};

use super::{get, push};
use crate::convert::{known, parse, text};
use crate::store::SeaUnit;

fn check(row: &QueryResult) -> Result<Check, StoreError> {
    let verdict: Option<String> = get(row, "verdict")?;
    Ok(Check {
        id: parse("wechat_content_check.id", &get::<String>(row, "id")?)?,
        app: get(row, "app")?,
        subject: Subject {
            conversation: parse("wechat_content_check.conversation_id", &get::<String>(row, "conversation_id")?)?,
            sender: get(row, "sender")?,
            client_message_id: get(row, "client_message_id")?,
        },
        is_picture: get(row, "is_picture")?,
        author: parse("wechat_content_check.author_id", &get::<String>(row, "author_id")?)?,
        is_by_doctor: get(row, "is_by_doctor")?,
        checker: known("wechat_content_check.checker", Checker::parse(&get::<String>(row, "checker")?))?,
        state: known("wechat_content_check.state", CheckState::parse(&get::<String>(row, "state")?))?,
        verdict: verdict.map(|word| known("wechat_content_check.verdict", Verdict::parse(&word))).transpose()?,
        label: get(row, "label")?,
        trace_id: get(row, "trace_id")?,
        is_held: get(row, "is_held")?,
        held: get(row, "sealed")?,
        reviewer: get(row, "reviewer")?,
        reason: get(row, "reason")?,
        created_at: Timestamp::from_millis(get(row, "created_at")?),
        updated_at: Timestamp::from_millis(get(row, "updated_at")?),
    })
}

#[async_trait]
impl CheckRepository for SeaUnit {
    async fn insert(&mut self, check: &Check) -> Result<(), StoreError> {
        let sql = "INSERT INTO wechat_content_check (id, app, conversation_id, sender, client_message_id, is_picture, \
                   author_id, is_by_doctor, checker, state, verdict, label, trace_id, is_held, sealed, created_at, \
                   updated_at) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)";
        let values: [Value; 17] = [
            text(&check.id).into(),
            check.app.as_str().into(),
            text(&check.subject.conversation).into(),
            check.subject.sender.as_str().into(),
            check.subject.client_message_id.as_str().into(),
            check.is_picture.into(),
            text(&check.author).into(),
            check.is_by_doctor.into(),
            check.checker.as_str().into(),
            check.state.as_str().into(),
            check.verdict.map(|verdict| verdict.as_str().to_owned()).into(),
            check.label.into(),
            check.trace_id.clone().into(),
            check.is_held.into(),
            check.held.clone().into(),
            check.created_at.as_millis().into(),
            check.updated_at.as_millis().into(),
        ];
        self.execute(sql, values).await?;
        Ok(())
    }

    async fn lock(&mut self, id: ObjectId) -> Result<Option<Check>, StoreError> {
        let sql = format!("SELECT * FROM wechat_content_check WHERE id = $1{}", self.backend.for_update());
        self.query(&sql, [text(&id).into()]).await?.first().map(check).transpose()
    }

    async fn find_by_trace(&mut self, app: &str, trace_id: &str) -> Result<Option<ObjectId>, StoreError> {
        let sql = "SELECT id FROM wechat_content_check WHERE app = $1 AND trace_id = $2 LIMIT 1";
        let rows = self.query(sql, [app.into(), trace_id.into()]).await?;
        rows.first().map(|row| parse("wechat_content_check.id", &get::<String>(row, "id")?)).transpose()
    }

    async fn update(&mut self, check: &Check) -> Result<(), StoreError> {
        let sql = "UPDATE wechat_content_check SET checker = $2, state = $3, verdict = $4, label = $5, \
                   reviewer = $6, reason = $7, updated_at = $8 WHERE id = $1";
        let values: [Value; 8] = [
            text(&check.id).into(),
            check.checker.as_str().into(),
            check.state.as_str().into(),
            check.verdict.map(|verdict| verdict.as_str().to_owned()).into(),
            check.label.into(),
            check.reviewer.clone().into(),
            check.reason.clone().into(),
            check.updated_at.as_millis().into(),
        ];
        if self.execute(sql, values).await? == 1 { Ok(()) } else { Err(StoreError::Conflict) }
    }

    async fn forget_held(&mut self, id: ObjectId) -> Result<(), StoreError> {
        self.execute("UPDATE wechat_content_check SET sealed = NULL WHERE id = $1", [text(&id).into()]).await?;
        Ok(())
    }

    async fn list(&mut self, state: CheckState, page: PageRequest) -> Result<Page<Check>, StoreError> {
        let (conditions, values) = (vec!["state = $1".to_owned()], vec![state.as_str().into()]);
        let rows = push::page(self, "wechat_content_check", "created_at", conditions, values, page).await?;
        let found = rows.iter().map(check).collect::<Result<Vec<_>, _>>()?;
        Ok(Page::from_rows(found, page.limit, |check| Cursor { at: check.created_at, id: check.id }))
    }
}
