//! Messaging over WebSockets on one node: who gets what, what is refused, and how sockets end.

use std::time::Duration;

use reqwest::blocking::multipart::{Form, Part};
use serde_json::{Value, json};
use tests::dialog::{Dialog, text};
use tests::load::export::{doctor_id, patient_id, patient_phone};
use tests::server::{Api, Database, Deployment};
use tests::socket::{Socket, token};
use tests::world::{As, Http, create_admin, violations};

fn deployment() -> Deployment {
    Deployment::new(Database::Sqlite)
}

fn start() -> (Deployment, Api, Dialog) {
    start_with(deployment())
}

fn start_with(deployment: Deployment) -> (Deployment, Api, Dialog) {
    let (api, dialog) = Dialog::begin(&deployment);
    (deployment, api, dialog)
}

/// What people wrote among frames.
fn texts(frames: &[Value]) -> Vec<String> {
    let messages = frames.iter().filter(|frame| frame["kind"] == "message" && frame["message"]["sender"].is_string());
    messages.filter_map(|frame| frame["message"]["content"]["text"].as_str().map(str::to_owned)).collect()
}

/// The next message that a person wrote.
fn next_message(socket: &mut Socket) -> Value {
    loop {
        let event = socket.expect("event");
        if !texts(std::slice::from_ref(&event)).is_empty() {
            return event;
        }
    }
}

fn code_of(socket: &mut Socket) -> String {
    text(&socket.expect("error")["code"])
}

#[test]
fn a_message_reaches_every_device_but_the_one_it_came_from() {
    let (_deployment, api, dialog) = start();
    let (mut phone, ready) = Socket::open(&api, &dialog.patient);
    let (mut tablet, _) = Socket::open(&api, &dialog.patient);
    let (mut doctor, _) = Socket::open(&api, &dialog.doctor);
    assert_eq!(ready["clientIds"].as_array().map(Vec::len), Some(1), "{ready}");

    let ack = phone.sent(&dialog.id, "m-1", "医生您好");
    assert_eq!(ack["duplicate"], json!(false));
    for device in [&mut tablet, &mut doctor] {
        let event = next_message(device);
        let message = &event["message"];
        assert_eq!((&message["id"], &message["seq"]), (&ack["messageId"], &ack["seq"]));
        assert_eq!((&message["sender"], &message["clientMessageId"]), (&ready["clientIds"][0], &json!("m-1")));
        assert_eq!(message["content"], json!({ "text": "医生您好" }));
        assert_eq!(message["prevSeq"], json!(message["seq"].as_i64().unwrap() - 1));
        assert_eq!(event["conversationId"], json!(dialog.id));
    }
    assert_eq!(texts(&phone.until_pong()), [""; 0]);

    let again = phone.sent(&dialog.id, "m-1", "医生您好");
    assert_eq!((&again["seq"], &again["duplicate"]), (&ack["seq"], &json!(true)));
    phone.send_text(&dialog.id, "m-1", "另一句话");
    let error = phone.expect("error");
    assert_eq!((&error["code"], &error["clientMessageId"]), (&json!("CLIENT_MESSAGE_ID_CONFLICT"), &json!("m-1")));
    assert_eq!(texts(&doctor.until_pong()), [""; 0], "neither retry was delivered again");
}

#[test]
fn pipelined_messages_keep_their_order_everywhere() {
    let (_deployment, api, dialog) = start();
    let (mut patient, _) = Socket::open(&api, &dialog.patient);
    let (mut doctor, _) = Socket::open(&api, &dialog.doctor);
    let count = 80;
    for n in 0..count {
        patient.send_text(&dialog.id, &format!("p-{n}"), &format!("第{n}句"));
    }
    let acks: Vec<Value> = (0..count).map(|_| patient.expect("ack")).collect();
    let seqs: Vec<i64> = acks.iter().map(|ack| ack["seq"].as_i64().unwrap()).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "{seqs:?}");
    let mut received = Vec::new();
    while received.len() < count {
        received.extend(texts(&[doctor.expect("event")]));
    }
    assert_eq!(received, (0..count).map(|n| format!("第{n}句")).collect::<Vec<_>>());
}

