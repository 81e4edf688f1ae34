//! A stranger on the storage interface: forged ids and pointers, conditions on hidden fields, queries within queries,
//! roles. What LeanCloud's SDKs would not send is sent here as well.

use reqwest::Method;
use serde_json::{Value, json};
use tests::leancloud_rest::{Client, PASSWORD, pointer, refused};
use tests::load::export::{doctor_id, doctor_phone, patient_id, patient_phone};
use tests::server::{Database, Deployment};
use tests::world::{Answer, As, Http, populate};

fn on_each_database(test: impl Fn(&Http, &Client, &Client)) {
    for database in Database::available() {
        // As in production: nobody is taken at their word.
        let deployment = Deployment::new(database).with("leancloud.auth_data", "proven");
        populate(&deployment, 2, 2);
        let api = deployment.start_api();
        let http = Http::new(&api);
        let (owner, stranger) = (Client::sign_up(&http, "owner"), Client::sign_up(&http, "stranger"));
        test(&http, &owner, &stranger);
    }
}

#[test]
fn without_the_applications_credentials_nothing_is_answered() {
    on_each_database(|http, _, _| {
        for path in ["/1.1/classes/Doctor", "/1.1/users/me", "/1.1/login", "/1.1/batch", "/1.1/fileTokens"] {
            let answer = Answer::of(http.request(Method::GET, path, &As::Nobody).send().unwrap());
            refused(&answer, 401, 401);
        }
        let forged = http.request(Method::GET, "/1.1/scan/classes/Doctor", &As::App);
        let forged = forged.header("X-LC-Key", "wrong,master");
        assert_ne!(Answer::of(forged.send().unwrap()).status, 200);
    });
}

#[test]
fn a_private_object_is_as_good_as_absent() {
    on_each_database(|_, owner, stranger| {
        let me = owner.user();
        let acl = json!({ me: { "read": true, "write": true } });
        let id = owner.create("Diary", &json!({ "pin": "1234", "ACL": acl }));
        let path = format!("/classes/Diary/{id}");
        assert_eq!(owner.get(&path).body["pin"], "1234");
        assert_eq!(stranger.get(&path).body, json!({}));
        refused(&stranger.call(Method::PUT, &path, &json!({ "pin": "0" })), 400, 1);
        refused(&stranger.call(Method::DELETE, &path, &Value::Null), 404, 101);
        let steal = json!({ "ACL": { "*": { "read": true } } });
        refused(&stranger.call(Method::PUT, &path, &steal), 400, 1);
        let many = json!({ "requests": [
            { "method": "GET", "path": format!("/1.1{path}") },
            { "method": "PUT", "path": format!("/1.1{path}"), "body": steal },
            { "method": "GET", "path": "/1.1/users/me/../../classes/Diary" },
            { "method": "GET", "path": "/api/v1/doctors" },
        ] });
        let answers = stranger.call(Method::POST, "/batch", &many).body;
        assert_eq!(answers[0], json!({ "success": null }));
        for i in 1..4 {
            assert!(answers[i].get("error").is_some(), "{answers}");
        }
        // A condition of an update is no oracle.
        let request = |filter: &str| format!("{path}?where={filter}");
        refused(&stranger.call(Method::PUT, &request("%7B%22pin%22%3A%221234%22%7D"), &json!({ "x": 1 })), 400, 1);
        // Who may write and not read learns nothing from conditions.
        let blind = json!({ stranger.user(): { "write": true }, owner.user(): { "read": true, "write": true } });
        assert_eq!(owner.call(Method::PUT, &path, &json!({ "ACL": blind })).status, 200);
        for guess in ["1234", "9999"] {
            let filter = request(&format!("%7B%22pin%22%3A%22{guess}%22%7D"));
            refused(&stranger.call(Method::PUT, &filter, &json!({ "x": 1 })), 400, 305);
        }
        assert_eq!(stranger.get(&path).body, json!({}));
    });
}

