// Every page, light and dark, looked at by axe: nothing serious.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { agentAt, open, setStatus, view } from "./staff.mjs";
import { Customer, png, test } from "./world.mjs";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
export const PAGES = ["certifications", "doctors", "agents", "assistant", "notifications", "wechat", "sms", "content", "jobs", "audit", "settings", "tasks", "canned", "reports"];

const PICTURES = { certificate1: png(420, 280, [30, 130, 120]), certificate2: png(420, 280, [40, 90, 160]), licence1: png(280, 420, [150, 110, 50]), licence2: png(280, 420, [110, 60, 130]) };

/** Where something lives, that a list has rows to look at. */
export async function furnish(deployment, pictures = PICTURES) {
  const admin = await deployment.signInStaff(deployment.admin);
  const doctor = await Customer.make(deployment, "doctor", { name: "陈知远", hospital: "兆观示范医院", department: "睡眠医学科", title: "主任医师" });
  await doctor.certify(pictures);
  const agents = [await deployment.addAgent(admin, "linxiaoyu", "林小雨"), await deployment.addAgent(admin, "zhoumo", "周默")];
  for (const [at, agent] of agents.entries()) await deployment.call("PATCH", `/admin/desk/agents/${agent.id}`, { token: admin, body: { capacity: 8, groups: [at ? "设备" : "报告"], skills: ["睡眠"] } });
  for (const [title, text, shortcut] of [["监测说明", "{{customer.name}}您好，请佩戴设备整晚监测，明早八点前会生成报告。", "jc"], ["稍等", "好的，请稍等，我为您查询一下。", "sd"], ["结束语", "还有其他可以帮您的吗？祝您睡个好觉。", "js"]]) await deployment.call("POST", "/desk/canned-replies", { token: admin, body: { title, text, shortcut, scope: "all" } });
  const customers = [];
  const talk = [
    ["patient", { name: "李小满", gender: "female", birthday: "1991-05-20", location: "杭州" }, ["你好，昨晚的睡眠报告还没有出来", "设备指示灯是绿色的"]],
    ["patient", { name: "王建国", gender: "male", birthday: "1968-02-11", location: "成都" }, ["设备连不上手机，怎么办？"]],
    ["patient", { name: "孙晓雯", gender: "female", birthday: "1985-11-02", location: "南京" }, ["想把周四的问诊改到周五上午"]],
    ["doctor", { name: "何慕白", hospital: "第二示范医院", department: "呼吸科", title: "副主任医师" }, ["怎样设置接诊时间？"]],
  ];
  for (const [role, profile, lines] of talk) {
    const one = await Customer.make(deployment, role, profile);
    await one.openAssistant();
    for (const line of lines) await one.say(line);
    customers.push(one);
  }
  return { admin, doctor, agents, customers };
}

async function look(page, where, found) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  for (const one of violations.filter(({ impact }) => impact === "serious" || impact === "critical")) found.push(`${where}: ${one.id} (${one.impact}): ${one.nodes.slice(0, 3).map((node) => `${node.target} ${node.any[0]?.message ?? ""}`).join(" | ")}`);
}

export const access = {
  async run({ deployment, browser, pages }) {
    const { agents, customers } = await furnish(deployment);
    const found = [];
    const page = await agentAt(deployment, browser, pages, deployment.admin, { bypassCSP: true });
    await setStatus(page, "在线");
    for (const isDark of [false, true]) {
      await page.evaluate((dark) => { localStorage.setItem("zhaoguan.theme", dark ? "dark" : "light"); document.documentElement.classList.toggle("dark", dark); }, isDark);
      for (const name of PAGES) {
        await page.goto(`${deployment.url}/console/${name}`);
        await page.locator("h1").first().waitFor();
        await page.waitForLoadState("networkidle");
        await page.waitForTimeout(250);
        await look(page, `${name}${isDark ? " dark" : ""}`, found);
      }
      await page.goto(`${deployment.url}/console/desk`);
      await view(page, "all");
      await open(page, customers[0].name);
      await page.locator(test("message")).first().waitFor();
      await page.waitForTimeout(600);
      await look(page, `desk${isDark ? " dark" : ""}`, found);
    }
    const guest = await agentAt(deployment, browser, pages, agents[0], { bypassCSP: true });
    await guest.context().clearCookies();
    for (const path of ["sign-in", "try"]) {
      await guest.goto(`${deployment.url}/console/${path}`);
      await guest.waitForLoadState("networkidle");
      await look(guest, path, found);
    }
    assert.deepEqual(found, []);
  },
};
