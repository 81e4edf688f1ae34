//! People of mini-programs: LeanCloud's sign-in beside the native one, and what they write, looked at before it is passed
//! on, withdrawn after it was, and kept from nobody whom the platform does not know.

use serde_json::{Value, json};
use tests::load::export::{doctor_id, doctor_phone, patient_id, patient_phone};
use tests::server::{Api, Database, Deployment};
use tests::waiting::wait_for;
use tests::wechat::{Platform, WithWechat};
use tests::world::{Answer, As, Http, populate};

/// What the stand-in takes for a risk.
const RISKY: &str = "代开发票";

struct World {
    deployment: Deployment,
    _api: Api,
    http: Http,
    admin: As,
    platform: Platform,
}

impl World {
    fn new(database: Database, settings: &[(&str, &str)]) -> Self {
        let deployment = settings.iter().fold(Deployment::new(database), |d, (name, value)| d.with(name, value));
        let started = WithWechat::start(deployment, |deployment| populate(deployment, 1, 2));
        let WithWechat { deployment, api, http, admin, platform } = started;
        Self { deployment, _api: api, http, admin, platform }
    }

    fn sign_in(&self, app: &str, openid: &str, phone: &str) -> As {
        let (code, number) = (self.platform.login(app, openid, None), self.platform.phone(app, phone));
        let body = json!({ "app": app, "code": code, "phoneCode": number });
        let answer = self.http.post("/api/v1/auth/sign-in/wechat", &As::Nobody, &body);
        assert_eq!(answer.status, 201, "{}", answer.body);
        As::Session(answer.body["token"].as_str().unwrap().to_owned())
    }

    /// As LeanCloud's SDK signs in.
    fn legacy(&self, weapp: &Value) -> Answer {
        self.http.post("/1.1/users", &As::App, &json!({ "authData": { "lc_weapp": weapp } }))
    }

    /// The dialog of a consultation of the first doctor with the first patient.
    fn dialog(&self) -> String {
        let started = self.http.initiate(&doctor_id(0), &patient_id(0)).body;
        let consultation = started["result"]["consultationId"].as_str().unwrap();
        let found = self.http.get(&format!("/api/v1/consultations/{consultation}"), &self.admin).body;
        found["idDialog"].as_str().unwrap().to_owned()
    }

    fn send(&self, dialog: &str, who: &As, name: &str, text: &str) -> Answer {
        let body = json!({ "clientMessageId": name, "type": "text", "content": { "text": text } });
        self.http.post(&format!("/api/v1/conversations/{dialog}/messages"), who, &body)
    }

    fn messages(&self, dialog: &str) -> Vec<Value> {
        let found = self.http.get(&format!("/api/v1/conversations/{dialog}/messages"), &self.admin).body;
        found["items"].as_array().unwrap().clone()
    }

    fn message(&self, dialog: &str, name: &str) -> Option<Value> {
        self.messages(dialog).into_iter().find(|m| m["clientMessageId"] == name)
    }

    fn checks(&self, state: &str) -> Vec<Value> {
        let path = format!("/api/v1/admin/wechat/content-checks?state={state}");
        self.http.get(&path, &self.admin).body["items"].as_array().unwrap().clone()
    }
}

#[test]
fn leancloud_clients_and_native_ones_of_a_person_are_one_account() {
    for database in Database::available() {
        let world = World::new(database, &[]);
        let native = world.sign_in("patient", "wx-1", "13700000001");
        let me = world.http.get("/api/v1/me", &native).body;
        let first = world.legacy(&json!({ "code": world.platform.login("patient", "wx-1", None) }));
        assert_eq!(first.status, 200, "an account that was there: {}", first.body);
        assert_eq!(first.body["objectId"], me["user"]["objectId"], "{me}");
        assert_eq!(first.body["authData"]["lc_weapp"]["openid"], "wx-1");
        assert_eq!(first.body["authData"]["lc_weapp"].get("session_key"), None, "it stays here unless it is asked for");
        let used = world.legacy(&json!({ "code": "no-such-code" }));
        assert_eq!((used.status, used.body["code"].clone()), (400, json!(252)), "{}", used.body);

        // A new person, known across both mini-programs by the union's id.
        let union = |app: &str, openid: &str| {
            let code = world.platform.login(app, openid, Some("union-2"));
            world.legacy(&json!({ "code": code, "platform": "weixin", "main_account": true }))
        };
        let made = union("patient", "wx-2");
        assert_eq!(made.status, 201, "{}", made.body);
        assert_eq!(made.body["authData"]["_weixin_unionid"], json!({ "uid": "union-2" }));
        let again = union("doctor", "wx-2-of-doctors");
        assert_eq!(again.body["objectId"], made.body["objectId"], "the code of the other app: {}", again.body);
        let token = As::Session(again.body["sessionToken"].as_str().unwrap().to_owned());
        let session = world.http.get("/api/v1/me/wechat/session?app=doctor", &token).body;
        assert_eq!(session["isValid"], true, "its session is kept: {session}");
    }
}

