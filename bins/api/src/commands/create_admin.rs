//! `create-admin`: makes an administrator and prints the generated password once.

use clap::Args;
use domain::{Actor, Coded};
use runtime::Config;

use super::Failure;

/// Who the administrator is.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// User name: 3 to 32 of a-z, 0-9, dot, hyphen and underscore.
    #[arg(default_value = "admin")]
    username: String,
    /// Name shown to others; the user name when not given.
    #[arg(long, value_name = "NAME")]
    display_name: Option<String>,
}

pub(super) async fn run(config: Config, arguments: Arguments) -> Result<(), Failure> {
    let app = super::build(config).await?;
    let Arguments { username, display_name } = arguments;
    let display_name = display_name.unwrap_or_else(|| username.clone());
    let made = app.accounts.create_admin(&Actor::System, &username, &display_name).await;
    app.ground.store.close().await;
    let made = made.map_err(|refused| {
        let faults: Vec<String> = refused.fields().iter().map(ToString::to_string).collect();
        if faults.is_empty() { Failure::from(refused) } else { faults.join("; ").into() }
    })?;
    println!("An administrator was made. The password is shown only now:");
    println!("  username: {}", made.agent.username);
    println!("  password: {}", made.password.reveal());
    Ok(())
}
