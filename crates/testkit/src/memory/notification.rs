//! Notifications in memory.

use std::collections::HashSet;

use async_trait::async_trait;
use consultation::consultation::Consultation;
use consultation::notification::{
    AnswerSearch, AssistantSeat, Cause, Notification, NotificationFilter, NotificationRepository, NotificationState,
    Reason, Recipient,
};
use domain::id::{ConsultationId, ConversationId, NotificationId};
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};
use im::MemberKind;
use im::desk::Chat;

use super::MemoryUnit;
use super::tables::{Tables, all_of, insert_new, newest_first};

/// Its recipient was told by it, or is queued to be told, since then.
fn tells(n: &Notification, since: Timestamp) -> bool {
    matches!(n.state, NotificationState::Queued | NotificationState::Sent) && n.updated_at >= since
}

/// The customer of a chat of the desk.
fn customer(chat: &Chat) -> Option<Recipient> {
    match chat.customer_kind {
        MemberKind::Doctor => chat.customer_id.parse().ok().map(Recipient::Doctor),
        MemberKind::Patient => chat.customer_id.parse().ok().map(Recipient::Patient),
        _ => None,
    }
}

/// Has a live socket in whose front the conversation is.
fn is_viewing(tables: &Tables, client_id: &str, conversation: ConversationId, now: Timestamp) -> bool {
    tables.presence.values().any(|p| {
        let is_alive = tables.nodes.get(&p.node).is_some_and(|until| *until >= now);
        is_alive && p.client_id == client_id && p.viewing == Some(conversation)
    })
}

/// Whether the customer has an answer that they have not read and were not told of.
fn has_unread_answer(tables: &Tables, chat: &Chat, recipient: Recipient, search: &AnswerSearch) -> bool {
    let seat = (chat.conversation_id, chat.customer_id.clone());
    let Some(member) = tables.members.get(&seat) else { return false };
    let id = chat.conversation_id;
    let of_it = || tables.messages.values().filter(move |m| m.conversation_id == id);
    let writes_after = |seq: i64| of_it().any(|m| m.seq > seq && m.sender.as_ref() == Some(&chat.customer_id));
    let decided_since = |at: Timestamp| {
        let mut decided = tables.notifications.values();
        decided.any(|n| n.cause == Cause::AssistantAnswer && n.recipient == recipient && n.created_at >= at)
    };
    of_it().any(|answer| {
        let is_meant = answer.acted_by.is_some() && answer.recalled_at.is_none() && answer.seq > member.read_seq;
        is_meant
            && (search.said.0..=search.said.1).contains(&answer.created_at)
            && !writes_after(answer.seq)
            && !decided_since(answer.created_at.min(search.not_told_since))
    })
}

#[async_trait]
impl NotificationRepository for MemoryUnit {
    async fn insert_all(&mut self, notifications: &[Notification]) -> Result<(), StoreError> {
        self.write(|tables| {
            let rows = &mut tables.notifications;
            notifications.iter().try_for_each(|n| insert_new(rows, n.id, n.clone(), "notification_pkey"))
        })
    }

    /// Whoever has an openid: this store knows no grants.
    async fn reachable_by_wechat(
        &mut self,
        recipients: &[Recipient],
        _: Option<NotificationId>,
    ) -> Result<HashSet<Recipient>, StoreError> {
        let tables = self.tables()?;
        let has_openid = |recipient: &&Recipient| match recipient {
            Recipient::Doctor(id) => tables.doctors.get(id).is_some_and(|doctor| doctor.openid.is_some()),
            Recipient::Patient(id) => tables.patients.get(id).is_some_and(|patient| !patient.openids.is_empty()),
        };
        Ok(recipients.iter().filter(has_openid).copied().collect())
    }

    async fn find_all(&mut self, ids: &[NotificationId]) -> Result<Vec<Notification>, StoreError> {
        Ok(all_of(&self.tables()?.notifications, ids))
    }

