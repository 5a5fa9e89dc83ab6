"""What synthetic shortcuts do to classifiers on `val`: `python models/training/robustness.py FOLDER... [--boxes FILE]`.

Each picture is spoiled as another archive might have it, the same for all classes: a classifier that looks at disease keeps its
numbers, except with the lungs hidden, where it must fall to chance. This is what chooses between variants, beside plain `val`.
"""

import argparse
import json
import logging
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from data import DEFAULT_DATA, XRay, read_manifest
from distort import paint_borders, paint_letters
from evaluate import hide_middle, load_model, metrics, threshold_for
from preprocess import Recipe, load_grey

log = logging.getLogger("robustness")
SHOWN = ("accuracy", "log_loss", "covid_auc", "covid_auc_within_ieee8023")


def rim(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Bars and letters at the rim."""
    for paint in (paint_borders, paint_letters, paint_letters):
        paint(grey, rng)
    return grey


def tone(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another film curve: dark or light by a gamma of 1.8 either way."""
    gamma = 1.8 if rng.random() < 0.5 else 1 / 1.8
    return np.round(255 * (grey / 255.0) ** gamma).astype(np.uint8)


def texture(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """160 pixels along the shorter side, blurred, and JPEG of quality 30."""
    scale = 160 / min(grey.shape)
    small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(small, (0, 0), 0.7)
    _, encoded = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 30])
    return cv2.resize(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), grey.shape[::-1], interpolation=cv2.INTER_LINEAR)


def same(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return grey


SPOILERS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "plain": same,
    "rim": rim,
    "tone": tone,
    "texture": texture,
    "wider": lambda grey, rng: cv2.resize(grey, None, fx=1.3, fy=1.0, interpolation=cv2.INTER_LINEAR),
    "hidden": same,
}


def spoiled_input(xray: XRay, recipe: Recipe, name: str, position: int) -> np.ndarray:
    """The input tensor of a spoiled picture; the lungs' box goes along where the picture gets wider."""
    grey = np.round(load_grey(xray.path) * 255).astype(np.uint8)
    spoiled = SPOILERS[name](grey.copy(), np.random.default_rng([5, position]))
    box = xray.box
    if box is not None and spoiled.shape != grey.shape:
        scale = spoiled.shape[1] / grey.shape[1]
        box = (round(box[0] * scale), box[1], round(box[2] * scale), box[3])
    inputs = recipe.normalise(recipe.see(spoiled.astype(np.float32) / 255.0, box))[None]
    return hide_middle(recipe)(inputs) if name == "hidden" else inputs


def robustness(folder: Path, xrays: list[XRay], names: list[str]) -> dict[str, dict[str, float]]:
    """Metrics of a folder's model under each spoiler."""
    session, recipe = load_model(folder)
    labels = np.array([x.label for x in xrays])
    sources = np.array([x.source for x in xrays])
    table, threshold = {}, 0.5
    for name in names:
        inputs = (spoiled_input(xray, recipe, name, position) for position, xray in enumerate(tqdm(xrays, desc=f"{folder.name}, {name}")))
        probabilities = np.concatenate([session.run(["probabilities"], {"input": tensor})[0] for tensor in inputs])
        if name == "plain":
            threshold = threshold_for(probabilities, labels)
        table[name] = {k: round(v, 4) for k, v in metrics(probabilities, labels, sources, threshold).items()}
        log.info("%-24s %-8s %s", folder.name, name, "  ".join(f"{k} {table[name][k]:.3f}" for k in SHOWN))
    return table


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", help="model folders")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with manifest.csv and the X-rays")
    parser.add_argument("--boxes", type=Path, help="the lungs' boxes, a table that `lungs.py` writes")
    parser.add_argument("--spoilers", nargs="+", default=list(SPOILERS), choices=list(SPOILERS))
    parser.add_argument("--out", type=Path, help="a JSON file for all numbers")
    options = parser.parse_args()
    xrays = read_manifest(options.data, "val", options.boxes)
    table = {str(folder.name): robustness(folder, xrays, options.spoilers) for folder in options.folders}
    if options.out:
        options.out.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
