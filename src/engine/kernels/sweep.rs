//! A window that moves over maps one by one: depthwise convolutions and pooling.

use super::divide;
use super::lanes::Lanes;
use super::product::put;
use super::set::{Registers, Set, Work};
use super::window::{Window, with_rim};

/// Rows of results that are worked on at once.
const LINES: usize = 4;

/// What is gathered under the window.
pub(super) trait Gather: Copy + Sync {
    /// What lies outside the maps.
    const RIM: f32;
    /// Adds values under a weight of the kernel.
    fn add<L: Lanes>(self, sum: L, weight: L, value: L) -> L;
    /// The result at row `y` and the columns from `x` on.
    fn end<L: Lanes>(&self, sum: L, y: usize, x: usize) -> L;
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
    /// For blocks of `width` columns.
    fn of(window: &Window, width: usize) -> Plan {
        let [step_y, step_x] = window.strides;
        let lines = window.output[0].max(LINES);
        let columns = window.output[1].max(width);
        let rows = (lines - 1) * step_y + (window.kernel[0] - 1) * window.dilations[0] + 1;
        let part = columns + (window.kernel[1] - 1) * window.dilations[1] / step_x + 1;
        let pitch = part * step_x;
        let [height, width] = window.kernel;
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
        // Eight sums at once are what V8 has registers for.
        match self.window.output[1] {
            columns if columns >= 2 * R::Wide::COUNT => self.blocks::<R::Wide, 2>(),
            columns if columns > R::Narrow::COUNT => self.blocks::<R::Wide, 1>(),
            _ => self.blocks::<R::Narrow, 1>(),
        }
    }
}

impl<'a, G: Gather, K: Iterator<Item = (&'a [f32], f32)>> Sweep<'_, G, K> {
    /// In blocks of [`LINES`] rows and `VECTORS` vectors.
    #[inline(always)]
    fn blocks<L: Lanes, const VECTORS: usize>(self) {
        let Sweep {
            window,
            gather,
            kernels,
            maps,
            result,
        } = self;
        let width = VECTORS * L::COUNT;
        let plan = Plan::of(window, width);
        let [step_y, step_x] = window.strides;
        let pitch = plan.part * step_x;
        let mut rimmed = vec![G::RIM; plan.rows * pitch];
        let maps = maps.chunks_exact(window.size.iter().product());
        let results = result.chunks_exact_mut(window.positions());
        let [lines, columns] = window.output;
        for ((map, result), (weights, start)) in maps.zip(results).zip(kernels) {
            match step_x {
                1 => with_rim(map, window.size, window.before, &mut rimmed, pitch),
                _ => apart::<L>(map, window, &mut rimmed, plan.part),
            }
            // The last block of a row or column reaches back, so that it is whole; one that is all there is writes less.
            for y in (0..lines).step_by(LINES) {
                let y = y.min(lines.saturating_sub(LINES));
                for x in (0..columns).step_by(width) {
                    let x = x.min(columns.saturating_sub(width));
                    let corner = &rimmed[y * step_y * pitch + x..];
                    let sums: [[L; VECTORS]; LINES] =
                        block(gather, corner, step_y * pitch, weights, &plan, start);
                    for (line, sums) in sums.iter().enumerate() {
                        if line >= lines - y {
                            break;
                        }
                        let slots = &mut result[(y + line) * columns..][x..columns];
                        for (vector, sum) in sums.iter().enumerate() {
                            let offset = vector * L::COUNT;
                            if offset < slots.len() {
                                let value = gather.end(*sum, y + line, x + offset);
                                let count = L::COUNT.min(slots.len() - offset);
                                put(&[value], &mut slots[offset..][..count]);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Sums of a block whose rows lie `distance` apart.
#[inline(always)]
fn block<L: Lanes, G: Gather, const VECTORS: usize>(
    gather: G,
    values: &[f32],
    distance: usize,
    weights: &[f32],
    plan: &Plan,
    start: f32,
) -> [[L; VECTORS]; LINES] {
    assert!(plan.furthest + (LINES - 1) * distance + VECTORS * L::COUNT <= values.len());
    let mut sums = [[L::splat(start); VECTORS]; LINES];
    for (weight, &tap) in weights.iter().zip(&plan.taps) {
        let weight = L::splat(*weight);
        for (line, sums) in sums.iter_mut().enumerate() {
            for (vector, sum) in sums.iter_mut().enumerate() {
                // Safety: the assertion is about the last vector of the furthest tap.
                let value = unsafe {
                    let offset = tap + line * distance + vector * L::COUNT;
                    L::load(values.as_ptr().add(offset))
                };
                *sum = gather.add(*sum, weight, value);
            }
        }
    }
    sums
}

/// Copies a map behind its rim, each row as as many parts as the stride has steps: part `p` holds columns `p`, `p + step`, and so on.
#[inline(always)]
fn apart<L: Lanes>(map: &[f32], window: &Window, to: &mut [f32], part: usize) {
    let [_, step] = window.strides;
    let lines = to.chunks_exact_mut(part * step).skip(window.before[0]);
    for (line, source) in lines.zip(map.chunks_exact(window.size[1])) {
        for phase in 0..step {
            // The first value of the map that belongs to this part.
            let skipped = (phase + step - window.before[1] % step) % step;
            let first = (skipped + window.before[1]) / step;
            let slots = line[phase * part..][..part].get_mut(first..);
            if let (Some(slots), Some(source)) = (slots, source.get(skipped..)) {
                every::<L>(source, step, slots);
            }
        }
    }
}

/// Copies every `step`th value, from the first on.
#[inline(always)]
fn every<L: Lanes>(source: &[f32], step: usize, slots: &mut [f32]) {
    let count = slots.len().min(source.len().div_ceil(step));
    let mut done = 0;
    if step == 2 {
        while done + L::COUNT <= count && 2 * (done + L::COUNT) <= source.len() {
            // Safety: twice as many values as a register holds are left to read, and as many to write.
            unsafe {
                let from = source.as_ptr().add(2 * done);
                let values = L::load(from).even(L::load(from.add(L::COUNT)));
                values.store(slots.as_mut_ptr().add(done));
            }
            done += L::COUNT;
        }
        if L::HAS_MASKS && done < count {
            let (slots, source) = (&mut slots[done..count], &source[2 * done..]);
            every_second_of_last::<L>(source, slots);
            done = count;
        }
    }
    for index in done..count {
        slots[index] = source[index * step];
    }
}

/// Copies every second value to less slots than a register has floats, or as many where the source ends with the last of them.
#[inline(always)]
fn every_second_of_last<L: Lanes>(source: &[f32], slots: &mut [f32]) {
    let lower = source.len().min(L::COUNT);
    let upper = (source.len() - lower).min(L::COUNT);
    // Safety: as many values are read as there are; slots are a register at most.
    unsafe {
        let values = L::load_first(source.as_ptr(), lower);
        let behind = L::load_first(source.as_ptr().add(lower), upper);
        values
            .even(behind)
            .store_first(slots.as_mut_ptr(), slots.len());
    }
}
