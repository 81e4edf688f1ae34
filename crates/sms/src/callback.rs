//! Reading what providers push: receipts of messages, and replies people sent.
//!
//! Own endpoints (`webhook`) push `{"receipts": [{"id", "outId", "phone", "status": "delivered" | "failed", "code",
//! "at", "segments"}], "replies": [{"id", "phone", "text"}]}`; `at` is RFC 3339, all but `id`, `phone` and
//! `status` may be left out. Elements that cannot be read are passed over: their provider would send them again and
//! again.

use domain::{Phone, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use crate::aliyun::beijing_time;
use crate::class::{ErrorClass, Stage, classify};
use crate::digest::sha256_hex;
use crate::lenient;
use crate::provider::{ProviderName, shortened};

/// Longest id that is taken over.
const MAX_ID_CHARS: usize = 128;
/// Longest reply that is kept.
const MAX_REPLY_CHARS: usize = 1_000;

/// A receipt as it was pushed. No `Debug`: it holds a number.
#[derive(Clone, PartialEq, Eq)]
pub struct PushedReceipt {
    pub provider_id: String,
    pub out_id: Option<String>,
    pub phone: Phone,
    pub class: ErrorClass,
    pub code: String,
    pub segments: Option<u32>,
    pub reported_at: Option<Timestamp>,
}

/// A reply as it was pushed. No `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct PushedReply {
    pub reference: String,
    pub phone: Phone,
    pub text: String,
}

/// Everything in one push.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Pushed {
    pub receipts: Vec<PushedReceipt>,
    pub replies: Vec<PushedReply>,
}

/// Reads a push; `None` when it is not of this provider's form at all.
pub fn parse(provider: ProviderName, body: &[u8]) -> Option<Pushed> {
    let body: Value = serde_json::from_slice(body).ok()?;
    match provider {
        ProviderName::Aliyun => Some(elements(body.as_array()?, aliyun_receipt, aliyun_reply)),
        ProviderName::Tencent => match &body {
            Value::Array(rows) => Some(elements(rows, tencent_receipt, tencent_reply)),
            Value::Object(_) => {
                Some(Pushed { receipts: Vec::new(), replies: tencent_reply(&body).into_iter().collect() })
            }
            _ => None,
        },
        ProviderName::Webhook => {
            let rows = |name: &str| body.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
            let body = body.as_object()?;
            if !body.contains_key("receipts") && !body.contains_key("replies") {
                return None;
            }
            let receipts = elements(&rows("receipts"), webhook_receipt, |_| None).receipts;
            let replies = elements(&rows("replies"), |_| None, webhook_reply).replies;
            Some(Pushed { receipts, replies })
        }
        ProviderName::Log => None,
    }
}

fn elements(
    rows: &[Value],
    receipt: fn(&Value) -> Option<PushedReceipt>,
    reply: fn(&Value) -> Option<PushedReply>,
) -> Pushed {
    let mut pushed = Pushed::default();
    for row in rows {
        if let Some(receipt) = receipt(row) {
            pushed.receipts.push(receipt);
        } else if let Some(reply) = reply(row) {
            pushed.replies.push(reply);
        }
    }
    pushed
}

#[derive(Deserialize)]
struct AliyunReceipt {
    #[serde(default, deserialize_with = "lenient::text")]
    phone_number: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    success: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    err_code: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    biz_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    out_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::number")]
    sms_size: Option<u32>,
    #[serde(default, deserialize_with = "lenient::text")]
    report_time: Option<String>,
}

fn aliyun_receipt(row: &Value) -> Option<PushedReceipt> {
    let row = AliyunReceipt::deserialize(row).ok()?;
    let is_delivered = row.success?.eq_ignore_ascii_case("true");
    let code = shortened(row.err_code.as_deref().unwrap_or_default());
    Some(PushedReceipt {
        provider_id: id(&row.biz_id?)?,
        out_id: row.out_id.as_deref().and_then(id),
        phone: row.phone_number?.parse().ok()?,
        class: final_class(ProviderName::Aliyun, is_delivered, &code)?,
        code: if is_delivered { "DELIVERED".to_owned() } else { code },
        segments: row.sms_size,
        reported_at: row.report_time.as_deref().and_then(beijing_time),
    })
}

