//! Concatenations that grow, as DenseNet has them: written one inside the next.

use std::collections::HashMap;

use tract_onnx::pb::GraphProto;

use crate::model::onnx::parts::attribute;

/// Rewrites `Concat(a, b, c)` as `Concat(d, c)` where an earlier node makes `d = Concat(a, b)`.
///
/// The values are the same. But a block of `n` such nodes then has `2 n` edges instead of `n^2 / 2`, and each edge costs the backward pass a
/// copy and an addition: DenseNet-121 is left with a third of its backward nodes.
pub(super) fn nest_concats(graph: &mut GraphProto) {
    let mut latest: HashMap<[String; 2], (i64, Vec<String>, String)> = HashMap::new();
    for node in &mut graph.node {
        let ([first, second, ..], [output]) = (node.input.as_slice(), node.output.as_slice())
        else {
            continue;
        };
        if node.op_type != "Concat" {
            continue;
        }
        // As it is written: two nodes with the same inputs count their axes from the same end, or are left alone.
        let axis = attribute(node, "axis").map_or(0, |attribute| attribute.i);
        let known = [first.clone(), second.clone()];
        let whole = (axis, node.input.clone(), output.clone());
        if let Some((of, start, made)) = latest.get(&known)
            && *of == axis
            && start.len() < node.input.len()
            && node.input.starts_with(start)
        {
            node.input.splice(..start.len(), [made.clone()]);
        }
        latest.insert(known, whole);
    }
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::NodeProto;

    use super::*;
    use crate::model::onnx::parts::{int, node};

    fn concat(inputs: &str, output: &str, axis: i64) -> NodeProto {
        let inputs: Vec<&str> = inputs.split(' ').collect();
        node("Concat", &inputs, output, vec![int("axis", axis)])
    }

    #[test]
    fn a_longer_concatenation_starts_with_the_one_before() {
        let mut graph = GraphProto {
            node: vec![
                concat("a b", "ab", 1),
                concat("a b c", "abc", 1),
                concat("a b c d e", "abcde", 1),
                concat("a b f", "other axis", 2),
                concat("a c", "ac", 1),
            ],
            ..GraphProto::default()
        };
        nest_concats(&mut graph);
        let inputs: Vec<String> = graph.node.iter().map(|n| n.input.join(" ")).collect();
        assert_eq!(inputs, ["a b", "ab c", "abc d e", "a b f", "a c"]);
    }
}