    async fn settle(&mut self, notifications: &[Notification], from: &[NotificationState]) -> Result<u64, StoreError> {
        self.write(|tables| {
            let mut settled = 0;
            for n in notifications {
                if let Some(row) = tables.notifications.get_mut(&n.id).filter(|row| from.contains(&row.state)) {
                    (row.state, row.reason, row.channel) = (n.state, n.reason, n.channel);
                    (row.due_at, row.updated_at) = (n.due_at, n.updated_at);
                    settled += 1;
                }
            }
            Ok(settled)
        })
    }

    async fn cancel_queued(&mut self, consultation: ConsultationId, now: Timestamp) -> Result<u64, StoreError> {
        self.write(|tables| {
            let is_due = |n: &&mut Notification| {
                n.consultation_id == Some(consultation)
                    && n.state == NotificationState::Queued
                    && n.cause != Cause::Ended
            };
            let mut cancelled = 0;
            for notification in tables.notifications.values_mut().filter(is_due) {
                notification.state = NotificationState::Cancelled;
                notification.reason = Reason::ConsultationClosed;
                notification.updated_at = now;
                cancelled += 1;
            }
            Ok(cancelled)
        })
    }

    async fn last_notified(
        &mut self,
        recipient: Recipient,
        consultation: ConsultationId,
        since: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let tables = self.tables()?;
        let counts =
            |n: &&Notification| n.consultation_id == Some(consultation) && n.recipient == recipient && tells(n, since);
        Ok(tables.notifications.values().filter(counts).map(|n| n.updated_at).max())
    }

