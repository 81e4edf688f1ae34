// The product as two mini-programs use it: a patient's and a doctor's, each an unmodified bundle of the official SDKs on a
// phone of its own. Sign-in by WeChat's codes, a profile with a picture, finding a doctor, a consultation, texts and pictures
// both ways, receipts, unread counts, history, recall, tunnels, the background, restarts, another phone, and being put out.
// Usage: node weapp.mjs SDK_FOLDER SERVER_URL PLAIN_URL APP_ID APP_KEY MASTER_KEY DOCTOR_PHONE STANDIN_URL.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import path from 'node:path';
import { PICTURE, Server, next, step } from './common.mjs';
import { Phone } from './weapp/phone.mjs';

const [folder, serverURL, plainURL, appId, appKey, masterKey, doctorPhone, standinURL] = process.argv.slice(2);
const { version } = createRequire(path.resolve(folder, 'package.json'))('leancloud-realtime/package.json');
const isFive = version.startsWith('5.');
const host = new URL(serverURL).host;
const server = new Server({ plainURL, appId, appKey, masterKey });
const BUNDLES = {
  storage: 'leancloud-storage/dist/av-weapp-min.js',
  realtime: isFive ? 'leancloud-realtime/dist/im-weapp.min.js' : 'leancloud-realtime/dist/realtime.weapp.min.js',
  typed: 'leancloud-realtime-plugin-typed-messages/dist/typed-messages.min.js',
  live: 'leancloud-storage/dist/av-live-query-weapp-min.js',
};
/// Devices of one person with the same tag: one at a time.
const TAG = 'mobile';

/// A phone of somebody known to WeChat as `openid`; it asks WeChat's stand-in for its codes.
function phoneOf(app, openid, unionid) {
  const wechatId = `wx-standin-${app}`;
  const login = async () => {
    const asked = JSON.stringify({ appid: wechatId, openid, unionid });
    const answer = await fetch(`${standinURL}/_standin/login`, { method: 'POST', body: asked });
    return (await answer.json()).code;
  };
  return new Phone({ host, appId: wechatId, login, folder });
}

/// Starts the mini-program as its authors wrote it.
function start(phone) {
  const program = phone.launch();
  const AV = program.require(BUNDLES.storage);
  const rt = program.require(BUNDLES.realtime);
  const typed = program.require(BUNDLES.typed)(AV, rt);
  AV.init({ appId, appKey, serverURL });
  const realtime = new rt.Realtime({ appId, appKey, server: isFive ? serverURL : host, plugins: [typed.TypedMessagesPlugin] });
  const { wx } = program;
  wx.onAppHide(() => realtime.pause());
  wx.onAppShow(() => realtime.resume());
  // What 4.3.1 does by itself.
  if (isFive) wx.onNetworkStatusChange(({ isConnected }) => (isConnected ? realtime.resume() : realtime.pause()));
  return { phone, wx, AV, rt, typed, realtime, connect: () => realtime.createIMClient(AV.User.current(), { tag: TAG }) };
}

/// Takes a picture and uploads it, as a page does.
async function upload(app, name) {
  app.phone.takePicture(PICTURE);
  const { tempFiles } = await called(app.wx.chooseMedia, { count: 1 });
  const file = new app.AV.File(name, { blob: { uri: tempFiles[0].tempFilePath } });
  const progress = [];
  await file.save({ onprogress: ({ percent }) => progress.push(percent) });
  assert.equal(progress.at(-1), 100);
  assert.equal(file.get('mime_type'), 'image/png');
  return file;
}

/// The bytes under an address, fetched as a page does.
async function downloaded(app, url) {
  const { statusCode, tempFilePath } = await called(app.wx.downloadFile, { url });
  assert.equal(statusCode, 200);
  return app.phone.files.get(tempFilePath);
}

/// A function of `wx` as a promise.
const called = (act, options) => new Promise((success, fail) => { act({ ...options, success, fail }); });

