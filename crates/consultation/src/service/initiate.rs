//! `initiateConsultation`, the one use case behind every surface.
//!
//! Calls are handled in batches: whatever has gathered is probed in one statement, which answers every pair that
//! already has an open consultation; the others share one transaction. A pair is created at most once whatever
//! happens beside it: the relation is unique and locked, the open consultation is held by a partial unique index.

use std::collections::{BTreeMap, HashMap, HashSet};

use domain::actor::AccessError;
use domain::doctor::Doctor;
use domain::id::{ConsultationEventId, ConsultationId, ConversationId, DoctorId, MessageId, PatientId, RelationId};
use domain::patient::Patient;
use domain::{Actor, Timestamp};
use im::{NewMessage, SystemNotice};
use serde_json::json;

use super::context::Context;
use super::notify::{self, Facts};
use crate::consultation::{Consultation, ConsultationType, OpenConsultation, Pair, PairProbe, Status};
use crate::decision::{self, Decision, RecipientState};
use crate::dialog::{dialog_of, parties_of};
use crate::error::ConsultationError;
use crate::machine::{self, NewConsultation, Transition};
use crate::notification::{Cause, Reason, Recipient};
use crate::policy::ConsultationPolicy;
use crate::relation::Relation;
use crate::trace::Traces;
use crate::unit::ConsultationUnit;

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub struct Initiate {
    pub actor: Actor,
    pub doctor: DoctorId,
    pub patient: PatientId,
    pub kind: ConsultationType,
}

/// Its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Initiated {
    pub consultation_id: ConsultationId,
    /// True when an open consultation was there before.
    pub is_old: bool,
    pub status: Status,
    pub started_at: Timestamp,
}

impl Initiated {
    fn old(open: OpenConsultation) -> Self {
        Self { consultation_id: open.id, is_old: true, status: open.status, started_at: open.started_at }
    }
}

/// The use case.
#[derive(Clone)]
pub struct InitiateConsultations {
    context: Context,
}

/// A call that passed the rules about its doctor, before its relation is known.
struct Draft<'a> {
    pair: Pair,
    call: &'a Initiate,
    doctor: &'a Doctor,
    /// The relation the pair gets if it has none, with the new consultation as its latest.
    relation: Relation,
    id: ConsultationId,
}

/// A consultation that may be created, with what was decided about it.
struct Candidate {
    start: Transition,
    relation: Relation,
    actor: Actor,
    /// Whether and when the doctor is told.
    decision: Decision,
    /// What the dialog says while the doctor is closed.
    reply: Option<SystemNotice>,
}

impl Candidate {
    /// The relation came into being with this very consultation.
    fn is_first_of_pair(&self) -> bool {
        self.relation.latest_consultation_id == Some(self.start.next.id)
    }
}

type Answer = Result<Initiated, ConsultationError>;
/// Makes the refusal for a call of a pair.
type Refusal = fn(Pair) -> ConsultationError;
/// What became of a pair.
type Outcome = Result<Initiated, Refusal>;

