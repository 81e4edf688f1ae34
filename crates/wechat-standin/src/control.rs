//! What people and the network do, below `/_standin/`.

use domain::Timestamp;
use serde_json::{Map, Value, json};

use crate::api::ApiRequest;
use crate::faults::Fault;
use crate::platform::Platform;
use crate::push::{self, Outgoing};

/// What is answered, and what is to be pushed before answering.
pub(crate) struct Controlled {
    pub(crate) answer: Value,
    pub(crate) push: Option<Outgoing>,
}

/// Does what was asked; `None` when it is not understood.
pub(crate) fn act(platform: &mut Platform, request: &ApiRequest) -> Option<Controlled> {
    let body = &request.body;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let done = |answer: Value| Some(Controlled { answer, push: None });
    let ok = || json!({ "ok": true });
    match (request.method, request.path.strip_prefix("/_standin")?) {
        ("GET", "" | "/") => done(overview(platform)),
        ("GET", "/deliveries") => done(deliveries(platform)),
        ("GET", "/calls") => done(json!(platform.calls)),
        ("GET", "/secrets") => done(json!({ "items": platform.secrets() })),
        ("POST", "/login") => {
            let code = platform.login_code(text("appid")?, text("openid")?, text("unionid"));
            done(json!({ "code": code }))
        }
        ("POST", "/phone") => {
            let code = platform.phone_code(text("appid")?, text("phone")?);
            done(json!({ "code": code }))
        }
        ("POST", "/consent") => consent(platform, body),
        ("POST", "/follow") => {
            let (appid, openid) = (text("appid")?, text("openid")?);
            let is_following = body.get("following").and_then(Value::as_bool).unwrap_or(true);
            platform.follow(appid, openid, text("unionid"), is_following);
            let event = if is_following { "subscribe" } else { "unsubscribe" };
            let message = event_message(platform.now(), openid, event, Map::new());
            Some(Controlled { answer: ok(), push: push::prepare(platform, appid, &message) })
        }
        ("POST", "/write") => {
            let (appid, openid) = (text("appid")?, text("openid")?);
            platform.wrote(appid, openid);
            let (now, id) = (platform.now().as_millis() / 1_000, platform.next_number());
            let message = json!({ "ToUserName": "gh_standin", "FromUserName": openid, "CreateTime": now,
                "MsgType": "text", "Content": text("text")?, "MsgId": id });
            Some(Controlled { answer: ok(), push: push::prepare(platform, appid, &message) })
        }
        ("POST", "/verdict") => verdict(platform, body),
        ("POST", "/push") => {
            let message = body.get("message")?.clone();
            Some(Controlled { answer: ok(), push: push::prepare(platform, text("appid")?, &message) })
        }
        ("POST", "/kill-token") => {
            platform.kill_token(text("appid")?);
            done(ok())
        }
        ("POST", "/faults") => {
            platform.faults.push(Fault::read(body)?);
            done(ok())
        }
        ("DELETE", "/faults") => {
            platform.faults.clear();
            done(ok())
        }
        _ => None,
    }
}

fn event_message(now: Timestamp, openid: &str, event: &str, more: Map<String, Value>) -> Value {
    let mut message = json!({ "ToUserName": "gh_standin", "FromUserName": openid,
        "CreateTime": now.as_millis() / 1_000, "MsgType": "event", "Event": event });
    if let Some(map) = message.as_object_mut() {
        map.extend(more);
    }
    message
}

/// The popup of a template: `{"appid", "openid", "templateId", "accept"?, "times"?, "push"?}`.
fn consent(platform: &mut Platform, body: &Value) -> Option<Controlled> {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let flag = |name: &str| body.get(name).and_then(Value::as_bool).unwrap_or(true);
    let (appid, openid, template) = (text("appid")?, text("openid")?, text("templateId")?);
    let times = body.get("times").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok()).unwrap_or(1);
    if flag("accept") {
        platform.accept(appid, openid, template, times);
    }
    let status = if flag("accept") { "accept" } else { "reject" };
    let list = json!({ "TemplateId": template, "SubscribeStatusString": status, "PopupScene": "0" });
    let more = Map::from_iter([("List".to_owned(), list)]);
    let message = event_message(platform.now(), openid, "subscribe_msg_popup_event", more);
    let push = if flag("push") { push::prepare(platform, appid, &message) } else { None };
    Some(Controlled { answer: json!({ "ok": true }), push })
}

/// The verdict on a picture: `{"traceId", "suggest", "label"?, "errcode"?}`.
fn verdict(platform: &mut Platform, body: &Value) -> Option<Controlled> {
    let trace = body.get("traceId").and_then(Value::as_str)?;
    let (appid, openid) = platform.traces.get(trace)?.clone();
    let suggest = body.get("suggest").and_then(Value::as_str).unwrap_or("pass");
    let label = body.get("label").and_then(Value::as_i64).unwrap_or(100);
    let errcode = body.get("errcode").and_then(Value::as_i64).unwrap_or(0);
    let more = json!({ "appid": appid, "trace_id": trace, "version": 2, "errcode": errcode, "errmsg": "ok",
        "detail": [], "result": { "suggest": suggest, "label": label } });
    let more = more.as_object().cloned().unwrap_or_default();
    let message = event_message(platform.now(), &openid, "wxa_media_check", more);
    Some(Controlled { answer: json!({ "ok": true }), push: push::prepare(platform, &appid, &message) })
}

fn deliveries(platform: &Platform) -> Value {
    let view = |delivered: &crate::platform::Delivered| {
        json!({ "appid": delivered.appid, "kind": delivered.kind, "openid": delivered.openid,
            "templateId": delivered.template_id, "body": delivered.body, "at": delivered.at.to_string() })
    };
    json!({ "items": platform.delivered.iter().rev().map(view).collect::<Vec<_>>() })
}

fn overview(platform: &Platform) -> Value {
    let app = |app: &crate::platform::StandinApp| {
        let kind = if app.is_miniprogram { "miniprogram" } else { "service_account" };
        let templates: Vec<Value> = app.templates.iter().map(|t| json!({ "id": t.id, "title": t.title })).collect();
        json!({ "appid": app.appid, "kind": kind, "templates": templates, "receivesPushes": app.push.is_some() })
    };
    let grants = platform.grants.iter().map(|((appid, openid, template), (left, is_long_term))| {
        json!({ "appid": appid, "openid": openid, "templateId": template, "left": left, "isLongTerm": is_long_term })
    });
    let traces: Vec<&String> = platform.traces.keys().collect();
    json!({
        "apps": platform.apps.iter().map(app).collect::<Vec<_>>(),
        "grants": grants.collect::<Vec<_>>(),
        "mediaChecks": traces,
        "delivered": platform.delivered.len(),
        "do": {
            "POST /_standin/login": { "appid": "…", "openid": "…", "unionid": "…?" },
            "POST /_standin/phone": { "appid": "…", "phone": "139…" },
            "POST /_standin/consent": { "appid": "…", "openid": "…", "templateId": "…", "accept": true, "times": 1, "push": true },
            "POST /_standin/follow": { "appid": "…", "openid": "…", "unionid": "…?", "following": true },
            "POST /_standin/write": { "appid": "…", "openid": "…", "text": "…" },
            "POST /_standin/verdict": { "traceId": "…", "suggest": "risky", "label": 20002 },
            "POST /_standin/kill-token": { "appid": "…" },
            "POST /_standin/faults": { "path": "/cgi-bin/message/", "kind": "reset_after", "times": 1, "code": 40001, "ms": 1000 },
            "GET /_standin/deliveries": {},
            "GET /_standin/calls": {},
        },
    })
}
