//! A model's file, read and written with the values of large tensors left where they are: a model is mostly those, and twice in memory is one
//! time too many.
//!
//! Reading copies what is not the data of a large initializer and decodes that; the data follow, each straight to where it stays. Writing
//! encodes a graph of [hollow](crate::model::weights) tensors, and gives the file piece by piece.

use std::collections::HashMap;

use prost::encoding::encode_varint;
use prost::{DecodeError, Message};
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto};

use crate::model::{half, weights};

/// Bytes from which on data are large.
const LARGE: usize = 4096;
/// Bytes that are read at a time where a file is looked through.
const WINDOW: usize = 16 << 10;

/// Numbers of the fields on the way to a tensor's data, in a model, its graph, and an initializer.
const WAY: [u64; 3] = [7, 5, 9];

/// A file, wherever its bytes are.
pub trait Source {
    /// Bytes in it.
    fn length(&self) -> usize;

    /// The `length` bytes from `first` on, which are in the file.
    fn read(&self, first: usize, length: usize) -> Vec<u8>;
}

impl Source for &[u8] {
    fn length(&self) -> usize {
        self.len()
    }

    fn read(&self, first: usize, length: usize) -> Vec<u8> {
        self[first..first + length].to_vec()
    }
}

/// Decodes a model.
pub(super) fn decode(file: &dyn Source) -> Result<ModelProto, DecodeError> {
    let end = file.length();
    // Where the data of each initializer are, if they were left out.
    let mut left: Vec<Option<(usize, usize)>> = Vec::new();
    let lean = message(
        &mut Reader::new(file),
        end,
        &WAY,
        &mut |found| match found {
            Found::Initializer => {
                left.push(None);
                None
            }
            Found::Data { first, length } => {
                let large = length >= LARGE;
                // Of a field that comes twice, the last counts.
                *left.last_mut()? = large.then_some((first, length));
                large.then_some(&[][..])
            }
        },
    );
    let Some(lean) = lean else {
        // It is damaged, or written in a way that nobody writes any more: the decoder knows.
        return ModelProto::decode(file.read(0, end).as_slice());
    };
    let lean: Vec<u8> = lean.iter().flat_map(Piece::bytes).copied().collect();
    let mut model = ModelProto::decode(lean.as_slice())?;
    let tensors = model
        .graph
        .iter_mut()
        .flat_map(|graph| &mut graph.initializer);
    for (tensor, data) in tensors.zip(left) {
        if let Some((first, length)) = data {
            tensor.raw_data = file.read(first, length);
        }
    }
    Ok(model)
}

/// What [`message`] comes by.
enum Found {
    /// The beginning of an initializer.
    Initializer,
    /// Data of the last one.
    Data { first: usize, length: usize },
}

/// The message up to `end`, the data `way` inside replaced by what `swap` gives for them; `None` where it is no message.
fn message<'a>(
    reader: &mut Reader,
    end: usize,
    way: &[u64],
    swap: &mut dyn FnMut(Found) -> Option<&'a [u8]>,
) -> Option<Vec<Piece<'a>>> {
    let (&next, beyond) = way.split_first()?;
    let mut pieces = Vec::new();
    let mut bytes = Vec::new();
    while reader.at < end {
        let key = reader.varint()?;
        encode_varint(key, &mut bytes);
        let kind = key & 7;
        let length = match kind {
            0 => {
                encode_varint(reader.varint()?, &mut bytes);
                continue;
            }
            1 => 8,
            2 => usize::try_from(reader.varint()?).ok()?,
            5 => 4,
            _ => return None,
        };
        let first = reader.at;
        let past = first.checked_add(length).filter(|&past| past <= end)?;
        let swapped = match (kind == 2 && key >> 3 == next, beyond.len()) {
            (false, _) => None,
            (true, 0) => swap(Found::Data { first, length }).map(|data| vec![Piece::Data(data)]),
            (true, deeper) => {
                if deeper == 1 {
                    swap(Found::Initializer);
                }
                Some(message(reader, past, beyond, swap)?)
            }
        };
        if let Some(swapped) = swapped {
            let length: usize = swapped.iter().map(|piece| piece.bytes().len()).sum();
            encode_varint(length as u64, &mut bytes);
            pieces.push(Piece::Own(std::mem::take(&mut bytes)));
            pieces.extend(swapped);
            reader.at = past;
            continue;
        }
        if kind == 2 {
            encode_varint(length as u64, &mut bytes);
        }
        reader.copy(length, &mut bytes);
    }
    pieces.push(Piece::Own(bytes));
    (reader.at == end).then_some(pieces)
}

/// Where one is in a file.
struct Reader<'a> {
    file: &'a dyn Source,
    at: usize,
    /// A part of the file, and where it begins.
    window: Vec<u8>,
    first: usize,
}

impl<'a> Reader<'a> {
    fn new(file: &'a dyn Source) -> Reader<'a> {
        Reader {
            file,
            at: 0,
            window: Vec::new(),
            first: 0,
        }
    }

    /// Copies bytes that are in the file.
    fn copy(&mut self, length: usize, to: &mut Vec<u8>) {
        to.extend(self.file.read(self.at, length));
        self.at += length;
    }

    fn byte(&mut self) -> Option<u8> {
        let inside = self.at.checked_sub(self.first);
        if inside.is_none_or(|inside| inside >= self.window.len()) {
            let length = WINDOW.min(self.file.length().checked_sub(self.at)?);
            self.window = self.file.read(self.at, length);
            self.first = self.at;
        }
        let byte = self.window.get(self.at - self.first).copied()?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Some(value);
            }
        }
        None
    }
}

