//! Windows: which of a picture's values become black, which white, and how those between become grey.
//!
//! Radiographs have more values than a screen has greys, so viewers show a part of them. A classifier sees what is shown: another
//! window is another picture to it. Source: DICOM PS3.3, C.11.2 (VOI LUT).

use serde::{Deserialize, Serialize};

use super::{ImageError, Picture};

/// How values become grey inside a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Function {
    /// In a straight line, from centre - 0.5 - (width - 1) / 2 to centre - 0.5 + (width - 1) / 2: DICOM's default.
    #[default]
    Linear,
    /// In a straight line, from centre - width / 2 to centre + width / 2.
    LinearExact,
    /// 1 / (1 + exp(-4 (value - centre) / width)).
    Sigmoid,
}

/// A window over a picture's values, in their units.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The value that becomes the middle grey.
    pub center: f64,
    /// How many values lie between black and white.
    pub width: f64,
    /// What lies between.
    #[serde(default)]
    pub function: Function,
}

impl Window {
    /// The window from the lowest to the highest value of a picture; both ends are reached.
    #[must_use]
    pub fn spanning(low: f64, high: f64) -> Window {
        Window {
            center: (low + high) / 2.0 + 0.5,
            width: high - low + 1.0,
            function: Function::Linear,
        }
    }

    /// Whether it can be applied: finite, and wide enough for its function (1 or more for `linear`, above 0 for the others).
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let wide = match self.function {
            Function::Linear => self.width >= 1.0,
            Function::LinearExact | Function::Sigmoid => self.width > 0.0,
        };
        wide && self.center.is_finite() && self.width.is_finite()
    }

    /// The brightness of a value, 0 to 1.
    #[must_use]
    pub fn apply(&self, value: f64) -> f64 {
        let Window { center, width, .. } = *self;
        match self.function {
            Function::Linear => {
                let (from, span) = (center - 0.5 - (width - 1.0) / 2.0, width - 1.0);
                ramp(value, from, span)
            }
            Function::LinearExact => ramp(value, center - width / 2.0, width),
            Function::Sigmoid => 1.0 / (1.0 + (-4.0 * (value - center) / width).exp()),
        }
    }
}

/// 0 up to `from`, 1 from `from + span` on, a straight line between.
fn ramp(value: f64, from: f64, span: f64) -> f64 {
    if value <= from {
        0.0
    } else if value > from + span {
        1.0
    } else {
        (value - from) / span
    }
}

/// What made the greys of a picture out of its values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Applied {
    /// A window.
    Window(Window),
    /// A table of the file (VOI LUT Sequence).
    Table {
        /// Which, from 1 on.
        table: usize,
    },
}

/// What a user wants a picture's values to be seen through.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Wanted {
    /// The file's first window or table; without one, all values of a file with more than 8 bits a value.
    #[default]
    Usual,
    /// This centre and width, with the file's own function.
    Centered {
        /// Centre of the window.
        center: f64,
        /// Width of the window.
        width: f64,
    },
    /// The file's preset of this name, see [`Levels::presets`].
    Preset(String),
    /// Exactly what a report says.
    Exactly(Applied),
}

/// A window or table that a file comes with, or that suits it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Preset {
    /// As the file names it, or a plain name. A file's names are free text: good for a menu, not for a report.
    pub name: String,
    /// What it stands for.
    pub applied: Applied,
}

/// The values of a picture that can be seen through a window, and how they are seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Levels {
    /// The lowest value of the picture, padding aside.
    pub low: f64,
    /// The highest.
    pub high: f64,
    /// "HU" or "OD" where the file says so.
    pub units: Option<&'static str>,
    /// The file's windows and tables, then the range of its values.
    pub presets: Vec<Preset>,
    /// What the picture is seen through; `None` for values that are greys as they are.
    pub applied: Option<Applied>,
    /// The function of windows that are chosen by hand.
    pub function: Function,
}

/// A table of a file: brightness, 0 to 1, of the values from `first` on; values beyond take the nearest end's.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Table {
    pub first: f64,
    pub brightness: Vec<f64>,
}

