//! Every cell of the state-machine table by its row, what goes with each transition, and properties of any
//! sequence of events.

use domain::certification::Certification;
use domain::id::{DoctorId, PatientId};
use domain::money::Fen;
use domain::time::span;
use domain::{Coded, ErrorKind, ObjectId};
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::consultation::ConsultationType::{Normal, Phone};

const BEGIN: Timestamp = Timestamp::from_millis(1_795_000_000_000);

fn id<T: From<ObjectId>>(n: u32) -> T {
    ObjectId::from_parts(1, [0; 5], n).into()
}

fn policy() -> ConsultationPolicy {
    ConsultationPolicy::default()
}

fn doctor() -> Doctor {
    let mut doctor = Doctor::new(id(1), BEGIN);
    doctor.certification = Certification::Certified;
    doctor.start_consultation = Some(true);
    doctor
}

fn new() -> NewConsultation {
    NewConsultation {
        id: id(10),
        pair: Pair { doctor: id::<DoctorId>(1), patient: id::<PatientId>(2) },
        relation_id: id(3),
        dialog_id: id(4),
        kind: Normal,
        latest_report_id: None,
    }
}

fn started() -> Consultation {
    start(new(), &doctor(), false, &policy(), BEGIN).unwrap().next
}

/// Doctor replied an hour after the start.
fn replying() -> Consultation {
    step(&started(), &REPLY, BEGIN + span::hours(1)).next
}

/// Completed by the doctor two hours after the start.
fn ended() -> Consultation {
    step(&replying(), &Event::EndByDoctor { reason: None }, BEGIN + span::hours(2)).next
}

fn ended_for(reason: EndReason) -> Consultation {
    Consultation { end_reason: Some(reason), ..ended() }
}

const REPLY: Event = Event::DoctorMessage { is_certified: true };
const ALL_FINE: ReopenFacts = ReopenFacts { is_certified: true, is_blocked: false, has_newer_open: false };

fn step(current: &Consultation, event: &Event, now: Timestamp) -> Transition {
    apply(current, event, &policy(), now).unwrap()
}

fn end_by_doctor(reason: &str) -> Event {
    Event::EndByDoctor { reason: Some(reason.to_owned()) }
}

fn void() -> Event {
    Event::Void { reason: "重复".to_owned() }
}

/// Shows an outcome as the table writes it: `append; 1`, `2 completed`, `2 invalid voided`, `no-op`, or the code of
/// the refusal.
fn shown(outcome: Result<Transition, ConsultationError>) -> String {
    let transition = match outcome {
        Ok(transition) => transition,
        Err(error) => return error.code().to_owned(),
    };
    let next = &transition.next;
    let state = [
        Some(next.status.as_str()).filter(|_| transition.changed),
        next.is_invalid.then_some("invalid").filter(|_| transition.changed),
        next.end_reason.map(EndReason::as_str).filter(|_| transition.changed),
    ];
    let state = state.into_iter().flatten().collect::<Vec<_>>().join(" ");
    match (transition.effects.message, state.as_str()) {
        (None, "") => "no-op".to_owned(),
        (None, state) => state.to_owned(),
        (Some(MessageFate::Append), "") => "append".to_owned(),
        (Some(MessageFate::Append), state) => format!("append; {state}"),
        (Some(MessageFate::Refuse), state) => format!("refuse; {state}"),
    }
}

