//! Who serves whom: the one rule by which waiting chats are given to agents.
//!
//! Pure: it is handed the queue and the agents as they are, and answers what to try. Each placement is then claimed
//! by a statement that checks again that nobody has the chat and the agent has room.

use std::cmp::Reverse;
use std::time::Duration;

use chrono_tz::Tz;
use domain::Timestamp;
use domain::id::{AgentId, ConversationId};

use super::agent::DeskAgent;
use super::assistant::DeskSettings;
use super::chat::{AssignReason, Chat};

/// A chat that an agent is to be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    pub conversation_id: ConversationId,
    pub agent: AgentId,
    pub reason: AssignReason,
}

/// Places as many chats as can be, in the order in which they are served.
///
/// Candidates are online, in their hours, with room, in the group and with the skills that the chat asks for. Among
/// them: whom the customer knows, else the lowest share of the capacity in hand, else the one who was given a chat
/// longest ago, else the lowest id.
pub fn place(
    queue: &[Chat],
    agents: &[DeskAgent],
    settings: &DeskSettings,
    now: Timestamp,
    home: Tz,
) -> Vec<Placement> {
    let mut free: Vec<DeskAgent> = agents.iter().filter(|agent| agent.takes_chats(now, home)).cloned().collect();
    let mut placements = Vec::new();
    for chat in in_order(queue, settings, now) {
        if free.iter().all(|agent| !agent.has_room()) {
            break;
        }
        let sticky = chat.sticky_agent(settings, now);
        let candidates = free.iter_mut().filter(|agent| agent.has_room() && serves(agent, chat, now));
        let chosen = candidates.min_by(|a, b| {
            let is_sticky = |agent: &DeskAgent| Some(agent.id) == sticky;
            let by_load = (u64::from(a.load) * u64::from(b.capacity)).cmp(&(u64::from(b.load) * u64::from(a.capacity)));
            let known = is_sticky(b).cmp(&is_sticky(a));
            known.then(by_load).then(a.last_assigned_at.cmp(&b.last_assigned_at)).then(a.id.cmp(&b.id))
        });
        let Some(agent) = chosen else { continue };
        let reason = if Some(agent.id) == sticky { AssignReason::Sticky } else { AssignReason::LeastLoaded };
        agent.load += 1;
        agent.last_assigned_at = Some(now);
        placements.push(Placement { conversation_id: chat.conversation_id, agent: agent.id, reason });
    }
    placements
}

/// The queue in the order it is served in: priority with what waiting adds to it, then the time of queueing.
pub fn in_order<'a>(queue: &'a [Chat], settings: &DeskSettings, now: Timestamp) -> Vec<&'a Chat> {
    let mut ordered: Vec<&Chat> = queue.iter().collect();
    ordered.sort_by_key(|chat| (Reverse(rank(chat, settings, now)), chat.queued_at, chat.conversation_id));
    ordered
}

/// Priority, and one more for every [`DeskSettings::aging_ms`] of waiting.
fn rank(chat: &Chat, settings: &DeskSettings, now: Timestamp) -> u128 {
    let waited = chat.queued_at.map_or(Duration::ZERO, |since| now.since(since));
    u128::from(chat.priority) + waited.as_millis() / u128::from(settings.aging_ms.max(1))
}

/// Whether the agent has what the chat asks for, and has not just given it away.
pub fn serves(agent: &DeskAgent, chat: &Chat, now: Timestamp) -> bool {
    if chat.detail.avoid.is_some_and(|(avoided, until)| avoided == agent.id && now < until) {
        return false;
    }
    let is_in_group = chat.detail.group.as_ref().is_none_or(|group| agent.groups.contains(group));
    is_in_group && chat.detail.skills.iter().all(|skill| agent.skills.contains(skill))
}

