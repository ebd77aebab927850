// Bundles the page into one script and one style sheet, and what only some people need into scripts that are fetched when they
// do; the server embeds what lands in the folder given (default build/web).
import {build} from 'esbuild';
import {cp, mkdir, rm} from 'node:fs/promises';
import path from 'node:path';

const here = path.dirname(new URL(import.meta.url).pathname);
const out = path.resolve(process.argv[2] ?? path.join(here, '../build/web'));
await rm(out, {recursive: true, force: true});
await mkdir(out, {recursive: true});
await build({
  absWorkingDir: here,
  entryPoints: {app: 'src/main.ts', style: 'src/app.css'},
  outdir: out,
  bundle: true,
  splitting: true,
  chunkNames: '[name]-[hash]',
  minify: true,
  format: 'esm',
  target: ['es2022'],
  legalComments: 'linked',
  logLevel: 'warning',
});
for (const file of ['index.html', 'icon.svg', 'favicon.ico']) await cp(path.join(here, 'src', file), path.join(out, file));
