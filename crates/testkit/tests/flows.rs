//! Use cases of the `consultation` crate from beginning to end, in memory with a stopped clock.
#![expect(clippy::unwrap_used, reason = "a test stops at the first thing that is not as it should be")]

use std::sync::Arc;
use std::time::Duration;

use consultation::consultation::ConsultationFilter;
use consultation::desk_task::DeskTaskState;
use consultation::notification::{Cause, Channel, DeliveryError, Notification, NotificationState, Reason, Recipient};
use consultation::relation::{RelationFilter, RelationPatch};
use consultation::service::{
    Closures, ConsultationFacts, Consultations, Deliveries, DeliveryProgress, DeskTasks, DoctorFacts, Doctors,
    Escalations, Initiate, InitiateConsultations, Initiated, PatientFacts, Registry, Relations, Reports, Sweeps,
};
use consultation::{ConsultationError, ConsultationStore, ConsultationType, EndReason, Status};
use domain::actor::UserActor;
use domain::certification::Certification;
use domain::closure::ClosedAccount;
use domain::doctor::DoctorPatch;
use domain::id::{AgentId, NotificationId, ReportId, SessionId, UserId};
use domain::page::PageRequest;
use domain::patient::PatientPatch;
use domain::time::span;
use domain::{Actor, Clock, Patch};
use im::Message;
use testkit::build::{doctor, doctor_id, patient, patient_id};
use testkit::{MemoryNotifier, Stage};

/// A stage with one certified doctor, open 08:00 to 22:00 and reachable by WeChat and SMS, and one patient.
async fn stage() -> Stage {
    let stage = Stage::default();
    let mut unit = stage.store.begin().await.unwrap();
    let doctor = doctor(1).certified().hours("08:00", "22:00").done();
    let doctor = domain::doctor::Doctor { phone: Some("13800000001".parse().unwrap()), ..doctor };
    let patient = patient(1).done();
    let patient = domain::patient::Patient { phone: Some("13900000001".parse().unwrap()), ..patient };
    unit.doctors().insert(&doctor).await.unwrap();
    unit.patients().insert(&patient).await.unwrap();
    unit.commit().await.unwrap();
    stage
}

fn user(patient: bool, doctor: bool) -> Actor {
    Actor::User(UserActor {
        user: UserId(testkit::ids::object_id(901)),
        session: SessionId(testkit::ids::object_id(902)),
        patient: patient.then(|| patient_id(1)),
        doctor: doctor.then(|| doctor_id(1)),
    })
}

fn the_doctor() -> Actor {
    user(false, true)
}

fn the_patient() -> Actor {
    user(true, false)
}

async fn initiate(stage: &Stage, actor: Actor) -> Result<Initiated, ConsultationError> {
    let call = Initiate { actor, doctor: doctor_id(1), patient: patient_id(1), kind: ConsultationType::Normal };
    InitiateConsultations::new(stage.context()).run(vec![call]).await.pop().unwrap()
}

fn notifications(stage: &Stage, cause: Cause) -> Vec<Notification> {
    let rows = stage.store.committed();
    rows.notifications.values().filter(|n| n.cause == cause).cloned().collect()
}

fn the_one(stage: &Stage, cause: Cause) -> Notification {
    let found = notifications(stage, cause);
    assert_eq!(found.len(), 1, "{found:?}");
    found.into_iter().next().unwrap()
}

fn deliveries(stage: &Stage) -> (Deliveries, Arc<MemoryNotifier>) {
    let notifier = Arc::new(MemoryNotifier::default());
    (Deliveries::new(stage.context(), notifier.clone()), notifier)
}

async fn deliver(deliveries: &Deliveries, id: NotificationId) -> DeliveryProgress {
    deliveries.run(&[id]).await.unwrap().remove(0).unwrap()
}

#[tokio::test]
async fn inside_the_hours_the_doctor_is_told_once() {
    let stage = stage().await;
    initiate(&stage, the_patient()).await.unwrap();
    initiate(&stage, the_patient()).await.unwrap();
    let queued = the_one(&stage, Cause::Initiated);
    let (deliveries, notifier) = deliveries(&stage);
    assert_eq!(deliver(&deliveries, queued.id).await, DeliveryProgress::Settled);
    assert_eq!(deliver(&deliveries, queued.id).await, DeliveryProgress::Settled);
    assert_eq!(notifier.delivered().len(), 1);
    let sent = the_one(&stage, Cause::Initiated);
    assert_eq!(
        (sent.state, sent.reason, sent.channel),
        (NotificationState::Sent, Reason::InsideWindow, Some(Channel::Wechat))
    );
}

