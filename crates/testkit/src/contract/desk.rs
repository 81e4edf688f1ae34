//! The assistant, chats, agents, and what is kept beside them.

use domain::Timestamp;
use domain::hours::WeeklyWindow;
use domain::id::{AgentId, ConversationId};
use domain::page::PageRequest;
use im::desk::agent::DeskAgentPatch;
use im::desk::assistant::AssistantPatch;
use im::desk::canned::{CannedReply, CannedReplyPatch, CannedScope};
use im::desk::chat::{AssignReason, CloseReason, Offer};
use im::desk::entry::{DeskEntry, EntryKind};
use im::desk::episode::Episode;
use im::desk::ports::{ChatFilter, ChatView, Draft};
use im::desk::{Assistant, Chat, ChatStatus, DeskAgent, DeskStatus, DeskUnit};
use im::policy::DEFAULT_ASSISTANT;
use im::{Member, MemberKind};
use serde_json::json;

use super::samples::{at, conversation, text};
use super::{Harness, append, assert_conflict, assert_unique, given_conversations};
use crate::build::{self, dialog_id};
use crate::ids::object_id;

/// Does something in a unit of the desk and commits it.
async fn within<T>(h: &dyn Harness, act: impl AsyncFnOnce(&mut dyn DeskUnit) -> T) -> T {
    let mut unit = h.desk().begin().await.unwrap();
    let done = act(&mut *unit).await;
    unit.commit().await.unwrap();
    done
}

/// Tries something in a unit that is then dropped.
async fn attempt<T>(h: &dyn Harness, act: impl AsyncFnOnce(&mut dyn DeskUnit) -> T) -> T {
    let mut unit = h.desk().begin().await.unwrap();
    act(&mut *unit).await
}

fn agent_id(n: u32) -> AgentId {
    object_id(5_000 + n).into()
}

fn idle(n: u32) -> Chat {
    Chat::new(dialog_id(n), build::patient_id(n).to_string(), MemberKind::Patient, at(i64::from(n)))
}

fn queued(n: u32, since: i64) -> Chat {
    let mut chat = idle(n);
    chat.enqueue(at(since));
    chat
}

async fn given(h: &dyn Harness, chats: &[Chat]) {
    within(h, async |unit| {
        for chat in chats {
            unit.chats().insert(chat).await.unwrap();
        }
    })
    .await;
}

/// Agents 1 to `count` who are there for an hour.
async fn given_agents(h: &dyn Harness, count: u32, capacity: u32) {
    within(h, async |unit| {
        for n in 1..=count {
            unit.agents().ensure(agent_id(n), capacity).await.unwrap();
            unit.agents().set_status(agent_id(n), DeskStatus::Online, at(3_600_000)).await.unwrap();
        }
    })
    .await;
}

async fn stored(h: &dyn Harness, n: u32) -> Chat {
    h.desk().read().chats().find(dialog_id(n)).await.unwrap().unwrap()
}

async fn agent(h: &dyn Harness, n: u32) -> DeskAgent {
    h.desk().read().agents().find(agent_id(n)).await.unwrap().unwrap()
}

/// Tries to give the chat as it was read to an agent.
async fn claim(h: &dyn Harness, chat: &Chat, n: u32, now: Timestamp) -> bool {
    let mut chat = chat.clone();
    chat.assign(agent_id(n), AssignReason::Claimed, now);
    within(h, async |unit| unit.chats().claim(&chat, None, now).await.unwrap()).await
}

