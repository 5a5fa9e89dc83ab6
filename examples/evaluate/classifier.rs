//! A classifier's numbers: how often it is right, how sure it may be, and where its heat maps lie.

use std::collections::{BTreeMap, BTreeSet};

use gradlens::evidence::{Mask, Part, Placement, hide, placement, statistics};
use gradlens::explain::Explainer;
use gradlens::image::Limits;
use gradlens::lungs::Lungs;
use gradlens::study::{Request, Study};
use indicatif::ParallelProgressIterator as _;
use rayon::prelude::*;
use serde_json::{Map, Value, json};

use crate::Outcome;
use crate::data::{Marked, XRay};
use crate::summary::{Numbers, rounded, summarise};

/// Confidence bins of equal width.
const BINS: usize = 15;
/// The share of the other `val` pictures that the threshold leaves alone.
const SPECIFICITY: f64 = 0.95;
/// A class with fewer pictures than this gets no rate of its own, only its counts in the table.
const FEWEST: usize = 5;
/// The class that thresholds and AUCs are about.
const POSITIVE: &str = "covid";
/// The archive that most positives come from: an AUC within it cannot tell archives apart.
const ARCHIVE: &str = "ieee8023";

/// What the classifier made of a picture.
struct Row<'a> {
    xray: &'a XRay,
    label: usize,
    probabilities: Vec<f64>,
    /// The same with the middle of the picture made grey; `test` only.
    hidden: Option<Vec<f64>>,
    /// Whether the gate lets it pass, where there is one.
    passed: Option<bool>,
    /// Where the true class's map lies beside what is marked.
    lesions: Option<Placement>,
    devices: Option<Placement>,
    outside: Option<Placement>,
}

impl Row<'_> {
    fn guess(&self) -> usize {
        best(&self.probabilities)
    }
}

fn best(probabilities: &[f64]) -> usize {
    let all = probabilities.iter().enumerate();
    all.max_by(|a, b| a.1.total_cmp(b.1))
        .map_or(0, |(index, _)| index)
}

/// Everything about one classifier, as `measured.json` holds it.
pub fn evaluate(explainer: &Explainer, lungs: Option<&Lungs>, xrays: &[XRay]) -> Outcome<Value> {
    let labels: Vec<&str> = explainer
        .model
        .manifest
        .labels
        .iter()
        .map(|label| label.id.as_str())
        .collect();
    let index = |class: &str| labels.iter().position(|label| *label == class);
    let positive = index(POSITIVE).ok_or("the classifier has no class 'covid'")?;
    // Of `train`, only the pictures whose lesions are marked are of interest.
    let wanted: Vec<&XRay> = xrays
        .iter()
        .filter(|xray| xray.split != "train" || matches!(xray.mask(Marked::Lesions), Ok(Some(_))))
        .collect();
    let rows: Vec<Row<'_>> = wanted
        .par_iter()
        .progress()
        .map(|xray| {
            let label = index(&xray.class).ok_or_else(|| format!("no class '{}'", xray.class))?;
            observe(explainer, lungs, xray, label)
        })
        .collect::<Outcome<_>>()?;
    let split = |name: &str| {
        rows.iter()
            .filter(|row| row.xray.split == name)
            .collect::<Vec<_>>()
    };
    let threshold = threshold(&split("val"), positive);
    let mut result = Map::new();
    result.insert("model_sha256".into(), json!(explainer.model.sha256));
    result.insert("covid_threshold".into(), json!(rounded(threshold)));
    result.insert("threshold_from".into(), json!("95% specificity on val"));
    for name in ["val", "test", "external"] {
        println!(" {name}");
        result.insert(
            name.into(),
            described(&split(name), &labels, positive, threshold),
        );
    }
    println!(" test, the middle half of each picture hidden");
    let hidden: Vec<Row<'_>> = rows
        .iter()
        .filter_map(|row| {
            let probabilities = row.hidden.clone()?;
            Some(Row {
                probabilities,
                hidden: None,
                ..*row
            })
        })
        .collect();
    let hidden: Vec<&Row<'_>> = hidden.iter().collect();
    result.insert(
        "test_with_middle_hidden".into(),
        described(&hidden, &labels, positive, threshold),
    );
    result.insert("evidence".into(), evidence(&rows));
    Ok(Value::Object(result))
}

