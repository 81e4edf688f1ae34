//! Every vector of the contract's table, its properties, daylight saving, weekly windows and exceptions.

use std::process::Command;

use crate::hours::{DatedHours, DayWindow};
use crate::id::DoctorId;
use crate::time::span;
use chrono_tz::America::{Havana, New_York, St_Johns};
use chrono_tz::Asia::Shanghai;
use chrono_tz::Europe::Berlin;
use chrono_tz::Pacific::Apia;
use proptest::prelude::*;
use rstest::rstest;

use super::*;

fn doctor() -> Doctor {
    Doctor::new(DoctorId("5daeb07b7b968a0074945056".parse().unwrap()), Timestamp::EPOCH)
}

fn daily(start: Option<&str>, end: Option<&str>, zone: Tz) -> Schedule {
    let (start, end) = (start.map(str::to_owned), end.map(str::to_owned));
    Schedule::of(&Doctor { start_consultation_time: start, end_consultation_time: end, ..doctor() }, zone)
}

fn weekly(windows: &[(u8, &str, &str)]) -> Vec<WeeklyWindow> {
    let window = |&(weekday, start, end): &(u8, &str, &str)| WeeklyWindow {
        weekday,
        start: start.to_owned(),
        end: end.to_owned(),
    };
    windows.iter().map(window).collect()
}

fn on(date: &str, windows: &[(&str, &str)]) -> DatedHours {
    let window = |&(start, end): &(&str, &str)| DayWindow { start: start.to_owned(), end: end.to_owned() };
    DatedHours { date: date.parse().unwrap(), windows: windows.iter().map(window).collect() }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse_rfc3339(text).unwrap()
}

fn closed_until(text: &str) -> Hours {
    Hours::Closed { next_open: at(text) }
}

/// The table of the contract, row by row; run again by
/// [`super::the_zone_of_the_process_does_not_matter`] under other process zones.
mod table {
    use super::*;

    #[rstest]
    #[case("2026-11-22T23:59:59.999Z", "08:00", "22:00", closed_until("2026-11-23T00:00:00Z"))]
    #[case("2026-11-23T00:00:00Z", "08:00", "22:00", Hours::Open)]
    #[case("2026-11-23T13:59:59.999Z", "08:00", "22:00", Hours::Open)]
    #[case("2026-11-23T14:00:00Z", "08:00", "22:00", closed_until("2026-11-24T00:00:00Z"))]
    #[case("2026-11-22T13:59:59Z", "22:00", "06:00", closed_until("2026-11-22T14:00:00Z"))]
    #[case("2026-11-22T14:30:00Z", "22:00", "06:00", Hours::Open)]
    #[case("2026-11-22T21:59:59Z", "22:00", "06:00", Hours::Open)]
    #[case("2026-11-22T22:00:00Z", "22:00", "06:00", closed_until("2026-11-23T14:00:00Z"))]
    #[case("2026-11-22T15:59:30Z", "00:00", "23:59", Hours::Open)]
    #[case("2026-11-22T15:59:59Z", "09:00", "24:00", Hours::Open)]
    #[case("2026-11-22T16:00:00Z", "09:00", "24:00", closed_until("2026-11-23T01:00:00Z"))]
    #[case("2026-11-22T16:00:00Z", "09:00", "00:00", closed_until("2026-11-23T01:00:00Z"))]
    #[case("2026-12-31T15:00:00Z", "08:00", "22:00", closed_until("2027-01-01T00:00:00Z"))]
    #[case("2026-11-22T01:30:00Z", "9:00", "18：00", Hours::Open)]
    fn at_an_instant(#[case] now: &str, #[case] start: &str, #[case] end: &str, #[case] expected: Hours) {
        assert_eq!(hours_at(at(now), &daily(Some(start), Some(end), Shanghai)), expected);
    }

