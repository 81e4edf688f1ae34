/** Chinese first; English at the touch of a switch. */
import { computed } from "vue";
import { createI18n } from "vue-i18n";
import { zh } from "./zh";
import { en } from "./en";

const KEPT = "zhaoguan.language";
export type Language = "zh" | "en";

const first: Language = localStorage.getItem(KEPT) === "en" ? "en" : "zh";
export const i18n = createI18n({ legacy: false, locale: first, fallbackLocale: "zh", messages: { zh, en } });
export const locale = computed<Language>(() => i18n.global.locale.value as Language);

export function setLanguage(language: Language): void {
  i18n.global.locale.value = language;
  localStorage.setItem(KEPT, language);
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
}
document.documentElement.lang = first === "zh" ? "zh-CN" : "en";

export function t(key: string, named: Record<string, unknown> = {}): string {
  return i18n.global.t(key, named);
}

/** The word for a value of the API; the value itself when there is none. */
export function word(group: string, value: string | undefined | null): string {
  if (value === undefined || value === null || value === "") return "—";
  const key = `word.${group}.${value}`;
  return i18n.global.te(key) || i18n.global.te(key, "zh") ? i18n.global.t(key) : value;
}

const formatters = new Map<string, Intl.DateTimeFormat>();
function format(kind: string, options: Intl.DateTimeFormatOptions, at: string | number | Date): string {
  const tag = locale.value === "zh" ? "zh-CN" : "en-GB";
  const key = `${tag}/${kind}`;
  let formatter = formatters.get(key);
  if (!formatter) formatters.set(key, (formatter = new Intl.DateTimeFormat(tag, { hour12: false, ...options })));
  return formatter.format(new Date(at));
}

export function dateTime(at?: string | number | null): string {
  return at ? format("dt", { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", minute: "2-digit", second: "2-digit" }, at) : "—";
}
export function clock(at: string | number): string {
  return format("c", { hour: "2-digit", minute: "2-digit" }, at);
}
export function day(at: string | number): string {
  return format("d", { year: "numeric", month: "long", day: "numeric", weekday: "short" }, at);
}
/** As short as can be: the time today, the date before. */
export function brief(at?: string | number | null, now = Date.now()): string {
  if (!at) return "";
  const then = new Date(at);
  const today = new Date(now);
  if (then.toDateString() === today.toDateString()) return clock(at);
  const options: Intl.DateTimeFormatOptions =
    then.getFullYear() === today.getFullYear() ? { month: "2-digit", day: "2-digit" } : { year: "2-digit", month: "2-digit", day: "2-digit" };
  return format(`b${then.getFullYear() === today.getFullYear()}`, options, at);
}
/** A span of time in two words at most. */
export function span(ms: number): string {
  const zhUnits = ["秒", "分", "小时", "天"];
  const units = locale.value === "zh" ? zhUnits : ["s", "m", "h", "d"];
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds}${units[0]}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return minutes < 10 && seconds % 60 ? `${minutes}${units[1]}${seconds % 60}${units[0]}` : `${minutes}${units[1]}`;
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return minutes % 60 ? `${hours}${units[2]}${minutes % 60}${units[1]}` : `${hours}${units[2]}`;
  return `${Math.floor(hours / 24)}${units[3]}`;
}
