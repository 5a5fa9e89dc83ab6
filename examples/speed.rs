//! gradlens outside a browser, for `npm run bench`: told by lines of JSON what to do, answers with the time that it took. Its argument is
//! how many threads to use, one where there is none.
//!
//! A request is `{"do": "fetch", "model", "name", "size", "manifest"}`, `{"do": "load"}`, `{"do": "run", "what", "count"}` or
//! `{"do": "memory"}`.

use std::error::Error;
use std::io::{BufRead, Write};
use std::sync::Arc;
use std::time::Instant;

use cpu_time::ProcessTime;
use gradlens::engine::{Tract, threads};
use gradlens::explain::{self, Explainer, Observation, Question};
use gradlens::model::Model;
use ndarray::Array4;
use serde::Deserialize;
use serde_json::{Value, json};

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(tag = "do", rename_all = "lowercase")]
enum Request {
    Fetch(Classifier),
    Load,
    Run { what: String, count: usize },
    Memory,
}

/// A classifier's files.
#[derive(Debug, Clone, Deserialize)]
struct Classifier {
    name: String,
    model: String,
    manifest: Option<String>,
    size: usize,
}

/// A classifier that is ready, and what it made of the last picture.
struct Ready {
    explainer: Explainer,
    input: Array4<f32>,
    observation: Option<Observation>,
}

impl Ready {
    fn open(given: &Classifier) -> Result<Ready, Box<dyn Error>> {
        let bytes = std::fs::read(&given.model)?;
        let model = Model::open(&bytes, given.manifest.as_deref(), &given.name)?;
        let explainer = Explainer::new(Arc::new(Tract), Arc::new(model), None)?;
        let input = Array4::from_shape_fn((1, 3, given.size, given.size), |(_, c, y, x)| {
            ((x as f32 / 9.0).sin() + (y as f32 / 13.0 + c as f32).cos()) / 2.0
        });
        Ok(Ready {
            explainer,
            input,
            observation: None,
        })
    }

    fn run(&mut self, what: &str) -> Result<(), Box<dyn Error>> {
        if what != "class" || self.observation.is_none() {
            self.observation = Some(self.explainer.observe(&self.input)?);
        }
        let (true, Some(observation)) = (what != "forward", &self.observation) else {
            return Ok(());
        };
        let method = explain::method("grad-cam")?;
        let question = Question {
            class: usize::from(what == "class"),
            contrast: None,
            target: method.target(),
            counterfactual: false,
        };
        self.explainer.explain(observation, &question, method)?;
        Ok(())
    }
}

/// The time of an action, on the wall's clock and the processor's.
fn measured(action: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Value, Box<dyn Error>> {
    let (wall, cpu) = (Instant::now(), ProcessTime::now());
    action()?;
    let [wall, cpu] = [wall.elapsed(), cpu.elapsed()].map(|time| 1e3 * time.as_secs_f64());
    Ok(json!({"wall": wall, "cpu": cpu}))
}

/// Bytes of memory that this process had at its most, where the system says.
fn most_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(1024 * line.split_whitespace().next()?.parse::<u64>().ok()?)
}

fn main() -> Result<(), Box<dyn Error>> {
    let count = std::env::args().nth(1);
    threads::start(count.map_or(Ok(1), |count| count.parse())?)?;
    let mut classifier = None;
    let mut ready = None;
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str(&line?)? {
            Request::Fetch(given) => {
                classifier = Some(given);
                json!({})
            }
            Request::Load => {
                ready = None;
                let given = classifier.as_ref().ok_or("there is no classifier yet")?;
                measured(|| {
                    ready = Some(Ready::open(given)?);
                    Ok(())
                })?
            }
            Request::Run { what, count } => {
                let ready = ready.as_mut().ok_or("no classifier is loaded yet")?;
                measured(|| (0..count).try_for_each(|_| ready.run(&what)))?
            }
            Request::Memory => json!({"bytes": most_memory()}),
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}
