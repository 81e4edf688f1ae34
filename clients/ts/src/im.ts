/**
 * Messaging over the WebSocket protocol of openapi/im-protocol.md: connects and comes back by itself, resumes from its
 * cursor, sends each message under one name until it is answered, passes every message on once and in order, and fills
 * holes. No dependencies.
 */

import type { Ack, Bye, ClientFrame, Ephemeral, ErrorFrame, Fault, LogEvent, Message, MessageEvent } from "./frames.ts";
import type { MessageType, Range, Ready, Resync, SendFrame, ServerFrame } from "./frames.ts";

export type * from "./frames.ts";

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
/** A server that does not say `ready` within this is given up. */
const WELCOME_WITHIN_MS = 15_000;
/** Frames of `send` on their way; the rest waits its turn. */
const SENDS_AT_ONCE = 32;
/** `WebSocket.OPEN`, which not every runtime names. */
const OPEN = 1;
/** Answers after which the same message is to be sent again. */
const PASSING: ReadonlySet<string> = new Set([
  "im.too_many_frames",
  "message.outcome_unknown",
  "server.busy",
  "server.stopping",
  "store.conflict",
  "store.unavailable",
]);

/** Where to go on from. */
export interface Resume {
  cursor: number;
  epoch: string;
}

export type State =
  /** On the way to the server. */
  | "connecting"
  /** Messages go and come. */
  | "ready"
  /** The connection is lost; the next try is due later. */
  | "waiting"
  /** Over for good: `close` was called, or the server said that coming back is of no use. */
  | "closed";

/** What this client needs of a WebSocket; the one of browsers and of Node fits, and one made of `wx.connectSocket`. */
export interface Socket {
  readonly readyState: number;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: never) => void) | null;
  onclose: ((event: never) => void) | null;
  onerror: ((event: never) => void) | null;
  send(text: string): void;
  close(): void;
}

export interface ImOptions {
  /** e.g. wss://api.example.com/im/v1/ws */
  url: string;
  /** The session token, asked for at every connect; null where a cookie says who it is. */
  token: () => string | null | Promise<string | null>;
  resume?: Resume | null;
  device?: string;
  WebSocket?: new (url: string) => Socket;
  /** Each message once, in the order of its conversation; own messages of this client are answered by `send`. */
  onMessage?: (conversationId: string, message: Message) => void;
  onEvent?: (event: LogEvent) => void;
  onEphemeral?: (frame: Ephemeral) => void;
  onReady?: (frame: Ready) => void;
  /** What is kept is to be dropped and loaded again over HTTP. */
  onResync?: (frame: Resync) => void;
  onBye?: (frame: Bye) => void;
  onError?: (error: ImError) => void;
  onState?: (state: State) => void;
}

export interface NewMessage {
  conversationId: string;
  messageType: MessageType;
  content: unknown;
  corrects?: string;
  /** Of an earlier try; made up unless given. */
  clientMessageId?: string;
}

export class ImError extends Error {
  readonly code: string;
  readonly fields: Fault[];

  constructor(frame: Pick<ErrorFrame, "code" | "message" | "fields">) {
    super(frame.message);
    this.name = "ImError";
    this.code = frame.code;
    this.fields = frame.fields ?? [];
  }
}

interface Waiting {
  frame: SendFrame;
  isSent: boolean;
  answer: Promise<Ack>;
  resolve: (ack: Ack) => void;
  reject: (error: ImError) => void;
}

/** Passes a message on. */
type Tell = () => void;

/** An own message was answered: there is nothing to pass on. */
const NOTHING: Tell = () => {};

export class ImClient {
  #options: ImOptions;
  #socket: Socket | null = null;
  #ready: Ready | null = null;
  #state: State = "connecting";
  #resume: Resume | null;
  #outbox = new Map<string, Waiting>();
  /** Of each conversation the `seq` that comes next. */
  #next = new Map<string, number>();
  /** What came before its turn. */
  #early = new Map<string, Map<number, Tell>>();
  /** Conversations a hole of which was asked for. */
  #asked = new Set<string>();
  /** Reads the server has not confirmed. */
  #reads = new Map<string, number>();
  #viewing: string | null = null;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #silence: ReturnType<typeof setTimeout> | undefined;
  #made = 0;

