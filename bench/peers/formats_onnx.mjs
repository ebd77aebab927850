// ONNX Runtime's answers to the two fixed pictures of bench_formats: node formats_onnx.mjs FILE.onnx
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import process from 'node:process';

const require = createRequire(pathToFileURL(`${process.env.MIEN_PEERS ?? process.cwd()}/`));
const runtime = require('onnxruntime-node');

const session = await runtime.InferenceSession.create(process.argv[2], { logSeverityLevel: 3 });
const [meta] = session.inputMetadata;
const dims = meta.shape.map((size, axis) => (axis === 0 ? 2 : size));
const data = Float32Array.from({ length: dims.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 7919) % 1000) / 500 - 1);
const answers = await session.run({ [meta.name]: new runtime.Tensor('float32', data, dims) });
const outputs = session.outputNames.map((name) => ({ shape: answers[name].dims, values: Array.from(answers[name].data) }));
console.log(JSON.stringify({ outputs }));
