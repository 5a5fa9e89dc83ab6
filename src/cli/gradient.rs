//! `gradlens gradient`: a classifier in, its gradient graph out.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{Outcome, args, failure::Failure, files, say};
use crate::gradient::{self, Relus, Wanted};
use crate::model::onnx;

pub fn run(arguments: &args::Gradient) -> Outcome {
    let file = files::find_model(&arguments.model)?;
    let model = files::open_model(&arguments.model)?;
    let layers = match arguments.layers.as_slice() {
        [] => vec![model.layer.clone()],
        layers => layers.to_vec(),
    };
    let wanted = Wanted {
        layers: &layers,
        input: arguments.input,
        relus: match arguments.guided {
            true => Relus::Guided,
            false => Relus::Plain,
        },
        biases: &[],
    };
    let graph = gradient::graph_of(&model, &wanted).map_err(|error| Failure::of(&file, error))?;
    let bytes = onnx::encode(&graph).map_err(|error| Failure::of(&file, error))?;
    let out = arguments.out.clone().unwrap_or_else(|| default_out(&file));
    if files::same(&out, &file) {
        return Err(Failure::of(&out, "is the model itself; name another file with --out").into());
    }
    files::write(&out, &bytes)?;
    let forward = model
        .proto
        .graph
        .as_ref()
        .map_or(0, |graph| graph.node.len());
    let whole = graph.graph.as_ref().map_or(0, |graph| graph.node.len());
    say(&format!(
        "{}: {} nodes ({} in the model), {:.1} MB, layers {}{}{}",
        out.display(),
        whole,
        forward,
        bytes.len() as f64 / 1e6,
        layers.join(", "),
        if arguments.input { ", input" } else { "" },
        if arguments.guided {
            ", ReLUs guided"
        } else {
            ""
        }
    ));
    Ok(ExitCode::SUCCESS)
}

/// `gradient.onnx` beside `model.onnx`, `NAME.gradient.onnx` beside `NAME.onnx`.
fn default_out(model: &Path) -> PathBuf {
    match model.file_stem().map(|stem| stem.to_string_lossy()) {
        Some(stem) if stem != "model" => model.with_file_name(format!("{stem}.gradient.onnx")),
        _ => model.with_file_name("gradient.onnx"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gradient_graph_lies_beside_its_model() {
        assert_eq!(
            default_out(Path::new("m/model.onnx")),
            Path::new("m/gradient.onnx")
        );
        assert_eq!(
            default_out(Path::new("m/net.onnx")),
            Path::new("m/net.gradient.onnx")
        );
    }
}
