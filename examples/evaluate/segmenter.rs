//! The segmenter's numbers: overlap with drawn lungs, and what its gate lets pass.

use gradlens::evidence::{Mask, statistics};
use gradlens::image::{Limits, decode};
use gradlens::lungs::Lungs;
use indicatif::ParallelProgressIterator as _;
use rayon::prelude::*;
use serde_json::{Map, Value, json};

use crate::Outcome;
use crate::data::{Marked, XRay};
use crate::summary::summarise;

/// What the segmenter made of a picture.
struct Row<'a> {
    xray: &'a XRay,
    dice: Option<f64>,
    found: bool,
    passed: bool,
}

/// Everything about the segmenter, as `measured.json` holds it.
pub fn evaluate(lungs: &Lungs, xrays: &[XRay]) -> Outcome<Value> {
    let rows: Vec<Row<'_>> = xrays
        .par_iter()
        .progress()
        .map(|xray| look(lungs, xray))
        .collect::<Outcome<_>>()?;
    let mut result = Map::new();
    for split in ["train", "val", "test", "external"] {
        println!(" {split}");
        let rows: Vec<&Row<'_>> = rows.iter().filter(|row| row.xray.split == split).collect();
        let patients: Vec<&str> = rows.iter().map(|row| row.xray.patient.as_str()).collect();
        let numbers = summarise(
            &["dice", "lungs_found", "passes_gate"],
            &patients,
            |chosen| {
                let column = |of: &dyn Fn(&Row<'_>) -> Option<f64>| {
                    let values: Vec<f64> = chosen.iter().filter_map(|at| of(rows[*at])).collect();
                    statistics::mean(&values)
                };
                let yes = |yes: bool| Some(f64::from(u8::from(yes)));
                vec![
                    column(&|row| row.dice),
                    column(&|row| yes(row.found)),
                    column(&|row| yes(row.passed)),
                ]
            },
        );
        let masks = rows.iter().filter(|row| row.dice.is_some()).count();
        result.insert(
            split.into(),
            json!({"pictures": rows.len(), "masks": masks, "metrics": numbers}),
        );
    }
    Ok(Value::Object(result))
}

fn look<'a>(lungs: &Lungs, xray: &'a XRay) -> Outcome<Row<'a>> {
    let picture = decode(&xray.bytes()?, &Limits::default())?;
    let fields = lungs.look(&picture)?;
    let found = Mask::of_lungs(&fields, picture.width(), picture.height());
    let drawn = xray.mask(Marked::Lungs)?;
    Ok(Row {
        xray,
        dice: drawn.map(|drawn| found.as_ref().map_or(0.0, |found| found.dice(&drawn))),
        found: found.is_some(),
        passed: fields.is_frontal(),
    })
}
