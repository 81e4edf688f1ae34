//! Doctors on the wire.

use domain::Actor;
use domain::doctor::{Doctor, DoctorPatch};
use domain::hours::{DatedHours, DayWindow, WeeklyWindow};
use domain::id::FileId;
use domain::money::Fen;
use poem_openapi::Object;
use poem_openapi::types::MaybeUndefined;

use crate::http::files::links::{FileRef, Links};
use crate::http::patients::dto::phone_for;
use crate::http::values::{Date, Id, Instant, patch};
use crate::http::words::{CertificationState, Gender};

/// Opening on one weekday.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct WeeklyHours {
    /// ISO weekday, 1 = Monday … 7 = Sunday.
    #[oai(validator(minimum(value = "1"), maximum(value = "7")))]
    pub weekday: u8,
    /// `HH:mm`. A start after the end runs past midnight; equal means all day.
    #[oai(validator(max_length = 8))]
    pub start: String,
    /// `HH:mm`; 24:00 is the end of the day.
    #[oai(validator(max_length = 8))]
    pub end: String,
}

/// One window of a day.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct DayHours {
    /// `HH:mm`.
    #[oai(validator(max_length = 8))]
    pub start: String,
    /// `HH:mm`; 24:00 is the end of the day.
    #[oai(validator(max_length = 8))]
    pub end: String,
}

/// The hours of one date, instead of the usual ones. No windows: closed all day.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct HourException {
    /// The date, in the doctor's time zone.
    pub date: Date,
    /// The windows of that date.
    #[oai(validator(max_items = 6))]
    pub windows: Vec<DayHours>,
}

/// A doctor as everybody may see them.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct DoctorCard {
    /// The doctor's id.
    pub object_id: Id,
    /// Name.
    pub name: Option<String>,
    /// Gender.
    pub gender: Option<Gender>,
    /// Picture.
    pub icon: Option<FileRef>,
    /// Hospital.
    pub hospital: Option<String>,
    /// Department.
    pub department: Option<String>,
    /// Professional title.
    pub title: Option<String>,
    /// What the doctor says of themselves.
    pub description: Option<String>,
    /// State of certification.
    pub authenticated: CertificationState,
    /// Whether the doctor wants to be told of consultations at all.
    pub start_consultation: Option<bool>,
    /// Start of the daily hours, `HH:mm`.
    pub start_consultation_time: Option<String>,
    /// End of the daily hours, `HH:mm`.
    pub end_consultation_time: Option<String>,
    /// IANA time zone of the hours; the server's business time zone when absent.
    pub timezone: Option<String>,
    /// Hours by weekday; when not empty they replace the daily hours.
    pub weekly_hours: Vec<WeeklyHours>,
    /// Hours of single dates; they replace everything else on their date.
    pub hour_exceptions: Vec<HourException>,
    /// Price of an ordinary consultation in fen (1/100 yuan).
    pub normal_consulting_price: Option<i64>,
    /// Price of a consultation by phone in fen (1/100 yuan).
    pub phone_consulting_price: Option<i64>,
    /// Whether ordinary consultations are offered; absent counts as true.
    pub is_normal_consulting_open: Option<bool>,
    /// Whether consultations by phone are offered; absent counts as false.
    pub is_phone_consulting_open: Option<bool>,
}

/// A doctor's whole profile.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct DoctorView {
    /// The part everybody may see.
    #[oai(flatten)]
    pub card: DoctorCard,
    /// Phone number, E.164; for staff with its middle hidden.
    pub phone: Option<String>,
    /// Why the last certification was rejected or revoked.
    pub reject_reason: Option<String>,
    /// When the certification was last reviewed.
    pub reviewed_at: Option<Instant>,
    /// When the account was closed, for those who look after the records.
    pub closed_at: Option<Instant>,
    /// When the profile was made.
    pub created_at: Instant,
    /// When it last changed.
    pub updated_at: Instant,
}

/// What a doctor may change of the own profile. Changing name, hospital, department or title of a certified doctor
/// calls for a new review.
#[derive(Debug, Clone, Object)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct DoctorProfilePatch {
    /// Name.
    #[oai(validator(max_length = 50))]
    pub name: MaybeUndefined<String>,
    /// Gender.
    pub gender: MaybeUndefined<Gender>,
    /// Picture: an image the doctor uploaded.
    pub icon: MaybeUndefined<Id>,
    /// Hospital.
    #[oai(validator(max_length = 100))]
    pub hospital: MaybeUndefined<String>,
    /// Department.
    #[oai(validator(max_length = 100))]
    pub department: MaybeUndefined<String>,
    /// Professional title.
    #[oai(validator(max_length = 100))]
    pub title: MaybeUndefined<String>,
    /// What the doctor says of themselves.
    #[oai(validator(max_length = 2000))]
    pub description: MaybeUndefined<String>,
    /// Whether the doctor wants to be told of consultations at all.
    pub start_consultation: MaybeUndefined<bool>,
    /// Start of the daily hours, `HH:mm`. Both sides are set or neither.
    #[oai(validator(max_length = 8))]
    pub start_consultation_time: MaybeUndefined<String>,
    /// End of the daily hours, `HH:mm`; 24:00 is the end of the day.
    #[oai(validator(max_length = 8))]
    pub end_consultation_time: MaybeUndefined<String>,
    /// IANA time zone of the hours, e.g. `Asia/Shanghai`.
    #[oai(validator(max_length = 64))]
    pub timezone: MaybeUndefined<String>,
    /// Hours by weekday; when not empty they replace the daily hours.
    #[oai(validator(max_items = 28))]
    pub weekly_hours: MaybeUndefined<Vec<WeeklyHours>>,
    /// Hours of single dates.
    #[oai(validator(max_items = 60))]
    pub hour_exceptions: MaybeUndefined<Vec<HourException>>,
    /// Price of an ordinary consultation in fen (1/100 yuan).
    #[oai(validator(minimum(value = "0"), maximum(value = "10000000")))]
    pub normal_consulting_price: MaybeUndefined<i64>,
    /// Price of a consultation by phone in fen (1/100 yuan).
    #[oai(validator(minimum(value = "0"), maximum(value = "10000000")))]
    pub phone_consulting_price: MaybeUndefined<i64>,
    /// Whether ordinary consultations are offered.
    pub is_normal_consulting_open: MaybeUndefined<bool>,
    /// Whether consultations by phone are offered.
    pub is_phone_consulting_open: MaybeUndefined<bool>,
}

