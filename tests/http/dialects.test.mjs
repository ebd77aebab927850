// Guards the wire forms of neo, faceml and detector (REST and /ws): every captured exchange's status, fields and types, with
// the mends that the compatibility notes name. Recognition is a stand-in with fixed faces.
import assert from 'node:assert/strict';
import test, { after, before } from 'node:test';
import { base64, exchange, post, startStub, upload, WebSocketClient } from './helper.mjs';

let server;
before(async () => { server = await startStub(['--rate-limit-requests', '0', '--max-image-size', '60000']); });
after(async () => { assert.equal(await server.stop(), 0); });

const names = ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral'];
const get = async (where, headers = {}) => {
  const reply = await fetch(server.base + where, { headers });
  const json = await reply.json();
  return { status: reply.status, headers: reply.headers, json };
};

/** Is `value` of the shape: 'number', 'string', 'boolean', null, [shape of each], {key: shape} (exactly these keys)? */
function shape(value, wanted, where = '$') {
  if (Array.isArray(wanted)) {
    assert.ok(Array.isArray(value), `${where} is an array`);
    value.forEach((v, i) => shape(v, wanted[0], `${where}[${i}]`));
  } else if (wanted && typeof wanted === 'object') {
    assert.deepEqual(Object.keys(value).sort(), Object.keys(wanted).sort(), where);
    for (const key of Object.keys(wanted)) shape(value[key], wanted[key], `${where}.${key}`);
  } else if (wanted === null) {
    assert.equal(value, null, where);
  } else {
    assert.equal(typeof value, wanted, where);
  }
}
const each = (keys, of) => Object.fromEntries(keys.map((k) => [k, of]));
const box = each(['x', 'y', 'width', 'height'], 'number');
const sum = (object) => Object.values(object).reduce((a, b) => a + b, 0);

test('GET / is the page or the index; /health, /healthz and /readyz are the union', async () => {
  const index = await get('/');
  shape(index.json, {
    name: 'string', version: 'string', status: 'string', supported_emotions: ['string'], all_emotions: ['string'],
    endpoints: { health: 'string', predict: 'string', predict_file: 'string' }, message: 'string', docs: 'string', redoc: 'string',
  });
  assert.equal(index.json.status, 'active');
  assert.equal(index.json.message, 'Welcome to the Face Emotion Detection API');
  const health = (await get('/health')).json;
  shape(health, {
    status: 'string', model_loaded: 'boolean', predictor_status: 'string', face_cascade_loaded: 'boolean', model_type: 'string',
    emotion_classes: ['string'], timestamp: 'string', version: 'string', uptime: 'number', memory_usage_mb: 'number', environment: 'string',
  });
  assert.equal(health.predictor_status, 'initialized');
  assert.deepEqual(health.emotion_classes, ['Angry', 'Disgust', 'Fear', 'Happy', 'Sad', 'Surprise', 'Neutral']);
  assert.ok(Math.abs(Date.parse(health.timestamp) - Date.now()) < 60000);
  assert.deepEqual((await get('/healthz')).json, { status: 'ok' });
  assert.deepEqual((await get('/readyz')).json, { status: 'ready', services: { model: 'ready', store: 'ready', mongodb: 'ready', firebase: 'ready' } });
  const icon = await fetch(`${server.base}/favicon.ico`);
  assert.deepEqual([icon.status, icon.headers.get('content-type')], [200, 'image/vnd.microsoft.icon']);
  for (const where of ['/nope', '/api/docs'])
    assert.deepEqual(await get(where).then((r) => [r.status, r.json]), [404, { detail: 'Not Found' }], where);
  assert.equal((await get('/api/detect')).status, 405);
});

