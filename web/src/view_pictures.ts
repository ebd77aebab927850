// Pictures: drop, paste, choose or take some; a gallery fills as the answers arrive; each opens large.
import {analyse, keep, Problem, signedIn} from './api';
import {countFaces} from './bars';
import {download, h, replace} from './dom';
import {annotated, thumbnail, toBlob, upright} from './draw';
import {droppedFiles, type Dropped} from './dropped';
import type {Analysis, Emotion, Face} from './emotions';
import {exportCsv, exportJson} from './export';
import {guestHistory} from './guest_history';
import {number, t} from './i18n';
import {icon} from './icons';
import {takePhotograph, takesByItself} from './photograph';
import {explain, hush, say} from './say';
import {annotatedName, Viewer} from './viewer';
import {zip} from './zip';
import type {View} from './view';

const AT_ONCE = 2;
const KEEP_BYTES = 4e6, KEEP_SIDE = 2048;
const LONGEST_WAIT = 60; // seconds that a server may ask for before the page gives up on a picture
const AWAY_WAIT = 3; // seconds until a server that is away is asked again
const SENT_AS_IT_IS = /^(|image\/(jpeg|png|webp|gif|bmp|x-ms-bmp))$/;

interface Item {
  file: File;
  card: HTMLElement;
  state: 'waiting' | 'working' | 'done' | 'failed';
  result?: Analysis;
  small?: Element; // the picture of its card
  problem?: unknown;
  notKept?: unknown;
}

/* Who looks at another view, or in another language, finds the pictures again. */
const items: Item[] = [];
let keeps = false;

/** Faces counted by expression, the commonest first. */
export function chips(faces: Face[]): HTMLElement {
  const counts = new Map<Emotion, number>();
  for (const face of faces) counts.set(face.emotion, (counts.get(face.emotion) ?? 0) + 1);
  const unsure = faces.filter(face => face.uncertain).length;
  return h('p', {class: 'chips'}, [...counts].sort(([, a], [, b]) => b - a).map(([emotion, count]) =>
    h('span', {class: 'chip'}, h('span', {class: `dot ${emotion}`, 'aria-hidden': 'true'}),
      count > 1 ? `${t(emotion)} × ${count}` : t(emotion))),
  unsure > 0 && h('span', {class: 'chip doubt'}, t('uncertainN', {n: unsure})));
}

/** What the history takes: JPEG, PNG or GIF of up to some megabytes. Other pictures become such a JPEG. */
async function keepable(file: File): Promise<File> {
  if (file.size <= KEEP_BYTES && /\.(jpe?g|png|gif)$/i.test(file.name)) return file;
  const bitmap = await upright(file), scale = Math.min(1, KEEP_SIDE / Math.max(bitmap.width, bitmap.height));
  const small = annotated(bitmap, Math.max(1, Math.round(bitmap.width * scale)), Math.max(1, Math.round(bitmap.height * scale)), []);
  bitmap.close();
  return new File([await toBlob(small)], `${file.name.replace(/\.[^.]*$/, '')}.jpg`, {type: 'image/jpeg'});
}

/** A picture of a kind that this browser reads and the server does not (AVIF; in some browsers HEIC) goes as a JPEG. */
async function sendable(file: File): Promise<Blob> {
  if (SENT_AS_IT_IS.test(file.type)) return file;
  const bitmap = await upright(file).catch(() => null);
  if (!bitmap) return file;
  const same = annotated(bitmap, bitmap.width, bitmap.height, []);
  bitmap.close();
  return toBlob(same);
}

const numbered = (result: Analysis): Face[] => result.faces.map((face, i) => ({...face, id: i + 1}));

