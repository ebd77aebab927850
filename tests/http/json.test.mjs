// Guards every route that takes JSON against what is not JSON, or is JSON at its edges: depth, numbers, escapes, UTF-8,
// duplicates, values of the wrong kind. The client's mistake is a 4xx with a reason, never a 5xx.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { base64, post, startStub } from './helper.mjs';

const free = ['/auth/verify-token', '/auth/register', '/auth/login', '/auth/refresh-token'].map((route) => `${route}=0`).join();
let server, token;
before(async () => {
  server = await startStub(['--rate-limit-requests', '0', '--rate-limit-faces', '0', '--rate-limit-routes', free, '--guest-max-usage', '1000000']);
  const { json } = await post(server, '/auth/register', { email: 'json@x.test', password: 'long enough 1', name: 'J' });
  token = json.access_token ?? json.data?.access_token;
});
after(async () => { assert.equal(await server.stop(), 0, server.log); });

const routes = ['/predict', '/predict_emotion', '/predict_emotion_stream', '/api/detect', '/api/detect/batch', '/api/models/select', '/api/faces',
  '/auth/register', '/auth/login', '/auth/logout', '/auth/refresh-token', '/auth/refresh-token/reset', '/auth/verify-token', '/auth/api-keys'];
const keys = ['image', 'img', 'frame', 'images', 'face_bounds', 'model_id', 'email', 'password', 'name', 'refresh_token', 'id_token', 'token', 'label'];

/** Send to every route; no answer is the server's own fault. @return the statuses. */
async function everywhere(body, what) {
  return Promise.all(routes.map(async (where) => {
    const reply = await post(server, where, body, token ? { authorization: `Bearer ${token}` } : {});
    assert.ok(reply.status < 500, `${where} answers ${reply.status} to ${what}: ${JSON.stringify(reply.json)}`);
    return reply.status;
  }));
}

const bytes = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part, 'latin1')));
const no = ['', ' ', '\n', '{', '}', '[', '[1,]', '[,1]', '[1 2]', '{"a":1,}', '{"a"}', '{"a":}', '{:1}', '{a:1}', "{'a':1}", '{"a":1 "b":2}', '{}{}', '[]x', '{"a":1}#',
  'nul', 'True', 'NaN', 'Infinity', '-Infinity', '[-]', '[01]', '[-01]', '[1.]', '[.5]', '[+1]', '[0x1]', '[1e]', '[1e+]', '[1_0]', '[1e400]', '[-1e400]',
  `[${'9'.repeat(400)}]`, '["', '["\\x"]', '["\\u12"]', '["\\u12G4"]', '["\\ud800"]', '["\\ud800\\u0041"]', '["\\udc00"]', '["\\ud800\\ud800"]', '["\\u0000"]',
  '["a\x01b"]', '["a\tb"]', '["a\nb"]', '["\x00"]', '[1]\x00', '/*c*/[]', '[]//c', '["\xff"]', '["\xc0\x80"]', '["\xe0\x80\xaf"]', '["\xed\xa0\x80"]', '["\xf4\x90\x80\x80"]',
  '["\xe2\x82"]', '["\x80"]', '\xef\xbb\xbf{}', '\xff\xfe{\x00}\x00', '{"image":"QQ==","image":"QQ=="}', '{"email":"a","\\u0065mail":"b"}',
  '['.repeat(100000), '['.repeat(5000) + ']'.repeat(5000), '{"image":'.repeat(5000) + '1' + '}'.repeat(5000)];

test('what is not JSON is refused by name', async () => {
  for (const text of no) {
    const what = JSON.stringify(text.slice(0, 60));
    for (const [i, status] of (await everywhere(bytes(text), what)).entries())
      if (!/logout|api-keys|reset/.test(routes[i])) // which need no body at all
        assert.ok(status >= 400, `${routes[i]} answers ${status} to ${what}`);
  }
});

test('JSON of the wrong kind is no fault of the server', async () => {
  const deep = (depth) => (depth ? [deep(depth - 1)] : []);
  const values = [null, true, 0, -0, 1e300, -1e300, 1e-320, 2 ** 53, '', ' ', '\u0001', '\ud83d\ude00'.repeat(50), 'x'.repeat(100000), [], [[]], {}, { image: {} },
    deep(500), [null], base64('none'), `data:,${base64('none')}`, 'data:', 'data:image/png;base64,', '====', { x: 1e308, y: -1e308, width: 1e308, height: 1 }];
  for (const value of values) {
    const what = JSON.stringify(value).slice(0, 60);
    await everywhere(JSON.stringify(value), what);
    await everywhere(JSON.stringify(Object.fromEntries(keys.map((key) => [key, value]))), `{…: ${what}}`);
    await everywhere(JSON.stringify(Object.fromEntries(keys.map((key) => [key, key === 'face_bounds' ? value : base64('faces 1')]))), `{face_bounds: ${what}}`);
  }
  await everywhere('{"image":"bm9uZQ==","face_bounds":{"x":9223372036854775808,"y":0,"width":1,"height":1}}', 'a number beyond 64 bits');
  await everywhere(JSON.stringify(Object.fromEntries(Array.from({ length: 20000 }, (_, i) => [`key ${i}`, i]))), 'many keys');
});
