//! Aliyun's side.

use std::time::Duration;

use domain::time::span;
use serde_json::{Value, json};

use super::verify::{self, parameter};
use super::{ALIYUN_KEY, ALIYUN_TEMPLATES, Accepted, At, Delivery, Fault, Reply, Request, SIGN_NAME, State};

/// Codes with one signature to one number.
const LIMITS: [(usize, Duration); 3] = [(1, span::minutes(1)), (5, span::hours(1)), (10, span::hours(24))];

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    let now = state.clock.now();
    if let Err(code) = verify::aliyun(request, ALIYUN_KEY, now) {
        return refusal(400, code);
    }
    if !state.nonces.insert(request.header("x-acs-signature-nonce").to_owned()) {
        return refusal(400, "SignatureNonceUsed");
    }
    let search = verify::parameters(&request.query);
    match request.header("x-acs-action") {
        "SendSms" => submit(state, &search),
        "QuerySendDetails" if state.behaviour(At::Aliyun).is_deaf => Reply::Whole(500, "deaf".to_owned()),
        "QuerySendDetails" => details(state, &search),
        _ => refusal(404, "InvalidAction.NotFound"),
    }
}

fn refusal(status: u16, code: &str) -> Reply {
    let body = json!({ "Code": code, "Message": "refused", "RequestId": "r", "HostId": "stand-in" });
    Reply::Whole(status, body.to_string())
}

fn submit(state: &mut State, search: &[(String, String)]) -> Reply {
    *state.submissions.entry(At::Aliyun).or_default() += 1;
    let fault = state.behaviour(At::Aliyun).faults.pop_front();
    match &fault {
        Some(Fault::LoseRequest) => return Reply::None,
        Some(Fault::Bare(status)) => return Reply::Whole(*status, "<html>".to_owned()),
        Some(Fault::Code(code)) => return refusal(200, code),
        Some(Fault::LoseAnswer | Fault::HalfAnswer) | None => {}
    }
    let message = match read(search) {
        Ok(message) => message,
        Err(code) => return refusal(200, code),
    };
    let now = state.clock.now();
    let is_over = |(max, within): (usize, Duration)| {
        state.times(At::Aliyun, &message.phone).filter(|at| now.since(*at) < within).count() >= max
    };
    if state.behaviour.get(&At::Aliyun).is_some_and(|b| b.has_limits) && LIMITS.into_iter().any(is_over) {
        return refusal(200, "isv.BUSINESS_LIMIT_CONTROL");
    }
    let id = state.accept(Accepted { accepted_at: now, ..message });
    let body = json!({ "Code": "OK", "Message": "OK", "RequestId": "r", "BizId": id }).to_string();
    match fault {
        Some(Fault::LoseAnswer) => Reply::None,
        Some(Fault::HalfAnswer) => Reply::Half(body),
        _ => Reply::Whole(200, body),
    }
}

fn read(search: &[(String, String)]) -> Result<Accepted, &'static str> {
    let of = |name| parameter(search, name).to_owned();
    let phone = of("PhoneNumbers");
    if phone.len() != 11 || !phone.bytes().all(|b| b.is_ascii_digit()) {
        return Err("isv.MOBILE_NUMBER_ILLEGAL");
    }
    if of("SignName") != SIGN_NAME {
        return Err("isv.SMS_SIGNATURE_ILLEGAL");
    }
    let template = of("TemplateCode");
    let [code_template, _] = ALIYUN_TEMPLATES;
    if !ALIYUN_TEMPLATES.contains(&template.as_str()) {
        return Err("isv.SMS_TEMPLATE_ILLEGAL");
    }
    let params: Value = serde_json::from_str(&of("TemplateParam")).or(Err("isv.INVALID_JSON_PARAM"))?;
    let params = params.as_object().ok_or("isv.INVALID_JSON_PARAM")?;
    let texts: Option<Vec<String>> = params.values().map(|v| v.as_str().map(str::to_owned)).collect();
    let params = texts.ok_or("isv.INVALID_JSON_PARAM")?;
    let is_code = |text: &String| (4..=6).contains(&text.len());
    if template == code_template && (params.len() != 1 || !params.iter().all(is_code)) {
        return Err("isv.TEMPLATE_PARAMS_ILLEGAL");
    }
    let (out_id, provider_id) = (of("OutId"), String::new());
    Ok(Accepted { at: At::Aliyun, phone, template, params, out_id, provider_id, accepted_at: domain::Timestamp::EPOCH })
}

fn details(state: &mut State, search: &[(String, String)]) -> Reply {
    let delivery = state.behaviour(At::Aliyun).delivery.clone();
    let (phone, day, id) =
        (parameter(search, "PhoneNumber"), parameter(search, "SendDate"), parameter(search, "BizId"));
    let is_meant = |m: &&Accepted| {
        m.at == At::Aliyun
            && m.phone == phone
            && verify::beijing_day(m.accepted_at) == day
            && (id.is_empty() || m.provider_id == id)
    };
    let rows: Vec<Value> = state.accepted.iter().filter(is_meant).map(|m| detail(m, &delivery)).collect();
    let body = json!({
        "Code": "OK", "Message": "OK", "RequestId": "r", "TotalCount": rows.len().to_string(),
        "SmsSendDetailDTOs": { "SmsSendDetailDTO": rows },
    });
    Reply::Whole(200, body.to_string())
}

fn detail(message: &Accepted, delivery: &Delivery) -> Value {
    let (status, code) = match delivery {
        Delivery::Delivered => (3, "DELIVERED"),
        Delivery::Silent => (1, ""),
        Delivery::Failed(code) => (2, code.as_str()),
    };
    let at = verify::beijing(message.accepted_at);
    json!({
        "PhoneNum": message.phone, "SendStatus": status, "ErrCode": code, "OutId": message.out_id,
        "TemplateCode": message.template, "Content": message.params.join(" "), "SendDate": at, "ReceiveDate": at,
    })
}
