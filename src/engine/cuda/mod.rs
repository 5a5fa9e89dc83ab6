//! The engine for NVIDIA GPUs: a graph is lowered to launches of our own kernels over one piece of memory, in which everything stays.
//!
//! tract reads and simplifies the graph, as for the CPU ([`lower`]); [`place`] lets tensors share memory; the kernels are CUDA C under
//! `kernels/`, shipped as PTX, so that a machine needs NVIDIA's driver and nothing else. No sum depends on the order of threads: the same
//! graph and input give the same bits on every card. An operator without a kernel runs on the processor, between two copies.
//!
//! No GPU was at hand when this was written. The kernels are compiled for GPUs by NVIDIA's compiler, and the tests run the same text on a
//! processor; what has never run is the launch on a card. docs/cuda.md says what that means.

mod device;
mod gpu;
pub mod kernels;
mod lower;
mod place;
mod program;

use std::sync::{Arc, Mutex, PoisonError};

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;

use super::hollow::Store;
use super::tract::{VERSION, check_inputs, fix_inputs, from_tract, into_tract};
use super::typed;
use super::{Engine, EngineError, EngineInfo, Session, Spec, Value};
use crate::guard::guarded;
use device::Device;
pub use gpu::{Gpu, Memory};
use program::{OnHost, Port, Program, Step};

/// How exactly products are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// In f32, every sum in a fixed order: for verdicts. The same bits on every card.
    #[default]
    Strict,
    /// On tensor cores, whose factors have ten bits behind the point (TF32): for a first look at many pictures. Ampere and newer.
    Fast,
}

/// Graphs on a GPU.
#[derive(Clone)]
pub struct Cuda {
    gpu: Arc<dyn Gpu>,
    precision: Precision,
}

impl Cuda {
    /// The first GPU of this machine.
    ///
    /// # Errors
    /// [`EngineError::Device`]: there is no driver, no GPU, or the driver is too old for the kernels.
    pub fn open(precision: Precision) -> Result<Cuda, EngineError> {
        let device = guarded(|| Ok(Device::open(0, precision))).map_err(EngineError::Device)??;
        Ok(Cuda::on(Arc::new(Arc::new(device)), precision))
    }

    /// Any [`Gpu`].
    #[must_use]
    pub fn on(gpu: Arc<dyn Gpu>, precision: Precision) -> Cuda {
        Cuda { gpu, precision }
    }

    /// The operators of a graph that would run on the processor, a name for each.
    ///
    /// # Errors
    /// As [`prepare`](Engine::prepare).
    pub fn on_host(&self, graph: ModelProto, inputs: &[Spec]) -> Result<Vec<String>, EngineError> {
        let (program, _) = lowered(graph, inputs, self.precision)?;
        Ok(program.on_host().map(str::to_owned).collect())
    }
}

impl Engine for Cuda {
    fn info(&self) -> EngineInfo {
        EngineInfo {
            name: match self.precision {
                Precision::Strict => "gradlens-cuda".into(),
                Precision::Fast => "gradlens-cuda-tf32".into(),
            },
            version: format!("{} on tract {VERSION}", crate::VERSION),
            device: "cuda".into(),
            threads: 1,
            simd: self.gpu.name(),
        }
    }

    fn prepare(&self, graph: ModelProto, inputs: &[Spec]) -> Result<Box<dyn Session>, EngineError> {
        let (program, names) = lowered(graph, inputs, self.precision)?;
        let places = place::place(&program);
        let mut memory = self.gpu.memory(places.bytes)?;
        for (buffer, &place) in program.buffers.iter().zip(&places.begins) {
            if let Some(bytes) = &buffer.constant {
                memory.write(place, bytes)?;
            }
        }
        let base = memory.address();
        let begins = places.begins;
        let at = |port: Port| Place {
            begin: begins[port.buffer.0],
            port,
        };
        let steps = program.steps.into_iter().map(|step| match step {
            Step::Launch(launch) => {
                let tensors = launch
                    .reads
                    .iter()
                    .chain(&launch.writes)
                    .map(|buffer| begins[buffer.0]);
                Ready::Launch(
                    launch.kernel,
                    launch.blocks,
                    launch.numbers.behind(base, tensors),
                )
            }
            Step::OnHost(OnHost {
                plan,
                inputs,
                outputs,
                ..
            }) => Ready::OnHost {
                plan,
                inputs: inputs.into_iter().map(at).collect(),
                outputs: outputs.into_iter().map(at).collect(),
            },
        });
        Ok(Box::new(CudaSession {
            steps: steps.collect(),
            inputs: program.inputs.into_iter().map(at).collect(),
            outputs: program.outputs.into_iter().map(at).collect(),
            specs: inputs.to_vec(),
            names,
            memory: Mutex::new(memory),
        }))
    }
}