pub async fn the_assistant_is_kept_and_versioned(h: &dyn Harness) {
    let assistant = Assistant::new(DEFAULT_ASSISTANT, at(0));
    within(h, async |unit| unit.assistants().ensure(&assistant).await.unwrap()).await;
    let mut changed = assistant.clone();
    let window = WeeklyWindow { weekday: 7, start: "09:00".into(), end: "24:00".into() };
    let patch =
        AssistantPatch { weekly_hours: Some(vec![window]), name: Some("助手".into()), ..AssistantPatch::default() };
    changed.apply(patch, at(1)).unwrap();
    within(h, async |unit| unit.assistants().update(&changed).await.unwrap()).await;
    within(h, async |unit| unit.assistants().ensure(&assistant).await.unwrap()).await;
    let found = h.desk().read().assistants().find(DEFAULT_ASSISTANT).await.unwrap().unwrap();
    assert_eq!(found, Assistant { version: 2, ..changed.clone() });
    assert_conflict(&attempt(h, async |unit| unit.assistants().update(&changed).await).await);
}

pub async fn a_chat_keeps_every_field(h: &dyn Harness) {
    let mut chat = queued(1, 5);
    given(h, std::slice::from_ref(&chat)).await;
    assert_eq!(stored(h, 1).await, chat);
    chat.priority = 2;
    chat.detail.group = Some("退款".into());
    chat.detail.skills = vec!["english".into()];
    chat.detail.tags = vec!["新客户".into()];
    chat.detail.remark = Some("% _ \\ '".into());
    chat.detail.is_blocked = true;
    chat.detail.avoid = Some((agent_id(1), at(9)));
    chat.detail.due.first_reply = Some(at(7));
    chat.detail.episode = Some(object_id(77).into());
    chat.updated_at = at(8);
    within(h, async |unit| unit.chats().update(&chat, Some(at(9))).await.unwrap()).await;
    assert_eq!(stored(h, 1).await, Chat { version: 2, ..chat.clone() });
    assert_conflict(&attempt(h, async |unit| unit.chats().update(&chat, None).await).await);
    let mut closed = stored(h, 1).await;
    closed.close(CloseReason::Idle, at(10));
    within(h, async |unit| unit.chats().update(&closed, None).await.unwrap()).await;
    assert_eq!(stored(h, 1).await, Chat { version: 3, ..closed });
}

pub async fn a_customer_has_one_chat(h: &dyn Harness) {
    given(h, &[idle(1)]).await;
    let twin = Chat { conversation_id: dialog_id(2), ..idle(1) };
    assert_unique(&attempt(h, async |unit| unit.chats().insert(&twin).await).await, "desk_chat");
    let customer = build::patient_id(1).to_string();
    let mut unit = h.desk().read();
    assert_eq!(unit.chats().find_by_customer(&customer).await.unwrap(), Some(idle(1)));
    assert_eq!(unit.chats().find_by_customer("nobody").await.unwrap(), None);
}

pub async fn a_claim_needs_a_free_chat_and_room(h: &dyn Harness) {
    given(h, &[queued(1, 1), queued(2, 2), queued(3, 3)]).await;
    given_agents(h, 2, 1).await;
    let chat = stored(h, 1).await;
    assert!(claim(h, &chat, 1, at(10)).await);
    let taken = stored(h, 1).await;
    assert_eq!((taken.status, taken.agent, taken.version), (ChatStatus::Assigned, Some(agent_id(1)), 2));
    assert_eq!((agent(h, 1).await.load, agent(h, 1).await.last_assigned_at), (1, Some(at(10))));
    assert!(!claim(h, &chat, 2, at(10)).await, "the version is old");
    assert!(!claim(h, &taken, 2, at(10)).await, "somebody has it");
    assert!(!claim(h, &stored(h, 2).await, 1, at(10)).await, "no room");
    assert!(!claim(h, &stored(h, 2).await, 2, at(3_600_001)).await, "the agent is gone");
    within(h, async |unit| unit.agents().set_status(agent_id(2), DeskStatus::Offline, at(3_600_000)).await.unwrap())
        .await;
    assert!(!claim(h, &stored(h, 2).await, 2, at(10)).await, "the agent has left");
    assert!(!claim(h, &stored(h, 3).await, 9, at(10)).await, "there is no such agent");
    assert_eq!(agent(h, 2).await.load, 0);
    assert_eq!(stored(h, 2).await.agent, None);
}

