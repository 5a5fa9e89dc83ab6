//! Results as one Parquet table, a row a picture, for Polars, DuckDB, Spark and the like.

use std::path::Path;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{
    BooleanBuilder, Float32Builder, ListBuilder, StringBuilder, UInt32Builder,
};
use arrow_schema::{DataType, Field};

use super::super::failure::Failure;
use super::parquet::{GROUP, Parquet};
use crate::report::Report;

/// A table that is being written.
pub struct Table {
    file: Parquet,
    labels: Vec<String>,
    rows: Rows,
}

/// What a row says: a result, or why there is none.
pub enum Row<'a> {
    Done(&'a Report),
    Failed(String),
}

/// Columns that are being filled.
#[derive(Default)]
struct Rows {
    count: usize,
    texts: [StringBuilder; 12],
    sizes: [UInt32Builder; 6],
    numbers: [Float32Builder; 6],
    flags: [BooleanBuilder; 3],
    probabilities: Vec<Float32Builder>,
    logits: Vec<Float32Builder>,
    map: ListBuilder<Float32Builder>,
}

const TEXTS: [&str; 12] = [
    "file",
    "picture",
    "picture_sha256",
    "model",
    "model_sha256",
    "predicted",
    "explained",
    "contrast",
    "method",
    "layer",
    "smooth",
    "problem",
];
const SIZES: [&str; 6] = [
    "width",
    "height",
    "region_x",
    "region_y",
    "region_width",
    "region_height",
];
const NUMBERS: [&str; 6] = [
    "map_min",
    "map_max",
    "map_mean",
    "map_peak_row",
    "map_peak_column",
    "gate_logit",
];
const FLAGS: [&str; 3] = ["map_empty", "gate_passed", "counterfactual"];

impl Table {
    /// Begins a table at `place` for a classifier of these labels.
    pub fn begin(place: &Path, labels: Vec<String>) -> Result<Table, Failure> {
        let text = |name: &&str| Field::new(*name, DataType::Utf8, true);
        let size = |name: &&str| Field::new(*name, DataType::UInt32, true);
        let number = |name: &str| Field::new(name, DataType::Float32, true);
        let flag = |name: &&str| Field::new(*name, DataType::Boolean, true);
        let mut fields: Vec<Field> = TEXTS.iter().map(text).collect();
        fields.extend(SIZES.iter().map(size));
        fields.extend(NUMBERS.iter().map(|name| number(name)));
        fields.extend(FLAGS.iter().map(flag));
        fields.extend(
            labels
                .iter()
                .map(|label| number(&format!("probability_{label}"))),
        );
        fields.extend(labels.iter().map(|label| number(&format!("logit_{label}"))));
        let item = Arc::new(Field::new("item", DataType::Float32, true));
        fields.push(Field::new("map", DataType::List(item), true));
        let mut table = Table {
            file: Parquet::begin(place, fields)?,
            rows: Rows::default(),
            labels,
        };
        table.rows = table.fresh();
        Ok(table)
    }

    fn fresh(&self) -> Rows {
        let columns = || self.labels.iter().map(|_| Float32Builder::new()).collect();
        Rows {
            probabilities: columns(),
            logits: columns(),
            ..Rows::default()
        }
    }

