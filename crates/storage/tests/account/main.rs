//! Accounts on real databases: always on SQLite, on PostgreSQL as well when `DATABASE_URL_PG` is set.

#![expect(clippy::unwrap_used, reason = "tests panic when a promise is broken")]

mod closure;
mod races;
mod repositories;
mod support;