/// A graph as a program, and the names of its inputs.
fn lowered(
    mut graph: ModelProto,
    inputs: &[Spec],
    precision: Precision,
) -> Result<(Program, Vec<String>), EngineError> {
    let names = fix_inputs(&mut graph, inputs)?;
    let model = guarded(|| typed::read(graph, &Store::default())?.into_decluttered())
        .map_err(EngineError::Prepare)?;
    let program = guarded(|| Ok(lower::lower(&model, precision))).and_then(|program| program);
    Ok((program.map_err(EngineError::Prepare)?, names))
}

/// A tensor in the session's memory.
struct Place {
    begin: usize,
    port: Port,
}

/// A step with everything in its place.
enum Ready {
    Launch(&'static str, usize, Vec<u64>),
    OnHost {
        plan: Arc<TypedRunnableModel>,
        inputs: Vec<Place>,
        outputs: Vec<Place>,
    },
}

/// A program in a GPU's memory.
struct CudaSession {
    steps: Vec<Ready>,
    inputs: Vec<Place>,
    outputs: Vec<Place>,
    specs: Vec<Spec>,
    names: Vec<String>,
    /// One run at a time: all of them use the same memory.
    memory: Mutex<Box<dyn Memory>>,
}

impl Session for CudaSession {
    fn run(&self, inputs: &[Value]) -> Result<Vec<Value>, EngineError> {
        check_inputs(inputs, &self.specs, &self.names)?;
        let mut memory = self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let memory = memory.as_mut();
        for (value, place) in inputs.iter().zip(&self.inputs) {
            write(memory, place, &into_tract(value))?;
        }
        for step in &self.steps {
            match step {
                Ready::Launch(kernel, blocks, arguments) => {
                    memory.launch(kernel, *blocks, arguments)?
                }
                Ready::OnHost {
                    plan,
                    inputs,
                    outputs,
                } => {
                    let read = inputs
                        .iter()
                        .map(|place| Ok(read(memory, place)?.into_tvalue()));
                    let values = read.collect::<Result<TVec<TValue>, EngineError>>()?;
                    let results = guarded(|| plan.run(values)).map_err(EngineError::Run)?;
                    for (result, place) in results.iter().zip(outputs) {
                        write(memory, place, result)?;
                    }
                }
            }
        }
        self.outputs
            .iter()
            .map(|place| from_tract(&read(memory, place)?))
            .collect()
    }
}

fn write(memory: &mut dyn Memory, place: &Place, tensor: &Tensor) -> Result<(), EngineError> {
    if tensor.datum_type() != place.port.kind || tensor.shape() != place.port.shape {
        return Err(EngineError::Run(format!(
            "a tensor is {:?} {:?} and not {:?} {:?}",
            tensor.datum_type(),
            tensor.shape(),
            place.port.kind,
            place.port.shape
        )));
    }
    match tensor.as_bytes() {
        [] => Ok(()),
        bytes => memory.write(place.begin, bytes),
    }
}

fn read(memory: &mut dyn Memory, place: &Place) -> Result<Tensor, EngineError> {
    let port = &place.port;
    let mut bytes = vec![0; port.shape.iter().product::<usize>() * port.kind.size_of()];
    if !bytes.is_empty() {
        memory.read(place.begin, &mut bytes)?;
    }
    tensor(port, &bytes).map_err(|error| EngineError::Run(error.to_string()))
}

/// A tensor of these bytes.
fn tensor(port: &Port, bytes: &[u8]) -> TractResult<Tensor> {
    fn of<T: Datum + Copy, const N: usize>(
        port: &Port,
        bytes: &[u8],
        value: fn([u8; N]) -> T,
    ) -> TractResult<Tensor> {
        let (words, _) = bytes.as_chunks::<N>();
        let values: Vec<T> = words.iter().map(|word| value(*word)).collect();
        Tensor::from_shape(&port.shape, &values)
    }
    match port.kind {
        DatumType::F32 => of(port, bytes, f32::from_ne_bytes),
        DatumType::F64 => of(port, bytes, f64::from_ne_bytes),
        DatumType::I32 => of(port, bytes, i32::from_ne_bytes),
        DatumType::I64 => of(port, bytes, i64::from_ne_bytes),
        DatumType::Bool => of(port, bytes, |[byte]| byte != 0),
        kind => Err(TractError::msg(format!(
            "a tensor of {kind:?} cannot come from a GPU"
        ))),
    }
}
