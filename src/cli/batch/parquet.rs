//! A Parquet file that is there when it is whole: written beside its place, then moved.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{Field, Schema};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;

use super::super::failure::Failure;
use super::super::files;

/// Rows to hold before they are written.
pub const GROUP: usize = 4096;

/// The file while it is being written.
pub struct Parquet {
    place: PathBuf,
    part: Part,
    schema: Arc<Schema>,
    writer: ArrowWriter<File>,
}

/// A file that is of no use unless it was moved to its place.
struct Part(PathBuf);

impl Drop for Part {
    fn drop(&mut self) {
        // Where it was moved it is not there, and one that stays is only untidy.
        let _ = fs::remove_file(&self.0);
    }
}

impl Parquet {
    /// Begins a file of these columns.
    pub fn begin(place: &Path, fields: Vec<Field>) -> Result<Parquet, Failure> {
        let part = Part(files::part_of(place));
        let schema = Arc::new(Schema::new(fields));
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            // What is in memory until it is written.
            .set_max_row_group_row_count(Some(16 * GROUP))
            .build();
        let file =
            File::create(&part.0).map_err(|error| Failure::of(place, files::reason(&error)))?;
        let writer = ArrowWriter::try_new(file, schema.clone(), Some(properties))
            .map_err(|error| Failure::of(place, error))?;
        Ok(Parquet {
            place: place.to_owned(),
            part,
            schema,
            writer,
        })
    }

    /// Writes rows, column by column.
    pub fn write(&mut self, columns: Vec<ArrayRef>) -> Result<(), Failure> {
        let batch = RecordBatch::try_new(self.schema.clone(), columns)
            .map_err(|error| self.failed(&error))?;
        let written = self.writer.write(&batch);
        written.map_err(|error| self.failed(&error))
    }

    /// Ends the file and moves it to its place.
    pub fn end(self) -> Result<(), Failure> {
        let failed = |error: &dyn std::fmt::Display| failed(&self.place, error);
        self.writer.close().map_err(|error| failed(&error))?;
        fs::rename(&self.part.0, &self.place).map_err(|error| failed(&files::reason(&error)))
    }

    fn failed(&self, error: &dyn std::fmt::Display) -> Failure {
        failed(&self.place, error)
    }
}

fn failed(place: &Path, error: &dyn std::fmt::Display) -> Failure {
    Failure::of(place, format!("cannot be written: {error}"))
}
