//! LeanCloud's realtime protocol as no SDK would speak it: the ways in, what is refused, who may see what, and what has
//! to hold of ids, history and unread counts.

use std::time::Duration;

use leancloud::realtime::frame::command;
use leancloud::realtime::signature::{Signed, Signer};
use leancloud::realtime::wire::{
    AckCommand, CommandType, ConvCommand, DirectCommand, GenericCommand, LogsCommand, OpType, PatchCommand, PatchItem,
    ReadCommand, ReadTuple, SessionCommand, logs_command::QueryDirection,
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
