//! LeanCloud's REST interface, asked with the master key.

use std::io;
use std::time::Duration;

use async_trait::async_trait;
use leancloud::fetch::{Remote, RemoteError};
use leancloud::import::MAX_COPIED_BYTES;
use runtime::config::Secret;
use runtime::web::{WebAnswer, WebClient, WebError, with_query};
use serde_json::Value;

/// Most bytes of one page.
const MAX_PAGE_BYTES: usize = 64 * 1024 * 1024;
const PAGE_TIMEOUT: Duration = Duration::from_mins(1);
const FILE_TIMEOUT: Duration = Duration::from_mins(5);

/// The application over there.
pub(super) struct LeanCloud {
    web: WebClient,
    base_url: String,
    app_id: String,
    /// `key,master`.
    key: Secret,
}

impl LeanCloud {
    pub(super) fn new(base_url: &str, app_id: String, master_key: &Secret) -> io::Result<Self> {
        let base_url = base_url.trim_end_matches('/').to_owned();
        let key = Secret::new(format!("{},master", master_key.expose()));
        Ok(Self { web: WebClient::new()?, base_url, app_id, key })
    }
}

#[async_trait]
impl Remote for LeanCloud {
    async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, RemoteError> {
        let address = with_query(&format!("{}{path}", self.base_url), query);
        let headers = [("X-LC-Id", self.app_id.as_str()), ("X-LC-Key", self.key.expose())];
        let answer = self.web.get(&address, &headers, MAX_PAGE_BYTES, PAGE_TIMEOUT).await.map_err(failure)?;
        read(&answer)
    }

    async fn download(&self, url: &str) -> Result<Vec<u8>, RemoteError> {
        let most = usize::try_from(MAX_COPIED_BYTES).unwrap_or(usize::MAX);
        let answer = self.web.follow(url, most, FILE_TIMEOUT).await.map_err(failure)?;
        match answer.status {
            200 => Ok(answer.body.to_vec()),
            _ => Err(refusal(&answer)),
        }
    }
}

fn failure(error: WebError) -> RemoteError {
    match error {
        WebError::Unreachable => RemoteError::Unreachable,
        WebError::TooLarge => RemoteError::TooLarge,
        WebError::BadAddress => RemoteError::Malformed,
    }
}

fn read(answer: &WebAnswer) -> Result<Value, RemoteError> {
    if answer.status == 200 {
        return serde_json::from_slice(&answer.body).or(Err(RemoteError::Malformed));
    }
    Err(refusal(answer))
}

/// 429, and the code of the same number; whatever is at fault over there may be better later.
fn refusal(answer: &WebAnswer) -> RemoteError {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = body.get("code").and_then(Value::as_i64).unwrap_or_default();
    let status = answer.status;
    if matches!(status, 408 | 429 | 500 | 502..=504) || code == 429 {
        return RemoteError::Busy { status, after: answer.retry_after };
    }
    let message = body.get("error").and_then(Value::as_str).unwrap_or("no reason given");
    RemoteError::Refused { status, code, message: message.chars().take(200).collect() }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn answer(status: u16, body: &str) -> WebAnswer {
        WebAnswer { status, retry_after: None, body: body.as_bytes().to_vec().into() }
    }

    #[rstest]
    #[case(429, "", true)]
    #[case(503, "<html>", true)]
    #[case(400, "{\"code\":429,\"error\":\"Too many requests.\"}", true)]
    #[case(401, "{\"code\":401,\"error\":\"Unauthorized.\"}", false)]
    #[case(404, "", false)]
    fn what_may_pass_is_told_apart(#[case] status: u16, #[case] body: &str, #[case] is_passing: bool) {
        let error = read(&answer(status, body)).unwrap_err();
        assert_eq!(matches!(error, RemoteError::Busy { .. }), is_passing, "{error}");
    }

    #[test]
    fn an_answer_that_is_no_json_is_malformed() {
        assert_eq!(read(&answer(200, "<html>")), Err(RemoteError::Malformed));
    }
}
