//! Delivering queued notifications: decide again, hand over outside any unit, keep the outcomes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use domain::Timestamp;
use domain::doctor::Doctor;
use domain::id::{ConsultationId, DoctorId, NotificationId, PatientId, RelationId};
use domain::patient::Patient;
use im::presence::Attention;

use super::context::Context;
use super::notify::{self, Facts};
use crate::consultation::Consultation;
use crate::decision::{Decision, RecipientState};
use crate::error::ConsultationError;
use crate::notification::{
    Cause, Channel, Delivery, DeliveryError, Notification, NotificationState, Notifier, Reason, Recipient,
};
use crate::unit::ConsultationUnit;

/// Kind of the outbox job that delivers one notification; its payload is `{"notificationId": …}`.
pub const DELIVER_NOTIFICATION: &str = "deliver_notification";

/// What a delivery job came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryProgress {
    /// Sent, suppressed, cancelled or failed for good: nothing left to do.
    Settled,
    /// Not yet: look again at this instant.
    Deferred(Timestamp),
    /// The channel is down: try again with back-off.
    Unavailable,
}

type Progress = Result<DeliveryProgress, ConsultationError>;

/// The use case behind the delivery job.
#[derive(Clone)]
pub struct Deliveries {
    context: Context,
    notifier: Arc<dyn Notifier>,
}

/// What a notification is to become.
#[derive(Clone, Copy)]
enum Verdict {
    Sent { channel: Channel, reason: Reason },
    Deferred { until: Timestamp, reason: Reason },
    Closed { state: NotificationState, reason: Reason },
}

impl Verdict {
    /// The states from which it may be reached. What was cancelled between the decision and the delivery is still
    /// noted as sent: what reached somebody is not to look as if it had not.
    const fn from(self) -> &'static [NotificationState] {
        match self {
            Self::Sent { .. } => &[NotificationState::Queued, NotificationState::Cancelled],
            Self::Deferred { .. } | Self::Closed { .. } => &[NotificationState::Queued],
        }
    }

    fn apply(self, notification: &Notification, now: Timestamp) -> Notification {
        let mut n = Notification { updated_at: now, ..notification.clone() };
        match self {
            Self::Sent { channel, reason } => {
                (n.state, n.reason, n.channel) = (NotificationState::Sent, reason, Some(channel));
            }
            Self::Deferred { until, reason } => (n.due_at, n.reason) = (until, reason),
            Self::Closed { state, reason } => (n.state, n.reason) = (state, reason),
        }
        n
    }

    const fn progress(self) -> DeliveryProgress {
        match self {
            Self::Deferred { until, .. } => DeliveryProgress::Deferred(until),
            Self::Sent { .. } | Self::Closed { .. } => DeliveryProgress::Settled,
        }
    }
}

/// A notification on its way: what its decision looks at, and whether a channel has refused it.
struct Pending<'a> {
    notification: &'a Notification,
    facts: Facts<'a>,
    was_refused: bool,
}

impl Deliveries {
    pub fn new(context: Context, notifier: Arc<dyn Notifier>) -> Self {
        Self { context, notifier }
    }

    /// Takes queued notifications as far as they go and answers for each, in order. Running it twice delivers once:
    /// a settled notification is left alone, and the notifier drops a second delivery under the same id.
    ///
    /// # Errors
    /// [`ConsultationError::Store`] when the database does not answer.
    pub async fn run(&self, ids: &[NotificationId]) -> Result<Vec<Progress>, ConsultationError> {
        let mut queued = self.context.store.read().notifications().find_all(ids).await?;
        queued.retain(|n| n.state == NotificationState::Queued);
        queued.sort_by_key(|n| (n.due_at, n.id));
        let mut came_to: HashMap<NotificationId, Progress> = HashMap::with_capacity(queued.len());
        while !queued.is_empty() {
            // One of each run at a time, so that the next one's decision knows what became of it.
            let mut runs = HashSet::new();
            let (wave, later): (Vec<_>, Vec<_>) = queued
                .into_iter()
                .partition(|n| n.consultation_id.is_none() || runs.insert((n.consultation_id, n.recipient)));
            self.deliver(&wave, &mut came_to).await?;
            queued = later;
        }
        // What is not queued any more has nothing left to do.
        Ok(ids.iter().map(|id| came_to.remove(id).unwrap_or(Ok(DeliveryProgress::Settled))).collect())
    }

