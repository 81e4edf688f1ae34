//! Requests of the storage interface, and batches of them.

use std::collections::VecDeque;

use leancloud::query::Params;
use leancloud::rest::{Caller, RestError};
use leancloud::value::check_storable;
use poem::http::Method;
use poem::http::header::{LOCATION, USER_AGENT};
use poem::{Request, Response, Result};
use serde_json::{Map, Value, json};

use super::dispatch::{Call, Reply, dispatch};
use super::{answer, caller};
use crate::http::services::Services;

/// Most calls of one batch.
const MAX_BATCH: usize = 500;
const PREFIX: &str = "/1.1/";

/// Answers any request below `/1.1` that has no handler of its own.
pub(super) async fn serve(services: &Services, mut request: Request) -> Result<Response> {
    let caller = caller::resolve(services, &request).await?;
    let body = request.take_body().into_bytes().await?;
    match answered(services, &caller, &request, &body).await {
        Ok(reply) => Ok(response(services, &reply)),
        Err(error) => Ok(refused(&error)),
    }
}

async fn answered(services: &Services, caller: &Caller, request: &Request, body: &[u8]) -> Result<Reply, RestError> {
    let path = request.uri().path().strip_prefix(PREFIX).unwrap_or_default().trim_end_matches('/').to_owned();
    let body = read_body(request.method(), body)?;
    if path == "batch" && request.method() == Method::POST {
        return batch(services, caller, &body, puts_files(request)).await;
    }
    if path == "batch/save" && request.method() == Method::POST {
        return save_together(services, caller, &body, puts_files(request)).await;
    }
    let mut params = Params::default();
    for (name, value) in pairs(request.uri().query().unwrap_or_default()) {
        params.take(&name, &value)?;
    }
    let path = percent_decoded(&path);
    let call = Call { method: request.method().clone(), path, params, body, puts_files: puts_files(request) };
    dispatch(services, caller, call).await
}

/// Reads come with bodies that mean nothing.
fn read_body(method: &Method, body: &[u8]) -> Result<Value, RestError> {
    if *method == Method::GET || *method == Method::DELETE || body.trim_ascii().is_empty() {
        return Ok(Value::Null);
    }
    let sent = serde_json::from_slice(body).or(Err(RestError::MalformedJson))?;
    check_storable(&sent)?;
    Ok(sent)
}

fn requests_of(body: &Value) -> Result<&Vec<Value>, RestError> {
    let requests = body.get("requests").and_then(Value::as_array).ok_or(RestError::MalformedJson)?;
    if requests.len() > MAX_BATCH {
        return Err(RestError::bad_query(format!("a batch has at most {MAX_BATCH} requests")));
    }
    Ok(requests)
}

/// Saves objects of the SDKs of phones that point to each other: each once those it names as `__children` have their
/// ids. Answers under the names the client gave them, or what is refused first; what was saved before stays.
async fn save_together(
    services: &Services,
    caller: &Caller,
    body: &Value,
    puts_files: bool,
) -> Result<Reply, RestError> {
    let mut waiting: VecDeque<Value> = requests_of(body)?.iter().cloned().collect();
    let mut saved = Map::new();
    while let Some(at) =
        waiting.iter().position(|request| children_of(request).all(|child| saved.contains_key(child.name)))
    {
        let Some(mut request) = waiting.remove(at) else { break };
        let pointers = pointers_to_children(&request, &saved);
        let name = request.pointer("/body/__internalId").and_then(Value::as_str).map(str::to_owned);
        if let Some(fields) = request.get_mut("body").and_then(Value::as_object_mut) {
            fields.extend(pointers);
        }
        let answer = batched(services, caller, &request, puts_files).await?;
        let name = name.or_else(|| Some(answer.get("objectId")?.as_str()?.to_owned()));
        saved.extend(name.map(|name| (name, answer)));
    }
    if waiting.is_empty() {
        Ok(Reply { status: 200, body: Value::Object(saved), location: None })
    } else {
        Err(RestError::MalformedPointer)
    }
}

/// An object of the same batch that a field is to point to.
struct Child<'a> {
    class: &'a str,
    /// What the client calls it.
    name: &'a str,
    field: &'a str,
}

fn children_of(request: &Value) -> impl Iterator<Item = Child<'_>> {
    let listed = request.get("body").and_then(|body| body.get("__children")).and_then(Value::as_array);
    listed.into_iter().flatten().map(|child| {
        let text = |key: &str| child.get(key).and_then(Value::as_str).unwrap_or_default();
        Child { class: text("className"), name: text("cid"), field: text("key") }
    })
}

