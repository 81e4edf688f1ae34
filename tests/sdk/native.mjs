// A client of the product's own protocol that does nothing by itself.
import { createRequire } from 'node:module';
import path from 'node:path';

export class NativeSocket {
  /// Connects and says hello.
  static async open(plainURL, token, folder) {
    const WebSocket = createRequire(path.resolve(folder, 'package.json'))('ws');
    const socket = new NativeSocket(new WebSocket(`${plainURL.replace('http', 'ws')}/im/v1/ws`));
    await new Promise((done, failed) => socket.ws.once('open', done).once('error', failed));
    socket.say({ type: 'hello', token });
    await socket.expect('ready');
    return socket;
  }

  constructor(ws) {
    this.ws = ws;
    this.frames = [];
    this.waiting = [];
    ws.on('message', (data) => {
      const frame = JSON.parse(String(data));
      const at = this.waiting.findIndex(({ fits }) => fits(frame));
      if (at < 0) this.frames.push(frame);
      else this.waiting.splice(at, 1)[0].done(frame);
    });
  }

  say(frame) {
    this.ws.send(JSON.stringify(frame));
  }

  sendText(conversationId, clientMessageId, text) {
    this.say({ type: 'send', clientMessageId, conversationId, messageType: 'text', content: { text } });
  }

  /// The next frame of a type that fits, or one that came before and nobody took.
  expect(type, fits = () => true) {
    const isIt = (frame) => frame.type === type && fits(frame);
    const at = this.frames.findIndex(isIt);
    if (at >= 0) return Promise.resolve(this.frames.splice(at, 1)[0]);
    return new Promise((done, failed) => {
      const timer = setTimeout(() => failed(new Error(`no ${type} in 20 s`)), 20_000);
      this.waiting.push({ fits: isIt, done: (frame) => { clearTimeout(timer); done(frame); } });
    });
  }

  /// The event of a message that fits.
  message(fits) {
    return this.expect('event', ({ kind, message }) => kind === 'message' && fits(message));
  }
}
