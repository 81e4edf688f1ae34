//! Every row of the notification table, the order of the rows, and a second reading of the table as an oracle.

use chrono_tz::Asia::Shanghai;
use domain::certification::Certification;
use domain::id::{DoctorId, PatientId};
use domain::{ObjectId, Timestamp};
use proptest::prelude::*;
use rstest::rstest;

use super::*;
use crate::consultation::{ConsultationType, Pair, Status};
use crate::machine::{self, Event, NewConsultation};
use crate::policy::ConsultationPolicy;

/// Noon in Shanghai.
const NOW: Timestamp = Timestamp::from_millis(1_795_406_400_000);
/// Two in the afternoon.
const OPENING: Timestamp = Timestamp::from_millis(NOW.as_millis() + 2 * 3_600_000);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Missing,
    New,
    Replying,
    Ended,
    Invalid,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HoursNow {
    Unset,
    Invalid,
    Open,
    Closed,
}

/// All facts of one decision.
#[derive(Debug, Clone)]
struct Given {
    side: Side,
    cause: Cause,
    state: State,
    kind: ConsultationType,
    is_blocked: bool,
    certification: Certification,
    start_consultation: Option<bool>,
    is_normal_open: Option<bool>,
    is_phone_open: Option<bool>,
    is_viewing: bool,
    was_notified: bool,
    hours: HoursNow,
    channels: Vec<Channel>,
}

impl Given {
    /// A message of the other side that nothing keeps from being told.
    fn to(side: Side) -> Self {
        Self {
            side,
            cause: if side == Side::Doctor { Cause::PatientMessage } else { Cause::DoctorMessage },
            state: State::New,
            kind: ConsultationType::Normal,
            is_blocked: false,
            certification: Certification::Certified,
            start_consultation: Some(true),
            is_normal_open: None,
            is_phone_open: None,
            is_viewing: false,
            was_notified: false,
            hours: HoursNow::Open,
            channels: vec![Channel::Wechat, Channel::Sms],
        }
    }

    /// Makes a row of the table match.
    fn matching(mut self, row: u32) -> Self {
        match row {
            1 => self.state = State::Ended,
            2 => self.is_blocked = true,
            3 => self.certification = Certification::UnderReview,
            4 => self.start_consultation = Some(false),
            5 => self.is_normal_open = Some(false),
            6 => self.cause = Cause::SystemMessage,
            7 => self.is_viewing = true,
            8 => self.was_notified = true,
            9 => self.hours = HoursNow::Invalid,
            10 => self.hours = HoursNow::Unset,
            11 => self.hours = HoursNow::Closed,
            12 => self.channels.clear(),
            13 => {}
            _ => panic!("the table has no row {row}"),
        }
        self
    }

    fn doctor(&self) -> Doctor {
        let (start, end) = match self.hours {
            HoursNow::Unset => (None, None),
            HoursNow::Invalid => (Some("9点"), Some("18:00")),
            HoursNow::Open => (Some("08:00"), Some("22:00")),
            HoursNow::Closed => (Some("14:00"), Some("15:00")),
        };
        Doctor {
            certification: self.certification,
            start_consultation: self.start_consultation,
            is_normal_open: self.is_normal_open,
            is_phone_open: self.is_phone_open,
            start_consultation_time: start.map(str::to_owned),
            end_consultation_time: end.map(str::to_owned),
            ..Doctor::new(id(1), NOW)
        }
    }

    fn consultation(&self) -> Option<Consultation> {
        let current = Consultation { kind: self.kind, ..started() };
        match self.state {
            State::Missing => None,
            State::New => Some(current),
            State::Replying => Some(Consultation { status: Status::Replying, ..current }),
            State::Ended => Some(Consultation { status: Status::Ended, ..current }),
            State::Invalid => Some(Consultation { is_invalid: true, ..current }),
        }
    }

    fn recipient(&self) -> RecipientState {
        RecipientState {
            is_viewing: self.is_viewing,
            was_notified_in_cool_down: self.was_notified,
            channels: self.channels.clone(),
        }
    }

    fn decide(&self) -> Decision {
        self.decide_at(NOW)
    }

    fn decide_at(&self, now: Timestamp) -> Decision {
        let (doctor, consultation) = (self.doctor(), self.consultation());
        let case = Case {
            cause: self.cause,
            consultation: consultation.as_ref(),
            is_blocked: self.is_blocked,
            doctor: &doctor,
            schedule: &Schedule::of(&doctor, Shanghai),
            recipient: &self.recipient(),
        };
        decide(now, self.side.of(started().pair), &case)
    }
}

