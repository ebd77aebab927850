// Guards the page itself without photographs: views, languages, keyboard, width, accessibility in both themes, what happens to
// bad files, and that nothing is asked of any other host.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { deflateSync } from 'node:zlib';
import { launch, noBrowser, startReal, usePage, violations } from './helper.mjs';

const views = ['pictures', 'live', 'history', 'models', 'about'];
const sizes = { phone: { width: 375, height: 740 }, tablet: { width: 820, height: 1100 }, desktop: { width: 1440, height: 900 } };
let server, browser;
before(async () => {
  if (noBrowser) return;
  server = await startReal(['--notice', 'This booth looks at your face.'], {});
  browser = await launch();
});
after(async () => {
  await browser?.close();
  if (server) assert.equal(await server.stop(), 0);
});

const withPage = (options, where, work) => usePage(browser, server, options, where, work);

/** A view is complete: what it asks the server for has arrived. */
async function settle(page, view) {
  await page.waitForSelector(`#nav a[aria-current][href="#/${view}"]`);
  if (view === 'models') await page.waitForSelector('.model table');
  if (view === 'history') await page.waitForSelector('#quota');
}

/** A grey PNG made here, so that no photograph is needed. */
function png(width, height) {
  const crc = (bytes) => {
    let value = 0xffffffff;
    for (const byte of bytes) {
      value ^= byte;
      for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    }
    return (value ^ 0xffffffff) >>> 0;
  };
  const chunk = (type, data) => {
    const body = Buffer.concat([Buffer.from(type), data]), out = Buffer.alloc(body.length + 8);
    out.writeUInt32BE(data.length, 0);
    body.copy(out, 4);
    out.writeUInt32BE(crc(body), body.length + 4);
    return out;
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head[8] = 8;
  const rows = Buffer.alloc((width + 1) * height, 128);
  for (let y = 0; y < height; y++) rows[y * (width + 1)] = 0;
  return Buffer.concat([Buffer.from('\x89PNG\r\n\x1a\n', 'latin1'), chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}

test('every view in both themes: no accessibility violation', { skip: noBrowser }, async () => {
  for (const colorScheme of ['light', 'dark'])
    for (const view of views)
      await withPage({ colorScheme, reducedMotion: 'reduce' }, `#/${view}`, async (page) => {
        await settle(page, view);
        assert.deepEqual(await violations(page), [], `${view}, ${colorScheme}`);
      });
});

test('every view at phone, tablet and desktop width: nothing sticks out', { skip: noBrowser }, async () => {
  for (const [name, viewport] of Object.entries(sizes))
    await withPage({ viewport }, '', async (page) => {
      for (const view of views)
        for (const language of ['en', 'id']) {
          await page.evaluate((hash) => { location.hash = hash; }, `#/${view}`);
          await page.selectOption('#language', language);
          await settle(page, view);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
          assert.ok(wide <= 0, `${view} in ${language} is ${wide} px too wide for a ${name}`);
        }
    });
});

test('the language is switched, and remembered', { skip: noBrowser }, async () => {
  await withPage({ locale: 'en-GB' }, '#/about', async (page) => {
    assert.equal(await page.textContent('h1'), 'About');
    await page.selectOption('#language', 'id');
    assert.equal(await page.textContent('h1'), 'Tentang');
    assert.equal(await page.getAttribute('html', 'lang'), 'id');
    await page.reload();
    await page.waitForSelector('h1');
    assert.equal(await page.textContent('h1'), 'Tentang');
  });
  await withPage({ locale: 'id-ID' }, '', async (page) => assert.equal(await page.textContent('h1'), 'Wajah dalam gambar'));
});

test('the keyboard reaches everything, beginning with a way past the header', { skip: noBrowser }, async () => {
  await withPage({}, '', async (page) => {
    const focused = () => page.evaluate(() => document.activeElement.textContent || document.activeElement.id);
    await page.keyboard.press('Tab');
    assert.equal(await focused(), 'Skip to content');
    const names = [];
    for (let i = 0; i < 10; i++) {
      await page.keyboard.press('Tab');
      names.push(await focused());
    }
    for (const wanted of ['Pictures', 'Live', 'History', 'Models', 'About', 'Choose pictures', 'Take a photograph', 'keep'])
      assert.ok(names.includes(wanted), `${wanted} is among ${names}`);
    const chooser = page.waitForEvent('filechooser');
    await page.focus('text=Choose pictures');
    await page.keyboard.press('Enter');
    assert.ok((await chooser).isMultiple());
    await page.focus('#nav a[href="#/models"]');
    await page.keyboard.press('Enter');
    await settle(page, 'models');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'view', 'a new view takes the focus');
  });
});

test('models: the card that the server tells, with figures and limits', { skip: noBrowser }, async () => {
  await withPage({}, '#/models', async (page) => {
    await settle(page, 'models');
    const text = await page.textContent('.model');
    assert.match(text, /in use/);
    assert.match(text, /\d\d\.\d\s%/);
    assert.match(text, /angry, disgust, fear, happy, sad, surprise, neutral/);
  });
});

test('a person chooses the model that answers; the choice is remembered, and forgotten when it is no longer offered', { skip: noBrowser }, async () => {
  await withPage({ locale: 'en-GB' }, '#/models', async (page) => {
    await settle(page, 'models');
    assert.equal(await page.locator('text=Use this model').count(), await page.locator('.model table').count() - 1);
    await page.click('text=Use this model');
    await page.waitForSelector('text=answers from now on');
    const chosen = await page.evaluate(() => localStorage.getItem('model'));
    await page.goto(`${server.base}/#/pictures`);
    const answer = page.waitForResponse((one) => new URL(one.url()).pathname === '/api/faces');
    await page.setInputFiles('#choose-input', { name: 'grey.png', mimeType: 'image/png', buffer: png(64, 64) });
    assert.equal((await (await answer).json()).model, chosen);
    await page.evaluate(() => localStorage.setItem('model', 'mien/gone'));
    await page.reload();
    await page.waitForFunction(() => localStorage.getItem('model') === null);
  });
});

test('live: the deployer\'s notice stands before the camera; a refusal is explained', { skip: noBrowser }, async () => {
  await withPage({}, '#/live', async (page) => {
    await page.waitForSelector('text=This booth looks at your face.');
    await page.evaluate(() => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'));
    });
    await page.click('#start');
    assert.match(await page.textContent('#banner .message'), /not allowed to use the camera/);
    await page.evaluate(() => {
      navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotFoundError'));
    });
    await page.click('#start');
    await page.waitForSelector('text=No camera was found');
  });
});

test('a bad file among good ones is named; the others are answered; it can be tried again', { skip: noBrowser }, async () => {
  await withPage({}, '', async (page) => {
    page.expected.push(/400 \(Bad Request\)/, /413/);
    await page.setInputFiles('#choose-input', [
      { name: 'grey.png', mimeType: 'image/png', buffer: png(320, 240) },
      { name: 'letter.jpg', mimeType: 'image/jpeg', buffer: Buffer.from('Dear Sir or Madam') },
      { name: 'other.png', mimeType: 'image/png', buffer: png(200, 300) },
    ]);
    await page.waitForSelector('text=3 of 3 analysed');
    assert.equal(await page.locator('.picture canvas').count(), 2);
    assert.match(await page.textContent('.picture:nth-child(2)'), /letter\.jpg is not a picture that can be read/);
    assert.match(await page.textContent('.picture:nth-child(1)'), /No face found/);
    await page.click('.picture:nth-child(2) >> text=Try again');
    await page.waitForSelector('.picture:nth-child(2) .message');
    await page.click('text=Clear');
    assert.equal(await page.locator('.picture').count(), 0);
  });
});

test('pictures are dropped and pasted', { skip: noBrowser }, async () => {
  await withPage({}, '', async (page) => {
    const give = (kind, name) => page.evaluate(({ kind, name, bytes }) => {
      const data = new DataTransfer();
      data.items.add(new File([Uint8Array.from(bytes)], name, { type: 'image/png' }));
      const event = kind === 'paste' ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true })
        : new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
      document.querySelector('.drop').dispatchEvent(event);
    }, { kind, name, bytes: [...png(64, 64)] });
    await give('drop', 'dropped.png');
    await give('paste', 'pasted.png');
    await page.waitForSelector('text=2 of 2 analysed');
    assert.deepEqual(await page.locator('.picture .file').allTextContents(), ['dropped.png', 'pasted.png']);
  });
});

