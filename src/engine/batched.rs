//! Runs that come from several threads, joined: a GPU takes thirty pictures in hardly more time than one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ndarray::{ArrayD, Axis, Slice, concatenate};
use tract_onnx::pb::{ModelProto, tensor_shape_proto::dimension, type_proto};

use super::{Engine, EngineError, EngineInfo, Kind, Session, Spec, Value};

/// How long a run waits for others to join it.
const PATIENCE: Duration = Duration::from_millis(2);

/// An engine whose sessions put the runs of several threads together along the first axis, the batch. Every run gets its own results, as if it
/// had been alone; a graph whose batch is not declared open is run alone.
pub struct Batched {
    engine: Arc<dyn Engine>,
    most: usize,
}

impl Batched {
    /// Puts up to `most` runs together.
    #[must_use]
    pub fn new(engine: Arc<dyn Engine>, most: usize) -> Batched {
        Batched { engine, most }
    }
}

impl Engine for Batched {
    fn info(&self) -> EngineInfo {
        self.engine.info()
    }

    fn prepare(&self, graph: ModelProto, inputs: &[Spec]) -> Result<Box<dyn Session>, EngineError> {
        let single = self.engine.prepare(graph.clone(), inputs)?;
        let together: Vec<Spec> = inputs.iter().map(|spec| widened(spec, self.most)).collect();
        if self.most < 2
            || !is_open(&graph)
            || inputs.iter().any(|spec| spec.shape.first() != Some(&1))
        {
            return Ok(single);
        }
        // A graph may say that its batch is open and not keep its word: then it is run alone.
        match self.engine.prepare(graph, &together) {
            Ok(many) => Ok(Box::new(BatchedSession {
                single,
                many,
                specs: inputs.to_vec(),
                most: self.most,
                results: OnceLock::new(),
                is_apart: AtomicBool::new(false),
                queue: Mutex::default(),
                changed: Condvar::new(),
            })),
            Err(_) => Ok(single),
        }
    }
}

/// The spec of `most` values put together.
fn widened(spec: &Spec, most: usize) -> Spec {
    let mut wide = spec.clone();
    if let Some(batch) = wide.shape.first_mut() {
        *batch *= most;
    }
    wide
}

/// Whether no input of a graph says how many pictures it takes.
fn is_open(graph: &ModelProto) -> bool {
    let declared = graph.graph.iter().flat_map(|graph| &graph.input);
    let shapes = declared.filter_map(|input| {
        let type_proto::Value::TensorType(tensor) = input.r#type.as_ref()?.value.as_ref()?;
        tensor.shape.as_ref()
    });
    let mut batches = shapes.filter_map(|shape| shape.dim.first());
    batches.all(|batch| !matches!(batch.value, Some(dimension::Value::DimValue(_))))
}

/// The results of one run.
type Outcome = Result<Vec<Value>, EngineError>;

/// Runs that wait, and those that are done and not yet fetched.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<(u64, Vec<Value>)>,
    done: Vec<(u64, Outcome)>,
    next: u64,
    /// Whether a thread is collecting runs or computing them.
    is_led: bool,
}

struct BatchedSession {
    single: Box<dyn Session>,
    many: Box<dyn Session>,
    specs: Vec<Spec>,
    most: usize,
    /// What a run alone gives, once there was one.
    results: OnceLock<Vec<Spec>>,
    /// Whether the runs' shares in a joint result cannot be told.
    is_apart: AtomicBool,
    queue: Mutex<Queue>,
    changed: Condvar,
}

impl Session for BatchedSession {
    fn run(&self, inputs: &[Value]) -> Outcome {
        if inputs.len() != self.specs.len()
            || inputs
                .iter()
                .zip(&self.specs)
                .any(|(value, spec)| value.spec() != *spec)
        {
            // It says what does not fit.
            return self.single.run(inputs);
        }
        let mut queue = self.lock();
        let ticket = queue.next;
        queue.next += 1;
        queue.waiting.push_back((ticket, inputs.to_vec()));
        self.changed.notify_all();
        loop {
            if let Some(at) = queue.done.iter().position(|(of, _)| *of == ticket) {
                return queue.done.swap_remove(at).1;
            }
            queue = match queue.is_led {
                true => self
                    .changed
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner),
                false => self.lead(queue),
            };
        }
    }
}

