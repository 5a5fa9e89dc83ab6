"""Draws the synthetic chest pictures that the page offers as samples: `python models/training/samples.py`.

X-rays may not be shipped, so each sample is drawn from a low-rank Gaussian of the training pixels: their mean plus a few
principal components with random weights, kept within one standard deviation. A component mixes hundreds of pictures, so
none can be recovered. To check that, the closest correlation with the pictures it was drawn from is printed beside the closest
with as many pictures that took no part (`val` and `test`). Texture and the word SYNTHETIC are drawn on top.
"""

import argparse
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from data import CLASSES, DEFAULT_DATA, read_manifest
from preprocess import load_grey

log = logging.getLogger("samples")
FOLDER = Path(__file__).resolve().parents[2] / "www" / "public" / "samples"
COARSE = 96
"""Side, in pixels, of the pictures that the model of pixels knows."""
COMPONENTS = 8
FEWEST = 100
"""Fewest training pictures behind a model of pixels."""
JPEG_QUALITY = 88


@dataclass(frozen=True)
class Sample:
    """A picture to draw: which class's pixels it leans on, its seed and its size."""

    file: str
    title: str
    label: str
    seed: int
    width: int
    height: int


SAMPLES = (
    Sample("synthetic-1.jpg", "Synthetic 1", "covid", 3, 600, 512),
    Sample("synthetic-2.jpg", "Synthetic 2", "no_finding", 5, 512, 512),
    Sample("synthetic-3.jpg", "Synthetic 3", "pneumonia", 8, 512, 560),
    Sample("synthetic-4.jpg", "Synthetic 4", "covid", 13, 640, 528),
)


def equalised(grey: np.ndarray) -> np.ndarray:
    """A picture squashed to COARSE x COARSE with mean 0 and standard deviation 1 (f32)."""
    small = cv2.resize(grey, (COARSE, COARSE), interpolation=cv2.INTER_AREA)
    return ((small - small.mean()) / max(float(small.std()), 1e-6)).astype(np.float32)


def aligned(pictures: list[np.ndarray], rounds: int = 3) -> np.ndarray:
    """Pictures shifted and scaled towards their common mean, so that ribs and domes of the diaphragm overlap."""
    stack = np.stack(pictures)
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 40, 1e-4)
    warps = [np.eye(2, 3, dtype=np.float32) for _ in pictures]
    moved = stack.copy()
    for _ in range(rounds):
        mean = moved.mean(0)
        for index, picture in enumerate(stack):
            try:
                _, warps[index] = cv2.findTransformECC(mean, picture, warps[index], cv2.MOTION_AFFINE, stop)
            except cv2.error:  # this picture does not converge: it stays where it was
                continue
            flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
            moved[index] = cv2.warpAffine(picture, warps[index], (COARSE, COARSE), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return moved


def draw_low_rank(stack: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mean plus COMPONENTS principal components, weights Gaussian of 0.7 standard deviations, cut at one."""
    rows = stack.reshape(len(stack), -1)
    mean = rows.mean(0)
    _, strengths, components = np.linalg.svd(rows - mean, full_matrices=False)
    weights = np.clip(rng.normal(0, 0.7, COMPONENTS), -1, 1) * strengths[:COMPONENTS] / np.sqrt(len(stack))
    return (mean + weights @ components[:COMPONENTS]).reshape(COARSE, COARSE)


def finish(coarse: np.ndarray, sample: Sample, rng: np.random.Generator) -> np.ndarray:
    """Enlarges smoothly, sharpens a little, adds film grain, and stamps; 8-bit grey."""
    size = (sample.width, sample.height)
    picture = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    picture = cv2.GaussianBlur(picture, (0, 0), 2.0)
    picture += 0.8 * (picture - cv2.GaussianBlur(picture, (0, 0), 14.0))
    low, high = np.percentile(picture, [0.5, 99.5])
    picture = np.clip((picture - low) / (high - low), 0, 1)
    for sigma, amount in ((1.0, 0.012), (4.0, 0.010)):
        grain = cv2.GaussianBlur(rng.normal(0, 1, picture.shape), (0, 0), sigma)
        picture += amount * grain / grain.std()
    picture = (np.clip(0.04 + 0.9 * picture, 0, 1) * 255).astype(np.uint8)
    return stamp(picture)


def stamp(picture: np.ndarray) -> np.ndarray:
    """Writes SYNTHETIC in white on a black box in the lower left corner, clear of the lungs."""
    scale, rim = picture.shape[1] / 512, 12
    (width, height), below = cv2.getTextSize("SYNTHETIC", cv2.FONT_HERSHEY_SIMPLEX, scale, 2)
    left, base = rim + 8, picture.shape[0] - rim - below - 4
    cv2.rectangle(picture, (rim, base - height - 8), (left + width + 8, base + below + 4), 0, -1)
    cv2.putText(picture, "SYNTHETIC", (left, base), cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 2, cv2.LINE_AA)
    return picture


def closest(picture: np.ndarray, stack: np.ndarray, mean: np.ndarray) -> float:
    """Largest correlation of a coarse picture with any of the stack, after `mean` is taken from both."""
    rest = (stack - mean).reshape(len(stack), -1)
    own = (picture - mean).ravel()
    return float((rest @ own / (np.linalg.norm(rest, axis=1) * np.linalg.norm(own))).max())


def pixels(data: Path, splits: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Coarse aligned pictures of each class, one of each patient, so that nobody weighs more than once."""
    firsts = {(xray.label, xray.patient): xray for split in splits for xray in reversed(read_manifest(data, split))}
    xrays = list(firsts.values())
    return {
        label: aligned([equalised(load_grey(xray.path)) for xray in xrays if xray.label == index])
        for index, label in enumerate(CLASSES)
    }


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with manifest.csv and the X-rays")
    parser.add_argument("--out", type=Path, default=FOLDER)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    drawn_from, apart = pixels(options.data, ("train",)), pixels(options.data, ("val", "test"))
    for sample in SAMPLES:
        rng = np.random.default_rng(sample.seed)
        stack, others = drawn_from[sample.label], apart[sample.label]
        if len(stack) < FEWEST:
            raise SystemExit(f"only {len(stack)} training pictures of {sample.label}: too few to draw from without copying")
        coarse = draw_low_rank(stack, rng)
        picture = finish(coarse, sample, rng)
        cv2.imwrite(str(options.out / sample.file), picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        fewer = stack[np.linspace(0, len(stack) - 1, len(others)).astype(int)]
        near, far = closest(coarse, fewer, stack.mean(0)), closest(coarse, others, stack.mean(0))
        between = np.median([closest(p, np.delete(stack, i, axis=0), stack.mean(0)) for i, p in enumerate(stack)])
        log.info(
            "%s: closest of %d pictures it was drawn from %.2f (of all %d: %.2f), of %d others %.2f; between two training pictures %.2f",
            *(sample.file, len(fewer), near, len(stack), closest(coarse, stack, stack.mean(0)), len(others), far, between),
        )
    index = [{"file": s.file, "title": s.title, "width": s.width, "height": s.height} for s in SAMPLES]
    (options.out / "index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
