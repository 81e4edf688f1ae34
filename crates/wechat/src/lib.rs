//! WeChat: the platform's rules, its wire, and the use cases on top of them.
//!
//! Nothing here opens a connection: the platform is behind [`wire::Wire`], the database behind [`ports`].

pub mod app;
pub mod client;
pub mod consent;
pub mod content;
pub mod context;
pub mod errcode;
pub mod error;
pub mod field;
pub mod follower;
pub mod grant;
pub mod identity;
pub mod inbox;
pub mod invitation;
pub mod message;
pub mod message_link;
pub mod operation;
pub mod ports;
pub mod probe;
pub mod push;
pub mod reply;
pub mod secret;
pub mod service_message;
pub mod sign;
pub mod template;
pub mod token;
pub mod wire;

pub use app::{App, AppKind, Apps, Audience, EnvVersion, PushFormat, PushMode, PushSettings};
pub use client::Client;
pub use context::Context;
pub use error::WechatError;
pub use secret::{Sealer, Secret};
pub use token::Tokens;
