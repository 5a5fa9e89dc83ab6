//! Ablation-CAM: channels weighted by what the score loses without them.

use ndarray::Axis;

use super::{Case, ExplainError, How, Method, Target};

/// Ramaswamy et al. 2020, equations 2 and 3: `w_k = (score - score_k) / score`, with `score_k` what is left when channel `k` of the layer is set to zero,
/// `L = ReLU(sum_k w_k A_k)`. As pytorch-grad-cam has it, a layer that also has negative activations (a SiLU's, say) gets [`FAR`] below its least one instead:
/// there zero is a value like any other. Only what follows the layer is run again.
pub struct AblationCam;

/// How far below the least activation a channel is taken where zero is not the least.
const FAR: f32 = 1e7;

impl Method for AblationCam {
    fn id(&self) -> &'static str {
        "ablation-cam"
    }

    fn name(&self) -> &'static str {
        "Ablation-CAM"
    }

    fn about(&self) -> &'static str {
        "Channels weighted by the share of the score that is lost without them (Ramaswamy et al. 2020). Needs no gradient; a pass \
         through what follows the layer for each channel."
    }

    fn target(&self) -> Target {
        Target::Logit
    }

    fn how(&self) -> How {
        How::Channels(weights)
    }
}

fn weights(case: &Case<'_>) -> Result<Vec<f32>, ExplainError> {
    let whole = case.score(case.observation);
    // A share has no sign: of the negative it is the same, and what adds to the score speaks against its absence.
    let sign = if case.question.counterfactual {
        -1.0
    } else {
        1.0
    };
    if whole == 0.0 {
        return Err(ExplainError::Question(
            "ablation-cam takes shares of the score, and the score is 0; ask score-cam".into(),
        ));
    }
    let explainer = case.explainer;
    let entered = explainer.enter(&case.observation.input)?;
    let least = entered.layer.iter().copied().fold(f32::INFINITY, f32::min);
    let value = if least == 0.0 { 0.0 } else { least - FAR };
    case.passes(case.observation.activations.len_of(Axis(0)), &|channel| {
        let (logits, probabilities) = explainer.scored(entered.without(channel, value)?)?;
        Ok(sign * (whole - case.quantity(&logits, &probabilities)) / whole)
    })
}
