//! Made ready to explain pictures: the engine, the model at its layer, its companion and the question.

use std::sync::Arc;

use super::args;
use super::device::{self, Place};
use super::failure::Failure;
use super::{files, question};
use crate::explain::{Explainer, layer_for, method};
use crate::lungs::Lungs;
use crate::study::Request;

/// All that is the same for every picture of a call.
pub struct Ready {
    pub place: Place,
    pub explainer: Explainer,
    /// The companion that the model asks for.
    pub lungs: Option<Lungs>,
    pub request: Request,
}

impl Ready {
    /// What a user asks of pictures.
    pub fn of(ask: &args::Ask) -> Result<Ready, Failure> {
        let place = device::place(ask.place)?;
        let model = files::open_model(&ask.model)?;
        let lungs = files::open_companion(&ask.model, &model, place.engine.as_ref())?;
        let request = question::request(
            &model,
            ask.class.as_deref(),
            ask.contrast.as_deref(),
            Some(&ask.method),
            ask.target,
        );
        let request = request.map_err(Failure::usage)?;
        let layer =
            method(&ask.method).and_then(|method| layer_for(method, &model, ask.layer.as_deref()));
        let layer = layer.map_err(Failure::usage)?.map(str::to_owned);
        let explainer = Explainer::new(place.engine.clone(), Arc::new(model), layer.as_deref());
        let explainer = explainer.map_err(|error| Failure::of(&ask.model, error))?;
        Ok(Ready {
            place,
            explainer,
            lungs,
            request,
        })
    }
}
