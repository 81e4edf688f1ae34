//! The scalar types of the wire: ids, instants and dates, with their schema and their checks.

use std::borrow::Cow;

use chrono::NaiveDate;
use domain::{ObjectId, Patch, Timestamp};
use poem_openapi::registry::{MetaSchema, MetaSchemaRef};
use poem_openapi::types::{MaybeUndefined, ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type};
use serde_json::Value;

/// Schema format of an [`Id`].
pub const ID_FORMAT: &str = "object-id";
const ID_PATTERN: &str = "^[0-9a-fA-F]{24}$";

/// The public id of anything: 24 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Id(pub ObjectId);

/// An instant, ISO 8601 with milliseconds and `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instant(pub Timestamp);

/// A calendar date, `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date(pub NaiveDate);

fn text_schema(format: &'static str, example: &str) -> MetaSchema {
    MetaSchema { example: Some(example.into()), ..MetaSchema::new_with_format("string", format) }
}

/// `YYYY-MM-DD` and nothing else; `None` for days that do not exist.
pub fn parse_date(text: &str) -> Option<NaiveDate> {
    if text.len() == 10 { NaiveDate::parse_from_str(text, "%Y-%m-%d").ok() } else { None }
}

macro_rules! scalar {
    ($name:ident, $type_name:literal, $schema:expr, $parse:expr, $show:expr) => {
        impl Type for $name {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> Cow<'static, str> {
                $type_name.into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new($schema))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(std::iter::once(self))
            }
        }

        impl ParseFromParameter for $name {
            fn parse_from_parameter(value: &str) -> ParseResult<Self> {
                let parse: fn(&str) -> Option<Self> = $parse;
                parse(value).ok_or_else(|| ParseError::custom("malformed"))
            }
        }

        impl ParseFromJSON for $name {
            fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
                match value {
                    Some(Value::String(text)) => Self::parse_from_parameter(&text),
                    other => Err(ParseError::expected_type(other.unwrap_or_default())),
                }
            }
        }

        impl ToJSON for $name {
            fn to_json(&self) -> Option<Value> {
                let show: fn(&Self) -> String = $show;
                Some(Value::String(show(self)))
            }
        }
    };
}

scalar!(
    Id,
    "object_id",
    MetaSchema { pattern: Some(ID_PATTERN.into()), ..text_schema(ID_FORMAT, "5daeb07b7b968a0074945056") },
    |text| text.parse().ok().map(Id),
    |id| id.0.to_string()
);
scalar!(
    Instant,
    "instant",
    text_schema("date-time", "2026-01-02T03:04:05.678Z"),
    |text| Timestamp::parse_rfc3339(text).ok().map(Instant),
    |at| at.0.to_rfc3339()
);
scalar!(Date, "date", text_schema("date", "1980-01-31"), |text| parse_date(text).map(Date), |date| date.0.to_string());

macro_rules! typed_ids {
    ($($name:ident),+ $(,)?) => {$(
        impl From<domain::id::$name> for Id {
            fn from(id: domain::id::$name) -> Self {
                Self(id.0)
            }
        }
    )+};
}

typed_ids!(
    UserId,
    PatientId,
    DeskTaskId,
    DoctorId,
    RelationId,
    ConsultationId,
    ConversationId,
    MessageId,
    FileId,
    SessionId,
    AgentId,
    NotificationId,
    JobId,
    ReportId,
    ChallengeId,
    InvitationId,
    AuditId,
    ConsultationEventId,
    SmsMessageId,
    SmsReplyId,
    AssistantId,
    EpisodeId,
    DeskEntryId,
    CannedReplyId,
);

impl From<Timestamp> for Instant {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

/// A patch field as the domain reads it: absent, null or set.
pub fn patch<T, U>(field: MaybeUndefined<T>, convert: impl FnOnce(T) -> U) -> Patch<U> {
    match field {
        MaybeUndefined::Undefined => Patch::Absent,
        MaybeUndefined::Null => Patch::Null,
        MaybeUndefined::Value(value) => Patch::Set(convert(value)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ids_are_shown_in_lower_case_and_refused_when_malformed() {
        let id = Id::parse_from_json(Some(json!("5DAEB07B7B968A0074945056"))).unwrap();
        assert_eq!(id.to_json(), Some(json!("5daeb07b7b968a0074945056")));
        for bad in [json!("5dae"), json!(5), json!(null)] {
            assert!(Id::parse_from_json(Some(bad)).is_err());
        }
    }

    #[test]
    fn dates_are_padded_and_real() {
        assert!(parse_date("2024-02-29").is_some());
        for bad in ["2026-02-29", "2026-2-9", "2026/02/09", "2026-02-09T", ""] {
            assert_eq!(parse_date(bad), None, "{bad}");
        }
    }

    #[test]
    fn absent_null_and_set_reach_the_domain() {
        assert_eq!(patch(MaybeUndefined::<i32>::Undefined, |v| v), Patch::Absent);
        assert_eq!(patch(MaybeUndefined::<i32>::Null, |v| v), Patch::Null);
        assert_eq!(patch(MaybeUndefined::Value(1), |v| v + 1), Patch::Set(2));
    }
}
