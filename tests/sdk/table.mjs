// The calls of docs/leancloud-compatibility.md that the other scripts do not try: each is answered as the table says, or
// refused with the code it names.
// Usage: node table.mjs SDK_FOLDER SERVER_URL PLAIN_URL APP_ID APP_KEY MASTER_KEY PATIENT_PHONE.
import assert from 'node:assert/strict';
import { createReadStream, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PICTURE, Server, next, sleep, step, unique, until } from './common.mjs';
import { load } from './sdks.mjs';

const [folder, serverURL, plainURL, appId, appKey, masterKey, patientPhone] = process.argv.slice(2);
const { AV, rt, typed, version, device, client } = load(folder, { serverURL, appId, appKey, masterKey });
const { TextMessage, Event } = rt;
const server = new Server({ plainURL, appId, appKey, masterKey });
const master = { useMasterKey: true };
const hasCode = (...codes) => (error) => codes.includes(error.code);
const values = (rows, key) => rows.map((row) => row.get(key));

/// The newest code, used by whoever asks for it: the next one for the number may be asked for after a minute.
async function signUp(phone) {
  await AV.Cloud.requestSmsCode(phone);
  return AV.User.signUpOrlogInWithMobilePhone(phone, await server.code(phone));
}

async function objects() {
  const Thing = AV.Object.extend('Thing');
  const thing = new Thing({ n: 6, list: [1, 2, 3], deep: { a: { b: 1 } } });
  await thing.save();
  thing.bitAnd('n', 3).add('list', 4);
  await thing.save(null, { fetchWhenSave: true });
  thing.bitXor('n', 1);
  await thing.save(null, { fetchWhenSave: true });
  assert.equal(thing.get('n'), 3);
  await thing.save({ 'deep.a.b': 2 });
  await thing.fetch({ keys: 'deep' });
  assert.equal(thing.get('deep').a.b, 2);
  const batched = await server.rest('PUT', `/1.1/classes/Thing/${thing.id}`,
    { list: { __op: 'Batch', ops: [{ __op: 'Add', objects: [5] }, { __op: 'Remove', objects: [1] }] }, n: { __op: 'Decrement', amount: 2 } }, appKey);
  assert.equal(batched.status, 200);
  await thing.fetch();
  assert.deepEqual([thing.get('list'), thing.get('n')], [[2, 3, 4, 5], 1]);
  await assert.rejects(new Thing({ text: 'x'.repeat(130 * 1024) }).save(), { code: 116 });
  await assert.rejects(new Thing({ a: new AV.GeoPoint(1, 1), b: new AV.GeoPoint(2, 2) }).save(), { code: 111 });
  const worded = await new Thing({ n: 'text' }).save();
  await assert.rejects(AV.Object.createWithoutData('Thing', worded.id).increment('n').save(), { code: 111 });
  const together = await server.rest('POST', '/1.1/batch/save', { requests: [{ method: 'POST', path: '/1.1/classes/Thing', body: { n: 1, __internalId: 'a' } }] }, appKey);
  assert.ok(together.body.a.objectId);

  const at = (km) => new AV.GeoPoint(31 + km / 111.19, 121);
  await AV.Object.saveAll([0, 10, 50].map((km) => new AV.Object('Spot', { km, at: at(km) })));
  const near = (limit) => new AV.Query('Spot')[limit.by]('at', at(0), limit.of).find();
  assert.deepEqual(values(await near({ by: 'withinMiles', of: 10 }), 'km'), [0, 10]);
  assert.deepEqual(values(await near({ by: 'withinRadians', of: 0.001 }), 'km'), [0]);
  const query = new AV.Query('Spot').ascending('km').addDescending('createdAt');
  assert.deepEqual(values(await query.find(), 'km'), [0, 10, 50]);
  const without = await new AV.Query('Spot').select('-at').first();
  assert.deepEqual([without.get('at'), typeof without.get('km')], [undefined, 'number']);
  assert.deepEqual(values(await new AV.Query('Spot').doesNotMatchQuery('none', new AV.Query('Thing')).ascending('km').find(), 'km'), [0, 10, 50]);
}