/// Rows 2 to 15 under the default policy, long after every deadline.
#[rstest]
#[case::row_2_patient_message(Event::PatientMessage, "append; 0", "append; 1", "CONSULTATION_ENDED")]
#[case::row_3_doctor_message(REPLY, "append; 1", "append; 1", "CONSULTATION_ENDED")]
#[case::row_3_not_certified(
    Event::DoctorMessage { is_certified: false },
    "DOCTOR_NOT_AUTHENTICATED", "DOCTOR_NOT_AUTHENTICATED", "CONSULTATION_ENDED"
)]
#[case::row_4_system_message(Event::SystemMessage, "append", "append", "append")]
#[case::row_4_automatic_message(Event::AutomaticMessage, "append", "append", "CONSULTATION_ENDED")]
#[case::row_5_doctor_ends(end_by_doctor("转诊"), "2 declined", "2 completed", "no-op")]
#[case::row_5_without_reason(Event::EndByDoctor { reason: None }, "request.invalid", "2 completed", "no-op")]
#[case::row_6_patient_ends(Event::EndByPatient, "2 cancelled", "2 completed_by_patient", "no-op")]
#[case::row_7_no_reply(Event::ExpireNoReply, "2 invalid expired_no_reply", "no-op", "no-op")]
#[case::row_8_idle(Event::IdleTimeout, "no-op", "2 idle_timeout", "no-op")]
#[case::row_9_off_by_default(Event::MaxDuration, "no-op", "no-op", "no-op")]
#[case::row_10_reopen_too_late(
    Event::Reopen(ALL_FINE),
    "consultation.wrong_status",
    "consultation.wrong_status",
    "consultation.wrong_status"
)]
#[case::row_11_blocked(Event::Block, "2 invalid blocked", "2 blocked", "no-op")]
#[case::row_12_certification_lost(Event::LoseCertification, "2 invalid doctor_unavailable", "no-op", "no-op")]
#[case::row_13_voided(void(), "2 invalid voided", "2 invalid voided", "2 invalid completed")]
#[case::patient_gone(Event::CloseAccount(Side::Patient), "2 account_closed", "2 account_closed", "no-op")]
#[case::doctor_gone(Event::CloseAccount(Side::Doctor), "2 invalid account_closed", "2 account_closed", "no-op")]
#[case::row_14_unblocked(Event::Unblock, "no-op", "no-op", "no-op")]
#[case::row_15_consulting_off(Event::TurnConsultingOff, "no-op", "no-op", "no-op")]
#[case::warning_after_the_deadline(Event::WarnOfDeadline, "no-op", "no-op", "no-op")]
fn the_table(#[case] event: Event, #[case] on_new: &str, #[case] on_replying: &str, #[case] on_ended: &str) {
    let later = BEGIN + span::days(30);
    let outcome = |current: &Consultation| shown(apply(current, &event, &policy(), later));
    assert_eq!(
        (outcome(&started()).as_str(), outcome(&replying()).as_str(), outcome(&ended()).as_str()),
        (on_new, on_replying, on_ended)
    );
}

/// Row 9 with limits: a day, or two messages.
#[rstest]
#[case::duration(Event::MaxDuration, "2 invalid expired_no_reply", "2 max_duration", "no-op")]
#[case::count(Event::PatientMessage, "refuse; 2 invalid expired_no_reply", "MESSAGE_LIMIT", "CONSULTATION_ENDED")]
fn the_table_row_9_with_limits(
    #[case] event: Event,
    #[case] on_new: &str,
    #[case] on_replying: &str,
    #[case] on_ended: &str,
) {
    let policy = ConsultationPolicy { max_duration: Some(span::days(1)), max_patient_messages: Some(2), ..policy() };
    let outcome = |current: Consultation| {
        let current = Consultation { patient_message_count: 2, ..current };
        shown(apply(&current, &event, &policy, BEGIN + span::days(30)))
    };
    assert_eq!(
        (outcome(started()).as_str(), outcome(replying()).as_str(), outcome(ended()).as_str()),
        (on_new, on_replying, on_ended)
    );
}

/// Row 10 in status "2", an hour after the end.
#[rstest]
#[case(EndReason::Completed, "1")]
#[case(EndReason::CompletedByPatient, "1")]
#[case(EndReason::IdleTimeout, "1")]
#[case(EndReason::Declined, "consultation.wrong_status")]
#[case(EndReason::Cancelled, "consultation.wrong_status")]
#[case(EndReason::ExpiredNoReply, "consultation.wrong_status")]
#[case(EndReason::MaxDuration, "consultation.wrong_status")]
#[case(EndReason::Blocked, "consultation.wrong_status")]
#[case(EndReason::DoctorUnavailable, "consultation.wrong_status")]
#[case(EndReason::Voided, "consultation.wrong_status")]
#[case(EndReason::AccountClosed, "consultation.wrong_status")]
#[case(EndReason::Superseded, "consultation.wrong_status")]
#[case(EndReason::Imported, "consultation.wrong_status")]
fn the_table_row_10_by_reason(#[case] reason: EndReason, #[case] expected: &str) {
    let reopened = apply(&ended_for(reason), &Event::Reopen(ALL_FINE), &policy(), BEGIN + span::hours(3));
    assert_eq!(shown(reopened), expected);
}

