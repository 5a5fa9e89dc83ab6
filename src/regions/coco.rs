//! Proposals as COCO JSON, which tools for labelling read.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Proposal;
use crate::model::Label;
use crate::report::Report;

/// A data set of one picture, as COCO writes object detection and segmentation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Coco {
    /// Where the proposals come from, and what they are not.
    pub info: Value,
    /// None: the picture is the user's.
    pub licenses: Vec<Value>,
    /// The picture.
    pub images: Vec<Image>,
    /// The model's classes.
    pub categories: Vec<Category>,
    /// The proposals.
    pub annotations: Vec<Annotation>,
}

/// A picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// 1.
    pub id: u64,
    /// Without its folder.
    pub file_name: String,
    /// In pixels, as displayed.
    pub width: u32,
    /// In pixels, as displayed.
    pub height: u32,
    /// Of the file's bytes.
    pub sha256: String,
}

/// A class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    /// The class's index and 1: readers take 0 for the background.
    pub id: u64,
    /// The label's id.
    pub name: String,
    /// The label's name for people.
    pub supercategory: String,
}

/// A proposal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Annotation {
    /// From 1.
    pub id: u64,
    /// 1.
    pub image_id: u64,
    /// The class explained.
    pub category_id: u64,
    /// One polygon: x, y, x, y, … in the picture's pixels.
    pub segmentation: Vec<Vec<f64>>,
    /// Left, top, width, height.
    pub bbox: [f64; 4],
    /// Pixels.
    pub area: usize,
    /// 0: a single object.
    pub iscrowd: u8,
    /// The largest value of the map inside, as a share of the map's. No probability.
    pub score: f64,
    /// Method, layer, threshold; what it is.
    pub attributes: Value,
}

impl Coco {
    /// The proposals of a report's map at a threshold, a share of its largest value. `labels` are the model's.
    #[must_use]
    pub fn of(report: &Report, labels: &[Label], proposals: &[Proposal], threshold: f64) -> Coco {
        let explained = &report.explained;
        let attributes = |mean: f64| {
            json!({
                "what": "proposal, not a finding",
                "method": report.method,
                "layer": report.layer,
                "target": explained.target,
                "contrast": explained.contrast,
                "threshold": threshold,
                "mean": mean,
            })
        };
        Coco {
            info: json!({
                "description": "Proposals for annotations: where the heat map of a classifier is high. Not findings.",
                "contributor": format!("gradlens {}", crate::VERSION),
                "threshold": threshold,
                "model": report.model,
                "notice": report.notice,
            }),
            licenses: Vec::new(),
            images: vec![Image {
                id: 1,
                file_name: report.picture.name.clone(),
                width: report.picture.width,
                height: report.picture.height,
                sha256: report.picture.sha256.clone(),
            }],
            categories: (1..)
                .zip(labels)
                .map(|(id, label)| Category {
                    id,
                    name: label.id.clone(),
                    supercategory: label.name.clone(),
                })
                .collect(),
            annotations: (1..)
                .zip(proposals)
                .map(|(id, proposal)| Annotation {
                    id,
                    image_id: 1,
                    category_id: explained.index as u64 + 1,
                    segmentation: vec![proposal.outline.iter().flatten().copied().collect()],
                    bbox: proposal.bounds,
                    area: proposal.pixels,
                    iscrowd: 0,
                    score: proposal.peak,
                    attributes: attributes(proposal.mean),
                })
                .collect(),
        }
    }
}
