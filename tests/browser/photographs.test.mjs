// Guards the page with real photographs: answers, the large view, exports, history of an account and of a guest.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';
import { launch, makeFilm, noBrowser, noPhotos, openPage, photo, scratch, startReal, unexpected, violations } from './helper.mjs';

const skip = noBrowser || noPhotos;
const friends = photo('compreface_000_5.jpg'), portrait = photo('compreface_007_B.jpg'), band = photo('dlib_2008_002470.jpg');
let server, browser, data;
before(async () => {
  if (skip) return;
  data = scratch();
  server = await startReal(['--data-dir', data.folder, '--guest-max-usage', '2', '--history-ttl', '864000'], {});
  browser = await launch();
});
after(async () => {
  await browser?.close();
  if (server) assert.equal(await server.stop(), 0);
  data?.done();
});

async function withPage(where, work, options = {}) {
  const context = await browser.newContext({ locale: 'en-GB', acceptDownloads: true, ...options });
  const page = await openPage(context, server, where);
  page.on('dialog', (dialog) => void dialog.accept());
  try {
    await work(page);
    assert.deepEqual(unexpected(page), []);
  } finally {
    await context.close();
  }
}

/** What a click downloads: {name, bytes}. */
async function downloaded(page, selector) {
  const waiting = page.waitForEvent('download');
  await page.click(selector);
  const download = await waiting;
  return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
}

const go = async (page, view) => {
  await page.evaluate((hash) => { location.hash = hash; }, `#/${view}`);
  await page.waitForSelector(`#nav a[aria-current][href="#/${view}"]`);
};

test('photographs become cards, open large, and are exported', { skip }, async () => {
  await withPage('', async (page) => {
    await page.setInputFiles('#choose-input', [friends, portrait, band]);
    await page.waitForSelector('text=3 of 3 analysed');
    await page.waitForFunction(() => document.querySelectorAll('.picture canvas').length === 3);
    const faces = Number(/(\d+) face/.exec(await page.textContent('.picture:nth-child(1)'))[1]);
    assert.ok(faces >= 3, `${faces} faces among the friends`);

    await page.click('.picture:nth-child(1) .frame');
    await page.waitForSelector('dialog[open] canvas');
    assert.equal(await page.locator('dialog .face').count(), faces);
    assert.equal(await page.locator('dialog .face >> nth=0 >> meter').count(), 7);
    assert.match(await page.textContent('dialog .face >> nth=0'), /Apparent expression: happy \d+\s%[^]*Quality of the crop: \d+\s%/);
    const drawn = await page.evaluate(() => {
      const canvas = document.querySelector('dialog canvas'), pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      let orange = 0; // the colour of "happy"
      for (let i = 0; i < pixels.length; i += 4) orange += pixels[i] === 0xe6 && pixels[i + 1] === 0x9f && pixels[i + 2] === 0;
      return orange;
    });
    assert.ok(drawn > 500, `${drawn} pixels of boxes`);
    await page.keyboard.press('ArrowRight');
    await page.waitForSelector('dialog h2:text-is("compreface_007_B.jpg")');
    assert.match(await page.textContent('.dialog-head'), /2 \/ 3/);
    await page.click('dialog [aria-label="Previous picture"]');
    await page.waitForSelector('dialog h2:text-is("compreface_000_5.jpg")');
    const saved = await downloaded(page, 'text=Save picture');
    assert.equal(saved.name, 'compreface_000_5-mien.jpg');
    assert.equal(saved.bytes.readUInt16BE(0), 0xffd8);
    await page.keyboard.press('Escape');
    await page.waitForSelector('dialog:not([open])', { state: 'attached' });

    const csv = await downloaded(page, 'button:text-is("CSV")');
    const lines = csv.bytes.toString().trim().split('\r\n');
    assert.match(lines[0], /^file,face,x,y,width,height,emotion,confidence,uncertain,quality,angry,disgust,fear,happy,sad,surprise,neutral$/);
    assert.equal(lines.filter((line) => line.startsWith('compreface_000_5.jpg,')).length, faces);
    const json = JSON.parse((await downloaded(page, 'button:text-is("JSON")')).bytes);
    assert.deepEqual(json.map((one) => one.file), [friends, portrait, band].map((name) => path.basename(name)));
    assert.equal(json[0].faces.length, faces);
    const archive = await downloaded(page, 'text=Annotated pictures');
    assert.equal(archive.name, 'mien-pictures.zip');
    assert.equal(archive.bytes.readUInt32LE(0), 0x04034b50);
    assert.equal(archive.bytes.readUInt16LE(archive.bytes.length - 12), 3, 'entries');
  });
});

test('a photograph is taken with the camera', { skip }, async () => {
  const film = path.join(data.folder, 'film.mjpeg');
  await makeFilm(film, [{ frames: 4, faces: [{ file: path.basename(portrait), crop: [30, 105, 360], at: [140, 60, 360] }] }]);
  const other = await launch(film);
  const page = await openPage(await other.newContext({ permissions: ['camera'], locale: 'en-GB' }), server, '');
  await page.click('#take');
  await page.waitForFunction(() => document.querySelector('dialog video')?.videoWidth > 0);
  await page.click('#shutter');
  await page.waitForSelector('text=1 of 1 analysed');
  assert.match(await page.textContent('.picture'), /^photo-.*\.jpg1 face/);
  assert.deepEqual(unexpected(page), []);
  await other.close();
});

