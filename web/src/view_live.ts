// Live: the camera's picture with boxes drawn over it at the camera's rate, a card and a time line for each person.
import type {Notice} from './api';
import {csv, download, h, replace} from './dom';
import {annotated, drawFaces, toBlob} from './draw';
import {EMOTIONS, surest, type Face} from './emotions';
import {FaceFinder} from './face_finder';
import {number, t} from './i18n';
import {icon} from './icons';
import {People} from './people';
import {explain, hush, say} from './say';
import {Session} from './session';
import {FrameStream, type StreamAnswer} from './stream';
import type {View} from './view';

const SIZES: [number, number][] = [[1920, 1080], [1280, 720], [640, 480], [480, 360], [320, 240]];
const USUAL = 2;
const SLOW = 180, FAST = 60; // milliseconds of latency between which the size of frames is left alone
const QUALITY = 0.8;
const GLIDE = 0.35; // of the way to where the last answer put a box, each frame of the display

/** A row of figures whose numbers are set in place, thirty times a second. */
function figures(): {element: HTMLElement; set(values: Record<string, string>): void} {
  const rows = ([['fps', 'answered'], ['latency', 'latency'], ['dropped', 'dropped'], ['answers', 'answeredInAll'], ['sent', 'sentSize']] as const)
    .map(([id, word]) => ({id, word, value: h('dd', {id}, '–')}));
  return {
    element: h('dl', {class: 'figures'}, rows.map(({word, value}) => h('div', {}, h('dt', {}, t(word)), value))),
    set: values => { for (const {id, value} of rows) value.textContent = values[id] ?? ''; },
  };
}

