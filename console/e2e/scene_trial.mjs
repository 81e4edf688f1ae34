// A newcomer opens /console/try and sees a consultation from beginning to end.
import assert from "node:assert/strict";
import { openWindow, test } from "./world.mjs";

export const trial = {
  /** Nothing is asked of the newcomer but one click. */
  async run({ deployment, browser, pages }) {
    const page = await openWindow(browser, deployment);
    pages.push(page);
    const answer = await page.goto(`${deployment.url}/console/try`);
    const csp = answer.headers()["content-security-policy"];
    assert(csp.includes("script-src 'self'") && !csp.includes("unsafe"), csp);
    await page.click(test("begin"));
    const patient = page.locator(test("phone-patient"));
    const doctor = page.locator(test("phone-doctor"));
    await patient.locator(test("say")).and(page.locator(":enabled")).waitFor();
    await patient.locator(test("say")).fill("医生您好，最近睡眠不好");
    await patient.locator(test("say")).press("Enter");
    await doctor.locator(test("bubble"), { hasText: "最近睡眠不好" }).waitFor();
    await doctor.locator(test("say")).fill("您好，先做一次睡眠监测");
    await doctor.locator(test("send")).click();
    await patient.locator(test("bubble"), { hasText: "先做一次睡眠监测" }).waitFor();
    await page.locator(test("consultation-status"), { hasText: "进行中" }).waitFor();
    await patient.locator(test("assistant-patient")).click();
    await patient.getByText(/助手/).first().waitFor();
  },
};
