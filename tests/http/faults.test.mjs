// Guards what the server survives: a full disk, a data folder that is read-only, taken or locked, workers that are stuck, a
// clock that is set back, a thousand idle sockets, clients that dribble, a body of 100 MB, and ten thousand requests without
// growing. Recognition is a stand-in except where a test says otherwise. What a machine does not allow is skipped aloud.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after } from 'node:test';
import {
  base64, build, metric, png, post, Raw, sanitized, sanitizers, startReal, startStub, untilMetric, upload, webSocketHello, WebSocketClient,
} from './helper.mjs';

const place = mkdtempSync(path.join(tmpdir(), 'mien-faults-'));
chmodSync(place, 0o711); // some servers here run as somebody else
after(() => rmSync(place, { recursive: true, force: true }));
const folder = (name) => {
  const made = path.join(place, name);
  mkdirSync(made);
  return made;
};
const works = (command, ...words) => {
  try {
    execFileSync(command, words, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
};
const root = process.getuid() === 0;
// a mount of one's own: root has it by right, others where the kernel lets them map users
const ownMounts = root ? ['unshare', '-m'] : ['unshare', '-Urm'];
const mayMount = works(ownMounts[0], ...ownMounts.slice(1), 'sh', '-c', `mount -t tmpfs none ${place}`) ? false : 'skipped: this machine does not let tests mount';
const nobody = root ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : [];
const mayBeNobody = !root || works(...nobody, 'true') ? false : 'skipped: setpriv is not here';

async function register(server, email = 'ann@example.org') {
  const { status, json } = await post(server, '/auth/register', { email, password: 'correct horse' });
  assert.equal(status, 200);
  return { authorization: `Bearer ${json.access_token}` };
}
const history = async (server, headers) => (await (await fetch(`${server.base}/api/history?limit=1000`, { headers })).json()).map((r) => r.detection_id);

test('a full disk: 507, nothing acknowledged is lost, and it goes on when there is room again', { skip: mayMount }, async () => {
  const data = folder('full');
  const server = await startStub(['--data-dir', data], {}, [...ownMounts, 'sh', '-c', `mount -t tmpfs -o size=6m none ${data} && exec "$0" "$@"`]);
  const inside = `/proc/${server.child.pid}/root${data}`;
  writeFileSync(path.join(inside, 'ballast'), Buffer.alloc(3 << 20));
  const headers = await register(server);
  const kept = [];
  const put = (n) => upload(server, '/api/detect', `faces 2 ${n} ${'.'.repeat(200000)}`, { headers });
  let refused;
  for (let n = 0; n < 60 && !refused; n++) {
    const reply = await put(n);
    if (reply.status === 200) kept.push(reply.json.detection_id);
    else refused = reply;
  }
  assert.equal(refused?.status, 507);
  assert.deepEqual(refused.json, { detail: 'The store is not available' });
  assert.ok(kept.length > 3);
  assert.equal((await fetch(`${server.base}/healthz`)).status, 200);
  assert.equal((await post(server, '/predict', { image: base64('faces 1') })).status, 200, 'what needs no store goes on');
  assert.deepEqual(await history(server, headers), kept.toReversed());
  unlinkSync(path.join(inside, 'ballast'));
  const again = await put(99);
  assert.equal(again.status, 200);
  assert.deepEqual(await history(server, headers), [again.json.detection_id, ...kept.toReversed()]);
  assert.equal(await server.stop(), 0);
});

test('files that may not grow: refused as well, and the server does not die of the signal', async () => {
  const data = folder('limited');
  const server = await startStub(['--data-dir', data], {}, ['sh', '-c', 'ulimit -f 512; exec "$0" "$@"']);
  const headers = await register(server);
  const large = await upload(server, '/api/detect', `faces 1 ${'.'.repeat(2 << 20)}`, { headers });
  assert.equal(large.status, 507);
  const small = await upload(server, '/api/detect', 'faces 1', { headers });
  assert.equal(small.status, 200);
  assert.deepEqual(await history(server, headers), [small.json.detection_id]);
  assert.equal(await server.stop(), 0);
});

test('a read-only data folder is refused at the start by name', { skip: mayBeNobody }, async () => {
  const data = folder('read-only');
  chmodSync(data, 0o555);
  await assert.rejects(startStub(['--data-dir', data], {}, nobody), (error) => error.message.includes('ended with 1') && error.message.includes(data));
});

test('a folder that becomes read-only while the server runs: 503, and on it goes afterwards', { skip: mayBeNobody }, async () => {
  const data = folder('turning');
  if (root) chownSync(data, 65534, 65534);
  const server = await startStub(['--data-dir', data], {}, nobody);
  const headers = await register(server);
  const first = await upload(server, '/api/detect', 'faces 1', { headers });
  assert.equal(first.status, 200);
  chmodSync(path.join(data, 'pictures'), 0o555);
  const refused = await upload(server, '/api/detect', 'faces 2', { headers });
  assert.equal(refused.status, 503);
  assert.ok(Number(refused.headers.get('retry-after')) > 0);
  assert.deepEqual(await history(server, headers), [first.json.detection_id]);
  chmodSync(path.join(data, 'pictures'), 0o755);
  assert.equal((await upload(server, '/api/detect', 'faces 2', { headers })).status, 200);
  assert.equal(await server.stop(), 0);
});

test('an ordinary user on a read-only file system, apart from the data folder, is all it needs', { skip: mayMount || mayBeNobody }, async () => {
  const data = folder('sealed');
  const script = `mount -t tmpfs -o mode=0777 none ${data} && mount -o remount,bind,ro / && exec "$0" "$@"`;
  const server = await startReal(['--data-dir', data], {}, [...ownMounts, 'sh', '-c', script, ...nobody]);
  if (!server) return console.log('# skipped: the program is not built');
  const status = readFileSync(`/proc/${server.child.pid}/status`, 'utf8');
  if (root) assert.match(status, /^Uid:\s+65534\s+65534/m);
  const headers = await register(server);
  const reply = await upload(server, '/api/detect', png(64, 64), { headers, name: 'a.png', type: 'image/png' });
  assert.equal(reply.status, 200);
  assert.equal((await fetch(`${server.base}/api/history/${reply.json.detection_id}/picture`, { headers })).status, 200);
  assert.equal((await fetch(`${server.base}/readyz`)).status, 200);
  assert.equal(await server.stop(), 0);
});

test('a second server on the same folder is refused, and the first is not disturbed', async () => {
  const data = folder('taken');
  const server = await startStub(['--data-dir', data]);
  const headers = await register(server);
  await assert.rejects(startStub(['--data-dir', data]), /ended with 1.*in use by another mien/s);
  const { status, json } = await upload(server, '/api/detect', 'faces 1', { headers });
  assert.equal(status, 200);
  server.child.kill('SIGKILL');
  await server.ended;
  const next = await startStub(['--data-dir', data]); // however the first ended, the folder is free
  assert.deepEqual(await history(next, headers), [json.detection_id]);
  assert.equal(await next.stop(), 0);
});

/** Another program that holds the store's write lock until it is told to let go. */
async function lockStore(data) {
  const script = 'import sqlite3,sys\nd=sqlite3.connect(sys.argv[1],isolation_level=None)\nd.execute("BEGIN IMMEDIATE")\nprint("held",flush=True)\nsys.stdin.read()';
  const child = spawn('python3', ['-c', script, path.join(data, 'mien.db')], { stdio: ['pipe', 'pipe', 'ignore'] });
  await once(child.stdout, 'data');
  return async () => {
    child.stdin.end();
    await once(child, 'exit');
  };
}

test('a store that another program has locked: 503 with Retry-After, nothing half done', { skip: works('python3', '-c', 'import sqlite3') ? false : 'skipped: python3 is not here' }, async () => {
  const data = folder('locked');
  const server = await startStub(['--data-dir', data]);
  const headers = await register(server);
  const before = await upload(server, '/api/detect', 'faces 1', { headers });
  const release = await lockStore(data);
  const order = [];
  const waiting = upload(server, '/api/detect', 'faces 2', { headers }).then((reply) => { order.push('kept'); return reply; });
  await untilMetric(server, 'mien_workers_busy', 1);
  await post(server, '/predict', { image: base64('faces 1') });
  order.push('looked at');
  const refused = await waiting;
  assert.deepEqual(order, ['looked at', 'kept'], 'who needs no store does not wait for it');
  assert.equal(refused.status, 503);
  assert.ok(Number(refused.headers.get('retry-after')) > 0);
  assert.equal((await post(server, '/auth/register', { email: 'eve@example.org', password: 'correct horse' })).status, 503);
  const quota = await upload(server, '/api/detect', 'none');
  assert.equal(quota.status, 503, 'a guest is not let past the quota');
  assert.equal((await fetch(`${server.base}/readyz`)).status, 503);
  assert.deepEqual(await history(server, headers), [before.json.detection_id], 'reading goes on');
  await release();
  assert.equal((await fetch(`${server.base}/readyz`)).status, 200);
  const later = await upload(server, '/api/detect', 'faces 2', { headers });
  assert.deepEqual(await history(server, headers), [later.json.detection_id, before.json.detection_id]);
  assert.equal(await server.stop(), 0);
});

test('workers that are stuck past their deadline: 504 for theirs, the others go on', async () => {
  const server = await startStub(['--request-timeout', '0.3', '--workers', '2', '--queue-size', '2', '--cache-size', '0']);
  const stuck = upload(server, '/predict_file', 'wait 1500');
  await untilMetric(server, 'mien_workers_busy', 1);
  for (let i = 0; i < 20; i++) assert.equal((await upload(server, '/predict_file', 'faces 1')).status, 200);
  assert.equal((await stuck).status, 504);
  await untilMetric(server, 'mien_workers_busy', 0);
  const all = Array.from({ length: 2 }, () => upload(server, '/predict_file', 'wait 4000'));
  await untilMetric(server, 'mien_workers_busy', 2);
  const behind = await Promise.all(Array.from({ length: 6 }, () => upload(server, '/predict_file', 'faces 1')));
  assert.deepEqual([...new Set(behind.map((r) => r.status))].sort(), [503, 504], 'queued ones are late, the rest is refused at once');
  assert.ok(behind.filter((r) => r.status === 503).every((r) => Number(r.headers.get('retry-after')) > 0));
  assert.deepEqual((await Promise.all(all)).map((r) => r.status), [504, 504]);
  assert.equal((await fetch(`${server.base}/healthz`)).status, 200);
  await untilMetric(server, 'mien_workers_busy', 0);
  assert.equal((await upload(server, '/predict_file', 'faces 1')).status, 200);
  assert.equal(await server.stop(), 0);
});

test('a huge picture that takes longer than the deadline is 504 in the real program, too', async () => {
  const server = await startReal(['--request-timeout', '0.05', '--workers', '2']);
  if (!server) return console.log('# skipped: the program is not built');
  assert.equal((await upload(server, '/predict_file', png(2000, 2000), { name: 'a.png', type: 'image/png' })).status, 504);
  assert.equal((await fetch(`${server.base}/healthz`)).status, 200);
  await untilMetric(server, 'mien_workers_busy', 0);
  assert.equal(await server.stop(), 0);
});

test('a clock that is set back', async () => {
  const clock = path.join(place, 'time'), shifted = path.join(build, 'tests/tools/shifted_clock.so');
  const set = (seconds) => writeFileSync(clock, String(seconds));
  set(0);
  const server = await startStub(['--data-dir', folder('clock'), '--rate-limit-requests', '5', '--history-ttl', '1000000'],
    { LD_PRELOAD: shifted, SHIFTED_CLOCK: clock, ASAN_OPTIONS: `${sanitizers.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0` });
  const time = async () => Date.parse((await (await fetch(`${server.base}/health`)).json()).timestamp);
  const early = await time();
  const headers = await register(server);
  const old = [];
  for (let i = 0; i < 2; i++) old.unshift((await upload(server, '/api/detect', 'faces 1', { headers })).json.detection_id);
  const guest = { cookie: (await upload(server, '/api/detect', 'none')).headers.get('set-cookie').split(';')[0] };
  for (let i = 0; i < 2; i++) await upload(server, '/api/detect', 'none', { headers: guest });
  assert.equal((await upload(server, '/api/detect', 'none', { headers: guest })).status, 429);
  const ask = () => post(server, '/api/detect', { image: base64('faces 1') });
  for (let i = 0; i < 3; i++) assert.equal((await ask()).status, 200);

  set(-7200);
  assert.ok(await time() < early - 7000000, 'the clock is set back indeed');
  const hits = await metric(server, 'mien_cache_hits_total');
  assert.deepEqual([(await ask()).status, (await ask()).status, (await ask()).status], [200, 200, 429], 'rate limits neither forget nor lock out');
  assert.ok(await metric(server, 'mien_cache_hits_total') > hits, 'the cache goes on');
  assert.equal((await upload(server, '/api/detect', 'none', { headers: guest })).status, 200, 'no guest waits for the clock to catch up');
  const profile = await (await fetch(`${server.base}/auth/profile`, { headers })).json();
  assert.equal(profile.is_guest, true, 'a token from the future is none');
  const { json } = await post(server, '/auth/login', { email: 'ann@example.org', password: 'correct horse' });
  const now = { authorization: `Bearer ${json.access_token}` };
  const fresh = (await upload(server, '/api/detect', 'faces 2', { headers: now })).json.detection_id;
  assert.deepEqual(await history(server, now), [fresh, ...old], 'what came last stands first');
  assert.equal((await fetch(`${server.base}/readyz`)).status, 200);

  set(0);
  assert.equal((await (await fetch(`${server.base}/auth/profile`, { headers })).json()).is_guest, false, 'the old token is good again');
  assert.deepEqual(await history(server, headers), [fresh, ...old]);
  assert.equal(await server.stop(), 0);
});

test('a thousand idle sockets cost less than 30 MB and disturb nobody', async () => {
  const server = await startStub([]);
  await fetch(`${server.base}/healthz`);
  const before = await metric(server, 'process_resident_memory_bytes');
  const sockets = [];
  for (let i = 0; i < 1000; i += 100)
    sockets.push(...await Promise.all(Array.from({ length: 100 }, (_, n) => n % 2 ? WebSocketClient.open(server, '/ws') : Raw.open(server))));
  await untilMetric(server, 'mien_websockets', 500);
  assert.ok(await metric(server, 'mien_connections') >= 1000);
  assert.equal((await upload(server, '/predict_file', 'faces 2')).status, 200);
  const grown = (await metric(server, 'process_resident_memory_bytes') - before) / (1 << 20);
  if (!sanitized) assert.ok(grown < 30, `${grown.toFixed(1)} MB more`);
  const [first, second] = sockets;
  first.send('GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n');
  await first.answered(1);
  assert.equal(first.answers()[0].status, 200, 'an idle one wakes up');
  second.sendBinary('faces 1');
  assert.equal((await second.next()).data.face_detected, true);
  sockets.forEach((socket) => socket.close());
  await untilMetric(server, 'mien_websockets', 0);
  assert.equal(await server.stop(), 0);
});

/** Send a byte every 20 ms until the server has had enough. */
function dribble(raw, text) {
  let at = 0;
  const timer = setInterval(() => (raw.closed ? clearInterval(timer) : raw.send(text[at++ % text.length])), 20);
  return raw.end().finally(() => clearInterval(timer));
}

test('clients that send a byte now and then are sent away, however steadily they do', async () => {
  const server = await startStub(['--header-timeout', '2', '--body-timeout', '2.5', '--keep-alive-timeout', '20']);
  const heads = await Promise.all(Array.from({ length: 40 }, () => Raw.open(server)));
  const bodies = await Promise.all(Array.from({ length: 40 }, () => Raw.open(server)));
  const forms = await Promise.all(Array.from({ length: 20 }, () => Raw.open(server)));
  heads.forEach((raw) => raw.send('GET / HTTP/1.1\r\nHost: x\r\nX-Slow: '));
  bodies.forEach((raw) => raw.send('POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n'));
  forms.forEach((raw) => raw.send('POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nfffff\r\n'));
  const ends = [...heads, ...bodies, ...forms].map((raw) => dribble(raw, 'a'));
  for (let i = 0; i < 20; i++) assert.equal((await upload(server, '/predict_file', 'faces 1')).status, 200);
  await Promise.all(ends);
  for (const raw of [...heads, ...bodies, ...forms]) assert.equal(raw.answers()[0]?.status, 408);
  const upgrade = await Raw.open(server);
  upgrade.send(webSocketHello('/ws').slice(0, -2));
  await dribble(upgrade, 'X');
  assert.equal(upgrade.answers()[0].status, 408);
  assert.equal(await server.stop(), 0);
});

test('bodies of 100 MB are refused without being kept', async () => {
  const server = await startStub([]);
  await upload(server, '/predict_file', 'faces 1');
  const before = await metric(server, 'process_resident_memory_bytes');
  const megabyte = Buffer.alloc(1 << 20, 'a');
  const send = async (head, wrap) => {
    const raw = await Raw.open(server);
    raw.send(head);
    for (let i = 0; i < 100 && !raw.closed; i++)
      if (!raw.socket.write(wrap ? Buffer.concat([Buffer.from('100000\r\n'), megabyte, Buffer.from('\r\n')]) : megabyte))
        await Promise.race([once(raw.socket, 'drain').catch(() => {}), raw.end()]);
    await raw.answered(1);
    raw.close();
    return raw.answers()[0]?.status;
  };
  const statuses = await Promise.all(Array.from({ length: 8 }, (_, i) => i % 2
    ? send('POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n', true)
    : send('POST /predict_file HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: 104857600\r\n\r\n', false)));
  assert.deepEqual(statuses, Array(8).fill(413));
  const grown = (await metric(server, 'process_resident_memory_bytes') - before) / (1 << 20);
  if (!sanitized) assert.ok(grown < 100, `${grown.toFixed(1)} MB more`);
  assert.equal((await upload(server, '/predict_file', 'faces 1')).status, 200);
  assert.equal(await server.stop(), 0);
});

test('ten thousand requests leave nothing behind', async () => {
  const server = await startStub(['--data-dir', folder('leaks'), '--rate-limit-requests', '0', '--rate-limit-routes', '/auth/verify-token=0', '--cache-size', '64']);
  const { authorization } = await register(server);
  const line = `Host: x\r\nAuthorization: ${authorization}\r\n`;
  const form = (n) => `--B\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\nfaces ${n % 5}\r\n--B--\r\n`;
  const send = (method, where, type, body) =>
    `${method} ${where} HTTP/1.1\r\n${line}${body ? `Content-Type: ${type}\r\nContent-Length: ${body.length}\r\n` : ''}\r\n${body ?? ''}`;
  const json = (where, value) => send('POST', where, 'application/json', JSON.stringify(value));
  const kinds = [
    () => send('GET', '/healthz'), () => send('GET', '/health'), () => send('GET', '/'), () => send('GET', '/api/status'), () => send('GET', '/readyz'),
    () => send('GET', '/nope'), () => send('GET', '/metrics'), () => send('GET', '/openapi.json'),
    (n) => json('/predict', { image: base64(`faces ${n % 100}`) }), (n) => json('/predict_emotion', { image: base64(`faces ${n % 7}`) }),
    (n) => json('/predict_emotion_stream', { frame: base64(`faces ${n % 7}`) }), (n) => json('/api/detect', { image: base64(`faces ${n % 7}`) }),
    (n) => json('/api/detect/batch', [base64(`faces ${n % 7}`), base64('none')]), () => json('/predict', { image: base64('rubbish') }),
    () => send('POST', '/predict', 'application/json', '{bad'), (n) => send('POST', '/predict_file', 'multipart/form-data; boundary=B', form(n)),
    (n) => send('POST', '/api/faces', 'multipart/form-data; boundary=B', form(n)), () => send('GET', '/auth/profile'), () => send('GET', '/api/history?limit=3'),
    () => send('GET', '/api/history/nope'), () => json('/auth/refresh-token', { refresh_token: 'x' }), () => json('/auth/verify-token', {}),
  ];
  const kept = (n) => send('POST', '/api/detect', 'multipart/form-data; boundary=B', form(n)); // grows the store itself: few of them
  async function round(requests) {
    let asked = 0;
    await Promise.all(Array.from({ length: 4 }, async () => {
      const raw = await Raw.open(server);
      let answered = 0;
      while (asked < requests) {
        const batch = Math.min(10, requests - asked);
        const text = Array.from({ length: batch }, () => (asked++ % 500 ? kinds[asked % kinds.length](asked) : kept(asked))).join('');
        raw.send(text);
        answered += batch;
        await raw.answered(answered);
        assert.ok(!raw.closed, raw.text.slice(-600));
        if (answered >= 100) { // forget what was read
          assert.ok(raw.answers().every((a) => a.status !== 500), JSON.stringify(raw.answers().find((a) => a.status === 500)));
          raw.bytes = Buffer.alloc(0);
          raw.text = '';
          answered = 0;
        }
      }
      raw.close();
    }));
  }
  await round(3000);
  const before = await metric(server, 'process_resident_memory_bytes');
  await round(10000);
  const grown = (await metric(server, 'process_resident_memory_bytes') - before) / (1 << 20);
  console.log(`# ${grown.toFixed(2)} MB more after 10,000 requests`);
  if (!sanitized) assert.ok(grown < 4, `${grown.toFixed(1)} MB more`);
  assert.ok(await metric(server, 'mien_connections') < 10);
  assert.equal(await server.stop(), 0, server.log); // under a sanitizer: its leak checker has seen nothing
});
