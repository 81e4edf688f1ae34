//! The product with WeChat, without an account: signing in, consent, notifications, invitation codes, tokens for sister
//! services, and nothing secret left lying about.

use reqwest::Method;
use serde_json::{Value, json};
use tests::load::export::{doctor_id, doctor_phone, patient_id, patient_phone};
use tests::secrecy::{columns_of, logs_of, shows};
use tests::server::{Database, Deployment, free_port};
use tests::waiting::wait_for;
use tests::wechat::{Platform, WithWechat};
use tests::world::{Answer, As, Http, populate};

fn token_of(answer: &Answer) -> As {
    assert_eq!(answer.status, 201, "{}", answer.body);
    As::Session(answer.body["token"].as_str().unwrap().to_owned())
}

fn sign_in(http: &Http, platform: &Platform, app: &str, openid: &str, phone: Option<&str>) -> Answer {
    let mut body = json!({ "app": app, "code": platform.login(app, openid, None) });
    if let Some(phone) = phone {
        body["phoneCode"] = platform.phone(app, phone);
    }
    http.post("/api/v1/auth/sign-in/wechat", &As::Nobody, &body)
}

/// How the doctor was told of a consultation.
fn channel_of(http: &Http, consultation: &str, admin: &As) -> Option<String> {
    let trail = http.get(&format!("/api/v1/consultations/{consultation}/notifications"), admin).body;
    let sent = trail["items"].as_array()?.iter().find(|item| item["state"] == "sent")?.clone();
    Some(sent["channel"].as_str()?.to_owned())
}

#[test]
fn the_whole_way_without_an_account_and_without_a_trace_of_secrets() {
    for database in Database::available() {
        whole_way(database);
    }
}

