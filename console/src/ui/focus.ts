/** Where the keys go. */
import { onBeforeUnmount, onMounted, type Ref } from "vue";

/**
 * Keeps the focus in the page: when what had it has gone, it goes `home` instead of nowhere. What a person leaves on
 * purpose stays left.
 */
export function keepFocus(root: Ref<HTMLElement | undefined>, home: () => void): void {
  let had: HTMLElement | null = null;
  /** What had it was put elsewhere in the page, and has lost it by that. */
  let wasMoved = false;
  let frame = 0;
  const entered = (event: FocusEvent) => (had = event.target as HTMLElement);
  const look = () => {
    frame = 0;
    if (!had || (document.activeElement && document.activeElement !== document.body)) return;
    if (had.isConnected && !had.matches(":disabled")) {
      if (wasMoved) had.focus({ preventScroll: true });
      return;
    }
    had = null;
    home();
  };
  const observer = new MutationObserver((changes) => {
    if (had) wasMoved = changes.some(({ addedNodes }) => [...addedNodes].some((node) => node.contains(had)));
    frame ||= requestAnimationFrame(look);
  });
  onMounted(() => {
    root.value?.addEventListener("focusin", entered);
    // Dialogs hang at the end of the page.
    observer.observe(document.body, { childList: true, subtree: true, attributeFilter: ["disabled"] });
  });
  onBeforeUnmount(() => {
    root.value?.removeEventListener("focusin", entered);
    observer.disconnect();
    cancelAnimationFrame(frame);
  });
}
