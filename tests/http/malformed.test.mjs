// Guards the living server against malformed HTTP, forms, WebSocket frames and Engine.IO and Socket.IO packets: the fuzzers'
// corpora, as they are and damaged in ways that are the same in every run, are sent to it over real sockets. Whatever comes,
// it goes on answering, nothing is a 500, every connection ends, and nothing is left behind. MALFORMED_ROUNDS sets how many
// damaged copies of each are sent.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { frame, Raw, root, startStub, untilMetric, webSocketHello } from './helper.mjs';

const rounds = Number(process.env.MALFORMED_ROUNDS ?? 12);
let server;
before(async () => {
  server = await startStub(['--header-timeout', '1', '--body-timeout', '1', '--keep-alive-timeout', '1', '--rate-limit-requests', '0',
    '--rate-limit-routes', '/auth/register=0,/auth/login=0,/auth/verify-token=0', '--guest-max-usage', '1000000']);
});
after(async () => {
  assert.equal((await fetch(`${server.base}/healthz`)).status, 200);
  await untilMetric(server, 'mien_websockets', 0);
  assert.equal(await server.stop(), 0, server.log);
});

const corpus = (name) => readdirSync(path.join(root, 'tests/fuzz/corpus', name)).sort().map((file) => readFileSync(path.join(root, 'tests/fuzz/corpus', name, file)));

let seed = 20261120;
const random = (below) => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return Math.floor(seed / 4294967296 * below);
};
/** The same bytes with one to four damages. */
function damaged(bytes) {
  let out = Buffer.from(bytes);
  for (let i = random(4); i >= 0; i--) {
    const at = random(out.length + 1), length = random(9);
    const others = [
      () => Buffer.concat([out.subarray(0, at), out.subarray(at + length)]),
      () => Buffer.concat([out.subarray(0, at), Buffer.from(Array.from({ length }, () => random(256))), out.subarray(at)]),
      () => Buffer.concat([out.subarray(0, at), out.subarray(Math.max(0, at - length)), out.subarray(at)]),
      () => out.subarray(0, at),
      () => { if (out.length) out[random(out.length)] ^= 1 << random(8); return out; },
      () => { if (out.length) out[random(out.length)] = [0, 0x0a, 0x0d, 0x1e, 0x7f, 0xff][random(6)]; return out; },
    ];
    out = Buffer.from(others[random(others.length)]());
  }
  return out;
}
const copies = (bytes) => [bytes, ...Array.from({ length: rounds }, () => damaged(bytes))];

/** Send, say that this was all, and wait until the server has ended the connection. */
async function throwAt(parts) {
  const raw = await Raw.open(server);
  for (const part of parts) raw.send(part);
  raw.socket.end();
  await raw.end();
  assert.ok(!/^HTTP\/1\.1 500/m.test(raw.text), `${JSON.stringify(parts.map((p) => p.toString('latin1')))} was answered ${raw.text.slice(0, 600)}`);
  return raw;
}
async function throwAll(list) {
  for (let i = 0; i < list.length; i += 16) await Promise.all(list.slice(i, i + 16).map(throwAt));
  assert.equal((await fetch(`${server.base}/healthz`)).status, 200);
}

test('HTTP', async () => {
  for (const bytes of corpus('http_parser')) await throwAll(copies(bytes).map((copy) => [copy]));
  for (const bytes of [...corpus('websocket'), ...corpus('image'), ...corpus('http_body')]) await throwAll(copies(bytes).slice(0, 4).map((copy) => [copy]));
});

const request = (where, type, body) =>
  Buffer.concat([Buffer.from(`POST ${where} HTTP/1.1\r\nHost: x\r\nContent-Type: ${type}\r\nContent-Length: ${body.length}\r\n\r\n`), body]);

test('bodies', async () => {
  const routes = ['/predict', '/predict_emotion', '/predict_emotion_stream', '/api/detect', '/api/detect/batch', '/api/models/select', '/api/faces',
    '/auth/register', '/auth/login', '/auth/logout', '/auth/refresh-token', '/auth/verify-token', '/auth/api-keys'];
  for (const bytes of corpus('http_body')) {
    const body = bytes.subarray(bytes.indexOf(10) + 1);
    for (const where of routes) await throwAll(copies(body).slice(0, 1 + rounds / 3).map((copy) => [request(where, 'application/json', copy)]));
  }
});

test('forms', async () => {
  for (const bytes of corpus('multipart')) {
    const line = bytes.indexOf(10);
    for (const where of ['/predict_file', '/api/detect', '/api/detect/upload', '/api/detect/batch', '/api/faces'])
      await throwAll(copies(bytes.subarray(line + 1)).map((copy) => [request(where, bytes.subarray(0, line).toString(), copy)]));
  }
});

const sockets = ['/ws', '/ws?search=assisted', '/echo', '/socket.io/?EIO=4&transport=websocket'];

test('WebSocket frames', async () => {
  for (const bytes of corpus('websocket'))
    for (const where of sockets) await throwAll(copies(bytes).map((copy) => [webSocketHello(where), copy]));
  for (const bytes of [...corpus('http_parser'), ...corpus('socketio')])
    for (const where of sockets) await throwAll(copies(bytes).slice(0, 3).map((copy) => [webSocketHello(where), copy]));
});

test('messages of /ws', async () => {
  const messages = ['{"type":"frame","data":{"image":"ZmFjZXMgMg==","face_bounds":{"x":1,"y":2,"width":3,"height":4}}}', '{"type":"ping"}',
    '{"type":"model_select","data":{"model_id":"mien/stub"}}', 'faces 2'];
  for (const text of messages)
    await throwAll(copies(Buffer.from(text)).flatMap((copy) => [0x81, 0x82].map((first) => [webSocketHello('/ws'), frame(first, copy)])));
});

test('Engine.IO and Socket.IO packets', async () => {
  const split = (bytes) => {
    const parts = [];
    for (let at = 0, next; at <= bytes.length; at = next + 1) {
      next = bytes.indexOf(0xff, at) < 0 ? bytes.length : bytes.indexOf(0xff, at);
      parts.push(bytes.subarray(at, next));
    }
    return parts;
  };
  const hello = webSocketHello('/socket.io/?EIO=4&transport=websocket');
  const enter = frame(0x81, '40/emotion-detection,{"token":"x"}');
  for (const bytes of [...corpus('socketio'), ...corpus('engineio')]) {
    await throwAll(copies(bytes).map((copy) => [hello, frame(0x81, '40'), enter, ...split(copy).flatMap((part) => [frame(0x81, part), frame(0x82, part)])]));
    for (const copy of copies(bytes).slice(0, 6)) { // the same over polling, on sessions that are open
      const opened = await (await fetch(`${server.base}/socket.io/?EIO=4&transport=polling`)).text();
      const { sid } = JSON.parse(opened.slice(1));
      const body = Buffer.concat(split(copy).flatMap((part, i) => (i ? [Buffer.from([0x1e]), part] : [part])));
      await throwAt([request(`/socket.io/?EIO=4&transport=polling&sid=${sid}`, 'text/plain', body)]);
      await throwAt([`GET /socket.io/?EIO=4&transport=polling&sid=${encodeURIComponent(copy.toString('latin1'))} HTTP/1.1\r\nHost: x\r\n\r\n`]);
    }
  }
});
