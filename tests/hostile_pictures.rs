//! Picture files made to hurt: every fixture of every format with bytes, lengths and numbers spoilt. Whatever comes back, it comes back
//! soon, in little memory, and as one line.
//!
//! The mutations are a fixed sequence, so a failure repeats. `GRADLENS_HOSTILE=N` tries N of each file instead of the few that the tests
//! have time for.
#![cfg(not(target_arch = "wasm32"))]
#![allow(clippy::unwrap_used, reason = "a panic here is a failed test")]

#[path = "common/chance.rs"]
mod chance;

use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chance::{Chance, most_memory};
use gradlens::image::{Limits, Wanted, decode_as};

/// Mutants of each file in a usual run.
const FEW: u64 = 60;
/// No mutant may take longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// What decoding may take beside what the limits allow a picture.
const SPARE: u64 = 512 << 20;

/// One change: a byte, a number of 2 or 4 bytes with an absurd value, a piece taken out, doubled, moved, or all after a place.
fn mutate(file: &mut Vec<u8>, chance: &mut Chance) {
    // Headers are where it hurts: half of the changes are in the first kilobyte.
    let reach = if chance.below(2) == 0 {
        file.len()
    } else {
        file.len().min(1024)
    };
    let at = chance.below(reach);
    let absurd = [
        0,
        1,
        0x7f,
        0x80,
        0xff,
        0x7fff,
        0x8000,
        0xffff,
        0x7fff_ffff,
        0x8000_0000,
        u32::MAX,
        u32::MAX - 1,
    ];
    let number = absurd[chance.below(absurd.len())];
    match chance.below(8) {
        0..=2 => file[at] = chance.next() as u8,
        3 | 4 => {
            let bytes = match chance.below(4) {
                0 => (number as u16).to_le_bytes().to_vec(),
                1 => (number as u16).to_be_bytes().to_vec(),
                2 => number.to_le_bytes().to_vec(),
                _ => number.to_be_bytes().to_vec(),
            };
            for (own, new) in file.iter_mut().skip(at).zip(bytes) {
                *own = new;
            }
        }
        5 => {
            let end = (at + 1 + chance.below(16)).min(file.len());
            file.drain(at..end);
        }
        6 => {
            let end = (at + 1 + chance.below(32)).min(file.len());
            let piece = file[at..end].to_vec();
            file.splice(at..at, piece);
        }
        _ => file.truncate(at.max(1)),
    }
    if file.is_empty() {
        file.push(0);
    }
}

fn files() -> Vec<PathBuf> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let folders = ["dicom", "pictures"].map(|name| fixtures.join(name));
    let entries = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap());
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_none_or(|ending| ending != "npy"));
    files.sort();
    assert!(files.len() > 80);
    files
}

#[test]
fn mutants_of_every_picture_come_to_an_end() {
    let tries = env::var("GRADLENS_HOSTILE").ok();
    let tries = tries.and_then(|text| text.parse().ok()).unwrap_or(FEW);
    // Panics inside decoders are caught and told in a line; they are counted here.
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    std::panic::set_hook(Box::new(|_| {
        PANICS.fetch_add(1, Ordering::Relaxed);
    }));
    let limits = Limits::for_a_tab();
    let (mut bad, mut read, mut refused) = (Vec::new(), 0, 0);
    let before = most_memory();
    let mut longest = Duration::ZERO;
    for (number, path) in files().iter().enumerate() {
        let sound = std::fs::read(path).unwrap();
        for attempt in 0..tries {
            let mut chance = Chance(((number as u64 + 1) << 32) | (attempt + 1));
            let mut file = sound.clone();
            for _ in 0..=chance.below(4) {
                mutate(&mut file, &mut chance);
            }
            let start = Instant::now();
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                decode_as(&file, &limits, &Wanted::Usual)
            }));
            let time = start.elapsed();
            longest = longest.max(time);
            let fault = match &outcome {
                Err(_) => Some("panics".to_owned()),
                Ok(Err(error))
                    if error.to_string().contains('\n') || error.to_string().len() > 400 =>
                {
                    Some(format!("says {error}"))
                }
                _ if time > PATIENCE => Some(format!("takes {time:?}")),
                Ok(Ok(decoded))
                    if decoded.picture.width() == 0 || decoded.picture.height() == 0 =>
                {
                    Some("gives a picture without pixels".to_owned())
                }
                Ok(Ok(_)) => {
                    read += 1;
                    None
                }
                Ok(Err(_)) => {
                    refused += 1;
                    None
                }
            };
            if let Some(fault) = fault {
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                let kept = env::temp_dir().join(format!("hostile-{attempt}-{name}"));
                std::fs::write(&kept, &file).unwrap();
                bad.push(format!("{name} {attempt} {fault}: {}", kept.display()));
            }
        }
    }
    drop(std::panic::take_hook());
    let grown = most_memory().saturating_sub(before);
    println!(
        "{read} read, {refused} refused, {} decoders' panics caught, {longest:?} the longest, {} MiB more memory at most",
        PANICS.load(Ordering::Relaxed),
        grown >> 20
    );
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(grown < limits.max_bytes as u64 + SPARE, "{grown} bytes");
}
