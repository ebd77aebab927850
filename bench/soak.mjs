// Hours in minutes: every dialect, sockets, accounts, bad input and exchanged models against one server, while its memory is
// watched. Any answer that is not the expected one is an error; so is memory that grows after the first minute.
//
//     node bench/soak.mjs [--minutes 30] [--rate 20] [--csv curve.csv] [--svg curve.svg]
//
// `rate` is requests a second over all kinds; frames on sockets come on top. tests/http/soak.test.mjs runs a short form.
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { base64, frame, Raw, root, shared, startReal, WebSocketClient } from '../tests/http/helper.mjs';

const photographs = ['dlib_2007_007763.jpg', 'coral_face.jpg', 'dlib_2009_004587.jpg'];

/** A picture without faces, for where the photographs are not there: 320 × 240, 24 bits. */
function pattern() {
  const [width, height] = [320, 240], bytes = Buffer.alloc(54 + width * height * 3);
  bytes.write('BM'); bytes.writeUInt32LE(bytes.length, 2); bytes.writeUInt32LE(54, 10); bytes.writeUInt32LE(40, 14);
  bytes.writeInt32LE(width, 18); bytes.writeInt32LE(height, 22); bytes.writeUInt16LE(1, 26); bytes.writeUInt16LE(24, 28);
  for (let i = 54; i < bytes.length; i++) bytes[i] = (i * i >> 9) & 255;
  return bytes;
}

function pictures() {
  const found = photographs.map((name) => path.join(shared, 'photos', name)).filter(existsSync).map((file) => readFileSync(file));
  return found.length ? found : [pattern()];
}

const resident = (pid) => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];

class Soak {
  constructor(server) {
    this.server = server;
    this.pictures = pictures();
    this.count = 0;
    this.frames = 0;
    this.errors = [];
    this.kinds = new Map();
    this.turn = 0;
  }

  /** One byte of the picture's tail differs each time, so that the cache does not answer. */
  picture() {
    const copy = Buffer.from(this.pictures[this.turn++ % this.pictures.length]);
    return Buffer.concat([copy, Buffer.from(`${this.turn}`)]);
  }

  note(kind, status, expected, text) {
    this.count++;
    this.kinds.set(kind, (this.kinds.get(kind) ?? 0) + 1);
    if (!expected.includes(status)) this.errors.push(`${kind}: ${status} ${text.slice(0, 200)}`);
  }

  async ask(kind, method, where, { body, headers = {}, expected = [200] } = {}) {
    const reply = await fetch(this.server.base + where, { method, body, headers });
    const text = await reply.text();
    this.note(kind, reply.status, expected, text);
    return text;
  }

  json(kind, where, value, more = {}) {
    const body = typeof value === 'string' ? value : JSON.stringify(value);
    return this.ask(kind, 'POST', where, { body, ...more, headers: { 'content-type': 'application/json', ...more.headers } });
  }

  form(kind, where, field, contents, more = {}) {
    const form = new FormData();
    for (const content of contents) form.append(field, new Blob([content], { type: 'image/jpeg' }), 'a.jpg');
    return this.ask(kind, 'POST', where, { body: form, ...more });
  }

  /** Register, sign in, detect, look at the history, go away again: nothing of it stays. */
  async account() {
    const name = `soak${this.turn++}-${process.pid}@example.org`, password = 'correct horse battery staple';
    const made = JSON.parse(await this.json('register', '/auth/register', { email: name, password }, { expected: [200, 201] }));
    const token = made.access_token ?? JSON.parse(await this.json('login', '/auth/login', { email: name, password })).access_token;
    const headers = { authorization: `Bearer ${token}` };
    const found = JSON.parse(await this.form('history detect', '/api/detect', 'file', [this.picture()], { headers }));
    await this.form('history batch', '/api/detect/batch', 'files', [this.picture(), 'no picture'], { headers, expected: [200, 400] });
    await this.ask('history', 'GET', '/api/history?limit=5', { headers });
    await this.ask('history entry', 'GET', `/api/history/${found.detection_id}`, { headers });
    await this.ask('picture', 'GET', `/api/history/${found.detection_id}/picture`, { headers });
    await this.ask('delete', 'DELETE', `/api/history/${found.detection_id}`, { headers, expected: [200, 204] });
    await this.ask('profile', 'GET', '/auth/profile', { headers });
    await this.ask('erase', 'DELETE', '/auth/profile', { headers, expected: [200, 204] });
  }

