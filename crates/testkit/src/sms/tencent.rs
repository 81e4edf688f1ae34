//! Tencent Cloud's side.

use std::time::Duration;

use domain::time::span;
use serde_json::{Value, json};

use super::verify;
use super::{
    Accepted, At, Delivery, Fault, Reply, Request, SDK_APP_ID, SIGN_NAME, State, TENCENT_KEY, TENCENT_TEMPLATES,
};

/// Messages to one number: one in half a minute, two a day unless raised.
const LIMITS: [(usize, Duration, &str); 2] = [
    (1, Duration::from_secs(30), "LimitExceeded.PhoneNumberThirtySecondLimit"),
    (2, span::hours(24), "LimitExceeded.PhoneNumberDailyLimit"),
];

pub(super) fn answer(state: &mut State, request: &Request) -> Reply {
    if let Err(code) = verify::tencent(request, TENCENT_KEY, state.clock.now()) {
        return error(code);
    }
    let Ok(body) = serde_json::from_slice::<Value>(&request.body) else {
        return error("FailedOperation.JsonParseFail");
    };
    match request.header("x-tc-action") {
        "SendSms" => submit(state, &body),
        "PullSmsSendStatusByPhoneNumber" if state.behaviour(At::Tencent).is_deaf => error("InternalError"),
        "PullSmsSendStatusByPhoneNumber" => pull(state, &body),
        _ => error("InvalidAction"),
    }
}

/// Always HTTP 200.
fn response(response: &Value) -> Reply {
    Reply::Whole(200, json!({ "Response": response }).to_string())
}

fn error(code: &str) -> Reply {
    response(&json!({ "Error": { "Code": code, "Message": "refused" }, "RequestId": "r" }))
}

fn submit(state: &mut State, body: &Value) -> Reply {
    *state.submissions.entry(At::Tencent).or_default() += 1;
    let fault = state.behaviour(At::Tencent).faults.pop_front();
    let row = |phone: &str, id: &str, code: &str| {
        json!({ "SerialNo": id, "PhoneNumber": phone, "Fee": u8::from(code == "Ok"), "Code": code, "Message": "m",
                "SessionContext": body["SessionContext"], "IsoCode": "CN" })
    };
    let set = |row: Value| json!({ "SendStatusSet": [row], "RequestId": "r" });
    let number = body.pointer("/PhoneNumberSet/0").and_then(Value::as_str).unwrap_or_default();
    match &fault {
        Some(Fault::LoseRequest) => return Reply::None,
        Some(Fault::Bare(status)) => return Reply::Whole(*status, "<html>".to_owned()),
        // Codes of a number come in its row, the others as an error of the whole request.
        Some(Fault::Code(code)) if code.contains("PhoneNumber") => return response(&set(row(number, "", code))),
        Some(Fault::Code(code)) => return error(code),
        Some(Fault::LoseAnswer | Fault::HalfAnswer) | None => {}
    }
    let message = match read(body) {
        Ok(message) => message,
        Err(code) => return error(code),
    };
    let now = state.clock.now();
    if state.behaviour(At::Tencent).has_limits {
        for (max, within, code) in LIMITS {
            let recent = state.times(At::Tencent, &message.phone).filter(|at| now.since(*at) < within);
            if recent.count() >= max {
                return response(&set(row(number, "", code)));
            }
        }
    }
    let id = state.accept(Accepted { accepted_at: now, ..message });
    let accepted = set(row(number, &id, "Ok"));
    match fault {
        Some(Fault::LoseAnswer) => Reply::None,
        Some(Fault::HalfAnswer) => Reply::Half(json!({ "Response": accepted }).to_string()),
        _ => response(&accepted),
    }
}

fn read(body: &Value) -> Result<Accepted, &'static str> {
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    let numbers = body["PhoneNumberSet"].as_array().map(Vec::as_slice).unwrap_or_default();
    let [number] = numbers else { return Err("MissingParameter.EmptyPhoneNumberSet") };
    let phone = number.as_str().and_then(|n| n.strip_prefix("+86")).unwrap_or_default().to_owned();
    if phone.len() != 11 {
        return Err("InvalidParameterValue.IncorrectPhoneNumber");
    }
    if text("SmsSdkAppId") != SDK_APP_ID {
        return Err("UnauthorizedOperation.SmsSdkAppIdVerifyFail");
    }
    if text("SignName") != SIGN_NAME {
        return Err("FailedOperation.SignatureIncorrectOrUnapproved");
    }
    let template = text("TemplateId");
    if !TENCENT_TEMPLATES.contains(&template.as_str()) {
        return Err("FailedOperation.TemplateIncorrectOrUnapproved");
    }
    let params = body["TemplateParamSet"].as_array().map(Vec::as_slice).unwrap_or_default();
    let params: Option<Vec<String>> = params.iter().map(|v| v.as_str().map(str::to_owned)).collect();
    let params = params.ok_or("InvalidParameterValue.TemplateParameterFormatError")?;
    let (out_id, provider_id) = (text("SessionContext"), String::new());
    Ok(Accepted {
        at: At::Tencent,
        phone,
        template,
        params,
        out_id,
        provider_id,
        accepted_at: domain::Timestamp::EPOCH,
    })
}

/// Only messages that have a receipt are listed.
fn pull(state: &mut State, body: &Value) -> Reply {
    let delivery = state.behaviour(At::Tencent).delivery.clone();
    let phone = body["PhoneNumber"].as_str().unwrap_or_default().trim_start_matches("+86");
    let number = |name: &str| body[name].as_i64().unwrap_or_default() * 1_000;
    let span = number("BeginTime")..=number("EndTime");
    let is_meant = |m: &&Accepted| m.at == At::Tencent && m.phone == phone && span.contains(&m.accepted_at.as_millis());
    let rows = state.accepted.iter().filter(is_meant).filter_map(|message| status(message, &delivery));
    let rows: Vec<Value> = rows.collect();
    response(&json!({ "PullSmsSendStatusSet": rows, "RequestId": "r" }))
}

fn status(message: &Accepted, delivery: &Delivery) -> Option<Value> {
    let (status, description) = match delivery {
        Delivery::Silent => return None,
        Delivery::Delivered => ("SUCCESS", "DELIVRD"),
        Delivery::Failed(code) => ("FAIL", code.as_str()),
    };
    Some(json!({
        "UserReceiveTime": message.accepted_at.as_millis() / 1_000, "CountryCode": "86",
        "SubscriberNumber": message.phone, "PhoneNumber": format!("+86{}", message.phone),
        "SerialNo": message.provider_id, "ReportStatus": status, "Description": description,
        "SessionContext": message.out_id,
    }))
}
