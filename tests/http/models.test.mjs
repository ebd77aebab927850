// Guards the choice of a model by name, and that models are exchanged while requests run: none fails, files that are no
// models change nothing, and a name is never a path.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { post, root, startReal, upload, WebSocketClient } from './helper.mjs';

const folder = mkdtempSync(path.join(tmpdir(), 'mien-models-'));
after(() => rmSync(folder, { recursive: true }));
const shipped = readFileSync(path.join(root, 'models/emotion.onnx'));
let names; // of one length: a name is changed in the file's own text

before(async () => {
  const server = await startReal([]), own = (await listed(server))[0].card.name;
  assert.equal(await server.stop(), 0);
  names = [own, ...['next', 'last'].map((end) => own.slice(0, -4) + end)];
});

/** The shipped model under another name. Whole before it stands there, as a deployment does it. */
function writeModel(file, name) {
  const bytes = Buffer.from(shipped), at = bytes.indexOf(names[0]);
  assert.ok(at > 0);
  for (let i = at; i >= 0; i = bytes.indexOf(names[0], i + 1)) bytes.write(name, i);
  writeFileSync(`${file}.new`, bytes);
  renameSync(`${file}.new`, file);
  return file;
}

/** A grey picture (binary PGM is not read, so BMP) in which a face box can be given: 64 × 64, 24 bits. */
function picture(shade) {
  const side = 64, bytes = Buffer.alloc(54 + side * side * 3, shade);
  bytes.write('BM'); bytes.writeUInt32LE(bytes.length, 2); bytes.writeUInt32LE(0, 6); bytes.writeUInt32LE(54, 10);
  bytes.writeUInt32LE(40, 14); bytes.writeInt32LE(side, 18); bytes.writeInt32LE(side, 22); bytes.writeUInt16LE(1, 26);
  bytes.writeUInt16LE(24, 28); bytes.fill(0, 30, 54);
  for (let i = 54; i < bytes.length; i++) bytes[i] = (shade + i * 7) & 255;
  return bytes;
}

/** Wait until the log says it. */
async function logged(server, pattern, from = 0) {
  while (!pattern.test(server.log.slice(from))) await once(server.child.stderr, 'data');
}

const listed = async (server) => (await (await fetch(`${server.base}/api/models`)).json()).models;
const faces = (server, query = '', shade = 1) => post(server, `/api/faces${query}`, picture(shade), { 'content-type': 'image/bmp' });
const detect = async (server, query = '') => (await post(server, `/api/detect${query}`,
  { image: picture(9).toString('base64'), face_bounds: { x: 0, y: 0, width: 64, height: 64 } }));

test('several models: the first answers, any other by name; never by path', async () => {
  const models = path.join(folder, 'several');
  mkdirSync(models);
  const first = writeModel(path.join(folder, 'first.onnx'), names[1]);
  writeModel(path.join(models, 'b.onnx'), names[0]);
  writeModel(path.join(models, 'a.onnx'), names[2]);
  writeModel(path.join(models, 'c.onnx'), names[2]);
  writeFileSync(path.join(models, 'notes.txt'), 'no model');
  const server = await startReal(['--model', first, '--model-path', models, '--rate-limit-faces', '0']);
  const list = await listed(server);
  assert.deepEqual(list.map((m) => m.id), [`mien/${names[1]}`, `mien/${names[2]}`, `mien/${names[0]}`, `mien/${names[2]}-2`]);
  assert.deepEqual(list.map((m) => m.is_default), [true, false, false, false]);
  assert.deepEqual(list.map((m) => m.card.name), [names[1], names[2], names[0], names[2]]);
  assert.equal((await faces(server)).json.model, `mien/${names[1]}`);
  for (const [asked, answered] of [[`mien/${names[0]}`, `mien/${names[0]}`], [names[0], `mien/${names[0]}`],
    [`mien%2F${names[2]}-2`, `mien/${names[2]}-2`], ['a', `mien/${names[2]}`], ['', `mien/${names[1]}`]])
    assert.equal((await faces(server, `?model=${asked}`)).json.model, answered, asked);
  assert.equal((await detect(server, `?model=${names[0]}`)).json.model_used, `mien/${names[0]}`);
  assert.equal((await detect(server)).json.model_used, `mien/${names[1]}`);
  for (const bad of ['nope', first, '../first', 'first.onnx', 'x'.repeat(500), '%00']) {
    for (const where of ['/api/faces', '/predict_file', '/api/detect']) {
      const query = `?model=${encodeURIComponent(bad)}`;
      const { status, json } = where === '/predict_file' ? await upload(server, where + query, picture(1), { name: 'a.bmp', type: 'image/bmp' })
        : where === '/api/detect' ? await detect(server, query) : await faces(server, query);
      assert.equal(status, 400, `${where} ${bad}`);
      assert.match(json.detail ?? json.error, /Invalid model ID/);
    }
  }
  // the selection is the detector dialect's alone
  assert.equal((await post(server, '/api/models/select', { model_id: `mien/${names[0]}` })).json.selected_model, `mien/${names[0]}`);
  assert.equal((await detect(server)).json.model_used, `mien/${names[0]}`);
  assert.equal((await faces(server)).json.model, `mien/${names[1]}`);
  const socket = await WebSocketClient.open(server, `/ws?model=${names[2]}`);
  socket.sendBinary(picture(3));
  assert.equal((await socket.next()).data.model_used, `mien/${names[2]}`);
  socket.close();
  const lost = await WebSocketClient.open(server, '/ws?model=nope');
  lost.sendBinary(picture(3));
  assert.deepEqual(await lost.next(), { type: 'error', data: { error: 'Invalid model ID: nope' }, dropped: 0 });
  lost.close();
  assert.equal(await server.stop(), 0);
});

