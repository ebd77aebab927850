// The table of `make bench` for inference: node compare_plan.mjs OURS PEER, both files of JSON lines (bench_plan,
// onnxruntime.mjs). Ratios are of best times; above 1 we are faster.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import process from 'node:process';

const read = (path) => readFileSync(path, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
const name = (path) => basename(path, '.onnx');
const [ours, peers] = process.argv.slice(2, 4).map(read);
const peer = new Map(peers.map((row) => [name(row.file), row]));
const whole = new Map(ours.filter((row) => row.precision === 'f32').map((row) => [row.net, row]));

const number = (value, digits, width) => (value === undefined ? '-' : value.toFixed(digits)).padStart(width);
console.log('network       precision   best ms  median ms   against our f32   against ONNX Runtime f32 (best ms)');
for (const row of ours) {
  const other = peer.get(name(row.net));
  const ratio = other && other.best_ms / row.best_ms;
  console.log(
    `${name(row.net).padEnd(14)}${row.precision.padEnd(9)}${number(row.best_ms, 4, 10)}${number(row.median_ms, 4, 11)}` +
      `${number(whole.get(row.net).best_ms / row.best_ms, 2, 18)}${number(ratio, 2, 15)} (${other ? other.best_ms.toFixed(4) : 'none'})`,
  );
  if (row.precision !== 'f32' || !other) continue;
  const far = row.first.some((list, o) => list.some((value, i) => Math.abs(value - other.first[o][i]) > 1e-3 * Math.max(1, Math.abs(value))));
  if (far) {
    console.error(`${row.net}: the answers differ from ONNX Runtime's`);
    process.exitCode = 1;
  }
}
