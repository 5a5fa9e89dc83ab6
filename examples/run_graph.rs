//! Runs any ONNX graph in the engine that gradlens uses, for checks made elsewhere: `.npy` files in, `.npy` files out.
//!
//!     cargo run --release --example run_graph -- GRAPH.onnx ROUNDS OUT_FOLDER INPUT.npy...
//!
//! Inputs come in the graph's order; its outputs are written as `0.npy`, `1.npy`, ... in its order. Prints one line of JSON:
//! the time to prepare the graph and the least time of a run (none without rounds), in milliseconds. Times are the thread's own where
//! the system counts them (Linux): other programs on the machine do not lengthen them.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use gradlens::engine::{Engine, Tract, Value};
use gradlens::model::{Limits, onnx};
use ndarray::ArrayD;

/// A round lasts at least this long.
const SHORTEST_MS: f64 = 200.0;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [graph, rounds, out, inputs @ ..] = arguments.as_slice() else {
        return Err("usage: run_graph GRAPH.onnx ROUNDS OUT_FOLDER INPUT.npy...".into());
    };
    let rounds: usize = rounds.parse()?;
    let read = |path: &String| -> Result<Value, Box<dyn Error>> {
        let values: ArrayD<f32> = ndarray_npy::read_npy(path)?;
        Ok(Value::F32(values))
    };
    let inputs: Vec<Value> = inputs.iter().map(read).collect::<Result<_, _>>()?;
    let specs: Vec<_> = inputs.iter().map(Value::spec).collect();
    let proto = onnx::read(&std::fs::read(graph)?, &Limits::default())?;

    let clock = Clock::start();
    let session = Tract.prepare(proto, &specs)?;
    let prepare_ms = clock.milliseconds();
    let warm = Clock::start();
    let outputs = session.run(&inputs)?;
    // The system counts a thread's time in ticks of some milliseconds: short runs are timed by the dozen.
    let runs = (SHORTEST_MS / warm.milliseconds().max(0.1)).ceil().max(1.0);
    let mut least: Option<f64> = None;
    for _ in 0..rounds {
        let clock = Clock::start();
        for _ in 0..runs as usize {
            session.run(&inputs)?;
        }
        let time = clock.milliseconds() / runs;
        least = Some(least.map_or(time, |earlier| earlier.min(time)));
    }
    for (position, value) in outputs.iter().enumerate() {
        if let Value::F32(values) = value {
            ndarray_npy::write_npy(Path::new(out).join(format!("{position}.npy")), values)?;
        }
    }
    let run_ms = least.map_or("null".into(), |time| format!("{time:.3}"));
    println!("{{\"prepare_ms\": {prepare_ms:.3}, \"run_ms\": {run_ms}}}");
    Ok(())
}

/// Time spent since a moment: this thread's, or where that is not counted, the wall's.
struct Clock {
    thread: Option<u64>,
    wall: Instant,
}

impl Clock {
    fn start() -> Clock {
        Clock {
            thread: thread_nanoseconds(),
            wall: Instant::now(),
        }
    }

    fn milliseconds(&self) -> f64 {
        match (self.thread, thread_nanoseconds()) {
            (Some(start), Some(end)) => (end - start) as f64 / 1e6,
            _ => self.wall.elapsed().as_secs_f64() * 1e3,
        }
    }
}

/// Time that this thread has been on a processor.
fn thread_nanoseconds() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    text.split_whitespace().next()?.parse().ok()
}
