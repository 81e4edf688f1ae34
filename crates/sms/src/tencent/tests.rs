//! The adapter over a port that answers what it is told.

use std::sync::Mutex;

use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::template::ProviderTemplate;

struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_767_323_045_000)
    }
}

/// Answers always the same and keeps what it was asked.
struct Endpoint(Result<(u16, String), HttpFault>, Mutex<Vec<HttpCall>>);

#[async_trait]
impl HttpPort for Endpoint {
    async fn post(&self, call: HttpCall) -> Result<HttpAnswer, HttpFault> {
        self.1.lock().unwrap().push(call);
        let (status, body) = self.0.clone()?;
        Ok(HttpAnswer { status, retry_after: None, body: body.into_bytes() })
    }
}

fn tencent(answer: Result<(u16, String), HttpFault>) -> (TencentSms, Arc<Endpoint>) {
    let endpoint = Arc::new(Endpoint(answer, Mutex::default()));
    let template = ProviderTemplate { id: "1000001".into(), params: vec!["code".into(), "minutes".into()] };
    let settings = TencentSettings {
        base_url: BaseUrl::parse("http://127.0.0.1:8080").unwrap(),
        credential: Credential::new("id", "key"),
        sdk_app_id: "1400000001".into(),
        sign_name: "兆观医生".into(),
        region: "ap-guangzhou".into(),
        templates: Templates::new(ProviderName::Tencent, [("login_code".to_owned(), template)].into()).unwrap(),
    };
    (TencentSms::new(settings, endpoint.clone(), Arc::new(Fixed)), endpoint)
}

fn submission() -> Submission {
    Submission {
        out_id: "m-1".into(),
        phone: "13800138000".parse().unwrap(),
        template: "login_code".into(),
        params: vec![("minutes".into(), "5".into()), ("code".into(), "012345".into())],
    }
}

#[expect(clippy::unnecessary_wraps, reason = "stands beside failures")]
fn ok(response: &Value) -> Result<(u16, String), HttpFault> {
    Ok((200, json!({ "Response": response }).to_string()))
}

async fn submit(answer: Result<(u16, String), HttpFault>) -> Submitted {
    tencent(answer).0.submit(&submission()).await
}

fn row(code: &str) -> Value {
    json!({ "SerialNo": "8:abc", "PhoneNumber": "+8613800138000", "Fee": 2, "SessionContext": "m-1", "Code": code })
}

#[tokio::test]
async fn a_submission_is_sent_as_it_is_signed() {
    let (tencent, endpoint) = tencent(ok(&json!({ "SendStatusSet": [row("Ok")] })));
    let accepted = Submitted::Accepted { provider_id: "8:abc".into(), segments: Some(2) };
    assert_eq!(tencent.submit(&submission()).await, accepted);
    let call = endpoint.1.lock().unwrap().remove(0);
    let header = |name: &str| call.headers.iter().find(|(n, _)| n == name).unwrap().1.clone();
    let request = tc3::Request {
        service: "sms",
        content_type: &header("content-type"),
        host: &header("host"),
        at: Fixed.now(),
        body: &call.body,
    };
    assert_eq!(header("authorization"), tc3::authorization(&request, &Credential::new("id", "key")));
    assert_eq!((header("host").as_str(), header("x-tc-timestamp").as_str()), ("127.0.0.1:8080", "1767323045"));
    let body: Value = serde_json::from_slice(&call.body).unwrap();
    assert_eq!(body["TemplateParamSet"], json!(["012345", "5"]), "in the template's order");
    assert_eq!((&body["PhoneNumberSet"], &body["SessionContext"]), (&json!(["+8613800138000"]), &json!("m-1")));
}

#[rstest]
#[case::of_the_request(json!({ "Error": { "Code": "AuthFailure.SignatureFailure", "Message": "m" } }), ErrorClass::Config)]
#[case::of_the_number(json!({ "SendStatusSet": [row("LimitExceeded.PhoneNumberDailyLimit")] }), ErrorClass::UserLimit)]
#[case::of_the_number_too(json!({ "SendStatusSet": [row("FailedOperation.PhoneNumberInBlacklist")] }), ErrorClass::Recipient)]
#[tokio::test]
async fn failures_are_found_in_both_places(#[case] response: Value, #[case] class: ErrorClass) {
    let Submitted::Refused(refusal) = submit(ok(&response)).await else { panic!("refused") };
    assert_eq!(refusal.class, class);
}

