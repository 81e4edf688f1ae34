//! Whatever is sent or configured wrongly gets an answer that says what is wrong: problem+json from the native API,
//! `{"code", "error"}` from LeanCloud's, and one line naming the culprit from the command line.

use std::fs;
use std::process::Output;
use std::time::{Duration, Instant};

use reqwest::blocking::{RequestBuilder, Response};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tests::load::export::{doctor_id, patient_id, patient_phone};
use tests::server::{APP_ID, APP_KEY, Api, Database, Deployment, MASTER_KEY};
use tests::world::{As, Http, create_admin, populate};

const FUNCTION: &str = "/1.1/functions/initiateConsultation";
const NATIVE: &str = "/api/v1/consultations";
const ABSENT: &str = "ffffffffffffffffffffffff";
/// The default of `http.max_body_bytes`.
const MAX_BODY_BYTES: usize = 1024 * 1024;

struct World {
    deployment: Deployment,
    api: Api,
    http: Http,
}

impl World {
    fn new() -> Self {
        Self::on(Database::Sqlite)
    }

    fn on(database: Database) -> Self {
        let deployment = Deployment::new(database);
        populate(&deployment, 1, 1);
        let api = deployment.start_api();
        let http = Http::new(&api);
        Self { deployment, api, http }
    }

    fn post(&self, path: &str, who: &As) -> RequestBuilder {
        self.http.request(Method::POST, path, who)
    }

    fn send_json(&self, path: &str, who: &As, body: &Value) -> Told {
        Told::of(self.post(path, who).json(body).send().unwrap())
    }

    fn send_text(&self, path: &str, body: impl Into<String>) -> Told {
        let request = self.post(path, &As::App).header("content-type", "application/json");
        Told::of(request.body(body.into()).send().unwrap())
    }
}

/// A refusal, known to have the shape of its surface.
#[derive(Debug)]
struct Told {
    status: u16,
    /// Text or number.
    code: Value,
    body: Value,
    text: String,
}

impl Told {
    fn of(response: Response) -> Self {
        let status = response.status();
        let is_leancloud = ["/1.1/", "/1.2/"].iter().any(|prefix| response.url().path().starts_with(prefix));
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        let text = response.text().unwrap();
        assert!(status.is_client_error(), "{status} {text}");
        let body: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"));
        if is_leancloud {
            assert!(content_type.starts_with("application/json"), "{content_type}");
            let keys: Vec<&String> = body.as_object().unwrap().keys().collect();
            assert_eq!(keys, ["code", "error"], "{text}");
            assert!(body["code"].is_i64() && body["error"].is_string(), "{text}");
        } else {
            assert_eq!(content_type, "application/problem+json", "{text}");
            assert_eq!(body["status"], status.as_u16(), "{text}");
            let code = body["code"].as_str().unwrap();
            assert_eq!(body["type"], format!("urn:zhaoguan:error:{code}"), "{text}");
            assert!(body["title"].is_string() && body["request_id"].is_string(), "{text}");
        }
        Self { status: status.as_u16(), code: body["code"].clone(), body, text }
    }

    #[track_caller]
    fn is(&self, status: u16, code: impl Into<Value>) -> &Self {
        assert_eq!((self.status, &self.code), (status, &code.into()), "{}", self.text);
        self
    }

    /// The names of the fields at fault, of the native API.
    fn fields(&self) -> Vec<&str> {
        self.body["errors"].as_array().into_iter().flatten().filter_map(|e| e["field"].as_str()).collect()
    }

    #[track_caller]
    fn says(&self, part: &str) -> &Self {
        assert!(self.text.contains(part), "{part} is not in {}", self.text);
        self
    }

    #[track_caller]
    fn hides(&self, part: &str) -> &Self {
        assert!(!self.text.contains(part), "{part} is in {}", self.text);
        self
    }
}

fn right_body() -> Value {
    json!({ "doctorId": doctor_id(0), "patientId": patient_id(0) })
}

