//! Pictures per second of scores and Grad-CAM in batches, on the processor or on a GPU. `peers/batch.py` does the same work in PyTorch.
//!
//! ```text
//! cargo bench --features cuda --bench batch -- [--device cpu|cuda|cuda-fast] [--batch N] [--rounds N] [--peak TFLOPS] MODEL...
//! ```
//!
//! A round is: pixels of a batch to the device, forward pass, backward pass to the default layer, activations and gradients back, the raw
//! maps. Time is the clock's on the wall, since a GPU's own does not show elsewhere. A multiplication and an addition count as two operations.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed measurement ends the program"
)]

use std::path::PathBuf;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use gradlens::engine::{Engine, Kind, Spec, Tract, Value};
use gradlens::explain::{How, method};
use gradlens::gradient::{SCORES, SEED, differentiate};
use gradlens::model::Model;
use ndarray::{ArrayD, Axis, Ix4};
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::ops::Cost;

/// How many pictures a second a device explains.
#[derive(Parser)]
struct Options {
    /// Folders of models
    #[arg(default_value = "models/covid-xray")]
    models: Vec<PathBuf>,
    #[arg(long, value_enum, default_value = "cpu")]
    device: Device,
    /// Pictures at once
    #[arg(long, default_value_t = 32)]
    batch: usize,
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// What the device can do in 10^12 operations a second, for the share of it
    #[arg(long)]
    peak: Option<f64>,
    /// What `cargo bench` itself passes
    #[arg(long, hide = true)]
    bench: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Device {
    Cpu,
    Cuda,
    CudaFast,
}

fn main() {
    let options = Options::parse();
    let engine = engine(options.device);
    let info = engine.info();
    println!("{} {}, batches of {}", info.name, info.simd, options.batch);
    for folder in &options.models {
        measure(engine.as_ref(), folder, &options);
    }
}

fn engine(device: Device) -> Box<dyn Engine> {
    match device {
        Device::Cpu => Box::new(Tract),
        #[cfg(feature = "cuda")]
        Device::Cuda | Device::CudaFast => {
            use gradlens::engine::cuda::{Cuda, Precision};
            let is_fast = matches!(device, Device::CudaFast);
            let precision = if is_fast {
                Precision::Fast
            } else {
                Precision::Strict
            };
            Box::new(Cuda::open(precision).unwrap_or_else(|error| panic!("{error}")))
        }
        #[cfg(not(feature = "cuda"))]
        Device::Cuda | Device::CudaFast => panic!("give --features cuda"),
    }
}

fn measure(engine: &dyn Engine, folder: &std::path::Path, options: &Options) {
    let bytes = std::fs::read(folder.join("model.onnx")).expect("model.onnx");
    let manifest = std::fs::read_to_string(folder.join("manifest.json")).ok();
    let id = folder.file_name().unwrap().to_string_lossy().into_owned();
    let model = Model::open(&bytes, manifest.as_deref(), &id).unwrap();
    let mut graph = differentiate(&model, std::slice::from_ref(&model.layer), false).unwrap();
    let [activation, gradient] =
        ["activation", "gradient"].map(|what| format!("{what}/{}", model.layer));
    let wanted = [SCORES, &activation, &gradient];
    let outputs = &mut graph.graph.as_mut().unwrap().output;
    outputs.retain(|output| wanted.contains(&output.name.as_str()));
    outputs.sort_by_key(|output| wanted.iter().position(|name| *name == output.name));

    let input = &model.manifest.input;
    let pixels = vec![options.batch, model.channels, input.height, input.width];
    let pixels = ArrayD::from_shape_fn(pixels, |at| {
        ((at[0] * 13 + at[1] * 31 + at[2] * 7 + at[3] * 3) % 17) as f32 / 8.0 - 1.0
    });
    let mut seed = ArrayD::zeros(vec![options.batch, model.classes]);
    seed.index_axis_mut(Axis(1), 0).fill(1.0);
    let inputs = &graph.graph.as_ref().unwrap().input;
    let values: Vec<Value> = inputs
        .iter()
        .map(|input| match input.name == SEED {
            true => Value::F32(seed.clone()),
            false => Value::F32(pixels.clone()),
        })
        .collect();
    let specs: Vec<Spec> = values.iter().map(Value::spec).collect();
    let operations = operations(&graph, &specs);
    let begun = Instant::now();
    let session = engine.prepare(graph, &specs).unwrap();
    let prepare = begun.elapsed().as_secs_f64();

    let mut seconds: Vec<f64> = (0..=options.rounds)
        .map(|_| {
            let begun = Instant::now();
            maps(&session.run(&values).unwrap());
            begun.elapsed().as_secs_f64()
        })
        .skip(1) // the first round warms up
        .collect();
    seconds.sort_by(f64::total_cmp);
    let median = seconds[seconds.len() / 2];
    let rate = operations / median / 1e12;
    let share = options.peak.map_or_else(String::new, |peak| {
        format!(", {:.0} % of the peak", 100.0 * rate / peak)
    });
    println!(
        "{id}: {:.1} pictures/s (slowest round {:.1}), {rate:.3} TFLOP/s{share}; prepared in {prepare:.2} s",
        options.batch as f64 / median,
        options.batch as f64 / seconds[seconds.len() - 1],
    );
}

/// The raw Grad-CAM maps of a batch.
fn maps(outputs: &[Value]) {
    let [_, activations, gradients] = outputs else {
        panic!("the graph has {} outputs", outputs.len());
    };
    let [activations, gradients] = [activations, gradients].map(|value| {
        let array = value.as_f32().unwrap().view();
        array.into_dimensionality::<Ix4>().unwrap()
    });
    let How::Layer(of) = method("grad-cam").unwrap().how() else {
        panic!("Grad-CAM is of a layer");
    };
    for (activations, gradients) in activations.outer_iter().zip(gradients.outer_iter()) {
        std::hint::black_box(of.map(activations, gradients));
    }
}

/// Multiplications and additions in f32 products of a graph, twice its fused ones.
fn operations(graph: &ModelProto, specs: &[Spec]) -> f64 {
    let mut model = tract_onnx::onnx().model_for_proto_model(graph).unwrap();
    for (at, spec) in specs.iter().enumerate() {
        assert_eq!(spec.kind, Kind::F32);
        model
            .set_input_fact(at, f32::fact(&spec.shape).into())
            .unwrap();
    }
    let model = model.into_typed().unwrap().into_decluttered().unwrap();
    let fused = model.nodes().iter().flat_map(|node| {
        let facts = model.node_input_facts(node.id).unwrap();
        node.op.cost(&facts).unwrap_or_default()
    });
    let fused =
        fused.filter(|(cost, _)| matches!(cost, Cost::FMA(kind) if *kind == f32::datum_type()));
    fused
        .map(|(_, count)| 2.0 * count.to_i64().unwrap_or(0) as f64)
        .sum()
}
