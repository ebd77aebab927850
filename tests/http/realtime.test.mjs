// Guards history-api's realtime service over Socket.IO: who may come in, what each event is answered with (fields, types and
// codes as the original sends them), identities across frames, binary frames, only the newest frame kept, metrics.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { io } from 'socket.io-client';
import { base64, post, startStub } from './helper.mjs';
import { RawSocket } from './echo_server.mjs';

const secret = 'a secret for tests only, 0123456789abcdef';
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function token(claims = {}, key = secret, header = { alg: 'HS256', typ: 'JWT' }) {
  const now = Math.floor(Date.now() / 1000);
  const text = `${encode(header)}.${encode({ sub: user, type: 'access', iat: now, exp: now + 600, jti: 'x', ...claims })}`;
  return `${text}.${createHmac('sha256', key).update(text).digest('base64url')}`;
}

let server;
let user; // id of a registered one
let access; // token that the server issued
before(async () => {
  server = await startStub([], { SECRET_KEY: secret });
  const { json } = await post(server, '/auth/register', { email: 'ann@example.com', password: 'correct horse' });
  access = json.access_token;
  user = JSON.parse(Buffer.from(access.split('.')[1], 'base64url')).sub;
});
after(async () => assert.equal(await server.stop(), 0, server.log));

const sockets = new Set();
after(() => sockets.forEach((socket) => socket.disconnect()));

function connect(options = {}) {
  const socket = io(`${server.base}/emotion-detection`, {
    forceNew: true, reconnection: false, transports: ['websocket'], auth: { token: access }, ...options,
  });
  sockets.add(socket);
  return socket;
}

const isTime = (value) => assert.ok(Math.abs(value - Date.now() / 1000) < 60, `${value} is no time stamp`);

/** Emit and wait for one answer. */
async function ask(socket, event, value, answer) {
  const answered = once(socket, answer);
  socket.emit(event, value);
  return (await answered)[0];
}

async function open(options) {
  const socket = connect(options);
  await once(socket, 'connect');
  return socket;
}

async function started(options) {
  const socket = await open(options);
  assert.equal((await ask(socket, 'control', { action: 'start', config: { skipFrameProcessing: false } }, 'status')).code, 200);
  return socket;
}

