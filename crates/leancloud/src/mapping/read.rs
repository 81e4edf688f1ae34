//! Reads single values, tolerating the forms that exports hold.

use chrono::NaiveDate;
use domain::money::Fen;
use domain::patient::{check_birthday, check_range};
use domain::{ObjectId, Phone, Timestamp};
use serde_json::Value;

use super::MapContext;
use crate::finding::Problem;
use crate::wire::Typed;

/// Nothing was filled in: an empty or blank string.
pub(super) fn is_blank(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.trim().is_empty())
}

/// A string, or a number written out.
pub(super) fn text(value: &Value) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(Problem::WrongType),
    }
}

/// A boolean, also as 0 or 1 or in words.
pub(super) fn flag(value: &Value) -> Result<bool, Problem> {
    match text(value).unwrap_or_default().trim() {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => value.as_bool().ok_or(Problem::WrongType),
    }
}

/// A number, also as a string and with one of the given units behind it.
pub(super) fn number(value: &Value, units: &[&str]) -> Result<f64, Problem> {
    if let Some(number) = value.as_f64() {
        return Ok(number);
    }
    let text = value.as_str().ok_or(Problem::WrongType)?.trim().to_lowercase();
    let digits = units.iter().find_map(|unit| text.strip_suffix(unit)).unwrap_or(&text);
    digits.trim_end().parse().ok().filter(|number: &f64| number.is_finite()).ok_or(Problem::WrongType)
}

/// A number within bounds.
pub(super) fn measure(value: &Value, units: &[&str], bounds: (f64, f64)) -> Result<f64, Problem> {
    check_range("", number(value, units)?, bounds).or(Err(Problem::OutOfRange))
}

/// A price in yuan with at most two decimals.
pub(super) fn price(value: &Value) -> Result<Fen, Problem> {
    let yuan = number(value, &[]).or(Err(Problem::BadPrice))?;
    let fen = Fen::from_yuan(yuan).ok_or(Problem::BadPrice)?;
    if (fen.to_yuan() - yuan).abs() < 1e-9 { Ok(fen) } else { Err(Problem::BadPrice) }
}

pub(super) fn phone(value: &Value) -> Result<Phone, Problem> {
    text(value)?.trim().parse().or(Err(Problem::BadPhone))
}

/// A day: `1980-01-31`, unpadded or with other separators, or an instant on that day in the business time zone.
pub(super) fn birthday(value: &Value, context: &MapContext) -> Result<NaiveDate, Problem> {
    let written = match time(value) {
        Ok(at) => context.local_date(at).to_string(),
        Err(_) => normal_date(value.as_str().ok_or(Problem::WrongType)?).ok_or(Problem::BadBirthday)?,
    };
    check_birthday(&written, context.today()).or(Err(Problem::BadBirthday))
}

/// `1980/1/2` and the like as `1980-01-02`.
fn normal_date(text: &str) -> Option<String> {
    let separators = ['-', '/', '.', '年', '月'];
    let mut parts = text.trim().trim_end_matches('日').split(separators);
    let mut part = |digits: std::ops::RangeInclusive<usize>| -> Option<u32> {
        let part = parts.next()?;
        let is_digits = digits.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        if is_digits { part.parse().ok() } else { None }
    };
    let (year, month, day) = (part(4..=4)?, part(1..=2)?, part(1..=2)?);
    parts.next().is_none().then(|| format!("{year:04}-{month:02}-{day:02}"))
}

/// An instant: ISO text, `{"__type":"Date"}`.
pub(super) fn time(value: &Value) -> Result<Timestamp, Problem> {
    match (value, Typed::parse(value)) {
        (_, Some(Typed::Date(at))) => Ok(at),
        (Value::String(text), _) => Timestamp::parse_rfc3339(text.trim()).or(Err(Problem::BadTime)),
        _ => Err(Problem::BadTime),
    }
}

