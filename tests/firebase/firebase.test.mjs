// Guards sign-in against Firebase's own JavaScript libraries: somebody signs up with the client library at Google's
// authentication emulator, and mien takes the token only where it is told of the emulator; RS256 tokens signed by a test key
// are judged by firebase-admin and by mien, and mien accepts nothing that firebase-admin refuses.
//
// The libraries take 430 MB, so this is not part of `make test` (tests/http/identity.test.mjs is, and needs no library):
//     npm install --prefix tests/firebase && npm test --prefix tests/firebase
// It needs no network once they are installed, and a built tree (MIEN_BUILD; default build/).
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHmac, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { post, startReal } from '../http/helper.mjs';

const modules = path.join(path.dirname(fileURLToPath(import.meta.url)), 'node_modules');
const require = createRequire(import.meta.url);
const project = 'demo-mien', issuer = `https://securetoken.google.com/${project}`;
const limits = ['--rate-limit-routes', '/auth/verify-token=0'];
const enter = (server, id_token) => post(server, '/auth/verify-token', { id_token });

const folder = mkdtempSync(path.join(tmpdir(), 'mien-firebase-'));
after(() => rmSync(folder, { recursive: true }));

async function freePort() {
  const probe = net.createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address();
  probe.close();
  return port;
}

test('who signs up at the emulator comes in where the emulator is named, and nowhere else', async () => {
  const { AuthEmulator, SingleProjectMode } = require('firebase-tools/lib/emulator/auth');
  const { initializeApp, deleteApp } = await import('firebase/app');
  const { connectAuthEmulator, createUserWithEmailAndPassword, getAuth, inMemoryPersistence, initializeAuth, updateProfile } = await import('firebase/auth');
  const port = await freePort(), where = `127.0.0.1:${port}`;
  const emulator = new AuthEmulator({ host: '127.0.0.1', port, projectId: project, singleProjectMode: SingleProjectMode.NO_WARNING });
  await emulator.start();
  const app = initializeApp({ projectId: project, apiKey: 'for-the-emulator' });
  initializeAuth(app, { persistence: inMemoryPersistence });
  const auth = getAuth(app);
  connectAuthEmulator(auth, `http://${where}`, { disableWarnings: true });
  const { user } = await createUserWithEmailAndPassword(auth, 'ann@example.org', 'correct horse');
  await updateProfile(user, { displayName: 'Ann' });
  const token = await user.getIdToken(true);
  assert.equal(JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).alg, 'none');

  const named = await startReal(limits, { FIREBASE_PROJECT_ID: project, FIREBASE_AUTH_EMULATOR_HOST: where });
  const { status, json } = await enter(named, token);
  assert.equal(status, 200, JSON.stringify(json));
  assert.deepEqual([json.user.user_id, json.user.email, json.user.display_name, json.user.providers, json.user.is_guest],
    [user.uid, 'ann@example.org', 'Ann', ['password'], false]);
  const profile = await fetch(`${named.base}/auth/profile`, { headers: { authorization: `Bearer ${json.access_token}` } });
  assert.equal((await profile.json()).user_id, user.uid);
  assert.equal(await named.stop(), 0);

  const admin = require('firebase-admin');
  process.env.FIREBASE_AUTH_EMULATOR_HOST = where; // Google's own server library sees the same person
  const own = admin.initializeApp({ projectId: project }, 'emulated');
  assert.equal((await own.auth().verifyIdToken(token)).uid, user.uid);
  delete process.env.FIREBASE_AUTH_EMULATOR_HOST;
  await own.delete();

  for (const environment of [{ FIREBASE_PROJECT_ID: project }, { FIREBASE_PROJECT_ID: 'other', FIREBASE_AUTH_EMULATOR_HOST: where }, {}]) {
    const other = await startReal(limits, environment);
    assert.equal((await enter(other, token)).status, 401, JSON.stringify(environment));
    assert.equal(await other.stop(), 0);
  }
  await deleteApp(app);
  await emulator.stop();
});

const encode = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');
function certificate(name) {
  const [key, file] = [path.join(folder, `${name}.key`), path.join(folder, `${name}.pem`)];
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', file, '-days', '2', '-subj', '/CN=securetoken'], { stdio: 'ignore' });
  return { key: createPrivateKey(readFileSync(key)), pem: readFileSync(file, 'utf8') };
}