impl InitiateConsultations {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Answers each call, in order. A failure of the store while creating is retried call by call, so that one
    /// cannot spoil the others.
    pub async fn run(&self, calls: Vec<Initiate>) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> =
            calls.iter().map(|call| authorize(call, &self.context.policy).err().map(|e| Err(e.into()))).collect();
        let waiting: Vec<usize> = open_slots(&answers);
        let pairs: Vec<Pair> = waiting.iter().filter_map(|i| calls.get(*i)).map(pair_of).collect();
        match self.context.store.read().consultations().probe(&pairs).await {
            Ok(probes) => {
                for (slot, probe) in waiting.iter().zip(probes) {
                    set(&mut answers, *slot, settled_by(&probe));
                }
            }
            Err(error) if waiting.len() == 1 => {
                set(&mut answers, waiting.first().copied().unwrap_or_default(), Some(Err(error.into())));
            }
            Err(_) => return self.one_by_one(calls).await,
        }
        let missing = open_slots(&answers);
        if !missing.is_empty() {
            let wanted: Vec<&Initiate> = missing.iter().filter_map(|i| calls.get(*i)).collect();
            match self.create(&wanted).await {
                Ok(created) => {
                    for (slot, answer) in missing.iter().zip(created) {
                        set(&mut answers, *slot, Some(answer));
                    }
                }
                Err(error) if calls.len() == 1 => return vec![Err(error)],
                Err(_) => return self.one_by_one(calls).await,
            }
        }
        answers.into_iter().map(|answer| answer.unwrap_or(Err(ConsultationError::Conflict))).collect()
    }

    async fn one_by_one(&self, calls: Vec<Initiate>) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(calls.len());
        for call in calls {
            let mut alone = Box::pin(self.run(vec![call])).await;
            answers.push(alone.pop().unwrap_or(Err(ConsultationError::Conflict)));
        }
        answers
    }

    /// Creates what is missing in one unit and answers each call of `wanted`, in order.
    async fn create(&self, wanted: &[&Initiate]) -> Result<Vec<Answer>, ConsultationError> {
        let context = &self.context;
        let mut unit = context.store.begin().await?;
        // One creator per pair; the others of the pair find what it made.
        let mut creators: BTreeMap<Pair, &Initiate> = BTreeMap::new();
        for call in wanted {
            creators.entry(pair_of(call)).or_insert(call);
        }
        let mut outcomes: HashMap<Pair, Outcome> = HashMap::with_capacity(creators.len());
        let candidates = self.candidates(&mut *unit, &creators, &mut outcomes).await?;
        let new: Vec<Consultation> = candidates.iter().map(|c| c.start.next.clone()).collect();
        let inserted: HashSet<ConsultationId> = unit.consultations().insert_open(&new).await?.into_iter().collect();
        let mut traces = Traces::default();
        let mut latest = Vec::new();
        let mut raced = Vec::new();
        for candidate in &candidates {
            let created = &candidate.start.next;
            if inserted.contains(&created.id) {
                self.trace(candidate, &mut traces);
                if !candidate.is_first_of_pair() {
                    latest.push((candidate.relation.id, created.id));
                }
                let (consultation_id, status, started_at) = (created.id, created.status, created.started_at);
                let answer = Initiated { consultation_id, is_old: false, status, started_at };
                outcomes.insert(created.pair, Ok(answer));
            } else if candidate.is_first_of_pair() {
                // An import brought the pair's consultation without its relation: what was written beside it is wrong.
                return Err(ConsultationError::Conflict);
            } else {
                raced.push(created.pair);
            }
        }
        for open in unit.consultations().find_open(&raced).await? {
            let open_one = OpenConsultation { id: open.id, status: open.status, started_at: open.started_at };
            outcomes.insert(open.pair, Ok(Initiated::old(open_one)));
        }
        unit.relations().set_latest_consultations(&latest, context.clock.now()).await?;
        unit.traces().insert(&traces).await?;
        unit.commit().await?;
        context.signal.wake();
        Ok(hand_out(wanted, &outcomes))
    }

    /// Locks doctors, then relations, and keeps the pairs that may have a new consultation; the others are answered.
    async fn candidates(
        &self,
        unit: &mut dyn ConsultationUnit,
        creators: &BTreeMap<Pair, &Initiate>,
        outcomes: &mut HashMap<Pair, Outcome>,
    ) -> Result<Vec<Candidate>, ConsultationError> {
        let mut doctor_ids: Vec<DoctorId> = creators.keys().map(|p| p.doctor).collect();
        doctor_ids.dedup();
        let doctors = unit.doctors().find_all_shared(&doctor_ids).await?;
        // Nobody sees those who are gone.
        let doctors = doctors.into_iter().filter(|d| !d.is_closed());
        let doctors: HashMap<DoctorId, Doctor> = doctors.map(|d| (d.id, d)).collect();
        let patient_ids: Vec<PatientId> = creators.keys().map(|p| p.patient).collect();
        let patients = unit.patients().find_all(&patient_ids).await?;
        let patients = patients.into_iter().filter(|p| !p.is_closed());
        let patients: HashMap<PatientId, Patient> = patients.map(|p| (p.id, p)).collect();

        let mut drafts = Vec::with_capacity(creators.len());
        for (pair, call) in creators {
            let doctor = doctors.get(&pair.doctor).ok_or(ConsultationError::DoctorNotFound(pair.doctor));
            let checked = doctor.and_then(|d| machine::admit(d, false, call.kind, &self.context.policy).map(|()| d));
            match (checked, patients.get(&pair.patient)) {
                (Ok(doctor), Some(patient)) => drafts.push(self.draft(*pair, call, doctor, patient)),
                (Ok(_), None) => {
                    outcomes.insert(*pair, Err(|p| ConsultationError::PatientNotFound(p.patient)));
                }
                (Err(refusal), _) => {
                    outcomes.insert(*pair, Err(repeatable(&refusal)));
                }
            }
        }
        let fresh: Vec<Relation> = drafts.iter().map(|draft| draft.relation.clone()).collect();
        let relations = unit.relations().ensure_all(&fresh).await?;
        let told: Vec<Recipient> = doctors.keys().copied().map(Recipient::Doctor).collect();
        let by_wechat = unit.notifications().reachable_by_wechat(&told, None).await?;
        let mut candidates = Vec::with_capacity(drafts.len());
        for (draft, relation) in drafts.iter().zip(relations) {
            match self.candidate(draft, relation, by_wechat.contains(&Recipient::Doctor(draft.pair.doctor))) {
                Ok(candidate) => candidates.push(candidate),
                Err(refusal) => {
                    outcomes.insert(draft.pair, Err(repeatable(&refusal)));
                }
            }
        }
        Ok(candidates)
    }

    fn draft<'a>(&self, pair: Pair, call: &'a Initiate, doctor: &'a Doctor, patient: &Patient) -> Draft<'a> {
        let context = &self.context;
        let id = ConsultationId(context.ids.next());
        let relation = Relation {
            latest_consultation_id: Some(id),
            latest_report_id: patient.latest_report_id,
            ..Relation::new(RelationId(context.ids.next()), pair, context.clock.now())
        };
        Draft { pair, call, doctor, relation, id }
    }

    /// The consultation of a draft in the relation that the pair has now. Decides about telling the doctor, and notes
    /// on the consultation, before it is written, which off-hours reply it begins with.
    fn candidate(
        &self,
        draft: &Draft<'_>,
        relation: Relation,
        by_wechat: bool,
    ) -> Result<Candidate, ConsultationError> {
        let context = &self.context;
        let Draft { pair, call, doctor, id, .. } = draft;
        let new = NewConsultation {
            id: *id,
            pair: *pair,
            relation_id: relation.id,
            dialog_id: ConversationId(context.ids.next()),
            kind: call.kind,
            latest_report_id: draft.relation.latest_report_id,
        };
        let mut start = machine::start(new, doctor, relation.is_blocked, &context.policy, context.clock.now())?;
        let facts = Facts {
            consultation: Some(&start.next),
            doctor: Some(doctor),
            is_blocked: relation.is_blocked,
            state: RecipientState {
                channels: notify::channels_of_doctor(doctor, by_wechat),
                ..RecipientState::default()
            },
        };
        let decision = facts.decide(context, Recipient::Doctor(pair.doctor), Cause::Initiated);
        let mut reply = None;
        if let Decision::Defer { until, reason: Reason::OutsideWindow } = decision {
            start.next.off_hours_reply_until = Some(until);
            reply = Some(decision::off_hours_notice(doctor, context.policy.timezone, until));
        }
        Ok(Candidate { start, relation, actor: call.actor.clone(), decision, reply })
    }

    /// Gathers the rows beside a new consultation: dialog, members, messages, event, audit, notification, job.
    fn trace(&self, candidate: &Candidate, traces: &mut Traces) {
        let context = &self.context;
        let now = context.clock.now();
        let Candidate { start, actor, decision, reply, .. } = candidate;
        let consultation = &start.next;
        if let Some(id) = consultation.dialog_id {
            let mut dialog = dialog_of(consultation, id, now);
            for notice in start.effects.notice.iter().chain(reply) {
                let message = NewMessage::system(MessageId(context.ids.next()), id, notice, now);
                traces.messages.push(dialog.append(&message));
            }
            traces.conversations.push(dialog);
            traces.members.extend(parties_of(consultation, id, now));
        }
        traces.events.extend(start.record(ConsultationEventId(context.ids.next()), actor.label(), now));
        let subject = format!("consultation:{}", consultation.id);
        traces.audits.push(context.audit(actor, "consultation.initiate", subject, json!({})));
        let recipient = Recipient::Doctor(consultation.pair.doctor);
        let (notification, job) = notify::rows(context, recipient, Some(consultation), Cause::Initiated, decision);
        traces.notifications.push(notification);
        traces.jobs.extend(job);
    }
}