test('a model that is exchanged under load fails no request, and both answer in turn', async () => {
  const file = writeModel(path.join(folder, 'swap.onnx'), names[0]);
  const server = await startReal(['--model', file, '--rate-limit-faces', '0']);
  const seen = new Map();
  let running = true, shade = 0;
  const ask = async (query) => {
    for (;running;) {
      const { status, json } = await faces(server, query, shade++ & 255);
      assert.equal(status, 200, JSON.stringify(json));
      seen.set(json.model, (seen.get(json.model) ?? 0) + 1);
    }
  };
  const socket = await WebSocketClient.open(server, `/ws?model=${names[0]}`); // asks on by the first name
  const stream = async () => {
    for (;running;) {
      socket.sendBinary(picture(shade++ & 255));
      const answer = await socket.next();
      assert.equal(answer.type, 'result', JSON.stringify(answer));
    }
  };
  const clients = [ask(''), ask(''), ask(`?model=${names[0]}`), ask('?model=swap'), stream()];
  for (let turn = 1; turn <= 6; turn++) {
    const from = server.log.length, next = names[turn % names.length];
    writeModel(file, next);
    server.child.kill('SIGHUP');
    await logged(server, new RegExp(`model mien/${next} takes the place of mien/`), from);
    assert.equal((await faces(server)).json.model, `mien/${next}`);
  }
  running = false;
  await Promise.all(clients);
  socket.close();
  assert.deepEqual([...seen.keys()].sort(), names.map((name) => `mien/${name}`).sort());
  assert.equal((await listed(server)).length, 1);
  assert.equal(await server.stop(), 0);
});

test('a file that is no model, or is away, leaves the model where it is and says so', async () => {
  const file = writeModel(path.join(folder, 'stays.onnx'), names[1]);
  const server = await startReal(['--model', file]);
  for (const spoil of [() => writeFileSync(file, 'not a model'), () => writeFileSync(file, shipped.subarray(0, 5000)), () => rmSync(file)]) {
    const from = server.log.length;
    spoil();
    server.child.kill('SIGHUP');
    await logged(server, new RegExp(`model mien/${names[1]} stays, its file cannot be taken over: .*stays\\.onnx`), from);
    assert.equal((await faces(server)).json.model, `mien/${names[1]}`);
  }
  assert.equal(await server.stop(), 0);
});

test('a folder takes up new models at a reload; an empty one is refused at the start', async () => {
  const models = path.join(folder, 'growing');
  mkdirSync(models);
  await assert.rejects(startReal(['--model', models]), /there is no model in this folder/);
  writeModel(path.join(models, 'one.onnx'), names[0]);
  const server = await startReal(['--model', models, '--rate-limit-faces', '0']);
  writeModel(path.join(models, 'two.onnx'), names[1]);
  server.child.kill('SIGHUP');
  await logged(server, new RegExp(`model mien/${names[1]} is new`));
  assert.deepEqual((await listed(server)).map((m) => m.id), [`mien/${names[0]}`, `mien/${names[1]}`]);
  assert.equal((await faces(server, '?model=two')).json.model, `mien/${names[1]}`);
  assert.equal(await server.stop(), 0);
});

test('without MODEL_PATH the models that ship answer, and stay at a reload', async () => {
  const server = await startReal([]);
  server.child.kill('SIGHUP');
  await logged(server, /models that ship are part of the program and stay/);
  assert.equal((await faces(server)).json.model, `mien/${names[0]}`);
  for (const { id } of await listed(server)) assert.equal((await faces(server, `?model=${id}`)).json.model, id);
  assert.equal(await server.stop(), 0);
});
