//! A window that moves over maps one by one: depthwise convolutions and pooling.

use super::divide;
use super::lanes::{Four, Lanes};
use super::set::{Registers, Set, Work};
use super::window::{Window, with_rim};

/// Floats of two registers.
const PAIR: usize = 2 * Four::COUNT;

/// What is gathered under the window.
pub(super) trait Gather: Copy + Sync {
    /// What lies outside the maps.
    const RIM: f32;
    /// Whether it is worth code of its own for the usual kernels.
    const OFTEN: bool = false;
    /// Adds values under a weight of the kernel.
    fn add<L: Lanes>(self, sum: L, weight: L, value: L) -> L;
    /// Makes sums results, those from row `y` and column `x` on.
    fn end<L: Lanes, const VECTORS: usize, const LINES: usize>(
        &self,
        sums: &mut [[L; VECTORS]; LINES],
        y: usize,
        x: usize,
    );
}

/// One map with its rim, its columns apart by the steps of the stride: those that lie under one weight are neighbours.
struct Plan {
    /// Rows that the windows of whole blocks reach.
    rows: usize,
    /// Columns of a part.
    part: usize,
    /// Where each weight finds its first value.
    taps: Vec<usize>,
    /// The largest of them.
    furthest: usize,
}

impl Plan {
    /// For results of at least `lines` rows and `columns` columns.
    fn of(window: &Window, [lines, columns]: [usize; 2]) -> Plan {
        let [step_y, step_x] = window.strides;
        let [height, width] = window.kernel;
        let rows = (lines - 1) * step_y + (height - 1) * window.dilations[0] + 1;
        let part = columns + (width - 1) * window.dilations[1] / step_x + 1;
        let pitch = part * step_x;
        let taps = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
        let taps = taps.map(|(y, x)| {
            let place = x * window.dilations[1];
            y * window.dilations[0] * pitch + place % step_x * part + place / step_x
        });
        let taps: Vec<usize> = taps.collect();
        Plan {
            rows,
            part,
            furthest: taps.iter().copied().max().unwrap_or(0),
            taps,
        }
    }
}

/// Moves the window over each map. `kernels` gives the weights of a map, by its number, and what its sums start with.
pub(super) fn sweep<'a, G: Gather>(
    set: Set,
    window: &Window,
    gather: G,
    kernels: impl Fn(usize) -> (&'a [f32], f32) + Sync,
    maps: &[f32],
    result: &mut [f32],
) {
    let area = window.size.iter().product::<usize>();
    let count = result.len() / window.positions();
    let lanes = set.shape().lanes;
    let parts = divide::parts((result.len() * window.taps() + maps.len()) / lanes);
    divide::each_slice(result, count, parts.min(count.max(1)), |first, result| {
        set.run(Sweep {
            window,
            gather,
            kernels: (first..count).map(&kernels),
            maps: &maps[first * area..],
            result,
        });
    });
}

/// [`sweep`] over some maps.
struct Sweep<'a, G, K> {
    window: &'a Window,
    gather: G,
    kernels: K,
    maps: &'a [f32],
    result: &'a mut [f32],
}

impl<'a, G: Gather, K: Iterator<Item = (&'a [f32], f32)>> Work for Sweep<'_, G, K> {
    type Output = ();

    #[inline(always)]
    fn run<R: Registers, const ROWS: usize, const VECTORS: usize>(self) {
        // Eight sums at once are what V8 has registers for. Maps of 7, 14 or 28 rows and columns are common: blocks of 4 rows or two
        // vectors would overlap.
        let columns = self.window.output[1];
        let (wide, narrow) = (R::Wide::COUNT, R::Narrow::COUNT);
        if columns >= 2 * wide && self.work(4, 2 * wide) <= self.work(7, wide) {
            self.usual::<R::Wide, 4, 2>();
        } else if columns > narrow {
            self.one_vector::<R::Wide>();
        } else {
            self.one_vector::<R::Narrow>();
        }
    }
}

