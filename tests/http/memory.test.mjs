// Guards that pictures which clients send stay within the memory that the server was told it has: large ones wait for each
// other, one beyond it is refused, and at no time does the process hold more.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';
import { png, sanitized, startReal, upload } from './helper.mjs';

const limit = 256 << 20;

test('large pictures wait for each other, larger ones are refused, and memory stays below the limit', async () => {
  const server = await startReal(['--memory-limit', String(limit), '--workers', '2', '--cache-size', '0', '--request-timeout', '300']);
  if (!server) return console.log('# skipped: the program is not built');
  assert.match(server.log, /memory: at most 268 MB \(MEMORY_LIMIT\)[^]*memory: \d+ MB for the program, 2 workers and connections, \d+ for bodies under way, \d+ for large pictures/);
  const send = (bytes) => upload(server, '/api/faces', bytes, { name: 'a.png', type: 'image/png' });
  const large = png(4800, 4000), larger = png(8000, 6000);
  const replies = await Promise.all(Array.from({ length: 6 }, () => send(large)));
  // a slow machine may send somebody away, but says when to come back
  for (const reply of replies) assert.ok(reply.status === 200 || (reply.status === 503 && reply.headers.get('retry-after')), `${reply.status}`);
  assert.ok(replies.some((reply) => reply.status === 200));
  const refused = await send(larger);
  assert.equal(refused.status, 413);
  assert.match(refused.json.detail, /takes \d+ MB of memory to read; at most \d+ MB are allowed/);
  assert.equal((await send(png(100, 100))).status, 200);
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${server.child.pid}/status`, 'utf8'))[1]) * 1024;
  console.log(`# at most ${(peak / (1 << 20)).toFixed(0)} MB`);
  if (!sanitized) assert.ok(peak < limit, `${peak} bytes`);
  assert.equal(await server.stop(), 0, server.log);
});
