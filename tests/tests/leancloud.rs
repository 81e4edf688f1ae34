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
        let deployment = Deployment::new(database);
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