#[test]
fn malformed_json_is_told_on_both_surfaces() {
    let world = World::new();
    for body in [r#"{"doctorId":"#, "not json", "{\"a\":1}}"] {
        world.send_text(NATIVE, body).is(400, "request.malformed_json").says("line 1, column");
        world.send_text(FUNCTION, body).is(400, 107);
    }
    world.send_text(NATIVE, "").is(400, "request.malformed_json").says("the body is empty");
    let told = world.send_text(NATIVE, "[1]");
    assert_eq!(told.is(400, "request.invalid").fields(), ["body"]);
    world.send_text(FUNCTION, "[1]").is(400, 107);
}

#[test]
fn wrong_types_and_ids_are_told_by_field_and_never_quoted() {
    let world = World::new();
    let wrong = json!({ "doctorId": 5_061_728, "patientId": "secret-looking", "type": "video" });
    let told = world.send_json(NATIVE, &As::App, &wrong);
    told.is(400, "request.invalid").hides("secret-looking").hides("5061728");
    assert_eq!(told.fields(), ["doctorId", "patientId", "type"]);
    let told = world.send_json(FUNCTION, &As::App, &wrong);
    told.is(400, 142).says("doctorId: ").says("patientId: ").says("type: ").hides("secret-looking").hides("5061728");
    let told = world.send_text(FUNCTION, "");
    told.is(400, 142).says("doctorId: ").says("patientId: ");
    assert_eq!(world.send_json(NATIVE, &As::App, &json!({})).fields(), ["doctorId", "patientId"]);
    let in_path = Told::of(world.http.request(Method::GET, "/api/v1/patients/12", &As::Integrator).send().unwrap());
    assert_eq!(in_path.is(400, "request.invalid").fields(), ["id"]);
    let path = "/api/v1/consultations?limit=0";
    let in_query = Told::of(world.http.request(Method::GET, path, &As::Integrator).send().unwrap());
    assert_eq!(in_query.is(400, "request.invalid").fields(), ["limit"]);
}

#[test]
fn numbers_are_not_taken_for_texts() {
    let world = World::new();
    for phone in [json!(13_900_000_000_u64), json!(true), json!(["13900000000"])] {
        let told = world.send_json("/api/v1/auth/sms-codes", &As::Nobody, &json!({ "phone": phone }));
        assert_eq!(told.is(400, "request.invalid").fields(), ["phone"]);
    }
}

#[test]
fn unknown_fields_are_refused_by_the_native_api_and_ignored_by_the_other() {
    let world = World::new();
    let mut body = right_body();
    body["docterId"] = json!("x");
    body["<b>"] = json!("x");
    let told = world.send_json(NATIVE, &As::App, &body);
    told.is(400, "request.invalid").hides("<b>");
    assert!(told.fields().contains(&"docterId"), "{told:?}");
    // SDKs add keys of their own.
    assert_eq!(world.http.post(FUNCTION, &As::App, &body).status, 200);
}

#[test]
fn over_long_texts_are_told_with_their_limit() {
    let world = World::new();
    let admin = create_admin(&world.deployment);
    let admin = world.http.sign_in_staff(&admin.0, &admin.1);
    let agent = json!({ "username": "x".repeat(33), "displayName": "客".repeat(51), "role": "agent" });
    let told = world.send_json("/api/v1/admin/agents", &admin, &agent);
    told.is(400, "request.invalid").says("of 3 to 32 characters").says("of 1 to 50 characters").hides("xxx");
    assert_eq!(told.fields(), ["displayName", "username"]);
    let patient = world.http.sign_in(&patient_phone(0), "patient");
    let path = format!("/api/v1/patients/{}", patient_id(0));
    let sent = world.http.request(Method::PATCH, &path, &patient).json(&json!({ "name": "名".repeat(10_000) }));
    assert_eq!(Told::of(sent.send().unwrap()).is(400, "request.invalid").fields(), ["name"]);
}

