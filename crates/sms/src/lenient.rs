//! Reading fields that providers write now as text, now as a number.

use std::str::FromStr;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Text, or a number or a yes or no written as text; `None` for anything else, so that one odd field does not spoil
/// what stands beside it.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    })
}

/// A number, or text that holds one.
pub(crate) fn number<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(text(deserializer)?.and_then(|text| text.trim().parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, PartialEq, Debug)]
    struct Row {
        #[serde(default, deserialize_with = "text")]
        id: Option<String>,
        #[serde(default, deserialize_with = "number")]
        count: Option<u32>,
    }

    #[test]
    fn text_and_numbers_stand_for_one_another() {
        let read = |text: &str| serde_json::from_str::<Row>(text).unwrap();
        let row = |id: Option<&str>, count| Row { id: id.map(str::to_owned), count };
        assert_eq!(read(r#"{"id":"7","count":"2"}"#), row(Some("7"), Some(2)));
        assert_eq!(read(r#"{"id":7,"count":2}"#), row(Some("7"), Some(2)));
        assert_eq!(read(r#"{"id":true,"count":-1}"#), row(Some("true"), None));
        assert_eq!(read(r#"{"id":null,"count":{}}"#), row(None, None));
        assert_eq!(read("{}"), row(None, None));
    }
}
