// Guards a server under everything at once, for some seconds: nothing unexpected is answered, and memory does not run away.
// bench/soak.mjs is the long form.
import assert from 'node:assert/strict';
import test from 'node:test';
import { soak } from '../../bench/soak.mjs';
import { sanitized } from './helper.mjs';

test('mixed load on all dialects and sockets', async () => {
  const result = await soak({ seconds: 20, rate: 60, warm: 8, reload: 4 });
  assert.deepEqual(result.errors, []);
  assert.equal(result.exit, 0);
  assert.ok(result.requests > 20, String(result.requests));
  if (!sanitized) assert.ok(result.growth < 24, `${result.growth} MB more`);
});
