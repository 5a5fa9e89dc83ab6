//! `gradlens key`: a key to sign reports with.

use std::process::ExitCode;

use super::{Outcome, args, keys, say};

pub fn run(arguments: &args::Key) -> Outcome {
    let key = match arguments.public {
        true => keys::private(&arguments.file)?,
        false => keys::make(&arguments.file)?,
    };
    say(&keys::written(&key.verifying_key()));
    Ok(ExitCode::SUCCESS)
}
