//! LeanCloud's realtime protocol as no SDK would speak it: the ways in, what is refused, who may see what, and what has
//! to hold of ids, history and unread counts.

use std::time::Duration;

use leancloud::realtime::frame::command;
use leancloud::realtime::signature::{Signed, Signer};
use leancloud::realtime::wire::{
    AckCommand, CommandType, ConvCommand, DirectCommand, GenericCommand, JsonObjectMessage, LogsCommand, OpType,
    PatchCommand, PatchItem, ReadCommand, ReadTuple, SessionCommand, logs_command::QueryDirection,
};
use reqwest::Method;
use serde_json::{Value, json};
use tests::leancloud::{Asks, Socket, code_of, direct_command};
use tests::load::export::{doctor_id, doctor_phone, patient_id, patient_phone};
use tests::server::{APP_ID, Api, Database, Deployment, MASTER_KEY};
use tests::world::{Answer, As, Http, populate};

fn on_each_database(settings: &[(&str, &str)], test: impl Fn(&Deployment, &Api, &Http)) {
    for database in Database::available() {
        let deployment = settings.iter().fold(Deployment::new(database), |d, (key, value)| d.with(key, value));
        populate(&deployment, 2, 2);
        let api = deployment.start_api();
        test(&deployment, &api, &Http::new(&api));
    }
}

fn refused(answer: &GenericCommand, code: i32) {
    assert_eq!(code_of(answer), Some(code));
}

#[test]
fn every_way_to_ask_for_the_protocol_works() {
    on_each_database(&[("http.public_url", "\"https://im.example.com\"")], |_, api, http| {
        let route = http.get("/v1/route?appId=x&secure=true", &As::Nobody);
        let url = "wss://im.example.com/ws";
        assert_eq!(route.body, json!({ "groupId": "g0", "server": url, "secondary": url, "ttl": 3600 }));
        for name in ["lc.protobuf2.3", "lc.protobuf2.1", "lc.proto2base64.3", "lc.proto2base64.1"] {
            let mut socket = Socket::connect_with(api, Asks::ByHeader(name));
            assert_eq!(socket.subprotocol.as_deref(), Some(name), "it is echoed");
            socket.open(&format!("h-{name}"));
            let mut socket = Socket::connect_with(api, Asks::ByAddress(name));
            assert_eq!(socket.subprotocol, None);
            socket.open(&format!("a-{name}"));
            let echo = socket.ask(command(CommandType::Echo, None));
            assert_eq!(echo.cmd, Some(CommandType::Echo.into()));
        }
    });
}

#[test]
fn nothing_is_left_without_an_answer() {
    on_each_database(&[], |_, api, _| {
        let mut socket = Socket::connect(api);
        refused(&socket.conv(OpType::Query, ConvCommand::default()), 4105);
        for peer in ["x".repeat(65).as_str(), "a\nb", "system"] {
            refused(&socket.try_open(peer, SessionCommand::default()), 4103);
        }
        let other = GenericCommand {
            app_id: Some("another-app".into()),
            peer_id: Some("tom".into()),
            ..command(CommandType::Session, Some(OpType::Open))
        };
        refused(&socket.ask(other), 4100);
        let anonymous = socket.try_open("", SessionCommand::default());
        assert!(anonymous.peer_id.is_some_and(|peer| !peer.is_empty()));

        let mut socket = Socket::connect(api);
        socket.open("tom");
        for cmd in
            [CommandType::Room, CommandType::Presence, CommandType::Report, CommandType::Pubsub, CommandType::Login]
        {
            refused(&socket.ask(command(cmd, None)), 4301);
        }
        refused(&socket.ask(command(CommandType::Blacklist, Some(OpType::Block))), 4544);
        refused(&socket.conv(OpType::MemberInfoUpdate, ConvCommand::default()), 4325);
        refused(&socket.conv(OpType::AddShutup, ConvCommand::default()), 4301);
        refused(&socket.ask(GenericCommand { cmd: Some(77), ..GenericCommand::default() }), 4301);
        socket.say_bytes(vec![0xff; 9]);
        let answer = socket.next_within(Duration::from_secs(5)).expect("garbage is answered");
        refused(&answer, 4114);
        let long = DirectCommand { cid: Some("0".repeat(24)), msg: Some("x".repeat(5121)), ..DirectCommand::default() };
        refused(&socket.send(long), 4109);
        let nowhere = DirectCommand { cid: Some("0".repeat(24)), msg: Some("x".into()), ..DirectCommand::default() };
        refused(&socket.send(nowhere), 4401);
        refused(&socket.logs(LogsCommand { cid: Some("no id".into()), ..LogsCommand::default() }), 4303);
    });
}