  constructor(options: ImOptions) {
    this.#options = options;
    this.#resume = options.resume ? { ...options.resume } : null;
    this.#connect();
  }

  /** Where to go on from the next time, or null before the first `ready`. */
  get resume(): Resume | null {
    return this.#resume && { ...this.#resume };
  }

  get isReady(): boolean {
    return this.#ready !== null;
  }

  get state(): State {
    return this.#state;
  }

  /** The ids this person speaks as, once `ready`. */
  get clientIds(): readonly string[] {
    return this.#ready?.clientIds ?? [];
  }

  /** Sends a message until it is answered; the same `clientMessageId` makes a retry of an earlier one. */
  send({ conversationId, messageType, content, corrects, clientMessageId }: NewMessage): Promise<Ack> {
    if (this.#state === "closed") return Promise.reject(closed());
    const name = clientMessageId ?? this.#newName();
    const key = `${conversationId}/${name}`;
    const known = this.#outbox.get(key);
    if (known) return known.answer;
    const frame: SendFrame = { type: "send", clientMessageId: name, conversationId, messageType, content };
    if (corrects !== undefined) frame.corrects = corrects;
    let resolve: Waiting["resolve"] = () => {};
    let reject: Waiting["reject"] = () => {};
    const answer = new Promise<Ack>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    this.#outbox.set(key, { frame, isSent: false, answer, resolve, reject });
    this.#flush();
    return answer;
  }

  /** Everything up to `seq` was read; said again until the server has heard it. */
  read(conversationId: string, seq: number): void {
    this.#reads.set(conversationId, Math.max(seq, this.#reads.get(conversationId) ?? 0));
    this.#say({ type: "read", conversationId, seq });
  }

  delivered(conversationId: string, seq: number): void {
    this.#say({ type: "delivered", conversationId, seq });
  }

  typing(conversationId: string): void {
    this.#say({ type: "typing", conversationId });
  }

  /** The conversation the person has open in front, or null; said again after every new connection. */
  view(conversationId: string | null): void {
    this.#viewing = conversationId;
    this.#say({ type: "presence", viewing: conversationId });
  }

  /** Messages up to `seq` are known already, e.g. from the list over HTTP. */
  knows(conversationId: string, seq: number): void {
    const next = Math.max(seq + 1, this.#next.get(conversationId) ?? 0);
    for (const early of this.#early.get(conversationId)?.keys() ?? []) {
      if (early < next) this.#early.get(conversationId)?.delete(early);
    }
    this.#drain(conversationId, next);
  }

  /** Ends for good. Messages without an answer are rejected; they may be sent again under the same name. */
  close(): void {
    const socket = this.#socket;
    this.#end(closed());
    socket?.close();
  }

  #newName(): string {
    this.#made += 1;
    const random = globalThis.crypto?.randomUUID?.() ?? `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
    return `${random}-${this.#made}`;
  }

  #move(state: State): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#options.onState?.(state);
  }

  #connect(): void {
    const Opened = this.#options.WebSocket ?? (globalThis.WebSocket as unknown as new (url: string) => Socket);
    const socket = new Opened(this.#options.url);
    this.#socket = socket;
    this.#move("connecting");
    this.#giveUpAfter(WELCOME_WITHIN_MS);
    socket.onopen = () => void this.#hello(socket);
    socket.onmessage = ({ data }: { data: unknown }) => {
      if (socket === this.#socket && typeof data === "string") this.#take(JSON.parse(data) as ServerFrame);
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#lost();
    };
    socket.onerror = () => {};
  }

  async #hello(socket: Socket): Promise<void> {
    let token: string | null;
    try {
      token = await this.#options.token();
    } catch {
      // Whoever keeps the token cannot give it now: as if there were no connection.
      if (socket === this.#socket) {
        socket.close();
        this.#lost();
      }
      return;
    }
    if (socket !== this.#socket || socket.readyState !== OPEN) return;
    const hello: ClientFrame = { type: "hello", ...this.#resume };
    if (token !== null) hello.token = token;
    if (this.#options.device !== undefined) hello.device = this.#options.device;
    socket.send(JSON.stringify(hello));
  }

  #lost(afterMs?: number): void {
    clearTimeout(this.#silence);
    const wasReady = this.#ready !== null;
    this.#ready = null;
    this.#socket = null;
    this.#asked.clear();
    for (const waiting of this.#outbox.values()) waiting.isSent = false;
    if (this.#state === "closed") return;
    this.#failures = wasReady ? 0 : this.#failures + 1;
    const backOff = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), afterMs ?? backOff);
    this.#move("waiting");
  }

  #take(frame: ServerFrame): void {
    this.#listen();
    switch (frame.type) {
      case "ready":
        return this.#welcome(frame);
      case "resync":
        this.#next.clear();
        this.#early.clear();
        return this.#options.onResync?.(frame);
      case "ack":
        return this.#settle(frame, (waiting) => {
          waiting.resolve(frame);
          this.#own(frame.conversationId, frame.seq);
        });
      case "event":
        return this.#event(frame);
      case "range":
        return this.#range(frame);
      case "ping":
        this.#moveTo(frame.cursor);
        return this.#say({ type: "pong" });
      case "pong":
        return this.#moveTo(frame.cursor);
      case "error":
        return this.#refused(frame);
      case "bye":
        return this.#bye(frame);
      case "typing":
      case "receipt":
      case "presence":
        return this.#options.onEphemeral?.(frame);
      default:
        // Frames of a newer server.
        return undefined;
    }
  }

  #welcome(frame: Ready): void {
    this.#ready = frame;
    this.#resume = { cursor: frame.cursor, epoch: frame.epoch };
    this.#listen();
    this.#move("ready");
    this.#options.onReady?.(frame);
    if (this.#viewing !== null) this.#say({ type: "presence", viewing: this.#viewing });
    for (const [conversationId, seq] of this.#reads) this.#say({ type: "read", conversationId, seq });
    this.#flush();
  }

  #event(frame: MessageEvent | LogEvent): void {
    this.#moveTo(frame.cursor);
    if (frame.kind !== "message") {
      if (frame.kind === "read") this.#confirmed(frame);
      return this.#options.onEvent?.(frame);
    }
    const { message, conversationId } = frame;
    // A conversation begins with the first message seen of it.
    if (!this.#next.has(conversationId)) this.#next.set(conversationId, message.seq);
    this.#pass(conversationId, message.seq, () => this.#options.onMessage?.(conversationId, message));
    this.#mend(conversationId);
  }

  #confirmed({ conversationId, data }: LogEvent): void {
    const { clientId, seq } = data as { clientId?: string; seq?: number };
    if (conversationId === undefined || !this.clientIds.includes(clientId ?? "")) return;
    if ((seq ?? 0) >= (this.#reads.get(conversationId) ?? Number.POSITIVE_INFINITY)) this.#reads.delete(conversationId);
  }

  /** Passes messages on in the order of `seq`, each once. */
  #pass(conversationId: string, seq: number, tell: Tell): void {
    const next = this.#next.get(conversationId) ?? seq;
    if (seq < next) return;
    const early = this.#earlyOf(conversationId);
    if (!early.has(seq)) early.set(seq, tell);
    this.#drain(conversationId, next);
  }

  /** An own message was answered: it is not to be told again, and others before it may still be on their way. */
  #own(conversationId: string, seq: number): void {
    if (this.#next.has(conversationId)) this.#pass(conversationId, seq, NOTHING);
    else this.#earlyOf(conversationId).set(seq, NOTHING);
  }

  #earlyOf(conversationId: string): Map<number, Tell> {
    const early = this.#early.get(conversationId) ?? new Map<number, Tell>();
    this.#early.set(conversationId, early);
    return early;
  }

  #drain(conversationId: string, from: number): void {
    const early = this.#early.get(conversationId);
    let next = from;
    for (let tell = early?.get(next); tell; tell = early?.get(next)) {
      early?.delete(next);
      next += 1;
      // A teller that looks at what is known finds this message counted.
      this.#next.set(conversationId, next);
      tell();
    }
    this.#next.set(conversationId, Math.max(next, this.#next.get(conversationId) ?? 0));
  }