/// Scores one picture and explains its true class where something is marked on it.
fn observe<'a>(
    explainer: &Explainer,
    lungs: Option<&Lungs>,
    xray: &'a XRay,
    label: usize,
) -> Outcome<Row<'a>> {
    let name = xray.file.display().to_string();
    let study = Study::open(explainer, lungs, &name, &xray.bytes()?, &Limits::default())
        .map_err(|error| format!("{name} {error}"))?;
    let wide = |probabilities: &[f32]| {
        probabilities
            .iter()
            .map(|p| f64::from(*p))
            .collect::<Vec<f64>>()
    };
    let hidden = match xray.split == "test" {
        true => Some(wide(
            &explainer
                .observe(&hide(
                    &study.prepared.tensor,
                    Part::Middle,
                    &middle_of_range(&study.prepared.tensor),
                ))?
                .probabilities,
        )),
        false => None,
    };
    let masks = [Marked::Lesions, Marked::Devices, Marked::Lungs].map(|of| xray.mask(of));
    let [lesions, devices, fields] = masks;
    let (lesions, devices) = (lesions?, devices?);
    let outside = fields?.as_ref().map(Mask::inverse);
    let mut places = [None; 3];
    if [&lesions, &devices, &outside]
        .iter()
        .any(|mask| mask.is_some())
    {
        let request = Request {
            class: Some(label),
            ..Request::default()
        };
        let map = study.ask(explainer, &request)?.map.values;
        places = [lesions, devices, outside]
            .map(|mask| placement(&map.view(), study.prepared.region, &mask?));
    }
    let [lesions, devices, outside] = places;
    Ok(Row {
        xray,
        label,
        probabilities: wide(&study.observation.probabilities),
        hidden,
        passed: study.fields.as_ref().map(|fields| fields.is_frontal()),
        lesions,
        devices,
        outside,
    })
}

/// The value in the middle of an input's range, for each channel.
fn middle_of_range(input: &ndarray::Array4<f32>) -> Vec<f32> {
    let low = input.iter().copied().fold(f32::INFINITY, f32::min);
    let high = input.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    vec![(low + high) / 2.0; input.dim().1]
}

