//! What the numbers of a grey picture mean: rescaling, tables, windows. Source: DICOM PS3.3, C.11.1 and C.11.2.

use super::dataset::DataSet;
use super::frame::{Frame, Layout};
use super::tags::{self, Tag};
use crate::image::ImageError;
use crate::image::window::{Applied, Function, Preset, Stored, Table, Window};

/// A frame with what the file says of its values.
pub fn stored(set: &DataSet<'_>, frame: Frame) -> Result<Stored, ImageError> {
    let Frame {
        layout,
        mut samples,
        ..
    } = frame;
    let shift = (layout.high_bit + 1).saturating_sub(layout.stored);
    let mask = ((1_u32 << layout.stored) - 1) as u16;
    for sample in &mut samples {
        *sample = (*sample >> shift) & mask;
    }
    let meaning = Meaning::of(set, &layout)?;
    let patterns = 0..=mask;
    let values = patterns
        .map(|pattern| meaning.value(signed(pattern, &layout)))
        .collect();
    let tables = tables(set, &meaning, &layout);
    let function = match place(set, tags::FRAME_VOI_LUT_SEQUENCE, tags::WINDOW_CENTER)
        .text(tags::VOI_LUT_FUNCTION)
        .as_deref()
    {
        Some("LINEAR_EXACT") => Function::LinearExact,
        Some("SIGMOID") => Function::Sigmoid,
        _ => Function::Linear,
    };
    let mut presets = windows(set, function);
    presets.extend(tables.iter().enumerate().map(|(at, (name, _))| Preset {
        name: name.clone(),
        applied: Applied::Table { table: at + 1 },
    }));
    Ok(Stored {
        width: layout.width,
        height: layout.height,
        samples,
        bits: layout.stored,
        values,
        padding: padding(set, &meaning, &layout),
        inverted: layout.photometric == "MONOCHROME1",
        units: meaning.units(set),
        function,
        presets,
        tables: tables.into_iter().map(|(_, table)| table).collect(),
        // Eight bits without a scale of their own were made for a screen.
        plain: layout.stored <= 8 && !layout.signed && meaning.is_identity(),
    })
}

/// The number that a bit pattern stands for.
fn signed(pattern: u16, layout: &Layout) -> i32 {
    let value = i32::from(pattern);
    match layout.signed && value >> (layout.stored - 1) & 1 == 1 {
        true => value - (1 << layout.stored),
        false => value,
    }
}

/// The item of the first frame's, or all frames', functional groups that has what is looked for; the file's own elements where they do.
fn place<'s, 'a>(set: &'s DataSet<'a>, sequence: Tag, wanted: Tag) -> &'s DataSet<'a> {
    let groups = [
        tags::PER_FRAME_FUNCTIONAL_GROUPS_SEQUENCE,
        tags::SHARED_FUNCTIONAL_GROUPS_SEQUENCE,
    ];
    let items = groups
        .iter()
        .filter_map(|group| set.items(*group).first()?.items(sequence).first());
    std::iter::once(set)
        .chain(items)
        .find(|place| place.get(wanted).is_some())
        .unwrap_or(set)
}

/// From stored numbers to values: a table, or a slope and an intercept.
enum Meaning {
    Table { first: i32, values: Vec<f64> },
    Scale { slope: f64, intercept: f64 },
}

impl Meaning {
    fn of(set: &DataSet<'_>, layout: &Layout) -> Result<Meaning, ImageError> {
        if let Some(item) = set.items(tags::MODALITY_LUT_SEQUENCE).first() {
            let table = Lut::of(item, layout.signed)
                .ok_or_else(|| ImageError::damaged("its Modality LUT is shorter than it says"))?;
            let values = table.data.into_iter().map(f64::from).collect();
            return Ok(Meaning::Table {
                first: table.first,
                values,
            });
        }
        let from = place(
            set,
            tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
            tags::RESCALE_SLOPE,
        );
        let slope = from.number(tags::RESCALE_SLOPE).unwrap_or(1.0);
        Ok(Meaning::Scale {
            slope: if slope == 0.0 { 1.0 } else { slope },
            intercept: from.number(tags::RESCALE_INTERCEPT).unwrap_or(0.0),
        })
    }

    fn value(&self, stored: i32) -> f64 {
        match self {
            Meaning::Scale { slope, intercept } => f64::from(stored) * slope + intercept,
            Meaning::Table { first, values } => {
                let at = usize::try_from(stored.saturating_sub(*first)).unwrap_or(0);
                let value = values.get(at).or(values.last());
                value.copied().unwrap_or(0.0)
            }
        }
    }

    fn is_identity(&self) -> bool {
        matches!(self, Meaning::Scale { slope, intercept } if *slope == 1.0 && *intercept == 0.0)
    }

