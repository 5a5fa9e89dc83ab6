//! From a graph of ONNX to tract's typed form, node after node.
//!
//! tract's own way collects the graph, infers shapes and values from all sides until nothing changes, does so again, and then translates.
//! Where the inputs are fixed, all follows from what comes before a node: one walk does, with tract's own operators.

use std::collections::HashMap;
use std::sync::Arc;

use tract_onnx::pb::{GraphProto, ModelProto, NodeProto};
use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{Outlet, format_err, tvec};
use tract_onnx::tract_hir::infer::{Factoid, InferenceFact, InferenceNode, InferenceOp};

use super::typed::Stored;
use crate::model::facts::operators::{Operators, inferred, named, with_operators};
use crate::model::facts::quick;
use crate::model::onnx;

/// The typed form of a graph with fixed inputs. `stored` are its initializers beside those in the graph.
///
/// # Errors
/// Where the graph is damaged, and where an operator needs more than the walk knows: tract's own way tells the two apart.
pub(super) fn wire(proto: &ModelProto, stored: &[(&str, Stored)]) -> TractResult<TypedModel> {
    let graph = proto.graph.as_ref();
    let graph = graph.ok_or_else(|| format_err!("it holds no graph"))?;
    with_operators(proto, |operators| {
        let mut walk = Walk {
            operators,
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
    })
}

struct Walk<'g> {
    operators: &'g Operators<'g>,
    model: TypedModel,
    /// What makes the tensors of the graph, and what is known of them.
    outlets: HashMap<&'g str, (OutletId, InferenceFact)>,
}

impl<'g> Walk<'g> {
    /// Adds inputs and stored tensors.
    fn declare(&mut self, graph: &'g GraphProto, stored: &[(&'g str, Stored)]) -> TractResult<()> {
        for input in &graph.input {
            let fact = self.operators.declared(input)?;
            let typed = TypedFact::try_from(&fact)?;
            let outlet = self.model.add_source(&*input.name, typed)?;
            self.outlets.insert(&input.name, (outlet, fact));
        }
        for (name, stored) in stored {
            self.store(name, stored)?;
        }
        for tensor in &graph.initializer {
            let value = self.operators.stored(tensor)?;
            self.store(&tensor.name, &Stored::whole(value)?)?;
        }
        Ok(())
    }

    fn store(&mut self, name: &'g str, stored: &Stored) -> TractResult<()> {
        let Stored { op, fact } = stored;
        let id = self.model.add_node(name, op.clone(), tvec!(fact.clone()))?;
        self.outlets.insert(name, (id.into(), fact.into()));
        Ok(())
    }

    fn known(&self, name: &str) -> TractResult<&(OutletId, InferenceFact)> {
        let known = self.outlets.get(name);
        known.ok_or_else(|| format_err!("nothing makes {name}"))
    }

    fn outlet(&self, name: &str) -> TractResult<OutletId> {
        self.known(name).map(|(outlet, _)| *outlet)
    }

    /// Adds what computes a node's outputs.
    fn node(&mut self, node: &'g NodeProto) -> TractResult<()> {
        let known = named(&node.input).map(|input| self.known(input));
        let known: Vec<&(OutletId, InferenceFact)> = known.collect::<TractResult<_>>()?;
        let inputs = known.iter().map(|(outlet, _)| *outlet).collect();
        let facts: Vec<&InferenceFact> = known.iter().map(|(_, fact)| fact).collect();
        let mut op = self.operators.operator(node)?;
        let facts = match quick::output(node, &facts) {
            Some(fact) => tvec!(fact),
            None => inferred(&mut *op, node, &facts)?,
        };
        let outlets = self.typed(onnx::node_name(node), op, inputs, facts)?;
        for (name, outlet) in named(&node.output).zip(outlets) {
            let fact = self.model.outlet_fact(outlet)?.into();
            self.outlets.insert(name, (outlet, fact));
        }
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