  async detectorSocket() {
    const socket = await WebSocketClient.open(this.server, this.turn++ % 2 ? '/ws' : '/ws?search=assisted');
    for (let i = 0; i < 6; i++) {
      if (i % 2) socket.sendBinary(this.picture());
      else socket.sendText({ type: 'frame', data: { image: base64(this.picture()) } });
      const answer = await socket.next();
      this.note('/ws', answer?.type, ['result'], JSON.stringify(answer ?? null));
      this.frames++;
    }
    socket.sendText('{"type":');
    this.note('/ws bad', (await socket.next())?.type, ['error'], '');
    if (this.turn % 3) socket.raw.send(frame(0x88, Buffer.from([3, 232])));
    socket.close();
  }

  /** Socket.IO by hand: the namespace needs a token. */
  async realtime() {
    const key = await (this.key ??= this.makeKey()); // the promise: several clients may ask at once
    const socket = await WebSocketClient.open(this.server, '/socket.io/?EIO=4&transport=websocket');
    const until = async (begin) => {
      for (;;) {
        await socket.raw.until(() => socket.raw.closed || socket.frames().length > socket.taken);
        const one = socket.frames()[socket.taken++]?.data.toString();
        if (one === '2') socket.sendText('3');
        if (!one || one.startsWith(begin)) return one ?? '';
      }
    };
    const room = '/emotion-detection,';
    socket.sendText(`40${room}${JSON.stringify({ token: key })}`);
    this.note('socket.io', (await until(`40${room}`)) !== '' ? 1 : 0, [1], 'no connection');
    socket.sendText(`42${room}["control",{"action":"start"}]`);
    for (let i = 0; i < 5; i++) {
      socket.sendText(`42${room}["video_frame",${JSON.stringify({ frame_id: i, data: base64(this.picture()), timestamp: 1 })}]`);
      this.note('video_frame', (await until(`42${room}["detection_result"`)) !== '' ? 1 : 0, [1], 'no result');
      this.frames++;
    }
    socket.close();
  }

  async makeKey() {
    const account = { email: `soak-key-${process.pid}@example.org`, password: 'correct horse battery staple' };
    const made = JSON.parse(await this.json('register', '/auth/register', account, { expected: [200, 201] }));
    const headers = { authorization: `Bearer ${made.access_token}` };
    const reply = JSON.parse(await this.json('api key', '/auth/api-keys', { name: 'soak' }, { headers, expected: [200, 201] }));
    return reply.api_key ?? reply.key;
  }

