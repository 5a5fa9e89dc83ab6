//! The `gradlens` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    gradlens::cli::run()
}
