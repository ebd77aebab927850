// One place where the page says what happened, in words a person can act on.
import {Problem} from './api';
import {h, replace} from './dom';
import {bytes, t} from './i18n';
import {icon} from './icons';

const banner = (): HTMLElement => document.getElementById('banner')!;
let timer = 0;

export function explain(error: unknown, name = ''): string {
  if (error instanceof DOMException) {
    if (error.name === 'NotFoundError' || error.name === 'OverconstrainedError') return t('errorNoCamera');
    if (error.name === 'NotAllowedError' || error.name === 'SecurityError') return t('errorPermission');
    if (error.name === 'NotReadableError' || error.name === 'AbortError') return t('errorCameraBusy');
  }
  if (error instanceof Problem) {
    switch (error.kind) {
      case 'away': return t('errorAway');
      case 'busy': return t(error.wait ? 'errorBusyWait' : 'errorBusy');
      case 'slow': return t('errorSlow', {n: error.wait || 1});
      case 'large': return error.limit ? t('errorLargeLimit', {name, n: bytes(error.limit)}) : t('errorLarge', {name, why: error.message});
      case 'not-picture': return t('errorNotPicture', {name});
      case 'video': return t('errorVideo', {name});
      case 'quota': return t('errorQuota');
      case 'sign-in': return t('errorSignIn');
      case 'signed-out': return t('errorSignedOut');
      case 'sign-in-away': return t('errorSignInAway');
      case 'exists': return t('errorExists');
      case 'other': return t('errorOther', {why: error.message});
    }
  }
  return t('errorOther', {why: error instanceof Error ? error.message : String(error)});
}

export function say(text: string, kind: 'bad' | 'good' = 'good', seconds = 6): void {
  window.clearTimeout(timer);
  replace(banner(), h('p', {class: `message ${kind}`}, h('span', {}, text),
    h('button', {type: 'button', class: 'quiet', 'aria-label': t('dismiss'), title: t('dismiss'), onclick: hush}, icon('close'))));
  if (seconds) timer = window.setTimeout(hush, seconds * 1000);
}

export function hush(): void {
  banner().replaceChildren();
}
