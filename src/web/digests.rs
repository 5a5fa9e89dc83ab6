//! Checksums that JavaScript computes: browsers do it with the processor's own instructions, beside this thread, WebAssembly three
//! times slower and in everybody's way.
//!
//! Who hands none in, as where a page is not served over https and a browser keeps its checksums from it, loses only time: they are
//! computed here when a report needs them.

use std::sync::Arc;

use wasm_bindgen::prelude::*;

use super::picture::Options;
use super::{Explainer, thrown};
use crate::gradient;
use crate::model::onnx;

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

    /// The gradient graph's file that the answer to these options names by its checksum, where that is not known yet.
    ///
    /// # Errors
    /// One line: an unknown method or layer, or an operator without a gradient rule.
    pub fn undigested(&self, options_json: &str) -> Result<Option<Vec<u8>>, JsError> {
        let options: Options = serde_json::from_str(options_json).map_err(thrown)?;
        let layer = self.layer(&options)?;
        if self.digests.contains_key(layer) {
            return Ok(None);
        }
        let layers = std::slice::from_ref(layer);
        let graph = gradient::differentiate(&self.inner.model, layers, false).map_err(thrown)?;
        onnx::encode(&graph).map(Some).map_err(thrown)
    }

    /// Takes the sha256 of what [`undigested`](Explainer::undigested) gave for the same options.
    ///
    /// # Errors
    /// One line: the text is no sha256.
    pub fn digested(&mut self, options_json: &str, sha256: &str) -> Result<(), JsError> {
        let options: Options = serde_json::from_str(options_json).map_err(thrown)?;
        let layer = self.layer(&options)?.clone();
        if layer == self.inner.layer {
            self.inner.digested(Some(sha256)).map_err(thrown)?;
        }
        self.digests.insert(layer, sha256.to_owned());
        Ok(())
    }
}

impl Explainer {
    /// Gradient graphs name their model and its manifest: with another of these they are others.
    pub(super) fn forget_digests(&mut self) -> Result<(), JsError> {
        self.digests.clear();
        self.inner.digested(None).map_err(thrown)
    }
}
