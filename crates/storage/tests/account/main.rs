//! Accounts on real databases: always on SQLite, on PostgreSQL as well when `DATABASE_URL_PG` is set.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests panic when a promise is broken")]

mod races;
mod repositories;
mod support;
