// The seven classes in mien's order. The colours are Okabe and Ito's, which people with any kind of colour blindness can
// tell apart; they match those of `mien detect --annotate`.
export const EMOTIONS = ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'] as const;
export type Emotion = (typeof EMOTIONS)[number];
export type Probabilities = Record<Emotion, number>;

export const COLOURS: Record<Emotion, string> = {
  angry: '#d55e00',
  disgust: '#009e73',
  fear: '#cc79a7',
  happy: '#e69f00',
  sad: '#0072b2',
  surprise: '#56b4e9',
  neutral: '#8a8f98',
};

export interface Face {
  box: [number, number, number, number];
  id?: number;
  score: number;
  emotion: Emotion;
  confidence: number;
  uncertain?: boolean; // the history on the server keeps neither this
  quality?: number; // nor this
  probabilities: Probabilities;
  smoothed?: Probabilities;
}

export interface Analysis {
  width: number;
  height: number;
  faces: Face[];
  timing_ms: {decode: number; detect: number; classify: number; total: number};
}

/** The largest class of a set of probabilities. */
export function surest(probabilities: Probabilities): Emotion {
  return EMOTIONS.reduce((best, name) => (probabilities[name] > probabilities[best] ? name : best));
}
