// Starting servers and talking to them, also over bare sockets. Used by every *.test.mjs here.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
export const build = path.resolve(process.env.MIEN_BUILD || path.join(root, 'build'));
export const shared = process.env.MIEN_SHARED || path.join(root, '../shared');

/** What a sanitizer says of a mistake, or of memory that nobody gave back at the end. */
const report = /^.*(AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error: ).*$/m;
export const sanitizers = Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(A|L|T|UB)SAN_OPTIONS$/.test(name)));
const started = new Set();
process.on('exit', () => { // also of servers that a test killed, or that died where nobody looked
  for (const { log } of started)
    if (report.test(log)) {
      console.log(`# a server under a sanitizer said:\n${log.replace(/^/gm, '# ')}`);
      process.exitCode = 1;
    }
});
const running = new Set();
/** A test that fails does not come to stopping its server, and while that runs Node.js waits for it: it ends with the file's
 *  last test, after the file's own hooks, which is why ours is added when the file has been read. */
export function endWithTests(child) {
  running.add(child);
  child.once('exit', () => running.delete(child));
}
if (/\.test\.mjs$/.test(process.argv[1])) setImmediate(() => after(() => running.forEach((child) => child.kill('SIGKILL'))));

/** Start a server program on a free port. `environment` replaces the inherited settings; a `wrapper` is a command that ends
 *  in starting the one that follows it, in the same process. */
export async function start(command, flags = [], environment = {}, wrapper = []) {
  const words = [...wrapper, ...command, '--port', '0', ...flags];
  const child = spawn(words[0], words.slice(1), {
    cwd: '/tmp',
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...sanitizers, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const server = { child, log: '', ended: once(child, 'close') }; // when its output has been read to the end, too
  started.add(server);
  endWithTests(child);
  child.stderr.on('data', (text) => { server.log += text; });
  let said = '';
  server.port = await new Promise((resolve, reject) => {
    child.stdout.on('data', (text) => {
      said += text;
      const found = /listening on \S+:(\d+)/.exec(said);
      if (found) resolve(Number(found[1]));
    });
    child.on('error', reject);
    child.on('close', (code) => reject(new Error(`the server ended with ${code}: ${server.log}`)));
  });
  server.base = `http://127.0.0.1:${server.port}`;
  own.add(server.base);
  server.stop = async () => {
    child.kill('SIGTERM');
    const [code] = await server.ended;
    assert.doesNotMatch(server.log, report);
    return code;
  };
  return server;
}

/** The server whose recognition is told by the bytes sent; see stub_server.c. */
export const startStub = (flags, environment, wrapper) => start([stub], flags, environment, wrapper);

/** The real program; null where it was not built. */
export async function startReal(flags, environment, wrapper) {
  const program = path.resolve(process.env.MIEN || path.join(build, 'mien'));
  return existsSync(program) ? start([program, 'serve'], flags, environment, wrapper) : null;
}

const stub = path.join(build, 'tests/http/stub_server');
/** A sanitizer keeps freed memory for a while, so resident memory says nothing there; it has its own eyes for leaks. */
export const sanitized = existsSync(stub) && ['__asan_init', '__tsan_init'].some((symbol) => readFileSync(stub).includes(symbol));

/** One value of /metrics; `name` with its labels. */
export async function metric(server, name) {
  const text = await (await fetch(`${server.base}/metrics`)).text();
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.slice(name.length + 1));
}

/** Ask until a metric has that value. */
export async function untilMetric(server, name, value) {
  while (await metric(server, name) !== value);
}

/** A grey picture of noise, without a library. */
export function png(width, height) {
  const chunk = (name, data) => {
    const body = Buffer.concat([Buffer.from(name), data]), out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length);
    body.copy(out, 4);
    let crc = ~0;
    for (const byte of body) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = crc >>> 1 ^ (crc & 1 ? 0xedb88320 : 0);
    }
    out.writeUInt32BE(~crc >>> 0, body.length + 4);
    return out;
  };
  const head = Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0]);
  head.writeUInt32BE(width);
  head.writeUInt32BE(height, 4);
  const rows = Buffer.alloc((width + 1) * height);
  for (let y = 0, seed = 1; y < height; y++)
    for (let x = 1; x <= width; x += 16) rows[y * (width + 1) + x] = (seed = Math.imul(seed, 1103515245) + 12345) >>> 24;
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', deflateSync(rows, { level: 1 })), chunk('IEND', Buffer.alloc(0))]);
}

export const base64 = (bytes) => Buffer.from(bytes).toString('base64');

// Every answer of the tests is checked against the server's own description of itself.
export const description = JSON.parse(readFileSync(path.join(root, 'src/server/openapi.json')));
const own = new Set(); // where the servers under test are

