// Guards the wire forms of history-api: accounts, tokens, API keys, guests and their quota, detections, server-sent batches,
// history and who may see it; and that what was acknowledged survives kill -9. Recognition is a stand-in.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { post, startStub, upload } from './helper.mjs';

let server, folder;
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'mien-http-'));
  server = await startStub(['--data-dir', folder, '--rate-limit-requests', '0']);
});
after(async () => {
  assert.equal(await server.stop(), 0);
  rmSync(folder, { recursive: true });
});

const ask = async (where, { method = 'GET', token, cookie, headers = {} } = {}) => {
  const reply = await fetch(server.base + where, {
    method,
    headers: { ...headers, ...(token ? { authorization: `Bearer ${token}` } : {}), ...(cookie ? { cookie } : {}) },
  });
  const text = await reply.text();
  const json = text && JSON.parse(text);
  return { status: reply.status, headers: reply.headers, json };
};
let serial = 0;
const register = async () => (await post(server, '/auth/register', { email: `Ann${++serial}@Example.com`, password: 'correct horse' })).json;
const cookieOf = (reply) => reply.headers.get('set-cookie').split(';')[0];
const profileKeys = ['created_at', 'display_name', 'email', 'is_email_verified', 'is_guest', 'last_used', 'photo_url', 'providers', 'usage_count', 'user_id'];

test('an account is made, signed in to, and described', async () => {
  const made = await post(server, '/auth/register', { email: 'Bob@Example.com', password: 'correct horse', display_name: 'Bob' });
  assert.equal(made.status, 200);
  assert.deepEqual(Object.keys(made.json).sort(), ['access_token', 'message', 'refresh_token', 'token_type', 'user']);
  assert.equal(made.json.token_type, 'bearer');
  assert.deepEqual(Object.keys(made.json.user).sort(), profileKeys);
  assert.equal(made.json.user.email, 'bob@example.com');
  assert.deepEqual(made.json.user.providers, ['password']);
  assert.equal((await post(server, '/auth/register', { email: 'bob@example.com', password: 'correct horse' })).status, 409);
  assert.equal((await post(server, '/auth/register', { email: 'bob', password: 'correct horse' })).status, 422);
  assert.equal((await post(server, '/auth/register', { email: 'c@example.com', password: 'short' })).status, 422);
  assert.equal((await post(server, '/auth/register', {})).status, 422);
  const again = await post(server, '/auth/login', { email: 'BOB@example.com', password: 'correct horse' });
  assert.equal(again.status, 200);
  assert.equal((await post(server, '/auth/login', { email: 'bob@example.com', password: 'wrong horse' })).status, 401);
  assert.equal((await post(server, '/auth/login', { email: 'nobody@example.com', password: 'correct horse' })).status, 401);
  const profile = await ask('/auth/profile', { token: again.json.access_token });
  assert.deepEqual(Object.keys(profile.json).sort(), profileKeys);
  assert.equal(profile.json.is_guest, false);
  assert.equal(profile.headers.get('set-cookie'), null);
  const usage = await ask('/auth/usage', { token: again.json.access_token });
  assert.deepEqual(usage.json, { user_id: profile.json.user_id, is_guest: false, usage_count: 0, max_usage: null });
});

