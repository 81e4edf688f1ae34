//! What operators and their tools ask: is it alive, can it write, what does it count.

use std::sync::Arc;

use async_trait::async_trait;
use domain::StoreError;
use poem::endpoint::{make, make_sync};
use poem::http::StatusCode;
use poem::{Response, Route, get};
use serde_json::{Value, json};

use crate::http::problem::ApiError;

/// Tries whether the server can do its work.
#[async_trait]
pub trait Readiness: Send + Sync {
    /// Writes something to the database.
    ///
    /// # Errors
    /// [`StoreError`] when that fails.
    async fn try_write(&self) -> Result<(), StoreError>;

    /// Whether other nodes are heard at once: `alone`, `connected`, or `lost`, when they are followed by looking into
    /// the database.
    fn fanout(&self) -> &'static str;
}

/// Renders the metrics as Prometheus reads them.
pub type RenderMetrics = Arc<dyn Fn() -> String + Send + Sync>;

/// Adds `/healthz`, `/readyz` and `/metrics`.
pub fn add_to(router: Route, readiness: Arc<dyn Readiness>, metrics: RenderMetrics) -> Route {
    let ready = make(move |_| {
        let readiness = Arc::clone(&readiness);
        async move {
            readiness.try_write().await.map_err(ApiError::from)?;
            let detail = json!({ "status": "ready", "fanout": readiness.fanout() });
            poem::Result::<Response>::Ok(answer(&detail))
        }
    });
    let rendered = make_sync(move |_| {
        Response::builder().content_type("text/plain; version=0.0.4; charset=utf-8").body(metrics())
    });
    router
        .at("/healthz", get(make_sync(|_| answer(&json!({ "status": "alive" })))))
        .at("/readyz", get(ready))
        .at("/metrics", get(rendered))
}

fn answer(body: &Value) -> Response {
    Response::builder().status(StatusCode::OK).content_type("application/json").body(body.to_string())
}
