//! Every class of LeanCloud's storage interface and every operation on it, against people whom a row does not concern: what
//! it says is told to none of them, in no way, and none of them changes it.

use reqwest::Method;
use serde_json::{Value, json};
use tests::leancloud_rest::{Client, pointer};
use tests::load::export::{doctor_id, doctor_phone, patient_id, patient_phone};
use tests::server::{Database, Deployment};
use tests::world::{Answer, As, Http, populate};

/// What each row says, and nobody else may read.
const SECRET: &str = "SENTINEL";

/// A row and the field that holds the secret.
struct Target {
    class: &'static str,
    id: String,
    field: &'static str,
}

impl Target {
    fn path(&self) -> String {
        format!("/classes/{}/{}", self.class, self.id)
    }
}

/// The smallest PNG.
const PICTURE: &[u8] = &[
    0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, 0, 0, 0, 0x0D, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0, 1, 8,
    6, 0, 0, 0, 0x1F, 0x15, 0xC4, 0x89, 0, 0, 0, 0x0D, b'I', b'D', b'A', b'T', 0x78, 0xDA, 0x63, 0x64, 0xF8, 0xCF,
    0x50, 0x0F, 0, 0x03, 0x86, 0x01, 0x80, 0x5A, 0x34, 0x7D, 0x6B, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xAE, 0x42,
    0x60, 0x82,
];

fn ok(answer: &Answer) -> &Value {
    assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.body);
    &answer.body
}

fn file(owner: &Client, http: &Http) -> String {
    let asked = json!({ "name": format!("{SECRET}.png"), "mime_type": "image/png", "metaData": {} });
    let token = owner.call(Method::POST, "/fileTokens", &asked);
    let place = format!("/1.1/upload/{}", ok(&token)["token"].as_str().expect("a token"));
    let sent = http.request(Method::PUT, &place, &As::Nobody).body(PICTURE).send().expect("an answer");
    ok(&Answer::of(sent));
    token.body["objectId"].as_str().expect("an id").to_owned()
}

/// A row of each class, all of which concern the first patient, the first doctor or the owner alone.
fn targets(http: &Http, owner: &Client, patient: &Client, doctor: &Client) -> Vec<Target> {
    let begun = http.initiate(&doctor_id(0), &patient_id(0)).body;
    let consultation = begun["result"]["consultationId"].as_str().expect("an id").to_owned();
    let set = |who: &Client, path: &str, body: Value| {
        ok(&who.call(Method::PUT, path, &body));
    };
    set(patient, &format!("/classes/Patients/{}", patient_id(0)), json!({ "location": SECRET }));
    let relation = doctor.find("DoctorPatientRelation", &json!({})).remove(0);
    set(doctor, &format!("/classes/DoctorPatientRelation/{relation}"), json!({ "remark": SECRET }));
    // A doctor who is not certified is nobody's business.
    let novice = Client::sign_in(http, "13600000001", "doctor");
    let novice_id = novice.find("Doctor", &json!({ "user": pointer("_User", &novice.user()) })).remove(0);
    set(&novice, &format!("/classes/Doctor/{novice_id}"), json!({ "description": SECRET }));
    let me = owner.user();
    set(owner, &format!("/users/{me}"), json!({ "nick": SECRET }));
    let acl = json!({ &me: { "read": true, "write": true } });
    let room = json!({ "name": SECRET, "m": [&me, "somebody"] });
    let room = http.post("/1.2/rtm/conversations", &As::Integrator, &room);
    let role = json!({ "name": SECRET, "ACL": acl });
    let role = http.post("/1.1/classes/_Role", &As::Integrator, &role);
    let id = |answer: &Answer| ok(answer)["objectId"].as_str().expect("an id").to_owned();
    vec![
        Target { class: "Patients", id: patient_id(0), field: "location" },
        Target { class: "Consultation", id: consultation, field: "status" },
        Target { class: "DoctorPatientRelation", id: relation, field: "remark" },
        Target { class: "Doctor", id: novice_id, field: "description" },
        Target { class: "Diary", id: owner.create("Diary", &json!({ "pin": SECRET, "ACL": acl })), field: "pin" },
        Target { class: "_User", id: me, field: "nick" },
        Target { class: "_Role", id: id(&role), field: "name" },
        Target { class: "_File", id: file(owner, http), field: "name" },
        Target { class: "_Conversation", id: id(&room), field: "name" },
    ]
}

