//! Phone numbers: people are found by them, and neither the database nor the logs tell one.

use std::fmt::Write as _;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};
use tests::secrecy::{columns_of, logs_of, shows};
use tests::server::{Database, Deployment};
use tests::waiting::wait_for;
use tests::wechat::{Platform, WithWechat};
use tests::world::{Answer, As, Http};

/// A doctor and a patient of the sample, the patient's number, and what the sample says of all of its patients.
const DOCTOR: &str = "5daeb07b7b968a0074945056";
const PATIENT: &str = "5db2cf72f884af0073deb1bc";
const PATIENT_PHONE: &str = "13900000000";
const IMPORTED: [&str; 4] = [PATIENT_PHONE, "13900000007", "13900000019", "13800000001"];
const IMPORTED_SECRETS: [&str; 2] = ["6spsc3lkr2aqxv9upctnwlavy", "c2Vzc2lvbg"];

struct World {
    http: Http,
    admin: As,
    platform: Platform,
    /// Every number and secret that was brought in.
    brought: Vec<String>,
}

impl World {
    fn number(&mut self, number: &str) -> String {
        self.brought.push(number.to_owned());
        number.to_owned()
    }

    fn wechat_sign_in(&self, openid: &str, phone: Option<&str>) -> As {
        let mut body = json!({ "app": "patient", "code": self.platform.login("patient", openid, None) });
        if let Some(phone) = phone {
            body["phoneCode"] = self.platform.phone("patient", phone);
        }
        let answer = self.http.post("/api/v1/auth/sign-in/wechat", &As::Nobody, &body);
        assert_eq!(answer.status, 201, "{}", answer.body);
        As::Session(answer.body["token"].as_str().unwrap().to_owned())
    }

    /// The code that was sent to a number last.
    fn code_sent_to(&self, phone: &str) -> Value {
        let inbox = self.http.get("/api/v1/dev/sms", &As::Nobody).body;
        let is_it = |m: &&Value| m["phone"].as_str().unwrap().ends_with(phone) && m["code"].is_string();
        inbox["items"].as_array().unwrap().iter().find(is_it).unwrap()["code"].clone()
    }

    /// As LeanCloud's SDK does it.
    fn leancloud_sign_in(&self, phone: &str) -> Answer {
        let asked = self.http.post("/1.1/requestSmsCode", &As::App, &json!({ "mobilePhoneNumber": phone }));
        assert_eq!(asked.status, 200, "{}", asked.body);
        let answer = json!({ "mobilePhoneNumber": phone, "smsCode": self.code_sent_to(phone) });
        self.http.post("/1.1/usersByMobilePhone", &As::App, &answer)
    }

    /// What a query of the master key answers.
    fn query(&self, class: &str, filter: &Value, more: &str) -> Answer {
        let filter = filter.to_string().bytes().fold(String::new(), |mut text, byte| {
            write!(text, "%{byte:02X}").unwrap();
            text
        });
        self.http.get(&format!("/1.1/classes/{class}?where={filter}{more}"), &As::Integrator)
    }

    fn found(&self, class: &str, filter: &Value) -> usize {
        let answer = self.query(class, filter, "");
        assert_eq!(answer.status, 200, "{filter} {}", answer.body);
        answer.body["results"].as_array().unwrap().len()
    }
}

#[test]
fn numbers_are_found_and_stand_nowhere_to_be_read() {
    for database in Database::available() {
        nowhere_to_be_read(database);
    }
}

