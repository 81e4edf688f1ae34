// Drives the storage interface through the official SDK: objects, queries, users, lists, roles, files, product classes.
// Usage: node storage.mjs SERVER_URL APP_ID APP_KEY MASTER_KEY. Exits non-zero when an answer is not as documented.
import assert from 'node:assert/strict';
import AV from 'leancloud-storage';
import { PICTURE as PNG, Server } from './common.mjs';

const [serverURL, appId, appKey, masterKey] = process.argv.slice(2);
AV.init({ appId, appKey, masterKey, serverURL });
const master = { useMasterKey: true };
const server = new Server({ plainURL: serverURL, appId, appKey, masterKey });
/// The same object without what a refused save left in it.
const bare = (object) => AV.Object.createWithoutData(object.className, object.id);
const ids = (objects) => objects.map((object) => object.id);

const code = (phone) => server.code(phone);

async function signIn(phone, attributes) {
  await AV.Cloud.requestSmsCode(phone);
  const user = await AV.User.signUpOrlogInWithMobilePhone(phone, await code(phone), attributes);
  return user;
}

async function objects() {
  const Diary = AV.Object.extend('Diary');
  const day = new Date('2026-01-02T03:04:05.678Z');
  const diary = new Diary({ title: '第一天', count: 1, tags: ['a'], day, nested: { mood: 'good' } });
  await diary.save();
  assert.match(diary.id, /^[0-9a-f]{24}$/);
  assert.ok(diary.createdAt instanceof Date);

  diary.increment('count', 4).addUnique('tags', 'b').set('nested.mood', 'better');
  diary.unset('title');
  await diary.save();
  const again = await new AV.Query('Diary').get(diary.id);
  assert.deepEqual(again.toJSON(), {
    objectId: diary.id,
    createdAt: again.createdAt.toISOString(),
    updatedAt: again.updatedAt.toISOString(),
    count: 5,
    tags: ['a', 'b'],
    day: day.toISOString(),
    nested: { mood: 'better' },
  });
  assert.equal(again.get('day').getTime(), day.getTime());
  again.remove('tags', 'a').bitOr('flags', 6);
  await again.save(null, { fetchWhenSave: true });
  assert.deepEqual([again.get('tags'), again.get('flags')], [['b'], 6]);

  // Conditional updates.
  again.increment('count', -10);
  const unmet = new AV.Query('Diary').greaterThanOrEqualTo('count', 10);
  await assert.rejects(again.save(null, { query: unmet }), { code: 305 });
  await again.save(null, { query: new AV.Query('Diary').equalTo('count', 5), fetchWhenSave: true });
  assert.equal(again.get('count'), -5);

  // Children go first, in a batch.
  const author = new AV.Object('Author', { name: '钱' });
  const parent = new Diary({ author, title: 'parent' });
  await parent.save();
  assert.ok(author.id);
  const included = await new AV.Query('Diary').include('author').get(parent.id);
  assert.equal(included.get('author').get('name'), '钱');
  const plain = await new AV.Query('Diary').get(parent.id);
  assert.equal(plain.get('author').get('name'), undefined);

  // Relations.
  const relation = parent.relation('readers');
  relation.add(author);
  await parent.save();
  assert.deepEqual(ids(await parent.relation('readers').query().find()), [author.id]);
  assert.deepEqual(ids(await AV.Relation.reverseQuery('Diary', 'readers', author).find()), [parent.id]);
  parent.relation('readers').remove(author);
  await parent.save();
  assert.deepEqual(await parent.relation('readers').query().find(), []);

  await AV.Object.fetchAll([diary, parent]);
  await AV.Object.destroyAll([diary, parent]);
  await assert.rejects(new AV.Query('Diary').get(diary.id), { code: 101 });
  await assert.rejects(new AV.Query('NoSuchClass').find(), { code: 101 });
  await assert.rejects(AV.Object.createWithoutData('Author', diary.id).save({ name: 'x' }), { code: 1 });
  await assert.rejects(new AV.Object('Author').save({ 'a b': 1 }), { code: 105 });
}

