//! One line into one row, repairing what no database could store.

use serde_json::{Map, Value};

use super::RowFault;

/// A row, and whether characters in it were replaced.
#[derive(Debug, PartialEq)]
pub(super) struct Parsed {
    pub(super) row: Map<String, Value>,
    pub(super) is_repaired: bool,
}

/// The class named by a header line `#filetype:JSON-streaming {"type":"Class","class":"_User"}`.
pub(super) fn header_class(line: &[u8]) -> Option<String> {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line).trim_ascii();
    let json = line.strip_prefix(b"#filetype:JSON-streaming")?;
    let header: Value = serde_json::from_slice(json).ok()?;
    Some(header.get("class")?.as_str()?.to_owned())
}

/// Blank lines and those starting with `#` hold no row.
pub(super) fn is_empty_or_comment(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line).trim_ascii();
    line.is_empty() || line.starts_with(b"#")
}

/// Parses a line that is not blank. A byte order mark is skipped.
pub(super) fn parse_line(line: &[u8]) -> Result<Parsed, RowFault> {
    let line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
    let text = String::from_utf8_lossy(line);
    let mut is_repaired = matches!(text, std::borrow::Cow::Owned(_));
    let parsed = serde_json::from_str(&text).or_else(|_| {
        let repaired = replace_lone_surrogates(&text).ok_or(RowFault::NotJson)?;
        is_repaired = true;
        serde_json::from_str(&repaired).or(Err(RowFault::NotJson))
    });
    let value = parsed?;
    let Value::Object(mut row) = value else { return Err(RowFault::NotAnObject) };
    // NUL can stand in JSON only as an escape, so most lines need no look at their values.
    if text.contains("\\u0000") {
        is_repaired |= replace_nul_in_object(&mut row);
    }
    Ok(Parsed { row, is_repaired })
}

/// The rows that a row with `results` holds.
pub(super) fn inner_rows(mut outer: Parsed) -> Vec<Result<Parsed, RowFault>> {
    let is_repaired = outer.is_repaired;
    let row = |value| match value {
        Value::Object(row) => Ok(Parsed { row, is_repaired }),
        _ => Err(RowFault::NotAnObject),
    };
    match outer.row.remove("results") {
        Some(Value::Array(rows)) => rows.into_iter().map(row).collect(),
        _ => vec![Err(RowFault::NotAnObject)],
    }
}

/// Replaces `\uD800`–`\uDFFF` escapes that are not proper pairs; `None` when there are none.
fn replace_lone_surrogates(text: &str) -> Option<String> {
    let mut repaired = String::with_capacity(text.len());
    let mut rest = text;
    let mut is_changed = false;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        repaired.push_str(before);
        let (taken, replaced) = match (unicode_escape(escape), escape.get(6..).and_then(unicode_escape)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (12, false),
            (Some(0xD800..=0xDFFF), _) => (6, true),
            // Skip the escaped character as well: it may be a backslash.
            _ => (1 + escape.chars().nth(1).map_or(0, char::len_utf8), false),
        };
        let (taken, following) = escape.split_at(taken);
        repaired.push_str(if replaced { "\\uFFFD" } else { taken });
        is_changed |= replaced;
        rest = following;
    }
    repaired.push_str(rest);
    is_changed.then_some(repaired)
}

/// The value of a `\uXXXX` escape at the start of `text`.
fn unicode_escape(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u32::from_str_radix(digits, 16).ok()
}

fn replace_nul_in_object(object: &mut Map<String, Value>) -> bool {
    let mut is_changed = false;
    for value in object.values_mut() {
        is_changed |= replace_nul(value);
    }
    if object.keys().any(|key| key.contains('\0')) {
        is_changed = true;
        let renamed = std::mem::take(object).into_iter();
        *object = renamed.map(|(key, value)| (key.replace('\0', "\u{FFFD}"), value)).collect();
    }
    is_changed
}

