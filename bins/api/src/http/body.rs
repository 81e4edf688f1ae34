//! JSON request bodies and the answers of creating and emptying calls.

use bytes::Bytes;
use domain::FieldError;
use poem::http::StatusCode;
use poem::{FromRequest, IntoResponse, Request, RequestBody, Response, Result};
use poem_openapi::payload::{Json, ParsePayload, Payload};
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchemaRef, Registry};
use poem_openapi::types::{ParseFromJSON, ToJSON, Type};
use poem_openapi::{ApiResponse, impl_apirequest_for_payload};
use serde_json::Value;

use crate::http::catalogue::code;
use crate::http::context::RequestContext;
use crate::http::problem::ApiError;
use crate::http::shape;

/// A JSON request body. When it is refused, the problem names every field at fault.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T: Type> Payload for Body<T> {
    const CONTENT_TYPE: &'static str = "application/json";

    fn check_content_type(content_type: &str) -> bool {
        Json::<T>::check_content_type(content_type)
    }

    fn schema_ref() -> MetaSchemaRef {
        T::schema_ref()
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

impl<T: ParseFromJSON> ParsePayload for Body<T> {
    const IS_REQUIRED: bool = T::IS_REQUIRED;

    async fn from_request(request: &Request, body: &mut RequestBody) -> Result<Self> {
        let bytes = Bytes::from_request(request, body).await?;
        let value = parse(&bytes)?;
        // Looked at first, because poem-openapi takes numbers and booleans for texts.
        let faults = faults::<T>(request, &value);
        if !faults.is_empty() {
            return Err(ApiError::invalid(faults).into());
        }
        // poem-openapi's own message is dropped: it quotes the request.
        let parsed = T::parse_from_json(Some(value)).ok();
        Ok(Self(parsed.ok_or_else(|| ApiError::field(FieldError::new("body", "is not as documented")))?))
    }
}

fn parse(bytes: &[u8]) -> Result<Value, ApiError> {
    if bytes.is_empty() {
        return Err(ApiError::of(code::MALFORMED_JSON).detail("the body is empty"));
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let place = format!("the JSON breaks off or goes wrong at line {}, column {}", error.line(), error.column());
        ApiError::of(code::MALFORMED_JSON).detail(place)
    })
}

/// Where a body differs from the document.
fn faults<T: Type>(request: &Request, value: &Value) -> Vec<FieldError> {
    let schema = serde_json::to_value(T::schema_ref()).unwrap_or_default();
    let context = request.data::<RequestContext>();
    context.map(|context| shape::faults(context.document.schemas(), &schema, value)).unwrap_or_default()
}

impl_apirequest_for_payload!(Body<T>, T: ParseFromJSON);

/// 201 with the created thing.
#[derive(Debug)]
pub struct Created<T>(pub T);

impl<T: ToJSON> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        Json(self.0).with_status(StatusCode::CREATED).into_response()
    }
}

impl<T: ToJSON> ApiResponse for Created<T> {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "Created.",
                status: Some(201),
                status_range: None,
                content: vec![MetaMediaType { content_type: "application/json", schema: T::schema_ref() }],
                headers: Vec::new(),
            }],
        }
    }

    fn register(registry: &mut Registry) {
        T::register(registry);
    }
}

/// 204: done, nothing to tell.
#[derive(Debug)]
pub struct Done;

impl IntoResponse for Done {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

impl ApiResponse for Done {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![MetaResponse {
                description: "Done.",
                status: Some(204),
                status_range: None,
                content: Vec::new(),
                headers: Vec::new(),
            }],
        }
    }

    fn register(_: &mut Registry) {}
}
