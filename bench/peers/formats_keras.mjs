// Keras models built by TensorFlow.js and stored by libhdf5 as Keras 2 and Keras 3 store them, with TensorFlow.js's
// answers to the two fixed pictures of bench_formats: node formats_keras.mjs FOLDER
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import process from 'node:process';

const require = createRequire(pathToFileURL(`${process.env.MIEN_PEERS ?? process.cwd()}/`));
const tf = require('@tensorflow/tfjs');
const { default: h5wasm } = await import(pathToFileURL(`${process.env.MIEN_PEERS}/node_modules/h5wasm/dist/node/hdf5_hl.js`));
await h5wasm.ready;
await tf.setBackend('cpu');
const L = tf.layers;
const folder = process.argv[2];

function sequential() {
  const m = tf.sequential({ name: 'sequential' });
  m.add(L.conv2d({ filters: 5, kernelSize: 3, strides: 2, padding: 'same', activation: 'relu', inputShape: [9, 8, 2], name: 'c1' }));
  m.add(L.conv2d({ filters: 4, kernelSize: [3, 2], padding: 'same', useBias: false, name: 'c2' }));
  m.add(L.batchNormalization({ name: 'b1' }));
  m.add(L.activation({ activation: 'elu', name: 'a1' }));
  m.add(L.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same', name: 'p1' }));
  m.add(L.flatten({ name: 'f' }));
  m.add(L.dropout({ rate: 0.3, name: 'd' }));
  m.add(L.dense({ units: 6, activation: 'tanh', name: 'h' }));
  m.add(L.dense({ units: 7, activation: 'softmax', name: 'o' }));
  return m;
}

function functional() {
  const x = tf.input({ shape: [11, 10, 3], name: 'in' });
  let a = L.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, padding: 'same', name: 'dw' }).apply(x);
  a = L.leakyReLU({ alpha: 0.2, name: 'lr' }).apply(L.batchNormalization({ scale: false, name: 'bn' }).apply(a));
  const s = L.separableConv2d({ filters: 8, kernelSize: 3, strides: 2, padding: 'same', name: 'sep', activation: 'relu6' }).apply(a);
  const y = L.add({ name: 'add' }).apply([s, L.conv2d({ filters: 8, kernelSize: 1, strides: 2, padding: 'same', name: 'short' }).apply(a)]);
  let g = L.reshape({ targetShape: [1, 1, 8], name: 'rs' }).apply(L.globalAveragePooling2d({ name: 'gap' }).apply(y));
  g = L.conv2d({ filters: 8, kernelSize: 1, activation: 'sigmoid', name: 'ex' }).apply(g);
  const z = L.multiply({ name: 'mul' }).apply([y, g]);
  let p = L.averagePooling2d({ poolSize: 2, strides: 2, padding: 'same', name: 'ap' }).apply(z);
  p = L.zeroPadding2d({ padding: [[1, 0], [0, 2]], name: 'zp' }).apply(p);
  p = L.prelu({ sharedAxes: [1, 2], name: 'pr' }).apply(p);
  const flat = L.flatten({ name: 'f1' }).apply(p);
  let q = L.concatenate({ name: 'cat' }).apply([flat, L.globalMaxPooling2d({ name: 'gmp' }).apply(z)]);
  q = L.batchNormalization({ name: 'bnf' }).apply(q);
  const high = L.zeroPadding2d({ padding: [[1, 1], [0, 0]], name: 'zz' }).apply(L.concatenate({ axis: 1, name: 'high' }).apply([z, z]));
  const up = L.upSampling2d({ size: [2, 1], name: 'up' }).apply(L.reshape({ targetShape: [7, 10, 8], name: 'rs2' }).apply(high));
  const e = L.globalAveragePooling2d({ name: 'gap2' }).apply(L.conv2d({ filters: 3, kernelSize: 3, name: 'cv', activation: 'selu' }).apply(up));
  const everywhere = L.softmax({ axis: -1, name: 'o3' }).apply(L.dense({ units: 2, name: 'd4' }).apply(up));
  return tf.model({ inputs: x, outputs: [L.dense({ units: 4, name: 'o1' }).apply(q), e, everywhere], name: 'functional' });
}