pub async fn letting_go_makes_room(h: &dyn Harness) {
    given(h, &[queued(1, 1)]).await;
    given_agents(h, 1, 1).await;
    assert!(claim(h, &stored(h, 1).await, 1, at(10)).await);
    let mut chat = stored(h, 1).await;
    chat.enqueue(at(20));
    within(h, async |unit| unit.chats().let_go(&chat, agent_id(1)).await.unwrap()).await;
    assert_eq!(agent(h, 1).await.load, 0);
    assert_eq!(stored(h, 1).await.agent, None);
    assert_conflict(&attempt(h, async |unit| unit.chats().let_go(&chat, agent_id(1)).await).await);
    assert!(claim(h, &stored(h, 1).await, 1, at(30)).await);
}

pub async fn the_queue_is_in_the_order_of_its_times(h: &dyn Harness) {
    given(h, &[queued(1, 30), idle(2), queued(3, 10), queued(4, 20)]).await;
    let ids = async |limit| {
        let queue = h.desk().read().chats().queue(limit).await.unwrap();
        queue.iter().map(|chat| chat.conversation_id).collect::<Vec<_>>()
    };
    assert_eq!(ids(10).await, [dialog_id(3), dialog_id(4), dialog_id(1)]);
    assert_eq!(ids(1).await, [dialog_id(3)]);
    within(h, async |unit| unit.chats().lock_queue().await.unwrap()).await;
}

async fn listed(h: &dyn Harness, view: ChatView, words: Option<&str>) -> Vec<ConversationId> {
    let filter = ChatFilter { view, customer: None, text: words.map(str::to_owned) };
    let found = h.desk().read().chats().list(&filter, PageRequest::first()).await.unwrap();
    found.items.iter().map(|chat| chat.conversation_id).collect()
}

pub async fn chats_are_listed_by_view_and_words(h: &dyn Harness) {
    let mut offered = queued(3, 3);
    offered.detail.offer = Some(Offer { from: agent_id(2), to: agent_id(1), note: "x".into(), until: at(99) });
    let mut closed = idle(4);
    closed.close(CloseReason::Agent, at(4));
    closed.detail.tags = vec!["退款".into()];
    closed.detail.remark = Some("一百%".into());
    given(h, &[idle(1), queued(2, 2), idle(3), idle(4)]).await;
    within(h, async |unit| {
        let mut patient = build::patient(2).done();
        patient.name = Some("欧阳小明".into());
        unit.patients().insert(&patient).await.unwrap();
        unit.chats().update(&offered, None).await.unwrap();
        unit.chats().update(&closed, None).await.unwrap();
    })
    .await;
    given_agents(h, 1, 5).await;
    assert!(claim(h, &stored(h, 2).await, 1, at(50)).await);
    assert_eq!(listed(h, ChatView::Mine(agent_id(1)), None).await, [dialog_id(2), dialog_id(3)]);
    assert_eq!(listed(h, ChatView::Waiting, None).await, [dialog_id(3)]);
    assert_eq!(listed(h, ChatView::Closed, None).await, [dialog_id(4)]);
    assert_eq!(listed(h, ChatView::All, None).await.len(), 4);
    assert_eq!(listed(h, ChatView::All, Some("阳小")).await, [dialog_id(2)]);
    assert_eq!(listed(h, ChatView::All, Some("退款")).await, [dialog_id(4)]);
    assert_eq!(listed(h, ChatView::All, Some("百%")).await, [dialog_id(4)]);
    assert!(listed(h, ChatView::All, Some("%小")).await.is_empty());
    let of_doctors = ChatFilter { view: ChatView::All, customer: Some(MemberKind::Doctor), text: None };
    assert!(h.desk().read().chats().list(&of_doctors, PageRequest::first()).await.unwrap().items.is_empty());
}

