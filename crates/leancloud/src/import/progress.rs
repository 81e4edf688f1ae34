//! How far an import has come, for whoever watches.

/// Is told how the import goes on.
pub trait ImportProgress: Send + Sync {
    /// The import begins; it will read about this many bytes.
    fn begin(&self, total_bytes: u64);
    /// A class begins.
    fn class(&self, name: &str);
    /// So many bytes were read since the beginning.
    fn advance(&self, bytes_read: u64);
    /// Everything was read.
    fn finish(&self);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl ImportProgress for Unwatched {
    fn begin(&self, _: u64) {}
    fn class(&self, _: &str) {}
    fn advance(&self, _: u64) {}
    fn finish(&self) {}
}