    /// Adds a picture's row.
    pub fn add(&mut self, file: &Path, row: &Row<'_>) -> Result<(), Failure> {
        self.rows.push(&file.to_string_lossy(), row);
        match self.rows.count >= GROUP {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        let fresh = self.fresh();
        let columns = std::mem::replace(&mut self.rows, fresh).finish();
        self.file.write(columns)
    }

    /// Ends the table and moves it to its place.
    pub fn end(mut self) -> Result<(), Failure> {
        self.flush()?;
        self.file.end()
    }
}

impl Rows {
    fn push(&mut self, file: &str, row: &Row<'_>) {
        self.count += 1;
        let report = match row {
            Row::Done(report) => Some(*report),
            Row::Failed(_) => None,
        };
        let problem = match row {
            Row::Done(_) => None,
            Row::Failed(problem) => Some(problem.as_str()),
        };
        let best = report.and_then(Report::best);
        let layers = report.map(|report| report.manner().layers.join("\n"));
        let smooth = report.map(|report| {
            let ways = report.smooth.iter();
            ways.map(ToString::to_string).collect::<Vec<_>>().join(",")
        });
        let texts = [
            Some(file),
            report.map(|report| report.picture.name.as_str()),
            report.map(|report| report.picture.sha256.as_str()),
            report.map(|report| report.model.id.as_str()),
            report.map(|report| report.model.sha256.as_str()),
            best.map(|score| score.label.as_str()),
            report.map(|report| report.explained.label.as_str()),
            report.and_then(|report| report.explained.contrast.as_deref()),
            report.map(|report| report.method.as_str()),
            layers.as_deref(),
            smooth.as_deref(),
            problem,
        ];
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.append_option(text);
        }
        let sizes = report.map(|report| {
            let (picture, region) = (&report.picture, &report.preprocessing.region);
            [
                picture.width,
                picture.height,
                region.x,
                region.y,
                region.width,
                region.height,
            ]
        });
        for (at, column) in self.sizes.iter_mut().enumerate() {
            column.append_option(sizes.and_then(|sizes| sizes.get(at).copied()));
        }
        let gate = report.and_then(|report| report.companion.as_ref()?.gate.as_ref());
        let peak = report.and_then(|report| {
            let highest = report.map.highest()?;
            Some((
                highest / report.map.width.max(1),
                highest % report.map.width.max(1),
            ))
        });
        let mean = report
            .filter(|report| !report.map.values.is_empty())
            .map(|report| {
                let sum: f64 = report
                    .map
                    .values
                    .iter()
                    .map(|value| f64::from(*value))
                    .sum();
                (sum / report.map.values.len() as f64) as f32
            });
        let numbers = [
            report.map(|report| report.map.min),
            report.map(|report| report.map.max),
            mean,
            peak.map(|peak| peak.0 as f32),
            peak.map(|peak| peak.1 as f32),
            gate.map(|gate| gate.logit),
        ];
        for (column, number) in self.numbers.iter_mut().zip(numbers) {
            column.append_option(number);
        }
        let flags = [
            report.map(|report| report.map.empty.is_some()),
            gate.map(|gate| gate.passed),
            report.map(|report| report.explained.counterfactual),
        ];
        for (column, flag) in self.flags.iter_mut().zip(flags) {
            column.append_option(flag);
        }
        let score = |at: usize| report.and_then(|report| report.scores.get(at));
        for (at, column) in self.probabilities.iter_mut().enumerate() {
            column.append_option(score(at).map(|score| score.probability));
        }
        for (at, column) in self.logits.iter_mut().enumerate() {
            column.append_option(score(at).map(|score| score.logit));
        }
        if let Some(report) = report {
            self.map.values().append_slice(&report.map.values);
        }
        self.map.append(report.is_some());
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        let mut columns: Vec<ArrayRef> = Vec::new();
        columns.extend(
            self.texts
                .iter_mut()
                .map(|column| Arc::new(column.finish()) as ArrayRef),
        );
        columns.extend(
            self.sizes
                .iter_mut()
                .map(|column| Arc::new(column.finish()) as ArrayRef),
        );
        columns.extend(
            self.numbers
                .iter_mut()
                .map(|column| Arc::new(column.finish()) as ArrayRef),
        );
        columns.extend(
            self.flags
                .iter_mut()
                .map(|column| Arc::new(column.finish()) as ArrayRef),
        );
        columns.extend(
            self.probabilities
                .iter_mut()
                .map(|column| Arc::new(column.finish()) as ArrayRef),
        );
        columns.extend(
            self.logits
                .iter_mut()
                .map(|column| Arc::new(column.finish()) as ArrayRef),
        );
        columns.push(Arc::new(self.map.finish()));
        columns
    }
}