#[test]
fn queries_within_queries_are_no_oracle() {
    on_each_database(|_, owner, stranger| {
        let acl = json!({ owner.user(): { "read": true, "write": true } });
        let secret = owner.create("Secret", &json!({ "pin": "1234", "ACL": acl }));
        let reference = owner.create("Reference", &json!({ "to": pointer("Secret", &secret), "pin": "1234" }));
        let within = json!({ "className": "Secret", "where": { "pin": { "$regex": "^12" } } });
        for filter in [
            json!({ "to": { "$inQuery": within } }),
            json!({ "pin": { "$select": { "key": "pin", "query": { "className": "Secret", "where": {} } } } }),
            json!({ "$or": [{ "to": { "$inQuery": within } }] }),
            json!({ "to": { "$not": { "$notInQuery": within } } }),
        ] {
            assert_eq!(owner.find("Reference", &filter), std::slice::from_ref(&reference), "{filter}");
            assert!(stranger.find("Reference", &filter).is_empty(), "{filter}");
        }
        let included = stranger.get(&format!("/classes/Reference/{reference}?include=to")).body;
        assert_eq!(included["to"], pointer("Secret", &secret), "a target that may not be seen stays a bare pointer");
        assert_eq!(owner.get(&format!("/classes/Reference/{reference}?include=to")).body["to"]["pin"], "1234");
        assert!(stranger.find("Secret", &json!({ "ACL": { "$exists": true } })).is_empty());
    });
}

#[test]
fn nobody_makes_a_role_or_joins_one() {
    on_each_database(|http, owner, stranger| {
        let role = json!({ "name": "Admin", "ACL": { "*": { "read": true } } });
        refused(&stranger.call(Method::POST, "/classes/_Role", &role), 403, 403);
        refused(&stranger.call(Method::POST, "/roles", &role), 403, 403);
        let made = http.post("/1.1/classes/_Role", &As::Integrator, &role);
        let id = made.body["objectId"].as_str().expect("an id").to_owned();
        let join = json!({ "users": { "__op": "AddRelation", "objects": [pointer("_User", &stranger.user())] } });
        for path in [format!("/classes/_Role/{id}"), format!("/roles/{id}")] {
            refused(&stranger.call(Method::PUT, &path, &join), 403, 403);
            refused(&stranger.call(Method::PUT, &path, &json!({ "name": "Mine" })), 400, 139);
            refused(&stranger.call(Method::PUT, &path, &json!({ "ACL": { "*": { "write": true } } })), 403, 403);
            refused(&stranger.call(Method::DELETE, &path, &Value::Null), 403, 403);
        }
        let acl = json!({ "role:Admin": { "read": true } });
        owner.create("Report", &json!({ "text": "x", "ACL": acl }));
        assert!(stranger.find("Report", &json!({})).is_empty());
        let relation = json!({ "roles": { "__op": "AddRelation", "objects": [pointer("_Role", &id)] } });
        let user = format!("/users/{}", stranger.user());
        assert_ne!(stranger.call(Method::PUT, &user, &relation).status, 200);
        let joined = http.request(Method::PUT, &format!("/1.1/roles/{id}"), &As::Integrator).json(&join);
        assert_eq!(Answer::of(joined.send().unwrap()).status, 200);
        assert_eq!(stranger.find("Report", &json!({})).len(), 1);
    });
}

