//! Text messages through the real binaries, against a stand-in for the providers that is given only as base addresses.

use std::process::Output;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::blocking::Client;
use runtime::SystemClock;
use serde_json::{Value, json};
use testkit::SmsStandIn;
use testkit::sms::{ALIYUN_KEY, ALIYUN_TEMPLATES, At, Fault, SDK_APP_ID, SIGN_NAME, TENCENT_KEY, TENCENT_TEMPLATES};
use tests::server::{Api, Database, Deployment};
use tests::world::{As, Http, create_admin};

const PHONE: &str = "13900000001";
const RECEIPT_SECRET: &str = "aSecretOfTwentyTwoAndMore";
/// Longest wait for something that happens in the background.
const PATIENCE: Duration = Duration::from_secs(40);

/// A deployment whose messages go to the stand-in, Aliyun first.
fn deployment(database: Database, providers: &SmsStandIn) -> Deployment {
    let aliyun = format!(
        "{{ base_url = {:?}, access_key_id = {:?}, access_key_secret = {:?}, sign_name = {SIGN_NAME:?} }}",
        providers.url(At::Aliyun),
        ALIYUN_KEY.0,
        ALIYUN_KEY.1,
    );
    let tencent = format!(
        "{{ base_url = {:?}, secret_id = {:?}, secret_key = {:?}, sdk_app_id = {SDK_APP_ID:?}, sign_name = {SIGN_NAME:?} }}",
        providers.url(At::Tencent),
        TENCENT_KEY.0,
        TENCENT_KEY.1,
    );
    let templates = format!(
        "{{ login_code = {{ aliyun = {{ id = {:?}, params = [\"code\"] }}, \
         tencent = {{ id = {:?}, params = [\"code\", \"minutes\"] }} }}, \
         new_message = {{ aliyun = {{ id = {:?} }}, tencent = {{ id = {:?} }} }} }}",
        ALIYUN_TEMPLATES[0], TENCENT_TEMPLATES[0], ALIYUN_TEMPLATES[1], TENCENT_TEMPLATES[1],
    );
    Deployment::new(database)
        .with("worker.embedded", "true")
        .with("worker.poll", "100ms")
        .with("sms.providers", "[\"aliyun\", \"tencent\"]")
        .with("sms.aliyun", &aliyun)
        .with("sms.tencent", &tencent)
        .with("sms.templates", &templates)
        .with("sms.receipt_secret", RECEIPT_SECRET)
}

fn ask_for_code(http: &Http) -> Value {
    let asked = http.post("/api/v1/auth/sms-codes", &As::Nobody, &json!({ "phone": PHONE }));
    assert_eq!(asked.status, 201, "{}", asked.body);
    asked.body
}

fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(started.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::yield_now();
    }
}

fn the_message(http: &Http, admin: &As) -> Value {
    http.get("/api/v1/admin/sms/messages", admin).body["items"][0].clone()
}

fn wait_for_state(http: &Http, admin: &As, state: &str) {
    wait_for(state, || (the_message(http, admin)["state"] == state).then_some(()));
}

fn push(api: &Api, provider: &str, secret: &str, body: &str) -> (u16, Value) {
    let url = api.url(&format!("/sms/receipts/{provider}/{secret}"));
    let answer = Client::new().request(Method::POST, url).body(body.to_owned()).send().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&answer.text().unwrap()).unwrap_or(Value::Null))
}

#[test]
fn a_person_signs_in_with_the_code_a_provider_got_and_its_receipt_settles_it() {
    for database in Database::available() {
        let providers = SmsStandIn::start(Arc::new(SystemClock));
        let deployment = deployment(database, &providers);
        let api = deployment.start_api();
        let http = Http::new(&api);
        let (name, password) = create_admin(&deployment);
        let admin = http.sign_in_staff(&name, &password);

        let asked = ask_for_code(&http);
        let sent = providers.accepted().remove(0);
        let answer = json!({ "challengeId": asked["challengeId"], "code": sent.params[0], "role": "patient" });
        assert_eq!(http.post("/api/v1/auth/sign-in/sms", &As::Nobody, &answer).status, 201);

        let receipts = Value::Array(providers.receipts(At::Aliyun)).to_string();
        assert_eq!(push(&api, "aliyun", "aGuessOfTwentyTwoLetters", &receipts).0, 404);
        assert_eq!(push(&api, "log", RECEIPT_SECRET, &receipts).0, 404);
        assert_eq!(push(&api, "aliyun", RECEIPT_SECRET, "{").0, 400);
        let tried = Client::new().get(api.url(&format!("/sms/receipts/aliyun/{RECEIPT_SECRET}"))).send().unwrap();
        assert_eq!(tried.status(), 200, "the address is tried with a GET");
        let (status, answer) = push(&api, "aliyun", RECEIPT_SECRET, &receipts);
        assert_eq!((status, &answer["code"]), (200, &json!(0)));
        wait_for_state(&http, &admin, "delivered");

        let message = the_message(&http, &admin);
        assert_eq!((&message["phone"], &message["attempts"]), (&json!("139****0001"), &json!(1)));
        let path = format!("/api/v1/admin/sms/messages/{}/reveal", message["objectId"].as_str().unwrap());
        assert_eq!(http.post(&path, &admin, &json!({})).body["phone"], PHONE);
        let budget = http.get("/api/v1/admin/sms/budget", &admin).body;
        assert_eq!(budget["spentMilliyuan"], 45);
    }
}

