//! Finding models, reading files, writing them whole.

use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::engine::Engine;
use crate::lungs::Lungs;
use crate::model::{Beside, Companion, Limits, Manifest, Model, ModelError};

/// Opens a model given as a folder, an `.onnx` file or the name of a shipped model.
pub fn open_model(given: &Path) -> Result<Model, Failure> {
    let file = find_model(given)?;
    let bytes = read_model(&file)?;
    let manifest_file = file.with_file_name("manifest.json");
    let has_manifest = has_manifest(&file);
    let manifest = match has_manifest {
        true => {
            let text = fs::read_to_string(&manifest_file);
            Some(text.map_err(|error| Failure::of(&manifest_file, reason(&error)))?)
        }
        false => None,
    };
    let id = model_id(&file);
    let folder = Folder::of(&file);
    Model::open_beside(&bytes, manifest.as_deref(), &id, &folder).map_err(|error| match error {
        ModelError::Manifest(_) if has_manifest => Failure::of(&manifest_file, error),
        error => Failure::of(&file, error),
    })
}

/// Whether a manifest lies beside a model's file. It speaks for `model.onnx`, not for other files of the folder.
pub fn has_manifest(file: &Path) -> bool {
    file.file_name().is_some_and(|name| name == "model.onnx")
        && file.with_file_name("manifest.json").is_file()
}

/// Opens a model's file under a manifest that does not lie beside it.
pub fn open_model_as(file: &Path, manifest: &Manifest) -> Result<Model, Failure> {
    let text = serde_json::to_string(manifest).map_err(|error| Failure::of(file, error))?;
    let bytes = read_model(file)?;
    let model = Model::open_beside(&bytes, Some(&text), &manifest.id, &Folder::of(file));
    model.map_err(|error| Failure::of(file, error))
}

/// Opens the companion that a model's manifest asks for: in the folder beside the model's own, or the shipped one.
pub fn open_companion(
    given: &Path,
    model: &Model,
    engine: &dyn Engine,
) -> Result<Option<Lungs>, Failure> {
    let Some(companion) = &model.manifest.companion else {
        return Ok(None);
    };
    open_lungs(&find_companion(given, companion)?, engine).map(Some)
}

/// Opens the segmenter of lungs in a folder.
fn open_lungs(folder: &Path, engine: &dyn Engine) -> Result<Lungs, Failure> {
    let (model, manifest) = (folder.join("model.onnx"), folder.join("manifest.json"));
    let text =
        fs::read_to_string(&manifest).map_err(|error| Failure::of(&manifest, reason(&error)))?;
    let lungs = Lungs::open(engine, &read_model(&model)?, &text);
    lungs.map_err(|error| Failure::of(&model, error))
}

/// Opens the shipped segmenter of lungs, where there is one.
pub fn open_shipped_lungs(engine: &dyn Engine) -> Result<Option<Lungs>, Failure> {
    shipped(Path::new("lungs"))
        .map(|folder| open_lungs(&folder, engine))
        .transpose()
}

/// The folder of the companion of a model.
pub fn find_companion(given: &Path, companion: &Companion) -> Result<PathBuf, Failure> {
    let file = find_model(given)?;
    let whole = fs::canonicalize(&file).unwrap_or_else(|_| file.clone());
    let beside = whole
        .ancestors()
        .nth(2)
        .map(|models| models.join(&companion.model));
    beside
        .filter(|folder| folder.join("model.onnx").is_file())
        .or_else(|| shipped(Path::new(&companion.model)))
        .ok_or_else(|| {
            let wanted = format!(
                "needs the model '{}' in a folder beside its own",
                companion.model
            );
            Failure::of(&file, wanted)
        })
}

/// A model's bytes, unless they are more than a model may have.
pub fn read_model(file: &Path) -> Result<Vec<u8>, Failure> {
    let limit = Limits::default().file_bytes;
    match fs::metadata(file) {
        Ok(data) if data.len() > limit => Err(Failure::of(
            file,
            format!(
                "is too large: the file is {}, the limit is {limit}",
                data.len()
            ),
        )),
        _ => read(file),
    }
}

/// The folder of a model, for the files that hold its tensors.
struct Folder(PathBuf);

impl Folder {
    /// The folder that `model` itself lies in, wherever links to it lie.
    fn of(model: &Path) -> Folder {
        let whole = fs::canonicalize(model).unwrap_or_else(|_| model.to_owned());
        Folder(whole.parent().map(Path::to_owned).unwrap_or_default())
    }
}

