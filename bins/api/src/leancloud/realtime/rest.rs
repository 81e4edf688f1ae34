//! What servers with the master key, and clients about themselves, ask of the realtime protocol over HTTP: `/1.1/rtm`,
//! `/1.2/rtm` and the class `_Conversation`.

use account::AppAccess;
use domain::Actor;
use leancloud::query::Params;
use leancloud::realtime::{Realtime, Refusal, RoomKind, ServiceTarget};
use leancloud::rest::{Caller, RestError};
use leancloud::value::check_storable;
use leancloud::wire::ErrorBody;
use poem::http::Method;
use poem::{Request, Response, Result};
use serde_json::{Map, Value, json};

use super::super::dispatch::Reply;
use super::super::storage::{self, pairs, percent_decoded};
use super::answer;
use crate::http::caller::{app_headers, session_token};
use crate::http::services::Services;

/// Header of the session token of the realtime protocol.
const SESSION_TOKEN: &str = "x-lc-im-session-token";

/// A request, taken apart.
struct Ask {
    method: Method,
    segments: Vec<String>,
    query: Map<String, Value>,
    body: Map<String, Value>,
    access: AppAccess,
    session: Option<String>,
    im_session: Option<String>,
}

impl Ask {
    async fn of(services: &Services, mut request: Request, prefix: &str) -> Result<Self> {
        let access = services.gatekeeper.check_app(app_headers(request.headers()).unwrap_or_default())?;
        let body = request.take_body().into_bytes().await?;
        let path = request.uri().path().strip_prefix(prefix).unwrap_or_default();
        let segments: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(percent_decoded).collect();
        let query = pairs(request.uri().query().unwrap_or_default()).map(|(name, value)| (name, json!(value)));
        let query: Map<String, Value> = query.collect();
        let body: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
        Ok(Self {
            method: request.method().clone(),
            segments,
            query,
            body,
            access,
            session: session_token(request.headers()).map(str::to_owned),
            im_session: request.headers().get(SESSION_TOKEN).and_then(|v| v.to_str().ok()).map(str::to_owned),
        })
    }

    /// Refuses a body with texts that no database stores; the address was looked at before.
    fn check(&self) -> std::result::Result<(), RestError> {
        check_storable(&json!(self.body))
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.query.get(key).or_else(|| self.body.get(key)).and_then(Value::as_str)
    }

    fn ids(&self, key: &str) -> Vec<String> {
        let listed = self.body.get(key).and_then(Value::as_array).into_iter().flatten();
        listed.filter_map(|id| id.as_str().map(str::to_owned)).collect()
    }

    fn sender(&self) -> &str {
        self.text("from_client").or_else(|| self.text("from_peer")).unwrap_or_default()
    }

    /// The body with what the address says beside it.
    fn whole(&self) -> Map<String, Value> {
        let mut whole = self.query.clone();
        whole.extend(self.body.clone());
        whole
    }

    fn params(&self) -> Result<Params, Refused> {
        let mut params = Params::default();
        for (name, value) in &self.query {
            params.take(name, value.as_str().unwrap_or_default())?;
        }
        Ok(params)
    }
}

/// Why a request is refused.
enum Refused {
    Realtime(Refusal),
    Rest(RestError),
    /// There is nothing under this path.
    Unknown,
    /// Only servers may.
    Master,
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self::Realtime(refusal)
    }
}

impl From<RestError> for Refused {
    fn from(error: RestError) -> Self {
        Self::Rest(error)
    }
}

fn respond(answered: Result<Value, Refused>) -> Response {
    match answered {
        Ok(body) => answer::ok(&body),
        Err(Refused::Unknown) => answer::error(&ErrorBody::unknown_path()),
        Err(Refused::Master) => storage::refused(&RestError::ReadForbidden),
        Err(Refused::Rest(error)) => storage::refused(&error),
        Err(Refused::Realtime(refusal)) => refused(&refusal),
    }
}

fn refused(refusal: &Refusal) -> Response {
    let status = match refusal.code {
        4200 => 500,
        4201 => 503,
        4303 | 4404 => 404,
        _ => 400,
    };
    let mut body = json!({ "code": refusal.code, "error": refusal.reason });
    if let (Some(object), Some(message)) = (body.as_object_mut(), &refusal.app_message) {
        object.insert("appMsg".into(), json!(message));
        object.insert("appCode".into(), json!(refusal.app_code));
    }
    answer::with_status(status, &body)
}