impl Table {
    fn apply(&self, value: f64) -> f64 {
        let last = self.brightness.len().saturating_sub(1);
        // The cast saturates at 0.
        let at = ((value - self.first).round() as usize).min(last);
        self.brightness.get(at).copied().unwrap_or(0.0)
    }
}

/// A grey picture as its file stores it, and what its numbers mean.
pub(super) struct Stored {
    pub width: u32,
    pub height: u32,
    /// Row by row; bit patterns, not yet values.
    pub samples: Vec<u16>,
    /// How many bits of a pattern count, 1 to 16.
    pub bits: u32,
    /// The value of each pattern.
    pub values: Vec<f64>,
    /// Values that are no part of the picture.
    pub padding: Option<std::ops::RangeInclusive<f64>>,
    /// Whether the lowest value is white (MONOCHROME1, WhiteIsZero).
    pub inverted: bool,
    pub units: Option<&'static str>,
    pub function: Function,
    /// The file's windows and tables, named.
    pub presets: Vec<Preset>,
    pub tables: Vec<Table>,
    /// Whether the patterns themselves are greys where the file has no window: 65535 of a 16-bit PNG is white.
    pub plain: bool,
}

impl Stored {
    /// The picture seen through what is wanted.
    pub fn seen(self, wanted: &Wanted) -> Result<(Picture, Levels), ImageError> {
        let (low, high) = self.range();
        let mut presets = self.presets.clone();
        let files_own = presets.first().map(|preset| preset.applied);
        presets.push(Preset {
            name: "all values".into(),
            applied: Applied::Window(Window::spanning(low, high)),
        });
        let applied = match wanted {
            Wanted::Usual if self.plain => files_own,
            Wanted::Usual => presets.first().map(|preset| preset.applied),
            Wanted::Centered { center, width } => Some(Applied::Window(Window {
                center: *center,
                width: *width,
                function: self.function,
            })),
            Wanted::Preset(name) => {
                let found = presets
                    .iter()
                    .find(|preset| preset.name.eq_ignore_ascii_case(name.trim()));
                let found = found.ok_or_else(|| ImageError::NoPreset {
                    wanted: name.clone(),
                    there: presets.iter().map(|preset| preset.name.clone()).collect(),
                })?;
                Some(found.applied)
            }
            Wanted::Exactly(applied) => Some(*applied),
        };
        let picture = self.through(applied)?;
        let levels = Levels {
            low,
            high,
            units: self.units,
            presets,
            applied,
            function: self.function,
        };
        Ok((picture, levels))
    }

    /// The lowest and the highest value in the picture; padding counts only where there is nothing else.
    fn range(&self) -> (f64, f64) {
        let mut present = vec![false; self.values.len()];
        for &sample in &self.samples {
            if let Some(present) = present.get_mut(usize::from(sample)) {
                *present = true;
            }
        }
        let over = |counts: &dyn Fn(f64) -> bool| {
            let there = present.iter().zip(&self.values);
            let there = there.filter(|(present, value)| **present && counts(**value));
            there.fold(None, |range: Option<(f64, f64)>, (_, &value)| {
                let (low, high) = range.unwrap_or((value, value));
                Some((low.min(value), high.max(value)))
            })
        };
        let padding = self.padding.as_ref();
        over(&|value| !padding.is_some_and(|padding| padding.contains(&value)))
            .or_else(|| over(&|_| true))
            .unwrap_or((0.0, 0.0))
    }

