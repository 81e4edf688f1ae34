//! Who listens on this node: sockets and waiting requests, by client id.

use std::collections::HashMap;
use std::sync::Arc;

use domain::id::{ConversationId, SessionId};

use crate::log::LogEntry;
use crate::protocol::Bye;

/// Something on its way to a socket.
#[derive(Debug, Clone)]
pub enum Outgoing {
    /// An entry of the log, with its frame.
    Entry { entry: Arc<LogEntry>, frame: Arc<str> },
    /// A frame that may be dropped.
    Ephemeral { conversation_id: ConversationId, frame: Arc<str> },
}

/// Where frames go. Never blocks.
pub trait Outlet: Send + Sync {
    /// Takes a frame; what does not fit is the outlet's own affair.
    fn push(&self, outgoing: Outgoing);
    /// Says good-bye and closes.
    fn close(&self, bye: Bye);
}

/// Somebody who listens.
#[derive(Clone)]
pub struct Subscriber {
    /// Unique in the process.
    pub id: u64,
    pub client_ids: Arc<[String]>,
    /// The session it stands for, which may be ended.
    pub session: Option<SessionId>,
    pub outlet: Arc<dyn Outlet>,
}

struct Seat {
    id: u64,
    session: Option<SessionId>,
    /// Entries are delivered.
    is_live: bool,
    /// Counts as one of the sockets of a person.
    outlet: Arc<dyn Outlet>,
}

#[derive(Default)]
pub(super) struct Subscribers {
    by_client: HashMap<Box<str>, Vec<Seat>>,
}

impl Subscribers {
    /// Adds a subscriber and answers those that are over `most` for the same person, oldest first.
    pub(super) fn join(&mut self, subscriber: &Subscriber, is_live: bool, most: usize) -> Vec<Arc<dyn Outlet>> {
        let Subscriber { id, client_ids, session, outlet } = subscriber;
        for client_id in client_ids.iter() {
            let seats = self.by_client.entry(client_id.as_str().into()).or_default();
            seats.push(Seat { id: *id, session: *session, is_live, outlet: outlet.clone() });
        }
        let own = client_ids.first().and_then(|first| self.by_client.get(first.as_str()));
        let sockets: Vec<_> = own.into_iter().flatten().filter(|seat| seat.session.is_some()).collect();
        let over = sockets.len().saturating_sub(most);
        sockets.into_iter().take(over).map(|seat| seat.outlet.clone()).collect()
    }

    pub(super) fn go_live(&mut self, id: u64, client_ids: &[String]) {
        for client_id in client_ids {
            let seats = self.by_client.get_mut(client_id.as_str());
            for seat in seats.into_iter().flatten().filter(|seat| seat.id == id) {
                seat.is_live = true;
            }
        }
    }

    pub(super) fn leave(&mut self, id: u64, client_ids: &[String]) {
        for client_id in client_ids {
            let Some(seats) = self.by_client.get_mut(client_id.as_str()) else { continue };
            seats.retain(|seat| seat.id != id);
            if seats.is_empty() {
                self.by_client.remove(client_id.as_str());
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_client.is_empty()
    }

    /// Those who listen live under a client id, with their ids.
    pub(super) fn live(&self, client_id: &str) -> impl Iterator<Item = (u64, &Arc<dyn Outlet>)> {
        let seats = self.by_client.get(client_id).into_iter().flatten();
        seats.filter(|seat| seat.is_live).map(|seat| (seat.id, &seat.outlet))
    }

    pub(super) fn of_session(&self, session: SessionId) -> Vec<Arc<dyn Outlet>> {
        let seats = self.by_client.values().flatten();
        seats.filter(|seat| seat.session == Some(session)).map(|seat| seat.outlet.clone()).collect()
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<dyn Outlet>> {
        self.by_client.values().flatten().map(|seat| &seat.outlet)
    }
}