#[rstest]
#[case::blocked(ReopenFacts { is_blocked: true, ..ALL_FINE }, "RELATION_BLOCKED")]
#[case::not_certified(ReopenFacts { is_certified: false, ..ALL_FINE }, "DOCTOR_NOT_AUTHENTICATED")]
#[case::a_newer_one_is_open(ReopenFacts { has_newer_open: true, ..ALL_FINE }, "consultation.wrong_status")]
fn the_table_row_10_by_fact(#[case] facts: ReopenFacts, #[case] expected: &str) {
    assert_eq!(shown(apply(&ended(), &Event::Reopen(facts), &policy(), BEGIN + span::hours(3))), expected);
}

#[test]
fn the_table_row_10_within_a_day_of_the_end() {
    let last_moment = ended().ended_at.unwrap() + span::hours(24);
    let reopened = |now| shown(apply(&ended(), &Event::Reopen(ALL_FINE), &policy(), now));
    assert_eq!(reopened(last_moment), "1");
    assert_eq!(reopened(Timestamp::from_millis(last_moment.as_millis() + 1)), "consultation.wrong_status");
}

#[test]
fn the_table_row_10_not_when_invalid() {
    let voided = step(&ended(), &void(), BEGIN + span::hours(3)).next;
    let reopened = apply(&voided, &Event::Reopen(ALL_FINE), &policy(), BEGIN + span::hours(4));
    assert_eq!(shown(reopened), "consultation.wrong_status");
}

/// Row 1: the open ones are answered as they are, for the others a new one begins.
#[test]
fn the_table_row_1() {
    assert!(started().is_open());
    assert!(replying().is_open());
    assert!(!ended().is_open());
    let transition = start(new(), &doctor(), false, &policy(), BEGIN).unwrap();
    assert_eq!((transition.next.status, transition.from_status, transition.changed), (Status::New, None, true));
    assert_eq!(transition.next.no_reply_deadline, Some(BEGIN + span::hours(48)));
    assert_eq!((transition.next.started_at, transition.next.version), (BEGIN, 1));
    assert_eq!(transition.step, Some(Step::Initiated));
    assert_eq!(transition.effects.notify, [(Side::Doctor, Cause::Initiated)]);
    assert_eq!(transition.effects.notice.unwrap().event, "consultation.started");
}

#[test]
fn the_price_of_the_type_is_kept() {
    let priced = Doctor {
        normal_price: Some(Fen::from_stored(2_990)),
        phone_price: Some(Fen::from_stored(9_900)),
        is_phone_open: Some(true),
        ..doctor()
    };
    let price = |kind| start(NewConsultation { kind, ..new() }, &priced, false, &policy(), BEGIN).unwrap().next.price;
    assert_eq!(price(Normal), Some(Fen::from_stored(2_990)));
    assert_eq!(price(Phone), Some(Fen::from_stored(9_900)));
}

#[rstest]
#[case(Normal, None, None, true)]
#[case(Normal, Some(true), None, true)]
#[case(Normal, Some(false), Some(true), false)]
#[case(Phone, None, None, false)]
#[case(Phone, None, Some(true), true)]
#[case(Phone, Some(true), Some(false), false)]
fn types_are_offered_by_switch_and_default(
    #[case] kind: ConsultationType,
    #[case] is_normal_open: Option<bool>,
    #[case] is_phone_open: Option<bool>,
    #[case] offered: bool,
) {
    let doctor = Doctor { is_normal_open, is_phone_open, ..doctor() };
    let expected = if offered { "ok" } else { "TYPE_NOT_OPEN" };
    assert_eq!(admit(&doctor, false, kind, &policy()).map_or_else(|e| e.code(), |()| "ok"), expected);
}

/// Each refusal with all later ones holding too: the first in order is answered.
#[test]
fn admission_refuses_in_order() {
    let refusing = ConsultationPolicy { when_doctor_closed: WhenDoctorClosed::Refuse, ..policy() };
    let mut doctor = Doctor {
        certification: Certification::UnderReview,
        is_normal_open: Some(false),
        start_consultation: None,
        ..doctor()
    };
    let code = |doctor: &Doctor, is_blocked| admit(doctor, is_blocked, Normal, &refusing).map_err(|e| e.code());
    assert_eq!(code(&doctor, true), Err("RELATION_BLOCKED"));
    assert_eq!(code(&doctor, false), Err("DOCTOR_NOT_AUTHENTICATED"));
    doctor.certification = Certification::Certified;
    assert_eq!(code(&doctor, false), Err("TYPE_NOT_OPEN"));
    doctor.is_normal_open = None;
    assert_eq!(code(&doctor, false), Err("DOCTOR_CLOSED"));
    assert_eq!(admit(&doctor, false, Normal, &policy()).map_err(|e| e.code()), Ok(()), "allowed by default");
    doctor.start_consultation = Some(true);
    assert_eq!(code(&doctor, false), Ok(()));
}