test('mien and firebase-admin agree about tokens that a test key signed', async () => {
  const first = certificate('first'), second = certificate('second'), stranger = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  let served = { first: first.pem };
  const keys = http.createServer((request, reply) => {
    reply.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'public, max-age=20000, must-revalidate, no-transform' });
    reply.end(JSON.stringify(served));
  }).listen(0, '127.0.0.1');
  await once(keys, 'listening');
  const url = `http://127.0.0.1:${keys.address().port}/robot/v1/metadata/x509/securetoken`;
  const admin = require('firebase-admin');
  const { FirebaseTokenVerifier, ID_TOKEN_INFO } = require(path.join(modules, 'firebase-admin/lib/auth/token-verifier.js'));
  const app = admin.initializeApp({ projectId: project }, 'signed');
  let verifier = new FirebaseTokenVerifier(url, 'https://securetoken.google.com/', ID_TOKEN_INFO, app);
  const server = await startReal(limits, { FIREBASE_PROJECT_ID: project, FIREBASE_KEYS_URL: url });

  const now = Math.floor(Date.now() / 1000);
  const claims = (changed) => ({ iss: issuer, aud: project, sub: 'ann', user_id: 'ann', iat: now - 5, exp: now + 3600, auth_time: now - 5, firebase: { identities: {}, sign_in_provider: 'password' }, ...changed });
  const token = (changed = {}, { key = first.key, header = {}, hash = 'RSA-SHA256' } = {}) => {
    const text = `${encode({ alg: 'RS256', typ: 'JWT', kid: 'first', ...header })}.${encode(claims(changed))}`;
    return `${text}.${sign(hash, Buffer.from(text), key).toString('base64url')}`;
  };
  const hmac = () => {
    const text = `${encode({ alg: 'HS256', kid: 'first' })}.${encode(claims({}))}`;
    return `${text}.${createHmac('sha256', first.pem).update(text).digest('base64url')}`;
  };
  const cases = {
    'a good one': token(), 'one without an address': token({ email: undefined }), 'one of a long subject': token({ sub: 'u'.repeat(128) }),
    'one without auth_time': token({ auth_time: undefined }), 'one without firebase claims': token({ firebase: undefined }),
    'another project': token({ aud: 'other' }), 'several projects': token({ aud: [project] }), 'another issuer': token({ iss: 'https://example.org' }),
    'no subject': token({ sub: undefined }), 'an empty subject': token({ sub: '' }), 'a number as subject': token({ sub: 5 }), 'a subject too long': token({ sub: 'u'.repeat(129) }),
    'expired': token({ exp: now - 60 }), 'no end': token({ exp: undefined }), 'the future': token({ iat: now + 7200 }), 'not yet': token({ nbf: now + 7200 }),
    'unsigned': `${encode({ alg: 'none', kid: 'first' })}.${encode(claims({}))}.`, 'no signature': token().replace(/[^.]*$/, ''), 'a stranger': token({}, { key: stranger }),
    'a secret': hmac(), 'RS512': token({}, { header: { alg: 'RS512' }, hash: 'RSA-SHA512' }), 'an unknown key': token({}, { header: { kid: 'unknown' } }),
    'no key id': token({}, { header: { kid: undefined } }), 'rubbish': 'a.b.c', 'nothing': '..',
  };
  const verdicts = async (text) => [(await enter(server, text)).status === 200, await verifier.verifyJWT(text).then(() => true, () => false)];
  for (const [name, text] of Object.entries(cases)) {
    const [ours, theirs] = await verdicts(text);
    console.log(`# ${name}: mien ${ours ? 'accepts' : 'refuses'}, firebase-admin ${theirs ? 'accepts' : 'refuses'}`);
    assert.ok(!ours || theirs, `${name}: accepted here, refused by firebase-admin`);
    if (name.startsWith('a good') || name.startsWith('one ')) assert.deepEqual([ours, theirs], [true, true], name);
  }
  served = { second: second.pem }; // rotation: firebase-admin waits for max-age, mien asks when it meets an unknown key
  const rotated = token({}, { key: second.key, header: { kid: 'second' } });
  assert.equal((await enter(server, rotated)).status, 200);
  verifier = new FirebaseTokenVerifier(url, 'https://securetoken.google.com/', ID_TOKEN_INFO, app);
  assert.deepEqual(await verdicts(rotated), [true, true]);
  assert.deepEqual(await verdicts(token()), [false, false], 'the old key is gone');
  assert.equal(await server.stop(), 0);
  await app.delete();
  keys.closeAllConnections();
  keys.close();
});