#[rstest]
#[case::lost(Err(HttpFault::NoAnswer))]
#[case::no_row(ok(&json!({ "SendStatusSet": [] })))]
#[case::no_set(ok(&json!({ "RequestId": "r" })))]
#[case::another_number(ok(&json!({ "SendStatusSet": [{ "PhoneNumber": "+8613900000000", "Code": "Ok", "SerialNo": "s" }] })))]
#[case::own_word(ok(&json!({ "Error": { "Code": "InternalError.Timeout" } })))]
#[case::cut_off(Ok((200, "{\"Response\":{".into())))]
#[case::bare_500(Ok((500, "oops".into())))]
#[tokio::test]
async fn without_an_ok_for_the_number_it_was_not_accepted_and_may_have_been(
    #[case] answer: Result<(u16, String), HttpFault>,
) {
    assert!(matches!(submit(answer).await, Submitted::Unknown { .. }));
}

fn wanted() -> Wanted {
    Wanted {
        phone: "13800138000".parse().unwrap(),
        out_id: "m-1".into(),
        provider_id: None,
        submitted_at: Fixed.now(),
        known_ids: vec!["8:known".into()],
    }
}

fn pulled(rows: &Value) -> Result<(u16, String), HttpFault> {
    ok(&json!({ "PullSmsSendStatusSet": rows }))
}

#[rstest]
#[case::by_our_id(json!({ "SerialNo": "8:a", "SessionContext": "m-1", "ReportStatus": "SUCCESS" }), Some("8:a"))]
#[case::by_exclusion(json!({ "SerialNo": "8:a", "ReportStatus": "SUCCESS" }), Some("8:a"))]
#[case::another_of_ours(json!({ "SerialNo": "8:known", "ReportStatus": "SUCCESS" }), None)]
#[case::of_another_attempt(json!({ "SerialNo": "8:b", "SessionContext": "m-2", "ReportStatus": "SUCCESS" }), None)]
#[tokio::test]
async fn a_lost_message_is_found(#[case] row: Value, #[case] id: Option<&str>) {
    match (tencent(pulled(&json!([row]))).0.look_up(&wanted()).await, id) {
        (LookUp::Found { provider_id, report }, Some(_)) => {
            assert_eq!((provider_id.as_deref(), report.unwrap().class), (id, ErrorClass::Delivered));
        }
        (LookUp::Absent, None) => {}
        _ => panic!("found the wrong one"),
    }
}

#[tokio::test]
async fn a_known_message_is_found_by_its_id_only() {
    let rows = json!([{ "SerialNo": "8:b", "ReportStatus": "SUCCESS" },
                      { "SerialNo": "8:a", "ReportStatus": "FAIL", "Description": "UNDELIV", "UserReceiveTime": 1_767_323_049 }]);
    let known = Wanted { provider_id: Some("8:a".into()), ..wanted() };
    let LookUp::Found { report: Some(report), .. } = tencent(pulled(&rows)).0.look_up(&known).await else {
        panic!("found")
    };
    assert_eq!((report.class, report.at.unwrap().as_millis()), (ErrorClass::Route, 1_767_323_049_000));
    let absent = tencent(pulled(&json!([]))).0.look_up(&known).await;
    assert_eq!(absent, LookUp::Absent);
    let refused = tencent(ok(&json!({ "Error": { "Code": "InternalError" } }))).0.look_up(&known).await;
    assert!(matches!(refused, LookUp::Unavailable { .. }));
}

#[tokio::test]
async fn numbers_and_text_are_taken_for_one_another_and_more_fields_do_no_harm() {
    let row = json!({ "SerialNo": 77, "PhoneNumber": "13800138000", "Fee": "3", "Code": "Ok", "New": {} });
    let accepted = Submitted::Accepted { provider_id: "77".into(), segments: Some(3) };
    assert_eq!(submit(ok(&json!({ "SendStatusSet": [row], "Error": null }))).await, accepted);
    let row =
        json!({ "SerialNo": 77, "SessionContext": "m-1", "ReportStatus": "SUCCESS", "UserReceiveTime": "1767323049" });
    let LookUp::Found { report: Some(report), .. } = tencent(pulled(&json!([row]))).0.look_up(&wanted()).await else {
        panic!("found")
    };
    assert_eq!(report.at.map(Timestamp::as_millis), Some(1_767_323_049_000));
}

proptest! {
    #[test]
    fn any_answer_is_judged_without_panic_and_none_is_taken_for_an_acceptance(
        status in 100_u16..600,
        body in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let judged = submitted(Ok(HttpAnswer { status, retry_after: None, body }), &submission().phone);
        let is_accepted = matches!(judged, Submitted::Accepted { .. });
        prop_assert!(!is_accepted);
    }

    #[test]
    fn a_cut_off_acceptance_is_never_a_refusal(share in 0.0..1.0_f64) {
        let whole = json!({ "Response": { "SendStatusSet": [row("Ok")] } }).to_string().into_bytes();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "short")]
        let cut = (whole.len() as f64 * share) as usize;
        let answer = HttpAnswer { status: 200, retry_after: None, body: whole[..cut].to_vec() };
        let is_unknown = matches!(submitted(Ok(answer), &submission().phone), Submitted::Unknown { .. });
        prop_assert!(is_unknown);
    }
}
