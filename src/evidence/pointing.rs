//! The pointing game: does the map's highest place lie in what a person marked?

use super::{Check, Finding, Number, Placement, Silence, Subject, placement};

/// Zhang et al. 2016, without its tolerance of 15 pixels: whether the middle of the highest cell lies in the mask.
pub struct PointingGame;

impl Check for PointingGame {
    fn id(&self) -> &'static str {
        "pointing-game"
    }

    fn name(&self) -> &'static str {
        "Pointing game"
    }

    fn about(&self) -> &'static str {
        "Whether the map's highest place lies in the mask (Zhang et al. 2016)."
    }

    fn limits(&self) -> &'static str {
        "One picture is one throw of a coin that is as biased as the mask is large: the share of hits over many pictures is what counts."
    }

    fn find(&self, subject: &Subject<'_>) -> Result<Finding, Silence> {
        let placed = placed(subject)?;
        let hit = placed
            .hit
            .ok_or_else(|| Silence::Nothing("No place of the map is the highest.".into()))?;
        Ok(Finding {
            numbers: vec![
                Number::yes("hit", hit),
                Number::new("chance", placed.uniform),
            ],
            says: format!(
                "The highest place lies {} the mask, which covers {:.1} % of what the model sees.",
                if hit { "in" } else { "outside" },
                100.0 * placed.uniform
            ),
            ..Finding::default()
        })
    }
}

/// Where the map lies beside the mask that a person drew.
pub(super) fn placed(subject: &Subject<'_>) -> Result<Placement, Silence> {
    let mask = subject.marked()?;
    let placed =
        placement(&subject.map.values.view(), subject.region, mask).ok_or_else(no_positive)?;
    match placed.uniform > 0.0 {
        true => Ok(placed),
        false => Err(Silence::Nothing(
            "Nothing of the mask lies in the part of the picture that the model sees.".into(),
        )),
    }
}

/// A map without a place.
pub(super) fn no_positive() -> Silence {
    Silence::Nothing(
        "The map has no positive value: it shows no place that speaks for the class.".into(),
    )
}
