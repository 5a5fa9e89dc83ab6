//! From a graph of ONNX to tract's typed form, node after node.
//!
//! tract's own way collects the graph, infers shapes and values from all sides until nothing changes, does so again, and then translates.
//! Where the inputs are fixed, all follows from what comes before a node: one walk does, with tract's own rules for each operator.

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::model::{Onnx, ParsingContext};
use tract_onnx::pb::{GraphProto, ModelProto, NodeProto, type_proto};
use tract_onnx::prelude::*;
use tract_onnx::tensor::translate_inference_fact;
use tract_onnx::tract_core::internal::{Outlet, bail, format_err, tvec};
use tract_onnx::tract_hir::infer::{Factoid, InferenceFact, InferenceNode, InferenceOp};

use super::typed::Stored;
use crate::model::onnx;

/// The typed form of a graph with fixed inputs. `stored` are its initializers beside those in the graph.
///
/// # Errors
/// Where the graph is damaged, and where an operator needs more than the walk knows: tract's own way tells the two apart.
pub(super) fn wire<'g>(
    proto: &'g ModelProto,
    stored: &[(&'g str, Stored)],
) -> TractResult<TypedModel> {
    let graph = proto.graph.as_ref();
    let graph = graph.ok_or_else(|| format_err!("it holds no graph"))?;
    let framework = tract_onnx::onnx();
    let context = ParsingContext {
        onnx_operator_set_version: onnx::opset(proto),
        framework: &framework,
        model: proto,
        parent_graphs: vec![graph],
        model_dir: None,
        template: InferenceModel::default(),
    };
    let mut walk = Walk {
        framework: &framework,
        context: &context,
        model: TypedModel::default(),
        outlets: HashMap::new(),
    };
    walk.declare(graph, stored)?;
    for node in &graph.node {
        walk.node(node)?;
    }
    let outputs = graph.output.iter().map(|output| walk.outlet(&output.name));
    let outputs: Vec<OutletId> = outputs.collect::<TractResult<_>>()?;
    walk.model.select_output_outlets(&outputs)?;
    Ok(walk.model)
}

struct Walk<'g> {
    framework: &'g Onnx,
    context: &'g ParsingContext<'g>,
    model: TypedModel,
    /// What makes the tensors of the graph.
    outlets: HashMap<&'g str, OutletId>,
}

impl<'g> Walk<'g> {
    /// Adds inputs and stored tensors.
    fn declare(&mut self, graph: &'g GraphProto, stored: &[(&'g str, Stored)]) -> TractResult<()> {
        for input in &graph.input {
            let declared = input.r#type.as_ref().and_then(|kind| kind.value.as_ref());
            let Some(type_proto::Value::TensorType(kind)) = declared else {
                bail!("its input '{}' has no type", input.name);
            };
            let fact = translate_inference_fact(self.context, kind, true)?;
            let outlet = self
                .model
                .add_source(&*input.name, TypedFact::try_from(&fact)?)?;
            self.outlets.insert(&input.name, outlet);
        }
        for (name, stored) in stored {
            self.store(name, stored)?;
        }
        for tensor in &graph.initializer {
            let value = self.context.load_tensor(tensor)?;
            self.store(&tensor.name, &Stored::whole(value)?)?;
        }
        Ok(())
    }

    fn store(&mut self, name: &'g str, stored: &Stored) -> TractResult<()> {
        let Stored { op, fact } = stored;
        let id = self.model.add_node(name, op.clone(), tvec!(fact.clone()))?;
        self.outlets.insert(name, id.into());
        Ok(())
    }

    fn outlet(&self, name: &str) -> TractResult<OutletId> {
        let outlet = self.outlets.get(name).copied();
        outlet.ok_or_else(|| format_err!("nothing makes {name}"))
    }

    /// Adds what computes a node's outputs.
    fn node(&mut self, node: &'g NodeProto) -> TractResult<()> {
        let named = |names: &'g [String]| names.iter().filter(|name| !name.is_empty());
        let name = onnx::node_name(node);
        let builder = self.framework.op_register.0.get(&node.op_type);
        let builder = builder.ok_or_else(|| format_err!("there is no {}", node.op_type))?;
        let (mut op, closures) = builder(self.context, node)?;
        if !closures.is_empty() || op.nboutputs()? != named(&node.output).count() {
            bail!("node {name} is no plain operator");
        }
        let inputs: Vec<OutletId> = named(&node.input)
            .map(|input| self.outlet(input))
            .collect::<TractResult<_>>()?;
        let facts: Vec<InferenceFact> = inputs
            .iter()
            .map(|&input| Ok(self.model.outlet_fact(input)?.into()))
            .collect::<TractResult<_>>()?;
        let open = InferenceFact::default();
        let outputs = named(&node.output).map(|_| &open).collect();
        let (_, facts, _) = op.infer(facts.iter().collect(), outputs, tvec!())?;
        let outlets = self.typed(name, op, inputs, facts)?;
        self.outlets
            .extend(named(&node.output).map(String::as_str).zip(outlets));
        Ok(())
    }

    /// Adds the constants or the typed operators that make what is known of an operator's outputs.
    fn typed(
        &mut self,
        name: &str,
        op: Box<dyn InferenceOp>,
        inputs: Vec<OutletId>,
        facts: TVec<InferenceFact>,
    ) -> TractResult<TVec<OutletId>> {
        let values: Option<Vec<Arc<Tensor>>> =
            facts.iter().map(|fact| fact.value.concretize()).collect();
        if let Some(values) = values {
            let constants = values.into_iter().enumerate();
            return constants
                .map(|(index, value)| self.model.add_const(format!("{name}.{index}"), value))
                .collect();
        }
        // The node as tract would find it in a graph of untyped operators, its inputs already typed.
        let mapping: HashMap<OutletId, OutletId> =
            inputs.iter().map(|&input| (input, input)).collect();
        let outlets = facts.into_iter().map(|fact| Outlet {
            fact,
            successors: tvec!(),
        });
        let node = InferenceNode {
            id: usize::MAX,
            name: name.to_owned(),
            inputs,
            op,
            outputs: outlets.collect(),
        };
        node.op
            .to_typed(&InferenceModel::default(), &node, &mut self.model, &mapping)
    }
}
