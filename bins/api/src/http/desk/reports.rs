//! Figures of the desk.

use domain::id::AgentId;
use poem_openapi::ApiResponse;
use poem_openapi::OpenApi;
use poem_openapi::param::Query;
use poem_openapi::payload::{Json, PlainText};

use super::dto::reports::{DeskReportView, csv};
use crate::http::Area;
use crate::http::caller::{By, Staff};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::{Id, Instant};

/// Operations of reports.
pub struct DeskReportsApi;

/// A report to be opened in a spreadsheet.
#[derive(ApiResponse)]
pub enum CsvAnswer {
    /// One episode a row, UTF-8, with a header.
    #[oai(status = 200, content_type = "text/csv")]
    Rows(
        PlainText<String>,
        /// The name to save it under.
        #[oai(header = "Content-Disposition")]
        String,
    ),
}

#[OpenApi(tag = "Area::Desk")]
impl DeskReportsApi {
    /// Get the figures of a period
    ///
    /// First answer, waiting, handling, load by hour and day, and what customers thought. Agents get their own.
    #[oai(path = "/desk/reports", method = "get", operation_id = "get_desk_report")]
    async fn get_desk_report(
        &self,
        app: App,
        caller: By<Staff>,
        /// Episodes opened from here on.
        from: Query<Instant>,
        /// Episodes opened before this; at most 366 days later.
        to: Query<Instant>,
        /// Only those of this agent.
        #[oai(name = "agentId")]
        agent_id: Query<Option<Id>>,
    ) -> Result<Json<DeskReportView>, ApiError> {
        let agent = agent_id.0.map(|id| AgentId(id.0));
        let report = app.desk.report(&caller.actor, from.0.0, to.0.0, agent).await?;
        Ok(Json(DeskReportView::of(report, &app.desk.agent_names().await?)))
    }

    /// Get the episodes of a period as CSV
    ///
    /// One a row, oldest first. Agents get their own.
    #[oai(path = "/desk/reports/csv", method = "get", operation_id = "export_desk_report")]
    async fn export_desk_report(
        &self,
        app: App,
        caller: By<Staff>,
        /// Episodes opened from here on.
        from: Query<Instant>,
        /// Episodes opened before this; at most 366 days later.
        to: Query<Instant>,
        /// Only those of this agent.
        #[oai(name = "agentId")]
        agent_id: Query<Option<Id>>,
    ) -> Result<CsvAnswer, ApiError> {
        let agent = agent_id.0.map(|id| AgentId(id.0));
        let episodes = app.desk.episodes_opened(&caller.actor, from.0.0, to.0.0, agent).await?;
        let rows = csv(&episodes, &app.desk.agent_names().await?, app.desk.home);
        Ok(CsvAnswer::Rows(PlainText(rows), "attachment; filename=\"desk-report.csv\"".to_owned()))
    }
}