fn pointers_to_children(request: &Value, saved: &Map<String, Value>) -> Vec<(String, Value)> {
    let pointer = |child: Child<'_>| {
        let id = saved.get(child.name).and_then(|answer| answer.get("objectId"));
        (child.field.to_owned(), json!({ "__type": "Pointer", "className": child.class, "objectId": id }))
    };
    children_of(request).map(pointer).collect()
}

/// Runs the calls of a batch one after another; each answers for itself.
async fn batch(services: &Services, caller: &Caller, body: &Value, puts_files: bool) -> Result<Reply, RestError> {
    let requests = requests_of(body)?;
    let mut answers = Vec::with_capacity(requests.len());
    for request in requests {
        answers.push(match batched(services, caller, request, puts_files).await {
            Ok(body) => json!({ "success": body }),
            Err(error) => {
                log(&error);
                json!({ "error": error.body() })
            }
        });
    }
    Ok(Reply { status: 200, body: Value::Array(answers), location: None })
}

async fn batched(services: &Services, caller: &Caller, request: &Value, puts_files: bool) -> Result<Value, RestError> {
    let text = |key: &str| request.get(key).and_then(Value::as_str).unwrap_or_default();
    let method: Method = text("method").parse().or(Err(RestError::MalformedJson))?;
    let (path, query) = text("path").split_once('?').unwrap_or((text("path"), ""));
    let path = path.strip_prefix(PREFIX).ok_or(RestError::NotSupported("a batch calls paths below /1.1"))?;
    let mut params = Params::default();
    for (name, value) in pairs(query) {
        params.take(&name, &value)?;
    }
    if let Some(sent) = request.get("params").and_then(Value::as_object) {
        params.take_all(sent)?;
    }
    let body = request.get("body").cloned().unwrap_or(Value::Null);
    let is_by_id = method == Method::GET && path.trim_end_matches('/').split('/').count() > 2;
    let call = Call { method, path: percent_decoded(path), params, body, puts_files };
    let reply = dispatch(services, caller, call).await?;
    let is_missing = is_by_id && reply.body.as_object().is_some_and(Map::is_empty);
    Ok(if is_missing { Value::Null } else { reply.body })
}

fn response(services: &Services, reply: &Reply) -> Response {
    let mut response = answer::with_status(reply.status, &reply.body);
    let location = reply.location.as_ref().map(|path| format!("{}{path}", services.public_url));
    if let Some(Ok(location)) = location.map(poem::http::HeaderValue::try_from) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

/// A refusal in LeanCloud's shape; what the server did wrong is logged.
pub(super) fn refused(error: &RestError) -> Response {
    log(error);
    answer::error(&error.body())
}

fn log(error: &RestError) {
    if error.body().status >= 500 {
        let error = error as &dyn std::error::Error;
        tracing::error!(error, source = error.source(), "a call of the storage interface failed");
    }
}

/// The SDKs of phones cannot post forms to a place of one's own; they put files plainly.
fn puts_files(request: &Request) -> bool {
    let agent = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let agents = [agent(USER_AGENT.as_str()), agent("x-lc-ua")];
    let native = ["LeanCloud-Java-SDK", "LeanCloud-Android", "LeanCloud-Swift-SDK", "LeanCloud-Objc-SDK"];
    agents.iter().any(|agent| native.iter().any(|name| agent.starts_with(name)))
}

/// `a=1&b=2`, decoded; a bare `?` has none.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (percent_decoded(&name.replace('+', " ")), percent_decoded(&value.replace('+', " ")))
    })
}

/// Decodes `%41`; what is not UTF-8 afterwards is replaced.
pub(super) fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = code.filter(|_| *first == b'%').and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded() {
        let read: Vec<_> = pairs("where=%7B%22a%22%3A%22b+c%22%7D&limit=1&&x").collect();
        assert_eq!(read[0], ("where".into(), r#"{"a":"b c"}"#.into()));
        assert_eq!(read[1..], [("limit".into(), "1".into()), ("x".into(), String::new())]);
        assert_eq!(percent_decoded("100%"), "100%");
        assert_eq!(percent_decoded("%e4%b8%ad%"), "中%");
    }

    #[test]
    fn bodies_of_reads_mean_nothing() {
        assert_eq!(read_body(&Method::GET, b"not json").unwrap(), Value::Null);
        assert_eq!(read_body(&Method::POST, b"").unwrap(), Value::Null);
        assert!(read_body(&Method::PUT, b"{").is_err());
    }
}