/// What the master key reads of a row.
fn truth(http: &Http, target: &Target) -> Value {
    http.get(&format!("/1.1{}?returnACL=true", target.path()), &As::Integrator).body
}

/// Ids in an answer to a query; none when it is refused.
fn ids(answer: &Value) -> Vec<&str> {
    let rows = answer["success"]["results"].as_array().into_iter().flatten();
    rows.filter_map(|row| row["objectId"].as_str()).collect()
}

fn reads_nothing(outsider: &Client, target: &Target) {
    let Target { class, id, field } = target;
    let silent = |what: &str, answer: &Value| {
        assert!(!answer.to_string().contains(SECRET), "{class}, {what}: {answer}");
    };
    let row = outsider.get(&format!("{}?include={field}&returnACL=true", target.path()));
    assert!(row.status >= 400 || row.body == json!({}), "{class}: {}", row.body);
    for filter in [
        json!({}),
        json!({ "objectId": id }),
        json!({ "objectId": { "$in": [id] } }),
        json!({ *field: SECRET }),
        json!({ *field: { "$regex": "^SENT" } }),
        json!({ "$or": [{ *field: { "$gte": "SENT" } }, { "objectId": id }] }),
        json!({ "objectId": id, *field: { "$exists": true } }),
    ] {
        let found = outsider.query(class, &json!({ "where": filter.to_string(), "count": 1, "limit": 1000 }));
        silent(&filter.to_string(), &found);
        assert!(!ids(&found).contains(&id.as_str()), "{class}, {filter}: {found}");
    }
    let counted = json!({ "where": json!({ "objectId": id }).to_string(), "limit": 0, "count": 1 });
    let counted = outsider.query(class, &counted);
    assert!(counted["success"]["count"].as_i64().unwrap_or_default() == 0, "{class}: {counted}");
    // The order of rows one may see says nothing of a field one may not.
    for order in [(*field).to_owned(), format!("-{field}")] {
        silent("order", &outsider.query(class, &json!({ "order": order, "keys": field })));
    }
    silent("scan", &outsider.get(&format!("/scan/classes/{class}")).body);
    assert!(outsider.get(&format!("/scan/classes/{class}")).status >= 400);
}

/// Pointers of one's own making, and queries that go through them.
fn is_no_oracle(outsider: &Client, target: &Target) {
    let Target { class, id, field } = target;
    let made = outsider.call(Method::POST, "/classes/Bait", &json!({ "to": pointer(class, id), "word": SECRET }));
    // Refused is as good.
    let Some(bait) = made.body["objectId"].as_str() else { return assert!(made.status >= 400, "{}", made.body) };
    let shown = outsider.get(&format!("/classes/Bait/{bait}?include=to,to.{field}")).body;
    let bare = [pointer(class, id), json!({ "__type": "File", "id": id })];
    assert!(bare.contains(&shown["to"]) || shown["to"].as_object().is_none_or(|to| to.len() <= 3), "{class}: {shown}");
    let within = json!({ "className": class, "where": { *field: { "$regex": "^SENT" } } });
    for filter in [
        json!({ "to": { "$inQuery": within } }),
        json!({ "to": { "$inQuery": { "className": class, "where": {} } } }),
        json!({ "to": { "$not": { "$notInQuery": within } } }),
        json!({ "word": { "$select": { "key": field, "query": { "className": class, "where": {} } } } }),
        json!({ "word": { "$not": { "$dontSelect": { "key": field, "query": { "className": class, "where": {} } } } } }),
    ] {
        let found = outsider.query("Bait", &json!({ "where": filter.to_string() }));
        assert!(!ids(&found).contains(&bait), "{class}, {filter}: {found}");
    }
    let related = json!({ "$relatedTo": { "object": pointer(class, id), "key": field } });
    let found = outsider.query("Bait", &json!({ "where": related.to_string() }));
    assert!(ids(&found).is_empty(), "{class}: {found}");
}

