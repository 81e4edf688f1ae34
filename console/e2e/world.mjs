// A real server in a folder of its own, people who talk to it over its API, and browsers.
import { spawn, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, openSync, readFileSync, existsSync, mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { randomUUID } from "node:crypto";
import { deflateSync, crc32 as zlibCrc } from "node:zlib";
import { chromium } from "playwright-core";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const program = process.env.ZHAOGUAN_API ?? join(root, "target/debug/zhaoguan-api");
const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/google-chrome"].find((path) => existsSync(path));
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits until `look` answers something true; never longer than `seconds`. */
export async function until(what, look, seconds = 20) {
  const end = Date.now() + seconds * 1000;
  for (let last; ; await sleep(60)) {
    try {
      const answer = await look();
      if (answer) return answer;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end) throw new Error(`waited in vain until ${what}${last ? `: ${last.message}` : ""}`);
  }
}

function freePort() {
  return new Promise((done) => {
    const probe = createServer().listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => done(port));
    });
  });
}

export class Deployment {
  static async make(settings = {}) {
    const one = new Deployment();
    one.folder = mkdtempSync(join(tmpdir(), "zhaoguan-console-"));
    one.port = await freePort();
    one.url = `http://127.0.0.1:${one.port}`;
    one.env = {
      ...process.env, ZHAOGUAN__PROFILE: "development", ZHAOGUAN__DATABASE__URL: `sqlite://${one.folder}/data/zhaoguan.db`,
      ZHAOGUAN__HTTP__LISTEN: `127.0.0.1:${one.port}`, ZHAOGUAN__LOG__FILTER: "warn", ZHAOGUAN__SMS__LIMITS__EXEMPT_NETWORKS: '["127.0.0.0/8"]', ...settings,
    };
    delete one.env.ZHAOGUAN_CONFIG;
    await one.start();
    const printed = execFileSync(program, ["create-admin", "root-admin", "--display-name", "周敏"], { cwd: one.folder, env: one.env, encoding: "utf8" });
    one.admin = { username: "root-admin", password: /password: (\S+)/.exec(printed)[1] };
    return one;
  }

  async start() {
    const log = openSync(join(this.folder, "server.log"), "a");
    this.process = spawn(program, ["serve"], { cwd: this.folder, env: this.env, stdio: ["ignore", log, log] });
    await until("the server is ready", async () => {
      if (this.process.exitCode !== null) throw new Error(`the server ended:\n${this.log()}`);
      return (await fetch(`${this.url}/readyz`)).ok;
    }, 40);
  }

  /** Gone without a word, as when the power fails. */
  async kill() {
    const gone = new Promise((done) => this.process.once("exit", done));
    this.process.kill("SIGKILL");
    await gone;
  }

  log() {
    return readFileSync(join(this.folder, "server.log"), "utf8").slice(-4000);
  }

  async end() {
    if (this.process.exitCode === null) await this.kill().catch(() => {});
    rmSync(this.folder, { recursive: true, force: true });
  }

  async call(method, path, { token, body, form } = {}) {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const response = await fetch(`${this.url}/api/v1${path}`, { method, headers, body: form ?? (body === undefined ? undefined : JSON.stringify(body)) });
    const text = await response.text();
    const answer = text ? JSON.parse(text) : null;
    if (!response.ok) throw Object.assign(new Error(`${method} ${path}: ${response.status} ${text}`), { status: response.status, answer });
    return answer;
  }

  async signInStaff({ username, password }) {
    return (await this.call("POST", "/auth/sign-in/agent", { body: { username, password } })).token;
  }

  async addAgent(adminToken, username, displayName) {
    const made = await this.call("POST", "/admin/agents", { token: adminToken, body: { username, displayName, role: "agent" } });
    return { username, password: made.password, displayName, id: made.agent.objectId };
  }
}

let phones = 10_000_000 + Math.floor(Math.random() * 80_000_000);

