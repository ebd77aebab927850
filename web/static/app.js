// Sends a photograph to the server and shows what it answers: boxes on a canvas, bars for the seven expressions.
const colours = ['#0f766e', '#b45309', '#6d28d9', '#be123c', '#1d4ed8', '#4d7c0f'];
const drop = document.getElementById('drop');
const input = document.getElementById('file');
const message = document.getElementById('message');
const outcome = document.getElementById('outcome');
const canvas = document.getElementById('picture');
const list = document.getElementById('faces');
let running = null;

function say(text, isError = false) {
  message.textContent = text;
  message.classList.toggle('error', isError);
}

function draw(bitmap, faces) {
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  const context = canvas.getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const unit = Math.max(2, Math.round(Math.max(bitmap.width, bitmap.height) / 320));
  context.lineWidth = unit;
  context.font = `600 ${unit * 7}px system-ui, sans-serif`;
  context.textBaseline = 'bottom';
  faces.forEach((face, i) => {
    const { x, y, width, height } = face.coordinates;
    const label = `${face.face_id} ${face.emotion}`;
    context.strokeStyle = context.fillStyle = colours[i % colours.length];
    context.strokeRect(x, y, width, height);
    const top = Math.max(y, unit * 10);
    context.fillRect(x - unit / 2, top - unit * 9, context.measureText(label).width + unit * 4, unit * 9);
    context.fillStyle = '#fff';
    context.fillText(label, x + unit * 1.5, top - unit);
  });
}

function card(face, i) {
  const item = document.createElement('li');
  item.className = `face mark${i % colours.length}`;
  const title = document.createElement('h2');
  title.textContent = `Face ${face.face_id}: apparent expression ${face.emotion}, ${face.confidence.toFixed(1)} %`;
  item.append(title);
  const scores = Object.entries(face.all_probabilities).sort((a, b) => b[1] - a[1]);
  for (const [name, percent] of scores) {
    const row = document.createElement('div');
    row.className = 'bar';
    const label = document.createElement('span');
    const meter = document.createElement('meter');
    const value = document.createElement('output');
    label.textContent = name;
    meter.max = 100;
    meter.value = percent;
    meter.setAttribute('aria-label', name);
    value.textContent = `${percent.toFixed(1)} %`;
    row.append(label, meter, value);
    item.append(row);
  }
  return item;
}

async function analyse(file) {
  running?.abort();
  const mine = running = new AbortController();
  say(`Looking at ${file.name || 'the picture'} …`);
  try {
    const form = new FormData();
    form.append('file', file, file.name || 'picture');
    const [bitmap, reply] = await Promise.all([
      createImageBitmap(file, { imageOrientation: 'from-image' }),
      fetch('/predict_file?classes=all', { method: 'POST', body: form, signal: mine.signal }),
    ]);
    const result = await reply.json();
    if (!reply.ok) throw new Error(result.error || result.detail || `the server answered ${reply.status}`);
    draw(bitmap, result.faces);
    list.replaceChildren(...result.faces.map(card));
    outcome.hidden = false;
    const count = result.faces_count;
    say(count ? `${count} face${count === 1 ? '' : 's'} found in ${result.processing_time_ms} ms.` : 'No face found.');
  } catch (error) {
    if (error.name !== 'AbortError') say(`That did not work: ${error.message}`, true);
  }
}

input.addEventListener('change', () => input.files[0] && analyse(input.files[0]));
drop.addEventListener('keydown', (event) => {
  if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); input.click(); }
});
for (const name of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    drop.classList.toggle('over', name === 'dragenter' || name === 'dragover');
  });
}
document.addEventListener('drop', (event) => {
  const file = event.dataTransfer?.files[0];
  if (file) analyse(file);
});
document.addEventListener('paste', (event) => {
  const file = event.clipboardData?.files[0];
  if (file) analyse(file);
});
