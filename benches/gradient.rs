//! What a gradient graph costs: making it, preparing it, and running it beside the forward pass alone.
//!
//! ```text
//! cargo bench --bench gradient -- MODEL.onnx... [--rounds N] [--nodes]
//! ```
//!
//! Times are this thread's own, not the clock's on the wall: other processes do not count. The
//! graphs of a model run in turns, and medians are compared, so that a change of the processor's speed meets all alike. With
//! `--nodes`, where the time goes: by operator, and in the costliest nodes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a failed measurement ends the program"
)]

use std::collections::HashMap;

use cpu_time::ThreadTime;
use gradlens::engine::{Engine, Kind, Session, Spec, Tract, Value};
use gradlens::gradient::{SCORES, SEED, differentiate};
use gradlens::model::{Limits, Model, onnx};
use ndarray::ArrayD;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::*;
use tract_onnx::tract_core::plan::eval;

fn main() {
    let mut rounds = 9;
    let mut nodes = false;
    let mut files = Vec::new();
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // What `cargo bench` itself passes.
            "--bench" => {}
            "--nodes" => nodes = true,
            "--rounds" => {
                rounds = arguments
                    .next()
                    .and_then(|n| n.parse().ok())
                    .expect("--rounds N")
            }
            _ => files.push(argument),
        }
    }
    if files.is_empty() {
        files.push("models/covid-xray/model.onnx".into());
    }
    println!(
        "{:<28}{:>6}{:>7}{:>9}{:>9}{:>9}{:>9}{:>10}{:>10}{:>10}{:>7}{:>7}",
        "model",
        "nodes",
        "graph",
        "open ms",
        "make ms",
        "write ms",
        "prep. ms",
        "forward",
        "to layer",
        "to input",
        "ratio",
        "ratio"
    );
    for file in &files {
        measure(file, rounds, nodes);
    }
}

/// One row of the table.
fn measure(file: &str, rounds: usize, by_node: bool) {
    let bytes = std::fs::read(file).expect(file);
    let (model, open) = timed(|| Model::open(&bytes, None, "model").expect(file));
    let layer = [model.layer.clone()];
    let (to_input, make) = timed(|| differentiate(&model, &layer, true).expect(file));
    let (_, write) = timed(|| onnx::write(&to_input));
    let to_layer = differentiate(&model, &layer, false).expect(file);
    let forward = forward(&bytes, &model.scores);

    let count = |proto: &ModelProto| proto.graph.as_ref().map_or(0, |graph| graph.node.len());
    let counts = [count(&forward), count(&to_input)];
    let shape = [
        1,
        model.channels,
        model.manifest.input.height,
        model.manifest.input.width,
    ];
    let pixels = ArrayD::from_shape_fn(shape.to_vec(), |at| {
        ((at[1] * 31 + at[2] * 7 + at[3] * 3) % 17) as f32 / 8.0 - 1.0
    });
    let mut seed = ArrayD::zeros(vec![1, model.classes]);
    seed[[0, 0]] = 1.0;
    let values = |proto: &ModelProto| -> Vec<Value> {
        let inputs = &proto.graph.as_ref().unwrap().input;
        let value = |name: &str| {
            Value::F32(if name == SEED {
                seed.clone()
            } else {
                pixels.clone()
            })
        };
        inputs.iter().map(|input| value(&input.name)).collect()
    };
    if by_node {
        profile(&forward, &values(&forward), rounds);
        profile(&to_input, &values(&to_input), rounds);
    }
    let mut prepare = 0.0;
    let runs: Vec<(Box<dyn Session>, Vec<Value>)> = [forward, to_layer, to_input]
        .into_iter()
        .map(|proto| {
            let values = values(&proto);
            let specs: Vec<Spec> = values.iter().map(Value::spec).collect();
            let (session, time) = timed(|| Tract.prepare(proto, &specs).expect(file));
            prepare = time;
            (session, values)
        })
        .collect();
    let mut times = vec![Vec::new(); runs.len()];
    for _ in 0..rounds {
        for ((session, values), times) in runs.iter().zip(&mut times) {
            times.push(timed(|| session.run(values).expect(file)).1);
        }
    }
    let [forward, to_layer, to_input] = [0, 1, 2].map(|run| median(&mut times[run]));
    let name: String = file
        .trim_end_matches(".onnx")
        .chars()
        .rev()
        .take(27)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect();
    println!(
        "{name:<28}{:>6}{:>7}{open:>9.0}{make:>9.0}{write:>9.0}{prepare:>9.0}{forward:>10.1}{to_layer:>10.1}{to_input:>10.1}{:>7.2}{:>7.2}",
        counts[0],
        counts[1],
        to_layer / forward,
        to_input / forward
    );
}

