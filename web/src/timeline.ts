// The last minute of one person: seven lines over time, drawn by uPlot.
import uPlot from 'uplot';
import {COLOURS, EMOTIONS, type Probabilities} from './emotions';
import {t} from './i18n';

const SECONDS = 60;
const HEIGHT = 150;
const FONT = '12px system-ui, sans-serif';
const REDRAW = 250; // milliseconds between redraws: smooth enough, and cheap

export class Timeline {
  readonly element = document.createElement('div');
  private readonly plot: uPlot;
  private readonly times: number[] = [];
  private readonly values: number[][] = EMOTIONS.map(() => []);
  private drawn = 0;

  constructor(width: number) {
    this.element.className = 'timeline';
    const style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue('--quiet').trim();
    const grid = {stroke: style.getPropertyValue('--line').trim(), width: 1};
    this.plot = new uPlot({
      width, height: HEIGHT, legend: {show: false}, cursor: {show: false}, padding: [10, 14, 0, 0],
      scales: {x: {time: false, range: [-SECONDS, 0]}, y: {range: [0, 1]}},
      axes: [
        {stroke: ink, grid, ticks: grid, size: 32, font: FONT, splits: () => [-60, -40, -20, 0],
          values: (_, ticks) => ticks.map(tick => `${Math.round(tick)} s`)},
        {stroke: ink, grid, ticks: grid, size: 56, font: FONT, splits: () => [0, 0.5, 1],
          values: (_, ticks) => ticks.map(tick => `${Math.round(tick * 100)} %`)},
      ],
      series: [{}, ...EMOTIONS.map(name => ({label: t(name), stroke: COLOURS[name], width: 2, points: {show: false}}))],
    }, this.data(0), this.element);
  }

  add(seconds: number, probabilities: Probabilities): void {
    this.times.push(seconds);
    EMOTIONS.forEach((name, i) => this.values[i]!.push(probabilities[name]));
    while (this.times.length && this.times[0]! < seconds - SECONDS) {
      this.times.shift();
      for (const line of this.values) line.shift();
    }
    const now = performance.now();
    if (now - this.drawn < REDRAW) return;
    this.drawn = now;
    this.plot.setData(this.data(seconds));
  }

  resize(width: number): void {
    this.plot.setSize({width, height: HEIGHT});
  }

  destroy(): void {
    this.plot.destroy();
  }

  private data(now: number): uPlot.AlignedData {
    return [this.times.map(time => time - now), ...this.values] as uPlot.AlignedData;
  }
}
