//! Tasks of the desk in memory.

use async_trait::async_trait;
use consultation::Consultation;
use consultation::desk_task::{DeskTask, DeskTaskRepository, DeskTaskState};
use consultation::notification::{Cause, Notification, NotificationState};
use domain::id::{ConsultationId, DeskTaskId};
use domain::page::{Cursor, Page, PageRequest};
use domain::{StoreError, Timestamp};

use super::MemoryUnit;
use super::tables::{Tables, insert_new, newest_first};

/// The doctor wrote in the dialog since then.
fn is_answered(tables: &Tables, id: ConsultationId, since: Timestamp) -> bool {
    let Some(consultation) = tables.consultations.get(&id) else { return false };
    let doctor = consultation.pair.doctor.to_string();
    tables.messages.values().any(|m| {
        Some(m.conversation_id) == consultation.dialog_id
            && m.sender.as_ref() == Some(&doctor)
            && m.acted_by.is_none()
            && m.created_at >= since
    })
}

#[async_trait]
impl DeskTaskRepository for MemoryUnit {
    async fn insert(&mut self, task: &DeskTask) -> Result<(), StoreError> {
        self.write(|tables| insert_new(&mut tables.desk_tasks, task.id, task.clone(), "desk_task_pkey"))
    }

    async fn find_locked(&mut self, id: DeskTaskId) -> Result<Option<DeskTask>, StoreError> {
        Ok(self.tables()?.desk_tasks.get(&id).cloned())
    }

    async fn update(&mut self, task: &DeskTask) -> Result<(), StoreError> {
        self.write(|tables| {
            tables.desk_tasks.insert(task.id, task.clone());
            Ok(())
        })
    }

    async fn list(&mut self, state: DeskTaskState, page: PageRequest) -> Result<Page<DeskTask>, StoreError> {
        let tables = self.tables()?;
        let of_state = tables.desk_tasks.values().filter(|task| task.state == state);
        Ok(newest_first(of_state, page, |task| Cursor { at: task.created_at, id: task.id.0 }))
    }

    async fn find_unattended(
        &mut self,
        only: Option<ConsultationId>,
        escalated_after: Timestamp,
        escalated_before: Timestamp,
        limit: u32,
    ) -> Result<Vec<ConsultationId>, StoreError> {
        let tables = self.tables()?;
        let is_escalation = |n: &&Notification| {
            n.cause == Cause::Escalation
                && !matches!(n.state, NotificationState::Queued | NotificationState::Cancelled)
                && (escalated_after..=escalated_before).contains(&n.updated_at)
        };
        let escalated = tables.notifications.values().filter(is_escalation);
        let due = escalated.filter_map(|n| Some((n.consultation_id?, n.created_at))).filter(|(id, since)| {
            let has_task = tables.desk_tasks.values().any(|t| t.consultation_id == *id && t.created_at >= *since);
            let is_open = tables.consultations.get(id).is_some_and(Consultation::is_open);
            is_open && only.is_none_or(|only| only == *id) && !is_answered(&tables, *id, *since) && !has_task
        });
        let mut ids: Vec<_> = due.map(|(id, _)| id).collect();
        ids.sort();
        ids.dedup();
        ids.truncate(limit as usize);
        Ok(ids)
    }

    async fn close_settled(&mut self, now: Timestamp) -> Result<u64, StoreError> {
        let tables = self.tables()?;
        let is_settled = |task: &&DeskTask| {
            let is_open = tables.consultations.get(&task.consultation_id).is_some_and(Consultation::is_open);
            let is_left = !is_open || is_answered(&tables, task.consultation_id, task.created_at);
            task.state == DeskTaskState::Open && is_left
        };
        let settled: Vec<DeskTaskId> = tables.desk_tasks.values().filter(is_settled).map(|task| task.id).collect();
        self.write(|tables| {
            for id in &settled {
                if let Some(task) = tables.desk_tasks.get_mut(id) {
                    task.state = DeskTaskState::Closed;
                    (task.closed_at, task.closed_by) = (Some(now), Some("system".to_owned()));
                }
            }
            Ok(settled.len() as u64)
        })
    }
}
