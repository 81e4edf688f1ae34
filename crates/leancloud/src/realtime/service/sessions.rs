//! Opening, taking up again, refreshing and closing sessions; who is connected.

use account::session::SessionToken;
use im::log::{EventKind, NewEvent};
use serde_json::json;

use super::{Client, Realtime, SYSTEM, is_client_id};
use crate::realtime::frame::command;
use crate::realtime::policy::LoginPolicy;
use crate::realtime::refusal::{Refusal, code};
use crate::realtime::signature::{Signature, Signed};
use crate::realtime::store::Party;
use crate::realtime::ticket::{Ticket, hash_of};
use crate::realtime::wire::{CommandType, GenericCommand, OpType, SessionCommand};

/// Most clients asked about at once.
const MAX_QUERIED: usize = 20;
/// Longest tag or device id that is kept, in bytes.
const MAX_TAG_BYTES: usize = 128;

/// A request to open a session.
#[derive(Clone, Copy)]
pub struct OpenRequest<'a> {
    /// Unique in the process.
    pub id: u64,
    pub app_id: Option<&'a str>,
    pub peer: Option<&'a str>,
    pub session: &'a SessionCommand,
}

/// A session that was opened, and the answer that says so.
pub struct Opened {
    pub client: Client,
    pub answer: GenericCommand,
    /// It goes on where it was.
    pub is_resumed: bool,
}

impl Realtime {
    /// Opens a session, or takes one up again by its token.
    ///
    /// # Errors
    /// [`Refusal`]: 4100 for another application, 4102 for a signature that is missing or wrong, 4103 for an id that
    /// cannot be used, as that of a closed account, 4111 when another device has the tag, 4112 for a token that is not known any more.
    pub async fn open(&self, request: OpenRequest<'_>) -> Result<Opened, Refusal> {
        if request.app_id.is_some_and(|app| app != self.ports.signer.app_id) {
            return Err(Refusal::new(4100, "APP_NOT_AVAILABLE"));
        }
        match request.session.st.as_deref().filter(|token| !token.is_empty()) {
            Some(token) => self.resume(request, token).await,
            None => self.begin(request).await,
        }
    }

    async fn resume(&self, request: OpenRequest<'_>, token: &str) -> Result<Opened, Refusal> {
        let now = self.ports.clock.now();
        let mut unit = self.ports.store.begin().await?;
        let found = unit.realtime().find_ticket(&hash_of(token)).await?;
        let is_own = |ticket: &Ticket| request.peer.is_none_or(|peer| peer == ticket.client_id);
        let ticket = found.filter(|ticket| ticket.expires_at > now && is_own(ticket));
        let ticket = ticket.ok_or_else(|| Refusal::new(code::TICKET, "SESSION_TOKEN_EXPIRED"))?;
        if ticket.superseded_at.is_some() {
            return Err(Refusal::new(code::CONFLICT, "SESSION_CONFLICT"));
        }
        let party = unit.realtime().party(&ticket.client_id).await?;
        require_open(party)?;
        let expires_at = now + self.ports.policy.ticket_lifetime;
        unit.realtime().extend_ticket(&ticket.token_hash, expires_at).await?;
        unit.commit().await?;
        Ok(self.opened(request.id, ticket, party, token.to_owned(), true))
    }

    async fn begin(&self, request: OpenRequest<'_>) -> Result<Opened, Refusal> {
        let now = self.ports.clock.now();
        let session = request.session;
        let peer = match request.peer.filter(|peer| !peer.is_empty()) {
            Some(peer) => peer.to_owned(),
            None => self.ports.ids.next().to_string(),
        };
        let is_reserved = peer == SYSTEM || self.ports.policy.assistant.as_ref() == Some(&peer);
        if !is_client_id(&peer) || is_reserved {
            return Err(Refusal::new(code::CLIENT_ID, "INVALID_CLIENT_ID"));
        }
        if self.ports.policy.login == LoginPolicy::SessionOrSignature {
            self.check_signature(
                &peer,
                Signed::Login,
                shown(session.t, session.n.as_deref(), session.s.as_deref()),
                code::SIGNATURE,
            )?;
        }
        let kept = |text: &Option<String>| text.clone().filter(|text| (1..=MAX_TAG_BYTES).contains(&text.len()));
        let token = SessionToken::generate(self.ports.random.as_ref()).reveal().to_owned();
        let ticket = Ticket {
            token_hash: hash_of(&token),
            client_id: peer,
            tag: kept(&session.tag),
            device_id: kept(&session.device_id),
            created_at: now,
            expires_at: now + self.ports.policy.ticket_lifetime,
            superseded_at: None,
        };
        let mut unit = self.ports.store.begin().await?;
        let party = unit.realtime().party(&ticket.client_id).await?;
        require_open(party)?;
        // Who comes back by itself takes the tag from nobody who signed in since.
        if let Some(tag) = ticket.tag.as_deref().filter(|_| session.r())
            && unit.realtime().is_tag_taken(&ticket.client_id, tag, ticket.device_id.as_deref(), now).await?
        {
            return Err(Refusal::new(code::CONFLICT, "SESSION_CONFLICT"));
        }
        unit.realtime().insert_ticket(&ticket).await?;
        unit.realtime().supersede(&ticket).await?;
        if let Some(tag) = &ticket.tag {
            let payload = json!({ "code": code::CONFLICT, "reason": "SESSION_CONFLICT", "tag": tag, "except": ticket.token_hash });
            let event = self.client_event(&ticket.client_id, payload);
            unit.log().append_events(&[event]).await?;
        }
        unit.commit().await?;
        Ok(self.opened(request.id, ticket, party, token, false))
    }