fn id<T: From<ObjectId>>(n: u32) -> T {
    ObjectId::from_parts(1, [0; 5], n).into()
}

fn started() -> Consultation {
    let mut doctor = Doctor::new(id(1), NOW);
    doctor.certification = Certification::Certified;
    let new = NewConsultation {
        id: id(10),
        pair: Pair { doctor: id::<DoctorId>(1), patient: id::<PatientId>(2) },
        relation_id: id(3),
        dialog_id: id(4),
        kind: ConsultationType::Normal,
        latest_report_id: None,
    };
    machine::start(new, &doctor, false, &ConsultationPolicy::default(), NOW).unwrap().next
}

fn send(reason: Reason) -> Decision {
    Decision::Send { channel: Channel::Wechat, reason }
}

const DEFERRED: Decision = Decision::Defer { until: OPENING, reason: Reason::OutsideWindow };

#[rstest]
#[case::row_1(1, Decision::Suppress(Reason::ConsultationClosed))]
#[case::row_2(2, Decision::Suppress(Reason::RelationBlocked))]
#[case::row_3(3, Decision::Suppress(Reason::DoctorNotAuthenticated))]
#[case::row_4(4, Decision::Suppress(Reason::ConsultingOff))]
#[case::row_5(5, Decision::Suppress(Reason::TypeOff))]
#[case::row_6(6, Decision::Suppress(Reason::NotNotifiable))]
#[case::row_7(7, Decision::Suppress(Reason::OnlineViewing))]
#[case::row_8(8, Decision::Suppress(Reason::Coalesced))]
#[case::row_9(9, send(Reason::HoursInvalid))]
#[case::row_10(10, send(Reason::HoursUnset))]
#[case::row_11(11, DEFERRED)]
#[case::row_12(12, Decision::Suppress(Reason::NoChannel))]
#[case::row_13(13, send(Reason::InsideWindow))]
fn to_the_doctor_each_row_decides(#[case] row: u32, #[case] expected: Decision) {
    assert_eq!(Given::to(Side::Doctor).matching(row).decide(), expected);
    // Any two rows: the first wins. Rows 9 to 11 exclude one another; rows 9 and 10 let row 12 go on.
    for later in row + 1..=12 {
        let both = Given::to(Side::Doctor).matching(row).matching(later).decide();
        match (row, later) {
            (9..=11, 9..=11) => {}
            (9 | 10, 12) => assert_eq!(both, Decision::Suppress(Reason::NoChannel), "rows {row} and {later}"),
            _ => assert_eq!(both, expected, "rows {row} and {later}"),
        }
    }
}

#[rstest]
#[case::row_1(1, Decision::Suppress(Reason::ConsultationClosed))]
#[case::row_2(2, Decision::Suppress(Reason::RelationBlocked))]
#[case::row_6(6, Decision::Suppress(Reason::NotNotifiable))]
#[case::row_7(7, Decision::Suppress(Reason::OnlineViewing))]
#[case::row_8(8, Decision::Suppress(Reason::Coalesced))]
#[case::row_12(12, Decision::Suppress(Reason::NoChannel))]
#[case::row_13(13, send(Reason::Always))]
fn to_the_patient_each_row_decides(#[case] row: u32, #[case] expected: Decision) {
    assert_eq!(Given::to(Side::Patient).matching(row).decide(), expected);
    for later in row + 1..=12 {
        let both = Given::to(Side::Patient).matching(row).matching(later);
        assert_eq!(both.decide(), expected, "rows {row} and {later}");
    }
}

/// Rows 3, 4, 5, 9, 10 and 11 are the doctor's alone.
#[rstest]
fn to_the_patient_the_doctors_rows_do_not_matter(#[values(3, 4, 5, 9, 10, 11)] row: u32) {
    assert_eq!(Given::to(Side::Patient).matching(row).decide(), send(Reason::Always));
}

#[rstest]
fn certification_results_know_only_rows_12_and_13(
    #[values(Cause::CertificationApproved, Cause::CertificationRejected, Cause::CertificationRevoked)] cause: Cause,
) {
    let result = Given { cause, state: State::Missing, ..Given::to(Side::Doctor) };
    for row in [1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 13] {
        assert_eq!(result.clone().matching(row).decide(), send(Reason::Always), "row {row}");
    }
    assert_eq!(result.matching(12).decide(), Decision::Suppress(Reason::NoChannel));
}

