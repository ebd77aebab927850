// Seven bars, one per expression, that can be updated in place sixty times a second.
import {h} from './dom';
import {EMOTIONS, type Face, type Probabilities} from './emotions';
import {percent, t} from './i18n';

export interface Bars {
  element: HTMLElement;
  update(probabilities: Probabilities): void;
}

export function bars(probabilities: Probabilities): Bars {
  const rows = EMOTIONS.map(name => {
    const meter = h('meter', {min: 0, max: 1, 'aria-label': t(name), class: `bar ${name}`});
    const value = h('span', {class: 'value'});
    return {name, meter, value, row: h('div', {class: 'row'}, h('span', {class: 'name'}, h('span', {class: `dot small ${name}`, 'aria-hidden': 'true'}), t(name)), meter, value)};
  });
  const update = (next: Probabilities): void => {
    for (const {name, meter, value} of rows) {
      meter.value = next[name];
      value.textContent = percent(next[name]);
    }
  };
  update(probabilities);
  return {element: h('div', {class: 'bars'}, rows.map(row => row.row)), update};
}

/** One face as a card: its label in words, the doubt, the quality, the bars. */
export function faceCard(face: Face, title: string): HTMLElement {
  return h('article', {class: 'card face'},
    h('h3', {}, h('span', {class: `dot ${face.emotion}`, 'aria-hidden': 'true'}), title,
      face.uncertain && h('span', {class: 'tag'}, t('uncertain'))),
    h('p', {class: 'label'}, h('span', {}, `${t('apparent')}: `), h('strong', {}, `${t(face.emotion)} ${percent(face.confidence)}`)),
    face.uncertain && h('p', {class: 'quiet small'}, t('uncertainHelp')),
    bars(face.probabilities).element,
    face.quality !== undefined && h('p', {class: 'quiet small'}, `${t('quality')}: ${percent(face.quality)}`));
}

export function countFaces(count: number): string {
  return count === 0 ? t('faces0') : count === 1 ? t('faces1') : t('facesN', {n: count});
}