test('tokens are refreshed, told apart, and revoked', async () => {
  const { access_token: access, refresh_token: refresh, user } = await register();
  const renewed = await post(server, '/auth/refresh-token', { refresh_token: refresh });
  assert.deepEqual(Object.keys(renewed.json).sort(), ['access_token', 'token_type']);
  assert.equal((await ask('/auth/profile', { token: renewed.json.access_token })).json.user_id, user.user_id);
  for (const wrong of [access, 'garbage', '', 'a.b.c', `${refresh}x`]) {
    const reply = await post(server, '/auth/refresh-token', { refresh_token: wrong });
    assert.deepEqual([reply.status, reply.json], [401, { detail: 'Invalid refresh token' }]);
  }
  assert.equal((await post(server, '/auth/refresh-token', {})).json.detail[0].loc[1], 'refresh_token');
  assert.equal((await ask('/auth/profile', { token: refresh })).json.is_guest, true, 'a refresh token gives no access');
  const none = Buffer.from('{"alg":"none"}').toString('base64url');
  const forged = `${none}.${access.split('.')[1]}.`;
  assert.equal((await ask('/auth/profile', { token: forged })).json.is_guest, true);
  const reset = await post(server, '/auth/refresh-token/reset', '', { authorization: `Bearer ${access}` });
  assert.deepEqual(reset.json, { message: `Deleted 1 refresh tokens for user ${user.user_id}` });
  assert.equal((await post(server, '/auth/refresh-token', { refresh_token: refresh })).status, 401);
  assert.equal((await post(server, '/auth/verify-token', {})).json.detail[0].loc[1], 'id_token');
  const invalid = await post(server, '/auth/verify-token', { id_token: 'invalid_token' });
  assert.equal(invalid.status, 401);
  assert.match(invalid.json.detail, /^Invalid token: /);
});

test('API keys stand for their user until they are revoked', async () => {
  const { access_token: token, user } = await register();
  const made = await post(server, '/auth/api-keys', { label: 'camera' }, { authorization: `Bearer ${token}` });
  assert.equal(made.status, 201);
  const key = made.json.api_key;
  assert.equal((await ask('/auth/profile', { headers: { 'x-api-key': key } })).json.user_id, user.user_id);
  assert.equal((await ask('/auth/profile', { token: key })).json.user_id, user.user_id);
  assert.equal((await ask('/auth/profile', { token: `${key}x` })).json.is_guest, true);
  assert.equal((await ask('/auth/api-keys', { method: 'DELETE', token })).status, 200);
  assert.equal((await ask('/auth/profile', { token: key })).json.is_guest, true);
});

test('a guest is known by the cookie, has a few detections, then waits', async () => {
  const first = await ask('/auth/profile');
  assert.equal(first.json.is_guest, true);
  assert.match(first.json.user_id, /^guest_[0-9a-f-]{36}$/);
  assert.deepEqual(Object.keys(first.json).sort(), profileKeys);
  assert.equal(first.json.created_at, null);
  const cookie = cookieOf(first);
  assert.match(first.headers.get('set-cookie'), /HttpOnly; Max-Age=259200; Path=\//);
  assert.equal((await ask('/auth/profile', { cookie })).json.user_id, first.json.user_id);
  assert.deepEqual((await ask('/auth/usage', { cookie })).json, { user_id: first.json.user_id, is_guest: true, usage_count: 0, max_usage: 3 });
  const reduced = cookie.replaceAll('\\"', ''); // as Python's requests sends it back
  assert.equal((await ask('/auth/profile', { cookie: reduced })).json.user_id, first.json.user_id);
  const forged = cookie.replace(first.json.user_id, 'guest_00000000-0000-4000-8000-000000000000');
  assert.notEqual((await ask('/auth/profile', { cookie: forged })).json.user_id, 'guest_00000000-0000-4000-8000-000000000000');
  for (let used = 1; used <= 3; used++) {
    const { status, json } = await upload(server, '/api/detect', 'faces 2', { headers: { cookie } });
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(json).sort(), ['detection_id', 'detection_results', 'image_url', 'timestamp', 'user_id']);
    assert.deepEqual(Object.keys(json.detection_results).sort(), ['face_detected', 'faces', 'processing_time']);
    assert.equal(json.image_url, null);
    const face = json.detection_results.faces[1];
    assert.deepEqual(Object.keys(face).sort(), ['box', 'emotions', 'face_id', 'tracking_id']);
    assert.equal(face.box.length, 4);
    assert.equal(face.emotions.length, 7);
    const values = face.emotions.map((e) => e.score);
    assert.deepEqual(values, [...values].sort((a, b) => b - a));
    assert.ok(face.emotions.every((e) => Math.abs(e.percentage - e.score * 100) < 1e-9));
    assert.equal((await ask('/auth/usage', { cookie })).json.usage_count, used);
  }
  const refused = await upload(server, '/api/detect', 'faces 1', { headers: { cookie } });
  assert.equal(refused.status, 429);
  assert.equal(refused.json.success, false);
  assert.equal(refused.json.message, 'Rate limit exceeded: 3 requests per day.');
  const wait = Number(refused.headers.get('retry-after'));
  assert.deepEqual(refused.json.details, { retry_after: wait, limit: 3, remaining: 0 });
  assert.ok(wait > 86000 && wait <= 86400);
  assert.equal((await upload(server, '/api/detect', 'none')).status, 200, 'no cookie is a new guest');
  const odd = await upload(server, '/api/detect?preset=nope', 'none');
  assert.deepEqual([odd.status, odd.json], [400, { detail: 'Invalid preset: nope' }], 'never another detector than was asked for');
});

