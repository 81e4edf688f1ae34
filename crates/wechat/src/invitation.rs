//! The picture code and the link that open a doctor's invitation.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use domain::file::BlobStore;
use domain::{FieldError, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::app::{App, AppKind, Audience};
use crate::client::Call;
use crate::context::Context;
use crate::error::WechatError;
use crate::reply::{Picture, picture_type};

/// Sides of a code the platform draws.
pub const WIDTHS: std::ops::RangeInclusive<u32> = 280..=1280;
pub const DEFAULT_WIDTH: u32 = 430;
/// Days a link may be good for.
pub const LINK_DAYS: std::ops::RangeInclusive<u32> = 1..=30;
/// Longest scene.
const MAX_SCENE_CHARS: usize = 32;
/// How long drawing may take before another node tries.
const LEASE: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LOOKS: u32 = 300;

/// Draws codes and makes links.
#[derive(Clone)]
pub struct InvitationCodes {
    context: Context,
    blobs: Arc<dyn BlobStore>,
    holder: String,
    /// One drawing at a time per code in this process.
    turns: Arc<Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>>,
}

/// A link for text messages and web pages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvitationLink {
    pub url: String,
    pub expires_at: Timestamp,
}

impl InvitationCodes {
    pub fn new(context: Context, blobs: Arc<dyn BlobStore>) -> Self {
        let holder = context.random.base62(16);
        Self { context, blobs, holder, turns: Arc::default() }
    }

    /// The code that opens the patients' mini-program with `scene`, drawn once and kept.
    ///
    /// # Errors
    /// [`WechatError`].
    pub async fn code(&self, scene: &str, width: u32) -> Result<Picture, WechatError> {
        let app = self.app()?;
        check_scene(scene)?;
        if !WIDTHS.contains(&width) {
            return Err(FieldError::new("width", "is between 280 and 1280").into());
        }
        let key = blob_key(app, scene, width);
        let turn = self.turn(&key);
        let _mine = turn.lock().await;
        let lease = format!("code:{key}");
        for _ in 0..LOOKS {
            if let Some(picture) = self.kept(&key).await? {
                return Ok(picture);
            }
            let now = self.context.clock.now();
            if self.context.store.try_lease(&lease, &self.holder, now, now + LEASE).await? {
                // Another node may have drawn it between the look and the lease.
                let drawn = match self.kept(&key).await? {
                    Some(picture) => Ok(picture),
                    None => self.draw(app, scene, width, &key).await,
                };
                self.context.store.end_lease(&lease, &self.holder).await?;
                return drawn;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Err(WechatError::Unavailable)
    }

    /// A link that opens the same page, good for so many days.
    ///
    /// # Errors
    /// [`WechatError`].
    pub async fn link(&self, scene: &str, days: u32) -> Result<InvitationLink, WechatError> {
        let app = self.app()?;
        check_scene(scene)?;
        if !LINK_DAYS.contains(&days) {
            return Err(FieldError::new("expiresInDays", "is between 1 and 30").into());
        }
        let mut body = json!({
            "query": format!("scene={scene}"),
            "expire_type": 1,
            "expire_interval": days,
            "env_version": app.env_version.of_link(),
        });
        with_page(&mut body, "path", app);
        let call = Call::post("generate_urllink", "/wxa/generate_urllink", body).repeatable();
        let answer = self.context.client.json(app, &call).await?;
        let url = answer.get("url_link").and_then(Value::as_str).ok_or(WechatError::Unavailable)?;
        let expires_at = self.context.clock.now() + Duration::from_secs(u64::from(days) * 24 * 3_600);
        Ok(InvitationLink { url: url.to_owned(), expires_at })
    }

    async fn draw(&self, app: &App, scene: &str, width: u32, key: &str) -> Result<Picture, WechatError> {
        let mut body = json!({
            "scene": scene,
            "width": width,
            // A transparent picture is a PNG.
            "is_hyaline": true,
            "env_version": app.env_version.of_link(),
            "check_path": app.env_version.of_link() == "release",
        });
        with_page(&mut body, "page", app);
        let call = Call::post("getwxacodeunlimit", "/wxa/getwxacodeunlimit", body).repeatable();
        let picture = self.context.client.picture(app, &call).await?;
        self.blobs.put(key, picture.bytes.clone(), picture.mime_type).await?;
        Ok(picture)
    }

    async fn kept(&self, key: &str) -> Result<Option<Picture>, WechatError> {
        let bytes = self.blobs.get(key).await?;
        // A file cut off by a crash is drawn again.
        Ok(bytes.and_then(|bytes| picture_type(&bytes).map(|mime_type| Picture { mime_type, bytes })))
    }

    fn app(&self) -> Result<&App, WechatError> {
        self.context.apps.of(AppKind::Miniprogram, Audience::Patient).next().ok_or(WechatError::AppNotFound)
    }

    fn turn(&self, key: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        turns.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::new(tokio::sync::Mutex::new(()));
        turns.insert(key.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

fn with_page(body: &mut Value, name: &str, app: &App) {
    if let (Some(map), Some(page)) = (body.as_object_mut(), &app.invitation_page) {
        map.insert(name.to_owned(), json!(page.trim_start_matches('/')));
    }
}

fn check_scene(scene: &str) -> Result<(), WechatError> {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$&'()*+,/:;=?@-._~".contains(&b);
    let is_sane = (1..=MAX_SCENE_CHARS).contains(&scene.len()) && scene.bytes().all(is_allowed);
    if is_sane { Ok(()) } else { Err(FieldError::new("scene", "has 1 to 32 letters, digits or signs").into()) }
}

/// Everything the picture depends on.
fn blob_key(app: &App, scene: &str, width: u32) -> String {
    let page = app.invitation_page.as_deref().unwrap_or_default();
    let parts = [app.appid.as_str(), scene, page, app.env_version.of_link(), &width.to_string()].join("\n");
    format!("wechat-codes/{}.png", hex::encode(Sha256::digest(parts)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenes_keep_the_platforms_rule() {
        for good in ["a", "0123456789abcdefABCDEF0123456789", "a!#$&'()*+,/:;=?@-._~"] {
            assert!(check_scene(good).is_ok(), "{good}");
        }
        for bad in ["", "a%20b", "医生", "a b", "0123456789abcdefABCDEF01234567890"] {
            assert!(check_scene(bad).is_err(), "{bad}");
        }
    }
}