impl<'a, G: Gather, K: Iterator<Item = (&'a [f32], f32)>> Sweep<'_, G, K> {
    /// Results of a map that blocks of such a size compute, those that they have in common more than once.
    fn work(&self, lines: usize, columns: usize) -> usize {
        let [height, width] = self.window.output;
        height.next_multiple_of(lines) * width.next_multiple_of(columns)
    }

    #[inline(always)]
    fn one_vector<L: Lanes>(self) {
        if self.work(4, L::COUNT) < self.work(7, L::COUNT) {
            self.usual::<L, 4, 1>();
        } else {
            self.usual::<L, 7, 1>();
        }
    }

    /// With code of its own for the usual kernels: those of 3 by 3 and of 5 by 5 that see each place or every second one.
    #[inline(always)]
    fn usual<L: Lanes, const LINES: usize, const VECTORS: usize>(self) {
        let window = self.window;
        let is_usual = G::OFTEN && window.dilations[1] == 1;
        match (window.kernel, window.strides[1]) {
            ([3, 3], 1) if is_usual => self.blocks::<L, LINES, VECTORS, 3, 1>(),
            ([3, 3], 2) if is_usual => self.blocks::<L, LINES, VECTORS, 3, 2>(),
            ([5, 5], 1) if is_usual => self.blocks::<L, LINES, VECTORS, 5, 1>(),
            ([5, 5], 2) if is_usual => self.blocks::<L, LINES, VECTORS, 5, 2>(),
            _ => self.blocks::<L, LINES, VECTORS, 0, 0>(),
        }
    }

    /// In blocks of `LINES` rows and `VECTORS` vectors, for kernels of `SIDE` by `SIDE` that move by `STEP` columns, or any where `SIDE` is 0.
    #[inline(always)]
    fn blocks<
        L: Lanes,
        const LINES: usize,
        const VECTORS: usize,
        const SIDE: usize,
        const STEP: usize,
    >(
        self,
    ) {
        let Sweep {
            window,
            gather,
            kernels,
            maps,
            result,
        } = self;
        let [lines, columns] = window.output;
        // Results that are fewer than a block's are made elsewhere.
        let size = [lines.max(LINES), columns.max(VECTORS * L::COUNT)];
        let is_whole = window.output == size;
        let mut elsewhere = vec![0.0; if is_whole { 0 } else { size[0] * size[1] }];
        let plan = Plan::of(window, size);
        let [step_y, step_x] = window.strides;
        let pitch = plan.part * step_x;
        let mut rimmed = vec![G::RIM; plan.rows * pitch];
        let maps = maps.chunks_exact(window.size.iter().product());
        let results = result.chunks_exact_mut(window.positions());
        for ((map, result), (weights, start)) in maps.zip(results).zip(kernels) {
            match step_x {
                1 => with_rim(map, window.size, window.before, &mut rimmed, pitch),
                _ => apart(map, window, &mut rimmed, plan.part),
            }
            let slots = match is_whole {
                true => &mut *result,
                false => &mut elsewhere,
            };
            for y in (0..lines).step_by(LINES) {
                // The last strip reaches back, so that it is whole.
                let y = y.min(size[0] - LINES);
                let strip = Strip {
                    values: &rimmed[y * step_y * pitch..],
                    distance: step_y * pitch,
                    line: window.dilations[0] * pitch,
                    plan: &plan,
                    weights,
                    start,
                    y,
                };
                let slots = &mut slots[y * size[1]..][..LINES * size[1]];
                strip.sum::<L, G, LINES, VECTORS, SIDE, STEP>(gather, slots);
            }
            if !is_whole {
                let lines = elsewhere.chunks_exact(size[1]);
                for (slots, line) in result.chunks_exact_mut(columns).zip(lines) {
                    slots.copy_from_slice(&line[..columns]);
                }
            }
        }
    }
}

/// Some rows of results, and what lies under their windows.
struct Strip<'a> {
    /// The map, from the first window's corner on.
    values: &'a [f32],
    /// From one row of windows to the next.
    distance: usize,
    /// From one row of a window to the next.
    line: usize,
    plan: &'a Plan,
    weights: &'a [f32],
    /// What sums start with.
    start: f32,
    /// The first row.
    y: usize,
}

