//! JSON objects out of a byte stream, whatever lists them: arrays as the REST interface answers them, several arrays
//! after another, one object a line, or an answer with `results` around them.
//!
//! Holds one object in memory. What stands between objects is skipped as long as it is brackets, commas and blanks;
//! anything else is told once, and reading goes on at the next line.

use std::io::{BufRead, Result};

/// What [`Objects::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// The text of an object, and the line it begins in.
    Object(&'a [u8], u64),
    /// An object that is longer than the limit; it was skipped.
    TooLong(u64),
    /// Something that is no object.
    Garbage(u64),
}

/// Reads objects one after the other.
pub(super) struct Objects<R> {
    reader: R,
    buffer: Vec<u8>,
    max: usize,
    line: u64,
    is_line_start: bool,
}

/// What the next byte means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Between,
    /// To the end of the line, which is a comment or garbage.
    Rest,
    /// In an object, this deep.
    Inside(u32),
    Text(u32),
    Escape(u32),
}

impl<R: BufRead> Objects<R> {
    pub(super) const fn new(reader: R, max: usize) -> Self {
        Self { reader, buffer: Vec::new(), max, line: 1, is_line_start: true }
    }

    /// The next object; `None` at the end. An object that the end cuts off is garbage.
    pub(super) fn next(&mut self) -> Result<Option<Found<'_>>> {
        self.buffer.clear();
        let mut state = State::Between;
        let mut begins_in = self.line;
        let mut is_too_long = false;
        let mut garbage = None;
        loop {
            let available = match self.reader.fill_buf() {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if available.is_empty() {
                let is_cut_off = !matches!(state, State::Between | State::Rest);
                return Ok(garbage.or(is_cut_off.then_some(begins_in)).map(Found::Garbage));
            }
            let mut used = 0;
            let mut kept_from = 0;
            let mut is_complete = false;
            for byte in available {
                used += 1;
                if *byte == b'\n' {
                    self.line += 1;
                }
                let was_line_start = std::mem::replace(&mut self.is_line_start, *byte == b'\n');
                state = match (state, byte) {
                    (State::Between, b'{') => {
                        begins_in = self.line;
                        kept_from = used - 1;
                        State::Inside(1)
                    }
                    (State::Between, b'[' | b']' | b',' | b' ' | b'\t' | b'\r' | b'\n' | 0xEF | 0xBB | 0xBF) => state,
                    (State::Between, b'#') if was_line_start => State::Rest,
                    (State::Between, _) => {
                        garbage = Some(self.line);
                        State::Rest
                    }
                    (State::Rest, b'\n') => State::Between,
                    (State::Inside(depth), b'"') | (State::Escape(depth), _) => State::Text(depth),
                    (State::Inside(depth), b'{' | b'[') => State::Inside(depth + 1),
                    (State::Inside(1), b'}' | b']') => {
                        is_complete = true;
                        State::Between
                    }
                    (State::Inside(depth), b'}' | b']') => State::Inside(depth - 1),
                    (State::Text(depth), b'\\') => State::Escape(depth),
                    (State::Text(depth), b'"') => State::Inside(depth),
                    _ => state,
                };
                if is_complete || (garbage.is_some() && state == State::Between) {
                    break;
                }
            }
            let is_inside = is_complete || !matches!(state, State::Between | State::Rest);
            let taken = available.get(kept_from..used).filter(|_| is_inside).unwrap_or_default();
            if self.buffer.len() + taken.len() > self.max {
                is_too_long = true;
                self.buffer.clear();
            } else if !is_too_long {
                self.buffer.extend_from_slice(taken);
            }
            self.reader.consume(used);
            if let Some(line) = garbage.filter(|_| state == State::Between) {
                return Ok(Some(Found::Garbage(line)));
            }
            if is_complete {
                let found =
                    if is_too_long { Found::TooLong(begins_in) } else { Found::Object(&self.buffer, begins_in) };
                return Ok(Some(found));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn found(bytes: &[u8], max: usize) -> Vec<String> {
        // A tiny buffer, so that objects span several reads.
        let mut objects = Objects::new(BufReader::with_capacity(3, bytes), max);
        let mut found = Vec::new();
        while let Some(next) = objects.next().unwrap() {
            found.push(match next {
                Found::Object(text, line) => format!("{line} {}", String::from_utf8_lossy(text)),
                Found::TooLong(line) => format!("{line} too long"),
                Found::Garbage(line) => format!("{line} garbage"),
            });
        }
        found
    }

    #[rstest]
    #[case("[{\"a\":1},{\"b\":[{}]}]", &["1 {\"a\":1}", "1 {\"b\":[{}]}"])]
    #[case("[\n {\"a\":\"}\\\"{\"},\n {}\n]\n[{\"c\":1}]", &["2 {\"a\":\"}\\\"{\"}", "3 {}", "5 {\"c\":1}"])]
    #[case("#filetype:x {\"class\":\"y\"}\n{\"a\":1}\r\n\n{\"b\":2}", &["2 {\"a\":1}", "4 {\"b\":2}"])]
    #[case("\u{FEFF}[]", &[])]
    #[case("", &[])]
    #[case("nonsense\n{\"a\":1}", &["1 garbage", "2 {\"a\":1}"])]
    #[case("[{\"a\":1},{\"b\":", &["1 {\"a\":1}", "1 garbage"])]
    fn objects_are_found_wherever_they_stand(#[case] text: &str, #[case] expected: &[&str]) {
        assert_eq!(found(text.as_bytes(), 100), expected);
    }

    #[test]
    fn the_limit_is_inclusive_and_skips_only_the_long_object() {
        assert_eq!(found(b"[{\"a\":1},{\"abcd\":1},{}]", 7), ["1 {\"a\":1}", "1 too long", "1 {}"]);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(prop::sample::select(b"[]{},:\"\\#\na1 ".to_vec()), 0..80)) {
            let _ = found(&bytes, 16);
        }

        #[test]
        fn every_object_of_an_array_comes_back(texts in prop::collection::vec("[^\0]{0,12}", 0..6)) {
            let objects: Vec<String> = texts.iter().map(|text| serde_json::json!({ "t": text, "l": [{}] }).to_string()).collect();
            let expected: Vec<String> = objects.iter().map(|object| format!("1 {object}")).collect();
            prop_assert_eq!(found(format!("[{}]", objects.join(",")).as_bytes(), 10_000), expected);
        }
    }
}
