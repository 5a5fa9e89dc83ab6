//! Checksums that JavaScript computes: browsers do it with the processor's own instructions, beside this thread, WebAssembly three
//! times slower and in everybody's way.
//!
//! Who hands none in, as where a page is not served over https and a browser keeps its checksums from it, loses only time: they are
//! computed here when a report needs them. So are those of large graphs, piece by piece: a browser wants the file whole, and copies it.

use std::sync::Arc;

use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;

use super::files::{gathered, length};
use super::picture::Options;
use super::{Explainer, thrown};
use crate::explain::{Method, Needs, gradient_file};
use crate::model::onnx::Piece;
use crate::model::sha256_of;

/// Bytes of the largest file that JavaScript is given to compute its checksum.
const LARGEST: usize = 64 << 20;

#[wasm_bindgen]
impl Explainer {
    /// Takes the sha256 of the model's file, where the model was opened without it; before anything is explained.
    ///
    /// # Errors
    /// One line: the text is no sha256.
    pub fn identify(&mut self, sha256: &str) -> Result<(), JsError> {
        self.forget_digests()?;
        let model = Arc::make_mut(&mut self.inner.model);
        model.identify(sha256).map_err(thrown)
    }

    /// The gradient graph's file that the answer to these options names by its checksum, where that is not known yet. It is known
    /// after this call where the file is large.
    ///
    /// # Errors
    /// One line: an unknown method or layer, or an operator without a gradient rule.
    pub fn undigested(&mut self, options_json: &str) -> Result<Option<Uint8Array>, JsError> {
        let options: Options = serde_json::from_str(options_json).map_err(thrown)?;
        let (method, manner) = self.way(&options)?;
        let layer = manner.layers.first().unwrap_or(&self.inner.model.layer);
        if self.digests.contains_key(&graph_of(layer, method)) {
            return Ok(None);
        }
        let file = gradient_file(&self.inner.model, layer, method.how().needs());
        let file = file.map_err(thrown)?;
        if length(&file) <= LARGEST {
            return Ok(Some(gathered(&file)));
        }
        let sha256 = sha256_of(file.iter().map(Piece::bytes));
        self.digested(options_json, &sha256)?;
        Ok(None)
    }

    /// Takes the sha256 of what [`undigested`](Explainer::undigested) gave for the same options.
    ///
    /// # Errors
    /// One line: the text is no sha256.
    pub fn digested(&mut self, options_json: &str, sha256: &str) -> Result<(), JsError> {
        let options: Options = serde_json::from_str(options_json).map_err(thrown)?;
        let (method, manner) = self.way(&options)?;
        let layer = manner.layers.first().unwrap_or(&self.inner.model.layer);
        let graph = graph_of(layer, method);
        if *layer == self.inner.layer && self.inner.is_for(method) {
            self.inner.digested(Some(sha256)).map_err(thrown)?;
        }
        self.digests.insert(graph, sha256.to_owned());
        Ok(())
    }
}

/// The key of a method's gradient graph at a layer.
pub(super) fn graph_of(layer: &str, method: &dyn Method) -> (String, Needs) {
    (layer.to_owned(), method.how().needs())
}

impl Explainer {
    /// Gradient graphs name their model and its manifest: with another of these they are others.
    pub(super) fn forget_digests(&mut self) -> Result<(), JsError> {
        self.digests.clear();
        self.inner.digested(None).map_err(thrown)
    }
}
