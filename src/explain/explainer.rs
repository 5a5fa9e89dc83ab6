//! A model made ready to be asked about one layer.

use std::iter;
use std::sync::{Arc, OnceLock};

use tract_onnx::pb::ModelProto;

use super::smoothing::{Manner, Smooth};
use super::tail::Tail;
use super::{ExplainError, Method, Needs, Place, layer_for};
use crate::engine::{Engine, EngineInfo, Kind, Session, Spec};
use crate::gradient::{self, Bias, GradientError, Relus, Wanted, bias_gradient_name};
use crate::image::{Crop, Picture, Prepared, PreprocessError, preprocess, preprocess_region};
use crate::lungs::{Fields, grown};
#[cfg(feature = "web")]
use crate::model::as_sha256;
use crate::model::onnx::Piece;
use crate::model::{Input, Model, ModelError, sha256_of};

/// A model, its gradient graph at one layer, and both halves of it prepared on an engine.
///
/// The graph is cut where the class comes in: [`observe`](Explainer::observe) runs once a picture, and
/// [`explain`](Explainer::explain) then runs only what depends on the class.
pub struct Explainer {
    /// The model.
    pub model: Arc<Model>,
    /// The layer explained.
    pub layer: String,
    gradient_sha256: OnceLock<String>,
    pub(super) engine: Arc<dyn Engine>,
    pub(super) body: Box<dyn Session>,
    pub(super) outputs: Vec<String>,
    pub(super) head_graph: ModelProto,
    pub(super) head_outputs: Vec<String>,
    pub(super) frontier: Vec<String>,
    pub(super) head: OnceLock<Box<dyn Session>>,
    pub(super) needs: Needs,
    pub(super) biases: Vec<Bias>,
    /// What follows the layer, where a method runs that alone.
    pub(super) tail: OnceLock<Tail>,
    /// The same model with guided ReLUs at the pixels, where a method multiplies by its gradients.
    pub(super) guided: OnceLock<Box<Explainer>>,
    /// The same model at the other layers whose maps are fused with this one's.
    pub(super) beside: Vec<Explainer>,
    pub(super) smooth: Vec<Smooth>,
}

impl Explainer {
    /// Makes the gradient graph of `model` at `layer` (its default where `None`) and prepares it on `engine`.
    ///
    /// # Errors
    /// An unknown layer, an operator without a gradient rule, or a graph that the engine does not accept.
    pub fn new(
        engine: Arc<dyn Engine>,
        model: Arc<Model>,
        layer: Option<&str>,
    ) -> Result<Explainer, ExplainError> {
        let layer = layer.unwrap_or(&model.layer).to_owned();
        let place = match layer == model.input {
            true => Place::Pixels,
            false => Place::Layer,
        };
        let needs = Needs {
            place,
            relus: Relus::Plain,
            biases: false,
        };
        Explainer::derived(engine, model, layer, needs)
    }

    /// Makes the gradient graphs that `method` reads, at the layers and for the smoothing of `manner`, and prepares them on `engine`.
    ///
    /// # Errors
    /// As [`new`](Explainer::new); [`ExplainError::Question`] for a manner that the method does not have; [`GradientError`] for a model without
    /// the ReLUs or biases that the method is about.
    pub fn for_method(
        engine: Arc<dyn Engine>,
        model: Arc<Model>,
        method: &dyn Method,
        manner: &Manner,
    ) -> Result<Explainer, ExplainError> {
        manner.check(method, &model)?;
        let (first, others) = match manner.layers.split_first() {
            None => (layer_for(method, &model, None)?, &[][..]),
            Some((first, others)) => (Some(first.as_str()), others),
        };
        let first = first.unwrap_or(&model.layer).to_owned();
        let at = |layer| {
            let needs = method.how().needs();
            Explainer::derived(engine.clone(), model.clone(), layer, needs)
        };
        let mut explainer = at(first)?;
        let beside = others.iter().map(|layer| at(layer.clone()));
        explainer.beside = beside.collect::<Result<_, _>>()?;
        explainer.smooth_by(&manner.smooth);
        Ok(explainer)
    }

