//! The X-rays: manifest.csv, pictures and masks.

use std::path::{Path, PathBuf};

use gradlens::evidence::Mask;
use gradlens::image::{Limits, decode};
use serde::Deserialize;

use crate::Outcome;

/// A row of manifest.csv.
#[derive(Debug, Clone, Deserialize)]
pub struct XRay {
    pub file: PathBuf,
    pub split: String,
    pub class: String,
    pub source: String,
    pub patient: String,
    pub view: String,
    lungs: String,
    lesions: String,
    devices: String,
    #[serde(skip)]
    root: PathBuf,
}

/// What radiologists and annotators marked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Marked {
    Lungs,
    Lesions,
    Devices,
}

impl XRay {
    /// The picture's bytes.
    pub fn bytes(&self) -> Outcome<Vec<u8>> {
        let path = self.root.join(&self.file);
        Ok(std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?)
    }

    /// A mask of the picture, where there is one.
    pub fn mask(&self, of: Marked) -> Outcome<Option<Mask>> {
        let name = match of {
            Marked::Lungs => &self.lungs,
            Marked::Lesions => &self.lesions,
            Marked::Devices => &self.devices,
        };
        if name.is_empty() {
            return Ok(None);
        }
        let bytes = std::fs::read(self.root.join(name))?;
        let mask = decode(&bytes, &Limits::default()).map_err(|error| format!("{name} {error}"))?;
        Ok(Some(Mask::of_picture(&mask)))
    }
}

/// All X-rays of a folder.
pub fn read(folder: &Path) -> Outcome<Vec<XRay>> {
    let mut rows = csv::Reader::from_path(folder.join("manifest.csv"))?;
    let mut xrays = Vec::new();
    for row in rows.deserialize() {
        let xray: XRay = row?;
        xrays.push(XRay {
            root: folder.to_owned(),
            ..xray
        });
    }
    Ok(xrays)
}
