//! What has to be done around WeChat every so often: tokens renewed, templates compared, leftovers settled.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::Coded;
use domain::time::span;
use runtime::Config;
use wechat::Context;
use wechat::inbox::Inbox;
use wechat::message::Messages;
use wechat::template::Templates;

use crate::ScheduledTask;

/// How often tokens are looked at: well below the five minutes in which old and new overlap.
const LOOK_AT_TOKENS: Duration = Duration::from_secs(30);
const SWEEP_MESSAGES: Duration = Duration::from_secs(15);

/// All schedules of this file; none without apps.
pub(crate) fn wechat_schedules(context: &Context, config: &Config) -> Vec<Arc<dyn ScheduledTask>> {
    if context.apps.is_empty() {
        return Vec::new();
    }
    vec![
        Arc::new(RefreshTokens(context.clone())),
        Arc::new(SyncTemplates { context: context.clone(), templates: Templates::new(context.clone()) }),
        Arc::new(SweepMessages(Messages::new(context.clone()))),
        Arc::new(PurgePushes(Inbox::new(context.clone(), config.wechat.push_window))),
    ]
}

struct RefreshTokens(Context);

#[async_trait]
impl ScheduledTask for RefreshTokens {
    fn name(&self) -> &'static str {
        "wechat_refresh_tokens"
    }

    fn every(&self) -> Duration {
        LOOK_AT_TOKENS
    }

    async fn run(&self) -> Result<(), String> {
        let mut failed = Vec::new();
        for app in self.0.apps.iter() {
            // One app's fault must not keep the others from being renewed; it is logged where it is noticed.
            if self.0.client.tokens().refresh_if_due(app).await.is_err() {
                failed.push(app.name.as_str());
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(format!("no token for {}", failed.join(", "))) }
    }
}

struct SyncTemplates {
    context: Context,
    templates: Templates,
}

#[async_trait]
impl ScheduledTask for SyncTemplates {
    fn name(&self) -> &'static str {
        "wechat_sync_templates"
    }

    fn every(&self) -> Duration {
        span::hours(6)
    }

    async fn run(&self) -> Result<(), String> {
        let mut failed = Vec::new();
        for app in self.context.apps.iter() {
            if let Err(error) = self.templates.sync(&app.name).await {
                failed.push(format!("{} ({})", app.name, error.code()));
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(format!("no templates of {}", failed.join(", "))) }
    }
}

struct SweepMessages(Messages);

#[async_trait]
impl ScheduledTask for SweepMessages {
    fn name(&self) -> &'static str {
        "wechat_sweep_messages"
    }

    fn every(&self) -> Duration {
        SWEEP_MESSAGES
    }

    async fn run(&self) -> Result<(), String> {
        self.0.sweep().await.map_err(|error| error.code().to_owned())?;
        Ok(())
    }
}

struct PurgePushes(Inbox);

#[async_trait]
impl ScheduledTask for PurgePushes {
    fn name(&self) -> &'static str {
        "wechat_purge_pushes"
    }

    fn every(&self) -> Duration {
        span::hours(1)
    }

    async fn run(&self) -> Result<(), String> {
        self.0.purge().await.map_err(|error| error.code().to_owned())?;
        Ok(())
    }
}
