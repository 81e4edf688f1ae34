//! A whole consultation for the patient's own records or for a regulator: as JSON, and as a page to be read.

use std::fmt::Write;

use consultation::service::ConsultationRecord;
use domain::Actor;
use domain::id::ConsultationId;
use im::Message;
use poem_openapi::Object;
use serde_json::Value;

use super::dto::{ConsultationEventView, ConsultationView};
use crate::http::files::links::Links;
use crate::http::messages::dto::MessageView;
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::{Date, Id, Instant};
use crate::http::words::{ConsultationStatus, Gender};

/// The page holds its style; pictures come from wherever files are served.
pub(super) const PAGE_CSP: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' https: http:; frame-ancestors 'none'";

/// A consultation with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ConsultationExportView {
    /// The consultation.
    pub consultation: ConsultationView,
    /// The doctor, absent when the account is gone.
    pub doctor: Option<ExportedDoctor>,
    /// The patient, absent when the account is gone.
    pub patient: Option<ExportedPatient>,
    /// Every transition, oldest first.
    pub events: Vec<ConsultationEventView>,
    /// Every message, ascending; recalled ones without content.
    pub messages: Vec<MessageView>,
    /// When this was written.
    pub exported_at: Instant,
}

/// The doctor of an export.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ExportedDoctor {
    /// The doctor's id.
    pub object_id: Id,
    /// Name.
    pub name: Option<String>,
    /// Hospital.
    pub hospital: Option<String>,
    /// Department.
    pub department: Option<String>,
    /// Title.
    pub title: Option<String>,
}

/// The patient of an export.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct ExportedPatient {
    /// The patient's id.
    pub object_id: Id,
    /// Name.
    pub name: Option<String>,
    /// Gender.
    pub gender: Option<Gender>,
    /// Day of birth.
    pub birthday: Option<Date>,
}

/// The consultation and its messages; both looks are audited for those who are no party.
pub(super) async fn load(
    app: &App,
    actor: &Actor,
    id: ConsultationId,
) -> Result<(ConsultationRecord, Vec<Message>), ApiError> {
    let record = app.consultations.record(actor, id).await?;
    let messages = match record.consultation.dialog_id {
        Some(dialog) => app.messaging.history.export(actor, dialog).await?,
        None => Vec::new(),
    };
    Ok((record, messages))
}

impl ConsultationExportView {
    pub(super) fn of(record: ConsultationRecord, messages: Vec<Message>, links: Links<'_>) -> Self {
        Self {
            doctor: record.doctor.map(|doctor| ExportedDoctor {
                object_id: doctor.id.into(),
                name: doctor.name,
                hospital: doctor.hospital,
                department: doctor.department,
                title: doctor.title,
            }),
            patient: record.patient.map(|patient| ExportedPatient {
                object_id: patient.id.into(),
                name: patient.name,
                gender: patient.gender.map(Gender::from),
                birthday: patient.birthday.map(Date),
            }),
            consultation: record.consultation.into(),
            events: record.events.into_iter().map(ConsultationEventView::from).collect(),
            messages: messages.into_iter().map(|message| MessageView::of(message, links)).collect(),
            exported_at: Instant(record.exported_at),
        }
    }
}

const STYLE: &str = "body{font:15px/1.6 system-ui,sans-serif;max-width:46em;margin:2em auto;padding:0 1em;color:#222}\
    h1{font-size:1.4em}dl{display:grid;grid-template-columns:8em 1fr;gap:.2em 1em}dt{color:#666}dd{margin:0}\
    article{border-top:1px solid #ddd;padding:.6em 0;break-inside:avoid}article header{color:#666;font-size:.85em}\
    .text{white-space:pre-wrap;overflow-wrap:anywhere}.line{color:#666;font-style:italic}img{max-width:100%;max-height:40em}\
    footer{border-top:1px solid #ddd;color:#666;font-size:.85em;margin-top:1em;padding-top:.6em}";