test('the guest quota is exact when asked for all at once', async () => {
  const cookie = cookieOf(await ask('/auth/profile'));
  const replies = await Promise.all(Array.from({ length: 8 }, () => upload(server, '/api/detect', 'none', { headers: { cookie } })));
  assert.equal(replies.filter((r) => r.status === 200).length, 3);
  assert.equal(replies.filter((r) => r.status === 429).length, 5);
});

test('files are checked before they are looked at', async () => {
  const { access_token: token } = await register();
  const headers = { authorization: `Bearer ${token}` };
  const send = (content, options) => upload(server, '/api/detect', content, { headers, ...options });
  const cases = [
    [await send('x', { name: 'drive01.sh' }), 400, "File 'drive01.sh' is not a supported image format (jpg, jpeg, png, gif)."],
    [await send('x', { name: 'a.jpg', type: 'text/plain' }), 400, "File 'a.jpg' is not an image. Got content type: text/plain"],
    [await send('rubbish', { name: '../../a.jpg' }), 400, "File 'a.jpg' is not a valid image format"],
    [await send(Buffer.alloc(5300000), { name: 'a.jpg' }), 400, 'Image size (5175.8 KB) exceeds maximum allowed size (5120.0 KB)'],
  ];
  for (const [reply, status, detail] of cases) assert.deepEqual([reply.status, reply.json], [status, { detail }]);
  const missing = await send('x', { field: 'other' });
  assert.equal(missing.status, 422);
  assert.deepEqual(missing.json.detail[0].loc, ['body', 'file']);
});

