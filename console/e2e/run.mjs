// Drives the console in Chromium against the real server on SQLite.
//
//   node console/e2e/run.mjs                    all scenes but `screens`
//   node console/e2e/run.mjs desk certification some of them
import assert from "node:assert/strict";
import { Deployment, openBrowser } from "./world.mjs";
import { scenes } from "./scenes.mjs";

const asked = process.argv.slice(2);
const chosen = Object.entries(scenes).filter(([name, scene]) => (asked.length > 0 ? asked.includes(name) : !scene.isExtra));
assert(chosen.length > 0, `scenes: ${Object.keys(scenes).join(", ")}`);
const browser = await openBrowser();
let failed = 0;
for (const [name, scene] of chosen) {
  const started = Date.now();
  const deployment = await Deployment.make(scene.settings);
  const pages = [];
  try {
    await scene.run({ deployment, browser, pages });
    const faults = pages.flatMap((page) => page.faults);
    assert.deepEqual(faults, [], "nothing goes wrong in the pages");
    console.log(`ok   ${name} (${((Date.now() - started) / 1000).toFixed(1)} s)`);
  } catch (error) {
    failed += 1;
    console.log(`FAIL ${name}: ${error.stack}`);
    const { shots } = await import("./world.mjs");
    await Promise.all(pages.map((page, at) => page.screenshot({ path: `${shots()}/failed-${name}-${at}.png` }).catch(() => {})));
    for (const page of pages) if (page.faults.length) console.log(page.faults.join("\n"));
    console.log(deployment.log().replace(/^ {2}app\..*$/gm, ""));
  } finally {
    await Promise.all(pages.map((page) => page.context().close().catch(() => {})));
    await deployment.end();
  }
}
await browser.close();
console.log(failed === 0 ? `${chosen.length} scenes passed` : `${failed} of ${chosen.length} scenes failed`);
process.exit(failed === 0 ? 0 : 1);
