// Guards what a careful user notices: nothing is lost or wrongly said when the server is away or refuses, the viewer on a phone,
// folders, the keyboard after things go, printing, a hidden tab, a video in place of the camera.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test, { after, before } from 'node:test';
import { launch, noBrowser, startReal, usePage, violations } from './helper.mjs';
import { png } from '../http/helper.mjs';

const phone = { width: 360, height: 740 };
let server, browser;
before(async () => {
  if (noBrowser) return;
  server = await startReal(['--max-body-size', '60000', '--guest-max-usage', '3'], {});
  browser = await launch();
});
after(async () => {
  await browser?.close();
  if (server) assert.equal(await server.stop(), 0);
});

const withPage = (options, where, work) =>
  usePage(browser, server, { locale: 'en-GB', acceptDownloads: true, reducedMotion: 'reduce', ...options }, where, work);

const grey = (name, width = 64, height = 48) => ({ name, mimeType: 'image/png', buffer: png(width, height) });
const analysed = (page, n, all = n) => page.waitForSelector(`text=${n} of ${all} analysed`);
const go = async (page, view) => {
  await page.evaluate((hash) => { location.hash = hash; }, `#/${view}`);
  await page.waitForSelector(`#nav a[aria-current][href="#/${view}"]`);
};

test('a picture that is too large: the server\'s limit is named', { skip: noBrowser }, async () => {
  for (const [locale, words] of [['en-GB', /^large\.jpg is too large\. This server takes up to 59.KB/], ['id-ID', /^large\.jpg terlalu besar\. Server ini menerima paling banyak 59.KB/]])
    await withPage({ locale }, '', async (page) => {
      page.expected.push(/413/);
      await page.setInputFiles('#choose-input', { name: 'large.jpg', mimeType: 'image/jpeg', buffer: Buffer.alloc(70000, 1) });
      assert.match(await page.textContent('.picture .message'), words);
    });
});

test('the viewer on a phone: Close stays in its corner beside one line of title, while everything scrolls', { skip: noBrowser }, async () => {
  for (const locale of ['en-GB', 'id-ID'])
    await withPage({ locale, viewport: phone }, '', async (page) => {
      await page.setInputFiles('#choose-input', [grey('a-photograph-with-a-name-that-is-much-longer-than-a-phone-is-wide.png', 300, 900), grey('other.png')]);
      await page.waitForFunction(() => document.querySelectorAll('.picture canvas').length === 2);
      await page.click('.picture:nth-child(1) .frame');
      await page.waitForSelector('dialog[open] canvas');
      const seen = () => page.evaluate(() => {
        const place = (selector) => document.querySelector(`dialog ${selector}`).getBoundingClientRect().toJSON();
        return { close: place('.close'), title: place('h2'), save: place('.actions button:last-child'), wide: document.querySelector('dialog').scrollWidth, room: innerWidth };
      });
      const { close, title, save, wide, room } = await seen();
      assert.ok(close.right > room - 30 && close.width < 60, 'in the corner');
      assert.ok(Math.abs((close.top + close.bottom) / 2 - (title.top + title.bottom) / 2) < 4, 'beside the title');
      assert.ok(title.height < 40, 'a title of one line');
      assert.ok(save.height < 50 && save.right <= room, 'buttons of one line');
      assert.ok(wide <= room, `${wide} px wide`);
      await page.evaluate(() => document.querySelector('dialog').scrollBy(0, 400));
      assert.deepEqual((await seen()).close.top, close.top, 'it does not scroll away');
      await page.click('dialog .close');
      await page.waitForSelector('dialog:not([open])', { state: 'attached' });
      assert.equal(await page.evaluate(() => document.activeElement.classList.contains('frame')), true, 'the focus goes back');
    });
});

