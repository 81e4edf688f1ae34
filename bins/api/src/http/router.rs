//! Puts the native API, the document and the operators' addresses under one frame.

use std::sync::Arc;

use domain::id::IdSource;
use poem::{Endpoint, EndpointExt, IntoEndpoint, Response, Route};

use crate::http::frame::{Frame, FrameSettings, RenderError};
use crate::http::idempotency::Idempotent;
use crate::http::ops::{self, Readiness, RenderMetrics};
use crate::http::services::Services;
use crate::http::spec::{self, Document, PREFIX};
use crate::http::{apis, docs};

/// What the server is put together from.
pub struct Parts {
    pub services: Arc<Services>,
    pub ids: Arc<dyn IdSource>,
    pub readiness: Arc<dyn Readiness>,
    pub metrics: RenderMetrics,
    pub settings: FrameSettings,
    /// Errors below `/1.1` and `/1.2`.
    pub render_leancloud: RenderError,
}

/// The whole server as one endpoint. `extra` are routes of other surfaces.
pub fn server(parts: Parts, extra: Route) -> impl Endpoint<Output = Response> {
    let document = Arc::new(Document::of(apis()));
    let native = spec::service(apis()).into_endpoint();
    let (services, known) = (Arc::clone(&parts.services), Arc::clone(&document));
    let native = Idempotent { inner: native, services, document: known }.data(Arc::clone(&parts.services));
    let router = extra.nest(PREFIX, native);
    let router = ops::add_to(router, parts.readiness, parts.metrics);
    let router = docs::add_to(router, apis(), &document);
    Frame::new(router, parts.settings, parts.ids, document, parts.render_leancloud)
}