fn changes_nothing(outsider: &Client, target: &Target) {
    let Target { class, id, field } = target;
    let path = target.path();
    let public = json!({ "*": { "read": true, "write": true } });
    let guess = json!({ *field: SECRET }).to_string();
    let plain = outsider.call(Method::PUT, &path, &json!({ *field: "x" }));
    assert!(plain.status >= 400, "{class}: {}", plain.body);
    for (address, body) in [
        (path.clone(), json!({ "ACL": public })),
        (path.clone(), json!({ *field: { "__op": "Delete" } })),
        (format!("{path}?new=true"), json!({ *field: "x" })),
        (format!("{path}?where={}", urlencoded(&guess)), json!({ *field: "x" })),
        (format!("{path}?where={}", urlencoded(&guess.replace(SECRET, "other"))), json!({ *field: "x" })),
    ] {
        let answer = outsider.call(Method::PUT, &address, &body);
        assert!(answer.status >= 400 && !answer.body.to_string().contains(SECRET), "{address}: {}", answer.body);
        // A condition that holds is refused like one that does not: it is no oracle.
        if address.contains("where=") {
            assert_eq!(answer.body["code"], plain.body["code"], "{address}: {}", answer.body);
        }
    }
    for ids in [id.clone(), format!("{id},{id}")] {
        let gone = outsider.call(Method::DELETE, &format!("/classes/{class}/{ids}"), &Value::Null);
        assert!(gone.status >= 400, "{class}: {}", gone.body);
    }
    let many = json!({ "requests": [
        { "method": "PUT", "path": format!("/1.1{path}"), "body": { *field: "x" } },
        { "method": "DELETE", "path": format!("/1.1{path}") },
        { "method": "POST", "path": format!("/1.1/classes/{class}"), "body": { "objectId": id, *field: "x" } },
    ] });
    outsider.call(Method::POST, "/batch", &many);
}

fn urlencoded(text: &str) -> String {
    text.bytes().fold(String::new(), |text, byte| text + &format!("%{byte:02X}"))
}

#[test]
fn no_row_tells_a_stranger_anything_or_is_changed_by_one() {
    for database in Database::available() {
        let deployment = Deployment::new(database);
        populate(&deployment, 2, 2);
        let api = deployment.start_api();
        let http = Http::new(&api);
        let owner = Client::sign_up(&http, "owner");
        let patient = Client::sign_in(&http, &patient_phone(0), "patient");
        let doctor = Client::sign_in(&http, &doctor_phone(0), "doctor");
        let targets = targets(&http, &owner, &patient, &doctor);
        let outsiders = [
            Client::nobody(&http),
            Client::sign_up(&http, "stranger"),
            Client::sign_in(&http, &patient_phone(1), "patient"),
            Client::sign_in(&http, &doctor_phone(1), "doctor"),
        ];
        for target in &targets {
            let before = truth(&http, target);
            assert!(
                target.class == "Consultation" || before.to_string().contains(SECRET),
                "{}: {before}",
                target.class
            );
            for outsider in &outsiders {
                reads_nothing(outsider, target);
                is_no_oracle(outsider, target);
                changes_nothing(outsider, target);
            }
            assert_eq!(truth(&http, target), before, "{}", target.class);
        }
    }
}

#[test]
fn classes_that_are_nobodys_are_closed() {
    for database in Database::available() {
        let deployment = Deployment::new(database);
        let api = deployment.start_api();
        let http = Http::new(&api);
        let stranger = Client::sign_up(&http, "stranger");
        for class in ["_Installation", "_Followee", "_Follower", "_Status", "_SysMessage", "_Session", "_Conversation2"]
        {
            let path = format!("/classes/{class}");
            assert!(stranger.call(Method::POST, &path, &json!({ "x": 1 })).status >= 400, "{class}");
            let found = stranger.get(&path);
            assert!(found.status >= 400 || found.body == json!({ "results": [] }), "{class}: {}", found.body);
        }
    }
}
