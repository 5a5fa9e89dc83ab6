//! The segmenter against the reference in Python and ONNX Runtime: mask, box, margin, gate.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use gradlens::engine::Tract;
use gradlens::image::{Limits, Region, decode};
use gradlens::lungs::{Lungs, grown};
use serde::Deserialize;

#[derive(Deserialize)]
struct Facts {
    model_sha256: String,
    margin: f64,
    pictures: BTreeMap<String, Expected>,
}

/// Boxes are left, top, right, bottom.
#[derive(Deserialize)]
struct Expected {
    #[serde(rename = "box")]
    bounds: [u32; 4],
    grown: [u32; 4],
    frontal: f32,
    cells: usize,
}

fn corners(region: Region) -> [u32; 4] {
    [
        region.x,
        region.y,
        region.x + region.width,
        region.y + region.height,
    ]
}

#[test]
fn boxes_and_gate_are_those_of_the_reference() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = root.join("tests/fixtures");
    let facts: Facts =
        serde_json::from_slice(&fs::read(folder.join("lungs.json")).unwrap()).unwrap();
    let model = fs::read(root.join("models/lungs/model.onnx")).unwrap();
    assert_eq!(
        gradlens::model::sha256_hex(&model),
        facts.model_sha256,
        "run make_lungs.py again"
    );
    let manifest = fs::read_to_string(root.join("models/lungs/manifest.json")).unwrap();
    let lungs = Lungs::open(&Tract, &model, &manifest).unwrap();
    assert!(facts.pictures.len() >= 2);
    for (name, expected) in facts.pictures {
        let picture = decode(
            &fs::read(folder.join("parity").join(&name)).unwrap(),
            &Limits::default(),
        )
        .unwrap();
        let fields = lungs.look(&picture).unwrap();
        let bounds = fields.bounds().unwrap();
        assert_eq!(corners(bounds), expected.bounds, "{name}");
        let grown = grown(bounds, facts.margin, picture.width(), picture.height());
        assert_eq!(corners(grown), expected.grown, "{name}");
        assert!(
            (fields.frontal - expected.frontal).abs() < 1e-3,
            "{name}: {} {}",
            fields.frontal,
            expected.frontal
        );
        let cells = fields.mask.iter().filter(|lung| **lung).count();
        // A logit next to the threshold may fall on either side.
        assert!(
            cells.abs_diff(expected.cells) <= 2,
            "{name}: {cells} {}",
            expected.cells
        );
    }
}
