/** Closing somebody's account for good: a person says why, after reading what it means. */
import { api, attempt } from "../api";
import { t } from "../i18n";
import { askReason } from "./ask";

/** Says whether it was done. */
export async function closeAccount(kind: "patient" | "doctor", id: string, name: string | undefined): Promise<boolean> {
  const reason = await askReason(t("account.close"), t("account.closeText", { name: name || t("person.nameless") }), t("account.close"));
  return reason !== null && (await attempt(() => api.post(`/admin/${kind}s/${id}/close`, { reason }), t("account.closed")));
}