#[test]
fn a_character_that_cannot_be_stored_is_told_wherever_it_comes() {
    for database in Database::available() {
        told_of_what_cannot_be_stored(&World::on(database));
    }
}

fn told_of_what_cannot_be_stored(world: &World) {
    let patient = world.http.sign_in(&patient_phone(0), "patient");
    let path = format!("/api/v1/patients/{}", patient_id(0));
    let sent = world.http.request(Method::PATCH, &path, &patient).json(&json!({ "name": "王\u{0}" }));
    let told = Told::of(sent.send().unwrap());
    assert_eq!(told.is(400, "request.invalid").says("U+0000").fields(), ["name"]);
    let get = |path: &str| Told::of(world.http.request(Method::GET, path, &patient).send().unwrap());
    assert_eq!(get("/api/v1/doctors?text=a%00").is(400, "request.invalid").says("U+0000").fields(), ["text"]);
    assert_eq!(get("/api/v1/doctors/%00").is(400, "request.invalid").fields(), ["path"]);
    let invited = json!({ "scene": "a\u{0}" });
    assert_eq!(
        world.send_json("/api/v1/invitations/scan", &patient, &invited).is(400, "request.invalid").fields(),
        ["scene"]
    );
}

#[test]
fn leancloud_clients_are_told_of_a_character_that_cannot_be_stored_on_both_databases() {
    for database in Database::available() {
        let world = World::on(database);
        let nul = "a\u{0}b";
        let cases = [
            (Method::POST, "/1.1/login", json!({ "username": nul, "password": "x" }), "username"),
            (Method::POST, "/1.1/users", json!({ "username": nul, "password": "long enough" }), "username"),
            (Method::POST, "/1.1/users", json!({ "authData": { "weibo": { "uid": nul } } }), "authData.weibo.uid"),
            (Method::POST, "/1.1/classes/Diary", json!({ "lines": ["", { "text": nul }] }), "lines[1].text"),
            (Method::POST, "/1.1/classes/Diary", json!({ nul: 1 }), "the name of a field"),
            (Method::POST, "/1.1/batch", json!({ "requests": [{ "body": { "x": nul } }] }), "requests[0].body.x"),
            (Method::POST, "/1.2/rtm/conversations", json!({ "name": nul }), "name"),
            (Method::GET, "/1.1/classes/Diary?order=a%00", Value::Null, "order"),
            (Method::GET, "/1.2/rtm/conversations?where=%00", Value::Null, "where"),
        ];
        for (method, path, body, place) in cases {
            let request = world.http.request(method, path, &As::Integrator);
            let request = if body.is_null() { request } else { request.json(&body) };
            // Parameters are looked at before it is known whose they are.
            let code = if body.is_null() { 142 } else { 111 };
            let told = Told::of(request.send().unwrap());
            assert_eq!((told.status, &told.code), (400, &json!(code)), "{path}: {}", told.text);
            told.says(place).says("U+0000");
        }
        let filter = "/1.1/classes/Diary?where=%7B%22a%22%3A%22%5Cu0000%22%7D";
        let get = |path: &str| Told::of(world.http.request(Method::GET, path, &As::Integrator).send().unwrap());
        get(filter).is(400, 111).says("U+0000");
        get("/1.1/classes/Di%00ary").is(400, 142).says("path");
    }
}

#[test]
fn one_of_two_is_asked_for_when_a_phone_is_to_be_shown() {
    let world = World::new();
    let admin = create_admin(&world.deployment);
    let admin = world.http.sign_in_staff(&admin.0, &admin.1);
    let path = "/api/v1/admin/phones/reveal";
    for body in [json!({}), json!({ "patientId": patient_id(0), "doctorId": doctor_id(0) })] {
        world.send_json(path, &admin, &body).is(400, "request.invalid").says("patientId").says("doctorId");
    }
    world.send_json(path, &admin, &json!({ "doctorId": ABSENT })).is(404, "doctor.not_found");
    let shown = world.http.post(path, &admin, &json!({ "patientId": patient_id(0) }));
    assert_eq!((shown.status, &shown.body["phone"]), (200, &json!(patient_phone(0))));
}

