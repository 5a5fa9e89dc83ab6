//! A whole data set under one classifier: what its heat maps and its scores have in common, and what that says of the classifier.

mod findings;
mod measure;
mod summary;

pub use findings::{Finding, findings};
pub use measure::{Measures, measure};
pub use summary::{Class, Estimate, Group, MeanMap, Picture, Summary, summarize};