    #[rstest]
    #[case(None, None, Hours::Unset)]
    #[case(Some(""), Some(""), Hours::Unset)]
    #[case(None, Some(""), Hours::Unset)]
    #[case(Some(" "), None, Hours::Unset)]
    #[case(Some("10:00"), Some("10:00"), Hours::Open)]
    #[case(Some("09:00"), None, Hours::Invalid)]
    #[case(Some("09:00"), Some(""), Hours::Invalid)]
    #[case(None, Some("18:00"), Hours::Invalid)]
    #[case(Some("9点"), Some("18:00"), Hours::Invalid)]
    #[case(Some("09:00"), Some("18点"), Hours::Invalid)]
    #[case(Some("24:00"), Some("06:00"), Hours::Invalid)]
    #[case(Some("24:00"), Some("24:00"), Hours::Invalid)]
    fn at_any_instant(#[case] start: Option<&str>, #[case] end: Option<&str>, #[case] expected: Hours) {
        let schedule = daily(start, end, Shanghai);
        let midnight = at("2026-11-22T16:00:00Z");
        for minute in 0..1440 {
            assert_eq!(hours_at(midnight + span::minutes(minute), &schedule), expected, "minute {minute}");
        }
        assert!(expected.is_open());
    }
}

#[rstest]
#[case("UTC")]
#[case("America/New_York")]
#[case("Pacific/Kiritimati")]
fn the_zone_of_the_process_does_not_matter(#[case] zone: &str) {
    let run = Command::new(std::env::current_exe().unwrap()).arg("office_hours::tests::table").env("TZ", zone).output();
    let report = String::from_utf8(run.unwrap().stdout).unwrap();
    assert!(report.contains("test result: ok. 26 passed"), "{report}");
}

#[rstest]
#[case("23:59", "23:59", "2026-11-22T04:00:00Z", Hours::Open)]
#[case("23:59", "24:00", "2026-11-22T04:00:00Z", closed_until("2026-11-22T15:59:00Z"))]
#[case("23:58", "23:59:59", "2026-11-22T15:59:59.999Z", Hours::Open)]
#[case("00:00", "24:00", "2026-11-22T15:59:59.999Z", Hours::Open)]
#[case("00:00", "00:00", "2026-11-22T16:00:00Z", Hours::Open)]
#[case("08:00:30", "09:00", "2026-11-22T00:00:29.999Z", closed_until("2026-11-22T00:00:30Z"))]
#[case("08:00:30", "09:00", "2026-11-22T00:00:30Z", Hours::Open)]
fn the_edges_of_the_day(#[case] start: &str, #[case] end: &str, #[case] now: &str, #[case] expected: Hours) {
    assert_eq!(hours_at(at(now), &daily(Some(start), Some(end), Shanghai)), expected);
}

#[test]
fn the_doctors_zone_comes_before_the_deployments() {
    let hours = Doctor {
        start_consultation_time: Some("08:00".into()),
        end_consultation_time: Some("22:00".into()),
        ..doctor()
    };
    let in_zone = |zone: &str| Schedule::of(&Doctor { timezone: Some(zone.into()), ..hours.clone() }, Shanghai);
    let morning_in_berlin = at("2026-11-23T07:00:00Z");
    let morning_in_shanghai = at("2026-11-23T00:00:00Z");
    assert_eq!(hours_at(morning_in_berlin, &in_zone("Europe/Berlin")), Hours::Open);
    assert_eq!(hours_at(morning_in_shanghai, &in_zone("Europe/Berlin")), closed_until("2026-11-23T07:00:00Z"));
    assert_eq!(in_zone("Asia/Nowhere"), Schedule::of(&hours, Shanghai), "an unreadable zone counts as unset");
    assert_eq!(in_zone(" "), Schedule::of(&hours, Shanghai));
}

