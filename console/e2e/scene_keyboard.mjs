// An agent without a mouse, from signing in to closing a chat: the focus is always somewhere, and always to be seen.
// And two agents who reach for the same chat at once.
import assert from "node:assert/strict";
import { agentAt, box, bubble, row, setStatus, view } from "./staff.mjs";
import { Customer, openWindow, sleep, test, until } from "./world.mjs";

/** What has the focus, and whether it shows: an outline, or a line around it in the colour of the focus. */
function look(page) {
  return page.evaluate(() => {
    const has = document.activeElement;
    if (!has || has === document.body || has === document.documentElement) return null;
    const brand = document.createElement("i");
    brand.style.color = "var(--brand)";
    document.body.append(brand);
    const colour = getComputedStyle(brand).color;
    brand.remove();
    const near = [has, has.nextElementSibling, has.previousElementSibling];
    for (let up = has.parentElement, n = 0; up && n < 4; up = up.parentElement, n += 1) near.push(up);
    const shows = (element) => {
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
      return (outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 1) || boxShadow.includes(colour);
    };
    // The input of a select has no extent of its own.
    const { width, height, top, left } = near.map((element) => element?.getBoundingClientRect()).find((box) => box && box.width > 0 && box.height > 0);
    const text = (has.getAttribute("aria-label") ?? has.textContent ?? "").trim().slice(0, 30);
    return {
      what: `${has.tagName.toLowerCase()} ${has.dataset.test ?? has.id ?? ""} ${text}`,
      isDialog: has.matches("[role=dialog], .el-dialog, .el-overlay-dialog, .el-message-box, main, [tabindex='-1']"),
      isSeen: near.some((element) => element && shows(element)),
      isInside: width > 0 && height > 0 && top < innerHeight && left < innerWidth && top + height > 0 && left + width > 0,
    };
  });
}

class Keys {
  constructor(page) {
    this.page = page;
  }

  /** Something has the focus, and it can be seen. */
  async check(after) {
    let seen;
    await until(`the focus is to be seen after ${after}`, async () => {
      seen = await look(this.page);
      if (!seen) throw new Error("nothing has the focus");
      if (!seen.isInside) throw new Error(`${seen.what} has the focus outside the page`);
      if (!seen.isSeen && !seen.isDialog) throw new Error(`${seen.what} does not show that it has the focus`);
      return true;
    }, 5);
    return seen;
  }

  async press(key) {
    await this.page.keyboard.press(key);
    return this.check(key);
  }

  async type(text) {
    await this.page.keyboard.type(text);
    return this.check(text);
  }

  /** Goes on with Tab until `selector` has the focus. */
  async tabTo(selector, key = "Tab") {
    for (let n = 0; n < 90; n += 1) {
      if (await this.page.evaluate((wanted) => document.activeElement?.closest(wanted) !== null || document.activeElement?.querySelector?.(`:scope ${wanted}:focus`) != null, selector)) return;
      await this.press(key);
    }
    throw new Error(`${selector} is not reached with ${key}`);
  }
}

async function signedInByKeys(deployment, browser, pages, { username, password }) {
  const page = await openWindow(browser, deployment);
  pages.push(page);
  await page.goto(`${deployment.url}/console/`);
  await page.locator("#username").waitFor();
  const keys = new Keys(page);
  await keys.tabTo("#username");
  await keys.type(username);
  await keys.tabTo("#password");
  await keys.type(password);
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/console\/desk/);
  await page.locator(test("view-mine")).waitFor();
  return { page, keys };
}

