// An administrator closes the account of a doctor and of a patient; an agent cannot.
import assert from "node:assert/strict";
import { agentAt, open, row, view } from "./staff.mjs";
import { Customer, test, until } from "./world.mjs";

const isOut = (person) => person.call("GET", "/me").then(() => false, (error) => error.status === 401);

/** Reads what it means, is asked for a reason, and does it. */
async function close(page, name, reason) {
  await page.locator(test("close-account")).click();
  const asked = page.locator(".el-message-box");
  await asked.getByText(`注销“${name}”的账号，无法撤回`).waitFor();
  await asked.locator(".el-button--danger").click();
  assert.equal(await asked.isVisible(), true, "a reason is needed");
  await asked.locator("textarea").fill(reason);
  await asked.locator(".el-button--danger").click();
  await asked.waitFor({ state: "hidden" });
}

export const accounts = {
  async run({ deployment, browser, pages }) {
    const admin = await deployment.signInStaff(deployment.admin);
    const anna = await deployment.addAgent(admin, "linxiaoyu", "林小雨");
    const doctor = await Customer.make(deployment, "doctor", { name: "何慕白", hospital: "示范医院" });
    const patient = await Customer.make(deployment, "patient", { name: "李小满" });
    const other = await Customer.make(deployment, "patient", { name: "王建国" });
    for (const one of [patient, other]) {
      await one.openAssistant();
      await one.say("我想注销账号");
    }

    const agent = await agentAt(deployment, browser, pages, anna);
    await view(agent, "all");
    await open(agent, patient.name);
    await agent.locator(test("block")).waitFor();
    await agent.getByText(patient.phone.slice(-4)).waitFor();
    assert.equal(await agent.locator(test("close-account")).count(), 0, "agents close no accounts");

    const page = await agentAt(deployment, browser, pages, deployment.admin);
    await view(page, "all");
    await open(page, patient.name);
    await page.locator(test("close-account")).click();
    await page.keyboard.press("Escape");
    await page.locator(".el-message-box").waitFor({ state: "hidden" });
    assert.equal(await isOut(patient), false, "who thinks better of it closes nothing");
    await close(page, patient.name, "本人来电要求");
    await page.locator(test("is-closed")).waitFor();
    assert.equal(await page.locator(test("close-account")).count(), 0, "once");
    assert.equal(await isOut(patient), true);
    assert.equal(await isOut(other), false);
    await until("the chat is closed", async () => (await deployment.call("GET", `/desk/chats/${patient.chat}`, { token: admin })).closeReason === "account_closed");
    await row(page, other.name).click();
    await page.locator(test("close-account")).waitFor();

    await page.getByRole("link", { name: "医生", exact: true }).click();
    await page.getByRole("button", { name: doctor.name }).click();
    await close(page, doctor.name, "重复注册");
    await page.locator("tr", { hasText: doctor.name }).getByText("已注销").waitFor();
    assert.equal(await isOut(doctor), true);
    await page.getByRole("button", { name: doctor.name }).click();
    await page.getByText("注销时间").waitFor();
    assert.equal(await page.locator(test("close-account")).count(), 0);

    await page.keyboard.press("Escape");
    await page.getByRole("link", { name: "审计日志" }).click();
    await page.locator("tr", { hasText: "注销账号" }).nth(1).waitFor();
    const { items } = await deployment.call("GET", "/admin/audit-events?action=account.close", { token: admin });
    assert.deepEqual(items.map((event) => event.detail.reason).sort(), ["本人来电要求", "重复注册"]);
  },
};
