//! Running the built command line in the project's folder.

use std::process::{Command, Output};

pub fn gradlens(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gradlens"));
    let folder = env!("CARGO_MANIFEST_DIR");
    command
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}
