//! Pictures by their checksums and models by theirs: what a report refers to, found again.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rayon::prelude::*;

use super::super::failure::Failure;
use super::super::files;
use crate::model::{Manifest, sha256_hex};
use crate::report::{ModelEntry, PictureEntry};

/// What a search came to.
pub enum Found<T> {
    /// The very thing.
    Yes(T),
    /// Something of the same name and another checksum, which is given.
    Other(String),
    /// Nothing.
    No,
}

/// Picture files below some folders.
pub struct Pictures {
    files: Vec<PathBuf>,
    by_name: HashMap<OsString, Vec<usize>>,
    /// All checksums, taken only when a name does not lead to a picture.
    by_sha256: OnceLock<HashMap<String, usize>>,
}

impl Pictures {
    /// Lists the files of `folder`, or the one file that it is.
    pub fn below(folder: &Path) -> Result<Pictures, Failure> {
        let files = if folder.is_file() {
            vec![folder.to_owned()]
        } else {
            files::below(folder)?
        };
        let mut by_name: HashMap<OsString, Vec<usize>> = HashMap::new();
        for (at, file) in files.iter().enumerate() {
            by_name
                .entry(file.file_name().unwrap_or_default().to_owned())
                .or_default()
                .push(at);
        }
        Ok(Pictures {
            files,
            by_name,
            by_sha256: OnceLock::new(),
        })
    }

    /// No pictures: for whoever is handed each with its report.
    pub fn none() -> Pictures {
        Pictures {
            files: Vec::new(),
            by_name: HashMap::new(),
            by_sha256: OnceLock::new(),
        }
    }

    /// The bytes of the picture that a report speaks of: by its name first, then among all.
    pub fn find(&self, entry: &PictureEntry) -> Found<Vec<u8>> {
        let named = self.by_name.get(OsString::from(&entry.name).as_os_str());
        let mut other = None;
        for file in named
            .into_iter()
            .flatten()
            .filter_map(|at| self.files.get(*at))
        {
            let Ok(bytes) = files::read(file) else {
                continue;
            };
            let sha256 = sha256_hex(&bytes);
            if sha256 == entry.sha256 {
                return Found::Yes(bytes);
            }
            other = Some(sha256);
        }
        let all = self.by_sha256.get_or_init(|| {
            let hashed = self.files.par_iter().enumerate();
            let hashed =
                hashed.filter_map(|(at, file)| Some((sha256_hex(&files::read(file).ok()?), at)));
            hashed.collect()
        });
        let bytes = all
            .get(&entry.sha256)
            .and_then(|at| files::read(self.files.get(*at)?).ok());
        // Read again since: it may have been changed meanwhile.
        match (
            bytes.filter(|bytes| sha256_hex(bytes) == entry.sha256),
            other,
        ) {
            (Some(bytes), _) => Found::Yes(bytes),
            (None, Some(sha256)) => Found::Other(sha256),
            (None, None) => Found::No,
        }
    }
}

/// A model's file, its id, its checksum, and those of what lies beside it: manifest and companion.
struct Book {
    file: PathBuf,
    id: String,
    sha256: String,
    beside: String,
}

/// The models at hand.
pub struct Models(Vec<Book>);

impl Models {
    /// The model that `given` names, or all in the folders of a folder; the shipped ones where nothing is given.
    pub fn at(given: Option<&Path>) -> Result<Models, Failure> {
        let files = match given {
            None => files::shipped_models(),
            Some(given) => match files::find_model(given) {
                Ok(file) => vec![file],
                Err(failure) => {
                    let models = files::models_in(given);
                    if models.is_empty() {
                        return Err(failure);
                    }
                    models
                }
            },
        };
        let book = |file: PathBuf| {
            let sha256 = sha256_hex(&files::read_model(&file)?);
            let text = std::fs::read_to_string(file.with_file_name("manifest.json"));
            let text = text.unwrap_or_default();
            let manifest = Manifest::parse(&text).ok();
            let companion = manifest
                .as_ref()
                .and_then(|manifest| manifest.companion.as_ref());
            let companion = companion.and_then(|asked| files::find_companion(&file, asked).ok());
            let mut beside = text;
            for name in ["model.onnx", "manifest.json"] {
                let part = companion.as_ref().map(|folder| folder.join(name));
                let part = part.and_then(|part| files::read_model(&part).ok());
                beside.extend(part.map(|bytes| sha256_hex(&bytes)));
            }
            let id = manifest.map_or_else(|| files::model_id(&file), |manifest| manifest.id);
            let beside = sha256_hex(beside.as_bytes());
            Ok(Book {
                file,
                id,
                sha256,
                beside,
            })
        };
        files
            .into_par_iter()
            .map(book)
            .collect::<Result<_, Failure>>()
            .map(Models)
    }

    /// The file of the model that a report speaks of.
    pub fn find(&self, entry: &ModelEntry) -> Found<&Path> {
        if let Some(book) = self.0.iter().find(|book| book.sha256 == entry.sha256) {
            return Found::Yes(&book.file);
        }
        match self.0.iter().find(|book| book.id == entry.id) {
            Some(book) => Found::Other(book.sha256.clone()),
            None => Found::No,
        }
    }

    /// One checksum over all of them, wherever they lie.
    pub fn sha256(&self) -> String {
        let books = self.0.iter();
        let mut lines: Vec<String> = books
            .map(|book| format!("{} {}\n", book.sha256, book.beside))
            .collect();
        lines.sort();
        sha256_hex(lines.concat().as_bytes())
    }

    /// The file of the model with this id.
    pub fn named(&self, id: &str) -> Option<&Path> {
        let book = self.0.iter().find(|book| book.id == id);
        book.map(|book| book.file.as_path())
    }

    /// Their ids, for a message.
    pub fn ids(&self) -> String {
        self.0
            .iter()
            .map(|book| book.id.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    }
}
