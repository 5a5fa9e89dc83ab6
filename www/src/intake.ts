/** Ways in: the file pickers, the camera of a phone, drop (folders too), and paste. An .onnx file is a model, wherever it comes in. */
import type { Session } from './session.ts';
import { need } from './view/dom.ts';

export function openDoors(session: Session): void {
  for (const id of ['picture-input', 'camera-input', 'model-input']) {
    const input = need(id, HTMLInputElement);
    input.addEventListener('change', () => {
      const files = [...(input.files ?? [])];
      // So that the same file can be chosen again.
      input.value = '';
      receive(session, files, id === 'model-input');
    });
  }
  openDrop(session);
  window.addEventListener('paste', (event) => {
    receive(session, [...(event.clipboardData?.files ?? [])], false);
  });
}

function openDrop(session: Session): void {
  const carriesFiles = (event: DragEvent): boolean =>
    event.dataTransfer?.types.includes('Files') ?? false;
  const veil = (on: boolean): boolean => document.body.toggleAttribute('data-dragging', on);
  window.addEventListener('dragover', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    veil(true);
  });
  window.addEventListener('dragleave', (event) => {
    if (event.relatedTarget === null) veil(false);
  });
  window.addEventListener('drop', (event) => {
    veil(false);
    if (!carriesFiles(event)) return;
    event.preventDefault();
    if (!event.dataTransfer) return;
    void dropped(event.dataTransfer).then((files) => receive(session, files, false));
  });
}

/** The most files that a dropped folder gives. */
const MOST = 2000;

/** The files of a drop, and of a dropped folder those that may be pictures or models. */
async function dropped(transfer: DataTransfer): Promise<File[]> {
  const files = [...transfer.files];
  // Entries must be asked for before the first rest.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry());
  if (!entries.some((entry) => entry?.isDirectory)) return files;
  const found: File[] = [];
  for (const entry of entries) {
    if (entry) await gather(entry, found, true);
  }
  return found;
}

async function gather(entry: FileSystemEntry, found: File[], asked: boolean): Promise<void> {
  if (found.length >= MOST || (entry.name.startsWith('.') && !asked)) return;
  if (isFile(entry)) {
    if (!asked && !isWanted(entry.name)) return;
    found.push(await new Promise<File>((resolve, reject) => entry.file(resolve, reject)));
  } else if (isFolder(entry)) {
    const reader = entry.createReader();
    const inside: FileSystemEntry[] = [];
    // A reader gives a hundred entries or so at a time, and none at the end.
    for (;;) {
      const more = await new Promise<FileSystemEntry[]>((resolve, reject) =>
        reader.readEntries(resolve, reject),
      );
      if (more.length === 0 || inside.length >= MOST) break;
      inside.push(...more);
    }
    inside.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
    for (const child of inside) await gather(child, found, false);
  }
}

function isFile(entry: FileSystemEntry): entry is FileSystemFileEntry {
  return entry.isFile;
}

function isFolder(entry: FileSystemEntry): entry is FileSystemDirectoryEntry {
  return entry.isDirectory;
}

const PICTURES = /\.(png|jpe?g|webp|bmp|tiff?|dcm|dicom|dic)$/i;

/** Pictures, models, and what archives name by numbers or without an ending, as they do DICOM files; not an archive's index. */
function isWanted(name: string): boolean {
  if (/^(dicomdir|readme|license)$/i.test(name)) return false;
  return PICTURES.test(name) || /\.(onnx|json)$/i.test(name) || /(^[^.]+|\.\d+)$/.test(name);
}

function receive(session: Session, files: File[], asModel: boolean): void {
  if (files.length === 0) return;
  const ending = (file: File, ...ends: string[]): boolean =>
    ends.some((end) => file.name.toLowerCase().endsWith(end));
  const texts = files.filter((file) => ending(file, '.json', '.txt'));
  const manifest = texts.find((file) => file.name.toLowerCase() === 'manifest.json') ?? null;
  const labels = texts.find((file) => file !== manifest) ?? null;
  const model =
    files.find((file) => ending(file, '.onnx')) ??
    (asModel ? files.find((file) => !texts.includes(file)) : undefined);
  const pictures = files.filter(({ name }) => PICTURES.test(name));
  if (asModel && !model) {
    session.complain(`${texts[0]?.name}: no model. Choose it together with its .onnx file.`);
    return;
  }
  if (!model) {
    session.add(files);
    return;
  }
  // Whatever else lies beside a model holds its tensors.
  const others = new Set<File>([model, ...texts, ...pictures]);
  const data = files.filter((file) => !others.has(file));
  void session.loadModel({ kind: 'files', model, manifest, labels, data });
  if (!asModel) session.add(pictures);
}