/// 2026-03-08 in New York: 02:00 EST (07:00Z) becomes 03:00 EDT.
/// 2026-11-01 in New York: 02:00 EDT (06:00Z) becomes 01:00 EST.
#[rstest]
#[case::opens_at_the_end_of_the_gap("02:30", "05:00", "2026-03-08T06:59:59.999Z", closed_until("2026-03-08T07:00:00Z"))]
#[case::open_from_the_end_of_the_gap("02:30", "05:00", "2026-03-08T07:00:00Z", Hours::Open)]
#[case::closes_at_the_end_of_the_gap("00:00", "02:30", "2026-03-08T06:59:59.999Z", Hours::Open)]
#[case::closed_from_the_end_of_the_gap("00:00", "02:30", "2026-03-08T07:00:00Z", closed_until("2026-03-09T04:00:00Z"))]
#[case::a_window_in_the_gap_is_left_out("02:10", "02:50", "2026-03-07T08:00:00Z", closed_until("2026-03-09T06:10:00Z"))]
#[case::the_hour_after_the_gap("08:00", "22:00", "2026-03-08T11:59:59Z", closed_until("2026-03-08T12:00:00Z"))]
#[case::opens_at_the_first_of_two("01:30", "05:00", "2026-11-01T05:00:00Z", closed_until("2026-11-01T05:30:00Z"))]
#[case::stays_open_the_second_time("01:30", "05:00", "2026-11-01T06:15:00Z", Hours::Open)]
#[case::open_at_the_second_of_two("01:30", "05:00", "2026-11-01T06:30:00Z", Hours::Open)]
#[case::closes_at_the_first_of_two("00:00", "01:30", "2026-11-01T05:29:59.999Z", Hours::Open)]
#[case::stays_closed_the_second_time("00:00", "01:30", "2026-11-01T06:15:00Z", closed_until("2026-11-02T05:00:00Z"))]
#[case::across_the_overlap("22:00", "06:00", "2026-11-01T10:59:59.999Z", Hours::Open)]
#[case::closed_after_the_overlap("22:00", "06:00", "2026-11-01T11:00:00Z", closed_until("2026-11-02T03:00:00Z"))]
fn daylight_saving_in_new_york(#[case] start: &str, #[case] end: &str, #[case] now: &str, #[case] expected: Hours) {
    assert_eq!(hours_at(at(now), &daily(Some(start), Some(end), New_York)), expected);
}

/// 2026-03-29 in Berlin: 02:00 CET (01:00Z) becomes 03:00 CEST.
/// 2026-10-25 in Berlin: 03:00 CEST (01:00Z) becomes 02:00 CET.
#[rstest]
#[case::before_the_change("08:00", "18:00", "2026-03-28T17:00:00Z", closed_until("2026-03-29T06:00:00Z"))]
#[case::in_the_gap("02:00", "04:00", "2026-03-29T00:59:59.999Z", closed_until("2026-03-29T01:00:00Z"))]
#[case::after_the_gap("02:00", "04:00", "2026-03-29T02:00:00Z", closed_until("2026-03-30T00:00:00Z"))]
#[case::first_of_two("02:30", "02:45", "2026-10-25T00:30:00Z", Hours::Open)]
#[case::second_of_two("02:30", "02:45", "2026-10-25T01:30:00Z", closed_until("2026-10-26T01:30:00Z"))]
fn daylight_saving_in_berlin(#[case] start: &str, #[case] end: &str, #[case] now: &str, #[case] expected: Hours) {
    assert_eq!(hours_at(at(now), &daily(Some(start), Some(end), Berlin)), expected);
}

/// Midnight happens twice in Havana on 2026-11-01; in St. John's on 2010-11-07 one minute past it became
/// 23:01 of the day before; Samoa left out 2011-12-30.
#[rstest]
#[case::first_midnight(Havana, "22:00", "00:00", "2026-11-01T04:30:00Z", closed_until("2026-11-02T03:00:00Z"))]
#[case::opens_at_the_first_midnight(Havana, "00:00", "01:00", "2026-11-01T05:30:00Z", Hours::Open)]
#[case::back_before_midnight(St_Johns, "00:00", "06:00", "2010-11-07T03:00:00Z", Hours::Open)]
#[case::a_day_that_was_not(Apia, "08:00", "09:00", "2011-12-29T20:00:00Z", closed_until("2011-12-30T18:00:00Z"))]
fn midnight_and_lost_days(
    #[case] zone: Tz,
    #[case] start: &str,
    #[case] end: &str,
    #[case] now: &str,
    #[case] expected: Hours,
) {
    assert_eq!(hours_at(at(now), &daily(Some(start), Some(end), zone)), expected);
}

