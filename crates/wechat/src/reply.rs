//! Reading answers: business refusals hide in HTTP 200, pictures and JSON come under any content type.

use std::fmt;

use serde_json::{Map, Value};

use crate::errcode::{Class, class_of};
use crate::token::TokenError;
use crate::wire::{WireError, WireResponse};

/// Most characters of the platform's message that are kept.
const MAX_MESSAGE_CHARS: usize = 200;
/// Code of a refusal that came as a bare HTTP status.
const HTTP_CODES: std::ops::Range<u16> = 400..500;

/// The platform said no.
#[derive(Clone, PartialEq, Eq)]
pub struct Refusal {
    pub code: i64,
    /// `errmsg` without its rid, shortened, without secrets.
    pub message: String,
    /// Can be resolved with the platform for 7 days.
    pub rid: Option<String>,
}

impl Refusal {
    pub const fn class(&self) -> Class {
        class_of(self.code)
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code, self.message)
    }
}

/// A call did not succeed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CallError {
    /// Nothing can have happened.
    #[error("the platform could not be reached")]
    NotSent,
    /// It may have happened.
    #[error("the platform did not answer in time")]
    Ambiguous,
    #[error("the platform refused with {}", .0.code)]
    Refused(Refusal),
    #[error(transparent)]
    Token(#[from] TokenError),
}

impl From<WireError> for CallError {
    fn from(error: WireError) -> Self {
        match error {
            WireError::NotSent => Self::NotSent,
            WireError::Ambiguous => Self::Ambiguous,
        }
    }
}

impl CallError {
    /// The refusal's class, where the platform refused.
    pub const fn class(&self) -> Option<Class> {
        match self {
            Self::Refused(refusal) => Some(refusal.class()),
            _ => None,
        }
    }

    /// The refusal's code, where the platform refused.
    pub const fn code(&self) -> Option<i64> {
        match self {
            Self::Refused(refusal) => Some(refusal.code),
            _ => None,
        }
    }

    /// One word for metrics.
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Ambiguous => "ambiguous",
            Self::Refused(refusal) => refusal.class().as_str(),
            Self::Token(_) => "no_token",
        }
    }
}

/// Reads a JSON answer.
///
/// # Errors
/// [`CallError::Refused`] for an `errcode` other than 0; [`CallError::Ambiguous`] for anything that is no JSON object.
pub fn read_json(response: &WireResponse, secrets: &[&str]) -> Result<Map<String, Value>, CallError> {
    let Ok(Value::Object(map)) = serde_json::from_slice(&response.body) else {
        return Err(if HTTP_CODES.contains(&response.status) {
            let code = i64::from(response.status);
            CallError::Refused(Refusal { code, message: "the address is not served".to_owned(), rid: None })
        } else {
            CallError::Ambiguous
        });
    };
    match errcode(&map) {
        0 if response.status < 400 => Ok(map),
        0 => Err(CallError::Ambiguous),
        code => Err(CallError::Refused(refusal(code, &map, secrets))),
    }
}

fn errcode(map: &Map<String, Value>) -> i64 {
    match map.get("errcode") {
        Some(Value::Number(number)) => number.as_i64().unwrap_or(0),
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        _ => 0,
    }
}

fn refusal(code: i64, map: &Map<String, Value>, secrets: &[&str]) -> Refusal {
    let text = map.get("errmsg").and_then(Value::as_str).unwrap_or_default();
    let (message, rid) = match text.split_once("rid:") {
        Some((message, rid)) => (message, Some(plain(rid.trim(), 40))),
        None => (text, None),
    };
    let mut message = message.to_owned();
    for secret in secrets.iter().filter(|secret| secret.len() >= 6) {
        message = message.replace(secret, "…");
    }
    Refusal { code, message: plain(message.trim(), MAX_MESSAGE_CHARS), rid: rid.filter(|rid| !rid.is_empty()) }
}

fn plain(text: &str, max_chars: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(max_chars).collect()
}

/// A picture.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    pub mime_type: &'static str,
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} bytes", self.mime_type, self.bytes.len())
    }
}

