//! The official assistant and its desk over HTTP, with real agents, patients and doctors.

use reqwest::Method;
use serde_json::{Value, json};
use tests::load::export::{doctor_id, doctor_phone, patient_phone};
use tests::server::{Api, Database, Deployment};
use tests::socket::Socket;
use tests::world::{Answer, As, Http, create_admin, populate};

struct World {
    deployment: Deployment,
    api: Api,
    http: Http,
    admin: As,
    agents: [As; 2],
    agent_ids: [String; 2],
    patients: [As; 3],
    doctor: As,
}

impl World {
    fn new(database: Database) -> Self {
        let deployment = Deployment::new(database);
        populate(&deployment, 1, 3);
        let (name, password) = create_admin(&deployment);
        let api = deployment.start_api();
        let http = Http::new(&api);
        let admin = http.sign_in_staff(&name, &password);
        let agents = ["wang", "li"].map(|name| {
            let new = json!({ "username": format!("agent-{name}"), "displayName": name, "role": "agent" });
            let made = http.post("/api/v1/admin/agents", &admin, &new).body;
            let session = http.sign_in_staff(&format!("agent-{name}"), made["password"].as_str().unwrap());
            (session, made["agent"]["objectId"].as_str().unwrap().to_owned())
        });
        let [(one, one_id), (two, two_id)] = agents;
        Self {
            admin,
            agents: [one, two],
            agent_ids: [one_id, two_id],
            patients: [0, 1, 2].map(|n| http.sign_in(&patient_phone(n), "patient")),
            doctor: http.sign_in(&doctor_phone(0), "doctor"),
            deployment,
            api,
            http,
        }
    }

    /// Stops the server and starts it again over the same database.
    fn restart(&mut self) {
        self.api.process.terminate();
        self.api = self.deployment.start_api();
        self.http = Http::new(&self.api);
    }

    fn call(&self, method: Method, path: &str, who: &As, body: &Value) -> Answer {
        let request = self.http.request(method, &format!("/api/v1{path}"), who);
        let request = if body.is_null() { request } else { request.json(body) };
        Answer::of(request.send().unwrap())
    }

    #[track_caller]
    fn ok(&self, method: &Method, path: &str, who: &As, body: &Value) -> Value {
        let answer = self.call(method.clone(), path, who, body);
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {}", answer.status, answer.body);
        answer.body
    }

    #[track_caller]
    fn get(&self, path: &str, who: &As) -> Value {
        self.ok(&Method::GET, path, who, &Value::Null)
    }

    #[track_caller]
    fn post(&self, path: &str, who: &As, body: &Value) -> Value {
        self.ok(&Method::POST, path, who, body)
    }

    /// Refused with this code.
    #[track_caller]
    fn refused(&self, method: Method, path: &str, who: &As, body: &Value, code: &str) {
        let answer = self.call(method, path, who, body);
        assert_eq!(answer.body["code"], code, "{path}: {} {}", answer.status, answer.body);
    }

    fn open(&self, who: &As) -> String {
        let opened = self.post("/assistant/conversation", who, &json!({}));
        opened["conversation"]["id"].as_str().unwrap().to_owned()
    }

    #[track_caller]
    fn write(&self, chat: &str, who: &As, name: &str, text: &str) -> Value {
        self.post(&format!("/conversations/{chat}/messages"), who, &said(name, text))
    }

    #[track_caller]
    fn answer(&self, chat: &str, who: &As, name: &str, text: &str) -> Value {
        self.post(&format!("/desk/chats/{chat}/messages"), who, &said(name, text))
    }

    fn come(&self, agent: usize) {
        self.ok(&Method::PUT, "/desk/me/status", &self.agents[agent], &json!({ "status": "online" }));
    }

    fn chat(&self, chat: &str) -> Value {
        self.get(&format!("/desk/chats/{chat}"), &self.admin)
    }

    fn texts(&self, chat: &str, who: &As) -> Vec<String> {
        let page = self.get(&format!("/conversations/{chat}/messages"), who);
        let items = page["items"].as_array().unwrap().clone();
        items.iter().map(|item| item["content"]["text"].as_str().unwrap_or_default().to_owned()).collect()
    }

