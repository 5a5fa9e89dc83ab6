//! Model randomisation: does the map depend on what the model has learned?

use std::sync::Arc;

use ndarray::Array2;

use super::shuffle::Weights;
use super::similarity::{spearman, spearman_absolute, ssim};
use super::statistics::mean;
use super::{Check, Curve, Finding, Number, Silence, Subject};
use crate::explain::{ExplainError, HeatMap, Place, Watch};
use crate::random::SplitMix;

/// Adebayo et al. 2018, the cascading parameter randomisation test: the weights are randomised from the scores down, in [`PARTS`] parts after the last layer alone; the map of the same
/// input and class is made again and compared with the picture's own by rank correlation, with and without signs, and structural similarity. [`DRAWS`] random models a part (one where a map takes
/// hundreds of passes), and the mean over those that have a map.
pub struct Randomisation;

const PARTS: usize = 4;
const DRAWS: usize = 5;
/// For methods that make hundreds of passes a map.
const FEW_DRAWS: usize = 1;
/// Correlations up to here are what smooth maps of few cells have by chance.
const UNLIKE: f64 = 0.3;
/// From here on a map is still the same to the eye.
const ALIKE: f64 = 0.5;

/// Maps of fewer cells have any correlation by chance.
const FEW: usize = 16;

/// The measures, in order.
const MEASURES: [&str; 3] = ["spearman", "spearman_absolute", "ssim"];

impl Check for Randomisation {
    fn id(&self) -> &'static str {
        "randomisation"
    }

    fn name(&self) -> &'static str {
        "Model randomisation"
    }

    fn about(&self) -> &'static str {
        "How alike the map stays when the model's weights are randomised from the scores down (Adebayo et al. 2018): rank correlation with and without signs, and structural similarity. Near 0 is better."
    }

    fn limits(&self) -> &'static str {
        "A map that depends on the weights may still be wrong; one of few cells is like any other by chance."
    }

    fn find(&self, subject: &Subject<'_>) -> Result<Finding, Silence> {
        let model = &subject.explainer.model;
        let weights = Weights::of(model).map_err(ExplainError::from)?;
        let total = weights.layers();
        if total == 0 {
            return Err(Silence::Nothing("The model keeps no weights as initializers of its layers: there is nothing to randomise.".into()));
        }
        let mut counts = vec![1];
        counts.extend((1..=PARTS).map(|part| (part * total).div_ceil(PARTS)));
        counts.dedup();
        let how = subject.method.how();
        let each = match how.makes_passes() && how.place() == Place::Layer {
            true => FEW_DRAWS,
            false => DRAWS,
        };
        let heat = subject.heat();
        let found = subject.again(counts.len() * each, &|index, watch| {
            let layers = counts.get(index / each).copied().unwrap_or(total);
            let seed = SplitMix::of(0, index).draw();
            let map = remade(subject, &weights, layers, seed, watch)?;
            Ok(map.map(|map| alike(&heat, &subject.at_input(&map))))
        })?;
        // Over the random models that have a map: most ways to have none say nothing of likeness.
        let stage = |at: usize, measure: usize| {
            let draws = found.iter().skip(at * each).take(each).flatten();
            let values: Vec<f64> = draws
                .filter_map(|alike| alike.get(measure).copied().flatten())
                .collect();
            mean(&values)
        };
        let last = counts.len() - 1;
        let draws = found.iter().skip(last * each);
        let blank = draws.filter(|alike| alike.is_none()).count();
        let at_last = MEASURES
            .iter()
            .enumerate()
            .filter_map(|(at, name)| Some(Number::new(name, stage(last, at)?)));
        let mut numbers: Vec<Number> = at_last.collect();
        numbers.extend(stage(0, 0).map(|value| Number::new("spearman_last_layer", value)));
        numbers.push(Number::new("without_a_map", blank as f64 / each as f64));
        let curves = MEASURES.iter().enumerate().map(|(at, name)| Curve {
            name: (*name).into(),
            against: "share of layers randomised, from the scores down".into(),
            points: (0..)
                .zip(&counts)
                .filter_map(|(part, &count)| Some([count as f64 / total as f64, stage(part, at)?]))
                .collect(),
        });
        let says = match (stage(last, 0), stage(last, 1)) {
            (Some(ranks), Some(magnitudes)) => {
                let verdict = match ranks.abs().max(magnitudes.abs()) {
                    _ if subject.map.values.len() < FEW => "a map of so few cells cannot tell",
                    most if most < UNLIKE => "it depends on what the model has learned",
                    most if most < ALIKE => "it depends on what the model has learned in part",
                    _ => "much of it does not depend on what the model has learned",
                };
                let blank = match blank {
                    0 => String::new(),
                    blank => format!("; {blank} of {each} random models have no map at all"),
                };
                format!(
                    "With all {total} layers randomised the map's order of places correlates by {ranks:.2} with the picture's own ({magnitudes:.2} without signs){blank}: {verdict}."
                )
            }
            _ => format!(
                "With all {total} layers randomised no random model of {each} has a map at all: it depends on what the model has learned."
            ),
        };
        Ok(Finding {
            numbers,
            curves: curves.collect(),
            says,
            passes: 0,
            maps: found.len(),
        })
    }
}

/// The map of the same input and question under a model that forgot its last layers; `None` where it has none to show.
fn remade(
    subject: &Subject<'_>,
    weights: &Weights,
    layers: usize,
    seed: u64,
    watch: &dyn Watch,
) -> Result<Option<HeatMap>, ExplainError> {
    let model = weights.forgotten(&subject.explainer.model, layers, seed)?;
    let explainer = subject.explainer.of_model(Arc::new(model))?;
    let seen = match explainer.observe(&subject.observation.input) {
        Err(ExplainError::NotFinite { .. }) => return Ok(None),
        seen => seen?,
    };
    let map = explainer.explain_watched(&seen, subject.question, subject.method, watch)?;
    Ok(map.empty.is_none().then_some(map))
}

/// The [`MEASURES`] of two maps; `None` where one is not defined.
fn alike(a: &Array2<f32>, b: &Array2<f32>) -> [Option<f64>; 3] {
    let (a, b) = (a.view(), b.view());
    [spearman(&a, &b), spearman_absolute(&a, &b), ssim(&a, &b)]
}
