//! What customers, agents and the sweep may do, drawn at random.

use domain::Actor;
use domain::id::ConversationId;
use domain::page::PageRequest;
use im::desk::ports::{ChatFilter, ChatView};
use im::desk::service::{ChatPatch, CustomerRole, InboundMessage, TransferTo};
use im::desk::{Desk, DeskError, DeskStatus};
use im::owner::ConversationOwner;
use im::service::SendRequest;
use im::{Content, MessageKind};

use super::{AGENTS, CHATS, agent_id};
use crate::build::patient_id;

/// Numbers that look random and are the same every time.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(super) fn roll(&mut self, sides: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u32::try_from(self.0 % u64::from(sides)).unwrap_or_default()
    }

    pub(super) fn is_one_in(&mut self, n: u32) -> bool {
        self.roll(n) == 0
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    Write { customer: u32, name: u32 },
    Answer { agent: u32, nth: u32, name: u32 },
    Status { agent: u32, status: DeskStatus },
    Heartbeat { agent: u32 },
    Claim { agent: u32, nth: u32 },
    Close { agent: u32, nth: u32 },
    Release { agent: u32, nth: u32 },
    Offer { agent: u32, to: u32 },
    Accept { agent: u32 },
    TakeOver { agent: u32, from: u32 },
    Prefer { agent: u32, nth: u32, priority: u8 },
    Sweep,
}

impl Act {
    /// `name` is one that no other act has.
    pub(super) fn any(dice: &mut Dice, name: u32) -> Self {
        let (agent, other, nth) = (dice.roll(AGENTS), dice.roll(AGENTS), dice.roll(5));
        match dice.roll(20) {
            0..=5 => Self::Write { customer: dice.roll(CHATS), name },
            6 | 7 => Self::Status { agent, status: DeskStatus::Online },
            8 => Self::Status { agent, status: DeskStatus::Offline },
            9 => Self::Status { agent, status: DeskStatus::Away },
            10 => Self::Heartbeat { agent },
            11 | 12 => Self::Close { agent, nth },
            13 => Self::Release { agent, nth },
            14 => Self::Claim { agent, nth },
            15 => Self::TakeOver { agent, from: other },
            16 => Self::Offer { agent, to: other },
            17 => Self::Accept { agent },
            18 => Self::Answer { agent, nth, name },
            _ if dice.is_one_in(2) => Self::Prefer { agent, nth, priority: 1 },
            _ => Self::Sweep,
        }
    }

    /// Does it; what the agent has not got is not done.
    pub(super) async fn run(self, desk: Desk) -> Result<(), DeskError> {
        match self {
            Self::Write { customer, name } => desk.receive(inbound(customer, name)).await.map(drop),
            Self::Status { agent, status } => desk.set_status(&staff(agent), status).await.map(drop),
            Self::Heartbeat { agent } => desk.heartbeat(&staff(agent)).await.map(drop),
            Self::Sweep => desk.sweep().await.map(drop),
            Self::Claim { nth, .. } | Self::Prefer { nth, .. } => match waiting(&desk, nth).await {
                Some(id) => self.on(&desk, id).await,
                None => Ok(()),
            },
            Self::Answer { agent, nth, .. } | Self::Close { agent, nth } | Self::Release { agent, nth } => {
                self.on_held(&desk, agent, nth).await
            }
            Self::Offer { agent, .. } | Self::Accept { agent } | Self::TakeOver { from: agent, .. } => {
                self.on_held(&desk, agent, 0).await
            }
        }
    }

    async fn on_held(self, desk: &Desk, agent: u32, nth: u32) -> Result<(), DeskError> {
        match nth_of(desk, ChatView::Mine(agent_id(agent)), nth).await {
            Some(id) => self.on(desk, id).await,
            None => Ok(()),
        }
    }

    async fn on(self, desk: &Desk, id: ConversationId) -> Result<(), DeskError> {
        match self {
            Self::Answer { agent, name, .. } => answer(desk, agent, id, name).await,
            Self::Claim { agent, .. } => desk.claim(&staff(agent), id).await.map(drop),
            Self::Close { agent, .. } => desk.close(&staff(agent), id).await.map(drop),
            Self::Release { agent, .. } => desk.release(&staff(agent), id, None).await.map(drop),
            Self::Offer { agent, to } if agent != to => {
                desk.transfer(&staff(agent), id, TransferTo::Agent(agent_id(to)), "请接手").await.map(drop)
            }
            Self::Accept { agent } => desk.accept_transfer(&staff(agent), id).await.map(drop),
            Self::TakeOver { agent, .. } => desk.take_over(&staff(agent), id, "换班").await.map(drop),
            Self::Prefer { agent, priority, .. } => {
                let patch = ChatPatch { priority: Some(priority), ..ChatPatch::default() };
                desk.update_chat(&staff(agent), id, patch).await.map(drop)
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn staff(agent: u32) -> Actor {
    Actor::Agent(agent_id(agent))
}

fn inbound(customer: u32, name: u32) -> InboundMessage {
    InboundMessage {
        customer_id: patient_id(customer + 1).to_string(),
        role: CustomerRole::Patient,
        client_message_id: format!("m{name}"),
        kind: MessageKind::Text,
        content: Content::parse(r#"{"text":"在吗"}"#).unwrap(),
    }
}

async fn answer(desk: &Desk, agent: u32, id: ConversationId, name: u32) -> Result<(), DeskError> {
    let request = SendRequest {
        conversation_id: id,
        client_message_id: &format!("a{name}"),
        kind: "text",
        content: r#"{"text":"在的"}"#,
        corrects: None,
        origin: None,
    };
    let message = desk.prepare(&staff(agent), request).await?;
    // Whoever has lost the chat meanwhile is refused.
    match desk.accept(&message).await {
        Err(refusal) if refusal.kind == domain::ErrorKind::Internal => panic!("{refusal:?}"),
        _ => Ok(()),
    }
}

async fn nth_of(desk: &Desk, view: ChatView, nth: u32) -> Option<ConversationId> {
    let filter = ChatFilter { view, customer: None, text: None };
    let page = PageRequest { limit: nth + 1, after: None };
    let found = desk.store.read().chats().list(&filter, page).await.unwrap();
    found.items.get(nth as usize).map(|chat| chat.conversation_id)
}

async fn waiting(desk: &Desk, nth: u32) -> Option<ConversationId> {
    let queue = desk.store.read().chats().queue(nth + 1).await.unwrap();
    queue.last().map(|chat| chat.conversation_id)
}

/// Refusals that a race explains.
pub(super) const fn is_fair(error: &DeskError) -> bool {
    matches!(
        error,
        DeskError::NotYours
            | DeskError::Taken
            | DeskError::NoRoom
            | DeskError::NoOffer
            | DeskError::Offline
            | DeskError::AgentAway
            | DeskError::AgentNotFound
            | DeskError::WrongStatus { .. }
            | DeskError::Conflict
    )
}
