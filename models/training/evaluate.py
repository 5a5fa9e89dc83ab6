"""Scores the exported model with ONNX Runtime: `python models/training/evaluate.py`, writes evaluation.json beside the model.

In-domain (`val`, `test`) and external numbers stand side by side: the first alone say little about disease. Intervals are 95 %,
by bootstrap over patients, since pictures of one patient are not independent.
"""

import argparse
import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from tqdm import tqdm

from data import CLASSES, DEFAULT_DATA, XRay, read_manifest
from export import MODEL_FOLDER
from preprocess import preprocess

log = logging.getLogger("evaluate")
DRAWS = 2000
"""Bootstrap samples."""
BINS = 15
"""Equal-width confidence bins of the calibration error (Guo et al. 2017)."""
HIDDEN = 0.71
"""Side of the hidden middle as a share of the picture's: half of the area."""
SPECIFICITY = 0.95
"""The share of other `val` pictures that the covid threshold leaves alone."""
FEWEST = 5
"""A class with fewer pictures than this gets no rate of its own, only its counts in the table."""
COVID = CLASSES.index("covid")


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive scores above a negative, ties half. NaN without both kinds."""
    above, below = scores[positive], scores[~positive]
    if len(above) == 0 or len(below) == 0:
        return float("nan")
    difference = above[:, None] - below[None, :]
    return float((difference > 0).mean() + 0.5 * (difference == 0).mean())


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over bins, by their share of pictures."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return float(sum(abs(confidence[bins == b].sum() - right[bins == b].sum()) for b in range(BINS)) / len(labels))


def mean_or_nan(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def metrics(probabilities: np.ndarray, labels: np.ndarray, sources: np.ndarray, threshold: float) -> dict[str, float]:
    """Every number of one group of pictures; NaN where the group lacks the pictures for it."""
    guesses = probabilities.argmax(1)
    covid = labels == COVID
    numbers = {"accuracy": mean_or_nan(guesses == labels)}
    recalls = [mean_or_nan(guesses[labels == index] == index) for index in range(len(CLASSES))]
    numbers["balanced_accuracy"] = float(np.mean(recalls))
    numbers["covid_auc"] = auc(probabilities[:, COVID], covid)
    inside = sources == "ieee8023"
    numbers["covid_auc_within_ieee8023"] = auc(probabilities[inside, COVID], covid[inside])
    numbers |= {f"recall_{label}": recall for label, recall in zip(CLASSES, recalls)}
    numbers["covid_sensitivity_at_threshold"] = mean_or_nan(probabilities[covid, COVID] >= threshold)
    numbers["covid_specificity_at_threshold"] = mean_or_nan(probabilities[~covid, COVID] < threshold)
    numbers["calibration_error"] = calibration_error(probabilities, labels)
    numbers["log_loss"] = float(-np.log(np.maximum(probabilities[np.arange(len(labels)), labels], 1e-12)).mean())
    return numbers


def unsupported(labels: np.ndarray) -> set[str]:
    """Metrics that rest on a class with hardly any pictures."""
    counts = np.bincount(labels, minlength=len(CLASSES))
    names = {f"recall_{label}" for label, count in zip(CLASSES, counts) if count < FEWEST}
    if names:
        names.add("balanced_accuracy")
    if counts.sum() - counts[COVID] < FEWEST:
        names |= {"covid_auc", "covid_specificity_at_threshold"}
    return names


def intervals(measure: Callable[[np.ndarray], dict[str, float]], patients: np.ndarray) -> dict[str, list[float]]:
    """95 % intervals of `measure(indices)` when whole patients are drawn with replacement."""
    rng = np.random.default_rng(0)
    groups = [np.flatnonzero(patients == patient) for patient in np.unique(patients)]
    draws = [measure(np.concatenate([groups[i] for i in rng.integers(len(groups), size=len(groups))])) for _ in range(DRAWS)]
    columns = {name: np.array([draw[name] for draw in draws]) for name in draws[0]}
    return {
        name: [round(float(q), 4) for q in np.nanpercentile(column, [2.5, 97.5])]
        for name, column in columns.items()
        if not np.isnan(column).all()
    }


def hide_middle(inputs: np.ndarray) -> np.ndarray:
    """The inputs with the middle half of their area (nearly all of the lungs) made grey: what is left is mostly shortcuts."""
    rows, columns = inputs.shape[-2:]
    top, left = round(rows * (1 - HIDDEN) / 2), round(columns * (1 - HIDDEN) / 2)
    inputs[..., top : rows - top, left : columns - left] = 0.0
    return inputs


def score(model: Path, xrays: list[XRay], change: Callable[[np.ndarray], np.ndarray] = lambda inputs: inputs) -> np.ndarray:
    """Class probabilities of X-rays by the exported model; `change` may spoil the inputs first."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    rows = [session.run(["probabilities"], {"input": change(preprocess(x.path)[None])})[0][0] for x in tqdm(xrays, desc="scoring")]
    return np.array(rows)


