//! The command line as a user runs it: results, bad input, several pictures of which one is bad.
#![cfg(all(feature = "cli", not(target_arch = "wasm32")))]
#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gradlens::report::Report;
use ndarray::Array2;
use ndarray_npy::ReadNpyExt;
use program::gradlens;

const SAMPLE: &str = "www/public/samples/synthetic-1.jpg";
const OTHER_SAMPLE: &str = "www/public/samples/synthetic-2.jpg";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Exit code 2 and exactly one line on standard error, which holds every one of `words`.
fn assert_refused(output: &Output, words: &[&str]) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "'{word}' is missing in: {stderr}");
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> PathBuf {
    let file = folder.join(name);
    fs::write(&file, bytes).unwrap();
    file
}

/// A PNG whose header claims a size and whose data is short.
fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    header.extend(width.to_be_bytes());
    header.extend(height.to_be_bytes());
    header.extend([8, 0, 0, 0, 0]);
    let mut png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0d".to_vec();
    png.extend(&header);
    png.extend(crc32(&header).to_be_bytes());
    png
}

/// CRC-32 as PNG has it (ISO 3309), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xedb8_8320
            } else {
                crc >> 1
            }
        })
    })
}

#[test]
fn explain_writes_four_files_that_agree() {
    let out = tempfile::tempdir().unwrap();
    let output = gradlens(&[
        "explain",
        SAMPLE,
        "--out",
        out.path().to_str().unwrap(),
        "--json",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let printed: Report = serde_json::from_slice(&output.stdout).unwrap();
    let file = |kind: &str| out.path().join(format!("synthetic-1.{kind}"));
    let report: Report = serde_json::from_slice(&fs::read(file("report.json")).unwrap()).unwrap();
    assert_eq!(printed, report);
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 4);

    assert_eq!(report.schema, "gradlens.report/1");
    assert_eq!(
        (report.method.as_str(), report.layer.as_str()),
        ("grad-cam", "conv_head")
    );
    let labels: Vec<&str> = report
        .scores
        .iter()
        .map(|score| score.label.as_str())
        .collect();
    assert_eq!(labels, ["covid", "no_finding", "pneumonia"]);
    let sum: f32 = report.scores.iter().map(|score| score.probability).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    let best = report
        .scores
        .iter()
        .max_by(|a, b| a.logit.total_cmp(&b.logit))
        .unwrap();
    assert_eq!(report.explained.index, best.index);
    assert!(report.notice.contains("Not for diagnostic use"));

    let map = Array2::<f32>::read_npy(fs::File::open(file("map.npy")).unwrap()).unwrap();
    assert_eq!(Some(map), report.map.array());
    let size = |kind| {
        let picture = gradlens::image::decode(&fs::read(file(kind)).unwrap(), &Default::default());
        let picture = picture.unwrap();
        (picture.width(), picture.height())
    };
    let (width, height) = (report.picture.width, report.picture.height);
    assert_eq!(size("overlay.png"), (width, height));
    assert_eq!(size("figure.png"), (3 * width, height));
    assert!(text(&fs::read(file("figure.png")).unwrap()).contains("Not for diagnostic use."));
}

#[test]
fn questions_change_the_answer() {
    let out = tempfile::tempdir().unwrap();
    let ask = |more: &[&str]| -> Report {
        let mut arguments = vec![
            "explain",
            SAMPLE,
            "--json",
            "--out",
            out.path().to_str().unwrap(),
        ];
        arguments.extend(more);
        let output = gradlens(&arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let covid = ask(&["--class", "covid"]);
    let other = ask(&["--class", "2"]);
    assert_eq!(other.explained.label, "pneumonia");
    assert_eq!(covid.scores, other.scores);
    assert_ne!(covid.map, other.map);
    let contrast = ask(&["--class", "covid", "--contrast", "pneumonia"]);
    assert_eq!(contrast.explained.contrast.as_deref(), Some("pneumonia"));
    assert_ne!(contrast.map, covid.map);
    let earlier = ask(&["--class", "covid", "--layer", "blocks.3.0"]);
    assert_eq!(
        (earlier.map.width, earlier.layer.as_str()),
        (14, "blocks.3.0")
    );
    let article = ask(&["--class", "covid", "--method", "guided-grad-cam-article"]);
    assert_eq!(article.explained.target.to_string(), "probability");
    assert_ne!(article.map, covid.map);
}

#[test]
fn one_bad_file_does_not_stop_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let bad = write(folder.path(), "broken.jpg", b"this is no picture");
    let gone = folder.path().join("gone.png");
    let arguments = [
        "explain",
        SAMPLE,
        bad.to_str().unwrap(),
        gone.to_str().unwrap(),
        OTHER_SAMPLE,
        "--out",
        out.to_str().unwrap(),
    ];
    let output = gradlens(&arguments);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert_eq!(stderr.lines().count(), 2, "{stderr}");
    assert!(
        stderr.contains("broken.jpg: is not a picture that gradlens reads"),
        "{stderr}"
    );
    assert!(stderr.contains("gone.png: does not exist"), "{stderr}");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 8);
    let stdout = text(&output.stdout);
    assert!(
        stdout.contains("synthetic-1") && stdout.contains("synthetic-2"),
        "{stdout}"
    );
    assert!(stdout.contains("Not for diagnostic use"), "{stdout}");
}

#[test]
fn bad_pictures_are_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let sample = fs::read(SAMPLE).unwrap();
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("empty.png", vec![], "is empty"),
        (
            "text.png",
            b"hello".to_vec(),
            "is not a picture that gradlens reads",
        ),
        ("cut.jpg", sample[..sample.len() / 2].to_vec(), "is damaged"),
        ("huge.png", png_header(60_000, 60_000), "60000 x 60000"),
        ("page.jpg", b"%PDF-1.7 and so on".to_vec(), "is"),
    ];
    for (name, bytes, reason) in cases {
        let file = write(folder.path(), name, bytes);
        let out = folder.path().join("out");
        let output = gradlens(&[
            "explain",
            file.to_str().unwrap(),
            "--out",
            out.to_str().unwrap(),
        ]);
        assert_refused(&output, &[name, reason]);
        assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "{name} left a file");
    }
    // A picture under another format's name is still a picture: its content counts.
    let file = write(folder.path(), "jpeg-called.png", &sample);
    let out = folder.path().join("named");
    let output = gradlens(&[
        "explain",
        file.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn bad_models_and_questions_are_named_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let explain = |more: &[&str]| {
        let out = folder.path().join("out");
        let mut arguments = vec!["explain", SAMPLE, "--out", out.to_str().unwrap()];
        arguments.extend(more);
        gradlens(&arguments)
    };
    let text = write(folder.path(), "text.onnx", b"this is not a model");
    assert_refused(
        &explain(&["--model", text.to_str().unwrap()]),
        &["text.onnx", "is not an ONNX model"],
    );
    let empty = write(folder.path(), "empty.onnx", b"");
    assert_refused(
        &explain(&["--model", empty.to_str().unwrap()]),
        &["empty.onnx", "0 bytes"],
    );
    let model = fs::read("models/covid-xray/model.onnx").unwrap();
    let cut = write(folder.path(), "cut.onnx", &model[..model.len() / 2]);
    assert_refused(
        &explain(&["--model", cut.to_str().unwrap()]),
        &["cut.onnx", "is not an ONNX model"],
    );
    assert_refused(&explain(&["--model", "nowhere"]), &["nowhere"]);
    assert_refused(
        &explain(&["--class", "flu"]),
        &["'flu'", "covid, no_finding, pneumonia"],
    );
    assert_refused(&explain(&["--class", "7"]), &["'7'"]);
    assert_refused(
        &explain(&["--class", "covid", "--contrast", "covid"]),
        &["itself"],
    );
    assert_refused(
        &explain(&["--layer", "blocks.9"]),
        &["blocks.9", "conv_head"],
    );
    assert_refused(&explain(&["--method", "magic"]), &["magic", "grad-cam"]);
    if !has_gpu() {
        let reason = if cfg!(feature = "cuda") {
            "NVIDIA"
        } else {
            "CUDA"
        };
        assert_refused(&explain(&["--device", "cuda"]), &[reason, "--device cpu"]);
    }
    assert_refused(&explain(&["--precision", "fast"]), &["--device cuda"]);
}

/// Whether `--device cuda` works here.
fn has_gpu() -> bool {
    #[cfg(feature = "cuda")]
    return gradlens::engine::cuda::Cuda::open(Default::default()).is_ok();
    #[cfg(not(feature = "cuda"))]
    false
}

/// Copies the model whose tensors lie in a second file, with its data, and says so to the command line.
fn with_external_data(folder: &Path) -> (PathBuf, PathBuf) {
    let copy = |name: &str| {
        let file = folder.join(name);
        fs::copy(Path::new("tests/fixtures/formats").join(name), &file).unwrap();
        file
    };
    (copy("external.onnx"), copy("external.onnx.data"))
}

#[test]
fn data_beside_a_model_is_read_and_written_into_one_file() {
    let folder = tempfile::tempdir().unwrap();
    let (model, _) = with_external_data(folder.path());
    let output = gradlens(&["inspect", model.to_str().unwrap(), "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let out = folder.path().join("graph.onnx");
    let arguments = [
        "gradient",
        model.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
    ];
    assert!(gradlens(&arguments).status.success());
    let plain = folder.path().join("plain.onnx");
    let arguments = [
        "gradient",
        "tests/fixtures/formats/plain.onnx",
        "--out",
        plain.to_str().unwrap(),
    ];
    assert!(gradlens(&arguments).status.success());
    // The same graph but for the names that differ: the file's and its hash.
    let size = |file: &Path| fs::metadata(file).unwrap().len();
    assert!(size(&out).abs_diff(size(&plain)) < 16);
    let arguments = [
        "explain",
        SAMPLE,
        "--model",
        model.to_str().unwrap(),
        "--out",
        folder.path().to_str().unwrap(),
    ];
    assert!(gradlens(&arguments).status.success());
}

#[cfg(unix)]
#[test]
fn data_outside_the_models_folder_is_not_read() {
    use std::os::unix::fs::symlink;
    let outer = tempfile::tempdir().unwrap();
    let folder = outer.path().join("model");
    fs::create_dir(&folder).unwrap();
    let (model, data) = with_external_data(&folder);
    let refused = |reason: &str| {
        let output = gradlens(&["inspect", model.to_str().unwrap()]);
        assert_refused(&output, &["external.onnx", "data file", reason]);
    };
    // A link to the same bytes elsewhere, a link within the folder, a short file, a pipe, a folder, nothing.
    let outside = outer.path().join("weights");
    fs::rename(&data, &outside).unwrap();
    symlink(&outside, &data).unwrap();
    refused("outside the model's folder");
    fs::remove_file(&data).unwrap();
    let inside = folder.join("weights");
    fs::copy(&outside, &inside).unwrap();
    symlink(&inside, &data).unwrap();
    assert!(
        gradlens(&["inspect", model.to_str().unwrap()])
            .status
            .success()
    );
    fs::write(&inside, [0; 100]).unwrap();
    refused("too short");
    fs::remove_file(&data).unwrap();
    assert!(
        Command::new("mkfifo")
            .arg(&data)
            .status()
            .unwrap()
            .success()
    );
    refused("is no file");
    fs::remove_file(&data).unwrap();
    fs::create_dir(&data).unwrap();
    refused("is no file");
    fs::remove_dir(&data).unwrap();
    refused("does not exist");
    // A name that leads out, of the same length so that the file stays sound.
    let bytes = fs::read(&model).unwrap();
    let name = b"external.onnx.data";
    for other in [
        b"../../../../passwd",
        b"/etc/../etc/passwd",
        b"C:\\windows\\system3",
    ] {
        let mut changed = bytes.clone();
        for at in 0..=changed.len() - name.len() {
            if changed[at..].starts_with(name) {
                changed[at..at + name.len()].copy_from_slice(other);
            }
        }
        fs::write(&model, &changed).unwrap();
        refused("not a plain path");
    }
}

#[test]
fn the_shipped_gradient_graph_is_what_gradient_writes() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("g.onnx");
    let output = gradlens(&[
        "gradient",
        "models/covid-xray",
        "--out",
        out.to_str().unwrap(),
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let made = fs::read(&out).unwrap();
    let shipped = fs::read("models/covid-xray/gradient.onnx").unwrap();
    assert!(
        made == shipped,
        "make it again: gradlens gradient models/covid-xray"
    );

    let report = gradlens(&[
        "explain",
        SAMPLE,
        "--json",
        "--out",
        folder.path().to_str().unwrap(),
    ]);
    let report: Report = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(
        report.model.gradient_sha256,
        gradlens::model::sha256_hex(&shipped)
    );
    let model = fs::read("models/covid-xray/model.onnx").unwrap();
    assert_eq!(report.model.sha256, gradlens::model::sha256_hex(&model));
}

#[test]
fn gradient_refuses_to_overwrite_its_model_and_names_unknown_layers() {
    let folder = tempfile::tempdir().unwrap();
    let model = folder.path().join("net.onnx");
    fs::copy("models/covid-xray/model.onnx", &model).unwrap();
    let model = model.to_str().unwrap();
    assert_refused(
        &gradlens(&["gradient", model, "--out", model]),
        &["net.onnx", "itself"],
    );
    assert_refused(
        &gradlens(&["gradient", model, "--layer", "nope"]),
        &["net.onnx", "nope"],
    );
    let output = gradlens(&[
        "gradient",
        model,
        "--layer",
        "blocks.3.0",
        "--layer",
        "conv_head",
        "--input",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(folder.path().join("net.gradient.onnx").is_file());
}

#[test]
fn inspect_tells_the_layers_and_the_recommendation() {
    let output = gradlens(&["inspect", "models/covid-xray", "--json"]);
    let model: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(model["layer"], "conv_head");
    assert_eq!(model["operators_without_rule"], serde_json::json!([]));
    let layers = model["layers"].as_array().unwrap();
    let head = layers
        .iter()
        .find(|layer| layer["name"] == "conv_head")
        .unwrap();
    assert_eq!(
        (&head["channels"], &head["width"]),
        (&1280.into(), &7.into())
    );
    assert_eq!(head["recommended"], true);
    assert!(head["reason"].as_str().unwrap().contains("7 x 7"));
}

#[test]
fn nothing_of_the_users_is_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let picture = write(folder.path(), "a.jpg", &fs::read(SAMPLE).unwrap());
    let overlay = write(folder.path(), "a.overlay.png", &fs::read(SAMPLE).unwrap());
    let arguments = [
        "explain",
        picture.to_str().unwrap(),
        overlay.to_str().unwrap(),
    ];
    let output = gradlens(&[&arguments[..], &["--out", folder.path().to_str().unwrap()]].concat());
    assert_refused(&output, &["a.jpg", "a.overlay.png", "--out"]);
    assert_eq!(fs::read(&overlay).unwrap(), fs::read(SAMPLE).unwrap());

    let model = folder.path().join("net.onnx");
    fs::copy("models/covid-xray/model.onnx", &model).unwrap();
    let roundabout = folder.path().join(".").join("net.onnx");
    let arguments = [
        "gradient",
        model.to_str().unwrap(),
        "--out",
        roundabout.to_str().unwrap(),
    ];
    assert_refused(&gradlens(&arguments), &["itself"]);
    assert_eq!(
        fs::read(&model).unwrap(),
        fs::read("models/covid-xray/model.onnx").unwrap()
    );
}

#[test]
fn serve_needs_a_built_page() {
    let folder = tempfile::tempdir().unwrap();
    let output = gradlens(&["serve", folder.path().to_str().unwrap()]);
    assert_refused(&output, &["index.html"]);
}

#[test]
fn usage_errors_end_with_2_and_help_with_0() {
    assert_refused(&gradlens(&["explain"]), &["PICTURE"]);
    assert_refused(
        &gradlens(&["explain", SAMPLE, "--opacity", "3"]),
        &["between 0 and 1"],
    );
    assert_refused(
        &gradlens(&["explain", SAMPLE, "--colormap", "mauve"]),
        &["mauve", "viridis"],
    );
    assert_refused(&gradlens(&["draw"]), &["draw"]);
    let help = gradlens(&["--help"]);
    assert!(help.status.success() && text(&help.stdout).contains("Not for diagnostic use"));
}
