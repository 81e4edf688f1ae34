// A phone with WeChat on it. It runs mini-programs: unmodified bundles in a context that has `wx` and the language, and
// nothing of browsers or of Node.
import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import https from 'node:https';
import { createRequire } from 'node:module';
import path from 'node:path';
import vm from 'node:vm';

const WX = new vm.Script(readFileSync(new URL('wx.js', import.meta.url), 'utf8'), { filename: 'wx.js' });

/// What WeChat hides from the modules of a mini-program: each is a parameter without a value.
const HIDDEN = [
  'window', 'document', 'frames', 'self', 'location', 'navigator', 'localStorage', 'history', 'Caches', 'screen', 'alert',
  'confirm', 'prompt', 'fetch', 'XMLHttpRequest', 'WebSocket', 'webkit', 'WeixinJSCore', 'WeixinJSBridge', 'Reporter',
];

export class Phone {
  /// `host` is the only server the mini-program's owner has entered at WeChat, for all four kinds; `login` answers a code.
  constructor({ host, appId, login, folder }) {
    Object.assign(this, { host, appId, login });
    this.require = createRequire(path.resolve(folder, 'package.json'));
    this.storage = new Map();
    this.files = new Map();
    this.album = [];
    this.networkType = 'wifi';
    /// What went out: `[kind, address]`, with the subprotocols of sockets.
    this.traffic = [];
  }

  /// Puts a picture into the album, from which `wx.chooseMedia` takes it.
  takePicture(bytes, extension = 'png') {
    const tempFilePath = `wxfile://tmp_${randomUUID()}.${extension}`;
    this.files.set(tempFilePath, bytes);
    this.album = [{ tempFilePath, size: bytes.length, fileType: 'image' }];
  }

  /// Starts the mini-program anew; what it stored before is there.
  launch() {
    this.running?.quit();
    this.running = new MiniProgram(this);
    return this.running;
  }

  /// Into a tunnel: what is open breaks, and the mini-program is told.
  setNetwork(networkType) {
    this.networkType = networkType;
    if (networkType === 'none') this.running.breakSockets();
    this.running.tell('NetworkStatusChange', { isConnected: networkType !== 'none', networkType });
  }

  /// The person looks at something else; WeChat ends the sockets of what is not looked at.
  hide() {
    this.running.tell('AppHide', {});
    this.running.breakSockets();
  }

  show() {
    this.running.tell('AppShow', { path: 'pages/index', scene: 1001, query: {} });
  }
}

class MiniProgram {
  constructor(phone) {
    this.phone = phone;
    this.listeners = {};
    this.sockets = new Set();
    this.modules = new Map();
    const timers = { setTimeout, setInterval, clearTimeout, clearInterval };
    this.context = vm.createContext({ console, ...timers }, { codeGeneration: { strings: false, wasm: false } });
    this.wx = WX.runInContext(this.context)(this.native());
    this.context.wx = this.wx;
    // An object without the language's own, as on phones.
    this.context.global = vm.runInContext('({})', this.context);
  }

  /// A module by the path of a bundle or of an installed package.
  require(name, from = this.phone.require) {
    const file = from.resolve(name);
    const known = this.modules.get(file);
    if (known) return known.exports;
    const module = vm.runInContext('({ exports: {} })', this.context);
    this.modules.set(file, module);
    if (file.endsWith('.json')) {
      module.exports = vm.runInContext(`(${readFileSync(file, 'utf8')})`, this.context);
      return module.exports;
    }
    const inner = createRequire(file);
    const parameters = ['require', 'module', 'exports', 'Function', ...HIDDEN].join(', ');
    const body = vm.runInContext(`(function (${parameters}) {'use strict';${readFileSync(file, 'utf8')}\n})`, this.context, { filename: file });
    const require = (wanted) => this.require(wanted, inner);
    body.call(undefined, require, module, module.exports, this.functionOf());
    return module.exports;
  }

  /// `Function` makes no functions of texts, except of the one that libraries look for the global object with.
  functionOf() {
    const make = vm.runInContext(
      `(global) => {
        const original = Function;
        const Only = function (...texts) {
          if (texts[texts.length - 1] === 'return this') return () => global;
          throw new TypeError('Function(…) is not allowed in mini-programs');
        };
        Only.prototype = original.prototype;
        return Only;
      }`,
      this.context,
    );
    return make(this.context.global);
  }

  tell(name, event) {
    for (const listener of this.listeners[name] ?? []) listener(JSON.stringify(event));
  }

  breakSockets() {
    for (const socket of this.sockets) socket.terminate();
  }

  /// Ends it: nothing it started goes on.
  quit() {
    this.isOver = true;
    this.breakSockets();
  }

