//! One picture under one model: what the terminal and the page both do, without their files and buttons.

mod doubt;

use image::RgbImage;
use ndarray::ArrayView2;
use ndarray_npy::WriteNpyExt;

use crate::evidence::Entry;
use crate::explain::{
    self, ExplainError, Explainer, HeatMap, Method, Observation, Question, Sign, Target, Unwatched,
    Watch,
};
use crate::image::{
    self as pictures, Decoded, ImageError, Levels, Limits, Picture, Prepared, PreprocessError,
    Wanted,
};
use crate::lungs::{Fields, Lungs, LungsError};
use crate::model::STAMP;
use crate::regions::{self, Coco};
use crate::render::{self, ColorMap, Heat, Peak, RenderError, Scale};
use crate::report::page::Page;
use crate::report::{CompanionEntry, PictureEntry, Report, Seen};

pub use doubt::{Hidden, Share, Whereabouts};

/// Why a picture has no result. The message is one line and leaves out the file's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StudyError {
    /// The file is no picture that gradlens reads.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// The manifest's preprocessing does not fit.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// The segmenter that looks at the picture first is at fault.
    #[error("its companion: {0}")]
    Lungs(#[from] LungsError),
    /// The segmenter that the model's manifest asks for was not given.
    #[error("the model needs its companion '{0}' to look at a picture first")]
    NoCompanion(String),
    /// The model, the engine or the question is at fault.
    #[error(transparent)]
    Explain(#[from] ExplainError),
    /// The result cannot be drawn.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// No share of a map's largest value.
    #[error("the threshold is {0}, which is not above 0 and at most 1")]
    Threshold(f64),
    /// The answer cannot be written as a page.
    #[error("the page cannot be written: {0}")]
    Page(String),
    /// Nothing can be hidden so.
    #[error("{0}")]
    Hide(String),
    /// The map cannot be written as `.npy`.
    #[error("the map cannot be written: {0}")]
    Npy(String),
}

/// A picture, decoded, as the network saw it, and what the network made of it.
#[derive(Debug, Clone)]
pub struct Study {
    /// The file, for the report.
    pub entry: PictureEntry,
    /// The picture.
    pub picture: Picture,
    /// Its values and the window that they are seen through, where one can be chosen.
    pub levels: Option<Levels>,
    /// Its lungs, where the model has a companion that looks for them.
    pub fields: Option<Fields>,
    /// The network's input.
    pub prepared: Prepared,
    /// Scores and activations.
    pub observation: Observation,
}

/// What to explain; `None` leaves the choice to gradlens.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The class; by default the one with the highest score.
    pub class: Option<usize>,
    /// The class to contrast it with.
    pub contrast: Option<usize>,
    /// The method's id; by default the first of [`METHODS`](explain::METHODS).
    pub method: Option<String>,
    /// Logit or probability; by default the method's own.
    pub target: Option<Target>,
    /// Whether what speaks against the class is asked for.
    pub counterfactual: bool,
}

/// The answer to a [`Request`].
#[derive(Debug, Clone)]
pub struct Answer {
    /// The report.
    pub report: Report,
    /// The raw map.
    pub map: HeatMap,
    /// Where the map is highest, in the picture's pixels; `None` where it is empty.
    pub peak: Option<Peak>,
    /// What its levels stand for.
    pub scale: Scale,
    heat: Heat,
}

impl Study {
    /// As [`open_as`](Study::open_as), the picture's values seen through the usual window.
    ///
    /// # Errors
    /// As [`open_as`](Study::open_as).
    pub fn open(
        explainer: &Explainer,
        lungs: Option<&Lungs>,
        name: &str,
        bytes: &[u8],
        limits: &Limits,
    ) -> Result<Study, StudyError> {
        Study::open_as(explainer, lungs, name, bytes, limits, &Wanted::Usual)
    }

    /// Decodes a file, its values seen through the window that is wanted, brings it to the model's input and runs the forward pass. `lungs` is the companion that the model's manifest
    /// asks for.
    ///
    /// # Errors
    /// [`StudyError`] says what is wrong with the file or the model.
    pub fn open_as(
        explainer: &Explainer,
        lungs: Option<&Lungs>,
        name: &str,
        bytes: &[u8],
        limits: &Limits,
        wanted: &Wanted,
    ) -> Result<Study, StudyError> {
        let decoded = pictures::decode_as(bytes, limits, wanted)?;
        let entry = PictureEntry::of(name, bytes, &decoded);
        let Decoded {
            picture, levels, ..
        } = decoded;
        let fields = match (&explainer.model.manifest.companion, lungs) {
            (None, _) => None,
            (Some(_), Some(lungs)) => Some(lungs.look(&picture)?),
            (Some(companion), None) => {
                return Err(StudyError::NoCompanion(companion.model.clone()));
            }
        };
        let prepared = explainer.prepare(&picture, fields.as_ref())?;
        let observation = explainer.observe(&prepared.tensor)?;
        Ok(Study {
            entry,
            picture,
            levels,
            fields,
            prepared,
            observation,
        })
    }

