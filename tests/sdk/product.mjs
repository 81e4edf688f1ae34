// The whole product through the official SDKs alone, as an app runs it: two people sign in by SMS, one gives the profile a
// picture, finds a doctor and starts a consultation; they talk, each with a device of LeanCloud's and the doctor with one of
// the product's own as well; receipts, unread counts, history, recall, being away, another device, being put out, the end.
// Usage: node product.mjs SDK_FOLDER SERVER_URL PLAIN_URL APP_ID APP_KEY MASTER_KEY PATIENT_PHONE DOCTOR_PHONE.
import assert from 'node:assert/strict';
import { PICTURE, Server, next, step, unique, until } from './common.mjs';
import { NativeSocket } from './native.mjs';
import { load } from './sdks.mjs';

const [folder, serverURL, plainURL, appId, appKey, masterKey, patientPhone, doctorPhone] = process.argv.slice(2);
const { AV, rt, typed, version, device, client } = load(folder, { serverURL, appId, appKey, masterKey });
const { TextMessage, RecalledMessage, Event } = rt;
const { ImageMessage } = typed;
const server = new Server({ plainURL, appId, appKey, masterKey });
/// Devices of one person with the same tag: one at a time.
const TAG = 'mobile';

/// As an app does it: the code comes by SMS, and the profile of the kind belongs to who proved the number.
async function signIn(phone, profileClass) {
  await AV.Cloud.requestSmsCode(phone);
  const user = await AV.User.signUpOrlogInWithMobilePhone(phone, await server.code(phone));
  const token = user.getSessionToken();
  assert.ok(token && await user.isAuthenticated());
  const profile = await new AV.Query(profileClass).equalTo('user', user).first();
  assert.ok(profile, `${profileClass} of ${phone}`);
  return { user, token, profile };
}

/// A picture of the current user, uploaded.
const picture = (name) => new AV.File(name, { base64: PICTURE.toString('base64') }).save();
/// The bytes under an address the SDK was given.
async function fetched(file) {
  const answer = await fetch(file.url().replace(serverURL, plainURL));
  assert.equal(answer.status, 200);
  return Buffer.from(await answer.arrayBuffer());
}

async function setUp() {
  const doctor = await signIn(doctorPhone, 'Doctor');
  const patient = await signIn(patientPhone, 'Patients');
  const icon = await picture('face.png');
  await patient.profile.save({ icon, location: '上海' });
  const again = await new AV.Query('Patients').get(patient.profile.id);
  assert.deepEqual([again.get('icon').url(), again.get('location')], [icon.url(), '上海']);
  assert.deepEqual(await fetched(icon), PICTURE);
  return { patient, doctor };
}

async function findDoctor({ patient, doctor }) {
  const query = new AV.Query('Doctor').equalTo('authenticated', '1').equalTo('hospital', doctor.profile.get('hospital'));
  const found = (await query.ascending('name').find()).find((card) => card.id === doctor.profile.id);
  assert.equal(found.get('phone'), undefined);
  const params = { doctorId: found.id, patientId: patient.profile.id };
  const started = await AV.Cloud.run('initiateConsultation', params);
  assert.deepEqual([started.success, started.isOld], [true, false]);
  assert.equal((await AV.Cloud.rpc('initiateConsultation', params)).consultationId, started.consultationId);
  const record = await new AV.Query('Consultation').include('idDoctor').get(started.consultationId);
  assert.equal(record.get('idDoctor').get('name'), found.get('name'));
  // The doctor sees whom it treats, with the picture and without the number.
  const asDoctor = { sessionToken: doctor.token };
  const treated = await new AV.Query('Patients').get(patient.profile.id, asDoctor);
  assert.ok(treated.get('icon').url());
  assert.equal(treated.get('phone'), undefined);
  return { consultationId: started.consultationId, dialogId: record.get('idDialog').id };
}

async function enter({ patient, doctor }, { dialogId, consultationId }) {
  patient.device = device();
  patient.client = await patient.device.createIMClient(patient.user, { tag: TAG });
  doctor.client = await client(doctor.user);
  assert.deepEqual([patient.client.id, doctor.client.id], [patient.user.id, doctor.user.id]);
  for (const who of [patient, doctor]) {
    who.dialog = await who.client.getConversation(dialogId);
    assert.equal(who.dialog.get('attr').consultationId, consultationId);
    assert.ok(who.dialog.members.includes(who.client.id), 'one is in it by the id one opened');
  }
  const same = await patient.client.createConversation({ members: [doctor.profile.id], unique: true });
  assert.equal(same.id, dialogId);
  // The doctor's other device speaks the product's own protocol.
  doctor.native = await NativeSocket.open(plainURL, doctor.token, folder);
}

