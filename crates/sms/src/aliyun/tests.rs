//! The adapter over a port that answers what it is told.

use std::sync::Mutex;

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::template::ProviderTemplate;
use crate::testing::Counting;
use crate::vectors::{of_scheme, text};

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_767_323_045_000)
    }
}

/// Answers in turn and keeps what it was asked.
#[derive(Default)]
struct Endpoint {
    answers: Mutex<Vec<Result<HttpAnswer, HttpFault>>>,
    calls: Mutex<Vec<HttpCall>>,
}

#[async_trait]
impl HttpPort for Endpoint {
    async fn post(&self, call: HttpCall) -> Result<HttpAnswer, HttpFault> {
        self.calls.lock().unwrap().push(call);
        self.answers.lock().unwrap().remove(0)
    }
}

#[expect(clippy::unnecessary_wraps, reason = "stands beside failures")]
fn answer(status: u16, body: &str) -> Result<HttpAnswer, HttpFault> {
    Ok(HttpAnswer { status, retry_after: None, body: body.into() })
}

fn aliyun(answers: Vec<Result<HttpAnswer, HttpFault>>) -> (AliyunSms, Arc<Endpoint>) {
    let endpoint = Arc::new(Endpoint { answers: Mutex::new(answers), calls: Mutex::default() });
    let template = ProviderTemplate { id: "SMS_100000001".into(), params: vec!["code".into()] };
    let settings = AliyunSettings {
        base_url: BaseUrl::parse("http://127.0.0.1:8080/fake").unwrap(),
        credential: Credential::new("ak", "secret"),
        sign_name: "兆观医生".into(),
        templates: Templates::new(ProviderName::Aliyun, [("login_code".to_owned(), template)].into()).unwrap(),
    };
    (AliyunSms::new(settings, endpoint.clone(), Arc::new(Fixed), Arc::new(Counting::default())), endpoint)
}

fn submission() -> Submission {
    Submission {
        out_id: "m-1".into(),
        phone: "13800138000".parse().unwrap(),
        template: "login_code".into(),
        params: vec![("code".into(), "012345".into()), ("minutes".into(), "5".into())],
    }
}

async fn submit(answers: Vec<Result<HttpAnswer, HttpFault>>) -> Submitted {
    aliyun(answers).0.submit(&submission()).await
}

fn header(call: &HttpCall, name: &str) -> String {
    call.headers.iter().find(|(n, _)| n == name).unwrap().1.clone()
}

const OK: &str = r#"{"Code":"OK","Message":"OK","RequestId":"r","BizId":"900619746936498440^0"}"#;

#[tokio::test]
async fn a_submission_is_sent_as_it_is_signed() {
    let (aliyun, endpoint) = aliyun(vec![answer(200, OK)]);
    let accepted = Submitted::Accepted { provider_id: "900619746936498440^0".into(), segments: None };
    assert_eq!(aliyun.submit(&submission()).await, accepted);
    let call = endpoint.calls.lock().unwrap().remove(0);
    let query = "OutId=m-1&PhoneNumbers=13800138000&SignName=%E5%85%86%E8%A7%82%E5%8C%BB%E7%94%9F&\
                 TemplateCode=SMS_100000001&TemplateParam=%7B%22code%22%3A%22012345%22%7D";
    assert_eq!(call.url, format!("http://127.0.0.1:8080/fake?{query}"));
    assert_eq!(header(&call, "host"), "127.0.0.1:8080");
    let signed: Vec<(String, String)> =
        call.headers.iter().filter(|(n, _)| n == "host" || n.starts_with("x-acs-")).cloned().collect();
    let request = acs3::Request { method: "POST", path: "/fake", query, headers: &signed, body: b"" };
    assert_eq!(header(&call, "authorization"), acs3::authorization(&request, &Credential::new("ak", "secret")));
}