#[test]
fn what_was_missed_follows_the_next_hello() {
    let (_deployment, api, dialog) = start_with(deployment().with("im.frames_per_second", "10000"));
    let (mut doctor, ready) = Socket::open(&api, &dialog.doctor);
    let (mut patient, _) = Socket::open(&api, &dialog.patient);
    patient.sent(&dialog.id, "a", "一");
    let seen = next_message(&mut doctor);
    let (cursor, epoch) = (seen["cursor"].as_i64().unwrap(), text(&ready["epoch"]));
    drop(doctor);
    // More than a page of the store, so that catching up takes several.
    for n in 0..230 {
        patient.send_text(&dialog.id, &format!("b-{n}"), &format!("{n}"));
    }
    for _ in 0..230 {
        patient.expect("ack");
    }
    let mut doctor = Socket::resume(&api, &dialog.doctor, cursor, &epoch);
    assert_eq!(doctor.expect("ready")["cursor"], json!(cursor));
    patient.sent(&dialog.id, "c", "最后");
    let mut cursors = vec![cursor];
    let mut missed = Vec::new();
    while missed.last().map(String::as_str) != Some("最后") {
        let event = doctor.expect("event");
        cursors.push(event["cursor"].as_i64().unwrap());
        missed.extend(texts(&[event]));
    }
    assert!(cursors.is_sorted_by(|a, b| a < b), "{cursors:?}");
    let expected: Vec<String> = (0..230).map(|n| n.to_string()).chain(["最后".to_owned()]).collect();
    assert_eq!(missed, expected);
}

#[test]
fn a_cursor_that_means_nothing_is_answered_with_a_resync() {
    let (_deployment, api, dialog) = start();
    let (_, ready) = Socket::open(&api, &dialog.patient);
    let (cursor, epoch) = (ready["cursor"].as_i64().unwrap(), text(&ready["epoch"]));
    for (cursor, epoch) in [(cursor + 100_000, epoch.as_str()), (cursor, "another-epoch"), (-1, epoch.as_str())] {
        let mut socket = Socket::resume(&api, &dialog.patient, cursor, epoch);
        let resync = socket.expect("resync");
        assert_eq!(resync["epoch"], ready["epoch"]);
        assert_eq!(socket.expect("ready")["cursor"], resync["cursor"]);
    }
}

#[test]
fn once_the_database_was_restored_clients_load_everything_again() {
    let (deployment, mut api, dialog) = start();
    let (mut patient, ready) = Socket::open(&api, &dialog.patient);
    patient.sent(&dialog.id, "1", "一");
    let (cursor, epoch) = (ready["cursor"].as_i64().unwrap(), text(&ready["epoch"]));
    // A node that still runs notices by itself.
    assert!(deployment.run_ok(&["renew-epoch"]).contains("epoch"));
    patient.expect_bye("resync_required");
    let mut again = Socket::resume(&api, &dialog.patient, cursor, &epoch);
    let resync = again.expect("resync");
    assert_ne!(resync["epoch"], json!(epoch));
    assert_eq!(again.expect("ready")["epoch"], resync["epoch"]);
    let sync = |epoch: &str| {
        let path = format!("/api/v1/sync?cursor={cursor}&epoch={epoch}");
        dialog.http.get(&path, &dialog.patient).body["resync"].clone()
    };
    assert_eq!((sync(&epoch), sync(&text(&resync["epoch"]))), (json!(true), json!(false)));

    api.process.kill();
    deployment.run_ok(&["renew-epoch"]);
    let api = deployment.start_api();
    let mut later = Socket::resume(&api, &dialog.patient, cursor, &text(&resync["epoch"]));
    later.expect("resync");
    later.expect("ready");
    assert!(violations(&deployment).is_empty());
}