    fn audited(&self, action: &str) -> usize {
        let found = self.get(&format!("/admin/audit-events?action={action}"), &self.admin);
        found["items"].as_array().unwrap().len()
    }
}

fn said(name: &str, text: &str) -> Value {
    json!({ "clientMessageId": name, "type": "text", "content": { "text": text } })
}

#[test]
fn patients_and_doctors_talk_to_one_assistant() {
    for database in Database::available() {
        let w = World::new(database);
        let about = w.get("/assistant", &w.patients[0]);
        assert_eq!(about["name"], "兆观官方助手");
        assert_eq!(about["isOpen"], true);
        let opened = w.call(Method::POST, "/assistant/conversation", &w.patients[0], &json!({}));
        assert_eq!(opened.status, 201, "{}", opened.body);
        let conversation = &opened.body["conversation"];
        assert_eq!(conversation["kind"], "assistant");
        assert_eq!(conversation["lastMessage"]["content"]["text"], about["welcomeText"]);
        assert_eq!(conversation["lastMessage"]["sender"], about["objectId"]);
        let again = w.call(Method::POST, "/assistant/conversation", &w.patients[0], &json!({}));
        assert_eq!((again.status, &again.body["conversation"]["id"]), (200, &conversation["id"]));
        let chat = w.open(&w.patients[0]);
        assert_ne!(w.open(&w.doctor), chat);

        // Nobody is there: it waits.
        w.write(&chat, &w.patients[0], "p1", "怎么绑定设备？");
        let waiting = w.get("/assistant/chat", &w.patients[0]);
        assert_eq!((&waiting["status"], &waiting["queuePosition"]), (&json!("queued"), &json!(1)));
        w.come(0);
        let shown = w.chat(&chat);
        assert_eq!((&shown["status"], &shown["agentId"]), (&json!("assigned"), &json!(w.agent_ids[0])));
        assert_eq!((&shown["turn"], &shown["assignReason"]), (&json!("waiting_agent"), &json!("least_loaded")));
        assert_eq!(shown["slaKind"], "first_reply");
        assert_eq!(shown["unreadCount"], 1);

        // Only the owner answers, in the name of the assistant.
        w.refused(
            Method::POST,
            &format!("/desk/chats/{chat}/messages"),
            &w.agents[1],
            &said("x", "我来"),
            "desk.not_yours",
        );
        let sent = w.answer(&chat, &w.agents[0], "a1", "请打开设置");
        let retried = w.answer(&chat, &w.agents[0], "a1", "请打开设置");
        assert_eq!((&retried["seq"], &retried["duplicate"]), (&sent["seq"], &json!(true)));
        let page = w.get(&format!("/conversations/{chat}/messages"), &w.patients[0]);
        let last = page["items"].as_array().unwrap().last().unwrap().clone();
        assert_eq!((&last["sender"], &last["actedBy"]), (&about["objectId"], &json!(w.agent_ids[0])));
        let seen = w.get("/assistant/chat", &w.patients[0]);
        assert_eq!((&seen["status"], &seen["agentName"]), (&json!("assigned"), &json!("wang")));
        // The customer cannot speak as the assistant, nor somebody else in the customer's conversation.
        w.refused(
            Method::POST,
            &format!("/conversations/{chat}/messages"),
            &w.patients[1],
            &said("y", "我是谁"),
            "conversation.not_found",
        );
    }
}

