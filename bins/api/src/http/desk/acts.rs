//! What agents do with chats: taking, giving back, handing over, taking over, closing.

use domain::FieldError;
use domain::id::{AgentId, ConversationId};
use im::desk::Chat;
use im::desk::service::TransferTo;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;

use super::dto::chats::{DeskChatView, ReleaseRequest, TransferRequest};
use crate::http::Area;
use crate::http::admin::dto::ReasonRequest;
use crate::http::body::Body;
use crate::http::caller::{By, Staff};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Operations that move chats.
pub struct DeskActsApi;

type ChatAnswer = Result<Json<DeskChatView>, ApiError>;

#[OpenApi(tag = "Area::Desk")]
impl DeskActsApi {
    /// Take a chat out of the queue
    ///
    /// By an agent who is there and has room. Audited.
    #[oai(path = "/desk/chats/:id/claim", method = "post", operation_id = "claim_desk_chat")]
    async fn claim_desk_chat(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
    ) -> ChatAnswer {
        let chat = app.desk.claim(&caller.actor, ConversationId(id.0.0)).await?;
        shown(&app, &caller, chat).await
    }

    /// Put an own chat back into the queue
    ///
    /// It is not given back at once to whom it comes from. Audited.
    #[oai(path = "/desk/chats/:id/release", method = "post", operation_id = "release_desk_chat")]
    async fn release_desk_chat(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
        request: Body<ReleaseRequest>,
    ) -> ChatAnswer {
        let chat = app.desk.release(&caller.actor, ConversationId(id.0.0), request.0.note.as_deref()).await?;
        shown(&app, &caller, chat).await
    }

    /// Take a chat from another agent
    ///
    /// The other agent is told. Audited with the reason.
    #[oai(path = "/desk/chats/:id/take-over", method = "post", operation_id = "take_over_desk_chat")]
    async fn take_over_desk_chat(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
        request: Body<ReasonRequest>,
    ) -> ChatAnswer {
        let chat = app.desk.take_over(&caller.actor, ConversationId(id.0.0), &request.0.reason).await?;
        shown(&app, &caller, chat).await
    }

    /// Hand an own chat over
    ///
    /// To an agent, to whom it is offered while it stays with the caller, or to a group, through the queue. Audited.
    #[oai(path = "/desk/chats/:id/transfer", method = "post", operation_id = "transfer_desk_chat")]
    async fn transfer_desk_chat(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
        request: Body<TransferRequest>,
    ) -> ChatAnswer {
        let TransferRequest { agent_id, group, note } = request.0;
        let to = match (agent_id, group) {
            (Some(agent), None) => TransferTo::Agent(AgentId(agent.0)),
            (None, Some(group)) => TransferTo::Group(group),
            (Some(_), Some(_)) => return Err(ApiError::field(FieldError::new("group", "goes without agentId"))),
            (None, None) => {
                return Err(ApiError::field(FieldError::new("agentId", "is required unless group is sent")));
            }
        };
        let chat = app.desk.transfer(&caller.actor, ConversationId(id.0.0), to, &note).await?;
        shown(&app, &caller, chat).await
    }

    /// Take a chat that was offered
    #[oai(path = "/desk/chats/:id/transfer/accept", method = "post", operation_id = "accept_desk_transfer")]
    async fn accept_desk_transfer(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
    ) -> ChatAnswer {
        let chat = app.desk.accept_transfer(&caller.actor, ConversationId(id.0.0)).await?;
        shown(&app, &caller, chat).await
    }

    /// Do not take a chat that was offered
    ///
    /// It stays where it is.
    #[oai(path = "/desk/chats/:id/transfer/decline", method = "post", operation_id = "decline_desk_transfer")]
    async fn decline_desk_transfer(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
    ) -> ChatAnswer {
        let chat = app.desk.decline_transfer(&caller.actor, ConversationId(id.0.0)).await?;
        shown(&app, &caller, chat).await
    }

    /// Take an offer back
    #[oai(path = "/desk/chats/:id/transfer/cancel", method = "post", operation_id = "cancel_desk_transfer")]
    async fn cancel_desk_transfer(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
    ) -> ChatAnswer {
        let chat = app.desk.cancel_transfer(&caller.actor, ConversationId(id.0.0)).await?;
        shown(&app, &caller, chat).await
    }

    /// Close a chat
    ///
    /// An own one, or one that waits; administrators close any. The customer may rate it then. Audited.
    #[oai(path = "/desk/chats/:id/close", method = "post", operation_id = "close_desk_chat")]
    async fn close_desk_chat(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
    ) -> ChatAnswer {
        let chat = app.desk.close(&caller.actor, ConversationId(id.0.0)).await?;
        shown(&app, &caller, chat).await
    }

    /// Take a chat up that is closed or was never begun
    ///
    /// So that an agent can write first. Audited.
    #[oai(path = "/desk/chats/:id/reopen", method = "post", operation_id = "reopen_desk_chat")]
    async fn reopen_desk_chat(
        &self,
        app: App,
        caller: By<Staff>,
        /// Id of the conversation.
        id: Path<Id>,
    ) -> ChatAnswer {
        let chat = app.desk.reopen(&caller.actor, ConversationId(id.0.0)).await?;
        shown(&app, &caller, chat).await
    }
}

async fn shown(app: &App, caller: &By<Staff>, chat: Chat) -> ChatAnswer {
    let row = app.desk.row_of(&caller.actor, chat).await?;
    Ok(Json(DeskChatView::of(row, app.clock.now(), app.links())))
}
