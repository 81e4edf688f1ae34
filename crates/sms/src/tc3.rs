//! TC3-HMAC-SHA256: how requests to Tencent Cloud are signed. The signature covers content type, host and the hash
//! of the body, exactly as they are sent; the path is always `/` and there is no query.

use chrono::Utc;
use domain::Timestamp;

use crate::digest::{hmac_sha256, sha256_hex};
use crate::keys::Credential;

const ALGORITHM: &str = "TC3-HMAC-SHA256";
const SIGNED_HEADERS: &str = "content-type;host";

/// What is signed.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// `sms`, or another product in published examples.
    pub service: &'a str,
    /// As sent in `Content-Type`.
    pub content_type: &'a str,
    /// As sent in `Host`.
    pub host: &'a str,
    /// `X-TC-Timestamp` is its whole seconds.
    pub at: Timestamp,
    pub body: &'a [u8],
}

/// Seconds since 1970, as `X-TC-Timestamp` wants them.
pub fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1_000)
}

/// The value of `Authorization`.
pub fn authorization(request: &Request<'_>, credential: &Credential) -> String {
    // The date is UTC, not Beijing's: they differ for a third of the day.
    let date = request.at.to_datetime().with_timezone(&Utc).format("%Y-%m-%d").to_string();
    let scope = format!("{date}/{}/tc3_request", request.service);
    let canonical = sha256_hex(canonical_request(request).as_bytes());
    let text = format!("{ALGORITHM}\n{}\n{scope}\n{canonical}", seconds(request.at));
    let key = hmac_sha256(format!("TC3{}", credential.secret()).as_bytes(), date.as_bytes());
    let key = hmac_sha256(&key, request.service.as_bytes());
    let key = hmac_sha256(&key, b"tc3_request");
    let signature = hex::encode(hmac_sha256(&key, text.as_bytes()));
    let id = credential.id();
    format!("{ALGORITHM} Credential={id}/{scope}, SignedHeaders={SIGNED_HEADERS}, Signature={signature}")
}

fn canonical_request(request: &Request<'_>) -> String {
    let (kind, host) = (request.content_type.trim().to_lowercase(), request.host.trim().to_lowercase());
    let hash = sha256_hex(request.body);
    format!("POST\n/\n\ncontent-type:{kind}\nhost:{host}\n\n{SIGNED_HEADERS}\n{hash}")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::vectors::{bytes, of_scheme, published, text};

    fn header<'a>(vector: &'a Value, name: &str) -> &'a str {
        let headers = vector["request"]["headers"].as_array().unwrap();
        text(&headers.iter().find(|pair| text(&pair[0]).eq_ignore_ascii_case(name)).unwrap()[1])
    }

    #[test]
    fn recordings_of_the_official_client_are_signed_alike() {
        let vectors = of_scheme(ALGORITHM);
        assert!(vectors.len() >= 4, "{}", vectors.len());
        for vector in vectors {
            let body = bytes(&vector["request"]["body_base64"]);
            let request = Request {
                service: "sms",
                content_type: header(&vector, "content-type"),
                host: header(&vector, "host"),
                at: Timestamp::from_millis(1_000 * vector["inputs"]["timestamp"].as_i64().unwrap()),
                body: &body,
            };
            let credentials = &vector["credentials"];
            let credential = Credential::new(text(&credentials["secret_id"]), text(&credentials["secret_key"]));
            let name = &vector["id"];
            assert_eq!(canonical_request(&request), text(&vector["expected"]["canonical_request"]), "{name}");
            assert_eq!(authorization(&request, &credential), text(&vector["expected"]["authorization"]), "{name}");
        }
    }

    #[test]
    fn the_published_example_is_signed_alike() {
        let example = published("published-tencent-tc3-cvm");
        let request = Request {
            service: "cvm",
            content_type: "application/json; charset=utf-8",
            host: "cvm.tencentcloudapi.com",
            at: Timestamp::from_millis(1_000 * example["timestamp"].as_i64().unwrap()),
            body: text(&example["body"]).as_bytes(),
        };
        let credential = Credential::new(text(&example["secret_id"]), text(&example["secret_key"]));
        let signed = authorization(&request, &credential);
        assert!(signed.ends_with(&format!("Signature={}", text(&example["signature"]))), "{signed}");
        let hash = sha256_hex(canonical_request(&request).as_bytes());
        assert_eq!(hash, text(&example["canonical_request_sha256"]));
    }

    #[test]
    fn the_date_of_the_scope_is_utc() {
        // 07:59 in Beijing is still the day before in UTC.
        let at = Timestamp::parse_rfc3339("2026-01-02T07:59:59+08:00").unwrap();
        let request = Request { service: "sms", content_type: "application/json", host: "h", at, body: b"{}" };
        assert!(authorization(&request, &Credential::new("id", "key")).contains("id/2026-01-01/sms/tc3_request"));
    }
}
