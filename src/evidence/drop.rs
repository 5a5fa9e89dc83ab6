//! Average drop and increase: what is left of the score where only the map's places are seen.

use ndarray::Array2;

use super::{Check, Finding, Number, Silence, Subject};

/// Chattopadhay et al. 2018 (Grad-CAM++): the input times the map, whose positive part is stretched to 0 to 1; the share of the score that is lost, and whether
/// it rises. Over many pictures the mean of the first is the average drop, that of the second the increase in confidence.
pub struct AverageDrop;

impl Check for AverageDrop {
    fn id(&self) -> &'static str {
        "average-drop"
    }

    fn name(&self) -> &'static str {
        "Average drop and increase"
    }

    fn about(&self) -> &'static str {
        "The share of the probability that is lost when the picture is dimmed by the map, and whether it rises instead (Chattopadhay et al. 2018). Lower is better."
    }

    fn limits(&self) -> &'static str {
        "A map that is high everywhere loses nothing and wins. It is meant as a mean over many pictures."
    }

    fn find(&self, subject: &Subject<'_>) -> Result<Finding, Silence> {
        let heat = stretched(subject.heat());
        let (whole, input) = (subject.score(), &subject.observation.input);
        if whole <= 0.0 {
            return Err(Silence::Nothing(format!(
                "There is no share of a score that is not above 0, and {} has {whole:.3}.",
                subject.label()
            )));
        }
        let scores = subject.scores(1, &|_| input * &heat)?;
        let masked = scores.first().copied().unwrap_or(0.0);
        let drop = (whole - masked).max(0.0) / whole;
        Ok(Finding {
            numbers: vec![
                Number::new("drop", drop),
                Number::yes("increase", masked > whole),
                Number::new("score_dimmed", masked),
            ],
            says: match masked > whole {
                true => format!(
                    "Dimmed by the map, the picture has more of {} than before: {masked:.3} after {whole:.3}.",
                    subject.label()
                ),
                false => format!(
                    "Dimmed by the map, the picture keeps {:.0} % of the probability of {}: {masked:.3} of {whole:.3}.",
                    100.0 * (1.0 - drop),
                    subject.label()
                ),
            },
            passes: 1,
            ..Finding::default()
        })
    }
}

/// The positive part of a map, stretched to 0 to 1.
fn stretched(heat: Array2<f32>) -> Array2<f32> {
    let heat = heat.mapv_into(|value| value.max(0.0));
    let low = heat.iter().copied().fold(f32::INFINITY, f32::min);
    let high = heat.iter().copied().fold(0.0, f32::max);
    match high > low {
        true => heat.mapv_into(|value| (value - low) / (high - low)),
        false => heat,
    }
}
