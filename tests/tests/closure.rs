//! Closing an account: who closed it is gone for everybody, their number and WeChat identity begin anew, what was said
//! stays with the other side.

use reqwest::Method;
use serde_json::{Value, json};
use tests::load::export::{doctor_id, doctor_phone, patient_id, patient_phone};
use tests::server::{Api, Database, Deployment};
use tests::socket::Socket;
use tests::waiting::wait_for;
use tests::wechat::{Platform, WithWechat};
use tests::world::{Answer, As, Http, populate, violations};

struct World {
    deployment: Deployment,
    api: Api,
    http: Http,
    admin: As,
    platform: Platform,
}

impl World {
    fn new(database: Database) -> Self {
        let started = WithWechat::start(Deployment::new(database), |deployment| populate(deployment, 2, 2));
        let WithWechat { deployment, api, http, admin, platform } = started;
        Self { deployment, api, http, admin, platform }
    }

    /// Starts a consultation of the first doctor with the first patient; answers its id.
    fn initiate(&self) -> String {
        let started = self.http.initiate(&doctor_id(0), &patient_id(0)).body;
        started["result"]["consultationId"].as_str().unwrap_or_else(|| panic!("{started}")).to_owned()
    }

    /// The consultation once it has ended.
    fn ended(&self, id: &str, who: &As) -> Value {
        wait_for("the consultation to end", || {
            let found = self.http.get(&format!("/api/v1/consultations/{id}"), who);
            assert_eq!(found.status, 200, "{found:?}");
            (found.body["status"] == "2").then_some(found.body)
        })
    }

    fn close(&self, who: &As) -> Answer {
        self.http.post("/api/v1/me/close", who, &json!({}))
    }

    fn total(&self, path: &str, who: &As) -> usize {
        let listed = self.http.get(path, who);
        listed.body["items"].as_array().unwrap_or_else(|| panic!("{listed:?}")).len()
    }

    /// Signs a patient in by the mini-program alone; answers the account.
    fn sign_in_by_wechat(&self, openid: &str) -> Value {
        let body = json!({ "app": "patient", "code": self.platform.login("patient", openid, None) });
        let answer = self.http.post("/api/v1/auth/sign-in/wechat", &As::Nobody, &body);
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.body
    }
}

#[test]
fn a_patient_who_closes_their_account_is_gone_and_may_begin_anew() {
    for database in Database::available() {
        let world = World::new(database);
        let http = &world.http;
        let doctor = http.sign_in(&doctor_phone(0), "doctor");
        let patient = http.sign_in(&patient_phone(0), "patient");
        let consultation = world.initiate();
        let relations = format!("/api/v1/doctors/{}/relations", doctor_id(0));
        assert_eq!(world.total(&relations, &doctor), 1);
        let (mut socket, _) = Socket::open(&world.api, &patient);

        let closed = world.close(&patient);
        assert_eq!(closed.status, 204, "{closed:?}");
        socket.expect("bye");
        assert_eq!(http.get("/api/v1/me", &patient).body["code"], "session.not_valid");
        let ended = world.ended(&consultation, &doctor);
        assert_eq!((&ended["endReason"], &ended["isInvalid"]), (&json!("account_closed"), &json!(false)));
        assert_eq!(world.total(&relations, &doctor), 0);
        let refused = http.initiate(&doctor_id(0), &patient_id(0));
        assert_eq!((refused.status, &refused.body["code"]), (404, &json!(101)), "{refused:?}");

        let record = http.get(&format!("/api/v1/patients/{}", patient_id(0)), &world.admin).body;
        assert!(record["closedAt"].is_string() && record.get("phone").is_none(), "{record}");
        let path = "/api/v1/admin/audit-events?action=account.close";
        let events = http.get(path, &world.admin).body;
        let event = &events["items"][0];
        assert_eq!(event["detail"]["patient"], json!(patient_id(0)), "{events}");
        assert!(!event.to_string().contains(&patient_phone(0)), "{event}");
        assert_eq!(violations(&world.deployment), Vec::<Value>::new());
    }
}

#[test]
fn number_and_wechat_identity_of_a_closed_account_begin_anew() {
    let world = World::new(Database::Sqlite);
    let first = world.sign_in_by_wechat("openid-of-somebody");
    let session = As::Session(first["token"].as_str().unwrap().to_owned());
    assert_eq!(world.close(&session).status, 204);
    let second = world.sign_in_by_wechat("openid-of-somebody");
    assert_eq!(second["isNew"], json!(true), "{second}");
    assert_ne!(second["patientId"], first["patientId"]);
    let again = As::Session(second["token"].as_str().unwrap().to_owned());
    assert_eq!(world.http.get("/api/v1/me/wechat/session?app=patient", &again).body["isValid"], json!(true));
}

#[test]
fn an_administrator_closes_a_doctors_account_with_a_reason() {
    let world = World::new(Database::Sqlite);
    let http = &world.http;
    let patient = http.sign_in(&patient_phone(0), "patient");
    let doctor = http.sign_in(&doctor_phone(0), "doctor");
    let consultation = world.initiate();
    let path = format!("/api/v1/admin/doctors/{}/close", doctor_id(0));
    assert_eq!(http.post(&path, &world.admin, &json!({})).body["errors"][0]["field"], "reason");
    for _ in 0..2 {
        assert_eq!(http.post(&path, &world.admin, &json!({ "reason": "已离职" })).status, 204);
    }
    assert_eq!(http.get("/api/v1/me", &doctor).body["code"], "session.not_valid");
    let ended = world.ended(&consultation, &patient);
    assert_eq!((&ended["endReason"], &ended["isInvalid"]), (&json!("account_closed"), &json!(true)));
    let card = http.get(&format!("/api/v1/doctors/{}/card", doctor_id(0)), &patient);
    assert_eq!((card.status, &card.body["code"]), (404, &json!("doctor.not_found")));
    let listed = http.get("/api/v1/doctors", &patient).body.to_string();
    assert!(!listed.contains(&doctor_id(0)) && listed.contains(&doctor_id(1)), "{listed}");
    assert_eq!(world.total(&format!("/api/v1/patients/{}/relations", patient_id(0)), &patient), 0);
    let refused =
        http.post("/api/v1/consultations", &patient, &json!({ "doctorId": doctor_id(0), "patientId": patient_id(0) }));
    assert_eq!((refused.status, &refused.body["code"]), (404, &json!("doctor.not_found")));
    let found = Answer::of(http.request(Method::GET, "/1.1/classes/Doctor", &As::App).send().unwrap()).body.to_string();
    assert!(!found.contains(&doctor_id(0)) && found.contains(&doctor_id(1)), "{found}");
}