/// A session, if there is one, must be that patient, that doctor or an integrator; without one the application's
/// key is enough unless the deployment asks for sessions.
fn authorize(call: &Initiate, policy: &ConsultationPolicy) -> Result<(), AccessError> {
    let allowed = match &call.actor {
        Actor::App => !policy.require_session,
        Actor::Integrator | Actor::System => true,
        actor => actor.is_patient(call.patient) || actor.is_doctor(call.doctor),
    };
    call.actor.require(allowed)
}

fn pair_of(call: &Initiate) -> Pair {
    Pair { doctor: call.doctor, patient: call.patient }
}

/// What a probe settles by itself; `None` when a consultation may have to be created.
fn settled_by(probe: &PairProbe) -> Option<Answer> {
    if !probe.doctor_exists {
        return Some(Err(ConsultationError::DoctorNotFound(probe.pair.doctor)));
    }
    if !probe.patient_exists {
        return Some(Err(ConsultationError::PatientNotFound(probe.pair.patient)));
    }
    if probe.is_blocked {
        return Some(Err(ConsultationError::RelationBlocked));
    }
    probe.open.map(|open| Ok(Initiated::old(open)))
}

fn open_slots(answers: &[Option<Answer>]) -> Vec<usize> {
    answers.iter().enumerate().filter_map(|(i, a)| a.is_none().then_some(i)).collect()
}

