//! The storage interface's documents and queries, on each database there is.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics when its store fails")]

mod documents;
mod large;
mod oracle;
mod product;
mod queries;
mod support;
