//! Text messages on real databases and over real connections to a stand-in for the providers: always on SQLite, on
//! PostgreSQL as well when `DATABASE_URL_PG` is set.

#![expect(clippy::unwrap_used, reason = "tests panic when a promise is broken")]

mod classes;
mod codes;
mod failover;
mod oversight;
mod polling;
mod receipts;
mod support;
