//! The LeanCloud surface: cloud functions and the server's time, as unmodified SDK clients call them.

mod answer;
mod functions;

use std::sync::Arc;

use domain::Clock;
use leancloud::wire;
use poem::endpoint::{make, make_sync};
use poem::{Route, get, post};
use serde_json::json;

pub use answer::render;

use crate::http::services::Services;

/// Adds `/1.1/functions`, `/1.1/call` and `/1.1/date`.
pub fn add_to(router: Route, services: &Arc<Services>, clock: Arc<dyn Clock>) -> Route {
    let call = || {
        let services = Arc::clone(services);
        post(make(move |request| {
            let services = Arc::clone(&services);
            async move { functions::call(&services, request).await }
        }))
    };
    let date = make_sync(move |_| answer::ok(&json!(wire::date(clock.now()))));
    router.at("/1.1/functions/:name", call()).at("/1.1/call/:name", call()).at("/1.1/date", get(date))
}
