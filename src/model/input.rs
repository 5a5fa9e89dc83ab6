//! The picture input: finding it, fixing its size.

use tract_onnx::pb::{
    GraphProto, ModelProto, TensorShapeProto, TypeProto, ValueInfoProto, tensor_proto::DataType,
    tensor_shape_proto::Dimension, tensor_shape_proto::dimension, type_proto,
};

use super::{Manifest, ModelError};

/// Height and width where neither the model nor a manifest fixes them: ImageNet's usual.
const USUAL_SIDE: usize = 224;
/// The largest height or width of an input.
const LARGEST_SIDE: usize = 8192;

/// The input that takes the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureInput {
    /// The tensor's name.
    pub name: String,
    /// 1 or 3.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Whether it is `[N, H, W, C]`, as models from TensorFlow have it, instead of `[N, C, H, W]`.
    pub channels_last: bool,
    /// How many pictures the model takes at a time; `None` where that is open.
    pub batch: Option<usize>,
    /// Whether the model leaves rows or columns open.
    pub open_size: bool,
}

/// Finds the picture input: the one that the manifest names, else the only float input of rank 4 with 1 or 3
/// channels, first or last.
///
/// # Errors
/// [`ModelError::NoImageInput`], [`ModelError::Manifest`] where the manifest's does not fit, [`ModelError::Unsupported`] where
/// something beside the picture is needed or the size is out of bounds.
pub fn find(graph: &GraphProto, manifest: Option<&Manifest>) -> Result<PictureInput, ModelError> {
    let initialized: std::collections::HashSet<&str> = graph
        .initializer
        .iter()
        .map(|tensor| tensor.name.as_str())
        .collect();
    let free: Vec<&ValueInfoProto> = graph
        .input
        .iter()
        .filter(|input| !initialized.contains(input.name.as_str()))
        .collect();
    let mut pictures = free.iter().filter_map(|input| as_picture(input, manifest));
    let picture = match manifest {
        Some(manifest) => {
            let named = pictures.find(|picture| picture.name == manifest.input.name);
            named.ok_or_else(|| {
                ModelError::Manifest(format!(
                    "it names the input '{}' of {} x {} pixels and {} channels, but the model takes {}",
                    manifest.input.name,
                    manifest.input.width,
                    manifest.input.height,
                    manifest.input.channels.count(),
                    describe(&free)
                ))
            })?
        }
        None => pictures
            .next()
            .ok_or_else(|| ModelError::NoImageInput(describe(&free)))?,
    };
    if let Some(other) = free.iter().find(|input| input.name != picture.name) {
        return Err(ModelError::Unsupported(format!(
            "it needs the further input '{}' beside the picture",
            other.name
        )));
    }
    if !(1..=LARGEST_SIDE).contains(&picture.width) || !(1..=LARGEST_SIDE).contains(&picture.height)
    {
        return Err(ModelError::Unsupported(format!(
            "its input of {} x {} pixels is outside 1 to {LARGEST_SIDE}",
            picture.width, picture.height
        )));
    }
    Ok(picture)
}

/// Writes the picture's size into the declaration of the input; the batch stays as it is, or gets the name `N`.
///
/// Where a model leaves height and width open, everything behind depends on them: a gradient graph is for one size.
pub fn fix_size(proto: &mut ModelProto, picture: &PictureInput) {
    let inputs = proto.graph.iter_mut().flat_map(|graph| &mut graph.input);
    for input in inputs.filter(|input| input.name == picture.name) {
        let mut batch = shape(input)
            .and_then(|shape| shape.dim.first().cloned())
            .unwrap_or_default();
        if batch.value.is_none() {
            // With a name, shapes that depend on it can still be told apart.
            batch.value = Some(dimension::Value::DimParam("N".into()));
        }
        let sizes = if picture.channels_last {
            [picture.height, picture.width, picture.channels]
        } else {
            [picture.channels, picture.height, picture.width]
        };
        let sizes = sizes.map(|size| Dimension {
            denotation: String::new(),
            value: Some(dimension::Value::DimValue(size as i64)),
        });
        let dim = std::iter::once(batch).chain(sizes).collect();
        input.r#type = Some(TypeProto {
            denotation: String::new(),
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: DataType::Float as i32,
                shape: Some(TensorShapeProto { dim }),
            })),
        });
    }
}

