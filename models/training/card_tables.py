"""Prints the tables of a classifier's MODEL_CARD.md from its evaluation.json: `python models/training/card_tables.py FOLDER...`."""

import argparse
import json
from pathlib import Path

SPLITS = ("val", "test", "external")
ROWS = {
    "accuracy": "accuracy, three classes",
    "recall_covid": "covid recall",
    "recall_no_finding": "no finding recall",
    "recall_pneumonia": "pneumonia recall",
    "covid_auc": "covid AUC",
    "covid_auc_within_ieee8023": "covid AUC, first collection only",
    "covid_sensitivity_at_threshold": "covid sensitivity at the threshold",
    "covid_specificity_at_threshold": "covid specificity at the threshold",
    "calibration_error": "calibration error (15 bins)",
    "log_loss": "log loss",
}
GROUPED = ("accuracy", "covid_sensitivity_at_threshold", "covid_specificity_at_threshold")


def cell(metric: dict | None) -> str:
    """A value and its interval; nothing where the pictures were too few for one."""
    return f"{metric['value']:.3f} [{metric['interval'][0]:.3f}, {metric['interval'][1]:.3f}]" if metric else ""


def row(*cells: object) -> str:
    return f"| {' | '.join(str(text) for text in cells)} |"


def tables(evaluation: dict) -> list[str]:
    """The threshold, the metrics of all splits, those by source and view on `test`, and with the lungs hidden."""
    lines = [f"threshold {evaluation['covid_threshold']:.3f}, {evaluation['threshold_from']}", ""]
    lines += [row(name, *(cell(evaluation[split]["metrics"].get(key)) for split in SPLITS)) for key, name in ROWS.items()]
    chance = (f"{evaluation[split]['calibration_error_by_chance']:.3f}" for split in SPLITS)
    lines += [row("what chance alone gives a perfectly calibrated one", *chance), ""]
    for name, group in evaluation["test"]["subgroups"].items():
        lines.append(row(name, group["pictures"], *(cell(group.get(key)) for key in GROUPED)))
    hidden = evaluation["test_with_middle_hidden"]["metrics"]
    lines += ["", "with the lungs hidden", *(row(name, cell(hidden.get(key))) for key, name in ROWS.items())]
    for split in SPLITS[1:]:
        lines += ["", f"called, {split}"]
        lines += [row(group["source"], group["view"], group["class"], group["pictures"], *group["called"].values()) for group in evaluation[split]["groups"]]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+", help="model folders")
    for folder in parser.parse_args().folders:
        evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
        print("\n".join([folder.name, *tables(evaluation), ""]))


if __name__ == "__main__":
    main()
