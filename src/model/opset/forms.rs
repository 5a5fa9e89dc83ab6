//! The forms whose conversion depends on shapes or constants.

use tract_onnx::pb::NodeProto;

use super::{Converter, take};
use crate::model::ModelError;
use crate::model::facts::{Dim, Fact};
use crate::model::onnx::parts::{self, attribute, int, ints, text};

impl Converter<'_> {
    /// Writes `node` in its present form where that depends on shapes or constants: mostly one node, sometimes several.
    pub(super) fn by_facts(
        &mut self,
        mut node: NodeProto,
        out: &mut Vec<NodeProto>,
    ) -> Result<(), ModelError> {
        let opset = self.opset;
        match node.op_type.as_str() {
            "Softmax" | "LogSoftmax" if opset < 13 => return self.softmax(node, out),
            "GroupNormalization" if (18..21).contains(&opset) => {
                self.group_normalization(node, out);
                return Ok(());
            }
            "BatchNormalization" if self.has_computed_statistics(&node) => {
                self.normalisation_in_steps(&node, out);
                return Ok(());
            }
            "Resize" if opset < 11 => self.plain_nearest(&mut node)?,
            "ConvTranspose" => self.pads_for_output_shape(&mut node),
            "Pad" => {
                self.pad_every_axis(&mut node);
                self.cut_by_slice(&mut node, out);
            }
            _ => {}
        }
        out.push(node);
        Ok(())
    }

    /// Before opset 11 the nearest source was the one below when growing and the one above when shrinking, as ONNX Runtime has it.
    fn plain_nearest(&mut self, node: &mut NodeProto) -> Result<(), ModelError> {
        let scales = node.input.get(2).and_then(|name| self.facts.get(name));
        let scales = scales.and_then(|fact| fact.values.as_deref());
        let shrinks = scales.is_some_and(|scales| scales.iter().any(|&scale| scale < 1.0));
        let grows = scales.is_none_or(|scales| scales.iter().any(|&scale| scale > 1.0));
        if shrinks && grows {
            return Err(self.refusal(node, 11));
        }
        let nearest = if shrinks { "ceil" } else { "floor" };
        node.attribute.push(text("nearest_mode", nearest));
        Ok(())
    }

    /// Pads that lead to the size that `output_shape` asks for: tract 0.23.9 does not compute that form.
    ///
    /// Where the sizes are not known, or the full result is too small, the form stays, and its rule refuses it.
    fn pads_for_output_shape(&mut self, node: &mut NodeProto) {
        let Some(pads) = self.missing_pads(node) else {
            return;
        };
        node.attribute
            .retain(|a| !matches!(a.name.as_str(), "output_shape" | "auto_pad" | "pads"));
        node.attribute.push(ints("pads", &pads));
        self.changed = true;
    }

    /// What a transposed convolution must cut off to have its `output_shape`.
    fn missing_pads(&self, node: &NodeProto) -> Option<Vec<i64>> {
        let wanted = &attribute(node, "output_shape")?.ints;
        let axes = wanted.len();
        let sizes = |position: usize| -> Option<Vec<i64>> {
            let shape = self.facts.get(node.input.get(position)?)?.shape.as_ref()?;
            let sizes: Option<Vec<i64>> = shape.get(2..)?.iter().map(Dim::known).collect();
            sizes.filter(|sizes| sizes.len() == axes)
        };
        let entries = |name: &str, default: i64| -> Option<Vec<i64>> {
            let given = attribute(node, name).map(|attribute| attribute.ints.clone());
            let given = given.unwrap_or_else(|| vec![default; axes]);
            let bounded = given.iter().all(|entry| (0..1 << 24).contains(entry));
            (bounded && given.len() == axes).then_some(given)
        };
        let (map, kernel) = (sizes(0)?, sizes(1)?);
        let (strides, dilations) = (entries("strides", 1)?, entries("dilations", 1)?);
        let surplus = entries("output_padding", 0)?;
        let upper = attribute(node, "auto_pad").is_some_and(|pad| pad.s == b"SAME_UPPER");
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (axis, &wanted) in wanted.iter().enumerate() {
            let reach = dilations[axis].checked_mul(kernel[axis] - 1)? + 1;
            let full = strides[axis].checked_mul(map[axis] - 1)? + reach + surplus[axis];
            let cut = full.checked_sub(wanted).filter(|cut| *cut >= 0)?;
            let (less, more) = (cut / 2, cut - cut / 2);
            before.push(if upper { less } else { more });
            after.push(if upper { more } else { less });
        }
        Some([before, after].concat())
    }

    /// `Pad` with the axes that it names, since opset 18: all axes in their order instead, as every opset has it.
    fn pad_every_axis(&mut self, node: &mut NodeProto) {
        let rank = node.input.first().and_then(|name| self.facts.get(name));
        let rank = rank.and_then(Fact::rank);
        let (Some(pads), Some(axes), Some(rank)) = (self.ints(node, 1), self.ints(node, 3), rank)
        else {
            return;
        };
        let mut all = vec![0; 2 * rank];
        for (index, &axis) in axes.iter().enumerate() {
            let axis = if axis < 0 {
                axis.saturating_add(rank as i64)
            } else {
                axis
            };
            let axis = usize::try_from(axis).ok().filter(|&axis| axis < rank);
            let sides = (pads.get(index), pads.get(axes.len() + index));
            // What does not fit stays as it is, for the rule of `Pad` to refuse.
            let (Some(axis), (Some(&before), Some(&after))) = (axis, sides) else {
                return;
            };
            (all[axis], all[rank + axis]) = (before, after);
        }
        self.int_input(node, "pads", 1, &all);
        node.input.truncate(3);
    }

    /// Negative pads cut elements off, which tract 0.23.9 does not do: a `Slice` before the `Pad` does.
    fn cut_by_slice(&mut self, node: &mut NodeProto, out: &mut Vec<NodeProto>) {
        let mut mode = node.attribute.iter().filter(|a| a.name == "mode");
        let constant = mode.all(|mode| mode.s == b"constant");
        let Some(pads) = self.ints(node, 1).filter(|_| constant) else {
            return;
        };
        let bounded = pads.iter().all(|pad| pad.checked_neg().is_some());
        if !bounded || pads.iter().all(|&pad| pad >= 0) {
            return;
        }
        let (before, after) = pads.split_at(pads.len() / 2);
        let starts: Vec<i64> = before.iter().map(|&pad| (-pad).max(0)).collect();
        let end = |&pad: &i64| if pad < 0 { pad } else { i64::MAX };
        let ends: Vec<i64> = after.iter().map(end).collect();
        let y = node.output.first().cloned().unwrap_or_default();
        let cut = self.name(&y, "cut");
        let mut slice = step("Slice", &[&node.input[0]], &cut);
        self.int_input(&mut slice, "starts", 1, &starts);
        self.int_input(&mut slice, "ends", 2, &ends);
        let kept: Vec<i64> = pads.iter().map(|&pad| pad.max(0)).collect();
        self.int_input(node, "pads", 1, &kept);
        node.input[0] = cut;
        out.push(slice);
    }

    /// Before opset 13 a softmax ran over all axes from its own on, by default from 1, as if they were one.
    fn softmax(&mut self, mut node: NodeProto, out: &mut Vec<NodeProto>) -> Result<(), ModelError> {
        let axis = take(&mut node, "axis").map_or(1, |attribute| attribute.i);
        let fact = node.output.first().and_then(|name| self.facts.get(name));
        let shape = fact.and_then(|fact| fact.shape.clone());
        let axis = match &shape {
            Some(shape) if axis < 0 => axis.saturating_add(shape.len() as i64),
            _ => axis,
        };
        let behind = usize::try_from(axis)
            .ok()
            .and_then(|axis| shape.as_ref()?.get(axis + 1..));
        let alone = behind.is_some_and(|dims| dims.iter().all(|dim| *dim == Dim::Known(1)));
        if axis < 0 {
            return Err(self.refusal(&node, 13));
        }
        if alone {
            let last = behind.is_some_and(<[Dim]>::is_empty);
            node.attribute
                .push(int("axis", if last { -1 } else { axis }));
            out.push(node);
            return Ok(());
        }
        node.attribute.push(int("axis", -1));
        let flatten = NodeProto {
            op_type: "Flatten".into(),
            attribute: vec![int("axis", axis)],
            ..NodeProto::default()
        };
        self.reshaped(flatten, node, out);
        Ok(())
    }

    /// Between opsets 18 and 20 scale and bias had an entry a group, a form since withdrawn: an instance is such a group, where
    /// a group is an axis.
    fn group_normalization(&mut self, mut node: NodeProto, out: &mut Vec<NodeProto>) {
        let groups = take(&mut node, "num_groups").map_or(1, |attribute| attribute.i);
        let mut reshape = NodeProto {
            op_type: "Reshape".into(),
            output: node.output.clone(),
            ..NodeProto::default()
        };
        self.int_input(&mut reshape, "groups", 1, &[0, groups, -1]);
        node.op_type = "InstanceNormalization".into();
        node.attribute
            .retain(|attribute| attribute.name == "epsilon");
        self.reshaped(reshape, node, out);
    }

    /// Whether a normalisation has statistics that nodes compute, as networks have it that standardise their weights.
    fn has_computed_statistics(&self, node: &NodeProto) -> bool {
        let is_computed = |name: &String| self.computed.contains(name);
        node.input.len() == 5 && node.input[1..].iter().any(is_computed)
    }

    /// `(x - mean) scale / sqrt(variance + epsilon) + bias`: tract 0.23.9 takes a `BatchNormalization` with constants only.
    fn normalisation_in_steps(&mut self, node: &NodeProto, out: &mut Vec<NodeProto>) {
        let [x, scale, bias, mean, variance] = node.input.as_slice() else {
            return;
        };
        let y = node.output.first().cloned().unwrap_or_default();
        let rank = self.facts.get(x).and_then(Fact::rank).unwrap_or(4);
        let mut sizes = vec![1; rank.saturating_sub(1).max(1)];
        sizes[0] = -1;
        let epsilon = attribute(node, "epsilon").map_or(1e-5, |attribute| attribute.f);
        let [sum, root, factor, centred, scaled] =
            ["sum", "root", "factor", "centred", "scaled"].map(|part| self.name(&y, part));
        let [mean_map, factor_map, bias_map] =
            ["mean", "factor_map", "bias"].map(|part| self.name(&y, part));
        let mut add = step("Add", &[variance], &sum);
        self.input(&mut add, 1, parts::floats("epsilon", &[], &[epsilon]));
        out.extend([
            add,
            step("Sqrt", &[&sum], &root),
            step("Div", &[scale, &root], &factor),
        ]);
        for (vector, map) in [(mean, &mean_map), (&factor, &factor_map), (bias, &bias_map)] {
            let mut reshape = step("Reshape", &[vector], map);
            self.int_input(&mut reshape, "sizes", 1, &sizes);
            out.push(reshape);
        }
        out.extend([
            step("Sub", &[x, &mean_map], &centred),
            step("Mul", &[&centred, &factor_map], &scaled),
            step("Add", &[&scaled, &bias_map], &y),
        ]);
        self.changed = true;
    }

    /// Writes `node` between `before`, which changes the shape of its first input, and a node that gives its output the old
    /// shape.
    fn reshaped(&mut self, mut before: NodeProto, mut node: NodeProto, out: &mut Vec<NodeProto>) {
        let x = node.input.first().cloned().unwrap_or_default();
        let y = node.output.first().cloned().unwrap_or_default();
        let [inner, result, shape] =
            ["reshaped", "result", "shape"].map(|part| self.name(&y, part));
        before.name.clone_from(&inner);
        before
            .input
            .resize(before.input.len().max(1), String::new());
        before.input[0].clone_from(&x);
        before.output = vec![inner.clone()];
        let old_input = node.input.first_mut().map(|name| (name, inner));
        let old_output = node.output.first_mut().map(|name| (name, result.clone()));
        for (name, new) in old_input.into_iter().chain(old_output) {
            *name = new;
        }
        out.extend([
            before,
            node,
            step("Shape", &[&x], &shape),
            step("Reshape", &[&result, &shape], &y),
        ]);
        self.changed = true;
    }
}

/// A node without attributes, named after its output.
fn step(operator: &str, inputs: &[&str], output: &str) -> NodeProto {
    parts::node(operator, inputs, output, vec![])
}
