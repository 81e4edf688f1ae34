// Names, messages, links and file names that try to be more than text.
import assert from "node:assert/strict";
import { agentAt, bubble, open, setStatus, view } from "./staff.mjs";
import { Customer, png, test, until } from "./world.mjs";

const MARKUP = `<img src=x onerror="window.__hit=1"><script>window.__hit=1</script>`;

export const attacks = {
  async run({ deployment, browser, pages }) {
    const admin = await deployment.signInStaff(deployment.admin);
    const agent = await deployment.addAgent(admin, "linxiaoyu", "<b onmouseover=alert(1)>林</b>");
    const name = `<svg onload=alert(1)>`;
    const one = await Customer.make(deployment, "patient", { name });
    await one.openAssistant();
    await one.say(MARKUP);
    await one.say("javascript:alert(1) https://example.com/\"onclick=alert(1) {{constructor.constructor('window.__hit=1')()}}");
    for (const url of ["javascript:alert(1)", "data:text/html,<script>alert(1)</script>", "https://example.com/a"]) {
      await one.send("link", { url, title: MARKUP, description: MARKUP }).catch((error) => assert(error.status < 500, error.message));
    }
    const evil = await one.upload(png(8, 8, [1, 2, 3]), `"><img src=x onerror=alert(1)>.png`);
    await one.send("file", { fileId: evil.objectId, name: `"><img src=x onerror=alert(1)>.png` });
    await one.send("report", { reportId: "0123456789abcdef01234567", title: MARKUP }).catch((error) => assert(error.status < 500, error.message));
    // A page or a drawing that is called a picture is no page of ours.
    for (const [bytes, file, type] of [["<script>window.__hit=1</script>", "a.html", "text/html"], [`<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>`, "a.svg", "image/svg+xml"]]) {
      const stored = await one.upload(bytes, file, type).catch(() => null);
      if (!stored) continue;
      const got = await fetch(stored.url);
      const isHarmless = /attachment/.test(got.headers.get("content-disposition") ?? "") || !/html|svg/.test(got.headers.get("content-type") ?? "");
      assert(isHarmless && got.headers.get("x-content-type-options") === "nosniff", `${file}: ${got.headers.get("content-type")} ${got.headers.get("content-disposition")}`);
    }

    const page = await agentAt(deployment, browser, pages, agent);
    await setStatus(page, "在线");
    await view(page, "all");
    await open(page, name);
    await bubble(page, "<script>window.__hit=1</script>").first().waitFor();
    await page.waitForTimeout(500);
    await page.hover(test("me"));
    const found = await page.evaluate(() => ({
      hit: window.__hit,
      scripts: [...document.querySelectorAll("main script, main svg[onload], main [onerror], main [onclick]")].length,
      links: [...document.querySelectorAll("main a[href]")].map((link) => link.href),
    }));
    assert.equal(found.hit, undefined);
    assert.equal(found.scripts, 0);
    for (const href of found.links) assert(/^https?:\/\//.test(href), href);
    for (const rel of await page.$$eval("main a[target=_blank]", (links) => links.map((link) => link.rel))) assert(rel.includes("noopener"));

    // Other sites can neither show the console nor call it with the session of somebody who is signed in.
    const csp = (await fetch(`${deployment.url}/console/`)).headers;
    assert(csp.get("content-security-policy").includes("frame-ancestors 'none'"));
    assert.equal(csp.get("x-frame-options"), "DENY");
    const asked = await fetch(`${deployment.url}/api/v1/auth/console-session`, { method: "OPTIONS", headers: { origin: "https://evil.example", "access-control-request-method": "DELETE", "access-control-request-headers": "x-console" } });
    assert.equal(asked.headers.get("access-control-allow-credentials"), null);
    const stranger = await page.context().newPage();
    await stranger.goto(`${deployment.url.replace("127.0.0.1", "localhost")}/healthz`);
    const outcome = await stranger.evaluate(async (url) => {
      const called = await fetch(`${url}/api/v1/me`, { credentials: "include", headers: { "X-Console": "1" } }).then((answer) => `answered ${answer.status}`, () => "refused");
      const socket = new WebSocket(`${url.replace("http", "ws")}/im/v1/ws`);
      const said = await new Promise((done) => {
        socket.onopen = () => socket.send(JSON.stringify({ type: "hello", token: "" }));
        socket.onmessage = ({ data }) => done(JSON.parse(data).type);
        socket.onerror = () => done("error");
        setTimeout(() => done("silence"), 4000);
      });
      return { called, said };
    }, deployment.url);
    assert.equal(outcome.called, "refused");
    assert.notEqual(outcome.said, "ready");
    await until("the page still works", async () => page.locator(test("timeline")).isVisible());
  },
};
