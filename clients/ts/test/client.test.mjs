// The client against a server that exists only here: what it says, in which order, and what it makes of what it hears.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ImClient, ImError } from "../dist/im.js";

const READY = {
  type: "ready", cursor: 10, epoch: "e1", heartbeatMs: 60_000, clientIds: ["me"], sessionId: "s", serverTime: "t",
  limits: { maxFrameBytes: 1000, framesPerSecond: 50, sendsInFlight: 2, range: 200 },
};

/** Sockets as the server sees them. */
function server() {
  const sockets = [];
  class FakeSocket {
    readyState = 0;
    said = [];
    constructor(url) {
      this.url = url;
      sockets.push(this);
      setTimeout(() => {
        this.readyState = 1;
        this.onopen?.();
      }, 0);
    }
    send(text) {
      this.said.push(JSON.parse(text));
    }
    close() {
      if (this.readyState === 3) return;
      this.readyState = 3;
      setTimeout(() => this.onclose?.(), 0);
    }
    tell(frame) {
      this.onmessage?.({ data: JSON.stringify(frame) });
    }
    /** Frames of a type that were said since the last look. */
    take(type) {
      const found = this.said.filter((frame) => frame.type === type);
      this.said = this.said.filter((frame) => frame.type !== type);
      return found;
    }
  }
  return { sockets, FakeSocket };
}

const later = (ms = 5) => new Promise((resolve) => setTimeout(resolve, ms));

async function until(holds) {
  for (let n = 0; n < 2000 && !holds(); n += 1) await later();
  assert.ok(holds(), "not in time");
}

async function begin(t, options = {}) {
  const { sockets, FakeSocket } = server();
  const seen = [];
  const client = new ImClient({
    url: "ws://server/im/v1/ws", token: () => "token", WebSocket: FakeSocket,
    onMessage: (conversation, message) => seen.push(`${conversation}/${message.seq}`), ...options,
  });
  t.after(() => client.close());
  await until(() => sockets.at(-1)?.said.length > 0);
  return { client, sockets, seen, socket: () => sockets.at(-1) };
}

async function ready(t, options) {
  const world = await begin(t, options);
  world.socket().take("hello");
  world.socket().tell(READY);
  return world;
}

const message = (seq, prevSeq = seq - 1) => ({
  type: "event", cursor: 100 + seq, conversationId: "c", kind: "message",
  message: { id: `m${seq}`, seq, prevSeq, sender: "you", type: "text", content: { text: "x" }, createdAt: "t" },
});
const range = (after, before, seqs, hasMore = false) => ({
  type: "range", conversationId: "c", after, before, hasMore, messages: seqs.map((seq) => message(seq).message),
});
const text = (words, clientMessageId) => ({
  conversationId: "c", messageType: "text", content: { text: words }, clientMessageId,
});
const ack = (name, seq, duplicate = false) => ({
  type: "ack", clientMessageId: name, conversationId: "c", messageId: `m${seq}`, seq, serverTime: "t", duplicate,
});

test("hello says who it is and where to go on from", async (t) => {
  const { socket } = await begin(t, { resume: { cursor: 7, epoch: "e0" }, device: "phone" });
  assert.deepEqual(socket().said, [{ type: "hello", token: "token", cursor: 7, epoch: "e0", device: "phone" }]);
});

test("without a token the cookie speaks", async (t) => {
  const { socket } = await begin(t, { token: () => null });
  assert.deepEqual(socket().said, [{ type: "hello" }]);
});

test("messages wait for ready, go out in order, few at a time, and are answered by name", async (t) => {
  const { client, socket } = await begin(t);
  const answers = ["a", "b", "c"].map((name) => client.send(text(name, name)));
  assert.equal(socket().take("send").length, 0);
  socket().tell(READY);
  assert.deepEqual(socket().take("send").map((frame) => frame.clientMessageId), ["a", "b"]);
  socket().tell(ack("b", 2));
  assert.deepEqual(socket().take("send").map((frame) => frame.clientMessageId), ["c"]);
  socket().tell(ack("a", 1));
  socket().tell(ack("c", 3));
  assert.deepEqual((await Promise.all(answers)).map((answer) => answer.seq), [1, 2, 3]);
});

test("what has no answer is said again on the next connection under the same name", async (t) => {
  const { client, sockets, socket } = await ready(t);
  const answer = client.send(text("a", "a"));
  assert.equal(client.send(text("a", "a")), answer, "the same message once more is the same promise");
  const first = socket();
  first.tell({ type: "bye", reason: "draining", reconnectAfterMs: 0 });
  await until(() => sockets.length === 2 && socket().said.length > 0);
  assert.deepEqual(socket().take("hello")[0], { type: "hello", token: "token", cursor: 10, epoch: "e1" });
  socket().tell(READY);
  assert.deepEqual(socket().take("send"), first.take("send"));
  socket().tell(ack("a", 5, true));
  assert.equal((await answer).duplicate, true);
});