#[rstest]
#[case(Certification::None)]
#[case(Certification::UnderReview)]
#[case(Certification::Rejected)]
fn only_certified_doctors_receive_new_consultations(#[case] certification: Certification) {
    let doctor = Doctor { certification, ..doctor() };
    let refused = start(new(), &doctor, false, &policy(), BEGIN).unwrap_err();
    assert_eq!(refused.code(), "DOCTOR_NOT_AUTHENTICATED");
}

#[test]
fn the_first_reply_starts_the_idle_time() {
    let at = BEGIN + span::hours(1);
    let next = step(&started(), &REPLY, at).next;
    assert_eq!((next.first_reply_at, next.last_message_at), (Some(at), Some(at)));
    assert_eq!((next.no_reply_deadline, next.idle_deadline), (None, Some(at + span::hours(48))));
    assert_eq!(step(&next, &REPLY, at + span::hours(1)).next.first_reply_at, Some(at), "only the first");
}

#[rstest]
#[case(Event::PatientMessage, 1)]
#[case(REPLY, 0)]
fn every_message_moves_the_idle_deadline(#[case] message: Event, #[case] counted: i64) {
    let warned = Consultation { is_warned: true, ..replying() };
    let at = BEGIN + span::hours(40);
    let next = step(&warned, &message, at).next;
    assert_eq!((next.idle_deadline, next.last_message_at), (Some(at + span::hours(48)), Some(at)));
    assert!(!next.is_warned, "a deadline that moved was not warned of");
    assert_eq!(next.patient_message_count, counted);
}

#[test]
fn a_patients_message_does_not_move_the_no_reply_deadline() {
    let warned = Consultation { is_warned: true, ..started() };
    let next = step(&warned, &Event::PatientMessage, BEGIN + span::hours(47)).next;
    assert_eq!(next.no_reply_deadline, Some(BEGIN + span::hours(48)));
    assert!(next.is_warned);
    assert_eq!(next.patient_message_count, 1);
}

#[rstest]
#[case::no_reply(Event::ExpireNoReply, started(), BEGIN + span::hours(48))]
#[case::idle(Event::IdleTimeout, replying(), BEGIN + span::hours(49))]
#[case::duration_while_new(Event::MaxDuration, started(), BEGIN + span::days(7))]
#[case::duration_while_replying(Event::MaxDuration, replying(), BEGIN + span::days(7))]
fn a_sweep_acts_from_the_end_of_the_grace(
    #[case] sweep: Event,
    #[case] current: Consultation,
    #[case] deadline: Timestamp,
) {
    let policy = ConsultationPolicy { max_duration: Some(span::days(7)), ..policy() };
    let changed = |now| apply(&current, &sweep, &policy, now).unwrap().changed;
    let end_of_grace = deadline + span::minutes(10);
    assert!(!changed(deadline));
    assert!(!changed(Timestamp::from_millis(end_of_grace.as_millis() - 1)));
    assert!(changed(end_of_grace));
}

#[test]
fn a_doctor_may_reply_in_the_grace_and_even_after_it() {
    for late in [span::minutes(5), span::hours(5)] {
        assert_eq!(shown(apply(&started(), &REPLY, &policy(), BEGIN + span::hours(48) + late)), "append; 1");
    }
}

#[test]
fn a_sweep_run_twice_acts_once() {
    let late = BEGIN + span::days(3);
    let once = step(&started(), &Event::ExpireNoReply, late);
    let twice = step(&once.next, &Event::ExpireNoReply, late + span::minutes(1));
    assert!(once.changed);
    assert_eq!(twice, Transition::unchanged(&once.next));
}

