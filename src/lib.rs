//! Which pixels made an image classifier say so?
//!
//! gradlens opens an ONNX classifier, scores a picture, computes Grad-CAM with a *gradient graph* (the classifier's own
//! backward pass, written as plain ONNX) and lays the heat map over the picture. The same crate runs in a browser tab
//! and in a terminal.
//!
//! ```no_run
//! use std::sync::Arc;
//! use gradlens::{engine::Tract, explain::{self, Explainer, Question}, image, model::Model};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let model = Model::open(&std::fs::read("model.onnx")?, None, "mine")?;
//! let explainer = Explainer::new(Arc::new(Tract), Arc::new(model), None)?;
//! let picture = image::decode(&std::fs::read("picture.jpg")?, &image::Limits::default())?;
//! let observation = explainer.observe(&explainer.prepare(&picture, None)?.tensor)?;
//! let method = explain::method("grad-cam")?;
//! let question = Question { class: 0, contrast: None, counterfactual: false, target: method.target() };
//! let map = explainer.explain(&observation, &question, method)?;
//! println!("{:?}, from {} to {}", map.values.dim(), map.min, map.max);
//! # Ok(())
//! # }
//! ```
//!
//! Data flows one way: [`image`] and [`model`] read bytes, [`gradient`] turns a graph into its gradient graph, [`engine`]
//! runs graphs, [`explain`] makes maps, [`lungs`] finds the lungs, [`render`] draws them, [`regions`] finds where they are high, [`report`] writes them down, [`study`] does
//! all of it for one picture, [`verdict`] does it again for a report and compares. None of these touches a file, a console or a
//! browser; `cli` and `web` do.
//!
//! Not for diagnostic use.

pub mod engine;
pub mod evidence;
pub mod explain;
pub mod gradient;
mod guard;
pub mod image;
pub mod lungs;
pub mod model;
pub mod random;
pub mod regions;
pub mod render;
pub mod report;
pub mod study;
pub mod survey;
pub mod verdict;

#[cfg(feature = "cli")]
pub mod cli;
#[cfg(feature = "web")]
pub mod web;

/// Version of this crate, as reports and gradient graphs carry it.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
