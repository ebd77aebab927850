// Guards RFC 6455 on /echo frame by frame, in the groups of the Autobahn suite: framing, pings, reserved bits, opcodes,
// fragments, UTF-8, close codes, large messages, and messages cut anywhere by the network.
import { after, before, describe, it } from 'node:test';
import assert from 'node:assert/strict';
import { frame, WebSocketClient } from './helper.mjs';
import { startEcho } from './echo_server.mjs';

let server;
before(async () => { server = await startEcho(); });
after(async () => assert.equal(await server.stop(), 0));

const CONTINUED = 0x00, TEXT = 0x01, BINARY = 0x02, CLOSE = 0x88, PING = 0x89, PONG = 0x8a, FIN = 0x80;
const closeWith = (code, reason = '') => frame(CLOSE, Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]));

/** Send frames, then wait for `count` frames back, or for the end. */
async function talk(frames, count = Infinity, { chopped = 0 } = {}) {
  const client = await WebSocketClient.open(server, '/echo');
  assert.equal(client.status, 101);
  const bytes = Buffer.concat(frames);
  if (chopped) {
    client.raw.socket.setNoDelay(true);
    for (let at = 0; at < bytes.length; at += chopped) {
      client.raw.send(bytes.subarray(at, at + chopped));
      await new Promise((resolve) => setImmediate(resolve));
    }
  } else {
    client.raw.send(bytes);
  }
  await client.raw.until(() => client.frames().length >= count);
  const answers = client.frames().map(({ opcode, data }) => ({ opcode, data: Buffer.from(data) }));
  client.close();
  return answers;
}

/** The answers end with a close frame of that code, and then the connection ends. */
async function closesWith(frames, code, before = 0) {
  const answers = await talk(frames);
  assert.equal(answers.length, before + 1);
  const last = answers.at(-1);
  assert.equal(last.opcode, 8);
  assert.equal(last.data.length ? last.data.readUInt16BE(0) : 1005, code);
}

async function echoes(frames, opcode, content, options) {
  const [answer] = await talk(frames, 1, options);
  assert.equal(answer.opcode, opcode);
  assert.ok(answer.data.equals(Buffer.from(content)));
}

describe('framing', () => {
  for (const size of [0, 1, 125, 126, 127, 128, 65535, 65536, 300000]) {
    it(`echoes ${size} bytes of text and of binary`, async () => {
      await echoes([frame(FIN | TEXT, '*'.repeat(size))], TEXT, '*'.repeat(size));
      await echoes([frame(FIN | BINARY, Buffer.alloc(size, 0xfe))], BINARY, Buffer.alloc(size, 0xfe));
    });
  }
  it('takes frames however the network cuts them', async () => {
    for (const chopped of [1, 3, 7]) await echoes([frame(FIN | TEXT, 'κόσμε '.repeat(30))], TEXT, 'κόσμε '.repeat(30), { chopped });
  });
  it('answers many messages of one piece of network in order', async () => {
    const answers = await talk(Array.from({ length: 100 }, (_, i) => frame(FIN | TEXT, `${i}`)), 100);
    assert.deepEqual(answers.map((a) => a.data.toString()), Array.from({ length: 100 }, (_, i) => `${i}`));
  });
  it('refuses frames without a mask', () => closesWith([Buffer.from([FIN | TEXT, 1, 65])], 1002));
  it('refuses a length with its highest bit set', () =>
    closesWith([Buffer.from([FIN | BINARY, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4])], 1002));
});

describe('pings', () => {
  for (const size of [0, 5, 125]) {
    it(`answers one of ${size} bytes`, () => echoes([frame(PING, Buffer.alloc(size, 0xff))], 10, Buffer.alloc(size, 0xff)));
  }
  it('refuses one of 126 bytes', () => closesWith([frame(PING, Buffer.alloc(126))], 1002));
  it('refuses a fragmented one', () => closesWith([frame(0x09, 'a')], 1002));
  it('passes over pongs that nobody asked for', async () => {
    const answers = await talk([frame(PONG, 'x'), frame(PING, 'y')], 1);
    assert.deepEqual(answers.map((a) => [a.opcode, a.data.toString()]), [[10, 'y']]);
  });
  it('answers ten in order', async () => {
    const answers = await talk(Array.from({ length: 10 }, (_, i) => frame(PING, `${i}`)), 10);
    assert.deepEqual(answers.map((a) => a.data.toString()), [...'0123456789']);
  });
});

describe('reserved', () => {
  for (const bits of [1, 2, 3, 4, 5, 6, 7]) {
    it(`refuses bits ${bits}`, () => closesWith([frame(FIN | (bits << 4) | TEXT, 'a')], 1002));
    it(`refuses bits ${bits} on a ping`, () => closesWith([frame(PING | (bits << 4), '')], 1002));
  }
  for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
    it(`refuses opcode ${opcode}`, async () => {
      await closesWith([frame(FIN | opcode, 'a')], 1002);
      await closesWith([frame(FIN | TEXT, 'first'), frame(FIN | opcode, '')], 1002, 1);
    });
  }
});

