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
  const ending = (file: File, end: string): boolean => file.name.toLowerCase().endsWith(end);
  const manifest = files.find((file) => ending(file, '.json')) ?? null;
  const model =
    files.find((file) => ending(file, '.onnx')) ??
    (asModel ? files.find((file) => file !== manifest) : undefined);
  if (asModel && !model) {
    session.complain(
      `${manifest?.name}: a manifest alone. Choose it together with its .onnx file.`,
    );
    return;
  }
  if (model) void session.loadModel({ kind: 'files', model, manifest });
  session.add(
    asModel ? [] : files.filter((file) => file !== model && !(model && file === manifest)),
  );
}