def threshold_for(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """The least covid probability that at most 5 % of the other pictures reach."""
    others = np.sort(probabilities[labels != COVID, COVID])
    last_below = int(np.ceil(SPECIFICITY * len(others))) - 1
    return float(np.nextafter(others[last_below], np.float32(1)))


def table(xrays: list[XRay], probabilities: np.ndarray) -> list[dict]:
    """Counts of guesses by source, view and class: where the errors live."""
    groups: dict[tuple[str, str, str], np.ndarray] = {}
    for xray, guess in zip(xrays, probabilities.argmax(1)):
        key = (xray.source, xray.view or "unknown", CLASSES[xray.label])
        groups.setdefault(key, np.zeros(len(CLASSES), dtype=int))[guess] += 1
    return [
        {"source": source, "view": view, "class": label, "pictures": int(counts.sum()), "called": dict(zip(CLASSES, counts.tolist()))}
        for (source, view, label), counts in sorted(groups.items())
    ]


def describe(xrays: list[XRay], probabilities: np.ndarray, threshold: float) -> dict:
    """All results of one split."""
    labels = np.array([x.label for x in xrays])
    sources = np.array([x.source for x in xrays])
    patients = np.array([x.patient for x in xrays])

    def measure(chosen: np.ndarray) -> dict[str, float]:
        return metrics(probabilities[chosen], labels[chosen], sources[chosen], threshold)

    values = measure(np.arange(len(labels)))
    kept = {name for name, value in values.items() if not np.isnan(value)} - unsupported(labels)
    bounds = intervals(measure, patients)
    return {
        "pictures": {label: int((labels == index).sum()) for index, label in enumerate(CLASSES)},
        "patients": len(np.unique(patients)),
        "metrics": {name: {"value": round(value, 4), "interval": bounds[name]} for name, value in values.items() if name in kept},
        "groups": table(xrays, probabilities),
    }


def evaluate_folder(folder: Path, data: Path) -> dict:
    """Scores val, test and external with a folder's model.onnx and writes evaluation.json there."""
    splits = {split: read_manifest(data, split) for split in ("val", "test", "external")}
    probabilities = {split: score(folder / "model.onnx", xrays) for split, xrays in splits.items()}
    threshold = threshold_for(probabilities["val"], np.array([x.label for x in splits["val"]]))
    result = {"covid_threshold": round(threshold, 4), "threshold_from": f"{SPECIFICITY:.0%} specificity on val"}
    result |= {split: describe(xrays, probabilities[split], threshold) for split, xrays in splits.items()}
    result["test_with_middle_hidden"] = describe(splits["test"], score(folder / "model.onnx", splits["test"], hide_middle), threshold)
    (folder / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    for split in [*splits, "test_with_middle_hidden"]:
        for name, metric in result[split]["metrics"].items():
            log.info("%-24s %-32s %.3f  [%.3f, %.3f]", split, name, metric["value"], *metric["interval"])
    return result


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL_FOLDER, help="folder with model.onnx")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with manifest.csv and the X-rays")
    options = parser.parse_args()
    evaluate_folder(options.model, options.data)


if __name__ == "__main__":
    main()
