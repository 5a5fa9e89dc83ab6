//! Boxes of a picture hidden from the shipped classifier, and where its map lies.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use gradlens::evidence::{Fill, border_share, check};
use gradlens::explain::{Explainer, Unwatched};
use gradlens::image::{Limits, Region};
use gradlens::lungs::Lungs;
use gradlens::model::Model;
use gradlens::study::{Request, Share, Study, StudyError};

/// The shipped classifier and its companion.
fn shipped() -> (Explainer, Lungs) {
    let read = |file: &str| fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    let text = |file: &str| String::from_utf8(read(file)).unwrap();
    let manifest = text("models/covid-xray/manifest.json");
    let model = Model::open(
        &read("models/covid-xray/model.onnx"),
        Some(&manifest),
        "covid-xray",
    );
    let engine = common::engine();
    let lungs = Lungs::open(
        engine.as_ref(),
        &read("models/lungs/model.onnx"),
        &text("models/lungs/manifest.json"),
    );
    let explainer = Explainer::new(engine, Arc::new(model.unwrap()), None).unwrap();
    (explainer, lungs.unwrap())
}

fn sample(explainer: &Explainer, lungs: &Lungs) -> Study {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("www/public/samples/synthetic-1.jpg");
    let bytes = fs::read(file).unwrap();
    Study::open(
        explainer,
        Some(lungs),
        "synthetic-1.jpg",
        &bytes,
        &Limits::default(),
    )
    .unwrap()
}

#[test]
fn a_box_hides_what_lies_under_it_and_nothing_else() {
    let (explainer, lungs) = shipped();
    let study = sample(&explainer, &lungs);
    let region = study.prepared.region;
    let (_, channels, rows, columns) = study.prepared.tensor.dim();
    // From a quarter to a half of each side, in the picture's pixels.
    let quarter = Region {
        x: region.x + region.width / 4,
        y: region.y + region.height / 4,
        width: region.width / 4,
        height: region.height / 4,
    };
    let mut by_hand = study.prepared.tensor.clone();
    let mut count = 0;
    for row in 0..rows {
        for column in 0..columns {
            let x = f64::from(region.x)
                + (column as f64 + 0.5) * f64::from(region.width) / columns as f64;
            let y =
                f64::from(region.y) + (row as f64 + 0.5) * f64::from(region.height) / rows as f64;
            let is_in = |at: f64, start: u32, length: u32| {
                at >= f64::from(start) && at < f64::from(start + length)
            };
            if is_in(x, quarter.x, quarter.width) && is_in(y, quarter.y, quarter.height) {
                count += 1;
                for channel in 0..channels {
                    by_hand[(0, channel, row, column)] = 0.0;
                }
            }
        }
    }
    let (covered, share) = study.covered(&[quarter], Fill::Mean).unwrap();
    assert_eq!(covered.tensor, by_hand);
    assert!((share - count as f64 / (rows * columns) as f64).abs() < 1e-12);
    assert!((share - 1.0 / 16.0).abs() < 0.005, "{share}");
    let hidden = study.hide(&explainer, &[quarter], Fill::Mean).unwrap();
    assert_eq!(
        hidden.observation.logits,
        explainer.observe(&by_hand).unwrap().logits
    );
    assert_ne!(hidden.observation.logits, study.observation.logits);
    // Twice the same box hides no more, and every fill says something of its own.
    let twice = study
        .hide(&explainer, &[quarter, quarter], Fill::Mean)
        .unwrap();
    assert_eq!(twice.observation.logits, hidden.observation.logits);
    let fills = Fill::ALL.map(|fill| {
        let hidden = study.hide(&explainer, &[quarter], fill).unwrap();
        assert!((hidden.share - share).abs() < 1e-12);
        hidden.observation.logits
    });
    assert!(fills[0] != fills[1] && fills[1] != fills[2] && fills[0] != fills[2]);
}

#[test]
fn boxes_that_hide_nothing_or_all_say_so() {
    let (explainer, lungs) = shipped();
    let study = sample(&explainer, &lungs);
    let refused = |boxes: &[Region], fill| match study.hide(&explainer, boxes, fill) {
        Err(StudyError::Hide(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(refused(&[], Fill::Mean).contains("sees nothing"));
    let beyond = Region {
        x: study.entry.width,
        y: 0,
        width: u32::MAX,
        height: 10,
    };
    assert!(refused(&[beyond], Fill::Blur).contains("sees nothing"));
    let all = Region::whole(study.entry.width, study.entry.height);
    assert!(refused(&[all], Fill::Surroundings).contains("nothing is left"));
    let none = study.hide(&explainer, &[all], Fill::Mean).unwrap();
    assert!((none.share - 1.0).abs() < 1e-12);
}

#[test]
fn where_a_map_lies_is_what_the_checks_say() {
    let (explainer, lungs) = shipped();
    let study = sample(&explainer, &lungs);
    let request = Request {
        class: Some(0),
        ..Request::default()
    };
    let answer = study.ask(&explainer, &request).unwrap();
    let places = study.whereabouts(&explainer, &answer).unwrap();
    for (id, name, place) in [
        ("border", "border", places.border),
        ("outside-lungs", "outside", places.outside),
    ] {
        let entry = study.check(
            &explainer,
            &request,
            &answer,
            check(id).unwrap(),
            None,
            &Unwatched,
        );
        let found = entry.unwrap().found.unwrap();
        let Share::Found { share, uniform } = place else {
            panic!("{id}: {place:?}")
        };
        assert_eq!(found.number(name), Some(share), "{id}");
        assert_eq!(found.numbers[1].value, uniform, "{id}");
        assert!(share > 0.0 && share < 1.0);
    }
    let map = answer.map.values.mapv(|_| -1.0);
    assert_eq!(border_share(&map.view(), 224, 224), None);
}
