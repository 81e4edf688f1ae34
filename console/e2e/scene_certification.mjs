// An administrator looks at the pictures, approves one doctor and rejects another; agents are made; languages change.
import assert from "node:assert/strict";
import { Customer, openWindow, png, signIn, test, until } from "./world.mjs";

export const certification = {
  async run({ deployment, browser, pages }) {
    const pictures = { certificate1: png(300, 200, [40, 140, 130]), certificate2: png(300, 200, [30, 100, 180]), licence1: png(200, 300, [160, 120, 40]), licence2: png(200, 300, [120, 60, 140]) };
    const good = await Customer.make(deployment, "doctor", { name: "陈知远", hospital: "示范医院", department: "睡眠医学科", title: "主任医师" });
    const poor = await Customer.make(deployment, "doctor", { name: "赵无证", hospital: "示范医院" });
    await good.certify(pictures);
    await poor.certify({ certificate1: pictures.certificate1, licence1: pictures.licence1 });

    const page = await openWindow(browser, deployment);
    pages.push(page);
    // Nobody is let in without a session, and the address is kept.
    await page.goto(`${deployment.url}/console/certifications`);
    await page.fill("#username", deployment.admin.username);
    await page.fill("#password", "wrong-password");
    await page.click("button[type=submit]");
    await page.locator(test("fault")).waitFor();
    await page.fill("#password", deployment.admin.password);
    await page.click("button[type=submit]");
    await page.waitForURL(/\/console\/certifications/);

    await page.getByRole("button", { name: /陈知远/ }).click();
    await until("all four pictures are there", async () => (await page.$$eval("figure img", (images) => images.filter((image) => image.naturalWidth > 0).length)) === 4);
    const first = page.locator("figure img").first();
    await page.locator(test("turn")).first().click();
    await until("the picture is turned", async () => (await first.getAttribute("style")).includes("rotate(90deg)"));
    await page.locator("figure .view").first().focus();
    await page.keyboard.press("+");
    await until("the picture is larger", async () => /scale\(1\.[12]/.test(await first.getAttribute("style")));
    await page.locator(test("approve")).click();
    await until("the doctor is certified", async () => (await deployment.call("GET", `/doctors/${good.id}`, { token: good.token })).authenticated === "1");

    await page.getByRole("button", { name: /赵无证/ }).click();
    await page.locator(test("reject")).click();
    await page.locator(".el-message-box .el-button--danger").click();
    assert.equal(await page.locator(".el-message-box").isVisible(), true, "a rejection needs a reason");
    await page.locator(".el-message-box textarea").fill("执业证不清晰，请重新上传");
    await page.locator(".el-message-box .el-button--danger").click();
    const rejected = await until("the doctor is rejected", async () => {
      const doctor = await deployment.call("GET", `/doctors/${poor.id}`, { token: poor.token });
      return doctor.authenticated === "3" && doctor;
    });
    assert.equal(rejected.rejectReason, "执业证不清晰，请重新上传");

    await page.locator(test("language")).click();
    await page.getByRole("link", { name: "Audit log" }).click();
    await page.getByText("certification.approve").first().waitFor();
    await page.locator(test("language")).click();
    await page.getByRole("link", { name: "审计日志" }).waitFor();

    await page.getByRole("link", { name: "客服与管理员" }).click();
    await page.locator(test("add-agent")).click();
    await page.locator(test("username")).locator("input").or(page.locator(`input${test("username")}`)).first().fill("xiaolin");
    await page.locator(test("display-name")).locator("input").or(page.locator(`input${test("display-name")}`)).first().fill("林小雨");
    await page.locator(test("add-confirm")).click();
    const password = (await page.locator(test("password")).textContent()).trim();
    const agent = await openWindow(browser, deployment);
    pages.push(agent);
    await signIn(agent, { username: "xiaolin", password });
    assert.equal(await agent.getByRole("link", { name: "审计日志" }).count(), 0, "an agent sees no pages of administrators");
    await agent.goto(`${deployment.url}/console/audit`);
    await agent.waitForURL(/\/console\/desk/);

    // The session is in a cookie that no script can read and that says nothing without the console's own header.
    const cookies = await agent.context().cookies();
    const session = cookies.find((cookie) => cookie.name === "zhaoguan_console");
    assert(session.httpOnly && session.sameSite === "Strict");
    assert.equal(await agent.evaluate(() => document.cookie), "");
    const bare = await fetch(`${deployment.url}/api/v1/me`, { headers: { cookie: `zhaoguan_console=${session.value}` } });
    assert.equal(bare.status, 401);
    const proven = await fetch(`${deployment.url}/api/v1/me`, { headers: { cookie: `zhaoguan_console=${session.value}`, "x-console": "1" } });
    assert.equal(proven.status, 200);

    await agent.locator(test("me")).click();
    await agent.locator(test("sign-out")).click();
    await agent.waitForURL(/\/console\/sign-in/);
    const over = await fetch(`${deployment.url}/api/v1/me`, { headers: { cookie: `zhaoguan_console=${session.value}`, "x-console": "1" } });
    assert.equal(over.status, 401);
  },
};
