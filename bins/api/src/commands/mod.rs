//! The command line. Each command is thin: it reads the configuration and calls what does the work.

mod check;
mod create_admin;
mod demo;
mod import_leancloud;
mod migrate;
mod openapi;
mod renew_epoch;
mod serve;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use runtime::config::{ConfigError, Secret};
use runtime::{Config, ConfigSources};

use crate::app::App;

/// What stops a command; printed with everything that caused it.
type Failure = Box<dyn Error>;

/// Server of 兆观医生: patients ask, doctors answer.
#[derive(Debug, Parser)]
#[command(name = "zhaoguan-api", version)]
pub struct Cli {
    /// Configuration file; `zhaoguan.toml` when not given.
    #[arg(long, global = true, env = "ZHAOGUAN_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What to do; without a command it serves.
#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API (this is what happens without a command).
    Serve,
    /// Write the OpenAPI document, and the list of error codes if asked for.
    Openapi(openapi::Arguments),
    /// Bring the tables of the database up to date.
    Migrate,
    /// Bring an exported LeanCloud application in; may be run again at any time.
    ImportLeancloud(import_leancloud::Arguments),
    /// Make an administrator; prints the generated password once.
    CreateAdmin(create_admin::Arguments),
    /// Walk through a first consultation on a throw-away database.
    Demo,
    /// Say that the database was restored from a backup: clients load everything again.
    RenewEpoch,
    /// Check the configuration, the database and the file store.
    Check(check::Arguments),
}

/// Runs a command to its end.
pub fn run(cli: Cli) -> ExitCode {
    let Cli { config, command } = cli;
    let done = match command.unwrap_or(Command::Serve) {
        Command::Openapi(arguments) => openapi::run(&arguments).map_err(Failure::from),
        Command::Demo => demo::run(),
        Command::ImportLeancloud(arguments) => with_config(config, |config| import_leancloud::run(config, arguments)),
        Command::Serve => with_config(config, serve::run),
        Command::Migrate => with_config(config, migrate::run),
        Command::RenewEpoch => with_config(config, renew_epoch::run),
        Command::CreateAdmin(arguments) => with_config(config, |config| create_admin::run(config, arguments)),
        Command::Check(arguments) => with_config(config, |config| check::run(config, arguments)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("zhaoguan-api: {}", chain(failure.as_ref()));
            ExitCode::FAILURE
        }
    }
}

/// Reads the configuration and runs an asynchronous command with it.
fn with_config<F, Fut>(file: Option<PathBuf>, command: F) -> Result<(), Failure>
where
    F: FnOnce(Config) -> Fut,
    Fut: Future<Output = Result<(), Failure>>,
{
    let config: Result<Config, ConfigError> = Config::load(&ConfigSources::from_process(file));
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(command(config?))
}

/// Puts the server together. Credentials that were generated for it are shown once, on the terminal and not in the log.
async fn build(config: Config) -> Result<App, Failure> {
    let app = App::build(config).await?;
    let (configured, credentials) = (&app.config.app, &app.credentials);
    let is_unset = |secret: Option<&Secret>| secret.is_none_or(|secret| secret.expose().is_empty());
    let shown = [
        ("app.id        ", configured.id.as_deref().is_none_or(str::is_empty), credentials.app_id.as_str()),
        ("app.key       ", is_unset(configured.key.as_ref()), credentials.app_key.expose()),
        ("app.master_key", is_unset(configured.master_key.as_ref()), credentials.master_key.expose()),
    ];
    let generated: Vec<_> = shown.into_iter().filter(|(_, is_generated, _)| *is_generated).collect();
    if credentials.is_fresh && !generated.is_empty() {
        println!("This application's credentials were generated and are shown only now:");
        for (key, _, value) in generated {
            println!("  {key} {value}");
        }
    }
    Ok(app)
}

/// An error and its causes, each told once.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.ends_with(&text) {
            told.push_str(": ");
            told.push_str(&text);
        }
        cause = error.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_a_command_it_serves() {
        assert!(Cli::parse_from(["zhaoguan-api"]).command.is_none());
        let cli = Cli::parse_from(["zhaoguan-api", "check", "--online", "--config", "a.toml"]);
        assert_eq!(cli.config.unwrap().to_str(), Some("a.toml"));
    }

    #[test]
    fn causes_are_told_once() {
        let inner = std::io::Error::other("no such file");
        let outer = domain::StoreError::backend(inner);
        assert_eq!(chain(&outer), "the database did not answer as it should: no such file");
    }
}
