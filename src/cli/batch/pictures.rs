//! Which pictures are meant: files, folders, and lists of them as CSV or JSON lines.

use std::collections::HashSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::super::failure::Failure;
use super::super::files;

/// Columns, in this order, that may hold a picture's path in a list.
pub const COLUMNS: [&str; 4] = ["picture", "file", "path", "image"];

/// A picture and the stem that its results are written under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    pub picture: PathBuf,
    pub stem: String,
}

/// Every picture that `given` means, in order. A folder stands for the pictures in it and below, a `.csv` or `.jsonl` file
/// for the pictures that it lists, by paths from its own folder.
pub fn expand(given: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut pictures = Vec::new();
    for path in given {
        match files::ending(path).as_str() {
            _ if path.is_dir() => {
                let before = pictures.len();
                pictures.extend(
                    files::below(path)?
                        .into_iter()
                        .filter(|file| is_picture(file)),
                );
                if pictures.len() == before {
                    return Err(Failure::of(
                        path,
                        "holds no pictures (JPEG, PNG, WebP, BMP, TIFF, DICOM)",
                    ));
                }
            }
            "csv" => pictures.extend(of_csv(path, &COLUMNS)?),
            "jsonl" | "ndjson" => pictures.extend(of_json_lines(path)?),
            _ => pictures.push(path.clone()),
        }
    }
    Ok(pictures)
}

fn is_picture(file: &Path) -> bool {
    let own = file.to_string_lossy();
    match files::ending(file).as_str() {
        // Results of an earlier call are no pictures.
        "png" => !own.ends_with(".overlay.png") && !own.ends_with(".figure.png"),
        "jpg" | "jpeg" | "webp" | "bmp" | "tif" | "tiff" | "dcm" | "dicom" | "dic" => true,
        // Archives name DICOM files by numbers and identifiers.
        ending => ending.bytes().all(|c| c.is_ascii_digit()) && says_dicom(file),
    }
}

/// Whether a file begins as DICOM files do.
fn says_dicom(file: &Path) -> bool {
    let mut head = [0; 132];
    fs::File::open(file)
        .and_then(|mut file| file.read_exact(&mut head))
        .is_ok_and(|()| head.ends_with(b"DICM"))
}

/// The paths in the first of `columns` that a CSV file has, from its own folder.
pub fn of_csv(list: &Path, columns: &[&str]) -> Result<Vec<PathBuf>, Failure> {
    let failed = |error: csv::Error| Failure::of(list, format!("is no table: {error}"));
    let mut reader = csv::Reader::from_path(list).map_err(failed)?;
    let header = reader.headers().map_err(failed)?.clone();
    let column = columns.iter().find_map(|name| {
        header
            .iter()
            .position(|column| column.trim().eq_ignore_ascii_case(name))
    });
    let column = column.ok_or_else(|| {
        Failure::of(
            list,
            format!("has none of the columns {}", columns.join(", ")),
        )
    })?;
    let mut pictures = Vec::new();
    for row in reader.records() {
        let row = row.map_err(failed)?;
        pictures.extend(
            row.get(column)
                .filter(|path| !path.is_empty())
                .map(|path| beside(list, path)),
        );
    }
    Ok(pictures)
}

fn of_json_lines(list: &Path) -> Result<Vec<PathBuf>, Failure> {
    let text =
        fs::read_to_string(list).map_err(|error| Failure::of(list, files::reason(&error)))?;
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(at, line)| {
            let value: Value = serde_json::from_str(line).map_err(|error| {
                Failure::of(list, format!("line {} is not JSON: {error}", at + 1))
            })?;
            let path = value
                .as_str()
                .or_else(|| COLUMNS.iter().find_map(|name| value.get(name)?.as_str()));
            path.map(|path| beside(list, path)).ok_or_else(|| {
                Failure::of(
                    list,
                    format!("line {} has none of {}", at + 1, COLUMNS.join(", ")),
                )
            })
        })
        .collect()
}

/// A path of a list, from the list's own folder.
pub fn beside(list: &Path, path: &str) -> PathBuf {
    list.parent().unwrap_or(Path::new("")).join(path)
}

/// One job a picture. Where two pictures have the same stem the later one's gets a number, so that nothing is overwritten.
pub fn jobs(pictures: Vec<PathBuf>) -> Vec<Job> {
    let mut taken = HashSet::new();
    let job = |picture: PathBuf| {
        let stem = picture
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let numbered = (2..).map(|number| format!("{stem}-{number}"));
        let stem = std::iter::once(stem.clone())
            .chain(numbered)
            .find(|stem| taken.insert(stem.clone()));
        Job {
            picture,
            stem: stem.unwrap_or_default(),
        }
    };
    pictures.into_iter().map(job).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_stem_twice_gets_a_number() {
        let pictures = ["a/x.png", "b/x.jpg", "x-2.png", "x.png"].map(PathBuf::from);
        let stems: Vec<String> = jobs(pictures.to_vec())
            .into_iter()
            .map(|job| job.stem)
            .collect();
        assert_eq!(stems, ["x", "x-2", "x-2-2", "x-3"]);
    }

    #[test]
    fn lists_and_folders_stand_for_their_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("deep")).unwrap();
        for name in ["b.png", "deep/a.JPG", "b.overlay.png", "note.txt"] {
            fs::write(at(name), "").unwrap();
        }
        assert_eq!(
            expand(&[folder.path().into()]).unwrap(),
            [at("b.png"), at("deep/a.JPG")]
        );
        // A DICOM file without an ending, and what is none.
        let mut dicom = [0; 132];
        dicom[128..].copy_from_slice(b"DICM");
        fs::write(at("IM0001"), dicom).unwrap();
        fs::write(at("README"), "no picture").unwrap();
        assert_eq!(
            expand(&[folder.path().into()]).unwrap(),
            [at("IM0001"), at("b.png"), at("deep/a.JPG")]
        );
        fs::write(at("list.csv"), "id,File\n1,b.png\n2,\n3,\"x, y.png\"\n").unwrap();
        assert_eq!(
            expand(&[at("list.csv")]).unwrap(),
            [at("b.png"), at("x, y.png")]
        );
        fs::write(at("list.jsonl"), "{\"path\": \"b.png\"}\n\n\"c.png\"\n").unwrap();
        assert_eq!(
            expand(&[at("list.jsonl"), at("d.png")]).unwrap(),
            [at("b.png"), at("c.png"), at("d.png")]
        );
        fs::write(at("bad.jsonl"), "{\"path\": \"b.png\"}\n{\"row\": 1}\n").unwrap();
        assert!(
            expand(&[at("bad.jsonl")])
                .unwrap_err()
                .to_string()
                .contains("line 2")
        );
        fs::write(at("bad.csv"), "id\n1\n").unwrap();
        assert!(
            expand(&[at("bad.csv")])
                .unwrap_err()
                .to_string()
                .contains("picture, file")
        );
        fs::create_dir(at("empty")).unwrap();
        let empty = expand(&[at("empty")]).unwrap_err().to_string();
        assert!(empty.contains("holds no pictures"), "{empty}");
    }
}
