//! The LeanCloud surface: unmodified SDKs call here after changing only their server address.
//!
//! Parsing and wire forms are the `leancloud` crate's; here are only the routes and the credentials.

mod answer;
mod functions;
mod server_date;

use poem::{Route, get, post};

pub use answer::render_error;

/// Adds the LeanCloud routes.
pub fn add_to(router: Route) -> Route {
    router
        .at("/1.1/functions/:name", post(functions::run))
        .at("/1.1/call/:name", post(functions::run))
        .at("/1.1/date", get(server_date::date))
        .at("/1.1/*", poem::endpoint::make_sync(answer::unknown_path))
        .at("/1.2/*", poem::endpoint::make_sync(answer::unknown_path))
}
