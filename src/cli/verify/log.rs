//! Verdict lines in a file: each whole and once, whenever the run is killed, and gone on with later.
//!
//! Lines are appended to `FILE.part`, which becomes `FILE` when the last one is written. What a killed run leaves is a `FILE.part` of whole
//! lines, with at most a piece of one behind them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::super::failure::Failure;
use super::super::files;
use crate::verdict::{Check, Terms};

/// Bytes of the longest line that is read again.
const MOST_LINE: u64 = 64 << 20;

/// The file while it is being written.
pub struct Log {
    place: PathBuf,
    part: PathBuf,
    file: File,
}

impl Log {
    /// Begins the file anew.
    pub fn begin(place: &Path) -> Result<Log, Failure> {
        let part = part_of(place);
        let file = open(&part, place)?;
        let log = Log {
            place: place.to_owned(),
            part,
            file,
        };
        log.file.set_len(0).map_err(|error| log.failed(&error))?;
        Ok(log)
    }

    /// Appends a line.
    pub fn add(&mut self, line: &str) -> Result<(), Failure> {
        // In one call: a line that is cut short is the last one, and has no end.
        let written = self.file.write_all(format!("{line}\n").as_bytes());
        written.map_err(|error| self.failed(&error))
    }

    /// Moves the file to its place.
    pub fn end(self) -> Result<(), Failure> {
        let moved = self
            .file
            .sync_data()
            .and_then(|()| fs::rename(&self.part, &self.place));
        moved.map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &std::io::Error) -> Failure {
        failed(&self.place, error)
    }
}

/// What an earlier run wrote.
pub struct Earlier {
    log: Log,
    /// Where it lies: an interrupted run's part, or the file of a run that came to its end.
    there: PathBuf,
    lines: BufReader<File>,
    number: usize,
    /// Bytes of the lines that are good, and of those with the one handed out last.
    good: u64,
    read: u64,
}

impl Earlier {
    /// Opens what an earlier run wrote to `place`, where there is something.
    pub fn open(place: &Path) -> Result<Option<Earlier>, Failure> {
        let part = part_of(place);
        let Some(there) = [part.as_path(), place]
            .into_iter()
            .find(|file| file.is_file())
        else {
            return Ok(None);
        };
        let there = there.to_owned();
        let file = open(&there, place)?;
        let lines = File::open(&there).map_err(|error| failed(place, &error))?;
        Ok(Some(Earlier {
            log: Log {
                place: place.to_owned(),
                part,
                file,
            },
            there,
            lines: BufReader::new(lines),
            number: 0,
            good: 0,
            read: 0,
        }))
    }

    /// The next verdict; it is left in the file only if it is then [kept](Earlier::keep).
    pub fn next(&mut self, terms: &Terms) -> Result<Option<Check>, Failure> {
        let mut line = Vec::new();
        let read = (&mut self.lines)
            .take(MOST_LINE)
            .read_until(b'\n', &mut line);
        let length = read.map_err(|error| self.log.failed(&error))?;
        self.number += 1;
        if !line.ends_with(b"\n") {
            // The end, or a line that was cut short.
            return Ok(None);
        }
        self.read = self.good + length as u64;
        let check: Check = serde_json::from_slice(&line).map_err(|_| {
            let reason = format!("line {} is no verdict; name another file", self.number);
            Failure::of(&self.there, reason)
        })?;
        match other(&check.under, terms) {
            None => Ok(Some(check)),
            Some(what) => Err(Failure::of(
                &self.there,
                format!(
                    "was begun under other terms: {what}; leave out --resume to begin anew, or name another file"
                ),
            )),
        }
    }

    /// The verdict that was handed out last stands.
    pub fn keep(&mut self) {
        self.good = self.read;
    }

    /// Goes on behind the verdicts that were kept.
    pub fn go_on(self) -> Result<Log, Failure> {
        let mut log = self.log;
        let cut = log.file.set_len(self.good);
        let cut = cut.and_then(|()| log.file.seek(SeekFrom::Start(self.good)));
        cut.map_err(|error| log.failed(&error))?;
        if self.there != log.part {
            fs::rename(&self.there, &log.part).map_err(|error| log.failed(&error))?;
        }
        Ok(log)
    }
}

fn part_of(place: &Path) -> PathBuf {
    let mut name = place.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    place.with_file_name(name)
}

/// Opens a file for writing that no other run writes.
fn open(file: &Path, place: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    let opened = options.write(true).create(true).truncate(false).open(file);
    let opened = opened.map_err(|error| failed(place, &error))?;
    match opened.try_lock() {
        Ok(()) => Ok(opened),
        Err(TryLockError::WouldBlock) => Err(Failure::of(place, "is being written by another run")),
        Err(TryLockError::Error(error)) => Err(failed(place, &error)),
    }
}

fn failed(place: &Path, error: &std::io::Error) -> Failure {
    Failure::of(
        place,
        format!("cannot be written: {}", files::reason(error)),
    )
}

/// In which way terms are others.
fn other(earlier: &Terms, now: &Terms) -> Option<String> {
    let key = |terms: &Terms| terms.key.clone().unwrap_or_else(|| "none".into());
    let engine = |terms: &Terms| {
        let engine = &terms.engine;
        format!("{} {} on {}", engine.name, engine.version, engine.device)
    };
    if earlier.tolerances != now.tolerances {
        let (then, now) = (earlier.tolerances.score, now.tolerances.score);
        return Some(format!("its tolerance was {then}, now it is {now}"));
    }
    if earlier.key != now.key {
        return Some(format!(
            "its key was {}, now it is {}",
            key(earlier),
            key(now)
        ));
    }
    if earlier.models != now.models {
        return Some("the models at hand, or their manifests, are others".into());
    }
    (earlier.engine != now.engine).then(|| {
        format!(
            "its engine was {}, now it is {}",
            engine(earlier),
            engine(now)
        )
    })
}