test('when the server asks for a pause, the rest goes on by itself', { skip: noBrowser }, async () => {
  await withPage({}, '', async (page) => {
    page.expected.push(/429/);
    let refused = 0;
    await page.route('**/api/faces', (route) => (refused++ ? route.continue()
      : route.fulfill({ status: 429, headers: { 'retry-after': '1' }, json: { detail: 'Too many requests' } })));
    await page.setInputFiles('#choose-input', { name: 'grey.png', mimeType: 'image/png', buffer: png(64, 64) });
    await page.waitForSelector('text=asks for a pause of 1 s');
    await page.waitForSelector('text=1 of 1 analysed');
    assert.equal(await page.locator('.picture canvas').count(), 1);
  });
});

test('the page is small, and is there within a second', { skip: noBrowser }, async (context) => {
  await withPage({}, '', async (page) => {
    const bytes = await page.evaluate(() => performance.getEntriesByType('resource').concat(performance.getEntriesByType('navigation'))
      .reduce((sum, entry) => sum + entry.encodedBodySize, 0));
    assert.ok(bytes > 10_000 && bytes < 300_000, `${bytes} bytes compressed`);
    const { interactive, paint } = await page.evaluate(() => ({
      interactive: performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd,
      paint: performance.getEntriesByName('first-contentful-paint')[0]?.startTime,
    }));
    context.diagnostic(`${bytes} bytes compressed, interactive after ${Math.round(interactive)} ms, first paint after ${Math.round(paint ?? NaN)} ms`);
  });
});
