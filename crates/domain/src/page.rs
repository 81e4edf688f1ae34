//! Cursor paging.

use serde::{Deserialize, Serialize};

use crate::{FieldError, ObjectId, Timestamp};

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    pub limit: u32,
    pub after: Option<Cursor>,
}

impl PageRequest {
    pub const DEFAULT_LIMIT: u32 = 20;
    pub const MAX_LIMIT: u32 = 100;

    /// The first page of the default size.
    pub const fn first() -> Self {
        Self { limit: Self::DEFAULT_LIMIT, after: None }
    }

    /// Reads the query parameters `limit` and `cursor`.
    ///
    /// # Errors
    /// A [`FieldError`] naming the parameter at fault.
    pub fn parse(limit: Option<u32>, cursor: Option<&str>) -> Result<Self, FieldError> {
        let limit = limit.unwrap_or(Self::DEFAULT_LIMIT);
        if limit == 0 || limit > Self::MAX_LIMIT {
            return Err(FieldError::new("limit", format!("must be between 1 and {}", Self::MAX_LIMIT)));
        }
        let after = cursor.map(Cursor::parse).transpose()?;
        Ok(Self { limit, after })
    }
}

/// Where a page ended: lists are ordered newest first by (time, id), so the pair is unique and stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    pub at: Timestamp,
    pub id: ObjectId,
}

impl Cursor {
    /// The opaque text given to clients.
    pub fn encode(self) -> String {
        format!("{:x}-{}", self.at.as_millis(), self.id)
    }

    fn parse(text: &str) -> Result<Self, FieldError> {
        let malformed = || FieldError::new("cursor", "is not a cursor this server gave out");
        let (at, id) = text.split_once('-').ok_or_else(malformed)?;
        let at = i64::from_str_radix(at, 16).or(Err(malformed()))?;
        let id = id.parse().or(Err(malformed()))?;
        Ok(Self { at: Timestamp::from_millis(at), id })
    }
}

/// One page and where the next begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// `None` on the last page.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Builds a page from up to `limit + 1` rows: the extra row only tells that there is more.
    pub fn from_rows(mut rows: Vec<T>, limit: u32, cursor_of: impl Fn(&T) -> Cursor) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        let next = if has_more { rows.last().map(cursor_of) } else { None };
        Self { items: rows, next }
    }

    pub fn map<U>(self, convert: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(convert).collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip_and_forgeries_are_refused() {
        let cursor = Cursor { at: Timestamp::from_millis(1_767_323_045_678), id: ObjectId::from_parts(1, [2; 5], 3) };
        assert_eq!(Cursor::parse(&cursor.encode()), Ok(cursor));
        for bad in ["", "x", "12-34", "zz-5daeb07b7b968a0074945056"] {
            assert_eq!(Cursor::parse(bad).unwrap_err().field, "cursor");
        }
    }

    #[test]
    fn limits_are_checked_at_the_boundary() {
        assert!(PageRequest::parse(Some(100), None).is_ok());
        assert!(PageRequest::parse(Some(101), None).is_err());
        assert!(PageRequest::parse(Some(0), None).is_err());
    }
}
