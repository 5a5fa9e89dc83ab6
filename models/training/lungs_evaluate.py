"""Scores the exported segmenter and its gate: `python models/training/lungs_evaluate.py`, writes evaluation.json beside the model.

Intervals are 95 %, by bootstrap over patients. `--boxes FILE` writes the lung box of every X-ray, which the classifiers train on.
"""

import argparse
import csv
import json
import logging
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from tqdm import tqdm

from data import DEFAULT_DATA
from distort import paint_borders, paint_letters
from evaluate import intervals
from lungs_data import Case, load_mask, read_cases, to_bytes
from lungs_export import CHECKPOINTS, FOLDER
from preprocess import Box, Recipe, load_grey, lung_box

log = logging.getLogger("lungs_evaluate")


class Segmenter:
    """An exported segmenter as the crate runs it."""

    def __init__(self, folder: Path, threads: int = 2):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        self.manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        self.recipe = Recipe.of(self.manifest)

    def look(self, grey: np.ndarray) -> tuple[np.ndarray, float]:
        """The logits of the lung fields and the gate's score of a picture of values 0..1."""
        inputs = self.recipe.normalise(self.recipe.see(grey))[None]
        lungs, frontal = self.session.run(["lungs", "frontal"], {"input": inputs})
        return lungs[0, 0], float(frontal[0, 0])

    def box(self, grey: np.ndarray) -> Box | None:
        return lung_box(self.look(grey)[0] > self.manifest["threshold"], grey.shape[1], grey.shape[0])


def dice(logits: np.ndarray, mask: np.ndarray) -> float:
    """Dice of logits above 0 with a mask of 0 and 255, at the mask's own size (logits interpolated linearly)."""
    found = cv2.resize(logits, mask.shape[::-1], interpolation=cv2.INTER_LINEAR) > 0
    wanted = mask > 127
    return float(2 * (found & wanted).sum() / max(1, found.sum() + wanted.sum()))


def overlap(a: Box | None, b: Box | None) -> float:
    """Shared area of two boxes over the area of both (intersection over union)."""
    if a is None or b is None:
        return 0.0
    wide, tall = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0) * max(tall, 0)
    return shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared)


def with_interval(values: dict[str, np.ndarray], cases: list[Case]) -> dict[str, dict]:
    """Means of columns with their intervals over patients."""
    bounds = intervals(lambda chosen: {k: float(v[chosen].mean()) for k, v in values.items()}, np.array([c.patient for c in cases]))
    return {k: {"value": round(float(v.mean()), 4), "interval": bounds[k]} for k, v in values.items()}


def segmentation(segmenter: Segmenter, cases: list[Case]) -> dict:
    """Dice, and how well boxes from found and drawn masks agree, over X-rays with a mask; the worst ones too."""
    scores, boxes = [], []
    for case in tqdm(cases, desc="masks"):
        grey, mask = load_grey(case.path), load_mask(case.lungs)
        logits = segmenter.look(grey)[0]
        height, width = mask.shape
        scores.append(dice(logits, mask))
        boxes.append(overlap(lung_box(logits > 0, width, height), lung_box(mask > 127, width, height)))
    columns = {"dice": np.array(scores), "box_overlap": np.array(boxes)}
    for score, case in sorted(zip(scores, cases), key=lambda pair: pair[0])[:8]:
        log.info("Dice %.3f  %s", score, case.file)
    return {
        "pictures": len(cases),
        "patients": len({case.patient for case in cases}),
        "metrics": with_interval(columns, cases),
        "median_dice": round(float(np.median(scores)), 4),
        "least_dice": round(min(scores), 4),
        "below_0.9": int(sum(score < 0.9 for score in scores)),
    }


def gamma(power: float) -> Callable[[np.ndarray, np.random.Generator], np.ndarray]:
    return lambda grey, rng: np.round(255 * (grey / 255.0) ** power).astype(np.uint8)


def bordered(grey: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    paint_borders(grey, rng)
    paint_letters(grey, rng)
    return grey


SPOILERS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "darker, gamma 1.8": gamma(1.8),
    "lighter, gamma 0.55": gamma(0.55),
    "noise, 8 % of white": lambda grey, rng: np.clip(grey + rng.normal(0, 20, grey.shape), 0, 255).astype(np.uint8),
    "blur, 1 % of the width": lambda grey, rng: cv2.GaussianBlur(grey, (0, 0), grey.shape[1] / 100),
    "borders and letters": bordered,
}


