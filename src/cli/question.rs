//! What a user asks, in the model's indices.

use crate::explain::{ExplainError, METHODS, Target, method};
use crate::model::Model;
use crate::study::Request;

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
    let request = Request {
        class: class.map(index).transpose()?,
        contrast: contrast.map(index).transpose()?,
        method: Some(method(method_id.unwrap_or(METHODS[0].id()))?.id().into()),
        target,
    };
    if request.contrast.is_some() && request.class == request.contrast {
        return Err(ExplainError::itself());
    }
    Ok(request)
}
