//! Numbers with intervals, and how they are shown.

use std::collections::BTreeMap;

use gradlens::evidence::statistics::bootstrap;
use serde::Serialize;

/// Bootstrap samples.
const DRAWS: usize = 2000;

/// A number and its 95 % interval.
#[derive(Debug, Clone, Serialize)]
pub struct Number {
    pub value: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<[f64; 2]>,
}

/// Named numbers in the order that they were given.
pub type Numbers = serde_json::Map<String, serde_json::Value>;

/// Computes named numbers of all pictures and their intervals over patients. `patients` names each picture's.
pub fn summarise(
    names: &[&str],
    patients: &[&str],
    measure: impl Fn(&[usize]) -> Vec<Option<f64>>,
) -> Numbers {
    let mut groups: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, patient) in patients.iter().enumerate() {
        groups.entry(patient).or_default().push(index);
    }
    let groups: Vec<Vec<usize>> = groups.into_values().collect();
    let all: Vec<usize> = (0..patients.len()).collect();
    let values = measure(&all);
    let intervals = bootstrap(&groups, DRAWS, 0, measure);
    let mut numbers = Numbers::new();
    for (index, name) in names.iter().enumerate() {
        let Some(value) = values.get(index).copied().flatten() else {
            continue;
        };
        let interval = intervals.get(index).copied().flatten();
        let interval = interval.map(|(low, high)| [rounded(low), rounded(high)]);
        let number = Number {
            value: rounded(value),
            interval,
        };
        print!("  {name:<34} {value:>7.3}");
        match interval {
            Some([low, high]) => println!("  [{low:.3}, {high:.3}]"),
            None => println!(),
        }
        numbers.insert((*name).to_owned(), serde_json::json!(number));
    }
    numbers
}

/// Four digits: more are noise.
pub fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