impl Strip<'_> {
    /// Makes `LINES` rows of results, block by block; the last one reaches back.
    ///
    /// In WebAssembly this is a function of its own: V8 keeps sums in registers only where little else is going on.
    #[cfg_attr(target_arch = "wasm32", inline(never))]
    #[cfg_attr(not(target_arch = "wasm32"), inline(always))]
    fn sum<
        L: Lanes,
        G: Gather,
        const LINES: usize,
        const VECTORS: usize,
        const SIDE: usize,
        const STEP: usize,
    >(
        &self,
        gather: G,
        slots: &mut [f32],
    ) {
        let columns = slots.len() / LINES;
        let width = VECTORS * L::COUNT;
        let furthest = self.plan.furthest;
        assert!(furthest + (LINES - 1) * self.distance + columns <= self.values.len());
        assert!(width <= columns && self.weights.len() == self.plan.taps.len());
        for x in (0..columns).step_by(width) {
            let x = x.min(columns - width);
            // Safety: the assertion is about the last of all columns.
            let mut sums: [[L; VECTORS]; LINES] = unsafe {
                match SIDE {
                    0 => self.any(gather, x),
                    _ => self.square::<L, G, LINES, VECTORS, SIDE, STEP>(gather, x),
                }
            };
            gather.end(&mut sums, self.y, x);
            for (line, sums) in sums.iter().enumerate() {
                for (vector, sum) in sums.iter().enumerate() {
                    let offset = line * columns + x + vector * L::COUNT;
                    // Safety: slots are `LINES` rows, and a block ends with the last column.
                    unsafe { sum.store(slots.as_mut_ptr().add(offset)) };
                }
            }
        }
    }

    /// The sums of a block from column `x` on.
    ///
    /// # Safety
    /// `values` must hold what its last window sees.
    #[inline(always)]
    unsafe fn any<L: Lanes, G: Gather, const LINES: usize, const VECTORS: usize>(
        &self,
        gather: G,
        x: usize,
    ) -> [[L; VECTORS]; LINES] {
        let mut sums = [[L::splat(self.start); VECTORS]; LINES];
        for (weight, &tap) in self.weights.iter().zip(&self.plan.taps) {
            let weight = L::splat(*weight);
            for (line, sums) in sums.iter_mut().enumerate() {
                for (vector, sum) in sums.iter_mut().enumerate() {
                    let offset = x + tap + line * self.distance + vector * L::COUNT;
                    // Safety: as the caller grants.
                    let value = unsafe { L::load(self.values.as_ptr().add(offset)) };
                    *sum = gather.add(*sum, weight, value);
                }
            }
        }
        sums
    }

    /// The sums of a block from column `x` on, for windows of `SIDE` by `SIDE`: without a loop, once it is compiled.
    ///
    /// # Safety
    /// As of [`any`](Strip::any), and the taps must be those of such a window.
    #[inline(always)]
    unsafe fn square<
        L: Lanes,
        G: Gather,
        const LINES: usize,
        const VECTORS: usize,
        const SIDE: usize,
        const STEP: usize,
    >(
        &self,
        gather: G,
        x: usize,
    ) -> [[L; VECTORS]; LINES] {
        let mut sums = [[L::splat(self.start); VECTORS]; LINES];
        for y in 0..SIDE {
            for tap in 0..SIDE {
                // Safety: as the caller grants.
                unsafe {
                    let weight = L::load_splat(self.weights.as_ptr().add(y * SIDE + tap));
                    let from = self.values.as_ptr().add(x + y * self.line);
                    let from = from.add(tap % STEP * self.plan.part).add(tap / STEP);
                    for (line, sums) in sums.iter_mut().enumerate() {
                        let from = from.add(line * self.distance);
                        for (vector, sum) in sums.iter_mut().enumerate() {
                            let value = L::load(from.add(vector * L::COUNT));
                            *sum = gather.add(*sum, weight, value);
                        }
                    }
                }
            }
        }
        sums
    }
}

/// Copies a map behind its rim, each row as as many parts as the stride has steps: part `p` holds columns `p`, `p + step`, and so on.
fn apart(map: &[f32], window: &Window, to: &mut [f32], part: usize) {
    let [_, step] = window.strides;
    let before = window.before[1];
    let lines = to.chunks_exact_mut(part * step).skip(window.before[0]);
    for (line, source) in lines.zip(map.chunks_exact(window.size[1])) {
        // What there is no room for, no window sees.
        let source = &source[..source.len().min((part * step).saturating_sub(before))];
        if step == 2 && source.len() >= PAIR {
            apart_by_two(source, before, line, part);
            continue;
        }
        for (phase, slots) in line.chunks_exact_mut(part).enumerate() {
            // The first column of the map that belongs to this part.
            let first = (phase + step - before % step) % step;
            let values = source.iter().skip(first).step_by(step);
            let slots = slots.iter_mut().skip((before + first) / step);
            for (slot, value) in slots.zip(values) {
                *slot = *value;
            }
        }
    }
}

/// [`apart`] of a row of at least two registers, for a stride of two.
fn apart_by_two(source: &[f32], before: usize, line: &mut [f32], part: usize) {
    // Columns at even places of the row go to one part, those at odd ones to the other.
    let [even, odd] = [before, before + 1].map(|place| place % 2 * part + place / 2);
    let pairs = source.len() / 2;
    assert!(source.len() >= PAIR && pairs + even.max(odd) <= line.len());
    // The last step reaches back.
    for first in (0..pairs).step_by(Four::COUNT) {
        let first = first.min(pairs - Four::COUNT);
        // Safety: two registers are read from an even place on, as many pairs; each part has room for its half of all pairs.
        unsafe {
            let from = source.as_ptr().add(2 * first);
            let (a, b) = (Four::load(from), Four::load(from.add(Four::COUNT)));
            a.even(b).store(line.as_mut_ptr().add(even + first));
            a.odd(b).store(line.as_mut_ptr().add(odd + first));
        }
    }
    if let Some(last) = source.get(2 * pairs) {
        line[even + pairs] = *last;
    }
}