test('/metrics has the names and labels that a dashboard of history-api asks for', async () => {
  await post(server, '/predict', {});
  const reply = await fetch(`${server.base}/metrics`);
  assert.equal(reply.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  const text = await reply.text();
  assert.match(text, /^# TYPE http_requests_total counter$/m);
  assert.match(text, /^http_requests_total\{endpoint="\/predict",http_status="400",method="POST"\} \d/m);
});

const scores = (classes) => each(classes, 'number');
const neo = (classes) => ({
  success: 'boolean', faces_count: 'number', message: 'string', faces_detected: 'number', processing_time_ms: 'number',
  processing_info: { noise_reduction_applied: 'boolean', multi_scale_detection: 'boolean', false_positive_filtering: 'boolean' },
  timing_breakdown_ms: { face_detection: 'number', model_prediction: 'number', total: 'number' },
  faces: [{
    face_id: 'number', emotion: 'string', confidence: 'number', coordinates: box, all_probabilities: scores(classes),
    quality_metrics: { face_area_percentage: 'number', aspect_ratio: 'number' },
  }],
  emotions: [{
    face_id: 'number', bounding_box: box, emotion: 'string', confidence: 'number', prediction_time_ms: 'number', all_predictions: scores(classes),
  }],
});
const neoJson = (classes) => ({
  ...neo(classes), processing_time: 'number',
  timing_breakdown: { decode_ms: 'number', convert_ms: 'number', predict_ms: 'number', total_ms: 'number' },
});

test('neo: faces in percent and in 0..1, three classes that sum to one', async () => {
  for (const image of [base64('faces 2'), `data:image/jpeg;base64,${base64('faces 2')}`, base64('faces 2').replace(/(.{4})/g, '$1\n')]) {
    const { status, json } = await post(server, '/predict', { image });
    assert.equal(status, 200);
    shape(json, neoJson(['happy', 'sad', 'neutral']));
    assert.equal(json.success, true);
    assert.equal(json.faces_count, 2);
    assert.deepEqual(json.faces.map((f) => f.face_id), [1, 2]);
    assert.ok(Math.abs(sum(json.emotions[0].all_predictions) - 1) < 1e-6);
    assert.ok(Math.abs(sum(json.faces[0].all_probabilities) - 100) < 0.02);
    assert.equal(json.faces[0].confidence, Number((json.emotions[0].confidence * 100).toFixed(2)));
    assert.deepEqual(json.faces[0].coordinates, json.emotions[0].bounding_box);
  }
  const all = await post(server, '/predict?classes=all', { image: base64('faces 1') });
  shape(all.json, neoJson(names));
  const file = await upload(server, '/predict_file', 'faces 3');
  shape(file.json, neo(['happy', 'sad', 'neutral']));
  assert.equal(file.json.faces_count, 3);
});

test('neo: no face is an answer, mistakes are 400 with error', async () => {
  const none = await post(server, '/predict', { image: base64('none') });
  assert.equal(none.status, 200);
  assert.equal(none.json.success, false);
  assert.equal(none.json.message, 'No face detected');
  assert.deepEqual([none.json.faces, none.json.emotions, none.json.faces_count, none.json.faces_detected], [[], [], 0, 0]);
  for (const [body, message] of [
    ['{}', 'No image data provided'], ['{"other":1}', 'No image data provided'], ['null', 'No image data provided'],
    ['[]', 'No image data provided'], ['"text"', 'No image data provided'], ['{"image":null}', 'No image data provided'],
    ['{"image":""}', 'No image data provided'], ['{"image":5}', null], ['{bad', null], ['', null],
    ['{"image":"@@@"}', null], [`{"image":"${base64('rubbish')}"}`, null], ['{"image":"data:image/jpeg;base64"}', null],
    ['{"image":"data:image/jpeg;base64,"}', null], ['['.repeat(100000), null],
  ]) {
    const { status, json } = await post(server, '/predict', body);
    assert.equal(status, 400, body.slice(0, 40));
    shape(json, { error: 'string' });
    if (message) assert.equal(json.error, message, body);
  }
  const text = await post(server, '/predict', { image: base64('faces 1') }, { 'content-type': 'text/plain' });
  assert.equal(text.status, 200, 'the content type does not matter where the body is JSON');
  assert.deepEqual((await upload(server, '/predict_file', 'faces 1', { field: 'other' })).json, { error: 'No file uploaded' });
  const unnamed = '--B\r\nContent-Disposition: form-data; name="file"; filename=""\r\n\r\n\r\n--B--\r\n';
  assert.deepEqual((await post(server, '/predict_file', unnamed, { 'content-type': 'multipart/form-data; boundary=B' })).json, { error: 'No file selected' });
  assert.deepEqual((await post(server, '/predict_file', '{}')).json, { error: 'No file uploaded' });
  const rubbish = await upload(server, '/predict_file', 'rubbish');
  assert.equal(rubbish.status, 400);
  shape(rubbish.json, { error: 'string' });
});

test('faceml: every face, the largest of a frame, and its errors', async () => {
  const { status, json } = await post(server, '/predict_emotion', { image: `data:image/jpeg;base64,${base64('faces 2')}` });
  assert.equal(status, 200);
  shape(json, {
    success: 'boolean', faces_detected: 'number',
    results: [{ face_coordinates: box, predicted_emotion: 'string', confidence: 'number', emotion_distribution: scores(names) }],
  });
  assert.equal(json.results.length, 2);
  const none = await post(server, '/predict_emotion', { image: base64('none') });
  assert.deepEqual([none.status, none.json], [200, { success: false, message: 'No face detected in the image' }]);
  const stream = await post(server, '/predict_emotion_stream', { frame: base64('faces 2') });
  shape(stream.json, { success: 'boolean', emotion: 'string', confidence: 'number', faces_detected: 'number', emotion_distribution: scores(names) });
  const nobody = await post(server, '/predict_emotion_stream', { frame: base64('none') });
  assert.deepEqual(nobody.json, {
    success: true, emotion: 'neutral', confidence: 0, faces_detected: 0, emotion_distribution: each(names, 0),
  });
  assert.deepEqual((await post(server, '/predict_emotion', {})).json, { error: 'No image data provided' });
  assert.deepEqual((await post(server, '/predict_emotion_stream', {})).json, { error: 'No frame data provided' });
  assert.equal((await post(server, '/predict_emotion', { image: base64('faces 1') }, { 'content-type': 'text/plain' })).json.results.length, 1,
    'bare base64 and any content type are fine where the original fails');
  assert.equal((await post(server, '/predict_emotion_stream', { frame: base64('rubbish') })).status, 400);
  for (const body of ['{bad', 'null', `{"image":"${base64('rubbish')}"}`, '{"image":[]}']) {
    const wrong = await post(server, '/predict_emotion', body);
    assert.equal(wrong.status, 400, body);
    shape(wrong.json, { error: 'string' });
  }
});

const detected = {
  success: 'boolean', emotion: 'string', confidence: 'number', all_scores: scores(names), processing_time: 'number',
  model_used: 'string', face_detected: 'boolean', landmarks: box, timestamp: 'number',
};

test('detector: one emotion per picture', async () => {
  const bounds = { x: 10, y: 20, width: 30, height: 40 };
  const { status, json } = await post(server, '/api/detect', { image: `data:image/jpeg;base64,${base64('none')}`, face_bounds: bounds, return_all_scores: true });
  assert.equal(status, 200);
  shape(json, detected);
  assert.deepEqual(json.landmarks, bounds);
  assert.equal(json.face_detected, true, 'the face is where the client says');
  const sorted = Object.values(json.all_scores);
  assert.deepEqual(sorted, [...sorted].sort((a, b) => b - a));
  const plain = await post(server, '/api/detect', { image: base64('faces 2'), return_all_scores: false });
  shape(plain.json, { ...detected, all_scores: null });
  const rubbish = await post(server, '/api/detect', { image: base64('rubbish') });
  assert.equal(rubbish.status, 200);
  assert.deepEqual([rubbish.json.success, rubbish.json.emotion, rubbish.json.confidence, rubbish.json.all_scores, rubbish.json.face_detected, rubbish.json.landmarks],
    [false, 'neutral', 0, { neutral: 1 }, false, null]);
  shape((await upload(server, '/api/detect/upload', 'faces 1', { type: 'image/png' })).json, detected);
});

test('detector: bounds in fractions of the picture are echoed, as the original does, and faces are found', async () => {
  for (const bounds of [{ x: 0.2, y: 0.2, width: 0.5, height: 0.5 }, { x: 0, y: 0, width: 0, height: 0 }]) {
    const { status, json } = await post(server, '/api/detect', { image: base64('faces 2'), face_bounds: bounds });
    assert.deepEqual([status, json.success, json.landmarks], [200, true, bounds]);
    assert.equal((await post(server, '/api/detect', { image: base64('none'), face_bounds: bounds })).json.face_detected, false);
  }
});

test('what clients put around a picture does not matter', async () => {
  const image = base64('faces 2');
  for (const text of [`image/jpeg;base64,${image}`, `base64,${image}`, `DATA:image/png;name=a.png;base64, ${image}`, ` \r\n${image}\n`])
    for (const [where, body] of [['/predict', { image: text }], ['/predict_emotion', { image: text }], ['/predict_emotion_stream', { frame: text }], ['/api/detect', { image: text }]])
      assert.deepEqual(await post(server, where, { ...body, extra: [{}] }).then((r) => [r.status, r.json.success]), [200, true], `${where} ${text}`);
  assert.equal((await post(server, '/predict', `\ufeff${JSON.stringify({ image })}`)).status, 200, 'a byte order mark');
  for (const where of ['/health/', '/api/status/', '/docs/'])
    assert.equal((await fetch(server.base + where)).status, 200, where);
  assert.equal((await post(server, '/api/detect/', { image })).status, 200);
  const bare = { method: 'POST', headers: { 'content-type': 'multipart/form-data; boundary=B' }, body: '--B\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\nfaces 1\r\n--B--\r\n' };
  for (const where of ['/predict_file', '/api/detect', '/api/detect/upload'])
    assert.equal((await fetch(server.base + where, bare)).status, 200, `${where}: a part without a type`);
});

test('what is not UTF-8 in a path is no reason to fail, in a Host it is refused; links without any Host name this machine', async () => {
  assert.deepEqual((await get('/api/detect/status/%ff')).json, { detection_id: '?', status: 'done' });
  const [odd] = await exchange(server, Buffer.from('GET / HTTP/1.1\r\nHost: \xe4\r\n\r\n', 'latin1'));
  assert.equal(odd.status, 400);
  const [none] = await exchange(server, Buffer.from('GET / HTTP/1.0\r\n\r\n'));
  assert.equal(JSON.parse(none.body).docs, 'http://localhost/docs');
});

test('detector: errors of form are 422 as FastAPI writes them', async () => {
  const one = (reply, loc, type, message) => {
    if (message) assert.equal(reply.json.detail[0].msg, message);
    assert.equal(reply.status, 422);
    assert.deepEqual(reply.json.detail[0].loc, loc);
    assert.equal(reply.json.detail[0].type, type);
    assert.ok('msg' in reply.json.detail[0] && 'input' in reply.json.detail[0]);
  };
  one(await post(server, '/api/detect', {}), ['body', 'image'], 'value_error.missing', 'field required');
  one(await post(server, '/api/detect', { image: '@@' }), ['body', 'image'], 'value_error', 'Invalid base64 image data');
  one(await post(server, '/api/detect', { image: 5 }), ['body', 'image'], 'type_error.str');
  one(await post(server, '/api/detect', { image: base64('none'), face_bounds: 5 }), ['body', 'face_bounds'], 'type_error.dict');
  one(await post(server, '/api/detect', { image: base64('none'), face_bounds: { x: 1, y: 1, width: 'w', height: 1 } }), ['body', 'face_bounds', 'width'], 'type_error.float');
  one(await post(server, '/api/detect', { image: base64('none'), face_bounds: { x: 1 } }), ['body', 'face_bounds', 'y'], 'value_error.missing');
  one(await post(server, '/api/detect', '[]'), ['body'], 'type_error.dict');
  const broken = await post(server, '/api/detect', '{bad');
  assert.equal(broken.status, 422);
  assert.equal(broken.json.detail[0].type, 'value_error.jsondecode');
  assert.equal(broken.json.detail[0].loc[0], 'body');
  assert.equal(typeof broken.json.detail[0].loc[1], 'number');
  shape(broken.json.detail[0].ctx, { msg: 'string', doc: 'string', pos: 'number', lineno: 'number', colno: 'number' });
  assert.equal(broken.json.detail[0].ctx.doc, '{bad');
  one(await upload(server, '/api/detect/upload', 'faces 1', { field: 'other' }), ['body', 'file'], 'value_error.missing', 'field required');
  const type = await upload(server, '/api/detect/upload', 'faces 1', { type: 'text/plain' });
  assert.deepEqual([type.status, type.json], [400, { detail: 'Invalid file type. Only JPEG, PNG, and WebP are supported' }]);
  assert.equal((await post(server, '/api/detect', { image: base64('x'.repeat(60001)) })).status, 413);
  assert.equal((await upload(server, '/api/detect/upload', 'x'.repeat(60001))).status, 413);
});

test('detector: batches, bare or named, up to the limit', async () => {
  const entry = { emotion: 'string', confidence: 'number', all_scores: scores(names), face_detected: 'boolean', model_used: 'string' };
  for (const body of [{ images: [base64('faces 1'), base64('faces 2')] }, [base64('faces 1'), base64('faces 2')]]) {
    const { status, json } = await post(server, '/api/detect/batch', body);
    assert.equal(status, 200);
    shape(json, { success: 'boolean', results: [entry] });
    assert.equal(json.results.length, 2);
  }
  const many = await post(server, '/api/detect/batch', Array(11).fill(base64('none')));
  assert.deepEqual([many.status, many.json], [400, { detail: 'Batch size exceeds maximum of 10' }]);
  assert.equal((await post(server, '/api/detect/batch', {})).status, 422);
  assert.equal((await post(server, '/api/detect/batch', '5')).status, 422);
});

test('detector: status and models', async () => {
  const status = (await get('/api/status')).json;
  assert.equal(status.status, 'operational');
  assert.equal(status.detector_status, 'available');
  assert.equal(status.max_image_size, 60000);
  assert.deepEqual([...status.available_emotions].sort(), [...names].sort());
  assert.equal(typeof status.rate_limits.requests_per_minute, 'number');
  const config = each(['name', 'full_name', 'company', 'provider', 'description', 'accuracy', 'speed', 'model_type', 'training_data', 'strengths', 'id'], 'string');
  shape(status.model_configs, [{ ...config, is_primary: 'boolean' }]);
  const models = (await get('/api/models')).json;
  assert.deepEqual(status.model_configs.map((m) => m.id), status.available_models);
  shape(models, { models: [{ ...config, is_primary: 'boolean', is_default: 'boolean', available: 'boolean', selected: 'boolean', status: 'string' }], total: 'number', available: 'number' });
  const id = status.current_model;
  assert.deepEqual((await post(server, '/api/models/select', { model_id: id })).json,
    { success: true, selected_model: id, message: `Successfully selected model: ${id}` });
  const bad = await post(server, '/api/models/select', { model_id: 'nope' });
  assert.deepEqual([bad.status, bad.json], [400, { detail: 'Invalid model ID: nope' }]);
  assert.equal((await post(server, '/api/models/select', {})).status, 422);
});

const ownFace = {
  box: ['number'], score: 'number', emotion: 'string', confidence: 'number', uncertain: 'boolean', quality: 'number', probabilities: scores(names),
};

test("mien's own: /api/faces tells of every face, as raw bytes or as a form; /api/notice", async () => {
  const own = { width: 'number', height: 'number', faces: [ownFace], timing_ms: each(['decode', 'detect', 'classify', 'total'], 'number'), model: 'string' };
  const raw = await post(server, '/api/faces', Buffer.from('faces 2'), { 'content-type': 'image/jpeg' });
  assert.equal(raw.status, 200);
  shape(raw.json, own);
  assert.equal(raw.json.faces.length, 2);
  assert.ok(Math.abs(sum(raw.json.faces[0].probabilities) - 1) < 1e-5);
  const form = await upload(server, '/api/faces', 'faces 2');
  assert.deepEqual(form.json.faces, raw.json.faces);
  assert.deepEqual((await post(server, '/api/faces', Buffer.from('none'))).json.faces, []);
  assert.equal((await post(server, '/api/faces?min_face=24', Buffer.from('faces 1'))).status, 200);
  assert.equal((await post(server, '/api/faces?min_face=tiny', Buffer.from('faces 1'))).status, 400);
  for (const bad of [await post(server, '/api/faces', ''), await post(server, '/api/faces', 'nonsense'), await upload(server, '/api/faces', 'faces 1', { field: 'other' })]) {
    assert.equal(bad.status, 400);
    shape(bad.json, { detail: 'string' });
  }
  assert.deepEqual((await get('/api/notice')).json, { notice: '', history_seconds: 0, pictures_kept: false, faces_in_browser: true, firebase: null });
});

test('/ws keeps the identity of a face from frame to frame, in both kinds of search', async () => {
  for (const where of ['/ws', '/ws?search=assisted']) {
    const socket = await WebSocketClient.open(server, where);
    const ids = [];
    for (let i = 0; i < 3; i++) {
      socket.sendBinary('faces 2');
      ids.push((await socket.next()).data.faces.map((face) => face.face_id));
    }
    assert.deepEqual(ids, [[1, 2], [1, 2], [1, 2]], where);
    socket.close();
  }
});

test('/ws answers frames, pings and selections, and survives mistakes', async () => {
  const socket = await WebSocketClient.open(server, '/ws');
  socket.sendText({ type: 'ping' });
  assert.deepEqual(await socket.next(), { type: 'pong' });
  const bounds = { x: 1, y: 2, width: 3, height: 4 };
  socket.sendText({ type: 'frame', data: { image: `data:image/jpeg;base64,${base64('faces 1')}`, face_bounds: bounds } });
  const result = await socket.next();
  const { success, ...rest } = detected;
  const data = { ...rest, faces: [{ ...ownFace, face_id: 'number', smoothed: scores(names) }] };
  shape(result, { type: 'string', data, emotion: 'string', confidence: 'number', all_scores: scores(names), dropped: 'number' });
  assert.deepEqual(result.data.landmarks, bounds);
  assert.equal(result.emotion, result.data.emotion);
  socket.sendBinary('faces 1');
  assert.equal((await socket.next()).data.face_detected, true);
  for (const bad of ['notjson', '[]', '{"type":"frame","data":{}}', '{"type":"frame","data":{"image":"@"}}']) {
    socket.sendText(bad);
    const reply = await socket.next();
    assert.equal(reply.type, 'error', bad);
    assert.equal(typeof reply.data.error, 'string');
  }
  socket.sendText({ type: 'frame', data: { image: 'QUFB' } });
  const nothing = (await socket.next()).data;
  assert.deepEqual([nothing.emotion, nothing.confidence, nothing.all_scores, nothing.face_detected, nothing.landmarks],
    ['neutral', 0, { neutral: 1 }, false, null]);
  const id = (await get('/api/status')).json.current_model;
  socket.sendText({ type: 'model_select', data: { model_id: id } });
  assert.deepEqual(await socket.next(), { type: 'model_selected', data: { success: true, selected_model: id } });
  socket.sendText({ type: 'model_select', data: { model_id: 'nope' } });
  assert.deepEqual(await socket.next(), { type: 'model_selected', data: { success: false, selected_model: id } });
  socket.sendText({ type: 'unknown' });
  socket.sendText({ type: 'ping' });
  assert.deepEqual(await socket.next(), { type: 'pong' });
  socket.close();
});

test('/ws classifies the crops of a client that finds faces by itself, and follows them by where they stand in the frame', async () => {
  const socket = await WebSocketClient.open(server, '/ws');
  const ask = async (faces, image = base64('faces 9')) => {
    socket.sendText({ type: 'crops', data: { image, faces } });
    return socket.next();
  };
  const at = (x, y) => ({ crop: [x ? 64 : 0, 0, 64, 64], box: [x, y, 100, 120] });
  const first = await ask([at(0, 10), at(400, 20)]);
  shape(first.data.faces[0], { ...ownFace, face_id: 'number', smoothed: scores(names) });
  assert.deepEqual(first.data.faces.map((face) => [face.face_id, face.box]), [[1, [0, 10, 100, 120]], [2, [400, 20, 100, 120]]]);
  const other = await ask([at(404, 22), at(3, 10)]);
  assert.deepEqual(other.data.faces.map((face) => face.face_id), [2, 1], 'in the order sent, each known by its place');
  const nobody = await ask([], undefined);
  assert.deepEqual([nobody.type, nobody.data.face_detected, nobody.data.faces], ['result', false, []]);
  for (const bad of [{}, 7, [{}], [{ crop: [0, 0, 9, 9], box: [0, 0, 9] }], [{ crop: [0, 0, 9, 9], box: [0, 0, 0, 9] }],
    [{ crop: [0, 0, 1e9, 9], box: [0, 0, 9, 9] }], [{ crop: [0, 0, 'a', 9], box: [0, 0, 9, 9] }], Array(65).fill(at(0, 0))])
    assert.equal((await ask(bad)).type, 'error', JSON.stringify(bad).slice(0, 80));
  assert.equal((await ask([at(0, 0)], '@')).type, 'error');
  assert.equal((await ask([at(0, 0)], null)).type, 'error');
  assert.equal((await ask([at(0, 0)])).type, 'result');
  socket.close();
});

test('/ws keeps only the newest frame and says how many it dropped', async () => {
  const socket = await WebSocketClient.open(server, '/ws');
  socket.sendBinary('wait 1500');
  for (let i = 0; i < 20; i++) socket.sendBinary(`faces ${i % 2}`);
  const first = await socket.next();
  assert.equal(first.data.face_detected, true);
  const second = await socket.next();
  assert.equal(second.data.face_detected, true, 'the twentieth frame, not the first');
  assert.equal(first.dropped + second.dropped, 19);
  socket.close();
  assert.match(await (await fetch(`${server.base}/metrics`)).text(), /mien_frames_dropped_total 19/);
});

test('the API describes itself: openapi.json, /docs and /redoc, offline', async () => {
  const document = await (await fetch(`${server.base}/openapi.json`)).json();
  assert.equal(document.openapi, '3.1.0');
  for (const [where, operations] of Object.entries(document.paths)) {
    for (const method of Object.keys(operations)) {
      const reply = await fetch(server.base + where.replace('{id}', 'x'), { method: 'OPTIONS' });
      assert.ok(reply.headers.get('allow')?.includes(method.toUpperCase()), `${method} ${where}`);
    }
  }
  for (const where of ['/docs', '/redoc']) {
    const page = await fetch(server.base + where);
    assert.equal(page.status, 200);
    const scripts = [...(await page.text()).matchAll(/(?:src|href)="([^"]+)"/g)].map((m) => m[1]);
    assert.ok(scripts.length >= 2 && scripts.every((s) => s.startsWith('/')));
    for (const script of scripts) assert.equal((await fetch(server.base + script)).status, 200, script);
  }
});
