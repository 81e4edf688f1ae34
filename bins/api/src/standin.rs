//! The stand-in for WeChat in development: apps, people and messages without an account.

use std::net::SocketAddr;
use std::sync::Arc;

use domain::Clock;
use runtime::{Config, Tasks};
use wechat::App;
use wechat::push::envelope::EnvelopeKey;
use wechat_standin::{Platform, Standin, StandinApp, StandinError, StandinPush, StandinTemplate};

/// Its template, as a console would show it.
const CONTENT: &str = "提醒内容:{{thing1.DATA}}\n时间:{{time2.DATA}}\n状态:{{phrase3.DATA}}\n备注:{{thing4.DATA}}";

/// It could not listen.
#[derive(Debug, thiserror::Error)]
#[error("wechat.standin: {address} cannot be listened at")]
pub struct StandinNotStarted {
    address: SocketAddr,
    source: StandinError,
}

/// Starts it in the background where the configuration asks for it; nothing otherwise.
///
/// # Errors
/// [`StandinNotStarted`].
pub async fn start(config: &Config, clock: &Arc<dyn Clock>, tasks: &Tasks) -> Result<(), StandinNotStarted> {
    let Some(address) = config.wechat.standin.filter(|_| config.uses_wechat_standin()) else { return Ok(()) };
    let callback = |name: &str| format!("http://{}/wechat/{name}/callback", config.http.listen);
    let apps = config.wechat_apps().iter().map(|app| standin_app(app, &callback(&app.name))).collect();
    let platform = Platform::new(Arc::clone(clock), apps, &clock.now().to_string());
    let listening = Standin::listen(address, platform).await;
    let standin = listening.map_err(|source| StandinNotStarted { address, source })?;
    let stopping = tasks.stopping();
    tasks.spawn("wechat.standin", async move {
        tokio::select! {
            () = stopping => {}
            _ = standin.serve() => {}
        }
    });
    tracing::info!(%address, "a stand-in takes the place of WeChat; see /_standin/ there");
    Ok(())
}

fn standin_app(app: &App, callback: &str) -> StandinApp {
    let template = |id: &String| StandinTemplate {
        id: id.clone(),
        title: "新消息提醒".to_owned(),
        content: CONTENT.to_owned(),
        is_long_term: false,
    };
    StandinApp {
        appid: app.appid.clone(),
        secret: app.secret.expose().to_owned(),
        is_miniprogram: app.is_miniprogram(),
        templates: app.templates.values().map(template).collect(),
        push: app.push.as_ref().map(|push| StandinPush {
            url: callback.to_owned(),
            token: push.token.expose().to_owned(),
            key: push.aes_key.as_ref().and_then(|key| EnvelopeKey::parse(key.expose())),
            mode: push.mode,
            format: push.format,
        }),
    }
}
