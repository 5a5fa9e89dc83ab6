//! How a model wants to see: the `preprocessing` block of a manifest.

use serde::{Deserialize, Serialize};

use super::PreprocessError;

/// The channels of a network's input, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Channels {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red: models trained on pictures that OpenCV read.
    Bgr,
    /// One channel, luma.
    Grey,
}

impl Channels {
    /// How many channels there are: 1 or 3.
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }

    /// The picture's channel (0 red, 1 green, 2 blue) that the network's `channel` holds.
    pub(super) const fn source(self, channel: usize) -> usize {
        match self {
            Self::Rgb | Self::Grey => channel,
            Self::Bgr => 2 - channel,
        }
    }
}

/// Which part of the picture the network sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Crop {
    /// The middle square whose side is the shorter side; offsets are rounded down.
    #[default]
    CenterSquare,
    /// All of it; another aspect than the input's is squashed.
    None,
    /// A box around the lungs that a segmenter finds ([`lungs`](crate::lungs)); where it finds none, the middle square.
    Lungs,
}

/// How the picture is brought to the input's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resize {
    /// Bilinear with antialiasing: Pillow's `BILINEAR`, see [`resize_triangle`](super::resize_triangle).
    #[default]
    Triangle,
    /// Bilinear without: OpenCV's `INTER_LINEAR`, see [`resize_linear`](super::resize_linear).
    OpencvLinear,
}

/// Percentiles of the resized values that become 0 and 1; values beyond them are clamped.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stretch {
    /// Percentile, 0 to 100, that becomes 0.
    pub low: f64,
    /// Percentile, 0 to 100, that becomes 1.
    pub high: f64,
}

/// What is done to a picture before a network sees it, in the order of the fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// Whether luma replaces the colours, the same in all channels.
    #[serde(default)]
    pub grey: bool,
    /// The part that is kept.
    #[serde(default)]
    pub crop: Crop,
    /// The way to the input's size.
    #[serde(default)]
    pub resize: Resize,
    /// The contrast stretch, over all channels together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stretch: Option<Stretch>,
    /// Subtracted from values of 0 to 1; one number for all channels, or one per channel in the network's order.
    pub mean: Vec<f64>,
    /// Divides what is left; one number, or one per channel.
    pub std: Vec<f64>,
}

impl Preprocessing {
    /// What most classifiers trained on ImageNet expect: the centre square in colour, normalised by ImageNet's mean and
    /// standard deviation (torchvision's values). A guess for models that come without a manifest.
    #[must_use]
    pub fn imagenet() -> Self {
        Self {
            grey: false,
            crop: Crop::CenterSquare,
            resize: Resize::Triangle,
            stretch: None,
            mean: vec![0.485, 0.456, 0.406],
            std: vec![0.229, 0.224, 0.225],
        }
    }

    /// Checks the block against an input of this many channels. [`preprocess`](super::preprocess) does so too; a
    /// manifest's reader calls it to fail early.
    ///
    /// # Errors
    /// [`PreprocessError`] names the field and the value.
    pub fn check(&self, channels: usize) -> Result<(), PreprocessError> {
        for (field, values) in [("mean", &self.mean), ("std", &self.std)] {
            if values.len() != 1 && values.len() != channels {
                return Err(PreprocessError::ChannelCount {
                    field,
                    found: values.len(),
                    channels,
                });
            }
        }
        if let Some(&value) = self.mean.iter().find(|v| !(**v as f32).is_finite()) {
            return Err(PreprocessError::Value {
                field: "mean",
                value,
                rule: "it must be finite",
            });
        }
        if let Some(&value) = self
            .std
            .iter()
            .find(|v| !((**v as f32).is_normal() && **v > 0.0))
        {
            return Err(PreprocessError::Value {
                field: "std",
                value,
                rule: "it must be above 0",
            });
        }
        match self.stretch {
            // Written so that NaN fails.
            Some(Stretch { low, high }) if !(0.0 <= low && low < high && high <= 100.0) => {
                Err(PreprocessError::Stretch { low, high })
            }
            _ => Ok(()),
        }
    }

    /// Mean and standard deviation of a channel, after [`check`](Self::check).
    pub(super) fn scale_of(&self, channel: usize) -> (f32, f32) {
        let pick = |values: &[f64], fallback: f64| {
            values
                .get(channel)
                .or(values.first())
                .copied()
                .unwrap_or(fallback)
        };
        (pick(&self.mean, 0.0) as f32, pick(&self.std, 1.0) as f32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = r#"{"grey":true,"crop":"center-square","resize":"opencv-linear",
        "stretch":{"low":1.0,"high":99.0},"mean":[0.5,0.5,0.5],"std":[0.25]}"#;

    #[test]
    fn a_manifests_block_is_read_and_written_back() {
        let block: Preprocessing = serde_json::from_str(MANIFEST).unwrap();
        assert_eq!(block.resize, Resize::OpencvLinear);
        assert_eq!(block.check(3), Ok(()));
        let again = serde_json::to_string(&block).unwrap();
        assert_eq!(
            serde_json::from_str::<Preprocessing>(&again).unwrap(),
            block
        );
        assert_eq!(serde_json::to_string(&Channels::Bgr).unwrap(), "\"bgr\"");
    }

    #[test]
    fn mistakes_are_named() {
        let parse = |text: &str| {
            serde_json::from_str::<Preprocessing>(text)
                .unwrap_err()
                .to_string()
        };
        assert!(parse(r#"{"gray":true,"mean":[0],"std":[1]}"#).contains("unknown field `gray`"));
        assert!(
            parse(r#"{"crop":"middle","mean":[0],"std":[1]}"#)
                .contains("expected one of `center-square`, `none`, `lungs`")
        );
        let check = |edit: fn(&mut Preprocessing)| {
            let mut block = Preprocessing::imagenet();
            edit(&mut block);
            block.check(3).unwrap_err().to_string()
        };
        assert_eq!(
            check(|p| p.std[1] = 0.0),
            "preprocessing.std holds 0; it must be above 0"
        );
        assert_eq!(
            check(|p| p.mean[0] = f64::NAN),
            "preprocessing.mean holds NaN; it must be finite"
        );
        assert!(check(|p| p.mean.truncate(2)).starts_with("preprocessing.mean has 2 values"));
        assert!(
            check(|p| p.stretch = Some(Stretch {
                low: 99.0,
                high: 1.0
            }))
            .contains("from 99 to 1")
        );
    }
}