#[tokio::test]
async fn a_batch_travels_as_the_official_client_sends_it() {
    let (aliyun, endpoint) = aliyun(vec![answer(200, OK)]);
    let other = Submission { phone: "13900139000".parse().unwrap(), ..submission() };
    assert!(matches!(aliyun.submit_batch(&[submission(), other], "b-1").await, Submitted::Accepted { .. }));
    let call = endpoint.calls.lock().unwrap().remove(0);
    assert!(call.url.ends_with("?OutId=b-1&TemplateCode=SMS_100000001"), "{}", call.url);
    let recorded = of_scheme("ACS3-HMAC-SHA256").into_iter().find(|v| text(&v["id"]).contains("batch")).unwrap();
    let names = |body: &str| -> Vec<String> {
        body.split('&').map(|pair| pair.split('=').next().unwrap().to_owned()).collect()
    };
    let sent = String::from_utf8(call.body.clone()).unwrap();
    assert_eq!(names(&sent), names(text(&recorded["request"]["body"])));
    assert_eq!(header(&call, "content-type"), "application/x-www-form-urlencoded");
    assert_eq!(header(&call, "x-acs-content-sha256"), sha256_hex(&call.body));
}

#[rstest]
#[case::business(200, r#"{"Code":"isv.BUSINESS_LIMIT_CONTROL","Message":"m"}"#, ErrorClass::UserLimit)]
#[case::gateway(400, r#"{"Code":"SignatureDoesNotMatch","HostId":"h"}"#, ErrorClass::Config)]
#[case::throttled(503, r#"{"Code":"Throttling.User"}"#, ErrorClass::Throttle)]
#[case::unlisted(200, r#"{"Code":"isv.NEW"}"#, ErrorClass::Transient)]
#[case::bare_429(429, "slow down", ErrorClass::Throttle)]
#[case::bare_403(403, "<html>", ErrorClass::Config)]
#[tokio::test]
async fn refusals_have_their_class(#[case] status: u16, #[case] body: &str, #[case] class: ErrorClass) {
    let Submitted::Refused(refusal) = submit(vec![answer(status, body)]).await else { panic!("refused") };
    assert_eq!(refusal.class, class);
}

#[rstest]
#[case::bare_500(answer(500, "<html>"))]
#[case::bare_502(answer(502, ""))]
#[case::cut_off(answer(200, r#"{"Code":"OK","Bi"#))]
#[case::without_an_id(answer(200, r#"{"Code":"OK"}"#))]
#[case::lost(Err(HttpFault::NoAnswer))]
#[tokio::test]
async fn what_may_have_been_accepted_is_unknown(#[case] answer: Result<HttpAnswer, HttpFault>) {
    assert!(matches!(submit(vec![answer]).await, Submitted::Unknown { .. }));
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let Submitted::Refused(refusal) = submit(vec![Err(HttpFault::NotReached)]).await else { panic!("refused") };
    assert_eq!(refusal.class, ErrorClass::Transient);
}

#[tokio::test]
async fn a_wait_is_taken_over() {
    for (text, wait) in [("2", Duration::from_secs(2)), ("1500", Duration::from_millis(1500))] {
        let body = r#"{"Code":"Throttling"}"#.into();
        let answer = HttpAnswer { status: 429, retry_after: Some(text.into()), body };
        let Submitted::Refused(refusal) = submit(vec![Ok(answer)]).await else { panic!("refused") };
        assert_eq!(refusal.retry_after, Some(wait));
    }
}

fn wanted() -> Wanted {
    Wanted {
        phone: "13800138000".parse().unwrap(),
        out_id: "m-1".into(),
        provider_id: None,
        submitted_at: Fixed.now(),
        known_ids: Vec::new(),
    }
}