    fn through(&self, applied: Option<Applied>) -> Result<Picture, ImageError> {
        let most = self.values.len().saturating_sub(1) as f64;
        let brightness: Vec<f64> = match applied {
            // Greys as they are: the pattern's share of the largest one.
            None => (0..self.values.len())
                .map(|pattern| pattern as f64 / most)
                .collect(),
            Some(Applied::Window(window)) if window.is_sound() => self
                .values
                .iter()
                .map(|value| window.apply(*value))
                .collect(),
            Some(Applied::Window(window)) => return Err(ImageError::Window(window)),
            Some(Applied::Table { table }) => {
                let found = table.checked_sub(1).and_then(|at| self.tables.get(at));
                let found = found.ok_or(ImageError::NoTable {
                    wanted: table,
                    there: self.tables.len(),
                })?;
                self.values
                    .iter()
                    .map(|value| found.apply(*value))
                    .collect()
            }
        };
        let shown = |brightness: f64| match self.inverted {
            true => 1.0 - brightness,
            false => brightness,
        };
        let grey = |white: f64| {
            let greys = brightness
                .iter()
                .map(move |b| (shown(*b) * white).round() as u16);
            let greys: Vec<u16> = greys.collect();
            let of = move |sample: &u16| greys.get(usize::from(*sample)).copied().unwrap_or(0);
            self.samples.iter().map(of)
        };
        let (width, height) = (self.width, self.height);
        let picture = if applied.is_none() && self.bits <= 8 {
            let samples = grey(255.0).map(|sample| sample as u8).collect();
            Picture::from_grey8(width, height, samples)
        } else {
            Picture::from_grey16(width, height, grey(65535.0).collect())
        };
        picture.ok_or_else(|| ImageError::damaged("it is 0 pixels wide or high"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(samples: Vec<u16>, plain: bool) -> Stored {
        Stored {
            width: samples.len() as u32,
            height: 1,
            samples,
            bits: 12,
            values: (0..4096)
                .map(|pattern| f64::from(pattern) - 1000.0)
                .collect(),
            padding: Some(-1000.0..=-1000.0),
            inverted: false,
            units: Some("HU"),
            function: Function::Linear,
            presets: Vec::new(),
            tables: Vec::new(),
            plain,
        }
    }

    /// The examples of PS3.3, C.11.2.1.2.1.
    #[test]
    fn windows_of_the_standard() {
        let window = |center, width| Window {
            center,
            width,
            function: Function::Linear,
        };
        let one = window(2048.0, 4096.0);
        assert_eq!((one.apply(0.0), one.apply(4095.0)), (0.0, 1.0));
        let two = window(2048.0, 1.0);
        assert_eq!((two.apply(2047.0), two.apply(2048.0)), (0.0, 1.0));
        let three = window(0.0, 100.0);
        assert_eq!((three.apply(-50.0), three.apply(49.0)), (0.0, 1.0));
        assert!((three.apply(-0.5) - 0.5).abs() < 1e-12);
        let exact = Window {
            function: Function::LinearExact,
            ..three
        };
        assert_eq!((exact.apply(0.0), exact.apply(50.0)), (0.5, 1.0));
        let sigmoid = Window {
            function: Function::Sigmoid,
            ..three
        };
        assert_eq!(sigmoid.apply(0.0), 0.5);
    }

    #[test]
    fn without_a_window_all_values_but_padding_are_seen() {
        let (picture, levels) = stored(vec![0, 900, 1000, 1100], false)
            .seen(&Wanted::Usual)
            .unwrap();
        assert_eq!((levels.low, levels.high), (-100.0, 100.0));
        let greys = picture.luma().mapv(|v| (v * 255.0).round());
        assert_eq!(greys.into_raw_vec_and_offset().0, [0.0, 0.0, 128.0, 255.0]);
    }

    #[test]
    fn what_cannot_be_applied_is_named() {
        let error = |wanted: Wanted| {
            let seen = stored(vec![5], true).seen(&wanted);
            seen.map(|_| ()).unwrap_err().to_string()
        };
        let narrow = error(Wanted::Centered {
            center: 10.0,
            width: 0.0,
        });
        assert_eq!(
            narrow,
            "cannot be seen through a window of centre 10 and width 0: numbers are needed, and a width of 1 or more"
        );
        assert_eq!(
            error(Wanted::Preset("lung".into())),
            "has no window 'lung'; it has: all values"
        );
        assert_eq!(
            error(Wanted::Exactly(Applied::Table { table: 2 })),
            "has no table 2 for its values; it has 0"
        );
    }

    #[test]
    fn reports_say_what_was_applied() {
        let json = |applied| serde_json::to_string(&applied).unwrap();
        let window = Applied::Window(Window::spanning(0.0, 9.0));
        let text = r#"{"center":5.0,"width":10.0,"function":"linear"}"#;
        assert_eq!(json(window), text);
        assert_eq!(serde_json::from_str::<Applied>(text).unwrap(), window);
        let table = Applied::Table { table: 1 };
        assert_eq!(
            serde_json::from_str::<Applied>(&json(table)).unwrap(),
            table
        );
    }
}
