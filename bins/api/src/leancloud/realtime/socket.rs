//! One socket: moves commands between the WebSocket, its state machine, the use cases and the log.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt, StreamExt};
use im::feed::Subscriber;
use leancloud::realtime::frame::{self, Coding, Subprotocol};
use leancloud::realtime::socket::{AWAY, Action, Farewell, GARBLED, Socket};
use leancloud::realtime::wire::{CommandType, GenericCommand, OpType, SessionCommand};
use leancloud::realtime::{Client, OpenRequest, Push, Refusal, Sending};
use poem::web::websocket::{CloseCode, Message, WebSocketStream};
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::RealtimeGateway;
use super::outlet::{ClientOutlet, Delivery};

/// A write that takes longer than this has nobody at the other end.
const WRITE_WITHIN: Duration = Duration::from_secs(30);
/// How long the farewell may take.
const FAREWELL: Duration = Duration::from_secs(5);
/// Deliveries taken before others get their turn.
const TURN: usize = 64;
/// Messages of one socket that may wait to be stored.
const SENDS_IN_FLIGHT: usize = 64;

/// Why a socket does not go on.
enum End {
    Farewell(Farewell),
    Gone,
}

/// A message under way, and the command that answers it.
type Work = Pin<Box<dyn Future<Output = GenericCommand> + Send>>;

/// A client that is open on the socket.
struct Seat {
    client: Arc<Client>,
    subscriber: Subscriber,
}

pub(super) struct SocketTask {
    gateway: Arc<RealtimeGateway>,
    stream: WebSocketStream,
    spoken: Subprotocol,
    socket: Socket,
    seats: HashMap<String, Seat>,
    queue: mpsc::Sender<(u64, Delivery)>,
    inbox: mpsc::Receiver<(u64, Delivery)>,
    overflow: CancellationToken,
    work: FuturesUnordered<Work>,
}

impl SocketTask {
    pub(super) fn new(gateway: Arc<RealtimeGateway>, stream: WebSocketStream, spoken: Subprotocol) -> Self {
        let (queue, inbox) = mpsc::channel(gateway.queue_frames);
        Self {
            socket: Socket::new(gateway.realtime.policy(), Instant::now()),
            gateway,
            stream,
            spoken,
            seats: HashMap::new(),
            queue,
            inbox,
            overflow: CancellationToken::new(),
            work: FuturesUnordered::new(),
        }
    }

    /// Serves the socket until it ends.
    pub(super) async fn run(mut self) {
        let end = Box::pin(self.serve()).await;
        let peers: Vec<String> = self.seats.keys().cloned().collect();
        for peer in peers {
            if let Some(seat) = self.leave(&peer) {
                tell_will(&self.gateway, &seat.client).await;
            }
        }
        if let End::Farewell(farewell) = end {
            tracing::debug!(code = farewell.code, "socket of a LeanCloud client closed");
            _ = timeout(FAREWELL, self.say(farewell)).await;
        }
    }

    async fn serve(&mut self) -> End {
        let gateway = self.gateway.clone();
        let overflow = self.overflow.clone();
        let draining = gateway.draining.cancelled();
        tokio::pin!(draining);
        let mut stops_at: Option<Instant> = None;
        loop {
            let due = stops_at.map_or(self.socket.next_due(), |at| at.min(self.socket.next_due()));
            let went = tokio::select! {
                biased;
                () = overflow.cancelled() => Err(End::Farewell(AWAY)),
                () = &mut draining, if stops_at.is_none() => {
                    stops_at = Some(Instant::now() + gateway.drain_spread);
                    match self.socket.send_away() {
                        Some(away) => self.write(&away).await,
                        None => Ok(()),
                    }
                }
                Some(answer) = self.work.next(), if !self.work.is_empty() => self.write(&answer).await,
                message = self.stream.next(), if self.work.len() < SENDS_IN_FLIGHT => self.on_message(message).await,
                Some((id, delivery)) = self.inbox.recv() => self.on_deliveries(id, delivery).await,
                () = sleep_until(due.into()) => {
                    if stops_at.is_some_and(|at| Instant::now() >= at) {
                        Err(End::Farewell(AWAY))
                    } else {
                        self.socket.on_time(Instant::now()).map_or(Ok(()), |farewell| Err(End::Farewell(farewell)))
                    }
                }
            };
            let went = match went {
                Ok(()) => self.flush().await,
                Err(end) => Err(end),
            };
            if let Err(end) = went {
                return end;
            }
        }
    }

