//! A PostgreSQL and a NATS of a test's own, so that they can be stopped and started without harm to others.

mod nats;
mod postgres;

use std::process::Command;

pub use nats::Nats;
pub use postgres::Postgres;

/// A command with the folders in its path where Debian keeps servers.
fn command(program: &std::path::Path) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(program);
    command.env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"));
    command
}
