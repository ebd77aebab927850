// Guards HTTP itself: malformed requests, framing, limits, slow and leaving clients, pipelining, full queue, late answers,
// CORS, compression, graceful stop. Recognition is a stand-in.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import test, { after, before } from 'node:test';
import { gunzipSync } from 'node:zlib';
import {
  base64, exchange, frame, metric, post, Raw, startStub, untilMetric, upload, WebSocketClient, webSocketHello, webSocketKey,
} from './helper.mjs';

let server;
before(async () => { server = await startStub(['--rate-limit-requests', '0']); });
after(async () => { assert.equal(await server.stop(), 0); });

const get = (path, extra = '') => `GET ${path} HTTP/1.1\r\nHost: x\r\n${extra}\r\n`;

test('malformed requests are refused and the connection ends', async () => {
  const cases = {
    'no method': [' / HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    'rubbish': ['\x16\x03\x01\x02\x00\x01\x00\r\n\r\n', 400],
    'no version': ['GET /\r\n\r\n', 400],
    'version 0.9': ['GET / HTTP/0.9\r\n\r\n', 505],
    'version 2.0': ['GET / HTTP/2.0\r\nHost: x\r\n\r\n', 505],
    'no host': ['GET / HTTP/1.1\r\n\r\n', 400],
    'two hosts': ['GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', 400],
    'relative target': ['GET health HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    'bad escape': [get('/%zz'), 400],
    'escaped NUL': [get('/%00'), 400],
    'blank before colon': [get('/', 'Name : x\r\n'), 400],
    'folded header': [get('/', 'Name: x\r\n y\r\n'), 400],
    'header without colon': [get('/', 'Name\r\n'), 400],
    'control character': [get('/', 'Name: a\x01b\r\n'), 400],
    'bare CR': ['GET / HTTP/1.1\rHost: x\r\n\r\n', 400],
    'length not a number': [get('/', 'Content-Length: x\r\n'), 400],
    'negative length': [get('/', 'Content-Length: -1\r\n'), 400],
    'two lengths': [get('/', 'Content-Length: 1\r\nContent-Length: 2\r\n'), 400],
    'length and chunks': [get('/', 'Content-Length: 1\r\nTransfer-Encoding: chunked\r\n'), 400],
    'unknown coding': [get('/', 'Transfer-Encoding: gzip\r\n'), 501],
    'unknown expectation': [get('/', 'Expect: wonders\r\n'), 417],
    'bad chunk': ['POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n', 400],
    'chunk overrun': ['POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n', 400],
    'chunk size in C': ['POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\nab\r\n0\r\n\r\n', 400],
    'chunk size ended by LF alone': ['POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\nab\r\n0\r\n\r\n', 400],
    'chunk size without end': [`POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${'f'.repeat(16)}\r\n`, 400],
    'chunk extension without end': [`POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;${'x'.repeat(300)}`, 400],
    'trailer that is none': ['POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nGET / HTTP/1.1\r\n\r\n', 400],
    'endless trailers': [`POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n${'A: b\r\n'.repeat(1000)}`, 400],
    'chunks twice': [get('/', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n'), 400],
    'chunks in HTTP/1.0': ['POST /predict HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    'signed length': [get('/', 'Content-Length: +1\r\n'), 400],
    'host that is none': ['GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
    'a user in the target': ['GET http://you@x/ HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    'a host of no letters': ['GET http:///healthz HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    'query alone': ['GET ?a=b HTTP/1.1\r\nHost: x\r\n\r\n', 400],
    'CR before a request': ['\r\r\n' + get('/healthz'), 400],
    'HTTP/2 without TLS': ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
    'long target': [`GET /${'a'.repeat(9000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 414],
    'endless target': ['GET /' + 'a'.repeat(40000), 414],
    'long head': [get('/', `Name: ${'a'.repeat(40000)}\r\n`), 431],
    'many headers': [get('/', 'A: b\r\n'.repeat(150)), 431],
  };
  for (const [name, [bytes, status]] of Object.entries(cases)) {
    const raw = await Raw.open(server);
    raw.send(Buffer.from(bytes, 'latin1'));
    await raw.end();
    assert.equal(raw.answers()[0]?.status, status, name);
    assert.match(raw.answers()[0].head, /connection: close/, name);
  }
});

test('unusual but proper requests are answered', async () => {
  const cases = {
    'HTTP/1.0': ['GET /healthz HTTP/1.0\r\n\r\n', 200],
    'a later HTTP/1': ['GET /healthz HTTP/1.9\r\nHost: x\r\n\r\n', 200],
    'empty host': ['GET /healthz HTTP/1.1\r\nHost:\r\n\r\n', 200],
    'absolute target without a path': ['OPTIONS http://other?a HTTP/1.1\r\nHost: x\r\n\r\n', 200],
    'line feeds only': ['GET /healthz HTTP/1.1\nHost: x\n\n', 200],
    'empty lines first': ['\r\n\r\n' + get('/healthz'), 200],
    'absolute target': ['GET http://other/healthz?a=b HTTP/1.1\r\nHost: x\r\n\r\n', 200],
    'escaped path': [get('/health%7A'), 200],
    'unknown path': [get('/nope'), 404],
    'dots are not resolved': [get('/../../etc/passwd'), 404],
    'escaped dots': [get('/%2e%2e/%2e%2e/etc/passwd'), 404],
    'unknown method': ['BREW /healthz HTTP/1.1\r\nHost: x\r\n\r\n', 405],
    'wrong method': ['DELETE /predict HTTP/1.1\r\nHost: x\r\n\r\n', 405],
    'OPTIONS': ['OPTIONS /predict HTTP/1.1\r\nHost: x\r\n\r\n', 200],
    'OPTIONS *': ['OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n', 200],
    'body of a GET': [get('/healthz', 'Content-Length: 3\r\n') + 'abc', 200],
    'POST without a length': ['POST /predict HTTP/1.1\r\nHost: x\r\n\r\n', 400],
  };
  for (const [name, [bytes, status]] of Object.entries(cases)) {
    const [answer] = await exchange(server, bytes);
    assert.equal(answer?.status, status, name);
  }
});

test('errors are JSON; 405 says what is allowed; HEAD has no body', async () => {
  const [unknown, wrong] = [await fetch(`${server.base}/nope`), await fetch(`${server.base}/predict`)];
  assert.deepEqual(await unknown.json(), { detail: 'Not Found' });
  assert.equal(wrong.headers.get('allow'), 'POST, OPTIONS');
  const [head] = await exchange(server, 'HEAD /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
  assert.equal(head, undefined, 'the announced length is that of GET, and no body follows');
});

test('pipelined requests are answered in order, slow ones too', async () => {
  const body = JSON.stringify({ image: base64('wait 100') });
  const slow = `POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const answers = await exchange(server, get('/healthz') + slow + get('/nope') + get('/healthz') + slow + get('/health'), 6);
  assert.deepEqual(answers.map((a) => a.status), [200, 200, 404, 200, 200, 200]);
  assert.match(answers[1].body, /"faces_count":1/);
  const many = await exchange(server, get('/healthz').repeat(500), 500);
  assert.equal(many.length, 500);
});

test('a request may arrive byte by byte', async () => {
  const raw = await Raw.open(server);
  for (const byte of get('/healthz')) raw.socket.write(byte);
  await raw.answered(1);
  assert.equal(raw.answers()[0].status, 200);
  raw.close();
});

test('chunked bodies are decoded', async () => {
  const body = JSON.stringify({ image: base64('faces 1') });
  const pieces = [body.slice(0, 5), body.slice(5, 6), body.slice(6)];
  const chunks = pieces.map((p) => `${p.length.toString(16)};ext=1\r\n${p}\r\n`).join('') + '0\r\nTrailer: x\r\n\r\n';
  const raw = await Raw.open(server);
  for (const c of `POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}${get('/healthz')}`) raw.send(c);
  await raw.answered(2);
  assert.deepEqual(raw.answers().map((a) => a.status), [200, 200]);
  raw.close();
});

test('Expect: 100-continue is answered before the body, or refused at once', async () => {
  const body = JSON.stringify({ image: base64('none') });
  const raw = await Raw.open(server);
  raw.send(`POST /predict HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`);
  await raw.until((r) => r.text.includes('\r\n\r\n'));
  assert.match(raw.text, /^HTTP\/1.1 100 Continue\r\n\r\n$/);
  raw.send(body);
  await raw.answered(2);
  assert.equal(raw.answers()[1].status, 200);
  raw.close();
  const [refused] = await exchange(server, 'POST /predict HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 900000000\r\n\r\n');
  assert.equal(refused.status, 413);
});

test('a body over the limit is refused at once, announced or not', async () => {
  const [announced] = await exchange(server, 'POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 104857600\r\n\r\nabc');
  assert.equal(announced.status, 413);
  assert.deepEqual(JSON.parse(announced.body), { detail: 'Content Too Large', error: 'Content Too Large', limit: 16777216 });
  const raw = await Raw.open(server);
  raw.send('POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n');
  const megabyte = Buffer.alloc(1 << 20, 'a');
  for (let i = 0; i < 20 && !raw.closed; i++) {
    raw.send('100000\r\n');
    raw.send(megabyte);
    raw.send('\r\n');
  }
  await raw.answered(1);
  assert.equal(raw.answers()[0].status, 413);
  raw.close();
  const reply = await fetch(`${server.base}/predict`, { method: 'POST', body: Buffer.alloc(100 << 20), duplex: 'half' }).catch((e) => e);
  assert.ok(reply.status === 413 || reply instanceof Error);
  assert.equal((await fetch(`${server.base}/healthz`)).status, 200);
});

test('a slow head, a slow body and an idle connection time out', async () => {
  const impatient = await startStub(['--header-timeout', '0.3', '--body-timeout', '0.5', '--keep-alive-timeout', '0.4']);
  const head = await Raw.open(impatient);
  head.send('GET / HT');
  await head.end();
  assert.equal(head.answers()[0].status, 408);
  const body = await Raw.open(impatient);
  body.send('POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\na');
  await body.end();
  assert.equal(body.answers()[0].status, 408);
  const idle = await Raw.open(impatient);
  idle.send(get('/healthz'));
  await idle.end();
  assert.equal(idle.answers().length, 1);
  assert.equal(await impatient.stop(), 0);
});

test('a full queue answers 503 at once, with Retry-After', async () => {
  const small = await startStub(['--workers', '1', '--queue-size', '1']);
  let third;
  for (let wait = 1000; third?.status !== 503 && wait < 60000; wait *= 2) { // longer, where the first was done before the third came
    let over = false;
    const first = upload(small, '/predict_file', `wait ${wait}`).finally(() => { over = true; });
    while (!over && await metric(small, 'mien_workers_busy') !== 1);
    const second = upload(small, '/predict_file', 'faces 1');
    while (!over && await metric(small, 'mien_queue_waiting') !== 1);
    third = await upload(small, '/predict_file', 'faces 2');
    assert.deepEqual([(await first).status, (await second).status], [200, 200]);
  }
  assert.equal(third.status, 503);
  assert.ok(Number(third.headers.get('retry-after')) > 0);
  assert.equal(await small.stop(), 0);
});

test('an answer that takes too long is 504, and the connection goes on', async () => {
  const hasty = await startStub(['--request-timeout', '0.2', '--workers', '1']);
  const body = JSON.stringify({ image: base64('wait 700') });
  const raw = await Raw.open(hasty);
  raw.send(`POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}${get('/healthz')}`);
  await raw.answered(2);
  assert.deepEqual(raw.answers().map((a) => a.status), [504, 200]);
  raw.close();
  assert.equal(await hasty.stop(), 0);
});

test('clients that leave in the middle do no harm', async () => {
  const body = JSON.stringify({ image: base64('wait 50') });
  for (let i = 0; i < 30; i++) {
    const raw = await Raw.open(server);
    raw.send(`POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${i % 3 ? body : body.slice(5)}`);
    raw.close();
  }
  assert.equal((await post(server, '/predict', { image: base64('faces 1') })).json.faces_count, 1);
});

test('connections are limited in all and per address', async () => {
  const narrow = await startStub(['--max-connections-per-address', '3']);
  const open = [];
  for (let i = 0; i < 3; i++) {
    const raw = await Raw.open(narrow);
    raw.send(get('/healthz'));
    await raw.answered(1);
    open.push(raw);
  }
  const fourth = await Raw.open(narrow);
  fourth.send(get('/healthz'));
  await fourth.end();
  assert.equal(fourth.answers().length, 0);
  open[0].close();
  open[1].send(get('/healthz')); // by its answer the server has also seen the close before it
  await open[1].answered(2);
  const again = await Raw.open(narrow);
  again.send(get('/healthz'));
  await again.answered(1);
  assert.equal(again.answers().length, 1);
  open.concat(again).forEach((raw) => raw.close());
  assert.equal(await narrow.stop(), 0);
});

test('rate limits are exact, and say when to come back', async () => {
  const strict = await startStub(['--rate-limit-requests', '5', '--rate-limit-routes', '/predict_file=2', '--rate-limit-faces', '3']);
  const image = base64('faces 1');
  const replies = await Promise.all(Array.from({ length: 12 }, () => post(strict, '/api/detect', { image })));
  assert.equal(replies.filter((r) => r.status === 200).length, 5);
  const refused = replies.find((r) => r.status === 429);
  assert.deepEqual(refused.json, { error: 'Rate limit exceeded: 5 per 1 minute' });
  const wait = Number(refused.headers.get('retry-after'));
  assert.ok(wait > 0 && wait <= 60);
  const files = await Promise.all(Array.from({ length: 5 }, () => upload(strict, '/predict_file', 'faces 1')));
  assert.equal(files.filter((r) => r.status === 200).length, 2);
  assert.equal((await post(strict, '/predict', { image })).status, 200);
  const own = await Promise.all(Array.from({ length: 6 }, () => upload(strict, '/api/faces', 'faces 1')));
  assert.equal(own.filter((r) => r.status === 200).length, 3); // a limit of its own
  assert.equal(await strict.stop(), 0);
});

test('a user or key has one count, from wherever it asks', async () => {
  const strict = await startStub(['--rate-limit-requests', '4', '--trust-proxy']);
  const ask = (address, key) => post(strict, '/api/detect', { image: base64('none') }, { 'x-forwarded-for': address, ...(key ? { 'x-api-key': key } : {}) });
  const shared = [];
  for (let i = 0; i < 6; i++) shared.push((await ask(`10.0.0.${i}`, 'mien_one')).status);
  assert.deepEqual(shared, [200, 200, 200, 200, 429, 429]);
  assert.equal((await ask('10.0.0.9', 'mien_two')).status, 200);
  assert.equal((await ask('10.0.0.9')).status, 200);
  assert.equal(await strict.stop(), 0);
});

test('work that nobody waits for any more is not begun', async () => {
  const hasty = await startStub(['--request-timeout', '0.3', '--workers', '1', '--cache-size', '0']);
  const lookedAt = () => metric(hasty, 'mien_inference_duration_seconds_count');
  const batch = await post(hasty, '/api/detect/batch', Array.from({ length: 10 }, (_, i) => base64(`wait 30${i}`)));
  assert.equal(batch.status, 504);
  await untilMetric(hasty, 'mien_workers_busy', 0);
  const begun = await lookedAt();
  assert.ok(begun < 10, `${begun} of 10 pictures were looked at`); // those that had begun
  const running = post(hasty, '/predict', { image: base64('wait 2000') });
  await untilMetric(hasty, 'mien_workers_busy', 1);
  const queued = post(hasty, '/predict', { image: base64('faces 1') });
  assert.deepEqual([(await running).status, (await queued).status], [504, 504]);
  await untilMetric(hasty, 'mien_workers_busy', 0);
  assert.equal(await lookedAt(), begun + 1);
  assert.equal(await hasty.stop(), 0);
});

test('a queued picture whose client has gone is not looked at', async () => {
  const one = await startStub(['--workers', '1', '--cache-size', '0']);
  const running = post(one, '/predict', { image: base64('wait 3000') });
  await untilMetric(one, 'mien_workers_busy', 1);
  const body = JSON.stringify({ image: base64('faces 1') }), gone = await Raw.open(one);
  gone.send(`POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
  await untilMetric(one, 'mien_queue_waiting', 1);
  gone.close();
  await untilMetric(one, 'mien_queue_waiting', 0);
  assert.equal((await running).status, 200);
  await untilMetric(one, 'mien_workers_busy', 0);
  assert.equal(await metric(one, 'mien_inference_duration_seconds_count'), 1);
  assert.equal(await one.stop(), 0);
});

test('the page is sent anew only when it has changed, and packed only for those who take it so', async () => {
  const ask = async (extra) => (await exchange(server, get('/', `Accept: text/html\r\n${extra}`)))[0];
  const plain = await ask('');
  const [, tag] = /^etag: W\/("[0-9a-f]+")/im.exec(plain.head); // weak: it stands for both forms
  assert.match(plain.head, /^vary: accept-encoding/im);
  for (const known of [tag, `W/${tag}`, `"other", ${tag}`, '*']) {
    const same = await ask(`If-None-Match: ${known}\r\n`);
    assert.equal(same.status, 304, known);
    assert.match(same.head, /^vary: accept-encoding/im);
    assert.match(same.head, /^etag: /im);
  }
  for (const other of ['"other"', tag.slice(1, -1), `"x${tag}`]) assert.equal((await ask(`If-None-Match: ${other}\r\n`)).status, 200, other);
  for (const [coding, packed] of [['gzip', true], ['*', true], ['br;q=1, gzip;q=0.1', true], ['gzip;q=0', false], ['*;q=0', false], ['br', false]])
    assert.equal(/content-encoding: gzip/.test((await ask(`Accept-Encoding: ${coding}\r\n`)).head), packed, coding);
});

test('CORS is closed by default and open to what is configured', async () => {
  const preflight = { method: 'OPTIONS', headers: { origin: 'http://a.test', 'access-control-request-method': 'POST', 'access-control-request-headers': 'content-type' } };
  const closed = await fetch(`${server.base}/healthz`, { headers: { origin: 'http://a.test' } });
  assert.equal(closed.headers.get('access-control-allow-origin'), null);
  const named = await startStub(['--cors-origins', 'http://a.test, http://b.test']);
  const simple = await fetch(`${named.base}/healthz`, { headers: { origin: 'http://b.test' } });
  assert.equal(simple.headers.get('access-control-allow-origin'), 'http://b.test');
  assert.equal(simple.headers.get('vary'), 'Origin');
  const asked = await fetch(`${named.base}/predict`, preflight);
  assert.equal(asked.status, 200);
  assert.equal(asked.headers.get('access-control-allow-origin'), 'http://a.test');
  assert.equal(asked.headers.get('access-control-allow-headers'), 'content-type');
  assert.match(asked.headers.get('access-control-allow-methods'), /POST/);
  const foreign = await fetch(`${named.base}/predict`, { ...preflight, headers: { ...preflight.headers, origin: 'http://evil.test' } });
  assert.equal(foreign.status, 400);
  assert.equal(await foreign.text(), 'Disallowed CORS origin');
  assert.equal(foreign.headers.get('access-control-allow-origin'), null);
  const any = await startStub(['--cors-origins', '*']);
  const open = await fetch(`${any.base}/healthz`, { headers: { origin: 'http://x.test' } });
  assert.equal(open.headers.get('access-control-allow-origin'), '*');
  assert.deepEqual(await Promise.all([named.stop(), any.stop()]), [0, 0]);
});

test('large JSON is compressed for those who accept it; the page is not opened to others', async () => {
  const body = JSON.stringify({ image: base64('faces 20') });
  const ask = (extra) => exchange(server, `POST /predict HTTP/1.1\r\nHost: x\r\n${extra}Content-Length: ${body.length}\r\n\r\n${body}`);
  const [plain] = await ask('');
  const [packed] = await ask('Accept-Encoding: br, gzip\r\n');
  assert.match(packed.head, /content-encoding: gzip/);
  assert.ok(packed.body.length < plain.body.length / 3);
  assert.equal(JSON.parse(gunzipSync(Buffer.from(packed.body, 'latin1'))).faces_count, 20);
  const page = await fetch(`${server.base}/`, { headers: { accept: 'text/html' } });
  assert.match(await page.text(), /<title>mien<\/title>/);
  const policy = page.headers.get('content-security-policy');
  assert.match(policy, /frame-ancestors 'none'/);
  assert.doesNotMatch(policy, /unsafe-inline/);
  assert.equal(page.headers.get('x-content-type-options'), 'nosniff');
  const same = await fetch(`${server.base}/`, { headers: { accept: 'text/html', 'if-none-match': page.headers.get('etag') } });
  assert.equal(same.status, 304);
});

test('a WebSocket echoes text, binary and fragments, answers pings, and refuses what breaks the protocol', async () => {
  const accept = createHash('sha1').update(`${webSocketKey}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const open = async () => {
    const client = await WebSocketClient.open(server, '/echo');
    assert.equal(client.status, 101);
    assert.ok(client.head.includes(accept));
    return Object.assign(client.raw, { after: () => client.after() });
  };
  const raw = await open();
  const message = Buffer.concat([frame(0x01, 'frag'), frame(0x89, 'p'), frame(0x80, 'ment'), frame(0x82, Buffer.alloc(300, 7))]);
  for (const byte of message) raw.send(Buffer.from([byte]));
  await raw.until((r) => r.after().length >= 3 + 10 + 304);
  assert.deepEqual([...raw.after().subarray(0, 3)], [0x8a, 1, 0x70]);
  assert.equal(raw.after().subarray(3, 13).toString('latin1'), '\x81\x08fragment');
  raw.send(frame(0x88, Buffer.from([3, 232])));
  await raw.end();
  assert.deepEqual([...raw.after().subarray(-4)], [0x88, 2, 3, 232]);
  const wrong = {
    'unmasked': [Buffer.from([0x81, 1, 65]), 1002],
    'reserved bit': [frame(0xc1, 'a'), 1002],
    'unknown opcode': [frame(0x83, 'a'), 1002],
    'stray continuation': [frame(0x80, 'a'), 1002],
    'fragmented ping': [frame(0x09, 'a'), 1002],
    'bad UTF-8': [frame(0x81, Buffer.from([0xc3, 0x28])), 1007],
    'bad close code': [frame(0x88, Buffer.from([3, 237])), 1002],
    'a length longer than it need be': [Buffer.from([0x81, 0xfe, 0, 1, 1, 2, 3, 4, 65]), 1002],
    'too big': [Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4]), 1009],
  };
  for (const [name, [bytes, code]] of Object.entries(wrong)) {
    const bad = await open();
    bad.send(bytes);
    await bad.end();
    assert.equal(bad.after().readUInt16BE(2), code, name);
  }
  const [foreign] = await exchange(server, webSocketHello('/echo', 'Origin: http://evil.test\r\n'));
  assert.equal(foreign.status, 403, 'any page may open a WebSocket; the server decides whose');
  const [same] = await exchange(server, webSocketHello('/echo', 'Origin: http://x\r\n'));
  assert.equal(same.status, 101);
  const [plain] = await exchange(server, get('/echo'));
  assert.equal(plain.status, 426);
  assert.match(plain.head, /^upgrade: websocket/im);
  const hello = webSocketHello('/echo');
  for (const [what, bytes, status] of [
    ['a key that is no nonce', hello.replace(webSocketKey, base64('fifteen bytes..')), 400],
    ['a key that is no base64', hello.replace(webSocketKey, '!'.repeat(24)), 400],
    ['HTTP/1.0', hello.replace('HTTP/1.1', 'HTTP/1.0'), 426],
    ['a body, whose bytes would pass for frames', hello.replace('\r\n\r\n', '\r\nContent-Length: 4\r\n\r\nabcd'), 426],
  ]) assert.equal((await exchange(server, bytes))[0].status, status, what);
  const [nowhere] = await exchange(server, webSocketHello('/nope'));
  assert.equal(nowhere.status, 404);
});

test('a stop finishes what runs, refuses what is new, and exits 0', async () => {
  const stopping = await startStub([]);
  const running = upload(stopping, '/predict_file', 'wait 300');
  await untilMetric(stopping, 'mien_workers_busy', 1);
  const raw = await Raw.open(stopping);
  raw.send(get('/healthz'));
  await raw.answered(1);
  const code = stopping.stop();
  assert.equal((await running).status, 200);
  await raw.end();
  assert.equal(await code, 0);
});
