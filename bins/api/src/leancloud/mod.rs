//! The LeanCloud surface: cloud functions and the server's time, as unmodified SDK clients call them.

mod answer;
mod functions;

use std::sync::Arc;

use leancloud::wire::{self, ErrorBody};
use poem::endpoint::{make, make_sync};
use poem::{Route, get, post};
use serde_json::json;

pub use answer::render;

use crate::http::services::Services;

/// Adds `/1.1/functions`, `/1.1/call` and `/1.1/date`.
pub fn add_to(router: Route, services: &Arc<Services>) -> Route {
    let call = || {
        let services = Arc::clone(services);
        post(make(move |request| {
            let services = Arc::clone(&services);
            async move { functions::call(&services, request).await }
        }))
    };
    let clock = Arc::clone(&services.clock);
    let date = make_sync(move |_| answer::ok(&json!(wire::date(clock.now()))));
    let unknown = || make_sync(|_| answer::error(&ErrorBody::unknown_path()));
    router
        .at("/1.1/functions/:name", call())
        .at("/1.1/call/:name", call())
        .at("/1.1/date", get(date))
        .at("/1.1/*", unknown())
        .at("/1.2/*", unknown())
}
