"""The X-rays, their splits, and the distortions that take the shortcuts out of them.

In this collection the shape, scale, sharpness, contrast, border and lettering of a picture tell which hospital or archive it
came from, and so its class. Training therefore never sees a picture as it is: every one is cropped, warped, re-toned,
re-sampled and painted over at random, all classes alike.
"""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from distort import erase_patches, paint_borders, paint_letters, paint_marks, retexture, retone
from preprocess import MARGIN, Box, Recipe, grown, load_grey, preprocess, stretch

CLASSES = ("covid", "no_finding", "pneumonia")
"""Order of the classifier's scores."""

DEFAULT_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "xrays"
"""The data folder, beside the repository; `--data` names another."""


@dataclass(frozen=True)
class XRay:
    """One row of the data's manifest.csv."""

    path: Path
    split: str
    label: int
    source: str
    patient: str
    view: str
    box: Box | None = None
    """The lungs, for a classifier that crops to them."""


def read_boxes(file: Path) -> dict[str, Box]:
    """The lung boxes that `lungs.py` wrote, by the pictures' paths in the data folder; pictures without lungs are left out."""
    with open(file, newline="", encoding="utf-8") as rows:
        return {row["file"]: tuple(int(row[side]) for side in ("left", "top", "right", "bottom")) for row in csv.DictReader(rows) if row["left"]}


