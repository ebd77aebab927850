// Guards the description of the API: it covers every route of the server and nothing else, uses only what the checker in
// helper.mjs understands, and every operation of it answers as described, to a user and to a guest. Recognition is a stand-in.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { base64, conform, description, post, root, startStub, upload } from './helper.mjs';

let server, folder;
before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'mien-openapi-'));
  server = await startStub(['--data-dir', folder, '--rate-limit-requests', '0', '--rate-limit-routes', '/auth/register=0,/auth/login=0,/auth/verify-token=0']);
});
after(async () => {
  assert.equal(await server.stop(), 0);
  rmSync(folder, { recursive: true });
});

test('every route is described, and nothing else is', () => {
  const routes = readFileSync(path.join(root, 'src/server/routes.c'), 'utf8');
  const there = [...routes.matchAll(/\{HTTP_(\w+), "(\/[^"<]*)"/g)].map(([, method, where]) => `${method} ${where}`);
  const told = Object.entries(description.paths).flatMap(([where, operations]) => Object.keys(operations).map((m) => `${m.toUpperCase()} ${where}`));
  assert.ok(there.length > 30);
  assert.deepEqual(told.filter((one) => one !== 'GET /openapi.json').sort(), there.sort());
});

// JSON.parse keeps the last of two equal keys; Swagger UI refuses the whole document.
test('no key stands twice in one object', () => {
  const text = readFileSync(path.join(root, 'src/server/openapi.json'), 'utf8');
  assert.equal(text.trimEnd(), JSON.stringify(JSON.parse(text), null, 1));
});

test('the description uses no keyword that the checker passes over', () => {
  const checked = ['$ref', 'type', 'properties', 'required', 'additionalProperties', 'items', 'anyOf', 'oneOf', 'const', 'enum', 'minimum', 'maximum',
    'minItems', 'maxItems', 'format'];
  const silent = ['description', 'contentMediaType', 'example', 'default'];
  const walk = (schema, where) => {
    if (typeof schema !== 'object') return;
    for (const [key, value] of Object.entries(schema)) {
      assert.ok(checked.includes(key) || silent.includes(key), `${where}: ${key}`);
      if (key === 'properties') Object.entries(value).forEach(([name, one]) => walk(one, `${where}.${name}`));
      if (key === 'anyOf' || key === 'oneOf') value.forEach((one) => walk(one, where));
      if (key === 'items' || key === 'additionalProperties') walk(value, where);
    }
  };
  for (const [name, schema] of Object.entries(description.components.schemas)) walk(schema, name);
  for (const operations of Object.values(description.paths))
    for (const operation of Object.values(operations))
      for (const response of Object.values(operation.responses))
        for (const { schema } of Object.values(response.content ?? {})) walk(schema ?? {}, operation.summary);
});

test('the checker itself refuses what is wrong', () => {
  const box = { $ref: '#/components/schemas/Box' };
  conform({ x: 1, y: 2, width: 3, height: 4 }, box);
  for (const wrong of [{ x: 1, y: 2, width: 3 }, { x: 'a', y: 2, width: 3, height: 4 }, { x: 1, y: 2, width: 3, height: 4, z: 5 }, [], null])
    assert.throws(() => conform(wrong, box));
  assert.throws(() => conform('yesterday', { type: 'string', format: 'date-time' }));
});

// How to ask for each operation so that it succeeds. `body` is JSON, `file` the content of a form's file.
const detection = '{detection}'; // stands for the id of one in the user's history
const samples = {
  'GET /': {}, 'GET /health': {}, 'GET /healthz': {}, 'GET /readyz': {}, 'GET /metrics': {}, 'GET /openapi.json': {}, 'GET /docs': {}, 'GET /redoc': {},
  'POST /predict': { body: { image: base64('faces 2') } },
  'POST /predict_file': { file: 'faces 2' },
  'POST /predict_emotion': { body: { image: base64('faces 2') } },
  'POST /predict_emotion_stream': { body: { frame: base64('faces 2') } },
  'POST /api/detect': { file: 'faces 2' },
  'POST /api/detect/upload': { file: 'faces 2' },
  'POST /api/detect/batch': { file: 'faces 2', field: 'files' },
  'GET /api/detect/status/{id}': { id: detection },
  'GET /api/status': {}, 'GET /api/models': {}, 'GET /api/notice': {},
  'POST /api/models/select': { body: { model_id: 'mien/stub' } },
  'POST /api/faces': { file: 'faces 2' },
  'POST /auth/verify-token': { body: { id_token: 'a.b.c' }, status: 401 }, // identity.test.mjs brings real ones
  'POST /auth/register': { body: { email: 'new@example.org', password: 'correct horse' } },
  'POST /auth/login': { body: { email: 'ann@example.org', password: 'correct horse' } },
  'POST /auth/logout': { body: { refresh_token: 'gone' } },
  'GET /auth/profile': {}, 'GET /auth/usage': {},
  'POST /auth/refresh-token': { body: { refresh_token: '{refresh}' } },
  'POST /auth/api-keys': { body: { label: 'camera' }, status: 201 },
  'DELETE /auth/api-keys': {},
  'GET /api/history': {},
  'GET /api/history/{id}': { id: detection },
  'GET /api/history/{id}/picture': { id: detection },
  'DELETE /api/history/{id}': { id: detection, status: 204 },
  'DELETE /api/history': { status: 204 },
  'POST /auth/refresh-token/reset': {},
  'DELETE /auth/profile': { status: 204 },
};

async function ask(name, { id, body, file, field = 'file' }, token) {
  const [method, where] = name.split(' ');
  const form = file === undefined ? undefined : new FormData();
  form?.append(field, new Blob([file], { type: 'image/jpeg' }), 'a.jpg');
  const reply = await fetch(server.base + where.replace('{id}', id), {
    method,
    body: form ?? (body && JSON.stringify(body)),
    headers: { ...(body ? { 'content-type': 'application/json' } : {}), ...(token ? { authorization: `Bearer ${token}` } : {}) },
  });
  await reply.arrayBuffer();
  return reply.status;
}

test('every operation answers as described, to a user and to a guest', async () => {
  const told = Object.entries(description.paths).flatMap(([where, operations]) => Object.keys(operations).map((m) => `${m.toUpperCase()} ${where}`));
  assert.deepEqual(Object.keys(samples).sort(), told.sort());
  const { json } = await post(server, '/auth/register', { email: 'ann@example.org', password: 'correct horse' });
  const { access_token: token, refresh_token: refresh } = json;
  const kept = (await upload(server, '/api/detect', 'faces 1', { headers: { authorization: `Bearer ${token}` } })).json.detection_id;
  const fill = (sample) => JSON.parse(JSON.stringify(sample).replace('{detection}', kept).replace('{refresh}', refresh));
  for (const [name, sample] of Object.entries(samples)) await ask(name, fill(sample)); // a guest: whatever the status, described
  const again = await post(server, '/auth/login', { email: 'ann@example.org', password: 'correct horse' });
  for (const [name, sample] of Object.entries(samples)) {
    if (name === 'POST /auth/register') sample.body.email = 'another@example.org';
    assert.equal(await ask(name, fill(sample), again.json.access_token), sample.status ?? 200, name);
  }
});

test('mistakes in each operation are answered as described', async () => {
  for (const name of Object.keys(samples)) {
    const [method, where] = name.split(' ');
    if (method === 'DELETE') continue;
    for (const [type, body] of [['application/json', '{bad'], ['application/json', '[]'], ['application/json', '5'], ['multipart/form-data; boundary=B', '--B--\r\n'],
      ['multipart/form-data', 'x'], ['text/plain', ''], ['application/json', '{"image":"","frame":"","images":5,"email":1,"id_token":null}']])
      await (await fetch(server.base + where.replace('{id}', 'nope'), { method, headers: method === 'GET' ? {} : { 'content-type': type }, body: method === 'GET' ? undefined : body })).arrayBuffer();
  }
});
