// Agents at their desks, as the scenes need them.
import { openWindow, signIn, test, until } from "./world.mjs";

export async function agentAt(deployment, browser, pages, agent, options) {
  const page = await openWindow(browser, deployment, options);
  pages.push(page);
  await signIn(page, agent);
  return page;
}

export async function setStatus(page, word) {
  await page.locator(test("status")).click();
  await page.getByRole("option", { name: word, exact: true }).click();
  await until(`the status is ${word}`, async () => (await page.locator(test("status")).textContent()).includes(word));
}

export const row = (page, name) => page.locator(test("chat"), { hasText: name });
export const box = (page) => page.locator(test("box"));
export const bubble = (page, text) => page.locator(test("message"), { hasText: text });
export const view = (page, name) => page.locator(test(`view-${name}`)).click();

export async function open(page, name) {
  await row(page, name).click();
  await page.locator(test("timeline")).waitFor();
}

export async function reply(page, text) {
  await box(page).fill(text);
  await box(page).press("Enter");
}
