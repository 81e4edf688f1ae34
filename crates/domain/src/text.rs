//! Bounds on free text.

use crate::FieldError;

/// Trims `value` and checks that it has at most `max_chars` characters and no control characters
/// except line breaks and tabs.
///
/// # Errors
/// A [`FieldError`] naming `field`.
pub fn bounded(field: &str, value: &str, max_chars: usize) -> Result<String, FieldError> {
    let trimmed = value.trim();
    if trimmed.chars().count() > max_chars {
        return Err(FieldError::new(field, format!("must have at most {max_chars} characters")));
    }
    if trimmed.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) {
        return Err(FieldError::new(field, "must not contain control characters"));
    }
    Ok(trimmed.to_owned())
}

/// Like [`bounded`], and refuses empty text.
///
/// # Errors
/// A [`FieldError`] naming `field`.
pub fn required(field: &str, value: &str, max_chars: usize) -> Result<String, FieldError> {
    let text = bounded(field, value, max_chars)?;
    if text.is_empty() {
        return Err(FieldError::new(field, "must not be empty"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_characters_not_bytes_at_the_boundary() {
        assert_eq!(bounded("name", "王王", 2).unwrap(), "王王");
        assert_eq!(bounded("name", "王王王", 2).unwrap_err().field, "name");
    }

    #[test]
    fn control_characters_and_empty_text_are_refused() {
        assert!(bounded("remark", "a\u{0}b", 9).is_err());
        assert!(bounded("remark", "a\nb", 9).is_ok());
        assert!(required("reason", "  ", 9).is_err());
    }
}