#[tokio::test]
async fn outside_the_hours_telling_waits_for_the_opening_and_the_patient_hears_when() {
    let stage = stage().await;
    stage.clock.advance(span::hours(13));
    let started = initiate(&stage, the_patient()).await.unwrap();
    let deferred = the_one(&stage, Cause::Initiated);
    assert_eq!((deferred.state, deferred.reason), (NotificationState::Queued, Reason::OutsideWindow));
    let opening = stage.clock.now() + span::hours(9);
    assert_eq!(deferred.due_at, opening);
    let is_of = |m: &&Message| {
        stage.store.committed().conversations[&m.conversation_id].consultation_id == Some(started.consultation_id)
    };
    let rows = stage.store.committed();
    let events: Vec<_> = rows.messages.values().filter(is_of).map(|m| m.content.to_value()["event"].clone()).collect();
    assert_eq!(events.len(), 2, "{events:?}");
    let (deliveries, notifier) = deliveries(&stage);
    assert_eq!(deliver(&deliveries, deferred.id).await, DeliveryProgress::Deferred(opening));
    stage.clock.advance(span::hours(9));
    assert_eq!(deliver(&deliveries, deferred.id).await, DeliveryProgress::Settled);
    assert_eq!(notifier.delivered().len(), 1);
}

#[tokio::test]
async fn of_two_that_wait_for_the_same_opening_one_is_told() {
    let stage = stage().await;
    stage.clock.advance(span::hours(13));
    initiate(&stage, the_patient()).await.unwrap();
    let first = the_one(&stage, Cause::Initiated);
    stage.clock.advance(span::hours(1));
    let second = Notification {
        id: NotificationId(testkit::ids::object_id(905)),
        cause: Cause::PatientMessage,
        created_at: stage.clock.now(),
        updated_at: stage.clock.now(),
        ..first.clone()
    };
    let mut unit = stage.store.begin().await.unwrap();
    unit.notifications().insert_all(std::slice::from_ref(&second)).await.unwrap();
    unit.commit().await.unwrap();
    stage.clock.advance(span::hours(8));
    let (deliveries, notifier) = deliveries(&stage);
    let unknown = NotificationId(testkit::ids::object_id(906));
    let progress = deliveries.run(&[second.id, unknown, first.id]).await.unwrap();
    assert!(progress.iter().all(|p| matches!(p, Ok(DeliveryProgress::Settled))), "{progress:?}");
    assert_eq!(notifier.delivered().len(), 1);
    let states =
        [Cause::Initiated, Cause::PatientMessage].map(|cause| the_one(&stage, cause)).map(|n| (n.state, n.reason));
    let coalesced = (NotificationState::Suppressed, Reason::Coalesced);
    assert!(states.contains(&coalesced) && states.iter().any(|s| s.0 == NotificationState::Sent), "{states:?}");
}

#[tokio::test]
async fn a_refused_channel_leads_to_the_next_and_the_last_refusal_fails() {
    let stage = stage().await;
    initiate(&stage, the_patient()).await.unwrap();
    let queued = the_one(&stage, Cause::Initiated);
    let (deliveries, notifier) = deliveries(&stage);
    notifier.fail(Channel::Wechat, DeliveryError::Refused);
    notifier.fail(Channel::Sms, DeliveryError::Unavailable);
    assert_eq!(deliver(&deliveries, queued.id).await, DeliveryProgress::Unavailable);
    notifier.fail(Channel::Sms, DeliveryError::Refused);
    assert_eq!(deliver(&deliveries, queued.id).await, DeliveryProgress::Settled);
    let failed = the_one(&stage, Cause::Initiated);
    assert_eq!((failed.state, failed.reason), (NotificationState::Failed, Reason::NoChannel));
    assert!(notifier.delivered().is_empty());
}

