// The people in view: a card for each with bars and a time line, updated in place as answers come.
import {bars, type Bars} from './bars';
import {h, replace} from './dom';
import {surest, type Face} from './emotions';
import {percent, t} from './i18n';
import {Timeline} from './timeline';

const AWAY_SECONDS = 3; // a person who is gone this long loses their card
const PADDING = 34; // pixels of a card that its time line does not get

interface Person {
  card: HTMLElement;
  dot: HTMLElement;
  label: HTMLElement;
  doubt: HTMLElement;
  bars: Bars;
  timeline: Timeline;
  seen: number;
}

export class People {
  readonly element = h('div', {class: 'cards people'});
  private readonly known = new Map<number, Person>();
  private readonly watch = new ResizeObserver(() => {
    for (const person of this.known.values()) person.timeline.resize(this.room(person.card));
  });

  constructor() {
    this.watch.observe(this.element);
    this.clear();
  }

  /** Show what an answer says of one face. */
  update(face: Face, seconds: number): void {
    const shown = face.smoothed ?? face.probabilities, best = surest(shown);
    const person = this.known.get(face.id ?? 0) ?? this.add(face.id ?? 0, face);
    person.seen = seconds;
    person.dot.className = `dot ${best}`;
    person.label.textContent = `${t(best)} ${percent(shown[best])}`;
    person.doubt.classList.toggle('absent', !face.uncertain); // keeps its room: nothing below may jump
    person.bars.update(shown);
    person.timeline.add(seconds, shown);
  }

  /** Let go of those who have not been seen for a while. */
  forget(seconds: number): void {
    for (const [id, person] of this.known) {
      if (seconds - person.seen < AWAY_SECONDS) continue;
      person.timeline.destroy();
      person.card.remove();
      this.known.delete(id);
      if (!this.known.size) this.clear();
    }
  }

  clear(): void {
    for (const person of this.known.values()) person.timeline.destroy();
    this.known.clear();
    replace(this.element, h('p', {class: 'empty'}, t('nobody')));
  }

  close(): void {
    this.clear();
    this.watch.disconnect();
  }

  private room(card: HTMLElement): number {
    return Math.max(200, card.clientWidth - PADDING);
  }

  private add(id: number, face: Face): Person {
    if (!this.known.size) this.element.replaceChildren();
    const dot = h('span', {'aria-hidden': 'true'}), label = h('strong', {});
    const doubt = h('span', {class: 'tag absent', title: t('uncertainHelp')}, t('uncertain'));
    const rows = bars(face.smoothed ?? face.probabilities);
    const card = h('article', {class: 'card face', 'data-person': id}, h('h2', {}, dot, t('person', {n: id}), doubt),
      h('p', {class: 'label'}, h('span', {}, `${t('apparent')}: `), label), rows.element);
    this.element.append(card);
    const timeline = new Timeline(this.room(card));
    card.append(h('p', {class: 'quiet small'}, t('timeline')), timeline.element);
    const person = {card, dot, label, doubt, bars: rows, timeline, seen: 0};
    this.known.set(id, person);
    return person;
  }
}