/// The model with its scores as the only output, as a program that only classifies would run it.
fn forward(bytes: &[u8], scores: &str) -> ModelProto {
    let mut proto = onnx::read(bytes, &Limits::default()).unwrap();
    let graph = proto.graph.as_mut().unwrap();
    graph.output.truncate(1);
    graph.output[0].name = scores.to_owned();
    graph.output[0].r#type = None;
    proto
}

/// What `work` gives, and the milliseconds of this thread that it took.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = ThreadTime::now();
    let result = work();
    (result, 1e3 * start.elapsed().as_secs_f64())
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Prints where the time of a graph goes in tract.
fn profile(proto: &ModelProto, values: &[Value], rounds: usize) {
    let mut model = tract_onnx::onnx().model_for_proto_model(proto).unwrap();
    for (index, value) in values.iter().enumerate() {
        assert_eq!(value.spec().kind, Kind::F32);
        model
            .set_input_fact(index, f32::fact(value.spec().shape).into())
            .unwrap();
    }
    let plan = model.into_optimized().unwrap().into_runnable().unwrap();
    let mut costs: HashMap<usize, Vec<f64>> = HashMap::new();
    for _ in 0..rounds {
        let inputs = values.iter().map(|value| match value {
            Value::F32(array) => Tensor::from(array.clone()).into_tvalue(),
            _ => unreachable!(),
        });
        let mut state = plan.spawn().unwrap();
        state
            .run_plan_with_eval(inputs.collect(), |context, state, node, inputs| {
                let (result, time) = timed(|| eval(context, state, node, inputs));
                costs.entry(node.id).or_default().push(time);
                result
            })
            .unwrap();
    }
    let mut costs: Vec<(f64, usize)> = costs
        .into_iter()
        .map(|(id, mut times)| (median(&mut times), id))
        .collect();
    costs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let total: f64 = costs.iter().map(|(time, _)| time).sum();
    let what = if proto.graph.as_ref().unwrap().output[0].name == SCORES {
        "gradient graph"
    } else {
        "forward pass"
    };
    println!("\n{what}: {total:.1} ms in {} nodes", costs.len());
    let mut operators: HashMap<String, (usize, f64)> = HashMap::new();
    for (time, id) in &costs {
        let node = plan.model().node(*id);
        let sum = operators.entry(node.op().name().into_owned()).or_default();
        *sum = (sum.0 + 1, sum.1 + time);
    }
    let mut operators: Vec<_> = operators.into_iter().collect();
    operators.sort_by(|a, b| b.1.1.total_cmp(&a.1.1));
    for (operator, (count, time)) in operators.iter().take(12) {
        println!("{time:>10.2} ms {count:>5} x {operator}");
    }
    println!();
    for (time, id) in costs.iter().take(40) {
        let node = plan.model().node(*id);
        let facts = plan.model().node_input_facts(*id).unwrap();
        let inputs: Vec<String> = facts
            .iter()
            .map(|fact| format!("{:?}", fact.shape))
            .collect();
        let outputs: Vec<String> = node
            .outputs
            .iter()
            .map(|output| format!("{:?}", output.fact.shape))
            .collect();
        println!(
            "{time:>10.2} ms  {:<22} {} -> {}  {}",
            node.op().name(),
            inputs.join(" "),
            outputs.join(" "),
            node.name
        );
    }
    println!();
}
