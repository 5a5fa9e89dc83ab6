//! The reports of a call, read one after the other: files, reports a line, folders, lists of files.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use super::super::batch::pictures;
use super::super::failure::Failure;
use super::super::files;
use super::claim::{Claim, MOST_BYTES};
use super::line::Line;

/// Bytes that a file may have that is not read line by line.
const MOST_WHOLE: u64 = 64 << 20;

/// Columns, in this order, that may hold a report's path in a list.
const COLUMNS: [&str; 3] = ["report", "file", "path"];

/// The bytes of a report, and where they lay.
#[derive(Debug, PartialEq, Eq)]
pub struct Raw {
    pub from: String,
    pub sha256: String,
    /// The bytes, or why they were not kept.
    bytes: Result<Vec<u8>, String>,
    /// Whether it was asked for by name. What lies in a folder and is no report is passed over in silence.
    given: bool,
    /// How many bytes of its file it stands for.
    pub weight: u64,
}

impl Raw {
    fn of(from: String, line: Line, given: bool) -> Raw {
        Raw {
            from,
            sha256: line.sha256,
            bytes: line.bytes,
            given,
            weight: line.length,
        }
    }

    /// What it claims; `None` where nobody asked and it is no report.
    pub fn claim(&self) -> Option<Claim> {
        let (from, sha256) = (self.from.clone(), self.sha256.clone());
        let claim = match &self.bytes {
            Ok(bytes) => Claim::read(from, bytes),
            Err(reason) => Claim::refused(from, sha256, reason.clone()),
        };
        (self.given || claim.report.is_ok()).then_some(claim)
    }
}

/// Files with reports, and whether each was named itself.
#[derive(Debug, Default)]
pub struct Files(Vec<(PathBuf, bool)>);

impl Files {
    /// The files that `given` means: a folder stands for the JSON files in it and below, a `.csv` file for the files that it lists.
    pub fn of(given: &[PathBuf]) -> (Files, Vec<Failure>) {
        let (mut all, mut failures) = (Vec::new(), Vec::new());
        for path in given {
            let named = |files: Vec<PathBuf>| files.into_iter().map(|file| (file, true)).collect();
            let found = if path.is_dir() {
                files::below(path).map(|files| {
                    let json = files.into_iter().filter(|file| is_json(file));
                    json.map(|file| (file, false)).collect()
                })
            } else if files::ending(path) == "csv" {
                pictures::of_csv(path, &COLUMNS).map(named)
            } else {
                Ok(named(vec![path.clone()]))
            };
            match found {
                Ok(found) => all.extend::<Vec<_>>(found),
                Err(failure) => failures.push(failure),
            }
        }
        (Files(all), failures)
    }

    /// Leaves out a file that will be written. One that was asked for by name must not be.
    pub fn spare(&mut self, written: &Path) -> Result<(), Failure> {
        if !written.exists() {
            return Ok(());
        }
        if self
            .0
            .iter()
            .any(|(file, given)| *given && files::same(file, written))
        {
            let reason = "is one of the reports and would be replaced; name another file";
            return Err(Failure::of(written, reason));
        }
        // Of a folder's many files, only those of its name are worth a look.
        let name = written.file_name();
        self.0.retain(|(file, given)| {
            *given || file.file_name() != name || !files::same(file, written)
        });
        Ok(())
    }

    /// How many bytes they have.
    pub fn weight(&self) -> u64 {
        let sizes = self.0.iter().map(|(file, _)| std::fs::metadata(file));
        sizes.flatten().map(|data| data.len()).sum()
    }

    /// Their reports, read as they are asked for.
    pub fn reports(self) -> impl Iterator<Item = Result<Raw, Failure>> + Send {
        self.0
            .into_iter()
            .flat_map(|(file, given)| of_file(&file, given))
    }
}

fn is_json(file: &Path) -> bool {
    let ending = files::ending(file);
    ending == "json" || is_lines(&ending)
}

fn is_lines(ending: &str) -> bool {
    ending == "jsonl" || ending == "ndjson"
}

type Reports = Box<dyn Iterator<Item = Result<Raw, Failure>> + Send>;