#[rstest]
#[case(State::Missing)]
#[case(State::Invalid)]
#[case(State::Ended)]
fn closed_in_every_sense(#[case] state: State) {
    let closed = Decision::Suppress(Reason::ConsultationClosed);
    for side in [Side::Doctor, Side::Patient] {
        assert_eq!(Given { state, ..Given::to(side) }.decide(), closed, "{side:?}");
    }
    let closing = |side| Given { state, cause: Cause::Ended, ..Given::to(side) };
    assert_eq!(closing(Side::Patient).decide(), send(Reason::Always), "closing notices are exempt");
    assert_eq!(closing(Side::Doctor).decide(), closed, "but not for the doctor");
    for row in [2, 7, 8, 12] {
        let kept_back = closing(Side::Patient).matching(row).matching(1).decide();
        assert_eq!(kept_back, Given::to(Side::Patient).matching(row).decide(), "row {row} holds for them too");
    }
}

#[rstest]
#[case(Certification::None)]
#[case(Certification::UnderReview)]
#[case(Certification::Rejected)]
fn only_certified_doctors_are_notified(#[case] certification: Certification) {
    let decision = Given { certification, ..Given::to(Side::Doctor) }.decide();
    assert_eq!(decision, Decision::Suppress(Reason::DoctorNotAuthenticated));
}

#[test]
fn consulting_counts_as_off_until_switched_on() {
    let decision = Given { start_consultation: None, ..Given::to(Side::Doctor) }.decide();
    assert_eq!(decision, Decision::Suppress(Reason::ConsultingOff));
}

#[test]
fn the_type_switch_is_that_of_the_consultation() {
    let phone = |is_phone_open| Given { kind: ConsultationType::Phone, is_phone_open, ..Given::to(Side::Doctor) };
    assert_eq!(phone(None).decide(), Decision::Suppress(Reason::TypeOff));
    assert_eq!(phone(Some(true)).matching(5).decide(), send(Reason::InsideWindow), "the other switch does not matter");
}

#[rstest]
#[case(Cause::Initiated, true, false)]
#[case(Cause::RepeatInitiate, false, false)]
#[case(Cause::PatientMessage, true, false)]
#[case(Cause::DoctorMessage, false, true)]
#[case(Cause::OwnMessage, false, false)]
#[case(Cause::SystemMessage, false, false)]
#[case(Cause::Ended, true, true)]
#[case(Cause::Reopened, false, true)]
#[case(Cause::AboutToExpire, true, true)]
#[case(Cause::Escalation, true, false)]
#[case(Cause::AssistantAnswer, false, false)]
#[case(Cause::CertificationApproved, true, false)]
#[case(Cause::CertificationRejected, true, false)]
#[case(Cause::CertificationRevoked, true, false)]
fn row_6_by_cause(#[case] cause: Cause, #[case] tells_doctor: bool, #[case] tells_patient: bool) {
    let tells = |side| Given { cause, ..Given::to(side) }.decide() != Decision::Suppress(Reason::NotNotifiable);
    assert_eq!((tells(Side::Doctor), tells(Side::Patient)), (tells_doctor, tells_patient));
}

#[test]
fn of_an_answer_of_the_desk_is_told_who_is_not_looking() {
    let channels = vec![Channel::Sms, Channel::Wechat];
    let reachable = RecipientState { channels, ..RecipientState::default() };
    let sent = Decision::Send { channel: Channel::Sms, reason: Reason::Always };
    assert_eq!(about_answer(&reachable), sent);
    let told = RecipientState { was_notified_in_cool_down: true, ..reachable.clone() };
    assert_eq!(about_answer(&told), Decision::Suppress(Reason::Coalesced));
    let viewing = RecipientState { is_viewing: true, ..told };
    assert_eq!(about_answer(&viewing), Decision::Suppress(Reason::OnlineViewing));
    assert_eq!(about_answer(&RecipientState::default()), Decision::Suppress(Reason::NoChannel));
}

#[test]
fn the_first_usable_channel_is_taken() {
    let by = |channels: &[Channel]| Given { channels: channels.to_vec(), ..Given::to(Side::Doctor) }.decide();
    let sent = |channel| Decision::Send { channel, reason: Reason::InsideWindow };
    assert_eq!(by(&[Channel::Wechat, Channel::Sms]), sent(Channel::Wechat));
    assert_eq!(by(&[Channel::Sms, Channel::Wechat]), sent(Channel::Sms));
    assert_eq!(by(&[Channel::Sms]), sent(Channel::Sms));
}

