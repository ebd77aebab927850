// The files of a drop: those dropped by themselves as they are, and of folders the pictures in them, however deep.
const PICTURE = /\.(jpe?g|png|webp|gif|bmp|avif|heic)$/i;

export interface Dropped {
  files: File[];
  passedOver: number; // files in folders that are no pictures
}

const fileOf = (entry: FileSystemFileEntry): Promise<File> => new Promise((resolve, reject) => entry.file(resolve, reject));

/** A folder's reader hands out its entries some at a time, until it hands out none. */
async function entriesOf(folder: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
  const reader = folder.createReader(), all: FileSystemEntry[] = [];
  for (;;) {
    const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return all.sort((a, b) => a.name.localeCompare(b.name));
    all.push(...some);
  }
}

async function walk(entry: FileSystemEntry, found: Dropped): Promise<void> {
  if (entry.isDirectory) {
    for (const inside of await entriesOf(entry as FileSystemDirectoryEntry)) await walk(inside, found);
  } else if (PICTURE.test(entry.name)) {
    found.files.push(await fileOf(entry as FileSystemFileEntry));
  } else if (!entry.name.startsWith('.')) {
    found.passedOver++;
  }
}

/** Must be called while the event is dispatched: afterwards a browser forgets what was dropped. */
export async function droppedFiles(data: DataTransfer | null): Promise<Dropped> {
  const found: Dropped = {files: [], passedOver: 0};
  const folders = [...data?.items ?? []].map(item => item.webkitGetAsEntry?.()).filter(entry => entry?.isDirectory);
  const names = new Set(folders.map(entry => entry!.name));
  const files = [...data?.files ?? []].filter(file => !names.has(file.name) || file.type); // a folder shows up here as well
  for (const folder of folders) await walk(folder!, found);
  found.files.unshift(...files);
  return found;
}
