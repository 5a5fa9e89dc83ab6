//! `gradlens evidence` as a user runs it: tables and records, masks, bad input, several pictures of which one is bad.
#![cfg(all(feature = "cli", not(target_arch = "wasm32")))]
#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::Path;
use std::process::Output;

use gradlens::evidence::{CHECKS, Evidence};
use gradlens::report::Report;
use program::gradlens;

const SAMPLE: &str = "www/public/samples/synthetic-1.jpg";
const OTHER: &str = "www/public/samples/synthetic-2.jpg";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One record a line.
fn records(output: &Output) -> Vec<Evidence> {
    let lines = text(&output.stdout);
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
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

/// A mask as PNG, white from a column on.
fn mask(file: &Path, (width, height): (u32, u32), from: u32) {
    let mask = image::GrayImage::from_fn(width, height, |x, _| {
        image::Luma([if x >= from { 255 } else { 0 }])
    });
    let mut encoded = Vec::new();
    let mut encoder = png::Encoder::new(&mut encoded, width, height);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(mask.as_raw()).unwrap();
    writer.finish().unwrap();
    fs::write(file, encoded).unwrap();
}

#[test]
fn every_check_is_in_the_record_and_in_the_table() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mask.png");
    let picture = gradlens::image::decode(&fs::read(SAMPLE).unwrap(), &Default::default());
    let picture = picture.unwrap();
    mask(
        &file,
        (picture.width(), picture.height()),
        picture.width() / 2,
    );
    let given = [
        "evidence",
        SAMPLE,
        "--class",
        "covid",
        "--mask",
        file.to_str().unwrap(),
    ];
    let output = gradlens(&[&given[..], &["--json"]].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    let record = records(&output).remove(0);
    assert_eq!(record.schema, "gradlens.evidence/1");
    assert!(record.notice.contains("Not for diagnostic use"));
    let ids: Vec<&str> = record
        .checks
        .iter()
        .map(|entry| entry.check.as_str())
        .collect();
    let known: Vec<&str> = CHECKS.iter().map(|check| check.id()).collect();
    assert_eq!(ids, known);
    for entry in &record.checks {
        let found = entry.found.as_ref().unwrap();
        assert!(
            !found.numbers.is_empty() && !found.says.is_empty(),
            "{}",
            entry.check
        );
        assert!(found.numbers.iter().all(|number| number.value.is_finite()));
        assert_eq!(entry.nothing, None);
    }
    let number = |check: &str, name: &str| {
        let entry = record
            .checks
            .iter()
            .find(|entry| entry.check == check)
            .unwrap();
        entry.found.as_ref().unwrap().number(name).unwrap()
    };
    // What is measured is the probability, whatever the gradient is of.
    let covid = f64::from(record.report.scores[0].probability);
    assert!((number("deletion", "score") - covid).abs() < 1e-9);
    assert!((number("energy", "uniform") - 0.5).abs() < 0.01);
    let passes = |check: &str| {
        let entry = record
            .checks
            .iter()
            .find(|entry| entry.check == check)
            .unwrap();
        entry.found.as_ref().unwrap().passes
    };
    assert!(passes("deletion") + passes("insertion") <= 45);

    // The report within is the one that `explain` makes.
    let out = folder.path().join("out");
    let explained = gradlens(&[
        "explain",
        SAMPLE,
        "--class",
        "covid",
        "--json",
        "--out",
        out.to_str().unwrap(),
    ]);
    let report: Report = serde_json::from_slice(&explained.stdout).unwrap();
    assert_eq!(report, record.report);

    let output = gradlens(&given);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let table = text(&output.stdout);
    let squeezed: String = table.split_whitespace().collect();
    for entry in &record.checks {
        let name: String = entry.name.split_whitespace().take(1).collect();
        assert!(
            squeezed.contains(&name),
            "{} is missing in {table}",
            entry.name
        );
    }
    assert!(table.contains("Not for diagnostic use"));
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        2,
        "it writes nothing"
    );
}

