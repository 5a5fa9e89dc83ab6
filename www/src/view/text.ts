/** Numbers in words that people read. */

/** 0.8123 as "81.2 %". */
export function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** A difference of two shares in points of a hundred: -0.121 as "−12.1 points". */
export function signed(difference: number): string {
  const points = (Math.abs(difference) * 100).toFixed(1);
  const sign = points === '0.0' ? '' : difference < 0 ? '−' : '+';
  return `${sign}${points} points`;
}

/** Four significant digits, without an exponent where it can be avoided. */
export function raw(value: number): string {
  if (value === 0) return '0';
  const size = Math.abs(value);
  return size >= 0.001 && size < 100_000
    ? String(Number(value.toPrecision(4)))
    : value.toExponential(2);
}

export function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

export function milliseconds(value: number): string {
  return value >= 1000 ? `${(value / 1000).toFixed(1)} s` : `${Math.round(value)} ms`;
}
