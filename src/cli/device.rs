//! Where to compute: the engine behind `--device`.

use std::sync::Arc;

use super::args::Device;
use super::failure::Failure;
use crate::engine::{Engine, Tract};

/// Pictures that a GPU takes at once.
#[cfg(feature = "cuda")]
const BATCH: usize = 32;

/// An engine, and how many pictures to work on at once so that it never waits for one.
pub struct Place {
    pub engine: Arc<dyn Engine>,
    pub pictures: usize,
}

/// The engine of a device.
pub fn place(device: Device) -> Result<Place, Failure> {
    match device {
        Device::Cpu => Ok(Place {
            engine: Arc::new(Tract),
            pictures: rayon::current_num_threads(),
        }),
        Device::Cuda => cuda(),
    }
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Place, Failure> {
    use crate::engine::Batched;
    use crate::engine::cuda::{Cuda, Precision};
    let cuda = Cuda::open(Precision::Strict)
        .map_err(|error| Failure::usage(format!("{error}; use --device cpu")))?;
    Ok(Place {
        engine: Arc::new(Batched::new(Arc::new(cuda), BATCH)),
        // A batch on the card, and a thread a core that decodes, draws and writes.
        pictures: BATCH + rayon::current_num_threads(),
    })
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Place, Failure> {
    Err(Failure::usage(
        "this build has no CUDA path; build with `--features cuda`, or use --device cpu",
    ))
}

impl Place {
    /// Runs work on as many threads as there are pictures to work on at once.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> Result<R, Failure> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(self.pictures)
            .build();
        let threads = threads
            .map_err(|error| Failure::usage(format!("no threads can be started: {error}")))?;
        Ok(threads.install(work))
    }
}
