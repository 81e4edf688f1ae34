//! A consultation's dialog over HTTP: sending, reading, receipts, recalls, search, export, and catching up.

use std::thread;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tests::load::export::{doctor_id, doctor_phone, patient_id, patient_phone};
use tests::server::{Api, Database, Deployment};
use tests::world::{Answer, As, Http, create_admin, populate, violations};

const ABSENT: &str = "ffffffffffffffffffffffff";

/// A patient and a doctor in the dialog of a consultation, and somebody who is not.
struct World {
    deployment: Deployment,
    api: Api,
    http: Http,
    patient: As,
    doctor: As,
    stranger: As,
    admin: As,
    consultation: String,
    dialog: String,
}

impl World {
    fn new(database: Database) -> Self {
        Self::of(Deployment::new(database))
    }

    fn of(deployment: Deployment) -> Self {
        populate(&deployment, 1, 2);
        let (name, password) = create_admin(&deployment);
        let api = deployment.start_api();
        let http = Http::new(&api);
        let patient = http.sign_in(&patient_phone(0), "patient");
        let started = http.initiate(&doctor_id(0), &patient_id(0)).body;
        let consultation = started["result"]["consultationId"].as_str().unwrap().to_owned();
        let found = http.get(&format!("/api/v1/consultations/{consultation}"), &patient).body;
        Self {
            doctor: http.sign_in(&doctor_phone(0), "doctor"),
            stranger: http.sign_in(&patient_phone(1), "patient"),
            admin: http.sign_in_staff(&name, &password),
            dialog: found["idDialog"].as_str().unwrap().to_owned(),
            deployment,
            api,
            http,
            patient,
            consultation,
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/api/v1/conversations/{}{rest}", self.dialog)
    }

    fn get(&self, rest: &str, who: &As) -> Answer {
        self.http.get(&self.path(rest), who)
    }

    fn send(&self, who: &As, name: &str, text: &str) -> Answer {
        self.send_as(who, name, "text", &json!({ "text": text }))
    }

    fn send_as(&self, who: &As, name: &str, kind: &str, content: &Value) -> Answer {
        let body = json!({ "clientMessageId": name, "type": kind, "content": content });
        self.http.post(&self.path("/messages"), who, &body)
    }

    /// The dialog in the caller's list.
    fn listed(&self, who: &As) -> Value {
        let list = self.http.get("/api/v1/conversations", who);
        assert_eq!(list.status, 200, "{}", list.body);
        let items = list.body["items"].as_array().unwrap();
        items.iter().find(|c| c["id"] == self.dialog.as_str()).unwrap().clone()
    }

    fn last_seq(&self) -> i64 {
        self.listed(&self.doctor)["lastSeq"].as_i64().unwrap()
    }

    fn sync(&self, who: &As, query: &str) -> Value {
        let answer = self.http.get(&format!("/api/v1/sync?{query}"), who);
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    #[track_caller]
    fn is_consistent(&self) {
        assert_eq!(violations(&self.deployment), Vec::<Value>::new());
    }
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.body["code"].as_str()), (status, Some(code)), "{}", answer.body);
}

fn texts(page: &Value) -> Vec<&str> {
    page["items"].as_array().unwrap().iter().filter_map(|m| m["content"]["text"].as_str()).collect()
}

fn seqs(page: &Value) -> Vec<i64> {
    page["items"].as_array().unwrap().iter().filter_map(|m| m["seq"].as_i64()).collect()
}