#[test]
fn accounts_are_their_owners() {
    on_each_database(|_, owner, stranger| {
        let id = owner.user();
        for path in [format!("/users/{id}"), format!("/classes/_User/{id}")] {
            refused(&stranger.get(&path), 400, 211);
            refused(&stranger.call(Method::PUT, &path, &json!({ "username": "mine" })), 403, 206);
            refused(&stranger.call(Method::PUT, &path, &json!({ "password": "another password" })), 403, 206);
            refused(&stranger.call(Method::DELETE, &path, &Value::Null), 403, 119);
        }
        for path in ["/users", "/classes/_User", "/users/strictlyQuery", "/scan/classes/_User"] {
            refused(&stranger.get(path), 403, 403);
        }
        refused(&stranger.call(Method::PUT, &format!("/users/{id}/refreshSessionToken"), &Value::Null), 403, 206);
        let change = json!({ "old_password": PASSWORD, "new_password": "another password" });
        refused(&stranger.call(Method::PUT, &format!("/users/{id}/updatePassword"), &change), 403, 206);
        // Users are no target of queries within queries either, and including one shows nothing.
        let post = stranger.create("Post", &json!({ "by": pointer("_User", &id), "name": "owner" }));
        let within = json!({ "className": "_User", "where": { "username": "owner" } });
        assert!(stranger.find("Post", &json!({ "by": { "$inQuery": within } })).is_empty());
        let select =
            json!({ "name": { "$select": { "key": "username", "query": { "className": "_User", "where": {} } } } });
        assert!(stranger.find("Post", &select).is_empty());
        assert_eq!(stranger.get(&format!("/classes/Post/{post}?include=by")).body["by"], pointer("_User", &id));
        // Claims of an identity prove nothing.
        for data in [
            json!({ "lc_weapp": { "openid": "someone" } }),
            json!({ "weixin": { "openid": "someone", "access_token": "x" } }),
            json!({ "_weixin_unionid": { "uid": "someone" } }),
            json!({ "anonymous": { "id": "1" } }),
        ] {
            refused(&stranger.call(Method::POST, "/users", &json!({ "authData": data })), 400, 250);
            let own = format!("/users/{}", stranger.user());
            refused(&stranger.call(Method::PUT, &own, &json!({ "authData": data })), 400, 250);
        }
        let own = format!("/users/{}", stranger.user());
        refused(&stranger.call(Method::PUT, &own, &json!({ "emailVerified": true })), 400, 117);
        refused(&stranger.call(Method::PUT, &own, &json!({ "sessionToken": "x" })), 400, 117);
        let me = stranger.get("/users/me").body.to_string();
        assert!(!me.contains("password") && !me.contains("argon2"), "{me}");
    });
}

