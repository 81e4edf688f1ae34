// Only compiled: what users of the client may and may not write.
import { ImClient, ImError, type Ack, type LogEvent, type Message, type State } from "../src/im.ts";

export async function use(): Promise<void> {
  const states: State[] = [];
  const client = new ImClient({
    url: "wss://api.example.com/im/v1/ws",
    token: async () => "a-session-token",
    resume: { cursor: 1, epoch: "e" },
    onMessage: (_conversation: string, message: Message) => void message.prevSeq,
    onEvent: (event: LogEvent) => void event.data["seq"],
    onEphemeral: (frame) => void (frame.type === "receipt" ? frame.deliveredSeq : frame.clientId),
    onState: (state) => void states.push(state),
  });
  const ack: Ack = await client.send({ conversationId: "c", messageType: "text", content: { text: "您好" } });
  client.read("c", ack.seq);
  client.view(null);
  // @ts-expect-error notes are written over HTTP, by the desk only
  await client.send({ conversationId: "c", messageType: "note", content: {} });
  // @ts-expect-error the token is asked for at every connect
  new ImClient({ url: "wss://api.example.com/im/v1/ws", token: "a-session-token" });
  client.close();
}

export const isConflict = (error: unknown): boolean =>
  error instanceof ImError && error.code === "CLIENT_MESSAGE_ID_CONFLICT";
