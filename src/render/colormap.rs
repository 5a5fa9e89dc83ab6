//! OpenCV's colour maps.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use super::RenderError;

/// A table of 256 colours, the same as OpenCV's of that name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ColorMap {
    /// Perceptually uniform, black to yellow. The default.
    #[default]
    Inferno,
    /// Perceptually uniform, purple to yellow.
    Viridis,
    /// Perceptually uniform, black to cream.
    Magma,
    /// A rainbow with smooth lightness.
    Turbo,
    /// The classic rainbow, for parity with other tools: its bright bands show edges that are not in the data.
    Jet,
    /// Black, red, yellow, white: the article's.
    Hot,
}

type Table = [[u8; 3]; 256];

/// The tables in the file's order: hot, jet, viridis, inferno, magma, turbo.
///
/// Made by `tests/fixtures/make_opencv.py` from `cv2.applyColorMap` of OpenCV 5.0, in RGB. Jet, hot and turbo are computed or
/// Apache-2.0 there; viridis, inferno and magma are Matplotlib's, released as CC0.
static TABLES: [Table; 6] = parse(include_bytes!("colormaps.bin"));

const fn parse(bytes: &[u8; 6 * 256 * 3]) -> [Table; 6] {
    let mut tables = [[[0; 3]; 256]; 6];
    let mut i = 0;
    while i < bytes.len() {
        tables[i / 768][i / 3 % 256][i % 3] = bytes[i];
        i += 1;
    }
    tables
}

/// The level of zero among the [`diverging`] colours.
pub const ZERO: u8 = 128;

/// The colours of a map of both signs: from black at [`ZERO`] up as `hot` (red, yellow, white), down as `hot` with red and blue exchanged. Black adds nothing to a picture.
pub fn diverging() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        let hot = ColorMap::Hot.table();
        std::array::from_fn(|level| {
            let distance = level.abs_diff(usize::from(ZERO)).min(127);
            let [r, g, b] = hot[distance * 255 / 127];
            match level < usize::from(ZERO) {
                true => [b, g, r],
                false => [r, g, b],
            }
        })
    })
}

/// A table as a picture of 256 x 1 pixels, RGBA: a legend from low to high.
pub fn legend(table: &Table) -> Vec<u8> {
    let pixels = table.iter();
    pixels.flat_map(|&[r, g, b]| [r, g, b, 255]).collect()
}

impl ColorMap {
    /// All of them, in the order to offer them: perceptually uniform ones first.
    pub const ALL: [Self; 6] = [
        Self::Inferno,
        Self::Viridis,
        Self::Magma,
        Self::Turbo,
        Self::Jet,
        Self::Hot,
    ];

    /// OpenCV's name in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Inferno => "inferno",
            Self::Viridis => "viridis",
            Self::Magma => "magma",
            Self::Turbo => "turbo",
            Self::Jet => "jet",
            Self::Hot => "hot",
        }
    }

    /// The colours of levels 0 to 255, RGB.
    #[must_use]
    pub fn table(self) -> &'static Table {
        &TABLES[match self {
            Self::Hot => 0,
            Self::Jet => 1,
            Self::Viridis => 2,
            Self::Inferno => 3,
            Self::Magma => 4,
            Self::Turbo => 5,
        }]
    }

    /// The table as a picture of 256 x 1 pixels, RGBA: a legend from low to high.
    #[must_use]
    pub fn legend(self) -> Vec<u8> {
        legend(self.table())
    }
}

impl fmt::Display for ColorMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for ColorMap {
    type Err = RenderError;

    /// Reads a name in lower case.
    fn from_str(name: &str) -> Result<Self, RenderError> {
        Self::ALL
            .into_iter()
            .find(|map| map.name() == name)
            .ok_or_else(|| RenderError::UnknownColorMap(name.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for map in ColorMap::ALL {
            assert_eq!(map.to_string().parse(), Ok(map));
        }
        let error = "HOT".parse::<ColorMap>().unwrap_err().to_string();
        assert!(error.contains("'HOT'") && error.contains("inferno"));
    }

    #[test]
    fn hot_runs_from_black_over_red_to_white() {
        let hot = ColorMap::Hot.table();
        assert_eq!(
            [hot[1], hot[96], hot[128], hot[192], hot[254]],
            [
                [2, 0, 0],
                [240, 0, 0],
                [255, 65, 0],
                [255, 225, 0],
                [255, 255, 250]
            ]
        );
        assert_eq!(ColorMap::Hot.legend()[4..8], [2, 0, 0, 255]);
    }
}
