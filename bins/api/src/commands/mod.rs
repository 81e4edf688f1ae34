//! The command line. Each command is thin: it reads the configuration and calls what does the work.

pub mod openapi;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Server of 兆观医生: patients ask, doctors answer.
#[derive(Debug, Parser)]
#[command(name = "zhaoguan-api", version)]
pub struct Cli {
    /// Configuration file.
    #[arg(long, global = true, env = "ZHAOGUAN_CONFIG", default_value = "zhaoguan.toml")]
    pub config: PathBuf,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do; without a command it serves.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Write the OpenAPI document, and the list of error codes if asked for.
    Openapi(openapi::Arguments),
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Some(Command::Openapi(arguments)) => openapi::run(&arguments),
        None => Ok(()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("zhaoguan-api: {failure}");
            ExitCode::FAILURE
        }
    }
}
