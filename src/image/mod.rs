//! Picture files to the tensor a classifier reads.
//!
//! Bytes of a picture file (JPEG, PNG, WebP, BMP, TIFF, DICOM) become a [`Picture`] ([`decode`], within [`Limits`]; [`decode_as`] through
//! a window of choice); a picture becomes the input
//! tensor of a network ([`preprocess`]), by the rules that the model's manifest states ([`Preprocessing`]).
//! Nothing here opens a file, prints, or starts a thread, and no input makes it panic.
//!
//! ```
//! use gradlens::image::{Channels, Limits, Preprocessing, decode, preprocess};
//! # let picture = image::RgbImage::from_pixel(6, 4, image::Rgb([200, 100, 50]));
//! # let bytes = gradlens::render::encode_png(&picture, &[])?;
//!
//! let picture = decode(&bytes, &Limits::default())?;
//! let prepared = preprocess(&picture, &Preprocessing::imagenet(), 224, 224, Channels::Rgb)?;
//! assert_eq!(prepared.tensor.dim(), (1, 3, 224, 224));
//! assert_eq!((prepared.region.x, prepared.region.width), (1, 4)); // the centre square of 6 x 4 pixels
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Conventions
//! - x runs right and y runs down, in pixels of the picture **as displayed** (after its EXIF orientation).
//! - A plane is an `ndarray` array indexed `[[y, x]]`; pixel centres lie at half-integers.
//! - Values are 0 to 1: a sample divided by 255 (8 bits) or by 65535 (16 bits). Colour profiles and gamma are ignored,
//!   as in the tools that classifiers are trained with.
//!
//! # The order of the transformations
//! decode, window, EXIF orientation, values 0 to 1, grey, crop, resize, stretch, mean and standard deviation, NCHW.

mod decode;
mod dicom;
mod error;
mod jpeg;
mod picture;
mod png;
mod prepare;
mod preprocessing;
mod raster;
mod resize;
mod tiff;
mod window;

pub use self::decode::{Decoded, Limits, decode, decode_as};
pub use self::error::{ImageError, PreprocessError};
pub use self::picture::{Picture, Region};
pub use self::prepare::{Prepared, preprocess, preprocess_region};
pub use self::preprocessing::{Channels, Crop, Preprocessing, Resize, Stretch};
pub(crate) use self::resize::fma;
pub use self::resize::{resize_linear, resize_triangle};
pub use self::window::{Applied, Function, Levels, Preset, Wanted, Window};
