// The official SDKs of a folder, pointed at a server: storage, messaging and typed messages.
import { createRequire } from 'node:module';
import path from 'node:path';

export function load(folder, { serverURL, appId, appKey, masterKey }) {
  const require = createRequire(path.resolve(folder, 'package.json'));
  const AV = require('leancloud-storage');
  const rt = require('leancloud-realtime');
  const typed = require('leancloud-realtime-plugin-typed-messages')(AV, rt);
  const { version } = require('leancloud-realtime/package.json');
  const isFive = version.startsWith('5.');
  AV.init({ appId, appKey, masterKey, serverURL });

  // 5.x remembers in a plain object which application is in use, and wants one device in a process; here are many.
  Object.defineProperty(Object.prototype, appId, { get: () => false, set() {}, configurable: true });

  // 4.3.1 takes a host and adds TLS; 5.x takes the address as it is.
  const server = isFive ? serverURL : new URL(serverURL).host;
  /// A device: messaging of one's own.
  const device = (more) => new rt.Realtime({ appId, appKey, server, plugins: [typed.TypedMessagesPlugin], ...more });
  const client = (id, options) => device().createIMClient(id, options);
  return { AV, rt, typed, version, device, client };
}