describe('fragments', () => {
  it('joins two, three, and empty ones', async () => {
    await echoes([frame(TEXT, 'one '), frame(FIN | CONTINUED, 'two')], TEXT, 'one two');
    await echoes([frame(BINARY, ''), frame(CONTINUED, 'b'), frame(FIN | CONTINUED, '')], BINARY, 'b');
    await echoes([frame(TEXT, ''), frame(CONTINUED, ''), frame(FIN | CONTINUED, '')], TEXT, '');
  });
  it('answers a ping between them at once', async () => {
    const answers = await talk([frame(TEXT, 'a'), frame(PING, 'p'), frame(FIN | CONTINUED, 'b')], 2);
    assert.deepEqual(answers.map((a) => [a.opcode, a.data.toString()]), [[10, 'p'], [1, 'ab']]);
  });
  it('refuses a continuation of nothing', async () => {
    await closesWith([frame(FIN | CONTINUED, 'a')], 1002);
    await closesWith([frame(CONTINUED, 'a')], 1002);
    await closesWith([frame(FIN | TEXT, 'whole'), frame(FIN | CONTINUED, 'a')], 1002, 1);
  });
  it('refuses a new message before the last part', async () => {
    await closesWith([frame(TEXT, 'a'), frame(FIN | TEXT, 'b')], 1002);
    await closesWith([frame(TEXT, 'a'), frame(BINARY, 'b')], 1002);
  });
});

describe('UTF-8', () => {
  const good = ['κόσμε', '\u0000', '\u007f\u0080\u07ff\u0800\uffff', '\u{10000}\u{10ffff}', '\ud7ff\ue000\ufffd\ufffe'];
  for (const text of good) {
    it(`echoes ${JSON.stringify(text)}, cut at every byte`, async () => {
      const bytes = Buffer.from(text);
      await echoes([frame(FIN | TEXT, bytes)], TEXT, bytes);
      const parts = [...bytes].map((_, i) => frame(i ? CONTINUED : TEXT, bytes.subarray(i, i + 1)));
      await echoes([...parts, frame(FIN | CONTINUED, '')], TEXT, bytes);
    });
  }
  const bad = {
    'a lone continuation': [0x80], 'overlong': [0xc0, 0xaf], 'overlong in three': [0xe0, 0x80, 0xaf], 'a surrogate': [0xed, 0xa0, 0x80],
    'above U+10FFFF': [0xf4, 0x90, 0x80, 0x80], 'five bytes': [0xf8, 0x88, 0x80, 0x80, 0x80], '0xff': [0xff],
    'cut off': [0xce, 0xba, 0xe1, 0xbd],
  };
  for (const [name, bytes] of Object.entries(bad)) {
    it(`refuses ${name}`, async () => {
      await closesWith([frame(FIN | TEXT, Buffer.from(bytes))], 1007);
      await closesWith([frame(TEXT, 'fine '), frame(FIN | CONTINUED, Buffer.from(bytes))], 1007);
    });
  }
  it('refuses a bad byte before the message is whole', () => closesWith([frame(TEXT, Buffer.from([0xce, 0xba, 0xff]))], 1007));
  it('does not look at binary', () => echoes([frame(FIN | BINARY, Buffer.from([0xff, 0xc0]))], BINARY, Buffer.from([0xff, 0xc0])));
});

describe('closing', () => {
  it('answers a close without a code', async () => {
    const answers = await talk([frame(CLOSE, '')]);
    assert.equal(answers.length, 1);
    assert.equal(answers[0].opcode, 8);
  });
  for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]) {
    it(`answers ${code}`, () => closesWith([closeWith(code, 'a reason')], code));
  }
  for (const code of [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535]) {
    it(`refuses ${code}`, () => closesWith([closeWith(code)], 1002));
  }
  it('refuses a body of one byte, a reason that is too long, one that is no UTF-8', async () => {
    await closesWith([frame(CLOSE, Buffer.from([3]))], 1002);
    await closesWith([closeWith(1000, 'x'.repeat(124))], 1002);
    await closesWith([frame(CLOSE, Buffer.from([3, 232, 0xff, 0xfe]))], 1007);
    await closesWith([closeWith(1000, 'x'.repeat(123))], 1000);
  });
  it('says nothing more afterwards', async () => {
    await closesWith([closeWith(1000), frame(PING, 'late')], 1000);
    await closesWith([closeWith(1000), frame(FIN | TEXT, 'late')], 1000);
    await closesWith([frame(TEXT, 'never whole'), closeWith(1000)], 1000);
  });
});

describe('large messages', () => {
  for (const size of [1 << 20, 4 << 20, 16 << 20]) {
    it(`echoes ${size >> 20} MiB`, () => echoes([frame(FIN | BINARY, Buffer.alloc(size, 7))], BINARY, Buffer.alloc(size, 7)));
  }
  it('joins 4 MiB of fragments of 64 bytes', () => {
    const parts = [];
    for (let at = 0; at < 65536; at++) parts.push(frame((at ? CONTINUED : BINARY) | (at === 65535 ? FIN : 0), Buffer.alloc(64, at)));
    return echoes(parts, BINARY, Buffer.concat(Array.from({ length: 65536 }, (_, at) => Buffer.alloc(64, at))));
  });
});