/// Identities at other providers, where the deployment takes clients at their word.
async function identities() {
  const uid = unique();
  const first = await AV.User.loginWithAuthData({ uid, access_token: 't', expires_in: 7200 }, 'weibo');
  assert.deepEqual([first.get('authData').weibo.uid, typeof first.getSessionToken()], [uid, 'string']);
  await AV.User.logOut();
  assert.equal((await AV.User.loginWithAuthData({ uid, access_token: 'u' }, 'weibo')).id, first.id);
  await AV.User.logOut();
  await assert.rejects(AV.User.loginWithAuthData({ uid: unique(), access_token: 't' }, 'weibo', { failOnNotExist: true }), { code: 211 });

  // The same person in another app of the platform.
  const unionid = unique();
  const options = { unionIdPlatform: 'weixin', asMainAccount: true };
  const here = await AV.User.loginWithAuthDataAndUnionId({ openid: unique(), access_token: 't' }, 'wx_one', unionid, options);
  await AV.User.logOut();
  const there = await AV.User.loginWithAuthDataAndUnionId({ openid: unique(), access_token: 't' }, 'wx_two', unionid, options);
  assert.equal(there.id, here.id);
  await AV.User.logOut();

  const named = await AV.User.signUp(unique(), 'secret');
  await assert.rejects(named.associateWithAuthData({ uid, access_token: 't' }, 'weibo'), { code: 208 });
  const other = await AV.User.logIn(named.getUsername(), 'secret');
  await other.associateWithAuthData({ uid: unique(), access_token: 't' }, 'qq');
  assert.ok(other.get('authData').qq.uid);
  await other.dissociateAuthData('qq');
  assert.equal((await AV.User.become(other.getSessionToken())).get('authData')?.qq, undefined);
  await AV.User.logOut();
}

/// Every public name of the SDKs stands in the table.
async function names() {
  const table = readFileSync(new URL('../../docs/leancloud-compatibility.md', import.meta.url), 'utf8');
  const answered = new Set(table.match(/[A-Za-z_]\w*/g));
  const common = new Set(['length', 'name', 'prototype', 'constructor', 'arguments', 'caller', 'prefixed', 'default']);
  const constants = ['Promise', 'Error', 'Op', 'Events', 'EventEmitter', 'LeaderboardOrder', 'LeaderboardVersionChangeInterval', 'LeaderboardUpdateStrategy'];
  const own = (thing) => Object.getOwnPropertyNames(thing).filter((name) => !name.startsWith('_') && !common.has(name));
  const emitter = new Set(own(rt.EventEmitter.prototype));
  const all = new Set();
  const chain = (thing) => {
    for (let at = thing; at && at !== Object.prototype && at !== Function.prototype; at = Object.getPrototypeOf(at)) own(at).filter((name) => !emitter.has(name)).forEach((name) => all.add(name));
  };
  for (const kit of [AV, rt, typed]) {
    for (const name of own(kit)) {
      all.add(name);
      const value = kit[name];
      if (typeof value !== 'function' || constants.includes(name)) continue;
      own(value).filter((inner) => typeof value[inner] === 'function').forEach((inner) => all.add(inner));
      if (value.prototype) chain(value.prototype);
    }
  }
  const someone = await client(unique());
  const room = await someone.createConversation({ members: [unique()], unique: false });
  [someone, room, someone.getQuery()].forEach((thing) => chain(Object.getPrototypeOf(thing)));
  await someone.close();
  assert.deepEqual([...all].filter((name) => !answered.has(name)).sort(), [], 'these are not in the table');
}

