//! `POST /v1/explain`: a picture and a question in; a report, an overlay or a figure out.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use ed25519_dalek::SigningKey;

use super::super::failure::Failure;
use super::super::kept::Kept;
use super::super::verify::shelf::Models;
use super::super::waiting::Until;
use super::super::{files, keys, question};
use super::form::Form;
use super::problem::Problem;
use crate::engine::Engine;
use crate::explain::{
    self, ExplainError, Explainer, METHODS, Manner, Method, Needs, Smooth, Target,
};
use crate::image::Limits;
use crate::lungs::Lungs;
use crate::render::ColorMap;
use crate::study::{Study, StudyError};

/// The model that is asked where the request names none and it is at hand.
const DEFAULT: &str = "covid-xray";

/// Weight of the heat map in overlays.
const OPACITY: f32 = 0.5;

/// Models that are kept open. Requests that each ask for another layer must not fill the memory.
const MOST_OPEN: usize = 8;

/// A model's file, the layer that was asked for, and where the method looks.
type Key = (PathBuf, Manner, Needs);

/// A model file at a layer, made ready, or why it cannot be.
type Opened = Result<Arc<(Explainer, Option<Lungs>)>, String>;

/// The models at hand, opened when they are first asked.
pub struct Explaining {
    engine: Arc<dyn Engine>,
    models: Arc<Models>,
    default: String,
    sign: Option<SigningKey>,
    open: Kept<Key, Opened>,
}

impl Explaining {
    /// What a request may say.
    pub const FIELDS: [&str; 8] = [
        "picture", "model", "class", "contrast", "layer", "method", "target", "answer",
    ];

    /// Opens the default model: `covid-xray`, or the first of those at hand.
    pub fn open(
        engine: Arc<dyn Engine>,
        models: Arc<Models>,
        sign: Option<SigningKey>,
    ) -> Result<Explaining, Failure> {
        let ids = models.ids();
        let default = match ids.split(", ").find(|id| *id == DEFAULT) {
            Some(id) => id,
            None => ids.split(", ").next().unwrap_or_default(),
        };
        let explaining = Explaining {
            engine,
            default: default.to_owned(),
            models,
            sign,
            open: Kept::new(MOST_OPEN),
        };
        match explaining.ready(default, Manner::default(), METHODS[0]) {
            Ok(_) => Ok(explaining),
            Err(Problem::Content(reason)) => Err(Failure::usage(reason)),
            Err(_) => Err(Failure::usage("no model is at hand; name one with --model")),
        }
    }

    /// Answers a form.
    pub fn explain(&self, mut form: Form, until: Instant) -> Result<Response, Problem> {
        let picture = form.file("picture")?;
        let model = form.text("model").unwrap_or_else(|| self.default.clone());
        let [class, contrast, layer] = ["class", "contrast", "layer"].map(|name| form.text(name));
        let method = form.text("method");
        let way = method.as_deref().map_or(Ok(METHODS[0]), explain::method);
        let way = way.map_err(|error| content(&error))?;
        let smooth = form.text("smooth").unwrap_or_default();
        let smooth = smooth.split(',').filter(|way| !way.is_empty());
        let smooth: Result<Vec<Smooth>, _> = smooth.map(str::parse).collect();
        let smooth = smooth.map_err(|error| content(&error))?;
        let counterfactual = match form.text("counterfactual").as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                return Err(Problem::form(format!(
                    "counterfactual is '{other}'; it is true or false"
                )));
            }
        };
        let manner = Manner::of(layer.as_slice(), &smooth);
        let ready = self.ready(&model, manner, way)?;
        let (explainer, lungs) = ready.as_ref();
        let target = form.text("target").map(|text| text.parse::<Target>());
        let target = target.transpose().map_err(|error| content(&error))?;
        let answer = form.text("answer").unwrap_or_else(|| "report".into());
        if !["report", "overlay", "figure"].contains(&answer.as_str()) {
            return Err(Problem::form(format!(
                "'{answer}' is no answer; there are report, overlay and figure"
            )));
        }
        let asked = question::request(
            &explainer.model,
            class.as_deref(),
            contrast.as_deref(),
            method.as_deref(),
            target,
            counterfactual,
        );
        let asked = asked.map_err(|error| content(&error))?;
        let study = Study::open(
            explainer,
            lungs.as_ref(),
            &picture.name,
            &picture.bytes,
            &Limits::default(),
        );
        let study = study.map_err(|error| content(&format!("the picture {error}")))?;
        let found = study.ask_watched(explainer, &asked, &Until(until));
        let mut found = found.map_err(|error| match error {
            StudyError::Explain(ExplainError::Stopped) => Problem::Late,
            StudyError::Explain(ExplainError::Engine(error)) => {
                Problem::Internal(error.to_string())
            }
            error => content(&error),
        })?;
        let png = match answer.as_str() {
            "overlay" => found.overlay_png(&study, ColorMap::default(), OPACITY),
            "figure" => found.figure_png(&study, ColorMap::default(), OPACITY),
            _ => {
                if let Some(key) = &self.sign {
                    keys::sign_report(key, &mut found.report).map_err(Problem::Internal)?;
                }
                return Ok(Json(found.report).into_response());
            }
        };
        let png = png.map_err(|error| Problem::Internal(error.to_string()))?;
        Ok(([(CONTENT_TYPE, "image/png")], png).into_response())
    }

    /// A model at a layer, its own where none is named.
    fn ready(
        &self,
        id: &str,
        manner: Manner,
        method: &dyn Method,
    ) -> Result<Arc<(Explainer, Option<Lungs>)>, Problem> {
        let file = self.models.named(id).ok_or_else(|| {
            let known = self.models.ids();
            Problem::form(format!("there is no model '{id}'; the models are {known}"))
        })?;
        let key = (file.to_owned(), manner, method.how().needs());
        let opened = self.open.get(key, |(file, manner, _)| {
            let opened = || -> Result<_, Failure> {
                let model = files::open_model(file)?;
                let lungs = files::open_companion(file, &model, self.engine.as_ref())?;
                let (engine, model) = (self.engine.clone(), Arc::new(model));
                let explainer = Explainer::for_method(engine, model, method, manner);
                let explainer = explainer.map_err(|error| Failure::of(file, error))?;
                Ok(Arc::new((explainer, lungs)))
            };
            opened().map_err(|failure| failure.reason().to_owned())
        });
        opened.map_err(Problem::Content)
    }
}

fn content(error: &dyn ToString) -> Problem {
    Problem::Content(error.to_string())
}
