//! The arguments of every command.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::explain::{Smooth, Target};
use crate::render::ColorMap;

/// Which pixels made an ONNX image classifier say so?
///
/// Scores pictures, explains a score with a heat map, and writes the classifier's gradient graph. Everything is computed
/// on this machine. Not for diagnostic use: a heat map shows what moved a score, not where a disease is.
#[derive(Debug, Parser)]
#[command(name = "gradlens", version, arg_required_else_help = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Evidence(Evidence),
    Explain(Explain),
    Gradient(Gradient),
    Inspect(Inspect),
    Key(Key),
    Serve(Serve),
    Survey(Survey),
    Verify(Verify),
}

/// Score pictures and draw the heat map of a class
///
/// For each picture STEM.* this writes STEM.overlay.png, STEM.figure.png (picture, heat map, overlay), STEM.map.npy (the raw
/// map, f32, at the layer's size) and STEM.report.json; on request STEM.coco.json (where the map is high, as proposals for annotations) and STEM.report.html
/// (all of it in one file). Not for diagnostic use.
#[derive(Debug, Args)]
pub struct Explain {
    /// Pictures (JPEG, PNG, WebP, BMP, TIFF, DICOM), folders of them, or lists: CSV with a column picture, file, path or image, or JSON lines
    #[arg(required = true, value_name = "PICTURE")]
    pub pictures: Vec<PathBuf>,
    #[command(flatten)]
    pub ask: Ask,
    /// The colours: inferno, viridis, magma, turbo, jet or hot
    #[arg(long, value_name = "NAME", default_value = "inferno")]
    pub colormap: ColorMap,
    /// Weight of the heat map in the overlay
    #[arg(long, value_name = "0..1", default_value = "0.5", value_parser = opacity)]
    pub opacity: f32,
    /// The folder to write to; made where it is missing
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub out: PathBuf,
    /// Which files to write for a picture
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FILES", default_values_t = File::USUAL)]
    pub files: Vec<File>,
    /// Write STEM.coco.json, too: the regions in which the map is at least this share of its largest value, as boxes and polygons in COCO JSON [default share: 0.5]
    #[arg(long, value_name = "SHARE", num_args = 0..=1, default_missing_value = "0.5", value_parser = threshold)]
    pub annotations: Option<f64>,
    /// Leave out pictures whose report and other files are in DIR already, made of the same picture, model and question
    #[arg(long)]
    pub resume: bool,
    /// Write one Parquet table of all results: scores, map, checksums, what went wrong
    #[arg(long, value_name = "FILE.parquet")]
    pub table: Option<PathBuf>,
    /// Write the scores of all pictures as CSV
    #[arg(long, value_name = "FILE.csv")]
    pub scores: Option<PathBuf>,
    /// Sign the reports with this private key (`gradlens key` makes one)
    #[arg(long, value_name = "FILE.pem")]
    pub sign: Option<PathBuf>,
    /// Print one report a line instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Check whether heat maps are to be believed
///
/// Explains each picture as `explain` does and asks of the map: does the score hang on the places that it shows, does the map hang on what the model has
/// learned, does it stay where it is when nothing that matters changes, where does it lie (docs/evidence.md). Not for diagnostic use.
#[derive(Debug, Args)]
pub struct Evidence {
    /// Pictures (JPEG, PNG, WebP, BMP, TIFF, DICOM), folders of them, or lists: CSV with a column picture, file, path or image, or JSON lines
    #[arg(required = true, value_name = "PICTURE")]
    pub pictures: Vec<PathBuf>,
    #[command(flatten)]
    pub ask: Ask,
    /// What a person marked: a picture of the same size, bright where it is; for several pictures a folder that has STEM.png for STEM.jpg
    #[arg(long, value_name = "FILE or DIR")]
    pub mask: Option<PathBuf>,
    /// Which checks: deletion, insertion, average-drop, road, randomisation, stability, pointing-game, energy, outside-lungs, border [default: all]
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub checks: Vec<String>,
    /// Print a line of JSON a picture, with curves and report, instead of tables
    #[arg(long)]
    pub json: bool,
}

/// Which model explains pictures, and what is asked.
#[derive(Debug, Args)]
pub struct Ask {
    /// A folder with model.onnx and manifest.json, an .onnx file, or the name of a shipped model
    #[arg(long, value_name = "DIR or FILE.onnx", default_value = "covid-xray")]
    pub model: PathBuf,
    /// The class to explain, by label or index; `explain` takes several, or all for every class [default: the highest score]
    #[arg(long = "class", value_name = "INDEX or LABEL")]
    pub classes: Vec<String>,
    /// Explain the class against this other one
    #[arg(long, value_name = "INDEX or LABEL")]
    pub contrast: Option<String>,
    /// Show what speaks against the class in place of what speaks for it
    #[arg(long)]
    pub counterfactual: bool,
    /// The layer to explain, as `gradlens inspect` names it; given several times, their maps are fused [default: the model's]
    #[arg(long = "layer", value_name = "NAME")]
    pub layers: Vec<String>,
    /// The method: grad-cam (the paper's), guided-grad-cam-article (the article's), grad-cam-plus-plus, hires-cam, grad-cam-elementwise,
    /// layer-cam, xgrad-cam, eigen-cam, eigen-grad-cam, score-cam, ablation-cam; at the pixels gradient, gradient-x-input, smooth-grad,
    /// integrated-gradients, full-grad, guided-backpropagation, and at both guided-grad-cam; without a gradient occlusion, rise (docs/methods.md)
    #[arg(long, value_name = "NAME", default_value = "grad-cam")]
    pub method: String,
    /// Smooth the map of a layer: augmented (the mean over mirrored, darker and lighter inputs), eigen (its first principal component)
    #[arg(long, value_delimiter = ',', value_name = "WAY")]
    pub smooth: Vec<Smooth>,
    /// What the gradient is taken of: logit or probability [default: the method's]
    #[arg(long)]
    pub target: Option<Target>,
    /// See grey values of DICOM and 16-bit pictures through this window, centre and width in the file's units; the model sees what
    /// is shown [default: the file's first window, or all values] (docs/pictures.md)
    #[arg(long, value_name = "C,W", value_parser = window, allow_hyphen_values = true, conflicts_with = "window_preset")]
    pub window: Option<(f64, f64)>,
    /// See them through the window of this name, where the file has several; a name it lacks gets a list of those it has
    #[arg(long, value_name = "NAME")]
    pub window_preset: Option<String>,
    #[command(flatten)]
    pub place: Place,
}

/// A file that `explain` writes for a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum File {
    /// The picture with the heat map over it
    Overlay,
    /// Picture, heat map and overlay side by side
    Figure,
    /// The raw map
    Map,
    /// Regions in which the map is high, as proposals for annotations (COCO JSON)
    Annotations,
    /// All of it in one HTML file
    Page,
    /// What was computed from what
    Report,
}

