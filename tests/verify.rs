//! `gradlens verify` as a user runs it: reports that hold, each kind of tampering, what cannot be checked.
#![cfg(all(feature = "cli", not(target_arch = "wasm32")))]
#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::{Path, PathBuf};

use program::gradlens;
use serde_json::{Value, json};

const SAMPLE: &str = "www/public/samples/synthetic-1.jpg";

/// A folder with a picture, and the honest report on it.
struct Case {
    folder: tempfile::TempDir,
    report: Value,
}

impl Case {
    fn new(options: &[&str]) -> Case {
        let folder = tempfile::tempdir().unwrap();
        let picture = folder.path().join("synthetic-1.jpg");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(SAMPLE);
        fs::copy(source, &picture).unwrap();
        let call = [
            &[
                "explain",
                picture.to_str().unwrap(),
                "--json",
                "--out",
                folder.path().to_str().unwrap(),
            ],
            options,
        ];
        let output = gradlens(&call.concat());
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Case {
            folder,
            report: serde_json::from_slice(&output.stdout).unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Exit code and the verdicts on `text` as a file of reports.
    fn verify(&self, text: &str, options: &[&str]) -> (i32, Vec<Value>) {
        let file = self.path("claims.jsonl");
        fs::write(&file, text).unwrap();
        let call = [
            "verify",
            file.to_str().unwrap(),
            "--json",
            "--pictures",
            self.folder.path().to_str().unwrap(),
        ];
        let output = gradlens(&[&call, options].concat());
        let lines = String::from_utf8(output.stdout).unwrap();
        let verdicts = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        (output.status.code().unwrap(), verdicts)
    }

    /// The one verdict on a report.
    fn verdict(&self, report: &Value, options: &[&str]) -> (i32, Value) {
        let (code, verdicts) = self.verify(&report.to_string(), options);
        assert_eq!(verdicts.len(), 1);
        (code, verdicts[0].clone())
    }
}

/// The names of what differs.
fn what(verdict: &Value) -> Vec<String> {
    let differences = verdict["differences"].as_array().unwrap();
    differences
        .iter()
        .map(|one| one["what"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn honest_reports_hold_whatever_was_asked() {
    for options in [
        &[][..],
        &[
            "--class",
            "pneumonia",
            "--contrast",
            "covid",
            "--target",
            "logit",
        ],
        &[
            "--method",
            "guided-grad-cam-article",
            "--layer",
            "blocks.4.2",
            "--target",
            "probability",
        ],
        &["--smooth", "augmented,eigen", "--counterfactual"],
        &["--layer", "conv_head", "--layer", "blocks.4.2"],
        &["--method", "ablation-cam", "--class", "no_finding"],
        &["--method", "full-grad"],
        &["--method", "guided-backpropagation"],
        &["--method", "guided-grad-cam", "--layer", "blocks.4.2"],
    ] {
        let case = Case::new(options);
        let (code, verdict) = case.verdict(&case.report, &["--tolerance", "0"]);
        assert_eq!(
            (code, &verdict["verdict"]),
            (0, &json!("holds")),
            "{verdict}"
        );
    }
}

#[test]
fn a_report_on_a_model_without_a_manifest_is_checked_under_its_own_settings() {
    let model = "tests/fixtures/zoo/efficientnet.onnx";
    let case = Case::new(&["--model", model]);
    let (code, verdict) = case.verdict(&case.report, &["--model", model]);
    assert_eq!(
        (code, &verdict["verdict"]),
        (0, &json!("holds")),
        "{verdict}"
    );
    assert!(verdict["reason"].as_str().unwrap().contains("no manifest"));
    let (code, verdict) = case.verdict(&case.report, &[]);
    assert_eq!((code, &verdict["verdict"]), (2, &json!("cannot check")));
    assert!(
        verdict["reason"].as_str().unwrap().contains("covid-xray"),
        "{verdict}"
    );
}

#[test]
fn every_tampering_is_caught_and_named() {
    let case = Case::new(&["--class", "covid"]);
    let map = &case.report["map"];
    let range = map["max"].as_f64().unwrap() - map["min"].as_f64().unwrap();
    let value = map["values"][24].as_f64().unwrap();
    let logit = case.report["scores"][0]["logit"].as_f64().unwrap();
    let nothing = "0".repeat(64);
    let tampered = [
        ("/scores/0/logit", json!(logit + 0.01), "scores[0].logit"),
        ("/scores/1/probability", json!(0.5), "scores[1].probability"),
        ("/scores/2/label", json!("influenza"), "scores[2].label"),
        ("/scores/2/index", json!(7), "scores[2].index"),
        (
            "/map/values/24",
            json!(value + 0.01 * range),
            "map.values, row 3, column 3",
        ),
        ("/map/max", json!(value + 2.0 * range), "map.max"),
        ("/map/min", json!(value - 2.0 * range), "map.min"),
        ("/map/width", json!(8), "map.width"),
        ("/map/empty", json!("nothing to see"), "map.empty"),
        ("/explained/label", json!("pneumonia"), "explained.label"),
        ("/explained/index", json!(1), "explained.label"),
        ("/explained/index", json!(9), "explained.index"),
        ("/explained/contrast", json!("pneumonia"), "map.values"),
        (
            "/explained/contrast",
            json!("influenza"),
            "explained.contrast",
        ),
        ("/explained/target", json!("probability"), "map.values"),
        ("/method", json!("guided-grad-cam-article"), "map.values"),
        ("/layer", json!("blocks.4.2"), "gradient_sha256"),
        ("/layer", json!("no such thing"), "layer"),
        ("/layers", json!(["conv_head", "blocks.4.2"]), "map.width"),
        ("/smooth", json!(["eigen"]), "map.values"),
        ("/smooth", json!(["augmented"]), "map.width"),
        ("/explained/counterfactual", json!(true), "map.values"),
        ("/model/sha256", json!(nothing), "model.sha256"),
        ("/model/id", json!("another"), "model.id"),
        (
            "/model/gradient_sha256",
            json!(nothing),
            "model.gradient_sha256",
        ),
        ("/picture/sha256", json!(nothing), "picture.sha256"),
        ("/picture/width", json!(1), "picture.width"),
        (
            "/preprocessing/stretch/low",
            json!(2.0),
            "preprocessing.stretch.low",
        ),
        ("/preprocessing/crop", json!("none"), "preprocessing.crop"),
        (
            "/preprocessing/region/x",
            json!(3),
            "preprocessing.region.x",
        ),
        ("/preprocessing/mean", json!([0.5]), "preprocessing.mean"),
        ("/notice", json!("Safe for diagnosis."), "notice"),
    ];
    for (pointer, value, expected) in tampered {
        let mut report = case.report.clone();
        match report.pointer_mut(pointer) {
            Some(place) => *place = value,
            None => {
                let (parent, key) = pointer.rsplit_once('/').unwrap();
                report.pointer_mut(parent).unwrap()[key] = value;
            }
        }
        let (code, verdict) = case.verdict(&report, &[]);
        assert_eq!(
            (code, &verdict["verdict"]),
            (1, &json!("differs")),
            "{pointer}: {verdict}"
        );
        assert!(
            what(&verdict).iter().any(|what| what.contains(expected)),
            "{pointer}: {verdict}"
        );
    }
}

#[test]
fn a_changed_byte_of_the_picture_is_caught() {
    let case = Case::new(&[]);
    let picture = case.path("synthetic-1.jpg");
    let mut bytes = fs::read(&picture).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&picture, bytes).unwrap();
    let (code, verdict) = case.verdict(&case.report, &[]);
    assert_eq!(
        (code, what(&verdict)),
        (1, vec!["picture.sha256".to_owned()])
    );
}

#[test]
fn pictures_are_found_by_their_checksum_whatever_their_name() {
    let case = Case::new(&[]);
    fs::create_dir(case.path("deep")).unwrap();
    fs::rename(case.path("synthetic-1.jpg"), case.path("deep/renamed")).unwrap();
    assert_eq!(case.verdict(&case.report, &[]).0, 0);
    fs::remove_file(case.path("deep/renamed")).unwrap();
    let (code, verdict) = case.verdict(&case.report, &[]);
    assert_eq!((code, &verdict["verdict"]), (2, &json!("cannot check")));
}

#[test]
fn one_bad_line_leaves_the_other_verdicts() {
    let case = Case::new(&[]);
    let mut foreign = case.report.clone();
    foreign["schema"] = json!("gradlens.report/9");
    let lines = [
        case.report.to_string(),
        "{".into(),
        foreign.to_string(),
        case.report.to_string(),
    ];
    let (code, verdicts) = case.verify(&lines.join("\n"), &[]);
    let words: Vec<&str> = verdicts
        .iter()
        .map(|one| one["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(
        (code, words),
        (2, vec!["holds", "cannot check", "cannot check", "holds"])
    );
    assert!(
        verdicts[1]["report"]
            .as_str()
            .unwrap()
            .ends_with("claims.jsonl:2")
    );
}

#[test]
fn a_folder_of_results_is_checked_as_it_lies() {
    let case = Case::new(&[]);
    let folder = case.folder.path().to_str().unwrap();
    fs::write(case.path("other.json"), "{}").unwrap();
    let output = gradlens(&["verify", folder, "--pictures", folder]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("1 hold, 0 differ, 0 cannot be checked"),
        "{text}"
    );
}

#[test]
fn wrong_arguments_are_told_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().to_str().unwrap();
    for (call, word) in [
        (vec!["verify", empty, "--pictures", empty], "no report"),
        (
            vec!["verify", "no-such.json", "--pictures", empty],
            "does not exist",
        ),
        (vec!["verify", empty, "--pictures", "no-such-folder"], "no"),
        (
            vec!["verify", empty, "--pictures", empty, "--tolerance", "NaN"],
            "0 to below 1",
        ),
    ] {
        let output = gradlens(&call);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(
            stderr.lines().count() == 1 && stderr.contains(word),
            "{stderr}"
        );
    }
}

#[test]
fn signed_reports_hold_and_any_changed_byte_fails() {
    let keys = tempfile::tempdir().unwrap();
    let path = |name: &str| keys.path().join(name).to_str().unwrap().to_owned();
    let made = |name: &str| {
        let output = gradlens(&["key", &path(name)]);
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let (mine, other) = (made("mine.pem"), made("other.pem"));
    assert_eq!(gradlens(&["key", &path("mine.pem")]).status.code(), Some(2));
    let case = Case::new(&["--sign", &path("mine.pem")]);

    for key in [&[][..], &["--key", &mine], &["--key", &path("mine.pem")]] {
        let (code, verdict) = case.verdict(&case.report, key);
        assert_eq!(
            (code, &verdict["verdict"]),
            (0, &json!("holds")),
            "{verdict}"
        );
    }
    // The file beside the line on standard output is written in another style and means the same.
    let file = fs::read_to_string(case.path("synthetic-1.report.json")).unwrap();
    assert_eq!(case.verify(&file, &["--key", &mine]).0, 0);

    let fails = |report: &Value, key: &str, reason: &str| {
        let (code, verdict) = case.verdict(report, &["--key", key]);
        let first = &verdict["differences"][0];
        assert_eq!(
            (code, &first["what"]),
            (1, &json!("signature")),
            "{verdict}"
        );
        assert!(
            first["found"].as_str().unwrap().contains(reason),
            "{verdict}"
        );
    };
    fails(&case.report, &other, "another key");
    let unsigned = Case::new(&[]).report;
    fails(&unsigned, &mine, "no signature");
    // Things that the comparison leaves alone are under the signature too.
    for pointer in ["/picture/name", "/engine/version", "/notice"] {
        let mut report = case.report.clone();
        *report.pointer_mut(pointer).unwrap() = json!("x");
        fails(&report, &mine, "changed after it was signed");
    }
    let mut added = case.report.clone();
    added["remark"] = json!("by me");
    fails(&added, &mine, "changed after it was signed");
    let mut forged = case.report.clone();
    forged["signature"]["key"] = json!(other);
    fails(&forged, &other, "changed after it was signed");
    forged["signature"]["value"] = json!("AAAA");
    fails(&forged, &other, "base64");
}

#[test]
fn keys_of_openssl_are_read_and_nonsense_is_not() {
    // RFC 8410, section 10.3 and 10.1: a private key and the public one.
    let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
    let public = "Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rfc.pem");
    fs::write(&file, private).unwrap();
    let output = gradlens(&["key", "--public", file.to_str().unwrap()]);
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), public);
    fs::write(&file, "nonsense").unwrap();
    let output = gradlens(&[
        "explain",
        SAMPLE,
        "--sign",
        file.to_str().unwrap(),
        "--out",
        folder.path().to_str().unwrap(),
    ]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr.contains("rfc.pem: is no Ed25519 private key"),
        "{stderr}"
    );
    assert!(!folder.path().join("synthetic-1.report.json").exists());
}
