// A patient with a LeanCloud client talks to the official assistant; an agent answers at the desk, natively.
// Usage: node assistant.mjs SDK_FOLDER SERVER_URL PLAIN_URL APP_ID APP_KEY MASTER_KEY PATIENT_PHONE AGENT AGENT_PASSWORD.
import assert from 'node:assert/strict';
import { PICTURE, Server, next, step } from './common.mjs';
import { load } from './sdks.mjs';

const [folder, serverURL, plainURL, appId, appKey, masterKey, phone, agentName, agentPassword] = process.argv.slice(2);
const { AV, rt, typed, version, device, client } = load(folder, { serverURL, appId, appKey, masterKey });
const { TextMessage, Event } = rt;
const server = new Server({ plainURL, appId, appKey, masterKey });
const desk = (method, at, body) => server.native(method, `/desk${at}`, agent, body);

const agent = await server.signInStaff(agentName, agentPassword);
await AV.Cloud.requestSmsCode(phone);
const user = await AV.User.signUpOrlogInWithMobilePhone(phone, await server.code(phone));
const profile = await new AV.Query('Patients').equalTo('user', user).first();
const assistant = await server.native('GET', '/assistant', user.getSessionToken());
const mobile = device();
const patient = await mobile.createIMClient(user);

/// The assistant is a peer like any other: there is one conversation with it, and it greets.
async function open() {
  const chat = await patient.createConversation({ members: [assistant.objectId], unique: true });
  assert.equal((await patient.createConversation({ members: [assistant.objectId], unique: true })).id, chat.id);
  const [welcome] = await chat.queryMessages();
  assert.deepEqual([welcome.text, welcome.from], [assistant.welcomeText, assistant.objectId]);
  return chat;
}

/// Nobody is at the desk: the question waits, an agent claims it and answers.
async function ask(chat) {
  await chat.send(new TextMessage('怎么绑定设备？'), { receipt: true });
  const waiting = await server.native('GET', '/assistant/chat', user.getSessionToken());
  assert.equal(waiting.status, 'queued');
  await desk('PUT', '/me/status', { status: 'away' });
  const claimed = await desk('POST', `/chats/${chat.id}/claim`);
  assert.equal(claimed.status, 'assigned');
  const { items } = await desk('GET', `/chats/${chat.id}/messages`);
  const question = items.find((item) => item.content?.text === '怎么绑定设备？');
  assert.equal(question.sender, profile.id);
  // The agent's reading is the assistant's.
  const read = next(chat, Event.LAST_READ_AT_UPDATE);
  await desk('POST', `/chats/${chat.id}/read`, { seq: question.seq });
  await read;

  const heard = next(patient, Event.MESSAGE, (m) => m.text === '请打开设置');
  await desk('POST', `/chats/${chat.id}/messages`, { clientMessageId: 'a1', type: 'text', content: { text: '请打开设置' } });
  const [answer, where] = await heard;
  assert.deepEqual([answer.from, where.id], [assistant.objectId, chat.id]);
}

/// Pictures reach the desk; what agents note among themselves reaches nobody else.
async function show(chat) {
  const file = await new AV.File('screen.png', { base64: PICTURE.toString('base64') }).save();
  await chat.send(new typed.ImageMessage(file));
  await desk('POST', `/chats/${chat.id}/notes`, { text: '秘密备注' });
  const { items } = await desk('GET', `/chats/${chat.id}/messages`);
  assert.equal(items.at(-1).type, 'image');
}

/// An answer given while the patient is away is unread when it comes back, and in the history of a new device too.
async function comeBack(chat) {
  await chat.read();
  await server.readBy(profile.id);
  mobile.pause();
  await desk('POST', `/chats/${chat.id}/messages`, { clientMessageId: 'a2', type: 'text', content: { text: '已为您处理' } });
  const isCounted = (found) => found.some((c) => c.id === chat.id && c.unreadMessagesCount === 1);
  const counted = next(patient, Event.UNREAD_MESSAGES_COUNT_UPDATE, isCounted, 'one unread');
  mobile.resume();
  await counted;
  const other = await client(user);
  const seen = await other.getConversation(chat.id);
  const history = await seen.queryMessages({ limit: 20 });
  assert.deepEqual(
    history.map((message) => message.text).filter(Boolean),
    [assistant.welcomeText, '怎么绑定设备？', '请打开设置', '已为您处理'],
  );
  assert.ok(!JSON.stringify(history).includes('秘密备注'));
}

/// Nobody else gets in, and nobody signs in as the assistant.
async function keepOut(chat) {
  const stranger = await client('stranger');
  assert.equal(await stranger.getConversation(chat.id), null);
  await assert.rejects(stranger.createConversation({ members: [assistant.objectId], unique: true }), (error) => error.code === 4308);
  await assert.rejects(client(assistant.objectId), (error) => error.code === 4103);
  await assert.rejects(chat.add(['stranger']), (error) => error.code === 4309);
}

const chat = await step('open', open);
await step('ask', () => ask(chat));
await step('show', () => show(chat));
await step('come back', () => comeBack(chat));
await step('keep out', () => keepOut(chat));
console.log(`the assistant with leancloud-realtime ${version}: all well`);
process.exit(0);