#[derive(Deserialize)]
struct AliyunReply {
    #[serde(default, deserialize_with = "lenient::text")]
    phone_number: Option<String>,
    content: String,
    #[serde(default, deserialize_with = "lenient::text")]
    sequence_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    send_time: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    dest_code: Option<String>,
}

fn aliyun_reply(row: &Value) -> Option<PushedReply> {
    let row = AliyunReply::deserialize(row).ok()?;
    let phone = row.phone_number?;
    let sequence = row.sequence_id.filter(|text| !text.is_empty());
    let told = [phone.as_str(), &row.content, row.send_time.as_deref().unwrap_or_default()].join("\n");
    let named = sequence.map(|s| format!("{}:{s}", row.dest_code.unwrap_or_default()));
    Some(PushedReply {
        reference: named.as_deref().and_then(id).unwrap_or_else(|| sha256_hex(told.as_bytes())),
        phone: phone.parse().ok()?,
        text: text(&row.content),
    })
}

#[derive(Deserialize)]
struct TencentReceipt {
    #[serde(default, deserialize_with = "lenient::text")]
    nationcode: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    mobile: Option<String>,
    report_status: String,
    #[serde(default, deserialize_with = "lenient::text")]
    errmsg: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    sid: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    ext: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    user_receive_time: Option<String>,
}

fn tencent_receipt(row: &Value) -> Option<PushedReceipt> {
    let row = TencentReceipt::deserialize(row).ok()?;
    let is_delivered = row.report_status == "SUCCESS";
    let code = shortened(row.errmsg.as_deref().unwrap_or_default());
    Some(PushedReceipt {
        provider_id: id(&row.sid?)?,
        out_id: row.ext.as_deref().and_then(id),
        phone: with_country(row.nationcode.as_deref(), &row.mobile?)?,
        class: final_class(ProviderName::Tencent, is_delivered, &code)?,
        code: if is_delivered { "DELIVRD".to_owned() } else { code },
        segments: None,
        reported_at: row.user_receive_time.as_deref().and_then(beijing_time),
    })
}

#[derive(Deserialize)]
struct TencentReply {
    #[serde(default, deserialize_with = "lenient::text")]
    nationcode: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    mobile: Option<String>,
    text: String,
    #[serde(default, deserialize_with = "lenient::text")]
    time: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    extend: Option<String>,
}

