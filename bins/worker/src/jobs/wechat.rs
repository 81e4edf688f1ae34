//! Jobs around WeChat: sending a message, taking in a push, handing over what somebody wrote, looking again at what
//! was checked, finding out who a follower is.

use std::sync::Arc;

use async_trait::async_trait;
use domain::outbox::ClaimedJob;
use domain::{Coded, ErrorKind, ObjectId, Timestamp};
use runtime::Config;
use serde::Deserialize;
use wechat::content::{CheckedContent, Contents, WECHAT_RECHECK};
use wechat::follower::{Followers, WECHAT_FOLLOWER};
use wechat::inbox::{Inbox, WECHAT_PUSH};
use wechat::message::{Messages, Progress, WECHAT_SEND};
use wechat::service_message::{AssistantInbox, ServiceMessages, WECHAT_RECEIVE};
use wechat::{Context, WechatError};

use crate::{JobFailure, JobHandler};

/// What the messages belong to.
pub(crate) trait WechatPorts: AssistantInbox + CheckedContent {}

impl<T: AssistantInbox + CheckedContent> WechatPorts for T {}

/// All handlers of this file.
pub(crate) fn wechat_jobs(context: &Context, config: &Config, ports: Arc<dyn WechatPorts>) -> Vec<Arc<dyn JobHandler>> {
    vec![
        Arc::new(SendMessage(Messages::new(context.clone()))),
        Arc::new(TakeInPush(Inbox::new(context.clone(), config.wechat.push_window))),
        Arc::new(HandOver { messages: ServiceMessages::new(context.clone()), ports: ports.clone() }),
        Arc::new(Recheck { contents: Contents::new(context.clone(), config.content_settings()), ports }),
        Arc::new(LinkFollower(Followers::new(context.clone()))),
    ]
}

#[derive(Deserialize)]
struct Payload {
    id: ObjectId,
}

fn id_of(job: &ClaimedJob) -> Result<ObjectId, JobFailure> {
    let payload = Payload::deserialize(&job.payload);
    let Ok(payload) = payload else {
        return Err(JobFailure::Final("the payload has no id".to_owned()));
    };
    Ok(payload.id)
}

fn failure(error: &WechatError) -> JobFailure {
    match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Conflict | ErrorKind::RateLimited => {
            JobFailure::Passing(error.code().to_owned())
        }
        _ => JobFailure::Final(error.code().to_owned()),
    }
}

struct SendMessage(Messages);

#[async_trait]
impl JobHandler for SendMessage {
    fn kind(&self) -> &'static str {
        WECHAT_SEND
    }

    async fn run(&self, job: &ClaimedJob) -> Result<Option<Timestamp>, JobFailure> {
        match self.0.drive(id_of(job)?).await.map_err(|error| failure(&error))? {
            Progress::Accepted | Progress::Unknown | Progress::Refused => Ok(None),
            Progress::Later(at) => Ok(Some(at)),
        }
    }
}

struct TakeInPush(Inbox);

#[async_trait]
impl JobHandler for TakeInPush {
    fn kind(&self) -> &'static str {
        WECHAT_PUSH
    }

    async fn run(&self, job: &ClaimedJob) -> Result<Option<Timestamp>, JobFailure> {
        self.0.handle(id_of(job)?).await.map_err(|error| failure(&error))?;
        Ok(None)
    }
}

struct HandOver {
    messages: ServiceMessages,
    ports: Arc<dyn WechatPorts>,
}

#[async_trait]
impl JobHandler for HandOver {
    fn kind(&self) -> &'static str {
        WECHAT_RECEIVE
    }

    async fn run(&self, job: &ClaimedJob) -> Result<Option<Timestamp>, JobFailure> {
        self.messages.hand_over(id_of(job)?, &*self.ports).await.map_err(|error| failure(&error))?;
        Ok(None)
    }
}

struct Recheck {
    contents: Contents,
    ports: Arc<dyn WechatPorts>,
}

#[async_trait]
impl JobHandler for Recheck {
    fn kind(&self) -> &'static str {
        WECHAT_RECHECK
    }

    async fn run(&self, job: &ClaimedJob) -> Result<Option<Timestamp>, JobFailure> {
        self.contents.recheck(id_of(job)?, &*self.ports).await.map_err(|error| failure(&error))?;
        Ok(None)
    }
}

struct LinkFollower(Followers);

#[derive(Deserialize)]
struct FollowerPayload {
    app: String,
    openid: String,
}

#[async_trait]
impl JobHandler for LinkFollower {
    fn kind(&self) -> &'static str {
        WECHAT_FOLLOWER
    }

    async fn run(&self, job: &ClaimedJob) -> Result<Option<Timestamp>, JobFailure> {
        let Ok(payload) = FollowerPayload::deserialize(&job.payload) else {
            return Err(JobFailure::Final("the payload names no follower".to_owned()));
        };
        self.0.link(&payload.app, &payload.openid).await.map_err(|error| failure(&error))?;
        Ok(None)
    }
}
