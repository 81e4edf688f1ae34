//! Who is asking: resolves application credentials and sessions, and documents them in the spec.
//!
//! Wrong credentials are refused even where none are needed: a client that sends them means them.

use std::marker::PhantomData;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Deref;
use std::sync::Arc;

use account::challenge::Origin;
use account::{AppAccess, AppHeaders};
use async_trait::async_trait;
use domain::Actor;
use domain::actor::AccessError;
use domain::id::SessionId;
use poem::http::HeaderMap;
use poem::http::header::AUTHORIZATION;
use poem::{Request, RequestBody, Result};
use poem_openapi::registry::{MetaSecurityScheme, Registry};
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};

use crate::http::catalogue::code;
use crate::http::console_session;
use crate::http::context::RequestContext;
use crate::http::problem::ApiError;
use crate::http::services::Services;

/// Reads `X-LC-Id`, `X-LC-Key` and `X-LC-Sign`; `None` when none of them was sent.
pub fn app_headers(headers: &HeaderMap) -> Option<AppHeaders<'_>> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let sent = AppHeaders { id: text("x-lc-id"), key: text("x-lc-key"), sign: text("x-lc-sign") };
    let is_absent = sent.id.is_none() && sent.key.is_none() && sent.sign.is_none();
    (!is_absent).then_some(sent)
}

/// Knows the application's keys and the sessions.
#[async_trait]
pub trait Gatekeeper: Send + Sync {
    /// Checks application credentials.
    ///
    /// # Errors
    /// 401 when they are wrong or incomplete.
    fn check_app(&self, sent: AppHeaders<'_>) -> Result<AppAccess, ApiError>;

    /// Whose session a token belongs to; `None` when it is unknown, revoked or expired.
    ///
    /// # Errors
    /// When that cannot be found out.
    async fn find_session(&self, token: &str) -> Result<Option<KnownSession>, ApiError>;
}

/// A session that is valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownSession {
    pub id: SessionId,
    pub actor: Actor,
}

/// What becomes of a request with a session that is not valid any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StaleSession {
    /// 401.
    Refused,
    /// As if none had been sent: a client that signs in anew still holds its old token.
    Ignored,
}

/// The caller of an operation.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Set when the application's credentials were sent and right.
    pub app: Option<AppAccess>,
    pub actor: Actor,
    /// The session this request is made with.
    pub session: Option<SessionId>,
    pub ip: Option<IpAddr>,
    /// The client's own name of its device, for limits and the list of sessions.
    pub device: Option<String>,
    pub request: RequestContext,
}

/// Longest device name taken over.
const MAX_DEVICE_CHARS: usize = 128;

impl Caller {
    /// Resolves the credentials of a request to the native API.
    ///
    /// # Errors
    /// 401 for wrong application credentials and for sessions that are not valid.
    pub async fn resolve(
        request: &Request,
        gatekeeper: &dyn Gatekeeper,
        stale: StaleSession,
    ) -> Result<Self, ApiError> {
        let headers = request.headers();
        let app = app_headers(headers).map(|sent| gatekeeper.check_app(sent)).transpose()?;
        // Beside the master key a session says nothing.
        let token = session_token(headers).or_else(|| console_session::token(headers));
        let token = token.filter(|_| app != Some(AppAccess::Master));
        let session = match token {
            Some(token) => match (gatekeeper.find_session(token).await?, stale) {
                (None, StaleSession::Refused) => return Err(ApiError::of(code::SESSION_NOT_VALID)),
                (found, _) => found,
            },
            None => None,
        };
        let session_id = session.as_ref().map(|known| known.id);
        let actor = match (app, session) {
            (Some(AppAccess::Master), _) => Actor::Integrator,
            (_, Some(known)) => known.actor,
            (Some(AppAccess::Client), None) => Actor::App,
            (None, None) => Actor::Nobody,
        };
        let context = request.data::<RequestContext>().cloned();
        let context = context.ok_or_else(|| ApiError::internal("a request without its context"))?;
        let device = headers.get("x-device-id").and_then(|value| value.to_str().ok());
        let device = device.map(|text| text.chars().take(MAX_DEVICE_CHARS).collect());
        Ok(Self { app, actor, session: session_id, ip: context.ip, device, request: context })
    }

    /// Where the request comes from, for limits. Peers without an address share one.
    pub fn origin(&self) -> Origin {
        let address = self.ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        Origin { address, device: self.device.clone() }
    }
}

/// The session token, from `Authorization: Bearer` or else `X-LC-Session`.
pub fn session_token(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(AUTHORIZATION).map(|value| {
        let text = value.to_str().unwrap_or_default();
        match text.split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
            _ => "",
        }
    });
    bearer.or_else(|| headers.get("x-lc-session").map(|value| value.to_str().unwrap_or_default()))
}

/// For whom an operation is; written into the spec and checked before the handler runs.
pub trait Audience: Send + Sync {
    /// Names in [`schemes`] of what may be sent, one of them.
    const SCHEMES: &'static [&'static str];
    /// Whether the operation also works without any credentials.
    const IS_OPEN: bool = false;
    const STALE_SESSION: StaleSession = StaleSession::Refused;

    /// # Errors
    /// [`AccessError`] when this caller is not of the audience.
    fn admit(caller: &Caller) -> Result<(), AccessError>;
}