#[test]
fn who_may_not_write_is_told_why() {
    let (deployment, api, dialog) = start();
    let stranger = dialog.http.sign_in(&patient_phone(1), "patient");
    let (mut outsider, _) = Socket::open(&api, &stranger);
    outsider.send_text(&dialog.id, "x", "你好");
    assert_eq!(code_of(&mut outsider), "conversation.not_found");
    outsider.say(&json!({ "type": "range", "conversationId": dialog.id, "after": 0 }));
    assert_eq!(code_of(&mut outsider), "conversation.not_found");
    outsider.say(&json!({ "type": "read", "conversationId": dialog.id, "seq": 1 }));
    assert_eq!(code_of(&mut outsider), "conversation.not_found");

    let (mut patient, _) = Socket::open(&api, &dialog.patient);
    let (mut doctor, _) = Socket::open(&api, &dialog.doctor);
    patient.sent(&dialog.id, "x", "医生您好");
    // Answered, or the revocation would end it.
    doctor.sent(&dialog.id, "a", "您好");

    let (name, password) = create_admin(&deployment);
    let admin = dialog.http.sign_in_staff(&name, &password);
    let revoke = format!("/api/v1/admin/certifications/{}/revoke", doctor_id(0));
    assert_eq!(dialog.http.post(&revoke, &admin, &json!({ "reason": "证件过期" })).status, 200);
    doctor.send_text(&dialog.id, "x", "您好");
    assert_eq!(code_of(&mut doctor), "DOCTOR_NOT_AUTHENTICATED");
    let end = format!("/api/v1/consultations/{}/end", dialog.consultation);
    assert_eq!(dialog.http.post(&end, &dialog.doctor, &json!({ "reason": "稍后再说" })).status, 200);
    patient.send_text(&dialog.id, "y", "还在吗");
    assert_eq!(code_of(&mut patient), "CONSULTATION_ENDED");
    let relations = dialog.http.get(&format!("/api/v1/patients/{}/relations", patient_id(0)), &As::Integrator);
    let relation = text(&relations.body["items"][0]["objectId"]);
    let block = dialog.http.patch(&format!("/api/v1/relations/{relation}"), &dialog.doctor, &json!({ "block": true }));
    assert_eq!(block.status, 200, "{block:?}");
    patient.send_text(&dialog.id, "z", "还在吗");
    assert_eq!(code_of(&mut patient), "RELATION_BLOCKED");
}

#[test]
fn files_must_be_ones_own() {
    let (_deployment, api, dialog) = start();
    let upload = |who: &As| {
        let mut picture = b"\x89PNG\r\n\x1a\n".to_vec();
        picture.extend([0; 64]);
        let form = Form::new().part("file", Part::bytes(picture).file_name("x.png"));
        let request = dialog.http.request(reqwest::Method::POST, "/api/v1/files", who).multipart(form);
        let answer: Value = request.send().unwrap().json().unwrap();
        text(&answer["objectId"])
    };
    let (own, foreign) = (upload(&dialog.patient), upload(&dialog.doctor));
    let (mut patient, _) = Socket::open(&api, &dialog.patient);
    let mut send = |name: &str, file: &str| {
        patient.say(&json!({ "type": "send", "clientMessageId": name, "conversationId": dialog.id,
            "messageType": "image", "content": { "fileId": file } }));
        patient.next_within(Duration::from_secs(10)).unwrap()
    };
    let refused = send("1", &foreign);
    assert_eq!(
        (&refused["code"], &refused["fields"][0]["field"]),
        (&json!("request.invalid"), &json!("content.fileId"))
    );
    assert_eq!(send("2", &own)["type"], "ack");
}

#[test]
fn what_is_no_frame_is_refused_and_in_the_end_closes_the_socket() {
    let (_deployment, api, dialog) = start();
    let (mut socket, _) = Socket::open(&api, &dialog.patient);
    socket.say_text("{");
    assert_eq!(code_of(&mut socket), "im.malformed_frame");
    socket.say(&json!({ "type": "subscribe" }));
    assert_eq!(code_of(&mut socket), "im.malformed_frame");
    socket.say(&json!({ "type": "hello", "token": token(&dialog.patient) }));
    assert_eq!(code_of(&mut socket), "im.frame_out_of_place");
    for (content, field) in [(json!({}), "content"), (json!({ "text": " " }), "content.text")] {
        socket.say(&json!({ "type": "send", "clientMessageId": "m", "conversationId": dialog.id,
            "messageType": "text", "content": content }));
        assert_eq!(socket.expect("error")["fields"][0]["field"], field);
    }
    socket.say(&json!({ "type": "send", "clientMessageId": "m", "conversationId": dialog.id,
        "messageType": "note", "content": { "text": "x" } }));
    assert_eq!(socket.expect("error")["fields"][0]["field"], "type", "notes are for the desk only");
    for _ in 0..20 {
        socket.say_text("[]");
    }
    socket.expect_bye("protocol_error");
}

