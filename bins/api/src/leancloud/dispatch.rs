//! One call of the storage interface, however it came: as a request of its own or inside a batch.

use leancloud::query::Params;
use leancloud::rest::{Caller, CodeCall, Found, RestError, UserAnswer};
use leancloud::wire;
use poem::http::Method;
use serde_json::{Map, Value, json};

use crate::http::services::Services;

/// A call, with its path below `/1.1/`.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) params: Params,
    pub(super) body: Value,
    /// Whether the client can put files in the way of S3 only.
    pub(super) puts_files: bool,
}

/// What a call answers.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: Value,
    /// Path of an object that was made.
    pub(super) location: Option<String>,
}

impl Reply {
    fn ok(body: Value) -> Self {
        Self { status: 200, body, location: None }
    }

    fn done() -> Self {
        Self::ok(json!({}))
    }

    fn user(answer: UserAnswer) -> Self {
        let status = if answer.is_new { 201 } else { 200 };
        let location = answer.is_new.then(|| format!("/1.1/users/{}", answer.id));
        Self { status, body: answer.answer, location }
    }
}

/// What LeanCloud offers and this server does not; each has its line in the compatibility table.
const UNSUPPORTED: [&str; 18] = [
    "installations",
    "cloudQuery",
    "requestCaptcha",
    "verifyCaptcha",
    "requestEmailVerify",
    "requestPasswordReset",
    "LiveQuery",
    "push",
    "stats",
    "statistics",
    "leaderboard",
    "statuses",
    "subscribe",
    "search",
    "exportData",
    "feedback",
    "qiniu",
    "bigquery",
];

/// Whether LeanCloud has something under a path that this server does not offer.
fn is_unsupported(segments: &[&str]) -> bool {
    match segments {
        ["users", "friendshipRequests", ..] | ["files", _, "censor"] => true,
        ["users", _, part, ..] => ["friendship", "followers", "followees", "followersAndFollowees"].contains(part),
        [name, ..] => UNSUPPORTED.contains(name),
        [] => false,
    }
}

/// Answers a call.
pub(super) async fn dispatch(services: &Services, caller: &Caller, call: Call) -> Result<Reply, RestError> {
    let Call { method, path, params, body, puts_files } = call;
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let rest = &services.rest;
    match (method.as_str(), segments.as_slice()) {
        ("GET", ["date"]) => Ok(Reply::ok(wire::date(services.clock.now()))),
        ("GET", ["users", "me"]) => Ok(Reply::ok(rest.me(caller).await?)),
        ("GET", ["users", "strictlyQuery"]) => find(services, caller, "_User", &params).await,
        ("POST", ["users"] | ["classes", "_User"]) => {
            Ok(Reply::user(rest.post_user(caller, object(body)?, &params).await?))
        }
        ("PUT", ["users", id, "refreshSessionToken"]) => Ok(Reply::ok(rest.refresh_token(caller, id).await?)),
        ("PUT", ["users", id, "updatePassword"]) => {
            Ok(Reply::ok(rest.update_password(caller, id, object(body)?).await?))
        }
        ("POST", ["login"]) => Ok(Reply { status: 200, ..Reply::user(rest.log_in(caller, object(body)?).await?) }),
        ("POST", ["usersByMobilePhone"]) => Ok(Reply::user(rest.users_by_phone(caller, object(body)?).await?)),
        ("POST", ["fileTokens"]) => file_token(services, caller, &object(body)?, puts_files),
        ("POST", ["fileCallback"]) => {
            rest.upload_ended(&object(body)?).await?;
            Ok(Reply::done())
        }
        ("GET", ["scan", "classes", class]) => {
            let found = rest.scan(caller, class, &params).await?;
            // The SDK ends at `null` and begins anew where there is no cursor at all.
            Ok(Reply::ok(json!({ "results": found.results, "cursor": found.cursor })))
        }
        ("POST" | "PUT", [name, ..]) if is_code_call(name) => codes(services, caller, &segments, object(body)?).await,
        (_, segments) if is_unsupported(segments) => Err(RestError::NotSupported("this server does not offer it")),
        (_, [alias, ids @ ..]) => match class_of(alias, ids) {
            Some((class, ids)) => on_class(services, caller, &method, class, ids, &params, body).await,
            None => Err(RestError::UnknownPath),
        },
        _ => Err(RestError::UnknownPath),
    }
}

