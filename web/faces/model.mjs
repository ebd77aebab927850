// MediaPipe's face detector asks of its model how pixels become numbers, and reads that from metadata inside the file; the
// package that carries the model was made for an older reader and its file says nothing. Both forms are FlatBuffers, whose
// references only point forward: so a new root is put in front, which refers to everything in the old file where it lies and
// to the metadata besides. Layouts: TensorFlow's schema.fbs and metadata_schema.fbs; field numbers are theirs.

/** Values of a FlatBuffer: a number with its size, a text, bytes, a table (field number to value), a vector, a place in the old file. */
const u32 = (value) => ({bytes: 4, write: (view, at) => view.setUint32(at, value, true)});
const u8 = (value) => ({bytes: 1, write: (view, at) => view.setUint8(at, value)});
const f32 = (value) => ({bytes: 4, write: (view, at) => view.setFloat32(at, value, true)});
const table = (fields) => ({fields});
const vector = (items) => ({items});
const text = (value) => ({raw: new TextEncoder().encode(value), end: 1});
const raw = (value) => ({raw: value, end: 0});
const old = (at) => ({old: at});

const up = (value, step) => Math.ceil(value / step) * step;

class Writer {
  constructor(size) {
    this.out = new Uint8Array(size);
    this.view = new DataView(this.out.buffer);
    this.end = 0;
    this.references = []; // to the old file, whose place is known last
  }

  take(size, step = 4) {
    const at = up(this.end, step);
    this.end = at + size;
    if (this.end > this.out.length) throw new Error('the metadata does not fit');
    return at;
  }

  /** Write what a field holds: a number in place, all else further on, referred to. */
  field(at, value) {
    if (value.write) value.write(this.view, at);
    else if ('old' in value) this.references.push([at, value.old]);
    else this.view.setUint32(at, this.place(value) - at, true);
  }

  /** Write a value that is referred to. @return where it starts. */
  place(value) {
    if (value.fields) return this.table(value.fields);
    const length = value.raw?.length ?? value.items.length;
    if (value.raw) {
      const at = up(this.end + 4, 16) - 4; // a buffer's bytes lie on a multiple of 16
      this.end = at;
      this.take(4 + length + value.end);
      this.view.setUint32(at, length, true);
      this.out.set(value.raw, at + 4);
      return at;
    }
    const at = this.take(4 + 4 * length);
    this.view.setUint32(at, length, true);
    value.items.forEach((item, i) => this.field(at + 4 + 4 * i, item));
    return at;
  }

  table(fields) {
    const numbers = Object.keys(fields).map(Number), count = Math.max(...numbers) + 1;
    const index = this.take(4 + 2 * count), at = this.take(4 + 4 * numbers.length);
    this.view.setUint16(index, 4 + 2 * count, true);
    this.view.setUint16(index + 2, 4 + 4 * numbers.length, true);
    this.view.setInt32(at, at - index, true);
    numbers.forEach((number, i) => this.view.setUint16(index + 4 + 2 * number, 4 + 4 * i, true));
    numbers.forEach((number, i) => this.field(at + 4 + 4 * i, fields[number]));
    return at;
  }
}

function write(root, identifier, size, before = new Uint8Array()) {
  const writer = new Writer(size);
  writer.take(8);
  writer.out.set(new TextEncoder().encode(identifier), 4);
  writer.view.setUint32(0, writer.place(root), true);
  const base = up(writer.end, 64), out = new Uint8Array(base + before.length);
  out.set(writer.out.subarray(0, writer.end));
  out.set(before, base);
  const view = new DataView(out.buffer);
  for (const [at, target] of writer.references) view.setUint32(at, base + target - at, true);
  return out;
}

/** "Subtract `mean` from every value and divide by `deviation`": the model of a picture in red, green and blue. */
function metadata(mean, deviation) {
  const normalise = table({0: vector([f32(mean)]), 1: vector([f32(deviation)])});
  const picture = table({0: u8(2 /* ImageProperties */), 1: table({0: u8(1 /* RGB */)})});
  const input = table({0: text('image'), 3: picture, 4: vector([table({0: u8(1 /* NormalizationOptions */), 1: normalise})])});
  const outputs = ['regressors', 'classificators'].map((name) => table({0: text(name)}));
  return write(table({0: text('face detector'), 3: vector([table({2: vector([input]), 3: vector(outputs)})]), 7: text('1.0.0')}), 'M001', 4096);
}

/** The model's file with metadata in it. */
export function withMetadata(model, mean = 127.5, deviation = 127.5) {
  const view = new DataView(model.buffer, model.byteOffset, model.length);
  const root = view.getUint32(0, true), index = root - view.getInt32(root, true);
  const field = (number) => {
    const offset = 4 + 2 * number < view.getUint16(index, true) ? view.getUint16(index + 4 + 2 * number, true) : 0;
    return offset && root + offset;
  };
  const target = (at) => at + view.getUint32(at, true);
  const elements = (number) => {
    if (!field(number)) return [];
    const at = target(field(number));
    return Array.from({length: view.getUint32(at, true)}, (_, i) => old(target(at + 4 + 4 * i)));
  };
  const buffers = elements(4);
  return write(table({
    0: u32(view.getUint32(field(0), true)), // version
    1: old(target(field(1))), // operators
    2: old(target(field(2))), // graphs
    4: vector([...buffers, table({0: raw(metadata(mean, deviation))})]),
    6: vector([...elements(6), table({0: text('TFLITE_METADATA'), 1: u32(buffers.length)})]),
  }), 'TFL3', 65536, model);
}
