//! A notice in the pixels, where no one can lose it.

use std::collections::BTreeMap;

use image::RgbImage;
use ndarray::Array2;
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster};

use crate::image::resize_triangle;

/// Height of the font's rasters, in pixels; a letter's size here is this height scaled.
const RASTER_HEIGHT: f32 = 32.0;
/// Letters are this part of the picture's size, the geometric mean of its sides, where there is room.
const SIZE: f32 = 1.0 / 34.0;
/// Sizes in pixels: the largest; the smallest that reads with ease; the smallest that reads at all.
const LARGEST: f32 = 96.0;
const SMALLEST: f32 = 13.0;
const TINIEST: f32 = 8.0;
/// The band takes at most this part of the picture's height, unless the letters would fall below [`SMALLEST`].
const BAND: f32 = 0.2;
/// What is left of the picture's brightness under the band: white letters keep a contrast of 7:1 even over white.
const SHADE: f32 = 0.34;

/// Writes a text into the picture's pixels: white on a translucent band along the bottom. The size stays.
///
/// Letters scale with the picture; in a narrow one the text wraps, then shrinks. Where not even the smallest
/// letters fit, the first lines are written: let a notice begin with what matters most. The font has the printable ASCII
/// characters; others are shown as "?". An empty text or picture changes nothing.
pub fn stamp(picture: &mut RgbImage, text: &str) {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let Some(caption) = Caption::fit(text, width, height) else {
        return;
    };
    let top = height - caption.band_height().min(height);
    for sample in picture.chunks_exact_mut(3 * width).skip(top).flatten() {
        *sample = (f32::from(*sample) * SHADE) as u8;
    }
    let mut glyphs = BTreeMap::new();
    for (number, line) in caption.lines.iter().enumerate() {
        let y = top + caption.padding + number * caption.line_height;
        let mut x = width.saturating_sub(line.chars().count() * caption.advance) / 2;
        for letter in line.chars() {
            let glyph = glyphs
                .entry(letter)
                .or_insert_with(|| glyph(letter, caption.size, caption.advance));
            draw(picture, glyph, x, y);
            x += caption.advance;
        }
    }
}

/// A text broken into lines at a size that fits. Lengths are in pixels.
struct Caption {
    lines: Vec<String>,
    size: usize,
    advance: usize,
    line_height: usize,
    padding: usize,
}

impl Caption {
    /// The largest letters that keep the band low; `None` if there is nothing to write or nowhere.
    fn fit(text: &str, width: usize, height: usize) -> Option<Self> {
        if width == 0 || height == 0 || text.split_whitespace().next().is_none() {
            return None;
        }
        let mut size = ((width as f32 * height as f32).sqrt() * SIZE).clamp(SMALLEST, LARGEST);
        let mut caption = Self::at(text, size, width);
        while size > TINIEST {
            let part = if size > SMALLEST { BAND } else { 0.5 };
            if caption.band_height() as f32 <= height as f32 * part {
                break;
            }
            size = if size > SMALLEST {
                (size * 0.95).max(SMALLEST)
            } else {
                (size * 0.95).max(TINIEST)
            };
            caption = Self::at(text, size, width);
        }
        let room = height.saturating_sub(2 * caption.padding) / caption.line_height;
        caption.lines.truncate(room.max(1));
        Some(caption)
    }

    /// The text at one size.
    fn at(text: &str, size: f32, width: usize) -> Self {
        let size = size.round() as usize;
        let raster_width = raster(' ').map_or(RASTER_HEIGHT as usize / 2, |space| space.ncols());
        let advance = ((size * raster_width) as f32 / RASTER_HEIGHT)
            .round()
            .max(1.0) as usize;
        let padding = size.div_ceil(4);
        let columns = width.saturating_sub(2 * padding) / advance;
        Self {
            lines: wrap(text, columns.max(1)),
            size,
            advance,
            line_height: size,
            padding,
        }
    }

    fn band_height(&self) -> usize {
        self.lines.len() * self.line_height + 2 * self.padding
    }
}

