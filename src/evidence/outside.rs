//! Outside the lungs: how much of the map, and of the score, has nothing to do with lungs.

use ndarray::Array4;

use super::deletion::replaced;
use super::pointing::no_positive;
use super::{Check, Finding, Number, Silence, Subject, placement};

/// No standard score exists (DeGrave et al. 2021 is why it matters): one minus the share of the map's positive values in the lungs, the same of a uniform map, whether the highest
/// place lies in the lungs, and the score with the lungs or all else in the mean colour.
pub struct OutsideLungs;

impl Check for OutsideLungs {
    fn id(&self) -> &'static str {
        "outside-lungs"
    }

    fn name(&self) -> &'static str {
        "Outside the lungs"
    }

    fn about(&self) -> &'static str {
        "The share of the map's positive values outside the lungs, beside that of a uniform map, and the probability without the lungs and without all else. Lower is better."
    }

    fn limits(&self) -> &'static str {
        "A segmenter drew the lungs and leaves out the heart's shadow and what is dense. A shortcut may lie in the lungs, too."
    }

    fn find(&self, subject: &Subject<'_>) -> Result<Finding, Silence> {
        let lungs = subject.lungs.clone().map_err(Silence::Nothing)?;
        let placed =
            placement(&subject.map.values.view(), subject.region, lungs).ok_or_else(no_positive)?;
        let input = &subject.observation.input;
        let (_, _, height, width) = input.dim();
        let inside = lungs.at_input(subject.region, height, width);
        let outside = inside.mapv(|inside| !inside);
        let grey = Array4::zeros(input.dim());
        let scores = subject.scores(2, &|index| {
            let hidden = if index == 0 { &inside } else { &outside };
            replaced(input, hidden, &grey)
        })?;
        let (without, only) = match scores.as_slice() {
            [without, only] => (*without, *only),
            _ => (0.0, 0.0),
        };
        let mut numbers = vec![
            Number::new("outside", 1.0 - placed.energy),
            Number::new("outside_uniform", 1.0 - placed.uniform),
        ];
        numbers.extend(placed.hit.map(|hit| Number::yes("highest_in_lungs", hit)));
        numbers.extend([
            Number::new("score", subject.score()),
            Number::new("score_without_lungs", without),
            Number::new("score_lungs_only", only),
        ]);
        Ok(Finding {
            numbers,
            says: format!(
                "{:.0} % of the map lies outside the lungs, where a uniform map would have {:.0} %. The probability of {} is {:.3}; {without:.3} with the lungs hidden, {only:.3} with all else hidden.",
                100.0 * (1.0 - placed.energy),
                100.0 * (1.0 - placed.uniform),
                subject.label(),
                subject.score()
            ),
            passes: 2,
            ..Finding::default()
        })
    }
}
