/** The console's own client, and how its refusals are shown. */
import { ElMessage } from "element-plus";
import "element-plus/es/components/message/style/css";
import { locale, t } from "../i18n";
import { ApiClient, Problem } from "./client";

let signedOut: () => void = () => {};
export const onSignedOut = (then: () => void) => {
  signedOut = then;
};

export const api = new ApiClient({ language: () => locale.value, onSignedOut: () => signedOut() });

/** One sentence for a person. */
export function sentence(error: unknown): string {
  if (!(error instanceof Problem)) return t("error.unexpected");
  const fields = error.fields.map(({ field, message }) => `${field}: ${message}`).join("; ");
  return [error.message, fields || error.detail].filter(Boolean).join(" — ");
}

export function showProblem(error: unknown): void {
  if ((error as Error)?.name === "AbortError") return;
  if (!(error instanceof Problem)) console.error(error);
  ElMessage({ type: "error", message: sentence(error), grouping: true, duration: 5000, showClose: true });
}

export function showDone(message: string): void {
  ElMessage({ type: "success", message, grouping: true, duration: 2200 });
}

/** Runs a step of a person's and shows why it was refused; answers whether it was done. */
export async function attempt(step: () => Promise<unknown>, done?: string): Promise<boolean> {
  try {
    await step();
    if (done) showDone(done);
    return true;
  } catch (error) {
    showProblem(error);
    return false;
  }
}

export { Problem, local } from "./client";
export type { Page, Query, Schemas } from "./client";
