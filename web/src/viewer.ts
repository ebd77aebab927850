// One picture large: boxes on it, a card for each face, and a way to save it.
import {countFaces, faceCard} from './bars';
import {download, h, replace} from './dom';
import {annotated, toBlob, upright} from './draw';
import type {Face} from './emotions';
import {t} from './i18n';

const NARROW = 860; // pixels; below, picture and cards stand under each other

export class Viewer {
  readonly element = h('dialog', {class: 'large', 'aria-label': t('pictures'), onclick: event => {
    if (event.target === this.element) this.element.close(); // beside the content
  }});

  async open(name: string, picture: Blob, faces: Face[]): Promise<void> {
    const bitmap = await upright(picture);
    const pixelRatio = Math.min(window.devicePixelRatio || 1, 2);
    const scale = Math.min(1, window.innerWidth * pixelRatio * (window.innerWidth > NARROW ? 0.62 : 0.9) / bitmap.width);
    const canvas = annotated(bitmap, Math.round(bitmap.width * scale), Math.round(bitmap.height * scale), faces,
      {scale, pixelRatio});
    bitmap.close();
    canvas.setAttribute('role', 'img');
    canvas.setAttribute('aria-label', `${name}: ${countFaces(faces.length)}`);
    const save = h('button', {type: 'button', onclick: () => void this.save(name, picture, faces)}, t('savePicture'));
    replace(this.element,
      h('div', {class: 'dialog-head'}, h('h2', {}, name), h('span', {class: 'quiet count'}, countFaces(faces.length)), save,
        h('button', {type: 'button', class: 'primary', onclick: () => this.element.close()}, t('close'))),
      h('div', {class: 'split'}, h('div', {class: 'stage still'}, canvas),
        h('div', {class: 'cards scrolled', tabindex: 0, role: 'group', 'aria-label': countFaces(faces.length)},
          faces.length ? faces.map(face => faceCard(face, t('face', {n: face.id ?? 1})))
            : h('p', {class: 'empty'}, t('faces0')))));
    this.element.showModal();
  }

  /* At the picture's own size, whatever the size it is shown in. */
  private async save(name: string, picture: Blob, faces: Face[]): Promise<void> {
    const bitmap = await upright(picture);
    download(annotatedName(name), await toBlob(annotated(bitmap, bitmap.width, bitmap.height, faces)));
    bitmap.close();
  }
}

export const annotatedName = (name: string): string => `${name.replace(/\.[^.]*$/, '')}-mien.jpg`;
