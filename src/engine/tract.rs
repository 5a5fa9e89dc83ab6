//! The engine that runs everywhere: tract, on the CPU, natively and in WebAssembly.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, tensor_proto::DataType};
use tract_onnx::prelude::*;

use super::hollow::{self, Store};
use super::{Engine, EngineError, EngineInfo, Kind, Session, Spec, Value};
use super::{deconv, kernels, scatter, threads, typed};
use crate::guard::guarded;
use crate::model::{onnx::parts, weights};

/// Version of tract, as pinned in `Cargo.toml`.
pub(super) const VERSION: &str = "0.23.9";

/// Bytes of the largest constant that tract prepares in advance for several readers.
const LARGEST_SHARED: usize = 4 << 20;

/// tract-onnx on the CPU, with our [kernels] for what takes long; on one thread, or those that [`threads`] has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tract;

impl Engine for Tract {
    fn info(&self) -> EngineInfo {
        EngineInfo {
            name: "tract".into(),
            version: VERSION.into(),
            device: "cpu".into(),
            threads: threads::running(),
            simd: kernels::Set::best().name().into(),
        }
    }

    fn prepare(&self, graph: ModelProto, inputs: &[Spec]) -> Result<Box<dyn Session>, EngineError> {
        prepare(graph, &GraphProto::default(), inputs, true)
    }

    fn prepare_hollow(
        &self,
        graph: ModelProto,
        whole: &GraphProto,
        inputs: &[Spec],
    ) -> Result<Box<dyn Session>, EngineError> {
        prepare(graph, whole, inputs, true)
    }
}

/// tract with none of our kernels: what they are compared with.
#[derive(Debug, Clone, Copy, Default)]
pub struct TractWithoutKernels;

impl Engine for TractWithoutKernels {
    fn info(&self) -> EngineInfo {
        Tract.info()
    }

    fn prepare(&self, graph: ModelProto, inputs: &[Spec]) -> Result<Box<dyn Session>, EngineError> {
        prepare(graph, &GraphProto::default(), inputs, false)
    }
}

fn prepare(
    mut proto: ModelProto,
    whole: &GraphProto,
    inputs: &[Spec],
    own_convolutions: bool,
) -> Result<Box<dyn Session>, EngineError> {
    if let Some(graph) = &mut proto.graph {
        unshare_large_constants(graph);
    }
    let names = fix_inputs(&mut proto, inputs)?;
    kernels::register();
    let plan = guarded(|| {
        let store = Store::of(whole);
        let mut model = typed::read(proto, &store)?;
        if own_convolutions {
            kernels::quicken(&mut model)?;
        }
        hollow::fill(&mut model, &store)?;
        scatter::quicken(&mut model)?;
        deconv::quicken(&mut model)?;
        model.declutter()?;
        kernels::prepare(&mut model, &store)?;
        model.optimize()?;
        model.into_runnable()
    })
    .map_err(EngineError::Prepare)?;
    Ok(Box::new(TractSession {
        plan,
        inputs: inputs.to_vec(),
        names,
    }))
}

/// A prepared tract model.
struct TractSession {
    plan: Arc<TypedRunnableModel>,
    inputs: Vec<Spec>,
    names: Vec<String>,
}

impl Session for TractSession {
    fn run(&self, inputs: &[Value]) -> Result<Vec<Value>, EngineError> {
        check_inputs(inputs, &self.inputs, &self.names)?;
        let values = inputs.iter().map(into_tract).collect();
        let _run = threads::enter();
        let outputs = guarded(|| self.plan.run(values)).map_err(EngineError::Run)?;
        outputs.iter().map(|value| from_tract(value)).collect()
    }
}

/// Whether the values are what a session was prepared for.
pub(super) fn check_inputs(
    inputs: &[Value],
    expected: &[Spec],
    names: &[String],
) -> Result<(), EngineError> {
    if inputs.len() > expected.len() {
        return Err(EngineError::Run(format!(
            "it was given {} values for {} inputs",
            inputs.len(),
            expected.len()
        )));
    }
    for (index, expected) in expected.iter().enumerate() {
        let given = inputs.get(index).map(Value::spec);
        if given.as_ref() != Some(expected) {
            return Err(EngineError::Input {
                input: names[index].clone(),
                given: given.map_or("nothing".into(), |spec| spec.to_string()),
                expected: expected.to_string(),
            });
        }
    }
    Ok(())
}

