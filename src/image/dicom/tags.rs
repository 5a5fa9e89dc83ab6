//! The elements that are read, by the names of DICOM PS3.6: all that gradlens knows of a file. None of them says who a patient is.

use std::fmt;

/// An element's number: group and element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(pub u16, pub u16);

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({:04X},{:04X})", self.0, self.1)
    }
}

/// Defines the tags and the list of all of them.
macro_rules! tags {
    ($($name:ident = $group:literal, $element:literal;)*) => {
        $(pub const $name: Tag = Tag($group, $element);)*
        /// Elements whose values are kept.
        pub const KEPT: &[Tag] = &[$($name),*];
    };
}

tags! {
    TRANSFER_SYNTAX_UID = 0x0002, 0x0010;
    SAMPLES_PER_PIXEL = 0x0028, 0x0002;
    PHOTOMETRIC_INTERPRETATION = 0x0028, 0x0004;
    PLANAR_CONFIGURATION = 0x0028, 0x0006;
    NUMBER_OF_FRAMES = 0x0028, 0x0008;
    ROWS = 0x0028, 0x0010;
    COLUMNS = 0x0028, 0x0011;
    BITS_ALLOCATED = 0x0028, 0x0100;
    BITS_STORED = 0x0028, 0x0101;
    HIGH_BIT = 0x0028, 0x0102;
    PIXEL_REPRESENTATION = 0x0028, 0x0103;
    PIXEL_PADDING_VALUE = 0x0028, 0x0120;
    PIXEL_PADDING_RANGE_LIMIT = 0x0028, 0x0121;
    WINDOW_CENTER = 0x0028, 0x1050;
    WINDOW_WIDTH = 0x0028, 0x1051;
    RESCALE_INTERCEPT = 0x0028, 0x1052;
    RESCALE_SLOPE = 0x0028, 0x1053;
    RESCALE_TYPE = 0x0028, 0x1054;
    WINDOW_EXPLANATION = 0x0028, 0x1055;
    VOI_LUT_FUNCTION = 0x0028, 0x1056;
    RED_DESCRIPTOR = 0x0028, 0x1101;
    GREEN_DESCRIPTOR = 0x0028, 0x1102;
    BLUE_DESCRIPTOR = 0x0028, 0x1103;
    RED_DATA = 0x0028, 0x1201;
    GREEN_DATA = 0x0028, 0x1202;
    BLUE_DATA = 0x0028, 0x1203;
    SEGMENTED_RED_DATA = 0x0028, 0x1221;
    MODALITY_LUT_SEQUENCE = 0x0028, 0x3000;
    LUT_DESCRIPTOR = 0x0028, 0x3002;
    LUT_EXPLANATION = 0x0028, 0x3003;
    MODALITY_LUT_TYPE = 0x0028, 0x3004;
    LUT_DATA = 0x0028, 0x3006;
    VOI_LUT_SEQUENCE = 0x0028, 0x3010;
    FRAME_VOI_LUT_SEQUENCE = 0x0028, 0x9132;
    PIXEL_VALUE_TRANSFORMATION_SEQUENCE = 0x0028, 0x9145;
    SHARED_FUNCTIONAL_GROUPS_SEQUENCE = 0x5200, 0x9229;
    PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE = 0x5200, 0x9230;
    FLOAT_PIXEL_DATA = 0x7fe0, 0x0008;
    DOUBLE_FLOAT_PIXEL_DATA = 0x7fe0, 0x0009;
    PIXEL_DATA = 0x7fe0, 0x0010;
}

/// Sequences among them, whose items are read.
pub const SEQUENCES: [Tag; 6] = [
    MODALITY_LUT_SEQUENCE,
    VOI_LUT_SEQUENCE,
    FRAME_VOI_LUT_SEQUENCE,
    PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
    SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
];

/// Marks in sequences and pieces of pixel data.
pub const ITEM: Tag = Tag(0xfffe, 0xe000);
pub const ITEM_END: Tag = Tag(0xfffe, 0xe00d);
pub const SEQUENCE_END: Tag = Tag(0xfffe, 0xe0dd);