#[test]
fn notes_are_for_agents_only() {
    let w = World::new(Database::Sqlite);
    let chat = w.open(&w.patients[0]);
    w.write(&chat, &w.patients[0], "p1", "在吗");
    w.come(0);
    let before = w.get(&format!("/conversations/{chat}"), &w.patients[0]);
    let cursor = w.get("/sync", &w.patients[0]);
    let note = w.post(&format!("/desk/chats/{chat}/notes"), &w.agents[1], &json!({ "text": "秘密备注" }));
    assert_eq!((&note["kind"], &note["afterSeq"]), (&json!("note"), &json!(2)));
    let entries = w.get(&format!("/desk/chats/{chat}/entries"), &w.agents[0]);
    assert_eq!(entries["items"][0]["text"], "秘密备注");
    assert_eq!(entries["items"][0]["agentName"], "li");
    let after = w.get(&format!("/conversations/{chat}"), &w.patients[0]);
    assert_eq!((&before["lastSeq"], &before["unreadCount"]), (&after["lastSeq"], &after["unreadCount"]));
    let epoch = cursor["epoch"].as_str().unwrap();
    let missed = w.get(&format!("/sync?cursor={}&epoch={epoch}", cursor["cursor"]), &w.patients[0]);
    let export = w.get(&format!("/conversations/{chat}/export"), &w.patients[0]);
    let found = w.get("/messages/search?q=备注", &w.patients[0]);
    for told in [missed, export, found, w.get("/conversations", &w.patients[0])] {
        assert!(!told.to_string().contains("秘密备注"), "{told}");
    }
}

#[test]
fn chats_wait_for_room_and_are_served_in_order() {
    let w = World::new(Database::Sqlite);
    let one = json!({ "capacity": 1, "skills": ["设备"], "groups": ["售后"] });
    let set = w.ok(&Method::PATCH, &format!("/admin/desk/agents/{}", w.agent_ids[0]), &w.admin, &one);
    assert_eq!((&set["capacity"], &set["groups"]), (&json!(1), &json!(["售后"])));
    w.come(0);
    let chats: Vec<String> = w.patients.iter().map(|patient| w.open(patient)).collect();
    for (n, (chat, patient)) in chats.iter().zip(&w.patients).enumerate() {
        w.write(chat, patient, &format!("p{n}"), "在吗");
    }
    assert_eq!(w.chat(&chats[0])["status"], "assigned");
    assert_eq!(w.get("/assistant/chat", &w.patients[2])["queuePosition"], 2);
    w.refused(Method::POST, &format!("/desk/chats/{}/claim", chats[1]), &w.agents[0], &Value::Null, "desk.no_room");
    w.refused(Method::POST, &format!("/desk/chats/{}/claim", chats[1]), &w.agents[1], &Value::Null, "desk.offline");
    // More urgent comes first.
    let urgent = w.ok(&Method::PATCH, &format!("/desk/chats/{}", chats[2]), &w.agents[1], &json!({ "priority": 3 }));
    assert_eq!((&urgent["priority"], &urgent["queuePosition"]), (&json!(3), &json!(1)));
    let waiting = w.get("/desk/chats?view=waiting", &w.agents[0]);
    assert_eq!(waiting["items"][0]["conversationId"], json!(chats[2]));
    let first = w.get("/desk/chats?view=waiting&limit=1", &w.agents[0]);
    assert_eq!(first["items"].as_array().unwrap().len(), 1);
    let next = first["nextCursor"].as_str().unwrap();
    let second = w.get(&format!("/desk/chats?view=waiting&limit=1&cursor={next}"), &w.agents[0]);
    assert_eq!((&second["items"][0]["conversationId"], &second["nextCursor"]), (&json!(chats[1]), &Value::Null));
    w.post(&format!("/desk/chats/{}/close", chats[0]), &w.agents[0], &Value::Null);
    assert_eq!((&w.chat(&chats[2])["status"], &w.chat(&chats[1])["status"]), (&json!("assigned"), &json!("queued")));
    let counts = w.get("/desk/counts", &w.agents[0]);
    let numbers = ["mine", "waiting", "all", "closed"].map(|view| counts[view].as_i64().unwrap());
    assert_eq!(numbers, [1, 1, 3, 1], "{counts}");
    // Who goes gives everything back.
    w.come(1);
    w.ok(&Method::PUT, "/desk/me/status", &w.agents[0], &json!({ "status": "offline" }));
    assert_eq!(w.chat(&chats[2])["agentId"], json!(w.agent_ids[1]));
}

