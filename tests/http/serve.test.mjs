// Guards the command `mien serve` itself: help, refused settings, --check, .env files, logs, a real picture, signals.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after } from 'node:test';
import { build, shared, startReal, upload } from './helper.mjs';

const program = path.resolve(process.env.MIEN || path.join(build, 'mien'));
const folder = mkdtempSync(path.join(tmpdir(), 'mien-serve-'));
after(() => rmSync(folder, { recursive: true }));
const run = (flags, environment = {}) => {
  const done = spawnSync(program, ['serve', ...flags], { cwd: folder, env: { PATH: process.env.PATH, ...environment }, encoding: 'utf8', timeout: 60000 });
  return { status: done.status, out: done.stdout, error: done.stderr };
};

test('--help lists every setting with its default', () => {
  const { status, out } = run(['--help']);
  assert.equal(status, 0);
  for (const word of ['--port, PORT', 'MODEL_PATH', 'HF_API_KEY', 'RATE_LIMIT_REQUESTS', 'Default: 8000; from 0 to 65535', '--env-file', '--check'])
    assert.ok(out.includes(word), word);
});

test('a wrong value is refused at start by name, with the range, and without repeating secrets', () => {
  const cases = [
    [['--port', '70000'], {}, /PORT.*from 0 to 65535/],
    [[], { PORT: 'http' }, /PORT \(environment\)/],
    [['--nonsense'], {}, /unknown option --nonsense/],
    [['--tls-key', 'x'], {}, /TLS_CERTIFICATE and TLS_KEY/],
    [[], { SECRET_KEY: 'your_secret_key_here' }, /SECRET_KEY/],
    [[], { JWT_SECRET: 'my-your_secret_key_here-but-long-enough-to-pass' }, /SECRET_KEY.*example/],
    [[], { SECRET_KEY: 'short' }, /SECRET_KEY.*32 characters/],
    [[], { HF_API_KEY: 'hf_xxxxxxxxxxxxxxxx' }, /HF_API_KEY/],
    [['--secret-key=your_secret_key_here'], {}, /unknown option --secret-key/], // others could read it in the list of processes
    [[], { FIREBASE_AUTH_EMULATOR_HOST: 'localhost:9099' }, /FIREBASE_PROJECT_ID/],
    [[], { FIREBASE_AUTH_EMULATOR_HOST: 'localhost:9099', FIREBASE_PROJECT_ID: 'p', ENVIRONMENT: 'production' }, /FIREBASE_AUTH_EMULATOR_HOST/],
    [['--scale-factor', '1'], {}, /SCALE_FACTOR/],
    [['--precision', 'f16'], {}, /MODEL_PRECISION.*one of: auto f32 bf16 int8/],
    [['--min-face', '-1'], {}, /MIN_FACE.*from 0 to 10000/],
  ];
  for (const [flags, environment, message] of cases) {
    const { status, error } = run(flags, environment);
    assert.equal(status, 2, String(message));
    assert.match(error, message);
    assert.ok(!error.includes('your_secret_key_here') && !error.includes('hf_xxxx'));
  }
});

test('--check looks at settings and models; an address that cannot be had is an error', () => {
  assert.equal(run(['--check']).status, 0);
  assert.equal(run(['--check'], { FIREBASE_AUTH_EMULATOR_HOST: 'localhost:9099', FIREBASE_PROJECT_ID: 'p', ENVIRONMENT: 'development' }).status, 0);
  const { status, error } = run(['--check', '--model-path', '/nonexistent.onnx']);
  assert.equal(status, 1);
  assert.match(error, /nonexistent/);
  assert.equal(run(['--host', '203.0.113.1', '--port', '0']).status, 1);
});

test('--check beside a running server, which alone may use the folder; its secrets are for its user only', async () => {
  const data = path.join(folder, 'data');
  const server = await startReal(['--data-dir', data]);
  assert.equal(run(['--check', '--data-dir', data]).status, 0);
  const second = run(['--port', '0', '--data-dir', data]);
  assert.equal(second.status, 1);
  assert.match(second.error, /in use by another mien/);
  assert.equal(statSync(data).mode & 0o077, 0);
  assert.equal(statSync(path.join(data, 'secret_key')).mode & 0o077, 0);
  assert.equal((await fetch(`${server.base}/readyz`)).status, 200);
  assert.equal(await server.stop(), 0);
});

test('settings come from a file, recognition is real, logs are JSON without persons, SIGTERM ends it', async () => {
  const file = path.join(folder, 'settings');
  writeFileSync(file, 'LOG_FORMAT=json\nENVIRONMENT="staging" # comment\n');
  const server = await startReal(['--env-file', file]);
  assert.equal((await (await fetch(`${server.base}/health`)).json()).environment, 'staging');
  const photo = path.join(shared, 'photos/astronaut.png');
  if (existsSync(photo)) {
    const { status, json } = await upload(server, '/predict_file', readFileSync(photo), { name: 'astronaut.png', type: 'image/png' });
    assert.equal(status, 200);
    assert.ok(json.faces_count >= 1);
  } else {
    console.log('# skipped: photos/astronaut.png is not here');
  }
  // a grey picture of one pixel has no face, and is no error
  const pixel = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==', 'base64');
  const none = await upload(server, '/predict_file', pixel, { name: 'p.png', type: 'image/png' });
  assert.deepEqual([none.status, none.json.faces_count], [200, 0]);
  assert.equal(await server.stop(), 0);
  const lines = server.log.trim().split('\n').map((line) => JSON.parse(line));
  const request = lines.find((line) => line.route === '/predict_file');
  assert.equal(request.status, 200);
  assert.match(request.id, /^[0-9a-f]{16}$/);
  assert.ok(!server.log.includes('127.0.0.1'));
});