#[test]
fn unknown_people_functions_and_paths_are_named() {
    let world = World::new();
    for (field, code) in [("doctorId", "doctor.not_found"), ("patientId", "patient.not_found")] {
        let mut body = right_body();
        body[field] = json!(ABSENT);
        world.send_json(NATIVE, &As::App, &body).is(404, code).says(ABSENT);
        world.send_json(FUNCTION, &As::App, &body).is(404, 101).says(code).says(ABSENT);
    }
    world.send_json("/1.1/functions/other", &As::App, &json!({})).is(404, 1).says("No such cloud function");
    world.send_json("/1.1/classes/Doctor", &As::App, &json!({})).is(403, 403);
    world.send_json("/1.1/nothing", &As::App, &json!({})).is(404, 101);
    world.send_json("/api/v1/nothing", &As::App, &json!({})).is(404, "request.unknown_path");
    let path = format!("{NATIVE}/{ABSENT}");
    let told = Told::of(world.http.request(Method::GET, &path, &As::Integrator).send().unwrap());
    told.is(404, "consultation.not_found").says(ABSENT);
}

#[test]
fn a_wrong_method_is_told_with_the_right_ones() {
    let world = World::new();
    let answer = world.http.request(Method::DELETE, NATIVE, &As::Integrator).send().unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(answer.headers()["allow"], "GET, POST");
    Told::of(answer).is(405, "request.method_not_allowed");
}

#[test]
fn a_wrong_content_type_is_refused_by_the_native_api_only() {
    let world = World::new();
    let send = |path: &str| {
        let request = world.post(path, &As::App).header("content-type", "text/csv");
        request.body(right_body().to_string()).send().unwrap()
    };
    Told::of(send(NATIVE)).is(415, "request.unsupported_media");
    // LeanCloud's clients in browsers send text/plain to be spared a preflight.
    assert_eq!(send(FUNCTION).status(), StatusCode::OK);
}

#[test]
fn a_body_over_the_limit_is_told_with_the_limit() {
    let world = World::new();
    let body_of = |bytes: usize| format!("{{\"x\":\"{}\"}}", "a".repeat(bytes - 8));
    for (path, too_large, at_limit) in
        [(NATIVE, json!("request.too_large"), json!("request.invalid")), (FUNCTION, json!(413), json!(142))]
    {
        world.send_text(path, body_of(MAX_BODY_BYTES + 1)).is(413, too_large).says("at most 1048576 bytes");
        world.send_text(path, body_of(MAX_BODY_BYTES)).is(400, at_limit);
    }
}

#[test]
fn wrong_and_missing_application_credentials_are_401_in_every_form() {
    let world = World::new();
    let forms: &[&[(&str, &str)]] = &[
        &[],
        &[("x-lc-id", APP_ID)],
        &[("x-lc-key", APP_KEY)],
        &[("x-lc-id", APP_ID), ("x-lc-key", "nope")],
        &[("x-lc-id", "nope"), ("x-lc-key", APP_KEY)],
        &[("x-lc-id", APP_ID), ("x-lc-key", "")],
        &[("x-lc-id", APP_ID), ("x-lc-key", "nope,master")],
        // The client's key is not the master key, nor the other way round.
        &[("x-lc-id", APP_ID), ("x-lc-key", &format!("{APP_KEY},master"))],
        &[("x-lc-id", APP_ID), ("x-lc-key", MASTER_KEY)],
        &[("x-lc-id", APP_ID), ("x-lc-sign", "d41d8cd98f00b204e9800998ecf8427e,1450000000000")],
        &[("x-lc-id", APP_ID), ("x-lc-sign", "garbage")],
    ];
    for headers in forms {
        for path in [NATIVE, FUNCTION] {
            let request =
                headers.iter().fold(world.post(path, &As::Nobody), |r, (name, value)| r.header(*name, *value));
            let told = Told::of(request.json(&right_body()).send().unwrap());
            match (path, headers.is_empty()) {
                (FUNCTION, _) => told.is(401, 401).says("Unauthorized."),
                (_, true) => told.is(401, "access.unauthenticated"),
                (_, false) => told.is(401, "app.unauthorized"),
            };
        }
    }
}