impl File {
    /// All of them, the report last: where it is, the others are.
    pub const ALL: [File; 6] = [
        File::Overlay,
        File::Figure,
        File::Map,
        File::Annotations,
        File::Page,
        File::Report,
    ];

    /// Those that are written where nothing is said.
    pub const USUAL: [File; 4] = [File::Overlay, File::Figure, File::Map, File::Report];

    /// What follows the picture's stem in its name.
    pub const fn ending(self) -> &'static str {
        match self {
            File::Overlay => "overlay.png",
            File::Figure => "figure.png",
            File::Map => "map.npy",
            File::Annotations => "coco.json",
            File::Page => "report.html",
            File::Report => "report.json",
        }
    }
}

/// Where and how exactly to compute.
#[derive(Debug, Clone, Copy, Args)]
pub struct Place {
    /// Where to compute
    #[arg(long, value_enum, default_value = "cpu")]
    pub device: Device,
    /// How exactly a GPU computes; a processor is always strict
    #[arg(long, value_enum, default_value = "strict")]
    pub precision: Precision,
}

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Device {
    /// This processor
    Cpu,
    /// An NVIDIA GPU
    Cuda,
}

/// How exactly to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// In f32, every sum in a fixed order: for reports and verdicts
    Strict,
    /// Products on tensor cores (TF32): for a first look, with a tolerance of its own
    Fast,
}