/** Throw where `value` is not what the schema says. The parts of JSON Schema that the description uses. */
export function conform(value, schema, where = '$') {
  if (schema.$ref) return conform(value, schema.$ref.slice(2).split('/').reduce((at, key) => at[key], description), where);
  const fail = (what) => { throw new assert.AssertionError({ message: `${where}: ${what}: ${JSON.stringify(value)?.slice(0, 200)}` }); };
  for (const kind of ['anyOf', 'oneOf']) {
    if (!schema[kind]) continue;
    const problems = [];
    const matches = schema[kind].filter((one) => {
      try { conform(value, one, where); return true; } catch (error) { problems.push(error.message); return false; }
    });
    if (!matches.length || (kind === 'oneOf' && matches.length > 1)) fail(`not ${kind}: ${problems.join('; ')}`);
  }
  if ('const' in schema && value !== schema.const) fail(`not ${schema.const}`);
  if (schema.enum && !schema.enum.includes(value)) fail('not among the allowed values');
  const type = value === null ? 'null' : Array.isArray(value) ? 'array' : typeof value;
  const types = [schema.type ?? []].flat();
  if (types.length && !types.includes(type) && !(types.includes('integer') && Number.isInteger(value))) fail(`not ${types}`);
  if (schema.format === 'date-time' && type === 'string' && !/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(value)) fail('no date-time');
  if (type === 'number' && (value < schema.minimum || value > schema.maximum)) fail('out of range');
  if (type === 'array') {
    if (value.length < schema.minItems || value.length > schema.maxItems) fail('wrong length');
    if (schema.items) value.forEach((v, i) => conform(v, schema.items, `${where}[${i}]`));
  }
  if (type === 'object') {
    for (const key of schema.required ?? []) if (!(key in value)) fail(`lacks ${key}`);
    for (const [key, v] of Object.entries(value)) {
      const known = schema.properties?.[key] ?? schema.additionalProperties;
      if (known === false) fail(`${key} is not described`);
      if (known && known !== true) conform(v, known, `${where}.${key}`);
    }
  }
}

/** The description of a method and path; undefined for what stands outside it: files of the page, sockets, unknown paths. */
export function operation(method, where) {
  const asked = where.split('?')[0];
  const match = (pattern) => new RegExp(`^${pattern.replace(/\{[^}]*\}/g, '[^/]+')}$`).test(asked);
  const found = description.paths[asked] ?? description.paths[Object.keys(description.paths).find(match)];
  return found?.[(method === 'HEAD' ? 'GET' : method).toLowerCase()];
}

const failure = { anyOf: [{ $ref: '#/components/schemas/Detail' }, { $ref: '#/components/schemas/Error' }] };

/** Check an answer against the description of its path, method and status. `text` is the body. */
export function described(method, where, status, type, text) {
  const what = `${method} ${where.split('?')[0]} ${status}`;
  const json = type?.startsWith('application/json') ? JSON.parse(text) : undefined;
  const found = operation(method, where);
  if (/^\/(socket|engine)\.io\//.test(where)) return; // another protocol's, with its own tests
  if (!found || status === 405) {
    if (status >= 400 && json) conform(json, failure, what);
    return;
  }
  if (status === 304 || method === 'HEAD') return;
  const response = found.responses[status];
  assert.ok(response, `${what} is not described`);
  if (!response.content) return assert.equal(text, '', what);
  const named = Object.keys(response.content).find((one) => one === type?.split(';')[0] || (one.endsWith('/*') && type?.startsWith(one.slice(0, -1))));
  assert.ok(named, `${what} is not described as ${type}`);
  const { schema } = response.content[named];
  if (json !== undefined) conform(json, schema, what);
  else if (named === 'text/event-stream')
    for (const event of text.split('\n\n').filter(Boolean)) conform(JSON.parse(event.replace(/^data: /, '')), schema, what);
}

const plainFetch = globalThis.fetch;
/** Everybody's fetch, which checks what the servers under test answer. */
globalThis.fetch = async (where, options = {}) => {
  const reply = await plainFetch(where, options);
  const asked = new URL(where);
  if (own.has(asked.origin)) {
    const method = options.method ?? 'GET';
    const found = operation(method, asked.pathname);
    for (const field of Object.keys(found?.responses[reply.status]?.headers ?? {}))
      assert.ok(reply.headers.get(field), `${method} ${asked.pathname} ${reply.status} lacks ${field}`);
    const text = reply.status === 204 ? '' : await reply.clone().text();
    described(method, asked.pathname, reply.status, reply.headers.get('content-type'), text);
  }
  return reply;
};

export async function post(server, where, body, headers = {}) {
  const reply = await fetch(server.base + where, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body),
  });
  return { status: reply.status, headers: reply.headers, json: await reply.json() };
}

export async function upload(server, where, content, { field = 'file', name = 'a.jpg', type = 'image/jpeg', headers = {} } = {}) {
  const form = new FormData();
  form.append(field, new Blob([content], { type }), name);
  const reply = await fetch(server.base + where, { method: 'POST', body: form, headers });
  return { status: reply.status, headers: reply.headers, json: await reply.json() };
}