test("a refusal that passes is tried again, another is final", async (t) => {
  const { client, socket } = await ready(t);
  const answer = client.send(text("a", "a"));
  const refusal = { type: "error", message: "no", frame: "send", conversationId: "c", clientMessageId: "a" };
  socket().take("send");
  socket().tell({ ...refusal, code: "im.too_many_frames", retryAfterMs: 1 });
  await until(() => socket().said.some((frame) => frame.type === "send"));
  socket().tell({ ...refusal, code: "CONSULTATION_ENDED", fields: [{ field: "x", message: "y" }] });
  await assert.rejects(answer, (error) => error instanceof ImError && error.code === "CONSULTATION_ENDED" && error.fields.length === 1);
});

test("every message is passed on once, in order", async (t) => {
  const { seen, socket } = await ready(t);
  for (const seq of [3, 4, 4, 3, 5]) socket().tell(message(seq));
  assert.deepEqual(seen, ["c/3", "c/4", "c/5"]);
});

test("a hole is asked for and filled before what came after it", async (t) => {
  const { seen, socket } = await ready(t);
  socket().tell(message(1));
  socket().tell(message(5));
  assert.deepEqual(socket().take("range"), [{ type: "range", conversationId: "c", after: 1, before: 5 }]);
  // A second hole while the first is asked for.
  socket().tell(message(8));
  assert.deepEqual(seen, ["c/1"]);
  socket().tell(range(1, 5, [2, 3], true));
  assert.deepEqual(socket().take("range"), [{ type: "range", conversationId: "c", after: 3, before: 5 }]);
  socket().tell(range(3, 5, []));
  assert.deepEqual(seen, ["c/1", "c/2", "c/3", "c/5"], "4 is not for this client");
  assert.deepEqual(socket().take("range"), [{ type: "range", conversationId: "c", after: 5, before: 8 }]);
  socket().tell(range(5, 8, [6, 7]));
  assert.deepEqual(seen.slice(-3), ["c/6", "c/7", "c/8"]);
});

test("an own message is not passed on, and is no hole either", async (t) => {
  const { client, seen, socket } = await ready(t);
  socket().tell(message(1));
  client.send(text("a", "a"));
  socket().tell(ack("a", 3));
  socket().tell(message(2));
  socket().tell(message(4));
  assert.deepEqual(seen, ["c/1", "c/2", "c/4"]);
  assert.deepEqual(socket().take("range"), []);
});

test("what is known already is not passed on, and what is missing after it is asked for", async (t) => {
  const { client, seen, socket } = await ready(t);
  client.knows("c", 4);
  socket().tell(message(4));
  socket().tell(message(7));
  assert.deepEqual(socket().take("range"), [{ type: "range", conversationId: "c", after: 4, before: 7 }]);
  client.knows("c", 6);
  assert.deepEqual(seen, ["c/7"]);
});

test("the cursor follows events and pulses, and a resync begins anew", async (t) => {
  const resyncs = [];
  const { client, seen, socket } = await ready(t, { onResync: (frame) => resyncs.push(frame.cursor) });
  socket().tell(message(1));
  assert.equal(client.resume.cursor, 101);
  socket().tell({ type: "ping", cursor: 150 });
  assert.deepEqual(socket().take("pong"), [{ type: "pong" }]);
  socket().tell({ type: "pong", cursor: 120 });
  assert.deepEqual(client.resume, { cursor: 150, epoch: "e1" });
  socket().tell({ type: "resync", cursor: 3, epoch: "e2" });
  socket().tell({ ...READY, cursor: 3, epoch: "e2" });
  assert.deepEqual([resyncs, client.resume], [[3], { cursor: 3, epoch: "e2" }]);
  socket().tell(message(1));
  assert.deepEqual(seen, ["c/1", "c/1"]);
});

test("what is open in front and what was read is said again after a new connection", async (t) => {
  const { client, sockets, socket } = await ready(t);
  client.view("c");
  client.read("c", 4);
  client.read("d", 2);
  const read = (conversationId, seq) => ({ type: "event", cursor: 11, conversationId, kind: "read", data: { clientId: "me", seq } });
  socket().tell(read("d", 2));
  socket().close();
  await until(() => sockets.length === 2 && socket().said.length > 0);
  socket().tell(READY);
  assert.deepEqual(socket().take("presence"), [{ type: "presence", viewing: "c" }]);
  assert.deepEqual(socket().take("read"), [{ type: "read", conversationId: "c", seq: 4 }]);
});

test("the states are told, and a farewell without a return is final", async (t) => {
  const states = [];
  const { client, socket } = await ready(t, { onState: (state) => states.push(state) });
  const answer = client.send(text("a", "a"));
  socket().tell({ type: "bye", reason: "session_ended", reconnectAfterMs: null });
  await assert.rejects(answer, { code: "bye.session_ended" });
  assert.deepEqual(states, ["ready", "closed"]);
  await assert.rejects(client.send(text("b")), { code: "client.closed" });
});

test("a token that cannot be had now is asked for again", async (t) => {
  let tries = 0;
  const token = () => {
    tries += 1;
    if (tries === 1) throw new Error("not now");
    return "token";
  };
  const { socket } = await begin(t, { token });
  assert.equal(socket().take("hello")[0].token, "token");
});
