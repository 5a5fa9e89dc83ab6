//! Many pictures in one call: lists and folders, going on after an interruption, one table of all.
#![cfg(all(feature = "cli", not(target_arch = "wasm32")))]
#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

#[path = "common/program.rs"]
mod program;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use program::gradlens;
use serde_json::Value;

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/www/public/samples");

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// When each file of a folder was last written.
fn times(folder: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let entries = fs::read_dir(folder).unwrap().map(Result::unwrap);
    entries
        .map(|entry| (entry.path(), entry.metadata().unwrap().modified().unwrap()))
        .collect()
}

#[test]
fn a_folder_and_a_list_give_the_same_reports_in_order() {
    let out = tempfile::tempdir().unwrap();
    let list = out.path().join("list.csv");
    let mut names: Vec<String> = fs::read_dir(SAMPLES)
        .unwrap()
        .map(|entry| text(&entry.unwrap().path()).to_owned())
        .filter(|name| name.ends_with(".jpg"))
        .collect();
    names.sort();
    fs::write(
        &list,
        format!(
            "name,file\n{}\n",
            names
                .iter()
                .map(|name| format!("x,{name}"))
                .collect::<Vec<_>>()
                .join("\n")
        ),
    )
    .unwrap();
    let call = |what: &str| {
        gradlens(&[
            "explain",
            what,
            "--json",
            "--files",
            "report",
            "--out",
            text(out.path()),
        ])
    };
    let (folder, list) = (call(SAMPLES), call(text(&list)));
    assert!(folder.status.success() && list.status.success());
    assert_eq!(folder.stdout, list.stdout);
    let lines = String::from_utf8(folder.stdout).unwrap();
    let pictures: Vec<String> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["picture"]["name"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    let expected: Vec<&str> = names
        .iter()
        .map(|name| name.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(pictures, expected);
    // Only what was asked for.
    assert!(
        times(out.path())
            .keys()
            .all(|file| text(file).ends_with(".report.json") || text(file).ends_with("list.csv"))
    );
}

#[test]
fn every_class_is_explained_in_one_call() {
    let out = tempfile::tempdir().unwrap();
    let pictures = ["synthetic-1.jpg", "synthetic-2.jpg"].map(|name| format!("{SAMPLES}/{name}"));
    let call = |more: &[&str]| {
        let call = [
            "explain",
            &pictures[0],
            &pictures[1],
            "--json",
            "--out",
            text(out.path()),
        ];
        let output = gradlens(&[&call, more].concat());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{errors}");
        String::from_utf8(output.stdout).unwrap()
    };
    let all = call(&["--class", "all", "--resume"]);
    let reports: Vec<Value> = all
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let asked: Vec<(&str, &str)> = reports
        .iter()
        .map(|report| {
            let name = report["picture"]["name"].as_str().unwrap();
            (name, report["explained"]["label"].as_str().unwrap())
        })
        .collect();
    let mut expected = Vec::new();
    for name in ["synthetic-1.jpg", "synthetic-2.jpg"] {
        expected.extend(["covid", "no_finding", "pneumonia"].map(|label| (name, label)));
    }
    let mut sorted = asked.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    assert_eq!(
        asked.iter().filter(|(name, _)| *name == asked[0].0).count(),
        3
    );
    // Each is what a call for that class alone gives, under a name of its own, and is not done again.
    let written = times(out.path());
    assert_eq!(written.len(), 2 * 3 * 4);
    for (name, label) in asked {
        let stem = name.trim_end_matches(".jpg");
        assert!(
            out.path()
                .join(format!("{stem}.{label}.figure.png"))
                .is_file()
        );
    }
    assert_eq!(call(&["--class", "all", "--resume"]), all);
    assert_eq!(times(out.path()), written);
    let alone = call(&["--class", "pneumonia", "--files", "report"]);
    let of_class =
        |line: &&str| line.contains("\"explained\":{\"index\":") && alone.contains(*line);
    assert_eq!(all.lines().filter(of_class).count(), 2);
    let two = call(&[
        "--class",
        "covid",
        "--class",
        "0",
        "--class",
        "no_finding",
        "--files",
        "report",
    ]);
    assert_eq!(two.lines().count(), 4);
}

#[test]
fn what_is_done_is_not_done_twice_and_what_changed_is() {
    let (out, pictures) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for name in ["synthetic-1.jpg", "synthetic-2.jpg"] {
        fs::copy(Path::new(SAMPLES).join(name), pictures.path().join(name)).unwrap();
    }
    let call = |more: &[&str]| {
        let call = [
            "explain",
            text(pictures.path()),
            "--resume",
            "--json",
            "--out",
            text(out.path()),
        ];
        let output = gradlens(&[&call, more].concat());
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        output.stdout
    };
    let first = call(&[]);
    // As a killed process leaves it: one file half written beside its place, another picture's map missing.
    fs::write(out.path().join("synthetic-1.map.npy.12345.part"), "half").unwrap();
    fs::remove_file(out.path().join("synthetic-2.map.npy")).unwrap();
    let before = times(out.path());
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(call(&[]), first);
    let after = times(out.path());
    assert!(!after.keys().any(|file| text(file).ends_with(".part")));
    for (file, time) in &after {
        let again = before.get(file) != Some(time);
        assert_eq!(
            again,
            text(file).contains("synthetic-2"),
            "{}",
            file.display()
        );
    }
    // Another question, another picture under the old name: done again.
    assert_ne!(
        call(&["--class", "pneumonia", "--contrast", "covid"]),
        first
    );
    call(&[]);
    fs::copy(
        Path::new(SAMPLES).join("synthetic-3.jpg"),
        pictures.path().join("synthetic-1.jpg"),
    )
    .unwrap();
    assert_ne!(call(&[]), first);
}

#[test]
fn a_killed_run_leaves_whole_files_only() {
    let (out, pictures) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for copy in 0..30 {
        fs::copy(
            Path::new(SAMPLES).join("synthetic-1.jpg"),
            pictures.path().join(format!("{copy}.jpg")),
        )
        .unwrap();
    }
    let call = [
        "explain",
        text(pictures.path()),
        "--resume",
        "--out",
        text(out.path()),
    ];
    let mut child = Command::new(env!("CARGO_BIN_EXE_gradlens"));
    let mut child = child
        .args(call)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    while !times(out.path())
        .keys()
        .any(|file| text(file).ends_with(".report.json"))
    {
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left = times(out.path());
    for file in left
        .keys()
        .filter(|file| text(file).ends_with(".report.json"))
    {
        let report: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
        assert_eq!(report["schema"], "gradlens.report/1");
        // The report is written last: where it is, the others are.
        for ending in ["overlay.png", "figure.png", "map.npy"] {
            assert!(Path::new(&text(file).replace("report.json", ending)).is_file());
        }
    }
    let output = gradlens(&call);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let done = times(out.path());
    assert_eq!(done.len(), 4 * 30);
    for (file, time) in left
        .iter()
        .filter(|(file, _)| text(file).ends_with(".report.json"))
    {
        assert_eq!(
            done.get(file),
            Some(time),
            "{} was written twice",
            file.display()
        );
    }
}

#[test]
fn one_table_holds_every_picture_the_bad_ones_too() {
    let out = tempfile::tempdir().unwrap();
    let table = out.path().join("all.parquet");
    let bad = out.path().join("bad.png");
    fs::write(&bad, "no picture").unwrap();
    let output = gradlens(&[
        "explain",
        text(&bad),
        SAMPLES,
        "--json",
        "--files",
        "report",
        "--table",
        text(&table),
        "--out",
        text(out.path()),
    ]);
    assert_eq!(output.status.code(), Some(2), "one picture is bad");
    let reports: Vec<Value> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(&table).unwrap())
        .unwrap()
        .build()
        .unwrap();
    let batches: Vec<_> = reader.map(Result::unwrap).collect();
    assert_eq!(batches.len(), 1);
    let batch = &batches[0];
    assert_eq!(batch.num_rows(), reports.len() + 1);
    let strings = |name: &str| {
        batch
            .column_by_name(name)
            .unwrap()
            .as_string::<i32>()
            .clone()
    };
    let problem = strings("problem");
    assert!(
        problem
            .value(0)
            .contains("not a picture that gradlens reads"),
        "{}",
        problem.value(0)
    );
    let covid = batch
        .column_by_name("probability_covid")
        .unwrap()
        .as_primitive::<Float32Type>()
        .clone();
    let maps = batch
        .column_by_name("map")
        .unwrap()
        .as_list::<i32>()
        .clone();
    for (row, report) in (1..).zip(&reports) {
        assert_eq!(strings("picture").value(row), report["picture"]["name"]);
        assert_eq!(
            strings("picture_sha256").value(row),
            report["picture"]["sha256"]
        );
        assert!(
            (f64::from(covid.value(row)) - report["scores"][0]["probability"].as_f64().unwrap())
                .abs()
                < 1e-7
        );
        let map = maps.value(row);
        assert_eq!(map.len(), report["map"]["values"].as_array().unwrap().len());
    }
    // A table that cannot be written is said before the work.
    let nowhere = out.path().join("no/such/all.parquet");
    let output = gradlens(&[
        "explain",
        SAMPLES,
        "--table",
        text(&nowhere),
        "--out",
        text(out.path()),
    ]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("all.parquet")
    );
}