/// `/1.1/rtm/…`.
pub(in crate::leancloud) async fn serve_1_1(services: &Services, request: Request) -> Result<Response> {
    let ask = Ask::of(services, request, "/1.1/rtm/").await?;
    match ask.check() {
        Ok(()) => Ok(respond(answer_1_1(services, &ask).await?)),
        Err(error) => Ok(storage::refused(&error)),
    }
}

/// `/1.2/rtm/…`.
pub(in crate::leancloud) async fn serve_1_2(services: &Services, request: Request) -> Result<Response> {
    let ask = Ask::of(services, request, "/1.2/rtm/").await?;
    match ask.check() {
        Ok(()) => Ok(respond(answer_1_2(services, &ask).await?)),
        Err(error) => Ok(storage::refused(&error)),
    }
}

async fn answer_1_1(services: &Services, ask: &Ask) -> Result<Result<Value, Refused>> {
    let realtime = services.realtime.as_ref();
    let segments: Vec<&str> = ask.segments.iter().map(String::as_str).collect();
    match (ask.method.as_str(), segments.as_slice()) {
        ("POST", ["sign"]) => sign(services, ask).await,
        ("GET", ["notifications"]) => Ok(notifications(realtime, ask).await),
        ("POST", ["messages"]) => Ok(post_legacy(realtime, ask).await),
        ("POST", ["broadcast"]) => Ok(broadcast_legacy(realtime, ask).await),
        _ => Ok(Err(Refused::Unknown)),
    }
}

/// Signs the login of the user a session stands for.
async fn sign(services: &Services, ask: &Ask) -> Result<Result<Value, Refused>> {
    let token = ask.text("session_token").map(str::to_owned).or_else(|| ask.session.clone());
    let known = match token {
        Some(token) => services.gatekeeper.find_session(&token).await?,
        None => None,
    };
    let Some(Actor::User(user)) = known.map(|known| known.actor) else {
        return Ok(Err(Refused::Rest(RestError::UserNotFound)));
    };
    // A person may also speak as the patient or doctor they are.
    let own =
        [Some(user.user.to_string()), user.patient.map(|id| id.to_string()), user.doctor.map(|id| id.to_string())];
    let asked =
        ask.text("client_id").or_else(|| ask.text("peer_id")).map_or_else(|| user.user.to_string(), str::to_owned);
    if !own.into_iter().flatten().any(|id| id == asked) {
        return Ok(Err(Refused::Rest(RestError::NotOwnUser)));
    }
    Ok(Ok(services.realtime.sign_login(&asked)))
}

/// What a client missed of who came into its conversations, who left them, and what they say of themselves.
async fn notifications(realtime: &Realtime, ask: &Ask) -> Result<Value, Refused> {
    let token = ask.im_session.as_deref().unwrap_or_default();
    let client_id = ask.text("client_id").filter(|id| !id.is_empty());
    let since = ask.text("start_ts").and_then(|text| text.parse().ok()).unwrap_or_default();
    Ok(json!({ "notifications": realtime.notifications(token, client_id, since).await?, "hasMore": false }))
}

fn require_master(ask: &Ask) -> Result<(), Refused> {
    if ask.access == AppAccess::Master { Ok(()) } else { Err(Refused::Master) }
}

async fn post_legacy(realtime: &Realtime, ask: &Ask) -> Result<Value, Refused> {
    require_master(ask)?;
    let cid = ask.text("conv_id").unwrap_or_default();
    let targets = ask.ids("to_peers");
    let sent = if targets.is_empty() {
        realtime.post_message(cid, ask.sender(), &ask.body).await?
    } else {
        let mut body = ask.body.clone();
        body.insert("to_clients".into(), json!(targets));
        body.insert("from_client".into(), json!(ask.sender()));
        realtime.post_to_subscribers(cid, &body, ServiceTarget::Named).await?
    };
    Ok(json!({ "result": sent }))
}

async fn broadcast_legacy(realtime: &Realtime, ask: &Ask) -> Result<Value, Refused> {
    require_master(ask)?;
    let mut body = ask.body.clone();
    body.insert("from_client".into(), json!(ask.sender()));
    let cid = ask.text("conv_id").unwrap_or_default();
    let sent = realtime.post_to_subscribers(cid, &body, ServiceTarget::Everybody).await?;
    Ok(json!({ "result": sent }))
}

