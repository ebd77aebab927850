// Compare answers: node compare_formats.mjs NAME OURS.json PEER.json. Prints the largest difference and fails above 1e-5.
import { readFileSync } from 'node:fs';
import process from 'node:process';

const [name, ...paths] = process.argv.slice(2);
const [ours, peer] = paths.map((path) => JSON.parse(readFileSync(path, 'utf8')).outputs);
let worst = ours.length === peer.length ? 0 : Infinity;
ours.forEach((output, o) => {
  if (String(output.shape) !== String(peer[o]?.shape)) worst = Infinity;
  output.values.forEach((value, i) => {
    const far = Math.abs(value - peer[o]?.values[i]) / Math.max(1, Math.abs(value));
    if (!(far <= worst)) worst = far;
  });
});
console.log(`${name.padEnd(36)} largest difference ${worst.toExponential(1)}`);
process.exitCode = worst <= 1e-5 ? 0 : 1;
