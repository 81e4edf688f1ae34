// Two agents, three patients and two doctors at once: the whole life of chats at the desk.
import assert from "node:assert/strict";
import { agentAt, box, bubble, open, reply, row, setStatus, view } from "./staff.mjs";
import { Customer, png, test, until } from "./world.mjs";

export const desk = {
  async run({ deployment, browser, pages }) {
    const admin = await deployment.signInStaff(deployment.admin);
    const [anna, bert] = [await deployment.addAgent(admin, "linxiaoyu", "林小雨"), await deployment.addAgent(admin, "zhoumo", "周默")];
    for (const agent of [anna, bert]) await deployment.call("PATCH", `/admin/desk/agents/${agent.id}`, { token: admin, body: { capacity: 10 } });
    await deployment.call("POST", "/desk/canned-replies", { token: admin, body: { title: "监测说明", text: "{{customer.name}}您好，请佩戴设备整晚监测。", scope: "all" } });
    const people = [];
    for (const [role, name] of [["patient", "李小满"], ["patient", "王建国"], ["patient", "孙晓雯"], ["doctor", "陈知远"], ["doctor", "何慕白"]]) people.push(await Customer.make(deployment, role, { name }));
    const [li, wang, sun, chen, he] = people;
    for (const one of people) await one.openAssistant();

    // Queue: nobody is there yet.
    const a = await agentAt(deployment, browser, pages, anna);
    const b = await agentAt(deployment, browser, pages, bert);
    await li.say("请问报告什么时候出？");
    await view(a, "waiting");
    await row(a, "李小满").waitFor();
    await setStatus(a, "在线");
    await view(a, "mine");
    await open(a, "李小满");
    await bubble(a, "请问报告什么时候出").waitFor();

    // Reply both ways, with what was typed by an input method left alone.
    await box(a).fill("您好");
    await a.evaluate((selector) => document.querySelector(selector).dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", isComposing: true, bubbles: true, cancelable: true })), test("box"));
    await a.evaluate((selector) => document.querySelector(selector).dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", keyCode: 229, bubbles: true, cancelable: true })), test("box"));
    assert.equal(await box(a).inputValue(), "您好", "Enter of an input method sends nothing");
    await reply(a, "您好，报告明早八点生成");
    await until("the patient has the reply", async () => (await li.history()).some((message) => message.content?.text === "您好，报告明早八点生成"));
    const said = (await li.history()).find((message) => message.content?.text === "您好，报告明早八点生成");
    assert.equal(said.actedBy, anna.id);
    await li.call("POST", `/conversations/${li.chat}/read`, { seq: said.seq });
    await bubble(a, "报告明早八点生成").locator(".tick.read").waitFor();

    // Pictures: pasted by the agent, sent by the patient.
    const bytes = [...png(120, 80, [20, 130, 120])];
    await a.evaluate(({ selector, bytes: raw }) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(raw)], "pasted.png", { type: "image/png" }));
      document.querySelector(selector).dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
    }, { selector: test("box"), bytes });
    await until("the patient has the picture", async () => (await li.history()).some((message) => message.type === "image"));
    const uploaded = await li.upload(png(90, 140, [180, 90, 60]), "mine.png");
    await li.send("image", { fileId: uploaded.objectId });
    await until("the agent sees both pictures", async () => (await a.$$eval(`${test("image")} img`, (images) => images.filter((image) => image.naturalWidth > 0).length)) >= 2);
    await li.send("link", { url: "https://example.com/sleep", title: "睡眠日记", description: "怎样填写" });
    await a.locator("a.card-link", { hasText: "睡眠日记" }).waitFor();

    // A note: the box changes its colour; the customer never sees it.
    const before = await a.locator(test("composer")).evaluate((element) => getComputedStyle(element).backgroundColor);
    await a.locator(test("mode-note")).click();
    await a.waitForTimeout(300);
    assert.notEqual(await a.locator(test("composer")).evaluate((element) => getComputedStyle(element).backgroundColor), before);
    await reply(a, "家属来电催过一次");
    await a.locator(test("note"), { hasText: "家属来电" }).waitFor();
    assert(!JSON.stringify(await li.history()).includes("家属来电"));

    // Canned replies, by the first letters of their pinyin.
    await a.locator(test("mode-reply")).click();
    await box(a).pressSequentially("/jcsm");
    await a.locator(`${test("canned")} [role=option]`, { hasText: "监测说明" }).waitFor();
    await box(a).press("Enter");
    await until("the variables are filled in", async () => (await box(a).inputValue()) === "李小满您好，请佩戴设备整晚监测。");
    await box(a).press("Enter");
    await bubble(a, "请佩戴设备整晚监测").waitFor();

    // All five at once; the second agent comes.
    await Promise.all([wang.say("设备连不上手机"), sun.say("想改预约时间"), chen.say("我的认证多久能过？"), he.say("怎样设置接诊时间")]);
    await row(a, "何慕白").waitFor();
    await setStatus(b, "在线");

    // Transfer with a note, declined once, then accepted.
    for (const isAccepted of [false, true]) {
      await open(a, "王建国");
      await a.locator(test("transfer")).click();
      await a.locator(".el-dialog .el-radio", { hasText: "周默" }).click();
      await a.locator(`textarea${test("transfer-note")}`).or(a.locator(`${test("transfer-note")} textarea`)).first().fill("设备问题，请技术组看看");
      await a.locator(test("transfer-confirm")).click();
      await row(b, "王建国").click();
      await b.locator(test(isAccepted ? "accept" : "decline")).click();
      if (!isAccepted) await a.getByText(/未接受转接/).waitFor();
    }
    await until("the second agent has the chat", async () => (await deployment.call("GET", `/desk/chats/${wang.chat}`, { token: admin })).agentId === bert.id);
    await reply(b, "我来帮您看设备");
    await until("the patient reads it", async () => (await wang.history()).some((message) => message.actedBy === bert.id));

    // Drafts and everything said are still there after a reload, and after the server died and came back.
    await open(b, "王建国");
    await box(b).fill("还没写完的一句");
    await open(a, "陈知远");
    await box(a).fill("审核一般");
    await a.waitForTimeout(900);
    await deployment.kill();
    await a.locator(test("offline")).waitFor();
    await box(a).fill("审核一般一个工作日");
    await a.waitForTimeout(700);
    await deployment.start();
    await a.locator(test("offline")).waitFor({ state: "hidden", timeout: 40_000 });
    await chen.say("在吗？");
    await bubble(a, "在吗？").waitFor();
    await a.waitForTimeout(800);
    await Promise.all([a.reload(), b.reload()]);
    await until("the first draft is kept", async () => /^审核一般/.test(await box(a).inputValue()));
    await until("the second draft is kept", async () => (await box(b).inputValue()) === "还没写完的一句");
    await bubble(a, "我的认证多久能过").waitFor();
    for (const agent of [a, b]) assert.match(await agent.locator(test("status")).textContent(), /在线/);

    // A message that cannot be sent stays, red, and goes out under its old name.
    await a.route("**/desk/chats/*/messages", (route) => (route.request().method() === "POST" ? route.abort() : route.continue()));
    await reply(a, "一个工作日内");
    await a.locator(test("retry")).waitFor();
    await a.unroute("**/desk/chats/*/messages");
    await a.locator(test("retry")).click();
    await bubble(a, "一个工作日内").waitFor();
    assert.equal((await chen.history()).filter((message) => message.content?.text === "一个工作日内").length, 1);

    // Takeover: asks for a reason, and the first agent is told.
    await view(b, "all");
    await open(b, "孙晓雯");
    await until("the agents of this chat are known", async () => (await b.locator(test("take-over")).count()) + (await b.locator(test("close")).count()) > 0);
    if (await b.locator(test("take-over")).count()) {
      assert.equal(await box(b).isDisabled(), false, "others write notes");
      await b.locator(test("take-over")).click();
      await b.locator(".el-message-box textarea").fill("熟悉这位客户");
      await b.locator(".el-message-box .el-button--danger").click();
      await a.locator(".el-notification", { hasText: "周默" }).waitFor();
    }
    await until("the second agent has it", async () => (await deployment.call("GET", `/desk/chats/${sun.chat}`, { token: admin })).agentId === bert.id);

    // Keyboard only: next, reply, close.
    await view(a, "mine");
    await row(a, "何慕白").waitFor();
    await a.locator("body").click({ position: { x: 5, y: 400 } });
    await a.keyboard.press("?");
    await a.locator(".el-dialog", { hasText: "键盘快捷键" }).waitFor();
    await a.keyboard.press("Escape");
    await a.locator(".el-dialog", { hasText: "键盘快捷键" }).waitFor({ state: "hidden" });
    await a.evaluate(() => document.activeElement?.blur());
    for (let n = 0; n < 8 && !(await a.locator("h1", { hasText: "何慕白" }).count()); n += 1) {
      await a.keyboard.press("j");
      await a.waitForTimeout(200);
      if (!(await a.locator("h1", { hasText: "何慕白" }).count()) && n === 3) for (let k = 0; k < 8; k += 1) await a.keyboard.press("k");
    }
    await a.locator("h1", { hasText: "何慕白" }).waitFor();
    await a.keyboard.press("r");
    await a.keyboard.type("在“我的-接诊设置”里");
    await a.keyboard.press("Enter");
    await bubble(a, "接诊设置").waitFor();
    await a.keyboard.press("Escape");
    await a.keyboard.press("e");
    await a.locator(".el-message-box").waitFor();
    await a.keyboard.press("Enter");
    await until("the chat is closed", async () => (await deployment.call("GET", `/desk/chats/${he.chat}`, { token: admin })).status === "closed");

    // Rating, once.
    await he.call("POST", "/assistant/rating", { as: "doctor", score: 5, comment: "很快" });
    await assert.rejects(he.call("POST", "/assistant/rating", { as: "doctor", score: 1 }));
    await a.getByText(/评价 5 星/).first().waitFor();

    // Search finds two characters inside a message.
    await a.locator(`input${test("search")}`).or(a.locator(`${test("search")} input`)).first().fill("报告");
    await a.locator(test("search-messages")).click();
    await a.locator(".hit", { hasText: "报告什么时候出" }).first().click();
    await bubble(a, "报告什么时候出").waitFor();

    // Language, while working.
    await a.locator(test("language")).click();
    await a.getByRole("tab", { name: /Mine/ }).waitFor();
    await a.locator(test("language")).click();
  },
};
