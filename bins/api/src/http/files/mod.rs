//! Files: uploading, and fetching what one uploaded or was given an address for.

pub mod dto;
pub mod links;

use account::files::{FileLink, NewUpload};
use domain::Timestamp;
use domain::id::FileId;
use poem_openapi::OpenApi;
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::multipart::Upload;

use self::dto::{FileAnswer, FileView, UploadForm};
use crate::http::Area;
use crate::http::body::Created;
use crate::http::caller::{Anybody, By, SignedIn};
use crate::http::problem::ApiError;
use crate::http::services::App;
use crate::http::values::Id;

/// Operations on files.
pub struct FilesApi;

#[OpenApi(tag = "Area::Files")]
impl FilesApi {
    /// Upload a file
    ///
    /// Pictures, audio, video and PDF, told by their bytes. The file may then be named in records, e.g. as an icon.
    #[oai(path = "/files", method = "post", operation_id = "upload_file")]
    async fn upload_file(
        &self,
        app: App,
        caller: By<SignedIn>,
        form: UploadForm,
    ) -> Result<Created<FileView>, ApiError> {
        let file = app.accounts.upload(&caller.actor, read_upload(form.file).await?).await?;
        Ok(Created(FileView::of(file, app.links())))
    }

    /// Get what is known of a file
    ///
    /// For whoever uploaded it, staff and integrators. Others get addresses inside the records they may see.
    #[oai(path = "/files/:id", method = "get", operation_id = "get_file")]
    async fn get_file(
        &self,
        app: App,
        caller: By<SignedIn>,
        /// Id of the file.
        id: Path<Id>,
    ) -> Result<Json<FileView>, ApiError> {
        let file = app.accounts.file(&caller.actor, FileId(id.0.0)).await?;
        Ok(Json(FileView::of(file, app.links())))
    }

    /// Download a file by its signed address
    ///
    /// Needs no credentials beside the signature, so that pictures can be shown; the address expires.
    #[oai(path = "/files/:id/content", method = "get", operation_id = "download_file_content")]
    async fn download_file_content(
        &self,
        app: App,
        _caller: By<Anybody>,
        /// Id of the file.
        id: Path<Id>,
        /// When the address expires, in epoch milliseconds.
        expires: Query<i64>,
        /// Signature over the two.
        #[oai(validator(max_length = 64))]
        signature: Query<String>,
    ) -> Result<FileAnswer, ApiError> {
        let expires_at = Timestamp::from_millis(expires.0);
        let link = FileLink { id: FileId(id.0.0), expires_at, signature: signature.0 };
        Ok(FileAnswer(app.accounts.open_link(&link).await?))
    }
}

/// Takes an uploaded part into memory; its size was limited before.
///
/// # Errors
/// When the temporary file it went through cannot be read.
pub async fn read_upload(upload: Upload) -> Result<NewUpload, ApiError> {
    let name = upload.file_name().unwrap_or_default().to_owned();
    let bytes = upload.into_vec().await.map_err(ApiError::internal)?;
    Ok(NewUpload { name, bytes })
}
