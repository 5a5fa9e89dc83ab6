//! Finding models, reading files, writing them whole.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::model::{Model, ModelError};

/// Opens a model given as a folder, an `.onnx` file or the name of a shipped model.
pub fn open_model(given: &Path) -> Result<Model, Failure> {
    let file = find_model(given)?;
    let bytes = read(&file)?;
    let manifest_file = file.with_file_name("manifest.json");
    // A manifest speaks for the `model.onnx` beside it, not for other files of the folder.
    let has_manifest =
        file.file_name().is_some_and(|name| name == "model.onnx") && manifest_file.is_file();
    let manifest = match has_manifest {
        true => {
            let text = fs::read_to_string(&manifest_file);
            Some(text.map_err(|error| Failure::of(&manifest_file, reason(&error)))?)
        }
        false => None,
    };
    let id = model_id(&file);
    Model::open(&bytes, manifest.as_deref(), &id).map_err(|error| match error {
        ModelError::Manifest(_) if has_manifest => Failure::of(&manifest_file, error),
        error => Failure::of(&file, error),
    })
}

/// The name of a model without a manifest: its file's, or its folder's for a `model.onnx`.
fn model_id(file: &Path) -> String {
    let whole = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let stem = whole
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned());
    let folder = whole
        .parent()
        .and_then(Path::file_name)
        .map(|name| name.to_string_lossy().into_owned());
    match (stem, folder) {
        (Some(stem), Some(folder)) if stem == "model" => folder,
        (stem, _) => stem.unwrap_or_default(),
    }
}

/// The `.onnx` file that `given` means.
pub fn find_model(given: &Path) -> Result<PathBuf, Failure> {
    if given.is_file() {
        return Ok(given.to_owned());
    }
    let folder = if given.is_dir() {
        Some(given.to_owned())
    } else {
        shipped(given)
    };
    let file = folder
        .map(|folder| folder.join("model.onnx"))
        .filter(|file| file.is_file());
    file.ok_or_else(|| {
        let reason = if given.is_dir() {
            "has no model.onnx in it"
        } else {
            "is no file, no folder with a model.onnx, and no shipped model; shipped models lie in the folder models/ of \
             a checkout: run there, or set GRADLENS_MODELS to it"
        };
        Failure::of(given, reason)
    })
}

/// The folder of a shipped model: in `$GRADLENS_MODELS`, in `models/` here, or in `models/` of a folder above the program, which is
/// where `cargo run` puts it.
fn shipped(name: &Path) -> Option<PathBuf> {
    let program = std::env::current_exe().unwrap_or_default();
    let above = program
        .ancestors()
        .skip(1)
        .take(5)
        .map(|folder| folder.join("models"));
    std::env::var_os("GRADLENS_MODELS")
        .map(PathBuf::from)
        .into_iter()
        .chain([PathBuf::from("models")])
        .chain(above)
        .map(|models| models.join(name))
        .find(|folder| folder.is_dir())
}

/// Reads a file.
pub fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    if file.is_dir() {
        return Err(Failure::of(file, "is a folder"));
    }
    fs::read(file).map_err(|error| Failure::of(file, reason(&error)))
}

/// Writes a file whole or not at all: beside its place first, then renamed into it.
pub fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = file.with_file_name(name);
    let written = fs::File::create(&part)
        .and_then(|mut out| out.write_all(bytes))
        .and_then(|()| fs::rename(&part, file));
    written.map_err(|error| {
        // What is left of a failed write is of no use; that it cannot be removed either adds nothing.
        let _ = fs::remove_file(&part);
        Failure::of(file, format!("cannot be written: {}", reason(&error)))
    })
}

/// An I/O error in words that do not depend on the system's numbering.
pub fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".into(),
        std::io::ErrorKind::PermissionDenied => {
            "may not be read or written (permission denied)".into()
        }
        std::io::ErrorKind::InvalidData => "is not UTF-8 text".into(),
        std::io::ErrorKind::AlreadyExists => "is a file, not a folder".into(),
        std::io::ErrorKind::NotADirectory => "lies in something that is no folder".into(),
        std::io::ErrorKind::StorageFull => "does not fit on the disk".into(),
        _ => error.to_string(),
    }
}

/// Whether two paths lead to the same existing file.
pub fn same(a: &Path, b: &Path) -> bool {
    matches!((fs::canonicalize(a), fs::canonicalize(b)), (Ok(a), Ok(b)) if a == b)
}