#[rstest]
#[case::no_reply(started(), BEGIN + span::hours(48))]
#[case::idle(replying(), BEGIN + span::hours(49))]
fn both_sides_are_warned_once_two_hours_ahead(#[case] current: Consultation, #[case] deadline: Timestamp) {
    let warn = |current: &Consultation, now| step(current, &Event::WarnOfDeadline, now);
    let first_moment = deadline - span::hours(2);
    assert!(!warn(&current, Timestamp::from_millis(first_moment.as_millis() - 1)).changed);
    let warned = warn(&current, first_moment);
    assert!(warned.changed && warned.next.is_warned);
    assert_eq!(warned.step, Some(Step::Warned));
    assert_eq!(warned.next.status, current.status);
    assert_eq!(warned.effects.notify, [(Side::Doctor, Cause::AboutToExpire), (Side::Patient, Cause::AboutToExpire)]);
    assert_eq!(warned.effects.notice.as_ref().unwrap().event, "consultation.about_to_expire");
    assert!(!warned.effects.cancels_queued);
    assert!(!warn(&warned.next, first_moment + span::hours(1)).changed, "once");
    assert!(warn(&current, deadline).changed, "also in the grace");
    assert!(!warn(&current, deadline + span::minutes(10)).changed, "not when the sweep may end it");
}

#[rstest]
#[case::by_the_doctor(replying(), Event::EndByDoctor { reason: None }, &[Side::Patient])]
#[case::declined(started(), end_by_doctor("转诊"), &[Side::Patient])]
#[case::by_the_patient(replying(), Event::EndByPatient, &[Side::Doctor])]
#[case::cancelled(started(), Event::EndByPatient, &[Side::Doctor])]
#[case::patient_gone(replying(), Event::CloseAccount(Side::Patient), &[Side::Doctor])]
#[case::doctor_gone(replying(), Event::CloseAccount(Side::Doctor), &[Side::Patient])]
#[case::expired(started(), Event::ExpireNoReply, &[Side::Doctor, Side::Patient])]
#[case::idle(replying(), Event::IdleTimeout, &[Side::Doctor, Side::Patient])]
#[case::blocked(replying(), Event::Block, &[Side::Doctor, Side::Patient])]
#[case::certification_lost(started(), Event::LoseCertification, &[Side::Doctor, Side::Patient])]
#[case::voided(replying(), void(), &[Side::Doctor, Side::Patient])]
fn an_end_tells_the_others_and_cancels_what_is_queued(
    #[case] current: Consultation,
    #[case] event: Event,
    #[case] told: &[Side],
) {
    let now = BEGIN + span::days(9);
    let transition = step(&current, &event, now);
    assert_eq!(transition.effects.notify, told.iter().map(|side| (*side, Cause::Ended)).collect::<Vec<_>>());
    assert!(transition.effects.cancels_queued);
    assert!(transition.effects.notice.is_some_and(|notice| !notice.text.is_empty()));
    let next = transition.next;
    assert_eq!((next.ended_at, next.updated_at), (Some(now), now));
    assert_eq!((next.no_reply_deadline, next.idle_deadline, next.is_warned), (None, None, false));
}

#[test]
fn messages_tell_the_other_side() {
    let now = BEGIN + span::hours(1);
    let of_patient = step(&started(), &Event::PatientMessage, now);
    assert_eq!(of_patient.effects.notify, [(Side::Doctor, Cause::PatientMessage)]);
    assert_eq!((of_patient.step, of_patient.effects.notice), (None, None));
    let reply = step(&started(), &REPLY, now);
    assert_eq!(reply.effects.notify, [(Side::Patient, Cause::DoctorMessage)]);
    assert_eq!(reply.step, Some(Step::Replied));
    assert_eq!(reply.effects.notice.unwrap().event, "consultation.replied");
    let second = step(&reply.next, &REPLY, now);
    assert_eq!(second.effects.notify, [(Side::Patient, Cause::DoctorMessage)]);
    assert_eq!((second.step, second.effects.notice), (None, None));
    for automatic in [Event::SystemMessage, Event::AutomaticMessage] {
        assert_eq!(step(&started(), &automatic, now).effects.notify, []);
    }
}

#[test]
fn the_message_over_the_limit_ends_a_new_one_for_both() {
    let policy = ConsultationPolicy { max_patient_messages: Some(1), ..policy() };
    let now = BEGIN + span::minutes(1);
    let first = apply(&started(), &Event::PatientMessage, &policy, now).unwrap();
    assert_eq!(first.effects.message, Some(MessageFate::Append));
    let second = apply(&first.next, &Event::PatientMessage, &policy, now).unwrap();
    assert_eq!(second.step, Some(Step::MessageLimit));
    assert_eq!(second.next.patient_message_count, 1, "the refused one does not count");
    assert_eq!(second.effects.notify, [(Side::Doctor, Cause::Ended), (Side::Patient, Cause::Ended)]);
}

