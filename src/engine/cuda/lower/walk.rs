//! Walking tensors that lie differently in memory along the same axes.

use super::super::program::MOST_AXES;

/// Axes, longest neighbours merged, and the step along each of them in each of `N` tensors, in elements.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Walk<const N: usize> {
    /// How many axes are in use.
    pub axes: i32,
    /// Sizes of the axes.
    pub shape: [i32; MOST_AXES],
    /// Steps, a row a tensor.
    pub steps: [[i32; MOST_AXES]; N],
}

impl<const N: usize> Walk<N> {
    /// The walk over `shape` with these steps. Axes of one element are left out, and two neighbours are one wherever the outer one continues
    /// the inner one in every tensor. `None` where more than [`MOST_AXES`] are left or a number is beyond 32 bits.
    pub fn new(shape: &[usize], steps: [Vec<isize>; N]) -> Option<Walk<N>> {
        let mut merged: Vec<(usize, [isize; N])> = Vec::new();
        for (axis, &size) in shape.iter().enumerate().filter(|(_, size)| **size != 1) {
            let here: [isize; N] = std::array::from_fn(|tensor| steps[tensor][axis]);
            match merged.last_mut() {
                Some((outer, their))
                    if (0..N).all(|tensor| their[tensor] == here[tensor] * size as isize) =>
                {
                    *outer *= size;
                    *their = here;
                }
                _ => merged.push((size, here)),
            }
        }
        if merged.len() > MOST_AXES || shape.iter().product::<usize>() > i32::MAX as usize {
            return None;
        }
        let mut walk = Walk {
            axes: merged.len() as i32,
            shape: [1; MOST_AXES],
            steps: [[0; MOST_AXES]; N],
        };
        for (axis, (size, steps)) in merged.into_iter().enumerate() {
            walk.shape[axis] = i32::try_from(size).ok()?;
            for (tensor, step) in steps.into_iter().enumerate() {
                walk.steps[tensor][axis] = i32::try_from(step).ok()?;
            }
        }
        Some(walk)
    }
}

/// Steps of a tensor that lies row by row.
pub(super) fn rows(shape: &[usize]) -> Vec<isize> {
    let mut steps = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        steps[axis - 1] = steps[axis] * shape[axis] as isize;
    }
    steps
}

/// Steps of a tensor of `shape` that is repeated to the shape `to`: its axes are the last ones of `to`, those of one element stand still.
pub(super) fn repeated(shape: &[usize], to: &[usize]) -> Vec<isize> {
    let own = rows(shape);
    let new = to.len().saturating_sub(shape.len());
    (0..to.len())
        .map(|axis| match axis.checked_sub(new) {
            Some(at) if shape[at] != 1 => own[at],
            _ => 0,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_merged_where_all_tensors_agree() {
        let shape = [2, 3, 1, 4];
        let whole = Walk::new(&shape, [rows(&shape), rows(&shape)]).unwrap();
        assert_eq!((whole.axes, whole.shape[0], whole.steps[1][0]), (1, 24, 1));
        let channel = Walk::new(
            &[2, 3, 4],
            [rows(&[2, 3, 4]), repeated(&[3, 1], &[2, 3, 4])],
        )
        .unwrap();
        assert_eq!(channel.axes, 3);
        assert_eq!(channel.steps[1][..3], [0, 1, 0]);
        let scalar = Walk::new(&[2, 3, 4], [rows(&[2, 3, 4]), repeated(&[], &[2, 3, 4])]).unwrap();
        assert_eq!((scalar.axes, scalar.steps[1][0]), (1, 0));
        let many = [2; 7];
        let mut turned = rows(&many);
        turned.reverse();
        assert_eq!(Walk::new(&many, [rows(&many), turned]), None);
    }
}