#[tokio::test]
async fn an_end_cancels_what_is_queued() {
    let stage = stage().await;
    stage.clock.advance(span::hours(13));
    let started = initiate(&stage, the_patient()).await.unwrap();
    let consultations = Consultations::new(stage.context());
    consultations.end(&the_patient(), started.consultation_id, None).await.unwrap();
    let cancelled = the_one(&stage, Cause::Initiated);
    assert_eq!((cancelled.state, cancelled.reason), (NotificationState::Cancelled, Reason::ConsultationClosed));
    let (deliveries, notifier) = deliveries(&stage);
    assert_eq!(deliver(&deliveries, cancelled.id).await, DeliveryProgress::Settled);
    assert!(notifier.delivered().is_empty());
}

#[tokio::test]
async fn a_doctor_who_declines_gives_a_reason_and_ending_twice_changes_nothing() {
    let stage = stage().await;
    let id = initiate(&stage, Actor::App).await.unwrap().consultation_id;
    let consultations = Consultations::new(stage.context());
    let refused = consultations.end(&the_doctor(), id, Some("  ".into())).await;
    assert!(matches!(refused, Err(ConsultationError::Invalid(faults)) if faults[0].field == "reason"));
    let ended = consultations.end(&the_doctor(), id, Some("请先就近就诊".into())).await.unwrap();
    assert_eq!((ended.status, ended.end_reason), (Status::Ended, Some(EndReason::Declined)));
    let again = consultations.end(&the_patient(), id, None).await.unwrap();
    assert_eq!(again, ended);
    let fresh = initiate(&stage, Actor::App).await.unwrap();
    assert!(!fresh.is_old && fresh.consultation_id != id);
}

#[tokio::test]
async fn a_block_ends_the_consultation_and_refuses_new_ones_until_it_is_lifted() {
    let stage = stage().await;
    let id = initiate(&stage, Actor::App).await.unwrap().consultation_id;
    let relation = stage.store.committed().relations.keys().next().copied().unwrap();
    let relations = Relations::new(stage.context());
    let block = |block| RelationPatch { block: Some(block), ..RelationPatch::default() };
    relations.update(&the_doctor(), relation, block(true)).await.unwrap();
    let ended = Consultations::new(stage.context()).get(&the_patient(), id).await.unwrap();
    assert_eq!((ended.end_reason, ended.is_invalid), (Some(EndReason::Blocked), true));
    assert!(matches!(initiate(&stage, Actor::App).await, Err(ConsultationError::RelationBlocked)));
    relations.update(&the_doctor(), relation, block(false)).await.unwrap();
    assert!(!initiate(&stage, Actor::App).await.unwrap().is_old);
}

#[tokio::test]
async fn silence_is_warned_of_and_then_expires_once() {
    let stage = stage().await;
    let id = initiate(&stage, Actor::App).await.unwrap().consultation_id;
    let sweeps = Sweeps::new(stage.context());
    assert_eq!(sweeps.run().await.unwrap(), 0);
    stage.clock.advance(span::hours(46) + Duration::from_millis(1));
    assert_eq!(sweeps.run().await.unwrap(), 1);
    assert_eq!(sweeps.run().await.unwrap(), 0);
    assert_eq!(notifications(&stage, Cause::AboutToExpire).len(), 2);
    // The deadline itself and the grace after it.
    stage.clock.advance(span::hours(2) + span::minutes(10));
    assert_eq!(sweeps.run().await.unwrap(), 1);
    assert_eq!(sweeps.run().await.unwrap(), 0);
    let expired = Consultations::new(stage.context()).get(&the_patient(), id).await.unwrap();
    assert_eq!((expired.end_reason, expired.is_invalid), (Some(EndReason::ExpiredNoReply), true));
}

#[tokio::test]
async fn strangers_start_and_see_nothing() {
    let stage = stage().await;
    let stranger = Actor::User(UserActor {
        user: UserId(testkit::ids::object_id(903)),
        session: SessionId(testkit::ids::object_id(904)),
        patient: Some(patient_id(2)),
        doctor: Some(doctor_id(2)),
    });
    assert!(matches!(initiate(&stage, stranger.clone()).await, Err(ConsultationError::Access(_))));
    let id = initiate(&stage, Actor::App).await.unwrap().consultation_id;
    let consultations = Consultations::new(stage.context());
    assert!(matches!(consultations.get(&stranger, id).await, Err(ConsultationError::NotFound(_))));
    assert!(matches!(consultations.end(&stranger, id, None).await, Err(ConsultationError::NotFound(_))));
    let of_other = ConsultationFilter { patient: Some(patient_id(1)), ..ConsultationFilter::default() };
    assert!(consultations.list(&stranger, of_other, PageRequest::first()).await.is_err());
}

