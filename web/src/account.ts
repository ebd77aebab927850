// Who is here: a guest with what is left of the quota, or somebody who signed in.
import {eraseAccount, profile, register, signedIn, signIn, signOut, usage} from './api';
import {h, replace} from './dom';
import {t} from './i18n';
import {explain} from './say';

export function accountForm(done: () => void): HTMLElement {
  const email = h('input', {type: 'email', id: 'email', autocomplete: 'email', required: true});
  const password = h('input', {type: 'password', id: 'password', autocomplete: 'current-password', required: true,
    minlength: 8, 'aria-describedby': 'password-help'});
  const name = h('input', {type: 'text', id: 'name', autocomplete: 'name'});
  const problem = h('p', {class: 'message bad hidden', role: 'alert'});
  const act = async (work: () => Promise<void>): Promise<void> => {
    problem.classList.add('hidden');
    if (!form.reportValidity()) return;
    try {
      await work();
      done();
    } catch (error) {
      problem.textContent = explain(error);
      problem.classList.remove('hidden');
    }
  };
  const form = h('form', {class: 'card form', onsubmit: (event: Event) => {
    event.preventDefault();
    void act(() => signIn(email.value, password.value));
  }},
    h('label', {for: 'email'}, t('email')), email,
    h('label', {for: 'password'}, t('password')), password,
    h('p', {class: 'quiet small', id: 'password-help'}, t('passwordHelp')),
    h('label', {for: 'name'}, t('name')), name, problem,
    h('p', {class: 'buttons'}, h('button', {type: 'submit', class: 'primary'}, t('signIn')),
      h('button', {type: 'button', onclick: () => void act(() => register(email.value, password.value, name.value))},
        t('register'))));
  return form;
}

/** Name and way out of a signed-in person, or a guest's quota. */
export async function accountLine(changed: () => void): Promise<HTMLElement> {
  const line = h('div', {class: 'account'});
  if (!signedIn()) {
    const left = await usage().catch(() => null);
    replace(line, h('span', {class: 'tag'}, t('guest')),
      left?.max_usage != null && h('span', {class: 'quiet', id: 'quota'},
        t('quota', {left: Math.max(0, left.max_usage - left.usage_count), all: left.max_usage})));
    return line;
  }
  const who = await profile().catch(() => null);
  replace(line, h('strong', {}, who?.display_name || who?.email || ''),
    h('button', {type: 'button', onclick: () => void signOut().then(changed)}, t('signOut')),
    h('button', {type: 'button', class: 'danger', onclick: () => {
      if (window.confirm(t('eraseSure'))) void eraseAccount().then(changed);
    }}, t('eraseAccount')));
  return line;
}