export const keyboard = {
  async run({ deployment, browser, pages }) {
    const admin = await deployment.signInStaff(deployment.admin);
    const [anna, bert] = [await deployment.addAgent(admin, "linxiaoyu", "林小雨"), await deployment.addAgent(admin, "zhoumo", "周默")];
    const other = await deployment.signInStaff(bert);
    await deployment.call("POST", "/desk/canned-replies", { token: admin, body: { title: "监测说明", text: "{{customer.name}}您好，请佩戴设备整晚监测。", scope: "all" } });
    const people = [];
    for (const name of ["李小满", "王建国", "孙晓雯"]) {
      const one = await Customer.make(deployment, "patient", { name });
      await one.openAssistant();
      people.push(one);
    }
    const [li, wang, sun] = people;
    for (const one of [li, wang]) await one.say(`我是${one.name}，想咨询睡眠报告`);
    const chat = (one) => deployment.call("GET", `/desk/chats/${one.chat}`, { token: admin });

    // Signs in, and is there without being given chats.
    const { page, keys } = await signedInByKeys(deployment, browser, pages, anna);
    await keys.tabTo(test("status"));
    await keys.press("Enter");
    await page.getByRole("option", { name: "暂离", exact: true }).waitFor();
    for (let n = 0; n < 4 && !(await page.locator(".el-select-dropdown__item.is-hovering", { hasText: "暂离" }).count()); n += 1) await keys.press("ArrowDown");
    await keys.press("Enter");
    await until("the agent is away", async () => (await page.locator(test("status")).textContent()).includes("暂离"));

    // Those who wait: down the list, and the first is claimed with the button.
    await keys.tabTo(test("view-waiting"));
    await keys.press("Enter");
    await row(page, "李小满").waitFor();
    await keys.tabTo(test("chat"));
    await keys.press("Enter");
    await page.locator("h1", { hasText: "李小满" }).waitFor();
    await keys.press("ArrowDown");
    await page.locator("h1", { hasText: "王建国" }).waitFor();
    await keys.press("k");
    await page.locator("h1", { hasText: "李小满" }).waitFor();
    await keys.tabTo(test("claim"));
    await keys.press("Enter");
    await until("the chat is claimed", async () => (await chat(li)).agentId === anna.id);
    await until("the box has the focus", () => box(page).evaluate((element) => element === document.activeElement));
    await keys.check("claiming");

    // Types, sends, and takes a canned reply by the first letters of its pinyin.
    await keys.type("您好，我来帮您看报告");
    await keys.press("Enter");
    await bubble(page, "我来帮您看报告").waitFor();
    await keys.type("/jcsm");
    await page.locator(`${test("canned")} [role=option]`, { hasText: "监测说明" }).waitFor();
    await keys.press("Enter");
    await until("the reply is in the box", async () => (await box(page).inputValue()) === "李小满您好，请佩戴设备整晚监测。");
    await keys.press("Enter");
    await until("the patient has both", async () => (await li.history()).filter((message) => message.actedBy === anna.id).length === 2);

    // The same from anywhere; another right after it, and not after all.
    await keys.press("Escape");
    await keys.press("/");
    await keys.type("jc");
    await page.locator(`${test("canned")} [role=option]`, { hasText: "监测说明" }).waitFor();
    await keys.press("Enter");
    await until("the reply is in the box again", async () => (await box(page).inputValue()) === "李小满您好，请佩戴设备整晚监测。");
    await keys.type("/jc");
    await page.locator(`${test("canned")} [role=option]`, { hasText: "监测说明" }).waitFor();
    await keys.press("Escape");
    await page.locator(test("canned")).waitFor({ state: "hidden" });
    await until("what was looked for is gone", async () => (await box(page).inputValue()) === "李小满您好，请佩戴设备整晚监测。");
    await keys.press("Enter");
    await until("the patient has three", async () => (await li.history()).filter((message) => message.actedBy === anna.id).length === 3);

    // A note, and back to replies.
    await keys.press("Alt+n");
    await keys.type("客户着急，先电话联系过");
    await keys.press("Enter");
    await page.locator(test("note"), { hasText: "先电话联系过" }).waitFor();
    await keys.press("Alt+n");

    // Claims the next with a key.
    await keys.press("Escape");
    await keys.press("2");
    await row(page, "王建国").waitFor();
    await keys.press("j");
    await page.locator("h1", { hasText: "王建国" }).waitFor();
    await keys.press("g");
    await until("the chat is claimed", async () => (await chat(wang)).agentId === anna.id);
    await until("the box has the focus", () => box(page).evaluate((element) => element === document.activeElement));

    // Hands the first over: the other one accepts, and it leaves the list.
    await keys.press("Escape");
    await keys.press("1");
    await row(page, "李小满").waitFor();
    for (let n = 0; n < 4 && !(await page.locator("h1", { hasText: "李小满" }).count()); n += 1) await keys.press(n % 2 ? "k" : "j");
    await page.locator("h1", { hasText: "李小满" }).waitFor();
    await deployment.call("PUT", "/desk/me/status", { token: other, body: { status: "online" } });
    await keys.press("t");
    await page.locator(".el-dialog .el-radio", { hasText: "周默" }).waitFor();
    await keys.tabTo(".el-dialog .el-radio");
    await keys.press("Space");
    await keys.tabTo(`textarea${test("transfer-note")}, ${test("transfer-note")} textarea`);
    await keys.type("请技术组看看设备");
    await keys.tabTo(test("transfer-confirm"));
    await keys.press("Enter");
    await until("the chat is offered", async () => (await chat(li)).offer?.toAgentId === bert.id);
    await page.locator(".el-dialog").waitFor({ state: "hidden" });
    await keys.check("handing over");
    await deployment.call("POST", `/desk/chats/${li.chat}/transfer/accept`, { token: other });
    await row(page, "李小满").waitFor({ state: "hidden" });
    await keys.check("the chat has gone");
    await deployment.call("PUT", "/desk/me/status", { token: other, body: { status: "away" } });

    // Closes the other one.
    for (let n = 0; n < 4 && !(await page.locator("h1", { hasText: "王建国" }).count()); n += 1) await keys.press(n % 2 ? "k" : "j");
    await page.locator("h1", { hasText: "王建国" }).waitFor();
    await keys.press("e");
    await page.locator(".el-message-box").waitFor();
    await keys.check("the question");
    await page.keyboard.press("Enter");
    await until("the chat is closed", async () => (await chat(wang)).status === "closed");
    await page.locator(".el-message-box").waitFor({ state: "hidden" });
    await keys.check("closing");
    await keys.press("?");
    await page.locator(".el-dialog", { hasText: "键盘快捷键" }).waitFor();
    await keys.press("Escape");
    await page.locator(".el-dialog", { hasText: "键盘快捷键" }).waitFor({ state: "hidden" });
    await keys.check("the help");

    await bothAtOnce({ deployment, browser, pages }, page, bert, sun, admin);
  },
};

/** Two agents press the button at the same moment: one has the chat, the other is told. */
async function bothAtOnce({ deployment, browser, pages }, page, bert, sun, admin) {
  const second = await agentAt(deployment, browser, pages, bert);
  await setStatus(second, "暂离");
  await sun.say("报告能再发一次吗？");
  for (const one of [page, second]) {
    await view(one, "waiting");
    await row(one, sun.name).click();
    await one.locator(test("claim")).waitFor();
  }
  await Promise.all([page, second].map((one) => one.evaluate((claim) => document.querySelector(claim).click(), test("claim"))));
  const { agentId } = await until("somebody has it", async () => {
    const chat = await deployment.call("GET", `/desk/chats/${sun.chat}`, { token: admin });
    return chat.agentId && chat;
  });
  const [winner, loser] = agentId === bert.id ? [second, page] : [page, second];
  await winner.locator(test("close")).waitFor();
  await loser.locator(test("take-over")).waitFor();
  await loser.locator(".el-message").first().waitFor();
  await sleep(50);
  assert.equal(await loser.locator(test("claim")).count(), 0, "who was too late cannot claim it any more");
}
