//! The page: the crate's work behind `wasm-bindgen` classes. Thin; what it calls is in the other modules.
//!
//! Structured values cross as JSON text, pixels and files as byte arrays. Every error is a JavaScript `Error` whose message is one
//! line that the page can show as it is.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::json;
use wasm_bindgen::prelude::*;

use crate::engine::{Engine, Tract};
use crate::explain::{self, METHODS, Place, Target, Watch};
use crate::gradient;
use crate::image::Limits;
use crate::lungs::Lungs;
use crate::model::{Beside, DEFAULT_NOTICE, Manifest, Model, labels, onnx};
use crate::render::{self, ColorMap};
use crate::report::{self, CompanionEntry};
use crate::study::{Answer, Request, Study};

/// Sends panics to the console with their message.
#[wasm_bindgen(start)]
pub fn start() {
    console_error_panic_hook::set_once();
}

/// Version of the crate.
#[wasm_bindgen]
#[must_use]
pub fn version() -> String {
    crate::VERSION.into()
}

/// What can be chosen, as JSON: `{"methods": [{"id", "name", "about", "target"}], "colormaps": [], "targets": [], "notice": ""}`.
#[wasm_bindgen]
#[must_use]
pub fn catalogue() -> String {
    let methods: Vec<_> = METHODS
        .iter()
        .map(|method| {
            json!({
                "id": method.id(),
                "name": method.name(),
                "about": method.about(),
                "target": method.target(),
            })
        })
        .collect();
    let colormaps: Vec<&str> = ColorMap::ALL
        .iter()
        .map(|colormap| colormap.name())
        .collect();
    json!({
        "methods": methods,
        "colormaps": colormaps,
        "targets": [Target::Logit, Target::Probability],
        "notice": DEFAULT_NOTICE,
    })
    .to_string()
}

/// Reads labels from a text (a line a class, JSON, a Python literal) as JSON: `[{"id", "name"}]`.
///
/// # Errors
/// One line: why the text holds no labels.
#[wasm_bindgen]
pub fn read_labels(text: &str) -> Result<String, JsError> {
    to_json(&labels::parse(text).map_err(thrown)?)
}

/// The bytes of a report that are signed (RFC 8785), its own signature left out.
///
/// # Errors
/// One line: the text is no JSON object.
#[wasm_bindgen]
pub fn canonical_report(json: &str) -> Result<Vec<u8>, JsError> {
    let report = serde_json::from_str(json).map_err(thrown)?;
    report::signature::canonical(&report).map_err(thrown)
}

/// The files that were chosen together with a model, read by a JavaScript function `(name, offset, length) => Uint8Array` that
/// throws the reason.
struct Chosen(Option<js_sys::Function>);

impl Beside for Chosen {
    fn read(&self, name: &str, offset: u64, length: u64) -> Result<Vec<u8>, String> {
        let reason = |error: JsValue| {
            let error = error.dyn_ref::<js_sys::Error>().map(js_sys::Error::message);
            error.map_or("cannot be read".into(), String::from)
        };
        let Some(read) = &self.0 else {
            return Err("was not chosen with it".into());
        };
        let (offset, length) = (offset as f64, length as f64);
        let bytes = read
            .call3(&JsValue::NULL, &name.into(), &offset.into(), &length.into())
            .map_err(reason)?;
        bytes
            .dyn_into::<js_sys::Uint8Array>()
            .map(|bytes| bytes.to_vec())
            .map_err(|_| "cannot be read".into())
    }
}

/// A JavaScript function that is told of passes, a hundred times at most.
struct Told(Option<js_sys::Function>);

impl Watch for Told {
    fn goes_on(&self, done: usize, of: usize) -> bool {
        if let Some(tell) = &self.0
            && done.is_multiple_of(of.div_ceil(100))
        {
            // Who does not listen misses nothing.
            let _ = tell.call2(&JsValue::NULL, &done.into(), &of.into());
        }
        true
    }
}

/// A model, made ready; at most one picture and one explanation of it at a time.
#[wasm_bindgen]
pub struct Explainer {
    engine: Arc<dyn Engine>,
    inner: explain::Explainer,
    lungs: Option<Lungs>,
    study: Option<Study>,
    answer: Option<Answer>,
}

/// The options of [`Explainer::explain`].
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Options {
    class: Option<usize>,
    contrast: Option<usize>,
    layer: Option<String>,
    method: Option<String>,
    target: Option<Target>,
}

