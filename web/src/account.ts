// Who is here: a guest with what is left of the quota, or somebody who signed in.
import {eraseAccount, profile, register, signedIn, signIn, signInWith, signOut, usage, type FirebaseProject} from './api';
import {h, replace} from './dom';
import {t} from './i18n';
import {explain, say} from './say';

/** Sign in, or register: one form that asks for a name and a good password only when it makes an account. Where the
 *  deployer has Firebase, that says who somebody is. */
export function accountForm(done: () => void, firebase: FirebaseProject | null): HTMLElement {
  let making = false;
  const title = h('h2', {});
  const email = h('input', {type: 'email', id: 'email', autocomplete: 'email', required: true});
  const password = h('input', {type: 'password', id: 'password', required: true});
  const help = h('p', {class: 'quiet small', id: 'password-help'}, t('passwordHelp'));
  const name = h('input', {type: 'text', id: 'name', autocomplete: 'name'});
  const nameField = h('div', {class: 'field'}, h('label', {for: 'name'}, t('name')), name);
  const problem = h('p', {class: 'message bad hidden', role: 'alert'});
  const submit = h('button', {type: 'submit', class: 'primary'});
  const other = h('button', {type: 'button', class: 'link', onclick: () => turn(!making)});

  function turn(next: boolean): void {
    making = next;
    title.textContent = submit.textContent = t(making ? 'register' : 'signIn');
    other.textContent = t(making ? 'haveAccount' : 'noAccount');
    nameField.classList.toggle('hidden', !making);
    help.classList.toggle('hidden', !making);
    password.autocomplete = making ? 'new-password' : 'current-password';
    password.toggleAttribute('aria-describedby', making);
    if (making) password.setAttribute('aria-describedby', 'password-help');
    password.minLength = making ? 8 : 0;
    problem.classList.add('hidden');
  }

  async function enter(): Promise<void> {
    if (firebase) {
      const {identify} = await import('./firebase');
      await signInWith(await identify(firebase, email.value, password.value, making ? name.value : null));
    } else {
      await (making ? register(email.value, password.value, name.value) : signIn(email.value, password.value));
    }
  }

  async function act(): Promise<void> {
    problem.classList.add('hidden');
    submit.disabled = true;
    try {
      await enter();
      done();
    } catch (error) {
      problem.textContent = explain(error);
      problem.classList.remove('hidden');
    } finally {
      submit.disabled = false;
    }
  }

  turn(false);
  return h('form', {class: 'card form', onsubmit: (event: Event) => {
    event.preventDefault();
    void act();
  }}, title, h('p', {class: 'quiet small'}, t('historyGuest'), firebase && ` ${t('signInFirebase')}`),
    h('div', {class: 'field'}, h('label', {for: 'email'}, t('email')), email),
    h('div', {class: 'field'}, h('label', {for: 'password'}, t('password')), password, help), nameField, problem,
    h('div', {class: 'buttons'}, submit, other));
}

/** Name and way out of a signed-in person, or a guest's quota. */
export async function accountLine(changed: () => void): Promise<HTMLElement> {
  const line = h('div', {class: 'account'});
  if (!signedIn()) {
    const left = await usage().catch(() => null);
    replace(line, h('span', {class: 'tag'}, t('guest')),
      left?.max_usage != null && h('span', {class: 'quiet', id: 'quota'},
        t('quota', {left: Math.max(0, left.max_usage - left.usage_count), all: left.max_usage})),
      h('button', {type: 'button', class: 'link', onclick: () => document.getElementById('email')?.focus()}, t('signInOrRegister')));
    return line;
  }
  const act = (work: Promise<void>): void => void work.catch(error => say(explain(error), 'bad')).then(changed);
  const who = await profile().catch(() => null);
  replace(line, h('strong', {}, who?.display_name || who?.email || ''), h('span', {class: 'space'}),
    h('button', {type: 'button', onclick: () => act(signOut())}, t('signOut')),
    h('button', {type: 'button', class: 'danger', onclick: () => {
      if (window.confirm(t('eraseSure'))) act(eraseAccount());
    }}, t('eraseAccount')));
  return line;
}
