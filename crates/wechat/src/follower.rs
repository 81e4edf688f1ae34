//! Followers of a service account: whose account somebody is, known by the unionid that both apps share.

use serde_json::Value;

use crate::app::AppKind;
use crate::client::Call;
use crate::context::Context;
use crate::error::WechatError;
use crate::identity::Identity;

/// Kind of the job that finds out who a follower is; its payload is `{"app": …, "openid": …}`.
pub const WECHAT_FOLLOWER: &str = "wechat_follower";

/// Use cases on followers.
#[derive(Clone)]
pub struct Followers {
    context: Context,
}

impl Followers {
    pub fn new(context: Context) -> Self {
        Self { context }
    }

    /// Asks the platform for a follower's unionid and links the account that has it; true if one was found.
    ///
    /// # Errors
    /// [`WechatError`] when it should be tried again.
    pub async fn link(&self, app: &str, openid: &str) -> Result<bool, WechatError> {
        let app = self.context.app(app)?;
        if app.kind != AppKind::ServiceAccount {
            return Ok(false);
        }
        let mut call = Call::get("user_info", "/cgi-bin/user/info");
        call.query = vec![("openid", openid.to_owned()), ("lang", "zh_CN".to_owned())];
        let answer = self.context.client.json(app, &call).await?;
        // Without a common Open Platform account there is none, and no way to know the person.
        let Some(unionid) = answer.get("unionid").and_then(Value::as_str).filter(|id| !id.is_empty()) else {
            return Ok(false);
        };
        let now = self.context.clock.now();
        let mut unit = self.context.store.begin().await?;
        let user = unit.identities().find_user_by_unionid(unionid).await?;
        let known = unit.identities().find(&app.name, openid).await?;
        let known = known.unwrap_or_else(|| Identity::new(&app.name, openid, now));
        let user = user.or(known.user);
        let identity = Identity { user, unionid: Some(unionid.to_owned()), updated_at: now, ..known };
        unit.identities().save(&identity).await?;
        unit.commit().await?;
        Ok(user.is_some())
    }
}
