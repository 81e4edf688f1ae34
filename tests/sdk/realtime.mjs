// Drives messaging through the official SDKs: conversations, messages, receipts, unread counts, history, recall, being
// away and coming back, and what servers ask.
// Usage: node realtime.mjs SDK_FOLDER SERVER_URL PLAIN_URL APP_ID APP_KEY MASTER_KEY.
// SERVER_URL is under TLS, as the SDKs want it; PLAIN_URL is the server itself.
import assert from 'node:assert/strict';
import { Server, next, sleep, step, unique, until } from './common.mjs';
import { load } from './sdks.mjs';

const [folder, serverURL, plainURL, appId, appKey, masterKey] = process.argv.slice(2);
const { AV, rt, typed, version, device, client } = load(folder, { serverURL, appId, appKey, masterKey });
const { TextMessage, BinaryMessage, Event } = rt;
const server = new Server({ plainURL, appId, appKey, masterKey });
const rest = server.rest.bind(server);

async function conversations() {
  const [tomId, jerryId, spikeId] = [unique(), unique(), unique()];
  const [tom, jerry, spike] = await Promise.all([client(tomId), client(jerryId), client(spikeId)]);
  const invited = next(jerry, Event.INVITED);
  const room = await tom.createConversation({ members: [jerryId], name: 'T & J', unique: true, mood: 'good', attr: { a: 1 } });
  assert.match(room.id, /^[0-9a-f]{24}$/);
  const [payload, seen] = await invited;
  assert.equal(payload.invitedBy, tomId);
  assert.equal(seen.id, room.id);
  assert.equal(seen.name, 'T & J');
  assert.deepEqual([...seen.members].sort(), [tomId, jerryId].sort());
  assert.equal(seen.creator, tomId);
  assert.equal(seen.get('mood'), 'good');

  // The same members, the same conversation; temporary ones are apart.
  const again = await jerry.createConversation({ members: [tomId], unique: true });
  assert.equal(again.id, room.id);
  const other = await tom.createConversation({ members: [jerryId], unique: false });
  assert.notEqual(other.id, room.id);
  const temporary = await tom.createTemporaryConversation({ members: [jerryId], ttl: 600 });
  assert.match(temporary.id, /^_tmp:/);
  const passing = next(jerry, Event.MESSAGE, (message) => message.cid === temporary.id);
  await temporary.send(new TextMessage('passing'));
  assert.equal((await passing)[0].text, 'passing');

  // Queries find own conversations, and no others.
  const found = await tom.getQuery().withMembers([jerryId], true).find();
  assert.ok(found.some((c) => c.id === room.id));
  assert.equal((await spike.getQuery().containsMembers([tomId]).find()).length, 0);
  assert.equal((await tom.getQuery().equalTo('name', 'T & J').find())[0].id, room.id);

  // What it says of itself.
  const updated = next(seen, Event.INFO_UPDATED);
  room.set('name', '新名字').set('attr.b', 2);
  await room.save();
  await updated;
  assert.equal(seen.name, '新名字');
  await seen.fetch();
  assert.deepEqual(seen.get('attr'), { a: 1, b: 2 });
  await room.mute();
  await room.fetch();
  assert.deepEqual(room.mutedMembers, [tomId]);
  await room.unmute();

  // Who is in it.
  const joined = next(seen, Event.MEMBERS_JOINED, ({ members }) => members.includes(spikeId));
  const called = next(spike, Event.INVITED);
  await room.add([spikeId]);
  await Promise.all([joined, called]);
  const left = next(seen, Event.MEMBERS_LEFT, ({ members }) => members.includes(spikeId));
  const kicked = next(spike, Event.KICKED);
  await room.remove([spikeId]);
  await Promise.all([left, kicked]);
  assert.deepEqual(await tom.ping([jerryId, 'nobody']), [jerryId]);
  return { tom, jerry, spike, room, seen };
}

