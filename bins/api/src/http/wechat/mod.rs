//! WeChat over HTTP: signing in, consent, invitation codes, pushes, operation, and tokens for sister services.

pub mod admin;
pub mod callback;
pub mod codes;
pub mod consent;
pub mod dto;
pub mod integrator;
pub mod sign_in;
#[cfg(test)]
pub(crate) mod testing;

use std::sync::Arc;
use std::time::Duration;

use account::sign_in::Role;
use domain::file::BlobStore;
use wechat::consent::Consents;
use wechat::content::{ContentSettings, Contents};
use wechat::identity::Logins;
use wechat::inbox::Inbox;
use wechat::invitation::InvitationCodes;
use wechat::message::Messages;
use wechat::operation::Operations;
use wechat::service_message::ServiceMessages;
use wechat::template::Templates;
use wechat::{Apps, Audience, Context};

/// The use cases around WeChat.
pub struct Wechat {
    pub apps: Apps,
    pub logins: Logins,
    pub consents: Consents,
    pub codes: InvitationCodes,
    pub contents: Contents,
    pub inbox: Inbox,
    pub messages: Messages,
    pub operations: Operations,
    pub service_messages: ServiceMessages,
    pub templates: Templates,
}

impl Wechat {
    pub fn new(context: &Context, blobs: Arc<dyn BlobStore>, checks: ContentSettings, push_window: Duration) -> Self {
        Self {
            apps: context.apps.clone(),
            logins: Logins::new(context.clone()),
            consents: Consents::new(context.clone()),
            codes: InvitationCodes::new(context.clone(), blobs),
            contents: Contents::new(context.clone(), checks),
            inbox: Inbox::new(context.clone(), push_window),
            messages: Messages::new(context.clone()),
            operations: Operations::new(context.clone()),
            service_messages: ServiceMessages::new(context.clone()),
            templates: Templates::new(context.clone()),
        }
    }
}

/// The profile that people of an app have.
pub const fn role_of(audience: Audience) -> Role {
    match audience {
        Audience::Patient => Role::Patient,
        Audience::Doctor => Role::Doctor,
    }
}

/// All operations around WeChat.
pub type WechatApis =
    (sign_in::WechatSignInApi, consent::ConsentApi, codes::CodesApi, admin::WechatAdminApi, integrator::WechatTokenApi);

/// All operations around WeChat.
pub const fn apis() -> WechatApis {
    (sign_in::WechatSignInApi, consent::ConsentApi, codes::CodesApi, admin::WechatAdminApi, integrator::WechatTokenApi)
}
