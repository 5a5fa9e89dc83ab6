//! The open picture of a model: its scores, and the map that answers a question about them.

use std::iter;

use serde::Deserialize;
use serde_json::{Value, json};
use wasm_bindgen::prelude::*;

use super::callbacks::{Parts, Told};
use super::digests::graph_of;
use super::{Explainer, now, thrown, to_json};
use crate::explain::{
    self, ExplainError, METHODS, Manner, Method, Observation, Place, Smooth, Target,
};
use crate::image::{Applied, Limits, Wanted};
use crate::render;
use crate::report::{self, CompanionEntry};
use crate::study::{Answer, Request, Study, StudyError};

/// The options of [`Explainer::explain`].
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Options {
    class: Option<usize>,
    contrast: Option<usize>,
    layer: Option<String>,
    method: Option<String>,
    target: Option<Target>,
    /// Layers whose maps are fused with that of `layer`.
    layers: Vec<String>,
    smooth: Vec<Smooth>,
    counterfactual: bool,
}

/// The options of [`Explainer::open`].
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Opening {
    window: Option<Applied>,
}

#[wasm_bindgen]
impl Explainer {
    /// Decodes a picture and scores it. Options are JSON: `{"window"}`, what its values are seen through, `{"center", "width", "function"}` or `{"table"}`;
    /// without one the file's own. Returns JSON: the file, the region that the network sees, the scores; `levels` where a window can be chosen: `{"low",
    /// "high", "units", "presets": [{"name", "applied"}], "applied", "function"}`; `note` where the file holds more than is shown.
    ///
    /// # Errors
    /// One line: why the file is no picture, why it cannot be seen through the window, or what failed.
    pub fn open(
        &mut self,
        name: &str,
        bytes: &[u8],
        options_json: Option<String>,
    ) -> Result<String, JsError> {
        let options = options_json.as_deref().map(serde_json::from_str);
        let options: Opening = options.transpose().map_err(thrown)?.unwrap_or_default();
        let wanted = options.window.map_or(Wanted::Usual, Wanted::Exactly);
        // The last picture's memory goes before the next one's comes.
        self.study = None;
        self.answer = None;
        self.parts = Parts::default();
        let start = now();
        let study = Study::open_as(
            &self.inner,
            self.lungs.as_ref(),
            name,
            bytes,
            &Limits::for_a_tab(),
            &wanted,
        )
        .map_err(thrown)?;
        let scores = self.scores(&study.observation);
        let companion = study.companion(&self.inner);
        let text = to_json(&json!({
            "name": study.entry.name,
            "sha256": study.entry.sha256,
            "width": study.entry.width,
            "height": study.entry.height,
            "region": study.prepared.region,
            "levels": study.levels,
            "note": study.entry.note,
            "companion": companion,
            "warning": companion.as_ref().and_then(CompanionEntry::warning),
            "scores": scores,
            "milliseconds": {"forward": now() - start},
        }))?;
        self.study = Some(study);
        Ok(text)
    }

    /// Explains the open picture. Options are JSON: `{"class", "contrast", "layer", "method", "target", "layers", "smooth", "counterfactual"}`, each
    /// optional. `tell` is called with the passes
    /// that are done and their number, for methods that make many.
    ///
    /// Another class runs only the part of the graph that depends on the class; another layer runs the forward pass again.
    ///
    /// # Errors
    /// One line: an unknown class, layer or method, or no open picture.
    pub fn explain(
        &mut self,
        options_json: &str,
        tell: Option<js_sys::Function>,
    ) -> Result<String, JsError> {
        let text = self.explain_for(options_json, tell, None)?;
        text.ok_or_else(|| JsError::new("it was stopped"))
    }

