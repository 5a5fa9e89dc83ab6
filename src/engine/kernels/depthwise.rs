//! Convolutions in which each map has a kernel of its own, with any stride.

use super::after::{After, finish};
use super::lanes::{LANES, Lanes};
use super::window::{Window, with_rim};

/// Rows of results that are worked on at once; a row of them is one vector.
const LINES: usize = 4;

/// Each map's kernel, one number a map, and what comes after.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kernels<'a> {
    pub window: &'a Window,
    /// `[maps, tap]`.
    pub values: &'a [f32],
    /// One number a map.
    pub bias: &'a [f32],
    pub after: &'a [After],
}

/// One map with its rim, its columns apart by the steps of the stride: those that lie under one weight are neighbours.
struct Plan {
    /// Rows that the windows of whole blocks reach.
    rows: usize,
    /// Columns of a part.
    part: usize,
    /// Where each weight finds its first value.
    taps: Vec<usize>,
}

impl Plan {
    fn of(window: &Window) -> Plan {
        let [step_y, step_x] = window.strides;
        let lines = window.output[0].max(LINES);
        let columns = window.output[1].max(LANES);
        let rows = (lines - 1) * step_y + (window.kernel[0] - 1) * window.dilations[0] + 1;
        let part = columns + (window.kernel[1] - 1) * window.dilations[1] / step_x + 1;
        let pitch = part * step_x;
        let [height, width] = window.kernel;
        let taps = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
        let taps = taps.map(|(y, x)| {
            let place = x * window.dilations[1];
            y * window.dilations[0] * pitch + place % step_x * part + place / step_x
        });
        Plan {
            rows,
            part,
            taps: taps.collect(),
        }
    }
}

/// Convolves `maps` into `result`, a map at a time.
pub(super) fn convolve(kernels: &Kernels, maps: &[f32], result: &mut [f32]) {
    let window = kernels.window;
    let plan = Plan::of(window);
    let [step_y, step_x] = window.strides;
    let pitch = plan.part * step_x;
    let mut rimmed = vec![0.0; plan.rows * pitch];
    let maps = maps.chunks_exact(window.size.iter().product());
    let results = result.chunks_exact_mut(window.positions());
    let weights = kernels.values.chunks_exact(window.taps());
    for (((map, result), weights), &bias) in maps.zip(results).zip(weights).zip(kernels.bias) {
        match step_x {
            1 => with_rim(map, window.size, window.before, &mut rimmed, pitch),
            _ => apart(map, window, &mut rimmed, plan.part),
        }
        let [lines, columns] = window.output;
        // The last block of a row or column reaches back, so that it is whole; one that is all there is writes less.
        for y in (0..lines)
            .step_by(LINES)
            .map(|y| y.min(lines.saturating_sub(LINES)))
        {
            for x in (0..columns)
                .step_by(LANES)
                .map(|x| x.min(columns.saturating_sub(LANES)))
            {
                let corner = y * step_y * pitch + x;
                let mut sums = block(&rimmed[corner..], step_y * pitch, weights, &plan.taps, bias);
                finish(&mut sums, kernels.after);
                for (line, sum) in sums.into_iter().enumerate().take(lines - y) {
                    put(sum, &mut result[(y + line) * columns..][x..columns]);
                }
            }
        }
    }
}

/// Sums of [`LINES`] by [`LANES`] results whose rows lie `distance` apart.
#[inline(always)]
fn block(
    values: &[f32],
    distance: usize,
    weights: &[f32],
    taps: &[usize],
    bias: f32,
) -> [Lanes; LINES] {
    let mut sums = [Lanes::splat(bias); LINES];
    for (weight, &tap) in weights.iter().zip(taps) {
        let weight = Lanes::splat(*weight);
        let lines = &values[tap..][..(LINES - 1) * distance + LANES];
        for (line, sum) in sums.iter_mut().enumerate() {
            // Safety: the slice ends behind the last line's vector.
            let value = unsafe { Lanes::load(lines.as_ptr().add(line * distance)) };
            *sum = sum.add(weight.mul(value));
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
            let slots = line[phase * part..][..part].iter_mut().skip(first);
            for (slot, value) in slots.zip(source.iter().skip(skipped).step_by(step)) {
                *slot = *value;
            }
        }
    }
}
