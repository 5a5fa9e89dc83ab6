//! Columns of a convolution: for each position of the window, the values under it.

use super::lanes::{Four, Lanes};
use super::window::Window;

/// The most columns that a panel has.
const MOST: usize = 48;

/// What columns are gathered from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maps<'a> {
    pub values: &'a [f32],
    /// Rows and columns of a map.
    pub size: [usize; 2],
    /// How many maps.
    pub count: usize,
    pub window: &'a Window,
    /// Where the window's weights lie in a map, from its corner.
    pub taps: &'a [usize],
}

impl Maps<'_> {
    /// Values of a column.
    pub(super) fn depth(&self) -> usize {
        self.count * self.taps.len()
    }

    /// Where the window's corner lies in a map at a position.
    #[inline(always)]
    fn place(&self, position: usize) -> usize {
        let [_, columns] = self.window.output;
        let [y, x] = [position / columns, position % columns];
        y * self.window.strides[0] * self.size[1] + x * self.window.strides[1]
    }
}

/// Makes a panel `[map, tap, VECTORS]` of columns from position `first` on. What stands in the columns behind the last position is
/// anything.
#[inline(always)]
pub(super) fn columns<L: Lanes, const VECTORS: usize>(
    maps: &Maps,
    first: usize,
    panel: &mut [f32],
) {
    let width = VECTORS * L::COUNT;
    let area = maps.size.iter().product::<usize>();
    let last = maps.window.positions() - 1;
    let mut places = [0; MOST];
    let places = &mut places[..width];
    let [row, step] = [maps.window.output[1], maps.window.strides[1]];
    if first % row + width <= row {
        let corner = maps.place(first);
        for (column, place) in places.iter_mut().enumerate() {
            *place = corner + column * step;
        }
    } else {
        for (column, place) in places.iter_mut().enumerate() {
            *place = maps.place((first + column).min(last));
        }
    }
    let places = &*places;
    let furthest = maps.taps.last().copied().unwrap_or(0) + places[width - 1];
    assert!(maps.count * area <= maps.values.len() && furthest < area);
    let is_run = |step: usize| {
        let mut columns = places.iter().enumerate();
        columns.all(|(column, &place)| place == places[0] + column * step)
    };
    let mut steps = panel.chunks_exact_mut(width);
    if is_run(1) {
        each(maps, area, &mut steps, |map, tap, slots| {
            // Safety: the last of so many neighbours is that of the furthest place and tap, which lies in the map.
            unsafe {
                let (from, to) = (map.as_ptr().add(places[0] + tap), slots.as_mut_ptr());
                for offset in (0..VECTORS).map(|vector| vector * L::COUNT) {
                    L::load(from.add(offset)).store(to.add(offset));
                }
            }
        });
    } else if is_run(2) {
        each(maps, area, &mut steps, |map, tap, slots| {
            // Safety: the last vector ends with the float of the furthest place and tap, since it starts one float early.
            unsafe {
                let (from, to) = (map.as_ptr().add(places[0] + tap), slots.as_mut_ptr());
                for vector in 0..VECTORS {
                    let offset = vector * L::COUNT;
                    let values = L::load(from.add(2 * offset));
                    let behind = from.add(2 * offset + L::COUNT);
                    let values = match vector + 1 < VECTORS {
                        true => values.even(L::load(behind)),
                        false => values.even_odd(L::load(behind.sub(1))),
                    };
                    values.store(to.add(offset));
                }
            }
        });
    } else if L::HAS_MASKS && step <= 2 {
        let runs = Runs::of(maps, first, width.min(last + 1 - first), L::COUNT);
        each(maps, area, &mut steps, |map, tap, slots| {
            for run in runs.list() {
                // Safety: a run ends at a place of the panel, and its slots in it.
                unsafe {
                    let from = map.as_ptr().add(run.place + tap);
                    let to = slots.as_mut_ptr().add(run.column);
                    if step == 1 {
                        L::load_first(from, run.count).store_first(to, run.count);
                    } else {
                        let reach = 2 * run.count - 1;
                        let lower = L::load_first(from, reach.min(L::COUNT));
                        let rest = reach.saturating_sub(L::COUNT);
                        // Nothing is read where nothing is left, wherever that would be.
                        let upper = L::load_first(from.wrapping_add(L::COUNT), rest);
                        lower.even(upper).store_first(to, run.count);
                    }
                }
            }
        });
    } else {
        each(maps, area, &mut steps, |map, tap, slots| {
            for (slot, &place) in slots.iter_mut().zip(places) {
                // Safety: no place and tap lie behind the furthest ones.
                *slot = unsafe { *map.get_unchecked(place + tap) };
            }
        });
    }
}

/// How columns are divided into panels of four: of the first ones three count. Where there are 1, 2 or 5 columns, fewer are left for the
/// last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Panels {
    /// In how many it is three.
    narrow: usize,
}

impl Panels {
    pub(super) fn of(columns: usize) -> Panels {
        let count = columns.div_ceil(Four::COUNT);
        Panels {
            narrow: (count * Four::COUNT - columns).min(count),
        }
    }

