/** Somebody of the page for trying: signs in with a development code and talks through the real API and WebSocket. */
import { reactive, ref } from "vue";
import { ImClient, type Message as LiveMessage } from "zhaoguan-im";
import { ApiClient, type Schemas } from "../api/client";
import { locale } from "../i18n";
import type { Message } from "../desk/model";

export type Role = "patient" | "doctor";
export interface Bubble { key: string; message: Message; isMine: boolean; state: "sent" | "sending" | "failed" }

export class Person {
  readonly role: Role;
  readonly name: string;
  readonly api: ApiClient;
  readonly state = ref<"connecting" | "ready" | "waiting" | "closed">("connecting");
  /** What was said, by conversation. */
  readonly chats = reactive(new Map<string, Bubble[]>());
  readonly readSeq = reactive(new Map<string, number>());
  readonly typing = reactive(new Map<string, number>());
  readonly onStatus: ((data: Record<string, unknown>) => void)[] = [];
  onConsultation?: () => void;
  clientId = "";
  #token = "";
  #client: ImClient | null = null;

  constructor(role: Role, name: string) {
    this.role = role;
    this.name = name;
    this.api = new ApiClient({ token: () => this.#token || null, language: () => locale.value });
  }

  async signIn(phone: string): Promise<string> {
    const asked = await this.api.post<Schemas["SmsCodeView"]>("/auth/sms-codes", { phone });
    const { items } = await this.api.get<{ items: Schemas["DevSmsView"][] }>("/dev/sms");
    const code = items.find((sms) => sms.phone.endsWith(phone) && sms.code)?.code ?? "";
    const signedIn = await this.api.post<Schemas["SignedInView"]>("/auth/sign-in/sms", { challengeId: asked.challengeId, code, role: this.role, deviceLabel: "console/try" });
    this.#token = signedIn.token;
    this.clientId = (this.role === "patient" ? signedIn.patientId : signedIn.doctorId) ?? "";
    return code;
  }

  connect(): void {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.#client = new ImClient({
      url: `${scheme}://${location.host}/im/v1/ws`,
      token: () => this.#token,
      device: `try-${this.role}`,
      onState: (state) => (this.state.value = state),
      onMessage: (id, message) => this.#take(id, message),
      onEphemeral: (frame) => frame.type === "typing" && this.typing.set(frame.conversationId, Date.now() + 3000),
      onEvent: (event) => {
        if (event.kind === "read" && event.conversationId && event.data.clientId !== this.clientId) this.readSeq.set(event.conversationId, Number(event.data.seq));
        if (event.kind === "recalled" && event.conversationId) void this.load(event.conversationId);
        if (event.kind === "consultation") this.onConsultation?.();
        if ((event.kind as string) === "assignment") this.onStatus.forEach((tell) => tell(event.data));
      },
    });
  }

  close(): void {
    this.#client?.close();
  }

  async load(id: string): Promise<void> {
    const page = await this.api.get<{ items: Message[] }>(`/conversations/${id}/messages`, { limit: 50 });
    this.chats.set(id, page.items.map((message) => this.#bubble(message)));
    this.#client?.knows(id, page.items.at(-1)?.seq ?? 0);
  }

  view(id: string | null): void {
    this.#client?.view(id);
    const last = id ? this.chats.get(id)?.at(-1)?.message.seq : undefined;
    if (id && last) this.#client?.read(id, last);
  }

  wroteSomething(id: string): void {
    this.#client?.typing(id);
  }

  async say(id: string, text: string): Promise<void> {
    await this.send(id, "text", { text });
  }

  async send(id: string, type: "text" | "image" | "link", content: Record<string, unknown>, shown = content): Promise<void> {
    const clientMessageId = `try-${crypto.randomUUID()}`;
    const message = { id: clientMessageId, seq: 0, conversationId: id, clientMessageId, type, content: shown, sender: this.clientId, createdAt: new Date().toISOString() } as Message;
    const bubbles = this.#bubbles(id);
    bubbles.push({ key: clientMessageId, message, isMine: true, state: "sending" });
    const own = bubbles.at(-1)!;
    try {
      const ack = await this.#client!.send({ conversationId: id, messageType: type, content, clientMessageId });
      own.message = { ...own.message, id: ack.messageId, seq: ack.seq, createdAt: ack.serverTime };
      own.state = "sent";
    } catch (error) {
      own.state = "failed";
      throw error;
    }
  }

  #take(id: string, live: LiveMessage): void {
    const message = { ...live, conversationId: id } as unknown as Message;
    const bubbles = this.#bubbles(id);
    this.typing.delete(id);
    if (bubbles.some((one) => one.message.id === message.id || (message.clientMessageId && one.key === message.clientMessageId))) return;
    bubbles.push(this.#bubble(message));
    if (message.content && "fileId" in message.content) void this.#sign(id, message);
    bubbles.sort((a, b) => (a.message.seq || 1e12) - (b.message.seq || 1e12));
  }

  /** Files come over the socket without their signed address. */
  async #sign(id: string, message: Message): Promise<void> {
    const signed = await this.api.get<Message>(`/conversations/${id}/messages/${message.id}`).catch(() => null);
    const bubble = this.chats.get(id)?.find((one) => one.message.id === message.id);
    if (signed && bubble) bubble.message = signed;
  }

  #bubbles(id: string): Bubble[] {
    if (!this.chats.has(id)) this.chats.set(id, []);
    return this.chats.get(id)!;
  }

  #bubble(message: Message): Bubble {
    return { key: message.id, message, isMine: message.sender === this.clientId, state: "sent" };
  }
}

/** A small picture as a stand-in for a certificate. */
export async function paper(title: string): Promise<File> {
  const canvas = document.createElement("canvas");
  canvas.width = 480;
  canvas.height = 320;
  const pen = canvas.getContext("2d")!;
  pen.fillStyle = "#eef6f4";
  pen.fillRect(0, 0, 480, 320);
  pen.strokeStyle = "#0b7a75";
  pen.lineWidth = 8;
  pen.strokeRect(16, 16, 448, 288);
  pen.fillStyle = "#0b4f4b";
  pen.font = "bold 34px sans-serif";
  pen.textAlign = "center";
  pen.fillText(title, 240, 150);
  pen.font = "18px sans-serif";
  pen.fillText("SAMPLE", 240, 200);
  const blob = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/png"));
  return new File([blob!], "sample.png", { type: "image/png" });
}
