//! `create-admin`: makes an administrator and prints the generated password once.

use clap::Args;
use domain::Actor;
use runtime::Config;
use worker::Ground;

use crate::app::{Failure, account_parts};

#[derive(Debug, Args)]
pub struct Arguments {
    /// Name to sign in with.
    #[arg(long, default_value = "admin")]
    username: String,
    /// Name shown to others.
    #[arg(long, default_value = "管理员")]
    display_name: String,
}

pub(super) async fn run(config: &Config, arguments: &Arguments) -> Result<(), Failure> {
    let ground = Ground::lay(config).await?;
    let parts = account_parts(config, &ground)?;
    let made = parts.accounts.create_admin(&Actor::System, &arguments.username, &arguments.display_name).await;
    let made = made.map_err(|error| describe(&error))?;
    ground.store.close().await;
    println!("username: {}", made.agent.username);
    println!("password: {}", made.password.reveal());
    println!("The password is not kept in readable form and is shown only now.");
    Ok(())
}

/// The error with the fields at fault.
fn describe(error: &account::AccountError) -> String {
    use domain::Coded;
    let fields: Vec<String> = error.fields().iter().map(ToString::to_string).collect();
    if fields.is_empty() { error.to_string() } else { format!("{error}: {}", fields.join("; ")) }
}
