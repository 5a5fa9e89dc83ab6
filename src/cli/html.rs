//! What the pages have in common that commands write: one file each, no scripts, nothing from elsewhere.

use base64ct::{Base64, Encoding as _};
use image::{Rgb, RgbImage};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use ndarray::Array2;

use crate::render::{ColorMap, encode_png};

/// Letters of somebody else's text that are shown.
const MOST_LETTERS: usize = 300;

const STYLE: &str = "
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }
section { border-top: 1px solid #8888; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; table-layout: fixed; }
.under th { width: 8rem; }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8884; }
.maps { display: flex; flex-wrap: wrap; gap: 1rem; margin: 1rem 0; }
figure { margin: 0; }
img { image-rendering: pixelated; width: 14rem; height: 14rem; object-fit: contain; }
.differs { color: #b3261e; font-weight: 600; }
@media (prefers-color-scheme: dark) { .differs { color: #ff8a80; } }
.notice { font-weight: 600; }
.grave { color: #b3261e; }
.wide { overflow-x: auto; }
.wide table { table-layout: auto; overflow-wrap: normal; font-size: .85rem; }
svg { max-width: 100%; height: auto; background: #fff; }
@media (prefers-color-scheme: dark) { .grave { color: #ff8a80; } }
";

/// A page with a title.
pub fn page(title: &str, body: Markup) -> Markup {
    let policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body { (body) }
        }
    }
}

/// A map, a pixel a cell, in colours from `low` to `high`.
pub fn figure(name: &str, map: Option<Array2<f32>>, low: f32, high: f32) -> Markup {
    let drawn = map.and_then(|map| {
        let (rows, columns) = map.dim();
        let (width, height) = (u32::try_from(columns).ok()?, u32::try_from(rows).ok()?);
        let table = ColorMap::default().table();
        let range = if high > low { high - low } else { 1.0 };
        let mut picture = RgbImage::new(width, height);
        for (pixel, value) in picture.pixels_mut().zip(&map) {
            // The cast saturates, and takes NaN to 0.
            *pixel = Rgb(table[usize::from(((value - low) / range * 255.0) as u8)]);
        }
        let of = |best: fn(f32, f32) -> f32, start| map.iter().copied().fold(start, best);
        let (least, most) = (of(f32::min, f32::INFINITY), of(f32::max, f32::NEG_INFINITY));
        let uri = Base64::encode_string(&encode_png(&picture, &[]).ok()?);
        Some((
            format!("data:image/png;base64,{uri}"),
            format!("{columns} x {rows}, {least} to {most}"),
        ))
    });
    html! {
        figure {
            @match drawn {
                Some((uri, sizes)) => { img src=(uri) alt=(format!("map {name}, {sizes}")); figcaption { (name) br; (sizes) } }
                None => figcaption { (name) ": no map" },
            }
        }
    }
}

/// A text of somebody else's, not longer than a page bears.
pub fn short(text: &str) -> String {
    let mut letters = text.chars();
    let start: String = letters.by_ref().take(MOST_LETTERS).collect();
    match letters.next() {
        Some(_) => format!("{start}…"),
        None => start,
    }
}