#[test]
fn patients_and_consultations_are_seen_by_their_parties_only() {
    on_each_database(|http, _, stranger| {
        let (doctor, patient) = (doctor_id(0), patient_id(0));
        let begun = http.initiate(&doctor, &patient);
        let consultation = begun.body["result"]["consultationId"].as_str().expect("an id").to_owned();
        let party = Client::sign_in(http, &patient_phone(0), "patient");
        let treating = Client::sign_in(http, &doctor_phone(0), "doctor");
        let other = Client::sign_in(http, &patient_phone(1), "patient");
        let nobody = Client::nobody(http);
        for outsider in [stranger, &other, &nobody] {
            for (class, id) in [("Patients", &patient), ("Consultation", &consultation)] {
                let path = format!("/classes/{class}/{id}");
                assert_eq!(outsider.get(&path).body, json!({}), "{class}");
                assert!(outsider.find(class, &json!({ "objectId": id })).is_empty());
                assert_ne!(outsider.call(Method::PUT, &path, &json!({ "name": "x", "status": "2" })).status, 200);
                assert_ne!(outsider.call(Method::DELETE, &path, &Value::Null).status, 200);
            }
            let forged = json!({ "idDoctor": pointer("Doctor", &doctor), "idPatient": pointer("Patients", &patient) });
            assert_ne!(outsider.call(Method::POST, "/classes/Consultation", &forged).status, 201);
            assert_ne!(outsider.call(Method::POST, "/classes/DoctorPatientRelation", &forged).status, 201);
            assert!(outsider.find("Consultation", &forged).is_empty());
            // A pointer of one's own making reaches nothing by being included.
            let bait = json!({ "c": pointer("Consultation", &consultation), "p": pointer("Patients", &patient) });
            let id = outsider.create("Bait", &bait);
            let shown = outsider.get(&format!("/classes/Bait/{id}?include=c,p,c.idPatient")).body;
            assert_eq!((&shown["c"], &shown["p"]), (&bait["c"], &bait["p"]));
        }
        assert_eq!(party.get(&format!("/classes/Consultation/{consultation}")).body["status"], "0");
        let seen = treating.get(&format!("/classes/Consultation/{consultation}?include=idPatient")).body;
        assert!(seen["idPatient"]["name"].is_string(), "{seen}");
        assert!(seen["idPatient"].get("phone").is_none(), "{seen}");
        // What the product decides is set by nobody, party or not.
        for (who, body) in [
            (&party, json!({ "status": "2" })),
            (&treating, json!({ "isInvalid": true })),
            (&treating, json!({ "status": "1" })),
        ] {
            refused(&who.call(Method::PUT, &format!("/classes/Consultation/{consultation}"), &body), 403, 119);
        }
        let doctors = format!("/classes/Doctor/{doctor}");
        refused(&treating.call(Method::PUT, &doctors, &json!({ "authenticated": "3" })), 403, 119);
        refused(&treating.call(Method::PUT, &doctors, &json!({ "openid": "x" })), 403, 119);
        refused(&party.call(Method::PUT, &doctors, &json!({ "title": "x" })), 403, 403);
        let relation = treating.find("DoctorPatientRelation", &json!({}));
        let path = format!("/classes/DoctorPatientRelation/{}", relation[0]);
        refused(&treating.call(Method::PUT, &path, &json!({ "credit": "9" })), 403, 119);
        refused(&party.call(Method::PUT, &path, &json!({ "block": false, "remark": "x" })), 403, 119);
        assert_eq!(treating.call(Method::PUT, &path, &json!({ "remark": "重点", "tag": ["新"] })).status, 200);
        assert_eq!(treating.get(&path).body["tag"], json!(["新"]));
        assert!(party.get(&path).body.get("remark").is_none());
    });
}

#[test]
fn oddities_of_clients_are_tolerated_and_nonsense_is_refused() {
    on_each_database(|_, owner, _| {
        assert_eq!(owner.get("/date?").body["__type"], "Date");
        let id = owner.create("Odd", &json!({ "a": 1, "__ignore_hooks": ["x"] }));
        assert_eq!(owner.get(&format!("/classes/Odd/{id}?")).body["a"], 1);
        assert_eq!(
            owner.get("/classes/Odd?limit=5000&skip=-1&unknown=1").body["results"].as_array().map(Vec::len),
            Some(1)
        );
        assert_eq!(owner.get("/classes/Odd?limit=0&count=1").body, json!({ "results": [], "count": 1 }));
        let bad = |query: &str, code: i64| refused(&owner.get(&format!("/classes/Odd?{query}")), 400, code);
        bad("where=%7B", 107);
        bad("where=%7B%22a%22%3A%7B%22%24regex%22%3A%22(%22%7D%7D", 107);
        bad("where=%7B%22a%27%20OR%201%3D1--%22%3A1%7D", 105);
        bad("order=a%27", 105);
        bad("include=a%27", 105);
        refused(&owner.get("/classes/No'Class"), 400, 103);
        refused(&owner.get("/classes/Nothing"), 404, 101);
        refused(&owner.get("/cloudQuery?cql=select"), 404, 1);
        let doubled = "a".repeat(60) + "!";
        owner.create("Odd", &json!({ "text": doubled }));
        let costly = json!({ "text": { "$regex": "^(a+)+$" } });
        assert!(owner.find("Odd", &costly).is_empty(), "and answered at once");
    });
}

/// A server with the master key, which may write all of the product's classes.
struct Server<'a>(&'a Http);

