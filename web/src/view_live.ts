// Live: the camera's picture with boxes drawn over it at the camera's rate, a card and a time line for each person.
import {bars, type Bars} from './bars';
import {csv, download, h, replace} from './dom';
import {annotated, drawFaces, toBlob} from './draw';
import {EMOTIONS, surest, type Face} from './emotions';
import {number, percent, t} from './i18n';
import {explain, hush, say} from './say';
import {Session} from './session';
import {FrameStream, type StreamAnswer} from './stream';
import {Timeline} from './timeline';
import type {View} from './view';

const SIZES: [number, number][] = [[1280, 720], [640, 480], [480, 360], [320, 240]];
const AWAY_SECONDS = 3; // a person who is gone this long loses their card
const SLOW = 180, FAST = 60; // milliseconds of latency between which the size of frames is left alone

interface Person {
  card: HTMLElement;
  title: HTMLElement;
  label: HTMLElement;
  bars: Bars;
  timeline: Timeline;
  seen: number;
}

export function liveView(notice: () => Promise<string>): View {
  let media: MediaStream | null = null;
  let stream: FrameStream | null = null;
  let faces: Face[] = [];
  let drawnBoxes = new Map<number, Face['box']>();
  let paused = false, left = false, started = 0, dropped = 0, answeredInAll = 0, latency = 0, quality = 0.8, sendWidth = 640;
  let answers: number[] = [];
  const people = new Map<number, Person>();
  const session = new Session();

  const video = h('video', {playsinline: true, 'aria-label': t('camera')});
  video.muted = true;
  const overlay = h('canvas', {class: 'overlay', 'aria-hidden': 'true'});
  const frame = document.createElement('canvas');
  const stage = h('div', {class: 'stage live'}, video, overlay);
  const figures = h('dl', {class: 'figures'});
  const cards = h('div', {class: 'cards people'}, h('p', {class: 'empty'}, t('nobody')));
  const cameras = h('select', {id: 'camera', onchange: () => void open()});
  const size = h('select', {id: 'size', onchange: () => void open()},
    SIZES.map(([w, hh], i) => h('option', {value: i, selected: i === 1}, `${w}×${hh}`)));
  const mirror = h('input', {type: 'checkbox', id: 'mirror', checked: true,
    onchange: () => video.classList.toggle('mirrored', mirror.checked)});
  const pause = h('button', {type: 'button', onclick: () => {
    paused = !paused;
    if (paused) video.pause();
    else void video.play();
    pause.textContent = t(paused ? 'resume' : 'pause');
    pause.setAttribute('aria-pressed', String(paused));
  }}, t('pause'));
  const controls = h('div', {class: 'toolbar'}, pause,
    h('button', {type: 'button', onclick: () => halt(true)}, t('stop')),
    h('button', {type: 'button', onclick: () => void snapshot()}, t('snapshot')),
    h('button', {type: 'button', onclick: sessionCsv}, t('sessionCsv')),
    h('button', {type: 'button', onclick: sessionJson}, t('sessionJson')),
    h('label', {for: 'camera'}, t('camera'), cameras),
    h('label', {for: 'size'}, t('resolution'), size),
    h('label', {class: 'check'}, mirror, t('mirror')));
  const words = h('p', {}, t('notice'));
  void notice().then(text => { if (text) words.textContent = text; });
  const start = h('section', {class: 'card notice'}, h('h2', {}, t('noticeTitle')), words,
    h('button', {type: 'button', class: 'primary', id: 'start', onclick: () => void open()}, t('agree')));
  const split = h('div', {class: 'split live hidden'}, h('div', {}, stage, figures, controls), cards);
  const element = h('div', {}, h('h1', {}, t('liveTitle')), h('p', {class: 'lead'}, t('liveLead')), start, split);

  async function open(): Promise<void> {
    if (!navigator.mediaDevices) {
      say(t('errorInsecure'), 'bad', 0);
      return;
    }
    const [width, height] = SIZES[Number(size.value)]!;
    try {
      const next = await navigator.mediaDevices.getUserMedia({audio: false,
        video: {width: {ideal: width}, height: {ideal: height},
          ...(cameras.value ? {deviceId: {exact: cameras.value}} : {facingMode: 'user'})}});
      if (left) {
        next.getTracks().forEach(track => track.stop());
        return;
      }
      media?.getTracks().forEach(track => track.stop());
      media = next;
      video.srcObject = next;
      await video.play();
      await listCameras();
    } catch (error) {
      say(explain(error), 'bad', 0);
      return;
    }
    hush();
    if (!started) started = performance.now();
    sendWidth = Math.min(width, 640);
    start.classList.add('hidden');
    split.classList.remove('hidden');
    video.classList.toggle('mirrored', mirror.checked);
    if (!stream) {
      stream = new FrameStream({answer: take, state: state => {
        stage.classList.toggle('away', state !== 'open');
        if (state === 'away') say(t('errorAway'), 'bad', 0);
        else if (state === 'open') hush();
      }});
      requestAnimationFrame(draw);
      watchFrames();
    }
  }

  /* Each new frame of the camera is sent when the one before has been answered; else it is passed over and counted. */
  function watchFrames(): void {
    const counted = 'requestVideoFrameCallback' in video; // else the display's rate stands in for the camera's
    const next = (): void => {
      if (!stream || left) return;
      watchFrames();
      if (paused) return;
      if (stream.ready && !busy) sendFrame();
      else if (counted) dropped++;
    };
    if (counted) video.requestVideoFrameCallback(next);
    else requestAnimationFrame(next);
  }

  async function listCameras(): Promise<void> {
    const chosen = media?.getVideoTracks()[0]?.getSettings().deviceId;
    const found = (await navigator.mediaDevices.enumerateDevices()).filter(device => device.kind === 'videoinput');
    replace(cameras, found.map((device, i) => h('option', {value: device.deviceId,
      selected: device.deviceId === chosen}, device.label || `${t('camera')} ${i + 1}`)));
  }

  function halt(back: boolean): void {
    media?.getTracks().forEach(track => track.stop());
    stream?.close();
    media = stream = null;
    faces = [];
    for (const person of people.values()) {
      person.timeline.destroy();
      person.card.remove();
    }
    people.clear();
    replace(cards, h('p', {class: 'empty'}, t('nobody')));
    if (!back) return;
    paused = false;
    pause.textContent = t('pause');
    pause.setAttribute('aria-pressed', 'false');
    split.classList.add('hidden');
    start.classList.remove('hidden');
  }

  /* The next frame goes out when the last one is answered; large frames shrink when answers come late. */
  function sendFrame(): void {
    if (!stream?.ready || paused || !video.videoWidth) return;
    if (latency > SLOW && sendWidth > 320) sendWidth -= 80;
    else if (latency && latency < FAST && sendWidth < Math.min(video.videoWidth, 960)) sendWidth += 16;
    const scale = Math.min(1, sendWidth / video.videoWidth);
    frame.width = Math.round(video.videoWidth * scale);
    frame.height = Math.round(video.videoHeight * scale);
    frame.getContext('2d', {alpha: false})!.drawImage(video, 0, 0, frame.width, frame.height);
    busy = true;
    frame.toBlob(blob => {
      busy = false;
      if (blob) stream?.send(blob);
    }, 'image/jpeg', quality);
    sentScale = scale;
  }

  let busy = false, sentScale = 1;

  function take(answer: StreamAnswer): void {
    const now = performance.now(), seconds = (now - started) / 1000;
    latency = latency ? latency * 0.8 + answer.latency * 0.2 : answer.latency;
    dropped += answer.dropped;
    answeredInAll++;
    answers.push(now);
    answers = answers.filter(time => time > now - 2000);
    faces = answer.faces.map(face => ({...face, box: face.box.map(value => value / sentScale) as Face['box']}));
    for (const face of faces) {
      update(face, seconds);
      session.add(seconds, face);
    }
    for (const [id, person] of people) {
      if (seconds - person.seen < AWAY_SECONDS) continue;
      person.timeline.destroy();
      person.card.remove();
      people.delete(id);
      if (!people.size) replace(cards, h('p', {class: 'empty'}, t('nobody')));
    }
    replace(figures,
      h('div', {}, h('dt', {}, t('answered')), h('dd', {id: 'fps'}, number(answers.length / 2, 1))),
      h('div', {}, h('dt', {}, t('answeredInAll')), h('dd', {id: 'answers'}, number(answeredInAll))),
      h('div', {}, h('dt', {}, t('latency')), h('dd', {id: 'latency'}, t('milliseconds', {n: number(latency)}))),
      h('div', {}, h('dt', {}, t('dropped')), h('dd', {id: 'dropped'}, number(dropped))),
      h('div', {}, h('dt', {}, t('sentSize')), h('dd', {}, `${frame.width} × ${frame.height}`)));
  }

  function update(face: Face, seconds: number): void {
    const id = face.id ?? 0;
    const shown = face.smoothed ?? face.probabilities;
    let person = people.get(id);
    if (!person) {
      if (!people.size) cards.replaceChildren();
      const title = h('h2', {}), label = h('p', {class: 'label'}), rows = bars(shown);
      const card = h('article', {class: 'card face', 'data-person': id}, title, label, rows.element);
      cards.append(card);
      const timeline = new Timeline(Math.max(200, card.clientWidth - 32));
      card.append(h('p', {class: 'quiet small'}, t('timeline')), timeline.element);
      replace(title, h('span', {class: `dot ${face.emotion}`, 'aria-hidden': 'true'}), t('person', {n: id}));
      person = {card, title, label, bars: rows, timeline, seen: seconds};
      people.set(id, person);
    }
    const best = surest(shown);
    person.seen = seconds;
    person.title.firstElementChild!.className = `dot ${best}`;
    person.label.textContent = `${t('apparent')}: ${t(best)} ${percent(shown[best])}` +
      (face.uncertain ? ` (${t('uncertain')})` : '');
    person.bars.update(shown);
    person.timeline.add(seconds, shown);
  }

  /* Every frame of the display: boxes glide towards where the last answer put them. */
  function draw(): void {
    if (left || !stream) return;
    requestAnimationFrame(draw);
    if (!video.videoWidth) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const width = Math.round(overlay.clientWidth * ratio), height = Math.round(overlay.clientHeight * ratio);
    if (overlay.width !== width || overlay.height !== height) {
      overlay.width = width;
      overlay.height = height;
    }
    const context = overlay.getContext('2d')!;
    context.clearRect(0, 0, width, height);
    const still = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
    const next = new Map<number, Face['box']>();
    const shownFaces: Face[] = [];
    for (const face of faces) {
      const id = face.id ?? 0, before = drawnBoxes.get(id);
      const box = (before && !still ? face.box.map((value, i) => before[i]! + (value - before[i]!) * 0.35) : face.box) as
        Face['box'];
      next.set(id, box);
      const shown = face.smoothed ?? face.probabilities, best = surest(shown);
      shownFaces.push({...face, box, emotion: best, confidence: shown[best]});
    }
    drawFaces(context, shownFaces, {scale: width / video.videoWidth, mirrored: mirror.checked, width, height,
      pixelRatio: ratio});
    drawnBoxes = next;
  }

  async function snapshot(): Promise<void> {
    if (!video.videoWidth) return;
    const canvas = annotated(video, video.videoWidth, video.videoHeight, faces, {mirrored: mirror.checked});
    download(`mien-${new Date().toISOString().replaceAll(':', '-')}.jpg`, await toBlob(canvas));
  }

  function sessionCsv(): void {
    const rows: (string | number)[][] = [['seconds', 'person', 'x', 'y', 'width', 'height', 'emotion', 'confidence',
      ...EMOTIONS]];
    for (const row of session.rows())
      rows.push([row.seconds, row.person, ...row.box, row.emotion, row.confidence,
        ...EMOTIONS.map(name => row.probabilities[name])]);
    download('mien-session.csv', csv(rows), 'text/csv');
  }

  function sessionJson(): void {
    download('mien-session.json', JSON.stringify([...session.rows()]), 'application/json');
  }

  return {
    element,
    leave() {
      left = true;
      halt(false);
    },
  };
}