#[test]
fn application_credentials_alone_start_a_consultation_on_both_surfaces() {
    let world = World::new();
    let started = world.http.post(NATIVE, &As::App, &right_body());
    assert_eq!((started.status, &started.body["isOld"]), (201, &json!(false)), "{started:?}");
    let again = world.http.initiate(&doctor_id(0), &patient_id(0));
    assert_eq!((again.status, &again.body["result"]["isOld"]), (200, &json!(true)), "{again:?}");
    assert_eq!(again.body["result"]["consultationId"], started.body["consultationId"]);
    assert_eq!(world.http.post(NATIVE, &As::App, &right_body()).status, 200);
}

#[test]
fn a_session_that_is_not_valid_any_more_is_refused_on_both_surfaces() {
    let world = World::new();
    let As::Session(ended) = world.http.sign_in(&patient_phone(0), "patient") else { panic!("a session") };
    let with_session = |path: &str, token: &str| {
        world.post(path, &As::App).header("x-lc-session", token).json(&right_body()).send().unwrap()
    };
    assert_eq!(with_session(FUNCTION, &ended).status(), StatusCode::OK);
    let signed_out = world.http.post("/api/v1/auth/sign-out", &As::Session(ended.clone()), &json!({}));
    assert_eq!(signed_out.status, 204, "{signed_out:?}");
    let long = "x".repeat(5_000);
    for token in [ended.as_str(), "garbage", "", &long] {
        Told::of(with_session(FUNCTION, token)).is(403, 403).says("not valid any more");
        Told::of(with_session(NATIVE, token)).is(401, "session.not_valid");
    }
    let bearer = world.post(NATIVE, &As::Session("garbage".into())).json(&right_body()).send().unwrap();
    Told::of(bearer).is(401, "session.not_valid");
    let me = world.http.request(Method::GET, "/api/v1/me", &As::Session(ended.clone())).send().unwrap();
    Told::of(me).is(401, "session.not_valid");
    // Beside the master key a session says nothing.
    for path in [FUNCTION, NATIVE] {
        let request = world.post(path, &As::Integrator).header("x-lc-session", &ended);
        assert_eq!(request.json(&right_body()).send().unwrap().status(), StatusCode::OK);
    }
}

#[test]
fn an_expired_session_is_refused_like_an_ended_one() {
    let deployment =
        Deployment::new(Database::Sqlite).with("session.staff_lifetime", "2s").with("session.renew_after", "1s");
    let (name, password) = create_admin(&deployment);
    let api = deployment.start_api();
    let http = Http::new(&api);
    let As::Session(idle) = http.sign_in_staff(&name, &password) else { panic!("a session") };
    let used = http.sign_in_staff(&name, &password);
    let sessions = || {
        let listed = http.get("/api/v1/auth/sessions", &used);
        assert_eq!(listed.status, 200, "use keeps a session alive: {listed:?}");
        listed.body["items"].as_array().unwrap().len()
    };
    assert_eq!(sessions(), 2);
    let started = Instant::now();
    while sessions() > 1 {
        assert!(started.elapsed() < Duration::from_secs(20), "the session does not expire");
    }
    let me = http.request(Method::GET, "/api/v1/me", &As::Session(idle.clone())).send().unwrap();
    Told::of(me).is(401, "session.not_valid");
    let call = http.request(Method::POST, FUNCTION, &As::App).header("x-lc-session", idle);
    Told::of(call.json(&right_body()).send().unwrap()).is(403, 403).says("not valid any more");
}

