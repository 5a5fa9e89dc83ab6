/** Ways in: the two file pickers, drop, and paste. An .onnx file is a model, wherever it comes in. */
import type { Session } from './session.ts';
import { need } from './view/dom.ts';

export function openDoors(session: Session): void {
  for (const id of ['picture-input', 'model-input']) {
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
    receive(session, [...(event.dataTransfer?.files ?? [])], false);
  });
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
  const pictures = files.filter((file) => ending(file, '.png', '.jpg', '.jpeg'));
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