    /// Units, where they are ones that everybody knows: the rest is free text.
    fn units(&self, set: &DataSet<'_>) -> Option<&'static str> {
        let kind = match self {
            Meaning::Table { .. } => set
                .items(tags::MODALITY_LUT_SEQUENCE)
                .first()
                .and_then(|item| item.text(tags::MODALITY_LUT_TYPE)),
            Meaning::Scale { .. } => place(
                set,
                tags::PIXEL_VALUE_TRANSFORMATION_SEQUENCE,
                tags::RESCALE_TYPE,
            )
            .text(tags::RESCALE_TYPE),
        };
        match kind.as_deref() {
            Some("HU") => Some("HU"),
            Some("OD") => Some("OD"),
            _ => None,
        }
    }
}

/// A table as files hold them.
struct Lut {
    first: i32,
    bits: u32,
    data: Vec<u16>,
}

impl Lut {
    fn of(item: &DataSet<'_>, signed: bool) -> Option<Lut> {
        Lut::at(item, tags::LUT_DESCRIPTOR, tags::LUT_DATA, signed)
    }

    fn at(item: &DataSet<'_>, descriptor: Tag, data: Tag, signed: bool) -> Option<Lut> {
        let [entries, first, bits] = item.words(descriptor)?.get(..3)?.try_into().ok()?;
        let entries = if entries == 0 {
            1 << 16
        } else {
            usize::from(entries)
        };
        let bytes = item.bytes(data)?;
        // Entries of 8 bits may lie two in a word.
        let mut data: Vec<u16> = match bytes.len() < 2 * entries {
            true => bytes.iter().copied().map(u16::from).collect(),
            false => item.words(data)?,
        };
        if data.len() < entries {
            return None;
        }
        data.truncate(entries);
        Some(Lut {
            first: match signed {
                true => i32::from(first as i16),
                false => i32::from(first),
            },
            bits: u32::from(bits).clamp(1, 16),
            data,
        })
    }
}

/// The file's VOI LUTs with their names.
fn tables(set: &DataSet<'_>, meaning: &Meaning, layout: &Layout) -> Vec<(String, Table)> {
    // A table speaks of values, which are signed where they may be below 0.
    let lowest = match layout.signed {
        true => -(1 << (layout.stored - 1)),
        false => 0,
    };
    let signed = meaning.value(lowest) < 0.0;
    let from = place(set, tags::FRAME_VOI_LUT_SEQUENCE, tags::VOI_LUT_SEQUENCE);
    let items = from.items(tags::VOI_LUT_SEQUENCE).iter();
    let read = items.filter_map(|item| Some((item, Lut::of(item, signed)?)));
    read.enumerate()
        .map(|(at, (item, lut))| {
            let name = item.text(tags::LUT_EXPLANATION);
            let white = f64::from((1_u32 << lut.bits) - 1);
            let brightness = lut
                .data
                .iter()
                .map(|entry| (f64::from(*entry) / white).min(1.0));
            let table = Table {
                first: f64::from(lut.first),
                brightness: brightness.collect(),
            };
            (name.unwrap_or_else(|| format!("table {}", at + 1)), table)
        })
        .collect()
}

/// The file's windows with their names; those that cannot be applied are left out.
fn windows(set: &DataSet<'_>, function: Function) -> Vec<Preset> {
    let from = place(set, tags::FRAME_VOI_LUT_SEQUENCE, tags::WINDOW_CENTER);
    let names = from.texts(tags::WINDOW_EXPLANATION);
    let centers = from.numbers(tags::WINDOW_CENTER);
    let pairs = centers.into_iter().zip(from.numbers(tags::WINDOW_WIDTH));
    pairs
        .enumerate()
        .map(|(at, (center, width))| {
            let window = Window {
                center,
                width,
                function,
            };
            let name = names.get(at).filter(|name| !name.is_empty()).cloned();
            (name.unwrap_or_else(|| format!("window {}", at + 1)), window)
        })
        .filter(|(_, window)| window.is_sound())
        .map(|(name, window)| Preset {
            name,
            applied: Applied::Window(window),
        })
        .collect()
}

/// The values that stand for no picture.
fn padding(
    set: &DataSet<'_>,
    meaning: &Meaning,
    layout: &Layout,
) -> Option<std::ops::RangeInclusive<f64>> {
    let value = |tag| Some(meaning.value(signed(set.word(tag)?, layout)));
    let one = value(tags::PIXEL_PADDING_VALUE)?;
    let other = value(tags::PIXEL_PADDING_RANGE_LIMIT).unwrap_or(one);
    Some(one.min(other)..=one.max(other))
}

/// The red, green and blue of each entry of a palette, 16 bits each.
pub fn palette(set: &DataSet<'_>, signed: bool) -> Option<(i32, Vec<[u16; 3]>)> {
    let channels = [
        (tags::RED_DESCRIPTOR, tags::RED_DATA),
        (tags::GREEN_DESCRIPTOR, tags::GREEN_DATA),
        (tags::BLUE_DESCRIPTOR, tags::BLUE_DATA),
    ];
    let luts = channels.map(|(descriptor, data)| Lut::at(set, descriptor, data, signed));
    let [Some(red), Some(green), Some(blue)] = luts else {
        return None;
    };
    let wide = |entry: &u16, bits: u32| match bits {
        8 => (entry & 0xff) * 257,
        _ => *entry,
    };
    let bits = red.bits;
    let rest = green.data.iter().zip(&blue.data);
    let entries = red.data.iter().zip(rest);
    let entries = entries.map(|(r, (g, b))| [wide(r, bits), wide(g, bits), wide(b, bits)]);
    Some((red.first, entries.collect()))
}
