//! `npm run evaluate`: what the shipped models' numbers are, recomputed from the X-rays by gradlens itself.
//!
//! For each classifier: accuracy, AUC, recall, calibration, by split, source and view; then where its heat maps lie beside what
//! radiologists marked. For the segmenter: overlap with drawn lungs and what its gate lets pass. Intervals are 95 %, by bootstrap
//! over patients. Each model folder gets a `measured.json`; the tables go to the terminal.

mod classifier;
mod data;
mod segmenter;
mod summary;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Parser;
use gradlens::engine::Tract;
use gradlens::explain::Explainer;
use gradlens::lungs::Lungs;
use gradlens::model::Model;

/// Recomputes the numbers of shipped models from a folder of X-rays.
#[derive(Parser)]
struct Options {
    /// Folders of models to evaluate.
    #[arg(default_values = ["models/covid-xray", "models/covid-xray-inception", "models/shortcut-xray", "models/lungs"])]
    models: Vec<PathBuf>,
    /// Folder with manifest.csv, the X-rays and their masks.
    #[arg(long, default_value = "../shared/xrays")]
    data: PathBuf,
    /// Only print; leave measured.json as it is.
    #[arg(long)]
    dry: bool,
}

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    let options = Options::parse();
    let manifest = options.data.join("manifest.csv");
    if !manifest.is_file() {
        println!(
            "{} does not exist: the X-rays are not part of this repository; name their folder with --data",
            manifest.display()
        );
        return Ok(());
    }
    let xrays = data::read(&options.data)?;
    for folder in &options.models {
        println!("\n{}", folder.display());
        let text = std::fs::read_to_string(folder.join("manifest.json"))
            .map_err(|error| format!("{}: {error}", folder.join("manifest.json").display()))?;
        let result = match text.contains(gradlens::lungs::SCHEMA) {
            true => segmenter::evaluate(&open_lungs(folder)?, &xrays)?,
            false => {
                let (explainer, lungs) = open_classifier(folder, &text)?;
                classifier::evaluate(&explainer, lungs.as_ref(), &xrays)?
            }
        };
        if !options.dry {
            let mut json = serde_json::to_string_pretty(&result)?;
            json.push('\n');
            std::fs::write(folder.join("measured.json"), json)?;
        }
    }
    Ok(())
}

/// A classifier and the companion that its manifest asks for, from the folder beside its own.
fn open_classifier(folder: &Path, manifest: &str) -> Outcome<(Explainer, Option<Lungs>)> {
    let bytes = std::fs::read(folder.join("model.onnx"))?;
    let model = Model::open(&bytes, Some(manifest), "model")?;
    let lungs = match &model.manifest.companion {
        Some(companion) => Some(open_lungs(&folder.join("..").join(&companion.model))?),
        None => None,
    };
    Ok((
        Explainer::new(Arc::new(Tract), Arc::new(model), None)?,
        lungs,
    ))
}

fn open_lungs(folder: &Path) -> Outcome<Lungs> {
    let manifest = std::fs::read_to_string(folder.join("manifest.json"))?;
    Ok(Lungs::open(
        &Tract,
        &std::fs::read(folder.join("model.onnx"))?,
        &manifest,
    )?)
}