async function queries() {
  const points = [[31.23, 121.47], [39.9, 116.4], [30.27, 120.15]];
  const places = points.map(([latitude, longitude], n) =>
    new AV.Object('Place', { n, name: `place.${n}`, at: new AV.GeoPoint(latitude, longitude), list: [n, n + 1], even: n % 2 === 0 }));
  await AV.Object.saveAll(places);
  const owner = new AV.Object('Owner', { of: places[1], n: 1 });
  await owner.save();
  const query = () => new AV.Query('Place');
  const numbers = async (query) => (await query.find()).map((place) => place.get('n'));
  assert.deepEqual(await numbers(query().ascending('n')), [0, 1, 2]);
  assert.deepEqual(await numbers(query().descending('n').limit(2).skip(1)), [1, 0]);
  assert.deepEqual(await numbers(query().greaterThan('n', 0).lessThanOrEqualTo('n', 1)), [1]);
  assert.deepEqual(await numbers(query().containedIn('n', [0, 2]).addAscending('n')), [0, 2]);
  assert.deepEqual(await numbers(query().notContainedIn('n', [0, 2])), [1]);
  assert.deepEqual(await numbers(query().equalTo('list', 3)), [2]);
  assert.deepEqual(await numbers(query().containsAll('list', [1, 2])), [1]);
  assert.deepEqual(await numbers(query().sizeEqualTo('list', 3)), []);
  assert.deepEqual(await numbers(query().startsWith('name', 'place.1')), [1]);
  assert.deepEqual(await numbers(query().contains('name', '.2')), [2]);
  assert.deepEqual(await numbers(query().endsWith('name', 'e.0')), [0]);
  assert.deepEqual(await numbers(query().matches('name', /PLACE\.[12]/i).ascending('n')), [1, 2]);
  assert.deepEqual(await numbers(query().exists('nothing')), []);
  assert.deepEqual(await numbers(query().notEqualTo('even', true)), [1]);
  assert.deepEqual(await numbers(AV.Query.or(query().equalTo('n', 0), query().equalTo('n', 2)).ascending('n')), [0, 2]);
  assert.deepEqual(await numbers(AV.Query.and(query().greaterThan('n', 0), query().lessThan('n', 2))), [1]);
  assert.deepEqual(await numbers(query().near('at', new AV.GeoPoint(31.2, 121.5))), [0, 2, 1]);
  assert.deepEqual(await numbers(query().withinKilometers('at', new AV.GeoPoint(31.2, 121.5), 50)), [0]);
  const box = [new AV.GeoPoint(35, 110), new AV.GeoPoint(45, 120)];
  assert.deepEqual(await numbers(query().withinGeoBox('at', ...box)), [1]);
  const owners = new AV.Query('Owner').matchesQuery('of', query().equalTo('n', 1));
  assert.deepEqual(ids(await owners.find()), [owner.id]);
  assert.deepEqual(await numbers(query().matchesKeyInQuery('n', 'n', new AV.Query('Owner'))), [1]);
  assert.deepEqual(await numbers(query().doesNotMatchKeyInQuery('n', 'n', new AV.Query('Owner')).ascending('n')), [0, 2]);
  assert.equal(await query().count(), 3);
  const [page, count] = await query().limit(1).findAndCount();
  assert.deepEqual([page.length, count], [1, 3]);
  assert.equal((await query().equalTo('n', 2).first()).id, places[2].id);
  assert.equal(await query().equalTo('n', 9).first(), undefined);
  const selected = await query().select('n').ascending('n').first();
  assert.deepEqual(Object.keys(selected.toJSON()).sort(), ['createdAt', 'n', 'objectId', 'updatedAt']);
  assert.deepEqual(await numbers(query().lessThanOrEqualTo('createdAt', new Date()).ascending('n')), [0, 1, 2]);
  assert.deepEqual(await numbers(query().greaterThan('createdAt', new Date(Date.now() + 60_000))), []);
  // A query too long for an address goes through a batch.
  const long = Array.from({ length: 200 }, (_, i) => `some-longer-name-${i}`).concat('place.1');
  assert.deepEqual(await numbers(query().containedIn('name', long)), [1]);
  // A scan is the master key's.
  const scan = async (options) => {
    const [found, places] = [[], query().scan({ batchSize: 2 }, options)];
    for (let step = await places.next(); !step.done; step = await places.next()) found.push(step.value.get('n'));
    return found.sort();
  };
  assert.deepEqual(await scan(master), [0, 1, 2]);
  await assert.rejects(scan({}), { code: 403 });
  await assert.rejects(query()._addCondition('name', '$regex', '(?=x)').find(), { code: 107 });
}