#[test]
fn a_session_is_taken_up_by_its_token_and_by_nothing_else() {
    on_each_database(&[], |deployment, api, _| {
        let tagged = || SessionCommand { tag: Some("mobile".into()), ..SessionCommand::default() };
        let mut first = Socket::connect(api);
        let opened = first.try_open("tom", tagged());
        let token = opened.session_message.and_then(|session| session.st).expect("a token");
        let resume =
            |token: &str| SessionCommand { r: Some(true), st: Some(token.into()), ..SessionCommand::default() };
        // A resume neither loses the tag nor throws others out.
        let mut again = Socket::connect(api);
        assert_eq!(code_of(&again.try_open("tom", resume(&token))), None);
        refused(&Socket::connect(api).try_open("jerry", resume(&token)), 4112);
        refused(&Socket::connect(api).try_open("tom", resume("forged")), 4112);
        // Another device with the tag: the old ones are told, and do not come back by themselves.
        let mut other = Socket::connect(api);
        assert_eq!(code_of(&other.try_open("tom", tagged())), None);
        for old in [&mut first, &mut again] {
            let closed = old.expect(CommandType::Session, Some(OpType::Closed));
            refused(&closed, 4111);
            refused(&old.conv(OpType::Query, ConvCommand::default()), 4105);
        }
        refused(&Socket::connect(api).try_open("tom", resume(&token)), 4111);
        // Tokens outlive the process.
        let mut jerry = Socket::connect(api);
        let token = jerry.open("jerry");
        let restarted = deployment.start_api();
        assert_eq!(code_of(&Socket::connect(&restarted).try_open("jerry", resume(&token))), None);
        let refresh = GenericCommand {
            session_message: Some(SessionCommand { st: Some(token.clone()), ..SessionCommand::default() }),
            ..command(CommandType::Session, Some(OpType::Refresh))
        };
        let refreshed = jerry.ask(refresh);
        assert_eq!(refreshed.session_message.and_then(|session| session.st), Some(token.clone()));
        // Signed off, it is worth nothing.
        let closed = jerry.ask(command(CommandType::Session, Some(OpType::Close)));
        assert_eq!((closed.op, code_of(&closed)), (Some(OpType::Closed.into()), None));
        refused(&Socket::connect(api).try_open("jerry", resume(&token)), 4112);
    });
}

#[test]
fn several_clients_share_a_socket() {
    on_each_database(&[], |_, api, _| {
        let mut socket = Socket::connect(api);
        socket.open("tom");
        let room = socket.start(&["jerry"], true);
        socket.open("jerry");
        refused(&socket.conv(OpType::Query, ConvCommand::default()), 4105);
        let direct = DirectCommand { cid: Some(room), msg: Some("hi".into()), ..DirectCommand::default() };
        let sent = socket.ask(GenericCommand { peer_id: Some("tom".into()), ..direct_command(direct) });
        assert_eq!((code_of(&sent), sent.peer_id.as_deref()), (None, Some("tom")));
        let pushed = socket.expect(CommandType::Direct, None);
        assert_eq!(pushed.peer_id.as_deref(), Some("jerry"));
    });
}