#[test]
fn an_escalation_goes_by_sms_inside_the_hours_whatever_was_sent_before() {
    let escalation = Given { cause: Cause::Escalation, was_notified: true, ..Given::to(Side::Doctor) };
    let sent = Decision::Send { channel: Channel::Sms, reason: Reason::InsideWindow };
    assert_eq!(escalation.decide(), sent);
    assert_eq!(escalation.clone().matching(11).decide(), DEFERRED);
    let without_sms = Given { channels: vec![Channel::Wechat], ..escalation };
    assert_eq!(without_sms.decide(), Decision::Suppress(Reason::NoChannel));
}

#[test]
fn decided_again_at_the_opening_it_is_sent() {
    let deferred = Given::to(Side::Doctor).matching(11);
    assert_eq!(deferred.decide(), DEFERRED);
    assert_eq!(deferred.decide_at(OPENING), send(Reason::InsideWindow));
}

#[test]
fn every_decision_has_its_reason() {
    assert_eq!(DEFERRED.reason(), Reason::OutsideWindow);
    assert_eq!(send(Reason::HoursUnset).reason(), Reason::HoursUnset);
    assert_eq!(Decision::Suppress(Reason::TypeOff).reason(), Reason::TypeOff);
}

fn closed_doctor() -> Doctor {
    Given::to(Side::Doctor).matching(11).doctor()
}

#[test]
fn one_off_hours_reply_per_closed_period() {
    let doctor = closed_doctor();
    let reply = |c: &Consultation, until| off_hours_reply(c, Cause::PatientMessage, until, &doctor, Shanghai);
    let mut consultation = started();
    let first = reply(&consultation, OPENING).unwrap();
    assert_eq!(first.event, "consultation.off_hours");
    assert!(first.text.contains("11月23日（周一）14:00"), "{}", first.text);
    consultation.off_hours_reply_until = Some(OPENING);
    assert_eq!(reply(&consultation, OPENING), None);
    let next_period = OPENING + domain::time::span::days(1);
    assert!(reply(&consultation, next_period).unwrap().text.contains("11月24日（周二）14:00"));
}

#[test]
fn only_what_the_patient_did_is_replied_to() {
    let reply = |c: &Consultation, cause| off_hours_reply(c, cause, OPENING, &closed_doctor(), Shanghai).is_some();
    let replied = Cause::ALL.into_iter().filter(|cause| reply(&started(), *cause)).collect::<Vec<_>>();
    assert_eq!(replied, [Cause::Initiated, Cause::PatientMessage]);
    let end = machine::apply(&started(), &Event::EndByPatient, &ConsultationPolicy::default(), NOW);
    assert!(!reply(&end.unwrap().next, Cause::PatientMessage), "nor is anything after the end");
}

