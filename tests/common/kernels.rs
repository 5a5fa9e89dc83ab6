//! A GPU that is none: it runs the text of the kernels, compiled as plain C, on this processor. What it cannot show is the launch itself.
#![allow(
    unsafe_code,
    reason = "it calls what it compiled, with addresses, as a GPU does"
)]

use std::collections::HashMap;
use std::process::Command;
use std::sync::Arc;

use gradlens::engine::EngineError;
use gradlens::engine::cuda::kernels::Set;
use gradlens::engine::cuda::{Cuda, Gpu, Memory, Precision};
use libloading::Library;

/// The engine on kernels that the C compiler made.
pub fn engine(precision: Precision) -> Cuda {
    let libraries = Set::ALL.map(compiled);
    Cuda::on(Arc::new(Processor(Arc::new(libraries))), precision)
}

fn compiled(set: Set) -> Library {
    let folder = tempfile::tempdir().unwrap();
    let [text, library] = ["kernels.c", "kernels.so"].map(|name| folder.path().join(name));
    std::fs::write(&text, set.source()).unwrap();
    // As on a GPU no product is joined with a sum unless the text says so.
    let flags = "-std=gnu11 -O2 -march=native -ffp-contract=off -fno-math-errno -Wall -Wextra -Werror -Wno-unused-function -shared -fPIC";
    let compiled = Command::new("cc")
        .args(flags.split(' '))
        .arg(&text)
        .arg("-o")
        .arg(&library)
        .arg("-lm")
        .output()
        .unwrap();
    let problems = String::from_utf8_lossy(&compiled.stderr);
    assert!(
        compiled.status.success(),
        "the kernels do not compile: {problems}"
    );
    // SAFETY: loading it runs nothing: it has no constructors.
    unsafe { Library::new(&library) }.unwrap()
}

struct Processor(Arc<[Library; 2]>);

impl Gpu for Processor {
    fn name(&self) -> String {
        "none: kernels on the processor".into()
    }

    fn memory(&self, bytes: usize) -> Result<Box<dyn Memory>, EngineError> {
        Ok(Box::new(Session {
            libraries: self.0.clone(),
            kernels: HashMap::new(),
            // NaN: whoever reads what nobody wrote is found out.
            words: vec![u64::MAX; bytes.div_ceil(8)],
        }))
    }
}

struct Session {
    libraries: Arc<[Library; 2]>,
    kernels: HashMap<String, unsafe extern "C" fn(*const u64, i64)>,
    words: Vec<u64>,
}

impl Session {
    fn bytes(&mut self) -> &mut [u8] {
        let length = self.words.len() * 8;
        // SAFETY: the words are that many bytes, and any bytes are words.
        unsafe { std::slice::from_raw_parts_mut(self.words.as_mut_ptr().cast(), length) }
    }
}

impl Memory for Session {
    fn address(&self) -> u64 {
        self.words.as_ptr() as u64
    }

    fn write(&mut self, place: usize, bytes: &[u8]) -> Result<(), EngineError> {
        self.bytes()[place..place + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn read(&mut self, place: usize, bytes: &mut [u8]) -> Result<(), EngineError> {
        bytes.copy_from_slice(&self.bytes()[place..place + bytes.len()]);
        Ok(())
    }

    fn launch(
        &mut self,
        kernel: &str,
        blocks: usize,
        arguments: &[u64],
    ) -> Result<(), EngineError> {
        let function = match self.kernels.get(kernel) {
            Some(function) => *function,
            None => {
                let mut found = self.libraries.iter().map(|library| {
                    // SAFETY: every kernel of the text has this type.
                    unsafe { library.get::<unsafe extern "C" fn(*const u64, i64)>(kernel) }
                });
                let found = found.find_map(Result::ok).map(|found| *found);
                let found = found
                    .ok_or_else(|| EngineError::Run(format!("there is no kernel {kernel}")))?;
                self.kernels.insert(kernel.into(), found);
                found
            }
        };
        // SAFETY: the arguments are the kernel's struct, with places inside `words`, which nobody else uses meanwhile.
        unsafe { function(arguments.as_ptr(), blocks as i64) };
        Ok(())
    }
}