/// When waiting chats should be looked at again though nothing happens: an agent who is there and has room comes into
/// their hours, or may have a chat back that they gave away.
pub fn next_chance(queue: &[Chat], agents: &[DeskAgent], now: Timestamp, home: Tz) -> Option<Timestamp> {
    let closed = agents.iter().filter(|agent| agent.is_there(now) && agent.has_room());
    let openings = closed.filter_map(|agent| agent.hours(now, home).next_open());
    let returns =
        queue.iter().filter_map(|chat| chat.detail.avoid).map(|(_, until)| until).filter(|until| *until > now);
    openings.chain(returns).min()
}

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests {
    use domain::ObjectId;
    use domain::time::span;

    use super::super::agent::DeskStatus;
    use super::super::chat::ChatStatus;
    use super::*;
    use crate::conversation::MemberKind;

    const HOME: Tz = chrono_tz::Asia::Shanghai;

    fn id(n: u32) -> ObjectId {
        ObjectId::from_parts(1, [0; 5], n)
    }

    fn now() -> Timestamp {
        Timestamp::parse_rfc3339("2026-11-23T10:00:00+08:00").unwrap()
    }

    fn chat(n: u32, waited_s: u64) -> Chat {
        let mut chat = Chat::new(id(n).into(), n.to_string(), MemberKind::Patient, now());
        chat.status = ChatStatus::Queued;
        chat.queued_at = Some(now() - Duration::from_secs(waited_s));
        chat
    }

    fn agent(n: u32, load: u32) -> DeskAgent {
        let until = Some(now() + span::minutes(1));
        DeskAgent { status: DeskStatus::Online, lease_until: until, load, ..DeskAgent::new(id(n).into(), 5) }
    }

    fn placed(queue: &[Chat], agents: &[DeskAgent]) -> Vec<(u32, u32)> {
        let number = |id: ObjectId| u32::from(id.as_bytes()[11]);
        let placements = place(queue, agents, &DeskSettings::default(), now(), HOME);
        placements.iter().map(|p| (number(p.conversation_id.0), number(p.agent.0))).collect()
    }

    #[test]
    fn who_waits_longest_is_served_first_by_who_has_most_room() {
        assert_eq!(placed(&[chat(1, 10), chat(2, 20)], &[agent(11, 1), agent(12, 0)]), [(2, 12), (1, 11)]);
    }

    #[test]
    fn priority_comes_before_waiting_until_waiting_has_made_up_for_it() {
        let mut urgent = chat(1, 10);
        urgent.priority = 2;
        let one = [DeskAgent { capacity: 1, ..agent(11, 0) }];
        assert_eq!(placed(&[chat(2, 200), urgent.clone()], &one), [(1, 11)]);
        assert_eq!(placed(&[chat(2, 15 * 60), urgent], &one), [(2, 11)]);
    }

    #[test]
    fn candidates_are_there_in_hours_with_room_and_able() {
        let gone = DeskAgent { lease_until: Some(now() - Duration::from_millis(1)), ..agent(11, 0) };
        let away = DeskAgent { status: DeskStatus::Away, ..agent(12, 0) };
        let full = agent(13, 5);
        let night = domain::hours::WeeklyWindow { weekday: 1, start: "22:00".into(), end: "06:00".into() };
        let off = DeskAgent { weekly_hours: vec![night], ..agent(14, 0) };
        let disabled = DeskAgent { is_enabled: false, ..agent(15, 0) };
        assert!(placed(&[chat(1, 1)], &[gone, away, full, off, disabled]).is_empty());
        let mut special = chat(1, 1);
        special.detail.group = Some("billing".into());
        special.detail.skills = vec!["english".into()];
        let skilled = DeskAgent { skills: vec!["english".into()], ..agent(12, 0) };
        let whole = DeskAgent { groups: vec!["billing".into()], ..DeskAgent { load: 4, ..skilled.clone() } };
        let whole = DeskAgent { id: id(13).into(), ..whole };
        assert_eq!(placed(&[special, chat(2, 0)], &[skilled, whole]), [(1, 13), (2, 12)], "nobody blocks the queue");
    }

    #[test]
    fn a_known_agent_is_preferred_while_they_have_room() {
        let mut known = chat(1, 1);
        (known.detail.last_agent, known.detail.last_served_at) = (Some(id(12).into()), Some(now()));
        assert_eq!(placed(&[known.clone()], &[agent(11, 0), agent(12, 4)]), [(1, 12)]);
        assert_eq!(placed(&[known.clone()], &[agent(11, 0), agent(12, 5)]), [(1, 11)]);
        known.detail.last_served_at = Some(now() - span::days(8));
        assert_eq!(placed(&[known], &[agent(11, 0), agent(12, 4)]), [(1, 11)], "too long ago");
    }

    #[test]
    fn equal_agents_take_turns() {
        let chats: Vec<Chat> = (1..=4).map(|n| chat(n, 100 - u64::from(n))).collect();
        let late = DeskAgent { last_assigned_at: Some(now() - span::minutes(1)), ..agent(11, 0) };
        assert_eq!(placed(&chats, &[late, agent(12, 0)]), [(1, 12), (2, 11), (3, 11), (4, 12)].map(|(c, a)| (c, a)));
    }

    #[test]
    fn the_share_of_the_capacity_counts() {
        let big = DeskAgent { capacity: 20, ..agent(11, 3) };
        assert_eq!(placed(&[chat(1, 1)], &[agent(12, 1), big]), [(1, 11)]);
    }

    #[test]
    fn the_next_chance_is_known() {
        let noon = domain::hours::WeeklyWindow { weekday: 1, start: "12:00".into(), end: "18:00".into() };
        let early = DeskAgent { weekly_hours: vec![noon], ..agent(11, 0) };
        let opens = Timestamp::parse_rfc3339("2026-11-23T12:00:00+08:00").unwrap();
        assert_eq!(next_chance(&[], &[early.clone(), agent(12, 0)], now(), HOME), Some(opens));
        assert_eq!(next_chance(&[chat(1, 1)], &[agent(12, 0)], now(), HOME), None);
        let mut given_away = chat(1, 1);
        given_away.detail.avoid = Some((id(12).into(), now() + span::minutes(1)));
        assert_eq!(next_chance(&[given_away], &[early], now(), HOME), Some(now() + span::minutes(1)));
    }
}
