/** Questions put to a person before something is done. */
import { ElMessageBox } from "element-plus";
import "element-plus/es/components/message-box/style/css";
import "element-plus/es/components/input/style/css";
import "element-plus/es/components/button/style/css";
import "element-plus/es/components/overlay/style/css";
import { t } from "../i18n";

/** A reason in words; null when the person thought better of it. */
export async function askReason(title: string, text: string, confirm: string): Promise<string | null> {
  try {
    const { value } = (await ElMessageBox.prompt(text, title, {
      inputType: "textarea",
      inputPlaceholder: t("ask.reason"),
      inputValidator: (typed) => (typed?.trim() ? true : t("ask.needed")),
      confirmButtonText: confirm,
      cancelButtonText: t("ask.cancel"),
      confirmButtonClass: "el-button--danger",
    })) as { value: string };
    return value.trim();
  } catch {
    return null;
  }
}

export async function askSure(title: string, text: string, confirm: string): Promise<boolean> {
  try {
    await ElMessageBox.confirm(text, title, { confirmButtonText: confirm, cancelButtonText: t("ask.cancel"), type: "warning" });
    return true;
  } catch {
    return false;
  }
}