/// The input as a picture input; open sizes are filled from the manifest or by what is usual.
fn as_picture(input: &ValueInfoProto, manifest: Option<&Manifest>) -> Option<PictureInput> {
    (element_type(input)? == DataType::Float as i32).then_some(())?;
    let sizes = match (sizes(input), manifest) {
        (Some(sizes), _) => sizes,
        (None, Some(_)) => vec![None; 4],
        (None, None) => return None,
    };
    let &[batch, second, third, fourth] = sizes.as_slice() else {
        return None;
    };
    let is_colour = |size: Option<i64>| matches!(size, Some(1 | 3));
    let channels_last = !is_colour(second) && is_colour(fourth);
    let [channels, height, width] = match channels_last {
        false => [second, third, fourth],
        true => [fourth, second, third],
    };
    let said = manifest.map(|manifest| &manifest.input);
    let channels = meet(channels, said.map(|input| input.channels.count()), 3)?;
    matches!(channels, 1 | 3).then_some(())?;
    Some(PictureInput {
        name: input.name.clone(),
        channels,
        height: meet(height, said.map(|input| input.height), USUAL_SIDE)?,
        width: meet(width, said.map(|input| input.width), USUAL_SIDE)?,
        channels_last,
        batch: batch.and_then(|batch| usize::try_from(batch).ok()),
        open_size: height.is_none() || width.is_none(),
    })
}

/// What a size is where the model gives it as `own`, the manifest as `said`: they must not contradict each other.
fn meet(own: Option<i64>, said: Option<usize>, usual: usize) -> Option<usize> {
    match (own.map(usize::try_from), said) {
        (Some(own), Some(said)) => (own.ok()? == said).then_some(said),
        (Some(own), None) => own.ok(),
        (None, said) => Some(said.unwrap_or(usual)),
    }
}

fn tensor(input: &ValueInfoProto) -> Option<&type_proto::Tensor> {
    match input.r#type.as_ref()?.value.as_ref()? {
        type_proto::Value::TensorType(tensor) => Some(tensor),
    }
}

fn element_type(input: &ValueInfoProto) -> Option<i32> {
    tensor(input).map(|tensor| tensor.elem_type)
}

fn shape(input: &ValueInfoProto) -> Option<&TensorShapeProto> {
    tensor(input)?.shape.as_ref()
}

/// The declared sizes, `None` where one is open; `None` for all where the rank is open.
fn sizes(input: &ValueInfoProto) -> Option<Vec<Option<i64>>> {
    let size = |dim: &Dimension| match &dim.value {
        Some(dimension::Value::DimValue(size)) => Some(*size),
        _ => None,
    };
    Some(shape(input)?.dim.iter().map(size).collect())
}

/// `name [N, 3, ?, 224], other [?]`, for a message.
fn describe(inputs: &[&ValueInfoProto]) -> String {
    let text = |input: &&ValueInfoProto| {
        let dim = |dim: &Dimension| match &dim.value {
            Some(dimension::Value::DimValue(size)) => size.to_string(),
            Some(dimension::Value::DimParam(symbol)) if !symbol.is_empty() => symbol.clone(),
            _ => "?".into(),
        };
        let dims = shape(input).map(|shape| shape.dim.iter().map(dim).collect::<Vec<_>>());
        let kind = element_type(input).and_then(|kind| DataType::try_from(kind).ok());
        let kind = kind.map_or("?", |kind| kind.as_str_name()).to_lowercase();
        format!(
            "{} {kind} [{}]",
            input.name,
            dims.unwrap_or(vec!["?".into()]).join(", ")
        )
    };
    let texts: Vec<String> = inputs.iter().take(6).map(text).collect();
    if texts.is_empty() {
        "nothing".into()
    } else {
        texts.join(", ")
    }
}
