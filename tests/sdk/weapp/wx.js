// The `wx` that a mini-program is given, as WeChat documents it. Evaluated inside the mini-program's context, so that every
// object a callback receives is of that context, as it is on a phone. `native` is the phone outside: it speaks in JSON and
// bytes. What callbacks receive, when they are called, and what is refused follow developers.weixin.qq.com.
(function makeWx(native) {
  'use strict';

  const METHODS = ['OPTIONS', 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'TRACE', 'CONNECT'];
  const MAX_SOCKETS = 5;
  const ABILITIES = ['connectSocket.object.protocols', 'request', 'uploadFile', 'downloadFile', 'login', 'onNetworkStatusChange'];

  /// Every call ends in `success` or `fail`, and then in `complete`; never before it has returned.
  function settle(name, options, error, result) {
    native.later(() => {
      const answer = Object.assign({}, result, { errMsg: error ? `${name}:fail ${error}` : `${name}:ok` });
      const callback = error ? options.fail : options.success;
      if (callback) callback(answer);
      if (options.complete) options.complete(answer);
    });
  }

  const text = (value) => (value === null || value === undefined ? '' : String(value));
  const encode = (data) => Object.keys(data).map((key) => `${encodeURIComponent(key)}=${encodeURIComponent(text(data[key]))}`).join('&');

  /// Headers as they go out: texts under names in small letters. The referrer is WeChat's own.
  function headersOf(options, defaults) {
    const headers = Object.assign({}, defaults);
    for (const name of Object.keys(options.header || {})) {
      if (name.toLowerCase() !== 'referer') headers[name.toLowerCase()] = text(options.header[name]);
    }
    return headers;
  }

  function request(options) {
    const name = 'request';
    const method = options.method || 'GET';
    if (!METHODS.includes(method)) {
      settle(name, options, 'invalid method');
      return { abort() {} };
    }
    const header = headersOf(options, { 'content-type': 'application/json' });
    const { data } = options;
    let { url } = options;
    let body;
    if (typeof data === 'string') {
      body = data;
    } else if (data && method === 'GET') {
      url += `${url.includes('?') ? '&' : '?'}${encode(data)}`;
    } else if (data) {
      body = header['content-type'].startsWith('application/x-www-form-urlencoded') ? encode(data) : JSON.stringify(data);
    }
    // A GET has no body here, whatever was given.
    if (method === 'GET') body = undefined;
    const task = native.request(JSON.stringify({ url, method, header, body }), (error, answer) => {
      if (error) return settle(name, options, error);
      const { statusCode, header: answered, body: received } = JSON.parse(answer);
      return settle(name, options, null, { data: read(received, options.dataType), statusCode, header: answered, cookies: [] });
    });
    return { abort: () => task.abort() };
  }

  /// With `dataType` at its default what can be read as JSON is.
  function read(received, dataType = 'json') {
    if (dataType !== 'json') return received;
    try {
      return JSON.parse(received);
    } catch (error) {
      return received;
    }
  }

  function uploadFile(options) {
    const form = {};
    for (const key of Object.keys(options.formData || {})) form[key] = text(options.formData[key]);
    const listeners = new Set();
    const { url, filePath, name } = options;
    const sent = JSON.stringify({ url, filePath, name, form, header: headersOf(options, {}) });
    const task = native.upload(sent, (error, answer) => {
      if (error) return settle('uploadFile', options, error);
      const { statusCode, body } = JSON.parse(answer);
      // Unlike those of `request` these answers are texts, JSON or not.
      return settle('uploadFile', options, null, { data: body, statusCode });
    }, (progress) => listeners.forEach((listener) => listener(JSON.parse(progress))));
    return {
      abort: () => task.abort(),
      onProgressUpdate: (listener) => listeners.add(listener),
      offProgressUpdate: (listener) => listeners.delete(listener),
    };
  }

  function downloadFile(options) {
    const task = native.download(JSON.stringify({ url: options.url, header: headersOf(options, {}) }), (error, answer) => {
      if (error) return settle('downloadFile', options, error);
      return settle('downloadFile', options, null, JSON.parse(answer));
    });
    return { abort: () => task.abort() };
  }

  let sockets = 0;

  function connectSocket(options) {
    const listeners = { open: [], message: [], close: [], error: [] };
    const tell = (kind, event) => native.later(() => listeners[kind].forEach((listener) => listener(event)));
    const task = { readyState: 0 };
    for (const kind of Object.keys(listeners)) {
      task[`on${kind[0].toUpperCase()}${kind.slice(1)}`] = (listener) => listeners[kind].push(listener);
    }
    if (sockets >= MAX_SOCKETS) {
      settle('connectSocket', options, 'exceed max task count');
      return task;
    }
    sockets += 1;
    const over = () => {
      if (task.readyState !== 3) sockets -= 1;
      task.readyState = 3;
    };
    const asked = JSON.stringify({ url: options.url, header: headersOf(options, {}), protocols: options.protocols || [] });
    const socket = native.connect(asked, {
      open(header) {
        task.readyState = 1;
        tell('open', { header: JSON.parse(header) });
      },
      message(data) {
        if (typeof data === 'string') return tell('message', { data });
        const bytes = new Uint8Array(data.length);
        bytes.set(data);
        return tell('message', { data: bytes.buffer });
      },
      close(code, reason) {
        over();
        tell('close', { code, reason });
      },
      error(errMsg) {
        over();
        tell('error', { errMsg });
      },
    });
    task.send = (sending) => {
      const isOpen = task.readyState === 1;
      if (isOpen) socket.send(sending.data);
      settle('sendSocketMessage', sending, isOpen ? null : 'SocketTask.readyState is not OPEN');
    };
    task.close = (closing = {}) => {
      if (task.readyState < 2) {
        socket.close(closing.code || 1000, closing.reason || '');
        over();
      }
      settle('closeSocket', closing);
    };
    settle('connectSocket', options);
    return task;
  }

  const storage = {
    getStorageSync(key) {
      const kept = native.storage.get(key);
      return kept === undefined ? '' : JSON.parse(kept);
    },
    setStorageSync(key, data) {
      native.storage.set(key, JSON.stringify(data === undefined ? '' : data));
    },
    removeStorageSync(key) {
      native.storage.delete(key);
    },
    clearStorageSync() {
      native.storage.clear();
    },
    getStorageInfoSync() {
      return { keys: JSON.parse(native.storage.keys()), currentSize: 1, limitSize: 10240 };
    },
    getStorage(options) {
      const kept = native.storage.get(options.key);
      settle('getStorage', options, kept === undefined ? 'data not found' : null, kept === undefined ? {} : { data: JSON.parse(kept) });
    },
    setStorage(options) {
      storage.setStorageSync(options.key, options.data);
      settle('setStorage', options);
    },
    removeStorage(options) {
      storage.removeStorageSync(options.key);
      settle('removeStorage', options);
    },
    clearStorage(options = {}) {
      storage.clearStorageSync();
      settle('clearStorage', options);
    },
  };

  /// `onX` and `offX` of something the phone tells.
  const events = {};
  function told(name) {
    const listeners = new Set();
    native.on(name, (event) => listeners.forEach((listener) => listener(JSON.parse(event))));
    events[`on${name}`] = (listener) => void listeners.add(listener);
    events[`off${name}`] = (listener) => void (listener ? listeners.delete(listener) : listeners.clear());
  }
  ['AppShow', 'AppHide', 'NetworkStatusChange'].forEach(told);

  const systemInfo = () => ({
    brand: 'iPhone', model: 'iPhone 13', platform: 'ios', system: 'iOS 16.5', language: 'zh_CN', version: '8.0.40',
    SDKVersion: '2.33.0', pixelRatio: 3, screenWidth: 390, screenHeight: 844, windowWidth: 390, windowHeight: 753,
  });

  return Object.assign({
    request,
    uploadFile,
    downloadFile,
    connectSocket,
    login(options) {
      native.login((error, code) => settle('login', options, error, error ? {} : { code }));
    },
    checkSession(options) {
      settle('checkSession', options);
    },
    chooseMedia(options) {
      const tempFiles = JSON.parse(native.pictures());
      settle('chooseMedia', options, tempFiles.length ? null : 'cancel', { tempFiles, type: 'image' });
    },
    getNetworkType(options) {
      settle('getNetworkType', options, null, { networkType: native.networkType() });
    },
    getSystemInfoSync: systemInfo,
    getSystemInfo(options) {
      settle('getSystemInfo', options, null, systemInfo());
    },
    getAccountInfoSync: () => ({ miniProgram: { appId: native.appId, envVersion: 'release', version: '1.0.0' } }),
    canIUse: (ability) => ABILITIES.includes(ability),
  }, storage, events);
});
