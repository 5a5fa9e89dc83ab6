//! Where to compute: the engine behind `--device` and `--precision`.

use std::sync::Arc;

use super::args::{self, Device, Precision};
use super::failure::Failure;
use crate::engine::{Engine, Tract, threads};
use crate::report::verify::Tolerances;

/// Pictures that a GPU takes at once.
#[cfg(feature = "cuda")]
const BATCH: usize = 32;

/// An engine, and how many pictures to work on at once so that it never waits for one.
pub struct Place {
    pub engine: Arc<dyn Engine>,
    pub pictures: usize,
}

/// The engine of a device.
pub fn place(asked: args::Place) -> Result<Place, Failure> {
    match asked.device {
        Device::Cpu if asked.precision == Precision::Fast => Err(Failure::usage(
            "--precision fast is for GPUs: give --device cuda too, or leave it out",
        )),
        Device::Cpu => {
            let pictures = rayon::current_num_threads();
            // Where there are fewer pictures than threads, the others help.
            threads::start(pictures).map_err(no_threads)?;
            Ok(Place {
                engine: Arc::new(Tract),
                pictures,
            })
        }
        Device::Cuda => cuda(asked.precision),
    }
}

#[cfg(feature = "cuda")]
fn cuda(precision: Precision) -> Result<Place, Failure> {
    use crate::engine::{Batched, cuda};
    let cuda = cuda::Cuda::open(match precision {
        Precision::Strict => cuda::Precision::Strict,
        Precision::Fast => cuda::Precision::Fast,
    });
    let cuda = cuda.map_err(|error| Failure::usage(format!("{error}; use --device cpu")))?;
    Ok(Place {
        engine: Arc::new(Batched::new(Arc::new(cuda), BATCH)),
        // A batch on the card, and a thread a core that decodes, draws and writes.
        pictures: BATCH + rayon::current_num_threads(),
    })
}

#[cfg(not(feature = "cuda"))]
fn cuda(_: Precision) -> Result<Place, Failure> {
    Err(Failure::usage(
        "this build has no CUDA path; build with `--features cuda`, or use --device cpu",
    ))
}

/// How far a claim may lie from what is computed at a precision, unless the user says.
///
/// TF32 keeps ten bits of a factor; maps of the shipped classifiers lay up to 0.009 of their range from f32's (docs/cuda.md).
pub fn tolerances(precision: Precision, given: Option<f64>) -> Tolerances {
    match (given, precision) {
        (Some(given), _) => Tolerances::of(given),
        (None, Precision::Strict) => Tolerances::default(),
        (None, Precision::Fast) => Tolerances::of(0.02),
    }
}

fn no_threads(error: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("no threads can be started: {error}"))
}

impl Place {
    /// Runs work on as many threads as there are pictures to work on at once.
    pub fn run<R: Send>(&self, work: impl FnOnce() -> R + Send) -> Result<R, Failure> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(self.pictures)
            .build();
        Ok(threads.map_err(no_threads)?.install(work))
    }
}
