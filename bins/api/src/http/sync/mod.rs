//! Catching up over HTTP: the log as a long poll, for networks that let no WebSocket through.

pub mod dto;

use std::time::Duration;

use im::service::SyncRequest;
use poem_openapi::OpenApi;
use poem_openapi::param::Query;
use poem_openapi::payload::Json;

use self::dto::SyncView;
use crate::http::Area;
use crate::http::caller::{By, SignedIn};
use crate::http::problem::ApiError;
use crate::http::services::App;

/// Operations on the log.
pub struct SyncApi;

#[OpenApi(tag = "Area::Messages")]
impl SyncApi {
    /// Catch up
    ///
    /// Everything that happened in the caller's conversations after `cursor`, in order. Answers at once when there is
    /// something, else waits up to `waitMs`. Begin without a cursor, then list the conversations, then come back
    /// with the cursor and epoch of the answer before. The WebSocket of the messaging protocol tells the same sooner.
    #[oai(path = "/sync", method = "get", operation_id = "sync_log")]
    async fn sync_log(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// `cursor` of the answer before; without it, what comes from now on.
        #[oai(validator(minimum(value = "0")))]
        cursor: Query<Option<i64>>,
        /// `epoch` of the answer before.
        #[oai(validator(max_length = 64))]
        epoch: Query<Option<String>>,
        /// How long to wait for something to happen, in milliseconds; 0 unless said. May answer sooner.
        #[oai(name = "waitMs", validator(maximum(value = "30000")))]
        wait_ms: Query<Option<u32>>,
        /// Most entries of the answer, 200 unless said.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u32>>,
    ) -> Result<Json<SyncView>, ApiError> {
        let request = SyncRequest { cursor: cursor.0, epoch: epoch.0, limit: limit.0 };
        let wait = Duration::from_millis(wait_ms.0.unwrap_or(0).into());
        let synced = app.messaging.missed(&caller.actor, request, wait).await?;
        Ok(Json(SyncView::of(synced, app.links())))
    }
}
