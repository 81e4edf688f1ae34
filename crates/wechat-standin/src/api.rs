//! The platform's interfaces. Every answer is HTTP 200; refusals are in `errcode`.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::Timestamp;
use serde_json::{Value, json};
use wechat::sign::session_signature;

use crate::platform::{Delivered, Family, Platform, Token};
use crate::rules;

/// A token's life, and how long its predecessor still works.
const TOKEN_LIFE: Duration = Duration::from_hours(2);
const OVERLAP: Duration = Duration::from_mins(5);
/// The platform drops duplicates under one `client_msg_id` for so long.
const DEDUPE_FOR: Duration = Duration::from_mins(10);
/// Content checks know who visited within two hours.
const KNOWN_FOR: Duration = Duration::from_hours(2);
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;
/// The smallest PNG: one transparent point.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\x00\x01\x00\x00\x05\x00\x01\r\n-\xb4\x00\x00\x00\x00IEND\xae\x42\x60\x82";

/// A request as the rules see it.
pub(crate) struct ApiRequest {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) query: HashMap<String, String>,
    pub(crate) body: Value,
}

impl ApiRequest {
    fn query(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }

    fn text(&self, name: &str) -> &str {
        self.body.get(name).and_then(Value::as_str).unwrap_or_default()
    }
}