/// The reports of a file: a value a line, one value, or a list of them.
fn of_file(file: &Path, given: bool) -> Reports {
    let failed = |error: io::Error| Failure::of(file, files::reason(&error));
    let opened = || -> Result<Reports, Failure> {
        if file.is_dir() {
            return Err(Failure::of(file, "is a folder"));
        }
        let mut reader = BufReader::new(File::open(file).map_err(failed)?);
        let mut start = Vec::new();
        let mut limited = reader.by_ref().take(MOST_BYTES as u64);
        limited.read_until(b'\n', &mut start).map_err(failed)?;
        let mut lines = is_object(&start) && !reader.fill_buf().map_err(failed)?.is_empty();
        if !lines && is_lines(&files::ending(file)) {
            // Of these even the first line may be broken; or it is one report after all, on several lines.
            let mut limited = reader.by_ref().take(MOST_BYTES as u64);
            limited.read_to_end(&mut start).map_err(failed)?;
            lines = !is_json_text(&start) || !reader.fill_buf().map_err(failed)?.is_empty();
        }
        let mut whole = io::Cursor::new(start).chain(reader);
        if lines {
            return Ok(Box::new(Lines::of(file, whole, given)));
        }
        let whole = Line::read(&mut whole, None, MOST_WHOLE).map_err(failed)?;
        Ok(Box::new(
            of_whole(file, whole.unwrap_or_default(), given)
                .into_iter()
                .map(Ok),
        ))
    };
    opened().unwrap_or_else(|failure| Box::new(std::iter::once(Err(failure))))
}

/// The reports in a file that was read whole.
fn of_whole(file: &Path, whole: Line, given: bool) -> Vec<Raw> {
    let place = file.display();
    let Ok(bytes) = &whole.bytes else {
        return vec![Raw::of(place.to_string(), whole, given)];
    };
    let trimmed = bytes.trim_ascii_start();
    if !is_json_text(bytes) {
        let lines = || bytes.split(|byte| *byte == b'\n');
        if lines().any(is_object) {
            let reader = io::Cursor::new(bytes.clone());
            return Lines::of(file, reader, given).flatten().collect();
        }
    } else if trimmed.starts_with(b"[") {
        let numbered = elements(trimmed).into_iter().enumerate();
        let raw = |(at, one): (usize, &[u8])| {
            Raw::of(format!("{place}[{at}]"), Line::of(one.to_vec()), given)
        };
        return numbered.map(raw).collect();
    }
    vec![Raw::of(place.to_string(), whole, given)]
}

/// The bytes of each element of a JSON list.
fn elements(list: &[u8]) -> Vec<&[u8]> {
    let mut found = Vec::new();
    let mut rest = list.get(1..).unwrap_or_default().trim_ascii_start();
    while !rest.is_empty() && !rest.starts_with(b"]") {
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<IgnoredAny>();
        let Some(Ok(_)) = values.next() else { break };
        let (element, after) = rest.split_at(values.byte_offset());
        found.push(element);
        let after = after.trim_ascii_start();
        rest = after.strip_prefix(b",").unwrap_or(after).trim_ascii_start();
    }
    found
}

fn is_json_text(bytes: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(bytes).is_ok()
}

fn is_object(line: &[u8]) -> bool {
    line.trim_ascii_start().starts_with(b"{") && is_json_text(line)
}

/// Reports that stand a line each.
struct Lines<R> {
    file: PathBuf,
    reader: R,
    given: bool,
    number: usize,
    /// The line after the one handed out: where there is none, the only line has no number.
    ahead: Option<io::Result<(usize, Line)>>,
    begun: bool,
}

impl<R: BufRead> Lines<R> {
    fn of(file: &Path, reader: R, given: bool) -> Lines<R> {
        let mut lines = Lines {
            file: file.to_owned(),
            reader,
            given,
            number: 0,
            ahead: None,
            begun: false,
        };
        lines.ahead = lines.read();
        lines
    }

    /// The next line that is not blank.
    fn read(&mut self) -> Option<io::Result<(usize, Line)>> {
        let mut skipped = 0;
        loop {
            let line = Line::read(&mut self.reader, Some(b'\n'), MOST_BYTES as u64);
            let mut line = match line.transpose()? {
                Ok(line) => line,
                Err(error) => return Some(Err(error)),
            };
            self.number += 1;
            line.length += std::mem::take(&mut skipped);
            if !matches!(&line.bytes, Ok(bytes) if bytes.trim_ascii().is_empty()) {
                return Some(Ok((self.number, line)));
            }
            skipped = line.length;
        }
    }
}

