/** The desk as this agent sees it: its lists, the open chat, and what comes in live. */
import { defineStore } from "pinia";
import { computed, reactive, ref, shallowRef, triggerRef, watch } from "vue";
import { ElNotification } from "element-plus";
import "element-plus/es/components/notification/style/css";
import { ImClient, type LogEvent, type Message as LiveMessage } from "zhaoguan-im";
import { api, attempt, Problem, sentence, showProblem, type Page } from "../api";
import { t } from "../i18n";
import { useSession } from "../session";
import { badge, notify, ring } from "./notices";
import { Timeline, type Pending } from "./timeline";
import type { AgentStatus, DeskAgent, DeskChat, DeskCounts, DeskEntry, Draft, Message, View } from "./model";

const HEARTBEAT_MS = 10_000;
const TIMELINES = 12;
const ROWS = 100;

export const useDesk = defineStore("desk", () => {
  const session = useSession();
  const me = ref<DeskAgent | null>(null);
  const counts = ref<DeskCounts>({ mine: 0, waiting: 0, all: 0, closed: 0, mineUnread: 0, offered: 0 });
  const view = ref<View>("mine");
  const customer = ref<"" | "patient" | "doctor">("");
  const text = ref("");
  const list = shallowRef<DeskChat[]>([]);
  const isListed = ref(false);
  const listFault = ref("");
  const hasMore = ref(false);
  const activeId = ref<string | null>(null);
  const active = shallowRef<DeskChat | null>(null);
  const timeline = shallowRef<Timeline | null>(null);
  const drafts = reactive(new Map<string, { text: string; isNote: boolean }>());
  const connection = ref<"connecting" | "ready" | "waiting" | "closed">("connecting");
  const hasBeenReady = ref(false);
  const typingUntil = ref(0);
  const now = ref(Date.now());
  /** Names of the staff. */
  const names = reactive(new Map<string, string>());
  const timelines = new Map<string, Timeline>();
  let client: ImClient | null = null;
  let nextCursor: string | undefined;
  let listTurn = 0;
  let openTurn = 0;
  const timers: number[] = [];
  const sounded = new Set<string>();

  const isOwner = computed(() => active.value?.status === "assigned" && active.value.agentId === session.agent?.objectId);

  function start(): void {
    if (client) return;
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    client = new ImClient({
      url: `${scheme}://${location.host}/im/v1/ws`,
      // The session is in the cookie that goes with the request.
      token: () => null,
      device: "console",
      onMessage: (id, message) => takeMessage(id, message),
      onEvent: (event) => takeEvent(event),
      onEphemeral: (frame) => {
        if (frame.type === "typing" && frame.conversationId === activeId.value && frame.clientId === active.value?.customer.clientId) typingUntil.value = Date.now() + 4000;
        if (frame.type === "receipt") patchChat(frame.conversationId, (chat) => frame.clientId === chat.customer.clientId && { customerDeliveredSeq: Math.max(chat.customerDeliveredSeq, frame.deliveredSeq) });
      },
      onResync: () => void refresh(),
      onReady: () => {
        const isBack = hasBeenReady.value;
        hasBeenReady.value = true;
        if (activeId.value) client?.view(activeId.value);
        if (isBack) void refresh();
      },
      onState: (state) => (connection.value = state),
      onBye: (bye) => {
        if (bye.reason === "session_ended" || bye.reason === "unauthenticated") void api.get("/me").catch(() => {});
      },
    });
    timers.push(window.setInterval(() => (now.value = Date.now()), 1000));
    timers.push(window.setInterval(() => void beat(), HEARTBEAT_MS));
    window.addEventListener("pagehide", flushDrafts);
    void begin();
  }

  async function begin(): Promise<void> {
    await attempt(async () => {
      const [own, kept, staff] = await Promise.all([api.get<DeskAgent>("/desk/me"), api.get<{ items: Draft[] }>("/desk/drafts"), api.get<{ items: DeskAgent[] }>("/desk/agents")]);
      me.value = own;
      for (const agent of staff.items) names.set(agent.agentId, agent.displayName);
      for (const draft of kept.items) if (!drafts.has(draft.conversationId)) drafts.set(draft.conversationId, { text: draft.text, isNote: draft.isNote });
      if (own.status !== "offline") await beat();
    });
    await Promise.all([loadList(), loadCounts()]);
  }

  function stop(): void {
    flushDrafts();
    client?.close();
    client = null;
    timers.splice(0).forEach((timer) => clearInterval(timer));
    window.removeEventListener("pagehide", flushDrafts);
    timelines.clear();
    drafts.clear();
    list.value = [];
    active.value = null;
    activeId.value = null;
    timeline.value = null;
    isListed.value = false;
    hasBeenReady.value = false;
    badge(0);
  }

  async function beat(): Promise<void> {
    if (!me.value || me.value.status === "offline") return;
    try {
      me.value = await api.post<DeskAgent>("/desk/me/heartbeat");
    } catch (error) {
      if (error instanceof Problem && error.status !== 0) console.warn("heartbeat", error.code);
    }
  }

  async function setStatus(status: AgentStatus): Promise<void> {
    await attempt(async () => (me.value = await api.put<DeskAgent>("/desk/me/status", { status })));
  }

  /** Everything anew, after a connection that was lost. */
  async function refresh(): Promise<void> {
    await Promise.allSettled([
      loadList(), loadCounts(), activeId.value ? reloadChat(activeId.value) : undefined,
      ...[...timelines.values()].map((one) => (one === timeline.value ? one.catchUp() : Promise.resolve(timelines.delete(one.id)))),
    ]);
  }

  // ---- lists

  async function loadList(more = false): Promise<void> {
    const turn = ++listTurn;
    listFault.value = "";
    try {
      const cursor = more ? nextCursor : undefined;
      const limit = more ? ROWS : Math.min(ROWS, Math.max(ROWS, list.value.length));
      const page = await api.get<Page<DeskChat>>("/desk/chats", { view: view.value, customer: customer.value, q: text.value.trim(), limit, cursor });
      if (turn !== listTurn) return;
      const known = new Set(more ? list.value.map((chat) => chat.conversationId) : []);
      list.value = more ? [...list.value, ...page.items.filter((chat) => !known.has(chat.conversationId))] : page.items;
      nextCursor = page.nextCursor;
      hasMore.value = nextCursor !== undefined;
    } catch (error) {
      if (turn === listTurn) listFault.value = sentence(error);
    } finally {
      if (turn === listTurn) isListed.value = true;
    }
  }

  const loadCounts = debounced(async () => {
    counts.value = await api.get<DeskCounts>("/desk/counts").catch(() => counts.value);
    badge(counts.value.mineUnread);
  }, 120);

  const loadMe = debounced(async () => {
    me.value = await api.get<DeskAgent>("/desk/me").catch(() => me.value);
  }, 120);

  function belongs(chat: DeskChat): boolean {
    if (customer.value && chat.customer.kind !== customer.value) return false;
    const own = session.agent?.objectId;
    switch (view.value) {
      case "mine":
        return (chat.status === "assigned" && chat.agentId === own) || chat.offer?.toAgentId === own;
      case "waiting":
        return chat.status === "queued";
      case "closed":
        return chat.status === "closed";
      case "all":
        return true;
    }
  }

  function place(chat: DeskChat): void {
    const at = list.value.findIndex((one) => one.conversationId === chat.conversationId);
    // What is searched for is not known here.
    if (at < 0 && text.value.trim()) return;
    const rest = list.value.filter((one) => one.conversationId !== chat.conversationId);
    if (belongs(chat)) {
      const moment = (one: DeskChat) => one.lastMessage?.createdAt ?? one.updatedAt;
      if (view.value === "waiting") {
        rest.push(chat);
        rest.sort((a, b) => (a.queuePosition ?? 1e9) - (b.queuePosition ?? 1e9) || (a.queuedAt ?? "").localeCompare(b.queuedAt ?? ""));
      } else {
        const place = rest.findIndex((one) => moment(one) <= moment(chat));
        rest.splice(place < 0 ? rest.length : place, 0, chat);
      }
    }
    list.value = rest;
  }

  const wanted = new Set<string>();
  const reloadWanted = debounced(async () => {
    const ids = [...wanted];
    wanted.clear();
    if (ids.length > 8) return loadList();
    await Promise.all(ids.map((id) => reloadChat(id)));
  }, 60);

  async function reloadChat(id: string): Promise<DeskChat | undefined> {
    try {
      const chat = await api.get<DeskChat>(`/desk/chats/${id}`);
      takeChat(chat);
      return chat;
    } catch (error) {
      if (id === activeId.value) showProblem(error);
      return undefined;
    }
  }

  function takeChat(chat: DeskChat): void {
    place(chat);
    if (chat.conversationId === activeId.value) active.value = chat;
  }

  /** A small change of a row, until the server is asked again. */
  function patchChat(id: string, change: (chat: DeskChat) => Partial<DeskChat> | false): void {
    const at = list.value.findIndex((one) => one.conversationId === id);
    if (at >= 0) {
      const part = change(list.value[at]!);
      if (part) {
        list.value[at] = { ...list.value[at]!, ...part };
        triggerRef(list);
      }
    }
    if (active.value?.conversationId === id) {
      const part = change(active.value);
      if (part) active.value = { ...active.value, ...part };
    }
  }

  // ---- the open chat

  function timelineOf(id: string): Timeline {
    let one = timelines.get(id);
    if (!one) timelines.set(id, (one = new Timeline(id)));
    one.usedAt = Date.now();
    if (timelines.size > TIMELINES) {
      const oldest = [...timelines.values()].filter((other) => other.pending.value.length === 0 && other !== one).sort((a, b) => a.usedAt - b.usedAt)[0];
      if (oldest) timelines.delete(oldest.id);
    }
    return one;
  }

  /** Loads what is likely to be opened next; never what another agent has, since a look at that is written down. */
  function prepare(id: string): void {
    const chat = list.value.find((one) => one.conversationId === id);
    if (!chat || (chat.agentId && chat.agentId !== session.agent?.objectId)) return;
    const one = timelineOf(id);
    one.customerId = chat.customer.clientId;
    if (!one.isLoaded.value && !one.isLoading.value) void one.load();
  }

  async function open(id: string | null, seq?: number): Promise<void> {
    const turn = ++openTurn;
    flushDrafts();
    activeId.value = id;
    typingUntil.value = 0;
    if (!id) {
      active.value = null;
      timeline.value = null;
      client?.view(null);
      return;
    }
    const known = list.value.find((chat) => chat.conversationId === id) ?? null;
    active.value = known;
    const one = timelineOf(id);
    if (known) one.customerId = known.customer.clientId;
    one.unreadAfter.value = known && known.unreadCount > 0 ? known.readSeq : null;
    timeline.value = one;
    client?.view(id);
    const chat = reloadChat(id);
    if (!one.isLoaded.value || one.hasAfter.value || seq !== undefined) await one.load(seq);
    const fresh = await chat;
    if (turn !== openTurn) return;
    if (fresh) one.customerId = fresh.customer.clientId;
    if (!known && fresh && fresh.unreadCount > 0) one.unreadAfter.value = fresh.readSeq;
    if (fresh?.hasDraft && !drafts.has(id)) {
      const draft = await api.get<Draft>(`/desk/chats/${id}/draft`).catch(() => null);
      if (draft?.text && !drafts.has(id)) drafts.set(id, { text: draft.text, isNote: draft.isNote });
    }
    markRead();
  }

  /** What is in front of the agent is read. */
  function markRead(): void {
    const chat = active.value;
    const one = timeline.value;
    if (!chat || !one || !isOwner.value || document.visibilityState !== "visible" || one.hasAfter.value) return;
    const seq = Math.max(one.lastSeq, 0);
    if (seq <= chat.readSeq) return;
    patchChat(chat.conversationId, () => ({ readSeq: seq, unreadCount: 0 }));
    void api.post(`/desk/chats/${chat.conversationId}/read`, { seq }).then(loadCounts, () => {});
  }

  // ---- live

  function takeMessage(id: string, live: LiveMessage): void {
    const message = { ...live, conversationId: id } as unknown as Message;
    const one = timelines.get(id);
    one?.add(message);
    if (one && message.content && "fileId" in message.content && !message.recalledAt) void one.addWithFile(message);
    const isTheirs = message.sender === (list.value.find((chat) => chat.conversationId === id) ?? active.value)?.customer.clientId;
    patchChat(id, (chat) => message.seq > chat.lastSeq && {
      lastMessage: message, lastSeq: message.seq, unreadCount: chat.unreadCount + (isTheirs ? 1 : 0),
      turn: chat.status === "assigned" && isTheirs ? "waiting_agent" : message.actedBy ? "waiting_user" : chat.turn, updatedAt: message.createdAt,
    });
    const row = list.value.find((chat) => chat.conversationId === id);
    if (row) place(row);
    if (isTheirs && id === activeId.value) typingUntil.value = 0;
    wanted.add(id);
    void reloadWanted();
    void loadCounts();
    if (id === activeId.value) markRead();
    if (isTheirs) alarm(id, row);
  }

  /** Rings for the oldest unanswered chat only: while it waits, others are silent. */
  function alarm(id: string, row: DeskChat | undefined): void {
    const isMine = row?.status === "assigned" && row.agentId === session.agent?.objectId;
    if (!isMine || !row) return;
    const isOpen = id === activeId.value && document.visibilityState === "visible";
    const unanswered = list.value.filter((chat) => chat.agentId === row.agentId && chat.turn === "waiting_agent" && chat.status === "assigned");
    for (const known of sounded) if (!unanswered.some((chat) => chat.conversationId === known)) sounded.delete(known);
    if (!isOpen && sounded.size === 0) {
      sounded.add(id);
      ring();
    }
    notify(row.customer.name ?? t("person.nameless"), () => void open(id));
  }

  function takeEvent(event: LogEvent): void {
    const id = event.conversationId;
    const data = event.data as Record<string, unknown>;
    if (event.kind === "recalled" && id) {
      timelines.get(id)?.recall(String(data.messageId), new Date().toISOString());
      return;
    }
    if (event.kind === "read" && id) {
      patchChat(id, (chat) => data.clientId === chat.customer.clientId ? { customerReadSeq: Math.max(chat.customerReadSeq, Number(data.seq)) } : { readSeq: Math.max(chat.readSeq, Number(data.seq)), unreadCount: Number(data.unreadCount ?? chat.unreadCount) });
      void loadCounts();
      return;
    }
    if ((event.kind as string) !== "desk") {
      if (id && ["joined", "assignment"].includes(event.kind)) {
        wanted.add(id);
        void reloadWanted();
        void loadCounts();
      }
      return;
    }
    switch (data.what) {
      case "entry":
        if (id && data.entry) timelines.get(id)?.addEntry(data.entry as DeskEntry);
        break;
      case "agent":
        if (data.agentId === me.value?.agentId) void loadMe();
        break;
      case "offer":
        ring();
        ElNotification({ title: t("desk.offered"), message: String(data.note ?? ""), type: "info", duration: 8000, onClick: () => id && void open(id) });
        break;
      case "offer_ended":
        ElNotification({ title: t(`desk.offerEnded.${String(data.how)}`), message: "", type: "info", duration: 6000 });
        break;
      case "taken_over":
        ElNotification({ title: t("desk.takenOver", { name: String(data.byName ?? "") }), message: String(data.reason ?? ""), type: "warning", duration: 0 });
        break;
    }
    if (id && data.what !== "entry") {
      wanted.add(id);
      void reloadWanted();
    }
    void loadCounts();
  }

  // ---- what an agent does

  async function act(path: string, body?: unknown, done?: string): Promise<boolean> {
    const id = activeId.value;
    if (!id) return false;
    const isDone = await attempt(async () => takeChat(await api.post<DeskChat>(`/desk/chats/${id}/${path}`, body)), done);
    if (!isDone) void reloadChat(id);
    void loadCounts();
    void loadMe();
    return isDone;
  }

  async function change(part: Partial<Pick<DeskChat, "tags" | "remark" | "isBlocked" | "priority">> | { remark: null }, done?: string): Promise<void> {
    const id = activeId.value;
    if (id) await attempt(async () => takeChat(await api.patch<DeskChat>(`/desk/chats/${id}`, part)), done);
  }

  function say(text: string): void {
    const one = timeline.value;
    if (one) void send(one, { clientMessageId: newName(), type: "text", content: { text }, state: "sending", at: Date.now() });
  }

  function sendFile(file: File): void {
    const one = timeline.value;
    if (!one) return;
    const isImage = /^image\/(png|jpeg|gif|webp)$/.test(file.type);
    const preview = isImage ? URL.createObjectURL(file) : undefined;
    void send(one, { clientMessageId: newName(), type: isImage ? "image" : "file", content: { name: file.name }, file, preview, state: "sending", at: Date.now() });
  }

  /** Once more, under the same name: what was stored after all is not stored twice. */
  function retry(pending: Pending): void {
    if (timeline.value) void send(timeline.value, { ...pending, state: "sending", fault: undefined });
  }

  async function send(one: Timeline, pending: Pending): Promise<void> {
    one.setPending(pending);
    try {
      let { content } = pending;
      if (pending.file) {
        const uploaded = await api.upload(pending.file);
        content = pending.type === "image" ? { fileId: uploaded.objectId, ...(await sizeOf(pending.preview)) } : { fileId: uploaded.objectId, name: pending.file.name };
        pending = { ...pending, content, file: undefined };
        one.setPending(pending);
      }
      const { clientMessageId, type } = pending;
      const sent = await api.post<{ messageId: string; seq: number; serverTime: string }>(`/desk/chats/${one.id}/messages`, { clientMessageId, type, content });
      const shown = pending.preview ? { ...content, url: pending.preview } : content;
      one.add({ id: sent.messageId, seq: sent.seq, conversationId: one.id, clientMessageId, type, content: shown, sender: "assistant", actedBy: session.agent!.objectId, createdAt: sent.serverTime });
      one.dropPending(clientMessageId);
      patchChat(one.id, () => ({ turn: "waiting_user" }));
      sounded.delete(one.id);
    } catch (error) {
      one.setPending({ ...pending, state: "failed", fault: sentence(error) });
    }
  }

  async function note(text: string): Promise<boolean> {
    const one = timeline.value;
    if (!one) return false;
    return attempt(async () => one.addEntry(await api.post<DeskEntry>(`/desk/chats/${one.id}/notes`, { text })));
  }

  async function recall(message: Message): Promise<void> {
    await attempt(async () => {
      await api.post(`/desk/chats/${message.conversationId}/messages/${message.id}/recall`);
      timelines.get(message.conversationId)?.recall(message.id, new Date().toISOString());
    });
  }

  // ---- drafts

  const unsaved = new Set<string>();
  const saveDrafts = debounced(async () => flushDrafts(), 500);
  function setDraft(id: string, text: string, isNote: boolean): void {
    const before = drafts.get(id);
    if (before?.text === text && before.isNote === isNote) return;
    if (text) drafts.set(id, { text, isNote });
    else drafts.delete(id);
    unsaved.add(id);
    patchChat(id, (chat) => chat.hasDraft !== Boolean(text) && { hasDraft: Boolean(text) });
    void saveDrafts();
  }
  function flushDrafts(): void {
    for (const id of [...unsaved]) {
      unsaved.delete(id);
      const draft = drafts.get(id);
      const saved = draft ? api.put(`/desk/chats/${id}/draft`, draft) : api.delete(`/desk/chats/${id}/draft`);
      saved.catch((error) => {
        // Kept for the next try.
        if (error instanceof Problem && (error.status === 0 || error.status >= 500)) unsaved.add(id);
      });
    }
  }

  watch([view, customer], () => {
    isListed.value = false;
    list.value = [];
    void loadList();
  });
  watch(text, debounced(async () => loadList(), 250));
  document.addEventListener("visibilitychange", markRead);

  return {
    me, counts, view, customer, text, list, isListed, listFault, hasMore, activeId, active, timeline, drafts, connection, hasBeenReady, typingUntil, now, names, isOwner,
    start, stop, setStatus, loadList, prepare, open, act, change, say, sendFile, retry, note, recall, setDraft, markRead, refresh,
  };
});

function newName(): string {
  return `desk-${crypto.randomUUID()}`;
}

async function sizeOf(url: string | undefined): Promise<{ width?: number; height?: number }> {
  if (!url) return {};
  const picture = new Image();
  picture.src = url;
  await picture.decode().catch(() => {});
  return picture.naturalWidth ? { width: picture.naturalWidth, height: picture.naturalHeight } : {};
}

/** Runs once things are quiet for a moment, but not later than four moments after the first call. */
function debounced(run: () => Promise<unknown>, ms: number): () => Promise<void> {
  let timer = 0;
  let since = 0;
  return async () => {
    const at = Date.now();
    if (!timer) since = at;
    clearTimeout(timer);
    timer = window.setTimeout(() => {
      timer = 0;
      void run();
    }, Math.max(0, Math.min(ms, since + ms * 4 - at)));
  };
}