  /** Asks for the first hole, if there is one. */
  #mend(conversationId: string): void {
    const next = this.#next.get(conversationId) ?? 0;
    // What others wrote before an own message may still be on its way: that is no hole.
    const told = [...(this.#early.get(conversationId) ?? [])].filter(([seq, tell]) => seq >= next && tell !== NOTHING);
    if (told.length === 0 || this.#asked.has(conversationId)) return;
    this.#ask(conversationId, next - 1, Math.min(...told.map(([seq]) => seq)));
  }

  #ask(conversationId: string, after: number, before?: number): void {
    this.#asked.add(conversationId);
    this.#say({ type: "range", conversationId, after, ...(before === undefined ? {} : { before }) });
  }

  #range(frame: Range): void {
    const { conversationId, messages, before } = frame;
    this.#asked.delete(conversationId);
    for (const message of messages) {
      this.#pass(conversationId, message.seq, () => this.#options.onMessage?.(conversationId, message));
    }
    const last = messages.at(-1);
    if (frame.hasMore && last) return this.#skipTo(conversationId, last.seq, () => this.#ask(conversationId, last.seq, before));
    // What the answer leaves out is not for this client; other holes may be left.
    const until = before ?? (last ? last.seq + 1 : frame.after + 1);
    return this.#skipTo(conversationId, until, () => this.#mend(conversationId));
  }

