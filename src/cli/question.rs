//! What a user asks, in the model's indices.

use std::collections::HashSet;

use crate::explain::{ExplainError, METHODS, Target, has_counterfactual, method};
use crate::model::Model;
use crate::study::Request;

/// The word for every class.
const ALL: &str = "all";

/// The classes that a user names, each once; every class for the word `all`, where none is called so.
#[must_use]
pub fn classes(model: &Model, named: &[String]) -> Vec<String> {
    let manifest = &model.manifest;
    if named.iter().any(|name| name == ALL) && manifest.class_index(ALL).is_none() {
        return (0..manifest.labels.len())
            .map(|index| index.to_string())
            .collect();
    }
    let mut indices = HashSet::new();
    let is_new = |name: &&String| match manifest.class_index(name) {
        Some(index) => indices.insert(index),
        None => true,
    };
    named.iter().filter(is_new).cloned().collect()
}

/// The question behind the names of a class, of the one to contrast it with, and of a method, by default the first.
///
/// # Errors
/// [`ExplainError`] lists what could have been asked for.
pub fn request(
    model: &Model,
    class: Option<&str>,
    contrast: Option<&str>,
    method_id: Option<&str>,
    target: Option<Target>,
    counterfactual: bool,
) -> Result<Request, ExplainError> {
    let index = |text: &str| {
        let index = model.manifest.class_index(text);
        index.ok_or_else(|| {
            let labels = model.manifest.labels.iter().take(20);
            let known: Vec<&str> = labels.map(|label| label.id.as_str()).collect();
            ExplainError::NoClass {
                asked: format!("'{text}'"),
                known: known.join(", "),
            }
        })
    };
    let method = method(method_id.unwrap_or(METHODS[0].id()))?;
    if counterfactual {
        has_counterfactual(method)?;
    }
    let request = Request {
        class: class.map(index).transpose()?,
        contrast: contrast.map(index).transpose()?,
        method: Some(method.id().into()),
        target,
        counterfactual,
    };
    if request.contrast.is_some() && request.class == request.contrast {
        return Err(ExplainError::itself());
    }
    Ok(request)
}
