// Messaging over the WebSocket protocol of openapi/im-protocol.md: connects, resumes from its cursor, sends each message
// under one name until it is answered, passes every message on once, and fills holes. No dependencies; types in im.d.ts.

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;
/** Frames of `send` on their way; the rest waits its turn. */
const SENDS_AT_ONCE = 32;
/** Answers after which the same message is to be sent again. */
const PASSING = new Set([
  "im.too_many_frames", "message.outcome_unknown", "server.busy", "server.stopping", "store.conflict", "store.unavailable",
]);

export class ImError extends Error {
  constructor(frame) {
    super(frame.message);
    this.name = "ImError";
    this.code = frame.code;
    this.fields = frame.fields ?? [];
  }
}

export class ImClient {
  #options;
  #socket = null;
  #ready = null;
  #state;
  #outbox = new Map();
  #next = new Map();
  #early = new Map();
  #asked = new Set();
  #failures = 0;
  #timer = null;
  #silence = null;
  #isClosed = false;
  #made = 0;

  constructor(options) {
    this.#options = { WebSocket: globalThis.WebSocket, ...options };
    this.#state = options.resume ? { ...options.resume } : null;
    this.#connect();
  }

  /** Where to go on from the next time, or null before the first `ready`. */
  get resume() {
    return this.#state && { ...this.#state };
  }

  get isReady() {
    return this.#ready !== null;
  }

  /** Sends a message until it is answered; the same `clientMessageId` makes a retry of an earlier one. */
  send({ conversationId, messageType, content, corrects, clientMessageId }) {
    const name = clientMessageId ?? this.#newName();
    const key = `${conversationId}/${name}`;
    const known = this.#outbox.get(key);
    if (known) return known.answer;
    const entry = { frame: { type: "send", clientMessageId: name, conversationId, messageType, content }, isSent: false };
    if (corrects) entry.frame.corrects = corrects;
    entry.answer = new Promise((resolve, reject) => Object.assign(entry, { resolve, reject }));
    this.#outbox.set(key, entry);
    this.#flush();
    return entry.answer;
  }

  read(conversationId, seq) {
    this.#say({ type: "read", conversationId, seq });
  }

  delivered(conversationId, seq) {
    this.#say({ type: "delivered", conversationId, seq });
  }

  typing(conversationId) {
    this.#say({ type: "typing", conversationId });
  }

  view(conversationId) {
    this.#say({ type: "presence", viewing: conversationId });
  }

  /** Messages up to `seq` are known already, e.g. from the list over HTTP. */
  knows(conversationId, seq) {
    this.#next.set(conversationId, Math.max(seq + 1, this.#next.get(conversationId) ?? 0));
  }

  /** Ends for good. Messages without an answer are rejected; they may be sent again under the same name. */
  close() {
    this.#end(new ImError({ code: "client.closed", message: "the client was closed" }));
    this.#socket?.close();
  }