impl BatchedSession {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Collects runs for a moment, computes them, and hands out their results.
    fn lead<'q>(&'q self, mut queue: MutexGuard<'q, Queue>) -> MutexGuard<'q, Queue> {
        queue.is_led = true;
        let begun = Instant::now();
        while queue.waiting.len() < self.most {
            let Some(left) = PATIENCE.checked_sub(begun.elapsed()) else {
                break;
            };
            let woken = self.changed.wait_timeout(queue, left);
            queue = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        let count = queue.waiting.len().min(self.most);
        let (tickets, runs): (Vec<u64>, Vec<Vec<Value>>) = queue.waiting.drain(..count).unzip();
        drop(queue);
        let outcomes = self.together(&runs).unwrap_or_else(|| self.each(&runs));
        let mut queue = self.lock();
        queue.done.extend(tickets.into_iter().zip(outcomes));
        queue.is_led = false;
        self.changed.notify_all();
        queue
    }

    /// One run after the other.
    fn each(&self, runs: &[Vec<Value>]) -> Vec<Outcome> {
        let outcomes = runs.iter().map(|run| self.single.run(run));
        let outcomes = outcomes.inspect(|outcome| {
            if let Ok(values) = outcome {
                self.results
                    .get_or_init(|| values.iter().map(Value::spec).collect());
            }
        });
        outcomes.collect()
    }

    /// Several runs as one; `None` where they are too few, where one of them makes it fail, or where the results cannot be told apart: until a
    /// first run was alone, nobody knows what belongs to one, and a result that is the same for all is no run's share.
    fn together(&self, runs: &[Vec<Value>]) -> Option<Vec<Outcome>> {
        if runs.len() < 2 || self.is_apart.load(Ordering::Relaxed) || self.results.get().is_none() {
            return None;
        }
        // What is missing to a whole batch is the last run again.
        let padded = |at: usize| &runs[at.min(runs.len() - 1)];
        let inputs = (0..self.specs.len())
            .map(|input| joined((0..self.most).map(|run| &padded(run)[input])));
        let outputs = self
            .many
            .run(&inputs.collect::<Option<Vec<Value>>>()?)
            .ok()?;
        let expected = self
            .results
            .get()?
            .iter()
            .map(|spec| widened(spec, self.most));
        if !outputs.iter().map(Value::spec).eq(expected) {
            self.is_apart.store(true, Ordering::Relaxed);
            return None;
        }
        let results = (0..runs.len()).map(|run| {
            Ok(outputs
                .iter()
                .map(|output| part(output, run, self.most))
                .collect())
        });
        Some(results.collect())
    }
}

/// Values of one kind, one behind the other along the first axis.
fn joined<'v>(values: impl Iterator<Item = &'v Value> + Clone) -> Option<Value> {
    fn of<'v, T: Clone + 'v>(
        values: impl Iterator<Item = &'v Value>,
        array: fn(&Value) -> Option<&ArrayD<T>>,
        value: fn(ArrayD<T>) -> Value,
    ) -> Option<Value> {
        let arrays = values.map(|value| Some(array(value)?.view()));
        let arrays = arrays.collect::<Option<Vec<_>>>()?;
        concatenate(Axis(0), &arrays).ok().map(value)
    }
    match values.clone().next()?.spec().kind {
        Kind::F32 => of(values, Value::as_f32, Value::F32),
        Kind::I64 => of(values, Value::as_i64, Value::I64),
        Kind::Bool => of(values, Value::as_bool, Value::Bool),
    }
}