    async fn find_unanswered(
        &mut self,
        only: Option<ConsultationId>,
        told_after: Timestamp,
        told_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<ConsultationId>, StoreError> {
        let tables = self.tables()?;
        let of = |id: ConsultationId| tables.notifications.values().filter(move |n| n.consultation_id == Some(id));
        let is_answered = |id: ConsultationId, since: Timestamp| {
            let Some(consultation) = tables.consultations.get(&id) else { return false };
            let doctor = consultation.pair.doctor.to_string();
            tables.messages.values().any(|m| {
                Some(m.conversation_id) == consultation.dialog_id
                    && m.sender.as_ref() == Some(&doctor)
                    && m.acted_by.is_none()
                    && m.created_at >= since
            })
        };
        let is_read = |consultation: &Consultation| {
            let Some(dialog) = consultation.dialog_id else { return false };
            let seat = (dialog, consultation.pair.doctor.to_string());
            let (member, conversation) = (tables.members.get(&seat), tables.conversations.get(&dialog));
            member.zip(conversation).is_some_and(|(m, c)| m.unread_count(c.last_seq) <= 0)
        };
        let is_reminded =
            |id| of(id).any(|e: &Notification| e.cause == Cause::Escalation && !is_answered(id, e.created_at));
        let is_told = |n: &&Notification| {
            n.state == NotificationState::Sent
                && matches!(n.recipient, Recipient::Doctor(_))
                && matches!(n.cause, Cause::Initiated | Cause::PatientMessage)
                && (told_after..=told_before).contains(&n.updated_at)
        };
        let told = tables.notifications.values().filter(is_told);
        let waiting = told.filter_map(|n| Some((n.consultation_id?, n.created_at)));
        let due = waiting.filter(|(id, since)| {
            let is_waiting = tables.consultations.get(id).is_some_and(|c| c.is_open() && !is_read(c));
            is_waiting && only.is_none_or(|only| only == *id) && !is_answered(*id, *since) && !is_reminded(*id)
        });
        let mut ids: Vec<_> = due.map(|(id, _)| id).collect();
        ids.sort();
        ids.dedup();
        ids.truncate(limit as usize);
        Ok(ids)
    }

    async fn find_unseen(
        &mut self,
        only: Option<NotificationId>,
        suppressed: (Timestamp, Timestamp),
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<NotificationId>, StoreError> {
        let tables = self.tables()?;
        let is_unseen = |n: &&Notification| {
            let Some(consultation) = n.consultation_id.and_then(|id| tables.consultations.get(&id)) else {
                return false;
            };
            let Some(dialog) = consultation.dialog_id else { return false };
            let seat = (dialog, n.recipient.client_id());
            let is_unread = tables.members.get(&seat).zip(tables.conversations.get(&dialog));
            let is_unread = is_unread.is_some_and(|(m, c)| m.unread_count(c.last_seq) > 0);
            let is_viewing = is_viewing(&tables, &seat.1, dialog, now);
            let is_last = tables.notifications.values().all(|o| {
                let is_other = o.consultation_id == n.consultation_id && o.recipient == n.recipient;
                !is_other || (o.created_at, o.id) <= (n.created_at, n.id)
            });
            n.state == NotificationState::Suppressed
                && n.reason == Reason::OnlineViewing
                && (suppressed.0..=suppressed.1).contains(&n.updated_at)
                && only.is_none_or(|only| only == n.id)
                && is_unread
                && !is_viewing
                && is_last
        };
        let found = tables.notifications.values().filter(is_unseen).map(|n| n.id);
        Ok(found.take(usize::try_from(limit).unwrap_or(usize::MAX)).collect())
    }

    async fn find_unread_answers(
        &mut self,
        search: &AnswerSearch,
        limit: u32,
    ) -> Result<Vec<AssistantSeat>, StoreError> {
        let tables = self.tables()?;
        let mut chats: Vec<&Chat> = tables.desk.chats.values().map(|row| &row.chat).collect();
        chats.retain(|chat| search.only.is_none_or(|only| only == chat.conversation_id));
        chats.sort_by_key(|chat| (chat.updated_at, chat.conversation_id));
        let unread = chats.into_iter().filter_map(|chat| {
            let recipient = customer(chat)?;
            let is_away = !is_viewing(&tables, &chat.customer_id, chat.conversation_id, search.now);
            let is_due = is_away && has_unread_answer(&tables, chat, recipient, search);
            is_due.then_some(AssistantSeat { conversation_id: chat.conversation_id, recipient })
        });
        Ok(unread.take(limit as usize).collect())
    }

    async fn assistant_conversations(&mut self, recipients: &[Recipient]) -> Result<Vec<AssistantSeat>, StoreError> {
        let tables = self.tables()?;
        let seats = tables.desk.chats.values().filter_map(|row| {
            let recipient = customer(&row.chat).filter(|recipient| recipients.contains(recipient))?;
            Some(AssistantSeat { conversation_id: row.chat.conversation_id, recipient })
        });
        Ok(seats.collect())
    }

    async fn told_otherwise(
        &mut self,
        ids: &[NotificationId],
        since: Timestamp,
    ) -> Result<Vec<(NotificationId, Timestamp)>, StoreError> {
        let tables = self.tables()?;
        let tells_the_same = |of: &Notification, n: &Notification| {
            n.id != of.id
                && n.consultation_id.is_some()
                && (n.consultation_id, n.recipient) == (of.consultation_id, of.recipient)
                && tells(n, since)
        };
        let told_at = |of: &Notification| {
            let others = tables.notifications.values().filter(|n| tells_the_same(of, n));
            others.map(|n| n.updated_at).max().map(|at| (of.id, at))
        };
        Ok(all_of(&tables.notifications, ids).iter().filter_map(told_at).collect())
    }

    async fn list(&mut self, consultation: ConsultationId) -> Result<Vec<Notification>, StoreError> {
        let tables = self.tables()?;
        let of_it = tables.notifications.values().filter(|n| n.consultation_id == Some(consultation));
        let mut found: Vec<_> = of_it.cloned().collect();
        found.sort_by_key(|n| (n.created_at, n.id));
        Ok(found)
    }

    async fn list_all(
        &mut self,
        filter: &NotificationFilter,
        page: PageRequest,
    ) -> Result<Page<Notification>, StoreError> {
        let tables = self.tables()?;
        let is_wanted = |n: &&Notification| {
            filter.consultation.is_none_or(|id| n.consultation_id == Some(id))
                && filter.recipient.is_none_or(|recipient| n.recipient == recipient)
                && filter.state.is_none_or(|state| n.state == state)
        };
        let found = tables.notifications.values().filter(is_wanted);
        Ok(newest_first(found, page, |n| Cursor { at: n.created_at, id: n.id.0 }))
    }
}