  /** Connections that break the rules or just go away. */
  async rough() {
    const cases = ['GARBAGE\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', 'POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n',
      `GET /${'x'.repeat(9000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 'POST /predict HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'];
    const raw = await Raw.open(this.server);
    raw.send(cases[this.turn++ % cases.length]);
    await raw.until((r) => /^HTTP\/1\.1 [45]/.test(r.text));
    this.note('malformed', Number(raw.text.slice(9, 12)), [400, 414, 431, 501, 505], raw.text);
    raw.close();
    const gone = await Raw.open(this.server);
    gone.send('POST /predict_file HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 50000\r\n\r\nhalf');
    gone.close();
    const leaves = await Raw.open(this.server); // goes while a worker is busy with it
    const picture = this.picture();
    leaves.send(`POST /api/faces HTTP/1.1\r\nHost: x\r\nContent-Type: image/jpeg\r\nContent-Length: ${picture.length}\r\n\r\n`);
    leaves.send(picture);
    leaves.close();
    this.count += 2;
  }

  async simple() {
    const image = () => base64(this.picture());
    const scripts = [
      () => this.json('/predict', '/predict?classes=all', { image: image() }),
      () => this.form('/predict_file', '/predict_file', 'file', [this.picture()]),
      () => this.json('/predict_emotion', '/predict_emotion', { image: `data:image/jpeg;base64,${image()}` }),
      () => this.json('/predict_emotion_stream', '/predict_emotion_stream', { frame: image() }),
      () => this.json('/api/detect', '/api/detect', { image: image(), return_all_scores: true }),
      () => this.json('/api/detect bounds', '/api/detect', { image: image(), face_bounds: { x: 4, y: 4, width: 90, height: 90 } }),
      () => this.form('/api/detect/upload', '/api/detect/upload', 'file', [this.picture()]),
      () => this.json('/api/detect/batch', '/api/detect/batch', [image(), image()]),
      () => this.form('/api/faces', '/api/faces', 'file', [this.picture()]),
      () => this.ask('cached', 'POST', '/api/faces', { body: this.pictures[0], headers: { 'content-type': 'image/jpeg' } }),
      () => this.json('bad JSON', '/predict', '{"image":', { expected: [400] }),
      () => this.json('no picture', '/predict_emotion', { image: base64('nothing') }, { expected: [400] }),
      () => this.json('422', '/api/detect', { image: 5 }, { expected: [422] }),
      () => this.form('wrong field', '/predict_file', 'other', ['x'], { expected: [400] }),
      () => this.ask('404', 'GET', '/no/such/path', { expected: [404] }),
      () => this.ask('405', 'DELETE', '/predict', { expected: [405] }),
      () => this.ask('401', 'GET', '/api/history', { expected: [401] }),
      () => this.ask('bad token: a guest', 'GET', '/auth/profile', { headers: { authorization: 'Bearer a.b.c' } }),
      () => this.ask('unknown model', 'POST', '/api/faces?model=../x', { body: 'x', expected: [400] }),
      ...['/', '/health', '/healthz', '/readyz', '/metrics', '/openapi.json', '/api/status', '/api/models', '/docs'].map((where) =>
        () => this.ask(where, 'GET', where, { headers: { accept: 'text/html,*/*', 'accept-encoding': 'gzip' } })),
    ];
    await scripts[this.turn++ % scripts.length]();
  }

  async one() {
    const n = this.turn % 29;
    try {
      if (n === 3) await this.account();
      else if (n === 9 || n === 19) await this.detectorSocket();
      else if (n === 14) await this.realtime();
      else if (n === 24) await this.rough();
      else await this.simple();
    } catch (error) {
      this.errors.push(`${error.message} ${error.cause?.message ?? ''}`);
    }
    this.turn++;
  }
}

/** @return {requests, frames, errors, kinds, samples: [{seconds, megabytes, requests}], growth (MB after the warm-up), exit} */
export async function soak({ seconds, rate, warm, reload = 60, report = () => {} }) {
  const data = mkdtempSync(path.join(tmpdir(), 'mien-soak-'));
  const limits = '/auth/register=0,/auth/login=0,/api/detect=0,/api/detect/upload=0,/api/detect/batch=0,/api/faces=0';
  const server = await startReal(['--data-dir', data, '--rate-limit-routes', limits, '--rate-limit-requests', '0', '--rate-limit-faces', '0',
    '--guest-max-usage', '1000000', '--request-timeout', '300', '--cache-size', '64', '--model', path.join(root, 'models/emotion.onnx')]);
  const run = new Soak(server), begin = Date.now(), samples = [], elapsed = () => (Date.now() - begin) / 1e3;
  const idle = await Promise.all(Array.from({ length: 20 }, () => WebSocketClient.open(server, '/ws')));
  let open = true, reloaded = 0;
  const client = async (share) => {
    for (;open;) {
      const before = run.count, started = Date.now();
      await run.one();
      const due = (run.count - before) * 1e3 * share / rate - (Date.now() - started);
      if (open && due > 0) await wait(due);
    }
  };
  const clients = [client(3), client(3), client(3)];
  while (elapsed() < seconds && server.child.exitCode === null) {
    await wait(Math.min(seconds / 20, 5) * 1e3);
    samples.push({ seconds: elapsed(), megabytes: resident(server.child.pid), requests: run.count });
    if (elapsed() > (reloaded + 1) * reload) {
      server.child.kill('SIGHUP');
      reloaded++;
    }
    report(samples.at(-1), run);
  }
  open = false;
  await Promise.all(clients);
  idle.forEach((socket) => socket.close());
  const exit = await server.stop();
  rmSync(data, { recursive: true });
  const after = samples.filter((sample) => sample.seconds > warm).map((sample) => sample.megabytes), part = Math.ceil(after.length / 4);
  return { requests: run.count, frames: run.frames, errors: run.errors, kinds: run.kinds, samples, reloaded, exit,
    growth: median(after.slice(-part)) - median(after.slice(0, part)), most: Math.max(...after) };
}

/** The curve as a picture of its own. */
function plot({ samples, requests, frames, reloaded }) {
  const [width, height, left, bottom] = [720, 260, 56, 40];
  const last = samples.at(-1).seconds, top = Math.ceil(Math.max(...samples.map((s) => s.megabytes)) / 20) * 20;
  const x = (s) => left + (width - left - 12) * s / last, y = (mb) => height - bottom - (height - bottom - 28) * mb / top;
  const line = samples.map((s) => `${x(s.seconds).toFixed(1)},${y(s.megabytes).toFixed(1)}`).join(' ');
  const ticks = (to, count) => Array.from({ length: count + 1 }, (_, i) => to * i / count);
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="#fff"/>
<text x="${left}" y="16">Resident memory in MB: ${requests} requests of every kind, ${frames} frames, ${reloaded} exchanges of the model</text>
${ticks(top, 4).map((mb) => `<path d="M${left} ${y(mb)}H${width - 12}" stroke="#ddd"/><text x="${left - 8}" y="${y(mb) + 4}" text-anchor="end">${mb}</text>`).join('\n')}
${ticks(last / 60, 6).map((m) => `<text x="${x(m * 60)}" y="${height - 16}" text-anchor="middle">${m.toFixed(0)} min</text>`).join('\n')}
<polyline points="${line}" fill="none" stroke="#1f6fb2" stroke-width="1.5"/>
</svg>
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const option = (name, standard) => { const at = process.argv.indexOf(`--${name}`); return at > 0 ? process.argv[at + 1] : standard; };
  const minutes = Number(option('minutes', 30)), rate = Number(option('rate', 20));
  let printed = -1, shown = 0;
  const result = await soak({ seconds: minutes * 60, rate, warm: 60, report: (sample, run) => {
    const minute = Math.floor(sample.seconds / 60);
    if (minute > printed) console.log(`${minute} min: ${sample.megabytes.toFixed(1)} MB, ${sample.requests} requests, ${run.errors.length} errors`);
    printed = minute;
    for (; shown < Math.min(run.errors.length, 20); shown++) console.log(`  ${run.errors[shown]}`);
  } });
  if (option('csv')) writeFileSync(option('csv'), ['seconds,megabytes,requests', ...result.samples.map((s) => [s.seconds.toFixed(1), s.megabytes.toFixed(2), s.requests].join(','))].join('\n') + '\n');
  if (option('svg')) writeFileSync(option('svg'), plot(result));
  const flat = result.growth < Math.max(2, result.most * 0.04);
  console.log(`${result.requests} requests, ${result.frames} frames, ${result.reloaded} exchanges, ${result.errors.length} errors; memory ${result.growth >= 0 ? '+' : ''}${result.growth.toFixed(2)} MB after the first minute (most ${result.most.toFixed(1)} MB): ${flat ? 'flat' : 'GROWS'}; exit ${result.exit}`);
  result.errors.slice(shown, 20).forEach((error) => console.log(`  ${error}`));
  process.exitCode = flat && !result.errors.length && result.exit === 0 ? 0 : 1;
}
