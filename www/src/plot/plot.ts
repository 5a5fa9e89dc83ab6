/** A line plot of a check's curves as SVG: axes with ticks and names, a line a curve, all colours from the style sheet. */
import { scaleLinear, type ScaleLinear } from 'd3-scale';
import { line } from 'd3-shape';
import type { Curve } from '../doubt.ts';

const SVG = 'http://www.w3.org/2000/svg';
const WIDTH = 360;
const HEIGHT = 230;
const MARGIN = { top: 10, right: 14, bottom: 42, left: 46 };
/** Height of a line of the key below the plot. */
const KEY = 17;

/** Draws curves that share what they are measured against; `title` says in words what is to be seen. */
export function plot(curves: Curve[], title: string): SVGSVGElement {
  const bottom = HEIGHT - MARGIN.bottom;
  const x = scaleLinear(extent(curves, 0), [MARGIN.left, WIDTH - MARGIN.right]).nice();
  const y = scaleLinear(extent(curves, 1), [bottom, MARGIN.top]).nice();
  const shown = curves.length > 1 ? curves : [];
  const height = HEIGHT + shown.length * KEY;
  const svg = draw('svg', {
    class: 'plot',
    viewBox: `0 0 ${WIDTH} ${height}`,
    role: 'img',
    'aria-label': title,
  });
  svg.append(...across(x, bottom), ...upward(y), ...names(curves, bottom));
  if (y.domain()[0]! < 0 && y.domain()[1]! > 0) {
    svg.append(
      draw('line', {
        class: 'plot-zero',
        x1: MARGIN.left,
        x2: WIDTH - MARGIN.right,
        y1: y(0),
        y2: y(0),
      }),
    );
  }
  const path = line<[number, number]>(
    ([at]) => x(at),
    ([, value]) => y(value),
  );
  for (const [index, { points }] of curves.entries()) {
    const series = `plot-${(index % 3) + 1}`;
    svg.append(draw('path', { class: `plot-line ${series}`, d: path(points) ?? '' }));
    for (const [at, value] of points) {
      svg.append(draw('circle', { class: `plot-dot ${series}`, cx: x(at), cy: y(value), r: 2.4 }));
    }
  }
  for (const [index, { name }] of shown.entries()) {
    const top = HEIGHT + index * KEY;
    svg.append(
      draw('line', {
        class: `plot-line plot-${(index % 3) + 1}`,
        x1: MARGIN.left,
        x2: MARGIN.left + 22,
        y1: top,
        y2: top,
      }),
      write(words(name), { x: MARGIN.left + 30, y: top + 4 }),
    );
  }
  return svg;
}

/** What abbreviates too much. */
const SPELT: Record<string, string> = {
  auc: 'area under the curve',
  spearman: 'rank correlation',
  spearman_absolute: 'rank correlation without signs',
  spearman_last_layer: 'rank correlation, last layer alone',
  ssim: 'structural similarity',
  uniform: 'if the map were the same everywhere',
};

/** A name of the engine's as people read it. */
export function words(name: string): string {
  return SPELT[name] ?? name.replaceAll('_', ' ');
}

/** The curves as tab-separated values: the form that spreadsheets take from the clipboard. */
export function tabbed(curves: Curve[]): string {
  const [first] = curves;
  if (!first) return '';
  const places = [...new Set(curves.flatMap(({ points }) => points.map(([at]) => at)))].sort(
    (a, b) => a - b,
  );
  const value = ({ points }: Curve, place: number): string =>
    String(points.find(([at]) => at === place)?.[1] ?? '');
  const rows = places.map((place) => [place, ...curves.map((curve) => value(curve, place))]);
  return [[first.against, ...curves.map(({ name }) => name)], ...rows]
    .map((row) => row.join('\t'))
    .join('\n');
}

/** From the least to the largest, shares and probabilities from 0 to 1 at least where they fit in there. */
function extent(curves: Curve[], axis: 0 | 1): [number, number] {
  const values = curves.flatMap(({ points }) => points.map((point) => point[axis]));
  const low = Math.min(...values);
  const high = Math.max(...values);
  if (low >= 0 && high <= 1) return [0, 1];
  return low === high ? [low - 0.5, high + 0.5] : [Math.min(low, 0), Math.max(high, 0)];
}

type Scale = ScaleLinear<number, number>;

function across(scale: Scale, bottom: number): SVGElement[] {
  return scale.ticks(5).flatMap((tick) => [
    draw('line', {
      class: 'plot-tick',
      x1: scale(tick),
      x2: scale(tick),
      y1: bottom,
      y2: bottom + 4,
    }),
    write(scale.tickFormat(5)(tick), {
      x: scale(tick),
      y: bottom + 16,
      'text-anchor': 'middle',
    }),
  ]);
}

function upward(scale: Scale): SVGElement[] {
  return scale.ticks(5).flatMap((tick) => [
    draw('line', {
      class: 'plot-grid',
      x1: MARGIN.left,
      x2: WIDTH - MARGIN.right,
      y1: scale(tick),
      y2: scale(tick),
    }),
    write(scale.tickFormat(5)(tick), {
      x: MARGIN.left - 6,
      y: scale(tick) + 4,
      'text-anchor': 'end',
    }),
  ]);
}

/** What runs along the axes. */
function names(curves: Curve[], bottom: number): SVGElement[] {
  const middle = (MARGIN.top + bottom) / 2;
  const [first] = curves;
  const measured = curves.length === 1 ? words(first?.name ?? '') : common(curves);
  return [
    draw('line', {
      class: 'plot-axis',
      x1: MARGIN.left,
      x2: WIDTH - MARGIN.right,
      y1: bottom,
      y2: bottom,
    }),
    write(first?.against ?? '', {
      x: (MARGIN.left + WIDTH - MARGIN.right) / 2,
      y: bottom + 34,
      'text-anchor': 'middle',
    }),
    write(measured, {
      x: 11,
      y: middle,
      'text-anchor': 'middle',
      transform: `rotate(-90 11 ${middle})`,
    }),
  ];
}

/** What the names of several curves begin with. */
function common(curves: Curve[]): string {
  const [first, ...rest] = curves.map(({ name }) => name.split(',')[0] ?? '');
  return first && rest.every((name) => name === first) ? words(first) : 'likeness, −1 to 1';
}

function draw<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | number>,
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) {
    const exact = typeof value === 'number' ? String(Math.round(value * 100) / 100) : value;
    element.setAttribute(name, exact);
  }
  return element;
}

function write(text: string, attributes: Record<string, string | number>): SVGTextElement {
  const element = draw('text', { class: 'plot-text', ...attributes });
  element.textContent = text;
  return element;
}
