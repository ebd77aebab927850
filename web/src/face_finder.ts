// The option to find faces in the browser: a worker with MediaPipe, fetched when the option is turned on and not before. Frames
// go to the worker and never to the server; what comes back is the message for the server, with the faces alone.
import type {Found} from '../faces/found';

type Answer = Found | 'ready' | {error: string};

export class FaceFinder {
  private refuse: ((why: Error) => void) | null = null; // of the question under way

  private constructor(private readonly worker: Worker) {}

  static async start(): Promise<FaceFinder> {
    const finder = new FaceFinder(new Worker('/faces/worker.js'));
    try {
      await finder.ask('prepare');
      return finder;
    } catch (error) {
      finder.stop();
      throw error;
    }
  }

  /** The faces of a frame; the frame is used up. One at a time. */
  async find(frame: ImageBitmap): Promise<Found> {
    return await this.ask(frame, [frame]) as Found;
  }

  /** A question under way fails. */
  stop(): void {
    this.worker.terminate();
    this.refuse?.(new Error('stopped'));
  }

  private ask(question: ImageBitmap | 'prepare', hand: Transferable[] = []): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.refuse = reject;
      this.worker.onmessage = ({data}: MessageEvent<Answer>) => {
        if (typeof data === 'object' && 'error' in data) reject(new Error(data.error));
        else resolve(data);
      };
      this.worker.onerror = event => reject(new Error(event.message || 'the worker did not start'));
      this.worker.postMessage(question, hand);
    });
  }
}