impl From<WeeklyWindow> for WeeklyHours {
    fn from(window: WeeklyWindow) -> Self {
        Self { weekday: window.weekday, start: window.start, end: window.end }
    }
}

impl From<WeeklyHours> for WeeklyWindow {
    fn from(window: WeeklyHours) -> Self {
        Self { weekday: window.weekday, start: window.start, end: window.end }
    }
}

impl From<DatedHours> for HourException {
    fn from(day: DatedHours) -> Self {
        let windows = day.windows.into_iter().map(|w| DayHours { start: w.start, end: w.end });
        Self { date: Date(day.date), windows: windows.collect() }
    }
}

impl From<HourException> for DatedHours {
    fn from(day: HourException) -> Self {
        let windows = day.windows.into_iter().map(|w| DayWindow { start: w.start, end: w.end });
        Self { date: day.date.0, windows: windows.collect() }
    }
}

impl DoctorCard {
    pub fn of(doctor: Doctor, links: Links<'_>) -> Self {
        Self {
            object_id: doctor.id.into(),
            name: doctor.name,
            gender: doctor.gender.map(Gender::from),
            icon: doctor.icon.map(|icon| links.file(icon)),
            hospital: doctor.hospital,
            department: doctor.department,
            title: doctor.title,
            description: doctor.description,
            authenticated: doctor.certification.into(),
            start_consultation: doctor.start_consultation,
            start_consultation_time: doctor.start_consultation_time,
            end_consultation_time: doctor.end_consultation_time,
            timezone: doctor.timezone,
            weekly_hours: doctor.weekly_hours.into_iter().map(WeeklyHours::from).collect(),
            hour_exceptions: doctor.hour_exceptions.into_iter().map(HourException::from).collect(),
            normal_consulting_price: doctor.normal_price.map(Fen::as_fen),
            phone_consulting_price: doctor.phone_price.map(Fen::as_fen),
            is_normal_consulting_open: doctor.is_normal_open,
            is_phone_consulting_open: doctor.is_phone_open,
        }
    }
}

impl DoctorView {
    /// The whole profile; staff see the phone number masked until they ask for it to be revealed.
    pub fn of(mut doctor: Doctor, reader: &Actor, links: Links<'_>) -> Self {
        Self {
            phone: doctor.phone.take().map(|phone| phone_for(reader, &phone)),
            reject_reason: doctor.reject_reason.take(),
            reviewed_at: doctor.reviewed_at.map(Instant),
            closed_at: doctor.closed_at.map(Instant),
            created_at: Instant(doctor.created_at),
            updated_at: Instant(doctor.updated_at),
            card: DoctorCard::of(doctor, links),
        }
    }
}

impl From<DoctorProfilePatch> for DoctorPatch {
    fn from(sent: DoctorProfilePatch) -> Self {
        Self {
            name: patch(sent.name, |v| v),
            gender: patch(sent.gender, |v| domain::gender::Gender::from(v).as_str().to_owned()),
            icon: patch(sent.icon, |v| FileId(v.0)),
            hospital: patch(sent.hospital, |v| v),
            department: patch(sent.department, |v| v),
            title: patch(sent.title, |v| v),
            description: patch(sent.description, |v| v),
            start_consultation: patch(sent.start_consultation, |v| v),
            start_consultation_time: patch(sent.start_consultation_time, |v| v),
            end_consultation_time: patch(sent.end_consultation_time, |v| v),
            timezone: patch(sent.timezone, |v| v),
            weekly_hours: patch(sent.weekly_hours, |v| v.into_iter().map(WeeklyWindow::from).collect()),
            hour_exceptions: patch(sent.hour_exceptions, |v| v.into_iter().map(DatedHours::from).collect()),
            normal_price_fen: patch(sent.normal_consulting_price, |v| v),
            phone_price_fen: patch(sent.phone_consulting_price, |v| v),
            is_normal_open: patch(sent.is_normal_consulting_open, |v| v),
            is_phone_open: patch(sent.is_phone_consulting_open, |v| v),
            ..Self::default()
        }
    }
}