test("a user's history is listed, read, paged and deleted by its owner alone", async () => {
  const [ann, eve] = [await register(), await register()];
  const headers = { authorization: `Bearer ${ann.access_token}` };
  const ids = [];
  for (let i = 0; i < 3; i++) {
    const { json } = await upload(server, '/api/detect', `faces ${i}`, { headers });
    assert.match(json.image_url, new RegExp(`^${server.base}/api/history/${json.detection_id}/picture\\?expires=\\d+&signature=[0-9a-f]{32}$`));
    ids.unshift(json.detection_id);
  }
  const list = await ask('/api/history', { token: ann.access_token });
  assert.deepEqual(list.json.map((r) => r.detection_id), ids);
  assert.equal(list.headers.get('x-total-count'), '3');
  assert.deepEqual((await ask('/api/history?skip=1&limit=1', { token: ann.access_token })).json.map((r) => r.detection_id), [ids[1]]);
  assert.deepEqual((await ask(`/api/history?until=1000000`, { token: ann.access_token })).json, []);
  const wrong = await ask('/api/history?limit=x', { token: ann.access_token });
  assert.equal(wrong.status, 422);
  assert.deepEqual(wrong.json.detail[0].loc, ['query', 'limit']);
  assert.equal(wrong.json.detail[0].msg, 'value is not a valid integer');
  for (const query of ['limit=0', 'limit=-1', 'limit=999999', 'skip=-1', 'limit=99999999999999999999'])
    assert.equal((await ask(`/api/history?${query}`, { token: ann.access_token })).status, 422, query);
  const one = await ask(`/api/history/${ids[0]}`, { token: ann.access_token });
  assert.deepEqual(one.json, list.json[0]);
  const picture = await fetch(`${server.base}/api/history/${ids[0]}/picture`, { headers });
  assert.equal(await picture.text(), 'faces 2');
  assert.equal((await fetch(`${server.base}/api/history/${ids[0]}/picture`, { headers: { authorization: `Bearer ${eve.access_token}` } })).status, 403);
  assert.deepEqual(await ask('/api/history', {}).then((r) => [r.status, r.json]), [401, { detail: 'Authentication required for batch detection.' }]);
  assert.deepEqual(await ask('/api/history/nope', { token: ann.access_token }).then((r) => [r.status, r.json]), [404, { detail: 'Detection with ID nope not found' }]);
  for (const trick of ['..%2f..%2fetc%2fpasswd', '%27%20or%201=1', 'a'.repeat(127)])
    assert.equal((await ask(`/api/history/${trick}`, { token: ann.access_token })).status, 404, trick);
  assert.deepEqual(await ask(`/api/history/${ids[0]}`, { token: eve.access_token }).then((r) => [r.status, r.json]),
    [403, { detail: "You don't have permission to access this detection" }]);
  assert.deepEqual(await ask(`/api/history/${ids[0]}`, { method: 'DELETE', token: eve.access_token }).then((r) => [r.status, r.json]),
    [403, { detail: "You don't have permission to delete this detection" }]);
  assert.equal((await ask(`/api/history/${ids[0]}`, { method: 'DELETE', token: ann.access_token })).status, 204);
  assert.equal((await ask(`/api/history/${ids[0]}`, { method: 'DELETE', token: ann.access_token })).status, 404);
  assert.deepEqual((await ask('/api/detect/status/unknown')).json, { detection_id: 'unknown', status: 'done' });
  assert.equal((await ask('/auth/profile', { token: ann.access_token })).json.usage_count, 3);
  assert.equal((await ask('/auth/profile', { method: 'DELETE', token: ann.access_token })).status, 204);
  assert.equal((await ask('/auth/profile', { token: ann.access_token })).json.is_guest, true);
  assert.deepEqual(readdirSync(path.join(folder, 'pictures'), { recursive: true }).filter((name) => /[0-9a-f]{40}/.test(name)), []);
});

test('a picture is shown by its link alone, as an <img> asks, until its record is deleted', async () => {
  const { access_token: token } = await register();
  const headers = { authorization: `Bearer ${token}` };
  const made = (await upload(server, '/api/detect', 'faces 1', { headers })).json;
  const look = async (link) => fetch(link).then(async (r) => [r.status, r.status === 200 ? await r.text() : (await r.arrayBuffer()) && null]);
  assert.deepEqual(await look(made.image_url), [200, 'faces 1']);
  const listed = (await ask('/api/history', { token, headers: { host: 'faces.example.org' } })).json[0];
  assert.deepEqual(await look(listed.image_url), [200, 'faces 1'], 'a list brings links, too');
  const link = new URL(made.image_url), until = Number(link.searchParams.get('expires'));
  assert.ok(until - Date.now() / 1000 > 86400 - 60 && until - Date.now() / 1000 <= 2 * 86400);
  const other = (await upload(server, '/api/detect', 'faces 2', { headers })).json;
  for (const bad of [made.image_url.replace(/signature=.*/, `signature=${'0'.repeat(32)}`), made.image_url.replace(/&signature=.*/, ''),
    made.image_url.replace(/expires=\d+/, `expires=${until + 86400}`), made.image_url.replace(made.detection_id, other.detection_id)])
    assert.deepEqual(await look(bad), [401, null], bad);
  assert.equal((await ask(`/api/history/${made.detection_id}`, { method: 'DELETE', token })).status, 204);
  assert.deepEqual(await look(made.image_url), [404, null]);
});

