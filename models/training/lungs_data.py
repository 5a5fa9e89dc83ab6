"""X-rays with lung masks, and joint distortions of both."""

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch.utils.data import Dataset

from distort import erase_patches, paint_borders, paint_letters, paint_marks, paint_stamp, retexture, retone, soften
from preprocess import load_grey, normalise, resize, stretch

SIDE = 256
"""Width and height of the segmenter's input: the whole picture, squashed."""

GRID = 128
"""Width and height of its mask."""


@dataclass(frozen=True)
class Case:
    """An X-ray and the lung mask drawn on it (`None` where nobody drew one)."""

    file: str
    path: Path
    split: str
    source: str
    view: str
    patient: str
    lungs: Path | None


def read_cases(data: Path, split: str | None = None, masked: bool = True) -> list[Case]:
    """The X-rays of a split (or all), with a lung mask only, or all of them."""
    with open(data / "manifest.csv", newline="", encoding="utf-8") as file:
        cases = [
            Case(
                row["file"], data / row["file"], row["split"], row["source"], row["view"], row["patient"],
                data / row["lungs"] if row["lungs"] else None,
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip
    return [case for case in cases if (split is None or case.split == split) and (case.lungs or not masked)]


def load_mask(path: Path) -> np.ndarray:
    """A lung mask as 0 and 255, 8 bit."""
    return np.where(np.asarray(Image.open(path).convert("L")) > 127, 255, 0).astype(np.uint8)


def to_bytes(grey: np.ndarray) -> np.ndarray:
    return np.round(grey * 255).astype(np.uint8)


def squashed(grey: np.ndarray) -> np.ndarray:
    """What the segmenter sees of a grey picture: SIDE x SIDE, percentiles stretched."""
    return stretch(resize(grey, SIDE))


WARP = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
FINE = 2 * SIDE
"""Side of a view before it is averaged down."""


def random_frame(
    shape: tuple[int, int], rng: np.random.Generator, scales: tuple[float, float] = (0.62, 1.25), degrees: float = 15
) -> np.ndarray:
    """The affine map of FINE x FINE pixels onto a random part of a picture, perhaps more than all of it.

    Scale of the picture's sides, aspect 0.75 to 1.33, shift, turned (in the picture's own pixels), mirrored or not.
    """
    height, width = shape
    scale = math.exp(rng.uniform(math.log(scales[0]), math.log(scales[1])))
    root = math.sqrt(math.exp(rng.uniform(-1, 1) * math.log(4 / 3)))
    box = np.array([width * scale * root, height * scale / root])
    slack = np.abs(np.array([width, height]) - box) / 2 + 0.06 * np.array([width, height])
    centre = np.array([width, height]) / 2 + rng.uniform(-1, 1, 2) * slack
    angle = math.radians(rng.uniform(-degrees, degrees))
    across, down = box / FINE
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    cos, sin = math.cos(angle), math.sin(angle)
    frame = np.array([[cos * across * mirror, -sin * down, 0.0], [sin * across * mirror, cos * down, 0.0]])
    frame[:, 2] = centre - frame[:, :2] @ np.array([FINE / 2, FINE / 2])
    return frame


def whiten(view: np.ndarray, lung: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Fills one lung, or the lower part of one or both, with a bright haze, as effusion or collapse do: the field is there all the same."""
    columns = np.flatnonzero(lung.max(axis=0) > 0.5)
    if len(columns) == 0:
        return view
    middle = (columns[0] + columns[-1]) // 2
    haze = lung.copy()
    side = rng.integers(3)
    if side < 2:
        haze[:, slice(0, middle) if side else slice(middle, None)] = 0.0
    rows = np.flatnonzero(haze.max(axis=1) > 0.5)
    if len(rows) and (side == 2 or rng.random() < 0.5):
        haze[: int(rows[0] + rng.uniform(0.4 if side == 2 else 0.0, 0.95) * (rows[-1] - rows[0]))] = 0.0
    grown = cv2.dilate(haze, np.ones((9, 9), np.uint8))
    haze = cv2.GaussianBlur(grown, (0, 0), rng.uniform(3, 12)) * rng.uniform(0.5, 1.0)
    bright = np.percentile(view, rng.uniform(65, 95)) + 0.03 * cv2.GaussianBlur(rng.normal(0, 6, view.shape), (0, 0), 5)
    return np.clip(view * (1 - haze) + bright * haze, 0.0, 1.0).astype(np.float32)


def cut(grey: np.ndarray, frame: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The part of an 8-bit picture that a frame shows, SIDE x SIDE values 0..1; what lies beyond it is filled at random."""
    border = cv2.BORDER_REPLICATE if rng.random() < 0.3 else cv2.BORDER_CONSTANT
    fill = float(rng.choice([0.0, 0.0, 1.0, rng.random()])) * 255
    view = cv2.warpAffine(grey, frame, (FINE, FINE), flags=WARP, borderMode=border, borderValue=fill)
    return cv2.resize(view, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0


@dataclass(frozen=True)
class Chances:
    """How often a look is distorted gently, has a whitened lung, is very soft."""

    gentle: float
    white: float
    soft: float


STRONG = Chances(gentle=0.0, white=0.0, soft=0.0)
MIXED = Chances(gentle=0.5, white=0.15, soft=0.15)


def develop(
    view: np.ndarray, rng: np.random.Generator, erased: float, soft: float = MIXED.soft, shares: np.ndarray | None = None
) -> np.ndarray:
    """Another tone, texture and rim, marks, patches erased with the given chance; percentiles stretched, not always the same.

    Bars painted along the sides hide the picture for good, so `shares` of lung become 0 there.
    """
    view = retone(view, rng)
    view = to_bytes(soften(view, rng) if rng.random() < soft else retexture(view, rng))
    if rng.random() < 0.3:
        bars = paint_borders(view, rng)
        if shares is not None:
            shares[cv2.resize(bars.astype(np.uint8), shares.shape[::-1], interpolation=cv2.INTER_AREA) > 0] = 0.0
    for chance, paint in ((0.3, paint_letters), (0.15, paint_stamp), (0.2, paint_marks), (erased, erase_patches)):
        if rng.random() < chance:
            paint(view, rng)
    return stretch(view.astype(np.float32) / 255.0, rng.uniform(0.0, 3.0), rng.uniform(97.0, 100.0))


def random_case(grey: np.ndarray, mask: np.ndarray, rng: np.random.Generator, chances: Chances = MIXED) -> tuple[np.ndarray, np.ndarray]:
    """One look at an 8-bit picture and its mask: SIDE x SIDE values 0..1, GRID x GRID shares of lung."""
    gentle = rng.random() < chances.gentle
    frame = random_frame(grey.shape, rng, *((0.9, 1.1), 5) if gentle else ())
    view = cut(grey, frame, rng)
    target = cv2.warpAffine(mask, frame, (FINE, FINE), flags=WARP, borderMode=cv2.BORDER_CONSTANT, borderValue=0)
    if rng.random() < chances.white:
        view = whiten(view, cv2.resize(target, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0, rng)
    shares = cv2.resize(target, (GRID, GRID), interpolation=cv2.INTER_AREA).astype(np.float32) / 255.0
    if gentle and rng.random() < 0.5:
        return stretch(view), shares
    return develop(view, rng, 0.0 if gentle else 0.2, chances.soft, shares), shares


class LungViews(Dataset):
    """One epoch of random views of masked X-rays. Draws depend on seed, epoch and position alone, so a resumed run repeats them."""

    def __init__(self, cases: list[Case], seed: int, chances: Chances):
        self.seed = seed
        self.chances = chances
        self.pictures = [to_bytes(load_grey(case.path)) for case in cases]
        self.masks = [load_mask(case.lungs) for case in cases]
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch
        self.order = np.random.default_rng([self.seed, epoch]).permutation(len(self.pictures))

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, torch.Tensor]:
        index = int(self.order[position])
        rng = np.random.default_rng([self.seed, self.epoch, position])
        view, target = random_case(self.pictures[index], self.masks[index], rng, self.chances)
        return torch.from_numpy(normalise(view)), torch.from_numpy(target[None])
