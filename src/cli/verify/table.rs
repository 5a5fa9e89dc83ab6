//! Verdicts as one Parquet table, a row a report.

use std::path::Path;
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{Float64Builder, ListBuilder, StringBuilder, UInt32Builder};
use arrow_schema::{DataType, Field};

use super::super::batch::parquet::{GROUP, Parquet};
use super::super::failure::Failure;
use crate::verdict::Check;

/// A table that is being written.
pub struct Table {
    file: Parquet,
    rows: Rows,
}

const TEXTS: [&str; 8] = [
    "report", "sha256", "picture", "model", "verdict", "reason", "key", "models",
];
const NUMBERS: [&str; 7] = [
    "in_tolerances",
    "scores",
    "map",
    "cosine",
    "tolerance_score",
    "tolerance_map",
    "tolerance_cosine",
];

/// Columns that are being filled.
#[derive(Default)]
struct Rows {
    count: usize,
    texts: [StringBuilder; 8],
    numbers: [Float64Builder; 7],
    differences: UInt32Builder,
    what: ListBuilder<StringBuilder>,
}

impl Table {
    /// Begins a table at `place`.
    pub fn begin(place: &Path) -> Result<Table, Failure> {
        let text = |name: &&str| Field::new(*name, DataType::Utf8, true);
        let number = |name: &&str| Field::new(*name, DataType::Float64, true);
        let mut fields: Vec<Field> = TEXTS.iter().map(text).collect();
        fields.extend(NUMBERS.iter().map(number));
        fields.push(Field::new("differences", DataType::UInt32, true));
        let item = Arc::new(Field::new("item", DataType::Utf8, true));
        fields.push(Field::new("what", DataType::List(item), true));
        Ok(Table {
            file: Parquet::begin(place, fields)?,
            rows: Rows::default(),
        })
    }

    /// Adds a verdict's row.
    pub fn add(&mut self, check: &Check) -> Result<(), Failure> {
        self.rows.push(check);
        match self.rows.count >= GROUP {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.file.write(std::mem::take(&mut self.rows).finish())
    }

    /// Ends the table and moves it to its place.
    pub fn end(mut self) -> Result<(), Failure> {
        self.flush()?;
        self.file.end()
    }
}

impl Rows {
    fn push(&mut self, check: &Check) {
        self.count += 1;
        let (found, under) = (&check.comparison, &check.under);
        let texts = [
            Some(check.report.as_str()),
            Some(&check.sha256),
            Some(&check.picture),
            Some(&check.model),
            Some(check.verdict.words()),
            check.reason.as_deref(),
            under.key.as_deref(),
            Some(&under.models),
        ];
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.append_option(text);
        }
        let numbers = [
            found.in_tolerances,
            found.scores,
            found.map,
            found.cosine,
            Some(under.tolerances.score),
            Some(under.tolerances.map),
            Some(under.tolerances.cosine),
        ];
        for (column, number) in self.numbers.iter_mut().zip(numbers) {
            column.append_option(number);
        }
        let differences = u32::try_from(found.differences.len()).unwrap_or(u32::MAX);
        self.differences.append_value(differences);
        for difference in &found.differences {
            self.what.values().append_value(&difference.what);
        }
        self.what.append(true);
    }

    fn finish(mut self) -> Vec<ArrayRef> {
        let texts = self
            .texts
            .iter_mut()
            .map(|one| Arc::new(one.finish()) as ArrayRef);
        let mut columns: Vec<ArrayRef> = texts.collect();
        let numbers = self.numbers.iter_mut();
        columns.extend(numbers.map(|one| Arc::new(one.finish()) as ArrayRef));
        columns.push(Arc::new(self.differences.finish()));
        columns.push(Arc::new(self.what.finish()));
        columns
    }
}
