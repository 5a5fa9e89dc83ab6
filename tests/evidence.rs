//! The checks of heat maps on small classifiers, against pytorch-grad-cam, Quantus, SciPy and scikit-image.
//!
//! `tests/fixtures/make_evidence.py` makes what is compared.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

mod common;

use std::collections::HashMap;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{QUESTION, observed, stored};
use gradlens::evidence::{
    CHECKS, Entry, Evidence, Finding, Mask, Silence, Subject, check, similarity,
};
use gradlens::explain::{
    ExplainError, Explainer, HeatMap, METHODS, Observation, Tape, Unwatched, Watch, method,
};
use gradlens::image::{Picture, Region, resize_linear};
use ndarray::{Array2, ArrayD, Ix2};

/// How far a number may lie from a peer's, as a share of what hiding pixels changes at most: classifiers of random weights hardly move.
const TOLERANCE: f64 = 1e-3;

/// What the peers say, by `CLASSIFIER/WHAT`.
static PEERS: LazyLock<HashMap<String, ArrayD<f32>>> =
    LazyLock::new(|| stored(include_bytes!("fixtures/evidence.onnx")));

/// Maps by `CLASSIFIER/METHOD`.
static MAPS: LazyLock<HashMap<String, ArrayD<f32>>> =
    LazyLock::new(|| stored(include_bytes!("fixtures/passes.onnx")));

/// A map of these values.
fn heat_map(values: Array2<f32>) -> HeatMap {
    HeatMap {
        min: values.iter().copied().fold(f32::INFINITY, f32::min),
        max: values.iter().copied().fold(f32::NEG_INFINITY, f32::max),
        values,
        empty: None,
    }
}

/// A map of an observation, without masks.
fn subject<'a>(
    explainer: &'a Explainer,
    observation: &'a Observation,
    map: &'a HeatMap,
    method_id: &str,
    watch: &'a dyn Watch,
) -> Subject<'a> {
    let (_, _, height, width) = observation.input.dim();
    Subject {
        explainer,
        observation,
        question: &QUESTION,
        method: method(method_id).unwrap(),
        map,
        region: Region::whole(width as u32, height as u32),
        mask: Err("no mask".into()),
        lungs: Err("no lungs".into()),
        watch,
    }
}

fn find(id: &str, subject: &Subject<'_>) -> Finding {
    match check(id).unwrap().find(subject) {
        Ok(found) => found,
        Err(silence) => panic!("{id}: {silence:?}"),
    }
}

