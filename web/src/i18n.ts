// Words. English is the source; a missing translation falls back to it. {name} stands for a value.
import {en} from './words_en';
import {id} from './words_id';

export type Word = keyof typeof en;
const languages = {en, id} as const;
export type Language = keyof typeof languages;

function preferred(): Language {
  const kept = localStorage.getItem('language');
  if (kept === 'en' || kept === 'id') return kept;
  return navigator.language.toLowerCase().startsWith('id') ? 'id' : 'en';
}

let current: Language = preferred();

export const language = (): Language => current;

export function setLanguage(next: Language): void {
  current = next;
  localStorage.setItem('language', next);
  document.documentElement.lang = next;
}

export function t(word: Word, values: Record<string, string | number> = {}): string {
  const text: string = languages[current][word] ?? en[word];
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

export function percent(value: number): string {
  return `${Math.round(value * 100)}\u00a0%`;
}

/** The person's own way of writing dates and numbers, where it is of the page's language. */
export const locale = (): string => navigator.languages.find(name => name.startsWith(current)) ?? current;

export function number(value: number, digits = 0): string {
  return value.toLocaleString(locale(), {maximumFractionDigits: digits, minimumFractionDigits: digits});
}

/** A file's size, in the unit that people read. */
export function bytes(value: number): string {
  const [unit, size] = value >= 1e6 ? ['MB', value / 1048576] as const : ['KB', value / 1024] as const;
  return `${number(size, size < 10 && size % 1 >= 0.05 ? 1 : 0)}\u00a0${unit}`;
}

export function dateTime(value: Date): string {
  return value.toLocaleString(locale(), {dateStyle: 'medium', timeStyle: 'short'});
}

document.documentElement.lang = current;
