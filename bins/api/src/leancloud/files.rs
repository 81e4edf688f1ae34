//! Uploads by token, in the ways of Qiniu's form and of S3, and the addresses files are fetched at.

use account::Accounts;
use account::files::FileLink;
use domain::Timestamp;
use domain::file::File;
use domain::time::span;
use leancloud::rest::{FileUrls, RestError};
use poem::web::Multipart;
use poem::{FromRequest, IntoResponse, Request, Response, Result};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

use super::{answer, storage};
use crate::http::files::dto::FileAnswer;
use crate::http::problem::ApiError;
use crate::http::services::Services;

/// Clients keep these addresses in messages and records; they are good for longer than records are kept.
const LINK_LIFETIME: Duration = span::days(30 * 366);

/// Addresses whose credentials are in the path, since SDKs append a query of their own for thumbnails.
pub struct PathLinks {
    pub accounts: Arc<Accounts>,
    pub public_url: String,
}

impl FileUrls for PathLinks {
    fn url(&self, file: &File) -> String {
        // Counted from the time in the file's id, so that the address never changes.
        let [s0, s1, s2, s3, ..] = *file.id.0.as_bytes();
        let minted_at = Timestamp::from_millis(i64::from(u32::from_be_bytes([s0, s1, s2, s3])) * 1_000);
        let FileLink { id, expires_at, signature } = self.accounts.sign_link_until(file.id, minted_at + LINK_LIFETIME);
        let name: String =
            file.name.chars().map(|c| if c.is_ascii_alphanumeric() || ".-_".contains(c) { c } else { '_' }).collect();
        format!("{}/1.1/lcfiles/{id}/{}/{signature}/{name}", self.public_url, expires_at.as_millis())
    }
}

/// `POST /1.1/upload`: a form with `file` and `token`.
pub(super) async fn post_form(services: &Services, request: Request) -> Result<Response> {
    let (request, mut body) = request.split();
    let mut form = Multipart::from_request(&request, &mut body).await?;
    let (mut token, mut bytes) = (None, None);
    while let Some(field) = form.next_field().await? {
        match field.name() {
            Some("token") => token = Some(field.text().await?),
            Some("file") => bytes = Some(field.bytes().await?),
            _ => {}
        }
    }
    let (Some(token), Some(bytes)) = (token, bytes) else {
        return Ok(storage::refused(&RestError::BadFile("the form has no token or no file".into())));
    };
    take(services, &token, bytes).await
}

/// `PUT /1.1/upload/:token`: the bytes alone.
pub(super) async fn put(services: &Services, mut request: Request) -> Result<Response> {
    let token = request.raw_path_param("token").unwrap_or_default().to_owned();
    let bytes = request.take_body().into_bytes().await?;
    take(services, &token, bytes.to_vec()).await
}

/// Mini-programs need JSON for an answer.
async fn take(services: &Services, token: &str, bytes: Vec<u8>) -> Result<Response> {
    match services.rest.upload(token, bytes).await {
        Ok(file) => Ok(answer::ok(&json!({ "hash": file.sha256, "key": file.id.to_string() }))),
        Err(error) => Ok(storage::refused(&error)),
    }
}

/// `GET /1.1/lcfiles/:id/:expires/:signature/:name`: needs nothing but its address.
pub(super) async fn download(services: &Services, request: &Request) -> Result<Response> {
    let part = |name: &str| request.raw_path_param(name).unwrap_or_default();
    let link = || {
        let expires_at = Timestamp::from_millis(part("expires").parse().ok()?);
        Some(FileLink { id: part("id").parse().ok()?, expires_at, signature: part("signature").to_owned() })
    };
    let link = link().ok_or_else(|| ApiError::from(account::AccountError::LinkNotAccepted))?;
    let content = services.accounts.open_link(&link).await.map_err(ApiError::from)?;
    Ok(FileAnswer(content).into_response())
}
