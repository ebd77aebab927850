// Driving the real page in Debian's Chromium against the real server, with a camera that plays photographs.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { root, shared, startReal } from '../http/helper.mjs';

export { root, startReal };
export const photo = (name) => path.join(shared, 'photos', name);
export const noPhotos = existsSync(photo('human_group-1.jpg')) ? false : 'skipped: ../shared/photos is not here';
const program = process.env.CHROMIUM || '/usr/bin/chromium';
export const noBrowser = existsSync(program) ? false : 'skipped: Chromium is not installed';

const quiet = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync', '--disable-default-apps', '--mute-audio'];
const camera = (film) => ['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
  ...(film ? [`--use-file-for-fake-video-capture=${film}`] : [])];

export const launch = (film) => chromium.launch({ executablePath: program, args: [...quiet, ...camera(film)] });

/** A folder that is removed by done(). */
export function scratch() {
  const folder = mkdtempSync(path.join(tmpdir(), 'mien-browser-'));
  return { folder, done: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Concatenated JPEGs of one size, which is what Chromium's fake camera plays, thirty a second and over and over.
 *  Scenes: [{frames, faces: [{file, crop: [x, y, side], at: [x, y, side]}]}]; faces drift a little, as people do. */
export async function makeFilm(file, scenes, width = 640, height = 480) {
  const browser = await launch();
  const page = await browser.newPage();
  const pictures = {};
  for (const face of scenes.flatMap((scene) => scene.faces))
    pictures[face.file] = `data:image/jpeg;base64,${readFileSync(photo(face.file)).toString('base64')}`;
  const frames = await page.evaluate(async ({ scenes, pictures, width, height }) => {
    const bitmaps = {};
    for (const [name, url] of Object.entries(pictures)) bitmaps[name] = await createImageBitmap(await (await fetch(url)).blob());
    const canvas = Object.assign(document.createElement('canvas'), { width, height }), context = canvas.getContext('2d');
    const made = [];
    for (const scene of scenes)
      for (let i = 0; i < scene.frames; i++) {
        context.fillStyle = '#6a7078';
        context.fillRect(0, 0, width, height);
        for (const { file, crop, at } of scene.faces)
          context.drawImage(bitmaps[file], crop[0], crop[1], crop[2], crop[2], at[0] + 8 * Math.sin(i / 8), at[1] + 3 * Math.sin(i / 5), at[2], at[2]);
        made.push(canvas.toDataURL('image/jpeg', 0.85).split(',')[1]);
      }
    return made;
  }, { scenes, pictures, width, height });
  await browser.close();
  writeFileSync(file, Buffer.concat(frames.map((frame) => Buffer.from(frame, 'base64'))));
}

/** A page that remembers what must not happen: errors on the console, and requests that leave the origin. */
export async function openPage(context, server, where = '') {
  const page = await context.newPage();
  page.setDefaultTimeout(120_000); // machines may be busy; what waits for nothing fails all the same
  page.problems = [];
  page.expected = []; // patterns of console errors that a test provokes
  page.on('console', (message) => { if (message.type() === 'error') page.problems.push(`${message.text()} (${message.location().url})`); });
  page.on('pageerror', (error) => page.problems.push(`uncaught: ${error.message}`));
  page.on('request', (request) => {
    const url = request.url();
    if (!/^(blob|data):/.test(url) && new URL(url).host !== `127.0.0.1:${server.port}`) page.problems.push(`left the origin: ${url}`);
  });
  page.on('websocket', (socket) => { if (new URL(socket.url()).host !== `127.0.0.1:${server.port}`) page.problems.push(`left the origin: ${socket.url()}`); });
  await page.goto(`${server.base}/${where}`);
  await page.waitForSelector('#view h1');
  return page;
}

export const unexpected = (page) => page.problems.filter((text) => !page.expected.some((pattern) => pattern.test(text)));

/** Run `work` with a fresh page, and fail on whatever the page should not have done. */
export async function usePage(browser, server, options, where, work) {
  const context = await browser.newContext(options);
  const page = await openPage(context, server, where);
  try {
    await work(page);
    assert.deepEqual(unexpected(page), []);
  } finally {
    await context.close();
  }
}

/** What axe-core finds wrong with the page as it stands. */
export async function violations(page) {
  const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
  await page.evaluate(`{const module = undefined, exports = undefined, define = undefined;${axe}}`);
  const found = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ['violations'] }));
  return found.violations.map((one) => `${one.id}: ${one.nodes.map((node) => node.html).join(' | ').slice(0, 300)}`);
}