#[test]
fn a_frame_that_is_too_large_closes_the_socket() {
    let (_deployment, api, dialog) = start_with(deployment().with("im.max_frame_bytes", "2000"));
    let (mut socket, ready) = Socket::open(&api, &dialog.patient);
    assert_eq!(ready["limits"]["maxFrameBytes"], 2000);
    socket.sent(&dialog.id, "fits", &"好".repeat(500));
    socket.send_text(&dialog.id, "over", &"好".repeat(1000));
    let bye = socket.expect_bye("frame_too_large");
    assert_eq!(bye["reconnectAfterMs"], Value::Null);
    assert_eq!(u16::from(socket.closed.unwrap().code), 1009);
}

#[test]
fn frames_that_come_too_fast_are_refused_and_then_close_the_socket() {
    let (_deployment, api, dialog) = start_with(deployment().with("im.frames_per_second", "5"));
    let (mut socket, _) = Socket::open(&api, &dialog.patient);
    for _ in 0..200 {
        socket.say(&json!({ "type": "ping" }));
    }
    let error = socket.expect("error");
    assert_eq!(error["code"], "im.too_many_frames");
    assert!(error["retryAfterMs"].as_u64().is_some_and(|ms| ms > 0), "{error}");
    socket.expect_bye("flood");
}

#[test]
fn only_people_with_a_session_are_welcome() {
    let (deployment, api, dialog) = start_with(deployment().with("im.hello_within", "1s"));
    let mut socket = Socket::connect(&api);
    socket.say(&json!({ "type": "hello", "token": "no-such-token" }));
    socket.expect_bye("unauthenticated");
    let mut silent = Socket::connect(&api);
    silent.expect_bye("hello_timeout");
    let mut early = Socket::connect(&api);
    early.send_text(&dialog.id, "m", "x");
    assert_eq!(code_of(&mut early), "im.frame_out_of_place");
    let (name, password) = create_admin(&deployment);
    let admin = dialog.http.sign_in_staff(&name, &password);
    // Staff listens for the assistant, and speaks through the desk only.
    let (mut staff, ready) = Socket::open(&api, &admin);
    assert_eq!(ready["clientIds"].as_array().map(Vec::len), Some(2), "{ready}");
    staff.send_text(&dialog.id, "m", "x");
    assert_eq!(code_of(&mut staff), "access.forbidden");
    let mut without = Socket::connect(&api);
    without.say(&json!({ "type": "hello" }));
    without.expect_bye("unauthenticated");
    let plain = dialog.http.get("/im/v1/ws", &dialog.patient);
    assert_eq!(plain.status, 400, "{plain:?}");
}

#[test]
fn a_kicked_device_is_closed_at_once_and_the_others_stay() {
    let (_deployment, api, dialog) = start_with(deployment().with("sms.limits.per_number", "[\"9/1m\"]"));
    let other = dialog.http.sign_in(&patient_phone(0), "patient");
    let (mut kicked, ready) = Socket::open(&api, &other);
    let (mut staying, _) = Socket::open(&api, &dialog.patient);
    let session = text(&ready["sessionId"]);
    let devices = dialog.http.get("/api/v1/auth/sessions", &dialog.patient).body;
    assert!(devices["items"].as_array().unwrap().iter().any(|device| device["objectId"] == session), "{devices}");
    let path = format!("/api/v1/auth/sessions/{session}?reason=%E6%89%8B%E6%9C%BA%E4%B8%A2%E5%A4%B1");
    let revoked = dialog.http.request(reqwest::Method::DELETE, &path, &dialog.patient).send().unwrap();
    assert_eq!(revoked.status(), 204);
    let bye = kicked.expect_bye("session_ended");
    assert_eq!((&bye["detail"], &bye["reconnectAfterMs"]), (&json!("手机丢失"), &Value::Null));
    let told = loop {
        let event = staying.expect("event");
        if event["kind"] == "session_ended" {
            break event;
        }
    };
    assert_eq!(told["data"], json!({ "sessionId": session, "reason": "手机丢失" }), "the person's other devices know");
    staying.sent(&dialog.id, "m", "我还在");
    let mut again = Socket::connect(&api);
    again.say(&json!({ "type": "hello", "token": token(&other) }));
    again.expect_bye("unauthenticated");
}

#[test]
fn one_socket_too_many_closes_the_oldest() {
    let (_deployment, api, dialog) = start_with(deployment().with("im.max_sockets_per_user", "2"));
    let mut sockets: Vec<Socket> = (0..3).map(|_| Socket::open(&api, &dialog.patient).0).collect();
    sockets[0].expect_bye("too_many_sockets");
    for socket in &mut sockets[1..] {
        // They are alive; the line that began the consultation may still have been on its way.
        assert_eq!(texts(&socket.until_pong()), [""; 0]);
    }
}

