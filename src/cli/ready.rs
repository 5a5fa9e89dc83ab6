//! Made ready to explain pictures: the engine, the model at its layer, its companion and the question.

use std::sync::Arc;

use super::args;
use super::device::{self, Place};
use super::failure::Failure;
use super::{files, question};
use crate::explain::{Explainer, Manner, method};
use crate::image::Wanted;
use crate::lungs::Lungs;
use crate::study::Request;

/// All that is the same for every picture of a call.
pub struct Ready {
    pub place: Place,
    pub explainer: Explainer,
    /// The companion that the model asks for.
    pub lungs: Option<Lungs>,
    /// What is asked of every picture: one question a class.
    pub requests: Vec<Request>,
    /// What pictures with more values than greys are seen through.
    pub wanted: Wanted,
}

impl Ready {
    /// What a user asks of pictures.
    pub fn of(ask: &args::Ask) -> Result<Ready, Failure> {
        let place = device::place(ask.place)?;
        let model = files::open_model(&ask.model)?;
        let lungs = files::open_companion(&ask.model, &model, place.engine.as_ref())?;
        let asked = |class: Option<&str>| {
            question::request(
                &model,
                class,
                ask.contrast.as_deref(),
                Some(&ask.method),
                ask.target,
                ask.counterfactual,
            )
        };
        let classes = question::classes(&model, &ask.classes);
        let requests: Result<Vec<Request>, _> = match classes.is_empty() {
            true => asked(None).map(|request| vec![request]),
            false => classes.iter().map(|class| asked(Some(class))).collect(),
        };
        let requests = requests.map_err(Failure::usage)?;
        let method = method(&ask.method).map_err(Failure::usage)?;
        let manner = Manner::of(&ask.layers, &ask.smooth);
        manner.check(method, &model).map_err(Failure::usage)?;
        let explainer =
            Explainer::for_method(place.engine.clone(), Arc::new(model), method, &manner);
        let explainer = explainer.map_err(|error| Failure::of(&ask.model, error))?;
        Ok(Ready {
            place,
            explainer,
            lungs,
            requests,
            wanted: wanted(ask),
        })
    }

    /// The one thing that is asked, for commands that look at one class of each picture.
    ///
    /// # Errors
    /// [`Failure`] where several classes are asked for.
    pub fn request(&self) -> Result<&Request, Failure> {
        match self.requests.as_slice() {
            [request] => Ok(request),
            _ => Err(Failure::usage(
                "it looks at one class of each picture; name one with --class",
            )),
        }
    }
}

/// The window that a user asks for.
fn wanted(ask: &args::Ask) -> Wanted {
    match (ask.window, &ask.window_preset) {
        (Some((center, width)), _) => Wanted::Centered { center, width },
        (None, Some(name)) => Wanted::Preset(name.clone()),
        (None, None) => Wanted::Usual,
    }
}