/// Anybody; application credentials are checked if sent, a stale session is ignored.
#[derive(Debug)]
pub struct Anybody;
/// A person or member of staff with a session, or an integrator.
#[derive(Debug)]
pub struct SignedIn;
/// An agent or administrator with a session.
#[derive(Debug)]
pub struct Staff;
/// A client of the application, with or without a session, or an integrator.
#[derive(Debug)]
pub struct Application;
/// A server holding the master key.
#[derive(Debug)]
pub struct Integrator;

impl Audience for Anybody {
    const SCHEMES: &'static [&'static str] = &[schemes::BEARER, schemes::SESSION];
    const IS_OPEN: bool = true;
    const STALE_SESSION: StaleSession = StaleSession::Ignored;

    fn admit(_: &Caller) -> Result<(), AccessError> {
        Ok(())
    }
}

impl Audience for SignedIn {
    const SCHEMES: &'static [&'static str] = &[schemes::BEARER, schemes::SESSION, schemes::MASTER];

    fn admit(caller: &Caller) -> Result<(), AccessError> {
        match caller.actor {
            Actor::Nobody | Actor::App => Err(AccessError::Unauthenticated),
            _ => Ok(()),
        }
    }
}

impl Audience for Staff {
    const SCHEMES: &'static [&'static str] = &[schemes::BEARER, schemes::SESSION];

    fn admit(caller: &Caller) -> Result<(), AccessError> {
        caller.actor.require(caller.actor.staff().is_some())
    }
}

impl Audience for Application {
    const SCHEMES: &'static [&'static str] =
        &[schemes::APPLICATION_KEY, schemes::APPLICATION_SIGN, schemes::BEARER, schemes::SESSION, schemes::MASTER];

    fn admit(caller: &Caller) -> Result<(), AccessError> {
        match caller.actor {
            Actor::Nobody => Err(AccessError::Unauthenticated),
            _ => Ok(()),
        }
    }
}

impl Audience for Integrator {
    const SCHEMES: &'static [&'static str] = &[schemes::MASTER];

    fn admit(caller: &Caller) -> Result<(), AccessError> {
        caller.actor.require(caller.actor == Actor::Integrator)
    }
}

/// The caller, known to be of the audience `A`.
#[derive(Debug)]
pub struct By<A> {
    caller: Caller,
    audience: PhantomData<A>,
}

impl<A> Deref for By<A> {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl<'a, A: Audience> ApiExtractor<'a> for By<A> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::SecurityScheme];
    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        schemes::register(registry);
    }

    fn security_schemes() -> Vec<&'static str> {
        A::SCHEMES.to_vec()
    }

    fn has_security_fallback() -> bool {
        A::IS_OPEN
    }

    async fn from_request(request: &'a Request, _: &mut RequestBody, _: ExtractParamOptions<()>) -> Result<Self> {
        let services = request.data::<Arc<Services>>();
        let services = services.ok_or_else(|| ApiError::internal("a request without services"))?;
        let caller = Caller::resolve(request, services.gatekeeper.as_ref(), A::STALE_SESSION).await?;
        A::admit(&caller).map_err(ApiError::from)?;
        Ok(Self { caller, audience: PhantomData })
    }
}

/// The security schemes of the spec.
pub mod schemes {
    use super::{MetaSecurityScheme, Registry};

    /// `Authorization: Bearer` with a session token.
    pub const BEARER: &str = "bearer";
    /// `X-LC-Session` with a session token.
    pub const SESSION: &str = "session";
    /// `X-LC-Id`, always beside one of the next three.
    pub const APPLICATION_ID: &str = "applicationId";
    /// `X-LC-Key` with the application key.
    pub const APPLICATION_KEY: &str = "applicationKey";
    /// `X-LC-Sign`.
    pub const APPLICATION_SIGN: &str = "applicationSign";
    /// `X-LC-Key` with the master key and `,master`.
    pub const MASTER: &str = "masterKey";

    /// Those that mean nothing without `X-LC-Id`.
    pub const NEEDING_ID: &[&str] = &[APPLICATION_KEY, APPLICATION_SIGN, MASTER];

    const fn header(name: &'static str, description: &'static str) -> MetaSecurityScheme {
        MetaSecurityScheme {
            ty: "apiKey",
            description: Some(description),
            name: Some(name),
            key_in: Some("header"),
            scheme: None,
            bearer_format: None,
            flows: None,
            openid_connect_url: None,
        }
    }