#[test]
fn an_answer_that_was_lost_after_acceptance_leaves_one_message() {
    let providers = SmsStandIn::start(Arc::new(SystemClock));
    let deployment = deployment(Database::Sqlite, &providers);
    let api = deployment.start_api();
    let http = Http::new(&api);
    let (name, password) = create_admin(&deployment);
    let admin = http.sign_in_staff(&name, &password);
    providers.fail(At::Aliyun, [Fault::LoseAnswer]);
    ask_for_code(&http);
    wait_for_state(&http, &admin, "delivered");
    assert_eq!(providers.accepted().len(), 1);
    let health = http.get("/api/v1/admin/sms/health", &admin).body;
    assert_eq!(health["items"].as_array().map(Vec::len), Some(4), "two providers, two kinds");
}

#[test]
fn a_request_that_was_lost_fails_over_without_anybody_asking() {
    let providers = SmsStandIn::start(Arc::new(SystemClock));
    let deployment = deployment(Database::Sqlite, &providers);
    let api = deployment.start_api();
    let http = Http::new(&api);
    providers.fail(At::Aliyun, [Fault::LoseRequest]);
    let asked = ask_for_code(&http);
    let sent = wait_for("the failover", || providers.accepted().pop());
    assert_eq!(sent.at, At::Tencent);
    let answer = json!({ "challengeId": asked["challengeId"], "code": sent.params[0], "role": "patient" });
    assert_eq!(http.post("/api/v1/auth/sign-in/sms", &As::Nobody, &answer).status, 201);
}

#[test]
fn a_hundred_simultaneous_requests_for_one_number_send_one_message() {
    let providers = SmsStandIn::start(Arc::new(SystemClock));
    let deployment = deployment(Database::Sqlite, &providers);
    let api = deployment.start_api();
    let http = Http::new(&api);
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let http = http.clone();
            std::thread::spawn(move || {
                http.post("/api/v1/auth/sms-codes", &As::Nobody, &json!({ "phone": PHONE })).status
            })
        })
        .collect();
    let statuses: Vec<u16> = callers.into_iter().map(|caller| caller.join().unwrap()).collect();
    let of = |status: u16| statuses.iter().filter(|s| **s == status).count();
    assert_eq!((of(201), of(429)), (1, 99), "{statuses:?}");
    assert_eq!(providers.accepted().len(), 1);
}

#[test]
fn check_tries_the_providers_and_names_a_template_that_cannot_work() {
    let text = |output: &Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let providers = SmsStandIn::start(Arc::new(SystemClock));
    let right = deployment(Database::Sqlite, &providers);
    right.run_ok(&["migrate"]);
    let told = right.run(&["check", "--online"]);
    assert!(told.status.success(), "{}", text(&told));
    assert!(text(&told).contains("SMS by tencent: fine"), "{}", text(&told));
    let wrong = right.with(
        "sms.templates",
        "{ login_code = { aliyun = { id = \"A\", params = [\"otp\"] }, tencent = { id = \"1\", params = [\"code\"] } } }",
    );
    let told = wrong.run(&["check"]);
    assert!(!told.status.success());
    assert!(text(&told).contains("sms.templates.login_code.aliyun names the variable otp"), "{}", text(&told));
}

#[test]
fn production_does_not_start_with_the_log_provider() {
    let production = Deployment::new(Database::Sqlite).with("profile", "production").with("sms.providers", "[\"log\"]");
    let refused = production.run(&["serve"]);
    assert!(!refused.status.success());
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(told.contains("sms.providers"), "{told}");
}
