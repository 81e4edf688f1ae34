//! The LeanCloud surface: cloud functions, storage, files and messaging, as unmodified SDK clients call them.

mod answer;
mod caller;
mod dispatch;
mod files;
mod functions;
mod mini_program;
mod realtime;
mod storage;

use std::sync::Arc;

use leancloud::wire::{self, ErrorBody};
use poem::endpoint::{make, make_sync};
use poem::{Endpoint, Request, Response, Result, Route, get, post, put};
use serde_json::json;

pub use answer::render;
pub use files::PathLinks;
pub use mini_program::WechatMiniPrograms;
pub use realtime::{OpenClients, RealtimeGateway, RealtimeLimits};

use crate::http::services::Services;

/// Adds everything below `/1.1` and `/1.2`.
pub fn add_to(router: Route, services: &Arc<Services>) -> Route {
    let clock = Arc::clone(&services.clock);
    let date = make_sync(move |_| answer::ok(&json!(wire::date(clock.now()))));
    let unknown = || make_sync(|_| answer::error(&ErrorBody::unknown_path()));
    router
        .at("/1.1/functions/:name", post(with(services, |s, r| async move { functions::call(&s, r).await })))
        .at("/1.1/call/:name", post(with(services, |s, r| async move { functions::call(&s, r).await })))
        .at("/1.1/date", get(date))
        .at("/1.1/upload", post(with(services, |s, r| async move { files::post_form(&s, r).await })))
        .at("/1.1/upload/:token", put(with(services, |s, r| async move { files::put(&s, r).await })))
        .at(
            "/1.1/lcfiles/:id/:expires/:signature/:name",
            get(with(services, |s, r| async move { files::download(&s, &r).await })),
        )
        .at("/1.1/rtm/*", with(services, |s, r| async move { realtime::serve_1_1(&s, r).await }))
        .at("/1.2/rtm/*", with(services, |s, r| async move { realtime::serve_1_2(&s, r).await }))
        .at("/1.1/*", with(services, |s, r| async move { storage::serve(&s, r).await }))
        .at("/1.2/*", unknown())
}

/// Adds the sockets of the realtime protocol and the way to them.
pub fn add_sockets(router: Route, sockets: &Arc<RealtimeGateway>, public_url: &str) -> Route {
    realtime::add_to(router, sockets, public_url)
}

/// An endpoint that is given the services.
fn with<F, Answer>(services: &Arc<Services>, handler: F) -> impl Endpoint<Output = Response> + use<F, Answer>
where
    F: Fn(Arc<Services>, Request) -> Answer + Send + Sync,
    Answer: Future<Output = Result<Response>> + Send,
{
    let services = Arc::clone(services);
    make(move |request| handler(Arc::clone(&services), request))
}