fn details(rows: &str) -> Result<HttpAnswer, HttpFault> {
    answer(200, &format!(r#"{{"Code":"OK","TotalCount":"1","SmsSendDetailDTOs":{{"SmsSendDetailDTO":[{rows}]}}}}"#))
}

#[tokio::test]
async fn a_lost_message_is_found_by_our_id() {
    let rows = r#"{"OutId":"other","SendStatus":3},
                  {"OutId":"m-1","SendStatus":3,"ErrCode":"DELIVERED","ReceiveDate":"2026-01-02 11:04:09"}"#;
    let (aliyun, endpoint) = aliyun(vec![details(rows)]);
    let LookUp::Found { report: Some(report), .. } = aliyun.look_up(&wanted()).await else { panic!("found") };
    assert_eq!(report.class, ErrorClass::Delivered);
    assert_eq!(report.at.unwrap().to_rfc3339(), "2026-01-02T03:04:09.000Z");
    let call = endpoint.calls.lock().unwrap().remove(0);
    assert!(call.url.contains("SendDate=20260102"), "{}", call.url);
}

#[tokio::test]
async fn what_is_not_listed_is_absent_and_a_refusal_tells_nothing() {
    assert_eq!(aliyun(vec![details("")]).0.look_up(&wanted()).await, LookUp::Absent);
    let waiting = aliyun(vec![details(r#"{"OutId":"m-1","SendStatus":1}"#)]).0.look_up(&wanted()).await;
    assert_eq!(waiting, LookUp::Found { provider_id: None, report: None });
    for answer in [answer(200, r#"{"Code":"isp.SYSTEM_ERROR"}"#), answer(500, "x"), Err(HttpFault::NoAnswer)] {
        let told = aliyun(vec![answer]).0.look_up(&wanted()).await;
        assert!(matches!(told, LookUp::Unavailable { .. }));
    }
}

#[tokio::test]
async fn around_midnight_in_beijing_both_days_are_searched() {
    let (aliyun, endpoint) = aliyun(vec![details(""), details("")]);
    let submitted_at = Timestamp::parse_rfc3339("2026-01-03T00:00:10+08:00").unwrap();
    assert_eq!(aliyun.look_up(&Wanted { submitted_at, ..wanted() }).await, LookUp::Absent);
    let calls = endpoint.calls.lock().unwrap();
    assert!(calls[0].url.contains("SendDate=20260102") && calls[1].url.contains("SendDate=20260103"));
}

#[tokio::test]
async fn numbers_and_text_are_taken_for_one_another_and_more_fields_do_no_harm() {
    let body = r#"{"BizId":9006,"Code":"OK","New":{"a":[1]},"Message":null}"#;
    let accepted = Submitted::Accepted { provider_id: "9006".into(), segments: None };
    assert_eq!(submit(vec![answer(200, body)]).await, accepted);
    let rows = r#"{"OutId":"m-1","SendStatus":"3","ErrCode":null,"Content":"x"}"#;
    let LookUp::Found { report: Some(report), .. } = aliyun(vec![details(rows)]).0.look_up(&wanted()).await else {
        panic!("found")
    };
    assert_eq!(report.class, ErrorClass::Delivered);
}

proptest! {
    #[test]
    fn any_answer_is_judged_without_panic_and_none_is_taken_for_an_acceptance(
        status in 100_u16..600,
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let rows = serde_json::from_slice::<Details>(&body).map(|d| d.rows.unwrap_or_default().rows).unwrap_or_default();
        let _: Vec<_> = rows.iter().map(Detail::report).collect();
        let judged = submitted(Ok(HttpAnswer { status, retry_after: None, body }));
        let is_accepted = matches!(judged, Submitted::Accepted { .. });
        prop_assert!(!is_accepted);
    }

    #[test]
    fn a_cut_off_acceptance_is_never_a_refusal(cut in 0..OK.len()) {
        let judged = submitted(Ok(HttpAnswer { status: 200, retry_after: None, body: OK.as_bytes()[..cut].to_vec() }));
        let is_unknown = matches!(judged, Submitted::Unknown { .. });
        prop_assert!(is_unknown);
    }
}
