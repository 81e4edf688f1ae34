//! Uploads by token, in the ways of Qiniu's form and of S3, and the addresses files are fetched at.

use account::Accounts;
use account::files::{FileContent, FileLink};
use domain::Timestamp;
use domain::file::File;
use domain::time::span;
use leancloud::rest::{FileUrls, RestError};
use poem::http::header::CACHE_CONTROL;
use poem::web::Multipart;
use poem::{FromRequest, IntoResponse, Request, Response, Result};
use runtime::thumbnails::{Thumbnail, ThumbnailFormat};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

use super::{answer, storage};
use crate::http::files::dto::FileAnswer;
use crate::http::problem::ApiError;
use crate::http::services::Services;

/// A file never changes under its address.
const CACHING: &str = "private, max-age=86400, immutable";

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
    let wanted = request.uri().query().and_then(image_view);
    if let (Some(wanted), FileContent::Stored { file, bytes }) = (wanted, &content)
        && file.mime_type.starts_with("image/")
        && let Some(made) = services.thumbnails.make(bytes.clone(), wanted).await
    {
        let answer = Response::builder().content_type(made.format.mime_type()).header(CACHE_CONTROL, CACHING);
        return Ok(answer.body(made.bytes));
    }
    Ok(FileAnswer(content).into_response())
}

/// Qiniu's `imageView/2/w/100/h/50/q/80/format/png`: 1 cuts off what sticks out, others fit the picture in. `None`
/// when it is something else.
fn image_view(query: &str) -> Option<Thumbnail> {
    let mut parts = query.trim_start_matches('?').split('/');
    let is_view = parts.next().is_some_and(|name| matches!(name, "imageView" | "imageView2"));
    let mode: u8 = parts.next().filter(|_| is_view)?.parse().ok()?;
    let mut wanted = Thumbnail { width: None, height: None, is_cropped: mode == 1, quality: 85, format: None };
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        match name {
            "w" => wanted.width = value.parse().ok(),
            "h" => wanted.height = value.parse().ok(),
            "q" => wanted.quality = value.parse().unwrap_or(wanted.quality),
            "format" => {
                wanted.format = match value {
                    "png" => Some(ThumbnailFormat::Png),
                    "jpg" | "jpeg" => Some(ThumbnailFormat::Jpeg),
                    _ => None,
                }
            }
            _ => {}
        }
    }
    (wanted.width.is_some() || wanted.height.is_some()).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thumbnails_are_asked_for_as_at_qiniu() {
        let fitted = image_view("imageView/2/w/100/h/50/q/70/format/png").unwrap();
        assert_eq!((fitted.width, fitted.height, fitted.quality, fitted.is_cropped), (Some(100), Some(50), 70, false));
        assert_eq!(fitted.format, Some(ThumbnailFormat::Png));
        assert!(image_view("imageView/1/w/10").unwrap().is_cropped);
        for other in ["", "x=1", "imageView", "imageView/2", "imageView/2/w/x", "imageMogr2/w/1"] {
            assert_eq!(image_view(other), None, "{other}");
        }
    }
}
