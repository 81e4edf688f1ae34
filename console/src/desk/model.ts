/** What the desk speaks of. */
import type { Schemas } from "../api";

export type Message = Omit<Schemas["MessageView"], "content"> & { content?: Record<string, unknown> | null };
export interface WeeklyHours { weekday: number; start: string; end: string }
export type AgentStatus = "online" | "away" | "offline";

export interface DeskAgent {
  agentId: string; username: string; displayName: string; role: "agent" | "admin"; status: AgentStatus; isInHours: boolean;
  capacity: number; load: number; skills: string[]; groups: string[]; timezone?: string; weeklyHours: WeeklyHours[]; leaseUntil?: string;
}
export interface DeskCounts { mine: number; waiting: number; all: number; closed: number; mineUnread: number; offered: number }
export type View = "mine" | "waiting" | "all" | "closed";
export const VIEWS: View[] = ["mine", "waiting", "all", "closed"];

export interface Offer { fromAgentId: string; toAgentId: string; note: string; until: string }
export interface DeskChat {
  conversationId: string;
  customer: { clientId: string; kind: "patient" | "doctor"; name?: string; icon?: { objectId: string; url: string }; title?: string; hospital?: string };
  status: "idle" | "queued" | "assigned" | "closed";
  turn?: "waiting_agent" | "waiting_user";
  priority: number; group?: string; skills: string[];
  agentId?: string; agentName?: string; assignReason?: string; assignedAt?: string;
  queuedAt?: string; queuePosition?: number; waitingSince?: string;
  slaDueAt?: string; slaKind?: string; isOverdue: boolean;
  offer?: Offer;
  unreadCount: number; lastSeq: number; readSeq: number; customerReadSeq: number; customerDeliveredSeq: number;
  lastMessage?: Message; hasDraft: boolean;
  tags: string[]; remark?: string; isBlocked: boolean; warnedAt?: string; closedAt?: string; closeReason?: string; rating?: number;
  updatedAt: string; version: number;
}
export interface DeskEntry {
  objectId: string; kind: string; agentId?: string; agentName?: string; afterSeq: number; text?: string; data?: Record<string, unknown>; at: string;
}
export interface Episode {
  objectId: string; number: number; openedAt: string; assignedAt?: string; firstReplyAt?: string; closedAt?: string; agentId?: string;
  agentName?: string; closeReason?: string; rating?: number; comment?: string;
}
export interface DeskProfile {
  clientId: string; kind: "patient" | "doctor"; name?: string; gender?: string; age?: number; birthday?: string; city?: string; phone?: string;
  icon?: { objectId: string; url: string }; hospital?: string; department?: string; title?: string; certification?: string; latestReportId?: string;
  consultations: { objectId: string; doctorName?: string; patientName?: string; status: string; startedAt: string; endedAt?: string }[];
  episodes: Episode[]; tags: string[]; remark?: string; isBlocked: boolean; createdAt: string;
}
export interface Draft { conversationId: string; text: string; isNote: boolean; updatedAt: string }
export interface CannedReply {
  objectId: string; title: string; shortcut?: string; text: string; rendered?: string; fileIds: string[]; scope: "personal" | "group" | "all";
  group?: string; ownerId?: string; pinyin: string; initials: string; updatedAt: string;
}
export interface AssistantSettings {
  objectId: string; name: string; icon?: { objectId: string; url: string }; welcomeText: string; offHoursText: string; isEnabled: boolean;
  timezone?: string; weeklyHours: WeeklyHours[]; closingText: string; warningText: string; settings: Record<string, number>; version: number;
}
export interface Spread { count: number; averageMs: number; medianMs: number; p90Ms: number }
export interface Figures {
  episodes: number; closed: number; replies: number; firstResponse: Spread; wait: Spread; handling: Spread;
  csat: { count: number; average?: number; scores: number[] };
}
export interface Report {
  from: string; to: string; figures: Figures;
  byHour: { hour: number; opened: number; closed: number }[];
  byDay: { date: string; opened: number; closed: number }[];
  byAgent: { agentId: string; displayName: string; figures: Figures }[];
}

/** The one line under a name. */
export function preview(message: Message | undefined, words: (key: string) => string): string {
  if (!message) return "";
  if (message.recalledAt) return words("message.recalled");
  const content = message.content ?? {};
  const text = typeof content.text === "string" ? content.text : "";
  switch (message.type) {
    case "text":
    case "system":
      return text.replace(/\s+/g, " ");
    case "link":
    case "report":
      return `[${words(`message.kind.${message.type}`)}] ${typeof content.title === "string" ? content.title : ""}`;
    case "image":
    case "file":
    case "voice":
      return `[${words(`message.kind.${message.type}`)}]`;
    default:
      return `[${words("message.kind.other")}]`;
  }
}
