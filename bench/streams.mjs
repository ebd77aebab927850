// Streams of frames over Socket.IO against the real server: how many are answered with ten clients that each send the next
// frame when the last was answered (full search of every frame, then assisted), and how long two clients at 15 frames a
// second wait. bench/streams.mjs BUILD FRAMES [SECONDS]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { WebSocket } = createRequire(path.join(root, 'tests/http/'))('ws');
const [build, folder, seconds = '4'] = process.argv.slice(2);
const scenes = [];
for (const name of readdirSync(folder).sort()) (scenes[Number(name[0])] ??= []).push(readFileSync(path.join(folder, name)));

const server = spawn(path.join(build, 'mien'), ['serve', '--port', '0', '--log-level', 'error'], {
  stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: process.env.PATH, HOME: process.env.HOME }, cwd: '/tmp',
});
let said = '';
const port = await new Promise((resolve, reject) => {
  const look = (text) => {
    said += text;
    const found = /:(\d+)\b/.exec(said);
    if (found) resolve(Number(found[1]));
  };
  server.stdout.on('data', look);
  server.on('exit', () => reject(new Error(`mien serve ended: ${said}`)));
});
const registered = await fetch(`http://127.0.0.1:${port}/auth/register`, {
  method: 'POST', headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ email: 'bench@example.com', password: 'correct horse battery' }),
});
const { access_token: token } = await registered.json();
const space = '/emotion-detection,';

/** A client that is started; `answered(ms, result)` is called for every frame. */
async function open(scene, config, answered) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`, { perMessageDeflate: false });
  const frames = scenes[scene % scenes.length];
  const sent = new Map();
  let serial = 0, ready;
  const started = new Promise((resolve) => { ready = resolve; });
  socket.on('message', (data) => {
    const text = data.toString();
    if (text[0] === '0') socket.send(`40${space}${JSON.stringify({ token })}`);
    else if (text === '2') socket.send('3');
    else if (text.startsWith(`40${space}`)) socket.send(`42${space}${JSON.stringify(['control', { action: 'start', config }])}`);
    else if (text.startsWith(`42${space}["status"`)) ready();
    else if (text.startsWith(`42${space}["detection_result"`)) {
      const [, result] = JSON.parse(text.slice(2 + space.length));
      const began = sent.get(result.frame_id);
      sent.delete(result.frame_id);
      answered(performance.now() - began, result);
    } else if (text.includes('error')) throw new Error(text);
  });
  await started;
  return {
    send() {
      const at = serial % (2 * frames.length);
      const bytes = frames[at < frames.length ? at : 2 * frames.length - 1 - at];
      socket.send(`451-${space}["video_frame",{"frame_id":${serial},"data":{"_placeholder":true,"num":0}}]`);
      socket.send(bytes);
      sent.set(serial++, performance.now());
    },
    close() { socket.terminate(); },
  };
}

function memory() {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]) / 1024;
}

/** Processor time that the server has used, in milliseconds: tells of its own work on a machine that others use too. */
function processor() {
  const fields = readFileSync(`/proc/${server.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

async function throughput(name, config) {
  let answers = 0, faces = 0, full = 0, running = true;
  const clients = [];
  for (let i = 0; i < 10; i++) {
    const client = await open(i, config, (_, result) => {
      answers++;
      faces += result.faces.length;
      full += result.detection_used;
      if (running) client.send();
    });
    clients.push(client);
  }
  const began = performance.now(), spent = processor();
  clients.forEach((client) => client.send());
  await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000));
  running = false;
  const rate = answers / ((performance.now() - began) / 1000);
  const cost = (processor() - spent) / answers;
  clients.forEach((client) => client.close());
  console.log(`${name.padEnd(34)} ${rate.toFixed(1).padStart(8)} frames/s   ${cost.toFixed(2)} ms of processor each   faces ${(faces / answers).toFixed(2)}` +
    `   searched in full ${(100 * full / answers).toFixed(0)} %   ${memory().toFixed(0)} MiB`);
  return rate;
}

async function latency(name, config) {
  const waits = [];
  const clients = [await open(0, config, (ms) => waits.push(ms)), await open(1, config, (ms) => waits.push(ms))];
  const timers = clients.map((client) => setInterval(() => client.send(), 1000 / 15));
  await new Promise((resolve) => setTimeout(resolve, Number(seconds) * 1000));
  timers.forEach(clearInterval);
  clients.forEach((client) => client.close());
  waits.sort((a, b) => a - b);
  const at = (share) => waits[Math.floor(share * (waits.length - 1))].toFixed(1);
  console.log(`${name.padEnd(36)} p50 ${at(0.5)} ms   p95 ${at(0.95)} ms   of ${waits.length} answers`);
}

await throughput('10 clients, full search', { full_search: true, min_face_size: 64 });
await throughput('10 clients, assisted search', { min_face_size: 64 });
await latency('two clients at 15 frames/s', {}); // one sees a group of fourteen faces, the other three
await latency('the same, faces from 64 px', { min_face_size: 64 });
server.kill('SIGTERM');
const [code] = await once(server, 'exit');
process.exit(code);
