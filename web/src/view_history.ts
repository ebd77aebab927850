// History: what a person chose to keep, by time and expression, with thumbnails and a picture of the days. An account's is on
// the server, a guest's in this browser.
import {accountForm, accountLine} from './account';
import {forget, forgetAll, history, notice, picture, Problem, signedIn, type Kept, type Notice} from './api';
import {countFaces} from './bars';
import {days} from './days';
import {h, replace} from './dom';
import {thumbnail, upright} from './draw';
import {EMOTIONS, type Emotion} from './emotions';
import {exportCsv, exportJson} from './export';
import {guestHistory} from './guest_history';
import {dateTime, number, t} from './i18n';
import {icon} from './icons';
import {explain, say} from './say';
import type {View} from './view';
import {chips} from './view_pictures';
import {Viewer} from './viewer';

const PAGE = 24;
const MANY = 1000; // records that the trends look at
const DAY = 86_400;

const daysOf = (seconds: number): string => number(seconds / DAY, seconds % DAY ? 1 : 0);

export function historyView(): View {
  let shown: Kept[] = [], known: Kept[] = [];
  let drawn = 0; // the width that the trends were drawn for
  let round = 0; // answers to an older question are not shown
  const viewer = new Viewer();
  const account = h('div', {});
  const emotion = h('select', {id: 'emotion', onchange: () => void reload()}, h('option', {value: ''}, t('all')),
    EMOTIONS.map(name => h('option', {value: name}, t(name))));
  const from = h('input', {type: 'date', id: 'from', onchange: () => void reload()});
  const until = h('input', {type: 'date', id: 'until', onchange: () => void reload()});
  const filters = h('div', {class: 'toolbar filters hidden'},
    h('label', {for: 'emotion'}, t('searchEmotion'), emotion), h('label', {for: 'from'}, t('from'), from),
    h('label', {for: 'until'}, t('until'), until), h('div', {class: 'group'},
    h('button', {type: 'button', 'aria-label': t('downloadOf', {kind: 'CSV'}), onclick: () => void take(exportCsv)}, icon('download'), t('exportCsv')),
    h('button', {type: 'button', 'aria-label': t('downloadOf', {kind: 'JSON'}), onclick: () => void take(exportJson)}, icon('download'), t('exportJson')),
    h('button', {type: 'button', class: 'danger', id: 'delete-all', onclick: () => void deleteAll()}, icon('trash'), t('deleteAll'))));
  const kept = h('p', {class: 'quiet', id: 'kept-words'});
  const trends = h('div', {});
  const gallery = h('div', {class: 'gallery'});
  const more = h('button', {type: 'button', class: 'hidden', onclick: () => void load(round)}, t('more'));
  const door = h('div', {});
  const split = h('div', {class: 'split'}, h('div', {class: 'wide'}, kept, filters, trends, gallery, h('p', {class: 'buttons'}, more)), door);
  const element = h('div', {}, h('h1', {}, t('historyTitle')), h('p', {class: 'lead'}, t('historyLead')), account, split,
    viewer.element);

  const second = (date: string, offset: number): number | undefined =>
    date ? Math.floor(new Date(`${date}T00:00:00`).getTime() / 1000) + offset : undefined;
  const filter = (): {emotion?: Emotion; from?: number; until?: number} => ({emotion: (emotion.value || undefined) as
    Emotion | undefined, from: second(from.value, 0), until: second(until.value, DAY - 1)});

  async function start(): Promise<void> {
    const said = await notice().catch(() => null), before = signedIn();
    replace(account, await accountLine(() => void start()));
    if (before && !signedIn()) { // the server no longer knows the session
      replace(account, await accountLine(() => void start()));
      say(t('errorSignedOut'), 'bad', 0);
    }
    replace(door, !signedIn() && accountForm(() => void start(), said?.firebase ?? null));
    split.classList.toggle('alone', signedIn());
    sayWhatIsKept(said);
    await reload();
  }

  function sayWhatIsKept(words: Notice | null): void {
    if (!signedIn()) {
      kept.textContent = t('historyKeptGuest');
      return;
    }
    kept.textContent = [words?.history_seconds ? t('historyKeptDays', {n: daysOf(words.history_seconds)})
      : t('historyKept'), words?.pictures_kept === false && t('historyNoPictures')].filter(Boolean).join(' ');
  }

  async function reload(): Promise<void> {
    round++;
    shown = [];
    gallery.replaceChildren();
    await load(round);
    await tellTrends();
  }

  function drawTrends(): void {
    drawn = trends.clientWidth;
    replace(trends, known.length > 0 && days(known, drawn - 34));
  }

  async function tellTrends(): Promise<void> {
    const all = signedIn() ? await history(0, MANY, {}).catch(() => shown) : guestHistory.list({});
    known = all;
    drawTrends();
    filters.classList.toggle('hidden', all.length === 0);
  }

  async function load(mine: number): Promise<void> {
    let page: Kept[] = [];
    try {
      page = signedIn() ? await history(shown.length, PAGE, filter()) : guestHistory.list(filter()).slice(shown.length, shown.length + PAGE);
    } catch (error) {
      if (mine === round) failed(error);
      return;
    }
    if (mine !== round) return;
    shown.push(...page);
    const cards = page.map(card), stepped = document.activeElement === more;
    gallery.append(...cards);
    if (stepped) cards[0]?.querySelector<HTMLElement>('.foot button')?.focus(); // the button may go; the keyboard goes on
    more.classList.toggle('hidden', page.length < PAGE);
    const sought = emotion.value || from.value || until.value;
    if (!shown.length) replace(gallery, h('p', {class: 'empty'}, t(sought ? 'historyNone' : 'historyEmpty')));
  }

  /* An empty list would say that nothing is kept, which nobody knows now. */
  function failed(error: unknown): void {
    if (error instanceof Problem && error.kind === 'signed-out') {
      say(explain(error), 'bad', 0);
      void start();
      return;
    }
    more.classList.add('hidden');
    gallery.append(h('div', {class: 'empty'}, h('p', {}, explain(error)),
      h('button', {type: 'button', onclick: () => void start()}, t('retry'))));
  }

  /* What the filter finds, up to as many as the trends look at. */
  async function take(to: typeof exportCsv): Promise<void> {
    try {
      const all = signedIn() ? await history(0, MANY, filter()) : guestHistory.list(filter());
      to('mien-history', all.map(({when, faces}) => ({file: when.toISOString(), faces})));
    } catch (error) {
      say(explain(error), 'bad');
    }
  }

  function card(item: Kept): HTMLElement {
    const place = h('button', {type: 'button', class: 'plain frame skeleton', disabled: true,
      'aria-label': t('open', {name: dateTime(item.when)})});
    const element = h('article', {class: 'card picture'}, place, h('p', {class: 'file'}, dateTime(item.when)), chips(item.faces),
      h('div', {class: 'foot'}, h('span', {class: 'quiet small'}, countFaces(item.faces.length)),
        h('button', {type: 'button', class: 'quiet danger', onclick: () => void remove(item, element)}, icon('trash'),
          t('deleteOne'))));
    if (item.picture) void fill(item, place);
    else place.remove();
    return element;
  }

  async function fill(item: Kept, place: HTMLButtonElement): Promise<void> {
    try {
      const bitmap = await upright(await bytesOf(item));
      replace(place, thumbnail(bitmap, item.faces));
      bitmap.close();
      place.classList.remove('skeleton');
      place.disabled = false;
      place.addEventListener('click', () => openLarge(item));
    } catch {
      place.remove(); // the picture was not kept: the card stands without it
    }
  }

  async function bytesOf(item: Kept): Promise<Blob> {
    return signedIn() ? picture(item.id) : guestHistory.picture(item.id);
  }

  function openLarge(item: Kept): void {
    const pictures = shown.filter(one => one.picture);
    void viewer.open(pictures.map(one => ({name: dateTime(one.when), faces: one.faces, picture: () => bytesOf(one)})),
      pictures.indexOf(item));
  }

  async function remove(item: Kept, element: HTMLElement): Promise<void> {
    try {
      if (signedIn()) await forget(item.id);
      else guestHistory.remove(item.id);
      const next = element.nextElementSibling ?? element.previousElementSibling;
      element.remove();
      shown = shown.filter(one => one !== item);
      if (!next) await reload();
      else next.querySelector<HTMLElement>('.foot button')?.focus(); // who deletes goes on deleting
      await tellTrends();
    } catch (error) {
      say(explain(error), 'bad');
    }
  }

  async function deleteAll(): Promise<void> {
    if (!window.confirm(t('deleteAllSure'))) return;
    try {
      if (signedIn()) await forgetAll();
      else guestHistory.clear();
    } catch (error) {
      say(explain(error), 'bad');
    }
    await reload();
  }

  const watch = new ResizeObserver(() => { if (trends.clientWidth !== drawn) drawTrends(); });
  watch.observe(trends);
  void start();
  return {element, leave: () => watch.disconnect()};
}
