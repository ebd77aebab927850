// One picture large: boxes on it, a card for each face, a way to save it and to go on to its neighbours.
import {countFaces, faceCard} from './bars';
import {download, h, replace} from './dom';
import {annotated, toBlob, upright} from './draw';
import type {Face} from './emotions';
import {t} from './i18n';
import {icon, type Icon} from './icons';
import {explain, say} from './say';

const NARROW = 860; // pixels; below, picture and cards stand under each other

export interface Shown {
  name: string;
  faces: Face[];
  picture(): Blob | Promise<Blob>;
}

export class Viewer {
  readonly element = h('dialog', {class: 'large', 'aria-label': t('pictures'), onclick: event => {
    if (event.target === this.element) this.element.close(); // beside the content
  }, onkeydown: event => {
    const key = (event as KeyboardEvent).key;
    if (key === 'ArrowLeft') void this.show(this.at - 1);
    if (key === 'ArrowRight') void this.show(this.at + 1);
  }});
  private all: Shown[] = [];
  private at = 0;

  async open(all: Shown[], at: number): Promise<void> {
    this.all = all;
    await this.show(at);
    if (!this.element.open) this.element.showModal();
  }

  private async show(at: number): Promise<void> {
    const one = this.all[at];
    if (!one) return;
    this.at = at;
    try {
      const picture = await one.picture(), canvas = await this.draw(one, picture);
      if (this.at === at) this.fill(one, picture, canvas);
    } catch (error) {
      say(explain(error), 'bad');
    }
  }

  private async draw(one: Shown, picture: Blob): Promise<HTMLCanvasElement> {
    const bitmap = await upright(picture);
    const pixelRatio = Math.min(window.devicePixelRatio || 1, 2);
    const scale = Math.min(1, window.innerWidth * pixelRatio * (window.innerWidth > NARROW ? 0.62 : 0.9) / bitmap.width);
    const canvas = annotated(bitmap, Math.round(bitmap.width * scale), Math.round(bitmap.height * scale), one.faces,
      {scale, pixelRatio});
    bitmap.close();
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', `${one.name}: ${countFaces(one.faces.length)}`);
    return canvas;
  }

  private fill({name, faces}: Shown, picture: Blob, canvas: HTMLCanvasElement): void {
    const step = (by: -1 | 1): HTMLElement | false => this.all.length > 1 && h('button', {type: 'button', class: 'step',
      disabled: !this.all[this.at + by], 'aria-label': t(by < 0 ? 'previous' : 'next'), onclick: () => void this.show(this.at + by)},
    icon(by < 0 ? 'previous' : 'next'));
    const focused = this.element.querySelector(':focus')?.getAttribute('aria-label');
    replace(this.element,
      h('div', {class: 'dialog-head'}, h('h2', {title: name}, name),
        h('div', {class: 'actions'}, h('span', {class: 'quiet count'}, countFaces(faces.length)), step(-1),
          this.all.length > 1 && h('span', {class: 'quiet'}, `${this.at + 1} / ${this.all.length}`), step(1),
          h('span', {class: 'space'}), this.takeaways(name, picture, faces)),
        closeButton(this.element)),
      h('div', {class: 'dialog-body split'}, h('div', {class: 'stage still'}, canvas),
        h('div', {class: 'cards scrolled', tabindex: 0, role: 'group', 'aria-label': countFaces(faces.length)},
          faces.length ? faces.map(face => faceCard(face, t('face', {n: face.id ?? 1})))
            : h('p', {class: 'empty'}, t('faces0Help')))));
    if (!focused) return;
    const steps = [...this.element.querySelectorAll<HTMLButtonElement>('button.step:enabled')];
    (steps.find(button => button.getAttribute('aria-label') === focused) ?? steps[0])?.focus(); // who steps goes on stepping
  }

  /* What a person can carry away: the words, the picture, and where the device can, both to another program. */
  private takeaways(name: string, picture: Blob, faces: Face[]): (HTMLElement | false)[] {
    const copy = action('copy', t('copyJson'), () => void navigator.clipboard.writeText(JSON.stringify({file: name, faces}, null, 1))
      .then(() => t('copied'), explain).then(words => {
        copy.lastElementChild!.textContent = words;
        copy.classList.add('said');
      }));
    return [
      'clipboard' in navigator && copy,
      shares() && action('share', t('share'), () => void this.share(name, picture, faces)),
      action('download', t('savePicture'), () => void this.save(name, picture, faces)),
    ];
  }

  /* At the picture's own size, whatever the size it is shown in. */
  private async drawn(picture: Blob, faces: Face[]): Promise<Blob> {
    const bitmap = await upright(picture);
    const canvas = annotated(bitmap, bitmap.width, bitmap.height, faces);
    bitmap.close();
    return toBlob(canvas);
  }

  private async save(name: string, picture: Blob, faces: Face[]): Promise<void> {
    download(annotatedName(name), await this.drawn(picture, faces));
  }

  private async share(name: string, picture: Blob, faces: Face[]): Promise<void> {
    const file = new File([await this.drawn(picture, faces)], annotatedName(name), {type: 'image/jpeg'});
    await navigator.share({files: [file], title: name}).catch(() => {}); // who turns back has said so
  }
}

/** A button of a picture and words; where there is little room the words are for screen readers alone. */
function action(drawing: Icon, words: string, act: () => void): HTMLButtonElement {
  return h('button', {type: 'button', title: words, onclick: act}, icon(drawing), h('span', {class: 'words', 'aria-live': 'polite'}, words));
}

export function closeButton(dialog: HTMLDialogElement): HTMLElement {
  return h('button', {type: 'button', class: 'close', 'aria-label': t('close'), title: t('close'), onclick: () => dialog.close()}, icon('close'));
}

const shares = (): boolean => navigator.canShare?.({files: [new File([], 'a.jpg', {type: 'image/jpeg'})]}) ?? false;

export const annotatedName = (name: string): string => `${name.replace(/\.[^.]*$/, '')}-mien.jpg`;
