//! Products of matrices, as tract writes them: sums over some axes of a product of two tensors.

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::einsum::EinSum;

use super::super::Precision;
use super::super::kernels::Tile;
use super::super::program::{BufferId, Numbers, Port};
use super::walk::{Walk, rows};
use super::{F32, Lowering, volume};

pub(super) fn lower(to: &mut Lowering<'_>, node: &TypedNode) -> Result<Option<Vec<Port>>, String> {
    let Some(op) = node.op_as::<EinSum>() else {
        return Ok(None);
    };
    if op.q_params.is_some() || op.operating_dt != F32 || to.kinds(node) != [F32, F32] {
        return Ok(None);
    }
    let (Some(x), Some(z), Some(y)) = (
        to.shape_in(node, 0),
        to.shape_in(node, 1),
        node.outputs[0]
            .fact
            .shape
            .as_concrete()
            .map(<[usize]>::to_vec),
    ) else {
        return Ok(None);
    };
    let Some(axes) = Axes::of(op, [&x, &z, &y]) else {
        return Ok(None);
    };
    if [&x, &z, &y]
        .iter()
        .any(|shape| volume(shape) == 0 || volume(shape) >= i32::MAX as usize)
    {
        return Ok(None);
    }
    let inputs = to.inputs(node)?;
    let result = to.room_for(node, 0)?;
    let operands = [&inputs[0], &inputs[1], &result].map(|port| port.buffer);
    if let Some(product) = Product::new(&axes) {
        product.add(to, operands);
        return Ok(Some(vec![result]));
    }
    in_order(to, &axes, operands)?;
    Ok(Some(vec![result]))
}

/// A product where the axes of a side do not follow one another in memory: the factors are copied into an order in which they do, repeated
/// along the axes that they lack, and the result is copied back.
fn in_order(to: &mut Lowering<'_>, axes: &Axes, operands: [BufferId; 3]) -> Result<(), String> {
    let mut ordered = axes.clone();
    let mut copies = Vec::new();
    for tensor in 0..3 {
        let lacks = [Side::Column, Side::Row, Side::Depth][tensor];
        let own: Vec<&Axis> = axes.0.iter().filter(|axis| axis.side != lacks).collect();
        let sizes: Vec<usize> = own.iter().map(|axis| axis.size).collect();
        let apart: Vec<isize> = own.iter().map(|axis| axis.steps[tensor]).collect();
        let together = rows(&sizes);
        let theirs = ordered.0.iter_mut().filter(|axis| axis.side != lacks);
        theirs
            .zip(&together)
            .for_each(|(axis, step)| axis.steps[tensor] = *step);
        copies.push((to.room(F32, &sizes)?.buffer, sizes, apart, together));
    }
    let copy = |to: &mut Lowering<'_>, from, into, sizes: &[usize], steps| {
        let walk = Walk::new(sizes, steps).ok_or("a product has too many axes")?;
        let numbers = Numbers::default()
            .longs([volume(sizes), 0, 0])
            .ints([walk.axes])
            .ints(walk.shape);
        let numbers = numbers.ints(walk.steps[0]).ints(walk.steps[1]);
        to.each("copy_4", volume(sizes), &[from], into, numbers);
        Ok::<_, String>(())
    };
    for ((copied, sizes, apart, together), own) in copies.iter().zip(operands).take(2) {
        copy(to, own, *copied, sizes, [apart.clone(), together.clone()])?;
    }
    let product = Product::new(&ordered).ok_or("a product cannot be brought into order")?;
    product.add(to, [copies[0].0, copies[1].0, copies[2].0]);
    let (copied, sizes, apart, together) = &copies[2];
    copy(
        to,
        *copied,
        operands[2],
        sizes,
        [together.clone(), apart.clone()],
    )
}

/// What an axis is for: in both factors and the result, in one factor and the result, or summed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Batch,
    Row,
    Column,
    Depth,
}

/// An axis and its step in first factor, second factor and result: 0 where a tensor lacks it or has one element for all.
#[derive(Debug, Clone)]
struct Axis {
    side: Side,
    size: usize,
    steps: [isize; 3],
}

/// All axes, side by side, those of a side in the order in which they lie in the result, or in the first factor where they are summed.
#[derive(Debug, Clone)]
struct Axes(Vec<Axis>);

impl Axes {
    fn of(op: &EinSum, shapes: [&Vec<usize>; 3]) -> Option<Axes> {
        let steps = shapes.map(|shape| rows(shape));
        let mut axes = Vec::new();
        for axis in op.axes.iter_all_axes() {
            let places = [&axis.inputs[0], &axis.inputs[1], &axis.outputs[0]];
            // A diagonal.
            if places.iter().any(|places| places.len() > 1) {
                return None;
            }
            let places = places.map(|places| places.first().copied());
            let side = match places.map(|place| place.is_some()) {
                [true, true, true] => Side::Batch,
                [true, false, true] | [false, false, true] => Side::Row,
                [false, true, true] => Side::Column,
                [_, _, false] => Side::Depth,
            };
            let size_in: [usize; 3] =
                std::array::from_fn(|tensor| places[tensor].map_or(1, |at| shapes[tensor][at]));
            let step = |tensor: usize| match places[tensor] {
                Some(at) if size_in[tensor] > 1 => steps[tensor][at],
                _ => 0,
            };
            let own = Axis {
                side,
                size: size_in.into_iter().max()?,
                steps: std::array::from_fn(step),
            };
            axes.push((side, places, own));
        }
        axes.sort_by_key(|(side, places, _)| (*side, places[2].or(places[0]).or(places[1])));
        Some(Axes(axes.into_iter().map(|(_, _, axis)| axis).collect()))
    }
}