/// Reads a picture, known by its first bytes; the content type does not count.
///
/// # Errors
/// As [`read_json`] when it is none.
pub fn read_picture(response: WireResponse, secrets: &[&str]) -> Result<Picture, CallError> {
    match picture_type(&response.body) {
        Some(mime_type) => Ok(Picture { mime_type, bytes: response.body }),
        None => match read_json(&response, secrets) {
            Ok(_) => Err(CallError::Ambiguous),
            Err(error) => Err(error),
        },
    }
}

/// The type of a PNG or JPEG, known by its first bytes. One that begins as a real one and lacks the end was cut off and
/// is none.
pub fn picture_type(bytes: &[u8]) -> Option<&'static str> {
    const PNG_HEAD: &[u8] = b"\x89PNG\r\n\x1a\n";
    const PNG_TAIL: &[u8] = b"IEND\xae\x42\x60\x82";
    let holds = |at: usize, mark: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(mark));
    let (mime_type, is_cut) = if bytes.starts_with(PNG_HEAD) {
        ("image/png", holds(12, b"IHDR") && !bytes.ends_with(PNG_TAIL))
    } else if bytes.starts_with(b"\xff\xd8\xff") {
        let is_real = holds(6, b"JFIF") || holds(6, b"Exif");
        ("image/jpeg", is_real && !bytes.ends_with(b"\xff\xd9"))
    } else {
        return None;
    };
    (!is_cut).then_some(mime_type)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(status: u16, body: &str) -> WireResponse {
        WireResponse { status, body: body.as_bytes().to_vec() }
    }

    #[test]
    fn success_has_errcode_zero_or_none() {
        assert!(read_json(&answer(200, r#"{"errcode":0,"errmsg":"ok","msgid":1}"#), &[]).is_ok());
        assert!(read_json(&answer(200, r#"{"access_token":"x"}"#), &[]).is_ok());
    }

    #[test]
    fn a_refusal_keeps_its_rid_and_no_secret() {
        let body = r#"{"errcode":40164,"errmsg":"invalid ip 1.2.3.4, s3cr3t-token not in whitelist rid: 6-a-b"}"#;
        let Err(CallError::Refused(refusal)) = read_json(&answer(200, body), &["s3cr3t-token"]) else { panic!() };
        assert_eq!(refusal.message, "invalid ip 1.2.3.4, … not in whitelist");
        assert_eq!((refusal.code, refusal.rid.as_deref()), (40164, Some("6-a-b")));
        assert_eq!(refusal.class(), Class::Credentials);
    }

    #[test]
    fn what_is_no_json_object_is_ambiguous() {
        for body in ["", "ok", "[1]", "{\"errcode\":0,\"er", "<html>"] {
            assert!(matches!(read_json(&answer(200, body), &[]), Err(CallError::Ambiguous)), "{body}");
            assert!(matches!(read_json(&answer(502, body), &[]), Err(CallError::Ambiguous)), "{body}");
        }
        assert!(matches!(read_json(&answer(404, "nope"), &[]), Err(CallError::Refused(r)) if r.code == 404));
    }

    #[test]
    fn pictures_are_known_by_their_bytes() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR....IEND\xae\x42\x60\x82".to_vec();
        assert_eq!(read_picture(WireResponse { status: 200, body: png.clone() }, &[]).unwrap().mime_type, "image/png");
        let cut = WireResponse { status: 200, body: png[..18].to_vec() };
        assert!(matches!(read_picture(cut, &[]), Err(CallError::Ambiguous)), "half a picture is none");
        for (bytes, mime_type) in [
            (&b"\x89PNG\r\n\x1a\nany"[..], Some("image/png")),
            (b"\xff\xd8\xff\xe0\0\x10JFIF..\xff\xd9", Some("image/jpeg")),
            (b"\xff\xd8\xff\xe0\0\x10JFIF..", None),
            (b"\xff\xd8\xffany", Some("image/jpeg")),
            (b"GIF89a", None),
        ] {
            assert_eq!(picture_type(bytes), mime_type, "{bytes:?}");
        }
        let refused = answer(200, r#"{"errcode":41030,"errmsg":"invalid page"}"#);
        assert!(matches!(read_picture(refused, &[]), Err(CallError::Refused(r)) if r.code == 41030));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_panic(status in 100u16..600, body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let response = WireResponse { status, body };
            let _ = read_json(&response, &["secret"]);
            let _ = read_picture(response, &["secret"]);
        }
    }
}
