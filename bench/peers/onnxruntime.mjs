// Times ONNX Runtime on an .onnx file, one thread: node onnxruntime.mjs FILE.onnx [runs]. Prints one JSON object with best
// and median in milliseconds, and the first numbers of every output for the input (i mod 255) / 255. Open sizes of the input are taken as 1 (batch) or from HEIGHT and WIDTH in the environment.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import process from 'node:process';

const require = createRequire(pathToFileURL(`${process.env.MIEN_PEERS ?? process.cwd()}/`));
const runtime = require('onnxruntime-node');

const [file, count] = process.argv.slice(2);
if (!file) {
  console.error('usage: node onnxruntime.mjs FILE.onnx [runs]');
  process.exit(2);
}
const open = [1, 3, Number(process.env.HEIGHT ?? 48), Number(process.env.WIDTH ?? 48)];
const session = await runtime.InferenceSession.create(file, {
  intraOpNumThreads: 1,
  interOpNumThreads: 1,
  graphOptimizationLevel: 'all',
  executionMode: 'sequential',
  logSeverityLevel: 3,
});
const inputs = {};
for (const meta of session.inputMetadata) {
  const dims = meta.shape.map((size, axis) => (typeof size === 'number' && size > 0 ? size : open[axis]));
  const data = new Float32Array(dims.reduce((a, b) => a * b, 1));
  for (let i = 0; i < data.length; i++) data[i] = (i % 255) / 255;
  inputs[meta.name] = new runtime.Tensor('float32', data, dims);
}
for (let i = 0; i < 20; i++) await session.run(inputs);
const times = [];
const end = performance.now() + 1000;
while (times.length < Number(count ?? 200) || performance.now() < end) {
  const start = performance.now();
  await session.run(inputs);
  times.push(performance.now() - start);
}
times.sort((a, b) => a - b);
const outputs = await session.run(inputs);
const first = Object.values(outputs).map((tensor) => Array.from(tensor.data.slice(0, 8)));
console.log(
  JSON.stringify({
    peer: 'onnxruntime',
    version: runtime.env.versions?.node ?? runtime.env.versions?.common,
    file,
    best_ms: times[0],
    median_ms: times[times.length >> 1],
    runs: times.length,
    first,
  }),
);
