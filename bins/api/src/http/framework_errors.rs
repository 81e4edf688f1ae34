//! Turns what poem and poem-openapi refuse into the product's own errors.
//!
//! Their texts quote the request, so only the name of the parameter or field survives.

use domain::{ErrorKind, FieldError};
use poem::error::{MethodNotAllowedError, NotFoundError, ParseMultipartError, ReadBodyError};
use poem_openapi::OperationId;
use poem_openapi::error::{
    AuthorizationError, ContentTypeError, ParseMultipartError as ParseFormError, ParseParamError, ParsePathError,
    ParseRequestPayloadError,
};

use crate::http::catalogue::code;
use crate::http::problem::ApiError;
use crate::http::spec::Document;
use crate::http::{catalogue, shape};

/// The product's error for anything that came out of the router.
pub fn to_api_error(error: poem::Error, path: &str, document: &Document) -> ApiError {
    let error = match error.downcast::<ApiError>() {
        Ok(own) => return own,
        Err(other) => other,
    };
    let operation = error.data::<OperationId>().map(|id| id.0);
    if let Some(refused) = error.downcast_ref::<ParseParamError>() {
        return parameter(document, operation, refused.name);
    }
    if let Some(refused) = error.downcast_ref::<ParsePathError>() {
        return parameter(document, operation, refused.name);
    }
    if let Some(refused) = error.downcast_ref::<ParseFormError>() {
        return form_field(&refused.reason);
    }
    if error.is::<ParseRequestPayloadError>() {
        return whole_body("is not as documented");
    }
    if error.is::<NotFoundError>() {
        return ApiError::of(code::UNKNOWN_PATH);
    }
    if error.is::<MethodNotAllowedError>() {
        let documented = document.methods_at(path);
        // What is not in the document are pages for operators, which are only read.
        return ApiError::method_not_allowed(if documented.is_empty() { "GET".into() } else { documented });
    }
    if error.is::<ContentTypeError>() {
        return ApiError::of(code::UNSUPPORTED_MEDIA);
    }
    if error.is::<AuthorizationError>() {
        return domain::actor::AccessError::Unauthenticated.into();
    }
    match error.downcast_ref::<ReadBodyError>() {
        Some(ReadBodyError::PayloadTooLarge) => return ApiError::of(code::TOO_LARGE),
        Some(ReadBodyError::Io(_) | ReadBodyError::Utf8(_)) => return whole_body("could not be read"),
        Some(ReadBodyError::BodyHasBeenTaken) | None => {}
    }
    match error.downcast_ref::<ParseMultipartError>() {
        Some(ParseMultipartError::InvalidContentType(_) | ParseMultipartError::ContentTypeRequired) => {
            return ApiError::of(code::UNSUPPORTED_MEDIA);
        }
        Some(_) => return whole_body("is not a well-formed multipart form"),
        None => {}
    }
    by_status(error)
}

fn whole_body(message: &str) -> ApiError {
    ApiError::invalid(vec![FieldError::new("body", message)])
}

fn parameter(document: &Document, operation: Option<&str>, name: &str) -> ApiError {
    let (name, schema) = document.parameter(operation.unwrap_or_default(), name);
    let message = schema.map_or_else(|| "is not as documented".into(), shape::expectation);
    ApiError::invalid(vec![FieldError::new(name, message)])
}

/// poem-openapi names the field of a form between back quotes, a known one or the client's own.
fn form_field(reason: &str) -> ApiError {
    let name = reason.split('`').nth(1).unwrap_or_default();
    let is_harmless = (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let message = if reason.starts_with("unknown field") {
        "is not a field of this form"
    } else if reason.ends_with("is required") {
        "is required"
    } else {
        "is not as documented"
    };
    ApiError::invalid(vec![FieldError::new(if is_harmless { name } else { "body" }, message)])
}

fn by_status(error: poem::Error) -> ApiError {
    let status = error.status();
    let same_status = |kind: ErrorKind| catalogue::status_of(kind) == status.as_u16();
    let known = [
        (ErrorKind::Invalid, code::INVALID),
        (ErrorKind::NotFound, code::UNKNOWN_PATH),
        (ErrorKind::TooLarge, code::TOO_LARGE),
        (ErrorKind::UnsupportedMedia, code::UNSUPPORTED_MEDIA),
    ];
    match known.into_iter().find(|(kind, _)| same_status(*kind)) {
        Some((_, code)) => ApiError::of(code),
        None if status.is_client_error() => ApiError::of(code::INVALID).with_status(status),
        None => ApiError::internal(error),
    }
}