    pub(super) fn register(registry: &mut Registry) {
        let bearer = MetaSecurityScheme {
            ty: "http",
            description: Some("The session token of a signed-in person or member of staff."),
            name: None,
            key_in: None,
            scheme: Some("bearer"),
            ..header("", "")
        };
        registry.create_security_scheme(BEARER, bearer);
        let headers = [
            (SESSION, "X-LC-Session", "The session token, as LeanCloud clients send it."),
            (APPLICATION_ID, "X-LC-Id", "The application's id."),
            (APPLICATION_KEY, "X-LC-Key", "The application's key."),
            (APPLICATION_SIGN, "X-LC-Sign", "`md5hex(ts + key),ts`: a signature instead of the key."),
            (MASTER, "X-LC-Key", "The master key followed by `,master`; for servers only."),
        ];
        for (scheme, name, description) in headers {
            registry.create_security_scheme(scheme, header(name, description));
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::ObjectId;
    use domain::actor::UserActor;
    use domain::id::{AgentId, UserId};
    use rstest::rstest;

    use super::*;
    use crate::http::context::Language;
    use crate::http::testing::context;

    struct Doorman;

    fn id() -> ObjectId {
        ObjectId::from_parts(1, [0; 5], 1)
    }

    fn user() -> Actor {
        Actor::User(UserActor { user: UserId(id()), session: SessionId(id()), patient: None, doctor: None })
    }

    #[async_trait]
    impl Gatekeeper for Doorman {
        fn check_app(&self, sent: AppHeaders<'_>) -> Result<AppAccess, ApiError> {
            match (sent.id, sent.key) {
                (Some("app"), Some("key")) => Ok(AppAccess::Client),
                (Some("app"), Some("key2,master")) => Ok(AppAccess::Master),
                _ => Err(AccessError::Unauthenticated.into()),
            }
        }

        async fn find_session(&self, token: &str) -> Result<Option<KnownSession>, ApiError> {
            let actor = match token {
                "patient" => Some(user()),
                "agent" => Some(Actor::Agent(AgentId(id()))),
                _ => None,
            };
            Ok(actor.map(|actor| KnownSession { id: SessionId(id()), actor }))
        }
    }

    async fn resolve(headers: &[(&'static str, &'static str)]) -> Result<Caller, ApiError> {
        let mut builder = Request::builder();
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let mut request = builder.finish();
        request.set_data(context(Language::Chinese));
        Caller::resolve(&request, &Doorman, StaleSession::Refused).await
    }

    #[rstest]
    #[case::nothing(&[], Actor::Nobody)]
    #[case::client(&[("x-lc-id", "app"), ("x-lc-key", "key")], Actor::App)]
    #[case::master(&[("x-lc-id", "app"), ("x-lc-key", "key2,master")], Actor::Integrator)]
    #[case::bearer(&[("authorization", "Bearer patient")], user())]
    #[case::master_with_a_session(&[("x-lc-id", "app"), ("x-lc-key", "key2,master"), ("x-lc-session", "x")], Actor::Integrator)]
    #[case::session_header(&[("x-lc-session", "patient")], user())]
    #[case::both(&[("x-lc-id", "app"), ("x-lc-key", "key"), ("authorization", "bearer patient")], user())]
    #[tokio::test]
    async fn credentials_become_an_actor(#[case] headers: &[(&'static str, &'static str)], #[case] actor: Actor) {
        assert_eq!(resolve(headers).await.unwrap().actor, actor);
    }

    #[rstest]
    #[case::wrong_key(&[("x-lc-id", "app"), ("x-lc-key", "nope")])]
    #[case::key_alone(&[("x-lc-key", "key")])]
    #[case::id_alone(&[("x-lc-id", "app")])]
    #[case::unknown_session(&[("authorization", "Bearer nope")])]
    #[case::another_scheme(&[("authorization", "Basic patient")])]
    #[case::wrong_app_with_right_session(&[("x-lc-id", "x"), ("x-lc-key", "key"), ("x-lc-session", "patient")])]
    #[case::wrong_session_with_right_app(&[("x-lc-id", "app"), ("x-lc-key", "key"), ("x-lc-session", "x")])]
    #[tokio::test]
    async fn wrong_credentials_are_refused_whatever_else_is_right(#[case] headers: &[(&'static str, &'static str)]) {
        assert_eq!(resolve(headers).await.unwrap_err().status().as_u16(), 401);
    }

    #[tokio::test]
    async fn audiences_admit_their_own() {
        let nobody = resolve(&[]).await.unwrap();
        let client = resolve(&[("x-lc-id", "app"), ("x-lc-key", "key")]).await.unwrap();
        let patient = resolve(&[("x-lc-session", "patient")]).await.unwrap();
        let agent = resolve(&[("x-lc-session", "agent")]).await.unwrap();
        assert_eq!(SignedIn::admit(&nobody), Err(AccessError::Unauthenticated));
        assert_eq!(SignedIn::admit(&client), Err(AccessError::Unauthenticated));
        assert_eq!(SignedIn::admit(&patient), Ok(()));
        assert_eq!(Application::admit(&nobody), Err(AccessError::Unauthenticated));
        assert_eq!(Application::admit(&client), Ok(()));
        assert_eq!(Staff::admit(&patient), Err(AccessError::Forbidden));
        assert_eq!(Staff::admit(&agent), Ok(()));
        assert_eq!(Integrator::admit(&agent), Err(AccessError::Forbidden));
    }
}
