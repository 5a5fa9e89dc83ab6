//! What is shown and kept of an answer: pixels, pictures with the notice in them, the raw map.

use wasm_bindgen::prelude::*;

use ndarray::ArrayView2;
use serde_json::json;

use super::{Explainer, thrown, to_json};
use crate::evidence::Entry;
use crate::evidence::similarity::{spearman, ssim};
use crate::render::{self, ColorMap, Scale};

#[wasm_bindgen]
impl Explainer {
    /// The picture with the heat map over it: RGBA, width x height x 4 bytes, no stamp.
    ///
    /// # Errors
    /// One line: nothing explained yet, an unknown colour map, an opacity outside 0 to 1.
    pub fn overlay(&self, colormap: &str, opacity: f32) -> Result<Vec<u8>, JsError> {
        let (study, answer) = self.explained()?;
        let overlay = answer
            .overlay(study, parse(colormap)?, opacity)
            .map_err(thrown)?;
        Ok(render::rgba(&overlay))
    }

    /// The overlay as a PNG file with the notice in its pixels.
    ///
    /// # Errors
    /// As [`overlay`](Explainer::overlay).
    pub fn overlay_png(&self, colormap: &str, opacity: f32) -> Result<Vec<u8>, JsError> {
        let (study, answer) = self.explained()?;
        answer
            .overlay_png(study, parse(colormap)?, opacity)
            .map_err(thrown)
    }

    /// Picture, heat map and overlay side by side as a PNG file with the notice in its pixels.
    ///
    /// # Errors
    /// As [`overlay`](Explainer::overlay).
    pub fn figure_png(&self, colormap: &str, opacity: f32) -> Result<Vec<u8>, JsError> {
        let (study, answer) = self.explained()?;
        answer
            .figure_png(study, parse(colormap)?, opacity)
            .map_err(thrown)
    }

    /// The colours of a map from its lowest to its highest value: RGBA, 256 pixels. One of both signs has [others](signed_legend).
    ///
    /// # Errors
    /// One line: an unknown colour map.
    pub fn legend(&self, colormap: &str) -> Result<Vec<u8>, JsError> {
        Ok(parse(colormap)?.legend())
    }

    /// The raw map as a NumPy file.
    ///
    /// # Errors
    /// One line: nothing explained yet.
    pub fn map_npy(&self) -> Result<Vec<u8>, JsError> {
        self.explained()?.1.map_npy().map_err(thrown)
    }

    /// The answer as one HTML file. `checks_json` are entries of `gradlens.evidence/1`, `plots_json` is `[[check, svg]]`: elements that go in as they are.
    ///
    /// # Errors
    /// As [`overlay`](Explainer::overlay), and for checks that are none.
    pub fn report_html(
        &self,
        colormap: &str,
        opacity: f32,
        checks_json: &str,
        plots_json: &str,
    ) -> Result<String, JsError> {
        let (study, answer) = self.explained()?;
        let checks: Vec<Entry> = serde_json::from_str(checks_json).map_err(thrown)?;
        let plots: Vec<(String, String)> = serde_json::from_str(plots_json).map_err(thrown)?;
        let look = (parse(colormap)?, opacity);
        answer
            .html(study, &self.inner, look, &checks, &plots)
            .map_err(thrown)
    }

    /// Where the map is at least `threshold` (0 to 1) of its largest value, as COCO JSON: proposals for annotations.
    ///
    /// # Errors
    /// One line: nothing explained yet, or a threshold that is none.
    pub fn annotations(&self, threshold: f64) -> Result<String, JsError> {
        let annotations = self.explained()?.1.annotations(&self.inner, threshold);
        to_json(&annotations.map_err(thrown)?)
    }

    /// What the network saw: RGBA at the size of its input.
    ///
    /// # Errors
    /// One line: no open picture.
    pub fn seen(&self) -> Result<Vec<u8>, JsError> {
        Ok(render::rgba(&self.opened()?.prepared.seen()))
    }

    /// The picture as it is shown: RGBA, width x height x 4 bytes.
    ///
    /// # Errors
    /// One line: no open picture.
    pub fn picture(&self) -> Result<Vec<u8>, JsError> {
        Ok(render::rgba(&self.opened()?.picture.to_rgb8()))
    }

    /// The map as levels 0 to 255 over the region that the network saw, row-major, a byte a pixel: with the table of
    /// [`legend`](Explainer::legend) and the picture, all that an overlay is drawn from.
    ///
    /// # Errors
    /// One line: nothing explained yet.
    pub fn levels(&self) -> Result<Vec<u8>, JsError> {
        Ok(self.explained()?.1.levels().iter().copied().collect())
    }
}

/// The colours of a map whose "scale" is `signed`, from one of its "ends" to the other: RGBA, 256 pixels.
#[wasm_bindgen]
#[must_use]
pub fn signed_legend() -> Vec<u8> {
    render::legend(Scale::Signed.table(ColorMap::default()))
}

/// How alike two raw maps are, row-major and both `width` cells wide, as JSON: `{"spearman", "ssim"}`, null where a measure has
/// nothing to say (a flat map, or one smaller than its window).
///
/// # Errors
/// One line: the maps have no common size.
#[wasm_bindgen]
pub fn similarity(a: &[f32], b: &[f32], width: usize) -> Result<String, JsError> {
    let view = |map| ArrayView2::from_shape((a.len() / width.max(1), width), map).map_err(thrown);
    let (a, b) = (view(a)?, view(b)?);
    to_json(&json!({"spearman": spearman(&a, &b), "ssim": ssim(&a, &b)}))
}

/// A colour map by its name.
fn parse(colormap: &str) -> Result<ColorMap, JsError> {
    colormap.parse().map_err(thrown)
}
