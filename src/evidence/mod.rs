//! Is the map to be believed? Where it lies beside what a person marked, and how sure a number over many pictures is.

mod hide;
mod mask;
mod placement;
pub mod statistics;

pub use hide::{Part, hide, middle};
pub use mask::Mask;
pub use placement::{Placement, placement};