export function liveView(server: () => Promise<Notice | null>): View {
  let media: MediaStream | null = null, stream: FrameStream | null = null, finder: FaceFinder | null = null;
  let faces: Face[] = [], drawnBoxes = new Map<number, Face['box']>(), answers: number[] = [];
  let paused = false, left = false, busy = false, wasBusy = false;
  let film = '', mirrors = true; // the address of a video of the person's own; whether they want a mirror
  let started = 0, dropped = 0, answeredInAll = 0, latency = 0, sendWidth = 640, sentScale = 1, sent = '';
  const people = new People();
  const wide = window.matchMedia('(min-width: 861px)');
  const session = new Session();

  const video = h('video', {playsinline: true, 'aria-label': t('camera')});
  video.muted = true;
  const overlay = h('canvas', {class: 'overlay', 'aria-hidden': 'true'});
  const frame = document.createElement('canvas');
  const stage = h('div', {class: 'stage live'}, video, overlay);
  const measured = figures();
  const cameras = h('select', {id: 'camera', onchange: () => void open()});
  const size = h('select', {id: 'size', onchange: () => void open()},
    SIZES.map(([w, hh], i) => h('option', {value: i, selected: i === USUAL}, `${w} × ${hh}`)));
  const mirror = h('input', {type: 'checkbox', id: 'mirror', checked: true,
    onchange: () => video.classList.toggle('mirrored', mirrors = mirror.checked)});
  const here = h('input', {type: 'checkbox', id: 'faces-here', 'aria-describedby': 'faces-here-help', onchange: () => void findHere()});
  const option = h('div', {class: 'option hidden'}, h('label', {class: 'check'}, here, t('facesHere')),
    h('p', {class: 'quiet small', id: 'faces-here-help'}, t('facesHereHelp')));
  const pause = h('button', {type: 'button', class: 'primary', id: 'pause', onclick: () => hold(!paused)});
  const controls = h('div', {class: 'toolbar'}, pause,
    h('button', {type: 'button', onclick: () => void snapshot()}, icon('camera'), t('snapshot')),
    h('button', {type: 'button', onclick: () => halt(true)}, icon('stop'), t('stop')));
  const settings = h('section', {class: 'card settings', 'aria-label': t('settings')},
    h('div', {class: 'field'}, h('label', {for: 'camera'}, t('camera')), cameras),
    h('div', {class: 'field'}, h('label', {for: 'size'}, t('resolution')), size),
    h('label', {class: 'check'}, mirror, t('mirror')),
    h('div', {class: 'group'}, h('button', {type: 'button', onclick: sessionCsv}, icon('download'), t('sessionCsv')),
      h('button', {type: 'button', onclick: sessionJson}, icon('download'), t('sessionJson'))));
  const more = h('details', {class: 'more'}, h('summary', {}, t('settings')), settings);
  const file = h('input', {type: 'file', accept: 'video/*', class: 'hidden', id: 'video-input', tabindex: -1, 'aria-hidden': 'true',
    onchange: () => { if (file.files?.[0]) void play(file.files[0]); file.value = ''; }});
  const words = h('p', {}, t('notice')), choice = h('div', {});
  const start = h('section', {class: 'card notice'}, h('div', {class: 'badge'}, icon('camera')), h('h2', {}, t('noticeTitle')), words,
    choice, h('p', {class: 'buttons start'},
      h('button', {type: 'button', class: 'primary large', id: 'start', onclick: () => void open()}, icon('camera'), t('agree')),
      h('button', {type: 'button', class: 'large', id: 'play', onclick: () => file.click()}, icon('play'), t('playVideo')), file));
  const lead = h('p', {class: 'lead'}, t('liveLead'));
  const split = h('div', {class: 'split live hidden'}, h('div', {}, stage, controls, measured.element, more), people.element);
  const element = h('div', {}, h('h1', {}, t('liveTitle')), lead, start, split);

  void server().then(said => {
    if (said?.notice) words.textContent = said.notice;
    option.classList.toggle('hidden', !said?.faces_in_browser);
  });
  const unfold = (): void => { more.open = wide.matches; }; // where there is little room, the people come first
  wide.addEventListener('change', unfold);
  unfold();
  hold(false);
  show(false);

  function show(running: boolean): void {
    for (const part of [start, lead]) part.classList.toggle('hidden', running);
    split.classList.toggle('hidden', !running);
    (running ? settings : choice).append(option);
  }

  function hold(still: boolean): void {
    paused = still;
    if (media || film) {
      if (still) video.pause();
      else void video.play();
    }
    replace(pause, icon(still ? 'play' : 'pause'), t(still ? 'resume' : 'pause'));
    pause.setAttribute('aria-pressed', String(still));
  }

  /* The camera that is chosen. Some devices have no two open at a time: there the one in use is closed first. */
  async function openCamera(): Promise<MediaStream> {
    const [width, height] = SIZES[Number(size.value)]!;
    const wanted: MediaStreamConstraints = {audio: false, video: {width: {ideal: width}, height: {ideal: height},
      ...(cameras.value ? {deviceId: {exact: cameras.value}} : {facingMode: 'user'})}};
    try {
      return await navigator.mediaDevices.getUserMedia(wanted);
    } catch (error) {
      if (!media || !(error instanceof DOMException) || error.name !== 'NotReadableError') throw error;
      media.getTracks().forEach(track => track.stop());
      return navigator.mediaDevices.getUserMedia(wanted);
    }
  }

  async function open(): Promise<void> {
    if (!navigator.mediaDevices) {
      say(t('errorInsecure'), 'bad', 0);
      return;
    }
    try {
      const next = await openCamera(), track = next.getVideoTracks()[0];
      if (left) {
        next.getTracks().forEach(one => one.stop());
        return;
      }
      media?.getTracks().forEach(one => one.stop());
      media = next;
      track?.addEventListener('ended', () => {
        if (media === next) say(t('errorCameraGone'), 'bad', 0);
      });
      mirror.checked = mirrors && track?.getSettings().facingMode !== 'environment'; // what is in front of a person is not a mirror
      video.srcObject = next;
      await video.play();
      await listCameras();
    } catch (error) {
      say(explain(error), 'bad', 0);
      return;
    }
    begin();
  }

  /** A video of the person's own, in place of the camera. */
  async function play(picked: File): Promise<void> {
    film = URL.createObjectURL(picked);
    video.src = film;
    video.loop = true;
    mirror.checked = false;
    try {
      await video.play();
    } catch {
      letGo();
      say(t('errorNotVideo', {name: picked.name}), 'bad', 0);
      return;
    }
    if (left) letGo();
    else begin();
  }

  function begin(): void {
    hush();
    hold(false);
    if (!started) started = performance.now();
    sendWidth = 640;
    for (const field of settings.querySelectorAll('.field')) field.classList.toggle('hidden', !media);
    show(true);
    video.classList.toggle('mirrored', mirror.checked);
    if (stream) return;
    stream = new FrameStream({answer: take, state: state => {
      stage.classList.toggle('away', state !== 'open');
      if (state !== 'open') rest();
      if (state === 'away') say(t('errorAway'), 'bad', 0);
      else if (state === 'open') hush();
    }});
    requestAnimationFrame(draw);
    watchFrames();
  }

  /* Nothing is known of what the camera sees now: no box may stand over it. */
  function rest(): void {
    faces = [];
    answers = [];
    latency = 0;
    tell();
  }

  function letGo(): void {
    media?.getTracks().forEach(track => track.stop());
    media = null;
    video.srcObject = null;
    video.removeAttribute('src');
    URL.revokeObjectURL(film);
    film = '';
  }

  /* Each new frame of the camera is sent when the one before has been answered; else it is passed over and counted. */
  function watchFrames(): void {
    const counted = 'requestVideoFrameCallback' in video; // else the display's rate stands in for the camera's
    const next = (): void => {
      if (!stream || left) return;
      watchFrames();
      if (paused || document.hidden) return; // nobody looks: nothing is sent
      if (stream.ready && !busy) void sendFrame();
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
    letGo();
    stream?.close();
    stream = null;
    rest();
    people.clear();
    if (!back) return;
    hold(false);
    show(false);
    start.querySelector('button')!.focus();
  }

  /* Turned on, the detector is fetched; until it is there, nothing is sent: whoever asked for this wants no frame to leave. */
  async function findHere(): Promise<void> {
    finder?.stop();
    finder = null;
    if (!here.checked) return;
    here.disabled = true;
    say(t('facesHereLoading'), 'good', 0);
    try {
      finder = await FaceFinder.start();
      hush();
    } catch (error) {
      here.checked = false;
      if (media || film) hold(true);
      say(t('errorFacesHere', {why: error instanceof Error ? error.message : String(error)}), 'bad', 0);
    }
    here.disabled = false;
    if (left) finder?.stop();
  }

  async function sendFrame(): Promise<void> {
    if (!video.videoWidth || here.checked && !finder) return;
    const by = finder;
    busy = true;
    try {
      if (by) await sendFaces(by);
      else await sendPicture();
    } catch (error) {
      if (left || by !== finder) return; // turned off meanwhile
      if (!wasBusy) say(explain(error), 'bad'); // a frame is lost; a second in a row would say the same
      wasBusy = true;
      return;
    } finally {
      busy = false;
    }
    wasBusy = false;
  }

  /* Frames shrink when answers come late and grow again when they come early. */
  async function sendPicture(): Promise<void> {
    if (latency > SLOW && sendWidth > 320) sendWidth -= 80;
    else if (latency && latency < FAST && sendWidth < Math.min(video.videoWidth, 960)) sendWidth += 16;
    const scale = Math.min(1, sendWidth / video.videoWidth);
    frame.width = Math.round(video.videoWidth * scale);
    frame.height = Math.round(video.videoHeight * scale);
    frame.getContext('2d', {alpha: false})!.drawImage(video, 0, 0, frame.width, frame.height);
    const picture = await toBlob(frame, 'image/jpeg', QUALITY);
    if (here.checked) return; // turned on meanwhile
    stream?.send(picture);
    sentScale = scale;
    sent = `${frame.width} × ${frame.height}`;
  }

  async function sendFaces(by: FaceFinder): Promise<void> {
    const found = await by.find(await createImageBitmap(video));
    stream?.send(found.message);
    sentScale = 1;
    sent = t('facesOnly', {n: number(found.bytes / 1000)});
  }

  function take(answer: StreamAnswer): void {
    const now = performance.now(), seconds = (now - started) / 1000;
    latency = latency ? latency * 0.8 + answer.latency * 0.2 : answer.latency;
    dropped += answer.dropped;
    answeredInAll++;
    answers.push(now);
    answers = answers.filter(time => time > now - 2000);
    faces = answer.faces.map(face => ({...face, box: face.box.map(value => value / sentScale) as Face['box']}));
    for (const face of faces) {
      people.update(face, seconds);
      session.add(seconds, face);
    }
    people.forget(seconds);
    tell();
  }

  function tell(): void {
    measured.set({fps: number(answers.length / 2, 1), latency: latency ? t('milliseconds', {n: number(latency)}) : '–',
      dropped: number(dropped), answers: number(answeredInAll), sent});
  }

  /* Every frame of the display: boxes glide towards where the last answer put them. */
  function draw(): void {
    if (left || !stream) return;
    requestAnimationFrame(draw);
    if (!video.videoWidth) return;
    const ratio = Math.min(window.devicePixelRatio || 1, 2);
    const fit = Math.min(overlay.clientWidth / video.videoWidth, overlay.clientHeight / video.videoHeight) * ratio;
    const width = Math.round(video.videoWidth * fit), height = Math.round(video.videoHeight * fit);
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
      const box = (before && !still ? face.box.map((value, i) => before[i]! + (value - before[i]!) * GLIDE) : face.box) as
        Face['box'];
      next.set(id, box);
      const shown = face.smoothed ?? face.probabilities, best = surest(shown);
      shownFaces.push({...face, box, emotion: best, confidence: shown[best]});
    }
    drawFaces(context, shownFaces, {scale: fit, mirrored: mirror.checked, width, height,
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
      wide.removeEventListener('change', unfold);
      halt(false);
      finder?.stop();
      people.close();
    },
  };
}