#[test]
fn a_reader_that_is_too_slow_is_sent_away_and_loses_nothing() {
    let deployment = deployment().with("im.queue_frames", "16").with("im.frames_per_second", "10000");
    let (_deployment, api, dialog) = start_with(deployment);
    let (mut slow, ready) = Socket::open(&api, &dialog.doctor);
    let (mut patient, _) = Socket::open(&api, &dialog.patient);
    let long = "好".repeat(20_000);
    // More than the kernel's buffers take: until the server has had enough. It says so for a few seconds only.
    let is_over = || {
        let metrics =
            dialog.http.request(reqwest::Method::GET, "/metrics", &As::Nobody).send().unwrap().text().unwrap();
        metrics.lines().any(|line| line.starts_with("im_closed{reason=\"resync_required\"}"))
    };
    let mut count = 0;
    while !is_over() {
        assert!(count < 1_000, "all {count} were taken: nothing was too slow");
        for _ in 0..5 {
            patient.send_text(&dialog.id, &format!("m-{count}"), &long);
            patient.expect("ack");
            count += 1;
        }
    }
    let mut frames = Vec::new();
    while let Some(frame) = slow.next_within(Duration::from_secs(10)) {
        frames.push(frame);
    }
    let bye = frames.pop().unwrap();
    assert_eq!(bye["reason"], "resync_required", "{bye}");
    let came = texts(&frames).len();
    assert!(came < count, "all {count} came: nothing was too slow");
    let cursor = frames.iter().filter_map(|frame| frame["cursor"].as_i64()).max();
    let cursor = cursor.unwrap_or_else(|| ready["cursor"].as_i64().unwrap());
    let mut again = Socket::resume(&api, &dialog.doctor, cursor, &text(&ready["epoch"]));
    again.expect("ready");
    let mut rest = 0;
    while came + rest < count {
        rest += texts(&[again.expect("event")]).len();
    }
}

#[test]
fn a_node_that_stops_answers_what_it_took_and_says_good_bye() {
    let (deployment, mut api, dialog) = start();
    let (mut patient, ready) = Socket::open(&api, &dialog.patient);
    let (mut doctor, _) = Socket::open(&api, &dialog.doctor);
    for n in 0..40 {
        patient.send_text(&dialog.id, &format!("m-{n}"), "停机前");
    }
    patient.expect("ack");
    let status = api.process.terminate();
    assert!(status.success(), "{status}");
    let mut acked = 1;
    let bye = loop {
        let frame = patient.next_within(Duration::from_secs(10)).expect("a good-bye");
        match frame["type"].as_str() {
            Some("ack") => acked += 1,
            // The start of the consultation may still be on its way.
            Some("event") => {}
            Some("bye") => break frame,
            other => panic!("{other:?} came: {frame}"),
        }
    };
    assert_eq!(bye["reason"], "draining");
    assert!(bye["reconnectAfterMs"].as_u64().is_some_and(|ms| (250..=3250).contains(&ms)), "{bye}");
    doctor.expect_bye("draining");

    let api = deployment.start_api();
    let cursor = ready["cursor"].as_i64().unwrap();
    let mut doctor = Socket::resume(&api, &dialog.doctor, cursor, &text(&ready["epoch"]));
    doctor.expect("ready");
    let stored = texts(&doctor.until_pong()).len();
    assert!(stored >= acked, "{acked} were acknowledged, {stored} are there");
}

