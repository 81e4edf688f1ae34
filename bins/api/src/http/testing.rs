//! What the tests of this crate share.

use std::sync::Arc;

use domain::ObjectId;
use domain::id::IdSource;
use poem::http::HeaderMap;

use crate::http::context::{Language, RequestContext, RequestId};
use crate::http::spec::Document;

/// Always the same id.
pub(crate) struct FixedIds;

impl IdSource for FixedIds {
    fn next(&self) -> ObjectId {
        ObjectId::from_parts(1, [0; 5], 1)
    }
}

/// A request's context in this language.
pub(crate) fn context(language: Language) -> RequestContext {
    let request_id = RequestId::accept(&HeaderMap::new(), &FixedIds);
    RequestContext { request_id, language, ip: None, document: Arc::new(Document::of(())) }
}
