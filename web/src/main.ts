// The page: four views behind the address, a language switch, and a watch on the server.
import {h, replace} from './dom';
import {language, setLanguage, t, type Language, type Word} from './i18n';
import {models, notice, serverIsThere, type Notice} from './api';
import {chosenModel} from './model_choice';
import {hush, say} from './say';
import type {View} from './view';
import {aboutView} from './view_about';
import {historyView} from './view_history';
import {liveView} from './view_live';
import {modelsView} from './view_models';
import {picturesView} from './view_pictures';

const WATCH = 10_000;
const views: [name: Word & string, make: () => View][] = [
  ['pictures', picturesView],
  ['live', () => liveView(told)],
  ['history', historyView],
  ['models', modelsView],
  ['about', aboutView],
];

const told = (): Promise<Notice | null> => notice().catch(() => null);
let current: View | null = null;
let away = false;

function element(id: string): HTMLElement {
  return document.getElementById(id)!;
}

function show(): void {
  const wanted = location.hash.replace(/^#\//, '') || 'pictures';
  const [name, make] = views.find(([view]) => view === wanted) ?? views[0]!;
  current?.leave?.();
  hush();
  current = make();
  replace(element('view'), current.element);
  replace(element('nav'), views.map(([view]) =>
    h('a', {href: `#/${view}`, ...(view === name ? {'aria-current': 'page'} : {})}, t(view))));
  document.title = `mien – ${t(name)}`;
}

function frame(): void {
  const select = h('select', {id: 'language', 'aria-label': t('language'), onchange: () => {
    setLanguage(select.value as Language);
    frame();
    show();
    element('language').focus(); // the one that had it is gone
  }}, h('option', {value: 'en', selected: language() === 'en'}, 'English'),
    h('option', {value: 'id', selected: language() === 'id'}, 'Indonesia'));
  replace(element('tools'), select);
  replace(element('footer'), h('p', {}, t('footer'), ' ', h('a', {href: '/docs'}, t('apiDocuments'))));
}

async function watch(): Promise<void> {
  if (document.visibilityState !== 'visible') return;
  const there = await serverIsThere();
  if (!there && !away) say(t('errorAway'), 'bad', 0);
  if (there && away) say(t('errorBack'));
  away = !there;
}

window.addEventListener('hashchange', () => {
  show();
  element('view').focus();
});
frame();
show();
if (chosenModel()) void models().catch(() => []); // forgets a choice that the server no longer offers
window.setInterval(() => void watch(), WATCH);