pub async fn chats_are_counted(h: &dyn Harness) {
    let assistant = DEFAULT_ASSISTANT.to_string();
    let customer = build::patient_id(1).to_string();
    let members = [
        Member::free(dialog_id(1), customer, MemberKind::Patient, at(0)),
        Member::free(dialog_id(1), assistant.clone(), MemberKind::Assistant, at(0)),
    ];
    given_conversations(h, &[conversation(1)], &members).await;
    append(h, &[text(1, dialog_id(1), &build::patient_id(1).to_string(), "在吗")]).await;
    given(h, &[queued(1, 1), queued(2, 2), idle(3)]).await;
    given_agents(h, 1, 5).await;
    assert!(claim(h, &stored(h, 1).await, 1, at(50)).await);
    let counts = h.desk().read().chats().counts(agent_id(1), &assistant).await.unwrap();
    assert_eq!((counts.mine, counts.offered, counts.waiting, counts.all, counts.closed), (1, 0, 1, 3, 0));
    assert_eq!(counts.mine_unread, 1);
    let others = h.desk().read().chats().counts(agent_id(2), &assistant).await.unwrap();
    assert_eq!((others.mine, others.mine_unread, others.all), (0, 0, 3));
}

pub async fn what_time_asks_for_is_found(h: &dyn Harness) {
    given(h, &[idle(1), idle(2), queued(3, 1), queued(4, 1)]).await;
    within(h, async |unit| {
        unit.chats().update(&idle(1), Some(at(20))).await.unwrap();
        unit.chats().update(&idle(2), Some(at(10))).await.unwrap();
    })
    .await;
    let due = async |now| h.desk().read().chats().list_due(now, 10).await.unwrap();
    assert_eq!(due(at(20)).await, [dialog_id(2), dialog_id(1)]);
    assert_eq!(due(at(19)).await, [dialog_id(2)]);
    given_agents(h, 2, 5).await;
    assert!(claim(h, &stored(h, 3).await, 1, at(5)).await);
    assert!(claim(h, &stored(h, 4).await, 2, at(5)).await);
    within(h, async |unit| {
        assert!(unit.agents().renew(agent_id(2), at(7_200_000)).await.unwrap());
        unit.agents().set_status(agent_id(1), DeskStatus::Away, at(3_600_000)).await.unwrap();
    })
    .await;
    let orphaned = async |now| h.desk().read().chats().list_orphaned(now, 10).await.unwrap();
    assert!(orphaned(at(3_600_000)).await.is_empty(), "away is not gone");
    assert_eq!(orphaned(at(3_600_001)).await, [dialog_id(3)]);
    within(h, async |unit| unit.agents().set_status(agent_id(2), DeskStatus::Offline, at(0)).await.unwrap()).await;
    assert_eq!(orphaned(at(10)).await, [dialog_id(4)]);
}

pub async fn agents_keep_what_is_set(h: &dyn Harness) {
    given_agents(h, 1, 5).await;
    let mut set = agent(h, 1).await;
    let window = WeeklyWindow { weekday: 1, start: "09:00".into(), end: "18:00".into() };
    let patch = DeskAgentPatch {
        capacity: Some(3),
        skills: Some(vec!["english".into()]),
        groups: Some(vec!["退款".into()]),
        timezone: domain::Patch::Set("Asia/Shanghai".into()),
        weekly_hours: Some(vec![window]),
        hour_exceptions: None,
    };
    set.apply(patch).unwrap();
    within(h, async |unit| {
        unit.agents().set_profile(&set).await.unwrap();
        unit.agents().ensure(agent_id(1), 99).await.unwrap();
    })
    .await;
    assert_eq!(agent(h, 1).await, set);
    let there = async |now| h.desk().read().agents().list_there(now).await.unwrap().len();
    assert_eq!((there(at(3_600_000)).await, there(at(3_600_001)).await), (1, 0));
    within(h, async |unit| unit.agents().set_status(agent_id(1), DeskStatus::Offline, at(3_600_000)).await.unwrap())
        .await;
    assert_eq!(there(at(1)).await, 0);
    assert!(!within(h, async |unit| unit.agents().renew(agent_id(1), at(9_000_000)).await.unwrap()).await);
    assert_eq!(h.desk().read().agents().find(agent_id(9)).await.unwrap(), None);
}

