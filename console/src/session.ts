/** Who is signed in to the console. */
import { defineStore } from "pinia";
import { computed, ref } from "vue";
import { api, Problem, type Schemas } from "./api";

export type Agent = Schemas["AgentView"];

export const useSession = defineStore("session", () => {
  const agent = ref<Agent | null>(null);
  const isKnown = ref(false);
  const isAdmin = computed(() => agent.value?.role === "admin");

  /** Finds out once whether the cookie of an earlier visit is still good. */
  async function restore(): Promise<void> {
    if (isKnown.value) return;
    try {
      agent.value = (await api.get<Schemas["MeView"]>("/me")).agent ?? null;
    } catch (error) {
      agent.value = null;
      if (!(error instanceof Problem) || error.status !== 401) throw error;
    }
    isKnown.value = true;
  }

  async function signIn(username: string, password: string): Promise<void> {
    const signedIn = await api.post<{ agent: Agent }>("/auth/console-session", { username, password, deviceLabel: "console" });
    agent.value = signedIn.agent;
    isKnown.value = true;
  }

  async function signOut(): Promise<void> {
    await api.delete("/auth/console-session").catch(() => {});
    forget();
  }

  function forget(): void {
    agent.value = null;
    isKnown.value = true;
  }

  return { agent, isKnown, isAdmin, restore, signIn, signOut, forget };
});
