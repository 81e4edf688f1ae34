/** Light or dark; `public/theme.js` sets it before anything is painted. */
import { ref } from "vue";

export const isDark = ref(document.documentElement.classList.contains("dark"));

export function setDark(dark: boolean): void {
  isDark.value = dark;
  document.documentElement.classList.toggle("dark", dark);
  localStorage.setItem("zhaoguan.theme", dark ? "dark" : "light");
}
