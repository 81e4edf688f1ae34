//! Looking after those who may sign in to the console.

use account::staff::NewAgent;
use domain::id::AgentId;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;

use super::dto::{
    AgentChangePatch, AgentWithPasswordView, CreateAgentRequest, RevealPhoneRequest, RevealedPhoneView,
    UnlockPhoneRequest,
};
use crate::http::Area;
use crate::http::auth::dto::{AgentView, parse_phone};
use crate::http::body::{Body, Created, Done};
use crate::http::caller::{By, Staff};
use crate::http::page::{PageOf, page_request};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Operations on agents and phone numbers.
pub struct AgentsApi;

#[OpenApi(tag = "Area::Admin")]
impl AgentsApi {
    /// List agents and administrators
    ///
    /// Newest first. For administrators.
    #[oai(path = "/admin/agents", method = "get", operation_id = "list_agents")]
    async fn list_agents(
        &self,
        app: App,
        caller: By<Staff>,
        /// Entries on a page, 20 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "100")))]
        limit: Query<Option<u32>>,
        /// `nextCursor` of the page before.
        #[oai(validator(max_length = 64))]
        cursor: Query<Option<String>>,
    ) -> Result<Json<PageOf<AgentView>>, ApiError> {
        let page = page_request(&limit, &cursor)?;
        Ok(Json(PageOf::of(app.accounts.list_agents(&caller.actor, page).await?, AgentView::from)))
    }

    /// Make an agent or administrator
    ///
    /// The password is generated and shown only in this answer. For administrators; audited.
    #[oai(path = "/admin/agents", method = "post", operation_id = "create_agent")]
    async fn create_agent(
        &self,
        app: App,
        caller: By<Staff>,
        request: Body<CreateAgentRequest>,
    ) -> Result<Created<AgentWithPasswordView>, ApiError> {
        let Body(sent) = request;
        let new = NewAgent { username: sent.username, display_name: sent.display_name, role: sent.role.into() };
        Ok(Created(app.accounts.create_agent(&caller.actor, new).await?.into()))
    }

    /// Let an agent in or out
    ///
    /// Disabling ends all of their sessions; the last enabled administrator stays. For administrators; audited.
    #[oai(path = "/admin/agents/:id", method = "patch", operation_id = "update_agent")]
    async fn update_agent(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the agent.
        id: Path<Id>,
        patch: Body<AgentChangePatch>,
    ) -> Result<Json<AgentView>, ApiError> {
        let changed = app.accounts.set_agent_enabled(&caller.actor, AgentId(id.0.0), patch.0.is_enabled).await?;
        Ok(Json(changed.into()))
    }

    /// Give an agent a new password
    ///
    /// It is generated and shown only in this answer; all of the agent's sessions end. For administrators; audited.
    #[oai(path = "/admin/agents/:id/password", method = "post", operation_id = "reset_agent_password")]
    async fn reset_agent_password(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the agent.
        id: Path<Id>,
    ) -> Result<Json<AgentWithPasswordView>, ApiError> {
        Ok(Json(app.accounts.reset_agent_password(&caller.actor, AgentId(id.0.0)).await?.into()))
    }

    /// Unlock a phone number
    ///
    /// Lets codes be sent to and tried for it again after too many wrong ones. For administrators; audited.
    #[oai(path = "/admin/phones/unlock", method = "post", operation_id = "unlock_phone")]
    async fn unlock_phone(
        &self,
        app: App,
        caller: By<Staff>,
        request: Body<UnlockPhoneRequest>,
    ) -> Result<Done, ApiError> {
        app.accounts.unlock_phone(&caller.actor, &parse_phone(&request.0.phone)?).await?;
        Ok(Done)
    }

    /// Show the whole phone number of a patient or doctor
    ///
    /// Elsewhere the staff see numbers masked. For agents and administrators; audited.
    #[oai(path = "/admin/phones/reveal", method = "post", operation_id = "reveal_phone")]
    async fn reveal_phone(
        &self,
        app: App,
        caller: By<Staff>,
        request: Body<RevealPhoneRequest>,
    ) -> Result<Json<RevealedPhoneView>, ApiError> {
        let revealed = app.accounts.reveal_phone(&caller.actor, request.0.try_into()?).await?;
        Ok(Json(revealed.into()))
    }
}
