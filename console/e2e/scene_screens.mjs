// Pictures of every page at two widths, light and dark, into target/console-shots (or $SHOTS). SHOTS_OF=readme takes only
// the two that the README shows.
import { certificate, night } from "./drawings.mjs";
import { agentAt, open, reply, setStatus, view } from "./staff.mjs";
import { furnish, PAGES } from "./scene_access.mjs";
import { Customer, openWindow, shots, test } from "./world.mjs";

const isReadme = process.env.SHOTS_OF === "readme";
const WIDTHS = isReadme ? [1280] : [1280, 1920];
const COLOURS = isReadme ? [false] : [false, true];

/** A working week in short: consultations that were told of, chats that were closed and rated, agents at work. */
async function enliven(deployment, { admin, agents }, pictures) {
  const call = (method, path, body, token = admin) => deployment.call(method, path, { token, body });
  const doctor = await Customer.make(deployment, "doctor", { name: "苏婉清", hospital: "兆观示范医院", department: "神经内科", title: "副主任医师", startConsultation: true });
  await doctor.certify(pictures);
  await call("POST", `/admin/certifications/${doctor.id}/approve`);
  for (const name of ["周晓彤", "吴建平", "郑雨薇"]) {
    const patient = await Customer.make(deployment, "patient", { name });
    await patient.call("POST", "/consultations", { doctorId: doctor.id, patientId: patient.id });
  }
  const hours = [1, 2, 3, 4, 5].map((weekday) => ({ weekday, start: "09:00", end: "18:00" }));
  await call("PATCH", "/admin/assistant", { weeklyHours: [1, 2, 3, 4, 5, 6, 7].map((weekday) => ({ weekday, start: "00:00", end: "24:00" })) });
  await call("PATCH", `/admin/desk/agents/${agents[1].id}`, { weeklyHours: hours });
  const agent = await deployment.signInStaff(agents[0]);
  await call("PUT", "/desk/me/status", { status: "away" }, agent);
  const asked = [["冯一诺", "报告里的血氧下降是什么意思？", 5, "解释得很清楚"], ["赵子墨", "设备怎么充电？", 4], ["钱思源", "可以开发票吗？", 5], ["孔令仪", "想换一位医生", 3, "等得有点久"]];
  for (const [name, question, score, comment] of asked) {
    const one = await Customer.make(deployment, "patient", { name });
    await one.openAssistant();
    await one.say(question);
    await call("POST", `/desk/chats/${one.chat}/claim`, undefined, agent);
    await call("POST", `/desk/chats/${one.chat}/messages`, { clientMessageId: `a-${one.chat}`, type: "text", content: { text: "您好，我来帮您看看。" } }, agent);
    await call("POST", `/desk/chats/${one.chat}/close`, undefined, agent);
    await one.call("POST", "/assistant/rating", { as: "patient", score, comment });
  }
}

export const screens = {
  isExtra: true,
  settings: { ZHAOGUAN__WECHAT__STANDIN: `127.0.0.1:${31_000 + (process.pid % 2_000)}` },
  async run({ deployment, browser, pages }) {
    const names = { certificate1: [[600, 400], "医师资格证书"], certificate2: [[600, 400], "专业技术资格证书"], licence1: [[420, 600], "医师执业证书"], licence2: [[420, 600], "执业变更记录"] };
    const pictures = {};
    for (const [field, [size, title]] of Object.entries(names)) pictures[field] = await certificate(browser, size, title);
    const furnished = await furnish(deployment, pictures);
    const { customers } = furnished;
    await enliven(deployment, furnished, pictures);
    const folder = shots();
    const [li, wang] = customers;
    const page = await agentAt(deployment, browser, pages, deployment.admin);
    await setStatus(page, "在线");
    await view(page, "all");
    await open(page, li.name);
    if (await page.locator(test("claim")).count()) await page.locator(test("claim")).click();
    await page.locator(test("close")).waitFor();
    await reply(page, "您好小满，我看到设备昨晚 23:10 开始记录，报告正在生成，大约十分钟后可以看到。");
    await li.say("好的，谢谢！对了，这是昨晚的截图");
    const picture = await li.upload(await night(browser), "shot.png");
    await li.send("image", { fileId: picture.objectId, width: 280, height: 180 });
    await page.locator(test("mode-note")).click();
    await reply(page, "报告队列有延迟，已告知技术组。");
    await page.locator(test("mode-reply")).click();
    await reply(page, "收到，我一起转给技术同事看看。");
    await li.send("link", { url: "https://example.com/sleep-diary", title: "睡眠日记怎么写", description: "记录入睡、夜醒与起床时间" });
    await page.waitForTimeout(600);
    for (const width of WIDTHS) {
      await page.setViewportSize({ width, height: width === 1280 ? 800 : 1080 });
      for (const isDark of COLOURS) {
        const name = (what) => `${folder}/${what}-${width}-${isDark ? "dark" : "light"}.png`;
        await page.evaluate((dark) => localStorage.setItem("zhaoguan.theme", dark ? "dark" : "light"), isDark);
        await page.goto(`${deployment.url}/console/desk/${li.chat}`);
        await page.locator(test("message")).first().waitFor();
        await view(page, "all");
        await page.waitForTimeout(900);
        await page.screenshot({ path: name("desk") });
        for (const what of isReadme ? [] : PAGES) {
          await page.goto(`${deployment.url}/console/${what}`);
          await page.locator("h1").first().waitFor();
          await page.waitForLoadState("networkidle");
          await page.waitForTimeout(what === "reports" ? 900 : 300);
          await page.screenshot({ path: name(what) });
        }
      }
    }
    await page.setViewportSize({ width: 1280, height: 800 });
    await page.goto(`${deployment.url}/console/desk/${wang.chat}`);
    await page.locator(test("message")).first().waitFor();
    await page.keyboard.press("?");
    await page.locator(".el-dialog", { hasText: "键盘快捷键" }).waitFor();
    await page.waitForTimeout(500);
    await page.screenshot({ path: `${folder}/help-1280-dark.png` });
    const guest = await openWindow(browser, deployment);
    pages.push(guest);
    for (const isDark of COLOURS) {
      for (const width of WIDTHS) {
        const name = (what) => `${folder}/${what}-${width}-${isDark ? "dark" : "light"}.png`;
        await guest.setViewportSize({ width, height: width === 1280 ? 800 : 1080 });
        await guest.goto(`${deployment.url}/console/sign-in`);
        await guest.evaluate((dark) => localStorage.setItem("zhaoguan.theme", dark ? "dark" : "light"), isDark);
        await guest.reload();
        await guest.waitForTimeout(300);
        await guest.screenshot({ path: name("sign-in") });
        await guest.goto(`${deployment.url}/console/try`);
        await guest.click(test("begin"));
        const [patient, doctor] = ["patient", "doctor"].map((role) => guest.locator(test(`phone-${role}`)));
        await patient.locator(`${test("say")}:enabled`).fill("医生您好，最近总是半夜醒来，早上起来头痛。");
        await patient.locator(test("say")).press("Enter");
        await doctor.locator(test("bubble")).first().waitFor();
        await doctor.locator(test("say")).fill("您好，建议先做一次整晚的睡眠监测，我来看报告。");
        await doctor.locator(test("say")).press("Enter");
        await patient.locator(test("bubble"), { hasText: "睡眠监测" }).waitFor();
        await guest.waitForTimeout(400);
        await guest.screenshot({ path: name("try") });
      }
    }
  },
};