/// Declares the graph's inputs with fixed types and shapes; their names.
pub(super) fn fix_inputs(
    proto: &mut ModelProto,
    specs: &[Spec],
) -> Result<Vec<String>, EngineError> {
    if let Some(graph) = &mut proto.graph {
        // Exporters write down shapes with an open batch, which contradict the fixed one.
        graph.value_info.clear();
        for output in &mut graph.output {
            output.r#type = None;
        }
    }
    let inputs = proto.graph.as_mut().map(|graph| &mut graph.input);
    let inputs = inputs
        .filter(|inputs| inputs.len() == specs.len())
        .ok_or_else(|| EngineError::Prepare(format!("it does not have {} inputs", specs.len())))?;
    for (input, spec) in inputs.iter_mut().zip(specs) {
        let elem_type = match spec.kind {
            Kind::F32 => DataType::Float,
            Kind::I64 => DataType::Int64,
            Kind::Bool => DataType::Bool,
        };
        let dims: Vec<i64> = spec.shape.iter().map(|&size| size as i64).collect();
        *input = parts::declared(&input.name, elem_type as i32, &dims);
    }
    Ok(inputs.iter().map(|input| input.name.clone()).collect())
}

/// Gives every reader of a large constant its own, as long as the constants do not grow to more than twice their size.
///
/// tract 0.23.9 prepares a constant of more than 4 MiB in advance (turns a kernel around, packs it for its products) only where
/// nothing else reads it. The forward and the backward pass share their weights: each would be packed anew in every run.
fn unshare_large_constants(graph: &mut GraphProto) {
    let size = |tensor: &TensorProto| match weights::source(tensor) {
        Some(_) => 4 * tensor.dims.iter().product::<i64>() as usize,
        None => tensor.raw_data.len() + 4 * tensor.float_data.len(),
    };
    let mut allowance: usize = graph.initializer.iter().map(size).sum();
    let large: HashMap<String, usize> = graph
        .initializer
        .iter()
        .enumerate()
        .filter(|(_, tensor)| size(tensor) > LARGEST_SHARED)
        .map(|(index, tensor)| (tensor.name.clone(), index))
        .collect();
    let mut read = HashSet::new();
    let mut reshapes = Vec::new();
    for node in &mut graph.node {
        for input in &mut node.input {
            let Some(&index) = large.get(input) else {
                continue;
            };
            if read.insert(input.clone()) {
                continue;
            }
            let mut copy = graph.initializer[index].clone();
            if size(&copy) > allowance {
                break;
            }
            allowance -= size(&copy);
            let [flat, shape, own] =
                ["flat", "shape", "own"].map(|part| format!("unshared/{part}/{}", reshapes.len()));
            let rank = copy.dims.len() as i64;
            graph
                .initializer
                .push(parts::integers(&shape, &[rank], &copy.dims));
            copy.dims = vec![copy.dims.iter().product()];
            copy.name.clone_from(&flat);
            graph.initializer.push(copy);
            input.clone_from(&own);
            reshapes.push(parts::node("Reshape", &[&flat, &shape], &own, vec![]));
        }
    }
    graph.node.splice(0..0, reshapes);
}

pub(super) fn into_tract(value: &Value) -> TValue {
    match value {
        Value::F32(array) => Tensor::from(array.clone()).into_tvalue(),
        Value::I64(array) => Tensor::from(array.clone()).into_tvalue(),
        Value::Bool(array) => Tensor::from(array.clone()).into_tvalue(),
    }
}

pub(super) fn from_tract(tensor: &Tensor) -> Result<Value, EngineError> {
    let failed = |error: TractError| EngineError::Run(error.to_string());
    match tensor.datum_type() {
        DatumType::F32 => tensor
            .to_plain_array_view::<f32>()
            .map(|view| Value::F32(view.to_owned())),
        DatumType::Bool => tensor
            .to_plain_array_view::<bool>()
            .map(|view| Value::Bool(view.to_owned())),
        _ => tensor
            .cast_to::<i64>()
            .and_then(|wide| Ok(Value::I64(wide.to_plain_array_view::<i64>()?.to_owned()))),
    }
    .map_err(failed)
}