impl Server<'_> {
    fn call(&self, method: Method, path: &str, body: &Value) -> Answer {
        let request = self.0.request(method, &format!("/1.1{path}"), &As::Integrator);
        let request = if body.is_null() { request } else { request.json(body) };
        Answer::of(request.send().expect("an answer"))
    }

    fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, &Value::Null).body
    }

    #[track_caller]
    fn put(&self, path: &str, body: &Value) {
        let answer = self.call(Method::PUT, path, body);
        assert_eq!(answer.status, 200, "{path} {}", answer.body);
        assert!(answer.body["updatedAt"].is_string(), "{}", answer.body);
    }

    #[track_caller]
    fn make(&self, class: &str, body: &Value) -> String {
        let answer = self.call(Method::POST, &format!("/classes/{class}"), body);
        assert_eq!(answer.status, 201, "{class} {}", answer.body);
        answer.body["objectId"].as_str().expect("an id").to_owned()
    }
}

#[test]
fn the_master_key_writes_what_people_may_not() {
    on_each_database(|http, owner, _| {
        let server = Server(http);
        let patient = format!("/classes/Patients/{}", patient_id(0));
        let report = "5e10d76817149d439536b321";
        server.put(&patient, &json!({ "latestReportId": report, "phone": "13900000077", "name": "赵六", "level": 3 }));
        let row = server.get(&patient);
        assert_eq!((&row["latestReportId"], &row["phone"]), (&json!(report), &json!("13900000077")));
        assert_eq!((&row["name"], &row["level"]), (&json!("赵六"), &json!(3)));
        refused(&server.call(Method::PUT, &patient, &json!({ "birthday": "2999-01-01" })), 400, 111);
        refused(&server.call(Method::PUT, &patient, &json!({ "phone": "12" })), 400, 127);
        let missing = format!("/classes/Patients/{report}");
        refused(&server.call(Method::PUT, &missing, &json!({ "name": "x" })), 400, 1);
        // The condition of an update holds for servers too.
        let unmet = format!("{patient}?where=%7B%22name%22%3A%22somebody%22%7D");
        refused(&server.call(Method::PUT, &unmet, &json!({ "name": "x" })), 400, 305);

        let doctor = format!("/classes/Doctor/{}", doctor_id(0));
        server.put(&doctor, &json!({ "authenticated": "3", "rejectReason": "照片不清" }));
        assert!(Client::nobody(http).find("Doctor", &json!({ "objectId": doctor_id(0) })).is_empty());
        server.put(&doctor, &json!({ "authenticated": "1", "openid": "o1", "normalConsultingPrice": 19.9 }));
        let row = server.get(&doctor);
        assert_eq!((&row["openid"], &row["normalConsultingPrice"]), (&json!("o1"), &json!(19.9)));
        assert_eq!(Client::nobody(http).find("Doctor", &json!({ "objectId": doctor_id(0) })).len(), 1);
        refused(&server.call(Method::PUT, &doctor, &json!({ "authenticated": "9" })), 400, 111);

        // Profiles that nobody signs in to yet, or that are linked to an account.
        let made = server.make("Patients", &json!({ "name": "孙七", "phone": "13900000078" }));
        assert_eq!(server.get(&format!("/classes/Patients/{made}"))["name"], "孙七");
        server.put(&format!("/classes/Patients/{made}"), &json!({ "user": pointer("_User", &owner.user()) }));
        let own = owner.find("Patients", &json!({ "user": pointer("_User", &owner.user()) }));
        assert_eq!(own, std::slice::from_ref(&made));
        let taken = json!({ "name": "周八", "user": pointer("_User", &owner.user()) });
        refused(&server.call(Method::POST, "/classes/Patients", &taken), 400, 111);
        let novice = server.make("Doctor", &json!({ "name": "吴九", "authenticated": "1" }));

        // A pair, and its consultation from beginning to end.
        let pair = json!({ "idDoctor": pointer("Doctor", &novice), "idPatient": pointer("Patients", &made) });
        let mut relation_body = pair.clone();
        relation_body["credit"] = json!("7");
        let relation = server.make("DoctorPatientRelation", &relation_body);
        refused(&server.call(Method::POST, "/classes/DoctorPatientRelation", &pair), 400, 137);
        let path = format!("/classes/DoctorPatientRelation/{relation}");
        server.put(&path, &json!({ "tag": ["新"], "source": "0", "vip": true }));
        let row = server.get(&path);
        assert_eq!((&row["credit"], &row["source"], &row["tag"]), (&json!("7"), &json!("0"), &json!(["新"])));
        assert_eq!(row["vip"], json!(true));
        let consultation = server.make("Consultation", &pair);
        refused(&server.call(Method::POST, "/classes/Consultation", &pair), 400, 137);
        let path = format!("/classes/Consultation/{consultation}");
        assert_eq!(server.get(&path)["status"], "0");
        server.put(&path, &json!({ "status": "1", "room": "A" }));
        let row = server.get(&path);
        assert_eq!((&row["status"], &row["room"]), (&json!("1"), &json!("A")));
        refused(&server.call(Method::PUT, &path, &json!({ "status": "0" })), 400, 142);
        refused(&server.call(Method::PUT, &path, &json!({ "idDoctor": pointer("Doctor", &doctor_id(0)) })), 403, 119);
        server.put(&path, &json!({ "status": "2" }));
        server.put(&path, &json!({ "isInvalid": true }));
        let row = server.get(&path);
        assert_eq!((&row["status"], &row["isInvalid"]), (&json!("2"), &json!(true)));
        refused(&server.call(Method::POST, "/classes/Consultation", &json!({})), 400, 113);
        let nowhere = json!({ "idDoctor": pointer("Doctor", report), "idPatient": pointer("Patients", &made) });
        refused(&server.call(Method::POST, "/classes/Consultation", &nowhere), 404, 101);
        // Records are kept.
        for path in [&patient, &doctor, &path] {
            refused(&server.call(Method::DELETE, path, &Value::Null), 403, 119);
        }
    });
}