    /// Decides, hands over, decides anew about those whose channel refused, and keeps what all of it came to.
    async fn deliver(
        &self,
        wave: &[Notification],
        came_to: &mut HashMap<NotificationId, Progress>,
    ) -> Result<(), ConsultationError> {
        let ground = Ground::load(&self.context, wave).await?;
        let mut pending = Vec::with_capacity(wave.len());
        for notification in wave {
            match ground.facts(notification) {
                Ok(facts) => pending.push(Pending { notification, facts, was_refused: false }),
                Err(error) => {
                    came_to.insert(notification.id, Err(error));
                }
            }
        }
        let mut verdicts: HashMap<NotificationId, Verdict> = HashMap::with_capacity(pending.len());
        while !pending.is_empty() {
            let mut leaving = Vec::with_capacity(pending.len());
            for one in pending {
                match self.decide(&one) {
                    Ok((channel, reason)) => leaving.push((one, channel, reason)),
                    Err(verdict) => {
                        verdicts.insert(one.notification.id, verdict);
                    }
                }
            }
            let deliveries: Vec<Delivery> =
                leaving.iter().map(|(one, channel, _)| delivery(one.notification, *channel)).collect();
            pending = Vec::new();
            if deliveries.is_empty() {
                break;
            }
            let answers = self.notifier.deliver_all(&deliveries).await;
            for ((mut one, channel, reason), answer) in leaving.into_iter().zip(answers) {
                let id = one.notification.id;
                match answer {
                    Ok(()) => {
                        verdicts.insert(id, Verdict::Sent { channel, reason });
                    }
                    // The next channel is decided on anew: not every cause may take every one.
                    Err(DeliveryError::Refused) => {
                        one.facts.state.channels.retain(|c| *c != channel);
                        one.was_refused = true;
                        pending.push(one);
                    }
                    Err(DeliveryError::Unavailable) => {
                        came_to.insert(id, Ok(DeliveryProgress::Unavailable));
                    }
                }
            }
        }
        self.keep(wave, &verdicts).await?;
        came_to.extend(verdicts.into_iter().map(|(id, verdict)| (id, Ok(verdict.progress()))));
        Ok(())
    }

    /// The channel to take now and why, or what becomes of a notification that does not leave now.
    fn decide(&self, one: &Pending<'_>) -> Result<(Channel, Reason), Verdict> {
        match one.facts.decide(&self.context, one.notification.recipient, one.notification.cause) {
            Decision::Send { channel, reason } => Ok((channel, reason)),
            Decision::Defer { until, reason } => Err(Verdict::Deferred { until, reason }),
            Decision::Suppress(reason) => {
                let state = match reason {
                    Reason::ConsultationClosed => NotificationState::Cancelled,
                    Reason::NoChannel if one.was_refused => NotificationState::Failed,
                    _ => NotificationState::Suppressed,
                };
                Err(Verdict::Closed { state, reason })
            }
        }
    }

    /// Writes the verdicts in one unit.
    async fn keep(
        &self,
        wave: &[Notification],
        verdicts: &HashMap<NotificationId, Verdict>,
    ) -> Result<(), ConsultationError> {
        let now = self.context.clock.now();
        let mut by_origin: HashMap<&[NotificationState], Vec<Notification>> = HashMap::new();
        for notification in wave {
            if let Some(verdict) = verdicts.get(&notification.id) {
                let decided = verdict.apply(notification, now);
                notify::count(&decided);
                by_origin.entry(verdict.from()).or_default().push(decided);
            }
        }
        if by_origin.is_empty() {
            return Ok(());
        }
        let mut unit = self.context.store.begin().await?;
        for (from, notifications) in by_origin {
            unit.notifications().settle(&notifications, from).await?;
        }
        unit.commit().await?;
        Ok(())
    }
}

fn delivery(notification: &Notification, channel: Channel) -> Delivery {
    Delivery {
        notification_id: notification.id,
        recipient: notification.recipient,
        channel,
        cause: notification.cause,
        consultation_id: notification.consultation_id,
    }
}

/// What the decisions about several notifications look at.
struct Ground {
    consultations: HashMap<ConsultationId, Consultation>,
    doctors: HashMap<DoctorId, Doctor>,
    patients: HashMap<PatientId, Patient>,
    blocked: HashSet<RelationId>,
    /// Those whose recipient was told, or is about to be told, by another one, and when.
    told: HashMap<NotificationId, Timestamp>,
    /// Those that WeChat can carry.
    by_wechat: HashSet<NotificationId>,
    /// What the recipients have seen of their dialogs.
    attention: HashMap<NotificationId, Attention>,
    now: Timestamp,
}

