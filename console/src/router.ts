import { createRouter, createWebHistory, type RouteRecordRaw } from "vue-router";
import { t } from "./i18n";
import { useSession } from "./session";

declare module "vue-router" {
  interface RouteMeta {
    title?: string;
    shell?: boolean;
    open?: boolean;
    admin?: boolean;
    fills?: boolean;
  }
}

const admin = (path: string, load: () => Promise<unknown>): RouteRecordRaw => ({
  path: `/${path}`,
  name: path,
  component: load as RouteRecordRaw["component"] & object,
  meta: { title: `nav.${path}`, admin: true },
});

export const router = createRouter({
  history: createWebHistory("/console/"),
  routes: [
    { path: "/", redirect: "/desk" },
    { path: "/sign-in", name: "sign-in", component: () => import("./ui/SignIn.vue"), meta: { shell: false, open: true, title: "signIn.title" } },
    { path: "/try", name: "try", component: () => import("./trial/TrialPage.vue"), meta: { shell: false, open: true, title: "trial.title" } },
    { path: "/desk/:id?", name: "desk", component: () => import("./desk/DeskPage.vue"), meta: { title: "nav.desk", fills: true } },
    { path: "/reports", name: "reports", component: () => import("./reports/ReportsPage.vue"), meta: { title: "nav.reports" } },
    { path: "/tasks", name: "tasks", component: () => import("./desk/TasksPage.vue"), meta: { title: "nav.tasks" } },
    { path: "/canned", name: "canned", component: () => import("./desk/CannedPage.vue"), meta: { title: "nav.canned" } },
    admin("certifications", () => import("./admin/CertificationsPage.vue")),
    admin("doctors", () => import("./admin/DoctorsPage.vue")),
    admin("agents", () => import("./admin/AgentsPage.vue")),
    admin("assistant", () => import("./admin/AssistantPage.vue")),
    admin("wechat", () => import("./admin/WechatPage.vue")),
    admin("content", () => import("./admin/ContentChecksPage.vue")),
    admin("sms", () => import("./admin/SmsPage.vue")),
    admin("notifications", () => import("./admin/NotificationsPage.vue")),
    admin("jobs", () => import("./admin/JobsPage.vue")),
    admin("audit", () => import("./admin/AuditPage.vue")),
    { path: "/settings", name: "settings", component: () => import("./ui/SettingsPage.vue"), meta: { title: "nav.settings" } },
    { path: "/:rest(.*)*", name: "nowhere", component: () => import("./ui/NowherePage.vue"), meta: { title: "nowhere.title" } },
  ],
});

router.beforeEach(async (to) => {
  if (to.meta.open) return true;
  const session = useSession();
  await session.restore().catch(() => {});
  if (!session.agent) return { name: "sign-in", query: to.fullPath === "/desk" ? {} : { next: to.fullPath } };
  if (to.meta.admin && !session.isAdmin) return { name: "desk" };
  return true;
});

router.afterEach((to) => {
  const unread = /^\(\d+\+?\) /.exec(document.title)?.[0] ?? "";
  document.title = `${unread}${to.meta.title ? `${t(to.meta.title)} · ` : ""}${t("brand")}`;
});
