/** The messages of one chat as far as they are loaded, with notes and events between them and what is on its way. */
import { ref, shallowRef, triggerRef } from "vue";
import { api, sentence, type Page } from "../api";
import { day } from "../i18n";
import type { DeskEntry, Message } from "./model";

const PAGE = 60;

export interface Pending {
  clientMessageId: string;
  type: string;
  content: Record<string, unknown>;
  /** Shown until the upload is done. */
  preview?: string;
  file?: File;
  state: "sending" | "failed";
  fault?: string;
  at: number;
}

export type Row =
  | { key: string; is: "day"; text: string }
  | { key: string; is: "unread" }
  | { key: string; is: "message"; message: Message; isFirst: boolean }
  | { key: string; is: "entry"; entry: DeskEntry }
  | { key: string; is: "pending"; pending: Pending };

export class Timeline {
  readonly id: string;
  readonly messages = shallowRef<Message[]>([]);
  readonly entries = shallowRef<DeskEntry[]>([]);
  readonly pending = shallowRef<Pending[]>([]);
  readonly isLoaded = ref(false);
  readonly isLoading = ref(false);
  readonly hasBefore = ref(false);
  readonly hasAfter = ref(false);
  readonly fault = ref("");
  /** Read up to here when the chat was opened; the line stands after it. */
  readonly unreadAfter = ref<number | null>(null);
  usedAt = 0;
  /** Whose messages can be unread. */
  customerId = "";
  #loading: Promise<void> | null = null;

  constructor(id: string) {
    this.id = id;
  }

  get lastSeq(): number {
    return this.messages.value.at(-1)?.seq ?? 0;
  }

  /** Loads the newest messages, or those around `seq`. */
  load(seq?: number): Promise<void> {
    this.#loading ??= this.#load(seq).finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #load(seq?: number): Promise<void> {
    this.isLoading.value = true;
    this.fault.value = "";
    try {
      const before = seq === undefined ? undefined : seq + 20;
      const [messages, entries] = await Promise.all([
        api.get<{ items: Message[]; hasMore: boolean }>(`/desk/chats/${this.id}/messages`, { before, limit: PAGE }),
        api.get<Page<DeskEntry>>(`/desk/chats/${this.id}/entries`, { limit: 100 }),
      ]);
      const early = this.messages.value;
      this.messages.value = messages.items;
      this.hasBefore.value = messages.hasMore;
      this.hasAfter.value = before !== undefined && messages.items.length > 0 && messages.items.at(-1)!.seq === before - 1;
      this.entries.value = [...entries.items].reverse();
      this.isLoaded.value = true;
      // What came over the socket meanwhile.
      if (!this.hasAfter.value) for (const message of early) if (message.seq > this.lastSeq) this.add(message);
    } catch (error) {
      this.fault.value = sentence(error);
    } finally {
      this.isLoading.value = false;
    }
  }

  /** One page further back. */
  async loadBefore(): Promise<void> {
    const first = this.messages.value[0];
    if (!first || !this.hasBefore.value || this.isLoading.value) return;
    this.isLoading.value = true;
    try {
      const page = await api.get<{ items: Message[]; hasMore: boolean }>(`/desk/chats/${this.id}/messages`, { before: first.seq, limit: 100 });
      const now = this.messages.value[0]?.seq ?? 0;
      this.messages.value = [...page.items.filter((message) => message.seq < now), ...this.messages.value];
      this.hasBefore.value = page.hasMore;
    } finally {
      this.isLoading.value = false;
    }
  }

  /** What came since the last one known, after the connection was gone. */
  async catchUp(): Promise<void> {
    if (!this.isLoaded.value || this.hasAfter.value) return;
    for (let hasMore = true; hasMore; ) {
      const page = await api.get<{ items: Message[]; hasMore: boolean }>(`/desk/chats/${this.id}/messages`, { after: this.lastSeq, limit: 200 });
      page.items.forEach((message) => this.add(message));
      hasMore = page.hasMore && page.items.length > 0;
    }
    const entries = await api.get<Page<DeskEntry>>(`/desk/chats/${this.id}/entries`, { limit: 100 });
    [...entries.items].reverse().forEach((entry) => this.addEntry(entry));
  }

