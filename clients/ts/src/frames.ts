/** Frames as openapi/im-protocol.md documents them. */

export type MessageType = "text" | "image" | "link" | "file" | "voice" | "report";

export interface Message {
  id: string;
  seq: number;
  prevSeq: number;
  /** Client id; null for the system. */
  sender: string | null;
  /** The agent who wrote it in the assistant's name. */
  actedBy?: string;
  clientMessageId?: string;
  /** A {@link MessageType}, `system`, `note` (staff only), or what an older client sent. */
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

export interface Limits {
  maxFrameBytes: number;
  framesPerSecond: number;
  sendsInFlight: number;
  range: number;
}

export interface Ready {
  type: "ready";
  cursor: number;
  epoch: string;
  heartbeatMs: number;
  clientIds: string[];
  sessionId: string;
  serverTime: string;
  limits: Limits;
}

export interface Resync {
  type: "resync";
  cursor: number;
  epoch: string;
}

export interface MessageEvent {
  type: "event";
  cursor: number;
  conversationId: string;
  kind: "message";
  message: Message;
}

export type EventKind = "recalled" | "edited" | "read" | "joined" | "left" | "updated" | "consultation" | "assignment" | "session_ended" | "client_ended";

export interface LogEvent {
  type: "event";
  cursor: number;
  conversationId?: string;
  kind: EventKind;
  data: Record<string, unknown>;
}

export interface Typing {
  type: "typing";
  conversationId: string;
  clientId: string;
}

export interface Receipt {
  type: "receipt";
  conversationId: string;
  clientId: string;
  deliveredSeq: number;
}

export interface Presence {
  type: "presence";
  conversationId: string;
  clientId: string;
  viewing: boolean;
}

export type Ephemeral = Typing | Receipt | Presence;

export interface Range {
  type: "range";
  conversationId: string;
  after: number;
  before?: number;
  messages: Message[];
  hasMore: boolean;
}

export interface Pulse {
  type: "ping" | "pong";
  cursor: number;
}

export interface Fault {
  field: string;
  message: string;
}

export interface ErrorFrame {
  type: "error";
  code: string;
  message: string;
  frame?: string;
  conversationId?: string;
  clientMessageId?: string;
  fields?: Fault[];
  retryAfterMs?: number;
}

export interface Bye {
  type: "bye";
  reason: string;
  detail?: string;
  reconnectAfterMs: number | null;
}

export type ServerFrame =
  | Ack
  | Ready
  | Resync
  | MessageEvent
  | LogEvent
  | Ephemeral
  | Range
  | Pulse
  | ErrorFrame
  | Bye;

export interface SendFrame {
  type: "send";
  clientMessageId: string;
  conversationId: string;
  messageType: MessageType;
  content: unknown;
  corrects?: string;
}

export type ClientFrame =
  | { type: "hello"; token?: string; cursor?: number; epoch?: string; device?: string }
  | SendFrame
  | { type: "read" | "delivered"; conversationId: string; seq: number }
  | { type: "typing"; conversationId: string }
  | { type: "presence"; viewing: string | null }
  | { type: "range"; conversationId: string; after: number; before?: number }
  | { type: "ping" | "pong" };