#[test]
fn a_message_is_stored_once_counted_and_read() {
    for database in Database::available() {
        let world = World::new(database);
        let before = world.listed(&world.doctor);
        let sent = world.send(&world.patient, "m1", "最近总是打鼾");
        assert_eq!((sent.status, &sent.body["duplicate"]), (201, &json!(false)), "{}", sent.body);
        let seq = sent.body["seq"].as_i64().unwrap();
        assert_eq!(seq, before["lastSeq"].as_i64().unwrap() + 1);
        let retry = world.send(&world.patient, "m1", "最近总是打鼾");
        assert_eq!((retry.status, &retry.body["duplicate"]), (200, &json!(true)), "{}", retry.body);
        for field in ["messageId", "seq", "serverTime"] {
            assert_eq!(retry.body[field], sent.body[field]);
        }
        refused(&world.send(&world.patient, "m1", "别的"), 409, "CLIENT_MESSAGE_ID_CONFLICT");
        let after = world.listed(&world.doctor);
        let unread = |c: &Value| c["unreadCount"].as_i64().unwrap();
        assert_eq!(unread(&after), unread(&before) + 1, "{after}");
        assert_eq!(after["lastMessage"]["content"], json!({ "text": "最近总是打鼾" }));
        assert_eq!(after["lastMessage"]["sender"], patient_id(0).as_str());
        let read = world.http.post(&world.path("/read"), &world.doctor, &json!({ "seq": 1_000_000 }));
        assert_eq!(read.body, json!({ "readSeq": seq, "unreadCount": 0 }));
        let back = world.http.post(&world.path("/read"), &world.doctor, &json!({ "seq": 0 }));
        assert_eq!(back.body, json!({ "readSeq": seq, "unreadCount": 0 }), "never back");
        let shown = world.get("", &world.patient).body;
        let members = shown["members"].as_array().unwrap();
        let doctor = members.iter().find(|m| m["clientId"] == doctor_id(0).as_str()).unwrap();
        assert_eq!((&doctor["kind"], &doctor["readSeq"]), (&json!("doctor"), &json!(seq)), "the peer sees it");
        assert_eq!(world.send(&world.doctor, "m1", "您好").status, 201, "a name is the sender's own");
        let consultation = format!("/api/v1/consultations/{}", world.consultation);
        assert_eq!(world.http.get(&consultation, &world.patient).body["status"], "1", "the doctor has replied");
        world.is_consistent();
    }
}

#[test]
fn history_goes_both_ways_and_search_finds_two_characters() {
    for database in Database::available() {
        let world = World::new(database);
        let first = world.last_seq() + 1;
        for n in 0..5 {
            let (who, words) =
                if n % 2 == 0 { (&world.patient, "夜间憋醒 100%") } else { (&world.doctor, "血压 100 正常") };
            assert_eq!(world.send(who, &format!("m{n}"), words).status, 201);
        }
        let last = world.last_seq();
        let newest = world.get("/messages?limit=2", &world.doctor).body;
        assert_eq!((seqs(&newest), &newest["hasMore"]), (vec![last - 1, last], &json!(true)));
        let earlier = world.get(&format!("/messages?limit=2&before={}", last - 1), &world.patient).body;
        assert_eq!(seqs(&earlier), [last - 3, last - 2]);
        let later = world.get(&format!("/messages?after={}", last - 1), &world.patient).body;
        assert_eq!((seqs(&later), &later["hasMore"]), (vec![last], &json!(false)));
        let oldest = world.get(&format!("/messages?before={first}"), &world.patient).body;
        assert_eq!(seqs(&oldest), (1..first).collect::<Vec<_>>());
        let search = |who: &As, query: &str| world.http.get(&format!("/api/v1/messages/search?{query}"), who).body;
        let found = search(&world.patient, "q=%E6%86%8B%E9%86%92&limit=2");
        assert_eq!(texts(&found), ["夜间憋醒 100%"; 2]);
        let next =
            search(&world.patient, &format!("q=%E6%86%8B%E9%86%92&cursor={}", found["nextCursor"].as_str().unwrap()));
        assert_eq!((texts(&next).len(), next.get("nextCursor")), (1, None));
        assert_eq!(texts(&search(&world.doctor, "q=100%25")), ["夜间憋醒 100%"; 3], "% stands for itself");
        assert!(texts(&search(&world.stranger, "q=100")).is_empty());
        refused(&world.http.get("/api/v1/messages/search?q=100", &world.admin), 400, "request.invalid");
        assert_eq!(texts(&search(&world.admin, &format!("q=100&conversationId={}", world.dialog))).len(), 5);
        let export = world.get("/export", &world.doctor).body;
        let lines = export.as_array().unwrap();
        assert_eq!(lines.last(), Some(&json!({ "content": "夜间憋醒 100%", "type": "text" })));
        assert!(lines.len() >= 5);
    }
}