fn whole_way(database: Database) {
    let deployment = Deployment::new(database).with("log.filter", "debug");
    let started = WithWechat::start(deployment, |deployment| populate(deployment, 1, 3));
    let WithWechat { deployment, api, http, admin, platform } = started;
    let doctor = doctor_id(0);

    // The doctor signs in with the phone button and is the imported one.
    let signed_in = sign_in(&http, &platform, "doctor", "wx-doctor-0", Some(&doctor_phone(0)));
    assert_eq!(signed_in.body["doctorId"], doctor, "{}", signed_in.body);
    let as_doctor = token_of(&signed_in);
    let used = json!({ "app": "doctor", "code": "0123" });
    let refused = http.post("/api/v1/auth/sign-in/wechat", &As::Nobody, &used);
    assert_eq!((refused.status, refused.body["code"].as_str()), (400, Some("wechat.code_not_accepted")));
    let session = http.get("/api/v1/me/wechat/session?app=doctor", &as_doctor);
    assert_eq!(session.body["isValid"], true, "{}", session.body);

    // One accept, told by the client and by the platform's push.
    let grants = |who: &As| http.get("/api/v1/me/wechat/grants?app=doctor", who).body["items"][0].clone();
    assert_eq!(
        (grants(&as_doctor)["available"].clone(), grants(&as_doctor)["shouldAsk"].clone()),
        (json!(0), json!(true))
    );
    assert_eq!(platform.consent("doctor", "wx-doctor-0")["pushed"], 200, "the callback took the push");
    let report = json!({ "app": "doctor", "promptId": "popup-1",
        "results": [{ "templateId": "standin-doctor-new-message", "result": "accept" }] });
    assert_eq!(http.post("/api/v1/me/wechat/grants", &as_doctor, &report).status, 200);
    wait_for("the push to be taken in", || (pushes_left(&http, &admin) == 0).then_some(()));
    assert_eq!(grants(&as_doctor)["available"], 1);

    // The first consultation is told by WeChat; the second, without a grant, by the next channel.
    let first = http.initiate(&doctor, &patient_id(0)).body["result"]["consultationId"].as_str().unwrap().to_owned();
    let card = wait_for("the card", || platform.deliveries("wx-doctor-0").first().cloned());
    assert_eq!(card["body"]["data"]["thing1"]["value"], "您有新的咨询");
    assert_eq!(wait_for("the first", || channel_of(&http, &first, &admin)), "wechat");
    let second = http.initiate(&doctor, &patient_id(1)).body["result"]["consultationId"].as_str().unwrap().to_owned();
    assert_eq!(wait_for("the second", || channel_of(&http, &second, &admin)), "sms");
    assert_eq!((platform.deliveries("wx-doctor-0").len(), grants(&as_doctor)["available"].clone()), (1, json!(0)));
    let log = http.get("/api/v1/admin/wechat/messages?state=accepted", &admin).body;
    assert_eq!(log["items"].as_array().unwrap().len(), 1, "{log}");

    // The invitation's code is a picture, its link a link, and scanning makes the relation.
    let invited = http.post(&format!("/api/v1/doctors/{doctor}/invitations"), &as_doctor, &json!({})).body;
    let invitation = format!("/api/v1/doctors/{doctor}/invitations/{}", invited["objectId"].as_str().unwrap());
    for _ in 0..3 {
        let code = http.request(Method::GET, &format!("{invitation}/code"), &as_doctor).send().unwrap();
        assert_eq!(code.headers()["content-type"], "image/png");
        assert!(code.bytes().unwrap().starts_with(b"\x89PNG\r\n\x1a\n"));
    }
    assert_eq!(platform.get("/_standin/calls")["/wxa/getwxacodeunlimit"], 1);
    let link = http.post(&format!("{invitation}/link"), &as_doctor, &json!({ "expiresInDays": 7 })).body;
    assert!(link["url"].as_str().unwrap().starts_with("https://"), "{link}");

    // A new patient signs in without a number, scans, and gives the number afterwards.
    let as_patient = token_of(&sign_in(&http, &platform, "patient", "wx-patient-9", None));
    let scanned = http.post("/api/v1/invitations/scan", &as_patient, &json!({ "scene": invited["scene"] }));
    assert_eq!(scanned.status, 200, "{}", scanned.body);
    let number = json!({ "app": "patient", "code": platform.phone("patient", "13700000009") });
    let bind = |body: &Value| {
        Answer::of(http.request(Method::PUT, "/api/v1/me/phone/wechat", &as_patient).json(body).send().unwrap())
    };
    assert_eq!(bind(&number).status, 200);
    assert_eq!(bind(&number).body["code"], "wechat.code_not_accepted", "a code works once");
    let foreign = json!({ "app": "patient", "code": platform.phone("patient", &doctor_phone(0)) });
    assert_eq!(bind(&foreign).body["code"], "phone.taken");

    // What a person writes in the customer-service session is answered in its window.
    let wrote = json!({ "appid": "wx-standin-patient", "openid": "wx-patient-9", "text": "请问如何预约" });
    assert_eq!(platform.post("/write", &wrote)["pushed"], 200);
    let inbox = "/api/v1/admin/wechat/apps/patient/service-messages";
    let written = wait_for("the message", || http.get(inbox, &admin).body["items"].as_array()?.first().cloned());
    assert_eq!(written["content"], "请问如何预约");
    let answer = json!({ "openid": "wx-patient-9", "text": "您好，请在首页预约" });
    assert_eq!(http.post(inbox, &admin, &answer).status, 204);
    wait_for("the answer", || platform.deliveries("wx-patient-9").first().cloned());

    // A sister service gets the token that everybody uses; every reading is audited.
    let handed = http.get("/api/v1/wechat/apps/doctor/access-token", &As::Integrator);
    assert_eq!(handed.status, 200, "{}", handed.body);
    let token = handed.body["accessToken"].as_str().unwrap().to_owned();
    let listed = platform.get(&format!("/wxaapi/newtmpl/gettemplate?access_token={token}"));
    assert_eq!(listed["errcode"], 0, "{listed}");
    let audited = http.get("/api/v1/admin/audit-events?action=wechat.token.read", &admin).body;
    assert_eq!(audited["items"].as_array().unwrap().len(), 1);
    let forced = http.post("/api/v1/admin/wechat/apps/doctor/token/refresh", &admin, &json!({ "reason": "试" }));
    assert_eq!((forced.status, forced.body["forcesLeftToday"].clone()), (200, json!(19)), "{}", forced.body);
    let again = http.post("/api/v1/admin/wechat/apps/doctor/token/refresh", &admin, &json!({ "reason": "试" }));
    assert_eq!(again.body["code"], "wechat.force_not_allowed");

    // A fault is explained where an administrator looks, without what must not be seen.
    platform.post(
        "/faults",
        &json!({ "path": "/cgi-bin/stable_token", "kind": "refuse", "code": 40164,
        "message": "invalid ip 203.0.113.9, not in whitelist" }),
    );
    platform.post("/kill-token", &json!({ "appid": "wx-standin-patient" }));
    let refused = http.post(&format!("{invitation}/link"), &as_doctor, &json!({}));
    assert_eq!((refused.status, refused.body["code"].as_str()), (503, Some("wechat.app_fault")));
    let apps = http.get("/api/v1/admin/wechat/apps", &admin).body;
    let patient = apps["items"].as_array().unwrap().iter().find(|app| app["name"] == "patient").unwrap().clone();
    assert_eq!(patient["fault"]["code"], 40164, "{patient}");
    assert!(patient["fault"]["advice"].as_str().unwrap().contains("IP白名单"));

    let mut secrets = secrets_of(&platform);
    secrets.push(token);
    let metrics = http.request(Method::GET, "/metrics", &As::Nobody).send().unwrap().text().unwrap();
    assert!(metrics.contains("wechat_token_fetches_total"), "{metrics}");
    let logs = logs_of(&deployment);
    assert!(logs.contains("access token fetched"));
    let shown = [apps.to_string(), log.to_string(), refused.body.to_string(), forced.body.to_string()].concat();
    let phones = [doctor_phone(0), patient_phone(0), "13700000009".to_owned()];
    for secret in secrets.iter().chain(&phones) {
        for (place, text) in [("the log", &logs), ("the metrics", &metrics), ("an answer", &shown)] {
            assert!(!text.contains(secret), "{place} shows {secret}");
        }
    }
    drop(api);
    let columns = columns_of(&deployment);
    assert!(shows(&columns, "医生0"), "what is no secret is found");
    for secret in secrets.iter().chain(&phones) {
        assert!(!shows(&columns, secret), "the database shows {secret}");
    }
}

