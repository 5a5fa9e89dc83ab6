//! Reports from files: one, several a line each, or whole folders of them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize as _;
use serde_json::Value;

use super::failure::Failure;
use super::files;
use crate::report::{Report, SCHEMA};

/// A report and where it was found: `FILE` or `FILE:LINE`.
#[derive(Debug)]
pub struct Claim {
    /// Where.
    pub from: String,
    /// What it says, or why it is no report.
    pub report: Result<Box<Report>, String>,
    /// The JSON that it was, for its signature.
    pub json: Value,
}

/// Reads every report of `paths`. Of a folder's JSON files those that are no reports are passed over in silence.
pub fn read(paths: &[PathBuf]) -> (Vec<Claim>, Vec<Failure>) {
    let (mut claims, mut failures) = (Vec::new(), Vec::new());
    for path in paths {
        let given = path.is_file();
        let found = if path.is_dir() {
            files::below(path)
        } else {
            Ok(vec![path.clone()])
        };
        let found = found.unwrap_or_else(|failure| {
            failures.push(failure);
            Vec::new()
        });
        for file in found
            .iter()
            .filter(|file| given || !path.is_dir() || is_json(file))
        {
            match fs::read_to_string(file) {
                Ok(text) => claims.extend(of_text(file, &text, given)),
                Err(error) => failures.push(Failure::of(file, files::reason(&error))),
            }
        }
    }
    (claims, failures)
}

fn is_json(file: &Path) -> bool {
    let ending = file.extension().unwrap_or_default().to_ascii_lowercase();
    ending == "json" || ending == "jsonl"
}

/// The reports in a text: one value, a list of them, or a value a line.
fn of_text(file: &Path, text: &str, given: bool) -> Vec<Claim> {
    let place = file.display();
    let values: Vec<(String, Result<Value, String>)> = match serde_json::from_str(text) {
        Ok(Value::Array(values)) => {
            let numbered = values.into_iter().enumerate();
            numbered
                .map(|(at, value)| (format!("{place}[{at}]"), Ok(value)))
                .collect()
        }
        Ok(value) => vec![(place.to_string(), Ok(value))],
        Err(whole) => {
            let lines = text
                .lines()
                .enumerate()
                .filter(|(_, line)| !line.trim().is_empty());
            let parsed: Vec<_> = lines
                .map(|(at, line)| {
                    let value = serde_json::from_str(line).map_err(|error| error.to_string());
                    (format!("{place}:{}", at + 1), value)
                })
                .collect();
            match parsed.iter().any(|(_, value)| value.is_ok()) {
                true => parsed,
                false => vec![(place.to_string(), Err(whole.to_string()))],
            }
        }
    };
    let claims = values.into_iter().map(|(from, value)| match value {
        Ok(json) => Claim {
            from,
            report: report(&json),
            json,
        },
        Err(error) => Claim {
            from,
            report: Err(format!("is not JSON: {error}")),
            json: Value::Null,
        },
    });
    claims
        .filter(|claim| given || claim.report.is_ok())
        .collect()
}

fn report(value: &Value) -> Result<Box<Report>, String> {
    match value.get("schema").and_then(Value::as_str) {
        Some(SCHEMA) => Report::deserialize(value)
            .map(Box::new)
            .map_err(|error| format!("is no whole report: {error}")),
        Some(other) => Err(format!(
            "has the schema '{other}', this version checks '{SCHEMA}'"
        )),
        None => Err("is no gradlens report: it names no schema".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_line_leaves_the_others() {
        let claims = of_text(
            Path::new("x.jsonl"),
            "{\"schema\": \"a/1\"}\n\n{\"sch",
            true,
        );
        let told: Vec<_> = claims
            .iter()
            .map(|claim| {
                (
                    claim.from.as_str(),
                    claim.report.as_ref().unwrap_err().as_str(),
                )
            })
            .collect();
        assert_eq!(told[0].0, "x.jsonl:1");
        assert!(told[0].1.contains("'a/1'"));
        assert_eq!(told[1].0, "x.jsonl:3");
        assert!(told[1].1.starts_with("is not JSON"));
        assert_eq!(of_text(Path::new("x.json"), "nonsense", true).len(), 1);
        assert!(of_text(Path::new("package.json"), "{}", false).is_empty());
    }
}