async fn answer_1_2(services: &Services, ask: &Ask) -> Result<Result<Value, Refused>> {
    let realtime = services.realtime.as_ref();
    let segments: Vec<&str> = ask.segments.iter().map(String::as_str).collect();
    let answered = match (ask.method.as_str(), segments.as_slice()) {
        ("GET" | "POST", ["clients", "sign"]) => return sign(services, ask).await,
        ("GET", ["clients", id, "unread-count"]) => {
            let count = realtime.unread_count(id, ask.text("conv_id")).await;
            return Ok(count.map(|count| json!({ "count": count })).map_err(Refused::from));
        }
        (method, path) => match require_master(ask) {
            Ok(()) => master(realtime, ask, method, path).await,
            Err(refused) => Err(refused),
        },
    };
    Ok(answered)
}

async fn master(realtime: &Realtime, ask: &Ask, method: &str, path: &[&str]) -> Result<Value, Refused> {
    match (method, path) {
        (_, ["clients" | "messages", ..]) => on_clients(realtime, ask, method, path).await,
        (_, ["service-conversations", rest @ ..]) => on_services(realtime, ask, method, rest).await,
        ("GET", ["all-conversations"]) => found(realtime, ask, RoomKind::Any).await,
        (_, ["conversations", rest @ ..]) => on_rooms(realtime, ask, method, rest).await,
        _ => Err(Refused::Unknown),
    }
}

async fn found(realtime: &Realtime, ask: &Ask, kind: RoomKind) -> Result<Value, Refused> {
    Ok(json!({ "results": realtime.find_for_servers(&ask.params()?, kind).await? }))
}

async fn on_clients(realtime: &Realtime, ask: &Ask, method: &str, path: &[&str]) -> Result<Value, Refused> {
    match (method, path) {
        ("POST", ["clients", "check-online"]) => {
            Ok(json!({ "results": realtime.online(&ask.ids("client_ids")).await? }))
        }
        ("POST", ["clients", id, "kick"]) => {
            realtime.kick(id, ask.text("reason").unwrap_or_default()).await?;
            Ok(json!({}))
        }
        ("GET", ["clients", id, "messages"]) => Ok(json!(realtime.written_by(Some(id), &ask.query).await?)),
        ("GET", ["messages"]) => Ok(json!(realtime.written_by(None, &ask.query).await?)),
        _ => Err(Refused::Unknown),
    }
}