    /// As [`explain`](Explainer::explain), in parts: after `patience` milliseconds of passes it gives nothing, and the same call goes on where it was.
    /// Between two calls a worker hears whether it is still asked for.
    ///
    /// # Errors
    /// As [`explain`](Explainer::explain).
    pub fn explain_for(
        &mut self,
        options_json: &str,
        tell: Option<js_sys::Function>,
        patience: Option<f64>,
    ) -> Result<Option<String>, JsError> {
        let options: Options = serde_json::from_str(options_json).map_err(thrown)?;
        let start = now();
        self.parts.turn_to(options_json);
        let (method, manner) = self.way(&options)?;
        if manner != self.inner.manner() || !self.inner.is_for(method) {
            let (engine, model) = (self.engine.clone(), self.inner.model.clone());
            let inner = explain::Explainer::for_method(engine, model, method, &manner);
            let mut inner = inner.map_err(thrown)?;
            let graph = graph_of(&inner.layer, method);
            let digest = self.digests.get(&graph).map(String::as_str);
            inner.digested(digest).map_err(thrown)?;
            if let Some(study) = &mut self.study {
                study.observation = inner.observe(&study.prepared.tensor).map_err(thrown)?;
            }
            self.inner = inner;
            self.answer = None;
        }
        let study = self.opened()?;
        let request = Request {
            class: options.class,
            contrast: options.contrast,
            method: options.method,
            target: options.target,
            counterfactual: options.counterfactual,
        };
        let watch = Told::new(tell, patience, &self.parts.tape);
        let answer = match study.ask_watched(&self.inner, &request, &watch) {
            Err(StudyError::Explain(ExplainError::Stopped)) => {
                self.parts.spent += now() - start;
                return Ok(None);
            }
            answer => answer.map_err(thrown)?,
        };
        let spent = self.parts.spent + now() - start;
        let (width, height) = (study.entry.width, study.entry.height);
        let peak = answer
            .peak
            .map(|peak| json!({"x": peak.x, "y": peak.y, "words": peak.words(width, height)}));
        let text = to_json(&json!({
            "report": answer.report,
            "empty": answer.map.empty,
            "peak": peak,
            "half_share": render::half_share(&answer.map.values.view()),
            "caption": answer.caption(),
            "scale": answer.scale,
            "ends": answer.ends(),
            "milliseconds": {"backward": spent},
        }))?;
        self.parts = Parts::default();
        self.answer = Some(answer);
        self.request = request;
        Ok(Some(text))
    }
}

impl Explainer {
    /// The method, layers and smoothing that options mean.
    pub(super) fn way(&self, options: &Options) -> Result<(&'static dyn Method, Manner), JsError> {
        let method = options.method.as_deref();
        let method = method.map_or(Ok(METHODS[0]), explain::method);
        let method = method.map_err(thrown)?;
        // The page's choices of layers and smoothing are for the methods that have them.
        let layer = match method.how().place() {
            Place::Pixels => &self.inner.model.input,
            Place::Layer => options.layer.as_ref().unwrap_or(&self.inner.model.layer),
        };
        let (others, smooth) = match method.how().has_channels() {
            true => (options.layers.as_slice(), options.smooth.as_slice()),
            false => Default::default(),
        };
        let layers: Vec<String> = iter::once(layer).chain(others).cloned().collect();
        Ok((method, Manner::of(&layers, smooth)))
    }

    /// The scores of an observation, an entry a class.
    pub(super) fn scores(&self, observation: &Observation) -> Vec<Value> {
        let labels = &self.inner.model.manifest.labels;
        report::scores(&self.inner, observation)
            .into_iter()
            .zip(labels)
            .map(|(score, label)| {
                json!({
                    "index": score.index,
                    "label": score.label,
                    "name": label.name,
                    "logit": score.logit,
                    "probability": score.probability,
                })
            })
            .collect()
    }

    /// The open picture.
    pub(super) fn opened(&self) -> Result<&Study, JsError> {
        let study = self.study.as_ref();
        study.ok_or_else(|| JsError::new("no picture is open"))
    }

    /// The picture and the answer, where there are both.
    pub(super) fn explained(&self) -> Result<(&Study, &Answer), JsError> {
        match (&self.study, &self.answer) {
            (Some(study), Some(answer)) => Ok((study, answer)),
            _ => Err(JsError::new("nothing is explained yet")),
        }
    }
}
