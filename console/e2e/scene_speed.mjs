// 500 chats in the list and 10,000 messages in one of them: first paint, switching, scrolling; and what is loaded at first.
import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { agentAt, setStatus, view } from "./staff.mjs";
import { Customer, sleep, test, until } from "./world.mjs";

const CHATS = Number(process.env.SPEED_CHATS ?? 500);
const MESSAGES = Number(process.env.SPEED_MESSAGES ?? 10_000);
/** On a machine that does other things at the same time; the figures are printed. */
const MOST_MS = Number(process.env.SPEED_MOST_MS ?? 150);

export const speed = {
  isExtra: true,
  async run({ deployment, browser, pages }) {
    const admin = await deployment.signInStaff(deployment.admin);
    const customers = [];
    for (let at = 0; at < CHATS; at += 4) {
      const made = await Promise.all(Array.from({ length: Math.min(4, CHATS - at) }, async (_, n) => {
        const one = await Customer.make(deployment, n % 4 ? "patient" : "doctor", { name: `客户${String(at + n).padStart(3, "0")}` });
        await one.openAssistant();
        await one.say("您好，想咨询一下睡眠监测");
        return one;
      }));
      customers.push(...made);
    }
    const busy = customers.at(-1);
    for (let at = 0; at < MESSAGES; at += 20) {
      await Promise.all(Array.from({ length: 20 }, (_, n) => busy.say(`第 ${at + n} 条：昨晚入睡困难，醒了三次，早上头痛，想知道要不要调整设备。`.slice(0, 20 + ((at + n) % 30)))));
    }
    await measure({ deployment, browser, pages }, busy.name);
  },
};

/** With what is there, among it a chat with many messages. */
export async function measure({ deployment, browser, pages }, busyName) {
  const page = await agentAt(deployment, browser, pages, deployment.admin);
  await view(page, "all");
  await page.locator(test("chat")).first().waitFor();
  // A fresh visit: what is fetched, and when something is painted.
  let bytes = 0;
  page.on("response", async (response) => {
    if (response.url().includes("/console/")) bytes += gzipSync(await response.body().catch(() => Buffer.alloc(0))).length;
  });
  await page.reload();
  await page.locator(test("chat")).first().waitFor();
  await sleep(500);
  const paint = await page.evaluate(() => ({ first: Math.round(performance.getEntriesByName("first-contentful-paint")[0]?.startTime ?? 0), loaded: Math.round(performance.timing.domContentLoadedEventEnd - performance.timing.navigationStart) }));
  await view(page, "all");
  await page.locator(test("chat")).nth(8).waitFor();
  const measured = await page.evaluate(async ({ row, message }) => {
    const frame = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    const times = [];
    for (let n = 0; n < 16; n += 1) {
      const rows = [...document.querySelectorAll(row)];
      const target = rows[n % Math.min(8, rows.length)];
      const name = target.querySelector("strong").textContent;
      const started = performance.now();
      target.click();
      for (let frames = 0; frames < 600; frames += 1) {
        await frame();
        if (document.querySelector("main h1")?.textContent.includes(name) && document.querySelector(message)) break;
      }
      times.push(Math.round(performance.now() - started));
    }
    return times;
  }, { row: test("chat"), message: `[data-test="timeline"] ${test("message")}` });
  // The long one: far back, a page at a time; what is in the page stays small.
  await page.locator(test("search")).locator("input").or(page.locator(`input${test("search")}`)).first().fill(busyName);
  await page.locator(test("chat"), { hasText: busyName }).first().click();
  await page.locator(test("message")).first().waitFor();
  const scrolled = await page.evaluate(async (selector) => {
    const view = document.querySelector(selector);
    const frame = () => new Promise((done) => requestAnimationFrame(done));
    let most = 0;
    let slowest = 0;
    let last = performance.now();
    for (let n = 0; n < 900; n += 1) {
      view.scrollTop -= 160;
      await frame();
      const now = performance.now();
      slowest = Math.max(slowest, now - last);
      last = now;
      most = Math.max(most, view.querySelectorAll("[data-key]").length);
    }
    return { most, slowest: Math.round(slowest), first: view.querySelector("[data-test=message]")?.textContent.slice(0, 12) };
  }, test("timeline"));
  const sorted = [...measured].sort((a, b) => a - b);
  const figures = { chats: CHATS, messages: MESSAGES, firstLoadKb: Math.round(bytes / 1024), firstPaintMs: paint.first, switchMedianMs: sorted[8], switchWorstMs: sorted.at(-1), rowsInPage: scrolled.most, slowestFrameMs: scrolled.slowest };
  console.log(`     ${JSON.stringify(figures)}`);
  assert(figures.firstLoadKb <= 700, "at most 700 KB are loaded at first");
  assert(figures.rowsInPage <= 200, "few rows are in the page");
  assert(figures.switchMedianMs <= MOST_MS, `switching takes at most ${MOST_MS} ms`);
}
