//! The official assistant, for patients and doctors.

pub mod dto;

use poem_openapi::OpenApi;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;

use self::dto::{
    AssistantView, CustomerChatView, CustomerRole, OpenAssistantRequest, OpenedAnswer, RateAssistantRequest,
};
use crate::http::Area;
use crate::http::body::Body;
use crate::http::caller::{Application, By, SignedIn};
use crate::http::conversations::dto::ConversationView;
use crate::http::problem::ApiError;
use crate::http::services::App;

/// Operations on the assistant.
pub struct AssistantApi;

#[OpenApi(tag = "Area::Assistant")]
impl AssistantApi {
    /// Get the assistant
    ///
    /// Who it is, and whether somebody answers now.
    #[oai(path = "/assistant", method = "get", operation_id = "get_assistant")]
    async fn get_assistant(&self, app: App, _caller: By<Application>) -> Result<Json<AssistantView>, ApiError> {
        let about = app.desk.about().await?;
        Ok(Json(AssistantView::of(&about, app.clock.now(), app.desk.home, app.links())))
    }

    /// Open the conversation with the assistant
    ///
    /// There is one for each patient and each doctor; the first time it begins with a welcome. Messages in it are
    /// sent and read like those of any conversation. It is no consultation, and never expires.
    #[oai(path = "/assistant/conversation", method = "post", operation_id = "open_assistant_conversation")]
    async fn open_assistant_conversation(
        &self,
        app: App,
        caller: By<SignedIn>,
        request: Body<OpenAssistantRequest>,
    ) -> Result<OpenedAnswer, ApiError> {
        let (chat, is_new) = app.desk.open(&caller.actor, request.0.role.map(Into::into)).await?;
        let entry = app.messaging.conversations.get(&caller.actor, chat.conversation_id).await?;
        Ok(OpenedAnswer::of(is_new, ConversationView::of(entry, app.links()), chat.into()))
    }

    /// Get where the own chat with the assistant stands
    ///
    /// The place in the queue, who answers, and whether the service can be rated.
    #[oai(path = "/assistant/chat", method = "get", operation_id = "get_assistant_chat")]
    async fn get_assistant_chat(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// As whom, for somebody who is both patient and doctor.
        #[oai(name = "as")]
        role: Query<Option<CustomerRole>>,
    ) -> Result<Json<CustomerChatView>, ApiError> {
        Ok(Json(app.desk.own_chat(&caller.actor, role.0.map(Into::into)).await?.into()))
    }

    /// Rate the assistant
    ///
    /// Once, after a chat was closed.
    #[oai(path = "/assistant/rating", method = "post", operation_id = "rate_assistant")]
    async fn rate_assistant(
        &self,
        app: App,
        caller: By<SignedIn>,
        request: Body<RateAssistantRequest>,
    ) -> Result<Json<CustomerChatView>, ApiError> {
        let RateAssistantRequest { role, score, comment } = request.0;
        let rated = app.desk.rate(&caller.actor, role.map(Into::into), score, comment.as_deref()).await?;
        Ok(Json(rated.into()))
    }
}
