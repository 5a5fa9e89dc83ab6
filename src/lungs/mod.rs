//! Where the lungs are: a segmenter beside the classifier, for the crop, for the check that a picture is a chest X-ray at all, and
//! for evidence.

mod fields;
mod manifest;

use std::sync::Arc;

use ndarray::{Array2, ArrayD, Ix4};

use crate::engine::{Engine, EngineError, Kind, Session, Spec, Value};
use crate::image::{self, Picture, PreprocessError};
use crate::model::{Limits, ModelError, onnx, sha256_hex};

pub use fields::{Fields, FoundBy, grown};
pub use manifest::{Fit, Gate, Manifest, Outputs, SCHEMA};

/// Why the lungs of a picture cannot be looked for. The message is one line and leaves out the file's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LungsError {
    /// The segmenter's file or manifest is at fault.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The manifest's preprocessing does not fit its input.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// The engine refuses the segmenter, or fails.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An output is missing or has another shape than `expected`.
    #[error("the segmenter's output '{name}' is not {expected}")]
    Output {
        /// Its name in the manifest.
        name: String,
        /// Shape in words.
        expected: &'static str,
    },
}

/// A segmenter of lung fields, prepared on an engine.
pub struct Lungs {
    /// Its manifest.
    pub manifest: Manifest,
    name: Arc<FoundBy>,
    session: Box<dyn Session>,
    outputs: Vec<String>,
}

impl Lungs {
    /// Opens a segmenter from the bytes of its ONNX file and the text of its manifest.
    ///
    /// # Errors
    /// [`LungsError::Model`] or [`LungsError::Engine`].
    pub fn open(engine: &dyn Engine, bytes: &[u8], manifest: &str) -> Result<Lungs, LungsError> {
        Lungs::open_identified(engine, bytes, manifest, sha256_hex(bytes))
    }

    /// [`open`](Lungs::open) for a caller who knows the sha256 of the file.
    ///
    /// # Errors
    /// As [`open`](Lungs::open).
    pub fn open_identified(
        engine: &dyn Engine,
        bytes: &[u8],
        manifest: &str,
        sha256: String,
    ) -> Result<Lungs, LungsError> {
        let manifest = Manifest::parse(manifest)?;
        let proto = onnx::read(bytes, &Limits::default())?;
        let outputs = proto.graph.iter().flat_map(|graph| &graph.output);
        let outputs = outputs.map(|output| output.name.clone()).collect();
        let input = &manifest.input;
        let spec = Spec {
            kind: Kind::F32,
            shape: vec![1, input.channels.count(), input.height, input.width],
        };
        Ok(Lungs {
            session: engine.prepare(proto, &[spec])?,
            name: Arc::new(FoundBy {
                id: manifest.id.clone(),
                sha256,
            }),
            manifest,
            outputs,
        })
    }

    /// Looks for the lungs of a picture.
    ///
    /// # Errors
    /// [`LungsError`] where the segmenter does not keep its manifest's word. A picture without lungs is no error.
    pub fn look(&self, picture: &Picture) -> Result<Fields, LungsError> {
        let manifest = &self.manifest;
        let input = &manifest.input;
        let prepared = image::preprocess(
            picture,
            &manifest.preprocessing,
            input.width,
            input.height,
            input.channels,
        )?;
        let values = self
            .session
            .run(&[Value::F32(prepared.tensor.into_dyn())])?;
        let map = self.find(&values, &manifest.outputs.lungs);
        let logits: Option<Array2<f32>> = map
            .and_then(|map| map.into_dimensionality::<Ix4>().ok())
            .filter(|map| map.dim().0 == 1 && map.dim().1 == 1 && !map.is_empty())
            .map(|map| {
                map.remove_axis(ndarray::Axis(0))
                    .remove_axis(ndarray::Axis(0))
            });
        let logits = logits.ok_or_else(|| LungsError::Output {
            name: manifest.outputs.lungs.clone(),
            expected: "a map [1, 1, H, W]",
        })?;
        let frontal = self
            .find(&values, &manifest.outputs.frontal)
            .filter(|frontal| frontal.len() == 1)
            .and_then(|frontal| frontal.first().copied());
        let frontal = frontal.ok_or_else(|| LungsError::Output {
            name: manifest.outputs.frontal.clone(),
            expected: "one number",
        })?;
        Ok(Fields {
            found_by: self.name.clone(),
            mask: logits.mapv(|logit| logit > manifest.threshold),
            region: prepared.region,
            smallest_part: manifest.fit.smallest_part,
            smallest_lungs: manifest.fit.smallest_lungs,
            frontal,
            gate: manifest.gate.threshold,
        })
    }

    /// An output by its name.
    fn find(&self, values: &[Value], name: &str) -> Option<ArrayD<f32>> {
        let at = self.outputs.iter().position(|output| output == name)?;
        values.get(at)?.clone().into_f32()
    }
}
