//! Request metrics by route template: `http_requests_total` and `http_request_duration_seconds`.
//!
//! Handles are kept, because looking a metric up by its labels costs more than counting.

use std::collections::HashMap;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use metrics::{Counter, Histogram};
use poem::http::Method;
use poem::{PathPattern, Response};
use poem_openapi::OperationId;

use crate::http::spec::Document;

/// Counts and times requests.
#[derive(Default)]
pub(super) struct RequestMetrics {
    handles: RwLock<HashMap<Key, Handles>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    method: &'static str,
    route: Route,
    status: u16,
}

/// A route by the cheapest name there is for it.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Route {
    Operation(&'static str),
    Pattern(Arc<str>),
    Unmatched,
}

struct Handles {
    count: Counter,
    duration: Histogram,
    template: Arc<str>,
}

/// Name of everything that no route matches, so that scanners cannot grow the metrics.
const UNMATCHED: &str = "unmatched";

impl RequestMetrics {
    /// Records one answer and returns the template of its route.
    pub(super) fn record(
        &self,
        document: &Document,
        method: &Method,
        response: &Response,
        elapsed: Duration,
    ) -> Arc<str> {
        let route = match (response.data::<OperationId>(), response.data::<PathPattern>()) {
            (Some(operation), _) => Route::Operation(operation.0),
            (None, Some(pattern)) => Route::Pattern(pattern.0.clone()),
            (None, None) => Route::Unmatched,
        };
        let key = Key { method: method_label(method), route, status: response.status().as_u16() };
        if let Some(handles) = self.handles.read().ok().as_ref().and_then(|known| known.get(&key)) {
            return handles.record(elapsed);
        }
        let handles = Handles::register(document, &key);
        let template = handles.record(elapsed);
        if let Ok(mut known) = self.handles.write() {
            known.insert(key, handles);
        }
        template
    }
}

impl Handles {
    fn register(document: &Document, key: &Key) -> Self {
        let template: Arc<str> = match &key.route {
            Route::Operation(id) => document.route_of(id).into(),
            Route::Pattern(pattern) => Arc::clone(pattern),
            Route::Unmatched => UNMATCHED.into(),
        };
        let (method, route, status) = (key.method, Arc::clone(&template), key.status.to_string());
        Self {
            count: metrics::counter!("http_requests_total", "method" => method, "route" => route.clone(), "status" => status),
            duration: metrics::histogram!("http_request_duration_seconds", "method" => method, "route" => route),
            template,
        }
    }

    fn record(&self, elapsed: Duration) -> Arc<str> {
        self.count.increment(1);
        self.duration.record(elapsed.as_secs_f64());
        Arc::clone(&self.template)
    }
}

/// Unusual methods share one label: clients choose them freely.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::HEAD => "HEAD",
        _ => "OTHER",
    }
}
