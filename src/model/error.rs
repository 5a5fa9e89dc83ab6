//! What can be wrong with a model file, its manifest or a layer's name.

/// Why a model cannot be used. The message is one line and leaves out the file's name: whoever opened the file knows it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The bytes are not an ONNX `ModelProto` with a graph in it.
    #[error("is not an ONNX model: {0}")]
    NotOnnx(String),
    /// The file decodes, but its graph contradicts itself (a name nobody makes, a wrong byte count, a cycle).
    #[error("is a damaged ONNX model: {0}")]
    Damaged(String),
    /// A limit of [`Limits`](super::Limits) is passed.
    #[error("is too large: {what} is {found}, the limit is {limit}")]
    TooLarge {
        /// What was counted.
        what: String,
        /// The count in the file.
        found: u64,
        /// The limit that it passes.
        limit: u64,
    },
    /// Valid ONNX that gradlens does not handle.
    #[error("is not supported: {0}")]
    Unsupported(String),
    /// A file beside the model that holds its tensors is missing, too short or not to be read.
    #[error("its data file '{0}' {1}")]
    External(String, String),
    /// No input takes a picture.
    #[error(
        "has no image input: none of its inputs is a 4-D float tensor [N, C, H, W] or [N, H, W, C] with 1 or 3 channels ({0})"
    )]
    NoImageInput(String),
    /// No output looks like class scores.
    #[error("has no class scores: none of its outputs is a 2-D float tensor [N, classes] ({0})")]
    NoScores(String),
    /// No activation of rank 4 lies between the picture and the scores.
    #[error(
        "has no layer that Grad-CAM can explain: no 4-D activation lies between the picture and the scores"
    )]
    NoLayer,
    /// The named layer does not exist or is not on the way to the scores.
    #[error("has no layer '{name}' between the picture and the scores; {hint}")]
    UnknownLayer {
        /// The name asked for.
        name: String,
        /// What to write instead.
        hint: String,
    },
    /// The manifest is not JSON of the schema `gradlens.model/1`, or contradicts the model.
    #[error("manifest: {0}")]
    Manifest(String),
    /// What was given as the sha256 of a file is none.
    #[error("is given with a sha256 that is not 64 hexadecimal digits in lower case")]
    Digest,
}