/// Monday is 2026-11-23.
#[rstest]
#[case::sunday_is_closed("2026-11-22T12:00:00+08:00", closed_until("2026-11-23T09:00:00+08:00"))]
#[case::monday_morning("2026-11-23T09:00:00+08:00", Hours::Open)]
#[case::monday_lunch("2026-11-23T12:00:00+08:00", closed_until("2026-11-23T14:00:00+08:00"))]
#[case::monday_afternoon("2026-11-23T17:59:59.999+08:00", Hours::Open)]
#[case::tuesday_is_closed("2026-11-24T10:00:00+08:00", closed_until("2026-11-25T20:00:00+08:00"))]
#[case::wednesday_night("2026-11-26T03:59:59+08:00", Hours::Open)]
#[case::thursday_dawn("2026-11-26T04:00:00+08:00", closed_until("2026-11-27T00:00:00+08:00"))]
#[case::friday_all_day("2026-11-27T23:59:59.999+08:00", Hours::Open)]
#[case::not_into_saturday("2026-11-28T00:00:00+08:00", closed_until("2026-11-30T09:00:00+08:00"))]
fn weekly_windows_replace_the_daily_ones(#[case] now: &str, #[case] expected: Hours) {
    let schedule = Schedule::of(
        &Doctor {
            start_consultation_time: Some("00:00".into()),
            end_consultation_time: Some("24:00".into()),
            // Out of order on purpose; Friday is all day, not ten to ten.
            weekly_hours: weekly(&[
                (5, "10:00", "10:00"),
                (1, "14:00", "18:00"),
                (1, "09:00", "12:00"),
                (3, "20:00", "04:00"),
            ]),
            ..doctor()
        },
        Shanghai,
    );
    assert_eq!(hours_at(at(now), &schedule), expected);
}

#[test]
fn an_unreadable_weekly_window_spoils_its_day_only() {
    let hours = Doctor { weekly_hours: weekly(&[(1, "9点", "12:00"), (2, "09:00", "12:00")]), ..doctor() };
    let schedule = Schedule::of(&hours, Shanghai);
    assert_eq!(hours_at(at("2026-11-23T03:00:00+08:00"), &schedule), Hours::Invalid);
    assert_eq!(hours_at(at("2026-11-24T03:00:00+08:00"), &schedule), closed_until("2026-11-24T09:00:00+08:00"));
    assert_eq!(hours_at(at("2026-11-24T13:00:00+08:00"), &schedule), closed_until("2026-11-30T00:00:00+08:00"));
}

#[test]
fn an_unreadable_weekday_spoils_the_week() {
    let hours = Doctor { weekly_hours: weekly(&[(8, "09:00", "12:00"), (2, "09:00", "12:00")]), ..doctor() };
    assert_eq!(hours_at(at("2026-11-24T03:00:00+08:00"), &Schedule::of(&hours, Shanghai)), Hours::Invalid);
}

/// Daily 22:00–06:00. The 23rd is closed; on the 25th 10:00–11:00 and 15:00–16:00 only; the 27th is unreadable.
#[rstest]
#[case::the_night_before_is_finished("2026-11-23T05:59:59+08:00", Hours::Open)]
#[case::then_closed_past_the_usual_start("2026-11-23T06:00:00+08:00", closed_until("2026-11-24T22:00:00+08:00"))]
#[case::no_night_of_the_closed_day("2026-11-24T02:00:00+08:00", closed_until("2026-11-24T22:00:00+08:00"))]
#[case::other_windows("2026-11-25T08:00:00+08:00", closed_until("2026-11-25T10:00:00+08:00"))]
#[case::first_window("2026-11-25T10:30:00+08:00", Hours::Open)]
#[case::between("2026-11-25T11:00:00+08:00", closed_until("2026-11-25T15:00:00+08:00"))]
#[case::the_usual_window_is_replaced("2026-11-25T22:30:00+08:00", closed_until("2026-11-26T22:00:00+08:00"))]
#[case::unreadable_while_the_night_before_lasts("2026-11-27T02:00:00+08:00", Hours::Invalid)]
#[case::unreadable("2026-11-27T12:00:00+08:00", Hours::Invalid)]
#[case::unreadable_for_the_date_only("2026-11-28T06:00:00+08:00", closed_until("2026-11-28T22:00:00+08:00"))]
fn exceptions_replace_everything_on_their_date(#[case] now: &str, #[case] expected: Hours) {
    let hours = Doctor {
        start_consultation_time: Some("22:00".into()),
        end_consultation_time: Some("06:00".into()),
        hour_exceptions: vec![
            on("2026-11-23", &[]),
            on("2026-11-25", &[("15:00", "16:00"), ("10:00", "11:00")]),
            on("2026-11-27", &[("9点", "16:00")]),
        ],
        ..doctor()
    };
    assert_eq!(hours_at(at(now), &Schedule::of(&hours, Shanghai)), expected);
}

