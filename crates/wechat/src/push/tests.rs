//! Pushes of every mode and format, right and forged.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::Timestamp;
use domain::rng::SecureRandom;
use proptest::prelude::*;

use super::*;
use crate::app::{AppKind, Audience, EnvVersion};
use crate::secret::Secret;
use crate::sign::push_signature;

const NOW: Timestamp = Timestamp::from_millis(1_714_112_445_000);
const WINDOW: Duration = Duration::from_mins(10);
const BODY: &str = r#"{"ToUserName":"gh_1","FromUserName":"o1","CreateTime":1714112445,"MsgType":"event","Event":"debug_demo","debug_str":"hello"}"#;

struct Zeros;
impl SecureRandom for Zeros {
    fn fill(&self, buffer: &mut [u8]) {
        buffer.fill(0);
    }
}

fn app(mode: PushMode, format: PushFormat) -> App {
    App {
        name: "patient".into(),
        appid: "wx1".into(),
        secret: Secret::new("s"),
        kind: AppKind::Miniprogram,
        audience: Audience::Patient,
        push: Some(PushSettings {
            token: Secret::new("AAAAA"),
            aes_key: Some(Secret::new("A".repeat(43))),
            mode,
            format,
        }),
        templates: BTreeMap::new(),
        invitation_page: None,
        message_page: None,
        env_version: EnvVersion::Release,
    }
}

fn sealed(message: &str, appid: &str) -> String {
    EnvelopeKey::parse(&"A".repeat(43)).unwrap().seal(&Zeros, message.as_bytes(), appid)
}

fn query(encrypted: Option<&str>) -> PushQuery {
    let (timestamp, nonce) = ("1714112445", "415670741");
    let mut parts = vec!["AAAAA", timestamp, nonce];
    let signature = push_signature(&parts);
    parts.extend(encrypted);
    PushQuery {
        signature: Some(signature),
        msg_signature: encrypted.map(|_| push_signature(&parts)),
        timestamp: Some(timestamp.into()),
        nonce: Some(nonce.into()),
        echostr: None,
    }
}

fn opened(app: &App, query: &PushQuery, body: &str) -> Result<Incoming, PushRefusal> {
    open(app, app.push.as_ref().unwrap(), query, body.as_bytes(), NOW, WINDOW).map(|(incoming, _)| incoming)
}

