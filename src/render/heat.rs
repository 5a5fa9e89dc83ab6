//! A heat map at the size of the picture, and the three ways to show it.

use image::RgbImage;
use ndarray::{Array2, ArrayView2};
use serde::Serialize;

use super::blend::Blend;
use super::colormap::{ZERO, diverging};
use super::{ColorMap, RenderError};
use crate::image::{Region, resize_linear};

/// Maps values to levels as the article does: `(x - min) / ((max - min) + 1e-8) * 255` in `f32`, truncated.
///
/// A map whose values are all equal gives zeros, and so does a range far below 1e-8: the raw range tells. NaN counts as the
/// minimum; an infinity as the nearer end of the finite values.
#[must_use]
pub fn normalize(map: &ArrayView2<'_, f32>) -> Array2<u8> {
    let Some((min, max)) = finite_range(map) else {
        return Array2::zeros(map.dim());
    };
    // A quarter of the range is finite even from f32::MIN to f32::MAX; a factor of 1 changes no bit.
    let factor = if (max - min).is_finite() { 1.0 } else { 0.25 };
    let (min, range) = (min * factor, (max * factor - min * factor) + 1e-8);
    // The cast saturates, and takes NaN to 0.
    map.mapv(|value| ((value * factor - min) / range * 255.0) as u8)
}

/// Maps values of both signs to levels with zero at [`ZERO`]: `128 + 127 value / most`, rounded, where `most` is the largest magnitude of a finite
/// value; 1 to 255.
///
/// A map of zeros gives [`ZERO`]. NaN counts as zero, an infinity as the end of its sign.
#[must_use]
pub fn normalize_signed(map: &ArrayView2<'_, f32>) -> Array2<u8> {
    let most = finite_range(map).map_or(0.0, |(min, max)| min.abs().max(max.abs()));
    let zero = f32::from(ZERO);
    map.mapv(|value| match value / most {
        share if share.is_nan() => ZERO,
        share => (zero + (127.0 * share.clamp(-1.0, 1.0)).round()) as u8,
    })
}

/// The least and the largest finite value; `None` if there is none.
fn finite_range(map: &ArrayView2<'_, f32>) -> Option<(f32, f32)> {
    let nothing = (f32::INFINITY, f32::NEG_INFINITY);
    // A comparison with NaN is false: it is passed over, as `f32::min` does, which WebAssembly has no instruction for.
    let widen = |(min, max): (f32, f32), &value: &f32| {
        let min = if value < min { value } else { min };
        (min, if value > max { value } else { max })
    };
    let all = map.fold(nothing, widen);
    // The usual case takes one fast pass; only infinities need the second.
    let (min, max) = if all.0.is_finite() && all.1.is_finite() {
        all
    } else {
        map.iter()
            .filter(|value| value.is_finite())
            .fold(nothing, widen)
    };
    (min <= max).then_some((min, max))
}

/// What the levels of a heat map stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// From the least to the largest value, in the colours asked for.
    #[default]
    Range,
    /// Around zero, as far to one side as to the other, in [two colours](diverging): what speaks against a class is not drawn as little of what speaks for it.
    Signed,
}

impl Scale {
    /// The colours of levels 0 to 255, RGB.
    #[must_use]
    pub fn table(self, colormap: ColorMap) -> &'static [[u8; 3]; 256] {
        match self {
            Scale::Range => colormap.table(),
            Scale::Signed => diverging(),
        }
    }
}

/// A heat map brought to the pixels of the region that the network saw. Made once per map; drawing it is cheap.
#[derive(Debug, Clone, PartialEq)]
pub struct Heat {
    /// 0 to 255, `[region.height, region.width]`.
    levels: Array2<u8>,
    region: Region,
    scale: Scale,
}

impl Heat {
    /// Resizes a raw map `[rows, columns]` to the region ([`resize_linear`]) and normalises it ([`normalize`]).
    ///
    /// # Errors
    /// [`RenderError::EmptyMap`] if the map has no cells.
    pub fn new(map: &ArrayView2<'_, f32>, region: Region) -> Result<Self, RenderError> {
        Self::on_scale(map, region, Scale::Range)
    }

    /// As [`new`](Self::new), on a scale of one's choice: [`Scale::Signed`] normalises by [`normalize_signed`].
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn on_scale(
        map: &ArrayView2<'_, f32>,
        region: Region,
        scale: Scale,
    ) -> Result<Self, RenderError> {
        let (height, width) = map.dim();
        if map.is_empty() {
            return Err(RenderError::EmptyMap { height, width });
        }
        let resized = resize_linear(map, region.height as usize, region.width as usize);
        Ok(Self {
            levels: match scale {
                Scale::Range => normalize(&resized.view()),
                Scale::Signed => normalize_signed(&resized.view()),
            },
            region,
            scale,
        })
    }