async function notOffered() {
  const user = await AV.User.signUp(unique(), 'a long password');
  const other = AV.Object.createWithoutData('_User', 'ffffffffffffffffffffffff');
  const refused = {
    doCloudQuery: () => AV.Query.doCloudQuery('select * from Thing'),
    search: () => new AV.SearchQuery('Thing').queryString('x').find(),
    sendStatus: () => AV.Status.sendStatusToFollowers(new AV.Status('', 'hello')),
    unreadStatuses: () => AV.Status.countUnreadStatuses(user),
    inbox: () => AV.Status.inboxQuery(user).find(),
    push: () => AV.Push.send({ data: { alert: 'x' } }),
    leaderboard: () => AV.Leaderboard.getLeaderboard('score'),
    statistics: () => AV.Leaderboard.getStatistics(user),
    updateStatistics: () => AV.Leaderboard.updateStatistics(user, { score: 1 }),
    follow: () => user.follow(other),
    unfollow: () => user.unfollow(other),
    friendship: () => AV.Friendship.request(other),
    followers: () => user.getFollowersAndFollowees(),
    captcha: () => AV.Captcha.request(),
    verifyCaptcha: () => AV.Cloud.verifyCaptcha('1234', 'token'),
    passwordByMail: () => AV.User.requestPasswordReset('a@example.invalid'),
    mailVerify: () => AV.User.requestEmailVerify('a@example.invalid'),
    censor: () => AV.File.censor('ffffffffffffffffffffffff'),
    job: () => AV.Insight.startJob({ sql: 'select 1' }),
  };
  for (const [name, call] of Object.entries(refused)) {
    await assert.rejects(call(), (error) => error.code === 1 || assert.fail(`${name}: ${error.code} ${error.message}`));
  }
  await assert.rejects(AV.Cloud.requestSmsCode({ mobilePhoneNumber: '13800138000', smsType: 'voice' }), { code: 604 });
  await assert.rejects(AV.Cloud.run('noSuchFunction'), { code: 1 });
}

/// Codes by SMS for everything that takes one.
async function codes() {
  const [first, second, third] = ['13700000101', '13700000102', '13700000103'];
  const user = await signUp(first);
  await user.save({ password: 'the first password' });
  await assert.rejects(AV.User.requestPasswordResetBySmsCode(first), hasCode(1, 601));
  await AV.User.requestChangePhoneNumber(second);
  await AV.User.changePhoneNumber(second, await server.code(second));
  const moved = await AV.User.become(user.getSessionToken());
  assert.equal(moved.get('mobilePhoneNumber'), second);
  await assert.rejects(AV.User.logInWithMobilePhone(first, 'the first password'), { code: 210 });
  await AV.User.logOut();

  // A number that was merely claimed is proven.
  const named = new AV.User();
  named.setUsername(unique());
  named.setPassword('the first password');
  named.setMobilePhoneNumber(third);
  await named.signUp();
  assert.equal(named.get('mobilePhoneVerified'), false);
  await AV.User.requestMobilePhoneVerify(third);
  await AV.User.verifyMobilePhone(await server.code(third));
  assert.equal((await AV.User.become(named.getSessionToken())).get('mobilePhoneVerified'), true);
  await assert.rejects(AV.User.verifyMobilePhone('000000'), { code: 603 });
  await AV.User.logOut();
}

/// A forgotten password is replaced with a code, for whoever has proven the number.
async function forgottenPassword() {
  await AV.User.requestPasswordResetBySmsCode(patientPhone);
  await AV.User.resetPasswordBySmsCode(await server.code(patientPhone), 'the second password');
  const user = await AV.User.logInWithMobilePhone(patientPhone, 'the second password');
  assert.ok(user.getSessionToken());
  await AV.User.logOut();
}

async function files() {
  await AV.User.signUp(unique(), 'a long password');
  const place = path.join(tmpdir(), `${unique()}.png`);
  writeFileSync(place, PICTURE);
  await assert.rejects(new AV.File('stream.png', createReadStream(place)).save());
  const file = await new AV.File('one.png', PICTURE).save();
  const [found] = await new AV.Query('_File').equalTo('name', 'one.png').find();
  assert.equal(found.id, file.id);
  for (const fmt of ['png', 'jpg']) {
    const view = await fetch(file.thumbnailURL(1, 1, 80, true, fmt).replace(serverURL, plainURL));
    assert.deepEqual([view.status, view.headers.get('content-type')], [200, fmt === 'png' ? 'image/png' : 'image/jpeg']);
  }
  await AV.User.logOut();
}

