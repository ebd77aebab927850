// What live mode saw, for download: a ring of plain numbers, so that an hour of it takes no more memory than a minute.
import {EMOTIONS, type Face, type Probabilities} from './emotions';

const ROWS = 100_000; // about half an hour of two people at thirty frames a second
const BEFORE = 7; // seconds, person, x, y, width, height, emotion
const WIDTH = BEFORE + 1 + EMOTIONS.length;

export interface SessionRow {
  seconds: number;
  person: number;
  box: number[];
  emotion: string;
  confidence: number;
  probabilities: Probabilities;
}

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));

export class Session {
  private readonly values = new Float32Array(ROWS * WIDTH);
  private written = 0;

  add(seconds: number, face: Face): void {
    this.values.set([seconds, face.id ?? 0, ...face.box, EMOTIONS.indexOf(face.emotion), face.confidence,
      ...EMOTIONS.map(name => face.probabilities[name])], this.written++ % ROWS * WIDTH);
  }

  /** Oldest first. */
  * rows(): Generator<SessionRow> {
    for (let row = Math.max(0, this.written - ROWS); row < this.written; row++) {
      const at = row % ROWS * WIDTH, value = this.values.subarray(at, at + WIDTH);
      yield {seconds: rounded(value[0]!, 3), person: value[1]!, box: [...value.subarray(2, 6)].map(Math.round),
        emotion: EMOTIONS[value[6]!]!, confidence: rounded(value[BEFORE]!, 6),
        probabilities: Object.fromEntries(EMOTIONS.map((name, i) =>
          [name, rounded(value[BEFORE + 1 + i]!, 6)])) as Probabilities};
    }
  }
}
