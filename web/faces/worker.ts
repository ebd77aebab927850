// The option to find faces in the browser, in a worker of its own: frames come in as bitmaps, and what goes out is the message
// for the server with nothing but the faces, side by side in one JPEG. MediaPipe compiles WebAssembly, which the page's content
// policy forbids; only this worker is served with a policy that allows it.
import {FaceDetector} from '@mediapipe/tasks-vision';
import type {Found} from './found';

const MOST = 64; // faces that the server takes
const TILE = 160, COLUMNS = 8; // pixels; a multiple of 16, so that neighbours share no block of the JPEG
const QUALITY = 0.9;
const SURE = 0.5;
// What mien calls a face is narrower than MediaPipe's box, taller, and stands higher; what its model sees of one is the square
// that a frontal cascade would have drawn. Medians over 167 and 152 faces of photographs.
const WIDTH = 0.88, HEIGHT = 1.22, HIGHER = 0.06, CROP = 1.12;

interface Box {
  x: number;
  y: number;
  width: number;
  height: number;
  side: number; // of the crop, whose middle is the box's
}

const scope = self as unknown as DedicatedWorkerGlobalScope;
const sheet = new OffscreenCanvas(TILE, TILE);
let detector: FaceDetector | null = null;

// MediaPipe tells the console of its progress, some of it as errors. What goes wrong it throws.
for (const name of ['log', 'info', 'warn', 'error'] as const) console[name] = () => {};

async function prepare(): Promise<void> {
  const answer = await fetch('/faces/model.tflite');
  if (!answer.ok) throw new Error(`the face model: ${answer.status}`);
  detector = await FaceDetector.createFromOptions(
    {wasmLoaderPath: '/faces/vision.js', wasmBinaryPath: '/faces/vision.wasm'},
    {baseOptions: {modelAssetBuffer: new Uint8Array(await answer.arrayBuffer()), delegate: 'CPU'}, runningMode: 'IMAGE',
      minDetectionConfidence: SURE});
}

function find(frame: ImageBitmap): Box[] {
  const boxes: Box[] = [];
  for (const {boundingBox: box} of detector!.detect(frame).detections.slice(0, MOST)) {
    if (!box || box.width < 1) continue;
    const width = box.width * WIDTH, height = box.height * HEIGHT, side = box.width * CROP;
    const x = box.originX + (box.width - width) / 2, y = box.originY - box.height * HIGHER + (box.height - height) / 2;
    if (x + width > 1 && y + height > 1 && x < frame.width - 1 && y < frame.height - 1) boxes.push({x, y, width, height, side});
  }
  return boxes;
}

function base64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
}

async function messageOf(frame: ImageBitmap, boxes: Box[]): Promise<Found> {
  if (!boxes.length) return {message: '{"type":"crops","data":{"faces":[]}}', bytes: 0};
  sheet.width = TILE * Math.min(COLUMNS, boxes.length);
  sheet.height = TILE * Math.ceil(boxes.length / COLUMNS);
  const context = sheet.getContext('2d', {alpha: false})!;
  const faces = boxes.map(({x, y, width, height, side}, i) => {
    const left = i % COLUMNS * TILE, top = Math.floor(i / COLUMNS) * TILE, shown = Math.min(TILE, Math.ceil(side));
    context.drawImage(frame, x + (width - side) / 2, y + (height - side) / 2, side, side, left, top, shown, shown);
    return {crop: [left, top, shown, shown], box: [x, y, width, height].map(Math.round)};
  });
  const blob = await sheet.convertToBlob({type: 'image/jpeg', quality: QUALITY});
  const image = base64(new Uint8Array(await blob.arrayBuffer()));
  return {message: JSON.stringify({type: 'crops', data: {faces, image}}), bytes: blob.size};
}

scope.onmessage = async ({data}: MessageEvent<ImageBitmap | 'prepare'>) => {
  try {
    if (data === 'prepare') {
      await prepare();
      scope.postMessage('ready');
      return;
    }
    const found = await messageOf(data, find(data));
    data.close();
    scope.postMessage(found);
  } catch (error) {
    scope.postMessage({error: String(error)});
  }
};
