//! The pictures of a survey as CSV and as Parquet, the same columns in both.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, StringArray};
use arrow_schema::{DataType, Field};

use super::super::batch::parquet::Parquet;
use super::super::failure::Failure;
use super::super::files;
use crate::survey::Picture;

/// A column.
enum Column {
    Text(Vec<Option<String>>),
    Number(Vec<Option<f64>>),
    Flag(Vec<Option<bool>>),
}

impl Column {
    fn kind(&self) -> DataType {
        match self {
            Column::Text(_) => DataType::Utf8,
            Column::Number(_) => DataType::Float64,
            Column::Flag(_) => DataType::Boolean,
        }
    }

    /// A cell as text; empty where there is none.
    fn cell(&self, row: usize) -> String {
        fn text<T: ToString>(values: &[Option<T>], row: usize) -> String {
            let value = values.get(row).and_then(Option::as_ref);
            value.map(ToString::to_string).unwrap_or_default()
        }
        match self {
            Column::Text(values) => text(values, row),
            Column::Number(values) => text(values, row),
            Column::Flag(values) => text(values, row),
        }
    }

    fn array(self) -> ArrayRef {
        match self {
            Column::Text(values) => Arc::new(StringArray::from(values)),
            Column::Number(values) => Arc::new(Float64Array::from(values)),
            Column::Flag(values) => Arc::new(BooleanArray::from(values)),
        }
    }
}

/// Writes both files.
pub fn write(
    csv: &Path,
    parquet: &Path,
    labels: &[String],
    pictures: &[Picture],
) -> Result<(), Failure> {
    let columns = columns(labels, pictures);
    let failed =
        |error: &dyn std::fmt::Display| Failure::of(csv, format!("cannot be written: {error}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let header = columns.iter().map(|(name, _)| name);
    writer
        .write_record(header)
        .map_err(|error| failed(&error))?;
    for row in 0..pictures.len() {
        let cells = columns.iter().map(|(_, column)| column.cell(row));
        writer.write_record(cells).map_err(|error| failed(&error))?;
    }
    files::write(csv, &writer.into_inner().map_err(|error| failed(&error))?)?;
    let fields = columns
        .iter()
        .map(|(name, column)| Field::new(name, column.kind(), true));
    let mut file = Parquet::begin(parquet, fields.collect())?;
    file.write(
        columns
            .into_iter()
            .map(|(_, column)| column.array())
            .collect(),
    )?;
    file.end()
}

fn columns(labels: &[String], pictures: &[Picture]) -> Vec<(String, Column)> {
    let label = |class: usize| labels.get(class).cloned();
    let text = |value: &dyn Fn(&Picture) -> Option<String>| {
        Column::Text(pictures.iter().map(value).collect())
    };
    let number = |value: &dyn Fn(&Picture) -> Option<f64>| {
        Column::Number(pictures.iter().map(value).collect())
    };
    let flag = |value: &dyn Fn(&Picture) -> Option<bool>| {
        Column::Flag(pictures.iter().map(value).collect())
    };
    let mut columns: Vec<(String, Column)> = vec![
        ("file".into(), text(&|picture| Some(picture.file.clone()))),
        (
            "patient".into(),
            text(&|picture| Some(picture.patient.clone())),
        ),
        ("truth".into(), text(&|picture| label(picture.truth?))),
        (
            "predicted".into(),
            text(&|picture| label(picture.measures.predicted)),
        ),
        (
            "explained".into(),
            text(&|picture| label(picture.measures.explained)),
        ),
        (
            "probability".into(),
            number(&|picture| Some(picture.measures.probability)),
        ),
        (
            "predicted_without_middle".into(),
            text(&|picture| label(picture.measures.without_middle)),
        ),
        (
            "probability_without_middle".into(),
            number(&|picture| Some(picture.measures.probability_without_middle)),
        ),
        (
            "predicted_without_rim".into(),
            text(&|picture| label(picture.measures.without_rim)),
        ),
        (
            "probability_without_rim".into(),
            number(&|picture| Some(picture.measures.probability_without_rim)),
        ),
        ("map_on_rim".into(), number(&|picture| picture.measures.rim)),
        (
            "peak_on_rim".into(),
            flag(&|picture| picture.measures.peak_on_rim),
        ),
        (
            "map_outside_lungs".into(),
            number(&|picture| picture.measures.outside_lungs),
        ),
        (
            "area_outside_lungs".into(),
            number(&|picture| picture.measures.outside_lungs_of_area),
        ),
        ("frontal".into(), flag(&|picture| picture.measures.frontal)),
        (
            "map_empty".into(),
            text(&|picture| picture.measures.empty.clone()),
        ),
    ];
    let groups: BTreeSet<&String> = pictures
        .iter()
        .flat_map(|picture| picture.groups.keys())
        .collect();
    for name in groups {
        // A column of the list that has a name of ours stays apart from it.
        let own = columns.iter().any(|(known, _)| known == name);
        let shown = if own {
            format!("list_{name}")
        } else {
            name.clone()
        };
        columns.push((shown, text(&|picture| picture.groups.get(name).cloned())));
    }
    columns
}
