//! Tensors whose bytes lie in files beside the model's: which file, which part of it, and nothing outside the model's folder.
//!
//! Pure: what a file holds is asked of [`Beside`], which a face implements over a folder or over the files that a visitor chose.

use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};

use super::onnx::{element_count, element_width, within};
use super::{Limits, ModelError};

/// The files beside a model.
pub trait Beside {
    /// Exactly `length` bytes from `offset` on of the file named `name`, which is relative and leads out of no folder.
    ///
    /// # Errors
    /// A few words that follow the file's name: `does not exist`.
    fn read(&self, name: &str, offset: u64, length: u64) -> Result<Vec<u8>, String>;
}

/// No files at all: a model of bytes alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nothing;

impl Beside for Nothing {
    fn read(&self, _: &str, _: u64, _: u64) -> Result<Vec<u8>, String> {
        Err("is not at hand; give it together with the model, or save the model as one file".into())
    }
}

/// Brings every tensor that lies in another file into the model.
///
/// # Errors
/// [`ModelError::External`] names the file; [`ModelError::TooLarge`] and [`ModelError::Damaged`] the tensor.
pub fn load(proto: &mut ModelProto, files: &dyn Beside, limits: &Limits) -> Result<(), ModelError> {
    let mut loader = Loader {
        files,
        limits,
        total: 0,
    };
    proto
        .graph
        .iter_mut()
        .try_for_each(|graph| loader.graph(graph))
}

/// Reads tensors and counts their bytes.
struct Loader<'a> {
    files: &'a dyn Beside,
    limits: &'a Limits,
    total: u64,
}

impl Loader<'_> {
    /// The decoder bounds how deeply graphs nest.
    fn graph(&mut self, graph: &mut GraphProto) -> Result<(), ModelError> {
        for tensor in &mut graph.initializer {
            self.tensor(tensor)?;
        }
        for attribute in graph.node.iter_mut().flat_map(|node| &mut node.attribute) {
            for tensor in attribute.t.iter_mut().chain(&mut attribute.tensors) {
                self.tensor(tensor)?;
            }
            for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                self.graph(graph)?;
            }
        }
        Ok(())
    }

    fn tensor(&mut self, tensor: &mut TensorProto) -> Result<(), ModelError> {
        if tensor.data_location != Some(1) && tensor.external_data.is_empty() {
            return Ok(());
        }
        let width = element_width(tensor.data_type).ok_or_else(|| {
            ModelError::Unsupported(format!(
                "tensor '{}' has the element type {}",
                tensor.name, tensor.data_type
            ))
        })?;
        let bytes = element_count(tensor, self.limits)?.saturating_mul(width as u64);
        let entry = |key: &str| {
            let mut entries = tensor.external_data.iter();
            entries.find(|entry| entry.key == key)
        };
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(entry) => entry.value.trim().parse::<u64>().map(Some).map_err(|_| {
                ModelError::Damaged(format!(
                    "the {key} of tensor '{}' in its data file is '{}'",
                    tensor.name,
                    shortened(&entry.value)
                ))
            }),
        };
        let location = entry("location").map_or("", |entry| entry.value.as_str());
        let name = inside(location).ok_or_else(|| {
            ModelError::External(
                shortened(location),
                format!(
                    "which tensor '{}' names, is not a plain path inside the model's folder",
                    tensor.name
                ),
            )
        })?;
        let offset = number("offset")?.unwrap_or(0);
        if let Some(length) = number("length")?.filter(|&length| length != bytes) {
            return Err(ModelError::Damaged(format!(
                "tensor '{}' has shape {:?} ({bytes} bytes) but {length} bytes in its data file",
                tensor.name, tensor.dims
            )));
        }
        self.total = self.total.saturating_add(bytes);
        within(
            "the number of bytes in its data files",
            self.total,
            self.limits.external_bytes,
        )?;
        if offset.checked_add(bytes).is_none() {
            return Err(ModelError::Damaged(format!(
                "the offset of tensor '{}' in its data file is {offset}",
                tensor.name
            )));
        }
        let external = |reason| ModelError::External(shortened(&name), reason);
        let data = match bytes {
            0 => Vec::new(),
            _ => self.files.read(&name, offset, bytes).map_err(external)?,
        };
        if data.len() as u64 != bytes {
            return Err(external(format!(
                "gave {} bytes where {bytes} were asked for",
                data.len()
            )));
        }
        tensor.raw_data = data;
        tensor.external_data.clear();
        tensor.data_location = None;
        Ok(())
    }
}

/// The relative path with `/` between its parts; `None` for one that is absolute, climbs out, or means something else on another
/// system (drive letters, backslashes, streams).
fn inside(location: &str) -> Option<String> {
    let plain = |part: &&str| {
        !part.is_empty()
            && *part != ".."
            && !part.contains(['\\', ':'])
            && !part.contains(char::is_control)
    };
    let parts: Vec<&str> = location.split('/').filter(|part| *part != ".").collect();
    (!parts.is_empty() && parts.iter().all(plain)).then(|| parts.join("/"))
}

/// A name for a message, not longer than a line.
fn shortened(name: &str) -> String {
    const MOST: usize = 120;
    match name.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_names_are_inside() {
        for name in ["w.data", "./w.data", "a/b.bin", "w..data", "..w"] {
            assert!(inside(name).is_some(), "{name}");
        }
        let out = [
            "",
            ".",
            "..",
            "/etc/passwd",
            "../w",
            "a/../../w",
            "a//b",
            "a\\b",
            "..\\w",
            "C:/w",
            "C:w",
            "w:stream",
            "a\0b",
            "a/",
            "//host/share",
        ];
        for name in out {
            assert_eq!(inside(name), None, "{name}");
        }
        assert_eq!(inside("./a/./b").as_deref(), Some("a/b"));
    }
}
