//! A report as it was handed in, before anything is believed of it.

use serde::Deserialize as _;
use serde_json::Value;

use crate::model::sha256_hex;
use crate::report::{Report, SCHEMA};

/// Bytes that one report may have: enough for a map of a million values.
pub const MOST_BYTES: usize = 16 << 20;

/// A report and where it was found: `FILE`, `FILE:LINE` or `FILE[POSITION]`.
#[derive(Debug)]
pub struct Claim {
    /// Where.
    pub from: String,
    /// sha256 of its bytes.
    pub sha256: String,
    /// What it says, or why it is no report.
    pub report: Result<Box<Report>, String>,
    /// The JSON that it was, for its signature.
    pub json: Value,
}

impl Claim {
    /// Reads a report's bytes; what is wrong with them is part of the claim.
    pub fn read(from: String, bytes: &[u8]) -> Claim {
        let sha256 = sha256_hex(bytes);
        if bytes.len() > MOST_BYTES {
            return Claim::refused(from, sha256, too_large(bytes.len() as u64));
        }
        match serde_json::from_slice(bytes) {
            Ok(json) => Claim {
                from,
                sha256,
                report: report(&json),
                json,
            },
            Err(error) => Claim::refused(from, sha256, format!("is not JSON: {error}")),
        }
    }

    /// Something that is no report, whatever it says.
    pub fn refused(from: String, sha256: String, reason: String) -> Claim {
        Claim {
            from,
            sha256,
            report: Err(reason),
            json: Value::Null,
        }
    }
}

/// Why a report of so many bytes is not read.
pub fn too_large(bytes: u64) -> String {
    format!("is too large for a report: {bytes} bytes, the limit is {MOST_BYTES}")
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
    fn what_is_no_report_is_told() {
        let told = |bytes: &[u8]| Claim::read("x".into(), bytes).report.unwrap_err();
        assert!(told(b"{\"schema\": \"a/1\"}").contains("'a/1'"));
        assert!(told(b"{\"schema\": \"gradlens.report/1\"}").starts_with("is no whole report"));
        assert!(told(b"{}").contains("no schema"));
        assert!(told(b"{\"sch").starts_with("is not JSON"));
        assert!(told(b"\xff\xfe").starts_with("is not JSON"));
        assert!(told(&vec![b' '; MOST_BYTES + 1]).contains("too large"));
        assert!(told("[".repeat(100_000).as_bytes()).starts_with("is not JSON"));
    }
}