async function users() {
  const patient = await signIn('13900000051', { nick: '小王' });
  assert.ok(patient.getSessionToken());
  assert.equal(patient.get('mobilePhoneNumber'), '13900000051');
  assert.equal(patient.get('mobilePhoneVerified'), true);
  assert.equal(patient.get('nick'), '小王');
  assert.ok(await patient.isAuthenticated());
  const token = patient.getSessionToken();
  const became = await AV.User.become(token);
  assert.deepEqual([became.id, became.getSessionToken()], [patient.id, token]);
  await assert.rejects(AV.User.become('not-a-token'), { code: 211 });
  await became.save({ nick: '老王', 'profile.age': 3 });
  assert.equal((await AV.User.become(token)).get('nick'), '老王');
  assert.deepEqual((await AV.User.become(token)).get('profile'), { age: 3 });
  const refreshed = await AV.User.current().refreshSessionToken();
  assert.notEqual(refreshed.getSessionToken(), token);
  await assert.rejects(AV.User.become(token), { code: 211 });

  const current = AV.User.current();
  await assert.rejects(bare(current).save({ mobilePhoneVerified: false }), { code: 117 });
  await current.save({ password: 'a long password' });
  await AV.User.logOut();
  const byPassword = await AV.User.logIn('13900000051', 'a long password');
  assert.equal(byPassword.id, patient.id);
  await assert.rejects(AV.User.logIn('13900000051', 'wrong password'), { code: 210 });
  await assert.rejects(AV.User.logIn('nobody', 'wrong password'), { code: 210 });
  await byPassword.updatePassword('a long password', 'another long password');
  assert.ok(await byPassword.isAuthenticated());
  await AV.User.logOut();
  assert.equal((await AV.User.logInWithMobilePhone('13900000051', 'another long password')).id, patient.id);
  await AV.User.logOut();

  // A name of one's own.
  const named = await AV.User.signUp('alice', 'a long password', { email: 'Alice@Example.invalid', level: 3 });
  assert.deepEqual([named.get('email'), named.get('level')], ['alice@example.invalid', 3]);
  await AV.User.logOut();
  assert.equal((await AV.User.loginWithEmail('alice@example.invalid', 'a long password')).id, named.id);
  await AV.User.logOut();
  await assert.rejects(AV.User.signUp('alice', 'a long password'), { code: 202 });

  // Anonymous accounts; what the server proves itself is not claimed.
  const anonymous = await AV.User.loginAnonymously();
  assert.ok(anonymous.isAnonymous());
  await AV.User.logOut();
  await assert.rejects(AV.User.loginWithAuthData({ openid: 'x' }, 'lc_weapp'), { code: 250 });
  await assert.rejects(AV.User.loginWithAuthData({ code: 'x' }, 'lc_weapp'), { code: 250 });

  // Nobody finds or changes others.
  await AV.User.logIn('alice', 'a long password');
  await assert.rejects(new AV.Query('_User').find(), { code: 403 });
  await assert.rejects(new AV.Query('_User').get(patient.id), { code: 211 });
  assert.equal((await new AV.Query('_User').get(named.id)).get('username'), 'alice');
  await assert.rejects(AV.Object.createWithoutData('_User', patient.id).save({ nick: 'x' }), { code: 206 });
  assert.equal(await new AV.Query('_User').equalTo('username', 'alice').count(master), 1);
  await AV.User.logOut();

  // A forgotten password.
  await AV.User.requestPasswordResetBySmsCode('13900000052').catch((error) => assert.fail(error.message));
  await signInLater('13900000053');
}

/// Codes: wrong ones, used ones, and numbers without an account.
async function signInLater(phone) {
  await AV.User.requestLoginSmsCode(phone);
  await assert.rejects(AV.User.logInWithMobilePhoneSmsCode(phone, '000000'), { code: 603 });
  const right = await code(phone);
  await assert.rejects(AV.User.logInWithMobilePhoneSmsCode(phone, right), { code: 213 });
  await assert.rejects(AV.Cloud.verifySmsCode(right, phone), { code: 603 });
  await assert.rejects(AV.Cloud.requestSmsCode(phone), (error) => error.code === 1 && error.rawMessage.includes('10s'));
  await assert.rejects(AV.Cloud.requestSmsCode('12'), { code: 127 });
  await assert.rejects(AV.Cloud.requestSmsCode({ mobilePhoneNumber: '13900000054', template: 'x' }), { code: 604 });
}