def steadiness(segmenter: Segmenter, cases: list[Case]) -> dict[str, dict[str, float]]:
    """How much of the box (overlap) and of the gate's judgement survives what another archive might do to a picture."""
    table = {}
    pictures = [to_bytes(load_grey(case.path)) for case in cases]
    plain = [segmenter.box(grey / 255.0) for grey in pictures]
    for name, spoil in SPOILERS.items():
        overlaps, passed = [], 0
        for index, (grey, box) in enumerate(zip(tqdm(pictures, desc=name), plain)):
            spoiled = spoil(grey.copy(), np.random.default_rng([7, index])) / 255.0
            overlaps.append(overlap(segmenter.box(spoiled), box))
            passed += segmenter.look(spoiled)[1] >= segmenter.manifest["gate"]["threshold"]
        low = np.percentile(overlaps, 5)
        table[name] = {"box_overlap": round(float(np.mean(overlaps)), 4), "box_overlap_p5": round(float(low), 4), "kept": round(passed / len(cases), 4)}
    return table


def gate_rates(segmenter: Segmenter, data: Path) -> dict:
    """The share of chest X-rays that pass, by split, source and view."""
    result = {}
    for split in ("val", "test", "external"):
        cases = read_cases(data, split, masked=False)
        threshold = segmenter.manifest["gate"]["threshold"]
        passed = np.array([segmenter.look(load_grey(case.path))[1] >= threshold for case in tqdm(cases, desc=split)], dtype=float)
        groups = {}
        for key in sorted({(case.source, case.view or "unknown") for case in cases}):
            inside = np.array([(case.source, case.view or "unknown") == key for case in cases])
            groups[f"{key[0]}, {key[1]}"] = {"pictures": int(inside.sum()), "kept": int(passed[inside].sum())}
        log.info("%s, stopped: %s", split, [case.file for case, kept in zip(cases, passed) if not kept])
        result[split] = {"pictures": len(cases), **with_interval({"kept": passed}, cases), "groups": groups}
    return result


def unlikely(box: Box | None, width: int, height: int) -> bool:
    """Boxes that two lungs hardly have: narrower than high by a third, twice as wide as high, or nearly all or little of the picture."""
    if box is None:
        return True
    wide, tall = box[2] - box[0], box[3] - box[1]
    return not 0.7 < wide / tall < 1.9 or wide * tall > 0.97 * width * height or wide * tall < 0.12 * width * height


def write_boxes(segmenter: Segmenter, data: Path, file: Path) -> dict:
    """The lung box of every X-ray as a table; returns how many look unlikely, by source."""
    counts: dict[str, dict[str, int]] = {}
    with open(file, "w", newline="", encoding="utf-8") as table:
        writer = csv.writer(table)
        writer.writerow(("file", "left", "top", "right", "bottom"))
        for case in tqdm(read_cases(data, masked=False), desc="boxes"):
            grey = load_grey(case.path)
            box = segmenter.box(grey)
            writer.writerow((case.file, *(box or ("", "", "", ""))))
            count = counts.setdefault(case.source, {"pictures": 0, "none": 0, "unlikely": 0})
            count["pictures"] += 1
            count["none"] += box is None
            count["unlikely"] += unlikely(box, grey.shape[1], grey.shape[0])
    return counts


def evaluate_folder(folder: Path, data: Path, checkpoints: Path, boxes: Path | None) -> None:
    """Writes evaluation.json, and the boxes where asked."""
    segmenter = Segmenter(folder)
    result = {split: segmentation(segmenter, read_cases(data, split)) for split in ("val", "test")}
    result["gate"] = gate_rates(segmenter, data)
    result["gate"] |= {k: v for k, v in json.loads((checkpoints / "gate.json").read_text(encoding="utf-8")).items() if k != "kept"}
    result["steadiness_on_val"] = steadiness(segmenter, read_cases(data, "val", masked=False))
    if boxes:
        result["boxes"] = write_boxes(segmenter, data, boxes)
    (folder / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for split in ("val", "test"):
        log.info("%s: %s", split, result[split]["metrics"])


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", type=Path, default=FOLDER, help="folder with model.onnx")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with manifest.csv and the X-rays")
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS, help="folder with the gate's comparison of judges")
    parser.add_argument("--boxes", type=Path, help="a table to write, for the classifiers' training")
    options = parser.parse_args()
    evaluate_folder(options.model, options.data, options.checkpoints, options.boxes)


if __name__ == "__main__":
    main()
