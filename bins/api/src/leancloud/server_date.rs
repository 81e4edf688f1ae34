//! The server's time, as SDKs ask for it.

use std::sync::Arc;

use leancloud::wire;
use poem::http::StatusCode;
use poem::web::Data;
use poem::{Response, handler};

use super::answer;
use crate::http::services::Services;

/// `{"__type":"Date","iso":…}`.
#[handler]
pub(super) fn date(Data(services): Data<&Arc<Services>>) -> Response {
    answer::json(StatusCode::OK, &wire::date(services.clock.now()))
}