    /// The first column of a panel.
    pub(super) fn first(self, panel: usize) -> usize {
        panel * Four::COUNT - panel.min(self.narrow)
    }

    /// Columns of a panel that count, and in how many panels from there on; there is no end to those of four.
    pub(super) fn alike(self, panel: usize) -> (usize, usize) {
        match self.narrow.checked_sub(panel) {
            Some(count @ 1..) => (Four::COUNT - 1, count),
            _ => (Four::COUNT, usize::MAX),
        }
    }
}

/// Makes panels of four columns, `[map, tap, 4]` each, from panel `first` on: several at once where their positions follow each other in
/// a row of the result, so that a line of the processor's cache is read once.
#[inline(always)]
pub(super) fn panels(maps: &Maps, all: Panels, first: usize, panels: &mut [f32]) {
    let length = (maps.depth() * Four::COUNT).max(1);
    let last = first + panels.len() / length;
    let [row, step] = [maps.window.output[1], maps.window.strides[1]];
    let mut panel = first;
    while panel < last {
        let column = all.first(panel);
        let (width, alike) = all.alike(panel);
        let left = row - column % row;
        let whole = (left + width).saturating_sub(Four::COUNT) / width;
        let count = whole.min(alike).min(last - panel);
        let to = &mut panels[(panel - first) * length..];
        panel += match (step, count) {
            (1, 8..) => group::<1, 8>(maps, column, width, to),
            (1, 4..) => group::<1, 4>(maps, column, width, to),
            (1, 1..) => group::<1, 1>(maps, column, width, to),
            (2, 4..) => group::<2, 4>(maps, column, width, to),
            (2, 1..) => group::<2, 1>(maps, column, width, to),
            _ => {
                columns::<Four, 1>(maps, column, &mut to[..length]);
                1
            }
        };
    }
}

/// Makes `COUNT` panels whose first columns lie `width` positions apart, from position `first` on, all in one row of the result,
/// where the window moves by `STEP` columns. Returns how many it made.
#[inline(never)]
fn group<const STEP: usize, const COUNT: usize>(
    maps: &Maps,
    first: usize,
    width: usize,
    panels: &mut [f32],
) -> usize {
    let area = maps.size.iter().product::<usize>();
    let length = maps.depth() * Four::COUNT;
    let corner = maps.place(first);
    let furthest = corner
        + maps.taps.last().copied().unwrap_or(0)
        + STEP * ((COUNT - 1) * width + Four::COUNT - 1);
    assert!(maps.count * area <= maps.values.len() && furthest < area);
    assert!(COUNT * length <= panels.len());
    let mut to = panels.as_mut_ptr();
    let mut copy = |from: *const f32| {
        for panel in 0..COUNT {
            // Safety: the furthest column of the furthest tap lies in the map, and there is room for so many panels.
            unsafe {
                let from = from.add(STEP * panel * width);
                let values = match STEP {
                    1 => Four::load(from),
                    // The second register starts one early, so that it ends with the last column.
                    _ => Four::load(from).even_odd(Four::load(from.add(Four::COUNT - 1))),
                };
                values.store(to.add(panel * length));
            }
        }
        to = to.wrapping_add(Four::COUNT);
    };
    let mut from = maps.values[corner..].as_ptr();
    // Most have one tap, and products of few rows take a twentieth longer with a loop in a loop.
    if let [tap] = maps.taps {
        from = from.wrapping_add(*tap);
        for _ in 0..maps.count {
            copy(from);
            from = from.wrapping_add(area);
        }
        return COUNT;
    }
    for _ in 0..maps.count {
        for &tap in maps.taps {
            copy(from.wrapping_add(tap));
        }
        from = from.wrapping_add(area);
    }
    COUNT
}

/// Positions of a panel that lie in one row, a register at most.
#[derive(Debug, Clone, Copy, Default)]
struct Run {
    place: usize,
    column: usize,
    count: usize,
}

/// All of them.
struct Runs {
    runs: [Run; MOST],
    count: usize,
}

impl Runs {
    /// Those of `width` positions from `first` on.
    #[inline(always)]
    fn of(maps: &Maps, first: usize, width: usize, lanes: usize) -> Runs {
        let mut runs = Runs {
            runs: [Run::default(); MOST],
            count: 0,
        };
        let row = maps.window.output[1];
        let mut column = 0;
        while column < width {
            let position = first + column;
            let count = (row - position % row).min(width - column).min(lanes);
            runs.runs[runs.count] = Run {
                place: maps.place(position),
                column,
                count,
            };
            runs.count += 1;
            column += count;
        }
        runs
    }

    #[inline(always)]
    fn list(&self) -> &[Run] {
        &self.runs[..self.count]
    }
}

/// Calls `make` for each tap of each map, with room for its values.
#[inline(always)]
fn each<'a>(
    maps: &Maps,
    area: usize,
    steps: &mut impl Iterator<Item = &'a mut [f32]>,
    make: impl Fn(&[f32], usize, &mut [f32]),
) {
    for map in maps.values.chunks_exact(area).take(maps.count) {
        for (&tap, slots) in maps.taps.iter().zip(&mut *steps) {
            make(map, tap, slots);
        }
    }
}