  native() {
    const { phone } = this;
    return {
      appId: phone.appId,
      later: (act) => void setTimeout(() => this.isOver || act(), 0),
      on: (name, listener) => void (this.listeners[name] ??= []).push(listener),
      networkType: () => phone.networkType,
      pictures: () => JSON.stringify(phone.album),
      storage: {
        get: (key) => phone.storage.get(key),
        set: (key, value) => void phone.storage.set(key, value),
        delete: (key) => void phone.storage.delete(key),
        clear: () => phone.storage.clear(),
        keys: () => JSON.stringify([...phone.storage.keys()]),
      },
      login: (done) => void phone.login().then((code) => done(null, code), (error) => done(String(error))),
      request: (asked, done) => this.request(JSON.parse(asked), done),
      upload: (asked, done, progress) => this.upload(JSON.parse(asked), done, progress),
      download: (asked, done) => this.download(JSON.parse(asked), done),
      connect: (asked, handlers) => this.connect(JSON.parse(asked), handlers),
    };
  }

  /// Why an address is not spoken to, if so: WeChat speaks TLS, to entered servers, while there is a network.
  refusal(kind, scheme, address) {
    const { protocol, host } = new URL(address);
    if (protocol !== scheme || host !== this.phone.host) return `url not in domain list: ${address}`;
    this.phone.traffic.push([kind, address]);
    return this.phone.networkType === 'none' ? 'network is disconnected' : null;
  }

  send(kind, { url, method, header, body }, done) {
    const refused = this.refusal(kind, 'https:', url);
    if (refused) {
      done(refused);
      return { abort() {} };
    }
    const headers = {
      ...header,
      referer: `https://servicewechat.com/${this.phone.appId}/1/page-frame.html`,
      'user-agent': 'Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) MicroMessenger/8.0.40 MiniProgramEnv/iOS',
      ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
    };
    const request = https.request(url, { method, headers }, (answer) => {
      const parts = [];
      answer.on('data', (part) => parts.push(part));
      answer.on('end', () => done(null, { statusCode: answer.statusCode, header: answer.headers, bytes: Buffer.concat(parts) }));
      answer.on('error', (error) => done(error.message));
    });
    request.on('error', (error) => done(error.message));
    request.end(body);
    return { abort: () => request.destroy(new Error('abort')) };
  }

  request(asked, done) {
    return this.send('request', asked, (error, answer) => {
      if (error) return done(error);
      const { statusCode, header, bytes } = answer;
      return done(null, JSON.stringify({ statusCode, header, body: bytes.toString('utf8') }));
    });
  }

  /// A form, its fields first, its file last and under the name of its path.
  upload({ url, filePath, name, form, header }, done, progress) {
    const bytes = this.phone.files.get(filePath);
    if (!bytes) {
      done('file doesn\'t exist');
      return { abort() {} };
    }
    const boundary = `------------------------${randomUUID()}`;
    const fields = Object.entries(form).map(([key, value]) =>
      `--${boundary}\r\nContent-Disposition: form-data; name="${key}"\r\n\r\n${value}\r\n`);
    const file = `--${boundary}\r\nContent-Disposition: form-data; name="${name}"; filename="${path.basename(filePath)}"\r\nContent-Type: image/png\r\n\r\n`;
    const body = Buffer.concat([Buffer.from(fields.join('') + file), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)]);
    const headers = { ...header, 'content-type': `multipart/form-data; boundary=${boundary}` };
    return this.send('upload', { url, method: 'POST', header: headers, body }, (error, answer) => {
      if (error) return done(error);
      progress(JSON.stringify({ progress: 100, totalBytesSent: body.length, totalBytesExpectedToSend: body.length }));
      return done(null, JSON.stringify({ statusCode: answer.statusCode, body: answer.bytes.toString('utf8') }));
    });
  }

  download({ url, header }, done) {
    return this.send('download', { url, method: 'GET', header }, (error, answer) => {
      if (error) return done(error);
      const tempFilePath = `wxfile://tmp_${randomUUID()}`;
      this.phone.files.set(tempFilePath, answer.bytes);
      return done(null, JSON.stringify({ statusCode: answer.statusCode, tempFilePath }));
    });
  }

  connect({ url, header, protocols }, handlers) {
    const refused = this.refusal('socket', 'wss:', url);
    if (refused) {
      setImmediate(() => handlers.error(refused));
      return { send() {}, close() {} };
    }
    this.phone.traffic.at(-1).push(protocols);
    const WebSocket = this.phone.require('ws');
    const socket = new WebSocket(url, protocols, { headers: header });
    let isOpen = false;
    const alive = (act) => (...args) => this.isOver || act(...args);
    socket.on('upgrade', ({ headers }) => socket.once('open', alive(() => {
      isOpen = true;
      this.sockets.add(socket);
      handlers.open(JSON.stringify(headers));
    })));
    socket.on('message', alive((data) => handlers.message(data)));
    socket.on('error', alive((error) => isOpen || handlers.error(error.message)));
    socket.on('close', alive((code, reason) => {
      this.sockets.delete(socket);
      if (isOpen) handlers.close(code, String(reason));
    }));
    return {
      send: (data) => socket.send(typeof data === 'string' ? data : Buffer.from(data)),
      close: (code, reason) => socket.close(code, reason),
    };
  }
}
