//! Files on the wire.

use std::fmt::Write;

use account::files::{ALLOWED_TYPES, FileContent};
use domain::file::File;
use poem::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, LOCATION};
use poem::http::{HeaderValue, StatusCode};
use poem::{IntoResponse, Response};
use poem_openapi::registry::{
    MetaHeader, MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::Type;
use poem_openapi::types::multipart::Upload;
use poem_openapi::{ApiResponse, Multipart, Object};

use super::links::Links;
use crate::http::values::{Id, Instant};

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct FileView {
    /// Id of the file.
    pub object_id: Id,
    /// Its name.
    pub name: String,
    /// Its type, by what its bytes say.
    pub mime_type: String,
    /// Size in bytes; absent for files kept elsewhere.
    pub size: Option<i64>,
    /// SHA-256 of the bytes in hexadecimal digits; absent for files kept elsewhere.
    pub sha256: Option<String>,
    /// Signed download address, good for an hour.
    pub url: String,
    /// When it was uploaded.
    pub created_at: Instant,
}

impl FileView {
    pub fn of(file: File, links: Links<'_>) -> Self {
        Self {
            object_id: file.id.into(),
            name: file.name,
            mime_type: file.mime_type,
            size: file.size,
            sha256: file.sha256,
            url: links.url(file.id),
            created_at: Instant(file.created_at),
        }
    }
}

/// A file to be uploaded.
#[derive(Debug, Multipart)]
#[oai(rename_all = "camelCase", deny_unknown_fields)]
pub struct UploadForm {
    /// The file. What the form says of its type does not count.
    pub file: Upload,
}

/// The bytes of a file, or the address where they are.
pub struct FileAnswer(pub FileContent);

/// Private, because addresses are signed for one person; short, because they expire.
const CACHING: HeaderValue = HeaderValue::from_static("private, max-age=3600");

impl IntoResponse for FileAnswer {
    fn into_response(self) -> Response {
        match self.0 {
            FileContent::Stored { file, bytes } => Response::builder()
                .content_type(&file.mime_type)
                .header(CACHE_CONTROL, CACHING)
                .header(CONTENT_DISPOSITION, disposition(&file.name))
                .body(bytes),
            FileContent::External { url, .. } => {
                Response::builder().status(StatusCode::FOUND).header(LOCATION, url).finish()
            }
        }
    }
}

/// Shown in place, under its own name: every byte that is not plain is percent-encoded (RFC 8187).
fn disposition(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    format!("inline; filename*=UTF-8\'\'{encoded}")
}

impl ApiResponse for FileAnswer {
    fn meta() -> MetaResponses {
        let bytes = || MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "binary")));
        let content = ALLOWED_TYPES.into_iter().map(|content_type| MetaMediaType { content_type, schema: bytes() });
        let location = MetaHeader {
            name: "Location".into(),
            description: Some("Where the file is.".into()),
            required: true,
            deprecated: false,
            schema: String::schema_ref(),
        };
        let response = |description, status, content, headers| MetaResponse {
            description,
            status: Some(status),
            status_range: None,
            content,
            headers,
        };
        MetaResponses {
            responses: vec![
                response("The bytes of the file.", 200, content.collect(), Vec::new()),
                response("The file is kept elsewhere.", 302, Vec::new(), vec![location]),
            ],
        }
    }

    fn register(_: &mut Registry) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_cannot_break_out_of_the_header() {
        assert_eq!(disposition("a-1.png"), "inline; filename*=UTF-8\'\'a-1.png");
        assert_eq!(disposition("证\"\r\n.png"), "inline; filename*=UTF-8\'\'%E8%AF%81%22%0D%0A.png");
    }
}