async function messages({ tom, jerry, spike, room, seen }) {
  const got = next(jerry, Event.MESSAGE);
  const sent = await room.send(new TextMessage('您好').setAttributes({ a: 1 }), { receipt: true });
  assert.ok(sent.id && sent.timestamp);
  const [message, where] = await got;
  assert.equal(where.id, room.id);
  assert.deepEqual([message.id, message.text, message.from, message.attributes.a], [sent.id, '您好', tom.id, 1]);
  assert.equal(message.timestamp.getTime(), sent.timestamp.getTime());
  await next(room, Event.LAST_DELIVERED_AT_UPDATE);
  const read = next(room, Event.LAST_READ_AT_UPDATE);
  await seen.read();
  await read;
  assert.equal(seen.unreadMessagesCount, 0);
  await room.fetchReceiptTimestamps();
  assert.ok(room.lastReadAt >= sent.timestamp);

  // Everything that is not text.
  const bytes = next(jerry, Event.MESSAGE);
  await room.send(new BinaryMessage(new Uint8Array([0, 1, 255]).buffer));
  assert.deepEqual([...new Uint8Array((await bytes)[0].buffer)], [0, 1, 255]);
  const typing = next(jerry, Event.MESSAGE);
  await room.send(new TextMessage('typing'), { transient: true });
  assert.equal((await typing)[0].text, 'typing');
  const mentioned = next(jerry, Event.MESSAGE);
  const to = new TextMessage('@');
  to.setMentionList([jerry.id]);
  await room.send(to);
  assert.equal((await mentioned)[0].mentioned, true);
  const place = next(jerry, Event.MESSAGE);
  await room.send(new typed.LocationMessage(new AV.GeoPoint(31.2, 121.5)));
  assert.equal((await place)[0].getLocation().latitude, 31.2);

  // Change and recall.
  const first = await room.send(new TextMessage('frist'));
  const changed = next(jerry, Event.MESSAGE_UPDATE);
  await tom.getConversation(room.id).then((c) => c.update(first, new TextMessage('first')));
  assert.equal((await changed)[0].text, 'first');
  const recalled = next(jerry, Event.MESSAGE_RECALL);
  await room.recall(first);
  assert.equal((await recalled)[0].id, first.id);
  await assert.rejects(seen.recall(sent), /not allowed/);

  // History, page after page, neither twice nor with holes.
  for (let i = 0; i < 25; i += 1) await room.send(new TextMessage(`n${i}`));
  const pages = seen.createMessagesIterator({ limit: 10 });
  const all = [];
  for (let page = await pages.next(); !page.done || page.value?.length; page = await pages.next()) {
    all.unshift(...page.value);
    if (page.done) break;
  }
  const texts = all.map((m) => m.text).filter((text) => /^n\d/.test(text ?? ''));
  assert.deepEqual(texts, Array.from({ length: 25 }, (_, i) => `n${i}`));
  assert.equal(new Set(all.map((m) => m.id)).size, all.length);
  const stamps = all.map((m) => m.timestamp.getTime());
  assert.deepEqual(stamps, [...stamps].sort((a, b) => a - b));
  const up = await seen.queryMessages({ startTime: all[0].timestamp, startMessageId: all[0].id, startClosed: true, direction: rt.MessageQueryDirection.OLD_TO_NEW, limit: 3 });
  assert.deepEqual(up.map((m) => m.id), all.slice(0, 3).map((m) => m.id));
  const onlyText = await seen.queryMessages({ type: TextMessage.TYPE, limit: 5 });
  assert.deepEqual(onlyText.map((m) => m.text), ['n20', 'n21', 'n22', 'n23', 'n24']);

  // Who is not in it reads, writes and changes nothing.
  const forged = await spike.getConversation(room.id, true);
  if (forged) {
    await assert.rejects(forged.queryMessages(), (error) => error.code === 4312);
    await assert.rejects(forged.send(new TextMessage('intruder')), (error) => error.code === 4401);
  }
  await assert.rejects(room.send(new TextMessage('x'.repeat(6000))), (error) => error.code === 4109);
}

async function awayAndBack({ tom, room }) {
  const friendId = unique();
  const mobile = device();
  const friend = await mobile.createIMClient(friendId);
  const pair = await tom.createConversation({ members: [friendId], unique: true });
  const met = next(friend, Event.MESSAGE);
  const early = await pair.send(new TextMessage('one'));
  await met;
  const mine = await friend.getConversation(pair.id);
  await mine.read();

  const group = await tom.createConversation({ members: [friendId], unique: false, name: 'group' });

  // Away for a while: what was sent is counted, what was recalled is told, and where one was put out and called in.
  mobile.pause();
  await sleep(300);
  await group.remove([friendId]);
  const other = await tom.createConversation({ members: [friendId], unique: false, name: 'another' });
  await pair.send(new TextMessage('two'));
  await pair.send(new TextMessage('three'));
  await pair.recall(early);
  const unread = next(friend, Event.UNREAD_MESSAGES_COUNT_UPDATE, (cs) => cs.some((c) => c.id === pair.id && c.unreadMessagesCount === 2));
  const recalled = next(friend, Event.MESSAGE_RECALL);
  const putOut = next(friend, Event.KICKED, (by, where) => where.id === group.id && by.kickedBy === tom.id);
  const calledIn = next(friend, Event.INVITED, (by, where) => where.id === other.id && by.invitedBy === tom.id);
  mobile.resume();
  await Promise.all([unread, recalled, putOut, calledIn]);
  assert.equal((await rest('GET', `/1.2/rtm/clients/${friendId}/unread-count`, undefined, appKey)).body.count, 2);

  // A new device of the same person has the same count.
  const second = await client(friendId);
  const [counted] = await next(second, Event.UNREAD_MESSAGES_COUNT_UPDATE);
  assert.equal(counted.find((c) => c.id === pair.id).unreadMessagesCount, 2);
  const cleared = next(second, Event.UNREAD_MESSAGES_COUNT_UPDATE, (cs) => cs.some((c) => c.id === pair.id && c.unreadMessagesCount === 0));
  await mine.read();
  await cleared;
  // The sender's other devices get what it sends.
  const echoed = next(second, Event.MESSAGE);
  await mine.send(new TextMessage('mine'));
  assert.equal((await echoed)[0].from, friendId);

  // One device a tag, and out by the server.
  const tagged = unique();
  const first = await client(tagged, { tag: 'mobile' });
  const conflict = next(first, Event.CONFLICT);
  const later = await client(tagged, { tag: 'mobile' });
  await conflict;
  const closed = next(later, Event.CLOSE);
  assert.equal((await rest('POST', `/1.2/rtm/clients/${tagged}/kick`, { reason: 'test' })).status, 200);
  assert.equal((await closed)[0].code, 4115);
  assert.ok(room.id);
}

