// Trends: stacked columns, one for each of the last fourteen days, of the expressions in the pictures that were kept.
import type {Kept} from './api';
import {h} from './dom';
import {COLOURS, EMOTIONS, type Emotion} from './emotions';
import {locale, t} from './i18n';

const DAYS = 14;
const HEIGHT = 120, LABEL = 52; // pixels

type Count = Record<Emotion, number>;

const nothing = (): Count => Object.fromEntries(EMOTIONS.map(name => [name, 0])) as Count;
const sum = (count: Count): number => EMOTIONS.reduce((total, name) => total + count[name], 0);

function draw(name: string, attributes: Record<string, string | number>, text = ''): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.textContent = text;
  return element;
}

function lastDays(items: Kept[]): [Date, Count][] {
  const counts = new Map<string, Count>();
  for (const item of items) {
    const day = item.when.toDateString(), count = counts.get(day) ?? nothing();
    for (const face of item.faces) count[face.emotion]++;
    counts.set(day, count);
  }
  return Array.from({length: DAYS}, (_, i) => {
    const day = new Date();
    day.setDate(day.getDate() - (DAYS - 1 - i));
    return [day, counts.get(day.toDateString()) ?? nothing()];
  });
}

/** `room`: pixels that the drawing may take across. */
export function days(items: Kept[], room: number): HTMLElement {
  const last = lastDays(items);
  const width = Math.max(14 * 18, room), column = width / DAYS;
  const every = Math.ceil(LABEL / column);
  const most = Math.max(1, ...last.map(([, count]) => sum(count)));
  const said = last.filter(([, count]) => sum(count)).map(([day, count]) => `${day.toLocaleDateString(locale())}: ` +
    EMOTIONS.filter(name => count[name]).map(name => `${t(name)} ${count[name]}`).join(', ')).join('; ');
  const svg = draw('svg', {viewBox: `0 0 ${width} ${HEIGHT + 24}`, class: 'days', role: 'img', 'aria-label': said});
  svg.append(draw('line', {x1: 0, x2: width, y1: HEIGHT, y2: HEIGHT, class: 'axis'}));
  last.forEach(([day, count], i) => {
    let y = HEIGHT;
    for (const name of EMOTIONS) {
      const height = count[name] / most * (HEIGHT - 18);
      y -= height;
      if (height) svg.append(draw('rect', {x: i * column + column * 0.2, y, width: column * 0.6, height, fill: COLOURS[name]}));
    }
    const middle = (i + 0.5) * column;
    if (sum(count)) svg.append(draw('text', {x: middle, y: y - 5}, String(sum(count))));
    if ((DAYS - 1 - i) % every === 0) svg.append(draw('text', i === DAYS - 1 && every > 1
      ? {x: width, y: HEIGHT + 18, class: 'last'} : {x: middle, y: HEIGHT + 18},
      day.toLocaleDateString(locale(), {day: 'numeric', month: 'short'})));
  });
  const present = EMOTIONS.filter(name => last.some(([, count]) => count[name]));
  return h('figure', {class: 'card trends'}, h('figcaption', {}, t('trends')), svg, h('p', {class: 'chips'}, present.map(name =>
    h('span', {class: 'chip'}, h('span', {class: `dot ${name}`, 'aria-hidden': 'true'}), t(name)))));
}