#[test]
fn lists_of_product_rows_say_whose_they_are() {
    on_each_database(|http, _, _| {
        let party = Client::sign_in(http, &patient_phone(0), "patient");
        let me = party.user();
        let all = json!({ &me: { "read": true, "write": true } });
        let own = party.get(&format!("/classes/Patients/{}?returnACL=true", patient_id(0))).body;
        assert_eq!(own["ACL"], all);
        let begun = http.initiate(&doctor_id(0), &patient_id(0)).body;
        let consultation = begun["result"]["consultationId"].as_str().expect("an id").to_owned();
        let row = party.get(&format!("/classes/Consultation/{consultation}?returnACL=true")).body;
        assert_eq!(row["ACL"], json!({ &me: { "read": true } }));
        let card = party.get(&format!("/classes/Doctor/{}?returnACL=true", doctor_id(0))).body;
        assert_eq!(card["ACL"]["*"], json!({ "read": true }));
        assert!(party.get(&format!("/classes/Patients/{}", patient_id(0))).body.get("ACL").is_none());
    });
}

#[test]
fn a_server_that_looks_at_patients_leaves_one_line_and_no_names() {
    for database in Database::available() {
        let deployment = Deployment::new(database);
        populate(&deployment, 2, 3);
        let (name, password) = tests::world::create_admin(&deployment);
        let api = deployment.start_api();
        let http = Http::new(&api);
        let admin = http.sign_in_staff(&name, &password);
        let events = |action: &str| {
            let path = format!("/api/v1/admin/audit-events?action={action}");
            http.get(&path, &admin).body["items"].as_array().expect("events").clone()
        };
        let server = Server(&http);
        let begun = http.initiate(&doctor_id(0), &patient_id(0)).body;
        assert!(begun["result"]["success"] == json!(true), "{begun}");
        // Nothing of a patient is looked at here.
        for path in ["/classes/Doctor", "/classes/Consultation", "/classes/Patients?limit=0&count=1", "/date"] {
            server.get(path);
        }
        assert!(events("patient.list").is_empty() && events("patient.read").is_empty());
        server.get("/classes/Patients");
        server.get("/scan/classes/Patients?limit=2");
        server.get("/classes/Consultation?include=idPatient");
        server.get(&format!("/classes/Patients/{}", patient_id(1)));
        let listed = events("patient.list");
        let counts: Vec<_> = listed.iter().rev().map(|event| event["detail"]["patients"].clone()).collect();
        assert_eq!(counts, [json!(3), json!(2), json!(1)], "{listed:?}");
        assert!(listed.iter().all(|event| event["actor"] == "integrator"), "{listed:?}");
        let read = events("patient.read");
        assert_eq!((read.len(), &read[0]["subject"]), (1, &json!(format!("patient:{}", patient_id(1)))));
        for event in listed.iter().chain(&read) {
            assert!(!event.to_string().contains(&patient_phone(0)), "{event}");
        }
        // Whoever looks at the own rows leaves nothing.
        let party = Client::sign_in(&http, &patient_phone(0), "patient");
        assert_eq!(party.find("Patients", &json!({})).len(), 1);
        assert_eq!(events("patient.list").len(), 3);
    }
}