/// A session whose token is not known any more is opened anew by the SDK itself, where logins are open.
async function forgotten() {
  const mobile = device();
  const friend = await mobile.createIMClient(unique());
  mobile.pause();
  assert.equal((await rest('POST', `/1.2/rtm/clients/${friend.id}/kick`, { reason: 'test' })).status, 200);
  const back = next(friend, Event.RECONNECT);
  mobile.resume();
  await back;
  await until('it is there', async () => (await friend.ping([friend.id])).length === 1);
}

async function servers() {
  const [a, b] = [unique(), unique()];
  const listener = await client(a);
  const made = await rest('POST', '/1.2/rtm/conversations', { name: 'by server', m: [a, b], level: 3 });
  assert.equal(made.status, 200);
  assert.deepEqual([made.body.name, [...made.body.m].sort(), made.body.level], ['by server', [a, b].sort(), 3]);
  const id = made.body.objectId;
  const got = next(listener, Event.MESSAGE);
  const sent = await rest('POST', `/1.2/rtm/conversations/${id}/messages`, { from_client: 'robot', message: { _lctype: -1, _lctext: '通知' } });
  assert.equal(sent.status, 200);
  const [message] = await got;
  assert.deepEqual([message.text, message.from, message.id], ['通知', 'robot', sent.body['msg-id']]);
  await rest('POST', `/1.2/rtm/conversations/${id}/messages`, { from_client: b, message: 'plain' });
  const { body: listed } = await rest('GET', `/1.2/rtm/conversations/${id}/messages?limit=1`);
  assert.deepEqual([listed.length, listed[0].data, listed[0].from, listed[0]['conv-id']], [1, 'plain', b, id]);
  const older = await rest('GET', `/1.2/rtm/conversations/${id}/messages?msgid=${listed[0]['msg-id']}&timestamp=${listed[0].timestamp}`);
  assert.deepEqual(older.body.map((m) => m.from), ['robot']);
  assert.deepEqual((await rest('GET', `/1.2/rtm/conversations/${id}/members`)).body.result, [a, b].sort());
  assert.deepEqual((await rest('POST', '/1.2/rtm/clients/check-online', { client_ids: [a, b] })).body.results, [a]);
  assert.equal((await rest('POST', '/1.2/rtm/conversations', { name: 'x', m: [a] }, appKey)).status, 403);
  assert.equal((await rest('GET', `/1.2/rtm/clients/${b}/messages`)).body[0].data, 'plain');

  // A service: its messages are for one or for all, what a subscriber writes is for it alone.
  const service = (await rest('POST', '/1.2/rtm/service-conversations', { name: '健康提醒' })).body;
  assert.equal(service.sys, true);
  const other = await client(b);
  const shown = await listener.getConversation(service.objectId);
  await shown.subscribe?.();
  await (await other.getConversation(service.objectId)).subscribe?.();
  assert.equal((await rest('GET', `/1.2/rtm/service-conversations/${service.objectId}/subscribers/count`)).body.count, 2);
  const told = next(listener, Event.MESSAGE, (m) => m.cid === service.objectId);
  let overheard = false;
  other.on(Event.MESSAGE, (m) => { overheard ||= m.cid === service.objectId; });
  await rest('POST', `/1.2/rtm/service-conversations/${service.objectId}/messages`, { from_client: '', to_clients: [a], message: 'only you' });
  await rest('POST', `/1.2/rtm/service-conversations/${service.objectId}/messages`, { from_client: 'service', to_clients: [a], message: { _lctype: -1, _lctext: '只给你' } });
  assert.equal((await told)[0].text, '只给你');
  await shown.send(new TextMessage('谢谢'));
  await sleep(300);
  assert.equal(overheard, false);
  const kept = await rest('GET', `/1.2/rtm/service-conversations/${service.objectId}/subscribers/${a}/messages`);
  assert.deepEqual(kept.body.map((m) => m.from), [a, 'service']);

  // The class is the same conversations.
  const saved = await new AV.Conversation('by SDK', { members: undefined }).save?.({}, { useMasterKey: true }).catch(() => undefined);
  assert.ok(saved === undefined || saved.id);
  const row = await new AV.Query('_Conversation').get(id, { useMasterKey: true });
  assert.equal(row.get('name'), 'by server');
}

const world = await step('conversations', conversations);
await step('messages', () => messages(world));
await step('away and back', () => awayAndBack(world));
await step('forgotten', forgotten);
await step('servers', servers);
console.log(`leancloud-realtime ${version}: all well`);
process.exit(0);
