//! One socket: moves frames between the WebSocket, the state machine and the log.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt, StreamExt};
use im::feed::Outgoing;
use im::protocol::{Bye, ByeReason, ServerFrame};
use im::session::{Due, Session, bye};
use poem::web::websocket::{CloseCode, Message, WebSocketStream};
use tokio::time::{sleep_until, timeout};

use super::Gateway;
use super::greeting::Identity;
use super::outlet::{SocketOutlet, Waiting};
use super::work::Work;

/// A write that takes longer than this has nobody at the other end.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// How long answers and the farewell may take.
const FAREWELL: Duration = Duration::from_secs(5);

/// Why a socket does not go on.
#[derive(Debug)]
pub(super) enum End {
    /// To be closed with a reason.
    Bye(Bye),
    /// There is nobody any more.
    Gone,
}

impl From<Bye> for End {
    fn from(bye: Bye) -> Self {
        Self::Bye(bye)
    }
}

/// What happens next.
enum Turn {
    Incoming(Option<io::Result<Message>>),
    Done(Option<ServerFrame>),
    Waiting(VecDeque<Waiting>),
    Flush,
    Time,
}

pub(super) struct Socket {
    pub(super) id: u64,
    pub(super) gateway: Arc<Gateway>,
    pub(super) session: Session,
    pub(super) outlet: Arc<SocketOutlet>,
    /// Set once `hello` was accepted.
    pub(super) identity: Option<Box<Identity>>,
    /// Of the console's cookie; taken when `hello` brings no token of its own.
    pub(super) console_token: Option<Box<str>>,
    pub(super) work: FuturesUnordered<Work>,
    stream: WebSocketStream,
    is_flushed: bool,
}

impl Socket {
    pub(super) fn new(
        gateway: Arc<Gateway>,
        stream: WebSocketStream,
        id: u64,
        console_token: Option<Box<str>>,
    ) -> Self {
        let outlet = SocketOutlet::new(gateway.settings.queue_frames);
        Self {
            id,
            session: Session::new(gateway.settings.limits, Instant::now()),
            outlet: Arc::new(outlet),
            identity: None,
            console_token,
            work: FuturesUnordered::new(),
            stream,
            is_flushed: true,
            gateway,
        }
    }

    /// Serves the socket until it ends.
    pub(super) async fn run(mut self) {
        let end = self.serve().await;
        if let Some(identity) = self.identity.take() {
            self.sign_off(&identity);
        }
        if let End::Bye(bye) = end {
            metrics::counter!("im_closed", "reason" => reason_word(bye.reason)).increment(1);
            tracing::debug!(reason = reason_word(bye.reason), "socket closed");
            let _ = Box::pin(timeout(FAREWELL, self.say(bye))).await;
        }
    }

    async fn serve(&mut self) -> End {
        let gateway = self.gateway.clone();
        let outlet = self.outlet.clone();
        let draining = gateway.draining.cancelled();
        let mut due = self.session.next_due();
        let timer = sleep_until(due.into());
        tokio::pin!(draining, timer);
        loop {
            let turn = tokio::select! {
                biased;
                bye = outlet.closing() => return End::Bye(bye),
                () = &mut draining => return End::Bye(gateway.draining_bye(self.id)),
                Some(done) = self.work.next(), if !self.work.is_empty() => Turn::Done(done),
                message = self.stream.next(), if self.session.wants_input() => Turn::Incoming(message),
                waiting = outlet.waiting() => Turn::Waiting(waiting),
                () = std::future::ready(()), if !self.is_flushed => Turn::Flush,
                () = &mut timer => Turn::Time,
            };
            let went = match turn {
                Turn::Incoming(message) => self.on_message(message).await,
                Turn::Done(done) => self.on_done(done).await,
                Turn::Waiting(waiting) => self.on_waiting(waiting).await,
                Turn::Flush => self.flush().await,
                Turn::Time => {
                    due = Instant::now();
                    Box::pin(self.on_time()).await
                }
            };
            // Set anew only when it has gone off or something is due earlier, not with every frame.
            let next_due = self.session.next_due();
            if next_due < due || due <= Instant::now() {
                due = next_due;
                timer.as_mut().reset(due.into());
            }
            if let Err(end) = went {
                return end;
            }
        }
    }

    async fn on_message(&mut self, message: Option<io::Result<Message>>) -> Result<(), End> {
        match message {
            Some(Ok(Message::Text(text))) => {
                self.gateway.meters.frames_in.increment(1);
                Box::pin(self.on_text(&text)).await
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                self.session.on_sign_of_life(Instant::now());
                // The library has answered a ping into its buffer.
                self.is_flushed = false;
                Ok(())
            }
            Some(Ok(Message::Binary(_))) => Err(bye(ByeReason::ProtocolError).into()),
            Some(Err(error)) if is_too_long(&error) => Err(bye(ByeReason::FrameTooLarge).into()),
            Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
        }
    }

