/** What the desk speaks of. */
import type { Schemas } from "../api";

export type Message = Omit<Schemas["MessageView"], "content"> & { content?: Record<string, unknown> | null };
export type WeeklyHours = Schemas["WeeklyHours"];
export type DeskAgent = Schemas["DeskAgentView"];
export type AgentStatus = DeskAgent["status"];
export type DeskCounts = Schemas["DeskCountsView"];
export type View = "mine" | "waiting" | "all" | "closed";
export const VIEWS: View[] = ["mine", "waiting", "all", "closed"];

export type DeskChat = Omit<Schemas["DeskChatView"], "lastMessage"> & { lastMessage?: Message };
export type DeskEntry = Omit<Schemas["DeskEntryView"], "data"> & { data?: Record<string, unknown> };
export type Episode = Schemas["EpisodeView"];
export type DeskProfile = Schemas["DeskProfileView"];
export type Draft = Schemas["DraftView"];
export type CannedReply = Schemas["CannedReplyView"];
export type AssistantSettings = Schemas["AssistantSettingsView"];
export type Spread = Schemas["SpreadView"];
export type Report = Schemas["DeskReportView"];

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
