//! The web console at `/console`: the files that `just console` builds, part of the binary when it is built for release
//! and read from `console/dist` otherwise.

use std::borrow::Cow;
use std::path::Path;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use bytes::Bytes;
use poem::endpoint::make_sync;
use poem::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, ETAG, IF_NONE_MATCH, REFERRER_POLICY,
    VARY,
};
use poem::http::{HeaderMap, Method, StatusCode};
use poem::{Request, Response, Route};
use rust_embed::{EmbeddedFile, RustEmbed};

/// Where the console is.
pub const PATH: &str = "/console";

/// Everything from this server; pictures also from memory, for previews before an upload. No inline script, and styles
/// of elements only as scripts set them.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; \
                   font-src 'self'; connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; form-action 'none'; \
                   base-uri 'none'; frame-ancestors 'none'";
/// Names in this folder change with their content.
const HASHED: &str = "assets/";
const FOREVER: &str = "public, max-age=31536000, immutable";
const PAGE: &str = "index.html";
/// Shown when the binary was built without the console.
const MISSING: &str = "<!doctype html><html lang=\"zh\"><meta charset=\"utf-8\"><title>兆观医生</title>\
    <p>控制台尚未构建，请运行 <code>just console</code>。</p>\
    <p>The console has not been built yet: run <code>just console</code>.</p></html>";

#[derive(RustEmbed)]
#[folder = "../../console/dist"]
#[allow_missing = true]
struct Built;

/// Adds the console to the routes.
pub fn add_to(router: Route) -> Route {
    router.nest(PATH, make_sync(|request| serve(&request)))
}

fn serve(request: &Request) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return Response::builder().status(StatusCode::METHOD_NOT_ALLOWED).finish();
    }
    let path = request.uri().path().trim_start_matches('/');
    let headers = request.headers();
    let is_packed = Path::new(path).extension().is_some_and(|extension| extension == "gz");
    if path != PAGE
        && !is_packed
        && let Some(file) = Built::get(path)
    {
        return answer(path, file, headers);
    }
    // Any other address is one of the application's own pages; what has an extension is a file that is gone.
    let is_file = path.starts_with(HASHED) || path.rsplit('/').next().is_some_and(|name| name.contains('.'));
    match Built::get(PAGE) {
        Some(page) if !is_file || path == PAGE => answer(PAGE, page, headers),
        None if !is_file => html(StatusCode::SERVICE_UNAVAILABLE, Bytes::from_static(MISSING.as_bytes())),
        _ => Response::builder().status(StatusCode::NOT_FOUND).finish(),
    }
}

fn answer(path: &str, file: EmbeddedFile, headers: &HeaderMap) -> Response {
    let tag = format!("\"{}\"", hash(&file));
    let is_known = headers.get_all(IF_NONE_MATCH).iter().any(|sent| sent.as_bytes() == tag.as_bytes());
    let cache = if path.starts_with(HASHED) { FOREVER } else { "no-cache" };
    let response = Response::builder()
        .header(ETAG, tag)
        .header(CACHE_CONTROL, cache)
        .header(VARY, ACCEPT_ENCODING)
        .header(REFERRER_POLICY, "same-origin")
        .header(CONTENT_SECURITY_POLICY, CSP);
    if is_known {
        return response.status(StatusCode::NOT_MODIFIED).finish();
    }
    let response = response.content_type(content_type(path));
    let takes_gzip = headers.get_all(ACCEPT_ENCODING).iter().any(|value| {
        let codings = value.to_str().unwrap_or_default().split(',');
        codings.map(str::trim).any(|coding| coding == "gzip" || coding.starts_with("gzip;") && coding != "gzip;q=0")
    });
    match Built::get(&format!("{path}.gz")).filter(|_| takes_gzip) {
        Some(packed) => response.header(CONTENT_ENCODING, "gzip").body(body(packed.data)),
        None => response.body(body(file.data)),
    }
}

fn html(status: StatusCode, page: Bytes) -> Response {
    Response::builder().status(status).content_type("text/html; charset=utf-8").body(page)
}

fn body(data: Cow<'static, [u8]>) -> Bytes {
    match data {
        Cow::Borrowed(data) => Bytes::from_static(data),
        Cow::Owned(data) => Bytes::from(data),
    }
}

/// The digest that tells two files apart.
fn hash(file: &EmbeddedFile) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(file.metadata.sha256_hash())
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        _ => "application/octet-stream",
    }
}