export function picturesView(): View {
  const stop = new AbortController();
  const viewer = new Viewer();
  let running = 0, pausedUntil = 0, keeping = Promise.resolve();

  const input = h('input', {type: 'file', multiple: true, accept: 'image/*',
    class: 'hidden', id: 'choose-input', tabindex: -1, 'aria-hidden': 'true',
    onchange: () => { add(input.files); input.value = ''; }});
  const shot = h('input', {type: 'file', accept: 'image/*', capture: 'environment', class: 'hidden', tabindex: -1,
    'aria-hidden': 'true', onchange: () => { add(shot.files); shot.value = ''; }});
  const keepBox = h('input', {type: 'checkbox', id: 'keep', checked: keeps, onchange: () => { keeps = keepBox.checked; }});
  const zone = h('section', {class: 'drop', 'aria-label': t('drop')},
    h('div', {class: 'badge'}, icon('picture')), h('p', {class: 'big by-mouse'}, t('drop')),
    h('p', {class: 'quiet by-mouse'}, t('dropMore')),
    h('p', {class: 'buttons'},
      h('button', {type: 'button', class: 'primary', onclick: () => input.click()}, icon('picture'), t('choose')),
      h('button', {type: 'button', id: 'take', onclick: () => void take()}, icon('camera'), t('take'))),
    h('p', {class: 'quiet small'}, t('kinds')),
    h('label', {class: 'check'}, keepBox, t(signedIn() ? 'keep' : 'keepGuest')), input, shot);
  const hints = h('div', {class: 'hints'}, ([[1, 'face'], [2, 'doubt'], [3, 'shield']] as const).map(([n, drawing]) =>
    h('section', {}, h('div', {class: 'badge'}, icon(drawing)), h('h2', {}, t(`hintTitle${n}`)), h('p', {class: 'quiet'}, t(`hint${n}`)))));
  const progress = h('p', {class: 'progress', role: 'status', 'aria-live': 'polite'});
  const bar = h('progress', {max: 1, value: 0, 'aria-label': t('working')});
  const tools = h('div', {class: 'toolbar hidden'}, progress, bar, h('span', {class: 'space'}), h('div', {class: 'group'},
    h('button', {type: 'button', 'aria-label': t('downloadOf', {kind: 'CSV'}), onclick: () => exportCsv('mien', named())}, icon('download'), t('exportCsv')),
    h('button', {type: 'button', 'aria-label': t('downloadOf', {kind: 'JSON'}), onclick: () => exportJson('mien', done().map(item => ({file: item.file.name, ...item.result})))}, icon('download'), t('exportJson')),
    h('button', {type: 'button', onclick: () => void exportPictures()}, icon('download'), t('exportPictures')),
    h('button', {type: 'button', onclick: clear}, icon('trash'), t('clear'))));
  const summary = h('div', {class: 'summary'});
  const gallery = h('div', {class: 'gallery'});
  const element = h('div', {}, h('h1', {}, t('picturesTitle')), h('p', {class: 'lead'}, t('picturesLead')), zone, hints, tools,
    summary, gallery, viewer.element);

  const over = (event: DragEvent): void => {
    event.preventDefault();
    if (!event.dataTransfer?.types.includes('Files')) return;
    zone.classList.add('over');
  };
  const out = (): void => zone.classList.remove('over');
  const dropped = (event: DragEvent): void => {
    event.preventDefault();
    out();
    void droppedFiles(event.dataTransfer).then(addDropped, error => say(explain(error), 'bad'));
  };
  const pasted = (event: ClipboardEvent): void => add(event.clipboardData?.files);
  document.addEventListener('dragover', over);
  document.addEventListener('dragleave', out);
  document.addEventListener('drop', dropped);
  document.addEventListener('paste', pasted);

  async function take(): Promise<void> {
    if (takesByItself()) {
      shot.click();
      return;
    }
    try {
      const photograph = await takePhotograph(element);
      if (photograph) add([photograph]);
    } catch (error) {
      say(explain(error), 'bad', 0);
    }
  }

  function add(files: Iterable<File> | null | undefined): void {
    for (const file of files ?? []) {
      const item: Item = {file, card: h('article', {class: 'card picture'}), state: 'waiting'};
      show(item);
      items.push(item);
      gallery.append(item.card);
    }
    pump();
  }

  function addDropped({files, passedOver}: Dropped): void {
    if (stop.signal.aborted) return;
    add(files);
    if (passedOver) say(t('passedOver', {n: number(passedOver)}));
  }

  function show(item: Item): void {
    const {name} = item.file;
    const title = h('div', {class: 'title'}, h('p', {class: 'file', title: name}, name),
      h('button', {type: 'button', class: 'quiet', 'aria-label': t('remove', {name}), title: t('remove', {name}),
        onclick: () => remove(item)}, icon('close')));
    if (item.state === 'done') {
      replace(item.card, h('button', {type: 'button', class: 'plain frame', 'aria-label': t('open', {name}),
        onclick: () => openLarge(item)}, item.small), title, words(item.result!), chips(item.result!.faces),
      item.notKept !== undefined && h('p', {class: 'message bad small'}, explain(item.notKept, name)));
    } else if (item.state === 'failed') {
      replace(item.card, h('div', {class: 'frame broken', 'aria-hidden': 'true'}, '!'), title,
        h('p', {class: 'message bad'}, explain(item.problem, name)),
        h('button', {type: 'button', onclick: () => { item.state = 'waiting'; show(item); pump(); }}, t('retry')));
    } else {
      replace(item.card, h('div', {class: 'frame skeleton'}), title,
        h('p', {class: 'quiet'}, t(item.state === 'working' ? 'working' : 'waiting')));
    }
  }

  const words = ({faces, timing_ms}: Analysis): HTMLElement => h('p', {class: 'quiet small'}, countFaces(faces.length),
    timing_ms.total >= 1 && ` · ${t('milliseconds', {n: number(timing_ms.total)})}`);

  async function small(item: Item): Promise<Element> {
    const bitmap = await upright(item.file).catch(() => null);
    const made = bitmap ? thumbnail(bitmap, item.result!.faces) : h('div', {class: 'skeleton'});
    bitmap?.close();
    return made;
  }

  function remove(item: Item): void {
    const at = items.indexOf(item), next = items[at + 1] ?? items[at - 1];
    items.splice(at, 1);
    item.card.remove();
    (next?.card.querySelector<HTMLElement>('button') ?? zone.querySelector('button'))?.focus();
    refresh();
  }

  const done = (): Item[] => items.filter(item => item.result);
  const named = (): {file: string; faces: Face[]}[] => done().map(item => ({file: item.file.name, faces: item.result!.faces}));

  function openLarge(item: Item): void {
    const all = done();
    void viewer.open(all.map(one => ({name: one.file.name, faces: numbered(one.result!), picture: () => one.file})),
      all.indexOf(item));
  }

  /* One after the other: a guest's first answer brings the cookie by which the server counts. */
  function keepToo(item: Item): Promise<void> {
    const mine = keeping.then(async () => {
      const file = await keepable(item.file), kept = await keep(file, file.name, stop.signal);
      if (!signedIn()) await guestHistory.add(kept, file);
    });
    keeping = mine.catch(() => {});
    return mine;
  }

  async function work(item: Item): Promise<void> {
    item.state = 'working';
    show(item);
    try {
      item.result = await analyse(await sendable(item.file), stop.signal);
      item.small = await small(item);
      item.state = 'done';
      show(item);
    } catch (error) {
      if (stop.signal.aborted) return;
      const wait = error instanceof Problem && error.kind !== 'quota' ? (error.kind === 'away' ? AWAY_WAIT : error.wait) : 0;
      if (wait && wait <= LONGEST_WAIT) {
        rest(item, wait, explain(error));
        return;
      }
      item.state = 'failed';
      const unreadable = error instanceof Problem && error.kind === 'other';
      item.problem = !unreadable ? error : new Problem(item.file.type.startsWith('video/') ? 'video' : 'not-picture', error.message);
      show(item);
      return;
    }
    if (!keeps) return;
    await keepToo(item).catch(error => {
      if (stop.signal.aborted) return;
      item.notKept = error;
      show(item);
    });
  }

  /* The server asked for a pause, or is away: this picture waits with all the others, and goes on by itself. */
  function rest(item: Item, seconds: number, words: string): void {
    item.state = 'waiting';
    show(item);
    pausedUntil = Math.max(pausedUntil, performance.now() + seconds * 1000);
    say(words, 'good', seconds);
    window.setTimeout(pump, seconds * 1000 + 50);
  }

  function pump(): void {
    if (stop.signal.aborted) return;
    refresh();
    while (running < AT_ONCE && performance.now() >= pausedUntil) {
      const next = items.find(item => item.state === 'waiting');
      if (!next) break;
      running++;
      void work(next).finally(() => {
        running--;
        pump();
      });
    }
  }

  function refresh(): void {
    const ready = items.filter(item => item.state === 'done' || item.state === 'failed').length;
    tools.classList.toggle('hidden', items.length === 0);
    hints.classList.toggle('hidden', items.length > 0);
    zone.classList.toggle('compact', items.length > 0);
    progress.textContent = t('progress', {done: ready, all: items.length});
    bar.max = Math.max(1, items.length);
    bar.value = ready;
    bar.classList.toggle('hidden', ready === items.length);
    const faces = items.flatMap(item => item.result?.faces ?? []);
    replace(summary, items.length > 1 && faces.length > 0 && h('span', {}, countFaces(faces.length)),
      items.length > 1 && chips(faces));
  }

  async function exportPictures(): Promise<void> {
    const files: {name: string; content: Blob}[] = [];
    for (const item of done()) {
      const bitmap = await upright(item.file);
      files.push({name: annotatedName(item.file.name),
        content: await toBlob(annotated(bitmap, bitmap.width, bitmap.height, numbered(item.result!)))});
      bitmap.close();
    }
    if (files.length === 1) download(files[0]!.name, files[0]!.content);
    else if (files.length) download('mien-pictures.zip', await zip(files));
  }

  function clear(): void {
    items.length = 0;
    gallery.replaceChildren();
    hush();
    refresh();
  }

  for (const item of items) { // of an earlier look at this view
    if (item.state === 'working') item.state = 'waiting'; // its request ended when that view was left
    show(item);
    gallery.append(item.card);
  }
  pump();

  return {
    element,
    leave() {
      stop.abort();
      document.removeEventListener('dragover', over);
      document.removeEventListener('dragleave', out);
      document.removeEventListener('drop', dropped);
      document.removeEventListener('paste', pasted);
    },
  };
}