impl<R: BufRead> Iterator for Lines<R> {
    type Item = Result<Raw, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        let first = !std::mem::replace(&mut self.begun, true);
        let Some(line) = self.ahead.take() else {
            // A file that was named and holds nothing is no report.
            return (first && self.given).then(|| {
                Ok(Raw::of(
                    self.file.display().to_string(),
                    Line::default(),
                    true,
                ))
            });
        };
        let line = line.inspect(|_| self.ahead = self.read());
        let raw = line.map(|(number, line)| {
            let from = match first && self.ahead.is_none() {
                true => self.file.display().to_string(),
                false => format!("{}:{number}", self.file.display()),
            };
            Raw::of(from, line, self.given)
        });
        Some(raw.map_err(|error| Failure::of(&self.file, files::reason(&error))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Where the reports of a file lie, and their bytes as text.
    fn read(name: &str, content: &[u8]) -> Vec<(String, String)> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(name);
        fs::write(&file, content).unwrap();
        let (files, failures) = Files::of(std::slice::from_ref(&file));
        assert!(failures.is_empty());
        let weight = files.weight();
        let raws: Vec<Raw> = files.reports().map(Result::unwrap).collect();
        let read: u64 = raws.iter().map(|raw| raw.weight).sum();
        assert!(read <= weight, "{read} of {weight}");
        let place = folder.path().to_str().unwrap().len() + 1;
        raws.into_iter()
            .map(|raw| {
                let text = raw.bytes.map(|bytes| String::from_utf8(bytes).unwrap());
                (raw.from[place..].to_owned(), text.unwrap_or_else(|why| why))
            })
            .collect()
    }

    fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(from, text): &(&str, &str)| ((*from).to_owned(), (*text).to_owned());
        expected.iter().map(owned).collect()
    }

    #[test]
    fn values_lines_and_lists_are_told_apart() {
        let two = pairs(&[("x.json:1", "{\"a\": 1}"), ("x.json:3", "{\"b\"")]);
        assert_eq!(read("x.json", b"{\"a\": 1}\n\n{\"b\""), two);
        let one = pairs(&[("x.json", "{\n\"a\": 1\n}\n")]);
        assert_eq!(read("x.json", b"{\n\"a\": 1\n}\n"), one);
        let list = pairs(&[("x.json[0]", "{\"a\": [1]}"), ("x.json[1]", "7")]);
        assert_eq!(read("x.json", b" [{\"a\": [1]} ,\n 7 ]"), list);
        assert_eq!(read("x.json", b"[]"), []);
        let broken = pairs(&[("x.json:1", "{"), ("x.json:2", "{\"a\": 1}")]);
        assert_eq!(read("x.json", b"{\n{\"a\": 1}\n"), broken);
        assert_eq!(
            read("x.json", b"nonsense"),
            pairs(&[("x.json", "nonsense")])
        );
        assert_eq!(read("x.json", b""), pairs(&[("x.json", "")]));
        assert_eq!(read("x.jsonl", b""), pairs(&[("x.jsonl", "")]));
        assert_eq!(read("x.jsonl", b"{}\n"), pairs(&[("x.jsonl", "{}\n")]));
        let crlf = pairs(&[("x.jsonl:1", "{}\r"), ("x.jsonl:2", "{}")]);
        assert_eq!(read("x.jsonl", b"{}\r\n{}"), crlf);
    }

    #[test]
    fn a_line_that_is_too_long_leaves_the_others() {
        let mut content = vec![b'x'; MOST_BYTES + 1];
        content.extend(b"\n{}\n");
        let found = read("x.jsonl", &content);
        assert!(found[0].1.contains("too large"), "{}", found[0].1);
        assert_eq!(found[1], ("x.jsonl:2".to_owned(), "{}".to_owned()));
    }

    #[test]
    fn folders_and_lists_stand_for_their_files() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("deep")).unwrap();
        for name in ["deep/b.json", "a.json", "note.txt"] {
            fs::write(at(name), "{}").unwrap();
        }
        fs::write(at("list.csv"), "id,Report\n1,a.json\n2,deep/b.json\n").unwrap();
        let (listed, _) = Files::of(&[at("list.csv")]);
        let expected = [(at("a.json"), true), (at("deep/b.json"), true)];
        assert_eq!(listed.0, expected);
        let (found, _) = Files::of(&[folder.path().to_owned()]);
        assert_eq!(found.0, expected.map(|(file, _)| (file, false)));
        // Nobody asked for these: they are no reports, and that is all right.
        assert!(found.reports().all(|raw| raw.unwrap().claim().is_none()));
        fs::write(at("bad.csv"), "id\n1\n").unwrap();
        let (_, failures) = Files::of(&[at("bad.csv"), at("list.csv")]);
        assert!(failures[0].to_string().contains("report, file, path"));
    }
}
