//! The page: the crate's work behind `wasm-bindgen` classes. Thin; what it calls is in the other modules.
//!
//! Structured values cross as JSON text, pixels and files as byte arrays. Every error is a JavaScript `Error` whose message is one
//! line that the page can show as it is.

mod callbacks;
mod digests;
mod doubt;
mod drawing;
mod files;
mod model;
mod picture;
#[cfg(feature = "threads")]
mod threads;

use serde::Serialize;
use serde_json::json;
use wasm_bindgen::prelude::*;

pub use model::Explainer;

use crate::evidence::{CHECKS, Fill};
use crate::explain::{How, METHODS, Place, Sign, Smooth, Target};
use crate::model::{DEFAULT_NOTICE, labels};
use crate::render::ColorMap;
use crate::report;

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

/// What can be chosen, as JSON: `{"methods": [{"id", "name", "about", "target", "kind", "passes", "smooths", "counterfactual"}], "checks": [{"id", "name", "about",
/// "limits"}], "fills": [], "smooth": [], "colormaps": [], "targets": [], "notice": ""}`. A method's kind is `layer`, `pixels` or `scores`; with `passes`
/// it makes many of them and takes its time; with `smooths` its maps can be smoothed and fused over layers; without `counterfactual` it does not tell for from against.
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
                "kind": kind(method.how()),
                "passes": method.how().makes_passes(),
                "smooths": method.how().has_channels(),
                "counterfactual": method.sign() != Sign::Blind,
            })
        })
        .collect();
    let colormaps: Vec<&str> = ColorMap::ALL
        .iter()
        .map(|colormap| colormap.name())
        .collect();
    let checks: Vec<_> = CHECKS
        .iter()
        .map(|check| {
            json!({
                "id": check.id(),
                "name": check.name(),
                "about": check.about(),
                "limits": check.limits(),
            })
        })
        .collect();
    json!({
        "methods": methods,
        "checks": checks,
        "fills": Fill::ALL,
        "colormaps": colormaps,
        "targets": [Target::Logit, Target::Probability],
        "smooth": Smooth::ALL,
        "notice": DEFAULT_NOTICE,
    })
    .to_string()
}

/// What a method looks at: a layer's gradients, the pixels', or the scores alone.
fn kind(how: How) -> &'static str {
    match how {
        How::Layer(_) | How::Product(_) => "layer",
        How::Pixels(_)
        | How::Guided(_)
        | How::Biases(_)
        | How::Passes {
            at: Place::Pixels, ..
        } => "pixels",
        How::Channels(_)
        | How::Passes {
            at: Place::Layer, ..
        } => "scores",
    }
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

/// Milliseconds since the page or its worker started; 0 where there is no clock.
fn now() -> f64 {
    thread_local! {
        // Finding it takes longer than asking it.
        static CLOCK: Option<web_sys::Performance> = js_sys::global()
            .dyn_into::<web_sys::WorkerGlobalScope>()
            .ok()
            .and_then(|scope| scope.performance());
    }
    CLOCK.with(|clock| clock.as_ref().map_or(0.0, web_sys::Performance::now))
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
