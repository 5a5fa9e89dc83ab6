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
from preprocess import SIDE, load_grey, normalise, preprocess, stretch

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


def read_manifest(data: Path, split: str | None = None) -> list[XRay]:
    """The X-rays of one split, or all of them, in the manifest's order."""
    with open(data / "manifest.csv", newline="", encoding="utf-8") as file:
        rows = [
            XRay(data / row["file"], row["split"], CLASSES.index(row["class"]), row["source"], row["patient"], row["view"])
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


def warp(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random box (scale 0.65 to 1.08 of the shorter side, aspect 0.8 to 1.25, up to 10 degrees, mirrored or not) as SIDE x SIDE."""
    height, width = grey.shape
    side = min(height, width)
    scale = rng.uniform(0.65, 1.08)
    root = math.sqrt(math.exp(rng.uniform(math.log(0.8), math.log(1.25))))
    box_width, box_height = side * scale * root, side * scale / root
    slack_x = max(abs(width - box_width) / 2, 0.05 * side)
    slack_y = max(abs(height - box_height) / 2, 0.05 * side)
    centre_x = width / 2 + rng.uniform(-1, 1) * slack_x
    centre_y = height / 2 + rng.uniform(-1, 1) * slack_y
    angle = math.radians(rng.uniform(-10, 10))
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    fine = 2 * SIDE
    across, down = mirror * box_width / fine, box_height / fine
    cos, sin = math.cos(angle), math.sin(angle)
    to_source = np.array([[cos * across, -sin * down, 0.0], [sin * across, cos * down, 0.0]])
    to_source[:, 2] = np.array([centre_x, centre_y]) - to_source[:, :2] @ np.array([fine / 2, fine / 2])
    border = cv2.BORDER_REPLICATE if rng.random() < 0.3 else cv2.BORDER_CONSTANT
    fill = float(rng.choice([0.0, 0.0, 1.0, rng.random()])) * 255
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    view = cv2.warpAffine(grey, to_source, (fine, fine), flags=flags, borderMode=border, borderValue=fill)
    return cv2.resize(view, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0


def random_view(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One distorted look at an 8-bit grey picture: SIDE x SIDE values 0..1."""
    view = np.round(retexture(retone(warp(grey, rng), rng), rng) * 255).astype(np.uint8)
    for chance, paint in ((0.35, paint_borders), (0.4, paint_letters), (0.25, paint_marks), (0.4, erase_patches)):
        if rng.random() < chance:
            paint(view, rng)
    return stretch(view.astype(np.float32) / 255.0, rng.uniform(0.0, 3.0), rng.uniform(97.0, 100.0))


class TrainingViews(Dataset):
    """One epoch of random views. Every draw depends on seed, epoch and position alone, so a resumed run sees the same ones."""

    def __init__(self, xrays: list[XRay], seed: int):
        self.xrays = xrays
        self.seed = seed
        self.weights = sampling_weights(xrays)
        self.pictures = [np.round(load_grey(xray.path) * 255).astype(np.uint8) for xray in xrays]
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        """Draws the X-rays of an epoch: as many as there are, with replacement, by their sampling weights."""
        self.epoch = epoch
        rng = np.random.default_rng([self.seed, epoch])
        self.order = rng.choice(len(self.xrays), size=len(self.xrays), p=self.weights)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, int]:
        rng = np.random.default_rng([self.seed, self.epoch, position])
        index = int(self.order[position])
        view = random_view(self.pictures[index], rng)
        return torch.from_numpy(normalise(view)), self.xrays[index].label


def reference_tensors(xrays: list[XRay]) -> tuple[np.ndarray, np.ndarray]:
    """The inputs (N x 3 x SIDE x SIDE, f32) and labels of X-rays, prepared as the shipped model wants them."""
    inputs = np.stack([preprocess(xray.path) for xray in xrays])
    return inputs, np.array([xray.label for xray in xrays])