/// The export as a page.
pub(super) fn page(record: &ConsultationRecord, messages: Vec<Message>, links: Links<'_>) -> String {
    let consultation = &record.consultation;
    let mut html = format!(
        "<!doctype html><html lang=\"zh-CN\"><head><meta charset=\"utf-8\"><title>问诊记录 {id}</title>\
         <style>{STYLE}</style></head><body><h1>问诊记录</h1><dl>",
        id = consultation.id
    );
    let doctor = record.doctor.as_ref().map(|d| [&d.name, &d.hospital, &d.department, &d.title]);
    let doctor = doctor.into_iter().flatten().flatten().map(String::as_str).collect::<Vec<_>>().join(" ");
    let patient = record.patient.as_ref();
    let gender = patient.and_then(|p| p.gender).map(|gender| match gender.into() {
        Gender::Male => "男",
        Gender::Female => "女",
        Gender::Unknown => "未知",
    });
    let birthday = patient.and_then(|p| p.birthday).map(|day| day.to_string());
    let patient = [patient.and_then(|p| p.name.as_deref()), gender, birthday.as_deref()];
    let ended = consultation.ended_at.map(|at| record.local(at)).unwrap_or_default();
    let facts = [
        ("问诊编号", consultation.id.to_string()),
        ("医生", doctor),
        ("患者", patient.into_iter().flatten().collect::<Vec<_>>().join(" ")),
        ("状态", status_of(consultation.status.into(), consultation.is_invalid).to_owned()),
        ("开始时间", record.local(consultation.started_at)),
        ("结束时间", ended),
        ("结束说明", consultation.end_note.clone().unwrap_or_default()),
    ];
    for (name, value) in facts.iter().filter(|(_, value)| !value.is_empty()) {
        let _ = write!(html, "<dt>{name}</dt><dd>{}</dd>", escaped(value));
    }
    html.push_str("</dl>");
    for message in messages {
        let who = match &message.sender {
            None => "系统",
            Some(id) if *id == consultation.pair.doctor.to_string() => "医生",
            Some(id) if *id == consultation.pair.patient.to_string() => "患者",
            Some(_) => "其他",
        };
        let at = record.local(message.created_at);
        let _ = write!(html, "<article><header>{}. {who} · {at}</header>", message.seq);
        write_content(&mut html, &MessageView::of(message, links));
        html.push_str("</article>");
    }
    let _ = write!(
        html,
        "<footer>导出时间 {}（{}）。图片与附件的链接一小时内有效。</footer></body></html>",
        record.local(record.exported_at),
        record.timezone
    );
    html
}

const fn status_of(status: ConsultationStatus, is_invalid: bool) -> &'static str {
    match (status, is_invalid) {
        (_, true) => "无效",
        (ConsultationStatus::New, _) => "待回复",
        (ConsultationStatus::Replying, _) => "进行中",
        (ConsultationStatus::Ended, _) => "已结束",
    }
}

fn write_content(html: &mut String, message: &MessageView) {
    let Some(content) = &message.content else {
        html.push_str("<div class=\"line\">（此消息已撤回）</div>");
        return;
    };
    let field = |name: &str| content.get(name).and_then(Value::as_str).map(escaped);
    if message.corrects.is_some() {
        html.push_str("<div class=\"line\">（更正）</div>");
    }
    let url = field("url").filter(|url| url.starts_with("https://") || url.starts_with("http://"));
    let _ = match (message.kind.as_str(), url) {
        ("text", _) => write!(html, "<div class=\"text\">{}</div>", field("text").unwrap_or_default()),
        ("system", _) => write!(html, "<div class=\"line\">{}</div>", field("text").unwrap_or_default()),
        ("image", Some(url)) => write!(html, "<a href=\"{url}\"><img alt=\"图片\" src=\"{url}\"></a>"),
        ("voice", Some(url)) => write!(html, "<a href=\"{url}\">语音</a>"),
        ("file", Some(url)) => {
            write!(html, "<a href=\"{url}\">{}</a>", field("name").unwrap_or_else(|| "附件".to_owned()))
        }
        ("link", Some(url)) => {
            let title = field("title").unwrap_or_else(|| url.clone());
            let description = field("description").unwrap_or_default();
            write!(html, "<a rel=\"noreferrer\" href=\"{url}\">{title}</a><div class=\"text\">{description}</div>")
        }
        ("report", _) => write!(html, "<div class=\"text\">报告：{}</div>", field("title").unwrap_or_default()),
        _ => write!(html, "<div class=\"text\">{}</div>", escaped(&content.to_string())),
    };
}

/// Text that is text wherever it stands in a page.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}