/// `AV.Conversation`: conversations of the storage SDK are real ones.
async function conversationClass() {
  const [a, b] = [unique(), unique()];
  const listener = await client(a);
  const made = new AV.Conversation('by storage');
  made.addMember(a).addMember(b);
  await made.save(null, master);
  const heard = next(listener, Event.MESSAGE, (m) => m.cid === made.id);
  await made.send(b, { _lctype: -1, _lctext: '来自服务端' }, {}, master);
  assert.deepEqual([(await heard)[0].text, (await heard)[0].from], ['来自服务端', b]);
  await assert.rejects(made.send(b, 'x', {}, {}), { code: 403 });
  const service = new AV.Conversation('service', { isSystem: true });
  await service.save(null, master);
  const shown = await listener.getConversation(service.id);
  await shown.subscribe();
  const told = next(listener, Event.MESSAGE, (m) => m.cid === service.id);
  await service.broadcast('service', { _lctype: -1, _lctext: '给大家' }, {}, master);
  assert.equal((await told)[0].text, '给大家');
  await shown.unsubscribe();
  assert.deepEqual((await server.rest('GET', `/1.2/rtm/service-conversations/${service.id}/subscribers/count`)).body, { count: 0 });
}

async function conversations() {
  const [tomId, jerryId] = [unique(), unique()];
  const [tom, jerry] = await Promise.all([client(tomId), client(jerryId)]);
  const room = await tom.createConversation({ members: [jerryId], unique: false, name: 'lists' });
  for (const [call, ...codes] of [
    [() => room.updateMemberRole(jerryId, rt.ConversationMemberRole.MANAGER), 4325],
    [() => room.blockMembers([jerryId]), 4544],
    [() => room.unblockMembers([jerryId]), 4544],
    [() => room.queryBlockedMembers(), 4544],
    [() => room.muteMembers([jerryId]), 4301],
    [() => room.unmuteMembers([jerryId]), 4301],
    [() => room.queryMutedMembers(), 4301],
  ]) {
    await assert.rejects(call(), (error) => codes.includes(error.code) || assert.fail(`${error.code}: ${error.message} ${call}`));
  }

  // Chat rooms: who is in them is counted, what is said is heard.
  const hall = await tom.createChatRoom({ name: '大厅' });
  const entered = await jerry.getConversation(hall.id);
  await entered.join();
  assert.equal(await hall.count(), 2);
  const loud = next(tom, Event.MESSAGE, (m) => m.cid === hall.id);
  await entered.send(new TextMessage('大家好'), { priority: rt.MessagePriority.HIGH });
  assert.equal((await loud)[0].text, '大家好');
  await entered.quit();
  await until('one is left', async () => (await hall.count()) === 1);
  assert.ok((await tom.getChatRoomQuery().equalTo('name', '大厅').find()).some((found) => found.id === hall.id));

  // Queries in their other forms.
  await room.send(new TextMessage('newest'));
  const [refreshed] = await tom.getQuery().equalTo('name', 'lists').withLastMessagesRefreshed().find();
  assert.equal(refreshed.lastMessage.text, 'newest');
  const compact = await (await client(tomId)).getQuery().equalTo('name', 'lists').compact().find();
  assert.ok(!compact[0].members?.length);
  assert.equal((await tom.getQuery().startsWith('name', 'li').sizeEqualTo('m', 2).containsMembers([jerryId]).descending('updatedAt').limit(1).find())[0].id, room.id);
  assert.equal(await room.count(), 2);
  await room.quit();
  await assert.rejects(room.send(new TextMessage('x')), (error) => error.code === 4401);
}

