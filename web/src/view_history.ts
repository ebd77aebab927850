// History: what a person chose to keep, by time and expression, with thumbnails and a picture of the days.
import {accountForm, accountLine} from './account';
import {forget, forgetAll, history, picture, signedIn, type Kept} from './api';
import {countFaces} from './bars';
import {h, replace} from './dom';
import {annotated} from './draw';
import {COLOURS, EMOTIONS, type Emotion} from './emotions';
import {dateTime, t} from './i18n';
import {explain, say} from './say';
import type {View} from './view';

const PAGE = 24;
const DAYS = 14;

export function historyView(): View {
  let shown: Kept[] = [];
  let over = false;
  const account = h('div', {});
  const emotion = h('select', {id: 'emotion', onchange: () => void reload()}, h('option', {value: ''}, t('all')),
    EMOTIONS.map(name => h('option', {value: name}, t(name))));
  const from = h('input', {type: 'date', id: 'from', onchange: () => void reload()});
  const until = h('input', {type: 'date', id: 'until', onchange: () => void reload()});
  const filters = h('div', {class: 'toolbar'},
    h('label', {for: 'emotion'}, t('searchEmotion'), emotion), h('label', {for: 'from'}, t('from'), from),
    h('label', {for: 'until'}, t('until'), until),
    h('button', {type: 'button', class: 'danger', onclick: () => void deleteAll()}, t('deleteAll')));
  const trends = h('div', {});
  const gallery = h('div', {class: 'gallery'});
  const more = h('button', {type: 'button', class: 'hidden', onclick: () => void load()}, t('more'));
  const inside = h('div', {}, h('p', {class: 'quiet'}, t('historyKept')), filters, trends, gallery, more);
  const element = h('div', {}, h('h1', {}, t('historyTitle')), h('p', {class: 'lead'}, t('historyLead')), account, inside);
  const urls: string[] = [];

  async function reload(): Promise<void> {
    replace(account, await accountLine(() => void reload()));
    inside.classList.toggle('hidden', !signedIn());
    if (!signedIn()) {
      account.append(h('p', {}, t('historyGuest')), accountForm(() => void reload()));
      return;
    }
    shown = [];
    over = false;
    gallery.replaceChildren();
    await load();
  }

  async function load(): Promise<void> {
    try {
      const page = await history(shown.length, PAGE, {emotion: (emotion.value || undefined) as Emotion | undefined,
        from: from.value ? `${from.value}T00:00:00Z` : undefined, until: until.value ? `${until.value}T23:59:59Z` : undefined});
      over = page.length < PAGE;
      shown.push(...page);
      gallery.append(...page.map(card));
    } catch (error) {
      say(explain(error), 'bad');
    }
    more.classList.toggle('hidden', over);
    if (!shown.length) replace(gallery, h('p', {class: 'quiet'}, t('historyEmpty')));
    replace(trends, shown.length > 1 && days(shown));
  }

  function card(item: Kept): HTMLElement {
    const place = h('div', {class: 'skeleton'});
    const element = h('article', {class: 'card picture'}, place, h('p', {class: 'file'}, dateTime(item.when)),
      h('p', {class: 'chips'}, h('span', {class: 'quiet'}, countFaces(item.faces.length)), item.faces.slice(0, 4).map(face =>
        h('span', {class: 'chip'}, h('span', {class: `dot ${face.emotion}`, 'aria-hidden': 'true'}), t(face.emotion)))),
      h('button', {type: 'button', onclick: () => void remove(item, element)}, t('deleteOne')));
    if (item.picture) void thumbnail(item, place);
    return element;
  }

  async function thumbnail(item: Kept, place: HTMLElement): Promise<void> {
    try {
      const bitmap = await createImageBitmap(await picture(item.id), {imageOrientation: 'from-image'});
      const scale = Math.min(1, 420 / Math.max(bitmap.width, bitmap.height));
      const faces = item.faces.map(face => ({...face, box: face.box.map(value => value * scale) as typeof face.box}));
      const canvas = annotated(bitmap, Math.round(bitmap.width * scale), Math.round(bitmap.height * scale), faces);
      canvas.setAttribute('aria-hidden', 'true');
      bitmap.close();
      place.replaceWith(canvas);
    } catch { /* the picture was not kept: the card stands without it */ }
  }

  async function remove(item: Kept, element: HTMLElement): Promise<void> {
    try {
      await forget(item.id);
      shown = shown.filter(other => other.id !== item.id);
      element.remove();
    } catch (error) {
      say(explain(error), 'bad');
    }
  }

  async function deleteAll(): Promise<void> {
    if (!window.confirm(t('deleteAllSure'))) return;
    try {
      await forgetAll();
    } catch (error) {
      say(explain(error), 'bad');
    }
    await reload();
  }

  void reload();
  return {element, leave: () => urls.forEach(url => URL.revokeObjectURL(url))};
}

/** Stacked columns, one a day: which expressions the kept pictures show. */
function days(items: Kept[]): HTMLElement {
  const counts = new Map<string, Record<Emotion, number>>();
  for (const item of items) {
    const day = item.when.toISOString().slice(0, 10);
    const count = counts.get(day) ?? Object.fromEntries(EMOTIONS.map(name => [name, 0])) as Record<Emotion, number>;
    for (const face of item.faces) count[face.emotion]++;
    counts.set(day, count);
  }
  const last = [...counts].sort(([a], [b]) => a.localeCompare(b)).slice(-DAYS);
  const most = Math.max(1, ...last.map(([, count]) => EMOTIONS.reduce((sum, name) => sum + count[name], 0)));
  const space = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(space, 'svg');
  svg.setAttribute('viewBox', `0 0 ${last.length * 40} 120`);
  svg.setAttribute('class', 'days');
  svg.setAttribute('role', 'img');
  svg.setAttribute('aria-label', last.map(([day, count]) =>
    `${day}: ${EMOTIONS.filter(name => count[name]).map(name => `${t(name)} ${count[name]}`).join(', ')}`).join('; '));
  last.forEach(([day, count], i) => {
    let y = 100;
    for (const name of EMOTIONS) {
      const height = count[name] / most * 95;
      const bar = document.createElementNS(space, 'rect');
      y -= height;
      for (const [key, value] of Object.entries({x: i * 40 + 6, y, width: 28, height, fill: COLOURS[name]}))
        bar.setAttribute(key, String(value));
      svg.append(bar);
    }
    const label = document.createElementNS(space, 'text');
    label.setAttribute('x', String(i * 40 + 20));
    label.setAttribute('y', '114');
    label.textContent = day.slice(5);
    svg.append(label);
  });
  return h('figure', {class: 'card'}, h('figcaption', {}, t('trends')), svg);
}