/// Milliseconds since the page or its worker started; 0 where there is no clock.
fn now() -> f64 {
    let scope: Option<web_sys::WorkerGlobalScope> = js_sys::global().dyn_into().ok();
    scope
        .and_then(|scope| scope.performance())
        .map_or(0.0, |clock| clock.now())
}

/// An error for JavaScript, the message in one line.
fn thrown(error: impl std::fmt::Display) -> JsError {
    JsError::new(
        &error
            .to_string()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "),
    )
}

/// JSON text of a value.
fn to_json(value: &impl Serialize) -> Result<String, JsError> {
    serde_json::to_string(value).map_err(thrown)
}

#[wasm_bindgen]
impl Explainer {
    /// Opens a model and prepares it for its default layer. `read` gives parts of the files chosen with it, `say` is told each
    /// step in a few words.
    ///
    /// # Errors
    /// One line: what is wrong with the model or its manifest.
    #[wasm_bindgen(constructor)]
    pub fn new(
        model: &[u8],
        manifest_json: Option<String>,
        file_name: &str,
        read: Option<js_sys::Function>,
        say: Option<js_sys::Function>,
    ) -> Result<Explainer, JsError> {
        let say = |step: &str| {
            if let Some(say) = &say {
                // Who does not listen misses nothing.
                let _ = say.call1(&JsValue::NULL, &step.into());
            }
        };
        let id = file_name.strip_suffix(".onnx").unwrap_or(file_name);
        say("reading its graph");
        let model = Model::open_beside(model, manifest_json.as_deref(), id, &Chosen(read));
        let model = Arc::new(model.map_err(thrown)?);
        let engine: Arc<dyn Engine> = Arc::new(Tract);
        say("deriving its gradient graph");
        let inner = explain::Explainer::new(engine.clone(), model, None).map_err(thrown)?;
        Ok(Explainer {
            engine,
            inner,
            lungs: None,
            study: None,
            answer: None,
        })
    }

    /// Takes the companion that the model's manifest asks for ("companion" in its description).
    ///
    /// # Errors
    /// One line: what is wrong with it.
    pub fn accompany(&mut self, model: &[u8], manifest_json: &str) -> Result<(), JsError> {
        let lungs = Lungs::open(self.engine.as_ref(), model, manifest_json).map_err(thrown)?;
        self.lungs = Some(lungs);
        Ok(())
    }

    /// The model as JSON: id, name, sha256, notice, labels, layers, input, whether its manifest was guessed.
    ///
    /// # Errors
    /// None in practice.
    pub fn describe(&self) -> Result<String, JsError> {
        let model = &self.inner.model;
        let manifest = &model.manifest;
        let labels: Vec<_> = manifest
            .labels
            .iter()
            .enumerate()
            .map(|(index, label)| json!({"index": index, "id": label.id, "name": label.name}))
            .collect();
        to_json(&json!({
            "id": manifest.id,
            "name": manifest.name,
            "sha256": model.sha256,
            "notice": manifest.notice,
            "sources": manifest.sources,
            "labels": labels,
            "layers": model.layers,
            "input": manifest.input,
            "manifest": manifest,
            "guessed": model.guessed,
            "reasons": model.reasons,
            "open_size": model.open_size,
            "scores": model.scores,
            "score_tensors": model.score_candidates(),
            "squash": model.squash,
            "own_squash": model.own_squash,
            "method": METHODS[0].id(),
            "layer": model.layer,
        }))
    }

    /// The gradient graph at a layer (the default one where none is named) and, with `input`, at the pixels: the ONNX file that
    /// `gradlens gradient` writes.
    ///
    /// # Errors
    /// One line: an unknown layer, or an operator without a gradient rule.
    pub fn gradient_graph(&self, layer: Option<String>, input: bool) -> Result<Vec<u8>, JsError> {
        let model = &self.inner.model;
        let layer = layer.unwrap_or_else(|| model.layer.clone());
        let graph = gradient::differentiate(model, &[layer], input).map_err(thrown)?;
        onnx::encode(&graph).map_err(thrown)
    }

    /// Takes another manifest. Returns `false`, and changes nothing, where the model must be opened again with it.
    ///
    /// # Errors
    /// One line: what is wrong with the manifest.
    pub fn configure(&mut self, manifest_json: &str) -> Result<bool, JsError> {
        let manifest = Manifest::parse(manifest_json).map_err(thrown)?;
        self.study = None;
        self.answer = None;
        Arc::make_mut(&mut self.inner.model)
            .adopt(manifest)
            .map_err(thrown)
    }