async function lists() {
  const alice = await AV.User.logIn('alice', 'a long password');
  const note = new AV.Object('Note', { text: 'secret' });
  note.setACL(new AV.ACL(alice));
  await note.save();
  assert.deepEqual(ids(await new AV.Query('Note').find()), [note.id]);
  const withList = await new AV.Query('Note').includeACL(true).first();
  assert.equal(withList.getACL().getReadAccess(alice), true);
  assert.equal(withList.getACL().getPublicReadAccess(), false);
  const stranger = await AV.User.signUp('mallory', 'a long password');
  assert.deepEqual(await new AV.Query('Note').find(), []);
  await assert.rejects(new AV.Query('Note').get(note.id), { code: 101 });
  await assert.rejects(AV.Object.createWithoutData('Note', note.id).save({ text: 'x' }), { code: 1 });
  await assert.rejects(AV.Object.createWithoutData('Note', note.id).destroy(), { code: 101 });

  // Roles are made with the master key; members get in, nobody lets himself in.
  const roleList = new AV.ACL();
  roleList.setPublicReadAccess(true);
  const role = new AV.Role('Staff', roleList);
  await assert.rejects(role.save(), { code: 403 });
  await role.save(null, master);
  await assert.rejects(new AV.Role('Staff', roleList).save(null, master), { code: 137 });
  await assert.rejects(new AV.Object('_Role', { name: 'Bare' }).save(null, master), { code: 1 });
  const shared = new AV.Object('Note', { text: 'shared' });
  const list = new AV.ACL();
  list.setRoleReadAccess('Staff', true);
  shared.setACL(list);
  await shared.save();
  assert.deepEqual(await new AV.Query('Note').find(), []);
  role.getUsers().add(stranger);
  await assert.rejects(role.save(), { code: 403 });
  const again = AV.Object.createWithoutData('_Role', role.id);
  again.relation('users').add(stranger);
  await again.save(null, master);
  assert.deepEqual(ids(await new AV.Query('Note').find()), [shared.id]);
  assert.deepEqual((await stranger.getRoles()).map((role) => role.getName()), ['Staff']);
  await AV.User.logOut();
  assert.deepEqual(await new AV.Query('Note').find(), []);
  assert.equal(await new AV.Query('Note').count(master), 2);
}

async function files() {
  const refused = new AV.File('a.png', { base64: PNG.toString('base64') });
  await assert.rejects(refused.save(), { code: 403 });
  const alice = await AV.User.logIn('alice', 'a long password');
  const file = new AV.File('头像.png', { base64: PNG.toString('base64') });
  file.metaData('width', 1);
  await file.save();
  assert.ok(file.id && file.url());
  const answer = await fetch(file.url());
  assert.deepEqual([answer.status, answer.headers.get('content-type')], [200, 'image/png']);
  assert.deepEqual(Buffer.from(await answer.arrayBuffer()), PNG);
  assert.equal((await fetch(file.thumbnailURL(10, 10))).status, 200);
  assert.notEqual((await fetch(file.url().replace(file.id, alice.id))).status, 200);

  const album = new AV.Object('Album', { cover: file, all: [file] });
  await album.save();
  const again = await new AV.Query('Album').get(album.id);
  assert.deepEqual([again.get('cover').id, again.get('cover').url()], [file.id, file.url()]);
  assert.equal(again.get('all')[0].name(), '头像.png');
  await again.save({ title: 'x' });
  assert.equal(again.toJSON().cover.objectId, file.id);
  assert.deepEqual(ids(await new AV.Query('Album').equalTo('cover', file).find()), [album.id]);
  const row = await new AV.Query('_File').get(file.id);
  assert.deepEqual([row.get('url'), row.get('metaData').width], [file.url(), 1]);
  const outside = await AV.File.withURL('o.png', 'https://files.example.invalid/o.png').save();
  assert.equal(outside.url(), 'https://files.example.invalid/o.png');

  // Nobody gets at another's file by writing its id into an object of one's own.
  await AV.User.logIn('mallory', 'a long password');
  await assert.rejects(new AV.Query('_File').get(file.id), { code: 101 });
  await assert.rejects(new AV.Object('Album', { cover: file }).save(), { code: 122 });
  await assert.rejects(file.destroy(), { code: 101 });
  await AV.User.logIn('alice', 'a long password');
  await file.destroy();
  assert.notEqual((await fetch(file.url())).status, 200);
  const html = new AV.File('x.html', { base64: Buffer.from('<script>').toString('base64') });
  await assert.rejects(html.save());
  await AV.User.logOut();
}

