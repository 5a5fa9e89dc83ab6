//! Compiles the CUDA kernels with NVRTC, NVIDIA's compiler as a library; no GPU is needed. docs/cuda.md says where it comes from.
//!
//! `cargo run --release --features cuda --example ptx -- --check` says whether the committed PTX is what NVRTC makes of the kernels;
//! without `--check` it writes it.

use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use cudarc::nvrtc::{CompileOptions, compile_ptx_with_opts, sys};
use gradlens::engine::cuda::kernels::Set;

/// Where the PTX lies.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/engine/cuda/kernels");

fn main() -> Result<ExitCode, Box<dyn Error>> {
    // SAFETY: it only tries to load the library by its name.
    #[allow(
        unsafe_code,
        reason = "cudarc ends the program where the library is missing"
    )]
    let is_present = unsafe { sys::is_culib_present() };
    if !is_present {
        eprintln!(
            "NVRTC is missing: pip install nvidia-cuda-nvrtc-cu12==12.2.140, and name its folder `lib` in LD_LIBRARY_PATH"
        );
        return Ok(ExitCode::from(2));
    }
    let only_check = std::env::args().any(|argument| argument == "--check");
    let mut all_same = true;
    for set in Set::ALL {
        let made = compiled(set)?;
        let file = Path::new(FOLDER).join(set.file());
        let kernels = made.matches(".entry ").count();
        let same = std::fs::read_to_string(&file).is_ok_and(|committed| committed == made);
        if only_check {
            let state = if same { "theirs" } else { "of another text" };
            println!(
                "{kernels} kernels compile for {}; {} is {state}",
                set.architecture(),
                set.file()
            );
        } else {
            std::fs::write(&file, made)?;
            println!("{kernels} kernels compiled for {}", set.architecture());
        }
        all_same &= same;
    }
    Ok(if only_check && !all_same {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The PTX of a set, stamped.
fn compiled(set: Set) -> Result<String, Box<dyn Error>> {
    let options = CompileOptions {
        // A newer card's driver compiles it on.
        arch: Some(set.architecture()),
        // A product and a sum are joined only where the text says so: the same on every card, and on the processor of the tests.
        fmad: Some(false),
        name: Some("kernels.cu".into()),
        ..CompileOptions::default()
    };
    let compiled =
        compile_ptx_with_opts(set.source(), options).map_err(|error| format!("{error:?}"))?;
    Ok(format!(
        "{}\n{}\n",
        set.stamp(),
        compiled.to_src().trim_end_matches(['\0', '\n'])
    ))
}
