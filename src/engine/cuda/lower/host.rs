//! Operators that no kernel does: alone in a plan of tract's, on the processor.

use tract_onnx::prelude::*;

use super::super::program::{OnHost, Port, Step};
use super::Lowering;
use crate::guard::guarded;

pub(super) fn lower(to: &mut Lowering<'_>, node: &TypedNode) -> Result<Vec<Port>, String> {
    let mut alone = TypedModel::default();
    let mut inputs = Vec::new();
    let mut wires = Vec::new();
    for (at, outlet) in node.inputs.iter().enumerate() {
        let name = format!("input.{at}");
        let fact = to
            .model
            .outlet_fact(*outlet)
            .map_err(|error| error.to_string())?;
        let wire = match &fact.konst {
            Some(constant) => alone.add_const(name, constant.clone()),
            None => {
                inputs.push(to.value(*outlet)?);
                alone.add_source(name, fact.without_value())
            }
        };
        wires.push(wire.map_err(|error| error.to_string())?);
    }
    let operator = node.op.name().into_owned();
    let plan = guarded(|| {
        let outputs = alone.wire_node("operator", node.op.clone(), &wires)?;
        alone.select_output_outlets(&outputs)?;
        alone.into_optimized()?.into_runnable()
    });
    let plan = plan.map_err(|reason| format!("{operator}: {reason}"))?;
    let outputs = (0..node.outputs.len()).map(|slot| to.room_for(node, slot));
    let outputs = outputs.collect::<Result<Vec<Port>, String>>()?;
    to.program.steps.push(Step::OnHost(OnHost {
        operator,
        plan,
        inputs,
        outputs: outputs.clone(),
    }));
    Ok(outputs)
}