fn tencent_reply(row: &Value) -> Option<PushedReply> {
    let row = TencentReply::deserialize(row).ok()?;
    let mobile = row.mobile?;
    let told = [
        mobile.as_str(),
        &row.text,
        row.time.as_deref().unwrap_or_default(),
        row.extend.as_deref().unwrap_or_default(),
    ];
    Some(PushedReply {
        reference: sha256_hex(told.join("\n").as_bytes()),
        phone: with_country(row.nationcode.as_deref(), &mobile)?,
        text: text(&row.text),
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WebhookReceipt {
    #[serde(default, deserialize_with = "lenient::text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    out_id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    phone: Option<String>,
    status: String,
    #[serde(default, deserialize_with = "lenient::text")]
    code: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    at: Option<String>,
    #[serde(default, deserialize_with = "lenient::number")]
    segments: Option<u32>,
}

fn webhook_receipt(row: &Value) -> Option<PushedReceipt> {
    let row = WebhookReceipt::deserialize(row).ok()?;
    let is_delivered = match row.status.as_str() {
        "delivered" => true,
        "failed" => false,
        _ => return None,
    };
    let code = shortened(row.code.as_deref().unwrap_or(&row.status));
    Some(PushedReceipt {
        provider_id: id(&row.id?)?,
        out_id: row.out_id.as_deref().and_then(id),
        phone: row.phone?.parse().ok()?,
        class: final_class(ProviderName::Webhook, is_delivered, &code)?,
        code,
        segments: row.segments,
        reported_at: row.at.and_then(|at| Timestamp::parse_rfc3339(&at).ok()),
    })
}

#[derive(Deserialize)]
struct WebhookReply {
    #[serde(default, deserialize_with = "lenient::text")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient::text")]
    phone: Option<String>,
    text: String,
}

fn webhook_reply(row: &Value) -> Option<PushedReply> {
    let row = WebhookReply::deserialize(row).ok()?;
    Some(PushedReply { reference: id(&row.id?)?, phone: row.phone?.parse().ok()?, text: text(&row.text) })
}

/// The class of a final state; `None` for one that is not final. A failure is one whatever its code says.
fn final_class(provider: ProviderName, is_delivered: bool, code: &str) -> Option<ErrorClass> {
    if is_delivered {
        return Some(ErrorClass::Delivered);
    }
    match classify(provider, Stage::Receipt, code).class {
        ErrorClass::Pending => None,
        ErrorClass::Delivered => Some(ErrorClass::Route),
        class => Some(class),
    }
}

fn with_country(country: Option<&str>, number: &str) -> Option<Phone> {
    let country = country.map(|c| c.trim_start_matches('+')).filter(|c| !c.is_empty()).unwrap_or("86");
    format!("+{country}{number}").parse().ok()
}

fn id(text: &str) -> Option<String> {
    let is_sane = !text.is_empty() && text.len() <= MAX_ID_CHARS && text.bytes().all(|b| b.is_ascii_graphic());
    is_sane.then(|| text.to_owned())
}

fn text(text: &str) -> String {
    text.chars().take(MAX_REPLY_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;

    fn pushed(provider: ProviderName, body: &Value) -> Pushed {
        parse(provider, body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn receipts_of_aliyun() {
        let body = json!([
            { "phone_number": "13900000001", "send_time": "2026-01-02 11:04:05", "report_time": "2026-01-02 11:04:09",
              "success": true, "err_code": "DELIVERED", "err_msg": "用户接收成功", "sms_size": "2",
              "biz_id": "900619746936498440^0", "out_id": "5daeb07b7b968a0074945056-1" },
            { "phone_number": "13900000002", "success": false, "err_code": "MOBILE_NOT_ON_SERVICE", "biz_id": "b" },
            { "phone_number": "13900000003", "success": false, "err_code": "REQUEST_SUCCESS", "biz_id": "c" },
            { "phone_number": "not a number", "success": true, "biz_id": "d" },
            7
        ]);
        let receipts = pushed(ProviderName::Aliyun, &body).receipts;
        assert_eq!(receipts.len(), 2, "neither the pending one nor what cannot be read");
        let first = &receipts[0];
        assert_eq!((first.class, first.segments), (ErrorClass::Delivered, Some(2)));
        assert_eq!(first.out_id.as_deref(), Some("5daeb07b7b968a0074945056-1"));
        assert_eq!(first.reported_at.unwrap().to_rfc3339(), "2026-01-02T03:04:09.000Z");
        assert_eq!((receipts[1].class, receipts[1].code.as_str()), (ErrorClass::Recipient, "MOBILE_NOT_ON_SERVICE"));
    }

    #[test]
    fn numbers_and_text_are_taken_for_one_another() {
        let aliyun = json!([{ "phone_number": 13_900_000_001_u64, "success": "true", "err_code": 0, "sms_size": 2,
                              "biz_id": 9_006_197, "out_id": null, "report_time": 5, "unheard_of": { "a": [] } }]);
        let receipt = pushed(ProviderName::Aliyun, &aliyun).receipts.remove(0);
        assert_eq!((receipt.provider_id.as_str(), receipt.segments), ("9006197", Some(2)));
        assert_eq!((receipt.class, receipt.reported_at), (ErrorClass::Delivered, None));
        let tencent = json!([{ "nationcode": 86, "mobile": 13_900_000_001_u64, "report_status": "FAIL", "errmsg": 12,
                               "sid": 77, "ext": "" }]);
        let receipt = pushed(ProviderName::Tencent, &tencent).receipts.remove(0);
        assert_eq!((receipt.provider_id.as_str(), receipt.code.as_str()), ("77", "12"));
        assert_eq!(receipt.out_id, None);
    }

    #[test]
    fn a_failure_with_a_code_of_success_is_a_failure() {
        let body = json!([{ "phone_number": "13900000001", "success": false, "err_code": "DELIVERED", "biz_id": "b" }]);
        assert_eq!(pushed(ProviderName::Aliyun, &body).receipts[0].class, ErrorClass::Route);
    }

    #[test]
    fn receipts_of_tencent() {
        let body = json!([
            { "user_receive_time": "2026-01-02 11:04:09", "nationcode": "86", "mobile": "13900000001",
              "report_status": "SUCCESS", "errmsg": "DELIVRD", "description": "用户短信送达成功", "sid": "8:abc" },
            { "nationcode": "86", "mobile": "13900000002", "report_status": "FAIL", "errmsg": "MK:0001", "sid": "8:d",
              "ext": "5daeb07b7b968a0074945056-2" }
        ]);
        let receipts = pushed(ProviderName::Tencent, &body).receipts;
        assert_eq!((receipts[0].class, receipts[0].phone.national()), (ErrorClass::Delivered, "13900000001"));
        assert_eq!((receipts[1].class, receipts[1].out_id.is_some()), (ErrorClass::Route, true));
    }

    #[test]
    fn replies_of_both() {
        let aliyun = json!([{ "phone_number": "13900000001", "content": "T", "send_time": "2026-01-02 11:04:05",
                              "dest_code": "1069", "sequence_id": 1_234_567_890_i64 }]);
        let replies = pushed(ProviderName::Aliyun, &aliyun).replies;
        assert_eq!((replies[0].text.as_str(), replies[0].reference.as_str()), ("T", "1069:1234567890"));
        let tencent = json!({ "extend": "01", "mobile": "13900000001", "nationcode": "86", "sign": "兆观医生",
                              "text": "退订", "time": 1_767_323_045 });
        let replies = pushed(ProviderName::Tencent, &tencent).replies;
        assert_eq!((replies[0].text.as_str(), replies[0].reference.len()), ("退订", 64));
    }

    #[test]
    fn pushes_of_own_endpoints() {
        let body = json!({
            "receipts": [
                { "id": "w1", "phone": "+8613900000001", "status": "delivered", "at": "2026-01-02T03:04:05Z" },
                { "id": "w2", "phone": "13900000002", "status": "failed", "code": "recipient" },
                { "id": "w3", "phone": "13900000003", "status": "pending" }
            ],
            "replies": [{ "id": "r1", "phone": "13900000001", "text": "hello" }]
        });
        let pushed = pushed(ProviderName::Webhook, &body);
        let classes: Vec<_> = pushed.receipts.iter().map(|r| r.class).collect();
        assert_eq!(classes, [ErrorClass::Delivered, ErrorClass::Recipient]);
        assert_eq!(pushed.replies.len(), 1);
    }

    #[test]
    fn other_forms_are_refused() {
        for (provider, body) in [
            (ProviderName::Aliyun, "{}"),
            (ProviderName::Aliyun, ""),
            (ProviderName::Tencent, "1"),
            (ProviderName::Webhook, "[]"),
            (ProviderName::Webhook, "{}"),
            (ProviderName::Log, "[]"),
        ] {
            assert!(parse(provider, body.as_bytes()).is_none(), "{provider:?} {body}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(body in proptest::collection::vec(any::<u8>(), 0..400)) {
            for provider in ProviderName::ALL {
                let _ = parse(provider, &body);
            }
        }

        #[test]
        fn any_values_in_the_known_fields_are_read_without_panic(
            values in proptest::collection::vec(value(), 12),
        ) {
            let names = ["phone_number", "success", "err_code", "biz_id", "out_id", "sms_size", "report_time", "content",
                         "mobile", "report_status", "sid", "text"];
            let row: Value = names.into_iter().map(str::to_owned).zip(values).collect::<Map<String, Value>>().into();
            for body in [json!([row]), row.clone(), json!({ "receipts": [row], "replies": [row] })] {
                for provider in ProviderName::ALL {
                    for receipt in parse(provider, body.to_string().as_bytes()).unwrap_or_default().receipts {
                        prop_assert!(receipt.provider_id.len() <= MAX_ID_CHARS && receipt.code.is_ascii());
                    }
                }
            }
        }
    }

    /// What a field may hold.
    fn value() -> impl Strategy<Value = Value> {
        let short = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,40}".prop_map(Value::from),
            "1[3-9][0-9]{9}".prop_map(Value::from),
            Just(Value::from("2026-01-02 11:04:05")),
            Just(Value::from("SUCCESS")),
            Just(Value::from("9".repeat(5_000))),
        ];
        short.clone().prop_recursive(2, 8, 4, |inner| proptest::collection::vec(inner, 0..4).prop_map(Value::from))
    }
}
