// Boxes and labels on a canvas, over a picture or over the video. Labels keep out of each other's way: each takes the first
// free place around its box, and where nothing is free it is shortened to the face's number.
import {COLOURS, type Face} from './emotions';
import {percent, t} from './i18n';

export interface DrawOptions {
  scale: number; // canvas pixels per picture pixel
  mirrored?: boolean;
  width: number; // of the canvas
  height: number;
  labels?: boolean; // default true
  pixelRatio?: number; // canvas pixels per pixel of the page, default 1
}

interface Place {
  x: number;
  y: number;
  width: number;
  height: number;
}

function textOn(colour: string): string {
  const value = parseInt(colour.slice(1), 16);
  const light = 0.299 * (value >> 16) + 0.587 * ((value >> 8) & 255) + 0.114 * (value & 255);
  return light > 120 ? '#000000' : '#ffffff';
}

const overlap = (a: Place, b: Place): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

function boxOf(face: Face, options: DrawOptions): Place {
  const {scale} = options;
  const [x, y, width, height] = face.box;
  return {x: options.mirrored ? options.width - (x + width) * scale : x * scale, y: y * scale, width: width * scale,
    height: height * scale};
}

function outline(context: CanvasRenderingContext2D, face: Face, box: Place, line: number): void {
  context.save();
  context.beginPath();
  context.roundRect(box.x, box.y, box.width, box.height, Math.min(box.width, box.height) * 0.08);
  context.lineWidth = line + 2;
  context.strokeStyle = 'rgba(0,0,0,.45)';
  context.stroke();
  context.lineWidth = line;
  context.strokeStyle = COLOURS[face.emotion];
  if (face.uncertain) context.setLineDash([line * 3, line * 2]);
  context.stroke();
  context.restore();
}

/** Where a plate of that size fits: above the box, below, inside at the top; null when all of these are taken. */
function free(box: Place, width: number, height: number, taken: Place[], options: DrawOptions): Place | null {
  const left = Math.max(0, Math.min(box.x - 1, options.width - width));
  const right = Math.max(0, Math.min(box.x + box.width + 1 - width, options.width - width));
  for (const y of [box.y - height, box.y + box.height, box.y])
    for (const x of [left, right]) {
      const place = {x, y, width, height};
      if (y >= 0 && y + height <= options.height && !taken.some(other => overlap(place, other))) return place;
    }
  return null;
}

function label(context: CanvasRenderingContext2D, face: Face, box: Place, taken: Place[], options: DrawOptions): void {
  const ratio = options.pixelRatio ?? 1;
  const size = Math.max(12 * ratio, Math.min(26 * ratio, Math.round(options.width / 58)));
  const mark = face.uncertain ? '?' : '';
  const number = face.id ? String(face.id) : '';
  const texts = [`${number} ${t(face.emotion)} ${percent(face.confidence)} ${mark}`, `${number} ${t(face.emotion)} ${mark}`,
    `${number}${mark}`].map(text => text.trim());
  context.font = `600 ${size}px system-ui, sans-serif`;
  const boxes = taken.filter(other => other !== box);
  let place: Place | null = null, text = '';
  for (text of texts) {
    place = free(box, context.measureText(text).width + size * 0.9, size * 1.45, boxes, options);
    if (place) break;
  }
  if (!place) return;
  taken.push(place);
  context.fillStyle = COLOURS[face.emotion];
  context.beginPath();
  context.roundRect(place.x, place.y, place.width, place.height, size * 0.3);
  context.fill();
  context.fillStyle = textOn(COLOURS[face.emotion]);
  context.textBaseline = 'middle';
  context.fillText(text, place.x + size * 0.45, place.y + place.height * 0.54);
}

export function drawFaces(context: CanvasRenderingContext2D, faces: Face[], options: DrawOptions): void {
  const line = Math.max(2 * (options.pixelRatio ?? 1), Math.round(options.width / 400));
  const boxes = faces.map(face => boxOf(face, options));
  faces.forEach((face, i) => outline(context, face, boxes[i]!, line));
  if (options.labels === false) return;
  const taken = [...boxes];
  faces.forEach((face, i) => label(context, face, boxes[i]!, taken, options));
}

/** The picture with everything that was found on it, at the size given. */
export function annotated(picture: CanvasImageSource, width: number, height: number, faces: Face[],
  options: Omit<Partial<DrawOptions>, 'width' | 'height'> = {}): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d')!;
  context.save();
  if (options.mirrored) {
    context.translate(width, 0);
    context.scale(-1, 1);
  }
  context.drawImage(picture, 0, 0, width, height);
  context.restore();
  drawFaces(context, faces, {scale: 1, ...options, width, height});
  return canvas;
}

const THUMBNAIL = 480;

/** A small one, with boxes and no words, for a gallery. */
export function thumbnail(picture: ImageBitmap, faces: Face[]): HTMLCanvasElement {
  const scale = Math.min(1, THUMBNAIL / Math.max(picture.width, picture.height));
  const canvas = annotated(picture, Math.max(1, Math.round(picture.width * scale)),
    Math.max(1, Math.round(picture.height * scale)), faces, {scale, labels: false, pixelRatio: 2});
  canvas.setAttribute('aria-hidden', 'true');
  return canvas;
}

export const upright = (picture: Blob): Promise<ImageBitmap> =>
  createImageBitmap(picture, {imageOrientation: 'from-image'});

export const toBlob = (canvas: HTMLCanvasElement, type = 'image/jpeg', quality = 0.92): Promise<Blob> =>
  new Promise((resolve, reject) =>
    canvas.toBlob(blob => (blob ? resolve(blob) : reject(new Error('the picture could not be encoded'))), type, quality));