    /// Something that was under way is done.
    async fn on_done(&mut self, done: Option<ServerFrame>) -> Result<(), End> {
        self.session.answered();
        match done {
            Some(frame) => self.write(frame.to_json()).await,
            None => Ok(()),
        }
    }

    async fn on_waiting(&mut self, waiting: VecDeque<Waiting>) -> Result<(), End> {
        for next in waiting {
            match next {
                Waiting::Frame(outgoing) => self.pass_on(outgoing).await?,
                Waiting::Answer(frame) => {
                    self.session.answered();
                    self.write(frame).await?;
                }
            }
        }
        Ok(())
    }

    async fn pass_on(&mut self, outgoing: Outgoing) -> Result<(), End> {
        match outgoing {
            Outgoing::Entry { entry, frame } if self.session.admits(entry.position()) => {
                self.write(String::from(&*frame)).await
            }
            Outgoing::Entry { .. } => Ok(()),
            Outgoing::Ephemeral { frame, .. } => self.write(String::from(&*frame)).await,
        }
    }

    async fn on_time(&mut self) -> Result<(), End> {
        match self.session.on_time(Instant::now()) {
            Due::Nothing => Ok(()),
            Due::Ping => {
                let cursor = self.cursor().await?;
                self.write(ServerFrame::Ping { cursor }.to_json()).await
            }
            Due::Recheck => self.recheck().await,
            Due::Close(bye) => Err(bye.into()),
        }
    }

    /// Everything up to here was sent to the client.
    pub(super) async fn cursor(&mut self) -> Result<i64, End> {
        // What was passed on up to here is in the queue by now.
        let horizon = self.gateway.live.feed().horizon();
        let waiting = self.outlet.take();
        self.on_waiting(waiting).await?;
        // A message of this socket that is not acknowledged yet is not to be passed over.
        if self.session.is_settled() {
            self.session.caught_up(horizon);
        }
        Ok(self.session.sent_to())
    }

    /// Puts a frame into the buffer, which is written when it is full or there is nothing else to do.
    pub(super) async fn write(&mut self, text: String) -> Result<(), End> {
        self.gateway.meters.frames_out.increment(1);
        self.is_flushed = false;
        let sent = tokio::select! {
            biased;
            sent = self.stream.feed(Message::Text(text)) => sent,
            bye = self.outlet.closing() => return Err(End::Bye(bye)),
            () = tokio::time::sleep(WRITE_WITHIN) => return Err(End::Gone),
        };
        sent.or(Err(End::Gone))
    }

    pub(super) async fn flush(&mut self) -> Result<(), End> {
        self.is_flushed = true;
        let flushed = tokio::select! {
            biased;
            flushed = self.stream.flush() => flushed,
            bye = self.outlet.closing() => return Err(End::Bye(bye)),
            () = tokio::time::sleep(WRITE_WITHIN) => return Err(End::Gone),
        };
        flushed.or(Err(End::Gone))
    }

    /// Answers what is under way, says good-bye, and waits for the client to hear it.
    async fn say(mut self, bye: Bye) {
        while !self.session.is_settled() {
            let answer = tokio::select! {
                Some(done) = self.work.next(), if !self.work.is_empty() => {
                    self.session.answered();
                    done.map(|frame| frame.to_json())
                }
                waiting = self.outlet.waiting() => {
                    for answer in waiting.into_iter().filter_map(Waiting::answer) {
                        self.session.answered();
                        if self.stream.feed(Message::Text(answer)).await.is_err() {
                            return;
                        }
                    }
                    None
                }
            };
            if let Some(answer) = answer
                && self.stream.feed(Message::Text(answer)).await.is_err()
            {
                return;
            }
        }
        let code = CloseCode::from(bye.reason.close_code());
        let word = reason_word(bye.reason);
        let farewell = ServerFrame::Bye(bye).to_json();
        let is_said = self.stream.feed(Message::Text(farewell)).await.is_ok()
            && self.stream.send(Message::Close(Some((code, word.to_owned())))).await.is_ok();
        if is_said {
            // Closing at once could lose what the client has not read yet.
            while let Some(Ok(_)) = self.stream.next().await {}
        }
    }
}

/// A frame beyond what is read at all.
fn is_too_long(error: &io::Error) -> bool {
    error.to_string().contains("too long")
}

/// The word of a reason in metrics and close frames.
const fn reason_word(reason: ByeReason) -> &'static str {
    match reason {
        ByeReason::Draining => "draining",
        ByeReason::ResyncRequired => "resync_required",
        ByeReason::SessionEnded => "session_ended",
        ByeReason::Unauthenticated => "unauthenticated",
        ByeReason::Forbidden => "forbidden",
        ByeReason::HelloTimeout => "hello_timeout",
        ByeReason::HeartbeatTimeout => "heartbeat_timeout",
        ByeReason::TooManySockets => "too_many_sockets",
        ByeReason::FrameTooLarge => "frame_too_large",
        ByeReason::Flood => "flood",
        ByeReason::ProtocolError => "protocol_error",
        ByeReason::Unavailable => "unavailable",
    }
}
