// Models: which one answers, with its card as the server tells it.
import {models, useModel, type ModelCard} from './api';
import {h, replace} from './dom';
import {t} from './i18n';
import {explain, say} from './say';
import type {View} from './view';

export function modelsView(): View {
  const list = h('div', {class: 'cards wide'});
  const element = h('div', {}, h('h1', {}, t('modelsTitle')), h('p', {class: 'lead'}, t('modelsLead')), list);

  function card(model: ModelCard): HTMLElement {
    return h('article', {class: 'card'}, h('h2', {}, model.name, ' ', model.selected && h('span', {class: 'tag'}, t('active'))),
      h('p', {}, model.description),
      h('table', {}, h('tbody', {}, Object.entries(model.figures).map(([name, value]) =>
        h('tr', {}, h('th', {scope: 'row'}, name), h('td', {}, value))))),
      !model.selected && h('button', {type: 'button', onclick: () => void use(model.id)}, t('use')));
  }

  async function use(id: string): Promise<void> {
    try {
      await useModel(id);
    } catch (error) {
      say(explain(error), 'bad');
    }
    await load();
  }

  async function load(): Promise<void> {
    try {
      replace(list, (await models()).map(card));
    } catch (error) {
      say(explain(error), 'bad');
    }
  }

  void load();
  return {element};
}