#[test]
fn a_lost_certification_asks_an_administrator_to_look_after_running_ones() {
    let now = BEGIN + span::hours(2);
    assert!(step(&replying(), &Event::LoseCertification, now).effects.needs_admin_task);
    assert!(!step(&started(), &Event::LoseCertification, now).effects.needs_admin_task);
    assert!(!step(&ended(), &Event::LoseCertification, now).effects.needs_admin_task);
}

#[test]
fn reopening_starts_a_full_idle_time_and_tells_the_patient() {
    let idle = step(&replying(), &Event::IdleTimeout, BEGIN + span::days(4)).next;
    let now = idle.ended_at.unwrap() + span::hours(23);
    let reopened = step(&idle, &Event::Reopen(ALL_FINE), now);
    let next = &reopened.next;
    assert_eq!((next.ended_at, next.end_reason, next.end_note.as_deref()), (None, None, None));
    assert_eq!(next.idle_deadline, Some(now + span::hours(48)));
    assert_eq!(next.first_reply_at, idle.first_reply_at);
    assert_eq!(reopened.effects.notify, [(Side::Patient, Cause::Reopened)]);
    assert_eq!(reopened.effects.notice.unwrap().event, "consultation.reopened");
}

#[test]
fn reopening_takes_back_the_note_of_the_end() {
    let completed = step(&replying(), &end_by_doctor("已解答"), BEGIN + span::hours(2)).next;
    let reopened = step(&completed, &Event::Reopen(ALL_FINE), BEGIN + span::hours(3)).next;
    assert_eq!((completed.end_note.as_deref(), reopened.end_note), (Some("已解答"), None));
}

#[test]
fn reasons_are_trimmed_kept_and_bounded() {
    let now = BEGIN + span::hours(2);
    let declined = step(&started(), &end_by_doctor("  转诊 "), now);
    assert_eq!((declined.note.as_deref(), declined.next.end_note.as_deref()), (Some("转诊"), Some("转诊")));
    let completed = step(&replying(), &end_by_doctor(" "), now);
    assert_eq!((completed.note, completed.next.end_note), (None, None));
    let longest = "医".repeat(MAX_REASON_CHARS);
    for current in [started(), replying()] {
        assert!(apply(&current, &end_by_doctor(&longest), &policy(), now).is_ok());
        let refused = apply(&current, &end_by_doctor(&format!("{longest}生")), &policy(), now).unwrap_err();
        assert_eq!(refused.fields()[0].field, "reason");
    }
    for current in [started(), replying(), ended()] {
        let blank = Event::Void { reason: " ".into() };
        assert_eq!(apply(&current, &blank, &policy(), now).unwrap_err().fields()[0].field, "reason");
    }
    let blank = apply(&started(), &end_by_doctor("  "), &policy(), now).unwrap_err();
    assert_eq!((blank.kind(), blank.fields()[0].field.as_str()), (ErrorKind::Invalid, "reason"));
}

#[test]
fn voiding_what_has_ended_keeps_how_it_ended() {
    let declined = step(&started(), &end_by_doctor("转诊"), BEGIN + span::hours(2)).next;
    let voided = step(&declined, &void(), BEGIN + span::days(9));
    let next = &voided.next;
    assert_eq!((next.end_reason, next.ended_at), (declined.end_reason, declined.ended_at));
    assert_eq!((next.end_note.as_deref(), voided.note.as_deref()), (Some("转诊"), Some("重复")));
    assert_eq!(voided.effects.notify, []);
    assert_eq!(voided.effects.notice.as_ref().unwrap().event, "consultation.voided");
    assert!(!step(next, &void(), BEGIN + span::days(10)).changed, "once");
    assert_eq!(step(&started(), &void(), BEGIN + span::hours(2)).next.end_note.as_deref(), Some("重复"));
}

/// An import may bring rows that are invalid in status "0" or "1": they are closed.
#[rstest]
#[case(started())]
#[case(replying())]
fn an_invalid_one_is_closed_whatever_its_status(#[case] current: Consultation) {
    let invalid = Consultation { is_invalid: true, ..current };
    let outcome = |event: &Event| shown(apply(&invalid, event, &policy(), BEGIN + span::days(30)));
    for message in [Event::PatientMessage, REPLY, Event::AutomaticMessage] {
        assert_eq!(outcome(&message), "CONSULTATION_ENDED");
    }
    for other in [Event::EndByPatient, end_by_doctor("x"), Event::ExpireNoReply, Event::IdleTimeout, Event::Block] {
        assert_eq!(outcome(&other), "no-op");
    }
    assert_eq!(outcome(&void()), "no-op");
    assert_eq!(outcome(&Event::Reopen(ALL_FINE)), "consultation.wrong_status");
}

