//! Hiding a part of a network's input: what a score rests on shows when it is taken away.

use std::ops::Range;

use ndarray::{Array4, Axis, s};

/// A half of the picture's area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The middle: of a frontal chest X-ray nearly all of the lungs.
    Middle,
    /// The rim around it: of a chest X-ray arms, neck, belly, letters, the film's edge.
    Rim,
}

/// Of each side, the middle: a little over the root of a half.
const SIDE: f64 = 0.71;

/// The rows and columns of the middle half of an area, in the middle of each side.
#[must_use]
pub fn middle(rows: usize, columns: usize) -> (Range<usize>, Range<usize>) {
    let within = |length: usize| {
        let margin = (length as f64 * (1.0 - SIDE) / 2.0).round() as usize;
        margin..length - margin
    };
    (within(rows), within(columns))
}

/// The input `[1, C, H, W]` with a part of it in one colour, a number a channel. It should say nothing of the picture: no mean of it, say.
#[must_use]
pub fn hide(input: &Array4<f32>, part: Part, colour: &[f32]) -> Array4<f32> {
    let (_, _, height, width) = input.dim();
    let (rows, columns) = middle(height, width);
    let middle = s![.., .., rows, columns];
    let mut plain = Array4::zeros(input.dim());
    for (mut channel, colour) in plain.axis_iter_mut(Axis(1)).zip(colour) {
        channel.fill(*colour);
    }
    let (mut below, above) = match part {
        Part::Middle => (input.clone(), plain),
        Part::Rim => (plain, input.clone()),
    };
    below.slice_mut(middle).assign(&above.slice(middle));
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_parts_make_the_whole() {
        let input = Array4::from_shape_fn((1, 1, 10, 20), |(_, _, y, x)| (y * 20 + x) as f32);
        let (rows, columns) = middle(10, 20);
        assert_eq!((rows.len(), columns.len()), (8, 14));
        let grey = 99.5;
        let [inside, outside] = [Part::Rim, Part::Middle].map(|part| hide(&input, part, &[grey]));
        for ((at, &a), &b) in inside.indexed_iter().zip(&outside) {
            let whole = input[at];
            assert!((a == whole && b == grey) || (a == grey && b == whole));
        }
        assert_eq!(inside[[0, 0, 5, 10]], 110.0);
        assert_eq!(outside[[0, 0, 0, 0]], 0.0);
    }
}
