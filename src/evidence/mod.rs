//! Is the map to be believed? Checks of one map, where it lies beside what a person marked, and how sure a number over many
//! pictures is.

mod border;
mod check;
mod cover;
mod deletion;
mod drop;
mod energy;
mod hide;
mod impute;
mod insertion;
mod mask;
mod outside;
mod placement;
mod pointing;
mod randomisation;
mod ranking;
mod record;
mod road;
mod shuffle;
pub mod similarity;
mod stability;
pub mod statistics;
mod subject;

pub use border::border_share;
pub use check::{Check, Curve, Finding, Number, Silence};
pub use cover::Fill;
pub use hide::{Part, hide, middle};
pub use mask::Mask;
pub use placement::{Placement, placement};
pub use record::{Entry, Evidence, SCHEMA};
pub use subject::Subject;

/// Every check, cheap ones among them first asked of the score, then of the model, then of places.
pub const CHECKS: &[&dyn Check] = &[
    &deletion::Deletion,
    &insertion::Insertion,
    &drop::AverageDrop,
    &road::Road,
    &randomisation::Randomisation,
    &stability::Stability,
    &pointing::PointingGame,
    &energy::Energy,
    &outside::OutsideLungs,
    &border::Border,
];

/// The check named `id`; the names there are where there is none.
///
/// # Errors
/// One line.
pub fn check(id: &str) -> Result<&'static dyn Check, String> {
    let found = CHECKS.iter().find(|check| check.id() == id);
    found.copied().ok_or_else(|| {
        let known: Vec<&str> = CHECKS.iter().map(|check| check.id()).collect();
        format!(
            "there is no check '{id}'; the checks are {}",
            known.join(", ")
        )
    })
}
