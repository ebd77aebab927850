// Gathers what finds faces in the browser into <folder>/faces: the worker, MediaPipe's loader and WebAssembly, and its model
// for faces up to some five metres away.
import {build} from 'esbuild';
import {cp, mkdir, readFile, rm, writeFile} from 'node:fs/promises';
import path from 'node:path';
import {withMetadata} from './model.mjs';

const here = path.dirname(new URL(import.meta.url).pathname);
const packages = path.join(here, 'node_modules/@mediapipe');
const out = path.join(path.resolve(process.argv[2] ?? path.join(here, '../../build/faces')), 'faces');
await rm(out, {recursive: true, force: true});
await mkdir(out, {recursive: true});
await build({
  absWorkingDir: here,
  entryPoints: {worker: 'worker.ts'},
  outdir: out,
  bundle: true,
  minify: true,
  format: 'iife', // the loader comes in by importScripts, which only a classic worker has
  target: ['es2022'],
  legalComments: 'none',
  logLevel: 'error',
});
await cp(path.join(packages, 'tasks-vision/wasm/vision_wasm_internal.js'), path.join(out, 'vision.js'));
await cp(path.join(packages, 'tasks-vision/wasm/vision_wasm_internal.wasm'), path.join(out, 'vision.wasm'));
const model = await readFile(path.join(packages, 'face_detection/face_detection_full_range_sparse.tflite'));
await writeFile(path.join(out, 'model.tflite'), withMetadata(model));