pub async fn episodes_keep_every_field(h: &dyn Harness) {
    let opened = |n: u32, number| {
        Episode::new(object_id(n).into(), dialog_id(1), MemberKind::Doctor, number, at(i64::from(n) * 10))
    };
    within(h, async |unit| {
        unit.episodes().insert(&opened(1, 1)).await.unwrap();
        unit.episodes().insert(&opened(2, 2)).await.unwrap();
    })
    .await;
    let done = Episode {
        assigned_at: Some(at(11)),
        first_reply_at: Some(at(12)),
        closed_at: Some(at(13)),
        close_reason: Some(CloseReason::Idle),
        agent: Some(agent_id(1)),
        reply_count: 3,
        rating: Some(4),
        comment: Some("不错".into()),
        rated_at: Some(at(14)),
        ..opened(1, 1)
    };
    within(h, async |unit| unit.episodes().update(&done).await.unwrap()).await;
    let mut unit = h.desk().read();
    assert_eq!(unit.episodes().find(done.id).await.unwrap(), Some(done.clone()));
    assert_eq!(unit.episodes().list(dialog_id(1), 5).await.unwrap(), [opened(2, 2), done.clone()]);
    assert_eq!(unit.episodes().list_opened(at(0), at(20), None, 5).await.unwrap(), std::slice::from_ref(&done));
    assert_eq!(unit.episodes().list_opened(at(0), at(21), None, 5).await.unwrap().len(), 2);
    assert_eq!(unit.episodes().list_opened(at(0), at(99), Some(agent_id(1)), 5).await.unwrap(), [done]);
    drop(unit);
    let twin = Episode { id: object_id(3).into(), ..opened(1, 1) };
    assert_unique(&attempt(h, async |unit| unit.episodes().insert(&twin).await).await, "desk_episode");
}

pub async fn entries_are_paged_newest_first(h: &dyn Harness) {
    let entry = |n: u32| DeskEntry {
        id: object_id(n).into(),
        conversation_id: dialog_id(1),
        kind: EntryKind::Note,
        agent: (n > 1).then(|| agent_id(1)),
        after_seq: i64::from(n),
        text: Some("注意 'it''s'".into()),
        data: json!({ "深": [1, null] }),
        at: at(i64::from(n / 2)),
    };
    let all: Vec<DeskEntry> = (1..=5).map(entry).collect();
    within(h, async |unit| unit.entries().append_all(&all).await.unwrap()).await;
    let mut unit = h.desk().read();
    let first = unit.entries().list(dialog_id(1), PageRequest { limit: 2, after: None }).await.unwrap();
    assert_eq!(first.items, [entry(5), entry(4)]);
    let next = unit.entries().list(dialog_id(1), PageRequest { limit: 9, after: first.next }).await.unwrap();
    assert_eq!(next.items, [entry(3), entry(2), entry(1)]);
    assert!(unit.entries().list(dialog_id(2), PageRequest::first()).await.unwrap().items.is_empty());
}

pub async fn canned_replies_are_seen_by_scope(h: &dyn Harness) {
    let reply = |n: u32, scope, group: Option<&str>, title: &str| {
        let id = object_id(n).into();
        let mut reply = CannedReply::new(id, scope, agent_id(1), group.map(str::to_owned), at(1));
        let patch = CannedReplyPatch {
            title: Some(title.into()),
            shortcut: domain::Patch::Set("hi".into()),
            text: Some("您好 {{customer.name}}".into()),
            files: Some(vec![object_id(70).into()]),
        };
        reply.apply(patch, at(1)).unwrap();
        reply
    };
    let own = reply(1, CannedScope::Personal, None, "c");
    let of_group = reply(2, CannedScope::Group, Some("退款"), "b");
    let of_all = reply(3, CannedScope::All, None, "a");
    within(h, async |unit| {
        for reply in [&own, &of_group, &of_all] {
            unit.canned_replies().insert(reply).await.unwrap();
        }
    })
    .await;
    let groups = ["退款".to_owned()];
    let mut unit = h.desk().read();
    let seen = unit.canned_replies().list(agent_id(1), &groups).await.unwrap();
    assert_eq!(seen, [of_all.clone(), of_group.clone(), own.clone()]);
    assert_eq!(unit.canned_replies().list(agent_id(2), &[]).await.unwrap(), std::slice::from_ref(&of_all));
    drop(unit);
    within(h, async |unit| unit.canned_replies().update(&of_all).await.unwrap()).await;
    assert_conflict(&attempt(h, async |unit| unit.canned_replies().update(&of_all).await).await);
    within(h, async |unit| unit.canned_replies().delete(own.id).await.unwrap()).await;
    assert_eq!(h.desk().read().canned_replies().find(own.id).await.unwrap(), None);
}