#[test]
fn identities_that_are_claimed_are_taken_where_the_deployment_says_so() {
    for database in Database::available() {
        let deployment = Deployment::new(database);
        let api = deployment.start_api();
        let http = Http::new(&api);
        let nobody = Client::nobody(&http);
        let sign_in = |data: Value, query: &str| {
            nobody.call(Method::POST, &format!("/users{query}"), &json!({ "authData": data }))
        };
        let weibo = json!({ "weibo": { "uid": "u-1", "access_token": "t", "expires_in": 7200 } });
        refused(&sign_in(weibo.clone(), "?failOnNotExist=true"), 400, 211);
        let new = sign_in(weibo.clone(), "");
        assert_eq!(new.status, 201, "{}", new.body);
        assert_eq!(new.body["authData"]["weibo"]["uid"], "u-1");
        assert!(new.body["sessionToken"].is_string() && new.body["username"].is_string(), "{}", new.body);
        let again = sign_in(weibo, "");
        assert_eq!((again.status, &again.body["objectId"]), (200, &new.body["objectId"]));
        // In union mode the platform's own id decides, whatever the app's.
        let union = |openid: &str| json!({ "qq": { "openid": openid, "unionid": "U", "platform": "qq", "main_account": true } });
        let (one, other) = (sign_in(union("o-1"), ""), sign_in(union("o-2"), ""));
        assert_eq!((one.status, other.status), (201, 200), "{}", other.body);
        assert_eq!(one.body["authData"]["_qq_unionid"]["uid"], "U");
        // What the server proves itself is never claimed.
        for data in [
            json!({ "lc_weapp": { "openid": "o" } }),
            json!({ "lc_weapp_patient": { "openid": "o" } }),
            json!({ "_weixin_unionid": { "uid": "U" } }),
            json!({ "weibo": { "access_token": "t" } }),
        ] {
            refused(&sign_in(data, ""), 400, 250);
        }
        // An identity belongs to one account.
        let client = Client::sign_up(&http, "somebody");
        let path = format!("/users/{}", client.user());
        refused(&client.call(Method::PUT, &path, &json!({ "authData": { "weibo": { "uid": "u-1" } } })), 400, 208);
        let linked = client.call(
            Method::PUT,
            &format!("{path}?new=true"),
            &json!({ "authData": { "weibo": { "uid": "u-2" } } }),
        );
        assert_eq!(linked.body["authData"]["weibo"]["uid"], "u-2", "{}", linked.body);
        let gone = client.call(Method::PUT, &path, &json!({ "authData.weibo": { "__op": "Delete" } }));
        assert_eq!(gone.status, 200, "{}", gone.body);
        assert_eq!(sign_in(json!({ "weibo": { "uid": "u-2" } }), "").status, 201);
    }
}