#[test]
fn somebody_elses_session_is_403_on_both_surfaces() {
    let deployment = Deployment::new(Database::Sqlite);
    populate(&deployment, 1, 2);
    let api = deployment.start_api();
    let http = Http::new(&api);
    let As::Session(other) = http.sign_in(&patient_phone(1), "patient") else { panic!("a session") };
    let send = |path: &str| {
        let request = http.request(Method::POST, path, &As::App).header("x-lc-session", &other);
        Told::of(request.json(&right_body()).send().unwrap())
    };
    send(FUNCTION).is(403, 403).says("access.forbidden");
    send(NATIVE).is(403, "access.forbidden");
}

#[test]
fn a_session_is_asked_for_on_both_surfaces_when_it_is_obligatory() {
    let deployment = Deployment::new(Database::Sqlite).with("leancloud.require_session", "true");
    populate(&deployment, 1, 1);
    let api = deployment.start_api();
    let http = Http::new(&api);
    for path in [FUNCTION, NATIVE] {
        assert_eq!(http.post(path, &As::App, &right_body()).status, 401, "{path}");
        assert_eq!(http.post(path, &As::Integrator, &right_body()).status / 100, 2, "{path}");
    }
}

/// What a command printed that did not succeed.
#[track_caller]
fn failure(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success(), "it succeeded\n{text}");
    assert!(!text.contains("panicked"), "{text}");
    text
}

#[track_caller]
fn assert_tells(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}

#[test]
fn a_corrupt_line_of_an_export_is_named_and_the_others_come_in() {
    let deployment = Deployment::new(Database::Sqlite);
    populate(&deployment, 1, 2);
    let file = deployment.path().join("export/Patients.0.jsonl");
    let mut text = fs::read_to_string(&file).unwrap();
    let row = json!({ "objectId": patient_id(7), "name": "患者七", "createdAt": "2020-01-01T00:00:00.000Z" });
    text = format!("{text}{{\"objectId\": \"5d0000000000\n{row}\n");
    fs::write(&file, text).unwrap();
    let printed = deployment.run_ok(&["import-leancloud", "export", "--findings", "findings.jsonl"]);
    assert_tells(&printed, &["Patients.0.jsonl:4: the line is not JSON; row skipped", "findings.jsonl"]);
    let findings = fs::read_to_string(deployment.path().join("findings.jsonl")).unwrap();
    let first: Value = serde_json::from_str(findings.lines().next().unwrap()).unwrap();
    assert_eq!((&first["file"], &first["line"]), (&json!("Patients.0.jsonl"), &json!(4)), "{findings}");
    assert_eq!((&first["problem"], &first["isSkipped"]), (&json!("not_json"), &json!(true)), "{findings}");
    let api = deployment.start_api();
    let found = Http::new(&api).get(&format!("/api/v1/patients/{}", patient_id(7)), &As::Integrator);
    assert_eq!(found.status, 200, "the row after the corrupt one came in");
}

#[test]
fn a_missing_or_empty_export_is_named() {
    let deployment = Deployment::new(Database::Sqlite);
    let missing = failure(&deployment.run(&["import-leancloud", "no/such/folder"]));
    assert_tells(&missing, &["no/such/folder cannot be read"]);
    fs::create_dir(deployment.path().join("empty")).unwrap();
    let empty = failure(&deployment.run(&["import-leancloud", "empty"]));
    assert_tells(&empty, &["empty holds no rows of a LeanCloud export"]);
}