/// A product whose sides are each one axis.
#[derive(Debug, Clone)]
struct Product {
    /// Sizes of batch, rows, columns and depth.
    sizes: [usize; 4],
    /// Steps along them in the first factor, the second, and the result.
    steps: [[usize; 3]; 4],
}

impl Product {
    fn new(axes: &Axes) -> Option<Product> {
        let mut product = Product {
            sizes: [1; 4],
            steps: [[0; 3]; 4],
        };
        for (at, side) in [Side::Batch, Side::Row, Side::Column, Side::Depth]
            .into_iter()
            .enumerate()
        {
            let own: Vec<&Axis> = axes.0.iter().filter(|axis| axis.side == side).collect();
            let sizes: Vec<usize> = own.iter().map(|axis| axis.size).collect();
            let steps =
                std::array::from_fn(|tensor| own.iter().map(|axis| axis.steps[tensor]).collect());
            let walk = Walk::<3>::new(&sizes, steps)?;
            if walk.axes > 1 {
                return None;
            }
            product.sizes[at] = volume(&sizes);
            product.steps[at] = walk.steps.map(|steps| steps[0] as usize);
        }
        Some(product)
    }

    fn add(mut self, to: &mut Lowering<'_>, [mut x, mut z, y]: [BufferId; 3]) {
        let lies_across =
            |steps: &[[usize; 3]; 4]| steps[1][2] == 1 && self.sizes[1] > 1 && steps[2][2] != 1;
        if lies_across(&self.steps) {
            // The transposed product, so that neighbouring threads write neighbouring elements.
            self.sizes.swap(1, 2);
            self.steps.swap(1, 2);
            self.steps.iter_mut().for_each(|steps| steps.swap(0, 1));
            std::mem::swap(&mut x, &mut z);
        }
        let [batch, down, across, depth] = self.sizes;
        let [batches, rows, columns, depths] = self.steps;
        let tiles = Tiles::of(down, across);
        let numbers = Numbers::default()
            .longs([batches[0], rows[0], depths[0]])
            .longs([batches[1], depths[1], columns[1]])
            .longs([batches[2], rows[2], columns[2]])
            .ints([down, across, depth, tiles.down, tiles.across].map(|value| value as i32));
        to.launch(
            tiles.dense(to.precision),
            batch * tiles.down * tiles.across,
            &[x, z],
            &[y],
            numbers,
        );
    }
}

/// How a result is cut into tiles.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tiles {
    tile: Tile,
    /// Tiles below one another.
    pub down: usize,
    /// Tiles beside one another.
    pub across: usize,
}

impl Tiles {
    /// Large tiles where both sides fill them, since they read least; low ones for few rows.
    pub fn of(rows: usize, columns: usize) -> Tiles {
        let tile = match (rows, columns) {
            (..=32, _) => Tile::Low,
            (96.., 128..) if rows.next_multiple_of(128) * 4 <= rows * 5 => Tile::Large,
            _ => Tile::Small,
        };
        let (height, width) = tile.size();
        Tiles {
            tile,
            down: rows.div_ceil(height),
            across: columns.div_ceil(width),
        }
    }

    /// The kernel that multiplies matrices.
    fn dense(&self, precision: Precision) -> &'static str {
        match (precision, self.tile) {
            (Precision::Strict, Tile::Large) => "dense_128_128",
            (Precision::Strict, Tile::Small) => "dense_64_64",
            (Precision::Strict, Tile::Low) => "dense_32_128",
            (Precision::Fast, Tile::Large) => "dense_128_128_fast",
            (Precision::Fast, Tile::Small) => "dense_64_64_fast",
            (Precision::Fast, Tile::Low) => "dense_32_128_fast",
        }
    }

    /// The kernel that multiplies weights with windows.
    pub fn windows(&self, precision: Precision) -> &'static str {
        match (precision, self.tile) {
            (Precision::Strict, Tile::Large) => "windows_128_128",
            (Precision::Strict, Tile::Small) => "windows_64_64",
            (Precision::Strict, Tile::Low) => "windows_32_128",
            (Precision::Fast, Tile::Large) => "windows_128_128_fast",
            (Precision::Fast, Tile::Small) => "windows_64_64_fast",
            (Precision::Fast, Tile::Low) => "windows_32_128_fast",
        }
    }
}