#[test]
fn an_upload_that_failed_leaves_no_file() {
    const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0";
    on_each_database(|http, owner, stranger| {
        let upload = |said: Option<bool>| {
            let asked = json!({ "name": "a.png", "mime_type": "image/png", "metaData": { "owner": "unknown" } });
            let ticket = owner.call(Method::POST, "/fileTokens", &asked).body;
            let token = ticket["token"].as_str().expect("a token");
            let sent = http.request(Method::PUT, &format!("/1.1/upload/{token}"), &As::Nobody).body(PICTURE).send();
            assert_eq!(Answer::of(sent.expect("an answer")).status, 200);
            if let Some(result) = said {
                let told = owner.call(Method::POST, "/fileCallback", &json!({ "token": token, "result": result }));
                assert_eq!((told.status, told.body), (200, json!({})));
            }
            ticket["objectId"].as_str().expect("an id").to_owned()
        };
        for (said, is_kept) in [(None, true), (Some(true), true), (Some(false), false)] {
            let id = upload(said);
            assert_eq!(owner.get(&format!("/files/{id}")).body.get("url").is_some(), is_kept, "{said:?}");
        }
        let told = stranger.call(Method::POST, "/fileCallback", &json!({ "token": "forged", "result": false }));
        assert_eq!((told.status, told.body), (200, json!({})));
    });
}

#[test]
fn passwords_are_as_long_as_apps_let_them_be() {
    on_each_database(|http, _, _| {
        let sign_up = |name: &str, password: &str| {
            Client::nobody(http).call(Method::POST, "/users", &json!({ "username": name, "password": password }))
        };
        assert_eq!(sign_up("tom", "123456").status, 201);
        refused(&sign_up("jerry", "12345"), 400, 111);
        refused(&sign_up("jerry", ""), 400, 201);
        let log_in = json!({ "username": "tom", "password": "123456" });
        assert_eq!(Client::nobody(http).call(Method::POST, "/login", &log_in).status, 200);
    });
}

#[test]
fn phones_save_objects_that_point_to_each_other() {
    on_each_database(|_, owner, _| {
        let request = |class: &str, body: Value| json!({ "method": "POST", "path": format!("/1.1/classes/{class}"), "body": body });
        let child = json!({ "className": "Page", "cid": "c-1", "key": "first" });
        let requests = json!({ "requests": [
            request("Book", json!({ "title": "书", "__internalId": "p-1", "__children": [child] })),
            request("Page", json!({ "text": "一", "__internalId": "c-1" })),
        ] });
        let saved = owner.call(Method::POST, "/batch/save", &requests);
        assert_eq!(saved.status, 200, "{}", saved.body);
        let (book, page) = (&saved.body["p-1"]["objectId"], &saved.body["c-1"]["objectId"]);
        let book = owner.get(&format!("/classes/Book/{}?include=first", book.as_str().expect("an id"))).body;
        assert_eq!((&book["first"]["objectId"], &book["first"]["text"]), (page, &json!("一")));
        assert!(book.get("__internalId").is_none() && book.get("__children").is_none(), "{book}");
        let change = json!({ "requests": [{ "method": "PUT", "path": format!("/1.1/classes/Book/{}", book["objectId"].as_str().unwrap()),
            "body": { "title": "新书", "__internalId": book["objectId"] } }] });
        let changed = owner.call(Method::POST, "/batch/save", &change).body;
        assert!(changed[book["objectId"].as_str().unwrap()]["updatedAt"].is_string(), "{changed}");
        let lost = json!({ "requests": [request("Book", json!({ "__children": [child] }))] });
        refused(&owner.call(Method::POST, "/batch/save", &lost), 400, 106);
        let bad = json!({ "requests": [request("Page", json!({ "a b": 1, "__internalId": "x" }))] });
        refused(&owner.call(Method::POST, "/batch/save", &bad), 400, 105);
    });
}