#[test]
fn clients_that_decrypt_by_themselves_get_the_key_where_it_is_allowed() {
    let world = World::new(Database::Sqlite, &[("leancloud.weapp_session_key", "true")]);
    let signed_in = world.legacy(&json!({ "code": world.platform.login("patient", "wx-1", None) }));
    let key = signed_in.body["authData"]["lc_weapp"]["session_key"].as_str().unwrap().to_owned();
    assert!(key.len() >= 16, "{}", signed_in.body);
    let token = As::Session(signed_in.body["sessionToken"].as_str().unwrap().to_owned());
    let me = world.http.get("/1.1/users/me", &token).body.to_string();
    assert!(!me.contains(&key), "it is answered once and kept sealed");
    let _ = world.deployment;
}

#[test]
fn what_people_write_is_looked_at() {
    for database in Database::available() {
        looked_at(database);
    }
}

fn looked_at(database: Database) {
    let world = World::new(database, &[("wechat.content_checks.budget", "5s")]);
    let patient = world.sign_in("patient", "wx-p", &patient_phone(0));
    let doctor = world.sign_in("doctor", "wx-d", &doctor_phone(0));
    let dialog = world.dialog();

    // A patient's harmless words pass, risky ones are refused and not stored, and a retry changes nothing.
    assert_eq!(world.send(&dialog, &patient, "p1", "睡眠不好").status, 201);
    assert_eq!(world.send(&dialog, &patient, "p1", "睡眠不好").status, 200, "a retry");
    let refused = world.send(&dialog, &patient, "p2", RISKY);
    assert_eq!(
        (refused.status, refused.body["code"].as_str()),
        (400, Some("message.content_refused")),
        "{}",
        refused.body
    );
    assert!(world.message(&dialog, "p2").is_none());
    assert_eq!(world.checks("passed").len(), 1, "one look at the message that was sent twice");

    // A doctor's words are passed on and go before a person, who takes them back.
    assert_eq!(world.send(&dialog, &doctor, "d1", RISKY).status, 201);
    let check = world.checks("review").remove(0);
    assert_eq!((&check["isByDoctor"], &check["conversationId"]), (&json!(true), &json!(dialog)));
    let decision = format!("/api/v1/admin/wechat/content-checks/{}/decision", check["objectId"].as_str().unwrap());
    let decided = world.http.post(&decision, &world.admin, &json!({ "keeps": false, "reason": "广告" }));
    assert_eq!(decided.status, 200, "{}", decided.body);
    wait_for("the doctor's words to be taken back", || {
        world.message(&dialog, "d1").filter(|m| m["recalledAt"].is_string())
    });

    // Whom the platform does not know is not kept from writing.
    let unknown =
        json!({ "path": "/wxa/msg_sec_check", "kind": "refuse", "code": 61010, "message": "code is expired" });
    world.platform.post("/faults", &unknown);
    assert_eq!(world.send(&dialog, &patient, "p3", "又睡不着").status, 201);

    // A picture is passed on, and taken back when the verdict comes.
    let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";
    let head =
        b"--f\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n";
    let form = [&head[..], png, b"\r\n--f--\r\n"].concat();
    let upload = world.http.request(reqwest::Method::POST, "/api/v1/files", &patient);
    let upload = upload.header("Content-Type", "multipart/form-data; boundary=f").body(form);
    let file = Answer::of(upload.send().unwrap()).body["objectId"].clone();
    let body = json!({ "clientMessageId": "p4", "type": "image", "content": { "fileId": file } });
    let sent = world.http.post(&format!("/api/v1/conversations/{dialog}/messages"), &patient, &body);
    assert_eq!(sent.status, 201, "{}", sent.body);
    let trace = wait_for("the platform to be asked", || {
        world.platform.get("/_standin/")["mediaChecks"][0].as_str().map(str::to_owned)
    });
    let pushed = world.platform.post("/verdict", &json!({ "traceId": trace, "suggest": "risky", "label": 20002 }));
    assert_eq!(pushed["pushed"], 200, "{pushed}");
    wait_for("the picture to be taken back", || world.message(&dialog, "p4").filter(|m| m["recalledAt"].is_string()));
}

