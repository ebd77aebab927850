// Frames to the server and answers back over one WebSocket. One frame is under way at a time: a slow server is asked less
// often instead of being flooded, and a lost connection comes back by itself.
import {withModel} from './model_choice';
import type {Emotion, Face, Probabilities} from './emotions';

interface WireFace {
  box: [number, number, number, number];
  face_id: number;
  score: number;
  emotion: Emotion;
  confidence: number;
  uncertain: boolean;
  quality: number;
  probabilities: Probabilities;
  smoothed: Probabilities;
}

export interface StreamAnswer {
  faces: Face[];
  dropped: number;
  latency: number; // milliseconds from sending to the answer
}

export interface StreamEvents {
  answer(answer: StreamAnswer): void;
  state(state: 'connecting' | 'open' | 'away'): void;
}

const PATIENCE = 4000; // an answer that takes longer is given up
const FIRST_RETRY = 500;
const LONGEST_RETRY = 8000;

export class FrameStream {
  private socket: WebSocket | null = null;
  private sent = 0;
  private retry = FIRST_RETRY;
  private timer = 0;
  private closed = false;

  constructor(private readonly events: StreamEvents) {
    this.connect();
  }

  /** Whether a frame would be taken now. */
  get ready(): boolean {
    return this.socket?.readyState === WebSocket.OPEN && (this.sent === 0 || performance.now() - this.sent > PATIENCE);
  }

  send(frame: Blob | string): void {
    if (!this.ready) return;
    this.sent = performance.now();
    this.socket!.send(frame);
  }

  close(): void {
    this.closed = true;
    window.clearTimeout(this.timer);
    this.socket?.close();
  }

  private connect(): void {
    this.events.state('connecting');
    const socket = new WebSocket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}${withModel('/ws?search=assisted')}`);
    this.socket = socket;
    socket.onopen = () => {
      this.retry = FIRST_RETRY;
      this.sent = 0;
      this.events.state('open');
    };
    socket.onmessage = event => this.read(String(event.data));
    socket.onclose = () => {
      if (this.closed) return;
      this.events.state('away');
      this.timer = window.setTimeout(() => this.connect(), this.retry);
      this.retry = Math.min(this.retry * 2, LONGEST_RETRY);
    };
  }

  private read(text: string): void {
    const message = JSON.parse(text) as {type: string; data?: {faces?: WireFace[]}; dropped?: number};
    if (message.type !== 'result' && message.type !== 'error') return;
    const latency = this.sent ? performance.now() - this.sent : PATIENCE; // of a frame that was given up: nobody knows since when
    this.sent = 0;
    if (message.type === 'error') return;
    const faces = (message.data?.faces ?? []).map(face => ({...face, id: face.face_id}));
    this.events.answer({faces, dropped: message.dropped ?? 0, latency});
  }
}