#[test]
fn what_cannot_be_checked_says_why() {
    let output = gradlens(&[
        "evidence",
        SAMPLE,
        "--checks",
        "energy,pointing-game,border",
        "--json",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let record = records(&output).remove(0);
    let nothing: Vec<bool> = record
        .checks
        .iter()
        .map(|entry| entry.nothing.is_some())
        .collect();
    assert_eq!(nothing, [true, true, false]);
    assert!(
        record.checks[0]
            .nothing
            .as_ref()
            .unwrap()
            .contains("--mask")
    );
}

#[test]
fn bad_questions_are_refused_in_one_line() {
    let refused = |arguments: &[&str], words: &[&str]| {
        assert_refused(&gradlens(&[&["evidence"], arguments].concat()), words);
    };
    refused(&[SAMPLE, "--checks", "magic"], &["magic", "randomisation"]);
    refused(&[SAMPLE, "--checks", ""], &["there is no check ''"]);
    refused(&[SAMPLE, "--method", "magic"], &["magic", "grad-cam"]);
    refused(&[SAMPLE, "--class", "cat"], &["cat", "covid"]);
    refused(
        &[SAMPLE, "--class", "covid", "--contrast", "covid"],
        &["contrasted with itself"],
    );
    refused(&[SAMPLE, "--layer", "nowhere"], &["nowhere"]);
    refused(&[SAMPLE, "--model", "nowhere"], &["nowhere"]);
    refused(&[], &["PICTURE"]);
    refused(&["missing.png"], &["missing.png", "does not exist"]);
    refused(
        &[SAMPLE, "--mask", "missing.png"],
        &["missing.png", "does not exist"],
    );
    refused(
        &[SAMPLE, OTHER, "--mask", SAMPLE],
        &["one mask for 2 pictures"],
    );
    refused(&[SAMPLE, "--mask", "package.json"], &["package.json"]);
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small.png");
    mask(&small, (10, 12), 3);
    refused(
        &[SAMPLE, "--mask", small.to_str().unwrap()],
        &["small.png", "10 x 12", "synthetic-1.jpg"],
    );
}

#[test]
fn a_bad_picture_leaves_the_others_and_a_folder_has_a_mask_each() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("broken.png"), b"\x89PNG\r\n\x1a\nnothing").unwrap();
    let masks = at("masks");
    fs::create_dir(&masks).unwrap();
    let picture = gradlens::image::decode(&fs::read(SAMPLE).unwrap(), &Default::default());
    let picture = picture.unwrap();
    mask(
        &masks.join("synthetic-1.png"),
        (picture.width(), picture.height()),
        0,
    );
    let output = gradlens(&[
        "evidence",
        SAMPLE,
        at("broken.png").to_str().unwrap(),
        OTHER,
        "--mask",
        masks.to_str().unwrap(),
        "--checks",
        "energy",
        "--json",
    ]);
    assert_refused(&output, &["broken.png"]);
    let found = records(&output);
    let names: Vec<&str> = found
        .iter()
        .map(|record| record.report.picture.name.as_str())
        .collect();
    assert_eq!(names, ["synthetic-1.jpg", "synthetic-2.jpg"]);
    let whole = found[0].checks[0].found.as_ref().unwrap();
    assert!((whole.number("energy").unwrap() - 1.0).abs() < 1e-6);
    assert!(
        found[1].checks[0]
            .nothing
            .as_ref()
            .unwrap()
            .contains("synthetic-2.png")
    );
}

#[test]
fn what_is_no_xray_has_no_lungs() {
    let folder = tempfile::tempdir().unwrap();
    let noise = folder.path().join("mask.png");
    mask(&noise, (300, 300), 150);
    let output = gradlens(&[
        "evidence",
        noise.to_str().unwrap(),
        "--checks",
        "outside-lungs",
        "--json",
    ]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let record = records(&output).remove(0);
    let why = record.checks[0].nothing.as_ref().unwrap();
    assert!(
        why.contains("X-ray") || why.contains("no lungs") || why.contains("empty"),
        "{why}"
    );
}