    /// Levels 0 to 255, `[region.height, region.width]`.
    #[must_use]
    pub fn levels(&self) -> ArrayView2<'_, u8> {
        self.levels.view()
    }

    /// Where in the picture the levels lie.
    #[must_use]
    pub fn region(&self) -> Region {
        self.region
    }

    /// The picture with the coloured map added: `addWeighted(heat, opacity, picture, 1, 0)`.
    ///
    /// Outside the region the picture stays as it is: the network did not see it.
    ///
    /// # Errors
    /// [`RenderError::Opacity`] unless `opacity` is 0 to 1; [`RenderError::Region`] if the region is not in the picture.
    pub fn overlay(
        &self,
        picture: &RgbImage,
        colormap: ColorMap,
        opacity: f32,
    ) -> Result<RgbImage, RenderError> {
        self.check(picture.width(), picture.height())?;
        let blend = blend(opacity)?;
        let mut overlay = picture.clone();
        for (y, row) in (0..).zip(rows_mut(&mut overlay)) {
            self.blend_row(y, row, colormap, &blend);
        }
        Ok(overlay)
    }

    /// The coloured map alone, on black, at the picture's size.
    ///
    /// # Errors
    /// [`RenderError::Region`] if the region is not in a picture of `width` x `height` pixels.
    pub fn panel(
        &self,
        width: u32,
        height: u32,
        colormap: ColorMap,
    ) -> Result<RgbImage, RenderError> {
        self.check(width, height)?;
        let mut panel = RgbImage::new(width, height);
        for (y, row) in (0..).zip(rows_mut(&mut panel)) {
            self.color_row(y, row, colormap);
        }
        Ok(panel)
    }

    /// The article's figure: picture, heat map and overlay side by side, three times the picture's width.
    ///
    /// # Errors
    /// Those of [`overlay`](Self::overlay).
    pub fn figure(
        &self,
        picture: &RgbImage,
        colormap: ColorMap,
        opacity: f32,
    ) -> Result<RgbImage, RenderError> {
        let (width, height) = picture.dimensions();
        self.check(width, height)?;
        let blend = blend(opacity)?;
        let mut figure = RgbImage::new(width * 3, height);
        let row_bytes = 3 * width as usize;
        for ((y, row), source) in (0..)
            .zip(rows_mut(&mut figure))
            .zip(picture.chunks_exact(row_bytes))
        {
            let (original, rest) = row.split_at_mut(row_bytes);
            let (panel, overlay) = rest.split_at_mut(row_bytes);
            original.copy_from_slice(source);
            self.color_row(y, panel, colormap);
            overlay.copy_from_slice(source);
            self.blend_row(y, overlay, colormap, &blend);
        }
        Ok(figure)
    }

    /// Checks that the region lies in a picture of this size.
    fn check(&self, width: u32, height: u32) -> Result<(), RenderError> {
        let region = self.region;
        if region.lies_in(width, height) {
            Ok(())
        } else {
            Err(RenderError::Region {
                region,
                width,
                height,
            })
        }
    }

    /// Levels and RGB pixels of the region in the picture's row `y`.
    fn pixels<'a>(&'a self, y: u32, row: &'a mut [u8]) -> impl Iterator<Item = (u8, &'a mut [u8])> {
        let levels = y
            .checked_sub(self.region.y)
            .and_then(|y| {
                self.levels
                    .as_slice()?
                    .chunks_exact(self.region.width as usize)
                    .nth(y as usize)
            })
            .unwrap_or_default();
        levels
            .iter()
            .copied()
            .zip(row.chunks_exact_mut(3).skip(self.region.x as usize))
    }

    /// Writes the map's colours into the picture's row `y`.
    fn color_row(&self, y: u32, row: &mut [u8], colormap: ColorMap) {
        let table = self.scale.table(colormap);
        for (level, pixel) in self.pixels(y, row) {
            pixel.copy_from_slice(&table[usize::from(level)]);
        }
    }

    /// Adds the map's colours to the picture's row `y`.
    fn blend_row(&self, y: u32, row: &mut [u8], colormap: ColorMap, blend: &Blend) {
        let table = self.scale.table(colormap);
        for (level, pixel) in self.pixels(y, row) {
            for (sample, color) in pixel.iter_mut().zip(table[usize::from(level)]) {
                *sample = blend.of(color, *sample);
            }
        }
    }
}

/// The weights of an overlay.
fn blend(opacity: f32) -> Result<Blend, RenderError> {
    if (0.0..=1.0).contains(&opacity) {
        Ok(Blend::new(opacity, 1.0, 0.0))
    } else {
        Err(RenderError::Opacity(opacity))
    }
}