/// Takes all queued notifications to their end.
async fn deliver_all(stage: &Stage, notifier: &Arc<MemoryNotifier>) {
    let deliveries = Deliveries::new(stage.context(), notifier.clone());
    for queued in stage.store.committed().notifications.values().filter(|n| n.state == NotificationState::Queued) {
        for progress in deliveries.run(&[queued.id]).await.unwrap() {
            progress.unwrap();
        }
    }
}

#[tokio::test]
async fn a_doctor_who_does_not_answer_is_reminded_by_text_message_once() {
    let stage = stage().await;
    let notifier = Arc::new(MemoryNotifier::default());
    let escalations = Escalations::new(stage.context());
    initiate(&stage, the_patient()).await.unwrap();
    deliver_all(&stage, &notifier).await;
    stage.clock.advance(span::minutes(30).saturating_sub(Duration::from_millis(1)));
    assert_eq!(escalations.run().await.unwrap(), 0, "not yet");
    stage.clock.advance(Duration::from_millis(1));
    assert_eq!(escalations.run().await.unwrap(), 1);
    deliver_all(&stage, &notifier).await;
    stage.clock.advance(span::hours(1));
    assert_eq!(escalations.run().await.unwrap(), 0, "once");
    let reminders = notifications(&stage, Cause::Escalation);
    assert_eq!((reminders.len(), reminders[0].state), (1, NotificationState::Sent));
    assert_eq!(reminders[0].channel, Some(Channel::Sms));
    // Half an hour after the reminder the desk is asked, once.
    let tasks = DeskTasks::new(stage.context());
    let agent = Actor::Agent(AgentId(testkit::ids::object_id(905)));
    let open = async || tasks.list(&agent, DeskTaskState::Open, PageRequest::first()).await.unwrap().items;
    let asked = open().await;
    assert_eq!(asked.len(), 1);
    let (doctor, patient) = (asked[0].doctor.as_ref().unwrap(), asked[0].patient.as_ref().unwrap());
    assert_eq!((doctor.id, patient.id), (doctor_id(1), patient_id(1)), "whom to call, and about whom");
    escalations.run().await.unwrap();
    assert_eq!(open().await.len(), 1);
    assert!(tasks.list(&the_doctor(), DeskTaskState::Open, PageRequest::first()).await.is_err());
    let id = asked[0].task.id;
    assert!(matches!(tasks.close(&agent, id, " ").await, Err(ConsultationError::Invalid(_))));
    assert_eq!(tasks.close(&agent, id, "已电话联系").await.unwrap().closed_by, Some(agent.label()));
    assert!(matches!(tasks.close(&agent, id, "再次").await, Err(ConsultationError::TaskClosed)));
    assert!(stage.store.committed().audit.values().any(|act| act.action == "desk_task.close"));
    escalations.run().await.unwrap();
    assert!(open().await.is_empty(), "not asked again for the same waiting");
}

/// Hides the profile of the patient or of the doctor and tells so, as closing an account does.
async fn leave(stage: &Stage, patient: bool) -> ClosedAccount {
    let mut unit = stage.store.begin().await.unwrap();
    let now = stage.clock.now();
    if patient {
        let mut gone = unit.patients().find(patient_id(1)).await.unwrap().unwrap();
        gone.close(now);
        unit.patients().update(&gone).await.unwrap();
    } else {
        let mut gone = unit.doctors().find(doctor_id(1)).await.unwrap().unwrap();
        gone.close(now);
        unit.doctors().update(&gone).await.unwrap();
    }
    unit.commit().await.unwrap();
    ClosedAccount { user: None, patient: patient.then(|| patient_id(1)), doctor: (!patient).then(|| doctor_id(1)) }
}

