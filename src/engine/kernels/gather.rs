//! Columns of a convolution: for each position of the window, the values under it.

use super::lanes::{LANES, Lanes};
use super::tile::COLUMNS;
use super::window::Window;

/// Maps from which columns are gathered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maps<'a> {
    pub values: &'a [f32],
    /// Rows and columns of a map.
    pub size: [usize; 2],
    /// How many maps.
    pub count: usize,
}

/// Makes columns from position `first` on, as panels `[map, tap, COLUMNS]`. Positions behind the last repeat it.
pub(super) fn columns(
    maps: Maps,
    window: &Window,
    taps: &[usize],
    first: usize,
    block: &mut [f32],
) {
    let area = maps.size.iter().product::<usize>();
    let depth = maps.count * taps.len();
    let last = window.positions() - 1;
    for (panel, slots) in block.chunks_exact_mut(depth * COLUMNS).enumerate() {
        let places: [usize; COLUMNS] = std::array::from_fn(|column| {
            let position = (first + panel * COLUMNS + column).min(last);
            let (y, x) = (position / window.output[1], position % window.output[1]);
            y * window.strides[0] * maps.size[1] + x * window.strides[1]
        });
        let furthest = taps.last().copied().unwrap_or(0) + places[COLUMNS - 1];
        assert!(maps.count * area <= maps.values.len() && furthest < area);
        let is_run = |step: usize| {
            places
                .iter()
                .enumerate()
                .all(|(column, &place)| place == places[0] + column * step)
        };
        let mut steps = slots.chunks_exact_mut(COLUMNS);
        if is_run(1) {
            each(maps, area, taps, &mut steps, |map, tap, slots| {
                // Safety: the last of eight neighbours is that of the furthest place and tap, which lies in the map.
                unsafe {
                    let from = map.as_ptr().add(places[0] + tap);
                    Lanes::load(from).store(slots.as_mut_ptr());
                    Lanes::load(from.add(LANES)).store(slots.as_mut_ptr().add(LANES));
                }
            });
        } else if is_run(2) {
            each(maps, area, taps, &mut steps, |map, tap, slots| {
                // Safety: the last vector ends with the float of the furthest place and tap, since it starts one float early.
                unsafe {
                    let from = map.as_ptr().add(places[0] + tap);
                    let [a, b, c] =
                        [0, LANES, 2 * LANES].map(|offset| Lanes::load(from.add(offset)));
                    let d = Lanes::load(from.add(3 * LANES - 1));
                    a.even(b).store(slots.as_mut_ptr());
                    c.even_odd(d).store(slots.as_mut_ptr().add(LANES));
                }
            });
        } else {
            each(maps, area, taps, &mut steps, |map, tap, slots| {
                for (slot, &place) in slots.iter_mut().zip(&places) {
                    // Safety: no place and tap lie behind the furthest ones.
                    *slot = unsafe { *map.get_unchecked(place + tap) };
                }
            });
        }
    }
}

/// Calls `make` for each tap of each map, with room for its values.
#[inline(always)]
fn each<'a>(
    maps: Maps,
    area: usize,
    taps: &[usize],
    steps: &mut impl Iterator<Item = &'a mut [f32]>,
    make: impl Fn(&[f32], usize, &mut [f32]),
) {
    for map in maps.values.chunks_exact(area).take(maps.count) {
        for (&tap, slots) in taps.iter().zip(&mut *steps) {
            make(map, tap, slots);
        }
    }
}
