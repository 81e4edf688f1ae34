//! Templates as the console has them.

use ::wechat::ports::TemplateRepository;
use ::wechat::template::Template;
use async_trait::async_trait;
use domain::{StoreError, Timestamp};
use sea_orm::QueryResult;

use super::get;
use crate::convert::{from_json, instant, millis, to_json};
use crate::store::SeaUnit;

fn template(row: &QueryResult) -> Result<Template, StoreError> {
    Ok(Template {
        app: get(row, "app")?,
        template_id: get(row, "template_id")?,
        title: get(row, "title")?,
        content: get(row, "content")?,
        is_long_term: get(row, "is_long_term")?,
        words: from_json("wechat_template.words", get(row, "words")?)?,
        synced_at: Timestamp::from_millis(get(row, "synced_at")?),
        changed_at: instant(get(row, "changed_at")?),
        missing_since: instant(get(row, "missing_since")?),
    })
}

#[async_trait]
impl TemplateRepository for SeaUnit {
    async fn list(&mut self, app: &str) -> Result<Vec<Template>, StoreError> {
        let sql = "SELECT * FROM wechat_template WHERE app = $1 ORDER BY template_id";
        self.query(sql, [app.into()]).await?.iter().map(template).collect()
    }

    async fn save(&mut self, template: &Template) -> Result<(), StoreError> {
        let sql = "INSERT INTO wechat_template (app, template_id, title, content, is_long_term, words, synced_at, \
                   changed_at, missing_since) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                   ON CONFLICT (app, template_id) DO UPDATE SET title = excluded.title, content = excluded.content, \
                   is_long_term = excluded.is_long_term, words = excluded.words, synced_at = excluded.synced_at, \
                   changed_at = excluded.changed_at, missing_since = excluded.missing_since";
        let values = [
            template.app.as_str().into(),
            template.template_id.as_str().into(),
            template.title.as_str().into(),
            template.content.as_str().into(),
            template.is_long_term.into(),
            to_json(&template.words).into(),
            template.synced_at.as_millis().into(),
            millis(template.changed_at).into(),
            millis(template.missing_since).into(),
        ];
        self.execute(sql, values).await?;
        Ok(())
    }
}
