/** A list that the server hands out page by page. */
import { ref, shallowRef, type Ref, type ShallowRef } from "vue";
import { sentence, type Page } from "../api";

export interface CursorList<T> {
  items: ShallowRef<T[]>;
  isLoading: Ref<boolean>;
  isFirst: Ref<boolean>;
  hasMore: Ref<boolean>;
  fault: Ref<string>;
  reload: () => Promise<void>;
  more: () => Promise<void>;
  replace: (isThis: (item: T) => boolean, by: T | null) => void;
}

export function useCursorList<T>(load: (cursor?: string) => Promise<Page<T>>): CursorList<T> {
  const items = shallowRef<T[]>([]);
  const isLoading = ref(false);
  const isFirst = ref(true);
  const hasMore = ref(false);
  const fault = ref("");
  let next: string | undefined;
  let turn = 0;

  async function fetchPage(cursor?: string): Promise<void> {
    const mine = ++turn;
    isLoading.value = true;
    fault.value = "";
    try {
      const page = await load(cursor);
      // A later question has been asked meanwhile.
      if (mine !== turn) return;
      items.value = cursor ? [...items.value, ...page.items] : page.items;
      next = page.nextCursor;
      hasMore.value = next !== undefined;
    } catch (error) {
      if (mine === turn) fault.value = sentence(error);
    } finally {
      if (mine === turn) {
        isLoading.value = false;
        isFirst.value = false;
      }
    }
  }

  return {
    items, isLoading, isFirst, hasMore, fault,
    reload: () => fetchPage(),
    more: async () => {
      if (next && !isLoading.value) await fetchPage(next);
    },
    replace: (isThis, by) => {
      items.value = items.value.flatMap((item) => (isThis(item) ? (by ? [by] : []) : [item]));
    },
  };
}