#[test]
fn chats_are_handed_over_and_taken_over() {
    for database in Database::available() {
        let w = World::new(database);
        w.come(0);
        let chat = w.open(&w.patients[0]);
        w.write(&chat, &w.patients[0], "p1", "退款");
        let transfer = format!("/desk/chats/{chat}/transfer");
        let to_second = json!({ "agentId": w.agent_ids[1], "note": "请接手" });
        // Who has never been at the desk is known there all the same.
        w.refused(Method::POST, &transfer, &w.agents[0], &to_second, "desk.agent_away");
        let nobody = json!({ "agentId": "5dae7e7e7e7e7e7e7e7e7e7e", "note": "请接手" });
        w.refused(Method::POST, &transfer, &w.agents[0], &nobody, "desk.agent_not_found");
        let staff = w.get("/desk/agents", &w.agents[0])["items"].as_array().unwrap().clone();
        let second = staff.iter().find(|agent| agent["agentId"] == json!(w.agent_ids[1])).unwrap();
        assert_eq!((&second["status"], &second["capacity"]), (&json!("offline"), &json!(5)));
        w.ok(&Method::PUT, "/desk/me/status", &w.agents[1], &json!({ "status": "away" }));
        let offered = w.post(&transfer, &w.agents[0], &to_second);
        assert_eq!(
            (&offered["agentId"], &offered["offer"]["toAgentId"]),
            (&json!(w.agent_ids[0]), &json!(w.agent_ids[1]))
        );
        assert_eq!(w.get("/desk/chats?view=mine", &w.agents[1])["items"][0]["conversationId"], json!(chat));
        w.refused(Method::POST, &format!("{transfer}/accept"), &w.agents[0], &Value::Null, "desk.no_offer");
        let declined = w.post(&format!("{transfer}/decline"), &w.agents[1], &Value::Null);
        assert_eq!((&declined["agentId"], &declined["offer"]), (&json!(w.agent_ids[0]), &Value::Null));
        w.post(&transfer, &w.agents[0], &to_second);
        let accepted = w.post(&format!("{transfer}/accept"), &w.agents[1], &Value::Null);
        assert_eq!((&accepted["agentId"], &accepted["assignReason"]), (&json!(w.agent_ids[1]), &json!("transferred")));
        let over = json!({ "reason": "客户要求" });
        let cursor = w.get("/sync", &w.agents[1]);
        let taken = w.post(&format!("/desk/chats/{chat}/take-over"), &w.agents[0], &over);
        assert_eq!((&taken["agentId"], &taken["assignReason"]), (&json!(w.agent_ids[0]), &json!("taken_over")));
        assert_eq!(w.audited("desk.take_over"), 1);
        // The first agent is told, and everybody at the desk hears where the chat is now.
        let since = format!("/sync?cursor={}&epoch={}", cursor["cursor"], cursor["epoch"].as_str().unwrap());
        let told = w.get(&since, &w.agents[1])["items"].as_array().unwrap().clone();
        let whats: Vec<&str> = told.iter().filter_map(|item| item["data"]["what"].as_str()).collect();
        assert!(whats.contains(&"taken_over") && whats.contains(&"chat") && whats.contains(&"entry"), "{whats:?}");
        let others = w.get(&since, &w.agents[0])["items"].as_array().unwrap().clone();
        assert!(!others.iter().any(|item| item["data"]["what"] == "taken_over"));
        let customers = w.get(&since, &w.patients[0])["items"].as_array().unwrap().clone();
        assert!(!customers.iter().any(|item| item["kind"] == "desk"), "{customers:?}");
        // Looking into another's chat leaves a trace, looking into one's own does not.
        w.get(&format!("/desk/chats/{chat}/messages"), &w.agents[0]);
        assert_eq!(w.audited("desk.read_other"), 0);
        w.get(&format!("/desk/chats/{chat}/messages"), &w.agents[1]);
        assert_eq!(w.audited("desk.read_other"), 1);
        // To a group it goes through the queue.
        let to_group = json!({ "group": "售后", "note": "请售后处理" });
        w.refused(Method::POST, &transfer, &w.agents[0], &to_group, "request.invalid");
        let groups = json!({ "groups": ["售后"] });
        w.ok(&Method::PATCH, &format!("/admin/desk/agents/{}", w.agent_ids[1]), &w.admin, &groups);
        let moved = w.post(&transfer, &w.agents[0], &to_group);
        assert_eq!((&moved["status"], &moved["group"]), (&json!("queued"), &json!("售后")));
        w.come(1);
        assert_eq!(w.chat(&chat)["agentId"], json!(w.agent_ids[1]));
        let kinds: Vec<String> = w.get(&format!("/desk/chats/{chat}/entries?limit=100"), &w.agents[1])["items"]
            .as_array()
            .unwrap()
            .iter()
            .rev()
            .map(|entry| entry["kind"].as_str().unwrap().to_owned())
            .collect();
        let expected =
            ["queued", "assigned", "offered", "declined", "offered", "accepted", "taken_over", "offered", "assigned"];
        assert_eq!(kinds, expected);
    }
}