/// Pushes that were written down and not taken in yet.
fn pushes_left(http: &Http, admin: &As) -> usize {
    let jobs = http.get("/api/v1/admin/jobs?state=queued&limit=100", admin).body;
    jobs["items"].as_array().unwrap().iter().filter(|job| job["kind"] == "wechat_push").count()
}

fn secrets_of(platform: &Platform) -> Vec<String> {
    let items = platform.get("/_standin/secrets")["items"].clone();
    let secrets: Vec<String> = items.as_array().unwrap().iter().map(|s| s.as_str().unwrap().to_owned()).collect();
    assert!(secrets.len() > 6, "three apps, their tokens and two session keys: {}", secrets.len());
    secrets
}

#[test]
fn another_stand_in_needs_nothing_but_its_address() {
    let port = free_port();
    let elsewhere = Deployment::new(Database::Sqlite).with("wechat.standin", &format!("127.0.0.1:{port}"));
    let _platforms_process = elsewhere.start_api();
    let platform = Platform::at(port);
    let apps = r#"[{ name = "mini", appid = "wx-standin-patient", secret = "standin-secret-of-patient",
        kind = "miniprogram", audience = "patient", push_mode = "plain",
        templates = { new_message = "standin-patient-new-message" } }]"#;
    let deployment = Deployment::new(Database::Sqlite)
        .with("wechat.base_url", &format!("http://127.0.0.1:{port}"))
        .with("wechat.apps", &apps.replace('\n', " "));
    let api = deployment.start_api();
    let http = Http::new(&api);
    let body = json!({ "app": "mini", "code": platform.login("patient", "someone", None) });
    let as_patient = token_of(&http.post("/api/v1/auth/sign-in/wechat", &As::Nobody, &body));
    let grants = http.get("/api/v1/me/wechat/grants?app=mini", &as_patient).body;
    assert_eq!(grants["items"][0]["templateId"], "standin-patient-new-message", "{grants}");
    let callback = http.request(Method::POST, "/wechat/mini/callback", &As::Nobody).body("{}").send().unwrap();
    assert_eq!(callback.status().as_u16(), 404, "an app without a push token receives none");
}
