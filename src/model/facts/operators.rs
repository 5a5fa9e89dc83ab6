//! tract's operators for the nodes of a graph, one at a time.

use tract_onnx::model::{Onnx, ParsingContext};
use tract_onnx::pb::{ModelProto, NodeProto, TensorProto, ValueInfoProto, type_proto};
use tract_onnx::prelude::{InferenceModel, TVec, Tensor, TractResult};
use tract_onnx::tensor::translate_inference_fact;
use tract_onnx::tract_core::internal::{bail, format_err, tvec};
use tract_onnx::tract_hir::infer::{InferenceFact, InferenceOp};

use super::quick;
use crate::model::onnx;

/// What makes operators of the nodes of one graph.
pub(crate) struct Operators<'g> {
    framework: &'g Onnx,
    context: &'g ParsingContext<'g>,
}

/// Calls `work` with what makes a graph's operators.
pub(crate) fn with_operators<T>(
    proto: &ModelProto,
    work: impl FnOnce(&Operators) -> TractResult<T>,
) -> TractResult<T> {
    let framework = tract_onnx::onnx();
    let context = ParsingContext {
        onnx_operator_set_version: onnx::opset(proto),
        framework: &framework,
        model: proto,
        parent_graphs: proto.graph.iter().collect(),
        model_dir: None,
        template: InferenceModel::default(),
    };
    work(&Operators {
        framework: &framework,
        context: &context,
    })
}

impl Operators<'_> {
    /// What an input is declared to be.
    pub(crate) fn declared(&self, input: &ValueInfoProto) -> TractResult<InferenceFact> {
        let declared = input.r#type.as_ref().and_then(|kind| kind.value.as_ref());
        let Some(type_proto::Value::TensorType(kind)) = declared else {
            bail!("its input '{}' has no type", input.name);
        };
        translate_inference_fact(self.context, kind, true)
    }

    /// A stored tensor.
    pub(crate) fn stored(&self, tensor: &TensorProto) -> TractResult<Tensor> {
        self.context.load_tensor(tensor)
    }

    /// The operator of a node that holds no graphs.
    pub(crate) fn operator(&self, node: &NodeProto) -> TractResult<Box<dyn InferenceOp>> {
        let builder = self.framework.op_register.0.get(&node.op_type);
        let builder = builder.ok_or_else(|| format_err!("there is no {}", node.op_type))?;
        let (op, closures) = builder(self.context, node)?;
        let outputs = named(&node.output).count();
        if !closures.is_empty() || op.nboutputs()? != outputs {
            bail!("node {} is no plain operator", onnx::node_name(node));
        }
        Ok(op)
    }

    /// What is known of the outputs of a node.
    pub(crate) fn outputs(
        &self,
        node: &NodeProto,
        inputs: &[&InferenceFact],
    ) -> TractResult<TVec<InferenceFact>> {
        match quick::output(node, inputs) {
            Some(fact) => Ok(tvec!(fact)),
            None => inferred(&mut *self.operator(node)?, node, inputs),
        }
    }
}

/// What an operator's own rules say of its outputs.
pub(crate) fn inferred(
    op: &mut dyn InferenceOp,
    node: &NodeProto,
    inputs: &[&InferenceFact],
) -> TractResult<TVec<InferenceFact>> {
    let open = InferenceFact::default();
    let outputs = named(&node.output).map(|_| &open).collect();
    let (_, outputs, _) = op.infer(inputs.iter().copied().collect(), outputs, tvec!())?;
    Ok(outputs)
}

/// The inputs or outputs that are there.
pub(crate) fn named(names: &[String]) -> impl Iterator<Item = &String> {
    names.iter().filter(|name| !name.is_empty())
}