async function doctorSignsIn() {
  const token = await server.signIn(doctorPhone, 'doctor');
  const app = start(phoneOf('doctor', 'wx-doctor'));
  const { AV } = app;
  const { id } = await AV.User.become(token);
  await AV.User.current().associateWithMiniApp();
  await AV.User.current().dissociateAuthData('lc_weapp');
  assert.equal((await AV.User.become(token)).get('authData')?.lc_weapp, undefined);
  await AV.User.current().associateWithMiniApp();
  await AV.User.logOut();
  assert.equal(AV.User.current(), null);
  const user = await AV.User.loginWithWeapp();
  assert.equal(user.id, id, 'the account its WeChat was linked to');
  const card = await new AV.Query('Doctor').equalTo('user', user).first();
  return { app, token, card };
}

async function patientSignsIn() {
  const app = start(phoneOf('patient', 'wx-patient', 'union-patient'));
  const { AV } = app;
  await assert.rejects(AV.User.loginWithMiniApp({ authData: { code: 'no-such-code' }, provider: 'lc_weapp' }), { code: 252 });
  await assert.rejects(AV.User.loginWithMiniApp({ authData: { openid: 'wx-doctor' }, provider: 'lc_weapp' }), { code: 250 });
  const user = await AV.User.loginWithWeapp({ preferUnionId: true });
  assert.equal(user.get('authData').lc_weapp.openid, 'wx-patient');
  assert.equal(user.get('authData')._weixin_unionid.uid, 'union-patient');
  assert.equal((await AV.User.loginWithWeappWithUnionId('union-patient')).id, user.id);
  const again = await AV.User.loginWithMiniApp();
  assert.equal(again.id, user.id);
  assert.ok(await again.isAuthenticated());

  const icon = await upload(app, 'face.png');
  assert.deepEqual(await downloaded(app, icon.url()), PICTURE);
  const profile = new AV.Object('Patients', { name: '小程序病人', gender: '女', birthday: '1990-05-01', icon, user: again });
  await profile.save();
  const shown = await new AV.Query('Patients').equalTo('user', again).first();
  assert.equal(shown.id, profile.id);
  assert.equal(shown.get('icon').url(), icon.url());
  assert.ok((await downloaded(app, shown.get('icon').thumbnailURL(1, 1))).length > 0);
  return { app, profile };
}

async function findDoctor({ app: { AV }, profile }, wanted) {
  const query = new AV.Query('Doctor').equalTo('authenticated', '1').startsWith('name', wanted.get('name').slice(0, 1));
  const found = await query.descending('createdAt').limit(50).find();
  const doctor = found.find((card) => card.id === wanted.id);
  assert.ok(doctor, 'the doctor is found');
  const started = await AV.Cloud.run('initiateConsultation', { doctorId: doctor.id, patientId: profile.id });
  assert.deepEqual([started.success, started.isOld], [true, false]);
  const record = await new AV.Query('Consultation').include('idDoctor').get(started.consultationId);
  assert.equal(record.get('idDoctor').get('name'), wanted.get('name'));
  return record.get('idDialog').id;
}

/// Both ends of a dialog.
async function enter(patient, doctor, dialogId) {
  patient.client = await patient.app.connect();
  doctor.client = await doctor.app.connect();
  patient.dialog = await patient.client.getConversation(dialogId);
  doctor.dialog = await doctor.client.getConversation(dialogId);
  assert.ok(patient.dialog.members.includes(patient.client.id));
  assert.ok(doctor.dialog.members.includes(doctor.client.id));
  // A person is who it signed in as: nobody opens another's id here, nor a free one.
  const stranger = start(phoneOf('patient', 'wx-stranger')).realtime;
  await assert.rejects(stranger.createIMClient(patient.client.id), (error) => error.code === 4102);
  // 4.3.1 names the subprotocol in the address, 5.x in a header.
  const [, address, protocols] = patient.app.phone.traffic.find(([kind]) => kind === 'socket');
  assert.equal(address.includes('subprotocol=lc.protobuf2.3'), !isFive);
  assert.deepEqual(protocols, isFive ? ['lc.protobuf2.3'] : []);
}

