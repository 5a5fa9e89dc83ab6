"""Scores a model folder with ONNX Runtime: `python models/training/evaluate.py --model FOLDER`, writes evaluation.json there.

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

from calibration_plot import calibration_plot
from data import CLASSES, DEFAULT_DATA, XRay, read_manifest
from export import MODELS
from preprocess import Recipe, load_grey

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


def chance_error(probabilities: np.ndarray, draws: int = 1000) -> float:
    """The calibration error that a perfectly calibrated classifier would show on so few pictures: mean over drawn labels."""
    rng = np.random.default_rng(0)
    edges = probabilities.cumsum(1)[:, :-1]
    labels = [(rng.random((len(edges), 1)) > edges).sum(1) for _ in range(draws)]
    return float(np.mean([calibration_error(probabilities, drawn) for drawn in labels]))


def reliability(probabilities: np.ndarray, labels: np.ndarray, parts: int = 8) -> list[tuple[float, float, int]]:
    """Mean confidence, accuracy and count of `parts` groups of equally many pictures, from unsure to sure."""
    confidence, right = probabilities.max(1), probabilities.argmax(1) == labels
    groups = np.array_split(np.argsort(confidence), parts)
    return [(float(confidence[g].mean()), float(right[g].mean()), len(g)) for g in groups]


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


Change = Callable[[np.ndarray], np.ndarray]
"""Spoils the input tensor of one picture."""


def hide_middle(recipe: Recipe) -> Change:
    """Makes the middle half of the input's area (nearly all of the lungs) grey: what is left is mostly shortcuts."""

    def change(inputs: np.ndarray) -> np.ndarray:
        rows, columns = inputs.shape[-2:]
        top, left = round(rows * (1 - HIDDEN) / 2), round(columns * (1 - HIDDEN) / 2)
        inputs[..., top : rows - top, left : columns - left] = (0.5 - recipe.mean) / recipe.std
        return inputs

    return change


def load_model(folder: Path) -> tuple[onnxruntime.InferenceSession, Recipe]:
    """A folder's network and how it wants to see."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
    return session, Recipe.of(json.loads((folder / "manifest.json").read_text(encoding="utf-8")))


def score(folder: Path, xrays: list[XRay], change: Change = lambda inputs: inputs) -> np.ndarray:
    """Class probabilities of X-rays by a folder's model; `change` may spoil the inputs first."""
    session, recipe = load_model(folder)
    rows = []
    for xray in tqdm(xrays, desc=f"scoring, {folder.name}"):
        inputs = recipe.normalise(recipe.see(load_grey(xray.path), xray.box))[None]
        rows.append(session.run(["probabilities"], {"input": change(inputs)})[0][0])
    return np.array(rows)


def taught(folders: list[Path], xrays: list[XRay]) -> np.ndarray | None:
    """Mean probabilities of several models; None without models."""
    return np.mean([score(folder, xrays) for folder in folders], axis=0) if folders else None


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


def subgroups(xrays: list[XRay], probabilities: np.ndarray, threshold: float) -> dict[str, dict]:
    """Accuracy, and what the covid threshold does, by source and by view, with intervals."""
    labels = np.array([x.label for x in xrays])
    patients = np.array([x.patient for x in xrays])
    traits = {"source": [x.source for x in xrays], "view": [x.view or "unknown" for x in xrays]}
    found = {}
    for trait, values in traits.items():
        for value in sorted(set(values)):
            rows = np.flatnonzero(np.array(values) == value)
            covid, right, called = labels[rows] == COVID, probabilities[rows].argmax(1) == labels[rows], probabilities[rows, COVID] >= threshold

            def measure(chosen: np.ndarray) -> dict[str, float]:
                return {
                    "accuracy": mean_or_nan(right[chosen]),
                    "covid_sensitivity_at_threshold": mean_or_nan(called[chosen][covid[chosen]]),
                    "covid_specificity_at_threshold": mean_or_nan(~called[chosen][~covid[chosen]]),
                }

            bounds = intervals(measure, patients[rows])
            enough = {"accuracy": len(rows), "covid_sensitivity_at_threshold": covid.sum(), "covid_specificity_at_threshold": (~covid).sum()}
            numbers = {k: {"value": round(v, 4), "interval": bounds[k]} for k, v in measure(np.arange(len(rows))).items() if enough[k] >= FEWEST}
            found[f"{trait}: {value}"] = {"pictures": len(rows)} | numbers
    return found


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
        "calibration_error_by_chance": round(chance_error(probabilities), 4),
        "subgroups": subgroups(xrays, probabilities, threshold),
        "groups": table(xrays, probabilities),
    }


def evaluate_folder(folder: Path, data: Path, boxes: Path | None = None) -> dict:
    """Scores val, test and external with a folder's model.onnx; writes evaluation.json and calibration.svg there."""
    splits = {split: read_manifest(data, split, boxes) for split in ("val", "test", "external")}
    probabilities = {split: score(folder, xrays) for split, xrays in splits.items()}
    labels = {split: np.array([x.label for x in xrays]) for split, xrays in splits.items()}
    threshold = threshold_for(probabilities["val"], labels["val"])
    result = {"covid_threshold": round(threshold, 4), "threshold_from": f"{SPECIFICITY:.0%} specificity on val"}
    result |= {split: describe(xrays, probabilities[split], threshold) for split, xrays in splits.items()}
    hidden = hide_middle(load_model(folder)[1])
    result["test_with_middle_hidden"] = describe(splits["test"], score(folder, splits["test"], hidden), threshold)
    (folder / "evaluation.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    curves = {split: reliability(probabilities[split], labels[split]) for split in ("val", "test")}
    (folder / "calibration.svg").write_text(calibration_plot(curves, folder.name), encoding="utf-8")
    for split in [*splits, "test_with_middle_hidden"]:
        for name, metric in result[split]["metrics"].items():
            log.info("%-24s %-32s %.3f  [%.3f, %.3f]", split, name, metric["value"], *metric["interval"])
    return result


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODELS / "covid-xray", help="folder with model.onnx and manifest.json")
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with manifest.csv and the X-rays")
    parser.add_argument("--boxes", type=Path, help="the lungs' boxes, a table that `lungs.py` writes")
    options = parser.parse_args()
    evaluate_folder(options.model, options.data, options.boxes)


if __name__ == "__main__":
    main()