#[test]
fn a_recalled_message_is_shown_to_nobody_but_the_audited() {
    for database in Database::available() {
        let world = World::new(database);
        let sent = world.send(&world.patient, "m1", "写错了").body;
        let id = sent["messageId"].as_str().unwrap();
        let recall = world.path(&format!("/messages/{id}/recall"));
        let before = world.listed(&world.doctor)["unreadCount"].as_i64().unwrap();
        refused(&world.http.post(&recall, &world.doctor, &json!({})), 403, "access.forbidden");
        refused(&world.http.post(&recall, &world.stranger, &json!({})), 404, "conversation.not_found");
        let recalled = world.http.post(&recall, &world.patient, &json!({}));
        assert_eq!(recalled.status, 200, "{}", recalled.body);
        assert!(recalled.body["recalledAt"].is_string() && recalled.body.get("content").is_none());
        assert_eq!(world.http.post(&recall, &world.patient, &json!({})).body, recalled.body, "again changes nothing");
        let listed = world.listed(&world.doctor);
        assert_eq!(listed["unreadCount"].as_i64().unwrap(), before - 1);
        let everything = [
            listed,
            world.get("/messages", &world.doctor).body,
            world.get(&format!("/messages/{id}"), &world.patient).body,
            world.get("/export", &world.patient).body,
            world.get("/messages", &world.admin).body,
            world.sync(&world.doctor, "cursor=0"),
            world.http.get("/api/v1/messages/search?q=%E5%86%99%E9%94%99", &world.patient).body,
        ];
        assert!(everything.iter().all(|seen| !seen.to_string().contains("写错")), "{everything:?}");
        let original = format!("/messages/{id}/original");
        refused(&world.get(&original, &world.patient), 403, "access.forbidden");
        assert_eq!(world.get(&original, &world.admin).body["content"]["text"], "写错了");
        let audit = world.http.get(&format!("/api/v1/admin/audit-events?subject=message:{id}"), &world.admin).body;
        let acts: Vec<_> = audit["items"].as_array().unwrap().iter().map(|a| a["action"].as_str().unwrap()).collect();
        assert_eq!(acts, ["message.original"], "{audit}");
        let kept = world.send(&world.doctor, "m2", "请休息").body["messageId"].as_str().unwrap().to_owned();
        let by_admin = world.path(&format!("/messages/{kept}/recall"));
        assert_eq!(world.http.post(&by_admin, &world.admin, &json!({})).status, 200);
        world.is_consistent();
    }
}

