//! What can be wrong with a request to draw.

use crate::image::Region;

/// Why a heat map was not drawn. Each message is one line.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// No colour map has this name.
    #[error("no colour map is called '{0}'; there are hot, jet, viridis, inferno, magma and turbo")]
    UnknownColorMap(String),
    /// An opacity outside 0 to 1.
    #[error("the opacity is {0}; it must be 0 to 1")]
    Opacity(f32),
    /// A map without cells.
    #[error("the heat map is {height} x {width} cells; there is nothing to draw")]
    EmptyMap {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
    },
    /// A region that has no pixels or reaches beyond the picture.
    #[error("the region {}+{}, {}+{} is not inside the picture of {width} x {height} pixels", .region.x, .region.width, .region.y, .region.height)]
    Region {
        /// The region asked for.
        region: Region,
        /// The picture's width in pixels.
        width: u32,
        /// The picture's height in pixels.
        height: u32,
    },
    /// The PNG encoder refused; a picture without pixels or a text that PNG cannot hold.
    #[error("the picture cannot be written as PNG: {0}")]
    Encode(String),
}
