// What a server keeps: its private memory after the start, after photographs of all sizes with one model, with every model,
// and with every preset, two workers busy all the time and nothing cached. In a container of 256 MB it shows what is charged
// while eight clients send a picture of 23 megapixels without pause.
//
//     node bench/memory.mjs [--rounds 1] [--workers 2] [--every 1] [--idle 1000]
//     node bench/memory.mjs --large PICTURE [--seconds 20]     the server runs in a memory group of its own (needs root)
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { Raw, shared, startReal } from '../tests/http/helper.mjs';

const megabyte = 1 << 20;
const option = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
};
const plainPost = async (server, where, bytes) => {
  if (where.startsWith('/predict_emotion')) {
    const reply = await fetch(server.base + where, { method: 'POST', headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ image: bytes.toString('base64') }) });
    await reply.arrayBuffer();
    return reply.status;
  }
  const form = new FormData();
  form.append('file', new Blob([bytes], { type: 'image/jpeg' }), 'a.jpg');
  form.append('image', new Blob([bytes], { type: 'image/jpeg' }), 'a.jpg');
  const reply = await fetch(server.base + where, { method: 'POST', body: form });
  await reply.arrayBuffer();
  return reply.status;
};

/** Megabytes that only this process holds, those that it holds at all, and the most that it held so far. */
function held(pid) {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  const sum = (...names) => names.reduce((all, name) => all + Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(text)[1]), 0) / 1024;
  const peak = Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
  return { private: sum('Private_Clean', 'Private_Dirty'), resident: sum('Rss'), peak };
}

function photographs() {
  const folder = path.join(shared, 'photos');
  const files = existsSync(folder) ? readdirSync(folder, { recursive: true }) : [];
  return files.filter((name) => /\.(jpe?g|png)$/.test(name)).sort().filter((_, i) => i % Number(option('every', 1)) === 0).map((name) => readFileSync(path.join(folder, name)));
}

/** Send all of `jobs`, so many at a time. */
async function sendAll(server, jobs, clients) {
  const counts = {};
  let next = 0;
  await Promise.all(Array.from({ length: clients }, async () => {
    while (next < jobs.length) {
      const [where, bytes] = jobs[next++];
      const status = await plainPost(server, where, bytes);
      counts[status] = (counts[status] ?? 0) + 1;
    }
  }));
  return JSON.stringify(counts);
}

async function keep() {
  const pictures = photographs(), workers = option('workers', '2');
  if (!pictures.length) return console.log('skipped: ../shared/photos is not here');
  const server = await startReal(['--workers', workers, '--cache-size', '0', '--rate-limit-requests', '0', '--rate-limit-faces', '0',
    '--request-timeout', '600', '--max-connections', '2000', '--max-connections-per-address', '2000']);
  const say = (what) => {
    const now = held(server.child.pid);
    console.log(`${what.padEnd(34)} ${now.private.toFixed(1).padStart(6)} MB private ${now.resident.toFixed(1).padStart(6)} MB resident ${now.peak.toFixed(1).padStart(6)} MB at most`);
  };
  const listed = await (await fetch(`${server.base}/api/models`)).json();
  const models = (listed.models ?? listed).map((one) => one.id ?? one.name ?? one);
  const ways = [['one model, default preset', '/api/faces'], ...models.slice(1).map((id) => [`and ${id}`, `/api/faces?model=${encodeURIComponent(id)}`]),
    ...['/predict_file', '/predict_emotion', '/api/detect'].flatMap((where) => models.map((id) => [`and ${where} of ${id}`, `${where}?model=${encodeURIComponent(id)}`]))];
  say('started');
  for (let round = 0; round < Number(option('rounds', 1)); round++)
    for (const [name, where] of ways) {
      const counts = await sendAll(server, pictures.map((bytes) => [where, bytes]), 2 * Number(workers));
      say(`${name} ${counts}`);
    }
  const idle = [];
  for (let i = 0; i < Number(option('idle', 0)); i++) idle.push(await Raw.open(server));
  if (idle.length) say(`and ${idle.length} idle sockets`);
  idle.forEach((one) => one.close());
  await server.stop();
}

/** A control group for the next server; @return how to enter it and what it says. */
function memoryGroup(bytes) {
  const second = existsSync('/sys/fs/cgroup/cgroup.controllers');
  const place = path.join('/sys/fs/cgroup', second ? '' : 'memory', `mien-bench-${process.pid}`);
  mkdirSync(place);
  writeFileSync(path.join(place, second ? 'memory.max' : 'memory.limit_in_bytes'), String(bytes));
  return {
    wrapper: ['sh', '-c', `echo $$ > ${place}/cgroup.procs && exec "$0" "$@"`],
    peak: () => Number(readFileSync(path.join(place, second ? 'memory.peak' : 'memory.max_usage_in_bytes'), 'utf8')) / megabyte,
    end: () => rmdirSync(place),
  };
}

async function large() {
  const picture = readFileSync(option('large')), group = memoryGroup(256 * megabyte);
  const server = await startReal(['--workers', '2', '--cache-size', '0', '--rate-limit-requests', '0', '--rate-limit-faces', '0'], {}, group.wrapper);
  const until = Date.now() + 1000 * Number(option('seconds', 20)), counts = {};
  await Promise.all(Array.from({ length: 8 }, async () => {
    while (Date.now() < until) {
      const status = await plainPost(server, '/api/faces', picture).catch((error) => error.message);
      counts[status] = (counts[status] ?? 0) + 1;
    }
  }));
  console.log(`${statSync(option('large')).size} bytes a picture: ${JSON.stringify(counts)}, at most ${group.peak().toFixed(0)} of 256 MB charged, ${held(server.child.pid).private.toFixed(0)} MB private at the end`);
  console.log(/memory: .*/.exec(server.log)?.[0]);
  console.log(`exit ${await server.stop()}`);
  group.end();
}

await (option('large') ? large() : keep());
