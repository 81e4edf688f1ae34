/** Frames as openapi/im-protocol.md documents them. */
export type MessageType = "text" | "image" | "link" | "file" | "voice" | "report";

export interface Message {
  id: string;
  seq: number;
  prevSeq: number;
  /** Client id; null for the system. */
  sender: string | null;
  actedBy?: string;
  clientMessageId?: string;
  type: string;
  /** null when it was recalled. */
  content: unknown;
  corrects?: string;
  recalledAt?: string;
  createdAt: string;
}

export interface Ack {
  type: "ack";
  clientMessageId: string;
  conversationId: string;
  messageId: string;
  seq: number;
  serverTime: string;
  duplicate: boolean;
}

export interface Ready {
  type: "ready";
  cursor: number;
  epoch: string;
  heartbeatMs: number;
  clientIds: string[];
  sessionId: string;
  serverTime: string;
  limits: { maxFrameBytes: number; framesPerSecond: number; sendsInFlight: number; range: number };
}

export interface LogEvent {
  type: "event";
  cursor: number;
  conversationId?: string;
  kind: "recalled" | "read" | "joined" | "left" | "consultation" | "assignment" | "session_ended";
  data: Record<string, unknown>;
}

export type Ephemeral =
  | { type: "typing"; conversationId: string; clientId: string }
  | { type: "receipt"; conversationId: string; clientId: string; deliveredSeq: number }
  | { type: "presence"; conversationId: string; clientId: string; viewing: boolean };

export interface Bye {
  type: "bye";
  reason: string;
  detail?: string;
  reconnectAfterMs: number | null;
}

/** Where to go on from. */
export interface Resume {
  cursor: number;
  epoch: string;
}

export interface ImOptions {
  /** e.g. wss://api.example.com/im/v1/ws */
  url: string;
  /** The session token; asked for at every connect. */
  token: () => string | Promise<string>;
  resume?: Resume | null;
  device?: string;
  WebSocket?: typeof globalThis.WebSocket;
  /** Each message once, in the order of its conversation; own messages of this client are answered by `send`. */
  onMessage?: (conversationId: string, message: Message) => void;
  onEvent?: (event: LogEvent) => void;
  onEphemeral?: (frame: Ephemeral) => void;
  onReady?: (frame: Ready) => void;
  /** What is kept is to be dropped and loaded again over HTTP. */
  onResync?: (frame: { type: "resync"; cursor: number; epoch: string }) => void;
  onBye?: (frame: Bye) => void;
  onError?: (error: ImError) => void;
}

export interface NewMessage {
  conversationId: string;
  messageType: MessageType;
  content: unknown;
  corrects?: string;
  clientMessageId?: string;
}

export class ImError extends Error {
  readonly code: string;
  readonly fields: { field: string; message: string }[];
}

export class ImClient {
  constructor(options: ImOptions);
  readonly resume: Resume | null;
  readonly isReady: boolean;
  send(message: NewMessage): Promise<Ack>;
  read(conversationId: string, seq: number): void;
  delivered(conversationId: string, seq: number): void;
  typing(conversationId: string): void;
  view(conversationId: string | null): void;
  knows(conversationId: string, seq: number): void;
  close(): void;
}