#[test]
fn exceptions_also_replace_weekly_windows_and_unset_hours() {
    let exception = vec![on("2026-11-23", &[("10:00", "11:00")])];
    let with_week =
        Doctor { weekly_hours: weekly(&[(1, "00:00", "24:00")]), hour_exceptions: exception.clone(), ..doctor() };
    let with_week = Schedule::of(&with_week, Shanghai);
    assert_eq!(hours_at(at("2026-11-23T12:00:00+08:00"), &with_week), closed_until("2026-11-30T00:00:00+08:00"));
    let unset = Schedule::of(&Doctor { hour_exceptions: exception, ..doctor() }, Shanghai);
    assert_eq!(hours_at(at("2026-11-22T12:00:00+08:00"), &unset), Hours::Unset);
    assert_eq!(hours_at(at("2026-11-23T12:00:00+08:00"), &unset), closed_until("2026-11-24T00:00:00+08:00"));
    assert_eq!(hours_at(at("2026-11-24T12:00:00+08:00"), &unset), Hours::Unset);
}

#[test]
fn a_schedule_that_never_opens_counts_as_unreadable() {
    let first: NaiveDate = "2026-11-20".parse().unwrap();
    let closed = first.iter_days().take(400).map(|date| DatedHours { date, windows: Vec::new() }).collect();
    let schedule = Schedule::of(&Doctor { hour_exceptions: closed, ..doctor() }, Shanghai);
    assert_eq!(hours_at(at("2026-11-23T12:00:00+08:00"), &schedule), Hours::Invalid);
}

#[test]
fn an_opening_is_described_in_the_doctors_time() {
    let opening = at("2026-11-23T00:00:00Z");
    assert_eq!(Schedule::of(&doctor(), Shanghai).describe(opening), "11月23日（周一）08:00");
    let in_berlin = Doctor { timezone: Some("Europe/Berlin".into()), ..doctor() };
    assert_eq!(Schedule::of(&in_berlin, Shanghai).describe(opening), "11月23日（周一）01:00（医生所在地时间）");
    let in_chongqing = Doctor { timezone: Some("Asia/Chongqing".into()), ..doctor() };
    assert_eq!(Schedule::of(&in_chongqing, Shanghai).describe(opening), "11月23日（周一）08:00");
}

/// Zones with and without daylight saving, west and east of Greenwich, one with half an hour of it.
const ZONES: [Tz; 6] = [Shanghai, New_York, Berlin, chrono_tz::Australia::Lord_Howe, Havana, chrono_tz::UTC];

/// Any millisecond from 2026 to 2028; half of them within a day of a change of clocks.
fn instants() -> impl Strategy<Value = Timestamp> {
    const DAY_MS: i64 = 86_400_000;
    let changes = ["2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z", "2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"]
        .map(|text| at(text).as_millis());
    prop_oneof![
        at("2026-01-01T00:00:00Z").as_millis()..at("2028-01-01T00:00:00Z").as_millis(),
        (prop::sample::select(changes.to_vec()), -DAY_MS..DAY_MS).prop_map(|(change, offset)| change + offset),
    ]
    .prop_map(Timestamp::from_millis)
}

/// A time of day as written, from 00:00:00 to 23:58:59: later ones mean 24:00 as an end, but not as a start.
fn times() -> impl Strategy<Value = String> {
    prop_oneof![(0_u32..1439).prop_map(|minute| minute * 60), 0_u32..86_340]
        .prop_map(|seconds| LocalTime::from_seconds(seconds).unwrap().to_string())
}

/// Schedules of all kinds, overlapping windows included.
fn schedules() -> impl Strategy<Value = Schedule> {
    let window = (1_u8..=7, times(), times()).prop_map(|(weekday, start, end)| WeeklyWindow { weekday, start, end });
    let week = prop_oneof![Just(Vec::new()), prop::collection::vec(window, 1..6)];
    let day = (times(), times()).prop_map(|(start, end)| DayWindow { start, end });
    let exception = (0_u64..730, prop::collection::vec(day, 0..3)).prop_map(|(day, windows)| DatedHours {
        date: "2026-01-01".parse::<NaiveDate>().unwrap() + chrono::Days::new(day),
        windows,
    });
    (times(), times(), week, prop::collection::vec(exception, 0..40), prop::sample::select(ZONES.to_vec())).prop_map(
        |(start, end, weekly_hours, hour_exceptions, zone)| {
            let hours = Doctor {
                start_consultation_time: Some(start),
                end_consultation_time: Some(end),
                weekly_hours,
                hour_exceptions,
                ..doctor()
            };
            Schedule::of(&hours, zone)
        },
    )
}

