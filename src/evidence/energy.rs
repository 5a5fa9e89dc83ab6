//! Energy: how much of the map lies in what a person marked.

use super::pointing::placed;
use super::{Check, Finding, Number, Silence, Subject};

/// Wang et al. 2020 (Score-CAM), the energy-based pointing game: the sum of the map's positive values in the mask over their whole sum.
pub struct Energy;

impl Check for Energy {
    fn id(&self) -> &'static str {
        "energy"
    }

    fn name(&self) -> &'static str {
        "Energy in the mask"
    }

    fn about(&self) -> &'static str {
        "The share of the map's positive values that lies in the mask (Wang et al. 2020), beside that of a uniform map. Higher is better."
    }

    fn limits(&self) -> &'static str {
        "A coarse map spills over the rim of any small mask. That a map lies on a finding does not show that the model knows it as one."
    }

    fn find(&self, subject: &Subject<'_>) -> Result<Finding, Silence> {
        let placed = placed(subject)?;
        let gain = placed.energy / placed.uniform;
        Ok(Finding {
            numbers: vec![
                Number::new("energy", placed.energy),
                Number::new("uniform", placed.uniform),
                Number::new("gain", gain),
            ],
            says: format!(
                "{:.1} % of the map lies in the mask, {gain:.2} times what a uniform map would have there.",
                100.0 * placed.energy
            ),
            ..Finding::default()
        })
    }
}