#[test]
fn every_mode_and_format_is_read() {
    let encrypted = sealed(BODY, "wx1");
    let outer = format!(r#"{{"ToUserName":"gh_1","Encrypt":"{encrypted}"}}"#);
    let xml = "<xml><ToUserName>gh_1</ToUserName><FromUserName>o1</FromUserName><CreateTime>1714112445</CreateTime>\
               <MsgType>event</MsgType><Event>debug_demo</Event></xml>";
    let encrypted_xml = sealed(xml, "wx1");
    let outer_xml = format!("<xml><Encrypt><![CDATA[{encrypted_xml}]]></Encrypt></xml>");
    let cases = [
        (PushMode::Plain, PushFormat::Json, BODY.to_owned(), query(None)),
        (PushMode::Plain, PushFormat::Xml, xml.to_owned(), query(None)),
        (PushMode::Safe, PushFormat::Json, outer.clone(), query(Some(&encrypted))),
        (PushMode::Compat, PushFormat::Json, outer, query(Some(&encrypted))),
        (PushMode::Safe, PushFormat::Xml, outer_xml, query(Some(&encrypted_xml))),
    ];
    for (mode, format, body, query) in cases {
        let incoming = opened(&app(mode, format), &query, &body).unwrap();
        assert_eq!((incoming.from.as_str(), incoming.kind), ("o1", PushKind::Demo), "{mode:?} {format:?}");
    }
}

#[test]
fn a_forged_signature_is_refused() {
    let safe = app(PushMode::Safe, PushFormat::Json);
    let encrypted = sealed(BODY, "wx1");
    let body = format!(r#"{{"Encrypt":"{encrypted}"}}"#);
    let mut wrong = query(Some(&encrypted));
    wrong.msg_signature = Some("0".repeat(40));
    assert_eq!(opened(&safe, &wrong, &body), Err(PushRefusal::Signature));
    wrong.msg_signature = None;
    assert_eq!(opened(&safe, &wrong, &body), Err(PushRefusal::Signature), "signature alone proves no body");
    let other = sealed(&BODY.replace("hello", "other"), "wx1");
    let swapped = format!(r#"{{"Encrypt":"{other}"}}"#);
    assert_eq!(opened(&safe, &query(Some(&encrypted)), &swapped), Err(PushRefusal::Signature));
    let plain = app(PushMode::Plain, PushFormat::Json);
    let unsigned = PushQuery { signature: None, ..query(None) };
    assert_eq!(opened(&plain, &unsigned, BODY), Err(PushRefusal::Signature));
}

#[test]
fn the_mode_cannot_be_talked_down() {
    for mode in [PushMode::Safe, PushMode::Compat] {
        assert_eq!(opened(&app(mode, PushFormat::Json), &query(None), BODY), Err(PushRefusal::Signature), "{mode:?}");
    }
    // In compat mode the plain copy is not what counts.
    let encrypted = sealed(BODY, "wx1");
    let mixed = format!(r#"{{"FromUserName":"attacker","MsgType":"text","Encrypt":"{encrypted}"}}"#);
    let incoming = opened(&app(PushMode::Compat, PushFormat::Json), &query(Some(&encrypted)), &mixed).unwrap();
    assert_eq!(incoming.from, "o1");
}

#[test]
fn a_message_for_another_app_is_refused() {
    let encrypted = sealed(BODY, "wx2");
    let body = format!(r#"{{"Encrypt":"{encrypted}"}}"#);
    let refused = opened(&app(PushMode::Safe, PushFormat::Json), &query(Some(&encrypted)), &body);
    assert_eq!(refused, Err(PushRefusal::Envelope));
}

#[test]
fn old_oversized_and_malformed_ones_are_refused() {
    let plain = app(PushMode::Plain, PushFormat::Json);
    let settings = plain.push.as_ref().unwrap();
    let at = |now| open(&plain, settings, &query(None), BODY.as_bytes(), now, WINDOW).map(|_| ());
    assert_eq!(at(NOW + WINDOW), Ok(()));
    assert_eq!(at(NOW + WINDOW + Duration::from_millis(1)), Err(PushRefusal::Stale));
    assert_eq!(at(NOW - WINDOW - Duration::from_millis(1)), Err(PushRefusal::Stale));
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(MAX_PUSH_BYTES));
    assert_eq!(opened(&plain, &query(None), &large), Err(PushRefusal::TooLarge));
    assert_eq!(opened(&plain, &query(None), "[1]"), Err(PushRefusal::Malformed));
    let dtd = r#"<!DOCTYPE xml [<!ENTITY a "b">]><xml><FromUserName>&a;</FromUserName></xml>"#;
    assert_eq!(opened(&app(PushMode::Plain, PushFormat::Xml), &query(None), dtd), Err(PushRefusal::Malformed));
}

#[test]
fn the_handshake_echoes_only_for_the_platform() {
    let app = app(PushMode::Safe, PushFormat::Json);
    let settings = app.push.as_ref().unwrap();
    let asked = PushQuery { echostr: Some("4375120948345356249".into()), ..query(None) };
    assert_eq!(handshake(settings, &asked).unwrap(), "4375120948345356249");
    let forged = PushQuery { signature: Some("x".into()), ..asked };
    assert_eq!(handshake(settings, &forged), Err(PushRefusal::Signature));
}

fn kind(body: &Value) -> PushKind {
    event::read(body).unwrap().kind
}

#[test]
fn lists_of_one_and_of_many_are_the_same_list() {
    let event = |list: Value| {
        serde_json::json!({"FromUserName": "o1", "CreateTime": "1610969440", "MsgType": "event",
            "Event": "subscribe_msg_popup_event", "List": list})
    };
    let one = serde_json::json!({"TemplateId": "t1", "SubscribeStatusString": "accept", "PopupScene": "0"});
    let two = serde_json::json!({"TemplateId": "t2", "SubscribeStatusString": "reject", "PopupScene": 0});
    let entry = |id: &str, is_accepted| SubscribeEntry { template_id: id.into(), is_accepted };
    assert_eq!(kind(&event(one.clone())), PushKind::Popup(vec![entry("t1", true)]));
    let both = event(serde_json::json!([one, two]));
    assert_eq!(kind(&both), PushKind::Popup(vec![entry("t1", true), entry("t2", false)]));
    let nested = serde_json::json!({"FromUserName": "o1", "CreateTime": "1", "MsgType": "event",
        "Event": "subscribe_msg_sent_event", "SubscribeMsgSentEvent": {"List":
            {"TemplateId": "t1", "MsgID": "3248682510344192008", "ErrorCode": "0", "ErrorStatus": "success"}}});
    let sent = SentEntry { template_id: "t1".into(), msg_id: Some("3248682510344192008".into()), error_code: 0 };
    assert_eq!(kind(&nested), PushKind::Sent(vec![sent]));
}

#[test]
fn verdicts_count_only_when_the_check_succeeded() {
    let event = |errcode: i64| {
        serde_json::json!({"FromUserName": "o1", "CreateTime": 1, "MsgType": "event", "Event": "wxa_media_check",
            "appid": "wx1", "trace_id": "tr", "version": 2, "errcode": errcode, "errmsg": "ok",
            "result": {"suggest": "risky", "label": 20002}})
    };
    let PushKind::MediaCheck(verdict) = kind(&event(0)) else { panic!() };
    assert_eq!((verdict.trace_id.as_str(), verdict.verdict, verdict.label), ("tr", Some(Verdict::Risky), 20002));
    let PushKind::MediaCheck(failed) = kind(&event(-1008)) else { panic!() };
    assert_eq!((failed.verdict, failed.error_code), (None, -1008));
}

#[test]
fn two_events_of_one_second_are_two() {
    let event = |template: &str| {
        serde_json::json!({"FromUserName": "o1", "CreateTime": 1, "MsgType": "event", "Event":
            "subscribe_msg_popup_event", "List": {"TemplateId": template, "SubscribeStatusString": "accept"}})
    };
    let key = |template| event::read(&event(template)).unwrap().dedupe_key;
    assert_ne!(key("a"), key("b"));
    assert_eq!(key("a"), key("a"));
}

proptest! {
    #[test]
    fn any_body_is_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..300)) {
        for (mode, format) in [(PushMode::Plain, PushFormat::Json), (PushMode::Plain, PushFormat::Xml),
            (PushMode::Safe, PushFormat::Json), (PushMode::Safe, PushFormat::Xml)] {
            let app = app(mode, format);
            let _ = open(&app, app.push.as_ref().unwrap(), &query(None), &body, NOW, WINDOW);
        }
    }

    #[test]
    fn any_json_event_is_read_or_refused(event in "[a-z_]{0,30}", list in "(\\[|\\{|\"List\":|\"TemplateId\":|1|,|\\}|\\]){0,12}") {
        let text = format!(r#"{{"MsgType":"event","Event":"{event}","FromUserName":"o","CreateTime":1,"List":{list}}}"#);
        if let Ok(value) = serde_json::from_str(&text) {
            let _ = event::read(&value);
        }
    }
}
