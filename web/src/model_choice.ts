// Which of the server's models answers this browser. The choice is a person's own: it goes along with each request and changes
// nothing for anybody else.
const KEY = 'model';

/** The chosen model's name, '' = whichever the server prefers. */
export const chosenModel = (): string => localStorage.getItem(KEY) ?? '';

export function chooseModel(id: string): void {
  if (id) localStorage.setItem(KEY, id);
  else localStorage.removeItem(KEY);
}

/** A path that asks for the chosen model. */
export function withModel(path: string): string {
  const id = chosenModel();
  return id ? `${path}${path.includes('?') ? '&' : '?'}model=${encodeURIComponent(id)}` : path;
}