const text = (app, words) => new app.rt.TextMessage(words);
const event = ({ rt }, name) => rt.Event[name];

async function talk(patient, doctor) {
  const heard = next(doctor.client, event(doctor.app, 'MESSAGE'), (m) => m.text === '睡不好');
  const delivered = next(patient.dialog, event(patient.app, 'LAST_DELIVERED_AT_UPDATE'));
  const asked = await patient.dialog.send(text(patient.app, '睡不好'), { receipt: true });
  const [question] = await heard;
  assert.equal(question.id, asked.id);
  await delivered;
  const read = next(patient.dialog, event(patient.app, 'LAST_READ_AT_UPDATE'));
  await doctor.dialog.read();
  await read;
  assert.ok(patient.dialog.lastReadAt.getTime() >= asked.timestamp.getTime());

  const answered = next(patient.client, event(patient.app, 'MESSAGE'), (m) => m.text === '多久了');
  await doctor.dialog.send(text(doctor.app, '多久了'));
  await answered;

  // A picture each way, seen by the other.
  for (const [from, to] of [[patient, doctor], [doctor, patient]]) {
    const shown = next(to.client, event(to.app, 'MESSAGE'), (m) => m instanceof to.app.typed.ImageMessage);
    const image = new from.app.typed.ImageMessage(await upload(from.app, 'night.png'));
    image.setText('昨晚');
    await from.dialog.send(image);
    const [picture] = await shown;
    assert.equal(picture.getText(), '昨晚');
    assert.deepEqual(await downloaded(to.app, picture.getFile().url()), PICTURE);
  }

  const recalled = next(doctor.client, event(doctor.app, 'MESSAGE_RECALL'));
  const wrong = await patient.dialog.send(text(patient.app, '发错了'));
  await patient.dialog.recall(wrong);
  assert.equal((await recalled)[0].id, wrong.id);
}

async function lookBack({ dialog }, doctor) {
  for (let i = 0; i < 12; i += 1) await doctor.dialog.send(text(doctor.app, `n${i}`));
  const pages = dialog.createMessagesIterator({ limit: 5 });
  const all = [];
  for (;;) {
    const { value, done } = await pages.next();
    all.unshift(...(value ?? []));
    if (done) break;
  }
  const texts = all.map((message) => message.text);
  assert.deepEqual(texts.filter((words) => /^n\d/.test(words ?? '')), Array.from({ length: 12 }, (_, i) => `n${i}`));
  assert.ok(texts.includes('睡不好') && texts.includes('多久了') && !texts.includes('发错了'));
  assert.equal(all.filter((message) => message.getFile).length, 2);
  assert.equal(new Set(all.map((message) => message.id)).size, all.length);
}

const unreadIs = (dialog, count) => (found) => found.some((c) => c.id === dialog.id && c.unreadMessagesCount === count);

/// What is sent while a phone cannot be reached is counted, but for what was recalled, and found when it can.
async function away(patient, doctor, leave, come) {
  await patient.dialog.read();
  await server.readBy(patient.profile.id);
  const counted = next(patient.client, event(patient.app, 'UNREAD_MESSAGES_COUNT_UPDATE'), unreadIs(patient.dialog, 2), 'two unread');
  const back = next(patient.client, event(patient.app, 'RECONNECT'));
  leave(patient.app.phone);
  await doctor.dialog.send(text(doctor.app, '在吗'));
  const wrong = await doctor.dialog.send(text(doctor.app, '打错'));
  await doctor.dialog.send(text(doctor.app, '请按时服药'));
  await doctor.dialog.recall(wrong);
  come(patient.app.phone);
  await back;
  const recent = await patient.dialog.queryMessages({ limit: 3 });
  assert.deepEqual([recent[0].text, recent[2].text], ['在吗', '请按时服药']);
  assert.ok(recent[1] instanceof patient.app.rt.RecalledMessage);
  return counted;
}