  /** Files come over the socket without their signed address. */
  async addWithFile(message: Message): Promise<void> {
    const page = await api.get<{ items: Message[] }>(`/desk/chats/${this.id}/messages`, { after: message.seq - 1, limit: 1 }).catch(() => null);
    const signed = page?.items.find((one) => one.id === message.id);
    if (signed) this.add(signed);
  }

  add(message: Message): void {
    if (message.clientMessageId) {
      const rest = this.pending.value.filter((one) => one.clientMessageId !== message.clientMessageId);
      if (rest.length !== this.pending.value.length) this.pending.value = rest;
    }
    if (this.isLoaded.value && this.hasAfter.value) return;
    const list = this.messages.value;
    let at = list.length;
    while (at > 0 && list[at - 1]!.seq > message.seq) at -= 1;
    if (at > 0 && list[at - 1]!.seq === message.seq) {
      // The answer to a send knows less than the event does.
      const known = list[at - 1]!;
      if (known.id === message.id) list[at - 1] = { ...known, ...message, content: message.content ? { ...known.content, ...message.content } : message.content };
    } else {
      list.splice(at, 0, message);
    }
    triggerRef(this.messages);
  }

  addEntry(entry: DeskEntry): void {
    if (this.entries.value.some((one) => one.objectId === entry.objectId)) return;
    this.entries.value = [...this.entries.value, entry];
  }

  recall(messageId: string, at: string): void {
    const index = this.messages.value.findIndex((message) => message.id === messageId);
    if (index < 0) return;
    this.messages.value[index] = { ...this.messages.value[index]!, content: null, recalledAt: at };
    triggerRef(this.messages);
  }

  setPending(pending: Pending): void {
    const others = this.pending.value.filter((one) => one.clientMessageId !== pending.clientMessageId);
    this.pending.value = [...others, pending].sort((a, b) => a.at - b.at);
  }

  dropPending(clientMessageId: string): void {
    this.pending.value = this.pending.value.filter((one) => one.clientMessageId !== clientMessageId);
  }

  rows(): Row[] {
    const rows: Row[] = [];
    const entries = [...this.entries.value].sort((a, b) => a.afterSeq - b.afterSeq || a.at.localeCompare(b.at));
    const firstSeq = this.messages.value[0]?.seq ?? 0;
    let at = 0;
    // Those before the first message that is loaded come with it.
    while (this.hasBefore.value && at < entries.length && entries[at]!.afterSeq < firstSeq - 1) at += 1;
    let date = "";
    let isMarked = false;
    let before: Message | undefined;
    const dated = (instant: string) => {
      const own = instant.slice(0, 13);
      if (own === date.slice(0, 13) && date) return;
      const text = day(instant);
      if (text !== date.slice(14)) rows.push({ key: `day/${text}/${rows.length}`, is: "day", text });
      date = `${own}/${text}`;
    };
    const entriesUpTo = (seq: number) => {
      for (; at < entries.length && entries[at]!.afterSeq <= seq; at += 1) {
        const entry = entries[at]!;
        dated(entry.at);
        rows.push({ key: `entry/${entry.objectId}`, is: "entry", entry });
        before = undefined;
      }
    };
    entriesUpTo(firstSeq - 1);
    for (const message of this.messages.value) {
      dated(message.createdAt);
      const mark = this.unreadAfter.value;
      if (!isMarked && mark !== null && message.seq > mark && message.sender === this.customerId) {
        rows.push({ key: "unread", is: "unread" });
        isMarked = true;
        before = undefined;
      }
      const isFirst = !before || before.sender !== message.sender || before.actedBy !== message.actedBy || Date.parse(message.createdAt) - Date.parse(before.createdAt) > 180_000;
      rows.push({ key: message.id, is: "message", message, isFirst });
      before = message;
      entriesUpTo(message.seq);
    }
    entriesUpTo(Number.MAX_SAFE_INTEGER);
    for (const pending of this.pending.value) rows.push({ key: `pending/${pending.clientMessageId}`, is: "pending", pending });
    return rows;
  }
}