/// A row of the table as data: number, whom it concerns (doctor, patient, certification), when it matches, and what
/// it then decides.
type Row = (&'static [char], fn(&Given) -> bool, fn(&Given) -> Decision);

fn preferred(case: &Given) -> Option<Channel> {
    let only_sms = case.cause == Cause::Escalation;
    case.channels.iter().copied().find(|channel| !only_sms || *channel == Channel::Sms)
}

fn sent(case: &Given, reason: Reason) -> Decision {
    Decision::Send { channel: preferred(case).unwrap(), reason }
}

/// The table of the contract, read a second time.
fn table() -> Vec<Row> {
    use Cause::{
        AboutToExpire, CertificationApproved, CertificationRejected, CertificationRevoked, DoctorMessage, Ended,
        Escalation, Initiated, PatientMessage, Reopened,
    };
    vec![
        (
            &['d'],
            |c| !matches!(c.state, State::New | State::Replying),
            |_| Decision::Suppress(Reason::ConsultationClosed),
        ),
        (
            &['p'],
            |c| c.cause != Ended && [State::Missing, State::Ended, State::Invalid].contains(&c.state),
            |_| Decision::Suppress(Reason::ConsultationClosed),
        ),
        (&['d', 'p'], |c| c.is_blocked, |_| Decision::Suppress(Reason::RelationBlocked)),
        (&['d'], |c| c.certification.as_str() != "1", |_| Decision::Suppress(Reason::DoctorNotAuthenticated)),
        (&['d'], |c| !c.start_consultation.unwrap_or(false), |_| Decision::Suppress(Reason::ConsultingOff)),
        (
            &['d'],
            |c| match c.kind {
                ConsultationType::Normal => c.is_normal_open == Some(false),
                ConsultationType::Phone => c.is_phone_open != Some(true),
            },
            |_| Decision::Suppress(Reason::TypeOff),
        ),
        (
            &['d'],
            |c| ![Initiated, PatientMessage, Ended, AboutToExpire, Escalation].contains(&c.cause),
            |_| Decision::Suppress(Reason::NotNotifiable),
        ),
        (
            &['p'],
            |c| ![DoctorMessage, Ended, Reopened, AboutToExpire].contains(&c.cause),
            |_| Decision::Suppress(Reason::NotNotifiable),
        ),
        (&['d', 'p'], |c| c.is_viewing, |_| Decision::Suppress(Reason::OnlineViewing)),
        (&['d', 'p'], |c| c.was_notified && c.cause != Escalation, |_| Decision::Suppress(Reason::Coalesced)),
        (&['d'], |c| c.hours == HoursNow::Closed, |_| DEFERRED),
        (&['d', 'p', 'c'], |c| preferred(c).is_none(), |_| Decision::Suppress(Reason::NoChannel)),
        (&['d'], |c| c.hours == HoursNow::Invalid, |c| sent(c, Reason::HoursInvalid)),
        (&['d'], |c| c.hours == HoursNow::Unset, |c| sent(c, Reason::HoursUnset)),
        (&['d'], |_| true, |c| sent(c, Reason::InsideWindow)),
        (
            &['c'],
            |c| [CertificationApproved, CertificationRejected, CertificationRevoked].contains(&c.cause),
            |c| sent(c, Reason::Always),
        ),
        (&['p'], |_| true, |c| sent(c, Reason::Always)),
    ]
}

fn oracle(case: &Given) -> Decision {
    let about = match case.side {
        Side::Doctor if case.cause.as_str().starts_with("certification") => 'c',
        Side::Doctor => 'd',
        Side::Patient => 'p',
    };
    let rows = table();
    let first = rows.iter().find(|(concerned, matches, _)| concerned.contains(&about) && matches(case));
    first.map(|(_, _, decision)| decision(case)).unwrap()
}

/// Facts that mostly allow, so that late rows are reached as well.
fn cases() -> impl Strategy<Value = Given> {
    let mostly = |n: u32| prop::bool::weighted(1.0 / f64::from(n));
    let switch = || prop_oneof![4 => Just(Some(true)), 1 => Just(None), 1 => Just(Some(false))];
    let states = prop_oneof![
        6 => prop::sample::select(vec![State::New, State::Replying]),
        1 => prop::sample::select(vec![State::Missing, State::Ended, State::Invalid]),
    ];
    let certifications = prop_oneof![
        8 => Just(Certification::Certified),
        1 => prop::sample::select(vec![Certification::None, Certification::UnderReview, Certification::Rejected]),
    ];
    let hours = prop::sample::select(vec![HoursNow::Unset, HoursNow::Invalid, HoursNow::Open, HoursNow::Closed]);
    let channels = prop::sample::select(vec![
        vec![],
        vec![Channel::Wechat],
        vec![Channel::Sms],
        vec![Channel::Wechat, Channel::Sms],
        vec![Channel::Sms, Channel::Wechat],
    ]);
    let cause = (prop::sample::select(vec![Side::Doctor, Side::Patient]), prop::sample::select(Cause::ALL.to_vec()));
    let kind = prop::sample::select(vec![ConsultationType::Normal, ConsultationType::Phone]);
    let doctor = (certifications, switch(), switch(), switch(), hours);
    let recipient = (mostly(5), mostly(5), channels);
    (cause, states, kind, mostly(8), doctor, recipient).prop_map(
        |(
            (side, cause),
            state,
            kind,
            is_blocked,
            (certification, start_consultation, is_normal_open, is_phone_open, hours),
            (is_viewing, was_notified, channels),
        )| Given {
            side,
            cause,
            state,
            kind,
            is_blocked,
            certification,
            start_consultation,
            is_normal_open,
            is_phone_open,
            is_viewing,
            was_notified,
            hours,
            channels,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn decisions_agree_with_a_second_reading_of_the_table(case in cases()) {
        prop_assert_eq!(case.decide(), oracle(&case));
    }
}