/// Write the gradient graph of a classifier as plain ONNX
///
/// The graph's inputs are the model's own and `seed` [N, classes]; its outputs are `scores`, `probabilities`,
/// `activation/LAYER` and `gradient/LAYER`.
#[derive(Debug, Args)]
pub struct Gradient {
    /// The classifier, or a folder with model.onnx
    #[arg(value_name = "MODEL.onnx")]
    pub model: PathBuf,
    /// A layer to explain; may be given several times [default: the recommended one]
    #[arg(long = "layer", value_name = "NAME")]
    pub layers: Vec<String>,
    /// Add the gradient with respect to the pixels
    #[arg(long)]
    pub input: bool,
    /// Let ReLUs hold back negative gradients (guided backpropagation)
    #[arg(long)]
    pub guided: bool,
    /// The file to write [default: gradient.onnx beside model.onnx, NAME.gradient.onnx beside NAME.onnx]
    #[arg(long, value_name = "FILE.onnx")]
    pub out: Option<PathBuf>,
}

/// Show what a model takes, what it knows and which layers can be explained
#[derive(Debug, Args)]
pub struct Inspect {
    /// The classifier, or a folder with model.onnx
    #[arg(value_name = "MODEL.onnx")]
    pub model: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Compute reports again and say whether they hold
///
/// For each report the picture is found by its checksum and the model by its own; scores and raw map are computed again
/// and compared. The verdict is `holds`, `differs` (what, where, by how much) or `cannot check` (why). Exit code 1: a report differs.
#[derive(Debug, Args)]
pub struct Verify {
    /// Reports: JSON files, files with a report a line, folders of them, or CSV lists with a column report, file or path
    #[arg(required = true, value_name = "REPORT.json")]
    pub reports: Vec<PathBuf>,
    /// The folder with the pictures, searched with everything below it
    #[arg(long, value_name = "DIR")]
    pub pictures: PathBuf,
    /// A model, or a folder of models [default: the shipped ones]
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub place: Place,
    /// How far scores (absolute) and map values (as a share of the map's range) may lie apart [default: 0.001, with --precision fast 0.02]
    #[arg(long, value_name = "T", value_parser = tolerance)]
    pub tolerance: Option<f64>,
    /// Every report must be signed with this key: its public half in base64, or a PEM file
    #[arg(long, value_name = "KEY or FILE.pem")]
    pub key: Option<String>,
    /// Write the verdicts, one a line; until the last it is FILE.jsonl.part
    #[arg(long, value_name = "FILE.jsonl")]
    pub out: Option<PathBuf>,
    /// Go on where an earlier run with the same --out stopped
    #[arg(long, requires = "out")]
    pub resume: bool,
    /// Write one Parquet table of all verdicts
    #[arg(long, value_name = "FILE.parquet")]
    pub table: Option<PathBuf>,
    /// Write an HTML page of the worst cases: maps claimed and found, what differs
    #[arg(long, value_name = "FILE.html")]
    pub page: Option<PathBuf>,
    /// Print one verdict a line instead of a table
    #[arg(long)]
    pub json: bool,
}

/// Make a key to sign reports with
///
/// Writes an Ed25519 private key (PKCS #8 PEM) and prints its public half, which `verify --key` takes. Keep the file to yourself.
#[derive(Debug, Args)]
pub struct Key {
    /// The file to write
    #[arg(value_name = "FILE.pem")]
    pub file: PathBuf,
    /// Make nothing; print the public half of the key in FILE.pem
    #[arg(long)]
    pub public: bool,
}

/// Explain and test a whole data set: does the classifier look where it should?
///
/// For each picture of the list: the heat map, where it lies, and the scores with the middle and with the rim hidden. DIR gets survey.html, survey.json,
/// pictures.csv and pictures.parquet. Columns of the list: the picture (picture, file, path or image), and where there are such its true class (truth, label or class), its patient, and any other,
/// by whose values the pictures are compared. Not for diagnostic use.
#[derive(Debug, Args)]
pub struct Survey {
    /// The list: CSV
    #[arg(long, value_name = "FILE.csv")]
    pub manifest: PathBuf,
    #[command(flatten)]
    pub ask: Ask,
    /// The folder to write to; made where it is missing
    #[arg(long, value_name = "DIR", default_value = "survey")]
    pub out: PathBuf,
}

/// Serve a built page on this machine, or explanations and verdicts to other programs
///
/// With --verify it answers POST /v1/explain (a picture) and POST /v1/verify (a report and its picture) in place of the page; no
/// picture is ever written to disk. Not for diagnostic use.
#[derive(Debug, Args)]
pub struct Serve {
    /// The built page
    #[arg(value_name = "DIR", default_value = "www/dist")]
    pub dir: PathBuf,
    /// The port; 0 for any that is free
    #[arg(long, default_value_t = 8080)]
    pub port: u16,
    /// Answer programs: explanations and verdicts
    #[arg(long, conflicts_with = "dir")]
    pub verify: bool,
    #[command(flatten)]
    pub service: Service,
}

/// What the service of `serve --verify` answers with, and within what limits.
#[derive(Debug, Args)]
#[command(next_help_heading = "With --verify")]
pub struct Service {
    /// The address to listen on; whoever reaches it may ask
    #[arg(
        long,
        value_name = "IP",
        default_value = "127.0.0.1",
        requires = "verify"
    )]
    pub listen: IpAddr,
    /// A model, or a folder of models [default: the shipped ones]
    #[arg(long, value_name = "DIR", requires = "verify")]
    pub model: Option<PathBuf>,
    #[command(flatten)]
    pub place: Place,
    /// How far scores (absolute) and map values (as a share of the map's range) may lie apart [default: 0.001, with --precision fast 0.02]
    #[arg(long, value_name = "T", value_parser = tolerance, requires = "verify")]
    pub tolerance: Option<f64>,
    /// Every report must be signed with this key: its public half in base64, or a PEM file
    #[arg(long, value_name = "KEY or FILE.pem", requires = "verify")]
    pub key: Option<String>,
    /// Sign the reports of /v1/explain with this private key
    #[arg(long, value_name = "FILE.pem", requires = "verify")]
    pub sign: Option<PathBuf>,
    /// The largest request, in MB
    #[arg(long, value_name = "MB", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub most_megabytes: u32,
    /// The longest that a request may take, its upload included
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub seconds: u64,
    /// Requests that may wait for their turn; more are told to come back
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(0..=4096))]
    pub waiting: u16,
}

/// Parses a window's centre and width.
fn window(text: &str) -> Result<(f64, f64), String> {
    let pair = text.split_once(',').and_then(|(center, width)| {
        Some((center.trim().parse().ok()?, width.trim().parse().ok()?))
    });
    pair.filter(|(center, width): &(f64, f64)| {
        center.is_finite() && width.is_finite() && *width > 0.0
    })
    .ok_or_else(|| "it must be two numbers, centre and width, the width above 0: -600,1500".into())
}

/// Parses a tolerance.
fn tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..1.0).contains(&value) => Ok(value),
        _ => Err("it must be a number from 0 to below 1".into()),
    }
}

/// Parses a share above 0.
fn threshold(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1.0 => Ok(value),
        _ => Err("it must be a number above 0 and at most 1".into()),
    }
}

/// Parses a weight between 0 and 1.
fn opacity(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("it must be a number between 0 and 1".into()),
    }
}