#[test]
fn a_closed_chat_is_rated_once_and_taken_up_again() {
    let w = World::new(Database::Sqlite);
    w.come(0);
    let chat = w.open(&w.patients[0]);
    let rating = json!({ "score": 4, "comment": "很快" });
    w.refused(Method::POST, "/assistant/rating", &w.patients[0], &rating, "assistant.cannot_rate");
    w.write(&chat, &w.patients[0], "p1", "在吗");
    w.answer(&chat, &w.agents[0], "a1", "在的");
    w.post(&format!("/desk/chats/{chat}/close"), &w.agents[0], &Value::Null);
    assert_eq!(w.get("/assistant/chat", &w.patients[0])["canRate"], true);
    assert!(w.texts(&chat, &w.patients[0]).last().unwrap().contains("评分"));
    // Within a day the same agent goes on with it.
    w.write(&chat, &w.patients[0], "p2", "还有一个问题");
    let again = w.chat(&chat);
    assert_eq!((&again["agentId"], &again["assignReason"]), (&json!(w.agent_ids[0]), &json!("sticky")));
    w.refused(Method::POST, "/assistant/rating", &w.patients[0], &rating, "assistant.cannot_rate");
    w.post(&format!("/desk/chats/{chat}/close"), &w.agents[0], &Value::Null);
    let rated = w.post("/assistant/rating", &w.patients[0], &rating);
    assert_eq!((&rated["canRate"], &rated["rating"]), (&json!(false), &json!(4)));
    w.refused(Method::POST, "/assistant/rating", &w.patients[0], &rating, "assistant.cannot_rate");
    let profile = w.get(&format!("/desk/chats/{chat}/profile"), &w.agents[0]);
    assert_eq!(profile["episodes"].as_array().unwrap().len(), 1);
    assert_eq!((&profile["episodes"][0]["rating"], &profile["episodes"][0]["comment"]), (&json!(4), &json!("很快")));
    assert!(profile["phone"].as_str().unwrap().contains("****"), "{profile}");
    let period = "from=2020-01-01T00:00:00.000Z&to=2020-12-01T00:00:00.000Z";
    assert_eq!(w.get(&format!("/desk/reports?{period}"), &w.admin)["figures"]["episodes"], 0);
    let year = chrono_year();
    let period = format!("from={year}-01-01T00:00:00.000Z&to={}-01-01T00:00:00.000Z", year + 1);
    let report = w.get(&format!("/desk/reports?{period}"), &w.admin);
    assert_eq!((&report["figures"]["episodes"], &report["figures"]["csat"]["average"]), (&json!(1), &json!(4.0)));
    assert_eq!(report["byAgent"][0]["displayName"], "wang");
    let csv = w.http.request(Method::GET, &format!("/api/v1/desk/reports/csv?{period}"), &w.admin).send().unwrap();
    assert!(csv.headers()["content-type"].to_str().unwrap().starts_with("text/csv"));
    let rows = csv.text().unwrap();
    assert!(rows.lines().count() == 2 && rows.contains("很快") && rows.contains(",wang,"), "{rows}");
    // Agents see their own figures only.
    assert_eq!(w.get(&format!("/desk/reports?{period}"), &w.agents[1])["figures"]["episodes"], 0);
}

