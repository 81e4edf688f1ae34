//! The beginning and the end of a socket: who it is, what it has missed, and whether it still may.

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use domain::id::SessionId;
use domain::{Actor, StoreError};
use im::feed::{EphemeralKind, Subscriber};
use im::log::LogEntry;
use im::protocol::{Bye, ByeReason, EventFrame, HelloFrame, ReadyFrame, ResyncFrame, ServerFrame};
use im::service::listener_ids;
use im::session::{Start, bye};

use super::RECONNECT;
use super::socket::{End, Socket};

/// Entries read at once while catching up.
const PAGE: u32 = 200;

/// Who speaks through a socket. No `Debug`: it holds the token.
pub(super) struct Identity {
    pub(super) actor: Actor,
    pub(super) client_ids: Arc<[String]>,
    pub(super) subscriber: Subscriber,
    session: SessionId,
    /// To look again whether it is valid.
    token: Box<str>,
}

impl Socket {
    /// Takes `hello`: finds out who it is, sends what was missed, and goes live.
    pub(super) async fn greet(&mut self, hello: HelloFrame<'_>) -> Result<(), End> {
        let token: Box<str> = match self.console_token.take() {
            Some(token) if hello.token.is_empty() => token,
            _ => hello.token.as_ref().into(),
        };
        let found = self.gateway.gatekeeper.find_session(&token).await;
        let known = found.map_err(|_logged| unavailable())?.ok_or_else(|| bye(ByeReason::Unauthenticated))?;
        let client_ids: Arc<[String]> = match listener_ids(&known.actor, &self.gateway.policy) {
            Ok(ids) => ids.into(),
            Err(_) => return Err(bye(ByeReason::Forbidden).into()),
        };
        let start = self.start_of(&hello).await?;
        let subscriber = Subscriber {
            id: self.id,
            client_ids: client_ids.clone(),
            session: Some(known.id),
            outlet: self.outlet.clone(),
        };
        let identity = Identity {
            actor: known.actor,
            client_ids: client_ids.clone(),
            subscriber: subscriber.clone(),
            session: known.id,
            token,
        };
        self.identity = Some(Box::new(identity));
        self.gateway.live.feed().join(&subscriber, self.gateway.settings.max_sockets_per_user);
        self.gateway.presence.show(self.id, &client_ids, None);
        match start {
            Start::After(cursor) => {
                self.session.welcome(cursor, Instant::now());
                self.write_ready(cursor).await?;
                self.catch_up(&subscriber, cursor).await
            }
            Start::Now | Start::Resync => {
                let cursor = self.gateway.live.feed().go_live(&subscriber);
                self.session.welcome(cursor, Instant::now());
                if start == Start::Resync {
                    let epoch = self.gateway.live.feed().head().epoch;
                    self.write(ServerFrame::Resync(ResyncFrame { epoch, cursor }).to_json()).await?;
                }
                self.write_ready(cursor).await
            }
        }
    }

    async fn start_of(&mut self, hello: &HelloFrame<'_>) -> Result<Start, End> {
        let mut head = self.gateway.live.feed().head();
        // The client may have been on a node that is ahead of this one.
        if hello.cursor.is_some_and(|cursor| cursor > head.position) {
            let read = self.gateway.store.read().log().head().await;
            head = read.map_err(|error| store_failed(&error))?;
        }
        Ok(Start::of(hello, &head))
    }

    async fn write_ready(&mut self, cursor: i64) -> Result<(), End> {
        let limits = self.gateway.settings.limits;
        let identity = self.identity()?;
        let ready = ReadyFrame {
            cursor,
            epoch: self.gateway.live.feed().head().epoch,
            heartbeat_ms: u64::try_from(limits.heartbeat.as_millis()).unwrap_or(u64::MAX),
            client_ids: identity.client_ids.to_vec(),
            session_id: identity.session,
            server_time: self.gateway.clock.now(),
            limits: limits.view(),
        };
        self.write(ServerFrame::Ready(ready).to_json()).await
    }

    /// Sends what came after `cursor` from the store, goes live, and sends what came meanwhile: without a gap, and
    /// nothing twice.
    async fn catch_up(&mut self, subscriber: &Subscriber, mut cursor: i64) -> Result<(), End> {
        let mut goal = self.gateway.live.feed().horizon();
        let mut is_live = false;
        loop {
            while cursor < goal {
                cursor = self.send_missed(&subscriber.client_ids, cursor, goal).await?;
            }
            if is_live {
                self.session.caught_up(goal);
                return Ok(());
            }
            // From here on everything beyond the goal waits in the queue.
            goal = self.gateway.live.feed().go_live(subscriber);
            is_live = true;
        }
    }

    /// Sends one page and answers how far it goes. What is beyond `goal` may not be complete yet.
    async fn send_missed(&mut self, client_ids: &[String], after: i64, goal: i64) -> Result<i64, End> {
        let entries = self.gateway.store.read().log().entries_of(client_ids, after, PAGE).await;
        let entries = entries.map_err(|error| store_failed(&error))?;
        let is_full = entries.len() >= PAGE as usize;
        let read_to = entries.last().map(LogEntry::position).filter(|_| is_full).map_or(goal, |last| last.min(goal));
        for entry in entries.iter().filter(|entry| entry.position() <= goal) {
            if self.session.admits(entry.position()) {
                self.write(ServerFrame::Event(EventFrame::of(entry)).to_json()).await?;
            }
        }
        self.flush().await?;
        Ok(read_to)
    }

    /// Looks whether the session is still valid. When that cannot be found out, it goes on until the next time.
    pub(super) async fn recheck(&mut self) -> Result<(), End> {
        let found = self.gateway.gatekeeper.find_session(&self.identity()?.token).await;
        if matches!(found, Ok(None)) {
            return Err(bye(ByeReason::SessionEnded).into());
        }
        self.session.rechecked(Instant::now());
        Ok(())
    }

    /// Takes back what this socket was to the others.
    pub(super) fn sign_off(&self, identity: &Identity) {
        self.gateway.live.feed().leave(&identity.subscriber);
        self.gateway.presence.remove(self.id);
        if let Some(conversation_id) = self.session.viewing() {
            let client_ids = identity.client_ids.to_vec();
            let kind = EphemeralKind::Viewing { viewing: false };
            self.gateway.live.ephemeral(im::feed::Ephemeral { conversation_id, client_ids, kind });
        }
    }
}

fn unavailable() -> Bye {
    let reconnect_after_ms = u64::try_from(RECONNECT.as_millis() * 4).ok();
    Bye { reason: ByeReason::Unavailable, detail: None, reconnect_after_ms }
}

fn store_failed(error: &StoreError) -> End {
    tracing::warn!(error = error as &dyn Error, "a socket could not catch up");
    unavailable().into()
}
