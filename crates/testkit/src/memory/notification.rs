//! Notifications in memory.

use async_trait::async_trait;
use consultation::consultation::Consultation;
use consultation::notification::{Cause, Notification, NotificationRepository, NotificationState, Reason, Recipient};
use domain::id::{ConsultationId, NotificationId};
use domain::{StoreError, Timestamp};

use super::MemoryUnit;
use super::tables::insert_new;

#[async_trait]
impl NotificationRepository for MemoryUnit {
    async fn insert_all(&mut self, notifications: &[Notification]) -> Result<(), StoreError> {
        self.write(|tables| {
            let rows = &mut tables.notifications;
            notifications.iter().try_for_each(|n| insert_new(rows, n.id, n.clone(), "notification_pkey"))
        })
    }

    async fn find(&mut self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        Ok(self.tables()?.notifications.get(&id).cloned())
    }

    async fn find_locked(&mut self, id: NotificationId) -> Result<Option<Notification>, StoreError> {
        Ok(self.tables()?.notifications.get(&id).cloned())
    }

    async fn update(&mut self, notification: &Notification) -> Result<(), StoreError> {
        self.write(|tables| {
            let row = tables.notifications.get_mut(&notification.id).ok_or(StoreError::Conflict)?;
            row.clone_from(notification);
            Ok(())
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
        except: Option<NotificationId>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let tables = self.tables()?;
        let counts = |n: &&Notification| {
            n.consultation_id == Some(consultation)
                && n.recipient == recipient
                && matches!(n.state, NotificationState::Queued | NotificationState::Sent)
                && n.updated_at >= since
                && Some(n.id) != except
        };
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
        let is_answered =
            |id, since| of(id).any(|r: &Notification| r.cause == Cause::DoctorMessage && r.created_at >= since);
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
            let is_open = tables.consultations.get(id).is_some_and(Consultation::is_open);
            is_open && only.is_none_or(|only| only == *id) && !is_answered(*id, *since) && !is_reminded(*id)
        });
        let mut ids: Vec<_> = due.map(|(id, _)| id).collect();
        ids.sort();
        ids.dedup();
        ids.truncate(limit as usize);
        Ok(ids)
    }

    async fn list(&mut self, consultation: ConsultationId) -> Result<Vec<Notification>, StoreError> {
        let tables = self.tables()?;
        let of_it = tables.notifications.values().filter(|n| n.consultation_id == Some(consultation));
        let mut found: Vec<_> = of_it.cloned().collect();
        found.sort_by_key(|n| (n.created_at, n.id));
        Ok(found)
    }
}