/// The least positive probability that at most 5 % of the other pictures reach.
fn threshold(rows: &[&Row<'_>], positive: usize) -> f64 {
    let others = rows.iter().filter(|row| row.label != positive);
    let mut others: Vec<f32> = others
        .map(|row| row.probabilities[positive] as f32)
        .collect();
    others.sort_by(f32::total_cmp);
    let last_below = ((SPECIFICITY * others.len() as f64).ceil() as usize).saturating_sub(1);
    others
        .get(last_below)
        .map_or(1.0, |last| f64::from(last.next_up()))
}

/// All numbers of one split.
fn described(rows: &[&Row<'_>], labels: &[&str], positive: usize, threshold: f64) -> Value {
    let count = |label: usize| rows.iter().filter(|row| row.label == label).count();
    let few = |label: usize| count(label) < FEWEST;
    let few_others = rows.len() - count(positive) < FEWEST;
    let recalls: Vec<String> = labels
        .iter()
        .map(|label| format!("recall_{label}"))
        .collect();
    let mut names = vec![
        "accuracy",
        "balanced_accuracy",
        "covid_auc",
        "covid_auc_within_ieee8023",
        "covid_sensitivity_at_threshold",
        "covid_specificity_at_threshold",
        "calibration_error",
        "log_loss",
        "passes_gate",
    ];
    names.extend(recalls.iter().map(String::as_str));
    let patients: Vec<&str> = rows.iter().map(|row| row.xray.patient.as_str()).collect();
    let metrics = summarise(&names, &patients, |chosen| {
        let chosen: Vec<&Row<'_>> = chosen.iter().map(|at| rows[*at]).collect();
        let share = |of: &dyn Fn(&Row<'_>) -> Option<bool>| {
            let values: Vec<f64> = chosen
                .iter()
                .filter_map(|row| of(row))
                .map(|yes| f64::from(u8::from(yes)))
                .collect();
            statistics::mean(&values)
        };
        let auc = |archive: Option<&str>| {
            let within = chosen
                .iter()
                .filter(|row| archive.is_none_or(|archive| row.xray.source == archive));
            let pairs: Vec<_> = within
                .map(|row| (row.probabilities[positive], row.label == positive))
                .collect();
            statistics::auc(&pairs).filter(|_| !few_others)
        };
        let recall = |label: usize| {
            share(&|row| (row.label == label).then(|| row.guess() == label)).filter(|_| !few(label))
        };
        let recalls: Vec<Option<f64>> = (0..labels.len()).map(recall).collect();
        let balanced: Option<Vec<f64>> = recalls.iter().copied().collect();
        let confidence: Vec<_> = chosen
            .iter()
            .map(|row| (row.probabilities[row.guess()], row.guess() == row.label))
            .collect();
        let losses: Vec<f64> = chosen
            .iter()
            .map(|row| -row.probabilities[row.label].max(1e-12).ln())
            .collect();
        let mut numbers = vec![
            share(&|row| Some(row.guess() == row.label)),
            balanced.and_then(|recalls| statistics::mean(&recalls)),
            auc(None),
            auc(Some(ARCHIVE)),
            share(&|row| (row.label == positive).then(|| row.probabilities[positive] >= threshold)),
            share(&|row| (row.label != positive).then(|| row.probabilities[positive] < threshold))
                .filter(|_| !few_others),
            statistics::calibration_error(&confidence, BINS),
            statistics::mean(&losses),
            share(&|row| row.passed),
        ];
        numbers.extend(recalls);
        numbers
    });
    let pictures: Map<String, Value> = labels
        .iter()
        .enumerate()
        .map(|(label, id)| ((*id).to_owned(), json!(count(label))))
        .collect();
    let patients: BTreeSet<&str> = patients.into_iter().collect();
    json!({"pictures": pictures, "patients": patients.len(), "metrics": metrics, "groups": groups(rows, labels), "reliability": reliability(rows)})
}

/// Counts of guesses by source, view and class: where the errors live.
fn groups(rows: &[&Row<'_>], labels: &[&str]) -> Value {
    let mut groups: BTreeMap<[&str; 3], Vec<usize>> = BTreeMap::new();
    for row in rows {
        let view = if row.xray.view.is_empty() {
            "unknown"
        } else {
            &row.xray.view
        };
        let counts = groups
            .entry([&row.xray.source, view, &row.xray.class])
            .or_insert_with(|| vec![0; labels.len()]);
        counts[row.guess()] += 1;
    }
    let entry = |([source, view, class], counts): ([&str; 3], Vec<usize>)| {
        let called: Map<String, Value> = labels
            .iter()
            .zip(&counts)
            .map(|(label, count)| ((*label).to_owned(), json!(count)))
            .collect();
        json!({"source": source, "view": view, "class": class, "pictures": counts.iter().sum::<usize>(), "called": called})
    };
    groups.into_iter().map(entry).collect()
}

/// Count, mean confidence and accuracy of each bin that has pictures: the points of a calibration plot.
fn reliability(rows: &[&Row<'_>]) -> Value {
    let mut bins = vec![(0usize, 0.0, 0usize); BINS];
    for row in rows {
        let confidence = row.probabilities[row.guess()];
        let bin = &mut bins[((confidence * BINS as f64) as usize).min(BINS - 1)];
        *bin = (
            bin.0 + 1,
            bin.1 + confidence,
            bin.2 + usize::from(row.guess() == row.label),
        );
    }
    let filled = bins.into_iter().filter(|bin| bin.0 > 0);
    filled.map(|(count, confidence, right)| {
        let count_f = count as f64;
        json!({"pictures": count, "confidence": rounded(confidence / count_f), "accuracy": rounded(right as f64 / count_f)})
    }).collect()
}

/// Where maps of the true class lie beside lesions, outside the lungs and on devices.
fn evidence(rows: &[Row<'_>]) -> Value {
    type Place = fn(&Row<'_>) -> Option<Placement>;
    let measures: [(&str, Place); 3] = [
        ("lesions", |row| row.lesions),
        ("outside_the_lungs", |row| row.outside),
        ("devices", |row| row.devices),
    ];
    let mut result = Numbers::new();
    for (what, place) in measures {
        let all = |row: &&Row<'_>| what == "lesions" || row.xray.split != "train";
        let held_out = |row: &&Row<'_>| row.xray.split != "train";
        for (which, chosen) in [
            ("all", rows.iter().filter(all).collect::<Vec<_>>()),
            ("held_out", rows.iter().filter(held_out).collect()),
        ] {
            if which == "all" && what != "lesions" {
                continue;
            }
            let placed: Vec<(&Row<'_>, Placement)> = chosen
                .into_iter()
                .filter_map(|row| Some((row, place(row)?)))
                .collect();
            println!(
                " maps of the true class, {what}, {which}: {} pictures",
                placed.len()
            );
            let patients: Vec<&str> = placed
                .iter()
                .map(|(row, _)| row.xray.patient.as_str())
                .collect();
            let numbers = summarise(
                &["energy", "uniform", "gain", "hits"],
                &patients,
                |chosen| {
                    let column = |of: &dyn Fn(&Placement) -> Option<f64>| {
                        let values: Vec<f64> =
                            chosen.iter().filter_map(|at| of(&placed[*at].1)).collect();
                        statistics::mean(&values)
                    };
                    let (energy, uniform) =
                        (column(&|p| Some(p.energy)), column(&|p| Some(p.uniform)));
                    // The ratio of means: a mean of ratios is the few pictures' with hardly any mask.
                    let gain = energy
                        .zip(uniform)
                        .filter(|(_, uniform)| *uniform > 0.0)
                        .map(|(e, u)| e / u);
                    vec![
                        energy,
                        uniform,
                        gain,
                        column(&|p| p.hit.map(|hit| f64::from(u8::from(hit)))),
                    ]
                },
            );
            result.insert(
                format!("{what}_{which}"),
                json!({"pictures": placed.len(), "numbers": numbers}),
            );
        }
    }
    Value::Object(result)
}