#[test]
fn history_tells_what_happened() {
    let now = BEGIN + span::hours(2);
    let record = step(&started(), &end_by_doctor("转诊"), now).record(id(20), "system".to_owned(), now).unwrap();
    let expected = ConsultationEvent {
        id: id(20),
        consultation_id: id(10),
        event: "ended_by_doctor".into(),
        actor: "system".into(),
        from_status: Some(Status::New),
        to_status: Status::Ended,
        end_reason: Some(EndReason::Declined),
        note: Some("转诊".into()),
        at: now,
    };
    assert_eq!(record, expected);
    assert_eq!(step(&replying(), &Event::PatientMessage, now).record(id(20), "system".to_owned(), now), None);
    assert_eq!(step(&ended(), &Event::EndByPatient, now).record(id(20), "system".to_owned(), now), None);
}

#[test]
fn steps_and_end_texts_are_distinct_words() {
    let mut words = Step::ALL.map(Step::as_str).to_vec();
    words.sort_unstable();
    words.dedup();
    assert_eq!(words.len(), Step::ALL.len());
    assert!(EndReason::ALL.into_iter().all(|reason| !ended_text(reason).contains("拉黑")));
    assert_eq!(ended_text(EndReason::Blocked), "本次咨询已结束。");
}

fn events() -> impl Strategy<Value = Event> {
    let facts = (any::<bool>(), any::<bool>(), any::<bool>());
    let reasons = || prop_oneof![Just(String::new()), Just("转诊".to_owned())];
    let plain = prop::sample::select(vec![
        Event::PatientMessage,
        Event::SystemMessage,
        Event::AutomaticMessage,
        Event::EndByPatient,
        Event::ExpireNoReply,
        Event::IdleTimeout,
        Event::MaxDuration,
        Event::WarnOfDeadline,
        Event::Reopen(ALL_FINE),
        Event::Block,
        Event::Unblock,
        Event::LoseCertification,
        Event::TurnConsultingOff,
        Event::CloseAccount(Side::Patient),
        Event::CloseAccount(Side::Doctor),
    ]);
    prop_oneof![
        6 => plain,
        3 => Just(Event::PatientMessage),
        3 => Just(Event::Reopen(ALL_FINE)),
        3 => prop::bool::weighted(0.8).prop_map(|is_certified| Event::DoctorMessage { is_certified }),
        1 => prop::option::of(reasons()).prop_map(|reason| Event::EndByDoctor { reason }),
        1 => reasons().prop_map(|reason| Event::Void { reason }),
        1 => facts.prop_map(|(is_certified, is_blocked, has_newer_open)| {
            Event::Reopen(ReopenFacts { is_certified, is_blocked, has_newer_open })
        }),
    ]
}

fn policies() -> impl Strategy<Value = ConsultationPolicy> {
    let limits = (prop::option::of(1_u64..200), prop::option::of(1_i64..6));
    (limits, 1_u64..72, 1_u64..72).prop_map(|((hours, messages), no_reply, idle)| ConsultationPolicy {
        max_duration: hours.map(span::hours),
        max_patient_messages: messages,
        no_reply_after: span::hours(no_reply),
        idle_after: span::hours(idle),
        ..policy()
    })
}

/// What must hold of every consultation the machine made.
fn check_state(c: &Consultation) -> Result<(), TestCaseError> {
    let is_ended = c.status == Status::Ended;
    prop_assert_eq!(is_ended, c.ended_at.is_some());
    prop_assert_eq!(is_ended, c.end_reason.is_some());
    prop_assert!(is_ended || (!c.is_invalid && c.end_note.is_none()));
    prop_assert_eq!(c.status == Status::New, c.no_reply_deadline.is_some());
    prop_assert_eq!(c.status == Status::Replying, c.idle_deadline.is_some());
    prop_assert!(c.status != Status::New || c.first_reply_at.is_none());
    prop_assert!(c.status != Status::Replying || c.first_reply_at.is_some());
    prop_assert!(!is_ended || !c.is_warned);
    let always_invalid = [EndReason::ExpiredNoReply, EndReason::DoctorUnavailable, EndReason::Voided];
    prop_assert!(c.is_invalid || c.end_reason.is_none_or(|reason| !always_invalid.contains(&reason)));
    Ok(())
}

