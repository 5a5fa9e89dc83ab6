//! Heat maps as pictures.
//!
//! A raw map and the [`Region`](crate::image::Region) that the network saw make a [`Heat`]; a heat makes an overlay, a
//! panel or the three-panel figure of the article, all at the picture's own size. [`stamp`] writes a notice into the
//! pixels, [`encode_png`] makes a file's bytes. Nothing here opens a file, prints, or starts a thread.
//!
//! ```
//! use gradlens::image::Region;
//! use gradlens::render::{ColorMap, Heat, encode_png, stamp};
//!
//! let picture = image::RgbImage::from_pixel(640, 480, image::Rgb([90, 90, 90]));
//! let map = ndarray::array![[0.0, 0.2], [0.1, 3.5]];
//! let seen = Region { x: 80, y: 0, width: 480, height: 480 };
//! let mut figure = Heat::new(&map.view(), seen)?.figure(&picture, ColorMap::Inferno, 0.5)?;
//! stamp(&mut figure, "Not for diagnostic use.");
//! let file = encode_png(&figure, &[("Disclaimer", "Not for diagnostic use.")])?;
//! assert_eq!(figure.dimensions(), (3 * 640, 480));
//! # assert!(file.len() > 1000);
//! # Ok::<(), gradlens::render::RenderError>(())
//! ```
//!
//! Every number of the way is OpenCV's, to the bit: [`resize_linear`](crate::image::resize_linear), [`normalize`],
//! [`ColorMap`], [`add_weighted`]. Colours are RGB here, where OpenCV has BGR.

mod blend;
mod colormap;
mod encode;
mod error;
mod heat;
mod peak;
mod stamp;

pub use self::blend::add_weighted;
pub use self::colormap::ColorMap;
#[cfg(feature = "web")]
pub(crate) use self::colormap::legend;
pub use self::encode::{encode_png, rgba};
pub use self::error::RenderError;
pub use self::heat::{Heat, Scale, normalize, normalize_signed};
pub use self::peak::{Peak, half_share, peak};
pub use self::stamp::stamp;
