//! Whether an answer is to be believed: checks of its map, where it lies, and what becomes of the scores when something is hidden.

use serde::Serialize;

use super::{Answer, Request, Study, StudyError};
use crate::evidence::{Check, Entry, Evidence, Fill, Mask, Subject, border_share, placement};
use crate::explain::{Explainer, HeatMap, Observation, Watch};
use crate::image::{Prepared, Region};
use crate::lungs::Lungs;

/// Where a map lies, as far as that costs no pass.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Whereabouts {
    /// Its share in the outer tenth of what the model sees.
    pub border: Share,
    /// Its share outside the lungs.
    pub outside: Share,
}

/// A share of a map's positive values, or why there is none.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Share {
    /// The share, 0 to 1.
    Found {
        /// The map's own.
        share: f64,
        /// That of a map which is the same everywhere.
        uniform: f64,
    },
    /// A sentence.
    Nothing {
        /// Why.
        nothing: String,
    },
}

/// What the network makes of a picture of which something is hidden.
#[derive(Debug, Clone)]
pub struct Hidden {
    /// Scores and activations.
    pub observation: Observation,
    /// The share of its input that is hidden.
    pub share: f64,
}

impl Study {
    /// Explains the picture and checks the map. `marked` is what a person marked on the picture, or why there is nothing; `lungs` finds the lungs where the model has no
    /// companion that did.
    ///
    /// # Errors
    /// As [`ask_watched`](Study::ask_watched).
    pub fn evidence(
        &self,
        explainer: &Explainer,
        request: &Request,
        checks: &[&dyn Check],
        marked: Result<&Mask, String>,
        lungs: Option<&Lungs>,
        watch: &dyn Watch,
    ) -> Result<Evidence, StudyError> {
        let answer = self.ask_watched(explainer, request, watch)?;
        let gather = |subject: &Subject<'_>| Evidence::gather(answer.report, subject, checks);
        self.doubt(
            explainer,
            request,
            &answer.map,
            marked,
            lungs,
            watch,
            gather,
        )
    }

    /// Asks one check about an answer to the same request.
    ///
    /// # Errors
    /// As [`evidence`](Study::evidence).
    pub fn check(
        &self,
        explainer: &Explainer,
        request: &Request,
        answer: &Answer,
        check: &dyn Check,
        lungs: Option<&Lungs>,
        watch: &dyn Watch,
    ) -> Result<Entry, StudyError> {
        let unmarked = Err("Nothing is marked on the picture.".into());
        self.doubt(
            explainer,
            request,
            &answer.map,
            unmarked,
            lungs,
            watch,
            |subject| Entry::of(check, subject),
        )
    }

    /// Where an answer's map lies; no pass is made.
    ///
    /// # Errors
    /// As [`evidence`](Study::evidence).
    pub fn whereabouts(
        &self,
        explainer: &Explainer,
        answer: &Answer,
    ) -> Result<Whereabouts, StudyError> {
        let nothing = |why: &str| Share::Nothing {
            nothing: why.to_owned(),
        };
        if let Some(why) = &answer.map.empty {
            return Ok(Whereabouts {
                border: nothing(why),
                outside: nothing(why),
            });
        }
        let no_positive = "The map shows no place that speaks for the class.";
        let map = answer.map.values.view();
        let input = &explainer.model.manifest.input;
        let border = border_share(&map, input.height, input.width);
        let outside = match self.lungs(None)? {
            Err(why) => nothing(&why),
            Ok(lungs) => match placement(&map, self.prepared.region, &lungs) {
                None => nothing(no_positive),
                Some(placed) => Share::Found {
                    share: 1.0 - placed.energy,
                    uniform: 1.0 - placed.uniform,
                },
            },
        };
        Ok(Whereabouts {
            border: border.map_or_else(
                || nothing(no_positive),
                |(share, uniform)| Share::Found { share, uniform },
            ),
            outside,
        })
    }

    /// Scores the picture with boxes of it hidden, in its pixels. The network looks at the same part of the picture as before.
    ///
    /// # Errors
    /// As [`covered`](Study::covered), and where the pass fails.
    pub fn hide(
        &self,
        explainer: &Explainer,
        boxes: &[Region],
        fill: Fill,
    ) -> Result<Hidden, StudyError> {
        let (prepared, share) = self.covered(boxes, fill)?;
        Ok(Hidden {
            observation: explainer.observe(&prepared.tensor)?,
            share,
        })
    }

    /// What the network would see with boxes of the picture hidden, in its pixels, and the share of the network's input that they hide. Of the input those pixels are
    /// hidden whose centre lies in a box.
    ///
    /// # Errors
    /// [`StudyError::Hide`] where the boxes hide nothing that the network sees, or leave nothing to fill them from.
    pub fn covered(&self, boxes: &[Region], fill: Fill) -> Result<(Prepared, f64), StudyError> {
        let (width, height) = (self.picture.width(), self.picture.height());
        let input = &self.prepared.tensor;
        let (_, _, rows, columns) = input.dim();
        let mask = Mask::of_regions(boxes, width, height);
        let chosen = mask.at_input(self.prepared.region, rows, columns);
        let count = chosen.iter().filter(|chosen| **chosen).count();
        if count == 0 {
            return Err(StudyError::Hide(
                "the network sees nothing of what the boxes hide: draw one inside the part of the picture that it looks at".into(),
            ));
        }
        if count == chosen.len() && fill == Fill::Surroundings {
            return Err(StudyError::Hide(
                "the boxes hide all that the network sees, and nothing is left around them to fill them from".into(),
            ));
        }
        let prepared = self.prepared.with(fill.cover(input, &chosen));
        Ok((prepared, count as f64 / chosen.len() as f64))
    }

    /// Asks `about` a map of this picture.
    #[expect(
        clippy::too_many_arguments,
        reason = "they are the parts of a Subject, which borrows what is made here"
    )]
    fn doubt<R>(
        &self,
        explainer: &Explainer,
        request: &Request,
        map: &HeatMap,
        marked: Result<&Mask, String>,
        lungs: Option<&Lungs>,
        watch: &dyn Watch,
        about: impl FnOnce(&Subject<'_>) -> Result<R, crate::explain::ExplainError>,
    ) -> Result<R, StudyError> {
        let (question, method) = self.question(request)?;
        let lungs = self.lungs(lungs)?;
        let subject = Subject {
            explainer,
            observation: &self.observation,
            question: &question,
            method,
            map,
            region: self.prepared.region,
            mask: marked,
            lungs: lungs.as_ref().map_err(Clone::clone),
            watch,
        };
        Ok(about(&subject)?)
    }

    /// The lungs, or why there are none.
    fn lungs(&self, segmenter: Option<&Lungs>) -> Result<Result<Mask, String>, StudyError> {
        let fields = match (&self.fields, segmenter) {
            (Some(fields), _) => fields.clone(),
            (None, Some(segmenter)) => segmenter.look(&self.picture)?,
            (None, None) => return Ok(Err("There is no segmenter that finds lungs: the model names no companion, and the shipped one was not found.".into())),
        };
        if !fields.is_frontal() {
            return Ok(Err("The picture does not look like an upright frontal chest X-ray: what a segmenter takes for lungs means nothing.".into()));
        }
        let lungs = Mask::of_lungs(&fields, self.picture.width(), self.picture.height());
        Ok(lungs.ok_or_else(|| "The segmenter finds no lungs in the picture.".into()))
    }
}