describe('coming in', () => {
  const refused = {
    'no token': () => ({}),
    'an empty one': () => ({ token: '' }),
    'a number': () => ({ token: 7 }),
    'rubbish': () => ({ token: 'x' }),
    'another key': () => ({ token: token({}, 'another secret that nobody here knows') }),
    'an expired one': () => ({ token: token({ exp: 1000 }) }),
    'a refresh token': () => ({ token: token({ type: 'refresh' }) }),
    'one without sub': () => ({ token: token({ sub: undefined }) }),
    'one of a user that does not exist': () => ({ token: token({ sub: 'nobody' }) }),
    'one that says it is unsigned': () => ({ token: `${encode({ alg: 'none' })}.${encode({ sub: user, type: 'access', iat: 1, exp: 9e9 })}.` }),
  };
  for (const [name, auth] of Object.entries(refused)) {
    it(`refuses ${name}`, async () => {
      const socket = connect({ auth: auth() });
      const [error] = await once(socket, 'connect_error');
      assert.match(error.message, /token/);
      socket.disconnect();
    });
  }

  it('shakes hands as the original does', async () => {
    const ask = (query) => fetch(`${server.base}/socket.io/?${query}`);
    for (const query of ['EIO=4&transport=polling', 'EIO=4']) {
      const reply = await ask(query);
      assert.deepEqual([reply.status, reply.headers.get('content-type')], [200, 'text/plain; charset=UTF-8'], query);
      const { sid, upgrades, pingInterval, pingTimeout } = JSON.parse((await reply.text()).slice(1));
      assert.deepEqual([typeof sid, upgrades, pingInterval, pingTimeout], ['string', ['websocket'], 25000, 20000]);
      const where = `EIO=4&transport=polling&sid=${sid}`;
      const entered = await fetch(`${server.base}/socket.io/?${where}`, { method: 'POST', body: `40/emotion-detection,${JSON.stringify({ token: access })}` });
      assert.equal((await entered.text()).toLowerCase(), 'ok');
      assert.match(await (await ask(where)).text(), /^40\/emotion-detection,\{"sid":"[^"]+"\}$/);
    }
    for (const query of ['EIO=3&transport=polling', 'transport=polling', 'EIO=4&transport=abc', 'EIO=4&transport=polling&sid=nope'])
      assert.equal((await ask(query)).status, 400, query);
  });

  it('refuses with CONNECT_ERROR on the wire, also unknown namespaces, but not the main one', async () => {
    const raw = new RawSocket(`${server.base.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
    await raw.next();
    raw.send('40/emotion-detection,{"token":"x"}');
    assert.equal(await raw.next(), '44/emotion-detection,{"message":"Invalid or expired token"}');
    raw.send('40');
    assert.match(await raw.next(), /^40\{"sid":"/);
    raw.send('40/nope,');
    assert.equal(await raw.next(), '44/nope,{"message":"Invalid namespace"}');
    raw.close();
  });

  for (const transports of [['polling'], ['websocket'], ['polling', 'websocket']]) {
    it(`accepts an access token over ${transports.join(' and ')}`, async () => {
      const socket = await open({ transports });
      assert.equal(typeof socket.id, 'string');
      socket.disconnect();
    });
  }

  it('survives a client that leaves while its token is looked at', async () => {
    for (let i = 0; i < 20; i++) {
      const raw = new RawSocket(`${server.base.replace('http', 'ws')}/socket.io/?EIO=4&transport=websocket`);
      await raw.next();
      raw.send(`40/emotion-detection,${JSON.stringify({ token: access })}`);
      raw.socket.terminate();
      await raw.closed;
    }
    (await open()).disconnect();
  });
});

describe('events', () => {
  let socket;
  before(async () => { socket = await open(); });
  after(() => socket.disconnect());

  it('initialize', async () => {
    const answer = await ask(socket, 'initialize', {
      client_id: 'web_client_1',
      config: { video_source: 'webcam', detection_interval: 5, min_face_size: 64, return_face_landmarks: false },
    }, 'initialized');
    assert.deepEqual(Object.keys(answer), ['session_id', 'timestamp', 'config']);
    assert.equal(answer.session_id, socket.id);
    isTime(answer.timestamp);
    assert.deepEqual(answer.config, {
      max_frame_rate: 10, max_resolution: [640, 480], supported_actions: ['start', 'stop', 'configure'],
    });
  });

  it('initialize with something else than settings', async () => {
    const answer = await ask(socket, 'initialize', 'notadict', 'error_message');
    assert.equal(answer.code, 500);
    assert.match(answer.message, /^Failed to initialize: /);
    isTime(answer.timestamp);
  });

  it('a frame before start', async () => {
    const answer = await ask(socket, 'video_frame', { frame_id: 1, data: base64('faces 1') }, 'error_message');
    assert.deepEqual([answer.code, answer.message], [400, 'Processing not started']);
  });

  it('control', async () => {
    const said = async (action, config) => (await ask(socket, 'control', { action, config }, 'status')).message;
    assert.equal(await said('start', {}), 'Processing started');
    assert.equal(await said('configure', { min_neighbors: 5 }), 'Configuration updated');
    assert.equal(await said('stop'), 'Processing stopped');
    const unknown = await ask(socket, 'control', { action: 'bogus' }, 'error_message');
    assert.deepEqual([unknown.code, unknown.message], [400, 'Unknown action: bogus']);
    const wrong = await ask(socket, 'control', { action: 'configure', config: { scale_factor: 99 } }, 'error_message');
    assert.equal(wrong.code, 400);
    assert.equal((await ask(socket, 'control', 'x', 'error_message')).code, 400);
  });

  it('acknowledges every event', async () => {
    const first = once(socket, 'status');
    const answer = await new Promise((resolve) => socket.emit('control', { action: 'stop' }, (...args) => resolve(args)));
    assert.deepEqual(answer, []);
    await first;
    await new Promise((resolve) => socket.emit('nosuchevent', {}, resolve));
  });

  it('join_room', async () => {
    const joined = await ask(socket, 'join_room', { room: 'r1' }, 'status');
    assert.deepEqual([joined.code, joined.message], [200, 'Joined room: r1']);
    const missing = await ask(socket, 'join_room', {}, 'error_message');
    assert.deepEqual([missing.code, missing.message], [400, 'Room name is required']);
  });
});

describe('frames', () => {
  it('are answered with the fields of the original', async () => {
    const socket = await started();
    const answer = await ask(socket, 'video_frame', {
      frame_id: 2, data: `data:image/jpeg;base64,${base64('faces 2')}`, timestamp: Date.now() / 1000,
    }, 'detection_result');
    assert.equal(answer.frame_id, 2);
    isTime(answer.timestamp);
    for (const key of ['processing_time', 'latency', 'fps']) assert.ok(answer[key] >= 0, key);
    assert.equal(answer.face_detected, true);
    assert.equal(typeof answer.detection_used, 'boolean');
    assert.equal(answer.dropped_frames, 0);
    assert.equal(answer.faces.length, 2);
    const [face] = answer.faces;
    assert.deepEqual(face.box, [100, 50, 120, 140]);
    assert.equal(face.emotions.length, 7);
    assert.equal(face.emotions[0].emotion, 'happy');
    for (const { emotion, score, percentage } of face.emotions) {
      assert.equal(typeof emotion, 'string');
      assert.ok(Math.abs(score * 100 - percentage) < 0.01);
    }
    const scores = face.emotions.map((e) => e.score);
    assert.deepEqual(scores, [...scores].sort((a, b) => b - a));
    assert.ok(Math.abs(scores.reduce((a, b) => a + b) - 1) < 1e-4);
    assert.equal(face.raw_scores.happy, 0.6);
    socket.disconnect();
  });

  it('may hold no face', async () => {
    const socket = await started();
    const answer = await ask(socket, 'video_frame', { frame_id: 'a', data: base64('none') }, 'detection_result');
    assert.equal(answer.frame_id, 'a');
    assert.deepEqual([answer.faces, answer.face_detected], [[], false]);
    socket.disconnect();
  });

  it('keep identities', async () => {
    const socket = await started();
    const ids = [];
    for (let i = 0; i < 5; i++) {
      const answer = await ask(socket, 'video_frame', { frame_id: i, data: base64('faces 2') }, 'detection_result');
      ids.push(answer.faces.map((face) => [face.face_id, face.tracking_id]));
    }
    for (const pair of ids) assert.deepEqual(pair, ids[0]);
    assert.notDeepEqual(ids[0][0], ids[0][1]);
    socket.disconnect();
  });

  it('may come as binary', async () => {
    const socket = await started();
    const answer = await ask(socket, 'video_frame', { frame_id: 3, data: Buffer.from('faces 1') }, 'detection_result');
    assert.deepEqual([answer.frame_id, answer.faces.length], [3, 1]);
    socket.disconnect();
  });

  it('get an error when they are bad', async () => {
    const socket = await started();
    for (const frame of [{ frame_id: 4 }, { frame_id: 5, data: 'short!' }, { frame_id: 6, data: base64('A'.repeat(300)) },
      { frame_id: 7, data: '' }, { frame_id: 8, data: { x: 1 } }, 'not an object', null]) {
      const answer = await ask(socket, 'video_frame', frame, 'error_message');
      assert.equal(answer.code, 400, JSON.stringify(frame));
      assert.match(answer.message, /^Invalid frame data/);
    }
    const fine = await ask(socket, 'video_frame', { frame_id: 9, data: base64('faces 1') }, 'detection_result');
    assert.equal(fine.frame_id, 9);
    socket.disconnect();
  });

  it('are only kept while they are the newest', async () => {
    const socket = await started();
    const answers = [];
    const last = new Promise((resolve) => socket.on('detection_result', (answer) => {
      answers.push(answer);
      if (answer.frame_id === 19) resolve();
    }));
    for (let i = 0; i < 20; i++) socket.emit('video_frame', { frame_id: i, data: base64('wait 100') });
    await last;
    assert.equal(answers[0].frame_id, 0);
    assert.ok(answers.length < 10, `${answers.length} of 20 were looked at`);
    assert.equal(answers.reduce((sum, answer) => sum + answer.dropped_frames, 0) + answers.length, 20);
    socket.disconnect();
  });

  it('bring metrics every thirty, and a suggestion when many are dropped', async () => {
    const socket = await started();
    const suggested = once(socket, 'performance_suggestion');
    const counted = once(socket, 'status');
    let count = 0;
    socket.on('detection_result', () => {
      if (++count < 30) for (let i = 0; i < 2; i++) socket.emit('video_frame', { frame_id: count, data: base64('wait 2') });
    });
    for (let i = 0; i < 3; i++) socket.emit('video_frame', { frame_id: 0, data: base64('wait 50') });
    const [status] = await counted;
    assert.deepEqual([status.code, status.message], [200, 'Processing metrics']);
    assert.equal(status.metrics.processed_frames, 30);
    assert.equal(status.metrics.tracking_faces, 1);
    assert.ok(status.metrics.current_fps > 0 && status.metrics.average_processing_time > 0);
    isTime(status.metrics.last_detection_time);
    const [suggestion] = await suggested;
    assert.equal(typeof suggestion.message, 'string');
    assert.ok(suggestion.suggestion.max_frame_rate >= 1);
    socket.disconnect();
  });

  it('are forgotten when the client leaves or stops', async () => {
    for (let i = 0; i < 10; i++) {
      const socket = await started();
      for (let n = 0; n < 3; n++) socket.emit('video_frame', { frame_id: n, data: base64('wait 20') });
      if (i % 2) {
        await ask(socket, 'control', { action: 'stop' }, 'status');
        socket.on('detection_result', () => assert.fail('an answer after stop'));
        await ask(socket, 'join_room', { room: 'another round' }, 'status');
      }
      socket.disconnect();
    }
    const socket = await started();
    await ask(socket, 'video_frame', { frame_id: 1, data: base64('faces 1') }, 'detection_result');
    socket.disconnect();
  });
});