#[test]
fn the_others_see_reading_writing_and_looking() {
    let (_deployment, api, dialog) = start();
    let (mut patient, ready) = Socket::open(&api, &dialog.patient);
    let (mut doctor, doctor_ready) = Socket::open(&api, &dialog.doctor);
    let (me, you) = (&ready["clientIds"][0], &doctor_ready["clientIds"][0]);
    let seq = patient.sent(&dialog.id, "m", "在吗")["seq"].clone();

    doctor.say(&json!({ "type": "typing", "conversationId": dialog.id }));
    assert_eq!(patient.expect("typing"), json!({ "type": "typing", "conversationId": dialog.id, "clientId": you }));
    doctor.say(&json!({ "type": "delivered", "conversationId": dialog.id, "seq": 1_000_000 }));
    let receipt = patient.expect("receipt");
    assert_eq!((&receipt["clientId"], &receipt["deliveredSeq"]), (you, &seq), "never beyond the newest message");
    doctor.say(&json!({ "type": "presence", "viewing": dialog.id }));
    assert_eq!(patient.expect("presence")["viewing"], json!(true));
    doctor.say(&json!({ "type": "read", "conversationId": dialog.id, "seq": seq }));
    let read = loop {
        let event = patient.expect("event");
        if event["kind"] != "message" {
            break event;
        }
    };
    assert_eq!((&read["kind"], &read["data"]["clientId"], &read["data"]["seq"]), (&json!("read"), you, &seq));
    drop(doctor);
    assert_eq!(patient.expect("presence")["viewing"], json!(false), "whoever is gone does not look");
    let conversation = dialog.http.get(&format!("/api/v1/conversations/{}", dialog.id), &dialog.patient);
    let members = conversation.body["members"].as_array().unwrap();
    let doctor = members.iter().find(|m| m["clientId"] == *you).unwrap();
    assert_eq!((&doctor["deliveredSeq"], &doctor["readSeq"]), (&seq, &seq), "{me}");
}

#[test]
fn a_hole_is_filled_by_asking_for_the_range() {
    let (_deployment, api, dialog) = start();
    let (mut patient, _) = Socket::open(&api, &dialog.patient);
    let seqs: Vec<i64> = ["一", "二", "三", "四"]
        .iter()
        .map(|line| patient.sent(&dialog.id, line_name(line), line)["seq"].as_i64().unwrap())
        .collect();
    let (after, before) = (seqs[0], seqs[3]);
    patient.say(&json!({ "type": "range", "conversationId": dialog.id, "after": after, "before": before }));
    let range = patient.expect("range");
    let got: Vec<&str> =
        range["messages"].as_array().unwrap().iter().map(|m| m["content"]["text"].as_str().unwrap()).collect();
    assert_eq!((got, &range["hasMore"]), (vec!["二", "三"], &json!(false)));
}

fn line_name(line: &str) -> &'static str {
    match line {
        "一" => "m1",
        "二" => "m2",
        "三" => "m3",
        _ => "m4",
    }
}

#[test]
fn consultations_and_requests_over_http_are_seen_live() {
    let (_deployment, api, dialog) = start();
    let (mut patient, _) = Socket::open(&api, &dialog.patient);
    let (mut doctor, _) = Socket::open(&api, &dialog.doctor);
    let body = json!({ "clientMessageId": "h-1", "type": "text", "content": { "text": "来自网页" } });
    let path = format!("/api/v1/conversations/{}/messages", dialog.id);
    let sent = dialog.http.post(&path, &dialog.patient, &body);
    assert!(sent.status == 200 || sent.status == 201, "{sent:?}");
    assert_eq!(texts(&[next_message(&mut doctor)]), ["来自网页"]);
    assert_eq!(texts(&[next_message(&mut patient)]), ["来自网页"]);
    let end = format!("/api/v1/consultations/{}/end", dialog.consultation);
    assert_eq!(dialog.http.post(&end, &dialog.doctor, &json!({ "reason": "稍后再说" })).status, 200);
    loop {
        let event = patient.expect("event");
        if event["kind"] == "consultation" {
            assert_eq!(event["data"]["consultationId"], json!(dialog.consultation), "{event}");
            break;
        }
    }
}

#[test]
fn a_silent_client_is_pinged_and_then_given_up() {
    let (_deployment, api, dialog) = start_with(deployment().with("im.heartbeat", "1s"));
    let (mut socket, ready) = Socket::open(&api, &dialog.patient);
    let ping = socket.expect("ping");
    assert!(ping["cursor"].as_i64() >= ready["cursor"].as_i64(), "{ping}");
    socket.expect_bye("heartbeat_timeout");
    let (mut alive, _) = Socket::open(&api, &dialog.patient);
    for _ in 0..4 {
        alive.expect("ping");
        alive.say(&json!({ "type": "pong" }));
    }
}

#[test]
fn the_metrics_count_sockets() {
    let (_deployment, api, dialog) = start();
    let (_socket, _) = Socket::open(&api, &dialog.patient);
    let http = Http::new(&api);
    let metrics = http.request(reqwest::Method::GET, "/metrics", &As::Nobody).send().unwrap().text().unwrap();
    assert!(metrics.lines().any(|line| line == "im_sockets 1"), "{metrics}");
}