/** Somebody with a phone, a profile, and something to say. */
export class Customer {
  static async make(deployment, role, profile) {
    const one = new Customer();
    one.deployment = deployment;
    one.role = role;
    one.name = profile.name;
    phones += 1;
    one.phone = `139${phones}`;
    const asked = await deployment.call("POST", "/auth/sms-codes", { body: { phone: one.phone } });
    const { items } = await deployment.call("GET", "/dev/sms");
    const code = items.find((sms) => sms.phone.endsWith(one.phone)).code;
    const signedIn = await deployment.call("POST", "/auth/sign-in/sms", { body: { challengeId: asked.challengeId, code, role } });
    one.token = signedIn.token;
    one.id = role === "patient" ? signedIn.patientId : signedIn.doctorId;
    await deployment.call("PATCH", `/${role}s/${one.id}`, { token: one.token, body: profile });
    return one;
  }

  call(method, path, body) {
    return this.deployment.call(method, path, { token: this.token, body });
  }

  async openAssistant() {
    const opened = await this.call("POST", "/assistant/conversation", { as: this.role });
    this.chat = opened.conversation.id;
    return this.chat;
  }

  send(type, content) {
    return this.call("POST", `/conversations/${this.chat}/messages`, { clientMessageId: randomUUID(), type, content });
  }

  say(text) {
    return this.send("text", { text });
  }

  async upload(bytes, name, type = "image/png") {
    const form = new FormData();
    form.append("file", new Blob([bytes], { type }), name);
    return this.deployment.call("POST", "/files", { token: this.token, form });
  }

  async history() {
    return (await this.call("GET", `/conversations/${this.chat}/messages?limit=200`)).items;
  }

  async certify(pictures) {
    const form = new FormData();
    for (const [field, bytes] of Object.entries(pictures)) form.append(field, new Blob([bytes], { type: "image/png" }), `${field}.png`);
    return this.deployment.call("POST", `/doctors/${this.id}/certification`, { token: this.token, form });
  }
}

/** A picture of one colour, as a PNG. */
export function png(width, height, [red, green, blue]) {
  const chunk = (name, data) => {
    const body = Buffer.concat([Buffer.from(name, "latin1"), data]);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(data.length);
    const sum = Buffer.alloc(4);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const row = Buffer.alloc(1 + width * 3);
  const rows = [];
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) row.set([red, Math.min(255, green + Math.floor((y * 60) / height)), Math.min(255, blue + Math.floor((x * 40) / width))], 1 + x * 3);
    rows.push(Buffer.from(row));
  }
  return Buffer.concat([Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]), chunk("IHDR", head), chunk("IDAT", deflateSync(Buffer.concat(rows))), chunk("IEND", Buffer.alloc(0))]);
}
function crc32(bytes) {
  if (zlibCrc) return zlibCrc(bytes);
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let n = 0; n < 8; n += 1) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}

export async function openBrowser() {
  if (!CHROMIUM) throw new Error("Chromium is missing: scripts/setup.sh browser");
  return chromium.launch({ executablePath: CHROMIUM, headless: true, args: FLAGS });
}

/** A window of its own, as of another person; what goes wrong in it is kept. */
export async function openWindow(browser, deployment, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "zh-CN", timezoneId: "Asia/Shanghai", ...options });
  const page = await context.newPage();
  page.faults = [];
  page.on("pageerror", (error) => page.faults.push(`error: ${error.message}`));
  page.on("console", (line) => {
    if (line.type() === "error" && !/Failed to load resource|WebSocket connection/.test(line.text())) page.faults.push(line.text());
  });
  page.on("dialog", (dialog) => {
    page.faults.push(`a dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.setDefaultTimeout(20_000);
  page.base = deployment.url;
  return page;
}

export async function signIn(page, { username, password }) {
  await page.goto(`${page.base}/console/`);
  await page.fill("#username", username);
  await page.fill("#password", password);
  await page.click("button[type=submit]");
  await page.waitForURL(/\/console\/desk/);
}

export const test = (name) => `[data-test="${name}"]`;

export function shots() {
  const folder = process.env.SHOTS ?? join(root, "target/console-shots");
  mkdirSync(folder, { recursive: true });
  return folder;
}