/// What must hold of every step.
fn check_step(
    before: &Consultation,
    event: &Event,
    outcome: &Transition,
    policy: &ConsultationPolicy,
    now: Timestamp,
) -> Result<(), TestCaseError> {
    let after = &outcome.next;
    let is_void = matches!(event, Event::Void { .. });
    let (was_ended, ends) = (before.status == Status::Ended, after.status == Status::Ended);
    prop_assert!(outcome.changed || before == after);
    prop_assert!(outcome.changed || (outcome.step.is_none() && outcome.effects.notify.is_empty()));
    prop_assert_eq!(outcome.from_status, Some(before.status));
    let (warns, voids) = (after.is_warned && !before.is_warned, after.is_invalid && !before.is_invalid);
    prop_assert_eq!(outcome.step.is_some(), before.status != after.status || warns || voids);
    prop_assert_eq!(outcome.step.is_some(), outcome.effects.notice.is_some(), "every transition is in the dialog");
    prop_assert_eq!(outcome.effects.cancels_queued, ends && !was_ended);
    // What no event may touch.
    let fixed = |c: &Consultation| {
        (c.id, c.pair, c.relation_id, c.dialog_id, c.kind, c.price, c.started_at, c.created_at, c.version)
    };
    prop_assert_eq!(fixed(before), fixed(after));
    // Only the doctor's own message is a first reply.
    if before.first_reply_at != after.first_reply_at {
        prop_assert!(before.first_reply_at.is_none());
        prop_assert_eq!(event, &REPLY);
    }
    // Only these make invalid.
    if after.is_invalid && !before.is_invalid {
        prop_assert!(is_void || before.status == Status::New);
        let reasons = [
            EndReason::ExpiredNoReply,
            EndReason::Blocked,
            EndReason::DoctorUnavailable,
            EndReason::AccountClosed,
            EndReason::Voided,
        ];
        prop_assert!(was_ended || reasons.contains(&after.end_reason.unwrap()));
    }
    prop_assert!(after.is_invalid || !before.is_invalid, "never valid again");
    // The end is the end.
    if was_ended && outcome.changed {
        prop_assert!(is_void || matches!(event, Event::Reopen(_)));
    }
    // Deadlines: a fresh one is a whole one, and moving it forgets the warning.
    if before.idle_deadline != after.idle_deadline && !ends {
        prop_assert_eq!(after.idle_deadline, Some(now + policy.idle_after));
        prop_assert!(!after.is_warned);
    }
    if before.status == Status::New && after.status == Status::New {
        prop_assert_eq!(before.no_reply_deadline, after.no_reply_deadline);
    }
    if matches!(event, Event::SystemMessage | Event::AutomaticMessage) {
        prop_assert_eq!(before, after);
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_sequence_of_events_keeps_the_rules(
        policy in policies(),
        story in prop::collection::vec((events(), 0_u64..40), 1..60),
    ) {
        let mut now = BEGIN;
        let mut current = start(new(), &doctor(), false, &policy, now).unwrap().next;
        check_state(&current)?;
        for (event, hours) in story {
            now = now + span::hours(hours);
            let Ok(outcome) = apply(&current, &event, &policy, now) else { continue };
            check_step(&current, &event, &outcome, &policy, now)?;
            current = outcome.next;
            check_state(&current)?;
        }
    }

    /// Sweeps at any time, in any order and number, lead where one sweep of the right kind leads.
    #[test]
    fn sweeps_are_idempotent(
        sweeps in prop::collection::vec(prop::sample::select(vec![
            Event::ExpireNoReply, Event::IdleTimeout, Event::MaxDuration, Event::WarnOfDeadline,
        ]), 1..12),
        hours in 0_u64..100,
        has_reply in any::<bool>(),
    ) {
        let now = BEGIN + span::hours(hours);
        let mut current = if has_reply { replying() } else { started() };
        let mut ends = 0;
        for sweep in sweeps.iter().chain(&sweeps) {
            let swept = step(&current, sweep, now);
            ends += u32::from(swept.effects.cancels_queued);
            current = swept.next;
        }
        let is_due = |kind: &Event, hour| sweeps.contains(kind) && hours > hour;
        let expected = if has_reply { is_due(&Event::IdleTimeout, 49) } else { is_due(&Event::ExpireNoReply, 48) };
        prop_assert_eq!(ends, u32::from(expected));
        prop_assert_eq!(current.status == Status::Ended, expected);
    }
}