    fn opened(&self, id: u64, ticket: Ticket, party: Party, token: String, is_resumed: bool) -> Opened {
        let answer = GenericCommand {
            peer_id: Some(ticket.client_id.clone()),
            server_ts: Some(self.ports.clock.now().as_millis()),
            session_message: Some(self.token_message(token)),
            ..command(CommandType::Session, Some(OpType::Opened))
        };
        let client = Client::new(id, ticket, party);
        Opened { client, answer, is_resumed }
    }

    fn token_message(&self, token: String) -> SessionCommand {
        let ttl = i32::try_from(self.ports.policy.ticket_refresh.as_secs()).unwrap_or(i32::MAX);
        SessionCommand { st: Some(token), st_ttl: Some(ttl), ..SessionCommand::default() }
    }

    /// Whether something is signed by this application.
    pub(super) fn check_signature(
        &self,
        peer: &str,
        signed: Signed<'_>,
        shown: Option<Signature<'_>>,
        refusal: i32,
    ) -> Result<(), Refusal> {
        let now = self.ports.clock.now();
        let is_signed = shown.is_some_and(|shown| self.ports.signer.accepts(peer, signed, shown, now));
        if is_signed { Ok(()) } else { Err(Refusal::new(refusal, "SIGNATURE_FAILED")) }
    }

    pub(super) async fn session(
        &self,
        client: &Client,
        op: Option<OpType>,
        session: Option<&SessionCommand>,
    ) -> Result<GenericCommand, Refusal> {
        let session = session.cloned().unwrap_or_default();
        match op {
            Some(OpType::Close) => {
                let mut unit = self.ports.store.begin().await?;
                unit.realtime().delete_ticket(&client.ticket_hash).await?;
                unit.commit().await?;
                Client::lock(&client.will).take();
                Ok(command(CommandType::Session, Some(OpType::Closed)))
            }
            Some(OpType::Refresh) => self.refresh(client, &session).await,
            Some(OpType::Query) => {
                let online = self.online(&session.session_peer_ids).await?;
                let found = SessionCommand { online_session_peer_ids: online, ..SessionCommand::default() };
                let answer = command(CommandType::Session, Some(OpType::QueryResult));
                Ok(GenericCommand { session_message: Some(found), ..answer })
            }
            _ => Err(Refusal::not_supported("this operation of sessions")),
        }
    }

    /// Gives a token that the client holds for old a new life; it is good as long as it is known.
    async fn refresh(&self, client: &Client, session: &SessionCommand) -> Result<GenericCommand, Refusal> {
        let expired = || Refusal::new(code::TICKET, "SESSION_TOKEN_EXPIRED");
        let token = session.st.clone().ok_or_else(expired)?;
        let mut unit = self.ports.store.begin().await?;
        let found = unit.realtime().find_ticket(&hash_of(&token)).await?;
        let ticket = found.filter(|ticket| ticket.client_id == client.peer).ok_or_else(expired)?;
        let expires_at = self.ports.clock.now() + self.ports.policy.ticket_lifetime;
        unit.realtime().extend_ticket(&ticket.token_hash, expires_at).await?;
        unit.commit().await?;
        let answer = command(CommandType::Session, Some(OpType::Refreshed));
        Ok(GenericCommand { session_message: Some(self.token_message(token)), ..answer })
    }

    /// Those of the clients that are connected, at most the first twenty.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn online(&self, client_ids: &[String]) -> Result<Vec<String>, Refusal> {
        let asked: Vec<String> = client_ids.iter().take(MAX_QUERIED).cloned().collect();
        self.connected(&asked).await
    }

    /// Those of the clients that are connected, to whichever node.
    pub(super) async fn connected(&self, client_ids: &[String]) -> Result<Vec<String>, Refusal> {
        let now = self.ports.clock.now();
        let mut connected = self.ports.store.read().presence().connected(client_ids, now).await?;
        connected.extend(self.ports.devices.connected(client_ids));
        connected.sort_unstable();
        connected.dedup();
        Ok(connected)
    }

    /// Ends every session of a client, on all nodes.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn kick(&self, client_id: &str, reason: &str) -> Result<(), Refusal> {
        let reason: String = reason.chars().take(20).collect();
        let mut unit = self.ports.store.begin().await?;
        unit.realtime().delete_tickets_of(client_id).await?;
        let payload = json!({ "code": code::KICKED, "reason": reason });
        unit.log().append_events(&[self.client_event(client_id, payload)]).await?;
        Ok(unit.commit().await?)
    }

    fn client_event(&self, client_id: &str, payload: serde_json::Value) -> NewEvent {
        NewEvent {
            conversation_id: None,
            client_id: Some(client_id.to_owned()),
            kind: EventKind::ClientEnded,
            payload,
            at: self.ports.clock.now(),
        }
    }
}

/// Nobody is a person whose account is closed.
fn require_open(party: Party) -> Result<(), Refusal> {
    if party.is_closed { Err(Refusal::new(code::CLIENT_ID, "INVALID_CLIENT_ID")) } else { Ok(()) }
}

/// A signature as commands carry it; `None` unless all of it is there.
pub(super) fn shown<'a>(t: Option<i64>, n: Option<&'a str>, s: Option<&'a str>) -> Option<Signature<'a>> {
    Some(Signature { timestamp: t?, nonce: n?, hex: s? })
}
