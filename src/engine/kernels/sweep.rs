//! A window that moves over maps one by one: depthwise convolutions and pooling.

use super::divide;
use super::lanes::{LANES, Lanes};
use super::window::{Window, with_rim};

/// Rows of results that are worked on at once.
const LINES: usize = 4;

/// What is gathered under the window.
pub(super) trait Gather: Copy + Sync {
    /// What lies outside the maps.
    const RIM: f32;
    /// Adds four values under a weight of the kernel.
    fn add(self, sum: Lanes, weight: Lanes, value: Lanes) -> Lanes;
    /// The result at row `y` and the four columns from `x` on.
    fn end(&self, sum: Lanes, y: usize, x: usize) -> Lanes;
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
    window: &Window,
    gather: G,
    kernels: impl Fn(usize) -> (&'a [f32], f32) + Sync,
    maps: &[f32],
    result: &mut [f32],
) {
    let area = window.size.iter().product::<usize>();
    let count = result.len() / window.positions();
    let parts = divide::parts((result.len() * window.taps() + maps.len()) / LANES);
    divide::each_slice(result, count, parts.min(count.max(1)), |first, result| {
        let maps = &maps[first * area..];
        let kernels = (first..count).map(&kernels);
        // Eight sums at once are what V8 has registers for.
        if window.output[1] >= 2 * LANES {
            sweep_blocks::<G, 2>(window, gather, kernels, maps, result);
        } else {
            sweep_blocks::<G, 1>(window, gather, kernels, maps, result);
        }
    });
}

/// [`sweep`] in blocks of [`LINES`] rows and `VECTORS` vectors.
fn sweep_blocks<'a, G: Gather, const VECTORS: usize>(
    window: &Window,
    gather: G,
    kernels: impl Iterator<Item = (&'a [f32], f32)>,
    maps: &[f32],
    result: &mut [f32],
) {
    let width = VECTORS * LANES;
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
            _ => apart(map, window, &mut rimmed, plan.part),
        }
        // The last block of a row or column reaches back, so that it is whole; one that is all there is writes less.
        for y in (0..lines).step_by(LINES) {
            let y = y.min(lines.saturating_sub(LINES));
            for x in (0..columns).step_by(width) {
                let x = x.min(columns.saturating_sub(width));
                let corner = &rimmed[y * step_y * pitch + x..];
                let sums: [[Lanes; VECTORS]; LINES] =
                    block(gather, corner, step_y * pitch, weights, &plan, start);
                for (line, sums) in sums.into_iter().enumerate().take(lines - y) {
                    let slots = &mut result[(y + line) * columns..][x..columns];
                    for (vector, sum) in sums.into_iter().enumerate() {
                        let offset = vector * LANES;
                        if offset < slots.len() {
                            let value = gather.end(sum, y + line, x + offset);
                            put(value, &mut slots[offset..]);
                        }
                    }
                }
            }
        }
    }
}

/// Sums of a block whose rows lie `distance` apart.
#[inline(always)]
fn block<G: Gather, const VECTORS: usize>(
    gather: G,
    values: &[f32],
    distance: usize,
    weights: &[f32],
    plan: &Plan,
    start: f32,
) -> [[Lanes; VECTORS]; LINES] {
    assert!(plan.furthest + (LINES - 1) * distance + VECTORS * LANES <= values.len());
    let mut sums = [[Lanes::splat(start); VECTORS]; LINES];
    for (weight, &tap) in weights.iter().zip(&plan.taps) {
        let weight = Lanes::splat(*weight);
        for (line, sums) in sums.iter_mut().enumerate() {
            for (vector, sum) in sums.iter_mut().enumerate() {
                // Safety: the assertion is about the last vector of the furthest tap.
                let value = unsafe {
                    let from = values.as_ptr().add(tap + line * distance + vector * LANES);
                    Lanes::load(from)
                };
                *sum = gather.add(*sum, weight, value);
            }
        }
    }
    sums
}

#[inline(always)]
fn put(values: Lanes, slots: &mut [f32]) {
    if slots.len() >= LANES {
        // Safety: there is room for four.
        unsafe { values.store(slots.as_mut_ptr()) };
    } else {
        for (slot, value) in slots.iter_mut().zip(values.to_array()) {
            *slot = value;
        }
    }
}

/// Copies a map behind its rim, each row as as many parts as the stride has steps: part `p` holds columns `p`, `p + step`, and so on.
fn apart(map: &[f32], window: &Window, to: &mut [f32], part: usize) {
    let [_, step] = window.strides;
    let lines = to.chunks_exact_mut(part * step).skip(window.before[0]);
    for (line, source) in lines.zip(map.chunks_exact(window.size[1])) {
        for phase in 0..step {
            // The first value of the map that belongs to this part.
            let skipped = (phase + step - window.before[1] % step) % step;
            let first = (skipped + window.before[1]) / step;
            let slots = line[phase * part..][..part].get_mut(first..);
            if let (Some(slots), Some(source)) = (slots, source.get(skipped..)) {
                every(source, step, slots);
            }
        }
    }
}

/// Copies every `step`th value, from the first on.
#[inline(always)]
fn every(source: &[f32], step: usize, slots: &mut [f32]) {
    let count = slots.len().min(source.len().div_ceil(step));
    let mut done = 0;
    if step == 2 {
        while done + LANES <= count && 2 * (done + LANES) <= source.len() {
            // Safety: eight values are left to read, and four to write.
            unsafe {
                let from = source.as_ptr().add(2 * done);
                let values = Lanes::load(from).even(Lanes::load(from.add(LANES)));
                values.store(slots.as_mut_ptr().add(done));
            }
            done += LANES;
        }
    }
    for index in done..count {
        slots[index] = source[index * step];
    }
}
