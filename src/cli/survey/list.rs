//! The list of a data set: pictures with their truth, patient and groups.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::batch::pictures::{COLUMNS, beside};
use super::super::failure::Failure;
use crate::model::Manifest;

/// Columns, in this order, that may hold the true class.
const TRUTHS: [&str; 3] = ["truth", "label", "class"];

/// Columns, in this order, that may hold the patient.
const PATIENTS: [&str; 3] = ["patient", "patient_id", "subject"];

/// A row of the list.
pub struct Entry {
    pub file: PathBuf,
    pub truth: Option<usize>,
    pub patient: String,
    pub groups: BTreeMap<String, String>,
}

/// The rows of a list.
pub struct List {
    pub entries: Vec<Entry>,
}

impl List {
    /// Reads a CSV file; a truth that is no class of the model's is an error.
    pub fn read(list: &Path, manifest: &Manifest) -> Result<List, Failure> {
        let failed = |error: csv::Error| Failure::of(list, format!("is no table: {error}"));
        let mut reader = csv::Reader::from_path(list).map_err(failed)?;
        let header: Vec<String> = reader
            .headers()
            .map_err(failed)?
            .iter()
            .map(|name| name.trim().to_owned())
            .collect();
        let find = |names: &[&str]| {
            let place = |name: &&str| {
                header
                    .iter()
                    .position(|column| column.eq_ignore_ascii_case(name))
            };
            names.iter().find_map(place)
        };
        let [file, truth, patient] = [&COLUMNS[..], &TRUTHS, &PATIENTS].map(find);
        let file = file.ok_or_else(|| {
            Failure::of(
                list,
                format!("has none of the columns {}", COLUMNS.join(", ")),
            )
        })?;
        let special = [Some(file), truth, patient];
        let mut entries = Vec::new();
        for (at, row) in reader.records().enumerate() {
            let row = row.map_err(failed)?;
            let cell = |column: Option<usize>| {
                let text = row.get(column?)?.trim();
                (!text.is_empty()).then(|| text.to_owned())
            };
            let Some(name) = cell(Some(file)) else {
                continue;
            };
            let truth = cell(truth).map(|label| {
                manifest.class_index(&label).ok_or_else(|| {
                    let known: Vec<&str> = manifest
                        .labels
                        .iter()
                        .map(|label| label.id.as_str())
                        .collect();
                    let known = known.join(", ");
                    Failure::of(
                        list,
                        format!(
                            "row {}: there is no class '{label}'; the classes are {known}",
                            at + 2
                        ),
                    )
                })
            });
            let groups = (0..header.len()).filter(|column| !special.contains(&Some(*column)));
            let groups =
                groups.filter_map(|column| Some((header[column].clone(), cell(Some(column))?)));
            entries.push(Entry {
                file: beside(list, &name),
                truth: truth.transpose()?,
                patient: cell(patient).unwrap_or_else(|| name.clone()),
                groups: groups.collect(),
            });
        }
        match entries.is_empty() {
            true => Err(Failure::of(list, "lists no pictures")),
            false => Ok(List { entries }),
        }
    }
}