fn set(answers: &mut [Option<Answer>], slot: usize, answer: Option<Answer>) {
    if let Some(place) = answers.get_mut(slot) {
        *place = answer;
    }
}

/// Gives the first call of each pair its answer; the pair's other calls found an open one, or the same refusal.
fn hand_out(wanted: &[&Initiate], outcomes: &HashMap<Pair, Outcome>) -> Vec<Answer> {
    let mut seen = HashSet::with_capacity(outcomes.len());
    let answer = |call: &&Initiate| {
        let pair = pair_of(call);
        let is_first = seen.insert(pair);
        match outcomes.get(&pair) {
            Some(Ok(initiated)) => Ok(Initiated { is_old: initiated.is_old || !is_first, ..*initiated }),
            Some(Err(refusal)) => Err(refusal(pair)),
            // A race was lost to a consultation that has ended since: calling again decides anew.
            None => Err(ConsultationError::Conflict),
        }
    };
    wanted.iter().map(answer).collect()
}

/// A refusal that can be given to every call of a pair.
fn repeatable(refusal: &ConsultationError) -> Refusal {
    match refusal {
        ConsultationError::DoctorNotFound(_) => |p| ConsultationError::DoctorNotFound(p.doctor),
        ConsultationError::PatientNotFound(_) => |p| ConsultationError::PatientNotFound(p.patient),
        ConsultationError::RelationBlocked => |_| ConsultationError::RelationBlocked,
        ConsultationError::DoctorNotAuthenticated => |_| ConsultationError::DoctorNotAuthenticated,
        ConsultationError::TypeNotOpen => |_| ConsultationError::TypeNotOpen,
        ConsultationError::DoctorClosed => |_| ConsultationError::DoctorClosed,
        _ => |_| ConsultationError::Conflict,
    }
}