test('the viewer keeps the focus inside, steps to the end and back, copies', { skip: noBrowser }, async () => {
  await withPage({ permissions: ['clipboard-read', 'clipboard-write'] }, '', async (page) => {
    await page.setInputFiles('#choose-input', [grey('one.png'), grey('two.png')]);
    await page.waitForFunction(() => document.querySelectorAll('.picture canvas').length === 2);
    await page.focus('.picture:nth-child(1) .frame');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog[open] canvas');
    for (let i = 0; i < 12; i++) {
      await page.keyboard.press('Tab');
      assert.ok(await page.evaluate(() => document.activeElement === document.body || document.querySelector('dialog').contains(document.activeElement)), 'the focus left the dialog');
    }
    await page.focus('dialog [aria-label="Next picture"]');
    await page.keyboard.press('Enter');
    await page.waitForSelector('dialog h2:text-is("two.png")');
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute('aria-label')), 'Previous picture', 'at the end the focus does not vanish');
    await page.click('dialog >> text=Copy JSON');
    await page.waitForSelector('dialog >> text=Copied');
    assert.deepEqual(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())), { file: 'two.png', faces: [] });
    assert.match(await page.textContent('dialog .empty'), /No face found\. Faces that are small/);
    await page.keyboard.press('Escape');
    await page.waitForSelector('dialog:not([open])', { state: 'attached' });
  });
});

test('pictures survive a look at another view and a change of language; one is removed', { skip: noBrowser }, async () => {
  await withPage({}, '', async (page) => {
    await page.setInputFiles('#choose-input', [grey('one.png'), grey('two.png'), grey('three.png')]);
    await analysed(page, 3);
    await go(page, 'models');
    await go(page, 'pictures');
    await page.waitForFunction(() => document.querySelectorAll('.picture canvas').length === 3);
    await page.selectOption('#language', 'id');
    await page.waitForSelector('text=3 dari 3 dianalisis');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'language', 'the keyboard stays where it was');
    await page.selectOption('#language', 'en');
    await page.focus('[aria-label="Remove two.png"]');
    await page.keyboard.press('Enter');
    await analysed(page, 2);
    assert.deepEqual(await page.locator('.picture .file').allTextContents(), ['one.png', 'three.png']);
    assert.ok(await page.evaluate(() => document.activeElement.closest('.picture')?.textContent.includes('three.png')), 'the focus goes to the neighbour');
  });
});

test('folders are dropped: the pictures in them are taken, however deep', { skip: noBrowser }, async () => {
  await withPage({}, '', async (page) => {
    await page.evaluate((bytes) => {
      const file = (name, type = 'image/png') => ({ isFile: true, isDirectory: false, name, file: (take) => take(new File([Uint8Array.from(bytes)], name, { type })) });
      const folder = (name, ...inside) => ({ isDirectory: true, name, createReader: () => ({ left: [inside.slice(0, 1), inside.slice(1), []], readEntries(take) { take(this.left.shift()); } }) });
      const event = new Event('drop', { bubbles: true, cancelable: true });
      const tree = folder('holiday', file('b.png'), file('notes.txt', 'text/plain'), file('.hidden'), folder('day two', file('a.png')));
      event.dataTransfer = { types: ['Files'], items: [{ webkitGetAsEntry: () => tree }], files: [new File([], 'holiday')] };
      document.querySelector('.drop').dispatchEvent(event);
    }, [...png(32, 32)]);
    await analysed(page, 2);
    assert.deepEqual(await page.locator('.picture .file').allTextContents(), ['b.png', 'a.png']);
    await page.waitForSelector('text=passed over: 1');
    await page.click('[aria-label="Dismiss"]');
    assert.equal(await page.locator('#banner .message').count(), 0);
  });
});

test('the server is away: pictures wait and go on by themselves; lists do not claim to be empty', { skip: noBrowser }, async () => {
  await withPage({}, '', async (page) => {
    page.expected.push(/ERR_CONNECTION_FAILED|ERR_FAILED|Failed to load/);
    let away = true;
    await page.route('**/api/**', (route) => (away ? route.abort('connectionfailed') : route.continue()));
    await page.setInputFiles('#choose-input', grey('patient.png'));
    await page.waitForSelector('text=The server is away');
    assert.match(await page.textContent('.picture'), /Waiting/);
    await go(page, 'models');
    await page.waitForSelector('.empty button:text-is("Try again")');
    away = false;
    await page.click('button:text-is("Try again")');
    await page.waitForSelector('.model table');
    await go(page, 'pictures');
    await analysed(page, 1);
    assert.equal(await page.locator('.picture canvas').count(), 1);
  });
});