/// The rows of an image, as bytes.
fn rows_mut(image: &mut RgbImage) -> std::slice::ChunksExactMut<'_, u8> {
    let bytes = (3 * image.width() as usize).max(1);
    image.chunks_exact_mut(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;
    use ndarray::array;

    #[test]
    fn levels_are_truncated_and_survive_odd_values() {
        let map = array![[-1.0, 0.0, 1.0, f32::NAN, f32::INFINITY, f32::NEG_INFINITY]];
        assert_eq!(normalize(&map.view()), array![[0, 127, 255, 0, 255, 0]]);
        assert_eq!(normalize(&array![[7.0, 7.0]].view()), array![[0, 0]]);
        assert_eq!(normalize(&array![[f32::NAN]].view()), array![[0]]);
        assert_eq!(
            normalize(&array![[f32::MIN, 0.0, f32::MAX]].view()),
            array![[0, 127, 255]]
        );
        assert_eq!(normalize(&array![[0.0, 1e-12]].view()), array![[0, 0]]);
    }

    #[test]
    fn signed_levels_have_zero_in_the_middle() {
        let map = array![[-1.0, 0.0, 4.0, f32::NAN, f32::INFINITY, -4.0]];
        assert_eq!(
            normalize_signed(&map.view()),
            array![[96, 128, 255, 128, 255, 1]]
        );
        assert_eq!(normalize_signed(&array![[0.0]].view()), array![[128]]);
        // Zero adds nothing to the picture; the two signs differ, whatever colours are asked for.
        let region = Region {
            x: 0,
            y: 0,
            width: 3,
            height: 1,
        };
        let map = array![[-1.0, 0.0, 1.0]];
        let heat = Heat::on_scale(&map.view(), region, Scale::Signed).unwrap();
        let picture = RgbImage::from_pixel(3, 1, Rgb([10, 20, 30]));
        let [jet, hot] = [ColorMap::Jet, ColorMap::Hot]
            .map(|colormap| heat.overlay(&picture, colormap, 0.5).unwrap());
        assert_eq!(jet, hot);
        assert_eq!(jet.get_pixel(1, 0).0, [10, 20, 30]);
        let panel = heat.panel(3, 1, ColorMap::Jet).unwrap();
        let [against, for_it] = [0, 2].map(|x| panel.get_pixel(x, 0).0);
        assert_eq!(against, [for_it[2], for_it[1], for_it[0]]);
        let half = array![[-1.0, 0.5, 1.0]];
        let heat = Heat::on_scale(&half.view(), region, Scale::Signed).unwrap();
        let panel = heat.panel(3, 1, ColorMap::Jet).unwrap();
        let [r, g, b] = panel.get_pixel(1, 0).0;
        assert!(r > g && g >= b, "{r} {g} {b}");
    }

    fn example() -> (RgbImage, Heat) {
        let region = Region {
            x: 1,
            y: 1,
            width: 2,
            height: 2,
        };
        (
            RgbImage::from_pixel(4, 3, Rgb([10, 20, 30])),
            Heat::new(&array![[0.0, 1.0]].view(), region).unwrap(),
        )
    }

    #[test]
    fn nothing_changes_outside_the_region() {
        let (picture, heat) = example();
        let figure = heat.figure(&picture, ColorMap::Jet, 0.5).unwrap();
        let panel = heat.panel(4, 3, ColorMap::Jet).unwrap();
        let overlay = heat.overlay(&picture, ColorMap::Jet, 0.5).unwrap();
        for (x, y, pixel) in overlay.enumerate_pixels() {
            let inside = (1..3).contains(&x) && (1..3).contains(&y);
            assert_eq!(pixel != picture.get_pixel(x, y), inside, "{x} {y}");
            assert_eq!(panel.get_pixel(x, y).0 != [0; 3], inside);
            assert_eq!(figure.get_pixel(x, y), picture.get_pixel(x, y));
            assert_eq!(figure.get_pixel(x + 4, y), panel.get_pixel(x, y));
            assert_eq!(figure.get_pixel(x + 8, y), pixel);
        }
        assert_eq!(heat.overlay(&picture, ColorMap::Jet, 0.0).unwrap(), picture);
    }

    #[test]
    fn wrong_requests_are_named() {
        let (picture, heat) = example();
        let error = |opacity| {
            heat.overlay(&picture, ColorMap::Hot, opacity)
                .unwrap_err()
                .to_string()
        };
        assert_eq!(error(1.5), "the opacity is 1.5; it must be 0 to 1");
        assert!(error(f32::NAN).contains("NaN"));
        assert!(
            heat.panel(2, 3, ColorMap::Hot)
                .unwrap_err()
                .to_string()
                .starts_with("the region 1+2, 1+2 is not")
        );
        let empty = Array2::zeros((0, 7));
        assert!(matches!(
            Heat::new(&empty.view(), heat.region()),
            Err(RenderError::EmptyMap { .. })
        ));
    }
}

#[cfg(all(test, not(target_arch = "wasm32")))]
mod properties {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn levels_rise_with_values(values in proptest::collection::vec(any::<f32>(), 1..40)) {
            let map = Array2::from_shape_vec((1, values.len()), values).unwrap();
            let levels = normalize(&map.view());
            for (a, la) in map.iter().zip(&levels) {
                for (b, lb) in map.iter().zip(&levels) {
                    prop_assert!(a >= b || a.is_nan() || b.is_nan() || la <= lb, "{} {} {} {}", a, b, la, lb);
                }
            }
        }
    }
}
