//! Text messages through the real binaries, against a stand-in for the providers that is given only as base addresses.

use std::process::Output;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::blocking::Client;
use runtime::SystemClock;
use serde_json::{Value, json};
use testkit::SmsStandIn;
use testkit::sms::{ALIYUN_KEY, ALIYUN_TEMPLATES, At, Fault, SDK_APP_ID, SIGN_NAME, TENCENT_KEY, TENCENT_TEMPLATES};
use tests::load::export::{doctor_id, doctor_phone, patient_id};
use tests::server::{Api, Database, Deployment};
use tests::waiting::wait_for;
use tests::world::{As, Http, create_admin, populate};

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
         new_message = {{ aliyun = {{ id = {:?}, params = [\"link\"] }}, tencent = {{ id = {:?} }} }} }}",
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
    for database in Database::available() {
        one_message_after_a_lost_answer(database);
    }
}

fn one_message_after_a_lost_answer(database: Database) {
    let providers = SmsStandIn::start(Arc::new(SystemClock));
    let deployment = deployment(database, &providers);
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
    for database in Database::available() {
        a_hundred_requests(database);
    }
}

fn a_hundred_requests(database: Database) {
    let providers = SmsStandIn::start(Arc::new(SystemClock));
    let deployment = deployment(database, &providers);
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

/// Everything in the database that is not a person's own profile or a code's request, as text.
fn columns_beside_profiles(deployment: &Deployment) -> String {
    let mut dump = std::process::Command::new("pg_dump");
    dump.arg("--data-only").arg("--inserts").arg(deployment.database_url());
    for table in ["account_user", "patient", "doctor", "sms_challenge"] {
        dump.arg(format!("--exclude-table={table}"));
    }
    let dumped = dump.output().unwrap();
    assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
    String::from_utf8(dumped.stdout).unwrap()
}

#[test]
fn a_doctor_without_wechat_gets_a_neutral_notice_and_nothing_personal_is_left_lying_about() {
    for database in Database::available() {
        a_notice(database);
    }
}

fn a_notice(database: Database) {
    let providers = SmsStandIn::start(Arc::new(SystemClock));
    let deployment = deployment(database, &providers).with("sms.notice_link", "abc").with("log.filter", "debug");
    populate(&deployment, 1, 1);
    let (name, password) = create_admin(&deployment);
    let api = deployment.start_api();
    let http = Http::new(&api);
    let admin = http.sign_in_staff(&name, &password);
    let asked = ask_for_code(&http);
    let code = providers.accepted().remove(0).params[0].clone();
    let answer = json!({ "challengeId": asked["challengeId"], "code": code, "role": "patient" });
    assert_eq!(http.post("/api/v1/auth/sign-in/sms", &As::Nobody, &answer).status, 201);

    let started = http.initiate(&doctor_id(0), &patient_id(0)).body;
    let consultation = started["result"]["consultationId"].as_str().unwrap();
    let notice =
        wait_for("the notice", || providers.accepted().into_iter().find(|m| m.template == ALIYUN_TEMPLATES[1]));
    assert_eq!(notice.phone, doctor_phone(0));
    assert_eq!(notice.params, ["abc"], "a link and nothing else: the words are the template's");
    let trail = format!("/api/v1/consultations/{consultation}/notifications");
    let sent = wait_for("the trail", || {
        let items = http.get(&trail, &admin).body["items"].clone();
        items.as_array()?.iter().find(|item| item["state"] == "sent").cloned()
    });
    assert_eq!((&sent["channel"], &sent["cause"]), (&json!("sms"), &json!("initiated")));
    let receipts = Value::Array(providers.receipts(At::Aliyun)).to_string();
    assert_eq!(push(&api, "aliyun", RECEIPT_SECRET, &receipts).0, 200);
    wait_for_state(&http, &admin, "delivered");

    let metrics = http.request(Method::GET, "/metrics", &As::Nobody).send().unwrap().text().unwrap();
    let listed = http.get("/api/v1/admin/sms/messages", &admin).body.to_string();
    let logs = std::fs::read_dir(deployment.path()).unwrap().map(|entry| entry.unwrap().path());
    let logs = logs.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    let logs: String = logs.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(logs.contains("text message submitted") && metrics.contains("sms_attempts_total"));
    let mut places = vec![("the log", logs), ("the metrics", metrics), ("the list", listed)];
    if database == Database::Postgres {
        places.push(("the database", columns_beside_profiles(&deployment)));
    }
    let secrets = [PHONE, &doctor_phone(0), ALIYUN_KEY.1, TENCENT_KEY.1, &format!("\"{code}\"")];
    for (place, text) in &places {
        for secret in secrets {
            assert!(!text.contains(secret), "{place} shows {secret}");
        }
    }
}

/// Words of providers that only some stand-ins write: fields in another order, more of them, numbers for texts, chunks,
/// odd content types, and a path before everything.
#[test]
fn another_stand_in_needs_nothing_but_its_address() {
    let (address, requests) = other_stand_in();
    let settings = |name: &str| format!("http://{address}/{name}/");
    let aliyun = format!(
        "{{ base_url = {:?}, access_key_id = \"other-id\", access_key_secret = \"other-secret\", sign_name = \"x\" }}",
        settings("gateway/aliyun")
    );
    let templates = "{ login_code = { aliyun = { id = \"SMS_1\", params = [\"code\"] } } }";
    let deployment = Deployment::new(Database::Sqlite)
        .with("sms.providers", "[\"aliyun\"]")
        .with("sms.aliyun", &aliyun)
        .with("sms.templates", templates);
    let api = deployment.start_api();
    let http = Http::new(&api);
    let asked = ask_for_code(&http);
    let request = requests.recv_timeout(PATIENCE).unwrap();
    let (_, sent) = request.split_once("%22code%22%3A%22").unwrap();
    let answer = json!({ "challengeId": asked["challengeId"], "code": &sent[..6], "role": "patient" });
    assert_eq!(http.post("/api/v1/auth/sign-in/sms", &As::Nobody, &answer).status, 201);
    let head = request.to_lowercase();
    assert!(head.starts_with("post /gateway/aliyun/?"), "{head}");
    for line in [format!("host: {address}"), "content-length: 0".to_owned(), "x-acs-action: sendsms".to_owned()] {
        assert!(head.lines().any(|l| l == line), "{line} is not in {head}");
    }
}

/// Accepts everything, in its own way; tells each request's head.
fn other_stand_in() -> (std::net::SocketAddr, std::sync::mpsc::Receiver<String>) {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let head: Vec<String> = lines.map(Result::unwrap).take_while(|line| !line.is_empty()).collect();
            let body = r#"{"RequestId":1,"Extra":{"a":[null]},"BizId":900619746936498440,"Message":"OK","Code":"OK"}"#;
            let (first, rest) = body.split_at(20);
            write!(
                stream,
                "HTTP/1.1 200 \r\nCONTENT-TYPE: text/html;charset=GBK\r\ntransfer-encoding: chunked\r\n\r\n\
                 {:x}\r\n{first}\r\n{:x};x=y\r\n{rest}\r\n0\r\n\r\n",
                first.len(),
                rest.len()
            )
            .unwrap();
            if tell.send(head.join("\n")).is_err() {
                return;
            }
        }
    });
    (address, told)
}
