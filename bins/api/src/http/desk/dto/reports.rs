//! Reports on the wire, as JSON and as CSV.

use std::collections::HashMap;
use std::hash::BuildHasher;

use chrono_tz::Tz;
use domain::Timestamp;
use domain::id::AgentId;
use im::desk::episode::Episode;
use im::desk::report::{Figures, Report, Satisfaction, Spread};
use poem_openapi::Object;

use crate::http::values::{Date, Id, Instant};

/// How long something took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct SpreadView {
    /// How often it happened.
    pub count: u64,
    /// Average in milliseconds.
    pub average_ms: u64,
    /// Half of all took at most this.
    pub median_ms: u64,
    /// Nine in ten took at most this.
    pub p90_ms: u64,
}

/// What customers thought.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct SatisfactionView {
    /// How many rated.
    pub count: u64,
    /// Average, from 1 to 5.
    pub average: Option<f64>,
    /// How many gave 1, 2, 3, 4 and 5.
    pub scores: Vec<u64>,
}

/// Figures over episodes.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct FiguresView {
    /// Episodes opened in the period.
    pub episodes: u64,
    /// Those of them that are closed.
    pub closed: u64,
    /// Answers of agents in them.
    pub replies: i64,
    /// From the first message to the first answer.
    pub first_response: SpreadView,
    /// From the first message to the first agent.
    pub wait: SpreadView,
    /// From the first agent to the close.
    pub handling: SpreadView,
    /// What customers thought.
    pub csat: SatisfactionView,
}

/// How many in one hour of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct HourLoadView {
    /// Hour of the day, 0 to 23.
    pub hour: u8,
    /// Opened.
    pub opened: u64,
    /// Closed.
    pub closed: u64,
}

/// How many on one date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase")]
pub struct DayLoadView {
    /// The date.
    pub date: Date,
    /// Opened.
    pub opened: u64,
    /// Closed.
    pub closed: u64,
}

/// The figures of one agent.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct AgentFiguresView {
    /// Id of the agent.
    pub agent_id: Id,
    /// Name of the agent.
    pub display_name: String,
    /// Their figures.
    pub figures: FiguresView,
}

/// A report.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase")]
pub struct DeskReportView {
    /// Beginning of the period.
    pub from: Instant,
    /// End of the period, which is not in it.
    pub to: Instant,
    /// The figures of all.
    pub figures: FiguresView,
    /// By hour of the day.
    pub by_hour: Vec<HourLoadView>,
    /// By date; dates without any are left out.
    pub by_day: Vec<DayLoadView>,
    /// By agent who had it last.
    pub by_agent: Vec<AgentFiguresView>,
}

impl From<Spread> for SpreadView {
    fn from(spread: Spread) -> Self {
        let Spread { count, average_ms, median_ms, p90_ms } = spread;
        Self { count, average_ms, median_ms, p90_ms }
    }
}

impl From<Satisfaction> for SatisfactionView {
    fn from(satisfaction: Satisfaction) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "an average of at most 500 hundredths")]
        let average = satisfaction.average_hundredths().map(|hundredths| hundredths as f64 / 100.0);
        Self { count: satisfaction.count(), average, scores: satisfaction.scores.to_vec() }
    }
}

impl From<Figures> for FiguresView {
    fn from(figures: Figures) -> Self {
        Self {
            episodes: figures.episodes,
            closed: figures.closed,
            replies: figures.replies,
            first_response: figures.first_response.into(),
            wait: figures.wait.into(),
            handling: figures.handling.into(),
            csat: figures.satisfaction.into(),
        }
    }
}

impl DeskReportView {
    pub fn of(report: Report, names: &HashMap<AgentId, String>) -> Self {
        let hours = report.by_hour.into_iter().zip(0..);
        let days = report.by_day.into_iter();
        let agents = report.by_agent.into_iter().map(|(agent, figures)| AgentFiguresView {
            agent_id: agent.into(),
            display_name: names.get(&agent).cloned().unwrap_or_default(),
            figures: figures.into(),
        });
        Self {
            from: Instant(report.from),
            to: Instant(report.to),
            figures: report.all.into(),
            by_hour: hours
                .map(|(load, hour)| HourLoadView { hour, opened: load.opened, closed: load.closed })
                .collect(),
            by_day: days
                .map(|(date, load)| DayLoadView { date: Date(date), opened: load.opened, closed: load.closed })
                .collect(),
            by_agent: agents.collect(),
        }
    }
}

/// Episodes as CSV, one a row, for spreadsheets: UTF-8 with a mark that tells them so.
pub fn csv<S: BuildHasher>(episodes: &[Episode], names: &HashMap<AgentId, String, S>, zone: Tz) -> String {
    let mut text = String::from(
        "\u{feff}conversationId,number,customer,openedAt,assignedAt,firstReplyAt,closedAt,waitMs,firstResponseMs,\
         handlingMs,replies,agent,closeReason,rating,comment\r\n",
    );
    let time = |at: Option<Timestamp>| {
        at.map(|at| at.to_datetime().with_timezone(&zone).format("%Y-%m-%d %H:%M:%S").to_string()).unwrap_or_default()
    };
    let millis =
        |duration: Option<std::time::Duration>| duration.map(|d| d.as_millis().to_string()).unwrap_or_default();
    for episode in episodes {
        let agent = episode.agent.and_then(|agent| names.get(&agent).cloned()).unwrap_or_default();
        let fields = [
            episode.conversation_id.to_string(),
            episode.number.to_string(),
            episode.customer_kind.as_str().to_owned(),
            time(Some(episode.opened_at)),
            time(episode.assigned_at),
            time(episode.first_reply_at),
            time(episode.closed_at),
            millis(episode.wait()),
            millis(episode.first_response()),
            millis(episode.handling()),
            episode.reply_count.to_string(),
            agent,
            episode.close_reason.map(|reason| reason.as_str().to_owned()).unwrap_or_default(),
            episode.rating.map(|score| score.to_string()).unwrap_or_default(),
            episode.comment.clone().unwrap_or_default(),
        ];
        let row: Vec<String> = fields.iter().map(|field| quoted(field)).collect();
        text.push_str(&row.join(","));
        text.push_str("\r\n");
    }
    text
}

/// A field as RFC 4180 writes it. What a spreadsheet would take for a formula is kept from being one.
fn quoted(field: &str) -> String {
    let guard = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if guard.is_empty() && !field.contains([',', '"', '\n', '\r']) {
        return field.to_owned();
    }
    format!("\"{guard}{}\"", field.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_are_no_formulas() {
        assert_eq!(quoted("好"), "好");
        assert_eq!(quoted("a,\"b\""), "\"a,\"\"b\"\"\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
        assert_eq!(quoted("a\nb"), "\"a\nb\"");
    }
}