impl Beside for Folder {
    fn read(&self, name: &str, offset: u64, length: u64) -> Result<Vec<u8>, String> {
        let file = fs::canonicalize(self.0.join(name)).map_err(|error| reason(&error))?;
        if !file.starts_with(&self.0) {
            return Err("lies outside the model's folder".into());
        }
        // Opening a pipe or a device would wait, or never end.
        if !fs::metadata(&file).is_ok_and(|data| data.is_file()) {
            return Err("is no file".into());
        }
        let mut opened = fs::File::open(&file).map_err(|error| reason(&error))?;
        let there = opened.metadata().map_err(|error| reason(&error))?.len();
        if offset.saturating_add(length) > there {
            return Err(format!(
                "is too short: it has {there} bytes, the model needs {length} from byte {offset} on"
            ));
        }
        let mut bytes = Vec::new();
        opened
            .seek(SeekFrom::Start(offset))
            .and_then(|_| opened.take(length).read_to_end(&mut bytes))
            .map_err(|error| reason(&error))?;
        Ok(bytes)
    }
}

/// The name of a model without a manifest: its file's, or its folder's for a `model.onnx`.
pub fn model_id(file: &Path) -> String {
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

/// The folder of a shipped model.
fn shipped(name: &Path) -> Option<PathBuf> {
    shelves()
        .map(|models| models.join(name))
        .find(|folder| folder.is_dir())
}

/// Files of the shipped models, of the first folder that has any.
pub fn shipped_models() -> Vec<PathBuf> {
    let models = shelves().map(|folder| models_in(&folder));
    models
        .into_iter()
        .find(|models| !models.is_empty())
        .unwrap_or_default()
}

/// `model.onnx` in the folders of a folder, and other `.onnx` files in it, but no gradient graphs; sorted.
pub fn models_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut models: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .map(|path| {
            if path.is_dir() {
                path.join("model.onnx")
            } else {
                path
            }
        })
        .filter(|path| path.extension().is_some_and(|ending| ending == "onnx") && path.is_file())
        .filter(|path| !path.to_string_lossy().ends_with("gradient.onnx"))
        .collect();
    models.sort();
    models
}

/// Every file below a folder, sorted; links to folders are not followed.
pub fn below(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: std::io::Error| Failure::of(folder, reason(&error));
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        match entry.file_type().map_err(failed)?.is_dir() {
            true => files.extend(below(&entry.path())?),
            false => files.push(entry.path()),
        }
    }
    files.sort();
    Ok(files)
}

/// Folders that hold shipped models: `$GRADLENS_MODELS`, `models/` here, and `models/` of a folder above the program, which is where
/// `cargo run` puts it.
fn shelves() -> impl Iterator<Item = PathBuf> {
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
        .chain(above.collect::<Vec<_>>())
}

/// What follows the last dot of a file's name, in lower case.
pub fn ending(file: &Path) -> String {
    let ending = file.extension().unwrap_or_default();
    ending.to_string_lossy().to_ascii_lowercase()
}

/// Reads a file.
pub fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    if file.is_dir() {
        return Err(Failure::of(file, "is a folder"));
    }
    fs::read(file).map_err(|error| Failure::of(file, reason(&error)))
}

/// The name beside a file that it has while it is being written.
pub fn part_of(file: &Path) -> PathBuf {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    file.with_file_name(name)
}

/// Removes what killed processes left beside a file that they were writing.
pub fn remove_parts_of(file: Option<&Path>) {
    let Some((file, name)) = file.and_then(|file| Some((file, file.file_name()?))) else {
        return;
    };
    let folder = file.parent().filter(|folder| *folder != Path::new(""));
    let beside = fs::read_dir(folder.unwrap_or(Path::new(".")));
    for entry in beside.into_iter().flatten().flatten() {
        let found = entry.file_name().to_string_lossy().into_owned();
        let process = found
            .strip_prefix(&*name.to_string_lossy())
            .and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".part"));
        if process.is_some_and(|id| !id.is_empty() && id.bytes().all(|c| c.is_ascii_digit())) {
            // One that stays is only untidy.
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Writes a file whole or not at all: beside its place first, then renamed into it.
pub fn write(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let part = part_of(file);
    let written = fs::File::create(&part)
        .and_then(|mut out| out.write_all(bytes))
        .and_then(|()| fs::rename(&part, file));
    written.map_err(|error| {
        // What is left of a failed write is of no use; that it cannot be removed either adds nothing.
        let _ = fs::remove_file(&part);
        Failure::of(file, format!("cannot be written: {}", reason(&error)))
    })
}

/// Writes a file that nobody else may read, and that does not exist yet.
pub fn write_secret(file: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let written = options.open(file).and_then(|mut out| out.write_all(bytes));
    written.map_err(|error| Failure::of(file, format!("cannot be written: {}", reason(&error))))
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
