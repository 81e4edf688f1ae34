//! Templates as the console has them: fetched, kept, and compared, because messages are filled by their keys.

use std::collections::BTreeMap;
use std::fmt::Write;

use domain::Timestamp;
use serde_json::{Map, Value};

use crate::app::{App, AppKind};
use crate::client::Call;
use crate::context::Context;
use crate::error::WechatError;

/// Longest text kept of a template.
const MAX_TEXT_CHARS: usize = 1_000;

/// A template of an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pub app: String,
    pub template_id: String,
    pub title: String,
    /// As in the console: lines like `备注:{{thing3.DATA}}`.
    pub content: String,
    pub is_long_term: bool,
    /// Words of enumerations by key.
    pub words: BTreeMap<String, Vec<String>>,
    /// It was in the console at this time.
    pub synced_at: Timestamp,
    /// When its content last differed from what was kept.
    pub changed_at: Option<Timestamp>,
    /// Since when the console has it no more.
    pub missing_since: Option<Timestamp>,
}

impl Template {
    /// The keys of its content, in order.
    pub fn keys(&self) -> Vec<String> {
        keys_of(&self.content)
    }
}

/// `{{thing1.DATA}}` … in order, each once.
fn keys_of(content: &str) -> Vec<String> {
    let mut keys: Vec<String> = Vec::new();
    for part in content.split("{{").skip(1) {
        let Some((inside, _)) = part.split_once("}}") else { continue };
        let key = inside.trim().trim_end_matches(".DATA").trim();
        let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        // Not shown since 2023, and nothing to fill in.
        let is_shown = key != "first" && key != "remark";
        if is_key && is_shown && !keys.iter().any(|known| known == key) {
            keys.push(key.to_owned());
        }
    }
    keys
}

/// What a synchronisation found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncReport {
    pub known: usize,
    pub changed: usize,
    pub missing: usize,
}

/// Use cases on templates.
#[derive(Clone)]
pub struct Templates {
    context: Context,
}

impl Templates {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// What is kept of an app's templates.
    ///
    /// # Errors
    /// [`WechatError::Store`].
    pub async fn list(&self, app: &str) -> Result<Vec<Template>, WechatError> {
        let app = self.context.app(app)?;
        Ok(self.context.store.read().templates().list(&app.name).await?)
    }

    /// Fetches an app's templates and compares them with what is kept.
    ///
    /// # Errors
    /// [`WechatError`] when the platform or the database does not answer.
    pub async fn sync(&self, app: &str) -> Result<SyncReport, WechatError> {
        let app = self.context.app(app)?;
        let now = self.context.clock.now();
        let fetched = self.fetch(app, now).await?;
        let mut unit = self.context.store.begin().await?;
        let kept = unit.templates().list(&app.name).await?;
        let mut report = SyncReport { known: fetched.len(), ..SyncReport::default() };
        for mut template in fetched.iter().cloned() {
            if let Some(before) = kept.iter().find(|kept| kept.template_id == template.template_id) {
                let has_changed = before.content != template.content || before.words != template.words;
                template.changed_at = if has_changed { Some(now) } else { before.changed_at };
                report.changed += usize::from(has_changed);
            }
            unit.templates().save(&template).await?;
        }
        let is_gone = |kept: &&Template| !fetched.iter().any(|found| found.template_id == kept.template_id);
        for gone in kept.iter().filter(is_gone) {
            report.missing += 1;
            let missing_since = gone.missing_since.or(Some(now));
            unit.templates().save(&Template { missing_since, ..gone.clone() }).await?;
        }
        unit.commit().await?;
        raise_alarms(app, &report, &fetched);
        Ok(report)
    }

    async fn fetch(&self, app: &App, now: Timestamp) -> Result<Vec<Template>, WechatError> {
        let answer = self.context.client.json(app, &list_call(app.kind)).await?;
        read_all(app, &answer, now).ok_or(WechatError::Unavailable)
    }
}

/// The call that lists an app's templates.
pub(crate) fn list_call(kind: AppKind) -> Call {
    match kind {
        AppKind::Miniprogram => Call::get("gettemplate", "/wxaapi/newtmpl/gettemplate"),
        AppKind::ServiceAccount => Call::get("get_all_private_template", "/cgi-bin/template/get_all_private_template"),
    }
}

/// The templates in its answer; `None` when there is no list in it.
pub(crate) fn read_all(app: &App, answer: &Map<String, Value>, now: Timestamp) -> Option<Vec<Template>> {
    let list = match app.kind {
        AppKind::Miniprogram => "data",
        AppKind::ServiceAccount => "template_list",
    };
    let items = answer.get(list)?.as_array()?;
    Some(items.iter().filter_map(Value::as_object).filter_map(|item| read(app, item, now)).collect())
}

fn raise_alarms(app: &App, report: &SyncReport, fetched: &[Template]) {
    if report.changed > 0 || report.missing > 0 {
        let (changed, missing) = (report.changed, report.missing);
        tracing::error!(app = app.name, changed, missing, "templates were changed in the console");
    }
    let mut absent = String::new();
    for (name, id) in &app.templates {
        if !fetched.iter().any(|template| template.template_id == *id) {
            // Writing to a String cannot fail.
            let _ = write!(absent, "{name} ");
        }
    }
    if !absent.is_empty() {
        tracing::error!(app = app.name, templates = absent.trim(), "configured templates are not in the console");
    }
}

fn read(app: &App, item: &Map<String, Value>, now: Timestamp) -> Option<Template> {
    let text = |names: &[&str]| {
        let found = names.iter().find_map(|name| item.get(*name).and_then(Value::as_str));
        found.map(|text| text.chars().take(MAX_TEXT_CHARS).collect::<String>())
    };
    Some(Template {
        app: app.name.clone(),
        template_id: text(&["priTmplId", "template_id"])?,
        title: text(&["title"]).unwrap_or_default(),
        content: text(&["content"])?,
        is_long_term: item.get("type").and_then(Value::as_i64) == Some(3),
        words: words(item),
        synced_at: now,
        changed_at: None,
        missing_since: None,
    })
}

fn words(item: &Map<String, Value>) -> BTreeMap<String, Vec<String>> {
    let lists = item.get("keywordEnumValueList").and_then(Value::as_array);
    let entry = |list: &Value| {
        let key = list.get("keywordCode")?.as_str()?;
        let key = key.trim_end_matches(".DATA").to_owned();
        let words = list.get("enumValueList")?.as_array()?.iter().filter_map(Value::as_str).map(str::to_owned);
        Some((key, words.collect()))
    };
    lists.into_iter().flatten().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_order_and_once() {
        let content = "{{first.DATA}}\n医生:{{name1.DATA}}\n时间：{{time2.DATA}}\n{{thing3.DATA}}{{thing3.DATA}}\n{{remark.DATA}}{{bad";
        assert_eq!(keys_of(content), ["name1", "time2", "thing3"]);
        assert_eq!(keys_of("{{}}{{a b.DATA}}"), Vec::<String>::new());
    }
}
