// A ZIP archive of files that are compressed already (JPEG), so they are stored as they are (APPNOTE 6.3.3, method 0).
const table = Uint32Array.from({length: 256}, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = table[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Little-endian fields of 2 or 4 bytes. */
function record(...fields: [size: 2 | 4, value: number][]): Uint8Array<ArrayBuffer> {
  const view = new DataView(new ArrayBuffer(fields.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(view.buffer);
}

const UTF8 = 0x0800, VERSION = 20, FIRST_DAY = 0x21; // names are UTF-8; dates are left at 1 January 1980

export async function zip(files: {name: string; content: Blob}[]): Promise<Blob> {
  const parts: BlobPart[] = [], directory: BlobPart[] = [];
  const used = new Set<string>();
  let at = 0, directorySize = 0;
  for (const file of files) {
    let name = file.name;
    for (let n = 2; used.has(name); n++) name = file.name.replace(/(\.[^.]*)?$/, `-${n}$1`);
    used.add(name);
    const bytes = new Uint8Array(await file.content.arrayBuffer()), title = new TextEncoder().encode(name);
    const common: [2 | 4, number][] = [[2, VERSION], [2, UTF8], [2, 0], [2, 0], [2, FIRST_DAY], [4, crc32(bytes)],
      [4, bytes.length], [4, bytes.length], [2, title.length], [2, 0]];
    const head = record([4, 0x04034b50], ...common);
    const entry = record([4, 0x02014b50], [2, VERSION], ...common, [2, 0], [2, 0], [2, 0], [4, 0], [4, at]);
    parts.push(head, title, bytes);
    directory.push(entry, title);
    at += head.length + title.length + bytes.length;
    directorySize += entry.length + title.length;
  }
  const end = record([4, 0x06054b50], [2, 0], [2, 0], [2, files.length], [2, files.length], [4, directorySize], [4, at],
    [2, 0]);
  return new Blob([...parts, ...directory, end], {type: 'application/zip'});
}
