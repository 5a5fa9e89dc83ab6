//! Models that are opened, models that cannot be explained, and bytes that are no model: an error that says why, never a panic.
#![cfg(not(target_arch = "wasm32"))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a panic here is a failed test"
)]

#[path = "../common/mod.rs"]
mod common;
mod graphs;
mod opened;
mod refused;

use gradlens::model::{Limits, Model, onnx};
use proptest::prelude::*;

use graphs::sound;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_are_no_model(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Model::open(&bytes, None, "x").is_err());
    }

    #[test]
    fn a_mutated_model_is_read_or_refused(
        flips in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        keep in 0.5f64..=1.0,
    ) {
        let mut bytes = onnx::write(&sound());
        for (position, byte) in flips {
            let position = position.index(bytes.len());
            bytes[position] = byte;
        }
        bytes.truncate((bytes.len() as f64 * keep) as usize);
        // Whatever comes back, it comes back.
        if let Err(error) = onnx::read(&bytes, &Limits::default()) {
            prop_assert!(!error.to_string().contains('\n'));
        }
        let _ = Model::open(&bytes, None, "x");
    }
}