impl Ground {
    async fn load(context: &Context, notifications: &[Notification]) -> Result<Self, ConsultationError> {
        let mut unit = context.store.read();
        let ids: Vec<ConsultationId> = notifications.iter().filter_map(|n| n.consultation_id).collect();
        let consultations = unit.consultations().find_all(&ids).await?;
        let mut doctors: Vec<DoctorId> = consultations.iter().map(|c| c.pair.doctor).collect();
        let mut patients = Vec::new();
        for notification in notifications {
            match notification.recipient {
                Recipient::Doctor(id) => doctors.push(id),
                Recipient::Patient(id) => patients.push(id),
            }
        }
        doctors.sort_unstable();
        doctors.dedup();
        let relations: Vec<RelationId> = consultations.iter().map(|c| c.relation_id).collect();
        let now = context.clock.now();
        let since = now - context.policy.cool_down;
        let attention = attention(&mut *unit, &consultations, notifications, now).await?;
        let by_wechat = by_wechat(&mut *unit, notifications).await?;
        let ids: Vec<NotificationId> = notifications.iter().map(|n| n.id).collect();
        Ok(Self {
            doctors: unit.doctors().find_all(&doctors).await?.into_iter().map(|d| (d.id, d)).collect(),
            patients: unit.patients().find_all(&patients).await?.into_iter().map(|p| (p.id, p)).collect(),
            blocked: unit.relations().find_blocked(&relations).await?.into_iter().collect(),
            told: unit.notifications().told_otherwise(&ids, since).await?.into_iter().collect(),
            consultations: consultations.into_iter().map(|c| (c.id, c)).collect(),
            by_wechat,
            attention,
            now,
        })
    }

    fn facts(&self, notification: &Notification) -> Result<Facts<'_>, ConsultationError> {
        let consultation = notification.consultation_id.and_then(|id| self.consultations.get(&id));
        let doctor = |id| self.doctors.get(&id).ok_or(ConsultationError::DoctorNotFound(id));
        let (doctor, channels) = match notification.recipient {
            Recipient::Doctor(id) => {
                let doctor = doctor(id)?;
                (Some(doctor), notify::channels_of_doctor(doctor, self.by_wechat.contains(&notification.id)))
            }
            Recipient::Patient(id) => {
                let patient = self.patients.get(&id).ok_or(ConsultationError::PatientNotFound(id))?;
                let of = match consultation {
                    Some(consultation) => Some(doctor(consultation.pair.doctor)?),
                    None if notification.cause == Cause::AssistantAnswer => None,
                    None => return Err(ConsultationError::Conflict),
                };
                (of, notify::channels_of_patient(patient, self.by_wechat.contains(&notification.id)))
            }
        };
        let attention = self.attention.get(&notification.id).copied().unwrap_or_default();
        // What was told before the run of unread messages began was told of another one.
        let told_at = self.told.get(&notification.id);
        let was_notified_in_cool_down = told_at.is_some_and(|at| *at >= attention.run_since(self.now));
        Ok(Facts {
            consultation,
            doctor,
            is_blocked: consultation.is_some_and(|c| self.blocked.contains(&c.relation_id)),
            state: RecipientState { is_viewing: attention.is_viewing, was_notified_in_cool_down, channels },
        })
    }
}

/// What each recipient has seen of the dialog, in one look.
async fn attention(
    unit: &mut dyn ConsultationUnit,
    consultations: &[Consultation],
    notifications: &[Notification],
    now: Timestamp,
) -> Result<HashMap<NotificationId, Attention>, ConsultationError> {
    let of: HashMap<ConsultationId, &Consultation> = consultations.iter().map(|c| (c.id, c)).collect();
    let answered = notifications.iter().filter(|n| n.cause == Cause::AssistantAnswer).map(|n| n.recipient);
    let at_desk = unit.notifications().assistant_conversations(&answered.collect::<Vec<_>>()).await?;
    let seat = |n: &Notification| {
        let seat = if n.cause == Cause::AssistantAnswer {
            let found = at_desk.iter().find(|seat| seat.recipient == n.recipient)?;
            (found.conversation_id, n.recipient.client_id())
        } else {
            notify::seat_of(of.get(&n.consultation_id?)?, n.recipient)?
        };
        Some((n.id, seat))
    };
    let (ids, seats): (Vec<NotificationId>, Vec<_>) = notifications.iter().filter_map(seat).unzip();
    Ok(ids.into_iter().zip(unit.presence().attention(&seats, now).await?).collect())
}

/// Those that WeChat can carry: each may hold a grant of its own already.
async fn by_wechat(
    unit: &mut dyn ConsultationUnit,
    notifications: &[Notification],
) -> Result<HashSet<NotificationId>, ConsultationError> {
    let mut reachable = HashSet::new();
    for n in notifications {
        if !unit.notifications().reachable_by_wechat(&[n.recipient], Some(n.id)).await?.is_empty() {
            reachable.insert(n.id);
        }
    }
    Ok(reachable)
}