/// A part of a file to be written.
pub enum Piece<'a> {
    /// Made for it.
    Own(Vec<u8>),
    /// Data of a tensor.
    Data(&'a [u8]),
}

impl Piece<'_> {
    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Piece::Own(bytes) => bytes,
            Piece::Data(bytes) => bytes,
        }
    }
}

/// The file of a model whose hollow tensors have their values in `whole`, in pieces that follow each other.
pub(crate) fn pieces<'a>(mut model: ModelProto, whole: &'a GraphProto) -> Vec<Piece<'a>> {
    let whole: HashMap<&str, &TensorProto> = weights::by_name(whole);
    let mut data = Vec::new();
    for tensor in model
        .graph
        .iter_mut()
        .flat_map(|graph| &mut graph.initializer)
    {
        let values = weights::source(tensor).and_then(|name| whole.get(name));
        data.push(values.and_then(|values| {
            let same = tensor.data_type == values.data_type;
            let name = std::mem::take(&mut tensor.name);
            *tensor = match same {
                true => marked(values, name),
                false => half::single(values, &name),
            };
            same.then_some(values.raw_data.as_slice())
        }));
    }
    let bytes = model.encode_to_vec();
    let file = bytes.as_slice();
    let mut data = data.into_iter();
    let mut current = None;
    let filled = message(&mut Reader::new(&file), bytes.len(), &WAY, &mut |found| {
        if let Found::Initializer = found {
            current = data.next().flatten();
            return None;
        }
        current
    });
    filled.unwrap_or_default()
}

/// A tensor with a byte in place of its data.
fn marked(values: &TensorProto, name: String) -> TensorProto {
    let TensorProto {
        dims,
        data_type,
        segment,
        float_data,
        int32_data,
        string_data,
        int64_data,
        name: _,
        doc_string,
        raw_data: _,
        double_data,
        uint64_data,
        data_location,
        external_data,
    } = values;
    TensorProto {
        dims: dims.clone(),
        data_type: *data_type,
        segment: segment.clone(),
        float_data: float_data.clone(),
        int32_data: int32_data.clone(),
        string_data: string_data.clone(),
        int64_data: int64_data.clone(),
        name,
        doc_string: doc_string.clone(),
        raw_data: vec![0],
        double_data: double_data.clone(),
        uint64_data: uint64_data.clone(),
        data_location: *data_location,
        external_data: external_data.clone(),
    }
}

#[cfg(test)]
mod tests {
    use tract_onnx::pb::tensor_proto::DataType;

    use super::*;
    use crate::model::onnx::parts;

    /// A model with a small tensor and two large ones, of f32 and of f16.
    fn model() -> ModelProto {
        let tensor = |name: &str, kind: DataType, elements: usize, width: usize| TensorProto {
            name: name.into(),
            dims: vec![elements as i64],
            data_type: kind as i32,
            raw_data: (0..elements * width).map(|place| place as u8).collect(),
            doc_string: "what it is".into(),
            ..TensorProto::default()
        };
        ModelProto {
            ir_version: 8,
            producer_name: "a test".into(),
            graph: Some(GraphProto {
                name: "graph".into(),
                node: vec![parts::node("Add", &["large", "x"], "y", vec![])],
                initializer: vec![
                    tensor("small", DataType::Float, 3, 4),
                    tensor("large", DataType::Float, 5000, 4),
                    tensor("half", DataType::Float16, 6000, 2),
                ],
                ..GraphProto::default()
            }),
            ..ModelProto::default()
        }
    }

    #[test]
    fn a_file_is_decoded_as_the_decoder_does_it_and_nothing_damaged_is_taken_for_sound() {
        let whole = model();
        let bytes = whole.encode_to_vec();
        assert_eq!(decode(&bytes.as_slice()).unwrap(), whole);
        // Two files in one are merged.
        let twice = [bytes.clone(), bytes.clone()].concat();
        let expected = ModelProto::decode(twice.as_slice()).unwrap();
        assert_eq!(decode(&twice.as_slice()).unwrap(), expected);
        for end in (0..bytes.len()).step_by(7) {
            let [ours, theirs] = [decode(&&bytes[..end]), ModelProto::decode(&bytes[..end])];
            assert_eq!(ours.ok(), theirs.ok(), "the first {end} bytes");
        }
        for place in 0..300 {
            let mut bytes = bytes.clone();
            bytes[place] ^= 0x55;
            let [ours, theirs] = [
                decode(&bytes.as_slice()),
                ModelProto::decode(bytes.as_slice()),
            ];
            assert_eq!(ours.ok(), theirs.ok(), "byte {place} is another");
        }
    }

    #[test]
    fn the_pieces_of_a_hollow_model_are_the_file_of_the_whole_one() {
        let whole = model();
        let graph = whole.graph.as_ref().unwrap();
        let mut hollow = whole.clone();
        hollow.graph.as_mut().unwrap().initializer = weights::without(graph).initializer;
        assert!(hollow.encoded_len() < 300);
        let pieces = pieces(hollow, graph);
        let file: Vec<u8> = pieces.iter().flat_map(Piece::bytes).copied().collect();
        assert!(file == whole.encode_to_vec());
    }
}