    /// Takes other ways to a smoother map.
    fn smooth_by(&mut self, smooth: &[Smooth]) {
        self.smooth = smooth.to_vec();
        for other in &mut self.beside {
            other.smooth_by(smooth);
        }
    }

    /// Itself, and the same model at the other layers whose maps are fused with its own.
    pub fn layers(&self) -> impl Iterator<Item = &Explainer> {
        iter::once(self).chain(&self.beside)
    }

    /// At which layers its maps are made, and how they are smoothed.
    #[must_use]
    pub fn manner(&self) -> Manner {
        Manner {
            layers: self.layers().map(|at| at.layer.clone()).collect(),
            smooth: self.smooth.clone(),
        }
    }

    /// Whether its maps are smoothed so.
    #[must_use]
    pub fn smooths(&self, smooth: Smooth) -> bool {
        self.smooth.contains(&smooth)
    }

    pub(super) fn derived(
        engine: Arc<dyn Engine>,
        model: Arc<Model>,
        layer: String,
        needs: Needs,
    ) -> Result<Explainer, ExplainError> {
        if let Some(batch) = model.batch.filter(|&batch| batch != 1) {
            return Err(ModelError::Unsupported(format!(
                "it takes {batch} pictures at a time; export it with an open batch or a batch of 1"
            ))
            .into());
        }
        let biases = biases_for(&model, needs)?;
        let wanted = wanted(&layer, needs, &biases);
        let graph = gradient::derive(&model, &wanted)?;
        let halves = gradient::split_at_seed(graph)?;
        let input = &model.manifest.input;
        let spec = Spec {
            kind: Kind::F32,
            shape: match model.channels_last {
                false => vec![1, model.channels, input.height, input.width],
                true => vec![1, input.height, input.width, model.channels],
            },
        };

        let outputs = halves.body.graph.iter().flat_map(|graph| &graph.output);
        let outputs = outputs.map(|output| output.name.clone()).collect();
        let of_head = halves.head.graph.iter().flat_map(|graph| &graph.output);
        let head_outputs: Vec<String> = of_head.map(|output| output.name.clone()).collect();
        let has_gradient = |bias: &Bias| head_outputs.contains(&bias_gradient_name(&bias.tensor));
        let biases: Vec<Bias> = biases.into_iter().filter(has_gradient).collect();
        if needs.biases && biases.is_empty() {
            return Err(GradientError::NoBias.into());
        }
        let body = engine.prepare_hollow(halves.body, model.graph()?, &[spec])?;
        let head = OnceLock::new();
        if halves.frontier.is_empty() {
            // Nothing of the picture's side decides its shapes: the first answer need not wait for it.
            let seed = Spec {
                kind: Kind::F32,
                shape: vec![1, model.classes],
            };
            let _ =
                head.set(engine.prepare_hollow(halves.head.clone(), model.graph()?, &[seed])?);
        }
        Ok(Explainer {
            outputs,
            model,
            layer,
            gradient_sha256: OnceLock::new(),
            engine,
            body,
            head_graph: halves.head,
            head_outputs,
            frontier: halves.frontier,
            head,
            needs,
            biases,
            tail: OnceLock::new(),
            guided: OnceLock::new(),
            beside: Vec::new(),
            smooth: Vec::new(),
        })
    }

    /// Another model with the same layer, made ready at it on the same engine.
    ///
    /// # Errors
    /// As [`new`](Explainer::new).
    pub fn of_model(&self, model: Arc<Model>) -> Result<Explainer, ExplainError> {
        let at = |layer: &Explainer| {
            let name = layer.layer.clone();
            Explainer::derived(self.engine.clone(), model.clone(), name, self.needs)
        };
        let mut explainer = at(self)?;
        explainer.beside = self.beside.iter().map(at).collect::<Result<_, _>>()?;
        explainer.smooth_by(&self.smooth);
        Ok(explainer)
    }

