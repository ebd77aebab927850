// Guards remote models: the wire format, waiting for a model that loads, alternatives, and slow, failing and lying answers,
// against a local stand-in that speaks the inference endpoint's format. Recognition is a stand-in, too.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import test, { after, before, beforeEach } from 'node:test';
import { base64, post, startStub, WebSocketClient } from './helper.mjs';

let endpoint, server, seen, script;
const good = [{ label: 'joy', score: 0.7 }, { label: 'Sadness', score: 0.1 }, { label: 'calm', score: 0.2 }];
const answerWith = (status, body) => (reply) => {
  reply.writeHead(status, { 'content-type': 'application/json' });
  reply.end(typeof body === 'string' ? body : JSON.stringify(body));
};

before(async () => {
  endpoint = http.createServer((request, reply) => {
    const parts = [];
    request.on('data', (data) => parts.push(data));
    request.on('end', () => {
      const model = request.url.replace('/models/', '');
      seen.push({ model, method: request.method, key: request.headers.authorization, body: Buffer.concat(parts).toString() });
      const next = script[model];
      (Array.isArray(next) ? next.length > 1 ? next.shift() : next[0] : next ?? answerWith(404, {}))(reply);
    });
  });
  endpoint.listen(0, '127.0.0.1').unref();
  await once(endpoint, 'listening');
  server = await startStub(['--hf-endpoint', `http://127.0.0.1:${endpoint.address().port}/models`, '--hf-model-id', 'a/first',
    '--hf-alt-models', 'b/second', '--rate-limit-requests', '0', '--cache-size', '0', '--request-timeout', '3'],
  { HF_API_KEY: 'hf_0123456789abcdef' });
});
after(async () => {
  assert.equal(await server.stop(), 0);
  endpoint.closeAllConnections();
  endpoint.close();
});
beforeEach(() => { seen = []; script = {}; });
const detect = () => post(server, '/api/detect', { image: base64('faces 1') });

test('the picture goes out as it is, labels come back by any of their names', async () => {
  script['a/first'] = answerWith(200, good);
  const { status, json } = await detect();
  assert.equal(status, 200);
  assert.deepEqual(seen, [{ model: 'a/first', method: 'POST', key: 'Bearer hf_0123456789abcdef', body: 'faces 1' }]);
  assert.equal(json.model_used, 'a/first');
  assert.equal(json.emotion, 'happy');
  assert.ok(Math.abs(json.confidence - 0.7) < 1e-6);
  assert.ok(Math.abs(json.all_scores.neutral - 0.2) < 1e-6);
  script['a/first'] = answerWith(200, [good]); // newer endpoints nest the list
  assert.equal((await detect()).json.emotion, 'happy');
  await post(server, '/api/detect', { image: base64('none') });
  assert.equal(seen.length, 2, 'a picture without a face is not sent');
});

test('a model that is loading is waited for', async () => {
  script['a/first'] = [answerWith(503, { error: 'loading', estimated_time: 0.2 }), answerWith(200, good)];
  assert.equal((await detect()).json.model_used, 'a/first');
  assert.equal(seen.length, 2);
});

test('failing, lying and silent models are passed over, our own stands last', async () => {
  script['b/second'] = answerWith(200, good);
  const lies = [
    answerWith(500, 'oops'), answerWith(200, 'not json'), answerWith(200, {}), answerWith(200, []), answerWith(200, [{ label: 'joy', score: 'much' }]),
    answerWith(200, [{ label: 'joy', score: -1 }]), answerWith(200, [{ label: 'joy', score: 1e308 }]), answerWith(200, [{ label: 'cat', score: 1 }]),
    answerWith(200, '['.repeat(100000)), answerWith(200, 'x'.repeat(200000)), answerWith(302, ''), answerWith(401, {}),
    answerWith(200, [{ label: null, score: 0.5 }]), answerWith(503, { estimated_time: 1e9 }), (reply) => reply.destroy(),
  ];
  for (const lie of lies) {
    script['a/first'] = lie;
    assert.equal((await detect()).json.model_used, 'b/second');
  }
  script['b/second'] = answerWith(500, {});
  const { status, json } = await detect();
  assert.deepEqual([status, json.success, json.model_used, json.emotion], [200, true, 'mien/stub', 'happy']);
  assert.ok(Math.abs(json.confidence - 0.6) < 1e-6);
  script['a/first'] = () => {}; // never answers
  const late = await detect();
  assert.deepEqual([late.status, late.json.model_used], [200, 'mien/stub']);
  assert.ok(!server.log.includes('hf_0123456789abcdef'), 'the key is not logged');
});

test('models are listed and selected, over /ws too', async () => {
  const models = await (await fetch(`${server.base}/api/models`)).json();
  assert.deepEqual(models.models.map((m) => [m.id, m.selected, m.is_primary]), [['a/first', true, true], ['b/second', false, false], ['mien/stub', false, false]]);
  script['b/second'] = answerWith(200, good);
  const socket = await WebSocketClient.open(server, '/ws');
  socket.sendText({ type: 'model_select', data: { model_id: 'b/second' } });
  assert.deepEqual(await socket.next(), { type: 'model_selected', data: { success: true, selected_model: 'b/second' } });
  socket.sendBinary('faces 1');
  assert.equal((await socket.next()).data.model_used, 'b/second');
  socket.close();
  assert.equal((await (await fetch(`${server.base}/api/status`)).json()).current_model, 'b/second');
  assert.equal((await post(server, '/api/models/select', { model_id: 'mien/stub' })).status, 200);
  assert.equal((await detect()).json.model_used, 'mien/stub');
  assert.equal(seen.length, 1);
});
