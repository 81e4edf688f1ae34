//! Who came into a conversation, who left it and what it says of itself now: pushed as it happens, and asked for by clients
//! that were away.

use domain::Timestamp;
use im::log::{EventKind, LogEvent};
use serde_json::{Map, Value, json};

use super::facts::Facts;
use super::{Client, Realtime};
use crate::realtime::frame::command;
use crate::realtime::refusal::{Refusal, code};
use crate::realtime::ticket;
use crate::realtime::wire::{CommandType, ConvCommand, GenericCommand, JsonObjectMessage, OpType};

/// These are of the kind that is caught up with by asking.
const PERMANENT: i32 = 1;
/// Most events that are told again.
const MAX_EVENTS: u32 = 100;
const KINDS: [EventKind; 3] = [EventKind::Joined, EventKind::Left, EventKind::Updated];

/// What an event tells a client, unless it is the client's own doing, to which it has its answer.
pub(super) fn of(client: &Client, event: &LogEvent, facts: &Facts) -> Vec<GenericCommand> {
    if text(event, "origin") == Some(client.origin()) {
        return Vec::new();
    }
    match event.kind {
        EventKind::Joined => joined(client, event, facts),
        EventKind::Left => vec![left(client, event, facts)],
        EventKind::Updated => vec![updated(event, facts)],
        _ => Vec::new(),
    }
}

fn joined(client: &Client, event: &LogEvent, facts: &Facts) -> Vec<GenericCommand> {
    let listed = |key: &str| -> Vec<String> {
        let ids = event.payload.get(key).and_then(Value::as_array).into_iter().flatten();
        ids.filter_map(|id| id.as_str().map(str::to_owned)).collect()
    };
    let added = match listed("added") {
        added if added.is_empty() => listed("members"),
        added => added,
    };
    let by = text(event, "by");
    let about = |m| ConvCommand { m, init_by: by.map(|by| client.name(by).to_owned()), ..naming(facts) };
    let mut commands = Vec::new();
    let is_invited = added.iter().any(|id| client.is_own(id)) && by.is_none_or(|by| !client.is_own(by));
    if is_invited {
        commands.push(notice(event, OpType::Joined, about(Vec::new())));
    }
    if !added.is_empty() {
        let m = added.iter().map(|id| client.name(id).to_owned()).collect();
        commands.push(notice(event, OpType::MembersJoined, about(m)));
    }
    commands
}

fn left(client: &Client, event: &LogEvent, facts: &Facts) -> GenericCommand {
    let gone = text(event, "clientId").unwrap_or_default();
    let init_by = Some(client.name(text(event, "by").unwrap_or(gone)).to_owned());
    if client.is_own(gone) {
        return notice(event, OpType::Left, ConvCommand { init_by, ..naming(facts) });
    }
    notice(event, OpType::MembersLeft, ConvCommand { m: vec![gone.to_owned()], init_by, ..naming(facts) })
}

fn updated(event: &LogEvent, facts: &Facts) -> GenericCommand {
    let json = |key: &str| event.payload.get(key).map(|value| JsonObjectMessage { data: value.to_string() });
    let conv = ConvCommand {
        init_by: text(event, "by").map(str::to_owned),
        attr: json("attr"),
        attr_modified: json("attrModified"),
        udate: text(event, "udate").map(str::to_owned),
        ..naming(facts)
    };
    notice(event, OpType::Updated, conv)
}

fn naming(facts: &Facts) -> ConvCommand {
    ConvCommand { cid: Some(facts.cid.clone()), ..ConvCommand::default() }
}

fn notice(event: &LogEvent, op: OpType, conv: ConvCommand) -> GenericCommand {
    GenericCommand {
        server_ts: Some(event.at.as_millis()),
        notification_type: Some(PERMANENT),
        conv_message: Some(conv),
        ..command(CommandType::Conv, Some(op))
    }
}

fn text<'a>(event: &'a LogEvent, key: &str) -> Option<&'a str> {
    event.payload.get(key).and_then(Value::as_str)
}

/// A notice as clients read it over HTTP: the command's own fields, with its payload's beside them.
fn as_json(notice: &GenericCommand) -> Option<Value> {
    let conv = notice.conv_message.as_ref()?;
    let op = OpType::try_from(notice.op?).ok()?;
    let data = |sent: &Option<JsonObjectMessage>| sent.as_ref().map(|sent| json!({ "data": sent.data }));
    let fields = [
        ("cmd", Some(json!("conv"))),
        ("op", Some(json!(op.as_str_name()))),
        ("serverTs", notice.server_ts.map(|at| json!(at))),
        ("notificationType", Some(json!(PERMANENT))),
        ("cid", conv.cid.as_ref().map(|cid| json!(cid))),
        ("initBy", conv.init_by.as_ref().map(|by| json!(by))),
        ("m", (!conv.m.is_empty()).then(|| json!(conv.m))),
        ("attr", data(&conv.attr)),
        ("attrModified", data(&conv.attr_modified)),
        ("udate", conv.udate.as_ref().map(|at| json!(at))),
    ];
    let told = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Some(Value::Object(told.collect::<Map<_, _>>()))
}

impl Realtime {
    /// What a client missed since an instant, by its session token.
    ///
    /// # Errors
    /// 4112 when the token is not good, or another client's than `client_id` says.
    pub async fn notifications(&self, token: &str, client_id: Option<&str>, since: i64) -> Result<Vec<Value>, Refusal> {
        let mut unit = self.ports.store.read();
        let found = ticket::find(unit.as_mut(), token, self.ports.clock.now()).await?;
        let ticket = found.filter(|ticket| client_id.is_none_or(|id| id == ticket.client_id));
        let ticket = ticket.ok_or_else(|| Refusal::new(code::TICKET, "SESSION_TOKEN_EXPIRED"))?;
        let party = unit.realtime().party(&ticket.client_id).await?;
        let client = Client::new(0, ticket, party);
        let since = Timestamp::from_millis(since);
        let events = unit.realtime().events_since(&client.ids, &KINDS, since, MAX_EVENTS).await?;
        let mut told = Vec::new();
        for event in events {
            let Some(id) = event.conversation_id else { continue };
            let facts = self.facts_of(unit.as_mut(), id).await?;
            told.extend(of(&client, &event, &facts).iter().filter_map(as_json));
        }
        Ok(told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_over_http_says_what_its_command_does() {
        let facts = Facts { cid: "c".into(), kind: 1 };
        let event = LogEvent {
            position: 1,
            conversation_id: None,
            client_id: None,
            kind: EventKind::Updated,
            payload: json!({ "by": "tom", "attr": { "name": "x" }, "udate": "2026-01-02T03:04:05.678Z" }),
            at: Timestamp::from_millis(7),
        };
        let told = as_json(&updated(&event, &facts)).unwrap();
        let expected = json!({
            "cmd": "conv", "op": "updated", "serverTs": 7, "notificationType": 1, "cid": "c", "initBy": "tom",
            "attr": { "data": "{\"name\":\"x\"}" }, "udate": "2026-01-02T03:04:05.678Z",
        });
        assert_eq!(told, expected);
    }
}
