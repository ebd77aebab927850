// Boxes and labels on a canvas, over a picture or over the video.
import {COLOURS, type Face} from './emotions';
import {percent, t} from './i18n';

export interface DrawOptions {
  scale: number; // canvas pixels per picture pixel
  mirrored?: boolean;
  width: number; // of the canvas, for mirroring and clipping
}

function textOn(colour: string): string {
  const value = parseInt(colour.slice(1), 16);
  const light = 0.299 * (value >> 16) + 0.587 * ((value >> 8) & 255) + 0.114 * (value & 255);
  return light > 140 ? '#000000' : '#ffffff';
}

export function drawFace(context: CanvasRenderingContext2D, face: Face, options: DrawOptions): void {
  const {scale} = options;
  const [bx, by, bw, bh] = face.box;
  const width = bw * scale, height = bh * scale, y = by * scale;
  const x = options.mirrored ? options.width - (bx + bw) * scale : bx * scale;
  const colour = COLOURS[face.emotion];
  const line = Math.max(2, Math.round(options.width / 320));
  context.save();
  context.lineWidth = line + 2;
  context.strokeStyle = 'rgba(0,0,0,.45)';
  context.strokeRect(x, y, width, height);
  context.lineWidth = line;
  context.strokeStyle = colour;
  if (face.uncertain) context.setLineDash([line * 3, line * 2]);
  context.strokeRect(x, y, width, height);

  const size = Math.max(12, Math.min(28, Math.round(options.width / 45)));
  const name = `${face.id ? `${face.id} · ` : ''}${t(face.emotion)} ${percent(face.confidence)}${face.uncertain ? ' ?' : ''}`;
  context.font = `600 ${size}px system-ui, sans-serif`;
  context.textBaseline = 'middle';
  const plate = context.measureText(name).width + size;
  const top = y - size * 1.5 >= 0 ? y - size * 1.5 : y;
  const left = Math.max(0, Math.min(x - line / 2, options.width - plate));
  context.fillStyle = colour;
  context.fillRect(left, top, plate, size * 1.5);
  context.fillStyle = textOn(colour);
  context.fillText(name, left + size / 2, top + size * 0.78);
  context.restore();
}

/** The picture with everything that was found on it, at its own size. */
export function annotated(picture: CanvasImageSource, width: number, height: number, faces: Face[],
  mirrored = false): HTMLCanvasElement {
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d')!;
  context.save();
  if (mirrored) {
    context.translate(width, 0);
    context.scale(-1, 1);
  }
  context.drawImage(picture, 0, 0, width, height);
  context.restore();
  for (const face of faces) drawFace(context, face, {scale: 1, mirrored, width});
  return canvas;
}

export const toBlob = (canvas: HTMLCanvasElement, type = 'image/jpeg', quality = 0.92): Promise<Blob> =>
  new Promise((resolve, reject) =>
    canvas.toBlob(blob => (blob ? resolve(blob) : reject(new Error('the picture could not be encoded'))), type, quality));