/// The share of run `at` in a result of `most` runs.
fn part(value: &Value, at: usize, most: usize) -> Value {
    fn of<T: Clone>(array: &ArrayD<T>, at: usize, most: usize) -> ArrayD<T> {
        let each = array.len_of(Axis(0)) / most;
        let own = Slice::from(at * each..(at + 1) * each);
        array.slice_axis(Axis(0), own).to_owned()
    }
    match value {
        Value::F32(array) => Value::F32(of(array, at, most)),
        Value::I64(array) => Value::I64(of(array, at, most)),
        Value::Bool(array) => Value::Bool(of(array, at, most)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use tract_onnx::pb::{
        GraphProto, OperatorSetIdProto, TensorShapeProto, TypeProto, ValueInfoProto,
        tensor_proto::DataType, tensor_shape_proto::Dimension,
    };

    use super::*;
    use crate::engine::Tract;
    use crate::model::onnx::parts;

    /// `y = x + x`, and `one` a constant, where the graph is to have it; the batch open or 1.
    fn doubling(batch: Option<i64>, with_constant: bool) -> ModelProto {
        let size = |value| Dimension {
            denotation: String::new(),
            value,
        };
        let value = |name: &str, dims: Option<Vec<Dimension>>| ValueInfoProto {
            name: name.into(),
            r#type: dims.map(|dim| TypeProto {
                denotation: String::new(),
                value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                    elem_type: DataType::Float as i32,
                    shape: Some(TensorShapeProto { dim }),
                })),
            }),
            ..ValueInfoProto::default()
        };
        let batch = batch.map(dimension::Value::DimValue);
        let dims = vec![size(batch), size(Some(dimension::Value::DimValue(3)))];
        let mut graph = GraphProto {
            name: "doubling".into(),
            node: vec![parts::node("Add", &["x", "x"], "y", vec![])],
            input: vec![value("x", Some(dims))],
            output: vec![value("y", None)],
            ..GraphProto::default()
        };
        if with_constant {
            graph
                .initializer
                .push(parts::integers("sizes", &[4], &[1, 2, 3, 4]));
            graph
                .node
                .push(parts::node("Identity", &["sizes"], "same", vec![]));
            graph.output.push(value("same", None));
        }
        ModelProto {
            ir_version: 8,
            opset_import: vec![OperatorSetIdProto {
                domain: String::new(),
                version: 17,
            }],
            graph: Some(graph),
            ..ModelProto::default()
        }
    }

    /// tract, counting the runs of each batch.
    #[derive(Default)]
    struct Counting {
        alone: Arc<AtomicUsize>,
        joint: Arc<AtomicUsize>,
    }

    struct CountingSession(Box<dyn Session>, Arc<AtomicUsize>);

    impl Engine for Counting {
        fn info(&self) -> EngineInfo {
            Tract.info()
        }

        fn prepare(
            &self,
            graph: ModelProto,
            inputs: &[Spec],
        ) -> Result<Box<dyn Session>, EngineError> {
            let counter = if inputs[0].shape[0] == 1 {
                &self.alone
            } else {
                &self.joint
            };
            Ok(Box::new(CountingSession(
                Tract.prepare(graph, inputs)?,
                counter.clone(),
            )))
        }
    }

    impl Session for CountingSession {
        fn run(&self, inputs: &[Value]) -> Outcome {
            self.1.fetch_add(1, Ordering::Relaxed);
            // Long enough for the others to queue up.
            std::thread::sleep(Duration::from_millis(5));
            self.0.run(inputs)
        }
    }

    /// Asks from 24 threads, ten times each; how many runs were alone and how many joint.
    fn ask(graph: ModelProto) -> (usize, usize) {
        let engine = Counting::default();
        let (alone, joint) = (engine.alone.clone(), engine.joint.clone());
        let spec = Spec {
            kind: Kind::F32,
            shape: vec![1, 3],
        };
        let session = Batched::new(Arc::new(engine), 8)
            .prepare(graph, &[spec])
            .unwrap();
        std::thread::scope(|scope| {
            for thread in 0..24 {
                let session = session.as_ref();
                scope.spawn(move || {
                    for round in 0..10 {
                        let x = ArrayD::from_elem(vec![1, 3], (thread * 10 + round) as f32);
                        let found = session.run(&[Value::F32(x.clone())]).unwrap();
                        assert_eq!(found[0], Value::F32(&x + &x));
                        if let Some(same) = found.get(1) {
                            assert_eq!(same.spec().shape, [4]);
                        }
                    }
                });
            }
        });
        let wrong = session.run(&[Value::F32(ArrayD::zeros(vec![1, 4]))]);
        assert!(matches!(wrong, Err(EngineError::Input { .. })), "{wrong:?}");
        (alone.load(Ordering::Relaxed), joint.load(Ordering::Relaxed))
    }

    #[test]
    fn runs_are_joined_and_each_gets_its_own_results() {
        let (alone, joint) = ask(doubling(None, false));
        assert!(
            joint > 0 && alone + joint < 200,
            "{alone} alone, {joint} joint"
        );
    }

    #[test]
    fn what_cannot_be_told_apart_or_has_a_fixed_batch_is_run_alone() {
        let (alone, joint) = ask(doubling(None, true));
        assert!(alone >= 239 && joint <= 1, "{alone} alone, {joint} joint");
        assert_eq!(ask(doubling(Some(1), false)).1, 0);
    }
}