    /// The class with the highest score.
    #[must_use]
    pub fn best_class(&self) -> usize {
        let logits = self.observation.logits.iter().enumerate();
        logits
            .max_by(|a, b| a.1.total_cmp(b.1))
            .map_or(0, |(index, _)| index)
    }

    /// What the companion says of the picture.
    #[must_use]
    pub fn companion(&self, explainer: &Explainer) -> Option<CompanionEntry> {
        let asked = explainer.model.manifest.companion.as_ref()?;
        Some(CompanionEntry::of(self.fields.as_ref()?, asked.gate))
    }

    /// What a request means for this picture.
    fn question(&self, request: &Request) -> Result<(Question, &'static dyn Method), StudyError> {
        let method = match &request.method {
            Some(id) => explain::method(id)?,
            None => explain::METHODS[0],
        };
        let question = Question {
            class: request.class.unwrap_or_else(|| self.best_class()),
            contrast: request.contrast,
            target: request.target.unwrap_or_else(|| method.target()),
            counterfactual: request.counterfactual,
        };
        Ok((question, method))
    }

    /// Explains the picture.
    ///
    /// # Errors
    /// [`StudyError::Explain`] for an unknown class, method or target, or a failing engine.
    pub fn ask(&self, explainer: &Explainer, request: &Request) -> Result<Answer, StudyError> {
        self.ask_watched(explainer, request, &Unwatched)
    }

    /// As [`ask`](Study::ask), told of each pass of a method that makes many.
    ///
    /// # Errors
    /// As [`ask`](Study::ask); [`ExplainError::Stopped`] where `watch` has had enough.
    pub fn ask_watched(
        &self,
        explainer: &Explainer,
        request: &Request,
        watch: &dyn Watch,
    ) -> Result<Answer, StudyError> {
        let (question, method) = self.question(request)?;
        let map = explainer.explain_watched(&self.observation, &question, method, watch)?;
        let region = self.prepared.region;
        let scale = match method.sign() {
            Sign::TwoSided => Scale::Signed,
            Sign::OneSided | Sign::Blind => Scale::Range,
        };
        let heat = Heat::on_scale(&map.values.view(), region, scale)?;
        let peak = match map.empty {
            None => render::peak(&map.values.view(), region),
            Some(_) => None,
        };
        let seen = Seen {
            picture: &self.entry,
            region,
            companion: self.companion(explainer),
            observation: &self.observation,
        };
        let report = Report::new(explainer, &seen, &question, method, &map);
        Ok(Answer {
            report,
            map,
            peak,
            scale,
            heat,
        })
    }
}