/// The class a path is about, and what follows.
fn class_of<'a>(first: &'a str, rest: &'a [&'a str]) -> Option<(&'a str, &'a [&'a str])> {
    match (first, rest) {
        ("classes", [class, ids @ ..]) => Some((class, ids)),
        ("users", ids) => Some(("_User", ids)),
        ("roles", ids) => Some(("_Role", ids)),
        ("files", ids) => Some(("_File", ids)),
        _ => None,
    }
}

async fn on_class(
    services: &Services,
    caller: &Caller,
    method: &Method,
    class: &str,
    ids: &[&str],
    params: &Params,
    body: Value,
) -> Result<Reply, RestError> {
    let rest = &services.rest;
    if class == "_Conversation" && *method != Method::GET {
        return super::realtime::on_conversations(services, caller, method, ids, object(body)?).await;
    }
    match (method.as_str(), ids) {
        ("GET", []) => find(services, caller, class, params).await,
        ("GET", [id]) => Ok(Reply::ok(rest.get(caller, class, id, params).await?.unwrap_or_else(|| json!({})))),
        ("POST", []) => {
            let made = rest.create(caller, class, object(body)?, params).await?;
            Ok(Reply { status: 201, body: made.answer, location: Some(format!("/1.1/classes/{class}/{}", made.id)) })
        }
        ("PUT", [id]) => Ok(Reply::ok(rest.update(caller, class, id, object(body)?, params).await?)),
        ("DELETE", [ids]) => {
            rest.delete(caller, class, ids, params).await?;
            Ok(Reply::done())
        }
        _ => Err(RestError::UnknownPath),
    }
}

async fn find(services: &Services, caller: &Caller, class: &str, params: &Params) -> Result<Reply, RestError> {
    Ok(found(services.rest.find(caller, class, params).await?))
}

fn found(found: Found) -> Reply {
    let Found { results, count, .. } = found;
    let body = match count {
        Some(count) => json!({ "results": results, "count": count }),
        None => json!({ "results": results }),
    };
    Reply::ok(body)
}

fn is_code_call(name: &str) -> bool {
    const CALLS: [&str; 9] = [
        "requestSmsCode",
        "requestLoginSmsCode",
        "verifySmsCode",
        "requestMobilePhoneVerify",
        "verifyMobilePhone",
        "requestPasswordResetBySmsCode",
        "resetPasswordBySmsCode",
        "requestChangePhoneNumber",
        "changePhoneNumber",
    ];
    CALLS.contains(&name)
}

async fn codes(
    services: &Services,
    caller: &Caller,
    segments: &[&str],
    body: Map<String, Value>,
) -> Result<Reply, RestError> {
    let rest = &services.rest;
    match segments {
        ["requestSmsCode" | "requestLoginSmsCode"] => rest.request_code(caller, CodeCall::Login, &body).await?,
        ["requestPasswordResetBySmsCode"] => rest.request_code(caller, CodeCall::PasswordReset, &body).await?,
        ["requestMobilePhoneVerify"] => rest.request_code(caller, CodeCall::VerifyPhone, &body).await?,
        ["requestChangePhoneNumber"] => rest.request_code(caller, CodeCall::ChangePhone, &body).await?,
        ["verifySmsCode", code] => rest.verify_code(caller, code, &body).await?,
        ["verifyMobilePhone", code] => rest.verify_own_phone(caller, code).await?,
        ["resetPasswordBySmsCode", code] => rest.reset_password(caller, code, &body).await?,
        ["changePhoneNumber"] => rest.change_phone(caller, &body).await?,
        _ => return Err(RestError::UnknownPath),
    }
    Ok(Reply::done())
}

fn file_token(
    services: &Services,
    caller: &Caller,
    body: &Map<String, Value>,
    puts_files: bool,
) -> Result<Reply, RestError> {
    let ticket = services.rest.file_token(caller, body)?;
    let base = &services.public_url;
    let answer = if puts_files {
        ticket.answer("s3", &format!("{base}/1.1/upload/{}", ticket.token.0))
    } else {
        ticket.answer("qiniu", &format!("{base}/1.1/upload"))
    };
    Ok(Reply { status: 201, body: answer, location: None })
}

/// SDKs send nothing, `null` or an object.
fn object(body: Value) -> Result<Map<String, Value>, RestError> {
    match body {
        Value::Object(object) => Ok(object),
        Value::Null => Ok(Map::new()),
        _ => Err(RestError::MalformedJson),
    }
}
