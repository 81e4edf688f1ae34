//! The command line. Each command is thin: it reads the configuration and calls what does the work.

mod check;
mod create_admin;
mod import_leancloud;
mod migrate;
pub mod openapi;
mod serve;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use runtime::{Config, ConfigSources};

use crate::app::Failure;

/// Server of 兆观医生: patients ask, doctors answer.
#[derive(Debug, Parser)]
#[command(name = "zhaoguan-api", version)]
pub struct Cli {
    /// Configuration file; `zhaoguan.toml`, if there is one, when not given.
    #[arg(long, global = true, env = "ZHAOGUAN_CONFIG")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do; without a command it serves.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the server.
    Serve,
    /// Write the `OpenAPI` document, and the list of error codes if asked for.
    Openapi(openapi::Arguments),
    /// Bring the tables up to date.
    Migrate,
    /// Bring an exported LeanCloud application in; may be run again at any time.
    ImportLeancloud(import_leancloud::Arguments),
    /// Make an administrator; prints a generated password once.
    CreateAdmin(create_admin::Arguments),
    /// Check configuration, database and rows.
    Check(check::Arguments),
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> ExitCode {
    let done = match cli.command.unwrap_or(Command::Serve) {
        // Needs no configuration.
        Command::Openapi(arguments) => openapi::run(&arguments).map_err(Failure::from),
        command => configured(cli.config, &command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("zhaoguan-api: {}", with_causes(failure.as_ref()));
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn configured(file: Option<PathBuf>, command: &Command) -> Result<(), Failure> {
    let config = Config::load(&ConfigSources::from_process(file))?;
    match command {
        Command::Serve => serve::run(&config).await,
        Command::Migrate => migrate::run(&config).await,
        Command::ImportLeancloud(arguments) => import_leancloud::run(&config, arguments).await,
        Command::CreateAdmin(arguments) => create_admin::run(&config, arguments).await,
        Command::Check(arguments) => check::run(&config, arguments).await,
        Command::Openapi(_) => Ok(()),
    }
}

/// An error and what caused it, in one line.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        next = cause.source();
    }
    texts.join(": ")
}
