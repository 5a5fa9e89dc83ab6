//! Writes the JavaScript module and the final WebAssembly file for the page: `gradlens-bindgen IN.wasm FOLDER`. With `GRADLENS_NAMES` set, functions keep their
//! names.

use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [wasm, folder] = arguments.as_slice() else {
        eprintln!("usage: gradlens-bindgen IN.wasm FOLDER");
        return ExitCode::from(2);
    };
    match bind(wasm, folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("{wasm}: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn bind(wasm: &str, folder: &str) -> Result<(), String> {
    Bindgen::new()
        .input_path(wasm)
        .out_name("gradlens")
        .typescript(true)
        .remove_name_section(std::env::var_os("GRADLENS_NAMES").is_none_or(|names| names.is_empty()))
        .web(true)
        .and_then(|bindgen| bindgen.generate(folder))
        .map_err(|error| format!("{error:#}"))
}
