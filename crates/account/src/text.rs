//! Text that is kept for people to recognise things by, and so is cut rather than refused.

/// At most `max_chars` characters of `text`, without control characters and surrounding spaces.
pub(crate) fn shortened(text: &str, max_chars: usize) -> String {
    let printable: String = text.trim().chars().filter(|c| !c.is_control()).take(max_chars).collect();
    printable.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_characters_and_cleaned() {
        assert_eq!(shortened("  小米\u{7}手机 ", 3), "小米手");
        assert_eq!(shortened("小米 手机", 3), "小米");
    }
}