impl Answer {
    /// The map as levels 0 to 255, `[H, W]` of the region that the network saw.
    #[must_use]
    pub fn levels(&self) -> ArrayView2<'_, u8> {
        self.heat.levels()
    }

    /// The raw values at both ends of the colours: the map's least and largest, or as far from zero on either side.
    #[must_use]
    pub fn ends(&self) -> [f32; 2] {
        let HeatMap { min, max, .. } = self.map;
        match self.scale {
            Scale::Range => [min, max],
            Scale::Signed => {
                let most = min.abs().max(max.abs());
                [-most, most]
            }
        }
    }

    /// The picture with the heat map over it, at the picture's own size.
    ///
    /// # Errors
    /// [`RenderError::Opacity`] unless `opacity` is 0 to 1.
    pub fn overlay(
        &self,
        study: &Study,
        colormap: ColorMap,
        opacity: f32,
    ) -> Result<RgbImage, RenderError> {
        self.heat
            .overlay(&study.picture.to_rgb8(), colormap, opacity)
    }

    /// The overlay as a PNG file, the notice in its pixels.
    ///
    /// # Errors
    /// As [`overlay`](Answer::overlay).
    pub fn overlay_png(
        &self,
        study: &Study,
        colormap: ColorMap,
        opacity: f32,
    ) -> Result<Vec<u8>, RenderError> {
        self.png(self.overlay(study, colormap, opacity)?)
    }

    /// Picture, heat map and overlay side by side as a PNG file, the notice in its pixels.
    ///
    /// # Errors
    /// As [`overlay`](Answer::overlay).
    pub fn figure_png(
        &self,
        study: &Study,
        colormap: ColorMap,
        opacity: f32,
    ) -> Result<Vec<u8>, RenderError> {
        self.png(
            self.heat
                .figure(&study.picture.to_rgb8(), colormap, opacity)?,
        )
    }

    /// The raw map as a NumPy file: f32, `[H, W]`.
    ///
    /// # Errors
    /// [`StudyError::Npy`].
    pub fn map_npy(&self) -> Result<Vec<u8>, StudyError> {
        let mut bytes = Vec::new();
        self.map
            .values
            .write_npy(&mut bytes)
            .map_err(|error| StudyError::Npy(error.to_string()))?;
        Ok(bytes)
    }

    /// The answer as one HTML file with what was checked of it. `plots` are SVG elements by the check's id, which go in as they are.
    ///
    /// # Errors
    /// As [`overlay`](Answer::overlay), or where it cannot be written.
    pub fn html(
        &self,
        study: &Study,
        explainer: &Explainer,
        (colormap, opacity): (ColorMap, f32),
        checks: &[Entry],
        plots: &[(String, String)],
    ) -> Result<String, StudyError> {
        let size = (study.picture.width(), study.picture.height());
        let says = match (&self.map.empty, &self.peak) {
            (Some(why), _) => why.clone(),
            (None, Some(peak)) => format!(
                "The map is highest at the {} of the picture as shown.",
                peak.words(size.0, size.1)
            ),
            (None, None) => "The map has no highest place.".into(),
        };
        let manifest = &explainer.model.manifest;
        let page = Page {
            report: &self.report,
            model: (&manifest.name, &manifest.sources),
            caption: &self.caption(),
            says: &says,
            pictures: [
                &render::encode_png(&study.picture.to_rgb8(), &[])?,
                &self.overlay_png(study, colormap, opacity)?,
                &render::encode_png(&study.prepared.seen(), &[])?,
            ],
            checks,
            plots,
        };
        page.whole()
            .map_err(|error| StudyError::Page(error.to_string()))
    }

    /// Where the map is at least `threshold` of its largest value, as proposals for annotations; none of an empty map. The share is 0 to 1.
    ///
    /// # Errors
    /// [`StudyError::Threshold`] unless the threshold is above 0 and at most 1.
    pub fn annotations(&self, explainer: &Explainer, threshold: f64) -> Result<Coco, StudyError> {
        if !(threshold > 0.0 && threshold <= 1.0) {
            return Err(StudyError::Threshold(threshold));
        }
        let proposals = match self.map.empty {
            Some(_) => Vec::new(),
            None => regions::proposals(&self.map.values.view(), self.heat.region(), threshold),
        };
        let labels = &explainer.model.manifest.labels;
        Ok(Coco::of(&self.report, labels, &proposals, threshold))
    }

    /// What is explained, in a line: `Grad-CAM of covid (0.921), layer conv_head`.
    #[must_use]
    pub fn caption(&self) -> String {
        let report = &self.report;
        let explained = &report.explained;
        let method =
            explain::method(&report.method).map_or(report.method.as_str(), |method| method.name());
        let probability = report
            .scores
            .get(explained.index)
            .map_or(0.0, |score| score.probability);
        let against = explained
            .contrast
            .as_ref()
            .map(|label| format!(" rather than {label}"));
        let against = against.unwrap_or_default();
        let what = match explained.counterfactual {
            true => "of what speaks against",
            false => "of",
        };
        let layers = match report.layers.as_slice() {
            [] => format!("layer {}", report.layer),
            layers => format!("layers {}", layers.join(", ")),
        };
        let smooth: String = report
            .smooth
            .iter()
            .map(|smooth| format!(", {smooth}"))
            .collect();
        format!(
            "{method} {what} {} ({probability:.3}){against}, {layers}{smooth}",
            explained.label
        )
    }

    /// Stamps and encodes a picture of this answer.
    fn png(&self, mut picture: RgbImage) -> Result<Vec<u8>, RenderError> {
        let caption = self.caption();
        let model = &self.report.model.id;
        render::stamp(&mut picture, &format!("{STAMP} {model}: {caption}"));
        let software = format!("gradlens {}", crate::VERSION);
        let texts = [
            ("Description", caption.as_str()),
            ("Disclaimer", self.report.notice.as_str()),
            ("Software", software.as_str()),
        ];
        render::encode_png(&picture, &texts)
    }
}
