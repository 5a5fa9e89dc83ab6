//! What every check is, and what it finds.

use serde::{Deserialize, Serialize};

use super::Subject;
use crate::explain::ExplainError;

/// One way to ask whether a map is to be believed.
pub trait Check: Sync {
    /// The name on the command line and in records.
    fn id(&self) -> &'static str;
    /// The name for people.
    fn name(&self) -> &'static str;
    /// One sentence: what it computes, and whose definition it follows.
    fn about(&self) -> &'static str;
    /// One sentence: what it does not say.
    fn limits(&self) -> &'static str;
    /// Asks.
    ///
    /// # Errors
    /// [`Silence`]: there is nothing to say, or it failed.
    fn find(&self, subject: &Subject<'_>) -> Result<Finding, Silence>;
}

/// Why a check says nothing.
#[derive(Debug)]
pub enum Silence {
    /// It has nothing to say of this map; a sentence.
    Nothing(String),
    /// It failed.
    Failed(ExplainError),
}

impl From<ExplainError> for Silence {
    fn from(error: ExplainError) -> Self {
        match error {
            // A changed picture, or a model with other weights, may overflow where the picture itself does not.
            ExplainError::NotFinite { .. } => {
                Silence::Nothing(format!("It cannot be computed: {error}."))
            }
            error => Silence::Failed(error),
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Its numbers, the one to quote first.
    pub numbers: Vec<Number>,
    /// What the numbers sum up, where that is a curve.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<Curve>,
    /// What that says of this map, in plain words.
    pub says: String,
    /// Forward passes that it took, those of maps not counted.
    pub passes: usize,
    /// Maps that were made again for it.
    pub maps: usize,
}

impl Finding {
    /// The number of this name.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<f64> {
        let found = self.numbers.iter().find(|number| number.name == name);
        found.map(|number| number.value)
    }
}

/// A number and its name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Number {
    /// In words of small letters with underscores.
    pub name: String,
    /// The number.
    pub value: f64,
}

impl Number {
    /// A number.
    #[must_use]
    pub fn new(name: &str, value: f64) -> Number {
        Number {
            name: name.into(),
            value,
        }
    }

    /// 1 for yes and 0 for no.
    #[must_use]
    pub fn yes(name: &str, yes: bool) -> Number {
        Number::new(name, f64::from(u8::from(yes)))
    }
}

/// A line through points.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// What is measured.
    pub name: String,
    /// What it is measured against.
    pub against: String,
    /// Points, from left to right.
    pub points: Vec<[f64; 2]>,
}

impl Curve {
    /// The area below it by the trapezoid rule.
    #[must_use]
    pub fn area(&self) -> f64 {
        let pairs = self.points.iter().zip(self.points.iter().skip(1));
        pairs
            .map(|(a, b)| (b[0] - a[0]) * (a[1] + b[1]) / 2.0)
            .sum()
    }

    /// The mean of its values.
    #[must_use]
    pub fn mean(&self) -> f64 {
        let sum: f64 = self.points.iter().map(|point| point[1]).sum();
        sum / self.points.len().max(1) as f64
    }
}