    /// Decodes a picture and scores it. Returns JSON: the file, the region that the network sees, the scores.
    ///
    /// # Errors
    /// One line: why the file is no picture, or what failed.
    pub fn open(&mut self, name: &str, bytes: &[u8]) -> Result<String, JsError> {
        // The last picture's memory goes before the next one's comes.
        self.study = None;
        self.answer = None;
        let start = now();
        let study = Study::open(
            &self.inner,
            self.lungs.as_ref(),
            name,
            bytes,
            &Limits::for_a_tab(),
        )
        .map_err(thrown)?;
        let names = self
            .inner
            .model
            .manifest
            .labels
            .iter()
            .map(|label| label.name.as_str());
        let scores: Vec<_> = report::scores(&self.inner, &study.observation)
            .into_iter()
            .zip(names)
            .map(|(score, name)| {
                json!({
                    "index": score.index,
                    "label": score.label,
                    "name": name,
                    "logit": score.logit,
                    "probability": score.probability,
                })
            })
            .collect();
        let companion = study.companion(&self.inner);
        let text = to_json(&json!({
            "name": study.entry.name,
            "sha256": study.entry.sha256,
            "width": study.entry.width,
            "height": study.entry.height,
            "region": study.prepared.region,
            "companion": companion,
            "warning": companion.as_ref().and_then(CompanionEntry::warning),
            "scores": scores,
            "milliseconds": {"forward": now() - start},
        }))?;
        self.study = Some(study);
        Ok(text)
    }

    /// Explains the open picture. Options are JSON: `{"class", "contrast", "layer", "method", "target"}`, each optional. `tell` is called with the passes
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
        let options: Options = serde_json::from_str(options_json).map_err(thrown)?;
        let start = now();
        let method = options.method.as_deref();
        let method = method.map_or(Ok(METHODS[0]), explain::method);
        let layer = match method.map_err(thrown)?.how().place() {
            // The page's choice of a layer is for the methods that have one.
            Place::Pixels => &self.inner.model.input,
            Place::Layer => options.layer.as_ref().unwrap_or(&self.inner.model.layer),
        };
        if *layer != self.inner.layer {
            let inner =
                explain::Explainer::new(self.engine.clone(), self.inner.model.clone(), Some(layer));
            let inner = inner.map_err(thrown)?;
            if let Some(study) = &mut self.study {
                study.observation = inner.observe(&study.prepared.tensor).map_err(thrown)?;
            }
            self.inner = inner;
            self.answer = None;
        }
        let study = self
            .study
            .as_ref()
            .ok_or_else(|| JsError::new("no picture is open"))?;
        let request = Request {
            class: options.class,
            contrast: options.contrast,
            method: options.method,
            target: options.target,
        };
        let answer = study.ask_watched(&self.inner, &request, &Told(tell));
        let answer = answer.map_err(thrown)?;
        let (width, height) = (study.entry.width, study.entry.height);
        let peak = answer
            .peak
            .map(|peak| json!({"x": peak.x, "y": peak.y, "words": peak.words(width, height)}));
        let text = to_json(&json!({
            "report": answer.report,
            "empty": answer.map.empty,
            "peak": peak,
            "caption": answer.caption(),
            "milliseconds": {"backward": now() - start},
        }))?;
        self.answer = Some(answer);
        Ok(text)
    }

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

    /// The colours of a map from its lowest to its highest value: RGBA, 256 pixels.
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

    /// What the network saw: RGBA at the size of its input.
    ///
    /// # Errors
    /// One line: no open picture.
    pub fn seen(&self) -> Result<Vec<u8>, JsError> {
        let study = self
            .study
            .as_ref()
            .ok_or_else(|| JsError::new("no picture is open"))?;
        Ok(render::rgba(&study.prepared.seen()))
    }

    /// The picture and the answer, where there are both.
    fn explained(&self) -> Result<(&Study, &Answer), JsError> {
        match (&self.study, &self.answer) {
            (Some(study), Some(answer)) => Ok((study, answer)),
            _ => Err(JsError::new("nothing is explained yet")),
        }
    }
}

/// A colour map by its name.
fn parse(colormap: &str) -> Result<ColorMap, JsError> {
    colormap.parse().map_err(thrown)
}
