// Guards TLS: requests behind a certificate, uploads, errors, limits, a graceful stop. Makes its certificate with
// the openssl program and says so where that is missing.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test from 'node:test';
import { base64, startStub } from './helper.mjs';

const folder = mkdtempSync(path.join(tmpdir(), 'mien-tls-'));
const [certificate, key] = [path.join(folder, 'c.pem'), path.join(folder, 'k.pem')];
let reason = false;
try {
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key,
    '-out', certificate, '-days', '2', '-subj', '/CN=localhost'], { stdio: 'ignore' });
} catch {
  reason = 'skipped: openssl is not here';
}

function request(server, options, body) {
  return new Promise((resolve, reject) => {
    const asked = https.request({ port: server.port, rejectUnauthorized: false, ...options }, (reply) => {
      let text = '';
      reply.setEncoding('utf8');
      reply.on('data', (data) => { text += data; });
      reply.on('end', () => resolve({ status: reply.statusCode, text }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

test('HTTP over TLS', { skip: reason }, async () => {
  const server = await startStub(['--tls-certificate', certificate, '--tls-key', key, '--max-body-size', '100000']);
  const gets = await Promise.all(Array.from({ length: 30 }, () => request(server, { path: '/healthz' })));
  assert.ok(gets.every((r) => r.status === 200 && r.text === '{"status":"ok"}'));
  const page = await request(server, { path: '/', headers: { accept: 'text/html' } });
  assert.match(page.text, /<title>mien<\/title>/);
  const post = (where, text) => request(server, { method: 'POST', path: where, headers: { 'content-length': text.length } }, text);
  const all = await post('/predict?classes=all', JSON.stringify({ image: base64(`faces 2${' '.repeat(60000)}`) }));
  assert.equal(Object.keys(JSON.parse(all.text).faces[0].all_probabilities).length, 7);
  assert.equal((await post('/predict', '{}')).status, 400);
  assert.equal((await post('/predict', 'x'.repeat(100001))).status, 413);
  assert.equal(await server.stop(), 0);
});

test('a certificate that cannot be used is refused by name', async () => {
  await assert.rejects(startStub(['--tls-certificate', '/nonexistent.pem', '--tls-key', '/nonexistent.pem']), /TLS_CERTIFICATE/);
  rmSync(folder, { recursive: true });
});
