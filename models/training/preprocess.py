"""From a picture file to the tensor that the classifier reads.

This is the reference of the manifest's `preprocessing` block: validation, testing and the fixtures of the Rust tests use
it. The order is decode, EXIF orientation, values 0..1, grey, crop, resize, percentile stretch, mean and standard
deviation, NCHW.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

SIDE = 224
"""Width and height of the network's input, in pixels."""

STRETCH = (1.0, 99.0)
"""Percentiles of the resized picture that become 0 and 1."""

FLATTEST = 1.0 / 255.0
"""A picture whose percentiles lie closer than one 8-bit step is left as it is: there is nothing to stretch."""

MEAN = 127.0 / 255.0
STD = 128.0 / 255.0
"""EfficientNet-Lite was trained on (x - 127) / 128, x in 0..255 (tensorflow/tpu, efficientnet/lite)."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels; right and bottom lie one past the last pixel."""

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float64)
"""Rec. 601 weights of red, green and blue, as Pillow's mode "L" has them; here without its rounding."""


def load_grey(path: str | Path) -> np.ndarray:
    """Decodes a picture, upright, as grey values 0..1 (f32, rows x columns). Alpha is dropped, not composited."""
    with Image.open(path) as picture:
        picture = ImageOps.exif_transpose(picture)
        if picture.mode == "1" or picture.mode == "LA":
            picture = picture.convert("L")
        elif picture.mode in ("P", "RGBA", "CMYK", "YCbCr"):
            picture = picture.convert("RGB")
        values = np.asarray(picture)
    depth = 255.0 if values.dtype == np.uint8 else 65535.0
    if values.ndim == 3:
        values = values.astype(np.float64) @ LUMA
    return (values.astype(np.float64) / depth).astype(np.float32)


def centre_square(grey: np.ndarray) -> np.ndarray:
    """The largest square about the centre; an odd remainder leaves one pixel more on the right or the bottom."""
    height, width = grey.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    return grey[top : top + side, left : left + side]


def resize(grey: np.ndarray, side: int = SIDE) -> np.ndarray:
    """Resizes with Pillow's BILINEAR on floats: a triangle filter that widens with the reduction (antialiased)."""
    picture = Image.fromarray(np.ascontiguousarray(grey, dtype=np.float32))
    return np.asarray(picture.resize((side, side), Image.Resampling.BILINEAR))


def stretch(grey: np.ndarray, low: float = STRETCH[0], high: float = STRETCH[1]) -> np.ndarray:
    """Maps the two percentiles (numpy's linear interpolation between ranks) to 0 and 1 and clamps."""
    floor, ceiling = np.percentile(grey, [low, high])
    if ceiling - floor < FLATTEST:
        return grey
    return np.clip((grey - floor) / (ceiling - floor), 0.0, 1.0).astype(np.float32)


SMALLEST_COMPONENT = 0.1
"""Parts of a lung mask below this share of the largest part's area are specks."""

SMALLEST_LUNGS = 0.02
"""A mask with less of the grid than this shows no lungs."""

MARGIN = 0.06
"""What a lung box grows by on each side, as a share of its width or height."""


def lung_box(mask: np.ndarray, width: int, height: int) -> Box | None:
    """The smallest box of a picture of `width` x `height` around the lungs of a mask that covers it; None without lungs.

    Parts hang together by their sides, not their corners. The box is that of the grid's cells, scaled to pixels and rounded
    outwards, in integers: left is floor(cell * width / columns), right ceil((cell + 1) * width / columns).
    """
    rows, columns = mask.shape
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    areas = np.bincount(parts.ravel(), minlength=count)[1:]
    if count == 1 or areas[areas >= SMALLEST_COMPONENT * areas.max()].sum() < SMALLEST_LUNGS * mask.size:
        return None
    kept = np.isin(parts, 1 + np.flatnonzero(areas >= SMALLEST_COMPONENT * areas.max()))
    ys, xs = np.flatnonzero(kept.any(axis=1)), np.flatnonzero(kept.any(axis=0))
    left, top = int(xs[0]) * width // columns, int(ys[0]) * height // rows
    right, bottom = -(-(int(xs[-1]) + 1) * width // columns), -(-(int(ys[-1]) + 1) * height // rows)
    return left, top, right, bottom


def grown(box: Box, margin: float, width: int, height: int) -> Box:
    """A box with a margin on each side: `margin` of its own width or height, rounded half up; never beyond the picture."""
    left, top, right, bottom = box
    across, down = int((right - left) * margin + 0.5), int((bottom - top) * margin + 0.5)
    return max(left - across, 0), max(top - down, 0), min(right + across, width), min(bottom + down, height)


def normalise(grey: np.ndarray, mean: float = MEAN, std: float = STD) -> np.ndarray:
    """Values 0..1 as three equal channels, 3 x rows x columns, in the range of a pretrained network."""
    return np.repeat(((grey - mean) / std).astype(np.float32)[None], 3, axis=0)


@dataclass(frozen=True)
class Recipe:
    """How one classifier wants to see: its manifest's `preprocessing` block and the side of its input."""

    side: int = SIDE
    crop: str = "center-square"
    """`center-square`, `none` (squashed), or `lungs`: the box of the lung fields, the centre square where there are none."""
    stretch: tuple[float, float] | None = STRETCH
    mean: float = MEAN
    std: float = STD

    def see(self, grey: np.ndarray, box: Box | None = None) -> np.ndarray:
        """What the network sees of a picture: side x side values 0..1 after crop, resize and stretch; `box` as `lung_box` gives it."""
        if self.crop == "lungs" and box is not None:
            left, top, right, bottom = grown(box, MARGIN, grey.shape[1], grey.shape[0])
            grey = grey[top:bottom, left:right]
        elif self.crop != "none":
            grey = centre_square(grey)
        grey = resize(grey, self.side)
        return stretch(grey, *self.stretch) if self.stretch else np.clip(grey, 0.0, 1.0)

    def normalise(self, view: np.ndarray) -> np.ndarray:
        """Values 0..1 as the network's input, 3 x rows x columns."""
        return normalise(view, self.mean, self.std)

    def block(self) -> dict:
        """The manifest's `preprocessing`."""
        block = {"grey": True, "crop": self.crop, "resize": "triangle"}
        if self.stretch:
            block["stretch"] = {"low": self.stretch[0], "high": self.stretch[1]}
        return block | {"mean": [self.mean] * 3, "std": [self.std] * 3}

    @classmethod
    def of(cls, manifest: dict) -> "Recipe":
        """The recipe that a model's manifest states."""
        block = manifest["preprocessing"]
        percentiles = (block["stretch"]["low"], block["stretch"]["high"]) if "stretch" in block else None
        return cls(manifest["input"]["width"], block["crop"], percentiles, block["mean"][0], block["std"][0])


def preprocess(path: str | Path, recipe: Recipe = Recipe(), box: Box | None = None) -> np.ndarray:
    """The input tensor of one picture, 3 x side x side, f32."""
    return recipe.normalise(recipe.see(load_grey(path), box))
