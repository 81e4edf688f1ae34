//! ACS3-HMAC-SHA256: how requests to Aliyun are signed ("V3"). The signature covers method, path, query, the
//! signed headers and the hash of the body, exactly as they are sent.

use chrono::SecondsFormat;
use domain::Timestamp;

use crate::digest::{hmac_sha256, sha256_hex};
use crate::keys::Credential;

const ALGORITHM: &str = "ACS3-HMAC-SHA256";

/// What is signed. Header names in lower case, each once.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    /// As sent, sorted and encoded by [`crate::encoding::query`].
    pub query: &'a str,
    /// All headers to be signed, `host` and `x-acs-content-sha256` among them.
    pub headers: &'a [(String, String)],
    pub body: &'a [u8],
}

/// `2026-01-02T03:04:05Z`, as `x-acs-date` wants it.
pub fn date(at: Timestamp) -> String {
    at.to_datetime().to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// The value of `Authorization`.
pub fn authorization(request: &Request<'_>, credential: &Credential) -> String {
    let (canonical, signed_headers) = canonical_request(request);
    let text = format!("{ALGORITHM}\n{}", sha256_hex(canonical.as_bytes()));
    let signature = hex::encode(hmac_sha256(credential.secret().as_bytes(), text.as_bytes()));
    format!("{ALGORITHM} Credential={},SignedHeaders={signed_headers},Signature={signature}", credential.id())
}

/// The canonical request, and the names of the signed headers.
fn canonical_request(request: &Request<'_>) -> (String, String) {
    let mut headers: Vec<(&str, &str)> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.trim())).collect();
    headers.sort_unstable();
    let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let lines = lines.concat();
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let Request { method, path, query, body, .. } = request;
    (format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{}", sha256_hex(body)), names)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::vectors::{bytes, of_scheme, published, text};

    /// The headers of a recorded request that its SDK signed.
    fn signed_headers(vector: &Value) -> Vec<(String, String)> {
        let names: Vec<&str> =
            vector["expected"]["signed_headers"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let sent = vector["request"]["headers"].as_array().unwrap();
        let sent = sent.iter().map(|pair| (text(&pair[0]).to_lowercase(), text(&pair[1]).to_owned()));
        sent.filter(|(name, _)| names.contains(&name.as_str())).collect()
    }

    /// The recorded query, encoded our way: SDKs put `+` for a space on the wire while signing `%20`.
    fn query_of(vector: &Value) -> String {
        let pairs = vector["request"]["query_params"].as_array().unwrap();
        let pairs: Vec<(&str, String)> = pairs.iter().map(|p| (text(&p[0]), text(&p[1]).to_owned())).collect();
        crate::encoding::query(&pairs)
    }

    #[test]
    fn recordings_of_the_official_client_are_signed_alike() {
        let vectors = of_scheme(ALGORITHM);
        assert!(vectors.len() >= 4, "{}", vectors.len());
        for vector in vectors {
            let (headers, query) = (signed_headers(&vector), query_of(&vector));
            let body = bytes(&vector["request"]["body_base64"]);
            let request = Request {
                method: text(&vector["request"]["method"]),
                path: text(&vector["request"]["path"]),
                query: &query,
                headers: &headers,
                body: &body,
            };
            let credentials = &vector["credentials"];
            let credential =
                Credential::new(text(&credentials["access_key_id"]), text(&credentials["access_key_secret"]));
            let name = &vector["id"];
            assert_eq!(canonical_request(&request).0, text(&vector["expected"]["canonical_request"]), "{name}");
            assert_eq!(authorization(&request, &credential), text(&vector["expected"]["authorization"]), "{name}");
        }
    }

    #[test]
    fn the_published_example_is_signed_alike() {
        let example = published("published-aliyun-v3-runinstances");
        let headers = example["headers"].as_object().unwrap();
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.clone(), text(value).to_owned())).collect();
        let request =
            Request { method: "POST", path: "/", query: text(&example["query"]), headers: &headers, body: b"" };
        let credential = Credential::new(text(&example["access_key_id"]), text(&example["access_key_secret"]));
        let signed = authorization(&request, &credential);
        assert!(signed.ends_with(&format!("Signature={}", text(&example["signature"]))), "{signed}");
        let hash = sha256_hex(canonical_request(&request).0.as_bytes());
        assert_eq!(hash, text(&example["canonical_request_sha256"]));
    }

    #[test]
    fn dates_have_no_fraction() {
        assert_eq!(date(Timestamp::from_millis(1_767_323_045_678)), "2026-01-02T03:04:05Z");
    }
}
