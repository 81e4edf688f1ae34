// What the scripts share: waiting for events, a picture, and the server spoken to without an SDK.
import assert from 'node:assert/strict';

/// A picture of one point.
export const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==', 'base64');

export const unique = () => `c${Math.random().toString(36).slice(2, 12)}`;
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/// The next event of a kind that fits.
export function next(emitter, event, fits = () => true, what = String(event)) {
  return new Promise((done, failed) => {
    const timer = setTimeout(() => failed(new Error(`no ${what} in 20 s`)), 20_000);
    const listen = (...args) => {
      if (!fits(...args)) return;
      clearTimeout(timer);
      emitter.off(event, listen);
      done(args);
    };
    emitter.on(event, listen);
  });
}

export async function until(what, holds) {
  for (let i = 0; i < 400; i += 1) {
    if (await holds()) return;
    await sleep(50);
  }
  throw new Error(`never: ${what}`);
}

/// Runs a part and says how long it took.
export async function step(name, act) {
  const began = Date.now();
  const answer = await act();
  console.log(`${name}: ${Date.now() - began} ms`);
  return answer;
}

/// The server without an SDK: LeanCloud's interface for servers, and the product's own.
export class Server {
  constructor({ plainURL, appId, appKey, masterKey }) {
    Object.assign(this, { plainURL, appId, appKey, masterKey });
  }

  async ask(method, at, headers, body) {
    const answer = await fetch(`${this.plainURL}${at}`, {
      method,
      headers: { 'Content-Type': 'application/json', ...headers },
      body: body && JSON.stringify(body),
    });
    return { status: answer.status, body: await answer.json().catch(() => undefined) };
  }

  /// LeanCloud's interface, with the master key unless another is given.
  rest(method, at, body, key = `${this.masterKey},master`) {
    return this.ask(method, at, { 'X-LC-Id': this.appId, 'X-LC-Key': key }, body);
  }

  /// Waits until a client has read everything: SDKs say so a little later.
  readBy(clientId) {
    return until('all is read', async () => {
      const { body } = await this.rest('GET', `/1.2/rtm/clients/${clientId}/unread-count`, undefined, this.appKey);
      return body.count === 0;
    });
  }

  /// The product's own interface, and what it answers; refusals throw.
  async native(method, at, token, body) {
    const answer = await this.ask(method, `/api/v1${at}`, token ? { Authorization: `Bearer ${token}` } : {}, body);
    assert.ok(answer.status < 300, `${method} ${at}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body;
  }

  /// The newest code that was sent to a number; the development server shows it.
  async code(phone) {
    const { items } = await this.native('GET', '/dev/sms');
    return items.find((item) => item.phone.endsWith(phone)).code;
  }

  /// The session token of somebody who signs in natively, as a patient or doctor. Somebody whose records were imported is
  /// linked to them by that.
  async signIn(phone, role) {
    const { challengeId } = await this.native('POST', '/auth/sms-codes', undefined, { phone });
    const body = { challengeId, code: await this.code(phone), role };
    return (await this.native('POST', '/auth/sign-in/sms', undefined, body)).token;
  }

  async signInStaff(username, password) {
    return (await this.native('POST', '/auth/sign-in/agent', undefined, { username, password })).token;
  }
}
