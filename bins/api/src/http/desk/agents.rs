//! Agents at the desk: being there, and what administrators set for them and for the assistant.

use domain::id::AgentId;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;

use super::dto::agents::{
    AssistantSettingsPatch, AssistantSettingsView, DeskAgentChangePatch, DeskAgentView, SetDeskStatusRequest,
};
use crate::http::Area;
use crate::http::body::Body;
use crate::http::caller::{By, Staff};
use crate::http::page::PageOf;
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Operations on agents at the desk.
pub struct DeskAgentsApi;

#[OpenApi(tag = "Area::Desk")]
impl DeskAgentsApi {
    /// Get oneself at the desk
    #[oai(path = "/desk/me", method = "get", operation_id = "get_own_desk_agent")]
    async fn get_own_desk_agent(&self, app: App, caller: By<Staff>) -> Result<Json<DeskAgentView>, ApiError> {
        Ok(Json(DeskAgentView::of(app.desk.own_agent(&caller.actor).await?, &app)))
    }

    /// Come, stay away for a while, or go
    ///
    /// Who is online is given chats; who is away keeps theirs; who goes gives them back to the queue.
    #[oai(path = "/desk/me/status", method = "put", operation_id = "set_desk_status")]
    async fn set_desk_status(
        &self,
        app: App,
        caller: By<Staff>,
        request: Body<SetDeskStatusRequest>,
    ) -> Result<Json<DeskAgentView>, ApiError> {
        let agent = app.desk.set_status(&caller.actor, request.0.status.into()).await?;
        Ok(Json(DeskAgentView::of(agent, &app)))
    }

    /// Give a sign of life
    ///
    /// Every ten seconds or so while the console is open: an agent who gives none for 30 seconds is taken for gone,
    /// and their chats go back to the queue.
    #[oai(path = "/desk/me/heartbeat", method = "post", operation_id = "renew_desk_lease")]
    async fn renew_desk_lease(&self, app: App, caller: By<Staff>) -> Result<Json<DeskAgentView>, ApiError> {
        Ok(Json(DeskAgentView::of(app.desk.heartbeat(&caller.actor).await?, &app)))
    }

    /// List everybody at the desk
    ///
    /// All agents and administrators who may sign in, by name, with what they have in hand.
    #[oai(path = "/desk/agents", method = "get", operation_id = "list_desk_agents")]
    async fn list_desk_agents(&self, app: App, caller: By<Staff>) -> Result<Json<PageOf<DeskAgentView>>, ApiError> {
        let agents = app.desk.list_agents(&caller.actor).await?;
        Ok(Json(PageOf::whole(agents, |agent| DeskAgentView::of(agent, &app))))
    }

    /// List the groups agents are in
    #[oai(path = "/desk/groups", method = "get", operation_id = "list_desk_groups")]
    async fn list_desk_groups(&self, app: App, caller: By<Staff>) -> Result<Json<PageOf<String>>, ApiError> {
        Ok(Json(PageOf::whole(app.desk.groups(&caller.actor).await?, |group| group)))
    }

    /// Set what an agent can do at the desk
    ///
    /// How many chats at once, skills, groups, hours. For administrators; audited.
    #[oai(path = "/admin/desk/agents/:id", method = "patch", operation_id = "update_desk_agent")]
    async fn update_desk_agent(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the agent.
        id: Path<Id>,
        patch: Body<DeskAgentChangePatch>,
    ) -> Result<Json<DeskAgentView>, ApiError> {
        let agent = app.desk.update_agent(&caller.actor, AgentId(id.0.0), patch.0.into()).await?;
        Ok(Json(DeskAgentView::of(agent, &app)))
    }

    /// Get the settings of the assistant
    #[oai(path = "/admin/assistant", method = "get", operation_id = "get_assistant_settings")]
    async fn get_assistant_settings(
        &self,
        app: App,
        caller: By<Staff>,
    ) -> Result<Json<AssistantSettingsView>, ApiError> {
        let assistant = app.desk.settings(&caller.actor).await?;
        Ok(Json(AssistantSettingsView::of(assistant, app.links())))
    }

    /// Change the assistant
    ///
    /// Name, texts, hours and how the desk works. For administrators; audited.
    #[oai(path = "/admin/assistant", method = "patch", operation_id = "update_assistant_settings")]
    async fn update_assistant_settings(
        &self,
        app: App,
        caller: By<Staff>,
        patch: Body<AssistantSettingsPatch>,
    ) -> Result<Json<AssistantSettingsView>, ApiError> {
        let assistant = app.desk.update_settings(&caller.actor, patch.0.into()).await?;
        Ok(Json(AssistantSettingsView::of(assistant, app.links())))
    }
}