async function talk({ patient, doctor }, { dialogId, consultationId }) {
  const heard = next(doctor.client, Event.MESSAGE, (m) => m.text === '睡不好');
  const delivered = next(patient.dialog, Event.LAST_DELIVERED_AT_UPDATE);
  const asked = await patient.dialog.send(new TextMessage('睡不好'), { receipt: true });
  const [question] = await heard;
  assert.equal(question.from, patient.profile.id);
  const native = await doctor.native.message(({ content }) => content?.text === '睡不好');
  assert.deepEqual([native.message.id, native.conversationId], [asked.id, dialogId]);
  await delivered;
  const read = next(patient.dialog, Event.LAST_READ_AT_UPDATE);
  await doctor.dialog.read();
  await read;
  await patient.dialog.fetchReceiptTimestamps();
  assert.ok(patient.dialog.lastReadAt >= asked.timestamp);

  const answered = next(patient.client, Event.MESSAGE, (m) => m.text === '多久了');
  await doctor.dialog.send(new TextMessage('多久了'));
  await answered;
  await until('the consultation is replied to', async () => {
    const row = await new AV.Query('Consultation').get(consultationId);
    return row.get('status') === '1';
  });

  // Pictures both ways, each seen by LeanCloud's device and by the product's own.
  const shown = next(doctor.client, Event.MESSAGE, (m) => m instanceof ImageMessage);
  await patient.dialog.send(new ImageMessage(await picture('night.png')).setText('昨晚'));
  const [image] = await shown;
  assert.equal(image.getText(), '昨晚');
  assert.deepEqual(await fetched(image.getFile()), PICTURE);
  assert.equal((await doctor.native.message(({ type }) => type === 'image')).conversationId, dialogId);
  const back = next(patient.client, Event.MESSAGE, (m) => m instanceof ImageMessage);
  await AV.User.become(doctor.token);
  await doctor.dialog.send(new ImageMessage(await picture('advice.png')));
  await AV.User.become(patient.token);
  assert.deepEqual(await fetched((await back)[0].getFile()), PICTURE);

  // The product's own device writes; LeanCloud's hear it.
  const fromNative = next(patient.client, Event.MESSAGE, (m) => m.text === '来自新客户端');
  const echoed = next(doctor.client, Event.MESSAGE, (m) => m.text === '来自新客户端');
  doctor.native.sendText(dialogId, 'native-1', '来自新客户端');
  assert.equal((await doctor.native.expect('ack')).clientMessageId, 'native-1');
  assert.equal((await fromNative)[0].from, doctor.profile.id);
  assert.equal((await echoed)[0].from, doctor.client.id);
}

async function takeBack({ patient, doctor }) {
  const wrong = await patient.dialog.send(new TextMessage('错'));
  await assert.rejects(patient.dialog.update(wrong, new TextMessage('对')), (error) => error.code === 4406);
  const recalled = next(doctor.client, Event.MESSAGE_RECALL);
  await patient.dialog.recall(wrong);
  assert.equal((await recalled)[0].id, wrong.id);
  await doctor.native.expect('event', ({ kind }) => kind === 'recalled');
  await assert.rejects(doctor.dialog.recall(wrong), /not allowed/);
}

async function lookBack({ patient, doctor }, { dialogId }) {
  const found = await patient.dialog.queryMessages({ limit: 100 });
  const texts = found.map((message) => message.text).filter(Boolean);
  assert.deepEqual(texts.filter((text) => ['睡不好', '多久了', '来自新客户端'].includes(text)), ['睡不好', '多久了', '来自新客户端']);
  assert.equal(found.filter((message) => message instanceof ImageMessage).length, 2);
  assert.equal(found.filter((message) => message instanceof RecalledMessage).length, 1);
  const native = await server.native('GET', `/conversations/${dialogId}/messages?limit=100`, doctor.token);
  assert.deepEqual(native.items.map((item) => item.id), found.map((message) => message.id));
  assert.ok(!JSON.stringify(native).includes('$lc'));
}

async function away({ patient, doctor }) {
  await patient.dialog.read();
  await server.readBy(patient.profile.id);
  patient.device.pause();
  await doctor.dialog.send(new TextMessage('在吗'));
  const wrong = await doctor.dialog.send(new TextMessage('打错'));
  await doctor.dialog.recall(wrong);
  await doctor.dialog.send(new TextMessage('按时服药'));
  const isCounted = (found) => found.some((c) => c.id === patient.dialog.id && c.unreadMessagesCount === 2);
  const counted = next(patient.client, Event.UNREAD_MESSAGES_COUNT_UPDATE, isCounted, 'two unread');
  const back = next(patient.client, Event.RECONNECT);
  patient.device.resume();
  await Promise.all([counted, back]);
  const missed = await patient.dialog.queryMessages({ limit: 3 });
  assert.deepEqual([missed[0].text, missed[2].text], ['在吗', '按时服药']);
  await patient.dialog.read();
}

async function putOut({ patient }) {
  const conflict = next(patient.client, Event.CONFLICT);
  const later = await client(patient.user, { tag: TAG });
  await conflict;
  const closed = next(later, Event.CLOSE);
  assert.equal((await server.rest('POST', `/1.2/rtm/clients/${later.id}/kick`, { reason: 'test' })).status, 200);
  assert.equal((await closed)[0].code, 4115);
  patient.client = await client(patient.user, { tag: TAG });
}

async function end({ patient, doctor }, { dialogId, consultationId }) {
  const stranger = await client(unique());
  assert.equal(await stranger.getConversation(dialogId), null);
  const dialog = await patient.client.getConversation(dialogId);
  await assert.rejects(dialog.add([stranger.id]), (error) => error.code === 4309);
  await server.native('POST', `/consultations/${consultationId}/end`, doctor.token, { reason: '已解决' });
  await assert.rejects(dialog.send(new TextMessage('还在吗')), (error) => error.code === 4307 || error.code === 4308);
}

const people = await step('sign in, profile', setUp);
const place = await step('find doctor', () => findDoctor(people));
await step('enter', () => enter(people, place));
await step('talk', () => talk(people, place));
await step('take back', () => takeBack(people));
await step('look back', () => lookBack(people, place));
await step('away', () => away(people));
await step('put out', () => putOut(people));
await step('end', () => end(people, place));
console.log(`the whole product with leancloud-realtime ${version}: all well`);
process.exit(0);