#[test]
fn an_unreachable_database_is_named_without_its_password() {
    let port = tests::server::free_port();
    let address = format!("127.0.0.1:{port}");
    let url = format!("postgres://somebody:not-to-be-shown@{address}/zhaoguan");
    let deployment =
        Deployment::new(Database::Sqlite).with("database.url", &url).with("database.acquire_timeout", "500ms");
    for command in ["serve", "migrate", "check"] {
        let text = failure(&deployment.run(&[command]));
        assert_tells(&text, &[&address]);
        assert!(!text.contains("not-to-be-shown"), "{text}");
    }
    let deployment = Deployment::new(Database::Sqlite).with("database.url", "mysql://u:not-to-be-shown@h/x");
    let text = failure(&deployment.run(&["serve"]));
    assert_tells(&text, &["database.url", "sqlite://", "postgres://"]);
    assert!(!text.contains("not-to-be-shown"), "{text}");
}

#[test]
fn unknown_keys_and_bad_values_of_the_configuration_are_named_with_their_origin() {
    let cases = [
        ("http.listn", "127.0.0.1:0", &["http.listn is not a known key", "ZHAOGUAN__HTTP__LISTN"]),
        ("http.listen", "abc", &["http.listen", "ZHAOGUAN__HTTP__LISTEN"]),
        ("worker.poll", "fast", &["worker.poll", "ZHAOGUAN__WORKER__POLL"]),
        ("profile", "staging", &["profile", "development, production"]),
        ("http.max_body_bytes", "0", &["http.max_body_bytes", "ZHAOGUAN__HTTP__MAX_BODY_BYTES"]),
    ];
    for (key, value, parts) in cases {
        let deployment = Deployment::new(Database::Sqlite).with(key, value);
        assert_tells(&failure(&deployment.run(&["serve"])), parts);
    }
    let deployment = Deployment::new(Database::Sqlite);
    fs::write(deployment.path().join("wrong.toml"), "[http]\nlissten = \"127.0.0.1:0\"\n").unwrap();
    let text = failure(&deployment.run(&["--config", "wrong.toml", "serve"]));
    assert_tells(&text, &["http.lissten is not a known key", "wrong.toml"]);
    fs::write(deployment.path().join("broken.toml"), "[http\n").unwrap();
    assert_tells(&failure(&deployment.run(&["--config", "broken.toml", "serve"])), &["broken.toml", "line 1"]);
    assert_tells(&failure(&deployment.run(&["--config", "none.toml", "serve"])), &["none.toml"]);
}

#[test]
fn weak_secrets_are_refused_in_production_all_at_once_and_not_shown() {
    let deployment = Deployment::new(Database::Sqlite)
        .with("profile", "production")
        .with("app.key", "changeme")
        .with("app.master_key", "changeme")
        .with("security.secret", &"a".repeat(40));
    let text = failure(&deployment.run(&["serve"]));
    assert_tells(&text, &["app.key is too easy", "app.master_key is too easy", "security.secret is too easy"]);
    assert_tells(&text, &["app.master_key must not be the same as app.key", "http.public_url must be set"]);
    assert!(!text.contains("changeme") && !text.contains("aaaaaaaa"), "{text}");
}

#[test]
fn an_address_in_use_is_named() {
    let world = World::new();
    let deployment = Deployment::new(Database::Sqlite).with("http.listen", &world.api.address);
    let text = failure(&deployment.run(&["serve"]));
    assert_tells(&text, &["http.listen", &world.api.address, "cannot be listened at"]);
}

#[test]
fn only_generated_credentials_are_shown_and_only_once() {
    let deployment = Deployment::new(Database::Sqlite);
    let printed = deployment.run_ok(&["create-admin", "first-admin"]);
    assert!(!printed.contains(MASTER_KEY) && !printed.contains("app."), "configured ones are not shown\n{printed}");
    let deployment = Deployment::new(Database::Sqlite).with("app.key", "");
    let printed = deployment.run_ok(&["create-admin", "first-admin"]);
    assert!(printed.contains("app.key") && !printed.contains("app.master_key"), "{printed}");
    assert!(!deployment.run_ok(&["create-admin", "second-admin"]).contains("app.key"));
}
