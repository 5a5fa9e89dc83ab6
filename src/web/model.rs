//! A model behind a JavaScript class: opening it, what it is, other settings, its gradient graph.

use std::collections::HashMap;
use std::sync::Arc;

use js_sys::Uint8Array;
use serde_json::json;
use wasm_bindgen::prelude::*;

use super::callbacks::{Chosen, Parts};
use super::files::{Held, gathered};
use super::{thrown, to_json};
use crate::engine::{Engine, Tract};
use crate::explain::{self, METHODS, Needs};
use crate::gradient::{self, Wanted};
use crate::lungs::Lungs;
use crate::model::{Manifest, Model};
use crate::study::{Answer, Request, Study};

/// A model, made ready; at most one picture and one explanation of it at a time.
#[wasm_bindgen]
pub struct Explainer {
    pub(super) engine: Arc<dyn Engine>,
    pub(super) inner: explain::Explainer,
    pub(super) lungs: Option<Lungs>,
    pub(super) study: Option<Study>,
    pub(super) answer: Option<Answer>,
    /// What the answer is to.
    pub(super) request: Request,
    /// The work that is going on.
    pub(super) parts: Parts,
    /// Checksums of gradient graphs by their layers and what else they hold, as JavaScript computed them.
    pub(super) digests: HashMap<(String, Needs), String>,
}

#[wasm_bindgen]
impl Explainer {
    /// Opens a model and prepares it for its default layer. `read` gives parts of the files chosen with it, `say` is told each
    /// step in a few words. With `identified_later`, [`identify`](Explainer::identify) follows with the file's checksum.
    ///
    /// # Errors
    /// One line: what is wrong with the model or its manifest.
    #[wasm_bindgen(constructor)]
    pub fn new(
        model: Uint8Array,
        manifest_json: Option<String>,
        file_name: &str,
        read: Option<js_sys::Function>,
        say: Option<js_sys::Function>,
        identified_later: Option<bool>,
    ) -> Result<Explainer, JsError> {
        let say = |step: &str| {
            if let Some(say) = &say {
                // Who does not listen misses nothing.
                let _ = say.call1(&JsValue::NULL, &step.into());
            }
        };
        let id = file_name.strip_suffix(".onnx").unwrap_or(file_name);
        say("reading its graph");
        let file = Held(model);
        let manifest = manifest_json.as_deref();
        let opened = Model::open_unidentified(&file, manifest, id, &Chosen(read));
        let mut model = opened.map_err(thrown)?;
        if identified_later != Some(true) {
            model.identify(&file.sha256()).map_err(thrown)?;
        }
        let model = Arc::new(model);
        let engine: Arc<dyn Engine> = Arc::new(Tract);
        say("deriving its gradient graph");
        let inner = explain::Explainer::new(engine.clone(), model, None).map_err(thrown)?;
        Ok(Explainer {
            engine,
            inner,
            lungs: None,
            study: None,
            answer: None,
            request: Request::default(),
            parts: Parts::default(),
            digests: HashMap::new(),
        })
    }

    /// Takes the companion that the model's manifest asks for ("companion" in its description), with the sha256 of its file where
    /// that is known.
    ///
    /// # Errors
    /// One line: what is wrong with it.
    pub fn accompany(
        &mut self,
        model: &[u8],
        manifest_json: &str,
        sha256: Option<String>,
    ) -> Result<(), JsError> {
        let engine = self.engine.as_ref();
        let lungs = match sha256 {
            Some(sha256) => Lungs::open_identified(engine, model, manifest_json, sha256),
            None => Lungs::open(engine, model, manifest_json),
        };
        self.lungs = Some(lungs.map_err(thrown)?);
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
    pub fn gradient_graph(
        &self,
        layer: Option<String>,
        input: bool,
    ) -> Result<Uint8Array, JsError> {
        let model = &self.inner.model;
        let layer = layer.unwrap_or_else(|| model.layer.clone());
        let wanted = Wanted {
            layers: &[layer],
            input,
            ..Wanted::default()
        };
        let file = gradient::file_of(model, &wanted).map_err(thrown)?;
        Ok(gathered(&file))
    }

    /// Takes another manifest. Returns `false`, and changes nothing, where the model must be opened again with it.
    ///
    /// # Errors
    /// One line: what is wrong with the manifest.
    pub fn configure(&mut self, manifest_json: &str) -> Result<bool, JsError> {
        let manifest = Manifest::parse(manifest_json).map_err(thrown)?;
        self.study = None;
        self.answer = None;
        self.parts = Parts::default();
        self.forget_digests()?;
        Arc::make_mut(&mut self.inner.model)
            .adopt(manifest)
            .map_err(thrown)
    }
}
