/** How an agent is told of something: a sound, the window's title, a notification of the desktop. */
import { reactive, watch } from "vue";
import { t } from "../i18n";

const KEPT = "zhaoguan.notices";
const kept = JSON.parse(localStorage.getItem(KEPT) ?? "{}") as { sound?: boolean; desktop?: boolean };

export const notices = reactive({
  sound: kept.sound ?? true,
  desktop: (kept.desktop ?? false) && "Notification" in window && Notification.permission === "granted",
  async allow(wanted: boolean): Promise<void> {
    notices.desktop = wanted && "Notification" in window && (await Notification.requestPermission()) === "granted";
  },
});
watch(() => ({ sound: notices.sound, desktop: notices.desktop }), (now) => localStorage.setItem(KEPT, JSON.stringify(now)));

let audio: AudioContext | undefined;
/** Two soft tones; silent until the person has touched the page, as browsers want it. */
export function ring(): void {
  if (!notices.sound) return;
  try {
    audio ??= new AudioContext();
    if (audio.state === "suspended") void audio.resume();
    [660, 880].forEach((pitch, at) => {
      const start = audio!.currentTime + at * 0.14;
      const tone = audio!.createOscillator();
      const level = audio!.createGain();
      tone.frequency.value = pitch;
      level.gain.setValueAtTime(0, start);
      level.gain.linearRampToValueAtTime(0.12, start + 0.02);
      level.gain.exponentialRampToValueAtTime(0.001, start + 0.3);
      tone.connect(level).connect(audio!.destination);
      tone.start(start);
      tone.stop(start + 0.32);
    });
  } catch {
    // Without sound it goes on.
  }
}

/** Says who wrote, never what. */
export function notify(name: string, open: () => void): void {
  if (!notices.desktop || document.visibilityState === "visible") return;
  const shown = new Notification(t("desk.newMessage"), { body: name, tag: "zhaoguan-desk" });
  shown.onclick = () => {
    window.focus();
    open();
    shown.close();
  };
}

export function badge(unread: number): void {
  const bare = document.title.replace(/^\(\d+\+?\) /, "");
  document.title = unread > 0 ? `(${unread > 99 ? "99+" : unread}) ${bare}` : bare;
}
