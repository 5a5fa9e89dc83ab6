//! The geometry of a convolution over two axes, and its maps with a rim of zeros.

use super::divide;
use super::lanes::{Four, Lanes};
use super::room::with_room;

/// How a window moves over maps `[C, H, W]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Window {
    /// Rows and columns of a map.
    pub size: [usize; 2],
    /// Rows and columns of the result.
    pub output: [usize; 2],
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Rows and columns from one position to the next.
    pub strides: [usize; 2],
    /// Rows and columns from one of the kernel's weights to the next.
    pub dilations: [usize; 2],
    /// Rows and columns of zeros before the first.
    pub before: [usize; 2],
}

impl Window {
    /// Positions of the window: values of a result's map.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.output.iter().product()
    }

    /// Weights of a kernel.
    #[must_use]
    pub fn taps(&self) -> usize {
        self.kernel.iter().product()
    }

    /// Whether a map with its rim, its rows and columns rounded up to whole blocks, is not much larger than what goes in and out: a
    /// file may ask for a rim of millions.
    pub(super) fn is_modest(&self) -> bool {
        let extent = |axis: usize| {
            let [output, stride] = [self.output[axis].max(2 * Four::COUNT), self.strides[axis]];
            let steps = (output + 2) as u128 * stride as u128;
            steps + self.kernel[axis] as u128 * self.dilations[axis] as u128
        };
        let area = |size: [usize; 2]| size[0] as u128 * size[1] as u128;
        extent(0) * extent(1) <= 16 * (area(self.size) + area(self.output)) + (1 << 16)
    }

    /// The same window; one that visits every place in order sees each map as a single row.
    pub(super) fn flattened(&self) -> Window {
        let in_order = self.taps() == 1
            && self.strides == [1, 1]
            && self.before == [0, 0]
            && self.size == self.output;
        let mut window = self.clone();
        if in_order {
            window.size = [1, self.positions()];
            window.output = window.size;
        }
        window
    }

    /// Rows and columns of a map that the windows reach, the rim included.
    pub(super) fn reach(&self) -> [usize; 2] {
        std::array::from_fn(|axis| {
            (self.output[axis] - 1) * self.strides[axis]
                + (self.kernel[axis] - 1) * self.dilations[axis]
                + 1
        })
    }

    /// Where the kernel's weights lie in a map of `columns` columns, from the window's corner.
    pub(super) fn tap_offsets(&self, columns: usize) -> Vec<usize> {
        let [rows, taps] = self.kernel;
        (0..rows)
            .flat_map(|y| (0..taps).map(move |x| (y, x)))
            .map(|(y, x)| y * self.dilations[0] * columns + x * self.dilations[1])
            .collect()
    }
}

/// Calls `work` with maps that have as much rim as the windows reach beyond them, and the size of one: with those given, where
/// there is no rim.
pub(super) fn with_rims<R>(
    maps: &[f32],
    window: &Window,
    work: impl FnOnce(&[f32], [usize; 2]) -> R,
) -> R {
    let reach = window.reach();
    let inside = |axis: usize| reach[axis] <= window.size[axis];
    if window.before == [0, 0] && inside(0) && inside(1) {
        return work(maps, window.size);
    }
    let count = maps.len() / window.size.iter().product::<usize>();
    with_room(count * reach.iter().product::<usize>(), |room| {
        with_each_rim(maps, window, reach, room);
        work(room, reach)
    })
}

/// Copies maps to `to`, each as large as `size` says, behind the window's rim.
pub(super) fn with_each_rim(maps: &[f32], window: &Window, size: [usize; 2], to: &mut [f32]) {
    let [from, area] = [window.size, size].map(|size| size.iter().product::<usize>());
    let count = maps.len() / from;
    let parts = divide::parts(to.len() / Four::COUNT);
    divide::each_slice(to, count, parts, |first, slots| {
        slots.fill(0.0);
        let maps = maps[first * from..].chunks_exact(from);
        for (map, to) in maps.zip(slots.chunks_exact_mut(area)) {
            with_rim(map, window.size, window.before, to, size[1]);
        }
    });
}

/// Copies one map to `to`, `rows` by `columns` and full of zeros, behind `before` rows and columns; what does not fit is left out.
pub(super) fn with_rim(
    map: &[f32],
    size: [usize; 2],
    before: [usize; 2],
    to: &mut [f32],
    columns: usize,
) {
    // Where a stride is larger than the map, all that the windows see may be the rim.
    let start = before[1].min(columns);
    let width = size[1].min(columns - start);
    let lines = to.chunks_exact_mut(columns).skip(before[0]);
    for (line, source) in lines.zip(map.chunks_exact(size[1])) {
        line[start..][..width].copy_from_slice(&source[..width]);
    }
}