#[tokio::test]
async fn a_patient_who_has_left_is_hidden_and_their_consultation_ends_once() {
    let stage = stage().await;
    let id = initiate(&stage, the_patient()).await.unwrap().consultation_id;
    let relation = stage.store.committed().relations.keys().next().copied().unwrap();
    let closed = leave(&stage, true).await;
    let closures = Closures::new(stage.context());
    assert!(closures.end_open(&the_patient(), closed).await.is_err(), "only the system does");
    assert_eq!(closures.end_open(&Actor::System, closed).await.unwrap(), 1);
    assert_eq!(closures.end_open(&Actor::System, closed).await.unwrap(), 0);
    let ended = Consultations::new(stage.context()).get(&the_doctor(), id).await.unwrap();
    assert_eq!((ended.end_reason, ended.is_invalid), (Some(EndReason::AccountClosed), false), "the record is kept");
    assert_eq!(the_one(&stage, Cause::Ended).recipient, Recipient::Doctor(doctor_id(1)), "who has left is not told");
    let again = initiate(&stage, Actor::App).await;
    assert!(matches!(again, Err(ConsultationError::PatientNotFound(found)) if found == patient_id(1)), "{again:?}");
    let relations = Relations::new(stage.context());
    let (filter, page) = (RelationFilter::default(), PageRequest::first());
    let listed = relations.list_of_doctor(&the_doctor(), doctor_id(1), filter, page).await.unwrap();
    assert!(listed.items.is_empty());
    let found = relations.get(&the_doctor(), relation).await;
    assert!(matches!(found, Err(ConsultationError::RelationNotFound(_))));
    let admin = Actor::Admin(AgentId(testkit::ids::object_id(905)));
    assert!(relations.get(&admin, relation).await.is_ok());
    let patched = relations.update(&the_doctor(), relation, RelationPatch::default()).await;
    assert!(matches!(patched, Err(ConsultationError::RelationNotFound(_))));
    let report = ReportId(testkit::ids::object_id(907));
    let reported = Reports::new(stage.context()).set_latest(&Actor::Integrator, patient_id(1), report).await;
    assert!(matches!(reported, Err(ConsultationError::PatientNotFound(_))));
}

#[tokio::test]
async fn a_doctor_who_has_left_has_no_card_and_takes_nobody() {
    let stage = stage().await;
    let id = initiate(&stage, the_patient()).await.unwrap().consultation_id;
    let closed = leave(&stage, false).await;
    assert_eq!(Closures::new(stage.context()).end_open(&Actor::System, closed).await.unwrap(), 1);
    let ended = Consultations::new(stage.context()).get(&the_patient(), id).await.unwrap();
    assert_eq!((ended.end_reason, ended.is_invalid), (Some(EndReason::AccountClosed), true), "it did not count");
    assert_eq!(the_one(&stage, Cause::Ended).recipient, Recipient::Patient(patient_id(1)));
    let again = initiate(&stage, the_patient()).await;
    assert!(matches!(again, Err(ConsultationError::DoctorNotFound(found)) if found == doctor_id(1)), "{again:?}");
    let doctors = Doctors::new(stage.context());
    for actor in [Actor::App, the_patient(), Actor::Integrator] {
        assert!(matches!(doctors.card(&actor, doctor_id(1)).await, Err(ConsultationError::DoctorNotFound(_))));
    }
    assert!(doctors.get(&Actor::Integrator, doctor_id(1)).await.unwrap().is_closed(), "the record is kept");
    let relations = Relations::new(stage.context());
    let listed = relations.list_of_patient(&the_patient(), patient_id(1), PageRequest::first()).await.unwrap();
    assert!(listed.items.is_empty());
}

#[tokio::test]
async fn the_consultation_of_a_patient_who_has_left_is_not_reopened() {
    let stage = stage().await;
    let id = initiate(&stage, the_patient()).await.unwrap().consultation_id;
    let mut unit = stage.store.begin().await.unwrap();
    let current = unit.consultations().find(id).await.unwrap().unwrap();
    let reply = consultation::machine::Event::DoctorMessage { is_certified: true };
    let replied = consultation::machine::apply(&current, &reply, &stage.policy, stage.clock.now()).unwrap().next;
    unit.consultations().update(&replied).await.unwrap();
    unit.commit().await.unwrap();
    let consultations = Consultations::new(stage.context());
    consultations.end(&the_doctor(), id, None).await.unwrap();
    leave(&stage, true).await;
    let refused = consultations.reopen(&the_doctor(), id).await;
    assert!(matches!(refused, Err(ConsultationError::PatientNotFound(_))), "{refused:?}");
}

