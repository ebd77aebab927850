// What the page asks of the server. Every failure becomes a Problem with a kind that the page has words for.
import {chooseModel, chosenModel, withModel} from './model_choice';
import {EMOTIONS, type Analysis, type Emotion, type Face, type Probabilities} from './emotions';

export type ProblemKind = 'away' | 'busy' | 'slow' | 'large' | 'not-picture' | 'video' | 'quota' | 'sign-in' | 'signed-out' | 'exists' | 'sign-in-away' | 'other';

export class Problem extends Error {
  constructor(readonly kind: ProblemKind, message: string, readonly wait = 0 /* seconds that the server asks for */,
    readonly limit = 0 /* bytes that it takes */) {
    super(message);
  }
}

export interface Profile {
  user_id: string;
  email: string | null;
  display_name: string | null;
  is_guest: boolean;
}

export interface Usage {
  is_guest: boolean;
  usage_count: number;
  max_usage: number | null;
}

export interface Kept {
  id: string;
  when: Date;
  picture: string | null;
  faces: Face[];
}

export interface Model {
  id: string;
  name: string;
  training_data: string;
  provider: string; // "local": this server
  is_default: boolean;
  card?: {
    name: string | null;
    description: string | null;
    training: string | null;
    parameters: number;
    labels: string[];
    input: {width: number; height: number; channels: number};
    temperature: number;
    uncertain_below: number;
    figures: Record<string, number>;
  };
}

/** Where people sign in when it is not here. */
export interface FirebaseProject {
  project: string;
  api_key: string;
  emulator: string | null; // host:port
}

/** What the deployer says, what the server keeps and for how long (0 = until it is deleted), and what else it offers. */
export interface Notice {
  notice: string;
  history_seconds: number;
  pictures_kept: boolean;
  faces_in_browser: boolean;
  firebase: FirebaseProject | null;
}

const tokens = {
  get access() { return sessionStorage.getItem('access') ?? ''; },
  get refresh() { return localStorage.getItem('refresh') ?? ''; },
  set(access: string, refresh?: string) {
    sessionStorage.setItem('access', access);
    if (refresh) localStorage.setItem('refresh', refresh);
  },
  clear() {
    sessionStorage.removeItem('access');
    localStorage.removeItem('refresh');
  },
};

export const signedIn = (): boolean => tokens.refresh !== '';

function kindOf(status: number, quota: boolean): ProblemKind {
  if (status === 413) return 'large';
  if (status === 429) return quota ? 'quota' : 'slow';
  if (status === 503 || status === 504) return 'busy';
  if (status === 401 || status === 403) return 'sign-in';
  if (status === 409) return 'exists';
  return 'other';
}

async function problemOf(response: Response): Promise<Problem> {
  let text = `${response.status} ${response.statusText}`, quota = false, limit = 0;
  try {
    const body = await response.json() as {detail?: unknown; error?: unknown; message?: unknown; limit?: number;
      details?: {limit?: number}};
    quota = body.details?.limit !== undefined; // a guest's; a rate limit has no such details
    limit = body.limit ?? 0;
    const said = body.detail ?? body.error ?? body.message;
    if (typeof said === 'string') text = said;
  } catch { /* not JSON: the status has to do */ }
  return new Problem(kindOf(response.status, quota), text, Number(response.headers.get('retry-after') ?? 0), limit);
}

async function send(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (tokens.access) headers.set('authorization', `Bearer ${tokens.access}`);
  try {
    return await fetch(path, {...init, headers});
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Problem('away', String(error));
  }
}

async function renew(): Promise<boolean> {
  if (!tokens.refresh) return false;
  const response = await fetch('/auth/refresh-token', {
    method: 'POST',
    headers: {'content-type': 'application/json'},
    body: JSON.stringify({refresh_token: tokens.refresh}),
  }).catch(() => null);
  if (!response) return false;
  if (!response.ok) {
    tokens.clear();
    return false;
  }
  tokens.set((await response.json() as {access_token: string}).access_token);
  return true;
}

const PERSONAL = /^\/(api\/(history|detect)|auth\/profile)/;

/** A request that renews the access token once when a signed-in person's has run out. */
async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const known = signedIn();
  if (!tokens.access && tokens.refresh) await renew();
  let response = await send(path, init);
  if (response.status === 401 && await renew()) response = await send(path, init);
  if (known && !signedIn() && PERSONAL.test(path)) throw new Problem('signed-out', 'signed out'); // a guest's answer is not what was asked for
  if (!response.ok) throw await problemOf(response);
  return response;
}

