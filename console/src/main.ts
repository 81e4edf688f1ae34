import "element-plus/es/components/base/style/css";
import "element-plus/theme-chalk/dark/css-vars.css";
import "./theme.css";
import { createPinia } from "pinia";
import { createApp } from "vue";
import App from "./App.vue";
import { onSignedOut } from "./api";
import { useDesk } from "./desk/store";
import { i18n } from "./i18n";
import { router } from "./router";
import { useSession } from "./session";

const app = createApp(App);
app.use(createPinia());
app.use(i18n);
app.use(router);

onSignedOut(() => {
  const session = useSession();
  if (!session.agent) return;
  useDesk().stop();
  session.forget();
  void router.push({ name: "sign-in", query: { next: router.currentRoute.value.fullPath, over: "1" } });
});
app.mount("#app");