fn nowhere_to_be_read(database: Database) {
    let deployment = Deployment::new(database).with("log.filter", "debug");
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../demo/leancloud-export");
    let sample = sample.display().to_string();
    let started = WithWechat::start(deployment, |deployment| {
        deployment.run_ok(&["import-leancloud", &sample]);
    });
    let WithWechat { deployment, api, http, admin, platform } = started;
    let brought = IMPORTED.iter().chain(&IMPORTED_SECRETS).map(ToString::to_string).collect();
    let mut world = World { http, admin, platform, brought };

    accounts_of_numbers(&mut world);
    people_are_found_by_their_numbers(&world);
    staff_and_messages(&mut world);

    let metrics = world.http.request(Method::GET, "/metrics", &As::Nobody).send().unwrap().text().unwrap();
    drop(api);
    let (columns, logs) = (columns_of(&deployment), logs_of(&deployment));
    assert!(shows(&columns, "兆观") && logs.contains("serving"), "what is no secret is found");
    for number in &world.brought {
        for (place, text) in [("the database", &columns), ("the log", &logs), ("the metrics", &metrics)] {
            assert!(!shows(text, number), "{place} shows {number}");
        }
    }

    // Who starts it with another secret is told, and the database stays as it is.
    let other = ["security.secret", "another-secret-of-more-than-32-characters"];
    for arguments in [&["serve"][..], &["check"], &["migrate"]] {
        let output = deployment.run_with(arguments, other);
        let told = [output.stdout, output.stderr].concat();
        let told = String::from_utf8_lossy(&told);
        assert!(!output.status.success() && told.contains("security.secret"), "{arguments:?}: {told}");
        assert!(told.contains("is not that of this database"), "{arguments:?}: {told}");
    }
    let api = deployment.start_api();
    assert_eq!(Http::new(&api).get("/api/v1/me", &world.admin).status, 200);
}

/// Every way in which an account comes to a number or a name.
fn accounts_of_numbers(world: &mut World) {
    // The imported patient by text message, and a new one.
    let patient = world.http.sign_in(PATIENT_PHONE, "patient");
    let me = world.http.get("/api/v1/me", &patient).body;
    assert_eq!((&me["patient"]["objectId"], &me["user"]["phone"]), (&json!(PATIENT), &json!("+8613900000000")), "{me}");
    let newcomer = world.number("13712340001");
    let newcomer = world.http.sign_in(&newcomer, "patient");
    assert_eq!(world.http.get("/api/v1/me", &newcomer).body["user"]["username"], "13712340001");

    // A LeanCloud client: again the imported one, and a new one who is named by the number.
    let again = world.leancloud_sign_in(IMPORTED[1]);
    assert_eq!((again.status, &again.body["username"]), (200, &json!(IMPORTED[1])), "{}", again.body);
    let phone = world.number("13712340002");
    let made = world.leancloud_sign_in(&phone);
    assert_eq!((made.status, &made.body["mobilePhoneNumber"]), (201, &json!(phone)), "{}", made.body);
    let token = made.body["sessionToken"].as_str().unwrap();
    // A field of its own that is called like one of ours.
    let own = world.number("13712340003");
    let path = format!("/1.1/users/{}", made.body["objectId"].as_str().unwrap());
    let put = world.http.request(Method::PUT, &path, &As::App).header("X-LC-Session", token);
    let put = Answer::of(put.json(&json!({ "phone": own, "nick": "小王" })).send().unwrap());
    assert_eq!(put.status, 200, "{}", put.body);
    assert_eq!(
        (world.found("_User", &json!({ "phone": own })), world.found("_User", &json!({ "nick": "小王" }))),
        (1, 1)
    );
    // One who chose a name and a password.
    let name = world.number("13712340004");
    let signed_up = world.http.post("/1.1/users", &As::App, &json!({ "username": name, "password": "six-letters" }));
    assert_eq!(signed_up.status, 201, "{}", signed_up.body);
    let again = world.http.post("/1.1/users", &As::App, &json!({ "username": name, "password": "six-letters" }));
    assert_eq!(again.body["code"], 202, "{}", again.body);
    let login = world.http.post("/1.1/login", &As::App, &json!({ "username": name, "password": "six-letters" }));
    assert_eq!(login.status, 200, "{}", login.body);

    // Through WeChat: with the sign-in, and bound afterwards; a number is one account's.
    let phone = world.number("13712340005");
    world.wechat_sign_in("wx-1", Some(&phone));
    let person = world.wechat_sign_in("wx-2", None);
    let bind = |world: &World, phone: &str| {
        let body = json!({ "app": "patient", "code": world.platform.phone("patient", phone) });
        Answer::of(world.http.request(Method::PUT, "/api/v1/me/phone/wechat", &person).json(&body).send().unwrap())
    };
    let phone = world.number("13712340006");
    assert_eq!(bind(world, &phone).body["phone"], "+8613712340006");
    assert_eq!(bind(world, "13712340005").body["code"], "phone.taken");
}

