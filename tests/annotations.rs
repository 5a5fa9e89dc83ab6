//! Proposals for annotations of the shipped classifier's maps, and the one-file report: their outlines, their numbers, what the command line writes.
#![cfg(all(feature = "cli", not(target_arch = "wasm32")))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

#[path = "common/program.rs"]
mod program;

use std::fs;

use gradlens::image::Region;
use gradlens::regions::{Coco, LEAST_PIXELS, proposals};
use ndarray::{Array2, array};
use program::gradlens;

const SAMPLE: &str = "www/public/samples/synthetic-1.jpg";

#[test]
fn two_peaks_are_two_regions_and_the_higher_comes_first() {
    let mut map = Array2::zeros((8, 12));
    map[(2, 2)] = 0.6;
    map[(5, 9)] = 1.0;
    let region = Region {
        x: 100,
        y: 50,
        width: 240,
        height: 160,
    };
    let found = proposals(&map.view(), region, 0.5);
    assert_eq!(found.len(), 2);
    // A cell has 20 x 20 pixels; bilinear, the map falls to a half between two cells.
    let [left, top, width, height] = found[0].bounds;
    assert!(
        (left + width / 2.0 - (100.0 + 190.0)).abs() < 1.0,
        "{:?}",
        found[0].bounds
    );
    assert!((top + height / 2.0 - (50.0 + 110.0)).abs() < 1.0);
    assert!((width - 20.0).abs() < 1.5 && (height - 20.0).abs() < 1.5);
    assert!((found[0].peak - 1.0).abs() < 1e-9 && found[1].peak < 0.61);
    assert!(found[0].mean > 0.5 && found[0].mean < 1.0);
    assert!(found.iter().all(|proposal| proposal.pixels >= LEAST_PIXELS));
    // Nothing reaches more than all there is, and all of a flat map is one region.
    assert!(proposals(&map.view(), region, 1.01).is_empty());
    assert!(proposals(&array![[-1.0, 0.0]].view(), region, 0.5).is_empty());
    let flat = proposals(&array![[2.0, 2.0]].view(), region, 1.0);
    assert_eq!(flat[0].bounds, [100.0, 50.0, 240.0, 160.0]);
    assert_eq!(flat[0].pixels, 240 * 160);
}

#[test]
fn the_command_line_writes_them_and_does_not_write_them_twice() {
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().to_str().unwrap();
    let file = out.path().join("synthetic-1.coco.json");
    let run = |more: &[&str]| {
        let mut arguments = vec!["explain", SAMPLE, "--out", folder, "--class", "covid"];
        arguments.extend(more);
        gradlens(&arguments)
    };
    assert!(run(&[]).status.success());
    assert!(!file.exists());
    assert!(run(&["--annotations"]).status.success());
    let coco: Coco = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(coco.info["threshold"], 0.5);
    assert!(
        coco.info["notice"]
            .as_str()
            .unwrap()
            .contains("Not for diagnostic use")
    );
    assert!(!coco.annotations.is_empty());
    for annotation in &coco.annotations {
        let category = coco
            .categories
            .iter()
            .find(|category| category.id == annotation.category_id);
        assert_eq!(category.unwrap().name, "covid");
        assert!(annotation.score >= 0.5 && annotation.score <= 1.0);
        assert_eq!(annotation.attributes["what"], "proposal, not a finding");
        let [left, top, width, height] = annotation.bbox;
        assert!(left >= 0.0 && top >= 0.0);
        assert!(left + width <= f64::from(coco.images[0].width));
        assert!(top + height <= f64::from(coco.images[0].height));
        assert!(annotation.area as f64 <= width * height * 1.05);
    }
    // Another threshold is another file, with --resume too.
    let modified = || fs::metadata(&file).unwrap().modified().unwrap();
    let before = modified();
    assert!(run(&["--annotations", "0.5", "--resume"]).status.success());
    assert_eq!(modified(), before);
    assert!(run(&["--annotations", "0.8", "--resume"]).status.success());
    let higher: Coco = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let area = |coco: &Coco| {
        coco.annotations
            .iter()
            .map(|found| found.area)
            .sum::<usize>()
    };
    assert!(area(&higher) < area(&coco));
    for wrong in ["0", "1.5", "NaN", "half"] {
        let output = run(&["--annotations", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn the_page_is_one_file_that_holds_its_report_and_escapes_names() {
    let folder = tempfile::tempdir().unwrap();
    let name = "a<script>alert(1)<img src=x>&.jpg";
    let picture = folder.path().join(name);
    fs::copy(SAMPLE, &picture).unwrap();
    let out = folder.path().join("out");
    let output = gradlens(&[
        "explain",
        picture.to_str().unwrap(),
        "--out",
        out.to_str().unwrap(),
        "--files",
        "page,report",
    ]);
    assert!(output.status.success());
    let written = |ending: &str| {
        let file = out.join(format!("a<script>alert(1)<img src=x>&.{ending}"));
        fs::read_to_string(file).unwrap()
    };
    let page = written("report.html");
    assert!(page.contains("Content-Security-Policy") && page.contains("Not for diagnostic use"));
    assert_eq!(page.matches("src=\"data:image/png;base64,").count(), 3);
    assert_eq!(page.matches("<script").count(), 1);
    assert!(!page.contains("<img src=x"));
    assert!(!page.contains("http:") && !page.contains("https:"));
    let (_, json) = page.split_once("id=\"gradlens-report\">").unwrap();
    let (json, _) = json.split_once("</script>").unwrap();
    let inside: serde_json::Value = serde_json::from_str(json).unwrap();
    let beside: serde_json::Value = serde_json::from_str(&written("report.json")).unwrap();
    assert_eq!(inside, beside);
    assert_eq!(inside["picture"]["name"], name);
}

#[test]
fn scores_are_a_table_that_no_spreadsheet_computes() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("=cmd|x,y.jpg");
    fs::copy(SAMPLE, &picture).unwrap();
    let table = folder.path().join("scores.csv");
    let output = gradlens(&[
        "explain",
        picture.to_str().unwrap(),
        SAMPLE,
        "--out",
        folder.path().join("out").to_str().unwrap(),
        "--files",
        "report",
        "--scores",
        table.to_str().unwrap(),
        "--json",
    ]);
    assert!(output.status.success());
    let text = fs::read_to_string(&table).unwrap();
    assert_eq!(text.matches("\r\n").count(), 3);
    let mut rows = csv::Reader::from_reader(text.as_bytes());
    let heads = rows.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    assert_eq!(&rows[0][0], "'=cmd|x,y.jpg");
    assert_eq!(&rows[1][0], "synthetic-1.jpg");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let report: gradlens::report::Report =
        serde_json::from_str(stdout.lines().next().unwrap()).unwrap();
    for score in &report.scores {
        let at = |head: String| heads.iter().position(|name| name == head).unwrap();
        let probability: f32 = rows[0][at(format!("probability_{}", score.label))]
            .parse()
            .unwrap();
        let logit: f32 = rows[0][at(format!("logit_{}", score.label))]
            .parse()
            .unwrap();
        assert_eq!((probability, logit), (score.probability, score.logit));
    }
}