/** A request to the chosen model; where the server no longer offers that, to its own choice. */
async function requestByModel(path: string, init: RequestInit): Promise<Response> {
  try {
    return await request(withModel(path), init);
  } catch (error) {
    if (!chosenModel() || !(error instanceof Problem) || !error.message.startsWith('Invalid model ID')) throw error;
    chooseModel('');
    return request(path, init);
  }
}

const json = (method: string, body: unknown): RequestInit =>
  ({method, headers: {'content-type': 'application/json'}, body: JSON.stringify(body)});

/** Analyse without keeping anything. */
export async function analyse(picture: Blob, signal?: AbortSignal): Promise<Analysis> {
  const response = await requestByModel('/api/faces',
    {method: 'POST', body: picture, headers: {'content-type': picture.type || 'application/octet-stream'}, signal});
  return await response.json() as Analysis;
}

interface HistoryFace {
  box: [number, number, number, number];
  emotions: {emotion: Emotion; score: number}[];
  face_id: number;
}

interface HistoryAnswer {
  detection_id: string;
  timestamp: string;
  image_url: string | null;
  detection_results: {faces: HistoryFace[]; processing_time: number};
}

function faceOf(face: HistoryFace): Face {
  const probabilities = Object.fromEntries(EMOTIONS.map(name => [name, 0])) as Probabilities;
  for (const {emotion, score} of face.emotions) probabilities[emotion] = score;
  const best = face.emotions[0];
  return {box: face.box, id: face.face_id, score: 1, emotion: best?.emotion ?? 'neutral', confidence: best?.score ?? 0,
    probabilities};
}

function keptOf(answer: HistoryAnswer): Kept {
  const stamp = /Z|[+-]\d\d:\d\d$/.test(answer.timestamp) ? answer.timestamp : `${answer.timestamp}Z`;
  return {id: answer.detection_id, when: new Date(stamp), picture: answer.image_url,
    faces: answer.detection_results.faces.map(faceOf)};
}

/** Analyse and keep in the history; guests have a quota for this. */
export async function keep(picture: Blob, name: string, signal?: AbortSignal): Promise<Kept> {
  const form = new FormData();
  form.append('file', picture, name);
  return keptOf(await (await requestByModel('/api/detect?preset=default', {method: 'POST', body: form, signal})).json() as HistoryAnswer);
}

export async function history(skip: number, limit: number, filter: {emotion?: Emotion; from?: number; until?: number}):
  Promise<Kept[]> {
  const query = new URLSearchParams({skip: String(skip), limit: String(limit)});
  for (const [key, value] of Object.entries(filter)) if (value) query.set(key, String(value));
  const response = await request(`/api/history?${query}`);
  return (await response.json() as HistoryAnswer[]).map(keptOf);
}

export async function picture(id: string): Promise<Blob> {
  return (await request(`/api/history/${encodeURIComponent(id)}/picture`)).blob();
}

export async function forget(id: string): Promise<void> {
  await request(`/api/history/${encodeURIComponent(id)}`, {method: 'DELETE'});
}

export async function forgetAll(): Promise<void> {
  await request('/api/history', {method: 'DELETE'});
}

export async function profile(): Promise<Profile> {
  return await (await request('/auth/profile')).json() as Profile;
}

export async function usage(): Promise<Usage> {
  return await (await request('/auth/usage')).json() as Usage;
}

async function enter(path: string, body: unknown): Promise<void> {
  const answer = await (await request(path, json('POST', body))).json() as
    {access_token: string; refresh_token: string};
  tokens.set(answer.access_token, answer.refresh_token);
}

export const signIn = (email: string, password: string): Promise<void> => enter('/auth/login', {email, password});

export const register = (email: string, password: string, name: string): Promise<void> =>
  enter('/auth/register', {email, password, display_name: name});

/** With what Firebase says of somebody. */
export const signInWith = (idToken: string): Promise<void> => enter('/auth/verify-token', {id_token: idToken});

export async function signOut(): Promise<void> {
  const refresh = tokens.refresh;
  try {
    await send('/auth/logout', json('POST', {refresh_token: refresh}));
  } finally {
    tokens.clear();
  }
}

export async function eraseAccount(): Promise<void> {
  await request('/auth/profile', {method: 'DELETE'});
  tokens.clear();
}

/** The models of this server; a choice that it no longer offers is forgotten. */
export async function models(): Promise<Model[]> {
  const all = (await (await request('/api/models')).json() as {models: Model[]}).models.filter(model => model.provider === 'local');
  if (chosenModel() && !all.some(model => model.id === chosenModel())) chooseModel('');
  return all;
}

export async function notice(): Promise<Notice> {
  return await (await request('/api/notice')).json() as Notice;
}

export async function serverIsThere(): Promise<boolean> {
  try {
    return (await fetch('/healthz', {cache: 'no-store'})).ok;
  } catch {
    return false;
  }
}