#[tokio::test]
async fn a_look_at_somebody_elses_patients_leaves_a_trace() {
    let stage = stage().await;
    initiate(&stage, the_patient()).await.unwrap();
    let relations = Relations::new(stage.context());
    let look = async |actor: &Actor| {
        let page = PageRequest::first();
        relations.list_of_doctor(actor, doctor_id(1), RelationFilter::default(), page).await.unwrap().items.len()
    };
    let traces = || {
        let rows = stage.store.committed();
        let acts = rows.audit.values().filter(|act| act.action == "patient.list");
        acts.map(|act| act.subject.clone()).collect::<Vec<_>>()
    };
    assert_eq!((look(&the_doctor()).await, traces()), (1, vec![]));
    let admin = Actor::Admin(AgentId(testkit::ids::object_id(905)));
    assert_eq!((look(&admin).await, traces()), (1, vec![format!("doctor:{}", doctor_id(1))]));
}

#[tokio::test]
async fn what_a_server_writes_has_the_consequences_of_what_people_do() {
    let stage = stage().await;
    let registry = Registry::new(stage.context());
    let server = Actor::Integrator;
    let id = initiate(&stage, the_patient()).await.unwrap().consultation_id;
    let consultation = async || Consultations::new(stage.context()).get(&the_patient(), id).await.unwrap();

    // A report is told to the open consultation and to the relation.
    let report = ReportId(testkit::ids::object_id(907));
    let facts = PatientFacts { latest_report: Patch::Set(report), ..PatientFacts::default() };
    registry.write_patient(&server, Some(patient_id(1)), PatientPatch::default(), facts).await.unwrap();
    assert_eq!(consultation().await.latest_report_id, Some(report));
    assert!(stage.store.committed().relations.values().all(|relation| relation.latest_report_id == Some(report)));

    // A status is reached by the transition that leads there.
    let to = |status| ConsultationFacts { status: Some(status), ..ConsultationFacts::default() };
    let replying = registry.write_consultation(&server, id, to(Status::Replying)).await.unwrap();
    assert!(replying.first_reply_at.is_some());
    let back = registry.write_consultation(&server, id, to(Status::New)).await;
    assert!(matches!(back, Err(ConsultationError::WrongStatus { .. })), "{back:?}");
    let ended = registry.write_consultation(&server, id, to(Status::Ended)).await.unwrap();
    assert_eq!((ended.end_reason, ended.is_invalid), (Some(EndReason::Completed), false));
    let void = ConsultationFacts { is_invalid: Some(true), ..ConsultationFacts::default() };
    assert!(registry.write_consultation(&server, id, void).await.unwrap().is_invalid);
    let valid = ConsultationFacts { is_invalid: Some(false), ..ConsultationFacts::default() };
    assert!(matches!(registry.write_consultation(&server, id, valid).await, Err(ConsultationError::Invalid(_))));

    // Who is no longer certified has no unanswered consultation.
    let unanswered = initiate(&stage, the_patient()).await.unwrap().consultation_id;
    let facts = DoctorFacts { certification: Some(Certification::None), ..DoctorFacts::default() };
    registry.write_doctor(&server, Some(doctor_id(1)), DoctorPatch::default(), facts.clone()).await.unwrap();
    let closed = Consultations::new(stage.context()).get(&the_patient(), unanswered).await.unwrap();
    assert_eq!(closed.end_reason, Some(EndReason::DoctorUnavailable));
    assert_eq!(notifications(&stage, Cause::CertificationRevoked).len(), 1);

    let rows = stage.store.committed();
    for act in ["patient.write", "consultation.write", "doctor.write", "certification.write"] {
        assert!(rows.audit.values().any(|event| event.action == act && event.actor == "integrator"), "{act}");
    }
    for actor in
        [the_patient(), the_doctor(), Actor::App, Actor::Nobody, Actor::Admin(AgentId(testkit::ids::object_id(905)))]
    {
        let tried = registry.write_doctor(&actor, Some(doctor_id(1)), DoctorPatch::default(), facts.clone()).await;
        assert!(matches!(tried, Err(ConsultationError::Access(_))), "{actor:?}");
    }
}

#[tokio::test]
async fn whoever_is_connected_as_somebody_who_has_left_is_told_to_go() {
    let stage = stage().await;
    let closed = leave(&stage, true).await;
    Closures::new(stage.context()).end_open(&Actor::System, closed).await.unwrap();
    let told: Vec<_> =
        stage.store.committed().log_events.values().filter_map(|event| event.client_id.clone()).collect();
    assert_eq!(told, [patient_id(1).to_string()]);
}
