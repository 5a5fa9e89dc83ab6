//! A graph as a GPU is told it: kernels launched one after the other over tensors in one piece of memory.

use std::sync::Arc;

use tract_onnx::prelude::{DatumType, TypedRunnableModel};

/// Threads of a block, as the kernels' prelude has it.
pub(super) const THREADS: usize = 256;

/// Axes that a kernel can walk, as the kernels' prelude has it.
pub(super) const MOST_AXES: usize = 6;

/// A tensor of a [`Program`], by its place in [`Program::buffers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct BufferId(pub usize);

/// A piece of memory that holds a tensor, row by row.
#[derive(Debug)]
pub(super) struct Buffer {
    /// Its size in bytes.
    pub bytes: usize,
    /// What is in it from the beginning, for a constant.
    pub constant: Option<Vec<u8>>,
}

/// A tensor that goes into or comes out of a program.
#[derive(Debug, Clone)]
pub(super) struct Port {
    pub buffer: BufferId,
    pub kind: DatumType,
    pub shape: Vec<usize>,
}

/// A kernel, what it works on, and by how many blocks.
#[derive(Debug)]
pub(super) struct Launch {
    /// The kernel's name.
    pub kernel: &'static str,
    /// Blocks of [`THREADS`] threads.
    pub blocks: usize,
    /// The tensors that it reads, in the order of its struct.
    pub reads: Vec<BufferId>,
    /// The tensors that it writes, in the order of its struct, behind those that it reads.
    pub writes: Vec<BufferId>,
    /// The rest of its struct.
    pub numbers: Numbers,
}

/// An operator that no kernel does: its inputs are fetched, tract computes it on the processor, its results are sent back.
pub(super) struct OnHost {
    /// tract's name of the operator.
    pub operator: String,
    /// The operator alone, its constants in it.
    pub plan: Arc<TypedRunnableModel>,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
}

/// One thing after the other.
pub(super) enum Step {
    Launch(Launch),
    OnHost(OnHost),
}

impl Step {
    /// The tensors that it reads and those that it writes.
    pub fn touches(&self) -> impl Iterator<Item = BufferId> + '_ {
        let (launch, host) = match self {
            Step::Launch(launch) => (Some(launch), None),
            Step::OnHost(host) => (None, Some(host)),
        };
        let launch = launch
            .into_iter()
            .flat_map(|launch| launch.reads.iter().chain(&launch.writes));
        let host = host
            .into_iter()
            .flat_map(|host| host.inputs.iter().chain(&host.outputs));
        launch.copied().chain(host.map(|port| port.buffer))
    }
}

/// A graph for inputs of fixed shapes, ready to be put into memory.
#[derive(Default)]
pub(super) struct Program {
    pub buffers: Vec<Buffer>,
    pub steps: Vec<Step>,
    pub inputs: Vec<Port>,
    pub outputs: Vec<Port>,
}

impl Program {
    /// Room for a tensor of `bytes` bytes.
    pub fn room(&mut self, bytes: usize) -> BufferId {
        self.buffers.push(Buffer {
            bytes,
            constant: None,
        });
        BufferId(self.buffers.len() - 1)
    }

    /// A tensor whose bytes are known.
    pub fn constant(&mut self, bytes: Vec<u8>) -> BufferId {
        let id = self.room(bytes.len());
        self.buffers[id.0].constant = Some(bytes);
        id
    }

    /// Operators that the processor computes, in their order.
    pub fn on_host(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match step {
            Step::OnHost(host) => Some(host.operator.as_str()),
            Step::Launch(_) => None,
        })
    }
}

/// The numbers of a kernel's struct as C lays them out: each at a multiple of its own size.
#[derive(Debug, Clone, Default)]
pub(super) struct Numbers(Vec<u8>);

impl Numbers {
    /// Adds 64-bit integers.
    pub fn longs<const N: usize>(mut self, values: [usize; N]) -> Self {
        self.0.resize(self.0.len().next_multiple_of(8), 0);
        for value in values {
            self.0.extend((value as i64).to_ne_bytes());
        }
        self
    }

    /// Adds 32-bit integers.
    pub fn ints<const N: usize>(mut self, values: [i32; N]) -> Self {
        for value in values {
            self.0.extend(value.to_ne_bytes());
        }
        self
    }

    /// Adds a 32-bit float.
    pub fn float(mut self, value: f32) -> Self {
        self.0.extend(value.to_ne_bytes());
        self
    }

    /// The struct: the address of the memory, places in it, the numbers.
    pub fn behind(&self, base: u64, places: impl Iterator<Item = usize>) -> Vec<u64> {
        let mut words = vec![base];
        words.extend(places.map(|place| place as u64));
        for word in self.0.chunks(8) {
            let mut whole = [0; 8];
            whole[..word.len()].copy_from_slice(word);
            words.push(u64::from_ne_bytes(whole));
        }
        words
    }
}