def read_manifest(data: Path, split: str | None = None, boxes: Path | None = None) -> list[XRay]:
    """The X-rays of one split, or all of them, in the manifest's order."""
    box = read_boxes(boxes) if boxes else {}
    with open(data / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = [
            XRay(data / row["file"], row["split"], CLASSES.index(row["class"]), row["source"], row["patient"], row["view"], box.get(row["file"]))
            for row in csv.DictReader(file)
        ]
    return [row for row in rows if split is None or row.split == split]


def sampling_weights(xrays: list[XRay]) -> np.ndarray:
    """Probability of drawing each X-ray: classes equally often, and in a class the sources by the root of their counts.

    The root lifts the few pictures that break the bond between source and class, such as pneumonia of another cause from
    the archive that all Covid-19 pictures come from.
    """
    counts: dict[tuple[int, str], int] = {}
    for xray in xrays:
        counts[xray.label, xray.source] = counts.get((xray.label, xray.source), 0) + 1
    weights = np.zeros(len(xrays))
    for index, xray in enumerate(xrays):
        roots = sum(math.sqrt(n) for (label, _), n in counts.items() if label == xray.label)
        weights[index] = 1.0 / (roots * math.sqrt(counts[xray.label, xray.source]))
    return weights / weights.sum()


@dataclass(frozen=True)
class Frame:
    """A part of a picture that a training view shows: a box about a centre, in pixels, turned by `angle` (radians)."""

    x: float
    y: float
    width: float
    height: float
    angle: float


def square_frame(shape: tuple[int, int], rng: np.random.Generator) -> Frame:
    """A random box anywhere: scale 0.65 to 1.08 of the shorter side, aspect 0.8 to 1.25, turned by up to 10 degrees."""
    height, width = shape
    side = min(height, width)
    scale = rng.uniform(0.65, 1.08)
    root = math.sqrt(math.exp(rng.uniform(math.log(0.8), math.log(1.25))))
    box_width, box_height = side * scale * root, side * scale / root
    slack_x = max(abs(width - box_width) / 2, 0.05 * side)
    slack_y = max(abs(height - box_height) / 2, 0.05 * side)
    x = width / 2 + rng.uniform(-1, 1) * slack_x
    y = height / 2 + rng.uniform(-1, 1) * slack_y
    return Frame(x, y, box_width, box_height, math.radians(rng.uniform(-10, 10)))


def lungs_frame(shape: tuple[int, int], box: Box, rng: np.random.Generator) -> Frame:
    """The box of the lungs with each side moved by up to a tenth of it, as a poor segmentation would, and turned a little."""
    left, top, right, bottom = grown(box, MARGIN, shape[1], shape[0])
    width, height = right - left, bottom - top
    left, right = left + rng.uniform(-0.1, 0.1) * width, right + rng.uniform(-0.1, 0.1) * width
    top, bottom = top + rng.uniform(-0.1, 0.1) * height, bottom + rng.uniform(-0.1, 0.1) * height
    return Frame((left + right) / 2, (top + bottom) / 2, right - left, bottom - top, math.radians(rng.uniform(-7, 7)))


def warp(grey: np.ndarray, frame: Frame, side: int, rng: np.random.Generator) -> np.ndarray:
    """What a frame shows, mirrored or not, as side x side values 0..1; pixels beyond the picture are black, white, grey or its rim."""
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    fine = 2 * side
    across, down = mirror * frame.width / fine, frame.height / fine
    cos, sin = math.cos(frame.angle), math.sin(frame.angle)
    to_source = np.array([[cos * across, -sin * down, 0.0], [sin * across, cos * down, 0.0]])
    to_source[:, 2] = np.array([frame.x, frame.y]) - to_source[:, :2] @ np.array([fine / 2, fine / 2])
    border = cv2.BORDER_REPLICATE if rng.random() < 0.3 else cv2.BORDER_CONSTANT
    fill = float(rng.choice([0.0, 0.0, 1.0, rng.random()])) * 255
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    view = cv2.warpAffine(grey, to_source, (fine, fine), flags=flags, borderMode=border, borderValue=fill)
    return cv2.resize(view, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0


@dataclass(frozen=True)
class Strength:
    """How training views are drawn: chances that experience or a comparison on `val` set."""

    square: float = 0.2
    """Share of the views that take a square although the lungs are known, so that a failed box does no harm."""
    painted: float = 1.0
    """Factor on the chances of painted borders, letters, marks and patches."""


def random_view(grey: np.ndarray, box: Box | None, side: int, rng: np.random.Generator, strength: Strength = Strength()) -> np.ndarray:
    """One distorted look at an 8-bit grey picture: side x side values 0..1. Without a box, any square will do."""
    square = box is None or rng.random() < strength.square
    frame = square_frame(grey.shape, rng) if square else lungs_frame(grey.shape, box, rng)
    view = np.round(retexture(retone(warp(grey, frame, side, rng), rng), rng) * 255).astype(np.uint8)
    for chance, paint in ((0.35, paint_borders), (0.4, paint_letters), (0.25, paint_marks), (0.4, erase_patches)):
        if rng.random() < chance * strength.painted:
            paint(view, rng)
    return stretch(view.astype(np.float32) / 255.0, rng.uniform(0.0, 3.0), rng.uniform(97.0, 100.0))


class TrainingViews(Dataset):
    """One epoch of random views and the positions of their X-rays.

    Every draw depends on seed, epoch and position alone, so a resumed run sees the same ones.
    """

    def __init__(self, xrays: list[XRay], seed: int, recipe: Recipe, strength: Strength = Strength()):
        self.xrays = xrays
        self.seed = seed
        self.recipe = recipe
        self.side = recipe.side
        self.strength = strength
        self.weights = sampling_weights(xrays)
        self.pictures = [np.round(load_grey(xray.path) * 255).astype(np.uint8) for xray in xrays]
        self.set_epoch(0)

    def set_epoch(self, epoch: int, side: int | None = None) -> None:
        """Draws the X-rays of an epoch: as many as there are, with replacement, by their sampling weights; `side` overrules the recipe's."""
        self.epoch = epoch
        self.side = side or self.recipe.side
        rng = np.random.default_rng([self.seed, epoch])
        self.order = rng.choice(len(self.xrays), size=len(self.xrays), p=self.weights)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, int]:
        index = int(self.order[position])
        return torch.from_numpy(self.view(index, np.random.default_rng([self.seed, self.epoch, position]))), index

    def view(self, index: int, rng: np.random.Generator) -> np.ndarray:
        """A random view of one X-ray as the network's input."""
        box = self.xrays[index].box if self.recipe.crop == "lungs" else None
        return self.recipe.normalise(random_view(self.pictures[index], box, self.side, rng, self.strength))


def reference_tensors(xrays: list[XRay], recipe: Recipe) -> tuple[np.ndarray, np.ndarray]:
    """The inputs (N x 3 x side x side, f32) and labels of X-rays, prepared as the shipped model wants them."""
    inputs = np.stack([preprocess(xray.path, recipe, xray.box) for xray in xrays])
    return inputs, np.array([xray.label for xray in xrays])
