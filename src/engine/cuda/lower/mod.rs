//! From tract's graph to a [`Program`]: one file a family of operators. An operator that no family takes is left to the processor.

mod elementwise;
mod frame;
mod host;
mod moves;
mod product;
mod reduce;
mod scatter;
mod walk;
mod windows;

use std::collections::HashMap;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::identity::Identity;
use tract_onnx::tract_core::ops::source::TypedSource;

use super::Precision;
use super::program::{BufferId, Launch, Numbers, Port, Program, Step, THREADS};

/// Turns a decluttered graph of fixed shapes into launches.
///
/// # Errors
/// A line: a shape is open, or an operator hands on something that has no bytes.
pub(super) fn lower(model: &TypedModel, precision: Precision) -> Result<Program, String> {
    let mut lowering = Lowering {
        model,
        precision,
        program: Program::default(),
        known: HashMap::new(),
    };
    let failed = |error: TractError| error.root_cause().to_string();
    for id in model.eval_order().map_err(failed)? {
        lowering.node(model.node(id))?;
    }
    for outlet in model.output_outlets().map_err(failed)? {
        let port = lowering.value(*outlet)?;
        lowering.program.outputs.push(port);
    }
    // In the order of the model, whatever order they are reached in.
    for outlet in model.input_outlets().map_err(failed)? {
        let port = lowering.value(*outlet)?;
        lowering.program.inputs.push(port);
    }
    Ok(lowering.program)
}

/// What every family works with.
struct Lowering<'m> {
    model: &'m TypedModel,
    precision: Precision,
    program: Program,
    known: HashMap<OutletId, Port>,
}

/// A family: the results of an operator, or `None` where it does not take it; then it has added nothing.
type Family = fn(&mut Lowering<'_>, &TypedNode) -> Result<Option<Vec<Port>>, String>;

const FAMILIES: [Family; 6] = [
    elementwise::lower,
    moves::lower,
    product::lower,
    reduce::lower,
    scatter::lower,
    windows::lower,
];

impl Lowering<'_> {
    fn node(&mut self, node: &TypedNode) -> Result<(), String> {
        if node.op_is::<TypedSource>() {
            let port = self.port_of(&node.outputs[0].fact)?;
            self.known.insert(node.id.into(), port);
            return Ok(());
        }
        if node.op_is::<Identity>() {
            let port = self.value(node.inputs[0])?;
            self.known.insert(node.id.into(), port);
            return Ok(());
        }
        // What is known before anything runs is uploaded where something reads it.
        if node
            .outputs
            .iter()
            .all(|output| output.fact.konst.is_some())
        {
            return Ok(());
        }
        let mut results = None;
        for family in FAMILIES {
            results = family(self, node)?;
            if results.is_some() {
                break;
            }
        }
        let results = match results {
            Some(results) => results,
            None => host::lower(self, node)?,
        };
        for (slot, port) in results.into_iter().enumerate() {
            self.known.insert(OutletId::new(node.id, slot), port);
        }
        Ok(())
    }

    /// The tensor of an outlet; a constant is put into the program when it is first read.
    fn value(&mut self, outlet: OutletId) -> Result<Port, String> {
        if let Some(port) = self.known.get(&outlet) {
            return Ok(port.clone());
        }
        let fact = self
            .model
            .outlet_fact(outlet)
            .map_err(|error| error.to_string())?;
        let constant = fact
            .konst
            .as_ref()
            .ok_or("a tensor is read before it is made")?;
        let mut port = port(constant.datum_type(), constant.shape())?;
        port.buffer = self.program.constant(constant.as_bytes().to_vec());
        self.known.insert(outlet, port.clone());
        Ok(port)
    }

    /// The inputs of a node.
    fn inputs(&mut self, node: &TypedNode) -> Result<Vec<Port>, String> {
        node.inputs
            .iter()
            .map(|outlet| self.value(*outlet))
            .collect()
    }

    /// Kinds of the inputs of a node.
    fn kinds(&self, node: &TypedNode) -> Vec<DatumType> {
        let facts = node
            .inputs
            .iter()
            .filter_map(|outlet| self.model.outlet_fact(*outlet).ok());
        facts.map(|fact| fact.datum_type).collect()
    }

    /// The shape of an input of a node, where it is fixed.
    fn shape_in(&self, node: &TypedNode, at: usize) -> Option<Vec<usize>> {
        let fact = self.model.outlet_fact(*node.inputs.get(at)?).ok()?;
        fact.shape.as_concrete().map(<[usize]>::to_vec)
    }

    /// Room for a tensor.
    fn room(&mut self, kind: DatumType, shape: &[usize]) -> Result<Port, String> {
        let mut port = port(kind, shape)?;
        port.buffer = self.program.room(bytes(&port));
        Ok(port)
    }

    /// Room for what a fact describes.
    fn port_of(&mut self, fact: &TypedFact) -> Result<Port, String> {
        let shape = fact
            .shape
            .as_concrete()
            .ok_or_else(|| format!("the shape {:?} is open", fact.shape))?;
        self.room(fact.datum_type, shape)
    }

    /// Room for a result of a node.
    fn room_for(&mut self, node: &TypedNode, slot: usize) -> Result<Port, String> {
        self.port_of(&node.outputs[slot].fact)
    }

    /// A kernel that makes `count` elements one by one.
    fn each(
        &mut self,
        kernel: &'static str,
        count: usize,
        reads: &[BufferId],
        write: BufferId,
        numbers: Numbers,
    ) {
        // A thread takes a further element where there are more than so many blocks.
        let blocks = count.div_ceil(THREADS).min(1 << 16);
        self.launch(kernel, blocks, reads, &[write], numbers);
    }

    /// A kernel by `blocks` blocks; none where there is nothing to do.
    fn launch(
        &mut self,
        kernel: &'static str,
        blocks: usize,
        reads: &[BufferId],
        writes: &[BufferId],
        numbers: Numbers,
    ) {
        if blocks > 0 {
            self.program.steps.push(Step::Launch(Launch {
                kernel,
                blocks,
                reads: reads.to_vec(),
                writes: writes.to_vec(),
                numbers,
            }));
        }
    }
}

/// A tensor that has no place yet.
fn port(kind: DatumType, shape: &[usize]) -> Result<Port, String> {
    if ![F32, I64, BOOL, DatumType::F64, DatumType::I32].contains(&kind) {
        return Err(format!("a tensor of {kind:?} cannot go to a GPU"));
    }
    Ok(Port {
        buffer: BufferId(usize::MAX),
        kind,
        shape: shape.to_vec(),
    })
}

/// The bytes of a tensor.
fn bytes(port: &Port) -> usize {
    volume(&port.shape) * port.kind.size_of()
}

/// The elements of a shape.
fn volume(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// The types that kernels compute with.
const F32: DatumType = DatumType::F32;
const I64: DatumType = DatumType::I64;
const BOOL: DatumType = DatumType::Bool;
