//! `gradlens inspect`: what a model takes, what it knows, which layers can be explained.

use comfy_table::Table;
use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use serde_json::json;
use std::process::ExitCode;

use super::{Outcome, args, failure::Failure, files, say};
use crate::gradient;

pub fn run(arguments: &args::Inspect) -> Outcome {
    let model = files::open_model(&arguments.model)?;
    let manifest = &model.manifest;
    let missing = gradient::operators_without_rule(&model);
    // An operator may have a rule, and yet not for this form of it or this opset.
    let obstacle = gradient::differentiate(&model, std::slice::from_ref(&model.layer), false).err();
    let obstacle = obstacle.map(|error| error.to_string());
    if arguments.json {
        let description = json!({
            "id": manifest.id,
            "name": manifest.name,
            "sha256": model.sha256,
            "guessed": model.guessed,
            "reasons": model.reasons,
            "input": manifest.input,
            "preprocessing": manifest.preprocessing,
            "labels": manifest.labels,
            "scores": model.scores,
            "probabilities": model.probabilities,
            "layer": model.layer,
            "layers": model.layers,
            "operators_without_rule": missing,
            "obstacle": obstacle,
            "notice": manifest.notice,
        });
        let text = serde_json::to_string_pretty(&description);
        say(&text.map_err(|error| Failure::of(&arguments.model, error))?);
        return Ok(ExitCode::SUCCESS);
    }
    say(&format!("model     {} ({})", manifest.name, manifest.id));
    say(&format!("sha256    {}", model.sha256));
    let input = &manifest.input;
    say(&format!(
        "input     {} {} x {}, {:?}",
        input.name, input.width, input.height, input.channels
    ));
    for reason in &model.reasons {
        say(&format!("guessed   {reason}"));
    }
    let labels: Vec<&str> = manifest
        .labels
        .iter()
        .take(12)
        .map(|label| label.id.as_str())
        .collect();
    let more = if manifest.labels.len() > labels.len() {
        ", ..."
    } else {
        ""
    };
    say(&format!(
        "classes   {}: {}{more}",
        model.classes,
        labels.join(", ")
    ));
    let probabilities = model
        .probabilities
        .as_deref()
        .map(str::to_owned)
        .unwrap_or_else(|| format!("none in the model; a {} is assumed", model.squash.name()));
    say(&format!(
        "scores    {} (probabilities: {probabilities})",
        model.scores
    ));
    match (missing.as_slice(), obstacle) {
        ([], None) => say("gradient  a rule for every operator"),
        ([], Some(obstacle)) => say(&format!("gradient  {obstacle}")),
        (missing, None) => say(&format!(
            "gradient  no rule for {}, which the default layer does not need",
            missing.join(", ")
        )),
        (missing, Some(_)) => say(&format!("gradient  no rule for {}", missing.join(", "))),
    }
    let mut table = Table::new();
    table
        .load_style(UTF8_HORIZONTAL_ONLY)
        .set_header(["layer", "made by", "channels", "map", ""]);
    for layer in &model.layers {
        let note = match (layer.name == model.layer, layer.recommended) {
            (true, true) => format!("default: {}", layer.reason),
            (true, false) => "default: the manifest's choice".into(),
            (false, true) => format!("recommended: {}", layer.reason),
            (false, false) => String::new(),
        };
        table.add_row([
            layer.name.clone(),
            layer.operator.clone(),
            layer.channels.to_string(),
            format!("{} x {}", layer.width, layer.height),
            note,
        ]);
    }
    say(&table.to_string());
    Ok(ExitCode::SUCCESS)
}