/// Breaks a text into lines of at most `columns` characters, between words where words are short enough.
fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    for word in text.split_whitespace() {
        let letters: Vec<char> = word.chars().collect();
        for (number, piece) in letters.chunks(columns).enumerate() {
            match lines.last_mut() {
                Some(line) if number == 0 && used + 1 + piece.len() <= columns => {
                    line.push(' ');
                    line.extend(piece);
                    used += 1 + piece.len();
                }
                _ => {
                    lines.push(piece.iter().collect());
                    used = piece.len();
                }
            }
        }
    }
    lines
}

/// A letter's coverage, 0 to 1, at the font's own size.
fn raster(letter: char) -> Option<Array2<f32>> {
    let raster = get_raster(letter, FontWeight::Bold, RasterHeight::Size32)?;
    let coverage = raster
        .pixels()
        .iter()
        .map(|&value| f32::from(value) / 255.0)
        .collect();
    Array2::from_shape_vec((raster.height(), raster.width()), coverage).ok()
}

/// A letter's coverage, 0 to 1, `[size, advance]`.
fn glyph(letter: char, size: usize, advance: usize) -> Array2<f32> {
    let Some(coverage) = raster(letter).or_else(|| raster('?')) else {
        return Array2::zeros((0, 0));
    };
    let mut glyph = resize_triangle(&coverage.view(), size, advance);
    let scale = size as f32 / RASTER_HEIGHT;
    if scale > 1.0 {
        // Enlarged edges are blurred over several pixels; a steeper ramp brings them back to about one.
        glyph.mapv_inplace(|value| ((value - 0.5) * scale + 0.5).clamp(0.0, 1.0));
    } else {
        // Strokes thinner than a pixel would be grey.
        glyph.mapv_inplace(|value| (value * 1.4).min(1.0));
    }
    glyph
}

/// Paints a letter white with its top left corner at a point; what lies outside the picture is left out.
fn draw(picture: &mut RgbImage, glyph: &Array2<f32>, x: usize, y: usize) {
    let row_bytes = 3 * picture.width() as usize;
    for (row, coverage) in picture
        .chunks_exact_mut(row_bytes)
        .skip(y)
        .zip(glyph.rows())
    {
        for (pixel, &coverage) in row.chunks_exact_mut(3).skip(x).zip(coverage) {
            for sample in pixel {
                let old = f32::from(*sample);
                *sample = (old + (255.0 - old) * coverage).round() as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    const NOTICE: &str = "Not for diagnostic use. A heat map is not a localisation.";

    #[test]
    fn words_wrap_and_long_ones_break() {
        assert_eq!(wrap("a bb  ccc dddddd", 4), ["a bb", "ccc", "dddd", "dd"]);
        assert_eq!(wrap(NOTICE, 200), [NOTICE]);
    }

    #[test]
    fn letters_are_bright_on_a_dark_band_and_the_rest_is_untouched() {
        let white = RgbImage::from_pixel(640, 480, Rgb([255; 3]));
        let mut stamped = white.clone();
        stamp(&mut stamped, NOTICE);
        let band = stamped
            .rows()
            .filter(|row| row.clone().any(|pixel| pixel.0[0] < 100))
            .count();
        assert!((20..=96).contains(&band), "{band}");
        assert_eq!(
            stamped.as_raw()[..640 * 3 * 380],
            white.as_raw()[..640 * 3 * 380]
        );
        let bright = stamped
            .pixels()
            .rev()
            .take(640 * band)
            .filter(|pixel| pixel.0[0] > 230)
            .count();
        assert!(bright > 300, "{bright}");
    }

    #[test]
    fn the_whole_notice_fits_an_icon_of_224_pixels() {
        let caption = Caption::fit(NOTICE, 224, 224).unwrap();
        assert_eq!(caption.lines.join(" "), NOTICE);
        assert!(caption.band_height() < 70 && caption.size >= 12);
    }

    #[test]
    fn no_size_and_no_text_panics() {
        for (width, height) in [
            (0, 0),
            (1, 1),
            (1, 500),
            (500, 1),
            (7, 7),
            (30, 30),
            (3000, 20),
        ] {
            for text in ["", " ", "x", "naïve – Łódź\n", NOTICE] {
                let mut picture = RgbImage::new(width, height);
                stamp(&mut picture, text);
                assert_eq!(picture.dimensions(), (width, height));
            }
        }
    }
}
