//! What is done about each frame of a client.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use domain::id::ConversationId;
use domain::{Coded, ErrorKind};
use im::ImError;
use im::feed::{Ephemeral, EphemeralKind};
use im::message::HistoryPage;
use im::protocol::{
    AckFrame, ByeReason, ErrorFrame, MessageView, RangeFrame, RangeResult, SendFrame, SeqFrame, ServerFrame,
};
use im::service::{MessagePage, SendRequest};
use im::session::{Action, MAX_RANGE, bye};

use super::socket::{End, Socket};

/// Something under way, and the frame that answers it.
pub(super) type Work = Pin<Box<dyn Future<Output = Option<ServerFrame>> + Send>>;

/// Most bytes of content in the answer to one `range`.
const MAX_RANGE_BYTES: usize = 512 * 1024;

impl Socket {
    pub(super) async fn on_text(&mut self, text: &str) -> Result<(), End> {
        match self.session.on_text(text, Instant::now()) {
            Action::Nothing => Ok(()),
            Action::Authenticate(hello) => self.greet(hello).await,
            Action::Send(frame) => self.send(frame).await,
            Action::Read(frame) => self.read(frame),
            Action::Delivered(frame) => {
                let client_ids = &self.identity()?.client_ids;
                self.gateway.receipts.note(frame.conversation_id, client_ids, frame.seq);
                Ok(())
            }
            Action::Typing(conversation) => self.say_ephemeral(conversation, EphemeralKind::Typing),
            Action::View { before, now } => self.view(before, now),
            Action::Range(frame) => self.range(frame),
            Action::Pong => {
                let cursor = self.cursor().await?;
                self.write(ServerFrame::Pong { cursor }.to_json()).await
            }
            Action::Refuse(error) => self.write(ServerFrame::Error(error).to_json()).await,
            Action::Close(bye) => Err(bye.into()),
        }
    }

    /// Hands a message to the queue. Frames are read one after the other, so messages keep their order.
    async fn send(&mut self, frame: SendFrame<'_>) -> Result<(), End> {
        let conversation = frame.conversation_id;
        let request = SendRequest {
            conversation_id: conversation,
            client_message_id: &frame.client_message_id,
            kind: &frame.message_type,
            content: frame.content.get(),
            corrects: frame.corrects,
            origin: Some(self.id),
        };
        let prepared = self.gateway.messages.prepare(&self.identity()?.actor, request).await;
        let name = frame.client_message_id.into_owned();
        match prepared {
            Ok(message) => {
                let (outlet, acks) = (self.outlet.clone(), self.gateway.meters.acks.clone());
                self.gateway.queue.hand_in_told(
                    message,
                    Box::new(move |answer| {
                        acks.increment(u64::from(answer.is_ok()));
                        outlet.answer(ack(conversation, name, answer).to_json());
                    }),
                );
            }
            Err(error) => self.outlet.answer(ack(conversation, name, Err(error)).to_json()),
        }
        Ok(())
    }

    fn read(&self, frame: SeqFrame) -> Result<(), End> {
        let (reads, actor) = (self.gateway.reads.clone(), self.identity()?.actor.clone());
        let SeqFrame { conversation_id, seq } = frame;
        self.work.push(Box::pin(async move {
            let refused = reads.read(&actor, conversation_id, seq).await.err()?;
            Some(refusal("read", conversation_id, &refused))
        }));
        Ok(())
    }

    fn range(&self, frame: RangeFrame) -> Result<(), End> {
        let (history, actor) = (self.gateway.history.clone(), self.identity()?.actor.clone());
        self.work.push(Box::pin(async move {
            let after = HistoryPage::After(frame.after);
            Some(match history.page(&actor, frame.conversation_id, after, MAX_RANGE).await {
                Ok(page) => ServerFrame::Range(range_result(frame, &page)),
                Err(error) => refusal("range", frame.conversation_id, &error),
            })
        }));
        Ok(())
    }

    fn view(&self, before: Option<ConversationId>, now: Option<ConversationId>) -> Result<(), End> {
        self.gateway.presence.show(self.id, &self.identity()?.client_ids, now);
        if let Some(left) = before {
            self.say_ephemeral(left, EphemeralKind::Viewing { viewing: false })?;
        }
        match now {
            Some(opened) => self.say_ephemeral(opened, EphemeralKind::Viewing { viewing: true }),
            None => Ok(()),
        }
    }

    pub(super) fn say_ephemeral(&self, conversation_id: ConversationId, kind: EphemeralKind) -> Result<(), End> {
        let client_ids = self.identity()?.client_ids.to_vec();
        self.gateway.live.ephemeral(Ephemeral { conversation_id, client_ids, kind });
        Ok(())
    }
}

fn ack(conversation: ConversationId, name: String, answer: Result<im::service::Ack, ImError>) -> ServerFrame {
    match answer {
        Ok(ack) => ServerFrame::Ack(AckFrame::of(conversation, name, &ack)),
        Err(error) => match refusal("send", conversation, &error) {
            ServerFrame::Error(frame) => ServerFrame::Error(ErrorFrame { client_message_id: Some(name), ..frame }),
            other => other,
        },
    }
}

fn refusal(word: &str, conversation: ConversationId, error: &ImError) -> ServerFrame {
    if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Unavailable) {
        tracing::warn!(error = error as &dyn Error, frame = word, "a frame could not be served");
    }
    ServerFrame::Error(ErrorFrame { conversation_id: Some(conversation), ..ErrorFrame::of(word, error) })
}

/// What fits into one frame: the messages before `before`, up to a number of bytes.
fn range_result(frame: RangeFrame, page: &MessagePage) -> RangeResult {
    let RangeFrame { conversation_id, after, before } = frame;
    let is_asked = |seq: i64| before.is_none_or(|before| seq < before);
    let mut bytes = 0;
    let mut messages = Vec::with_capacity(page.messages.len());
    let mut has_more = page.has_more && page.messages.last().is_some_and(|last| is_asked(last.seq + 1));
    for message in page.messages.iter().filter(|message| is_asked(message.seq)) {
        bytes += message.content.as_str().len();
        if bytes > MAX_RANGE_BYTES && !messages.is_empty() {
            has_more = true;
            break;
        }
        messages.push(MessageView::of(message));
    }
    RangeResult { conversation_id, after, before, messages, has_more }
}

impl Socket {
    /// Who speaks; frames before `hello` never come here.
    pub(super) fn identity(&self) -> Result<&super::greeting::Identity, End> {
        self.identity.as_deref().ok_or_else(|| bye(ByeReason::ProtocolError).into())
    }
}