async function product() {
  // Without a session: the cards of certified doctors, and nothing of anybody else.
  const doctors = await new AV.Query('Doctor').find();
  assert.ok(doctors.length > 0 && doctors.every((doctor) => doctor.get('authenticated') === '1'));
  assert.ok(doctors.every((doctor) => !doctor.get('phone') && !doctor.get('openid') && !doctor.get('licence1')));
  const doctor = doctors[0];
  const secret = await new AV.Query('Doctor').get(doctor.id, master);
  assert.ok(secret.get('phone') && secret.get('openid'));
  assert.deepEqual(await new AV.Query('Doctor').equalTo('openid', secret.get('openid')).find(), []);
  assert.deepEqual(await new AV.Query('Doctor').equalTo('phone', secret.get('phone')).find(), []);
  await assert.rejects(new AV.Query('Doctor').startsWith('phone', '1').find(), (error) => error.code === 107);
  for (const name of ['Patients', 'Consultation', 'DoctorPatientRelation']) {
    assert.deepEqual(await new AV.Query(name).find(), [], name);
    assert.ok((await new AV.Query(name).count(master)) > 0, name);
  }
  // A patient of the export signs in with its number and finds itself.
  const number = '13900000000';
  const user = await signIn(number);
  const [patient] = await new AV.Query('Patients').equalTo('user', user).find();
  assert.equal(patient.get('phone'), number);
  assert.equal(patient.get('gender'), '男');
  assert.equal(patient.get('height'), '188');
  assert.equal(await new AV.Query('Patients').count(), 1);
  await patient.save({ location: '北京', weight: '80.5', gender: '女', hobby: '钓鱼' });
  const fresh = await new AV.Query('Patients').get(patient.id);
  assert.deepEqual(
    ['location', 'weight', 'gender', 'hobby'].map((key) => fresh.get(key)),
    ['北京', '80.5', '女', '钓鱼'],
  );
  await assert.rejects(bare(patient).save({ phone: '13900000099' }), { code: 119 });
  await assert.rejects(bare(patient).save({ birthday: '2099-01-01' }), { code: 111 });
  const other = await new AV.Query('Patients').notEqualTo('objectId', patient.id).first(master);
  await assert.rejects(AV.Object.createWithoutData('Patients', other.id).save({ name: 'x' }), { code: 1 });
  await assert.rejects(AV.Object.createWithoutData('Doctor', doctor.id).save({ title: 'x' }), { code: 403 });
  await assert.rejects(AV.Object.createWithoutData('Patients', patient.id).destroy(), { code: 119 });
  await assert.rejects(new AV.Object('Patients').save({ name: 'another' }), { code: 137 });
  await assert.rejects(new AV.Object('Consultation').save({ status: '0' }), { code: 119 });

  const begun = await AV.Cloud.run('initiateConsultation', { doctorId: doctor.id, patientId: patient.id });
  const mine = await new AV.Query('Consultation').equalTo('objectId', begun.consultationId).include('idDoctor').first();
  assert.equal(mine.get('idDoctor').get('name'), doctor.get('name'));
  assert.equal(mine.get('idDoctor').get('phone'), undefined);
  await assert.rejects(bare(mine).save({ status: '2' }), { code: 119 });
  const withPatient = new AV.Query('Consultation').equalTo('idPatient', patient).equalTo('status', '0');
  assert.deepEqual(ids(await withPatient.find()), [begun.consultationId]);
  const relation = await new AV.Query('DoctorPatientRelation').equalTo('idDoctor', doctor).first();
  assert.equal(relation.get('tag'), undefined);
  await assert.rejects(bare(relation).save({ credit: '9' }), { code: 119 });
  await relation.save({ showFollowedDoctorCard: false });
  await AV.User.logOut();
  assert.deepEqual(await withPatient.find(), []);
  assert.deepEqual(await new AV.Query('_Conversation').find(), []);

  // A new person makes the own profile, with a picture.
  await signIn('13900000055');
  const icon = await new AV.File('icon.png', { base64: PNG.toString('base64') }).save();
  const born = new AV.Object('Patients', { name: '新人', gender: '男', icon, user: AV.User.current() });
  await born.save();
  const shown = await new AV.Query('Patients').get(born.id);
  assert.deepEqual([shown.get('name'), shown.get('icon').url()], ['新人', icon.url()]);
  const practice = new AV.Object('Doctor', { name: '新医生', hospital: '示例医院', normalConsultingPrice: 29.9 });
  await practice.save();
  await assert.rejects(bare(practice).save({ authenticated: '1' }), { code: 119 });
  await practice.save({ certificate1: icon, licence1: icon, authenticated: '2' });
  const submitted = await new AV.Query('Doctor').get(practice.id);
  assert.deepEqual([submitted.get('authenticated'), submitted.get('normalConsultingPrice')], ['2', 29.9]);
  await assert.rejects(icon.destroy(), { code: 119 });
  await AV.User.logOut();
  assert.equal(await new AV.Query('Doctor').equalTo('objectId', practice.id).count(), 0);
}

assert.ok(Math.abs((await AV.Cloud.getServerDate()).getTime() - Date.now()) < 60_000);
for (const part of [objects, queries, users, lists, files, product]) {
  await part().catch((error) => {
    error.message = `${part.name}: ${error.message}`;
    throw error;
  });
}
console.log('the official SDK stores, finds and guards objects as documented');