fn people_are_found_by_their_numbers(world: &World) {
    let of_doctor = |text: &str| {
        let path = format!("/api/v1/doctors/{DOCTOR}/relations?text={text}");
        world.http.get(&path, &world.admin).body["items"].as_array().unwrap().len()
    };
    let started = world.http.initiate(DOCTOR, PATIENT);
    assert_eq!(started.status, 200, "{}", started.body);
    assert_eq!((of_doctor(PATIENT_PHONE), of_doctor("1390000000"), of_doctor("13900000000000")), (1, 0, 0));

    // The master key asks for what a field equals; more is refused, and said.
    assert_eq!(world.found("Patients", &json!({ "phone": PATIENT_PHONE })), 1);
    assert_eq!(world.found("_User", &json!({ "mobilePhoneNumber": { "$in": [PATIENT_PHONE, "13712340002"] } })), 2);
    assert_eq!(world.found("_User", &json!({ "username": PATIENT_PHONE })), 1);
    let users = world.query("_User", &json!({ "mobilePhoneNumber": PATIENT_PHONE }), "").body;
    assert_eq!(users["results"][0]["mobilePhoneNumber"], PATIENT_PHONE, "{users}");
    for (filter, more) in [(json!({ "phone": { "$regex": "^139" } }), ""), (json!({}), "&order=-phone")] {
        let refused = world.query("Patients", &filter, more);
        assert_eq!((refused.status, &refused.body["code"]), (400, &json!(107)), "{}", refused.body);
        assert!(refused.body["error"].as_str().unwrap().contains("'phone' is kept sealed"), "{}", refused.body);
    }
    let revealed = world.http.post("/api/v1/admin/phones/reveal", &world.admin, &json!({ "patientId": PATIENT }));
    assert_eq!(revealed.body["phone"], PATIENT_PHONE, "{}", revealed.body);
}

fn staff_and_messages(world: &mut World) {
    // An agent who is named by a number.
    let name = world.number("13712340007");
    let new = json!({ "username": name, "displayName": "客服", "role": "agent" });
    let made = world.http.post("/api/v1/admin/agents", &world.admin, &new);
    assert_eq!(made.status, 201, "{}", made.body);
    world.http.sign_in_staff(&name, made.body["password"].as_str().unwrap());

    // An administrator's test message, sent twice under one key; numbers are unlocked by what they are.
    let phone = world.number("13712340008");
    let body = json!({ "phone": phone });
    let ids = [0, 1].map(|_| {
        let test = world.http.request(Method::POST, "/api/v1/admin/sms/test-messages", &world.admin);
        let sent = Answer::of(test.header("Idempotency-Key", "test-1").json(&body).send().unwrap());
        assert_eq!(sent.status, 201, "{}", sent.body);
        sent.body["objectId"].as_str().unwrap().to_owned()
    });
    assert_eq!(ids[0], ids[1], "the answer that was kept");
    let unlocked = world.http.post("/api/v1/admin/phones/unlock", &world.admin, &body);
    assert!((200..300).contains(&unlocked.status), "{}", unlocked.body);
    // The notice of the consultation that was begun goes out to the doctor.
    wait_for("the messages to be sent", || {
        let sent = world.http.get("/api/v1/admin/sms/messages", &world.admin).body;
        let mut sent = sent["items"].as_array()?.iter().filter(|message| message["template"] == "new_message");
        sent.any(|message| message["objectId"] == ids[0].as_str()).then_some(())
    });
}