/// Closed and opened again, the mini-program is still signed in and finds what is unread.
async function restart(patient, doctor) {
  patient.app.phone.running.quit();
  await doctor.dialog.send(text(doctor.app, '记得复诊'));
  patient.app = start(patient.app.phone);
  const { AV } = patient.app;
  assert.ok(await AV.User.current().isAuthenticated());
  patient.client = await patient.app.connect();
  const [found] = await next(patient.client, event(patient.app, 'UNREAD_MESSAGES_COUNT_UPDATE'));
  patient.dialog = found.find((conversation) => conversation.id === patient.dialog.id);
  assert.equal(patient.dialog.lastMessage.text, '记得复诊');
  const heard = next(doctor.client, event(doctor.app, 'MESSAGE'), (m) => m.text === '好的');
  await patient.dialog.send(text(patient.app, '好的'));
  await heard;
}

/// A second phone takes the first one's place; the server puts the second out.
async function putOut(patient) {
  const conflict = next(patient.client, event(patient.app, 'CONFLICT'));
  const second = start(phoneOf('patient', 'wx-patient', 'union-patient'));
  await second.AV.User.loginWithMiniApp();
  const client = await second.connect();
  assert.equal(client.id, patient.client.id);
  await conflict;
  const closed = next(client, event(second, 'CLOSE'));
  assert.equal((await server.rest('POST', `/1.2/rtm/clients/${client.id}/kick`, { reason: 'test' })).status, 200);
  assert.equal((await closed)[0].code, 4115);
}

/// Whoever was put out while away stays out until signed in anew: what the SDK opens by itself then is not signed.
async function putOutWhileAway(patient) {
  const app = start(phoneOf('patient', 'wx-patient', 'union-patient'));
  await app.AV.User.loginWithMiniApp();
  const client = await app.connect();
  app.phone.hide();
  assert.equal((await server.rest('POST', `/1.2/rtm/clients/${client.id}/kick`, { reason: 'test' })).status, 200);
  const refused = next(client, event(app, 'RECONNECT_ERROR'));
  app.phone.show();
  assert.equal((await refused)[0].code, 4102);
  const anew = start(app.phone);
  assert.equal((await anew.connect()).id, patient.client.id);
}

/// The bundle with live queries: the same storage, and a refusal where the server offers none.
async function liveQueries() {
  const program = phoneOf('patient', 'wx-patient', 'union-patient').launch();
  const AV = program.require(BUNDLES.live);
  AV.init({ appId, appKey, serverURL });
  await AV.User.loginWithMiniApp();
  const query = new AV.Query('Doctor').equalTo('authenticated', '1');
  assert.ok((await query.count()) > 0);
  await assert.rejects(query.subscribe(), { code: 4301 });
}

const doctor = await step('doctor signs in', doctorSignsIn);
const patient = await step('patient signs in', patientSignsIn);
const dialogId = await step('find doctor', () => findDoctor(patient, doctor.card));
await step('enter', () => enter(patient, doctor, dialogId));
await step('talk', () => talk(patient, doctor));
await step('look back', () => lookBack(patient, doctor));
await step('tunnel', () => away(patient, doctor, (phone) => phone.setNetwork('none'), (phone) => phone.setNetwork('4g')));
await step('background', () => away(patient, doctor, (phone) => phone.hide(), (phone) => phone.show()));
await step('restart', () => restart(patient, doctor));
await step('put out', () => putOut(patient));
await step('put out while away', () => putOutWhileAway(patient));
await step('live queries', liveQueries);
console.log(`mini-programs with leancloud-realtime ${version}: all well`);
process.exit(0);
