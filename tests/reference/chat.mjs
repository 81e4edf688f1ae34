// The least a chat can be: one Node process with `ws` and `pg` that stores each message with one INSERT, then acks it and
// hands it to the other side. No retries, devices, sync, unread, receipts or rights. It speaks just enough of the
// protocol for the load generator, so that both are measured by the same client on the same machine.
//
//   node chat.mjs HOST:PORT postgres://…
import { WebSocketServer } from "ws";
import pg from "pg";

const [address, database] = process.argv.slice(2);
const [host, port] = address.split(":");
const pool = new pg.Pool({ connectionString: database, max: 10 });
await pool.query(
  "CREATE TABLE IF NOT EXISTS message (id bigserial PRIMARY KEY, conversation text NOT NULL, sender text NOT NULL, " +
    "content jsonb NOT NULL, created_at timestamptz NOT NULL DEFAULT now())",
);
await pool.query("CREATE INDEX IF NOT EXISTS message_conversation ON message (conversation, id)");

const insert = {
  name: "insert",
  text: "INSERT INTO message (conversation, sender, content) VALUES ($1, $2, $3) RETURNING id, created_at",
};
/** Sockets by token. The n-th doctor and the n-th patient talk to each other. */
const sockets = new Map();
const peer = (token) =>
  token.includes("doctor") ? token.replace("doctor", "patient") : token.replace("patient", "doctor");

async function send(socket, { clientMessageId, conversationId, messageType, content }) {
  const { rows } = await pool.query({ ...insert, values: [conversationId, socket.token, content] });
  const message = { id: rows[0].id, conversationId, sender: socket.token, clientMessageId, messageType, content };
  socket.send(JSON.stringify({ type: "ack", clientMessageId, id: message.id, createdAt: rows[0].created_at }));
  sockets.get(peer(socket.token))?.send(JSON.stringify({ type: "event", kind: "message", message }));
}

const handlers = {
  hello(socket, { token }) {
    socket.token = token;
    sockets.set(token, socket);
    socket.send('{"type":"ready"}');
  },
  send,
  ping: (socket) => socket.send('{"type":"pong"}'),
};

const server = new WebSocketServer({ host, port: Number(port), perMessageDeflate: false });
server.on("connection", (socket) => {
  socket.on("message", (bytes) => {
    const frame = JSON.parse(bytes);
    handlers[frame.type]?.(socket, frame);
  });
});