/// The id in a pointer to one of `classes`, or in a plain string. No classes: any.
pub(super) fn reference(value: &Value, classes: &[&str]) -> Result<ObjectId, Problem> {
    match (value, Typed::parse(value)) {
        (_, Some(Typed::Pointer(pointer))) if classes.is_empty() || classes.contains(&pointer.class.as_str()) => {
            Ok(pointer.id)
        }
        (Value::String(text), _) => text.trim().parse().or(Err(Problem::BadReference)),
        _ => Err(Problem::BadReference),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;
    use serde_json::json;

    use super::super::tests::context;
    use super::*;

    #[rstest]
    #[case(json!("1982-12-26"), Ok("1982-12-26"))]
    #[case(json!("1982/1/2"), Ok("1982-01-02"))]
    #[case(json!("1982年1月2日"), Ok("1982-01-02"))]
    #[case(json!({"__type": "Date", "iso": "1982-12-25T16:00:00.000Z"}), Ok("1982-12-26"))]
    #[case(json!("1982-02-30"), Err(Problem::BadBirthday))]
    #[case(json!("2099-01-01"), Err(Problem::BadBirthday))]
    #[case(json!("1850-01-01"), Err(Problem::BadBirthday))]
    #[case(json!("保密"), Err(Problem::BadBirthday))]
    #[case(json!("1982-1-2-3"), Err(Problem::BadBirthday))]
    #[case(json!(1982), Err(Problem::WrongType))]
    fn birthdays(#[case] value: Value, #[case] expected: Result<&str, Problem>) {
        assert_eq!(birthday(&value, &context()).map(|date| date.to_string()), expected.map(str::to_owned));
    }

    #[rstest]
    #[case(json!(29.9), Ok(2_990))]
    #[case(json!("29.90"), Ok(2_990))]
    #[case(json!(0), Ok(0))]
    #[case(json!("免费"), Err(Problem::BadPrice))]
    #[case(json!(-1), Err(Problem::BadPrice))]
    #[case(json!(9.999), Err(Problem::BadPrice))]
    #[case(json!(1e9), Err(Problem::BadPrice))]
    #[case(json!([1]), Err(Problem::BadPrice))]
    fn prices(#[case] value: Value, #[case] expected: Result<i64, Problem>) {
        assert_eq!(price(&value).map(Fen::as_fen), expected);
    }

    #[rstest]
    #[case(json!("188"), Ok(188.0))]
    #[case(json!("188 CM"), Ok(188.0))]
    #[case(json!(188.5), Ok(188.5))]
    #[case(json!("1.88"), Err(Problem::OutOfRange))]
    #[case(json!("高"), Err(Problem::WrongType))]
    #[case(json!("inf"), Err(Problem::WrongType))]
    #[case(json!(true), Err(Problem::WrongType))]
    fn heights(#[case] value: Value, #[case] expected: Result<f64, Problem>) {
        assert_eq!(measure(&value, &["cm"], domain::patient::HEIGHT_CM), expected);
    }

    #[test]
    fn flags_are_read_from_words_and_digits() {
        for (value, expected) in [(json!(true), true), (json!(0), false), (json!("1"), true), (json!("false"), false)] {
            assert_eq!(flag(&value), Ok(expected), "{value}");
        }
        for bad in [json!("yes"), json!(2), json!({}), json!("")] {
            assert_eq!(flag(&bad), Err(Problem::WrongType), "{bad}");
        }
    }

    #[test]
    fn references_are_pointers_of_the_right_class_or_ids() {
        let id = "5daeb07b7b968a0074945056";
        let pointer = |class: &str| json!({"__type": "Pointer", "className": class, "objectId": id});
        assert_eq!(reference(&json!(id), &["Doctor"]).map(|id| id.to_string()).as_deref(), Ok(id));
        assert!(reference(&pointer("Doctor"), &["Doctor"]).is_ok());
        assert!(reference(&pointer("Report"), &[]).is_ok());
        assert_eq!(reference(&pointer("Patients"), &["Doctor"]), Err(Problem::BadReference));
        assert_eq!(reference(&json!("x"), &["Doctor"]), Err(Problem::BadReference));
        assert_eq!(reference(&json!(5), &["Doctor"]), Err(Problem::BadReference));
    }
}