/** A bare connection that remembers what it received. */
export class Raw {
  static async open(server) {
    const raw = new Raw();
    raw.text = '';
    raw.bytes = Buffer.alloc(0);
    raw.closed = false;
    raw.waiting = [];
    raw.socket = net.connect(server.port, '127.0.0.1');
    raw.socket.on('data', (data) => {
      raw.bytes = Buffer.concat([raw.bytes, data]);
      raw.text = raw.bytes.toString('latin1');
      raw.check();
    });
    raw.socket.on('close', () => { raw.closed = true; raw.check(); });
    raw.socket.on('error', () => {});
    await once(raw.socket, 'connect');
    return raw;
  }
  send(data) { this.socket.write(data); }
  /** Wait until `condition(raw)` holds or the connection ends; an event-driven wait, no polling. */
  until(condition) {
    return new Promise((resolve) => { this.waiting.push({ condition, resolve }); this.check(); });
  }
  check() {
    this.waiting = this.waiting.filter(({ condition, resolve }) => {
      if (!this.closed && !condition(this)) return true;
      resolve(this);
      return false;
    });
  }
  end() { return this.until((raw) => raw.closed); }
  /** Whole answers (with Content-Length) received so far. */
  answers() {
    const found = [];
    let rest = this.text;
    for (;;) {
      const split = rest.indexOf('\r\n\r\n');
      if (split < 0) return found;
      const head = rest.slice(0, split);
      const status = Number(head.slice(9, 12));
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
      if (rest.length < split + 4 + length) return found;
      found.push({ status, head, body: rest.slice(split + 4, split + 4 + length) });
      rest = rest.slice(split + 4 + length);
    }
  }
  answered(count) { return this.until((raw) => raw.answers().length >= count); }
  close() { this.socket.destroy(); }
}

/** Send bytes on a fresh connection and return what came back when it ended or `count` answers were whole. */
export async function exchange(server, data, count = 1) {
  const raw = await Raw.open(server);
  raw.send(data);
  await raw.answered(count);
  raw.close();
  const answers = raw.answers();
  for (const { status, head, body } of answers) // which request each one answers is not known here; how errors look is
    if (status >= 400 && /^content-type: application\/json/m.test(head) && body) conform(JSON.parse(body), failure, `raw ${status}`);
  return answers;
}

/** One masked client frame; `first` is the byte of FIN and opcode. */
export function frame(first, payload) {
  const data = Buffer.from(payload), mask = Buffer.from([1, 2, 3, 4]);
  const size = data.length < 126 ? [0x80 | data.length]
    : data.length < 65536 ? [0xfe, data.length >> 8, data.length & 255]
      : [0xff, 0, 0, 0, 0, data.length >>> 24, (data.length >> 16) & 255, (data.length >> 8) & 255, data.length & 255];
  const masked = Buffer.alloc(data.length);
  for (let i = 0; i < data.length; i++) masked[i] = data[i] ^ mask[i & 3];
  return Buffer.concat([Buffer.from([first, ...size]), mask, masked]);
}

export const webSocketKey = base64('0123456789abcdef');
export const webSocketHello = (where, extra = '') =>
  `GET ${where} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n` +
  `Sec-WebSocket-Key: ${webSocketKey}\r\nSec-WebSocket-Version: 13\r\n${extra}\r\n`;

/** A WebSocket client over a bare connection. */
export class WebSocketClient {
  static async open(server, where) {
    const client = new WebSocketClient();
    client.raw = await Raw.open(server);
    client.raw.send(webSocketHello(where));
    await client.raw.until((r) => r.text.includes('\r\n\r\n'));
    client.head = client.raw.text.slice(0, client.raw.text.indexOf('\r\n\r\n') + 4);
    client.status = Number(client.head.slice(9, 12));
    client.taken = 0;
    return client;
  }
  after() { return this.raw.bytes.subarray(this.head.length); }
  /** Whole messages and control frames so far: [{opcode, data}]. */
  frames() {
    const found = [];
    for (let rest = this.after(); rest.length >= 2;) {
      let length = rest[1] & 127, at = 2;
      if (length === 126) { if (rest.length < 4) break; length = rest.readUInt16BE(2); at = 4; }
      else if (length === 127) { if (rest.length < 10) break; length = Number(rest.readBigUInt64BE(2)); at = 10; }
      if (rest.length < at + length) break;
      found.push({ opcode: rest[0] & 15, data: rest.subarray(at, at + length) });
      rest = rest.subarray(at + length);
    }
    return found;
  }
  sendText(text) { this.raw.send(frame(0x81, typeof text === 'string' ? text : JSON.stringify(text))); }
  sendBinary(bytes) { this.raw.send(frame(0x82, bytes)); }
  /** The next message as JSON. */
  async next() {
    await this.raw.until(() => this.frames().length > this.taken);
    const taken = this.frames()[this.taken++];
    return taken && JSON.parse(taken.data.toString());
  }
  close() { this.raw.close(); }
}