#[test]
fn under_the_production_policy_nobody_opens_anothers_id() {
    let policy = [("leancloud.im_login", "\"session_or_signature\"")];
    on_each_database(&policy, |_, api, http| {
        refused(&Socket::connect(api).try_open(&patient_id(1), SessionCommand::default()), 4102);
        refused(&Socket::connect(api).try_open("", SessionCommand::default()), 4102);
        let reopened = SessionCommand { r: Some(true), ..SessionCommand::default() };
        refused(&Socket::connect(api).try_open(&patient_id(1), reopened), 4102);

        let As::Session(token) = http.sign_in(&patient_phone(1), "patient") else { panic!("a session") };
        let sign = |body: Value| http.post("/1.1/rtm/sign", &As::App, &body);
        let shown = |signed: &Value| SessionCommand {
            t: signed["timestamp"].as_i64(),
            n: signed["nonce"].as_str().map(str::to_owned),
            s: signed["signature"].as_str().map(str::to_owned),
            ..SessionCommand::default()
        };
        let signed = sign(json!({ "session_token": token })).body;
        let user = signed["client_id"].as_str().expect("the user's id").to_owned();
        assert_eq!(code_of(&Socket::connect(api).try_open(&user, shown(&signed))), None);
        // It is good for nobody else.
        refused(&Socket::connect(api).try_open(&patient_id(2), shown(&signed)), 4102);
        let own = sign(json!({ "session_token": token, "client_id": patient_id(1) })).body;
        assert_eq!(code_of(&Socket::connect(api).try_open(&patient_id(1), shown(&own))), None);
        assert_eq!(sign(json!({ "session_token": token, "client_id": patient_id(2) })).status, 403);
        assert_eq!(sign(json!({ "session_token": "forged" })).status, 400);
        // The application's own server signs for whom it likes.
        let own_server = Signer { app_id: APP_ID.into(), master_key: MASTER_KEY.into() };
        let at = own["timestamp"].as_i64().expect("a time");
        let by_server =
            json!({ "timestamp": at, "nonce": "n", "signature": own_server.sign("tom", Signed::Login, at, "n") });
        assert_eq!(code_of(&Socket::connect(api).try_open("tom", shown(&by_server))), None);
    });
}

/// A login that the application's own server signs.
#[expect(clippy::disallowed_methods, reason = "that server has a clock of its own")]
fn signed(client: &str) -> SessionCommand {
    let signer = Signer { app_id: APP_ID.into(), master_key: MASTER_KEY.into() };
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock");
    let at = i64::try_from(since_epoch.as_millis()).expect("a time");
    SessionCommand {
        t: Some(at),
        n: Some("n".into()),
        s: Some(signer.sign(client, Signed::Login, at, "n")),
        ..SessionCommand::default()
    }
}

fn token_of(opened: GenericCommand) -> String {
    opened.session_message.and_then(|session| session.st).expect("a token")
}

