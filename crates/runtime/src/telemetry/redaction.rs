//! What must never reach a log, whoever writes it: fields with telling names, and phone numbers anywhere.
//!
//! A second line of defence. The first is that types holding secrets have no revealing `Debug`.

use std::borrow::Cow;
use std::ops::Range;

/// Written in the place of a field's value.
pub(super) const REDACTED: &str = "[redacted]";

/// Fields, or last parts of dotted fields, whose values are never written.
const SENSITIVE: [&str; 17] = [
    "authorization",
    "body",
    "code",
    "cookie",
    "key",
    "master_key",
    "openid",
    "password",
    "phone",
    "secret",
    "session",
    "session_key",
    "session_token",
    "sign",
    "text",
    "token",
    "unionid",
];

pub(super) fn is_sensitive(field: &str) -> bool {
    let last = field.rsplit('.').next().unwrap_or(field);
    SENSITIVE.iter().any(|name| last.eq_ignore_ascii_case(name))
}

/// Masks the middle of every mainland phone number: `13812348000` becomes `138****8000`.
///
/// A number is eleven digits starting with 13 to 19, perhaps after 86, with no letter or digit on either
/// side: ids, digests and instants in milliseconds stay as they are.
pub(super) fn mask_phones(text: &str) -> Cow<'_, str> {
    let mut masked: Option<Vec<u8>> = None;
    for middle in (Phones { bytes: text.as_bytes(), at: 0 }) {
        if let Some(stars) = masked.get_or_insert_with(|| text.as_bytes().to_vec()).get_mut(middle) {
            stars.fill(b'*');
        }
    }
    // Only ASCII digits were replaced, by ASCII, so the text is still UTF-8.
    masked.and_then(|bytes| String::from_utf8(bytes).ok()).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Finds the middle four digits of each phone number.
struct Phones<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Iterator for Phones<'_> {
    type Item = Range<usize>;

    fn next(&mut self) -> Option<Range<usize>> {
        while let Some(rest) = self.bytes.get(self.at..).filter(|rest| !rest.is_empty()) {
            let word = rest.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
            let start = self.at;
            self.at += word.max(1);
            let phone_start = match rest.get(..word) {
                Some(word) if is_phone(word) => start,
                Some([b'8', b'6', phone @ ..]) if is_phone(phone) => start + 2,
                Some([b'0', b'0', b'8', b'6', phone @ ..]) if is_phone(phone) => start + 4,
                _ => continue,
            };
            return Some(phone_start + 3..phone_start + 7);
        }
        None
    }
}

fn is_phone(word: &[u8]) -> bool {
    matches!(word, [b'1', b'3'..=b'9', rest @ ..] if rest.len() == 9 && rest.iter().all(u8::is_ascii_digit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_are_masked_wherever_they_stand() {
        for (text, masked) in [
            ("13812348000", "138****8000"),
            ("call +8613812348000, now", "call +86138****8000, now"),
            ("{\"mobilePhoneNumber\":\"13812348000\"}", "{\"mobilePhoneNumber\":\"138****8000\"}"),
            ("电话13812348000和008619912348000。", "电话138****8000和0086199****8000。"),
            ("13812348000 13912348001", "138****8000 139****8001"),
        ] {
            assert_eq!(mask_phones(text), masked);
        }
    }

    #[test]
    fn ids_instants_and_short_numbers_stay() {
        for text in
            ["5daeb07b7b968a0074945056", "a13812348000", "1767323045678", "138123480001", "12345678901", "", "王"]
        {
            assert!(matches!(mask_phones(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn telling_names_are_sensitive_also_as_the_last_part() {
        for field in ["token", "phone", "sms.code", "http.request.Body", "Authorization"] {
            assert!(is_sensitive(field), "{field}");
        }
        for field in ["message", "consultation.id", "code_count", "error.code.kind", "session.id"] {
            assert!(!is_sensitive(field), "{field}");
        }
    }
}
