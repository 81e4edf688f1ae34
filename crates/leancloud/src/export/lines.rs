//! Lines of bounded length from a byte stream.

use std::io::{BufRead, Result};

/// What [`read_line`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Line {
    /// A line is in the buffer, without its line break.
    Read,
    /// The line was longer than the limit; it was skipped.
    TooLong,
    End,
}

/// Reads the next line into `buffer`, holding at most `max` bytes of it in memory.
pub(super) fn read_line(reader: &mut impl BufRead, buffer: &mut Vec<u8>, max: usize) -> Result<Line> {
    buffer.clear();
    let mut is_too_long = false;
    let mut is_started = false;
    loop {
        let available = match reader.fill_buf() {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        if available.is_empty() {
            return Ok(match (is_started, is_too_long) {
                (false, _) => Line::End,
                (true, true) => Line::TooLong,
                (true, false) => Line::Read,
            });
        }
        is_started = true;
        let newline = available.iter().position(|byte| *byte == b'\n');
        let content = available.get(..newline.unwrap_or(available.len())).unwrap_or_default();
        if buffer.len() + content.len() > max {
            is_too_long = true;
            buffer.clear();
        } else if !is_too_long {
            buffer.extend_from_slice(content);
        }
        let used = content.len() + usize::from(newline.is_some());
        reader.consume(used);
        if newline.is_some() {
            return Ok(if is_too_long { Line::TooLong } else { Line::Read });
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(text: &str, max: usize) -> Vec<Option<String>> {
        // A tiny buffer, so that lines span several reads.
        let mut reader = BufReader::with_capacity(3, text.as_bytes());
        let mut buffer = Vec::new();
        let mut found = Vec::new();
        loop {
            match read_line(&mut reader, &mut buffer, max).unwrap() {
                Line::Read => found.push(Some(String::from_utf8(buffer.clone()).unwrap())),
                Line::TooLong => found.push(None),
                Line::End => return found,
            }
        }
    }

    fn some(lines: &[&str]) -> Vec<Option<String>> {
        lines.iter().map(|line| Some((*line).to_owned())).collect()
    }

    #[test]
    fn lines_end_at_breaks_and_at_the_end() {
        assert_eq!(lines("ab\n\ncdefgh", 100), some(&["ab", "", "cdefgh"]));
        assert_eq!(lines("ab\n", 100), some(&["ab"]));
        assert_eq!(lines("", 100), some(&[]));
    }

    #[test]
    fn the_limit_is_inclusive_and_skips_only_the_long_line() {
        assert_eq!(lines("abcde\nfgh", 5), some(&["abcde", "fgh"]));
        assert_eq!(lines("abcdef\nfgh", 5), vec![None, Some("fgh".into())]);
        assert_eq!(lines("fgh\nabcdefghijkl", 5), vec![Some("fgh".into()), None]);
    }
}
