//! Jobs around WeChat: sending a message, taking in a push, handing over what somebody wrote, looking again at what
//! was checked, finding out who a follower is.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use domain::id::FileId;
use domain::outbox::ClaimedJob;
use domain::{Clock, Coded, ErrorKind, ObjectId, Timestamp};
use runtime::Config;
use serde::Deserialize;
use wechat::content::{Contents, MediaCheck, WECHAT_CHECK_MEDIA, WECHAT_RECHECK};
use wechat::follower::{Followers, WECHAT_FOLLOWER};
use wechat::inbox::{Inbox, WECHAT_PUSH};
use wechat::message::{Messages, Progress, WECHAT_SEND};
use wechat::service_message::{ServiceMessages, WECHAT_RECEIVE};
use wechat::{Context, WechatError};

use crate::assistant::Assistant;
use crate::chat_content::ChatContent;
use crate::{JobFailure, JobHandler};

/// Pause before a message that was about to be stored is looked for again.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// All handlers of this file.
pub(crate) fn wechat_jobs(
    context: &Context,
    config: &Config,
    chat: &ChatContent,
    assistant: Assistant,
) -> Vec<Arc<dyn JobHandler>> {
    let contents = Contents::new(context.clone(), config.content_settings());
    vec![
        Arc::new(SendMessage(Messages::new(context.clone()))),
        Arc::new(TakeInPush(Inbox::new(context.clone(), config.wechat.push_window))),
        Arc::new(HandOver { messages: ServiceMessages::new(context.clone()), assistant }),
        Arc::new(Recheck { contents: contents.clone(), chat: chat.clone() }),
        Arc::new(CheckMedia { contents, chat: chat.clone(), clock: context.clock.clone() }),
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

pub(super) fn failure(error: &WechatError) -> JobFailure {
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
    assistant: Assistant,
}

#[async_trait]
impl JobHandler for HandOver {
    fn kind(&self) -> &'static str {
        WECHAT_RECEIVE
    }

    async fn run(&self, job: &ClaimedJob) -> Result<Option<Timestamp>, JobFailure> {
        self.messages.hand_over(id_of(job)?, &self.assistant).await.map_err(|error| failure(&error))?;
        Ok(None)
    }
}

struct Recheck {
    contents: Contents,
    chat: ChatContent,
}

#[async_trait]
impl JobHandler for Recheck {
    fn kind(&self) -> &'static str {
        WECHAT_RECHECK
    }

    async fn run(&self, job: &ClaimedJob) -> Result<Option<Timestamp>, JobFailure> {
        self.contents.recheck(id_of(job)?, &self.chat).await.map_err(|error| failure(&error))?;
        Ok(None)
    }
}

struct CheckMedia {
    contents: Contents,
    chat: ChatContent,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl JobHandler for CheckMedia {
    fn kind(&self) -> &'static str {
        WECHAT_CHECK_MEDIA
    }

    async fn run(&self, job: &ClaimedJob) -> Result<Option<Timestamp>, JobFailure> {
        let Ok(check) = MediaCheck::deserialize(&job.payload) else {
            return Err(JobFailure::Final("the payload names no file".to_owned()));
        };
        let passing = |code: &str| JobFailure::Passing(code.to_owned());
        let found = self.chat.find(&check.subject).await.map_err(|error| passing(error.code()))?;
        if found.is_none() {
            // Not stored yet, or refused.
            let now = self.clock.now();
            return Ok((now < check.until).then(|| now + LOOK_AGAIN));
        }
        let url = self.chat.link(FileId(check.file));
        self.contents.check_media(&check, &url).await.map_err(|error| failure(&error))?;
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
