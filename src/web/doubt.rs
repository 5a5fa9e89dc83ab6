//! Is the answer to be believed: checks of the map, where it lies, the scores with something hidden.

use serde::Deserialize;
use serde_json::json;
use wasm_bindgen::prelude::*;

use super::callbacks::{Parts, Told};
use super::{Explainer, now, thrown, to_json};
use crate::evidence::{self, Fill};
use crate::explain::ExplainError;
use crate::image::Region;
use crate::render;
use crate::study::StudyError;

/// What is hidden of a picture.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hide {
    /// In the picture's pixels.
    boxes: Vec<Region>,
    #[serde(default)]
    fill: Fill,
}

#[wasm_bindgen]
impl Explainer {
    /// Asks the check `id` about the map of the last answer: an entry of `gradlens.evidence/1` as JSON. After `patience` milliseconds of passes it gives
    /// nothing, and the same call goes on where it was; `tell` is called with the passes that are done and their number.
    ///
    /// # Errors
    /// One line: an unknown check, nothing explained yet, or a pass that failed.
    pub fn check_for(
        &mut self,
        id: &str,
        tell: Option<js_sys::Function>,
        patience: Option<f64>,
    ) -> Result<Option<String>, JsError> {
        let check = evidence::check(id).map_err(thrown)?;
        self.explained()?;
        self.parts.turn_to(id);
        let (study, answer) = self.explained()?;
        let watch = Told::new(tell, patience, &self.parts.tape);
        let entry = study.check(
            &self.inner,
            &self.request,
            answer,
            check,
            self.lungs.as_ref(),
            &watch,
        );
        let entry = match entry {
            Err(StudyError::Explain(ExplainError::Stopped)) => return Ok(None),
            entry => entry.map_err(thrown)?,
        };
        self.parts = Parts::default();
        to_json(&entry).map(Some)
    }

    /// Where the map of the last answer lies, as JSON: `{"border": {"share", "uniform"}, "outside": {"share", "uniform"}}`, or `{"nothing": "why"}` in place of a
    /// share.
    ///
    /// # Errors
    /// One line: nothing explained yet.
    pub fn whereabouts(&self) -> Result<String, JsError> {
        let (study, answer) = self.explained()?;
        to_json(&study.whereabouts(&self.inner, answer).map_err(thrown)?)
    }

    /// Scores the open picture with boxes of it hidden. What is JSON: `{"boxes": [{"x", "y", "width", "height"}], "fill": "mean"}`, in the picture's pixels. Returns
    /// JSON: `{"scores": [], "share", "milliseconds"}`, the share being that of the network's input which is hidden.
    ///
    /// # Errors
    /// One line: no open picture, an unknown fill, or boxes that hide nothing of what the network sees.
    pub fn hide(&self, what_json: &str) -> Result<String, JsError> {
        let start = now();
        let what: Hide = serde_json::from_str(what_json).map_err(thrown)?;
        let hidden = self.opened()?.hide(&self.inner, &what.boxes, what.fill);
        let hidden = hidden.map_err(thrown)?;
        to_json(&json!({
            "scores": self.scores(&hidden.observation),
            "share": hidden.share,
            "milliseconds": now() - start,
        }))
    }

    /// What the network saw with boxes hidden: RGBA at the size of its input.
    ///
    /// # Errors
    /// As [`hide`](Explainer::hide).
    pub fn hidden_seen(&self, what_json: &str) -> Result<Vec<u8>, JsError> {
        let what: Hide = serde_json::from_str(what_json).map_err(thrown)?;
        let covered = self.opened()?.covered(&what.boxes, what.fill);
        Ok(render::rgba(&covered.map_err(thrown)?.0.seen()))
    }
}