test('a history that cannot be read does not say that it is empty; a session that ended says so', { skip: noBrowser }, async () => {
  await withPage({}, '#/about', async (page) => {
    page.expected.push(/503|401/);
    let ended = false;
    await page.route('**/api/history?*', (route) => route.fulfill(ended ? { status: 401, json: { detail: 'gone' } } : { status: 503, json: { detail: 'busy' } }));
    await page.route('**/auth/refresh-token', (route) => (ended ? route.fulfill({ status: 401, json: { detail: 'gone' } }) : route.fulfill({ json: { access_token: 'x' } })));
    await page.route('**/auth/profile', (route) => (ended ? route.fulfill({ status: 401, json: { detail: 'gone' } }) : route.fulfill({ json: { email: 'ann@example.com' } })));
    await page.evaluate(() => { localStorage.setItem('refresh', 'r'); sessionStorage.setItem('access', 'a'); });
    await go(page, 'history');
    await page.waitForSelector('.gallery >> text=The server is busy');
    assert.doesNotMatch(await page.textContent('.gallery'), /Nothing is kept/);
    ended = true;
    await page.click('.gallery button:text-is("Try again")');
    await page.waitForSelector('text=You are no longer signed in');
    await page.waitForSelector('#email');
  });
});

test('who deletes from the history goes on by keyboard; the trends follow the window; all of it is downloaded', { skip: noBrowser }, async () => {
  await withPage({ viewport: phone }, '', async (page) => {
    await page.check('#keep');
    await page.setInputFiles('#choose-input', [grey('one.png'), grey('two.png'), grey('three.png')]);
    await page.waitForFunction(() => JSON.parse(localStorage.getItem('kept') ?? '[]').length === 3);
    await go(page, 'history');
    await page.waitForFunction(() => document.querySelectorAll('.picture canvas').length === 3);
    const shape = () => page.evaluate(() => document.querySelector('.days').getBoundingClientRect().height);
    const before = await shape();
    await page.setViewportSize({ width: 1400, height: 900 });
    await page.waitForFunction((height) => Math.abs(document.querySelector('.days').getBoundingClientRect().height - height) < 20, before);
    const waiting = page.waitForEvent('download');
    await page.click('button:text-is("JSON")');
    assert.equal((await waiting).suggestedFilename(), 'mien-history.json');
    await page.focus('.picture:nth-child(1) .foot button');
    for (const left of [2, 1]) {
      await page.keyboard.press('Enter');
      await page.waitForFunction((n) => document.querySelectorAll('.picture').length === n && document.activeElement.closest('.picture'), left);
    }
    await page.keyboard.press('Enter');
    await page.waitForSelector('.gallery .empty');
  });
});

test('a downloaded table says nothing where nothing is known: the history keeps neither doubt nor quality', { skip: noBrowser }, async () => {
  await withPage({}, '#/about', async (page) => {
    const face = (id, emotion) => ({ face_id: id, box: [1, 2, 30, 40], emotions: [{ emotion, score: 0.75 }, { emotion: 'fear', score: 0.25 }] });
    await page.route('**/api/history?*', (route) => route.fulfill({ json: [{ detection_id: 'd1', timestamp: '2026-01-02T03:04:05Z', image_url: null,
      detection_results: { faces: [face(1, 'happy'), face(2, 'sad')], processing_time: 0.1 } }] }));
    await page.route('**/auth/profile', (route) => route.fulfill({ json: { email: 'ann@example.com' } }));
    await page.evaluate(() => { localStorage.setItem('refresh', 'r'); sessionStorage.setItem('access', 'a'); });
    await go(page, 'history');
    await page.waitForSelector('.picture');
    const waiting = page.waitForEvent('download');
    await page.click('button:text-is("CSV")');
    const rows = readFileSync(await (await waiting).path(), 'utf8').trim().split('\r\n').map((line) => line.split(','));
    assert.deepEqual(rows[0].slice(6, 10), ['emotion', 'confidence', 'uncertain', 'quality']);
    assert.deepEqual(rows.slice(1).map((row) => row.slice(6, 10)), [['happy', '0.75', '', ''], ['sad', '0.75', '', '']]);
  });
});

