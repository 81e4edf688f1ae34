//! Ids in a fixed order.

use std::sync::atomic::{AtomicU32, Ordering};

use domain::ObjectId;
use domain::id::IdSource;

/// Seconds in every id of this source: 2026-01-05T02:00:00Z.
const SECONDS: u32 = 1_767_578_400;

/// The id a [`SequentialIds`] hands out as its `n`-th, counted from one.
pub fn object_id(n: u32) -> ObjectId {
    ObjectId::from_parts(SECONDS, [0x7e; 5], n)
}

/// Hands out `object_id(1)`, `object_id(2)`, …
#[derive(Debug)]
pub struct SequentialIds(AtomicU32);

impl Default for SequentialIds {
    fn default() -> Self {
        Self::from(1)
    }
}

impl SequentialIds {
    /// Begins at `object_id(first)`, to stay clear of ids chosen by hand.
    pub const fn from(first: u32) -> Self {
        Self(AtomicU32::new(first))
    }
}

impl IdSource for SequentialIds {
    fn next(&self) -> ObjectId {
        object_id(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_come_in_their_fixed_order() {
        let ids = SequentialIds::default();
        assert_eq!([ids.next(), ids.next()], [object_id(1), object_id(2)]);
        assert!(object_id(1) < object_id(2));
    }
}