fn replace_nul(value: &mut Value) -> bool {
    match value {
        Value::String(text) if text.contains('\0') => {
            *text = text.replace('\0', "\u{FFFD}");
            true
        }
        Value::Array(items) => {
            let mut is_changed = false;
            for item in items {
                is_changed |= replace_nul(item);
            }
            is_changed
        }
        Value::Object(object) => replace_nul_in_object(object),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn parse(line: &str) -> Result<(Value, bool), RowFault> {
        parse_line(line.as_bytes()).map(|parsed| (Value::Object(parsed.row), parsed.is_repaired))
    }

    #[test]
    fn headers_name_their_class() {
        let header = br#"#filetype:JSON-streaming {"type": "Class", "class": "_User"}"#;
        assert_eq!(header_class(header).as_deref(), Some("_User"));
        assert_eq!(
            header_class(b"\xEF\xBB\xBF#filetype:JSON-streaming {\"class\":\"Doctor\"}\r").as_deref(),
            Some("Doctor")
        );
        assert_eq!(header_class(b"{\"class\":\"_User\"}"), None);
        assert_eq!(header_class(b"#filetype:JSON-streaming"), None);
    }

    #[test]
    fn byte_order_marks_and_carriage_returns_are_no_part_of_a_row() {
        assert_eq!(parse("\u{FEFF}{\"a\":1}\r"), Ok((json!({"a": 1}), false)));
        assert!(is_empty_or_comment(b" \r"));
        assert!(is_empty_or_comment("\u{FEFF}#x".as_bytes()));
        assert!(!is_empty_or_comment(b"{}"));
    }

    #[test]
    fn what_is_no_object_is_refused() {
        assert_eq!(parse("[1]"), Err(RowFault::NotAnObject));
        for line in
            ["{\"a\":", "{\"a\":1}{", "{a:1}", "{\"a\":1e999}", &format!("{}1{}", "[".repeat(200), "]".repeat(200))]
        {
            assert_eq!(parse(line), Err(RowFault::NotJson), "{line}");
        }
    }

    #[test]
    fn half_surrogates_are_replaced_and_pairs_kept() {
        assert_eq!(parse(r#"{"a":"x\ud83dy"}"#), Ok((json!({"a": "x\u{FFFD}y"}), true)));
        assert_eq!(parse(r#"{"a":"\uDE00\ud83d\ude00"}"#), Ok((json!({"a": "\u{FFFD}😀"}), true)));
        assert_eq!(parse(r#"{"a":"\ud83d\ude00 \\ud83d"}"#), Ok((json!({"a": "😀 \\ud83d"}), false)));
        assert_eq!(parse(r#"{"a":"\ud83d"#), Err(RowFault::NotJson));
    }

    #[test]
    fn nul_is_replaced_wherever_it_is() {
        let row = json!({"a\u{FFFD}": ["\u{FFFD}", {"b": "\u{FFFD}"}], "c": "d"});
        assert_eq!(parse(r#"{"a\u0000":["\u0000",{"b":"\u0000"}],"c":"d"}"#), Ok((row, true)));
        assert_eq!(parse(r#"{"a":"\\u0000"}"#), Ok((json!({"a": "\\u0000"}), false)));
    }

    #[test]
    fn broken_utf8_is_replaced() {
        let parsed = parse_line(b"{\"a\":\"\xE7\x8E\"}").unwrap();
        assert_eq!((parsed.row["a"].as_str(), parsed.is_repaired), (Some("\u{FFFD}"), true));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_panic(line in prop::collection::vec(any::<u8>(), 0..80), text in r#"[\\ud8cD0-9{}":,a-f王]{0,60}"#) {
            let _ = parse_line(&line);
            let _ = replace_lone_surrogates(&text);
            let _ = header_class(&line);
        }

        #[test]
        fn any_object_comes_back_as_it_was(text in "[^\0]*", number in any::<i64>()) {
            let row = json!({"t": text, "n": number, "l": [null, true]});
            prop_assert_eq!(parse(&row.to_string()), Ok((row, false)));
        }
    }
}