test('behind a trusted proxy links and cookies are those of https', async () => {
  const place = mkdtempSync(path.join(tmpdir(), 'mien-proxy-'));
  const headers = { 'x-forwarded-proto': 'https', 'x-forwarded-for': '10.0.0.9' };
  for (const [flags, scheme, cookie] of [[['--trust-proxy'], 'https', /SameSite=None; Secure$/], [[], 'http', /SameSite=Lax$/]]) {
    const mine = await startStub(['--data-dir', place, ...flags]);
    const index = await (await fetch(mine.base, { headers })).json();
    assert.ok(index.docs.startsWith(`${scheme}://127.0.0.1`), index.docs);
    assert.match((await fetch(`${mine.base}/auth/profile`, { headers })).headers.get('set-cookie'), cookie);
    assert.equal(await mine.stop(), 0);
  }
  rmSync(place, { recursive: true });
});

test('file names of any language and length are kept as they can be shown, and lose nobody a batch', async () => {
  const { access_token: token } = await register();
  const part = (name, content) => Buffer.concat([Buffer.from(`--B\r\nContent-Disposition: form-data; name="files"; ${name}\r\nContent-Type: image/jpeg\r\n\r\n`, 'latin1'), Buffer.from(`${content}\r\n`)]);
  const quoted = (name) => `filename="${Buffer.from(name).toString('latin1')}"`;
  const names = [quoted('ä'.repeat(120) + '.jpg'), 'filename="\xe4.jpg"', quoted('日'.repeat(200) + '.png'), "filename*=utf-8''%C3%A4.jpg"];
  const body = Buffer.concat([...names.flatMap((name) => [part(name, 'rubbish'), part(name, 'none')]), Buffer.from('--B--\r\n')]);
  const reply = await fetch(`${server.base}/api/detect/batch`, { method: 'POST', body, headers: { authorization: `Bearer ${token}`, 'content-type': 'multipart/form-data; boundary=B' } });
  const events = (await reply.text()).trim().split('\n\n').map((line) => JSON.parse(line.slice(6)));
  assert.equal(reply.status, 200);
  assert.deepEqual(events.filter((e) => e.error).map((e) => e.filename), ['ä'.repeat(120) + '.jpg', '?.jpg', '日'.repeat(83) + '.png', 'ä.jpg']);
  assert.equal(events.filter((e) => e.detection_id).length, 4);
});

