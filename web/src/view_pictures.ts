// Pictures: drop, paste, choose or take some; a gallery fills as the answers arrive; each opens large.
import {analyse, keep, Problem} from './api';
import {countFaces, faceCard} from './bars';
import {csv, download, h, replace} from './dom';
import {annotated, toBlob} from './draw';
import {EMOTIONS, type Analysis} from './emotions';
import {number, t} from './i18n';
import {explain} from './say';
import type {View} from './view';

const AT_ONCE = 2;
const THUMBNAIL = 420;

interface Item {
  file: File;
  card: HTMLElement;
  state: 'waiting' | 'working' | 'done' | 'failed';
  result?: Analysis;
}

export function picturesView(): View {
  const items: Item[] = [];
  const stop = new AbortController();
  let running = 0;

  const input = h('input', {type: 'file', multiple: true, accept: 'image/jpeg,image/png,image/webp,image/gif,image/bmp',
    class: 'hidden', id: 'choose-input', tabindex: -1, 'aria-hidden': 'true',
    onchange: () => { add(input.files); input.value = ''; }});
  const shot = h('input', {type: 'file', accept: 'image/*', capture: 'environment', class: 'hidden', tabindex: -1,
    'aria-hidden': 'true', onchange: () => { add(shot.files); shot.value = ''; }});
  const keepBox = h('input', {type: 'checkbox', id: 'keep'});
  const zone = h('section', {class: 'drop', 'aria-label': t('drop')},
    h('p', {class: 'big'}, t('drop')),
    h('p', {class: 'quiet'}, t('dropMore')),
    h('p', {class: 'buttons'},
      h('button', {type: 'button', class: 'primary', onclick: () => input.click()}, t('choose')),
      h('button', {type: 'button', onclick: () => shot.click()}, t('take'))),
    h('p', {class: 'quiet small'}, t('kinds')),
    h('label', {class: 'check'}, keepBox, t('keep')), input, shot);
  const progress = h('p', {class: 'progress', role: 'status', 'aria-live': 'polite'});
  const bar = h('progress', {max: 1, value: 0, 'aria-label': t('working')});
  const tools = h('div', {class: 'toolbar hidden'}, progress, bar,
    h('button', {type: 'button', onclick: exportCsv}, t('exportCsv')),
    h('button', {type: 'button', onclick: exportJson}, t('exportJson')),
    h('button', {type: 'button', onclick: () => void exportPictures()}, t('exportPictures')),
    h('button', {type: 'button', onclick: clear}, t('clear')));
  const gallery = h('div', {class: 'gallery'});
  const dialog = h('dialog', {class: 'large', 'aria-label': t('pictures')});
  const element = h('div', {}, h('h1', {}, t('picturesTitle')), h('p', {class: 'lead'}, t('picturesLead')), zone, tools,
    gallery, dialog);

  const over = (event: DragEvent): void => {
    event.preventDefault();
    zone.classList.add('over');
  };
  const out = (): void => zone.classList.remove('over');
  const dropped = (event: DragEvent): void => {
    event.preventDefault();
    out();
    add(event.dataTransfer?.files);
  };
  const pasted = (event: ClipboardEvent): void => add(event.clipboardData?.files);
  document.addEventListener('dragover', over);
  document.addEventListener('dragleave', out);
  document.addEventListener('drop', dropped);
  document.addEventListener('paste', pasted);

  function add(files: FileList | null | undefined): void {
    for (const file of files ?? []) {
      const item: Item = {file, card: h('article', {class: 'card picture'}), state: 'waiting'};
      show(item);
      items.push(item);
      gallery.append(item.card);
    }
    pump();
  }

  function show(item: Item, problem = ''): void {
    const name = h('p', {class: 'file'}, item.file.name);
    if (item.state === 'failed') {
      replace(item.card, name, h('p', {class: 'message bad'}, problem),
        h('button', {type: 'button', onclick: () => { item.state = 'waiting'; show(item); pump(); }}, t('retry')));
    } else if (item.state !== 'done') {
      replace(item.card, h('div', {class: 'skeleton'}), name,
        h('p', {class: 'quiet'}, t(item.state === 'working' ? 'working' : 'waiting')));
    }
  }

  async function thumbnail(item: Item, result: Analysis): Promise<HTMLCanvasElement> {
    const scale = Math.min(1, THUMBNAIL / Math.max(result.width, result.height));
    const width = Math.max(1, Math.round(result.width * scale)), height = Math.max(1, Math.round(result.height * scale));
    const bitmap = await createImageBitmap(item.file, {imageOrientation: 'from-image'});
    const faces = result.faces.map((face, i) => ({...face, id: i + 1,
      box: face.box.map(value => value * scale) as typeof face.box}));
    const canvas = annotated(bitmap, width, height, faces);
    bitmap.close();
    return canvas;
  }

  async function work(item: Item): Promise<void> {
    item.state = 'working';
    show(item);
    try {
      const result = await analyse(item.file, stop.signal);
      if (keepBox.checked) await keep(item.file, item.file.name, stop.signal);
      item.result = result;
      item.state = 'done';
      const canvas = await thumbnail(item, result).catch(() => h('div', {class: 'skeleton'}));
      canvas.setAttribute('aria-hidden', 'true');
      const labels = result.faces.slice(0, 4).map(face =>
        h('span', {class: 'chip'}, h('span', {class: `dot ${face.emotion}`, 'aria-hidden': 'true'}), t(face.emotion)));
      replace(item.card,
        h('button', {type: 'button', class: 'plain', 'aria-label': t('open', {name: item.file.name}),
          onclick: () => void openLarge(item)}, canvas),
        h('p', {class: 'file'}, item.file.name),
        h('p', {class: 'quiet'}, `${countFaces(result.faces.length)} · `,
          t('milliseconds', {n: number(result.timing_ms.total)})),
        h('p', {class: 'chips'}, labels));
    } catch (error) {
      if (stop.signal.aborted) return;
      item.state = 'failed';
      const unreadable = error instanceof Problem && error.kind === 'other';
      show(item, explain(unreadable ? new Problem('not-picture', error.message) : error, item.file.name));
    }
  }

  function pump(): void {
    refresh();
    while (running < AT_ONCE) {
      const next = items.find(item => item.state === 'waiting');
      if (!next) break;
      running++;
      void work(next).finally(() => {
        running--;
        if (!stop.signal.aborted) pump();
      });
    }
  }

  function refresh(): void {
    const done = items.filter(item => item.state === 'done' || item.state === 'failed').length;
    tools.classList.toggle('hidden', items.length === 0);
    progress.textContent = t('progress', {done, all: items.length});
    bar.max = Math.max(1, items.length);
    bar.value = done;
  }

  async function openLarge(item: Item): Promise<void> {
    const result = item.result!;
    const faces = result.faces.map((face, i) => ({...face, id: i + 1}));
    const bitmap = await createImageBitmap(item.file, {imageOrientation: 'from-image'});
    const canvas = annotated(bitmap, result.width, result.height, faces);
    bitmap.close();
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', `${item.file.name}: ${countFaces(faces.length)}`);
    replace(dialog,
      h('div', {class: 'dialog-head'}, h('h2', {}, item.file.name),
        h('button', {type: 'button', onclick: () => void toBlob(canvas).then(blob => download(nameOf(item, 'jpg'), blob))},
          t('savePicture')),
        h('button', {type: 'button', class: 'primary', onclick: () => dialog.close()}, t('close'))),
      h('div', {class: 'split'}, h('div', {class: 'stage'}, canvas),
        h('div', {class: 'cards'}, faces.length ? faces.map(face => faceCard(face, t('face', {n: face.id})))
          : h('p', {class: 'quiet'}, t('faces0')))));
    dialog.showModal();
  }

  function nameOf(item: Item, extension: string): string {
    return `${item.file.name.replace(/\.[^.]*$/, '')}-mien.${extension}`;
  }

  function exportCsv(): void {
    const rows: (string | number)[][] = [['file', 'face', 'x', 'y', 'width', 'height', 'emotion', 'confidence', 'uncertain',
      'quality', ...EMOTIONS]];
    for (const item of items)
      item.result?.faces.forEach((face, i) => rows.push([item.file.name, i + 1, ...face.box, face.emotion, face.confidence,
        face.uncertain ? 1 : 0, face.quality, ...EMOTIONS.map(name => face.probabilities[name])]));
    download('mien.csv', csv(rows), 'text/csv');
  }

  function exportJson(): void {
    const all = items.filter(item => item.result).map(item => ({file: item.file.name, ...item.result}));
    download('mien.json', JSON.stringify(all, null, 1), 'application/json');
  }

  async function exportPictures(): Promise<void> {
    for (const item of items) {
      if (!item.result) continue;
      const bitmap = await createImageBitmap(item.file, {imageOrientation: 'from-image'});
      const faces = item.result.faces.map((face, i) => ({...face, id: i + 1}));
      download(nameOf(item, 'jpg'), await toBlob(annotated(bitmap, item.result.width, item.result.height, faces)));
      bitmap.close();
    }
  }

  function clear(): void {
    items.length = 0;
    gallery.replaceChildren();
    refresh();
  }

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
