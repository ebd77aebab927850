// What was found, as files for other programs.
import {csv, download} from './dom';
import {EMOTIONS, type Face} from './emotions';

export interface Named {
  file: string; // or when it was kept
  faces: Face[];
}

export function exportCsv(name: string, all: Named[]): void {
  const rows: (string | number)[][] = [['file', 'face', 'x', 'y', 'width', 'height', 'emotion', 'confidence', 'uncertain',
    'quality', ...EMOTIONS]];
  for (const {file, faces} of all)
    faces.forEach((face, i) => rows.push([file, i + 1, ...face.box, face.emotion, face.confidence,
      face.uncertain === undefined ? '' : Number(face.uncertain), face.quality ?? '', ...EMOTIONS.map(emotion => face.probabilities[emotion])]));
  download(`${name}.csv`, csv(rows), 'text/csv');
}

export function exportJson(name: string, all: object[]): void {
  download(`${name}.json`, JSON.stringify(all, null, 1), 'application/json');
}