test('a batch comes as events, one for each picture, in order', async () => {
  const { access_token: token } = await register();
  const form = new FormData();
  for (const [name, content] of [['a.jpg', 'faces 1'], ['bad.jpg', 'rubbish'], ['b.png', 'none'], ['c.txt', 'faces 1']])
    form.append('files', new Blob([content], { type: 'image/jpeg' }), name);
  const reply = await fetch(`${server.base}/api/detect/batch`, { method: 'POST', body: form, headers: { authorization: `Bearer ${token}` } });
  assert.equal(reply.status, 200);
  assert.equal(reply.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  const events = (await reply.text()).split('\n\n').filter(Boolean).map((line) => JSON.parse(line.replace(/^data: /, '')));
  assert.equal(events.length, 4);
  assert.equal(events[0].detection_results.faces.length, 1);
  assert.deepEqual(events[1], { error: "400: File 'bad.jpg' is not a valid image format", filename: 'bad.jpg' });
  assert.equal(events[2].detection_results.face_detected, false);
  assert.match(events[3].error, /^400: File 'c.txt' is not a supported/);
  assert.equal((await ask('/api/history', { token })).json.length, 2);
  const guest = new FormData();
  guest.append('files', new Blob(['faces 1'], { type: 'image/jpeg' }), 'a.jpg');
  const refused = await fetch(`${server.base}/api/detect/batch`, { method: 'POST', body: guest });
  assert.deepEqual([refused.status, await refused.json()], [401, { detail: 'Authentication required for batch detection.' }]);
});

test('what was acknowledged survives kill -9', async () => {
  const place = mkdtempSync(path.join(tmpdir(), 'mien-kill-'));
  let mine = await startStub(['--data-dir', place]);
  const { json } = await post(mine, '/auth/register', { email: 'kill@example.com', password: 'correct horse' });
  const headers = { authorization: `Bearer ${json.access_token}` };
  const acknowledged = new Set();
  const work = Array.from({ length: 4 }, async () => {
    for (;;) {
      const reply = await upload(mine, '/api/detect', `faces ${Math.random()}`, { headers }).catch(() => null);
      if (reply?.status !== 200) return;
      acknowledged.add(reply.json.detection_id);
      if (acknowledged.size === 40) mine.child.kill('SIGKILL');
    }
  });
  await Promise.all(work);
  await mine.ended;
  mine = await startStub(['--data-dir', place]);
  const list = await (await fetch(`${mine.base}/api/history?limit=1000`, { headers })).json();
  const kept = new Set(list.map((r) => r.detection_id));
  assert.ok(acknowledged.size >= 40);
  for (const id of acknowledged) {
    assert.ok(kept.has(id), id);
    const picture = await fetch(`${mine.base}/api/history/${id}/picture`, { headers });
    assert.match(await picture.text(), /^faces /, id);
  }
  assert.equal(await mine.stop(), 0);
  rmSync(place, { recursive: true });
});

const pictures = (place) => existsSync(path.join(place, 'pictures'))
  ? readdirSync(path.join(place, 'pictures'), { recursive: true }).filter((name) => /[0-9a-f]{64}/.test(name)) : [];

test('records do not outlive HISTORY_TTL, nor pictures their records', async () => {
  const place = mkdtempSync(path.join(tmpdir(), 'mien-ttl-'));
  let mine = await startStub(['--data-dir', place]);
  const { json } = await post(mine, '/auth/register', { email: 'ttl@example.com', password: 'correct horse' });
  const headers = { authorization: `Bearer ${json.access_token}` };
  const count = async () => (await (await fetch(`${mine.base}/api/history`, { headers })).json()).length;
  for (let i = 0; i < 3; i++) assert.equal((await upload(mine, '/api/detect', `faces ${i}`, { headers })).status, 200);
  assert.equal(await mine.stop(), 0);
  mine = await startStub(['--data-dir', place, '--history-ttl', '100000']);
  assert.equal(await count(), 3, 'not yet');
  assert.equal(pictures(place).length, 3);
  assert.equal(await mine.stop(), 0);
  mine = await startStub(['--data-dir', place, '--history-ttl', '0.001']);
  while (await count()); // the first round of pruning comes with the start, on a worker
  while (pictures(place).length) await count();
  assert.equal((await fetch(`${mine.base}/auth/profile`, { headers })).status, 200);
  assert.equal(await mine.stop(), 0);
  rmSync(place, { recursive: true });
});

test('storing pictures can be turned off', async () => {
  const place = mkdtempSync(path.join(tmpdir(), 'mien-off-'));
  const mine = await startStub(['--data-dir', place, '--store-pictures', 'false']);
  const { json } = await post(mine, '/auth/register', { email: 'off@example.com', password: 'correct horse' });
  const headers = { authorization: `Bearer ${json.access_token}` };
  const made = await upload(mine, '/api/detect', 'faces 1', { headers });
  assert.deepEqual([made.status, made.json.image_url], [200, null]);
  const list = await (await fetch(`${mine.base}/api/history`, { headers })).json();
  assert.deepEqual(list.map((r) => r.image_url), [null]);
  assert.equal((await fetch(`${mine.base}/api/history/${made.json.detection_id}/picture`, { headers })).status, 404);
  assert.deepEqual(pictures(place), []);
  assert.equal((await (await fetch(`${mine.base}/api/notice`)).json()).pictures_kept, false);
  assert.equal(await mine.stop(), 0);
  rmSync(place, { recursive: true });
});