/// An application's own type.
class Vote extends rt.TypedMessage {}
rt.messageType(7)(Vote);
rt.messageField(['choice'])(Vote);

async function messages() {
  const [tomId, jerryId] = [unique(), unique()];
  const knowing = device();
  knowing.register(Vote);
  const [tom, jerry] = await Promise.all([client(tomId), knowing.createIMClient(jerryId)]);
  const room = await tom.createConversation({ members: [jerryId], unique: true });
  const read = next(room, Event.LAST_READ_AT_UPDATE);
  await room.send(new TextMessage('read me'), { receipt: true, pushData: { alert: 'x' } });
  const theirs = await jerry.getConversation(room.id);
  await theirs.read();
  await read;

  // Sound, video and files of every kind, and an own type.
  const user = await AV.User.signUp(unique(), 'a long password');
  const own = await device().createIMClient(user);
  const pair = await own.createConversation({ members: [jerryId], unique: true });
  const sound = new AV.File('sound.mp3', Buffer.concat([Buffer.from('ID3\x04\x00'), Buffer.alloc(400)]));
  for (const [kind, file] of [[typed.FileMessage, new AV.File('note.png', PICTURE)], [typed.AudioMessage, sound], [typed.ImageMessage, new AV.File('pic.png', PICTURE)]]) {
    const heard = next(jerry, Event.MESSAGE, (m) => m instanceof kind);
    await pair.send(new kind(await file.save()).setText('看'));
    const [message] = await heard;
    assert.deepEqual([message.getText(), message.getFile().id], ['看', file.id]);
  }
  const elsewhere = await AV.File.withURL('v.mp4', 'https://files.example.invalid/v.mp4').save();
  const seen = next(jerry, Event.MESSAGE, (m) => m instanceof typed.VideoMessage);
  await pair.send(new typed.VideoMessage(elsewhere));
  assert.equal((await seen)[0].getFile().url(), 'https://files.example.invalid/v.mp4');

  const counted = next(jerry, Event.MESSAGE, (m) => m instanceof Vote);
  const vote = new Vote();
  vote.choice = 'a';
  await pair.send(vote);
  assert.equal((await counted)[0].choice, 'a');
  await AV.User.logOut();
}

async function devices() {
  // Two clients on one device, one of them without a name of its own; signed by the application's server.
  const realtime = device();
  const [a, b] = [await realtime.createIMClient(unique()), await realtime.createIMClient()];
  assert.ok(b.id);
  const pair = await a.createConversation({ members: [b.id], unique: true });
  const heard = next(b, Event.MESSAGE);
  await pair.send(new TextMessage('hi'));
  assert.equal((await heard)[0].text, 'hi');
  await b.close();
  await until('it is gone', async () => (await a.ping([b.id])).length === 0);

  // Text frames, the older protocol, an address without the way to it.
  for (const more of [{ noBinary: true }, { pushOfflineMessages: true }, { RTMServers: `${serverURL.replace('http', 'ws')}/ws` }]) {
    const odd = await device(more).createIMClient(unique());
    await until('it is there', async () => (await odd.ping([odd.id])).length === 1);
    await odd.close();
  }

  const wrong = { signatureFactory: () => ({ signature: 'x', timestamp: Date.now(), nonce: 'n' }) };
  assert.ok((await client(unique(), wrong)).id, 'a signature is not looked at where logins are open');
  const conversationSignatureFactory = wrong.signatureFactory;
  const signing = await client(unique(), { conversationSignatureFactory });
  await assert.rejects(signing.createConversation({ members: [a.id] }), (error) => error.code === 4302);
  await a.close();
  await sleep(100);
}

for (const part of [names, objects, identities, notOffered, codes, forgottenPassword, files, conversationClass, conversations, messages, devices]) {
  await step(part.name, part).catch((error) => {
    error.message = `${part.name}: ${error.message}`;
    throw error;
  });
}
console.log(`the compatibility table with leancloud-realtime ${version}: as it says`);
process.exit(0);
