// Two people talk through a real server while their connections are cut again and again.
// Variables: IM_URL, IM_CONVERSATION, IM_TOKENS (two, separated by a comma).
import assert from "node:assert/strict";
import { ImClient, ImError } from "../dist/im.js";

const { IM_URL: url, IM_CONVERSATION: conversationId, IM_TOKENS: tokens } = process.env;
const sockets = new Set();

class CutSocket extends WebSocket {
  constructor(address) {
    super(address);
    sockets.add(this);
    this.addEventListener("close", () => sockets.delete(this));
  }
}

function person(token, received) {
  const onMessage = (_, message) => {
    if (message.sender !== null) received.push(message);
  };
  return new ImClient({ url, token: () => token, WebSocket: CutSocket, onMessage });
}

async function until(what, holds) {
  const deadline = Date.now() + 30_000;
  while (!holds()) {
    assert.ok(Date.now() < deadline, `${what}: not in time`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const seen = [[], []];
const people = tokens.split(",").map((token, n) => person(token, seen[n]));
await until("both are ready", () => people.every((one) => one.isReady));

const text = (words) => ({ conversationId, messageType: "text", content: { text: words } });
await assert.rejects(people[0].send(text(" ")), (error) => error instanceof ImError && error.code === "request.invalid");

const rounds = 30;
const acks = [];
for (let n = 0; n < rounds; n += 1) {
  const sends = people.map((one, who) => one.send(text(`${who}-${n}`)));
  if (n % 10 === 5) for (const socket of sockets) socket.close();
  acks.push(...(await Promise.all(sends)));
}
const seqs = acks.map((ack) => ack.seq);
assert.equal(new Set(seqs).size, rounds * 2, "each message has a place of its own");

// Own messages come as events as well, when the connection broke before their answer.
const written = (messages, by) => messages.map((message) => message.content.text).filter((words) => words.startsWith(`${by}-`));
await until("everything arrived", () => seen.every((messages, who) => written(messages, 1 - who).length >= rounds));
for (const [who, messages] of seen.entries()) {
  const own = messages.map((message) => message.seq);
  assert.deepEqual(own, [...own].sort((a, b) => a - b), "in order");
  assert.equal(new Set(own).size, own.length, "each once");
  assert.deepEqual(written(messages, 1 - who), Array.from({ length: rounds }, (_, n) => `${1 - who}-${n}`), "all that the other wrote");
}
const again = await people[0].send({ ...text("0-0"), clientMessageId: acks[0].clientMessageId });
assert.equal(again.duplicate, true);
assert.ok(people[0].resume.cursor > 0);
for (const one of people) one.close();
