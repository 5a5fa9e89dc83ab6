//! Who made a report: an Ed25519 signature over its canonical JSON (RFC 8032, RFC 8785).

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The field of a report that holds its signature, and that the signature leaves out.
pub const FIELD: &str = "signature";

/// The one algorithm.
pub const ALGORITHM: &str = "Ed25519";

/// A signature, as a report carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Always [`ALGORITHM`].
    pub algorithm: String,
    /// The public key, 32 bytes in base64.
    pub key: String,
    /// The signature, 64 bytes in base64.
    pub value: String,
}

/// The bytes that are signed: the report without its signature, its keys sorted, without spaces, its numbers as ECMAScript writes
/// them (RFC 8785, JSON Canonicalization Scheme).
///
/// # Errors
/// A line: the report is no JSON object, or holds what JSON cannot say.
pub fn canonical(report: &Value) -> Result<Vec<u8>, String> {
    let Value::Object(fields) = report else {
        return Err("a report is a JSON object".into());
    };
    let mut fields = fields.clone();
    fields.remove(FIELD);
    serde_jcs::to_vec(&fields).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canonical_form_is_that_of_the_rfc() {
        // RFC 8785, section 3.2.2 and 3.2.3, with a signature that is left out.
        let report = r#"{
            "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
            "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
            "literals": [null, true, false],
            "signature": {"value": "x"}
        }"#;
        let report: Value = serde_json::from_str(report).unwrap();
        let expected = concat!(
            r#"{"literals":[null,true,false],"#,
            r#""numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"#,
            r#""string":"€$\u000f\nA'B\"\\\\\"/"}"#
        );
        let found = String::from_utf8(canonical(&report).unwrap()).unwrap();
        assert_eq!(found, expected);
        assert!(canonical(&Value::Null).is_err());
    }
}
