/** Hands on a panel: wheel, drag, pinch and keys move the camera, the pointer and Shift with the arrows move the cursor. */
import { moved, reaching, under, WHOLE, zoomed, type Camera, type Point } from './camera.ts';

/** What the hands move. Points are shares of the picture. */
export interface Held {
  camera: Camera;
  cursor: Point | null;
  move(camera: Camera): void;
  /** Where the cursor is now; `spoken` where it was moved by keys, so that it must be said. */
  point(at: Point | null, spoken: boolean): void;
}

/** Of a key press, in shares of the panel and of the picture. */
const PAN = 0.1;
const STEP = 0.01;
const FACTOR = 1.25;
const MIDDLE: Point = { x: 0.5, y: 0.5 };

const ARROWS: Record<string, Point> = {
  ArrowLeft: { x: -1, y: 0 },
  ArrowRight: { x: 1, y: 0 },
  ArrowUp: { x: 0, y: -1 },
  ArrowDown: { x: 0, y: 1 },
};

export function layHands(window: HTMLElement, held: Held): void {
  takeWheel(window, held);
  takePointers(window, held);
  window.addEventListener('keydown', (event) => {
    if (event.target !== window || event.defaultPrevented) return;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (pressed(event, held)) event.preventDefault();
  });
}

export function closer(held: Held): void {
  held.move(zoomed(held.camera, FACTOR, MIDDLE));
}

export function farther(held: Held): void {
  held.move(zoomed(held.camera, 1 / FACTOR, MIDDLE));
}

/** Whether the key meant something here. */
function pressed({ key, shiftKey }: KeyboardEvent, held: Held): boolean {
  const arrow = ARROWS[key];
  if (arrow && shiftKey) {
    const from = held.cursor ?? under(held.camera, MIDDLE);
    const step = STEP / Math.sqrt(held.camera.scale);
    const to = { x: within(from.x + arrow.x * step), y: within(from.y + arrow.y * step) };
    held.move(reaching(held.camera, to));
    held.point(to, true);
  } else if (arrow) {
    // A picture that is in view as a whole does not move: the page may.
    if (held.camera.scale === 1) return false;
    held.move(moved(held.camera, { x: -arrow.x * PAN, y: -arrow.y * PAN }));
  } else if (key === '+' || key === '=') closer(held);
  else if (key === '-' || key === '_') farther(held);
  else if (key === '0') held.move(WHOLE);
  else if (key === 'Escape' && held.cursor) held.point(null, false);
  else return false;
  return true;
}

/** The wheel zooms where the panel has the focus, or with Ctrl; elsewhere it scrolls the page, as it does over any other part of it. */
function takeWheel(window: HTMLElement, held: Held): void {
  window.addEventListener(
    'wheel',
    (event) => {
      if (!event.ctrlKey && !window.matches(':focus-within')) return;
      event.preventDefault();
      const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
      // A pinch on a touchpad comes as small steps with Ctrl.
      const speed = event.ctrlKey && Math.abs(event.deltaY) < 50 ? 0.01 : 0.0015;
      const factor = Math.exp(-event.deltaY * lines * speed);
      held.move(zoomed(held.camera, factor, share(window, event)));
    },
    { passive: false },
  );
}

function takePointers(window: HTMLElement, held: Held): void {
  const down = new Map<number, Point>();
  window.addEventListener('pointerdown', (event) => {
    if (event.defaultPrevented || event.button !== 0) return;
    down.set(event.pointerId, share(window, event));
    if (held.camera.scale > 1 || down.size > 1) window.setPointerCapture(event.pointerId);
  });
  window.addEventListener('pointermove', (event) => {
    if (event.defaultPrevented) return;
    const now = share(window, event);
    const before = down.get(event.pointerId);
    if (before) {
      drag(held, down, event.pointerId, before, now);
      down.set(event.pointerId, now);
    }
    const at = under(held.camera, now);
    held.point(at.x >= 0 && at.y >= 0 && at.x < 1 && at.y < 1 ? at : null, false);
  });
  for (const name of ['pointerup', 'pointercancel', 'lostpointercapture'] as const) {
    window.addEventListener(name, (event) => down.delete(event.pointerId));
  }
  window.addEventListener('pointerleave', (event) => {
    if (event.pointerType !== 'touch') held.point(null, false);
  });
  window.addEventListener('dblclick', (event) => {
    const drawing = event.target instanceof Element && event.target.closest('[data-drawing]');
    if (event.defaultPrevented || drawing) return;
    held.move(held.camera.scale > 1 ? WHOLE : zoomed(WHOLE, 3, share(window, event)));
  });
}

/** One pointer moves the picture; two move it and change its size, as far as their distance did. */
function drag(held: Held, down: Map<number, Point>, id: number, before: Point, now: Point): void {
  const other = [...down].find(([key]) => key !== id)?.[1];
  const step = { x: now.x - before.x, y: now.y - before.y };
  if (!other) {
    held.move(moved(held.camera, step));
    return;
  }
  const apart = (point: Point): number => Math.hypot(point.x - other.x, point.y - other.y);
  const middle = { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 };
  const factor = apart(before) > 0 ? apart(now) / apart(before) : 1;
  held.move(zoomed(moved(held.camera, { x: step.x / 2, y: step.y / 2 }), factor, middle));
}

/** Where on the panel an event is. */
export function share(window: HTMLElement, { clientX, clientY }: MouseEvent): Point {
  const { left, top, width, height } = window.getBoundingClientRect();
  return { x: (clientX - left) / width, y: (clientY - top) / height };
}

function within(share: number): number {
  return Math.min(Math.max(share, 0), 0.9999);
}