async fn on_rooms(realtime: &Realtime, ask: &Ask, method: &str, path: &[&str]) -> Result<Value, Refused> {
    match (method, path) {
        ("POST", []) => Ok(realtime.create_room(ask.body.clone(), RoomKind::Normal).await?),
        ("GET", []) => found(realtime, ask, RoomKind::Normal).await,
        ("GET", [id]) => Ok(realtime.get_for_servers(id).await?),
        ("PUT", [id]) => Ok(realtime.update_room(id, ask.body.clone()).await?),
        ("DELETE", [id]) => {
            realtime.delete_room(id).await?;
            Ok(json!({}))
        }
        ("GET", [id, "members"]) => Ok(json!({ "result": realtime.member_ids(id).await? })),
        ("POST", [id, "members"]) => Ok(realtime.change_members(id, &ask.body, true).await?),
        ("DELETE", [id, "members"]) => Ok(realtime.change_members(id, &ask.body, false).await?),
        ("GET", [id, "mutes"]) => Ok(json!({ "result": realtime.mutes(id).await? })),
        ("POST", [id, "mutes"]) => Ok(realtime.change_mutes(id, &ask.body, true).await?),
        ("DELETE", [id, "mutes"]) => Ok(realtime.change_mutes(id, &ask.body, false).await?),
        ("POST", [id, "messages"]) => Ok(realtime.post_message(id, ask.sender(), &ask.body).await?),
        ("GET", [id, "messages"]) => Ok(json!(realtime.messages_for_servers(id, &ask.query).await?)),
        ("PUT", [id, "messages", mid]) => {
            realtime.update_message(id, mid, &ask.whole()).await?;
            Ok(json!({}))
        }
        ("PUT", [id, "messages", mid, "recall"]) | ("DELETE", [id, "messages", mid]) => {
            let at = ask.whole().get("timestamp").and_then(number);
            realtime.recall_message(id, mid, at).await?;
            Ok(json!({}))
        }
        _ => Err(Refused::Unknown),
    }
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

async fn on_services(realtime: &Realtime, ask: &Ask, method: &str, path: &[&str]) -> Result<Value, Refused> {
    match (method, path) {
        ("POST", []) => Ok(realtime.create_room(ask.body.clone(), RoomKind::Service).await?),
        ("GET", []) => found(realtime, ask, RoomKind::Service).await,
        ("POST", [id, "subscribers"]) => {
            let subscriber = ask.text("client_id").unwrap_or_default();
            let body = Map::from_iter([("client_ids".to_owned(), json!([subscriber]))]);
            realtime.change_members(id, &body, true).await?;
            Ok(json!({}))
        }
        ("DELETE", [id, "subscribers", subscriber]) => {
            let body = Map::from_iter([("client_ids".to_owned(), json!([subscriber]))]);
            realtime.change_members(id, &body, false).await?;
            Ok(json!({}))
        }
        ("GET", [id, "subscribers"]) => Ok(json!(realtime.subscribers(id, &ask.query).await?)),
        ("GET", [id, "subscribers", "count"]) => Ok(json!({ "count": realtime.member_ids(id).await?.len() })),
        ("GET", [id, "subscribers", subscriber, "messages"]) => {
            Ok(json!(realtime.subscriber_messages(id, subscriber, &ask.query).await?))
        }
        ("POST", [id, "messages"]) => Ok(realtime.post_to_subscribers(id, &ask.body, ServiceTarget::Named).await?),
        ("POST", [id, "broadcasts"]) => {
            Ok(realtime.post_to_subscribers(id, &ask.body, ServiceTarget::Everybody).await?)
        }
        ("GET" | "PUT" | "DELETE", [_]) => on_rooms(realtime, ask, method, path).await,
        _ => Err(Refused::Unknown),
    }
}

/// Writes to the class `_Conversation`: what is saved there is a conversation.
pub(in crate::leancloud) async fn on_conversations(
    services: &Services,
    caller: &Caller,
    method: &Method,
    ids: &[&str],
    mut body: Map<String, Value>,
) -> Result<Reply, RestError> {
    let realtime = services.realtime.as_ref();
    let is_master = caller.viewer.is_master();
    let own = caller.viewer.user().map(|user| user.to_string());
    match (method.as_str(), ids) {
        ("POST", []) => {
            if !is_master {
                // A client makes conversations it is in.
                let own = own.ok_or(RestError::WriteForbidden)?;
                body.remove("sys");
                body.insert("c".into(), json!(own));
                let mut members = body.get("m").map_or_else(Vec::new, members_of);
                if !members.contains(&own) {
                    members.push(own);
                }
                body.insert("m".into(), json!(members));
            }
            let row = realtime.create_room(body, RoomKind::Normal).await.map_err(as_rest_error)?;
            let id = row.get("objectId").and_then(Value::as_str).unwrap_or_default().to_owned();
            let body = json!({ "objectId": id, "createdAt": row.get("createdAt") });
            Ok(Reply { status: 201, body, location: Some(format!("/1.1/classes/_Conversation/{id}")) })
        }
        ("PUT", [id]) => {
            let members = realtime.member_ids(id).await.map_err(as_rest_error)?;
            if !is_master && !own.is_some_and(|own| members.contains(&own)) {
                return Err(RestError::AclForbidden);
            }
            let body = realtime.update_room(id, body).await.map_err(as_rest_error)?;
            Ok(Reply { status: 200, body, location: None })
        }
        ("DELETE", [ids]) if is_master => {
            for id in ids.split(',').filter(|id| !id.is_empty()) {
                realtime.delete_room(id).await.map_err(as_rest_error)?;
            }
            Ok(Reply { status: 200, body: json!({}), location: None })
        }
        _ => Err(RestError::WriteForbidden),
    }
}

fn members_of(listed: &Value) -> Vec<String> {
    let listed = listed.get("objects").unwrap_or(listed).as_array();
    listed.into_iter().flatten().filter_map(|id| id.as_str().map(str::to_owned)).collect()
}

fn as_rest_error(refusal: Refusal) -> RestError {
    match refusal.code {
        4303 => RestError::NotFound,
        4306 => RestError::ReadOnly("_Conversation".into()),
        _ => RestError::WrongType(refusal.reason),
    }
}
