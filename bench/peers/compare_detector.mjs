// The table of `make bench` for face detectors: node compare_detector.mjs OURS PEER, both files of JSON lines
// (bench_detector; onnxruntime.mjs and opencv_search.py). A ratio above 1 means that we are faster; best / median.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import process from 'node:process';

const read = (path) => readFileSync(path, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
const [ours, peers] = process.argv.slice(2, 4).map(read);
const short = (path) => basename(path).replace(/\.(onnx|xml)$/, '');
const times = (row) => `${row.best_ms.toFixed(3).padStart(9)} ${row.median_ms.toFixed(3).padStart(9)}`;
const ratio = (peer, row) => (peer ? `${(peer.best_ms / row.best_ms).toFixed(2)} / ${(peer.median_ms / row.median_ms).toFixed(2)}` : 'none');
const rival = peers.find((row) => /RFB/.test(row.file));
const cascade = ours.find((row) => row.precision === 'cascade');

console.log('network alone, 320×240 (256)      best ms median ms   same file in ONNX Runtime   RFB-320 in ONNX Runtime');
for (const row of ours.filter((one) => one.what === 'network')) {
  const same = peers.find((one) => one.file === row.file);
  console.log(`${short(row.file).padEnd(24)}${row.precision.padEnd(8)}${times(row)}${ratio(same, row).padStart(20)}${ratio(rival, row).padStart(26)}`);
}
for (const row of peers.filter((one) => one.what !== 'search')) console.log(`${short(row.file).padEnd(24)}${'ORT'.padEnd(8)}${times(row)}`);
const opencv = peers.find((row) => row.what === 'search');
console.log('\nsearch of 640×480, faces from 32  best ms median ms   against our cascade     OpenCV\'s cascade');
for (const row of ours.filter((one) => one.what === 'search'))
  console.log(`${(row === cascade ? 'our' : short(row.file)).padEnd(24)}${row.precision.padEnd(8)}${times(row)}${ratio(row === cascade ? null : cascade, row).padStart(20)}${ratio(opencv, row).padStart(22)}`);
if (opencv) console.log(`${opencv.file.padEnd(32)}${times(opencv)}`);