proptest! {
    #[test]
    fn a_window_and_its_swap_partition_the_day(
        a in times(), b in times(), zone in prop::sample::select(ZONES.to_vec()), now in instants(),
    ) {
        prop_assume!(a != b);
        let one = hours_at(now, &daily(Some(&a), Some(&b), zone));
        let other = hours_at(now, &daily(Some(&b), Some(&a), zone));
        prop_assert!(one.is_open() != other.is_open(), "{one:?} {other:?}");
    }

    #[test]
    fn it_is_open_at_the_next_opening_and_never_before(
        schedule in schedules(), now in instants(), samples in prop::collection::vec(0.0..1.0_f64, 20),
    ) {
        if let Some(next) = hours_at(now, &schedule).next_open() {
            prop_assert!(next > now);
            prop_assert!(hours_at(next, &schedule).is_open());
            let just_before = next - Duration::from_millis(1);
            let between = samples.iter().map(|share| now + next.since(now).mul_f64(*share));
            for t in between.chain([now, just_before]).filter(|t| *t < next) {
                prop_assert_eq!(hours_at(t, &schedule), Hours::Closed { next_open: next }, "at {}", t);
            }
        }
    }

    /// Away from changes of clocks the answer is that of the clock on the wall.
    #[test]
    fn it_agrees_with_the_wall_clock_where_clocks_do_not_change(a in times(), b in times(), now in instants()) {
        let second_of_day = now.as_millis() / 1000 + 8 * 3600;
        let second_of_day = u32::try_from(second_of_day.rem_euclid(86_400)).unwrap();
        let (start, end) = (LocalTime::parse(&a).unwrap().seconds(), LocalTime::parse(&b).unwrap().seconds());
        let expected = match start.cmp(&end) {
            std::cmp::Ordering::Less => start <= second_of_day && second_of_day < end,
            std::cmp::Ordering::Equal => true,
            std::cmp::Ordering::Greater => second_of_day >= start || second_of_day < end,
        };
        prop_assert_eq!(hours_at(now, &daily(Some(&a), Some(&b), Shanghai)).is_open(), expected);
    }

    #[test]
    fn any_text_is_tolerated(start in ".{0,8}", end in ".{0,8}", now in instants()) {
        hours_at(now, &daily(Some(&start), Some(&end), Shanghai));
    }
}

#[test]
fn the_clock_of_open_time_stands_still_outside_the_hours() {
    let office = weekly(&[(1, "09:00", "12:00"), (1, "13:00", "18:00"), (2, "09:00", "18:00")]);
    let written = WrittenHours { weekly: &office, ..WrittenHours::default() };
    let schedule = Schedule::read(&written, Shanghai);
    let plus = |from: &str, minutes| schedule.open_for(at(from), span::minutes(minutes));
    // 2026-11-23 is a Monday.
    assert_eq!(plus("2026-11-23T10:00:00+08:00", 30), at("2026-11-23T10:30:00+08:00"));
    assert_eq!(plus("2026-11-23T11:45:00+08:00", 30), at("2026-11-23T13:15:00+08:00"), "over lunch");
    assert_eq!(plus("2026-11-23T17:50:00+08:00", 30), at("2026-11-24T09:20:00+08:00"), "over night");
    assert_eq!(plus("2026-11-22T03:00:00+08:00", 30), at("2026-11-23T09:30:00+08:00"), "from a closed day");
    assert_eq!(plus("2026-11-23T11:30:00+08:00", 30), at("2026-11-23T12:00:00+08:00"), "to the very end");
    let always = Schedule::read(&WrittenHours::default(), Shanghai);
    assert_eq!(always.open_for(at("2026-11-22T03:00:00+08:00"), span::hours(50)), at("2026-11-24T05:00:00+08:00"));
}
