//! Pages of lists on the wire.

use domain::page::{Page, PageRequest};
use poem_openapi::types::{ParseFromJSON, ToJSON, Type};
use poem_openapi::{Object, param::Query};

use crate::http::problem::ApiError;

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Object)]
#[oai(rename_all = "camelCase", skip_serializing_if_is_none)]
pub struct PageOf<T: Type + ParseFromJSON + ToJSON> {
    /// The entries, newest first.
    pub items: Vec<T>,
    /// Send this as `cursor` to get the next page; absent on the last one.
    pub next_cursor: Option<String>,
}

impl<T: Type + ParseFromJSON + ToJSON> PageOf<T> {
    pub fn of<D>(page: Page<D>, view: impl FnMut(D) -> T) -> Self {
        let next_cursor = page.next.map(domain::page::Cursor::encode);
        Self { items: page.items.into_iter().map(view).collect(), next_cursor }
    }

    /// A list that is always given whole.
    pub fn whole<D>(items: Vec<D>, view: impl FnMut(D) -> T) -> Self {
        Self { items: items.into_iter().map(view).collect(), next_cursor: None }
    }
}

/// Reads the two paging parameters.
///
/// # Errors
/// 400 naming the parameter at fault.
pub fn page_request(limit: &Query<Option<u32>>, cursor: &Query<Option<String>>) -> Result<PageRequest, ApiError> {
    PageRequest::parse(limit.0, cursor.0.as_deref()).map_err(ApiError::field)
}
