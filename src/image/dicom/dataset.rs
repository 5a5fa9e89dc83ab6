//! Reading the elements of a DICOM file that say what its pixels mean, and no others.
//!
//! An element is kept only if it is in [`tags::KEPT`]: names, identifiers and dates of patients are stepped over and never copied. Every
//! length is checked against what is left of the file before anything is done with it.

use super::tags::{self, KEPT, SEQUENCES, Tag};
use crate::image::ImageError;

/// Sequences lie in sequences no deeper than this.
const DEEPEST: usize = 16;
/// Items of a sequence that are kept; a file has a few windows or tables, and the first frame is the one that is shown.
const MOST_ITEMS: usize = 64;

/// Representations whose lengths are 16 bits wide; all others', of later editions too, are 32. Source: DICOM PS3.5, 7.1.2.
const SHORT: [&[u8; 2]; 21] = [
    b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FL", b"FD", b"IS", b"LO", b"LT", b"PN",
    b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US",
];

/// How elements are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    Implicit,
    Explicit,
    BigEndian,
}

/// What an element holds.
#[derive(Debug)]
pub enum Value<'a> {
    Plain(&'a [u8]),
    Items(Vec<DataSet<'a>>),
    /// Pixel data in pieces; the table of offsets that comes first is left out.
    Fragments(Vec<&'a [u8]>),
}

/// The kept elements of a file or an item.
#[derive(Debug)]
pub struct DataSet<'a> {
    elements: Vec<(Tag, Value<'a>)>,
    coding: Coding,
    /// Whether pixels of 8 bits lie in words of 16, the later one first.
    pub swapped: bool,
}

impl<'a> DataSet<'a> {
    /// Reads elements up to the pixel data, or the end.
    pub fn read(bytes: &'a [u8], coding: Coding) -> Result<DataSet<'a>, ImageError> {
        let mut reader = Reader {
            bytes,
            at: 0,
            coding,
        };
        reader.elements(bytes.len(), false, 0)
    }

    /// Reads the elements of group 0002, which are always explicit and little-endian; also says where the others begin.
    pub fn read_meta(bytes: &'a [u8]) -> Result<(DataSet<'a>, usize), ImageError> {
        let mut reader = Reader {
            bytes,
            at: 0,
            coding: Coding::Explicit,
        };
        let mut meta = DataSet {
            elements: Vec::new(),
            coding: Coding::Explicit,
            swapped: false,
        };
        while bytes.get(reader.at..reader.at + 2) == Some(&[2, 0]) {
            let header = reader.header(bytes.len())?;
            reader.element(&header, bytes.len(), 0, &mut meta)?;
        }
        Ok((meta, reader.at))
    }

    pub fn get(&self, tag: Tag) -> Option<&Value<'a>> {
        let found = self.elements.iter().find(|(own, _)| *own == tag);
        found.map(|(_, value)| value)
    }

    pub fn bytes(&self, tag: Tag) -> Option<&'a [u8]> {
        match self.get(tag)? {
            Value::Plain(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub fn items(&self, tag: Tag) -> &[DataSet<'a>] {
        match self.get(tag) {
            Some(Value::Items(items)) => items,
            _ => &[],
        }
    }

    /// 16-bit words of a value.
    pub fn words(&self, tag: Tag) -> Option<Vec<u16>> {
        let bytes = self.bytes(tag)?;
        Some(words(bytes, self.coding == Coding::BigEndian).collect())
    }

    /// The first 16-bit word of a value.
    pub fn word(&self, tag: Tag) -> Option<u16> {
        words(self.bytes(tag)?, self.coding == Coding::BigEndian).next()
    }

    /// The texts of a value, between its backslashes.
    pub fn texts(&self, tag: Tag) -> Vec<String> {
        let text = String::from_utf8_lossy(self.bytes(tag).unwrap_or_default());
        let clean = |part: &str| {
            let part = part.trim_matches(|c: char| c.is_whitespace() || c.is_control());
            let part = part.chars().filter(|c| !c.is_control());
            part.take(64).collect::<String>()
        };
        text.split('\\').map(clean).collect()
    }

    pub fn text(&self, tag: Tag) -> Option<String> {
        let first = self.texts(tag).into_iter().next();
        first.filter(|text| !text.is_empty())
    }

    /// The decimal numbers of a value; what is none ends them.
    pub fn numbers(&self, tag: Tag) -> Vec<f64> {
        let texts = self.texts(tag);
        let numbers = texts.iter().map_while(|text| text.parse::<f64>().ok());
        numbers.take_while(|number| number.is_finite()).collect()
    }

    pub fn number(&self, tag: Tag) -> Option<f64> {
        self.numbers(tag).first().copied()
    }

    pub fn is_big_endian(&self) -> bool {
        self.coding == Coding::BigEndian
    }
}

/// Bytes as 16-bit words.
pub fn words(bytes: &[u8], big_endian: bool) -> impl Iterator<Item = u16> + '_ {
    let pairs = bytes.as_chunks::<2>().0.iter();
    pairs.map(move |pair| match big_endian {
        true => u16::from_be_bytes(*pair),
        false => u16::from_le_bytes(*pair),
    })
}

/// An element before its value.
struct Header {
    tag: Tag,
    /// Its value representation; `None` where the file does not say.
    vr: Option<[u8; 2]>,
    /// `None` where a delimiter ends the value.
    length: Option<u32>,
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    coding: Coding,
}

impl<'a> Reader<'a> {
    /// Elements up to `end`, or up to a delimiter where the length is not known.
    fn elements(
        &mut self,
        end: usize,
        delimited: bool,
        depth: usize,
    ) -> Result<DataSet<'a>, ImageError> {
        let mut set = DataSet {
            elements: Vec::new(),
            coding: self.coding,
            swapped: false,
        };
        while self.at < end {
            let header = self.header(end)?;
            if header.tag == tags::ITEM_END && delimited {
                return Ok(set);
            }
            self.element(&header, end, depth, &mut set)?;
            // All that is kept lies before the pixels; what follows is often padding. (Items may hold a small picture of their own.)
            if depth == 0 && header.tag == tags::PIXEL_DATA {
                return Ok(set);
            }
        }
        match delimited {
            true => Err(ends_early()),
            false => Ok(set),
        }
    }

    /// The next element's header. Source: DICOM PS3.5, 7.1 and 7.5.
    fn header(&mut self, end: usize) -> Result<Header, ImageError> {
        let tag = Tag(self.u16(end)?, self.u16(end)?);
        // Items and delimiters have no representation.
        let is_mark = tag.0 == tags::ITEM.0;
        let vr = match self.coding {
            Coding::Implicit => None,
            _ if is_mark => None,
            _ => Some(self.take::<2>(end)?),
        };
        let length = match vr {
            None => self.u32(end)?,
            Some(vr) if SHORT.contains(&&vr) => u32::from(self.u16(end)?),
            Some(_) => {
                self.take::<2>(end)?;
                self.u32(end)?
            }
        };
        Ok(Header {
            tag,
            vr,
            length: (length != u32::MAX).then_some(length),
        })
    }

    fn take<const N: usize>(&mut self, end: usize) -> Result<[u8; N], ImageError> {
        let rest = self.bytes.get(self.at..end).unwrap_or_default();
        let taken = rest.first_chunk::<N>().ok_or_else(ends_early)?;
        self.at += N;
        Ok(*taken)
    }

    fn u16(&mut self, end: usize) -> Result<u16, ImageError> {
        let two = self.take::<2>(end)?;
        Ok(match self.coding {
            Coding::BigEndian => u16::from_be_bytes(two),
            _ => u16::from_le_bytes(two),
        })
    }

    fn u32(&mut self, end: usize) -> Result<u32, ImageError> {
        let four = self.take::<4>(end)?;
        Ok(match self.coding {
            Coding::BigEndian => u32::from_be_bytes(four),
            _ => u32::from_le_bytes(four),
        })
    }

    /// Takes the value of an element, or steps over it.
    fn element(
        &mut self,
        header: &Header,
        end: usize,
        depth: usize,
        set: &mut DataSet<'a>,
    ) -> Result<(), ImageError> {
        let tag = header.tag;
        let value = if header.length.is_none() {
            if tag == tags::PIXEL_DATA {
                Value::Fragments(self.fragments(end)?)
            } else {
                // What a private dictionary would know is written as if it were implicit. Source: PS3.5, 6.2.2.
                let coding = self.coding;
                if header.vr == Some(*b"UN") && coding == Coding::Explicit {
                    self.coding = Coding::Implicit;
                }
                let items = self.items(end, true, depth + 1);
                self.coding = coding;
                Value::Items(items?)
            }
        } else {
            let length = self.within(header, end)?;
            let from = self.at;
            if SEQUENCES.contains(&tag) {
                Value::Items(self.items(from + length, false, depth + 1)?)
            } else {
                self.at = from + length;
                Value::Plain(self.bytes.get(from..from + length).unwrap_or_default())
            }
        };
        if tag == tags::PIXEL_DATA {
            set.swapped = self.coding == Coding::BigEndian && header.vr == Some(*b"OW");
        }
        let is_kept = KEPT.contains(&tag) || SEQUENCES.contains(&tag);
        if is_kept && set.get(tag).is_none() {
            set.elements.push((tag, value));
        }
        Ok(())
    }

    /// A length, checked against what is left.
    fn within(&self, header: &Header, end: usize) -> Result<usize, ImageError> {
        let left = end.saturating_sub(self.at);
        let length = header.length.map(|length| length as usize);
        length.filter(|length| *length <= left).ok_or_else(|| {
            let claimed = length.map_or("no end of its".into(), |length| length.to_string());
            ImageError::damaged(format!(
                "its element {} claims {claimed} bytes, {left} are left",
                header.tag
            ))
        })
    }

    /// Items of a sequence.
    fn items(
        &mut self,
        end: usize,
        delimited: bool,
        depth: usize,
    ) -> Result<Vec<DataSet<'a>>, ImageError> {
        if depth > DEEPEST {
            return Err(ImageError::damaged(
                "its sequences lie too deep in one another",
            ));
        }
        let mut items = Vec::new();
        while self.at < end {
            let header = self.header(end)?;
            match header.tag {
                tags::SEQUENCE_END if delimited => return Ok(items),
                tags::ITEM => {
                    let item = if header.length.is_none() {
                        self.elements(end, true, depth)?
                    } else {
                        let length = self.within(&header, end)?;
                        self.elements(self.at + length, false, depth)?
                    };
                    if items.len() < MOST_ITEMS {
                        items.push(item);
                    }
                }
                tag => {
                    return Err(ImageError::damaged(format!(
                        "{tag} stands where an item of a sequence should"
                    )));
                }
            }
        }
        match delimited {
            true => Err(ends_early()),
            false => Ok(items),
        }
    }

    /// Pieces of compressed pixel data, without the table of offsets.
    fn fragments(&mut self, end: usize) -> Result<Vec<&'a [u8]>, ImageError> {
        let mut fragments = Vec::new();
        loop {
            let header = self.header(end)?;
            match header.tag {
                tags::SEQUENCE_END => break,
                tags::ITEM => {
                    let length = self.within(&header, end)?;
                    let from = self.at;
                    self.at += length;
                    fragments.push(self.bytes.get(from..self.at).unwrap_or_default());
                }
                tag => {
                    return Err(ImageError::damaged(format!(
                        "{tag} stands where a piece of its pixel data should"
                    )));
                }
            }
        }
        if !fragments.is_empty() {
            fragments.remove(0);
        }
        Ok(fragments)
    }
}

fn ends_early() -> ImageError {
    ImageError::damaged("the file ends before the picture does")
}
