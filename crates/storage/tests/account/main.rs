//! Accounts on real databases: always on SQLite, on PostgreSQL as well when `DATABASE_URL_PG` is set.

mod races;
mod repositories;
mod support;
