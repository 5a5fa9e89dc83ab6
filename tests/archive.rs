//! `gradlens verify` over many reports: killed and gone on with, one table, one page, and what hostile archives hold.
#![cfg(all(feature = "cli", not(target_arch = "wasm32")))]
#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

#[path = "common/program.rs"]
mod program;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, UInt32Type};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use program::gradlens;
use serde_json::{Value, json};

const SAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/www/public/samples");

/// Pictures, and a file with an honest report on each.
struct Archive {
    folder: tempfile::TempDir,
    reports: Vec<Value>,
}

impl Archive {
    /// So many pictures: the samples, with some bytes behind each that its decoder does not read, so that no two are the same file.
    fn of(pictures: usize) -> Archive {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("pictures");
        fs::create_dir(&place).unwrap();
        for number in 0..pictures {
            let sample = format!("synthetic-{}.jpg", 1 + number % 3);
            let mut bytes = fs::read(Path::new(SAMPLES).join(sample)).unwrap();
            bytes.extend(number.to_le_bytes());
            fs::write(place.join(format!("{number:03}.jpg")), bytes).unwrap();
        }
        let out = folder.path().join("explained");
        let call = ["--json", "--files", "report", "--out", text(&out)];
        let output = gradlens(&[&["explain", text(&place)][..], &call].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        let lines = String::from_utf8(output.stdout).unwrap();
        let reports = lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        Archive {
            reports: reports.collect(),
            folder,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of lines.
    fn lines(&self, name: &str, lines: &[String]) -> PathBuf {
        let file = self.path(name);
        fs::write(&file, lines.join("\n")).unwrap();
        file
    }

    /// Its reports as a line each.
    fn honest(&self) -> Vec<String> {
        self.reports.iter().map(Value::to_string).collect()
    }

    /// The arguments that check `reports` and write the files named `name`.
    fn call(&self, reports: &Path, name: &str, more: &[&str]) -> Vec<String> {
        let file = |ending: &str| text(&self.path(&format!("{name}.{ending}"))).to_owned();
        let (out, table, page) = (file("jsonl"), file("parquet"), file("html"));
        let pictures = self.path("pictures");
        let call = ["verify", text(reports), "--pictures", text(&pictures)];
        let written = ["--out", &out, "--table", &table, "--page", &page];
        let all = [&call[..], &written, more].concat();
        all.into_iter().map(str::to_owned).collect()
    }

    fn run(&self, reports: &Path, name: &str, more: &[&str]) -> Output {
        let call = self.call(reports, name, more);
        gradlens(&call.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// Starts a run and kills it when it has written so many verdicts.
    fn killed(&self, reports: &Path, name: &str, more: &[&str], after: usize) {
        let mut child = self.started(reports, name, more);
        while self.written(name) < after {
            assert!(
                child.try_wait().unwrap().is_none(),
                "it ended before it could be killed"
            );
            std::thread::sleep(Duration::from_millis(2));
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn started(&self, reports: &Path, name: &str, more: &[&str]) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gradlens"));
        let command = command.args(self.call(reports, name, more));
        let command = command.current_dir(env!("CARGO_MANIFEST_DIR"));
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// Whole lines in the part of a run that goes on.
    fn written(&self, name: &str) -> usize {
        let part = fs::read(self.path(&format!("{name}.jsonl.part"))).unwrap_or_default();
        part.iter().filter(|byte| **byte == b'\n').count()
    }

    fn verdicts(&self, name: &str) -> Vec<Value> {
        let lines = fs::read_to_string(self.path(&format!("{name}.jsonl"))).unwrap();
        assert!(lines.ends_with('\n'));
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A report with something else at a place.
fn changed(report: &Value, pointer: &str, to: Value) -> Value {
    let mut report = report.clone();
    *report.pointer_mut(pointer).unwrap() = to;
    report
}

#[test]
fn a_killed_run_that_is_gone_on_with_writes_the_same_bytes() {
    let archive = Archive::of(40);
    let mut lines = archive.honest();
    let logit = archive.reports[7]["scores"][0]["logit"].as_f64().unwrap();
    lines[7] = changed(&archive.reports[7], "/scores/0/logit", json!(logit + 0.01)).to_string();
    lines[3] = "{\"schema\"".into();
    lines.insert(20, String::new());
    let reports = archive.lines("reports.jsonl", &lines);
    let whole = archive.run(&reports, "whole", &[]);
    assert_eq!(whole.status.code(), Some(1), "{}", stderr(&whole));
    assert!(!archive.path("whole.jsonl.part").exists());

    archive.killed(&reports, "parts", &[], 3);
    assert!(!archive.path("parts.jsonl").exists() && !archive.path("parts.parquet").exists());
    // As a machine that lost its power leaves it: the last line is cut short.
    let part = archive.path("parts.jsonl.part");
    let mut bytes = fs::read(&part).unwrap();
    bytes.extend(b"{\"report\":\"");
    fs::write(&part, bytes).unwrap();
    archive.killed(&reports, "parts", &["--resume"], 12);
    let resumed = archive.run(&reports, "parts", &["--resume"]);
    assert_eq!(resumed.status.code(), Some(1), "{}", stderr(&resumed));
    for ending in ["jsonl", "parquet", "html"] {
        let [whole, parts] = ["whole", "parts"]
            .map(|name| fs::read(archive.path(&format!("{name}.{ending}"))).unwrap());
        assert!(whole == parts, "{ending} differs");
    }
    let left = fs::read_dir(archive.folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let left: Vec<_> = left.filter(|path| text(path).ends_with(".part")).collect();
    assert!(left.is_empty(), "{left:?}");
    let places: Vec<_> = archive
        .verdicts("parts")
        .iter()
        .map(|one| one["report"].clone())
        .collect();
    assert_eq!(places.len(), 40);
    assert_eq!(places[39], format!("{}:41", reports.display()));

    // What is done is not done again: of reports whose pictures are gone the verdicts stand.
    fs::remove_dir_all(archive.path("pictures")).unwrap();
    fs::create_dir(archive.path("pictures")).unwrap();
    let again = archive.run(&reports, "parts", &["--resume", "--json"]);
    assert_eq!(again.stdout, fs::read(archive.path("whole.jsonl")).unwrap());
    assert_eq!(again.stdout, fs::read(archive.path("parts.jsonl")).unwrap());
}

#[test]
fn reports_that_came_since_are_judged_and_changed_ones_again() {
    let archive = Archive::of(3);
    let mut lines = archive.honest();
    let reports = archive.lines("reports.jsonl", &lines[..2]);
    assert!(archive.run(&reports, "out", &[]).status.success());
    archive.lines("reports.jsonl", &lines);
    assert!(archive.run(&reports, "out", &["--resume"]).status.success());
    assert_eq!(archive.verdicts("out").len(), 3);
    lines[1] = changed(&archive.reports[1], "/notice", json!("Safe.")).to_string();
    archive.lines("reports.jsonl", &lines);
    assert_eq!(
        archive.run(&reports, "out", &["--resume"]).status.code(),
        Some(1)
    );
    let words: Vec<_> = archive
        .verdicts("out")
        .iter()
        .map(|one| one["verdict"].clone())
        .collect();
    assert_eq!(words, ["holds", "differs", "holds"]);
}

#[test]
fn a_run_under_other_terms_is_not_gone_on_with() {
    let archive = Archive::of(2);
    let reports = archive.lines("reports.jsonl", &archive.honest());
    assert!(archive.run(&reports, "out", &[]).status.success());
    let before = fs::read(archive.path("out.jsonl")).unwrap();
    let pem = archive.path("key.pem");
    assert!(gradlens(&["key", text(&pem)]).status.success());
    for (more, word) in [
        (
            ["--tolerance", "0.01"],
            "its tolerance was 0.001, now it is 0.01",
        ),
        (["--key", text(&pem)], "its key was none"),
        (["--model", "models/covid-xray"], "the models at hand"),
    ] {
        let output = archive.run(&reports, "out", &[&["--resume"][..], &more].concat());
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.lines().count() == 1 && told.contains(word), "{told}");
        assert_eq!(fs::read(archive.path("out.jsonl")).unwrap(), before);
    }
    // Somebody else's file is left alone.
    fs::write(archive.path("out.jsonl"), "{\"mine\": 1}\n").unwrap();
    let told = stderr(&archive.run(&reports, "out", &["--resume"]));
    assert!(told.contains("line 1 is no verdict"), "{told}");
    assert_eq!(
        fs::read(archive.path("out.jsonl")).unwrap(),
        b"{\"mine\": 1}\n"
    );
    let told = stderr(&gradlens(&["verify", "x", "--pictures", "y", "--resume"]));
    assert!(told.contains("--out"), "{told}");
}

#[test]
fn two_runs_do_not_write_one_file_and_no_report_is_replaced() {
    let archive = Archive::of(30);
    let reports = archive.lines("reports.jsonl", &archive.honest());
    let mut first = archive.started(&reports, "out", &[]);
    while archive.written("out") == 0 {
        std::thread::sleep(Duration::from_millis(2));
    }
    let second = archive.run(&reports, "out", &["--resume"]);
    assert!(
        stderr(&second).contains("another run"),
        "{}",
        stderr(&second)
    );
    assert!(first.wait().unwrap().success());
    assert_eq!(archive.verdicts("out").len(), 30);

    let before = fs::read(&reports).unwrap();
    let output = archive.run(&reports, "reports", &[]);
    assert!(
        stderr(&output).contains("is one of the reports"),
        "{}",
        stderr(&output)
    );
    assert_eq!(fs::read(&reports).unwrap(), before);
    // A folder's verdicts of an earlier run are no reports of the next.
    let folder = archive.path("explained");
    let out = folder.join("verdicts.jsonl");
    let pictures = archive.path("pictures");
    let call = [
        "verify",
        text(&folder),
        "--pictures",
        text(&pictures),
        "--out",
        text(&out),
    ];
    for _ in 0..2 {
        assert!(gradlens(&call).status.success());
        assert_eq!(fs::read_to_string(&out).unwrap().lines().count(), 30);
    }
}

#[test]
fn hostile_archives_get_a_verdict_a_line_and_a_page_without_scripts() {
    let archive = Archive::of(2);
    let honest = &archive.reports[0];
    let script = "<script>alert(1)</script>";
    let value = honest["map"]["max"].as_f64().unwrap();
    let lines = [
        honest.to_string(),
        "{\"schema\": \"gradlens.report/1\"".into(),
        "x".repeat((16 << 20) + 1),
        "[[[[".repeat(50_000),
        "{\"schema\": \"gradlens.report/1\", \"map\": 7}".into(),
        "{}".into(),
        changed(honest, "/picture/sha256", json!("0".repeat(64))).to_string(),
        changed(honest, "/picture/name", json!(script)).to_string(),
        changed(honest, "/layer", json!(script)).to_string(),
        changed(honest, "/notice", json!("'\"><img src=x onerror=alert(1)>")).to_string(),
        changed(honest, "/map/values/0", json!(3.0 * value)).to_string(),
        changed(honest, "/map/width", json!(0)).to_string(),
        changed(honest, "/map/values/0", json!(1e39)).to_string(),
        changed(
            &changed(honest, "/picture/sha256", json!("1")),
            "/picture/name",
            json!("gone"),
        )
        .to_string(),
    ];
    let reports = archive.lines("<b>reports.jsonl", &lines);
    let output = archive.run(&reports, "out", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(stderr(&output), "");
    let verdicts = archive.verdicts("out");
    let words: Vec<_> = verdicts
        .iter()
        .map(|one| one["verdict"].as_str().unwrap())
        .collect();
    let expected = [
        "holds",
        "cannot check",
        "cannot check",
        "cannot check",
        "cannot check",
        "cannot check",
        "differs",
        "holds",
        "differs",
        "differs",
        "differs",
        "differs",
        "differs",
        "cannot check",
    ];
    assert_eq!(words, expected);
    assert!(
        verdicts[2]["reason"]
            .as_str()
            .unwrap()
            .contains("too large"),
        "{}",
        verdicts[2]
    );
    for (verdict, line) in verdicts.iter().zip(&lines) {
        let compared = !verdict["scores"].is_null();
        assert_eq!(compared, verdict["in_tolerances"].is_number(), "{verdict}");
        assert_eq!(verdict["under"]["score"], 1e-3);
        assert_eq!(verdict["sha256"], sha256(line.as_bytes()), "{verdict}");
    }
    assert!(verdicts[0]["scores"].is_number() && verdicts[6]["scores"].is_null());
    let far = &verdicts[10]["differences"][0]["in_tolerances"];
    assert!(far.as_f64().unwrap() > 1000.0, "{far}");

    let page = fs::read_to_string(archive.path("out.html")).unwrap();
    for wanted in [
        "Not for diagnostic use.",
        "&lt;script&gt;",
        "must be the same",
        "&lt;b&gt;reports",
    ] {
        assert!(page.contains(wanted), "{wanted}");
    }
    for unwanted in ["<script", "<img src=x", "<b>", "http://", "https://"] {
        assert!(!page.contains(unwanted), "{unwanted}");
    }
    // The only pictures are maps, a pixel a cell.
    let images: Vec<&str> = page
        .split("<img src=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .collect();
    assert!(images.len() >= 10, "{}", images.len());
    for image in images {
        use base64ct::Encoding as _;
        let png =
            base64ct::Base64::decode_vec(image.strip_prefix("data:image/png;base64,").unwrap())
                .unwrap();
        let size = &png[16..24];
        assert!(
            size[3] <= 7 && size[7] <= 7 && size[..3] == [0; 3],
            "{size:?}"
        );
    }
    let place = |what: &str| page.find(what).unwrap();
    assert!(
        place(":7</h2>") < place(":11</h2>") && place(":11</h2>") < place(":1</h2>"),
        "the worst come first"
    );
}

#[test]
fn the_table_says_what_the_lines_say_and_a_wrong_key_is_told() {
    let archive = Archive::of(3);
    let mut lines = archive.honest();
    lines[1] = changed(&archive.reports[1], "/scores/1/probability", json!(0.5)).to_string();
    for (at, line) in lines.iter().enumerate() {
        fs::write(archive.path(&format!("{at}.json")), line).unwrap();
    }
    let list = archive.lines(
        "list.csv",
        &[
            "n,report".into(),
            "1,0.json".into(),
            "2,1.json".into(),
            "3,2.json".into(),
            "4,none.json".into(),
        ],
    );
    let output = archive.run(&list, "out", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("none.json: does not exist"),
        "{}",
        stderr(&output)
    );
    let verdicts = archive.verdicts("out");
    let file = fs::File::open(archive.path("out.parquet")).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .unwrap()
        .build()
        .unwrap();
    let batch = reader.map(Result::unwrap).next().unwrap();
    assert_eq!((batch.num_rows(), verdicts.len()), (3, 3));
    let column = |name: &str| batch.column_by_name(name).unwrap();
    for (row, verdict) in verdicts.iter().enumerate() {
        for name in ["report", "sha256", "picture", "model", "verdict"] {
            assert_eq!(column(name).as_string::<i32>().value(row), verdict[name]);
        }
        for name in ["in_tolerances", "scores", "map", "cosine"] {
            assert_eq!(
                column(name).as_primitive::<Float64Type>().value(row),
                verdict[name].as_f64().unwrap()
            );
        }
        let differences = verdict["differences"].as_array().unwrap();
        let count = column("differences")
            .as_primitive::<UInt32Type>()
            .value(row);
        assert_eq!(count as usize, differences.len());
        let what = column("what").as_list::<i32>().value(row);
        let what: Vec<_> = what.as_string::<i32>().iter().flatten().collect();
        let expected: Vec<_> = differences
            .iter()
            .map(|one| one["what"].as_str().unwrap())
            .collect();
        assert_eq!(what, expected);
    }
    let nowhere = archive.path("no/such/x");
    for flag in ["--out", "--table", "--page"] {
        let pictures = archive.path("pictures");
        let output = gradlens(&[
            "verify",
            text(&list),
            "--pictures",
            text(&pictures),
            flag,
            text(&nowhere),
        ]);
        assert_eq!(output.status.code(), Some(2));
        let told = stderr(&output);
        assert!(
            told.lines().count() == 1 && told.contains("no/such/x"),
            "{told}"
        );
    }
    let told = stderr(&archive.run(&list, "keyed", &["--key", "nonsense"]));
    assert!(
        told.lines().count() == 1 && told.contains("nonsense"),
        "{told}"
    );
    // A key that nobody signed with: every report differs, whatever else it says.
    let pem = archive.path("key.pem");
    assert!(gradlens(&["key", text(&pem)]).status.success());
    archive.run(&list, "keyed", &["--key", text(&pem)]);
    for verdict in archive.verdicts("keyed") {
        assert_eq!(verdict["differences"][0]["what"], "signature");
        assert!(verdict["under"]["key"].is_string());
    }
}

fn sha256(bytes: &[u8]) -> String {
    gradlens::model::sha256_hex(bytes)
}
