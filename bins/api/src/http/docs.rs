//! `/openapi.json` and, at `/docs`, the Swagger UI, which is part of the binary and loads nothing from outside.

use bytes::Bytes;
use poem::endpoint::make_sync;
use poem::http::header::CONTENT_SECURITY_POLICY;
use poem::{Response, Route, get};
use poem_openapi::OpenApi;

use crate::http::spec::{self, Document};

/// The page holds its script and styles inline; it may talk to this server only.
const DOCS_CSP: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; \
                        connect-src 'self'; frame-ancestors 'none'";

/// Adds the document and its page.
pub fn add_to<T: OpenApi>(router: Route, apis: T, document: &Document) -> Route {
    let service = spec::service(apis);
    // poem-openapi shows its own document in the page; put ours in its place.
    let page = Bytes::from(service.swagger_ui_html().replacen(&service.spec(), document.text(), 1));
    let json = Bytes::from(document.text().to_owned());
    let document = make_sync(move |_| Response::builder().content_type("application/json").body(json.clone()));
    let page = make_sync(move |_| {
        Response::builder()
            .content_type("text/html; charset=utf-8")
            .header(CONTENT_SECURITY_POLICY, DOCS_CSP)
            .body(page.clone())
    });
    router.at("/openapi.json", get(document)).at("/docs", get(page))
}
