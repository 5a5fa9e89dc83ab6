//! The rim that a graph puts around maps, a row at a time: tract's own takes longer than a row of seven for each. A gradient graph spreads
//! the cotangent of a mean over its map by one, too.

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::array::{Pad, PadMode};

use super::filled::filled;
use super::window::with_rim;

/// Replaces the operators that [`Rim`] can do.
pub(super) fn replace(model: &mut TypedModel) -> TractResult<()> {
    for id in 0..model.nodes().len() {
        let node = model.node(id);
        let Some(op) = node.op_as::<Pad>() else {
            continue;
        };
        if let Some(op) = Rim::of(op, model.outlet_fact(node.inputs[0])?) {
            model.node_mut(id).op = Box::new(op);
        }
    }
    Ok(())
}

/// What stands around a map.
#[derive(Debug, Clone, Copy, Hash, PartialEq, Eq)]
enum Around {
    /// One number, as it is stored, so that equal ones can be told.
    Number(u32),
    /// The nearest of the map's own.
    Edge,
}

/// A rim around maps `[.., H, W]`.
#[derive(Debug, Clone, Hash, PartialEq, Eq)]
struct Rim {
    /// Rows and columns of a map.
    size: [usize; 2],
    /// Rows and columns of the rim before the first.
    before: [usize; 2],
    /// What comes out, `[.., H, W]`.
    shape: TVec<usize>,
    around: Around,
}

impl Rim {
    fn of(op: &Pad, maps: &TypedFact) -> Option<Rim> {
        let around = match &op.mode {
            PadMode::Constant(value) => {
                Around::Number(value.cast_to_scalar::<f32>().ok()?.to_bits())
            }
            PadMode::Edge => Around::Edge,
            PadMode::Reflect => return None,
        };
        let from = maps.shape.as_concrete()?;
        let [others @ .., rows, columns] = op.pads.as_slice() else {
            return None;
        };
        let fits = maps.datum_type == DatumType::F32
            // A rim less than none is stored as a huge one; what is computed before there is a picture is nobody's business here.
            && op.pads.iter().all(|&(before, behind)| before.max(behind) <= isize::MAX as usize)
            && maps.konst.is_none()
            && from.len() == op.pads.len()
            && !from.contains(&0)
            && others.iter().all(|pads| *pads == (0, 0));
        if !fits {
            return None;
        }
        let padded = from.iter().zip(&op.pads);
        let padded = padded.map(|(size, pads)| size.checked_add(pads.0)?.checked_add(pads.1));
        Some(Rim {
            size: [from[from.len() - 2], from[from.len() - 1]],
            before: [rows.0, columns.0],
            shape: padded.collect::<Option<_>>()?,
            around,
        })
    }
}

impl Op for Rim {
    fn name(&self) -> StaticName {
        "Rim".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Rim {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let [rows, columns] = [2, 1].map(|place| self.shape[self.shape.len() - place]);
        let area = self.size.iter().product::<usize>();
        // Safety: with a number, it begins with writing all; with edges, each map is written row by row.
        unsafe {
            filled(inputs, &self.shape, |maps, values| {
                let [given, made] = [maps.len() / area, values.len() / (rows * columns)];
                ensure!(given == made, "{given} maps instead of {made}");
                if let Around::Number(bits) = self.around {
                    values.fill(f32::from_bits(bits));
                }
                let maps = maps.chunks_exact(area);
                for (map, to) in maps.zip(values.chunks_exact_mut(rows * columns)) {
                    match self.around {
                        Around::Number(_) => with_rim(map, self.size, self.before, to, columns),
                        Around::Edge => self.with_edge(map, to, columns),
                    }
                }
                Ok(())
            })
        }
    }
}

impl Rim {
    /// Writes a map and what lies around it, rows of `columns` values.
    fn with_edge(&self, map: &[f32], to: &mut [f32], columns: usize) {
        let [height, width] = self.size;
        for (y, line) in to.chunks_exact_mut(columns).enumerate() {
            let row = y.saturating_sub(self.before[0]).min(height - 1);
            let source = &map[row * width..][..width];
            let (left, rest) = line.split_at_mut(self.before[1]);
            let (middle, right) = rest.split_at_mut(width);
            left.fill(source[0]);
            middle.copy_from_slice(source);
            right.fill(source[width - 1]);
        }
    }
}

impl TypedOp for Rim {
    as_op!();

    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(&self.shape)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_tracts_padding() {
        let maps = Tensor::from_shape(
            &[1, 2, 2, 3],
            &[
                1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0_f32,
            ],
        )
        .unwrap();
        let given = maps.into_tvalue();
        let fact = f32::fact([1, 2, 2, 3]);
        let number = PadMode::Constant(Arc::new(Tensor::from(-0.5_f32)));
        for pads in [[(1, 2), (0, 3)], [(0, 0), (2, 0)], [(3, 0), (0, 0)]] {
            for mode in [&number, &PadMode::Edge] {
                let theirs = Pad {
                    pads: vec![(0, 0), (0, 0), pads[0], pads[1]],
                    mode: mode.clone(),
                };
                let ours = Rim::of(&theirs, &fact).unwrap();
                let run =
                    |op: &dyn EvalOp| op.eval(&EvalContext::out_of_plan(), tvec!(given.clone()));
                let (ours, theirs) = (run(&ours).unwrap(), run(&theirs).unwrap());
                assert_eq!(ours, theirs);
            }
        }
    }

    #[test]
    fn what_it_cannot_do_stays() {
        let fact = f32::fact([1, 2, 2, 3]);
        let reflected = Pad {
            pads: vec![(0, 0), (0, 0), (1, 1), (1, 1)],
            mode: PadMode::Reflect,
        };
        let around = Pad {
            pads: vec![(0, 0), (1, 0), (1, 1), (1, 1)],
            mode: PadMode::default(),
        };
        assert_eq!(
            (Rim::of(&reflected, &fact), Rim::of(&around, &fact)),
            (None, None)
        );
        for mode in [PadMode::default(), PadMode::Edge] {
            for pads in [(-1_i64 as usize, 2), (2, -1_i64 as usize)] {
                let cut = Pad {
                    pads: vec![(0, 0), (0, 0), (0, 0), pads],
                    mode: mode.clone(),
                };
                assert_eq!(Rim::of(&cut, &fact), None);
            }
        }
    }
}
