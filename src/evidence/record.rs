//! All checks of one map, as they are written down.

use serde::{Deserialize, Serialize};

use super::{Check, Finding, Silence, Subject};
use crate::explain::ExplainError;
use crate::report::Report;

/// The schema that [`Evidence`] is written in.
pub const SCHEMA: &str = "gradlens.evidence/1";

/// What the checks say of one map, schema `gradlens.evidence/1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Always [`SCHEMA`].
    pub schema: String,
    /// What is checked.
    pub report: Report,
    /// One entry a check.
    pub checks: Vec<Entry>,
    /// The words that belong to every result.
    pub notice: String,
}

/// What one check says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The check's id.
    pub check: String,
    /// Its name for people.
    pub name: String,
    /// What it computes.
    pub about: String,
    /// What it found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<Finding>,
    /// Why it found nothing, where it found nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nothing: Option<String>,
    /// What it does not say.
    pub does_not_say: String,
}

impl Evidence {
    /// Asks each of `checks` about the map of a report.
    ///
    /// # Errors
    /// [`ExplainError`] where a pass fails or who waits has had enough.
    pub fn gather(
        report: Report,
        subject: &Subject<'_>,
        checks: &[&dyn Check],
    ) -> Result<Evidence, ExplainError> {
        let entries: Result<Vec<Entry>, ExplainError> = checks
            .iter()
            .map(|check| Entry::of(*check, subject))
            .collect();
        Ok(Evidence {
            schema: SCHEMA.into(),
            checks: entries?,
            notice: report.notice.clone(),
            report,
        })
    }
}

impl Entry {
    /// Asks a check.
    ///
    /// # Errors
    /// As [`Evidence::gather`].
    pub fn of(check: &dyn Check, subject: &Subject<'_>) -> Result<Entry, ExplainError> {
        let asked = match &subject.map.empty {
            Some(why) => Err(Silence::Nothing(why.clone())),
            None => check.find(subject),
        };
        let (found, nothing) = match asked {
            Ok(found) => (Some(found), None),
            Err(Silence::Nothing(why)) => (None, Some(why)),
            Err(Silence::Failed(error)) => return Err(error),
        };
        Ok(Entry {
            check: check.id().into(),
            name: check.name().into(),
            about: check.about().into(),
            found,
            nothing,
            does_not_say: check.limits().into(),
        })
    }
}
