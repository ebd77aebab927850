// Models: which one answers, with its card as the model file itself tells it.
import {models, type Model} from './api';
import {h, replace} from './dom';
import {EMOTIONS, type Emotion} from './emotions';
import {number, t, type Word} from './i18n';
import {chooseModel, chosenModel} from './model_choice';
import {explain, say} from './say';
import type {View} from './view';

const FIGURES: Record<string, Word> = {top1: 'figureTop1', macro_f1: 'figureMacroF1', votes_top1: 'figureVotesTop1',
  ece: 'figureEce', coverage: 'figureCoverage', risk: 'figureRisk'};
const SHARES = /(top1|f1|accuracy|ece|coverage|risk|recall|precision)$/;

/** "PublicTest.top1" in words; a figure that the page does not know keeps its name. */
function nameOf(figure: string): string {
  const dot = figure.lastIndexOf('.'), known = FIGURES[figure.slice(dot + 1)];
  return known ? `${t(known)}${dot > 0 ? ` (${figure.slice(0, dot)})` : ''}` : figure.replaceAll('_', ' ');
}

const value = (figure: string, measured: number): string =>
  SHARES.test(figure) && measured <= 1 ? `${number(measured * 100, 1)}\u00a0%` : number(measured, 3);

export function modelsView(): View {
  const list = h('div', {class: 'cards wide'}), choice = h('span', {});
  const element = h('div', {}, h('h1', {}, t('modelsTitle')), h('p', {class: 'lead'}, t('modelsLead'), ' ', choice), list);

  function facts(model: Model): HTMLElement | null {
    const card = model.card;
    if (!card) return null;
    const labels = card.labels.map(label => EMOTIONS.includes(label as Emotion) ? t(label as Emotion) : label);
    const rows: [Word, string][] = [
      ['modelFile', model.id],
      ['modelNetwork', card.description ?? ''],
      ['modelParameters', number(card.parameters)],
      ['modelInput', `${card.input.width} × ${card.input.height} × ${card.input.channels}`],
      ['modelLabels', labels.join(', ')],
      ['modelTraining', model.training_data],
      ['modelTemperature', number(card.temperature, 3)],
      ['modelUncertain', card.uncertain_below ? `< ${number(card.uncertain_below * 100)}\u00a0%` : t('never')],
    ];
    return h('table', {}, h('tbody', {}, rows.filter(([, text]) => text).map(([name, text]) =>
      h('tr', {}, h('th', {scope: 'row'}, t(name)), h('td', {}, text)))));
  }

  function card(model: Model, many: boolean): HTMLElement {
    const used = chosenModel() ? model.id === chosenModel() : model.is_default;
    const figures = Object.entries(model.card?.figures ?? {});
    return h('article', {class: 'card model'},
      h('div', {class: 'head'}, h('h2', {}, model.card?.name ?? model.name, used && h('span', {class: 'tag good'}, t('active')),
        many && model.is_default && h('span', {class: 'tag'}, t('modelDefault'))),
        !used && h('button', {type: 'button', class: 'primary', 'aria-label': `${t('use')}: ${model.card?.name ?? model.name}`,
          onclick: () => use(model)}, t('use'))),
      h('p', {class: 'quiet'}, t('modelWhat')),
      figures.length > 0 && h('dl', {class: 'big-figures'}, figures.map(([name, measured]) =>
        h('div', {}, h('dt', {}, nameOf(name)), h('dd', {}, value(name, measured))))),
      facts(model),
      model.card?.training && h('details', {}, h('summary', {}, t('modelRecipe')), h('pre', {tabindex: 0}, model.card.training)));
  }

  function use(model: Model): void {
    chooseModel(model.is_default ? '' : model.id);
    say(t('modelUsed', {name: model.card?.name ?? model.name}));
    void load();
  }

  async function load(): Promise<void> {
    try {
      const all = await models();
      choice.textContent = all.length > 1 ? t('modelsChoice') : '';
      replace(list, all.map(model => card(model, all.length > 1)), h('article', {class: 'card model limits'}, h('h2', {}, t('modelLimits')),
        h('ul', {}, ([1, 2, 3, 4] as const).map(n => h('li', {}, t(`modelLimit${n}`))))));
    } catch (error) {
      replace(list, h('div', {class: 'empty'}, h('p', {}, explain(error)),
        h('button', {type: 'button', onclick: () => void load()}, t('retry'))));
    }
  }

  void load();
  return {element};
}