function nested() {
  const x = tf.input({ shape: [8, 8, 3], name: 'bin' });
  const a = L.conv2d({ filters: 4, kernelSize: 3, padding: 'same', name: 'k1', activation: 'relu' }).apply(x);
  const b = L.conv2d({ filters: 4, kernelSize: 3, padding: 'same', name: 'k2' }).apply(L.batchNormalization({ name: 'kb' }).apply(a));
  const base = tf.model({ inputs: x, outputs: L.add({ name: 'ka' }).apply([a, b]), name: 'base' });
  const inner = tf.sequential({ name: 'inner' });
  inner.add(L.maxPooling2d({ poolSize: 2, inputShape: [8, 8, 4], name: 'ip' }));
  inner.add(L.conv2d({ filters: 3, kernelSize: 2, name: 'ik' }));
  const m = tf.sequential({ name: 'nested' });
  [base, inner, L.flatten({ name: 'f' }), L.dense({ units: 5, activation: 'softmax', name: 'o' })].forEach((layer) => m.add(layer));
  return m;
}

function shared() {
  const x = tf.input({ shape: [6, 6, 2], name: 'x1' });
  const layer = L.conv2d({ filters: 2, kernelSize: 3, padding: 'same', name: 'shared' });
  const a = layer.apply(x);
  const sum = L.add({ name: 'a' }).apply([a, layer.apply(a)]);
  return tf.model({ inputs: x, outputs: L.dense({ units: 3, name: 'o' }).apply(L.flatten({ name: 'f' }).apply(sum)), name: 'shared' });
}

// What Keras 3 writes: a module and a registered name, types as objects, tensors among arguments, single outputs unwrapped.
const tensor3 = ([layer, call, index]) => ({ class_name: '__keras_tensor__', config: { shape: [null], dtype: 'float32', keras_history: [layer, call, index] } });
function layer3(layer) {
  const config = layer.config.layers ? model3(layer.config) : { ...layer.config, dtype: { module: 'keras', class_name: 'DTypePolicy', config: { name: 'float32' } } };
  if (config.batch_input_shape) config.batch_shape = config.batch_input_shape;
  delete config.batch_input_shape;
  const inbound = layer.inbound_nodes?.map((call) => ({ args: call.length > 1 ? [call.map(tensor3)] : call.map(tensor3), kwargs: {} }));
  return { ...layer, module: 'keras.layers', registered_name: null, config, ...(inbound && { inbound_nodes: inbound }) };
}
function model3(config) {
  const outputs = config.output_layers;
  return { ...config, layers: config.layers.map(layer3), ...(outputs && { output_layers: outputs.length === 1 ? outputs[0] : outputs }) };
}

function store(path, m, version) {
  const { class_name, config } = m.toJSON(null, false);
  const file = new h5wasm.File(path, 'w');
  file.create_attribute('model_config', JSON.stringify({ class_name, config: version === 3 ? model3(config) : config }));
  file.create_group('model_weights');
  const groups = file.get('model_weights');
  for (const layer of m.layers) {
    groups.create_group(layer.name);
    const group = groups.get(layer.name);
    const names = layer.weights.map((weight) => (version === 3 ? `${m.name}/${weight.originalName}` : `${weight.originalName}:0`));
    if (names.length) group.create_attribute('weight_names', names);
    layer.weights.forEach((weight, i) => {
      const parts = names[i].split('/');
      let at = group;
      parts.slice(0, -1).forEach((part) => {
        if (!at.get(part)) at.create_group(part);
        at = at.get(part);
      });
      at.create_dataset({ name: parts.at(-1), data: weight.read().dataSync(), shape: weight.shape, dtype: '<f' });
    });
  }
  file.close();
}

// NHWC answers in the order [N,C,H,W].
const turned = (t) => (t.rank === 4 ? t.transpose([0, 3, 1, 2]) : t);

let seed = 1;
const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647 - 0.5;
for (const build of [sequential, functional, nested, shared]) {
  const m = build();
  m.weights.forEach((weight) => {
    const positive = /variance/.test(weight.originalName);
    const size = weight.shape.reduce((a, b) => a * b, 1);
    weight.write(tf.tensor(Float32Array.from({ length: size }, () => (positive ? 0.5 + Math.abs(random()) : random())), weight.shape));
  });
  const [, height, width, channels] = m.inputs[0].shape;
  const count = 2 * channels * height * width;
  const pictures = tf.tensor(Float32Array.from({ length: count }, (_, i) => ((i * 7919) % 1000) / 500 - 1), [2, channels, height, width]);
  const answers = [m.predict(pictures.transpose([0, 2, 3, 1]))].flat().map(turned);
  const outputs = answers.map((t) => ({ shape: t.shape, values: Array.from(t.dataSync()) }));
  for (const version of [2, 3]) {
    const path = `${folder}/keras_${build.name}_${version}`;
    store(`${path}.h5`, m, version);
    writeFileSync(`${path}.json`, JSON.stringify({ outputs }));
  }
}
