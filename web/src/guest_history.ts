// What a guest chose to keep: in this browser only, as the server keeps a guest's count but neither results nor pictures.
import type {Kept} from './api';
import {thumbnail, upright} from './draw';
import type {Emotion} from './emotions';

const KEY = 'kept';

interface Stored extends Omit<Kept, 'when' | 'picture'> {
  when: string;
  thumbnail: string;
}

function read(): Stored[] {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? '[]') as Stored[];
  } catch {
    return [];
  }
}

const write = (all: Stored[]): void => localStorage.setItem(KEY, JSON.stringify(all));

/** A data URL's bytes; fetch() would need a looser content policy. */
function blobOf(url: string): Blob {
  const text = atob(url.slice(url.indexOf(',') + 1));
  return new Blob([Uint8Array.from(text, letter => letter.charCodeAt(0))], {type: 'image/jpeg'});
}

export const guestHistory = {
  async add(item: Kept, picture: Blob): Promise<void> {
    const bitmap = await upright(picture);
    const small = thumbnail(bitmap, []), scale = small.width / bitmap.width;
    bitmap.close();
    const faces = item.faces.map(face => ({...face, box: face.box.map(value => value * scale) as typeof face.box}));
    write([{...item, faces, when: item.when.toISOString(), thumbnail: small.toDataURL('image/jpeg', 0.8)}, ...read()]);
  },
  list(filter: {emotion?: Emotion; from?: number; until?: number}): Kept[] {
    return read().map(({thumbnail: _, ...item}) => ({...item, when: new Date(item.when), picture: 'local'})).filter(item => {
      const seconds = item.when.getTime() / 1000;
      return (!filter.emotion || item.faces.some(face => face.emotion === filter.emotion)) &&
        (!filter.from || seconds >= filter.from) && (!filter.until || seconds <= filter.until);
    });
  },
  picture(id: string): Blob {
    return blobOf(read().find(item => item.id === id)!.thumbnail);
  },
  remove: (id: string): void => write(read().filter(item => item.id !== id)),
  clear: (): void => localStorage.removeItem(KEY),
};
