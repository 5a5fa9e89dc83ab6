//! Ed25519 keys in files, and reports signed and checked with them.

use std::path::Path;

use base64ct::{Base64, Encoding as _};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use serde_json::Value;

use super::failure::Failure;
use super::files;
use crate::report::Report;
use crate::report::signature::{ALGORITHM, FIELD, Signature, canonical};

/// Makes a key and writes it as PKCS #8 PEM, as `openssl genpkey -algorithm ed25519` does. An existing file is left alone.
pub fn make(file: &Path) -> Result<SigningKey, Failure> {
    if file.exists() {
        return Err(Failure::of(file, "exists; a key is not overwritten"));
    }
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)
        .map_err(|error| Failure::usage(format!("no random numbers: {error}")))?;
    let key = SigningKey::from_bytes(&secret);
    let pem = key
        .to_pkcs8_pem(LineEnding::LF)
        .map_err(|error| Failure::of(file, error))?;
    files::write_secret(file, pem.as_bytes())?;
    Ok(key)
}

/// Reads a private key: PKCS #8 PEM.
pub fn private(file: &Path) -> Result<SigningKey, Failure> {
    let text = String::from_utf8(files::read(file)?).unwrap_or_default();
    SigningKey::from_pkcs8_pem(&text).map_err(|_| {
        Failure::of(
            file,
            "is no Ed25519 private key (PKCS #8 PEM, `gradlens key` makes one)",
        )
    })
}

/// Reads a public key: base64 of its 32 bytes, or a PEM file of a public or private key.
pub fn public(given: &str) -> Result<VerifyingKey, Failure> {
    let mut bytes = [0; 32];
    if let Ok(32) = Base64::decode(given, &mut bytes).map(<[u8]>::len) {
        return VerifyingKey::from_bytes(&bytes)
            .map_err(|_| Failure::usage(format!("'{given}' is no Ed25519 key")));
    }
    let file = Path::new(given);
    let text = String::from_utf8(files::read(file)?).unwrap_or_default();
    VerifyingKey::from_public_key_pem(&text)
        .ok()
        .or_else(|| {
            SigningKey::from_pkcs8_pem(&text)
                .ok()
                .map(|key| key.verifying_key())
        })
        .ok_or_else(|| Failure::of(file, "is no Ed25519 key (PEM, or 32 bytes in base64)"))
}

/// A public key as reports and `--key` write it.
pub fn written(key: &VerifyingKey) -> String {
    Base64::encode_string(key.as_bytes())
}

/// The signature of a report.
fn sign(key: &SigningKey, report: &Value) -> Result<Signature, String> {
    let signature = key.sign(&canonical(report)?);
    Ok(Signature {
        algorithm: ALGORITHM.into(),
        key: written(&key.verifying_key()),
        value: Base64::encode_string(&signature.to_bytes()),
    })
}

/// Puts a signature into a report.
pub fn sign_report(key: &SigningKey, report: &mut Report) -> Result<(), String> {
    // Through text: a number is signed as it is written, with the digits that an f32 needs.
    let text = serde_json::to_string(report).map_err(|error| error.to_string())?;
    let json = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    report.signature = Some(sign(key, &json)?);
    Ok(())
}

/// Whether a report bears a valid signature, by `key` where one is asked for; the line says why not. A report without a signature
/// is valid where none is asked for.
pub fn check(report: &Value, key: Option<&VerifyingKey>) -> Result<(), String> {
    let Some(signature) = report.get(FIELD) else {
        return match key {
            Some(_) => Err("it bears no signature".into()),
            None => Ok(()),
        };
    };
    let signature: Signature = serde_json::from_value(signature.clone())
        .map_err(|error| format!("it is none: {error}"))?;
    if signature.algorithm != ALGORITHM {
        return Err(format!(
            "its algorithm is '{}', not {ALGORITHM}",
            signature.algorithm
        ));
    }
    let (mut own, mut value) = ([0; 32], [0; 64]);
    let decoded = |text: &str, into: &mut [u8]| {
        let length = into.len();
        Base64::decode(text, into).is_ok_and(|bytes| bytes.len() == length)
    };
    if !decoded(&signature.key, &mut own) || !decoded(&signature.value, &mut value) {
        return Err("its key or value is not base64 of 32 and 64 bytes".into());
    }
    let own = VerifyingKey::from_bytes(&own).map_err(|_| "its key is no Ed25519 key")?;
    if key.is_some_and(|key| *key != own) {
        return Err(format!("it is by another key, {}", signature.key));
    }
    // Strict: no weak keys, no two signatures of one text.
    own.verify_strict(
        &canonical(report)?,
        &ed25519_dalek::Signature::from_bytes(&value),
    )
    .map_err(|_| "the report was changed after it was signed".into())
}
