//! What is measured of one picture.

use ndarray::Array2;
use serde::Serialize;

use crate::evidence::{Mask, Part, hide, middle, placement};
use crate::explain::{ExplainError, Explainer, Observation};
use crate::image::Region;
use crate::study::{Answer, Study};

/// The numbers of one picture.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measures {
    /// The class with the highest score.
    pub predicted: usize,
    /// The class explained.
    pub explained: usize,
    /// Its probability.
    pub probability: f64,
    /// The class predicted when the middle half of the input is grey.
    pub without_middle: usize,
    /// The explained class's probability then.
    pub probability_without_middle: f64,
    /// The class predicted when everything but the middle half is grey.
    pub without_rim: usize,
    /// The explained class's probability then.
    pub probability_without_rim: f64,
    /// Share of the map's energy on the rim; half of the area is there. `None` of an empty map.
    pub rim: Option<f64>,
    /// Share of the map's energy outside the lungs, where a segmenter found them.
    pub outside_lungs: Option<f64>,
    /// Share of the seen area that is outside the lungs.
    pub outside_lungs_of_area: Option<f64>,
    /// Whether the map's highest place is on the rim; `None` where none is the highest.
    pub peak_on_rim: Option<bool>,
    /// Whether the picture is what the model was made for, where a companion says so.
    pub frontal: Option<bool>,
    /// Why the map shows nothing, where it shows nothing.
    pub empty: Option<String>,
}

/// Measures a picture that was explained. Two more forward passes.
///
/// # Errors
/// As [`Explainer::observe`].
pub fn measure(
    explainer: &Explainer,
    study: &Study,
    answer: &Answer,
) -> Result<Measures, ExplainError> {
    let explained = answer.report.explained.index;
    let of = |seen: &Observation| {
        let highest = seen.logits.iter().enumerate();
        let highest = highest.max_by(|a, b| a.1.total_cmp(b.1));
        let probability = seen.probabilities.get(explained).copied();
        (
            highest.map_or(0, |(class, _)| class),
            f64::from(probability.unwrap_or(f32::NAN)),
        )
    };
    let grey = study.prepared.grey();
    let hidden = |part| {
        Ok::<_, ExplainError>(of(&explainer.observe(&hide(
            &study.prepared.tensor,
            part,
            &grey,
        ))?))
    };
    let (predicted, probability) = of(&study.observation);
    let (without_middle, probability_without_middle) = hidden(Part::Middle)?;
    let (without_rim, probability_without_rim) = hidden(Part::Rim)?;
    let region = study.prepared.region;
    let (width, height) = (study.picture.width(), study.picture.height());
    let placed = |mask: &Mask| placement(&answer.map.values.view(), region, mask);
    let rim = placed(&rim(region, width, height));
    let lungs = study.fields.as_ref();
    let lungs = lungs.and_then(|fields| Mask::of_lungs(fields, width, height));
    let outside = lungs.and_then(|lungs| placed(&lungs.inverse()));
    Ok(Measures {
        predicted,
        explained,
        probability,
        without_middle,
        probability_without_middle,
        without_rim,
        probability_without_rim,
        rim: rim.map(|placed| placed.energy),
        outside_lungs: outside.map(|placed| placed.energy),
        outside_lungs_of_area: outside.map(|placed| placed.uniform),
        peak_on_rim: rim.and_then(|placed| placed.hit),
        frontal: study.fields.as_ref().map(|fields| fields.is_frontal()),
        empty: answer.map.empty.clone(),
    })
}

/// The map of a picture with the sum 1; `None` of one without a positive value.
#[must_use]
pub fn share(map: &Array2<f32>) -> Option<Array2<f64>> {
    let positive = map.mapv(|value| f64::from(value.max(0.0)));
    let sum = positive.sum();
    (sum > 0.0 && sum.is_finite()).then(|| positive / sum)
}

/// The region without its middle half, as a mask of the whole picture.
fn rim(region: Region, width: u32, height: u32) -> Mask {
    let (rows, columns) = middle(region.height as usize, region.width as usize);
    let middle = Region {
        x: region.x + columns.start as u32,
        y: region.y + rows.start as u32,
        width: columns.len() as u32,
        height: rows.len() as u32,
    };
    Mask::of_region(middle, width, height).inverse()
}