#[test]
fn a_consultation_is_exported_whole_for_its_parties_and_the_audited() {
    for database in Database::available() {
        let world = World::new(database);
        let wrong = world.send(&world.patient, "m1", "写错了").body;
        world.send(&world.patient, "m2", "<script>alert('x')</script> & \"引号\"");
        world.send(&world.doctor, "m3", "请多休息");
        let first = world.send(&world.doctor, "m4", "每天一片").body["messageId"].clone();
        let correction =
            json!({ "clientMessageId": "m5", "type": "text", "content": { "text": "每天两片" }, "corrects": first });
        assert_eq!(world.http.post(&world.path("/messages"), &world.doctor, &correction).status, 201);
        let recall = world.path(&format!("/messages/{}/recall", wrong["messageId"].as_str().unwrap()));
        assert_eq!(world.http.post(&recall, &world.patient, &json!({})).status, 200);

        let path = format!("/api/v1/consultations/{}/export", world.consultation);
        let export = world.http.get(&path, &world.patient);
        assert_eq!(export.status, 200, "{}", export.body);
        assert_eq!(export.body["consultation"]["objectId"], world.consultation.as_str());
        assert_eq!(
            (&export.body["doctor"]["name"], &export.body["patient"]["name"]),
            (&json!("医生0"), &json!("患者0"))
        );
        assert_eq!(export.body["events"][0]["event"], "initiated");
        let messages = export.body["messages"].as_array().unwrap();
        let last_seq = world.last_seq();
        let seqs: Vec<_> = messages.iter().filter_map(|m| m["seq"].as_i64()).collect();
        assert_eq!(seqs, (1..=last_seq).collect::<Vec<_>>(), "every message has its place");
        let recalled = messages.iter().find(|m| m["id"] == wrong["messageId"]).unwrap();
        assert!(recalled["recalledAt"].is_string() && recalled.get("content").is_none(), "{recalled}");
        assert_eq!(messages.last().unwrap()["corrects"], first, "a correction names what it corrects");

        let request = world.http.request(Method::GET, &format!("{path}.html"), &world.doctor);
        let answer = request.send().unwrap();
        assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/html"), "{answer:?}");
        assert!(answer.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
        let page = answer.text().unwrap();
        for shown in ["问诊记录", "医生0", "患者0", "请多休息", "（更正）", "（此消息已撤回）", "&lt;script&gt;"]
        {
            assert!(page.contains(shown), "{shown} is missing: {page}");
        }
        assert!(!page.contains("写错了") && !page.contains("<script"), "{page}");

        refused(&world.http.get(&path, &world.stranger), 404, "consultation.not_found");
        assert_eq!(world.http.get(&path, &world.admin).status, 200);
        let subject = format!("/api/v1/admin/audit-events?subject=consultation:{}", world.consultation);
        let audit = world.http.get(&subject, &world.admin).body;
        assert!(audit["items"].as_array().unwrap().iter().any(|a| a["action"] == "consultation.export"), "{audit}");
    }
}

#[test]
fn what_cannot_be_sent_is_refused_by_name() {
    let world = World::new(Database::Sqlite);
    let fields = |answer: &Answer| {
        refused(answer, 400, "request.invalid");
        answer.body["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap().to_owned()).collect()
    };
    let at_fault = |name: &str, kind: &str, content: Value| -> Vec<String> {
        fields(&world.send_as(&world.patient, name, kind, &content))
    };
    assert_eq!(at_fault("a", "text", json!({ "text": " " })), ["content.text"]);
    assert_eq!(at_fault("a", "text", json!({ "text": "x".repeat(64 * 1024 + 1) })), ["content.text"]);
    assert_eq!(at_fault("a", "text", json!("x")), ["content"]);
    assert_eq!(at_fault("a", "note", json!({ "text": "x" })), ["type"]);
    assert_eq!(at_fault("a", "system", json!({ "event": "e", "text": "x" })), ["type"]);
    assert_eq!(at_fault("a", "link", json!({ "url": "javascript:1", "title": "x" })), ["content.url"]);
    assert_eq!(at_fault("a", "image", json!({ "fileId": ABSENT })), ["content.fileId"]);
    assert_eq!(at_fault("中", "text", json!({ "text": "x" })), ["clientMessageId"]);
    let correction = json!({ "clientMessageId": "c", "type": "text", "content": { "text": "x" }, "corrects": ABSENT });
    assert_eq!(fields(&world.http.post(&world.path("/messages"), &world.patient, &correction)), ["corrects"]);
    let both: Vec<String> = fields(&world.get("/messages?before=5&after=1", &world.patient));
    assert_eq!(both, ["before"]);
    assert_eq!(fields(&world.get("/messages?limit=201", &world.patient)), ["limit"]);
    assert_eq!(fields(&world.http.get("/api/v1/messages/search?q=%20", &world.patient)), ["q"]);
    assert_eq!(fields(&world.http.get("/api/v1/sync?waitMs=30001", &world.patient)), ["waitMs"]);
    assert_eq!(fields(&world.http.get("/api/v1/sync?cursor=-1", &world.patient)), ["cursor"]);
    assert_eq!(fields(&world.http.post(&world.path("/read"), &world.patient, &json!({ "seq": -1 }))), ["seq"]);
    refused(&world.send(&world.stranger, "a", "x"), 404, "conversation.not_found");
    refused(&world.get(&format!("/messages/{ABSENT}"), &world.patient), 404, "message.not_found");
    let end = format!("/api/v1/consultations/{}/end", world.consultation);
    assert_eq!(world.http.post(&end, &world.patient, &json!({})).status, 200);
    refused(&world.send(&world.patient, "late", "还在吗"), 409, "CONSULTATION_ENDED");
    refused(&world.send(&world.doctor, "late", "在"), 409, "CONSULTATION_ENDED");
    world.is_consistent();
}

#[test]
fn a_client_catches_up_from_its_cursor() {
    for database in Database::available() {
        let world = World::new(database);
        let start = world.sync(&world.doctor, "");
        assert_eq!((&start["items"], &start["resync"]), (&json!([]), &json!(false)));
        for n in 0..3 {
            world.send(&world.patient, &format!("m{n}"), "x");
        }
        world.http.post(&world.path("/read"), &world.patient, &json!({ "seq": 1 }));
        let (cursor, epoch) = (start["cursor"].as_i64().unwrap(), start["epoch"].as_str().unwrap());
        let page = world.sync(&world.doctor, &format!("cursor={cursor}&epoch={epoch}&limit=2"));
        assert_eq!((page["items"].as_array().unwrap().len(), &page["hasMore"]), (2, &json!(true)));
        let rest = world.sync(&world.doctor, &format!("cursor={}&epoch={epoch}", page["cursor"]));
        let kinds: Vec<_> = rest["items"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
        assert_eq!((kinds.first(), kinds.last()), (Some(&"message"), Some(&"read")), "{rest}");
        assert_eq!(rest["items"][0]["message"]["content"]["text"], "x");
        assert_eq!(rest["hasMore"], false);
        assert_eq!(world.sync(&world.stranger, &format!("cursor={cursor}"))["items"], json!([]));
        let beyond = world.sync(&world.doctor, &format!("cursor=999999999&epoch={epoch}"));
        assert_eq!((&beyond["resync"], &beyond["items"]), (&json!(true), &json!([])), "a cursor from the future");
        assert_eq!(world.sync(&world.doctor, &format!("cursor={cursor}&epoch=another"))["resync"], true);
    }
}

#[test]
fn a_waiting_client_hears_of_a_message_and_of_nothing_else() {
    let world = World::new(Database::Sqlite);
    let cursor = world.sync(&world.doctor, "")["cursor"].as_i64().unwrap();
    let begun = Instant::now();
    let (heard, unconcerned) = thread::scope(|scope| {
        let waiting = scope.spawn(|| world.sync(&world.doctor, &format!("cursor={cursor}&waitMs=20000")));
        let unconcerned = scope.spawn(|| world.sync(&world.stranger, &format!("cursor={cursor}&waitMs=1500")));
        assert_eq!(world.send(&world.patient, "m1", "醒醒").status, 201);
        (waiting.join().unwrap(), unconcerned.join().unwrap())
    });
    assert_eq!(heard["items"][0]["message"]["content"]["text"], "醒醒");
    assert_eq!(unconcerned["items"], json!([]));
    assert!(begun.elapsed() < Duration::from_secs(15), "it did not wait to the end: {:?}", begun.elapsed());
}

#[test]
fn a_server_that_stops_answers_those_who_wait() {
    let mut world = World::new(Database::Sqlite);
    let head = world.sync(&world.doctor, "");
    let query = format!("/api/v1/sync?cursor={}&waitMs=20000", head["cursor"]);
    let request = world.http.request(Method::GET, &query, &world.doctor);
    let begun = Instant::now();
    let waiting = thread::spawn(move || Answer::of(request.send().unwrap()));
    // Being served is what the one behind it proves: it asked on its own connection first.
    assert_eq!(world.sync(&world.doctor, "waitMs=500")["items"], json!([]));
    assert!(world.api.process.terminate().success());
    let answer = waiting.join().unwrap();
    assert_eq!((answer.status, &answer.body["items"]), (200, &json!([])), "{}", answer.body);
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
}

#[test]
fn a_picture_comes_with_an_address_that_works() {
    const PNG: &[u8] =
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\
        \xcf\xc0\xf0\x1f\0\x05\0\x01\xff\x89\x99=\x1d\0\0\0\0IEND\xaeB`\x82";
    let world = World::new(Database::Sqlite);
    let mut form = b"--f\r\nContent-Disposition: form-data; name=\"file\"; filename=\"p.png\"\r\n\r\n".to_vec();
    form.extend_from_slice(PNG);
    form.extend_from_slice(b"\r\n--f--\r\n");
    let upload = world.http.request(Method::POST, "/api/v1/files", &world.patient);
    let upload = upload.header("Content-Type", "multipart/form-data; boundary=f").body(form);
    let file = Answer::of(upload.send().unwrap()).body["objectId"].as_str().unwrap().to_owned();
    let foreign = world.send_as(&world.doctor, "m1", "image", &json!({ "fileId": file }));
    refused(&foreign, 400, "request.invalid");
    assert_eq!(world.send_as(&world.patient, "m1", "image", &json!({ "fileId": file, "width": 1 })).status, 201);
    let shown = world.listed(&world.doctor)["lastMessage"]["content"].clone();
    assert_eq!((&shown["fileId"], &shown["width"]), (&json!(file), &json!(1)));
    let address = shown["url"].as_str().unwrap();
    let path = &address[address.find("/api/v1").unwrap()..];
    let fetched = world.http.request(Method::GET, path, &As::Nobody).send().unwrap();
    assert_eq!(fetched.bytes().unwrap(), PNG);
    let export = world.get("/export", &world.doctor).body;
    let last = export.as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["type"], "image");
    assert!(last["content"].as_str().unwrap().contains(&file), "{last}");
}

#[test]
fn a_patient_may_write_so_many_messages_and_no_more() {
    for database in Database::available() {
        let world = World::of(Deployment::new(database).with("business.max_patient_messages", "2"));
        let consultation =
            || world.http.get(&format!("/api/v1/consultations/{}", world.consultation), &world.doctor).body;
        for name in ["m1", "m2"] {
            assert_eq!(world.send(&world.patient, name, "在吗").status, 201);
        }
        assert_eq!(world.send(&world.doctor, "d1", "在的").status, 201);
        let last = world.last_seq();
        refused(&world.send(&world.patient, "m3", "还有"), 409, "MESSAGE_LIMIT");
        assert_eq!((world.last_seq(), &consultation()["status"]), (last, &json!("1")));
        // The doctor is not limited, and what was sent before is not sent again.
        assert_eq!(world.send(&world.doctor, "d2", "请讲").status, 201);
        assert_eq!(world.send(&world.patient, "m2", "在吗").status, 200);
        world.is_consistent();

        // Without any reply one message too many ends it.
        let unanswered = World::of(Deployment::new(database).with("business.max_patient_messages", "1"));
        assert_eq!(unanswered.send(&unanswered.patient, "m1", "在吗").status, 201);
        refused(&unanswered.send(&unanswered.patient, "m2", "人呢"), 409, "CONSULTATION_ENDED");
        let path = format!("/api/v1/consultations/{}", unanswered.consultation);
        let ended = unanswered.http.get(&path, &unanswered.patient).body;
        assert_eq!((&ended["status"], &ended["endReason"]), (&json!("2"), &json!("expired_no_reply")), "{ended}");
        unanswered.is_consistent();
    }
}
