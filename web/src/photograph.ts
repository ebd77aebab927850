// Taking one photograph with the camera of a computer; telephones bring a camera of their own to the file chooser.
import {h, replace} from './dom';
import {toBlob} from './draw';
import {t} from './i18n';
import {closeButton} from './viewer';

export function takesByItself(): boolean {
  return window.matchMedia('(pointer: coarse)').matches || !navigator.mediaDevices;
}

/** Opens a dialog; the photograph, or null when the person closed it. Throws what the camera refuses with. */
export async function takePhotograph(parent: Element): Promise<File | null> {
  const media = await navigator.mediaDevices.getUserMedia({audio: false, video: {width: {ideal: 1280}, facingMode: 'user'}});
  const video = h('video', {playsinline: true, 'aria-label': t('camera')});
  video.muted = true;
  video.srcObject = media;
  const dialog = h('dialog', {class: 'large small-dialog', 'aria-label': t('take')});
  parent.append(dialog);
  const closed = new Promise<void>(resolve => dialog.addEventListener('close', () => resolve()));
  let taken: Blob | null = null;
  const take = async (): Promise<void> => {
    const canvas = document.createElement('canvas');
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    canvas.getContext('2d')!.drawImage(video, 0, 0);
    taken = await toBlob(canvas);
    dialog.close();
  };
  replace(dialog, h('div', {class: 'dialog-head'}, h('h2', {}, t('take')), closeButton(dialog)),
    h('div', {class: 'dialog-body'}, h('div', {class: 'stage'}, video),
    h('p', {class: 'buttons'}, h('button', {type: 'button', class: 'primary', id: 'shutter', onclick: () => void take()}, t('take')))));
  dialog.showModal();
  await video.play();
  await closed;
  media.getTracks().forEach(track => track.stop());
  dialog.remove();
  return taken && new File([taken], `photo-${new Date().toISOString().slice(0, 19).replaceAll(':', '-')}.jpg`,
    {type: 'image/jpeg'});
}