/// This year, as the server's own clock tells it.
fn chrono_year() -> i32 {
    let seconds = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
    i32::try_from(1970 + seconds / 31_556_952).unwrap()
}

#[test]
fn outside_the_hours_the_next_opening_is_named_once() {
    let w = World::new(Database::Sqlite);
    // Open for one minute a week, which is not now, or hardly ever.
    let hours = json!([{ "weekday": 3, "start": "03:00", "end": "03:01" }]);
    let texts = json!({ "weeklyHours": hours, "offHoursText": "请于{{nextOpen}}再来", "welcomeText": "欢迎" });
    w.ok(&Method::PATCH, "/admin/assistant", &w.admin, &texts);
    let about = w.get("/assistant", &w.patients[0]);
    assert_eq!(about["isOpen"], false);
    assert!(about["nextOpenAt"].is_string());
    let chat = w.open(&w.patients[0]);
    w.write(&chat, &w.patients[0], "p1", "在吗");
    w.write(&chat, &w.patients[0], "p2", "有人吗");
    let texts = w.texts(&chat, &w.patients[0]);
    assert_eq!(texts.len(), 4, "{texts:?}");
    assert!(texts[2].starts_with("请于") && texts[2].contains("（周三）03:00"), "{texts:?}");
    let faults =
        json!({ "name": " ", "timezone": "Mars", "weeklyHours": [{ "weekday": 1, "start": "25:00", "end": "1" }] });
    let refused = w.call(Method::PATCH, "/admin/assistant", &w.admin, &faults);
    let fields: Vec<&str> =
        refused.body["errors"].as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["name", "timezone", "weeklyHours[0].start"]);
}

#[test]
fn what_the_desk_keeps_survives_a_restart() {
    let mut w = World::new(Database::Sqlite);
    w.come(0);
    let chat = w.open(&w.patients[0]);
    w.write(&chat, &w.patients[0], "p1", "在吗");
    let path = format!("/desk/chats/{chat}");
    w.ok(&Method::PUT, &format!("{path}/draft"), &w.agents[0], &json!({ "text": "写到一半", "isNote": true }));
    let kept = json!({ "tags": ["会员", "会员"], "remark": "喜欢电话" });
    let changed = w.ok(&Method::PATCH, &path, &w.agents[0], &kept);
    assert_eq!(changed["tags"], json!(["会员"]));
    let new = json!({ "title": "退款流程", "text": "{{customer.name}}您好", "scope": "personal" });
    w.post("/desk/canned-replies", &w.agents[0], &new);
    // The lease must outlive the restart.
    w.come(0);
    w.restart();
    let after = w.get(&path, &w.agents[0]);
    assert_eq!((&after["agentId"], &after["hasDraft"]), (&json!(w.agent_ids[0]), &json!(true)));
    assert_eq!((&after["tags"], &after["remark"]), (&json!(["会员"]), &json!("喜欢电话")));
    let draft = w.get(&format!("{path}/draft"), &w.agents[0]);
    assert_eq!((&draft["text"], &draft["isNote"]), (&json!("写到一半"), &json!(true)));
    let found = w.get(&format!("/desk/canned-replies?q=tuikuan&conversationId={chat}"), &w.agents[0]);
    let name = after["customer"]["name"].as_str().unwrap();
    assert_eq!(found["items"][0]["rendered"], format!("{name}您好"));
    assert!(w.get("/desk/canned-replies?q=tklc", &w.agents[1])["items"].as_array().unwrap().is_empty());
    let all = json!({ "title": "全员", "text": "好", "scope": "all" });
    w.refused(Method::POST, "/desk/canned-replies", &w.agents[0], &all, "access.forbidden");
    w.answer(&chat, &w.agents[0], "a1", "在的");
    let blocked = w.ok(&Method::PATCH, &path, &w.agents[0], &json!({ "isBlocked": true }));
    assert_eq!(blocked["isBlocked"], true);
    w.refused(
        Method::POST,
        &format!("/conversations/{chat}/messages"),
        &w.patients[0],
        &said("p9", "喂"),
        "assistant.blocked",
    );
    let found = w.get("/desk/search?q=在的", &w.agents[1]);
    assert_eq!(found["items"][0]["conversationId"], json!(chat));
}

