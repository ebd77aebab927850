// Guards TLS: HTTP/1.1 and HTTP/2 behind a certificate, uploads, errors, limits, a graceful stop. Makes its certificate with
// the openssl program and says so where that is missing.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import http2 from 'node:http2';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { base64, described, startStub } from './helper.mjs';

const folder = mkdtempSync(path.join(tmpdir(), 'mien-tls-'));
const [certificate, key] = [path.join(folder, 'c.pem'), path.join(folder, 'k.pem')];
let reason = false;
try {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key,
    '-out', certificate, '-days', '2', '-subj', '/CN=localhost'], { stdio: 'ignore' });
} catch {
  reason = 'skipped: openssl is not here';
}

function request(client, headers, body) {
  return new Promise((resolve, reject) => {
    const stream = client.request(headers);
    let status, type, text = '';
    stream.setEncoding('utf8');
    stream.on('response', (h) => { status = h[':status']; type = h['content-type']; });
    stream.on('data', (data) => { text += data; });
    stream.on('end', () => {
      described(headers[':method'] ?? 'GET', headers[':path'], status, type, text);
      resolve({ status, text });
    });
    stream.on('error', reject);
    stream.end(body);
  });
}

test('HTTP/1.1 and HTTP/2 over TLS', { skip: reason }, async () => {
  const server = await startStub(['--tls-certificate', certificate, '--tls-key', key, '--max-body-size', '100000']);
  const one = await new Promise((resolve, reject) => {
    https.get({ port: server.port, path: '/healthz', rejectUnauthorized: false }, (reply) => {
      reply.resume();
      resolve(reply);
    }).on('error', reject);
  });
  assert.deepEqual([one.statusCode, one.httpVersion], [200, '1.1']);
  const client = http2.connect(`https://localhost:${server.port}`, { rejectUnauthorized: false });
  const gets = await Promise.all(Array.from({ length: 30 }, () => request(client, { ':path': '/healthz' })));
  assert.ok(gets.every((r) => r.status === 200 && r.text === '{"status":"ok"}'));
  const page = await request(client, { ':path': '/', accept: 'text/html' });
  assert.match(page.text, /<title>mien<\/title>/);
  const body = JSON.stringify({ image: base64('faces 2') });
  const post = (where, text) => request(client, { ':method': 'POST', ':path': where, 'content-type': 'application/json', 'content-length': text.length }, text);
  const all = await post('/predict?classes=all', body);
  assert.equal(Object.keys(JSON.parse(all.text).faces[0].all_probabilities).length, 7);
  assert.equal((await post('/predict', '{}')).status, 400);
  assert.equal((await post('/predict', 'x'.repeat(200000))).status, 413);
  assert.equal((await request(client, { ':path': '/nope' })).status, 404);
  assert.equal((await request(client, { ':method': 'DELETE', ':path': '/predict' })).status, 405);
  const many = await Promise.all(Array.from({ length: 40 }, (_, i) => post('/predict', JSON.stringify({ image: base64(`faces 1${' '.repeat(i * 1500)}`) }))));
  assert.ok(many.every((r) => r.status === 200));
  const unknown = await request(client, { ':method': 'POST', ':path': '/predict' }, body); // no content-length
  assert.equal(unknown.status, 200);
  const big = await post('/predict?classes=all', JSON.stringify({ image: base64('faces 200') }));
  assert.equal(JSON.parse(big.text).faces_count, 200);
  const running = post('/predict', JSON.stringify({ image: base64('wait 300') }));
  client.ping(() => server.child.kill('SIGTERM'));
  assert.equal((await running).status, 200);
  client.close();
  assert.equal((await server.ended)[0], 0);
});

test('a certificate that cannot be used is refused by name', async () => {
  await assert.rejects(startStub(['--tls-certificate', '/nonexistent.pem', '--tls-key', '/nonexistent.pem']), /TLS_CERTIFICATE/);
  rmSync(folder, { recursive: true });
});
