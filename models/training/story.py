"""Draws docs/hidden-lungs.jpg: an honest classifier and the bad one, before and after the lungs are hidden.

    cargo build --release && python models/training/story.py

A synthetic sample, Grad-CAM of Covid-19 by gradlens itself, with the notice in the pixels of each panel.
"""

import json
import subprocess
import tempfile
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[2]
GRADLENS = ROOT / "target" / "release" / "gradlens"
SAMPLE = ROOT / "www" / "public" / "samples" / "synthetic-4.jpg"
OUT = ROOT / "docs" / "hidden-lungs.jpg"
MODELS = {"covid-xray": "trained against shortcuts", "shortcut-xray": "bad on purpose"}
HIDDEN = 0.71
"""Side of the hidden middle as a share of the centre square's: half of its area."""
WIDTH, BAR = 480, 34
"""Pixels of a panel's width and of the caption above it."""


def hide_lungs(picture: np.ndarray) -> np.ndarray:
    """The middle half of the centre square made grey."""
    height, width = picture.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    margin = round(side * (1 - HIDDEN) / 2)
    hidden = picture.copy()
    hidden[top + margin : top + side - margin, left + margin : left + side - margin] = 128
    return hidden


def panel(model: str, picture: Path, folder: Path) -> np.ndarray:
    """The overlay of one picture under one model, with its covid probability above."""
    call = [GRADLENS, "explain", picture, "--model", model, "--class", "covid", "--out", folder, "--json"]
    report = json.loads(subprocess.run(call, check=True, capture_output=True, cwd=ROOT).stdout)
    score = next(score["probability"] for score in report["scores"] if score["label"] == "covid")
    overlay = cv2.imread(str(folder / f"{picture.stem}.overlay.png"))
    small = cv2.resize(overlay, (WIDTH, round(overlay.shape[0] * WIDTH / overlay.shape[1])), interpolation=cv2.INTER_AREA)
    bar = np.full((BAR, WIDTH, 3), 255, np.uint8)
    text = f"{model}, {MODELS[model]}: Covid-19 {score:.0%}"
    cv2.putText(bar, text, (6, 23), cv2.FONT_HERSHEY_SIMPLEX, 0.52, (30, 30, 30), 1, cv2.LINE_AA)
    return np.vstack([bar, small])


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hidden = folder / "lungs-hidden.png"
        cv2.imwrite(str(hidden), hide_lungs(cv2.imread(str(SAMPLE), cv2.IMREAD_GRAYSCALE)))
        rows = [np.hstack([panel(model, picture, folder) for picture in (SAMPLE, hidden)]) for model in MODELS]
    cv2.imwrite(str(OUT), np.vstack(rows), [cv2.IMWRITE_JPEG_QUALITY, 85])


if __name__ == "__main__":
    main()