#[test]
fn a_block_between_doctor_and_patient_does_not_touch_the_assistant() {
    let w = World::new(Database::Sqlite);
    w.http.initiate(&doctor_id(0), &tests::load::export::patient_id(0));
    let relations = w.get(&format!("/doctors/{}/relations", doctor_id(0)), &w.doctor);
    let relation = relations["items"][0]["objectId"].as_str().unwrap().to_owned();
    w.ok(&Method::PATCH, &format!("/relations/{relation}"), &w.doctor, &json!({ "block": true }));
    let chat = w.open(&w.patients[0]);
    w.write(&chat, &w.patients[0], "p1", "在吗");
}

/// The next event of a kind about a conversation.
fn event_of(socket: &mut Socket, kind: &str, chat: &str) -> Value {
    loop {
        let event = socket.expect("event");
        if event["kind"] == kind && event["conversationId"] == chat {
            return event;
        }
    }
}

#[test]
fn the_desk_hears_at_once_and_customers_hear_nothing_of_the_desk() {
    for database in Database::available() {
        let world = World::new(database);
        let (mut agent, ready) = Socket::open(&world.api, &world.agents[0]);
        let own = format!("agent:{}", world.agent_ids[0]);
        assert_eq!(ready["clientIds"][0], own.as_str(), "{ready}");
        let (mut patient, _) = Socket::open(&world.api, &world.patients[0]);
        world.come(0);
        let chat = world.open(&world.patients[0]);
        patient.sent(&chat, "q-1", "怎么预约");
        let asked = loop {
            let event = event_of(&mut agent, "message", &chat);
            if event["message"]["clientMessageId"] == "q-1" {
                break event;
            }
        };
        assert_eq!(asked["message"]["content"], json!({ "text": "怎么预约" }));
        event_of(&mut agent, "desk", &chat);
        patient.say(&json!({ "type": "typing", "conversationId": chat }));
        assert_eq!(agent.expect("typing")["conversationId"], chat.as_str());

        world.answer(&chat, &world.agents[0], "a-1", "点首页的预约");
        let answered = loop {
            let event = event_of(&mut patient, "message", &chat);
            if event["message"]["clientMessageId"] == "a-1" {
                break event;
            }
        };
        assert_eq!(answered["message"]["actedBy"], world.agent_ids[0].as_str());
        agent.say(&json!({ "type": "typing", "conversationId": chat }));
        assert_eq!(patient.expect("typing")["clientId"], answered["message"]["sender"], "the assistant writes");

        world.post(&format!("/desk/chats/{chat}/notes"), &world.agents[0], &json!({ "text": "脾气急" }));
        let noted = loop {
            let event = event_of(&mut agent, "desk", &chat);
            if event["data"]["what"] == "entry" && event.to_string().contains("脾气急") {
                break event;
            }
        };
        // What the agent missed is there after coming back, and nothing of it is the customer's.
        let cursor = noted["cursor"].as_i64().unwrap() - 1;
        let mut again = Socket::resume(&world.api, &world.agents[0], cursor, ready["epoch"].as_str().unwrap());
        assert_eq!(event_of(&mut again, "desk", &chat)["cursor"], noted["cursor"]);
        let frames = patient.until_pong();
        assert!(
            frames.iter().all(|frame| frame["kind"] != "desk" && !frame.to_string().contains("脾气急")),
            "{frames:?}"
        );
        let missed = world.get("/sync?cursor=0", &world.patients[0]);
        assert!(!missed.to_string().contains("脾气急"), "{missed}");
    }
}