test('an account: register, keep, find, see, delete, sign out and in, erase', { skip }, async () => {
  await withPage('#/history', async (page) => {
    page.expected.push(/401/);
    await page.waitForSelector('#quota');
    await page.click('text=No account yet? Register');
    await page.fill('#email', 'ann@example.com');
    await page.fill('#password', 'correct horse');
    await page.fill('#name', 'Ann');
    await page.click('button[type=submit]');
    await page.waitForSelector('strong:text-is("Ann")');
    assert.match(await page.textContent('#kept-words'), /for 10 days/);
    assert.match(await page.textContent('.gallery'), /Nothing is kept here/);

    await go(page, 'pictures');
    await page.check('#keep');
    const kept = () => page.waitForResponse((answer) => new URL(answer.url()).pathname === '/api/detect');
    for (const file of [friends, portrait]) {
      const answer = kept();
      await page.setInputFiles('#choose-input', file);
      assert.equal((await answer).status(), 200);
    }
    await go(page, 'history');
    await page.waitForFunction(() => document.querySelectorAll('.picture canvas').length === 2);
    assert.match(await page.getAttribute('.days', 'aria-label'), /happy \d/);
    await page.selectOption('#emotion', 'happy');
    await page.waitForFunction(() => document.querySelectorAll('.picture').length === 1);
    await page.selectOption('#emotion', '');
    await page.waitForFunction(() => document.querySelectorAll('.picture').length === 2);
    await page.fill('#until', '2020-01-01');
    await page.waitForSelector('.gallery .empty');
    await page.fill('#until', '');
    await page.waitForFunction(() => document.querySelectorAll('.picture canvas').length === 2);
    await page.click('.picture:nth-child(1) .frame');
    await page.waitForSelector('dialog[open] canvas');
    await page.keyboard.press('Escape');
    await page.click('.picture:nth-child(1) >> text=Delete');
    await page.waitForFunction(() => document.querySelectorAll('.picture').length === 1);
    await page.click('#delete-all');
    await page.waitForSelector('.gallery .empty');

    await page.click('text=Sign out');
    await page.waitForSelector('#quota');
    await page.fill('#email', 'ann@example.com');
    await page.fill('#password', 'wrong horse');
    await page.click('button[type=submit]');
    assert.match(await page.textContent('[role=alert]:not(.hidden)'), /wrong/);
    await page.fill('#password', 'correct horse');
    await page.click('button[type=submit]');
    await page.waitForSelector('strong:text-is("Ann")');
    await page.click('text=Erase my account');
    await page.waitForSelector('#quota');
    await page.fill('#email', 'ann@example.com');
    await page.fill('#password', 'correct horse');
    await page.click('button[type=submit]');
    await page.waitForSelector('[role=alert]:not(.hidden)');
  });
});

test('a guest keeps a few in the browser; the quota is shown and explained when it is used up', { skip }, async () => {
  await withPage('', async (page) => {
    page.expected.push(/429/);
    await page.check('#keep');
    await page.setInputFiles('#choose-input', [friends, portrait, band]);
    await page.waitForSelector('text=3 of 3 analysed');
    await page.waitForSelector('text=Your quota for today is used up');
    await page.waitForFunction(() => JSON.parse(localStorage.getItem('kept') ?? '[]').length === 2);
    const shown = await page.locator('.picture p.quiet.small').allTextContents();
    const faces = await page.evaluate(() => JSON.parse(localStorage.getItem('kept')).map((item) => item.faces.length));
    // several are analysed at a time, so they are kept in the order of their answers
    const counts = shown.map((text) => parseInt(text)).filter((count) => count >= 0);
    for (const count of faces) assert.ok(counts.includes(count), `what was shown is what is kept: ${faces} of ${counts}`);
    await go(page, 'history');
    await page.waitForSelector('text=0 of 2 pictures to keep left today');
    await page.waitForFunction(() => document.querySelectorAll('.picture canvas').length === 2);
    await page.click('.picture:nth-child(1) .frame');
    await page.waitForSelector('dialog[open] .face');
    await page.keyboard.press('Escape');
    await page.click('.picture:nth-child(1) >> text=Delete');
    await page.waitForFunction(() => document.querySelectorAll('.picture').length === 1);
  });
});

test('full of pictures, no accessibility violation in either theme, and nothing sticks out of a phone', { skip }, async () => {
  for (const colorScheme of ['light', 'dark'])
    await withPage('', async (page) => {
      const check = async (what) => {
        assert.deepEqual(await violations(page), [], `${what}, ${colorScheme}`);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), `${what} is too wide`);
      };
      await page.check('#keep');
      page.expected.push(/400/);
      await page.setInputFiles('#choose-input', [{ name: 'friends.jpg', mimeType: 'image/jpeg', buffer: readFileSync(friends) }, { name: 'a-letter-with-a-very-long-name-that-does-not-fit.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('x') }]);
      await page.waitForSelector('text=2 of 2 analysed');
      await page.waitForFunction(() => JSON.parse(localStorage.getItem('kept') ?? '[]').length === 1);
      await check('gallery');
      await page.click('.picture:nth-child(1) .frame');
      await page.waitForSelector('dialog[open] .face');
      await check('viewer');
      await page.keyboard.press('Escape');
      await go(page, 'history');
      await page.waitForSelector('.picture canvas');
      await check('history');
    }, { colorScheme, reducedMotion: 'reduce', viewport: { width: 375, height: 740 } });
});
