// Starts the documented consultation through the official SDK: once with `run`, once with `rpc`, and each refusal.
// Usage: node initiate.mjs SERVER_URL APP_ID APP_KEY. Exits non-zero when an answer is not as documented.
import assert from 'node:assert/strict';
import AV from 'leancloud-storage';

const [serverURL, appId, appKey] = process.argv.slice(2);
AV.init({ appId, appKey, serverURL });

const params = { doctorId: '5daeb07b7b968a0074945056', patientId: '5db2cf72f884af0073deb1bc' };
const keys = ['consultationId', 'isOld', 'startAt', 'status', 'success'];

const first = await AV.Cloud.run('initiateConsultation', params);
assert.deepEqual(Object.keys(first).sort(), keys);
assert.equal(first.success, true);
assert.equal(first.isOld, false);
assert.equal(first.status, '0');
assert.equal(typeof first.startAt, 'number');
assert.match(first.consultationId, /^[0-9a-f]{24}$/);

const second = await AV.Cloud.rpc('initiateConsultation', params);
assert.deepEqual(Object.keys(second).sort(), keys);
assert.deepEqual(second, { ...first, isOld: true });

await assert.rejects(AV.Cloud.run('initiateConsultation', { ...params, doctorId: 'ffffffffffffffffffffffff' }), { code: 101 });
await assert.rejects(AV.Cloud.run('initiateConsultation', { doctorId: params.doctorId }), (error) => {
  assert.match(error.rawMessage, /patientId/);
  return true;
});
await assert.rejects(AV.Cloud.run('initiateConsultation'), /doctorId/);
await assert.rejects(AV.Cloud.run('noSuchFunction', {}), /function/);

AV.setProduction(false);
assert.equal((await AV.Cloud.run('initiateConsultation', params)).consultationId, first.consultationId);

AV.init({ appId, appKey: 'not-the-key', serverURL });
await assert.rejects(AV.Cloud.run('initiateConsultation', params), { code: 401 });
console.log('the official SDK starts a consultation as documented');