pub async fn drafts_are_kept_by_agent_and_chat(h: &dyn Harness) {
    let draft = |n: u32, words: &str| Draft {
        agent: agent_id(1),
        conversation_id: dialog_id(n),
        text: words.into(),
        is_note: n == 2,
        updated_at: at(i64::from(n)),
    };
    within(h, async |unit| {
        unit.drafts().put(&draft(1, "旧")).await.unwrap();
        unit.drafts().put(&draft(2, "草稿")).await.unwrap();
        unit.drafts().put(&draft(1, "新")).await.unwrap();
    })
    .await;
    let mut unit = h.desk().read();
    assert_eq!(unit.drafts().list(agent_id(1)).await.unwrap(), [draft(2, "草稿"), draft(1, "新")]);
    assert_eq!(unit.drafts().find(agent_id(2), dialog_id(1)).await.unwrap(), None);
    drop(unit);
    within(h, async |unit| unit.drafts().delete(agent_id(1), dialog_id(1)).await.unwrap()).await;
    assert_eq!(h.desk().read().drafts().find(agent_id(1), dialog_id(1)).await.unwrap(), None);
}

pub async fn conversations_are_summed_up_by_id(h: &dyn Harness) {
    let member = Member::free(dialog_id(1), "a".into(), MemberKind::Other, at(0));
    given_conversations(h, &[conversation(1), conversation(2)], &[member]).await;
    append(h, &[text(1, dialog_id(1), "a", "一"), text(2, dialog_id(1), "a", "二")]).await;
    let mut found = h.im().read().conversations().summaries(&[dialog_id(1), dialog_id(9)]).await.unwrap();
    let summary = found.pop().unwrap();
    assert!(found.is_empty());
    assert_eq!((summary.conversation.last_seq, summary.members.len()), (2, 1));
    assert_eq!(summary.last_message.unwrap().seq, 2);
    assert!(h.im().read().conversations().summaries(&[]).await.unwrap().is_empty());
}

pub async fn claims_at_once_never_overfill(h: &dyn Harness) {
    let chats: Vec<Chat> = (1..=40).map(|n| queued(n, i64::from(n))).collect();
    given(h, &chats).await;
    given_agents(h, 3, 5).await;
    let mut tasks = tokio::task::JoinSet::new();
    // Everybody wants every chat.
    for n in 1..=3 {
        for chat in chats.clone() {
            let store = h.desk();
            tasks.spawn(async move {
                let mut unit = store.begin().await.unwrap();
                let mut wanted = chat;
                wanted.assign(agent_id(n), AssignReason::Claimed, at(50));
                let was_given = unit.chats().claim(&wanted, None, at(50)).await.unwrap();
                unit.commit().await.unwrap();
                was_given
            });
        }
    }
    let given = tasks.join_all().await.into_iter().filter(|was_given| *was_given).count();
    assert_eq!(given, 15);
    let mut held = 0;
    for n in 1..=40 {
        held += usize::from(stored(h, n).await.agent.is_some());
    }
    assert_eq!(held, 15);
    for n in 1..=3 {
        assert_eq!(agent(h, n).await.load, 5);
    }
}