test('the viewer on paper: the picture and its words, none of the page around it', { skip: noBrowser }, async () => {
  await withPage({ colorScheme: 'dark' }, '', async (page) => {
    await page.setInputFiles('#choose-input', grey('one.png'));
    await page.waitForSelector('.picture canvas');
    await page.click('.picture .frame');
    await page.waitForSelector('dialog[open] canvas');
    await page.emulateMedia({ media: 'print' });
    const visible = (selector) => page.locator(selector).first().isVisible();
    assert.deepEqual(await Promise.all(['.top', '.drop', '.picture', 'dialog .close', 'dialog canvas', 'dialog h2', 'footer'].map(visible)), [false, false, false, false, true, true, true]);
    assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('dialog')).backgroundColor), 'rgb(255, 255, 255)');
  });
});

test('at twice the size, and with colours of one\'s own: nothing sticks out, what is chosen still shows', { skip: noBrowser }, async () => {
  await withPage({ viewport: { width: 720, height: 450 }, forcedColors: 'active' }, '', async (page) => {
    await page.setInputFiles('#choose-input', [grey('one.png'), grey('two.png')]);
    await analysed(page, 2);
    for (const view of ['pictures', 'live', 'history', 'models', 'about']) {
      await go(page, view);
      assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), view);
      assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector('#nav [aria-current]')).outlineStyle), 'solid', view);
    }
  });
});

test('a video is played in place of the camera; what is no video is named; a hidden tab sends nothing', { skip: noBrowser }, async () => {
  await withPage({}, '#/live', async (page) => {
    page.expected.push(/media|ERR_REQUEST_RANGE/i);
    await page.setInputFiles('#video-input', { name: 'letter.mp4', mimeType: 'video/mp4', buffer: Buffer.from('Dear Sir or Madam') });
    await page.waitForSelector('text=letter.mp4 is not a video that this browser can play');
    const film = await page.evaluate(async () => { // a second of film, recorded here
      const canvas = Object.assign(document.createElement('canvas'), { width: 160, height: 120 }), context = canvas.getContext('2d');
      const recorder = new MediaRecorder(canvas.captureStream(15), { mimeType: 'video/webm' }), parts = [];
      recorder.ondataavailable = (event) => parts.push(event.data);
      recorder.start();
      for (let i = 0; i < 20; i++) {
        context.fillStyle = `rgb(${i * 9} 90 90)`;
        context.fillRect(0, 0, 160, 120);
        await new Promise((next) => requestAnimationFrame(next));
      }
      await new Promise((done) => { recorder.onstop = done; recorder.stop(); });
      return [...new Uint8Array(await new Blob(parts).arrayBuffer())];
    });
    await page.setInputFiles('#video-input', { name: 'film.webm', mimeType: 'video/webm', buffer: Buffer.from(film) });
    const answered = () => page.evaluate(() => Number(document.getElementById('answers').textContent.replace(/\D/g, '')));
    const more = async (than) => page.waitForFunction((n) => Number(document.getElementById('answers').textContent.replace(/\D/g, '')) > n, than);
    await more(2);
    assert.equal(await page.locator('#camera').isVisible(), false, 'a video has no camera to choose');
    assert.equal(await page.isChecked('#mirror'), false);
    assert.deepEqual(await violations(page), []);

    const fits = () => page.waitForFunction(() => { // what is drawn on has the video's shape, and is sharp
      const canvas = document.querySelector('.overlay'), video = document.querySelector('video');
      return Math.abs(canvas.width / canvas.height - video.videoWidth / video.videoHeight) < 0.02 &&
        (Math.abs(canvas.width - canvas.clientWidth * devicePixelRatio) < 2 || Math.abs(canvas.height - canvas.clientHeight * devicePixelRatio) < 2);
    });
    for (const viewport of [{ width: 1300, height: 500 }, { width: 500, height: 900 }]) {
      await page.setViewportSize(viewport);
      await fits();
    }
    await page.evaluate(() => Object.defineProperty(document, 'hidden', { value: true, configurable: true }));
    await page.waitForFunction(async () => {
      const count = () => document.getElementById('answers').textContent, before = count();
      for (let i = 0; i < 30; i++) await new Promise((next) => requestAnimationFrame(next));
      return before === count();
    });
    const held = await answered();
    await page.evaluate(() => delete document.hidden);
    await more(held);
    await page.click('button:text-is("Stop")');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'start', 'the keyboard goes where one starts again');
  });
});