#[test]
fn numbers_are_the_peers() {
    let mut worst: HashMap<String, f64> = HashMap::new();
    let mut compared = 0;
    for name in ["resnet-bottleneck", "densenet", "mobilenet-v3", "convnext"] {
        let peer = |what: &str| -> Vec<f64> {
            let values = &PEERS[&format!("{name}/{what}")];
            values.iter().map(|value| f64::from(*value)).collect()
        };
        let (explainer, seen) = observed(name, "rise");
        let heat = PEERS[&format!("{name}/map")].clone();
        let map = heat_map(heat.into_dimensionality::<Ix2>().unwrap());
        let subject = subject(&explainer, &seen, &map, "rise", &Unwatched);
        let hidden = peer("deletion");
        let reach = hidden.iter().copied().fold(f64::MIN, f64::max)
            - hidden.iter().copied().fold(f64::MAX, f64::min);
        let mut compare = |what: &str, found: &[f64], expected: &[f64]| {
            assert_eq!(found.len(), expected.len(), "{name} {what}");
            let scale = match what {
                "likeness" | "increase" => 1.0,
                _ => reach,
            };
            for (found, expected) in found.iter().zip(expected) {
                let most = worst.entry(what.to_owned()).or_default();
                *most = most.max((found - expected).abs() / scale);
                compared += 1;
            }
        };
        let curve = |finding: &Finding, at: usize| -> Vec<f64> {
            finding.curves[at]
                .points
                .iter()
                .map(|point| point[1])
                .collect()
        };
        for what in ["deletion", "insertion"] {
            let found = find(what, &subject);
            let expected = peer(what);
            compare(what, &curve(&found, 0), &expected);
            // 20 equal steps: the mean of neighbours.
            let inner: f64 = expected.iter().sum::<f64>() - (expected[0] + expected[20]) / 2.0;
            let area = found.number("auc").unwrap();
            compare(&format!("{what} area"), &[area], &[inner / 20.0]);
        }
        let drop = find("average-drop", &subject);
        let lost = drop.number("drop").unwrap() * f64::from(seen.probabilities[1]);
        compare("drop", &[lost], &peer("drop"));
        compare(
            "increase",
            &[drop.number("increase").unwrap()],
            &peer("increase"),
        );
        let road = find("road", &subject);
        // The smallest removal comes first here, the lowest percentile there.
        for (at, what) in ["road/most", "road/least"].into_iter().enumerate() {
            let mut found = curve(&road, at);
            found.reverse();
            compare(what, &found, &peer(what));
        }
        compare(
            "road",
            &[road.number("combined").unwrap()],
            &peer("road/combined"),
        );
        for other in ["gradient-x-input", "occlusion", "score-cam"] {
            let other_map = MAPS[&format!("{name}/{other}")].clone();
            let other_map = other_map.into_dimensionality::<Ix2>().unwrap();
            let (height, width) = map.values.dim();
            let large = resize_linear(&other_map.view(), height, width);
            let (a, b) = (map.values.view(), large.view());
            let found = [
                similarity::spearman(&a, &b),
                similarity::spearman_absolute(&a, &b),
                similarity::ssim(&a, &b),
            ];
            let found = found.map(Option::unwrap);
            compare("likeness", &found, &peer(&format!("like/{other}")));
        }
    }
    println!("{worst:#?}");
    assert_eq!(compared, 4 * (2 * 22 + 2 + 19 + 9));
    let failed: Vec<_> = worst
        .iter()
        .filter(|(_, error)| **error > TOLERANCE)
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Counts passes and has enough of them at some point.
struct Impatient {
    patience: usize,
    seen: AtomicUsize,
}

impl Watch for Impatient {
    fn goes_on(&self, _: usize, _: usize) -> bool {
        self.seen.fetch_add(1, Ordering::Relaxed) + 1 < self.patience
    }
}

#[test]
fn passes_are_as_many_as_said_and_can_be_stopped() {
    let (explainer, seen) = observed("densenet", "grad-cam");
    let map = explainer.explain(&seen, &QUESTION, METHODS[0]).unwrap();
    let counted = |ids: &[&str]| {
        let watch = Impatient {
            patience: usize::MAX,
            seen: AtomicUsize::new(0),
        };
        let said: usize = ids
            .iter()
            .map(|id| {
                let found = find(id, &subject(&explainer, &seen, &map, "grad-cam", &watch));
                found.passes + found.maps
            })
            .sum();
        assert_eq!(said, watch.seen.load(Ordering::Relaxed), "{ids:?}");
        said
    };
    let both = counted(&["deletion", "insertion"]);
    assert!((20..=45).contains(&both), "{both}");
    counted(&["road", "average-drop", "randomisation", "stability"]);
    for id in [
        "deletion",
        "insertion",
        "road",
        "randomisation",
        "stability",
    ] {
        let watch = Impatient {
            patience: 3,
            seen: AtomicUsize::new(0),
        };
        let stopped = check(id)
            .unwrap()
            .find(&subject(&explainer, &seen, &map, "grad-cam", &watch));
        let stopped = stopped.err().unwrap();
        assert!(
            matches!(stopped, Silence::Failed(ExplainError::Stopped)),
            "{id}: {stopped:?}"
        );
        assert_eq!(watch.seen.load(Ordering::Relaxed), 3, "{id}");
    }
}

/// Has enough after every pass, and keeps what there is.
#[derive(Default)]
struct OneByOne {
    tape: Tape,
    seen: AtomicUsize,
}

impl Watch for OneByOne {
    fn goes_on(&self, _: usize, _: usize) -> bool {
        self.seen.fetch_add(1, Ordering::Relaxed);
        false
    }

    fn tape(&self) -> Option<&Tape> {
        Some(&self.tape)
    }
}

/// Calls until the work is done; its result, and how many calls that took.
fn in_parts<T>(watch: &OneByOne, work: impl Fn() -> Result<T, Silence>) -> (T, usize) {
    for call in 1..10_000 {
        watch.tape.rewind();
        match work() {
            Ok(result) => return (result, call),
            Err(Silence::Failed(ExplainError::Stopped)) => {}
            Err(silence) => panic!("{silence:?}"),
        }
    }
    panic!("it never ends")
}

#[test]
fn work_in_parts_is_the_same_work() {
    for (method_id, checks) in [
        (
            "grad-cam",
            [
                "deletion",
                "insertion",
                "road",
                "randomisation",
                "stability",
            ]
            .as_slice(),
        ),
        // Passes inside of maps: those of a map that is done are not made again.
        ("score-cam", &["stability"]),
    ] {
        let (explainer, seen) = observed("efficientnet", method_id);
        let method = method(method_id).unwrap();
        let map = explainer.explain(&seen, &QUESTION, method).unwrap();
        let watch = OneByOne::default();
        let again = || Ok(explainer.explain_watched(&seen, &QUESTION, method, &watch)?);
        let (parts, calls) = in_parts(&watch, again);
        assert_eq!(parts, map);
        let passes_a_map = watch.seen.load(Ordering::Relaxed);
        assert_eq!(calls, passes_a_map.max(1), "{method_id}");
        for id in checks {
            let whole = find(id, &subject(&explainer, &seen, &map, method_id, &Unwatched));
            let watch = OneByOne::default();
            let (parts, calls) = in_parts(&watch, || {
                check(id)
                    .unwrap()
                    .find(&subject(&explainer, &seen, &map, method_id, &watch))
            });
            assert_eq!(parts, whole, "{method_id} {id}");
            let passes = whole.passes + whole.maps * passes_a_map.max(1);
            // No pass is made twice.
            assert_eq!(
                watch.seen.load(Ordering::Relaxed),
                passes,
                "{method_id} {id}"
            );
            assert!(calls <= passes, "{method_id} {id}: {calls}");
        }
    }
}

/// How alike a method's map stays with all layers randomised, and with the last.
fn randomised(name: &str, id: &str) -> Finding {
    let (explainer, seen) = observed(name, id);
    let map = explainer
        .explain(&seen, &QUESTION, method(id).unwrap())
        .unwrap();
    find(
        "randomisation",
        &subject(&explainer, &seen, &map, id, &Unwatched),
    )
}

#[test]
fn randomisation_tells_what_a_map_hangs_on() {
    for name in ["vit-class-token", "efficientnet", "resnet-bottleneck"] {
        // Eigen-CAM looks at activations alone: of weights behind its layer it knows nothing. A gradient knows them all.
        let blind = randomised(name, "eigen-cam");
        let last = blind.number("spearman_last_layer").unwrap();
        assert!((last - 1.0).abs() < 1e-6, "{name}: {last}");
        assert!(blind.number("spearman").unwrap() < 0.9, "{name}");
        let seeing = randomised(name, "gradient");
        assert!(
            seeing.number("spearman_last_layer").unwrap() < 0.99,
            "{name}"
        );
        assert!(seeing.number("spearman").unwrap() < 0.9, "{name}");
        assert_eq!(seeing.curves.len(), 3);
        let shares: Vec<f64> = seeing.curves[0]
            .points
            .iter()
            .map(|point| point[0])
            .collect();
        assert!(
            shares.is_sorted() && shares.last() == Some(&1.0),
            "{shares:?}"
        );
        // The same once more, to the bit: its chance is seeded.
        assert_eq!(seeing, randomised(name, "gradient"));
    }
}

#[test]
fn a_steady_map_is_stable_and_what_has_nothing_to_say_says_why() {
    let (explainer, seen) = observed("densenet", "grad-cam");
    let map = explainer.explain(&seen, &QUESTION, METHODS[0]).unwrap();
    let plain = subject(&explainer, &seen, &map, "grad-cam", &Unwatched);
    let stable = find("stability", &plain);
    assert!((-1.0..=1.0).contains(&stable.number("lowest").unwrap()));
    for (id, why) in [
        ("pointing-game", "no mask"),
        ("energy", "no mask"),
        ("outside-lungs", "no lungs"),
    ] {
        let entry = Entry::of(check(id).unwrap(), &plain).unwrap();
        assert_eq!(
            (entry.nothing.as_deref(), entry.found),
            (Some(why), None),
            "{id}"
        );
    }
    let empty = HeatMap {
        empty: Some("The map is empty.".into()),
        ..heat_map(Array2::zeros((4, 4)))
    };
    for &check in CHECKS {
        let entry = Entry::of(
            check,
            &subject(&explainer, &seen, &empty, "grad-cam", &Unwatched),
        );
        assert_eq!(entry.unwrap().nothing.as_deref(), Some("The map is empty."));
    }
    let error = check("road2").err().unwrap();
    assert!(
        CHECKS.iter().all(|check| error.contains(check.id())),
        "{error}"
    );
}

#[test]
fn masks_are_placed_by_hand() {
    let (explainer, seen) = observed("densenet", "grad-cam");
    // A map of the left half, a mask of the left three quarters.
    let map = heat_map(Array2::from_shape_fn((32, 32), |(_, x)| {
        if x < 16 { 1.0 } else { 0.0 }
    }));
    let pixels = (0..32 * 32).map(|at| if at % 32 < 24 { 255 } else { 0 });
    let mask = Mask::of_picture(&Picture::from_grey8(32, 32, pixels.collect()).unwrap());
    let marked = Subject {
        mask: Ok(&mask),
        lungs: Ok(&mask),
        ..subject(&explainer, &seen, &map, "grad-cam", &Unwatched)
    };
    let close = |id: &str, number: &str, expected: f64| {
        let found = find(id, &marked).number(number).unwrap();
        assert!((found - expected).abs() < 1e-6, "{id} {number}: {found}");
    };
    close("energy", "energy", 1.0);
    close("energy", "uniform", 0.75);
    close("energy", "gain", 4.0 / 3.0);
    close("pointing-game", "hit", 1.0);
    close("outside-lungs", "outside", 0.0);
    close("outside-lungs", "outside_uniform", 0.25);
    // Three columns and three rows of 32 on each side: of the left half 16 * 32 - 13 * 26 pixels are border.
    close(
        "border",
        "border",
        (16.0 * 32.0 - 13.0 * 26.0) / (16.0 * 32.0),
    );
    close("border", "uniform", 1.0 - (26.0 * 26.0) / (32.0 * 32.0));
    let everything = marked.observation.input.clone();
    let hidden = Array2::from_shape_fn((32, 32), |(_, x)| if x < 24 { 0.0f32 } else { 1.0 });
    let without = explainer.observe(&(everything * &hidden)).unwrap();
    close(
        "outside-lungs",
        "score_without_lungs",
        f64::from(without.probabilities[1]),
    );
}

#[test]
fn all_of_it_is_one_record() {
    let record: Result<Evidence, _> = serde_json::from_str("{}");
    assert!(record.is_err());
    assert_eq!(gradlens::evidence::SCHEMA, "gradlens.evidence/1");
    let ids: Vec<&str> = CHECKS.iter().map(|check| check.id()).collect();
    let mut once = ids.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), ids.len());
    assert!(
        CHECKS
            .iter()
            .all(|check| check.about().ends_with('.') && check.limits().ends_with('.'))
    );
}