  /** Goes on at `seq`: what is missing before it will not come. */
  #skipTo(conversationId: string, seq: number, then: () => void): void {
    const early = this.#early.get(conversationId) ?? new Map<number, Tell>();
    for (const skipped of [...early.keys()].filter((key) => key < seq).sort((a, b) => a - b)) {
      this.#drain(conversationId, skipped);
    }
    this.#drain(conversationId, Math.max(seq, this.#next.get(conversationId) ?? 0));
    then();
  }

  #refused(frame: ErrorFrame): void {
    if (frame.frame === "range" && frame.conversationId !== undefined) this.#asked.delete(frame.conversationId);
    if (frame.frame === "read" && frame.conversationId !== undefined && !PASSING.has(frame.code)) {
      this.#reads.delete(frame.conversationId);
    }
    const { clientMessageId } = frame;
    if (clientMessageId === undefined) return this.#options.onError?.(new ImError(frame));
    if (PASSING.has(frame.code)) {
      setTimeout(() => {
        const waiting = this.#outbox.get(`${frame.conversationId}/${clientMessageId}`);
        if (waiting) waiting.isSent = false;
        this.#flush();
      }, frame.retryAfterMs ?? FIRST_RETRY_MS);
      return undefined;
    }
    return this.#settle({ ...frame, clientMessageId }, (waiting) => waiting.reject(new ImError(frame)));
  }

  #bye(frame: Bye): void {
    this.#options.onBye?.(frame);
    const socket = this.#socket;
    if (frame.reconnectAfterMs === null) {
      this.#end(new ImError({ code: `bye.${frame.reason}`, message: "the server has closed the connection" }));
    } else {
      this.#lost(frame.reconnectAfterMs);
    }
    socket?.close();
  }

  #settle(frame: { conversationId?: string; clientMessageId: string }, how: (waiting: Waiting) => void): void {
    const key = `${frame.conversationId}/${frame.clientMessageId}`;
    const waiting = this.#outbox.get(key);
    if (!waiting) return;
    this.#outbox.delete(key);
    how(waiting);
    this.#flush();
  }

  #flush(): void {
    if (!this.#ready) return;
    const most = Math.min(SENDS_AT_ONCE, this.#ready.limits.sendsInFlight);
    let underWay = 0;
    for (const waiting of this.#outbox.values()) {
      if (underWay >= most) return;
      underWay += 1;
      if (waiting.isSent) continue;
      waiting.isSent = true;
      this.#say(waiting.frame);
    }
  }

  #say(frame: ClientFrame): void {
    if (this.#ready && this.#socket?.readyState === OPEN) this.#socket.send(JSON.stringify(frame));
  }

  #moveTo(cursor: number): void {
    if (this.#resume && cursor > this.#resume.cursor) this.#resume.cursor = cursor;
  }

  /** A server that is silent for two heartbeats is gone. */
  #listen(): void {
    if (this.#ready) this.#giveUpAfter(this.#ready.heartbeatMs * 2);
  }

  #giveUpAfter(ms: number): void {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => {
      const socket = this.#socket;
      this.#lost();
      socket?.close();
    }, ms);
  }

  #end(error: ImError): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#ready = null;
    this.#socket = null;
    this.#move("closed");
    for (const waiting of this.#outbox.values()) waiting.reject(error);
    this.#outbox.clear();
  }
}

function closed(): ImError {
  return new ImError({ code: "client.closed", message: "the client was closed" });
}