  #newName() {
    this.#made += 1;
    return `${crypto.randomUUID()}-${this.#made}`;
  }

  #connect() {
    const socket = new this.#options.WebSocket(this.#options.url);
    this.#socket = socket;
    socket.onopen = async () => {
      const token = await this.#options.token();
      if (socket !== this.#socket || socket.readyState !== 1) return;
      const hello = { type: "hello", token, ...this.#state };
      if (this.#options.device) hello.device = this.#options.device;
      socket.send(JSON.stringify(hello));
    };
    socket.onmessage = ({ data }) => {
      if (socket === this.#socket) this.#take(JSON.parse(data));
    };
    socket.onclose = () => {
      if (socket === this.#socket) this.#lost();
    };
    socket.onerror = () => {};
  }

  #lost(afterMs) {
    clearTimeout(this.#silence);
    const wasReady = this.#ready !== null;
    this.#ready = null;
    this.#socket = null;
    this.#asked.clear();
    for (const entry of this.#outbox.values()) entry.isSent = false;
    if (this.#isClosed) return;
    this.#failures = wasReady ? 0 : this.#failures + 1;
    const backOff = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** this.#failures) * (0.5 + Math.random() / 2);
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), afterMs ?? backOff);
  }

  #take(frame) {
    this.#listen();
    switch (frame.type) {
      case "ready":
        this.#ready = frame;
        this.#state = { cursor: frame.cursor, epoch: frame.epoch };
        this.#listen();
        this.#tell("onReady", frame);
        return this.#flush();
      case "resync":
        this.#next.clear();
        this.#early.clear();
        return this.#tell("onResync", frame);
      case "ack":
        return this.#settle(frame, (entry) => {
          entry.resolve(frame);
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
        return this.#tell("onEphemeral", frame);
      default:
        return undefined;
    }
  }

  #event(frame) {
    this.#moveTo(frame.cursor);
    if (frame.kind !== "message") return this.#tell("onEvent", frame);
    const { message, conversationId } = frame;
    const next = this.#next.get(conversationId);
    // A conversation begins with the first message seen of it.
    if (next === undefined) this.#next.set(conversationId, message.seq);
    else if (message.prevSeq >= next) this.#ask(conversationId, next - 1, message.seq);
    return this.#pass(conversationId, message.seq, () => this.#tell("onMessage", conversationId, message));
  }

  /** Passes messages on in the order of `seq`, each once. */
  #pass(conversationId, seq, tell) {
    const next = this.#next.get(conversationId);
    if (seq < next) return;
    const early = this.#earlyOf(conversationId);
    if (!early.has(seq)) early.set(seq, tell);
    this.#drain(conversationId, next);
  }

  /** An own message was answered: it is not to be told again, and others before it may still be on their way. */
  #own(conversationId, seq) {
    if (this.#next.has(conversationId)) this.#pass(conversationId, seq, () => {});
    else this.#earlyOf(conversationId).set(seq, () => {});
  }

  #earlyOf(conversationId) {
    const early = this.#early.get(conversationId) ?? new Map();
    this.#early.set(conversationId, early);
    return early;
  }

  #drain(conversationId, from) {
    const early = this.#early.get(conversationId);
    let next = from;
    for (let tell = early?.get(next); tell; tell = early.get(next)) {
      early.delete(next);
      next += 1;
      tell();
    }
    this.#next.set(conversationId, next);
  }

  #ask(conversationId, after, before) {
    if (this.#asked.has(conversationId)) return;
    this.#asked.add(conversationId);
    this.#say({ type: "range", conversationId, after, before });
  }

  #range(frame) {
    const { conversationId, messages } = frame;
    this.#asked.delete(conversationId);
    for (const message of messages) {
      this.#pass(conversationId, message.seq, () => this.#tell("onMessage", conversationId, message));
    }
    if (frame.hasMore && messages.length > 0) {
      return this.#ask(conversationId, messages.at(-1).seq, frame.before);
    }
    // What the answer leaves out is not for this client.
    const waiting = [...(this.#early.get(conversationId)?.keys() ?? [])];
    if (waiting.length > 0) this.#drain(conversationId, Math.min(...waiting));
    return undefined;
  }

  #refused(frame) {
    if (frame.frame === "range") this.#asked.delete(frame.conversationId);
    if (!frame.clientMessageId) return this.#tell("onError", new ImError(frame));
    if (PASSING.has(frame.code)) {
      setTimeout(() => {
        const entry = this.#outbox.get(`${frame.conversationId}/${frame.clientMessageId}`);
        if (entry) entry.isSent = false;
        this.#flush();
      }, frame.retryAfterMs ?? FIRST_RETRY_MS);
      return undefined;
    }
    return this.#settle(frame, (entry) => entry.reject(new ImError(frame)));
  }

  #bye(frame) {
    this.#tell("onBye", frame);
    if (frame.reconnectAfterMs === null) {
      return this.#end(new ImError({ code: `bye.${frame.reason}`, message: "the server has closed the connection" }));
    }
    this.#socket?.close();
    return this.#lost(frame.reconnectAfterMs);
  }

  #settle(frame, how) {
    const key = `${frame.conversationId}/${frame.clientMessageId}`;
    const entry = this.#outbox.get(key);
    if (!entry) return;
    this.#outbox.delete(key);
    how(entry);
    this.#flush();
  }

  #flush() {
    if (!this.#ready) return;
    let underWay = 0;
    for (const entry of this.#outbox.values()) {
      if (underWay >= SENDS_AT_ONCE) return;
      underWay += 1;
      if (entry.isSent) continue;
      entry.isSent = true;
      this.#say(entry.frame);
    }
  }

  #say(frame) {
    if (this.#ready && this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  #moveTo(cursor) {
    if (this.#state && cursor > this.#state.cursor) this.#state.cursor = cursor;
  }

  /** A server that is silent for two heartbeats is gone. */
  #listen() {
    clearTimeout(this.#silence);
    if (!this.#ready) return;
    this.#silence = setTimeout(() => {
      this.#socket?.close();
      this.#lost();
    }, this.#ready.heartbeatMs * 2);
  }

  #end(error) {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#silence);
    this.#ready = null;
    for (const entry of this.#outbox.values()) entry.reject(error);
    this.#outbox.clear();
  }

  #tell(name, ...args) {
    this.#options[name]?.(...args);
  }
}
