//! Windows on the command line: chosen, reported, verified; and nothing of a patient in any file that is written.
#![cfg(all(feature = "cli", not(target_arch = "wasm32")))]
#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::Path;
use std::process::Output;

use gradlens::report::Report;
use program::gradlens;
use serde_json::{Value, json};

const FOLDER: &str = "tests/fixtures/dicom";

fn explain(picture: &str, out: &Path, options: &[&str]) -> Output {
    let picture = format!("{FOLDER}/{picture}");
    let call = ["explain", &picture, "--out", out.to_str().unwrap()];
    gradlens(&[&call, options].concat())
}

fn reported(picture: &str, options: &[&str]) -> Value {
    let out = tempfile::tempdir().unwrap();
    let output = explain(
        picture,
        out.path(),
        &[options, &["--json", "--files", "report"]].concat(),
    );
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The verdict on a report, and what differs.
fn verdict(report: &Value) -> (String, String) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("r.json");
    fs::write(&file, report.to_string()).unwrap();
    let output = gradlens(&[
        "verify",
        file.to_str().unwrap(),
        "--pictures",
        FOLDER,
        "--json",
    ]);
    let line: Value = serde_json::from_slice(&output.stdout).unwrap();
    (
        line["verdict"].as_str().unwrap().to_owned(),
        line["differences"].to_string(),
    )
}

#[test]
fn a_window_is_in_the_report_and_verified() {
    let usual = reported("cr-12bit.dcm", &[]);
    let window =
        |center: f64, width: f64| json!({"center": center, "width": width, "function": "linear"});
    assert_eq!(usual["picture"]["window"], window(1900.0, 3000.0));
    let by_hand = reported("cr-12bit.dcm", &["--window", "1200,800"]);
    assert_eq!(by_hand["picture"]["window"], window(1200.0, 800.0));
    assert_ne!(by_hand["scores"], usual["scores"]);
    let named = reported("cr-12bit.dcm", &["--window-preset", "lung"]);
    assert_eq!(named["picture"], by_hand["picture"]);
    assert_eq!(named["scores"], by_hand["scores"]);
    let below = reported("signed-hu.dcm", &["--window", "-600,1500"]);
    assert_eq!(below["scores"], reported("signed-hu.dcm", &[])["scores"]);

    for report in [&usual, &by_hand, &reported("voi-lut.dcm", &[])] {
        assert_eq!(verdict(report).0, "holds");
    }
    // A window that was not looked through is found out.
    let mut false_window = by_hand.clone();
    false_window["picture"]["window"]["width"] = json!(900.0);
    assert_eq!(verdict(&false_window).0, "differs");
    let mut hidden = by_hand.clone();
    hidden["picture"].as_object_mut().unwrap().remove("window");
    let (word, differences) = verdict(&hidden);
    assert_eq!(word, "differs");
    assert!(differences.contains("picture.window"), "{differences}");
}

#[test]
fn what_cannot_be_seen_through_a_window_is_said_in_a_line() {
    let refused = |picture: &str, options: &[&str]| {
        let out = tempfile::tempdir().unwrap();
        let output = explain(picture, out.path(), options);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let line = refused("cr-12bit.dcm", &["--window-preset", "bone"]);
    assert!(
        line.contains("cr-12bit.dcm has no window 'bone'; it has: NORMAL, LUNG, all values")
            || line
                .contains("cr-12bit.dcm: has no window 'bone'; it has: NORMAL, LUNG, all values"),
        "{line}"
    );
    let line = refused("rgb.dcm", &["--window", "100,50"]);
    assert!(
        line.contains("has no values to see through a window"),
        "{line}"
    );
    let line = refused("cr-12bit.dcm", &["--window", "100,0"]);
    assert!(line.contains("the width above 0"), "{line}");
    let line = refused("jpeg-ls.dcm", &[]);
    assert!(line.contains("JPEG-LS (lossless)"), "{line}");
}

#[test]
fn nothing_of_a_patient_is_written() {
    let out = tempfile::tempdir().unwrap();
    let output = explain("frames.dcm", out.path(), &[]);
    assert!(output.status.success());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        said.contains("frames.dcm is the first of 3 frames"),
        "{said}"
    );
    let mut written = vec![output.stdout, output.stderr];
    for entry in fs::read_dir(out.path()).unwrap() {
        written.push(fs::read(entry.unwrap().path()).unwrap());
    }
    assert_eq!(written.len(), 6);
    let secrets: [&[u8]; 5] = [b"Secret", b"SECRET", b"19991231", b"19010203", b"1.2.840"];
    for bytes in &written {
        for secret in secrets {
            assert!(!bytes.windows(secret.len()).any(|part| part == secret));
        }
    }
    let report: Report =
        serde_json::from_slice(&fs::read(out.path().join("frames.report.json")).unwrap()).unwrap();
    assert_eq!(
        report.picture.note.as_deref(),
        Some("the first of 3 frames")
    );
}