#[test]
fn without_a_verdict_in_time_a_message_is_kept_back_or_passed_on_as_it_is_set() {
    for (policy, status) in [("hold", 409), ("deliver", 201)] {
        let settings = [("wechat.content_checks.on_no_verdict", policy), ("wechat.content_checks.budget", "200ms")];
        let world = World::new(Database::Sqlite, &settings);
        let patient = world.sign_in("patient", "wx-p", &patient_phone(0));
        let dialog = world.dialog();
        let slow = json!({ "path": "/wxa/msg_sec_check", "kind": "slow", "ms": 4000, "times": 100 });
        world.platform.post("/faults", &slow);
        let sent = world.send(&dialog, &patient, "p1", "睡眠不好");
        assert_eq!(sent.status, status, "{}", sent.body);
        if policy == "hold" {
            assert_eq!(sent.body["code"], "message.held");
            assert!(world.message(&dialog, "p1").is_none(), "nobody sees it yet");
        }
        world.platform.delete("/faults");
        wait_for("the message", || world.message(&dialog, "p1"));
        wait_for("the second look", || (world.checks("passed").len() == 1).then_some(()));
    }
}

#[test]
fn what_people_write_to_customer_service_is_answered_from_the_desk() {
    for database in Database::available() {
        answered_from_the_desk(database);
    }
}

fn answered_from_the_desk(database: Database) {
    let world = World::new(database, &[]);
    let patient = world.sign_in("patient", "wx-p", &patient_phone(0));
    let online = world.http.request(reqwest::Method::PUT, "/api/v1/desk/me/status", &world.admin);
    let online = Answer::of(online.json(&json!({ "status": "online" })).send().unwrap());
    assert_eq!(online.status, 200, "{}", online.body);
    let write = |text: &str| {
        let wrote = json!({ "appid": "wx-standin-patient", "openid": "wx-p", "text": text });
        assert_eq!(world.platform.post("/write", &wrote)["pushed"], 200);
    };
    write("请问如何预约");
    let chat = wait_for("the chat", || {
        let chats = world.http.get("/api/v1/desk/chats?view=all", &world.admin).body;
        let chat = chats["items"].as_array()?.iter().find(|chat| chat["lastMessage"]["content"].is_object())?.clone();
        let messages =
            world.http.get(&format!("/api/v1/desk/chats/{}/messages", chat["conversationId"].as_str()?), &world.admin);
        let is_there = messages.body["items"].as_array()?.iter().any(|m| m["content"]["text"] == "请问如何预约");
        is_there.then_some(chat)
    });
    let id = chat["conversationId"].as_str().unwrap().to_owned();
    // Whether it was assigned already or is still waiting, it is the administrator's afterwards.
    world.http.post(&format!("/api/v1/desk/chats/{id}/claim"), &world.admin, &json!({}));
    let reply = |name: &str, text: &str| {
        let body = json!({ "clientMessageId": name, "type": "text", "content": { "text": text } });
        let sent = world.http.post(&format!("/api/v1/desk/chats/{id}/messages"), &world.admin, &body);
        assert_eq!(sent.status, 201, "{}", sent.body);
    };
    let delivered = |text: &str| {
        let items = world.platform.get("/_standin/deliveries");
        let is_it = |item: &Value| item["openid"] == "wx-p" && item["body"]["text"]["content"] == text;
        items["items"].as_array().unwrap().iter().filter(|item| is_it(item)).count()
    };
    reply("a1", "您好，请在首页预约");
    wait_for("the answer in WeChat", || (delivered("您好，请在首页预约") == 1).then_some(()));

    // Who goes on in the app is answered there.
    let body = json!({ "clientMessageId": "p1", "type": "text", "content": { "text": "好的" } });
    let sent = world.http.post(&format!("/api/v1/conversations/{id}/messages"), &patient, &body);
    assert_eq!(sent.status, 201, "{}", sent.body);
    reply("a2", "不客气");
    reply("a3", "再见");
    write("还有一个问题");
    wait_for("the next question", || {
        let messages = world.http.get(&format!("/api/v1/desk/chats/{id}/messages"), &world.admin).body;
        messages["items"].as_array()?.iter().any(|m| m["content"]["text"] == "还有一个问题").then_some(())
    });
    reply("a4", "请说");
    wait_for("the next answer in WeChat", || (delivered("请说") == 1).then_some(()));
    assert_eq!((delivered("不客气"), delivered("再见"), delivered("您好，请在首页预约")), (0, 0, 1));
}