/// What is answered.
pub(crate) enum ApiReply {
    Json(Value),
    Png(&'static [u8]),
}

type Refusal = (i64, String);

fn refuse<T>(code: i64, message: &str) -> Result<T, Refusal> {
    Err((code, message.to_owned()))
}

/// Answers one call.
pub(crate) fn answer(platform: &mut Platform, request: &ApiRequest) -> ApiReply {
    match call(platform, request) {
        Ok(reply) => reply,
        Err((code, message)) => {
            let rid = platform.fresh("");
            let rid: String = rid.chars().take(8).collect();
            ApiReply::Json(json!({ "errcode": code, "errmsg": format!("{message} rid: {rid}-{rid}-{rid}") }))
        }
    }
}

fn call(platform: &mut Platform, request: &ApiRequest) -> Result<ApiReply, Refusal> {
    let json = |value| Ok(ApiReply::Json(value));
    let is_post = request.method == "POST";
    match (is_post, request.path.as_str()) {
        (true, "/cgi-bin/stable_token") => return json(stable_token(platform, request)?),
        (false, "/cgi-bin/token") => return json(legacy_token(platform, request)?),
        (false, "/sns/jscode2session") => return json(code_to_session(platform, request)?),
        _ => {}
    }
    let appid = authorize(platform, request)?;
    quota(platform, &appid, &request.path)?;
    let app = appid.as_str();
    match (is_post, request.path.as_str()) {
        (false, "/wxa/checksession") => session(platform, app, request).map(|_| ok()),
        (false, "/wxa/resetusersessionkey") => json(reset_session(platform, app, request)?),
        (true, "/wxa/business/getuserphonenumber") => json(phone_number(platform, app, request)?),
        (true, "/cgi-bin/message/subscribe/send") => json(subscribe_send(platform, app, request)?),
        (true, "/cgi-bin/message/template/send") => json(template_send(platform, app, request)?),
        (true, "/cgi-bin/message/custom/send") => custom_send(platform, app, request).map(|()| ok()),
        (true, "/cgi-bin/message/custom/typing") => Ok(ok()),
        (false, "/wxaapi/newtmpl/gettemplate") => json(templates(platform, app, true)?),
        (false, "/cgi-bin/template/get_all_private_template") => json(templates(platform, app, false)?),
        (false, "/cgi-bin/user/info") => json(user_info(platform, app, request)?),
        (true, "/wxa/getwxacodeunlimit") => code_image(request).map(|()| ApiReply::Png(PNG)),
        (true, "/wxa/generate_urllink") => json(url_link(platform, request)?),
        (true, "/wxa/msg_sec_check") => json(text_check(platform, app, request)?),
        (true, "/wxa/media_check_async") => json(media_check(platform, app, request)?),
        (false, "/cgi-bin/getcallbackip" | "/cgi-bin/get_api_domain_ip") => json(json!({ "ip_list": ["127.0.0.1"] })),
        (true, "/cgi-bin/message/wxopen/template/send") => refuse(45_103, "this api is unsupported"),
        (true, "/cgi-bin/message/wxopen/template/uniform_send") => refuse(45_109, "this api is unsupported"),
        _ => refuse(40_066, "invalid url"),
    }
}

fn ok() -> ApiReply {
    ApiReply::Json(json!({ "errcode": 0, "errmsg": "ok" }))
}

fn credentials(platform: &Platform, appid: &str, secret: &str) -> Result<(), Refusal> {
    match platform.app(appid) {
        _ if appid.is_empty() => refuse(41_002, "appid missing"),
        None => refuse(40_013, "invalid appid"),
        Some(_) if secret.is_empty() => refuse(41_004, "appsecret missing"),
        Some(app) if app.secret != secret => refuse(40_125, "invalid appsecret"),
        Some(_) => Ok(()),
    }
}

fn stable_token(platform: &mut Platform, request: &ApiRequest) -> Result<Value, Refusal> {
    let appid = request.text("appid").to_owned();
    if request.text("grant_type") != "client_credential" {
        return refuse(40_002, "invalid grant_type");
    }
    credentials(platform, &appid, request.text("secret"))?;
    let is_forced = request.body.get("force_refresh").and_then(Value::as_bool) == Some(true);
    let now = platform.now();
    let fresh = Token { value: platform.fresh("80_"), good_until: now + TOKEN_LIFE };
    let state = platform.states.entry(appid).or_default();
    let today = now.as_millis().div_euclid(DAY_MS);
    if state.forced.0 != today {
        state.forced = (today, 0);
    }
    let is_soon = state.forced_at.is_some_and(|at| now.since(at) < Duration::from_secs(30));
    if is_forced && !is_soon {
        if state.forced.1 >= 20 {
            return refuse(45_009, "reach max api daily quota limit");
        }
        (state.forced_at, state.forced.1) = (Some(now), state.forced.1 + 1);
        renew(&mut state.stable, fresh, now);
    } else {
        let left = state.stable.current.as_ref().map_or(Duration::ZERO, |token| token.good_until.since(now));
        if left <= OVERLAP {
            renew(&mut state.stable, fresh, now);
        }
    }
    let token = state.stable.current.clone();
    let (value, until) = token.map_or((String::new(), now), |token| (token.value, token.good_until));
    Ok(json!({ "access_token": value, "expires_in": until.since(now).as_secs() }))
}

/// The new token works beside the old one for five minutes.
fn renew(family: &mut Family, fresh: Token, now: Timestamp) {
    family.previous = family.current.take().map(|old| Token { good_until: old.good_until.min(now + OVERLAP), ..old });
    family.current = Some(fresh);
}

fn legacy_token(platform: &mut Platform, request: &ApiRequest) -> Result<Value, Refusal> {
    let appid = request.query("appid").to_owned();
    credentials(platform, &appid, request.query("secret"))?;
    let now = platform.now();
    let fresh = Token { value: platform.fresh("79_"), good_until: now + TOKEN_LIFE };
    let value = fresh.value.clone();
    renew(&mut platform.states.entry(appid).or_default().legacy, fresh, now);
    Ok(json!({ "access_token": value, "expires_in": TOKEN_LIFE.as_secs() }))
}

/// The app whose token this is.
fn authorize(platform: &Platform, request: &ApiRequest) -> Result<String, Refusal> {
    if request.body.get("access_token").is_some() {
        return refuse(47_001, "data format error");
    }
    let sent = request.query("access_token");
    if sent.is_empty() {
        return refuse(41_001, "access_token missing");
    }
    let now = platform.now();
    for (appid, state) in &platform.states {
        for family in [&state.stable, &state.legacy] {
            for token in [&family.current, &family.previous].into_iter().flatten() {
                if token.value == sent {
                    let is_good = token.good_until > now;
                    return if is_good { Ok(appid.clone()) } else { refuse(42_001, "access_token expired") };
                }
            }
        }
    }
    refuse(40_001, "invalid credential, access_token is invalid or not latest")
}

fn quota(platform: &mut Platform, appid: &str, path: &str) -> Result<(), Refusal> {
    let (limit, code) = match path {
        "/wxa/getwxacodeunlimit" => (5_000, 45_009),
        "/wxa/msg_sec_check" => (4_000, 44_991),
        "/wxa/media_check_async" => (2_000, 44_991),
        _ => return Ok(()),
    };
    let minute = platform.now().as_millis().div_euclid(MINUTE_MS);
    let used = platform.minutes.entry((format!("{appid}{path}"), minute)).or_default();
    *used += 1;
    if *used > limit { refuse(code, "reach minute quota limit") } else { Ok(()) }
}

fn code_to_session(platform: &mut Platform, request: &ApiRequest) -> Result<Value, Refusal> {
    let appid = request.query("appid").to_owned();
    credentials(platform, &appid, request.query("secret"))?;
    let now = platform.now();
    let code = request.query("js_code");
    let Some(held) = platform.login_codes.get_mut(code).filter(|held| held.appid == appid) else {
        return refuse(40_029, "invalid code");
    };
    if held.is_used {
        return refuse(40_163, "code been used");
    }
    if held.expires_at <= now {
        return refuse(40_029, "invalid code");
    }
    held.is_used = true;
    let (openid, unionid) = (held.stands_for.clone(), held.unionid.clone());
    let session_key = fresh_session_key(platform);
    let person = platform.person(&appid, &openid);
    (person.session_key, person.visited_at) = (session_key.clone(), now);
    person.unionid = unionid.or(person.unionid.take());
    let mut answer = json!({ "openid": openid, "session_key": session_key });
    if let (Some(map), Some(unionid)) = (answer.as_object_mut(), &person.unionid) {
        map.insert("unionid".to_owned(), json!(unionid));
    }
    Ok(answer)
}

/// 16 bytes in base64.
fn fresh_session_key(platform: &mut Platform) -> String {
    let bytes: Vec<u8> = platform.fresh("").bytes().take(16).collect();
    STANDARD.encode(bytes)
}

fn session(platform: &Platform, appid: &str, request: &ApiRequest) -> Result<(String, String), Refusal> {
    let key = (appid.to_owned(), request.query("openid").to_owned());
    let Some(person) = platform.people.get(&key) else { return refuse(40_003, "invalid openid") };
    let expected = session_signature(&person.session_key, b"");
    if request.query("sig_method") != "hmac_sha256" || request.query("signature") != expected {
        return refuse(87_009, "invalid signature");
    }
    Ok(key)
}

fn reset_session(platform: &mut Platform, appid: &str, request: &ApiRequest) -> Result<Value, Refusal> {
    let (appid, openid) = session(platform, appid, request)?;
    let session_key = fresh_session_key(platform);
    platform.person(&appid, &openid).session_key.clone_from(&session_key);
    Ok(json!({ "errcode": 0, "errmsg": "ok", "openid": openid, "session_key": session_key }))
}

fn phone_number(platform: &mut Platform, appid: &str, request: &ApiRequest) -> Result<Value, Refusal> {
    let now = platform.now();
    let Some(held) = platform.phone_codes.get_mut(request.text("code")) else { return refuse(40_029, "invalid code") };
    if held.appid != appid {
        return refuse(40_013, "invalid appid");
    }
    if held.is_used || held.expires_at <= now {
        return refuse(40_029, "invalid code");
    }
    held.is_used = true;
    let phone = held.stands_for.trim_start_matches("+86").to_owned();
    Ok(json!({ "errcode": 0, "errmsg": "ok", "phone_info": {
        "phoneNumber": phone, "purePhoneNumber": phone, "countryCode": "86",
        "watermark": { "timestamp": now.as_millis() / 1_000, "appid": appid },
    }}))
}

fn template_of(platform: &Platform, appid: &str, request: &ApiRequest) -> Result<String, Refusal> {
    let id = request.text("template_id");
    let app = platform.app(appid);
    let Some(template) = app.and_then(|app| app.templates.iter().find(|template| template.id == id)) else {
        return refuse(40_037, "invalid template_id");
    };
    match rules::first_fault(&template.content, request.body.get("data").unwrap_or(&Value::Null)) {
        Some(key) => refuse(47_003, &format!("argument invalid! data.{key}.value invalid")),
        None => Ok(template.id.clone()),
    }
}

/// Whether this openid is of this app. Those the platform never saw are not.
fn is_known(platform: &Platform, appid: &str, openid: &str) -> bool {
    platform.people.contains_key(&(appid.to_owned(), openid.to_owned()))
}

fn subscribe_send(platform: &mut Platform, appid: &str, request: &ApiRequest) -> Result<Value, Refusal> {
    let openid = request.text("touser").to_owned();
    if !is_known(platform, appid, &openid) {
        return refuse(40_003, "invalid openid");
    }
    let lane = (appid.to_owned(), openid.clone());
    if platform.sending.get(&lane).is_some_and(|count| *count > 1) {
        return refuse(43_108, "concurrent send to the same user");
    }
    let template_id = template_of(platform, appid, request)?;
    let page = request.body.get("page").and_then(Value::as_str);
    if page.is_some_and(|page| page.starts_with('/') && page.len() == 1) {
        return refuse(41_030, "invalid page");
    }
    let states = ["developer", "trial", "formal"];
    if !states.contains(&request.text("miniprogram_state")) || request.text("lang").is_empty() {
        return refuse(47_001, "data format error");
    }
    let key = (appid.to_owned(), openid.clone(), template_id.clone());
    match platform.grants.get_mut(&key) {
        Some((_, true)) => {}
        Some((left, false)) if *left > 0 => *left -= 1,
        _ => return refuse(43_101, "user refuse to accept the msg"),
    }
    Ok(deliver(platform, appid, "subscribe", &openid, Some(template_id), &request.body))
}

fn deliver(
    platform: &mut Platform,
    appid: &str,
    kind: &'static str,
    openid: &str,
    template_id: Option<String>,
    body: &Value,
) -> Value {
    let msg_id = platform.next_number();
    let at = platform.now();
    let (appid, openid) = (appid.to_owned(), openid.to_owned());
    platform.delivered.push(Delivered { appid, kind, openid, template_id, body: body.clone(), msg_id, at });
    json!({ "errcode": 0, "errmsg": "ok", "msgid": msg_id })
}

fn template_send(platform: &mut Platform, appid: &str, request: &ApiRequest) -> Result<Value, Refusal> {
    if platform.app(appid).is_some_and(|app| app.is_miniprogram) {
        return refuse(48_001, "api unauthorized");
    }
    let openid = request.text("touser").to_owned();
    if !is_known(platform, appid, &openid) {
        return refuse(40_003, "invalid openid");
    }
    if !platform.person(appid, &openid).is_following {
        return refuse(43_004, "require subscribe");
    }
    let template_id = template_of(platform, appid, request)?;
    let key = request.text("client_msg_id").to_owned();
    let now = platform.now();
    if !key.is_empty() {
        let known = platform.message_ids.get(&(openid.clone(), key.clone()));
        if let Some((msg_id, _)) = known.filter(|(_, at)| now.since(*at) < DEDUPE_FOR) {
            return Ok(json!({ "errcode": 0, "errmsg": "ok", "msgid": msg_id }));
        }
    }
    let answer = deliver(platform, appid, "template", &openid, Some(template_id), &request.body);
    if !key.is_empty() {
        let msg_id = answer.get("msgid").and_then(Value::as_u64).unwrap_or_default();
        platform.message_ids.insert((openid, key), (msg_id, now));
    }
    Ok(answer)
}

fn custom_send(platform: &mut Platform, appid: &str, request: &ApiRequest) -> Result<(), Refusal> {
    let openid = request.text("touser").to_owned();
    if !is_known(platform, appid, &openid) {
        return refuse(40_003, "invalid openid");
    }
    let text = request.body.get("text").and_then(|text| text.get("content")).and_then(Value::as_str);
    if request.text("msgtype") == "text" && text.is_none_or(|text| text.is_empty() || text.len() > 2_048) {
        return refuse(45_002, "content size out of limit");
    }
    let now = platform.now();
    let person = platform.person(appid, &openid);
    let windows = [(&mut person.entered, 60, 2), (&mut person.wrote, 48 * 3_600, 5)];
    let (mut is_open, mut is_left) = (false, false);
    for (window, seconds, most) in windows {
        if let Some((_, sent)) = window.as_mut().filter(|(at, _)| now.since(*at) < Duration::from_secs(seconds)) {
            is_open = true;
            if *sent < most && !is_left {
                *sent += 1;
                is_left = true;
            }
        }
    }
    if is_left {
        deliver(platform, appid, "custom", &openid, None, &request.body);
        Ok(())
    } else if is_open {
        refuse(45_047, "out of response count limit")
    } else {
        refuse(45_015, "response out of time limit")
    }
}

fn templates(platform: &Platform, appid: &str, is_miniprogram: bool) -> Result<Value, Refusal> {
    let Some(app) = platform.app(appid).filter(|app| app.is_miniprogram == is_miniprogram) else {
        return refuse(48_001, "api unauthorized");
    };
    let item = |template: &crate::platform::StandinTemplate| {
        if is_miniprogram {
            json!({ "priTmplId": template.id, "title": template.title, "content": template.content, "example": "",
                "type": if template.is_long_term { 3 } else { 2 } })
        } else {
            json!({ "template_id": template.id, "title": template.title, "content": template.content, "example": "" })
        }
    };
    let list: Vec<Value> = app.templates.iter().map(item).collect();
    Ok(if is_miniprogram {
        json!({ "errcode": 0, "errmsg": "ok", "data": list })
    } else {
        json!({ "template_list": list })
    })
}

fn user_info(platform: &Platform, appid: &str, request: &ApiRequest) -> Result<Value, Refusal> {
    let openid = request.query("openid");
    match platform.people.get(&(appid.to_owned(), openid.to_owned())) {
        Some(person) if person.is_following => {
            Ok(json!({ "subscribe": 1, "openid": openid, "unionid": person.unionid }))
        }
        Some(_) => Ok(json!({ "subscribe": 0, "openid": openid })),
        None => refuse(40_003, "invalid openid"),
    }
}

fn code_image(request: &ApiRequest) -> Result<(), Refusal> {
    let scene = request.text("scene");
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$&'()*+,/:;=?@-._~".contains(&b);
    if scene.is_empty() || !scene.bytes().all(is_allowed) {
        return refuse(40_129, "invalid scene");
    }
    if scene.len() > 32 {
        return refuse(40_169, "invalid length for scene");
    }
    let page = request.text("page");
    if page.starts_with('/') || page.contains('?') {
        return refuse(41_030, "invalid page");
    }
    let width = request.body.get("width").and_then(Value::as_i64).unwrap_or(430);
    if !(280..=1_280).contains(&width) {
        return refuse(40_097, "invalid args");
    }
    Ok(())
}

fn url_link(platform: &mut Platform, request: &ApiRequest) -> Result<Value, Refusal> {
    let days = request.body.get("expire_interval").and_then(Value::as_i64).unwrap_or(0);
    if request.body.get("expire_type").and_then(Value::as_i64) == Some(1) && !(1..=30).contains(&days) {
        return refuse(85_401, "invalid expire");
    }
    let id: String = platform.fresh("").chars().take(10).collect();
    Ok(json!({ "errcode": 0, "errmsg": "ok", "url_link": format!("https://wxaurl.example/{id}") }))
}

/// Who may be checked: people of this app who visited within two hours.
fn visitor(platform: &Platform, appid: &str, openid: &str) -> Result<(), Refusal> {
    let elsewhere = platform.people.keys().any(|(app, id)| app != appid && id == openid);
    match platform.people.get(&(appid.to_owned(), openid.to_owned())) {
        Some(person) if platform.now().since(person.visited_at) < KNOWN_FOR => Ok(()),
        Some(_) => refuse(61_010, "code is expired"),
        None if elsewhere => refuse(43_104, "appid not match openid"),
        None => refuse(40_003, "invalid openid"),
    }
}

fn text_check(platform: &mut Platform, appid: &str, request: &ApiRequest) -> Result<Value, Refusal> {
    let scene = request.body.get("scene").and_then(Value::as_i64).unwrap_or(0);
    if request.body.get("version").and_then(Value::as_i64) != Some(2) {
        return refuse(87_014, "risky content");
    }
    if !(1..=4).contains(&scene) {
        return refuse(40_129, "invalid scene");
    }
    let content = request.text("content");
    if content.is_empty() {
        return refuse(44_002, "empty post data");
    }
    if content.chars().count() > 2_500 {
        return refuse(45_002, "content size out of limit");
    }
    visitor(platform, appid, request.text("openid"))?;
    let is_risky = platform.risky_words.iter().any(|word| content.contains(word.as_str()));
    let (suggest, label) = if is_risky { ("risky", 20_006) } else { ("pass", 100) };
    let trace = platform.fresh("");
    Ok(json!({ "errcode": 0, "errmsg": "ok", "result": { "suggest": suggest, "label": label }, "detail": [],
        "trace_id": trace }))
}

fn media_check(platform: &mut Platform, appid: &str, request: &ApiRequest) -> Result<Value, Refusal> {
    if !request.text("media_url").starts_with("http") {
        return refuse(40_004, "invalid media type");
    }
    visitor(platform, appid, request.text("openid"))?;
    let trace = platform.fresh("");
    platform.traces.insert(trace.clone(), (appid.to_owned(), request.text("openid").to_owned()));
    Ok(json!({ "errcode": 0, "errmsg": "ok", "trace_id": trace }))
}