/// What a client missed, as SDKs ask for it after every resume.
fn missed(http: &Http, client: &str, token: &str) -> Vec<Value> {
    let path = format!("/1.1/rtm/notifications?client_id={client}&start_ts=0&notification_type=permanent");
    let asked = http.request(Method::GET, &path, &As::App).header("X-LC-IM-Session-Token", token);
    let answer = Answer::of(asked.send().expect("an answer"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body["notifications"].as_array().expect("notices").clone()
}

#[test]
fn who_was_removed_while_away_is_told_and_finds_no_more_than_that() {
    let policy = [("leancloud.im_login", "\"session_or_signature\"")];
    on_each_database(&policy, |_, api, http| {
        let mut tom = Socket::connect(api);
        assert_eq!(code_of(&tom.try_open("tom", signed("tom"))), None);
        let data = json!({ "name": "秘密的群", "attr": { "plan": "x" } }).to_string();
        let new = ConvCommand {
            m: vec!["jerry".into(), "spike".into()],
            attr: Some(JsonObjectMessage { data }),
            ..ConvCommand::default()
        };
        let room = tom.conv(OpType::Start, new).conv_message.and_then(|conv| conv.cid).expect("a conversation");
        let mut jerry = Socket::connect(api);
        let token = token_of(jerry.try_open("jerry", signed("jerry")));
        assert_eq!(jerry.query(&json!({ "objectId": room }))[0]["name"], "秘密的群");
        drop(jerry);

        let named = |m: &str| ConvCommand { cid: Some(room.clone()), m: vec![m.into()], ..ConvCommand::default() };
        assert_eq!(code_of(&tom.conv(OpType::Remove, named("jerry"))), None);
        tom.sent(&room, "他走了");

        let mut jerry = Socket::connect(api);
        let resume = SessionCommand { r: Some(true), st: Some(token.clone()), ..SessionCommand::default() };
        assert_eq!(code_of(&jerry.try_open("jerry", resume)), None);
        let told = missed(http, "jerry", &token);
        let left: Vec<_> = told.iter().filter(|notice| notice["op"] == "left").collect();
        assert_eq!(left.len(), 1, "{told:?}");
        assert_eq!((&left[0]["cid"], &left[0]["initBy"]), (&json!(room), &json!("tom")));
        assert!(left[0]["serverTs"].is_i64() && left[0]["notificationType"] == 1, "{}", left[0]);
        // SDKs look the conversation up before they tell the application: it is there, and says nothing of itself.
        let rows = jerry.query(&json!({ "objectId": room }));
        assert_eq!((rows.len(), &rows[0]["objectId"], &rows[0]["m"]), (1, &json!(room), &json!([])));
        assert!(rows[0].get("name").is_none() && rows[0].get("attr").is_none(), "{}", rows[0]);
        refused(&jerry.logs(LogsCommand { cid: Some(room.clone()), ..LogsCommand::default() }), 4312);
        refused(&jerry.conv(OpType::Add, named("jerry")), 4309);
        // Who never was in it does not find it at all.
        let mut stranger = Socket::connect(api);
        let of_stranger = token_of(stranger.try_open("butch", signed("butch")));
        assert_eq!(stranger.query(&json!({ "objectId": room })), Vec::<Value>::new());
        assert_eq!(missed(http, "butch", &of_stranger), Vec::<Value>::new());
        // Who stayed is told that somebody else left.
        let mut spike = Socket::connect(api);
        let of_spike = token_of(spike.try_open("spike", signed("spike")));
        let told = missed(http, "spike", &of_spike);
        assert!(told.iter().any(|n| n["op"] == "members_left" && n["m"] == json!(["jerry"])), "{told:?}");
    });
}

#[test]
fn nobody_opens_the_id_of_a_closed_account() {
    let settings = [("leancloud.im_login", "open"), ("worker.embedded", "true"), ("worker.poll", "100ms")];
    on_each_database(&settings, |_, api, http| {
        let patient = http.sign_in(&patient_phone(0), "patient");
        let user = http.get("/api/v1/me", &patient).body["user"]["objectId"].as_str().expect("an id").to_owned();
        let mut connected = Socket::connect(api);
        let token = connected.open(&patient_id(0));
        let closed = http.post("/api/v1/me/close", &patient, &json!({}));
        assert_eq!(closed.status, 204, "{}", closed.body);
        for id in [patient_id(0), user] {
            refused(&Socket::connect(api).try_open(&id, SessionCommand::default()), 4103);
            let again = SessionCommand { r: Some(true), ..SessionCommand::default() };
            refused(&Socket::connect(api).try_open(&id, again), 4103);
        }
        let resume = SessionCommand { r: Some(true), st: Some(token), ..SessionCommand::default() };
        refused(&Socket::connect(api).try_open(&patient_id(0), resume), 4103);
        // Who was connected is told to go.
        refused(&connected.expect(CommandType::Session, Some(OpType::Closed)), 4115);
        refused(&connected.conv(OpType::Query, ConvCommand::default()), 4105);
        // Others go on.
        Socket::connect(api).open(&patient_id(1));
    });
}

#[test]
fn who_comes_back_by_itself_takes_the_tag_from_nobody() {
    on_each_database(&[], |_, api, _| {
        let of = |device: &str, r: bool| SessionCommand {
            tag: Some("mobile".into()),
            device_id: Some(device.into()),
            r: r.then_some(true),
            ..SessionCommand::default()
        };
        let mut phone = Socket::connect(api);
        assert_eq!(code_of(&phone.try_open("tom", of("phone", false))), None);
        refused(&Socket::connect(api).try_open("tom", of("tablet", true)), 4111);
        assert_eq!(code_of(&phone.conv(OpType::Query, ConvCommand::default())), None, "the older device stays");
        assert_eq!(code_of(&Socket::connect(api).try_open("tom", of("phone", true))), None, "it is its own");
        assert_eq!(code_of(&Socket::connect(api).try_open("tom", of("tablet", false))), None);
        refused(&phone.expect(CommandType::Session, Some(OpType::Closed)), 4111);
    });
}

#[test]
fn binary_messages_are_as_long_as_they_are_sent() {
    on_each_database(&[], |_, api, _| {
        let mut tom = Socket::connect(api);
        tom.open("tom");
        let room = tom.start(&["jerry"], true);
        let of = |bytes: usize| DirectCommand {
            cid: Some(room.clone()),
            binary_msg: Some(vec![7; bytes]),
            ..DirectCommand::default()
        };
        assert_eq!(code_of(&tom.send(of(5 * 1024))), None);
        refused(&tom.send(of(5 * 1024 + 1)), 4109);
        let logs =
            tom.logs(LogsCommand { cid: Some(room.clone()), ..LogsCommand::default() }).logs_message.unwrap().logs;
        assert_eq!((logs[0].bin, logs[0].data.as_ref().map(String::len)), (Some(true), Some(6828)));
    });
}

#[test]
fn a_servers_passing_message_reaches_who_is_connected_and_stays_nowhere() {
    on_each_database(&[], |_, api, http| {
        let (mut tom, mut jerry) = (Socket::connect(api), Socket::connect(api));
        tom.open("tom");
        jerry.open("jerry");
        let room = tom.start(&["jerry"], true);
        let body = json!({ "from_client": "tom", "message": "正在输入", "transient": true });
        let sent = http.post(&format!("/1.2/rtm/conversations/{room}/messages"), &As::Integrator, &body);
        assert_eq!(sent.status, 200, "{}", sent.body);
        let told = jerry.expect(CommandType::Direct, None).direct_message.expect("a message");
        assert_eq!((told.msg.as_deref(), told.from_peer_id.as_deref()), (Some("正在输入"), Some("tom")));
        assert_eq!((told.transient, told.id.as_deref()), (Some(true), sent.body["msg-id"].as_str()));
        let logs = jerry.logs(LogsCommand { cid: Some(room), ..LogsCommand::default() }).logs_message.unwrap().logs;
        assert!(logs.is_empty());
    });
}

/// Every page of `/1.2/rtm/messages` and of one client's, both ways, without a gap or a repetition.
#[test]
fn servers_page_through_everything_that_was_written() {
    on_each_database(&[], |_, api, http| {
        let mut tom = Socket::connect(api);
        tom.open("tom");
        let rooms = [tom.start(&["jerry"], false), tom.start(&["spike"], false)];
        let sent: Vec<(String, i64)> = (0..7).map(|n| tom.sent(&rooms[n % 2], &n.to_string())).collect();
        let ids = |answer: &Value| -> Vec<String> {
            answer.as_array().expect("messages").iter().map(|m| m["msg-id"].as_str().unwrap().to_owned()).collect()
        };
        let page = |path: &str| http.get(&format!("/1.2/rtm/{path}"), &As::Integrator).body;
        let forward: Vec<String> = sent.iter().map(|(id, _)| id.clone()).collect();
        let backward: Vec<String> = forward.iter().rev().cloned().collect();
        for path in ["clients/tom/messages", "messages"] {
            for (more, expected) in [("", &backward), ("&reversed=true", &forward)] {
                let (mut found, mut from) = (Vec::new(), String::new());
                loop {
                    let part = page(&format!("{path}?limit=3{more}{from}"));
                    let Some(last) = part.as_array().and_then(|part| part.last()) else { break };
                    from = format!("&msgid={}&timestamp={}", last["msg-id"].as_str().unwrap(), last["timestamp"]);
                    found.extend(ids(&part));
                }
                assert_eq!(&found, expected, "{path}{more}");
            }
            let (first, last) = (&sent[1], &sent[4]);
            let edges =
                format!("msgid={}&timestamp={}&till_msgid={}&till_timestamp={}", last.0, last.1, first.0, first.1);
            assert_eq!(ids(&page(&format!("{path}?{edges}"))), backward[3..5], "between the two");
            let both = format!("{path}?{edges}&include_start=true&include_stop=true");
            assert_eq!(ids(&page(&both)), backward[2..6], "and with them");
        }
        assert_eq!(page("clients/jerry/messages"), json!([]));
    });
}

/// A consultation between the first patient and doctor: its dialog.
fn dialog(http: &Http) -> (String, String) {
    let started = http.initiate(&doctor_id(1), &patient_id(1)).body["result"].clone();
    let consultation = started["consultationId"].as_str().expect("a consultation").to_owned();
    let row = http.get(&format!("/1.1/classes/Consultation/{consultation}"), &As::Integrator).body;
    (row["idDialog"]["objectId"].as_str().expect("a dialog").to_owned(), consultation)
}

#[test]
fn a_dialog_is_closed_to_everybody_who_is_not_in_it() {
    on_each_database(&[], |_, api, http| {
        let (dialog, consultation) = dialog(http);
        let (mut patient, mut stranger) = (Socket::connect(api), Socket::connect(api));
        patient.open(&patient_id(1));
        stranger.open(&patient_id(2));
        let rows = patient.query(&json!({ "objectId": dialog }));
        assert_eq!(rows[0]["attr"]["consultationId"], json!(consultation));
        let (mid, at) = patient.sent(&dialog, "秘密");

        for filter in [
            json!({ "objectId": dialog }),
            json!({ "m": patient_id(1) }),
            json!({ "name": "咨询" }),
            json!({ "attr.consultationId": consultation }),
            json!({}),
            json!({ "$or": [{ "objectId": dialog }, { "m": doctor_id(1) }] }),
        ] {
            assert_eq!(stranger.query(&filter), Vec::<Value>::new(), "{filter}");
        }
        let named =
            |m: &str| ConvCommand { cid: Some(dialog.clone()), m: vec![m.to_owned()], ..ConvCommand::default() };
        refused(&stranger.logs(LogsCommand { cid: Some(dialog.clone()), ..LogsCommand::default() }), 4312);
        refused(&stranger.conv(OpType::Add, named(&patient_id(2))), 4309);
        refused(&stranger.conv(OpType::Remove, named(&patient_id(1))), 4309);
        refused(&stranger.conv(OpType::Update, named("x")), 4309);
        refused(&stranger.conv(OpType::Mute, named("x")), 4309);
        refused(&stranger.conv(OpType::MaxRead, named("x")), 4312);
        refused(&stranger.conv(OpType::Members, named("x")), 4312);
        let direct = DirectCommand { cid: Some(dialog.clone()), msg: Some("x".into()), ..DirectCommand::default() };
        for direct in [
            direct.clone(),
            DirectCommand { transient: Some(true), ..direct.clone() },
            DirectCommand { will: Some(true), ..direct },
        ] {
            refused(&stranger.send(direct), 4401);
        }
        let item = |recall| PatchItem {
            cid: Some(dialog.clone()),
            mid: Some(mid.clone()),
            timestamp: Some(at),
            recall: Some(recall),
            data: Some("x".into()),
            ..PatchItem::default()
        };
        let patch = |recall| GenericCommand {
            patch_message: Some(PatchCommand { patches: vec![item(recall)], last_patch_time: None }),
            ..command(CommandType::Patch, Some(OpType::Modify))
        };
        refused(&stranger.ask(patch(true)), 4401);
        refused(&stranger.ask(patch(false)), 4401);
        // Its parties change neither who is in it nor what was said.
        refused(&patient.conv(OpType::Add, named(&patient_id(2))), 4309);
        refused(&patient.conv(OpType::Remove, named(&doctor_id(1))), 4309);
        refused(&patient.ask(patch(false)), 4406);
        let asked =
            stranger.conv(OpType::IsMember, ConvCommand { cids: vec![dialog.clone()], ..ConvCommand::default() });
        let told: Value = serde_json::from_str(&asked.conv_message.unwrap().results.unwrap().data).unwrap();
        assert_eq!(told[&dialog], json!(false));
        assert!(stranger.pushed.is_empty(), "nothing of it reached the stranger");

        // Nor over HTTP.
        for path in ["/1.1/classes/_Conversation", "/1.2/rtm/conversations", "/1.2/rtm/messages"] {
            let answer = http.get(path, &As::App);
            assert!(answer.status == 403 || answer.body == json!({ "results": [] }), "{path}: {}", answer.body);
        }
        let one = http.get(&format!("/1.1/classes/_Conversation/{dialog}"), &As::App);
        assert_eq!(one.body, json!({}));
        let token = http.request(Method::GET, &format!("/1.1/rtm/notifications?client_id={}", patient_id(1)), &As::App);
        assert_eq!(Answer::of(token.header("X-LC-IM-Session-Token", "forged").send().unwrap()).status, 400);
    });
}

#[test]
fn an_ended_consultation_takes_no_messages_and_says_why() {
    on_each_database(&[], |_, api, http| {
        let (dialog, consultation) = dialog(http);
        let doctor = http.sign_in(&doctor_phone(1), "doctor");
        let mut patient = Socket::connect(api);
        patient.open(&patient_id(1));
        patient.sent(&dialog, "一");
        let ended =
            http.post(&format!("/api/v1/consultations/{consultation}/end"), &doctor, &json!({ "reason": "已解决" }));
        assert!(ended.status < 300, "{}", ended.body);
        let direct = DirectCommand { cid: Some(dialog), msg: Some("二".into()), ..DirectCommand::default() };
        let ack = patient.send(direct).ack_message.expect("an ack");
        assert!(matches!(ack.code, Some(4307 | 4308)), "{:?}", ack.code);
        assert!(ack.app_code.is_some_and(|code| code >= 400));
        assert!(ack.app_msg.is_some_and(|word| word.to_lowercase().contains("ended")), "the stable word");
    });
}

fn items(answer: GenericCommand) -> Vec<(i64, String, String)> {
    let logs = answer.logs_message.expect("logs").logs;
    logs.into_iter().map(|item| (item.timestamp.unwrap(), item.msg_id.unwrap(), item.data.unwrap())).collect()
}

/// Invariants (a) to (d) of the contract, with several writers at once.
#[test]
fn ids_history_and_unread_counts_are_what_they_are_said_to_be() {
    on_each_database(&[], |_, api, http| {
        let mut reader = Socket::connect(api);
        reader.open("reader");
        let room = reader.start(&["w0", "w1", "w2"], false);
        let sent: Vec<(String, i64)> = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3)
                .map(|w| {
                    scope.spawn({
                        let room = room.clone();
                        move || {
                            let mut socket = Socket::connect(api);
                            socket.open(&format!("w{w}"));
                            let mut sent = Vec::new();
                            for n in 0..40 {
                                let direct = DirectCommand {
                                    cid: Some(room.clone()),
                                    msg: Some(format!("w{w}-{n}")),
                                    dt: Some(format!("w{w}-{n}")),
                                    ..DirectCommand::default()
                                };
                                let ack = socket.send(direct.clone()).ack_message.expect("an ack");
                                let known = (ack.uid.clone().expect("an id"), ack.t.expect("a time"));
                                if n % 5 == 0 {
                                    // Sent again under the same name: one effect, one id.
                                    let again = socket.send(direct).ack_message.expect("an ack");
                                    assert_eq!((again.uid, again.t), (ack.uid, ack.t));
                                }
                                sent.push(known);
                            }
                            sent
                        }
                    })
                })
                .collect();
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
        });
        let whole =
            items(reader.logs(LogsCommand { cid: Some(room.clone()), l: Some(1000), ..LogsCommand::default() }));
        assert_eq!(whole.len(), 120, "each message once");
        let keys: Vec<_> = whole.iter().map(|(at, id, _)| (*at, id.clone())).collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "(timestamp, id) grows: {keys:?}");
        let mut acked: Vec<_> = sent.into_iter().map(|(id, at)| (at, id)).collect();
        acked.sort();
        assert_eq!(acked, keys);

        // Pages back and forth, of every size, with ends in and out.
        for size in [1, 7, 20, 50] {
            let (mut back, mut from) = (Vec::new(), None::<(i64, String, String)>);
            loop {
                let logs = LogsCommand {
                    cid: Some(room.clone()),
                    l: Some(size),
                    t: from.as_ref().map(|f| f.0),
                    mid: from.as_ref().map(|f| f.1.clone()),
                    ..LogsCommand::default()
                };
                let page = items(reader.logs(logs));
                let Some(first) = page.first() else { break };
                from = Some(first.clone());
                back.splice(0..0, page);
            }
            assert_eq!(back, whole, "back by {size}");
            let (mut forth, mut from) = (Vec::new(), whole[0].clone());
            forth.push(from.clone());
            loop {
                let logs = LogsCommand {
                    cid: Some(room.clone()),
                    l: Some(size),
                    t: Some(from.0),
                    mid: Some(from.1.clone()),
                    direction: Some(QueryDirection::New.into()),
                    ..LogsCommand::default()
                };
                let page = items(reader.logs(logs));
                let Some(last) = page.last() else { break };
                from = last.clone();
                forth.extend(page);
            }
            assert_eq!(forth, whole, "forth by {size}");
        }
        for (includes_first, includes_last) in [(true, true), (true, false), (false, true), (false, false)] {
            let (low, high) = (&whole[10], &whole[20]);
            let expected = &whole[10 + usize::from(!includes_first)..20 + usize::from(includes_last)];
            let up = LogsCommand {
                cid: Some(room.clone()),
                l: Some(100),
                t: Some(low.0),
                mid: Some(low.1.clone()),
                t_included: Some(includes_first),
                tt: Some(high.0),
                tmid: Some(high.1.clone()),
                tt_included: Some(includes_last),
                direction: Some(QueryDirection::New.into()),
                ..LogsCommand::default()
            };
            assert_eq!(items(reader.logs(up)), expected);
            let down = LogsCommand {
                cid: Some(room.clone()),
                l: Some(100),
                t: Some(high.0),
                mid: Some(high.1.clone()),
                t_included: Some(includes_last),
                tt: Some(low.0),
                tmid: Some(low.1.clone()),
                tt_included: Some(includes_first),
                direction: Some(QueryDirection::Old.into()),
                ..LogsCommand::default()
            };
            assert_eq!(items(reader.logs(down)), expected);
        }

        // Unread is what came after the mark and is not one's own.
        let unread = |client: &str| {
            http.get(&format!("/1.2/rtm/clients/{client}/unread-count?conv_id={room}"), &As::App).body["count"].as_i64()
        };
        assert_eq!((unread("reader"), unread("w1")), (Some(120), Some(80)));
        let mark = &whole[59];
        let read = ReadTuple { cid: room.clone(), timestamp: Some(mark.0), mid: Some(mark.1.clone()) };
        reader.say(GenericCommand {
            read_message: Some(ReadCommand { convs: vec![read], ..ReadCommand::default() }),
            ..command(CommandType::Read, None)
        });
        reader.ask(command(CommandType::Echo, None));
        assert_eq!(unread("reader"), Some(60));
        // Who opens next is told so.
        let mut second = Socket::connect(api);
        second.open("reader");
        let told = second.expect(CommandType::Unread, None).unread_message.expect("unread").convs;
        assert_eq!((told[0].cid.as_str(), told[0].unread), (room.as_str(), 60));
        assert_eq!(told[0].mid.as_ref(), Some(&whole[119].1));
        // Receipts of devices are no commands with answers.
        second.say(GenericCommand {
            ack_message: Some(AckCommand {
                cid: Some(room.clone()),
                fromts: Some(mark.0),
                tots: Some(whole[119].0),
                ..AckCommand::default()
            }),
            ..command(CommandType::Ack, None)
        });
        assert_eq!(second.ask(command(CommandType::Echo, None)).cmd, Some(CommandType::Echo.into()));
    });
}