    /// Whether it has the gradient graph that a method reads, at whatever layer.
    #[must_use]
    pub fn is_for(&self, method: &dyn Method) -> bool {
        let needs = method.how().needs();
        let other = Needs {
            place: needs.place,
            ..self.needs
        };
        needs == other && (needs.place == Place::Layer || self.is_at_pixels())
    }

    /// sha256 of the gradient graph's file. Computed when it is first asked for: of large models it takes as long as all else that
    /// makes them ready.
    #[must_use]
    pub fn gradient_sha256(&self) -> &str {
        self.gradient_sha256.get_or_init(|| {
            let file = gradient_file(&self.model, &self.layer, self.needs);
            // It could be made when this was.
            file.map_or_else(
                |_| String::new(),
                |pieces| sha256_of(pieces.iter().map(Piece::bytes)),
            )
        })
    }

    /// Takes the sha256 of the gradient graph's file from a caller who has a faster way to it, or none where it is to be computed anew.
    ///
    /// # Errors
    /// [`ModelError::Digest`] for a text that is none.
    #[cfg(feature = "web")]
    pub(crate) fn digested(&mut self, sha256: Option<&str>) -> Result<(), ModelError> {
        let known = sha256.map(as_sha256).transpose()?;
        self.gradient_sha256 = known.map_or_else(OnceLock::new, OnceLock::from);
        Ok(())
    }

    /// The engine that it runs on.
    #[must_use]
    pub fn engine(&self) -> EngineInfo {
        self.engine.info()
    }

    /// The model's input tensor for a picture. Where the model wants the lungs only, they are those of `fields`, and the middle
    /// square where there are none.
    ///
    /// # Errors
    /// [`PreprocessError`] where the picture cannot be brought to the input's size.
    pub fn prepare(
        &self,
        picture: &Picture,
        fields: Option<&Fields>,
    ) -> Result<Prepared, PreprocessError> {
        let manifest = &self.model.manifest;
        let Input {
            width,
            height,
            channels,
            ..
        } = manifest.input;
        let how = &manifest.preprocessing;
        let bounds = fields.and_then(Fields::bounds);
        match (how.crop, bounds, &manifest.companion) {
            (Crop::Lungs, Some(bounds), Some(companion)) => {
                let margin = companion.crop_margin;
                let region = grown(bounds, margin, picture.width(), picture.height());
                preprocess_region(picture, region, how, width, height, channels)
            }
            _ => preprocess(picture, how, width, height, channels),
        }
    }

    /// Whether the layer is the network's input.
    #[must_use]
    pub fn is_at_pixels(&self) -> bool {
        self.layer == self.model.input
    }

    /// Prepares another graph on the same engine.
    pub(super) fn prepare_graph(
        &self,
        graph: ModelProto,
        inputs: &[Spec],
    ) -> Result<Box<dyn Session>, ExplainError> {
        Ok(self
            .engine
            .prepare_hollow(graph, self.model.graph()?, inputs)?)
    }
}

/// The file of the gradient graph at a layer that has what is needed: what an explainer's checksum is of.
///
/// # Errors
/// As [`Explainer::new`].
pub(crate) fn gradient_file<'m>(
    model: &'m Model,
    layer: &str,
    needs: Needs,
) -> Result<Vec<Piece<'m>>, ExplainError> {
    let biases = biases_for(model, needs)?;
    let layer = layer.to_owned();
    Ok(gradient::file_of(model, &wanted(&layer, needs, &biases))?)
}

fn biases_for(model: &Model, needs: Needs) -> Result<Vec<Bias>, ModelError> {
    match needs.biases {
        true => gradient::biases(model),
        false => Ok(Vec::new()),
    }
}

fn wanted<'w>(layer: &'w String, needs: Needs, biases: &'w [Bias]) -> Wanted<'w> {
    Wanted {
        layers: std::slice::from_ref(layer),
        input: false,
        relus: needs.relus,
        biases,
    }
}
