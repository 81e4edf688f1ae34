//! Durations as people write them: `48h`, `10m`, `1h 30m`, `500ms`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};

const EXPECTED: &str = "is a duration like \"48h\", \"10m\", \"1h 30m\" or \"500ms\"";

/// Reads numbers with their units (`ms`, `s`, `m`, `h`, `d`), summed; `None` for anything else.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let (number, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let (unit, after) = after.split_at(after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len()));
        let unit_ms: u64 = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let ms = number.parse::<u64>().ok()?.checked_mul(unit_ms)?;
        total = total.checked_add(Duration::from_millis(ms))?;
        rest = after.trim_start();
    }
    Some(total)
}

/// For `#[serde(deserialize_with)]`.
pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).ok_or_else(|| de::Error::custom(EXPECTED))
}

/// For `#[serde(deserialize_with)]` where the empty text or `off` means none.
pub(super) fn deserialize_or_off<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if matches!(text.trim(), "" | "off") {
        return Ok(None);
    }
    parse(&text).map(Some).ok_or_else(|| de::Error::custom(format!("{EXPECTED}, or \"off\"")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_units_are_summed() {
        for (text, seconds) in [("48h", 172_800), ("10m", 600), ("1h 30m", 5_400), ("1h30m", 5_400), (" 2d ", 172_800)]
        {
            assert_eq!(parse(text), Some(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(parse("0s"), Some(Duration::ZERO));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", " ", "48", "h", "-1h", "1.5h", "10 min", "1h,30m", "99999999999999999999h", "9999999999999999d"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