#[test]
fn a_will_is_told_when_its_socket_is_lost() {
    on_each_database(&[], |_, api, _| {
        let mut jerry = Socket::connect(api);
        jerry.open("jerry");
        let mut tom = Socket::connect(api);
        tom.open("tom");
        let room = tom.start(&["jerry"], true);
        let will =
            DirectCommand { cid: Some(room), msg: Some("gone".into()), will: Some(true), ..DirectCommand::default() };
        assert_eq!(code_of(&tom.send(will)), None);
        assert!(jerry.pushed.iter().all(|c| c.cmd != Some(CommandType::Direct.into())));
        drop(tom);
        let told = jerry.expect(CommandType::Direct, None).direct_message.expect("a message");
        assert_eq!((told.msg.as_deref(), told.from_peer_id.as_deref()), (Some("gone"), Some("tom")));
    });
}

#[test]
fn a_server_that_stops_says_so_once_and_loses_nothing() {
    on_each_database(&[], |deployment, _, _| {
        let mut api = deployment.start_api();
        let mut tom = Socket::connect(&api);
        tom.open("tom");
        let room = tom.start(&["jerry"], true);
        let (id, _) = tom.sent(&room, "kept");
        let stopping = std::thread::spawn(move || api.process.terminate());
        tom.expect(CommandType::Goaway, None);
        while let Some(more) = tom.next_within(Duration::from_secs(10)) {
            assert_ne!(more.cmd, Some(CommandType::Goaway.into()), "once");
        }
        assert!(stopping.join().unwrap().success());
        let api = deployment.start_api();
        let mut jerry = Socket::connect(&api);
        jerry.open("jerry");
        let logs = items(jerry.logs(LogsCommand { cid: Some(room), ..LogsCommand::default() }));
        assert_eq!(logs[0].1, id);
    });
}
