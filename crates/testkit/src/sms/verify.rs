//! The signatures of both providers, from the side that verifies them.

use std::fmt::Write;

use chrono_tz::Asia::Shanghai;
use domain::Timestamp;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::Request;

const ALIYUN_WINDOW_S: i64 = 15 * 60;
const TENCENT_WINDOW_S: i64 = 5 * 60;

/// `2026-01-02 11:04:05`, in Beijing.
pub(super) fn beijing(at: Timestamp) -> String {
    at.to_datetime().with_timezone(&Shanghai).format("%Y-%m-%d %H:%M:%S").to_string()
}

/// `20260102`, in Beijing.
pub(super) fn beijing_day(at: Timestamp) -> String {
    at.to_datetime().with_timezone(&Shanghai).format("%Y%m%d").to_string()
}

/// The parameters of a query or form, decoded.
pub(super) fn parameters(text: &str) -> Vec<(String, String)> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).map(|(n, v)| (decode(n), decode(v))).collect()
}

pub(super) fn parameter<'a>(all: &'a [(String, String)], name: &str) -> &'a str {
    all.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value.as_str())
}

/// Whether the body is what was signed, the date is near, and the signature fits; else the provider's code.
pub(super) fn aliyun(request: &Request, (id, secret): (&str, &str), now: Timestamp) -> Result<(), &'static str> {
    let authorization = request.header("authorization");
    let Some(rest) = authorization.strip_prefix("ACS3-HMAC-SHA256 ") else { return Err("IncompleteSignature") };
    let part = |name: &str| {
        rest.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default().to_owned()
    };
    if part("Credential") != id {
        return Err("InvalidAccessKeyId.NotFound");
    }
    let sent = Timestamp::parse_rfc3339(request.header("x-acs-date")).or(Err("InvalidTimeStamp.Expired"))?;
    if (now.as_millis() - sent.as_millis()).abs() > ALIYUN_WINDOW_S * 1_000 {
        return Err("InvalidTimeStamp.Expired");
    }
    let names = part("SignedHeaders");
    let must = ["host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce", "x-acs-version"];
    if must.iter().any(|name| !names.split(';').any(|signed| signed == *name)) {
        return Err("IncompleteSignature");
    }
    let hash = hex::encode(Sha256::digest(&request.body));
    if request.header("x-acs-content-sha256") != hash {
        return Err("SignatureDoesNotMatch");
    }
    let lines: Vec<String> = names.split(';').map(|name| format!("{name}:{}\n", request.header(name))).collect();
    let mut pairs = parameters(&request.query);
    pairs.sort();
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    let canonical = format!("POST\n{}\n{}\n{}\n{names}\n{hash}", request.path, pairs.join("&"), lines.concat());
    let text = format!("ACS3-HMAC-SHA256\n{}", hex::encode(Sha256::digest(canonical)));
    let expected = hex::encode(mac(secret.as_bytes(), text.as_bytes()));
    if part("Signature") == expected { Ok(()) } else { Err("SignatureDoesNotMatch") }
}

/// The same for Tencent Cloud.
pub(super) fn tencent(request: &Request, (id, secret): (&str, &str), now: Timestamp) -> Result<(), &'static str> {
    let authorization = request.header("authorization");
    let Some(rest) = authorization.strip_prefix("TC3-HMAC-SHA256 ") else {
        return Err("AuthFailure.InvalidAuthorization");
    };
    let part = |name: &str| {
        let mut parts = rest.split(", ");
        parts.find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).unwrap_or_default().to_owned()
    };
    let seconds: i64 = request.header("x-tc-timestamp").parse().or(Err("AuthFailure.InvalidAuthorization"))?;
    if (now.as_millis().div_euclid(1_000) - seconds).abs() > TENCENT_WINDOW_S {
        return Err("AuthFailure.SignatureExpire");
    }
    if request.header("x-tc-region").is_empty() || request.header("x-tc-version") != "2021-01-11" {
        return Err("MissingParameter");
    }
    let date = Timestamp::from_millis(seconds * 1_000).to_datetime().format("%Y-%m-%d").to_string();
    let scope = format!("{date}/sms/tc3_request");
    if part("Credential") != format!("{id}/{scope}") {
        return Err("AuthFailure.SecretIdNotFound");
    }
    let lines: Vec<String> =
        part("SignedHeaders").split(';').map(|n| format!("{n}:{}\n", request.header(n).to_lowercase())).collect();
    let hash = hex::encode(Sha256::digest(&request.body));
    let canonical = format!("POST\n/\n\n{}\n{}\n{hash}", lines.concat(), part("SignedHeaders"));
    let text = format!("TC3-HMAC-SHA256\n{seconds}\n{scope}\n{}", hex::encode(Sha256::digest(canonical)));
    let key = mac(format!("TC3{secret}").as_bytes(), date.as_bytes());
    let key = mac(&mac(&key, b"sms"), b"tc3_request");
    let expected = hex::encode(mac(&key, text.as_bytes()));
    if part("Signature") == expected { Ok(()) } else { Err("AuthFailure.SignatureFailure") }
}

fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                let digits = String::from_utf8_lossy(&digits).into_owned();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            other => other,
        });
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