    async fn on_message(&mut self, message: Option<std::io::Result<Message>>) -> Result<(), End> {
        let read = match message {
            Some(Ok(Message::Binary(bytes))) => frame::decode(&bytes),
            Some(Ok(Message::Text(text))) => frame::decode_text(&text),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                self.socket.on_sign_of_life(Instant::now());
                return Ok(());
            }
            Some(Err(error)) if error.to_string().contains("too long") => return Err(End::Farewell(GARBLED)),
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(End::Gone),
        };
        match self.socket.on_frame(read, Instant::now()) {
            Action::Nothing => Ok(()),
            Action::Answer(answer) => self.write(&answer).await,
            Action::Open(command) => self.open(&command).await,
            Action::Run { peer, command } => self.run_command(&peer, *command).await,
            Action::Close(farewell) => Err(End::Farewell(farewell)),
        }
    }

    async fn open(&mut self, command: &GenericCommand) -> Result<(), End> {
        let session = command.session_message.clone().unwrap_or_default();
        let id = self.gateway.live.next_id();
        let request =
            OpenRequest { id, app_id: command.app_id.as_deref(), peer: command.peer_id.as_deref(), session: &session };
        let opened = match self.gateway.realtime.open(request).await {
            Ok(opened) => opened,
            Err(refusal) => return self.refuse(command, &refusal).await,
        };
        self.leave(&opened.client.peer);
        let client = Arc::new(opened.client);
        let outlet = ClientOutlet::new(id, self.queue.clone(), self.overflow.clone());
        let subscriber = Subscriber { id, client_ids: client.ids.clone(), session: None, outlet: outlet.clone() };
        let feed = self.gateway.live.feed();
        feed.join(&subscriber, usize::MAX);
        // What comes from here on waits in the queue until the greeting is written.
        feed.go_live(&subscriber);
        self.gateway.gateway.appear(id, &client.ids);
        for client_id in client.ids.iter() {
            self.gateway.clients.enter(client_id, &outlet);
        }
        self.socket.opened(&client.peer);
        self.seats.insert(client.peer.clone(), Seat { client: client.clone(), subscriber });
        self.write(&GenericCommand { i: command.i, ..opened.answer }).await?;
        self.greet(&client, &session, opened.is_resumed).await
    }

    async fn greet(&mut self, client: &Client, session: &SessionCommand, is_resumed: bool) -> Result<(), End> {
        let greeting = self.gateway.realtime.greeting(client, session, is_resumed, self.spoken.pushes_missed).await;
        for command in greeting.unwrap_or_default() {
            self.write(&command).await?;
        }
        Ok(())
    }

    async fn refuse(&mut self, asked: &GenericCommand, refusal: &Refusal) -> Result<(), End> {
        let peer_id = asked.peer_id.clone();
        self.write(&GenericCommand { i: asked.i, peer_id, ..frame::error(refusal) }).await
    }

    async fn run_command(&mut self, peer: &str, command: GenericCommand) -> Result<(), End> {
        let Some(client) = self.seats.get(peer).map(|seat| seat.client.clone()) else { return Ok(()) };
        if command.cmd == Some(CommandType::Direct.into()) {
            return self.send(client, command).await;
        }
        let closes = command.cmd == Some(CommandType::Session.into()) && command.op == Some(OpType::Close.into());
        let answer = self.gateway.realtime.run(&client, &command).await;
        if closes {
            self.leave(peer);
        }
        match answer {
            Some(answer) => self.write(&answer).await,
            None => Ok(()),
        }
    }

    async fn send(&mut self, client: Arc<Client>, command: GenericCommand) -> Result<(), End> {
        match self.gateway.realtime.prepare(&client, &command).await {
            Sending::Answer(answer) => self.write(&answer).await,
            Sending::PassOn { answer, direct, members } => {
                self.gateway.clients.hand_over(*direct, &members, Some(client.id));
                self.write(&answer).await
            }
            Sending::Store(message) => {
                let stored = self.gateway.realtime.store(*message);
                let realtime = self.gateway.realtime.clone();
                self.work.push(Box::pin(async move { realtime.acknowledge(&client, &command, stored.await) }));
                Ok(())
            }
        }
    }

    async fn on_deliveries(&mut self, id: u64, delivery: Delivery) -> Result<(), End> {
        self.on_delivery(id, delivery).await?;
        for _ in 1..TURN {
            let Ok((id, delivery)) = self.inbox.try_recv() else { break };
            self.on_delivery(id, delivery).await?;
        }
        Ok(())
    }

    async fn on_delivery(&mut self, id: u64, delivery: Delivery) -> Result<(), End> {
        let Some(client) = self.seats.values().find(|seat| seat.client.id == id).map(|seat| seat.client.clone()) else {
            return Ok(());
        };
        let realtime = self.gateway.realtime.clone();
        let commands = match delivery {
            Delivery::Entry(entry) => match realtime.push(&client, &entry).await {
                Ok(Push::Commands(commands)) => commands,
                Ok(Push::Ended(command)) => {
                    self.leave(&client.peer);
                    vec![*command]
                }
                // The client comes back and asks for what it does not have.
                Err(_logged) => return Err(End::Farewell(AWAY)),
            },
            Delivery::Arrived { conversation, by, seq } => {
                realtime.arrival(&client, conversation, &by, seq).await.unwrap_or_default()
            }
            Delivery::Direct(direct) => {
                vec![GenericCommand { peer_id: Some(client.peer.clone()), ..(*direct).clone() }]
            }
        };
        for command in commands {
            self.write(&command).await?;
        }
        Ok(())
    }

    /// Takes back what a client was to the others.
    fn leave(&mut self, peer: &str) -> Option<Seat> {
        let seat = self.seats.remove(peer)?;
        self.socket.closed(peer);
        self.gateway.live.feed().leave(&seat.subscriber);
        self.gateway.gateway.vanish(seat.client.id);
        for client_id in seat.client.ids.iter() {
            self.gateway.clients.exit(client_id, seat.client.id);
        }
        Some(seat)
    }

    /// Puts a command into the buffer.
    async fn write(&mut self, command: &GenericCommand) -> Result<(), End> {
        let message = match self.spoken.coding {
            Coding::Binary => Message::Binary(frame::encode(command)),
            Coding::Text => Message::Text(frame::encode_text(command)),
        };
        match timeout(WRITE_WITHIN, self.stream.feed(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    async fn flush(&mut self) -> Result<(), End> {
        match timeout(WRITE_WITHIN, self.stream.flush()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(End::Gone),
        }
    }

    /// Answers what is under way, says why, and waits for the client to hear it.
    async fn say(mut self, farewell: Farewell) {
        while let Some(answer) = self.work.next().await {
            if self.write(&answer).await.is_err() {
                return;
            }
        }
        let close = Message::Close(Some((CloseCode::from(farewell.code), farewell.reason.to_owned())));
        if self.stream.send(close).await.is_ok() {
            while let Some(Ok(_)) = self.stream.next().await {}
        }
    }
}

/// Tells the message a client left for when its socket is lost.
async fn tell_will(gateway: &RealtimeGateway, client: &Client) {
    match gateway.realtime.last_will(client).await {
        Some(Sending::Store(message)) => _ = gateway.realtime.store(*message).await,
        Some(Sending::PassOn { direct, members, .. }) => {
            gateway.clients.hand_over(*direct, &members, Some(client.id));
        }
        Some(Sending::Answer(_)) | None => {}
    }
}
