//! Who calls the storage interface: application credentials first, then the session, if one is sent and still good.

use std::net::{IpAddr, Ipv4Addr};

use account::AppAccess;
use account::challenge::Origin;
use domain::Actor;
use leancloud::rest::Caller;
use poem::{Request, Result};

use crate::http::caller::{app_headers, session_token};
use crate::http::context::RequestContext;
use crate::http::problem::ApiError;
use crate::http::services::Services;

/// Resolves the caller. A session that is not valid any more counts as none.
///
/// # Errors
/// When the application's credentials are missing or wrong, or the store does not answer.
pub(super) async fn resolve(services: &Services, request: &Request) -> Result<Caller, ApiError> {
    let access = services.gatekeeper.check_app(app_headers(request.headers()).unwrap_or_default())?;
    let in_query = request.uri().query().and_then(token_in_query);
    let token = session_token(request.headers()).map(str::to_owned).or(in_query);
    let mut actor = access.actor();
    let mut held = None;
    if let Some(token) = token.filter(|_| access == AppAccess::Client) {
        let known = services.gatekeeper.find_session(&token).await?;
        if let Some(user @ Actor::User(_)) = known.map(|known| known.actor) {
            actor = user;
            held = Some(token);
        }
    }
    let viewer = services.rest.viewer(&actor).await.map_err(super::answer::as_api_error)?;
    let context = request.data::<RequestContext>();
    let address = context.and_then(|context| context.ip).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    Ok(Caller { actor, viewer, origin: Origin { address, device: None }, token: held })
}

/// Users of the plain interface may send their token in the address.
fn token_in_query(query: &str) -> Option<String> {
    query.split('&').find_map(|pair| pair.strip_prefix("session_token=")).map(str::to_owned)
}
