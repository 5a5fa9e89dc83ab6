"""Trains the lung segmenter and its gate, exports and evaluates them; README.md has the commands of its two phases.

Only X-rays of `train` with a lung mask teach the segmenter; `val` chooses the epoch. A run that was stopped goes on from its last one.
"""

import argparse
import json
import logging
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader

import gate
import lungs_evaluate
import lungs_export
from data import DEFAULT_DATA
from fitting import Run, start
from lungs_data import MIXED, STRONG, Case, LungViews, load_mask, read_cases, squashed
from lungs_network import LungNet, freeze
from preprocess import load_grey, normalise

log = logging.getLogger("lungs")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with manifest.csv and the X-rays")
    parser.add_argument("--pictures", type=Path, help="folder `opencv` of an unpacked source release of opencv-python; none: no gate, no export")
    parser.add_argument("--checkpoints", type=Path, default=lungs_export.CHECKPOINTS, help="folder for checkpoints")
    parser.add_argument("--out", type=Path, default=lungs_export.FOLDER, help="folder for the model and evaluation.json")
    parser.add_argument("--boxes", type=Path, help="a table of every X-ray's lung box to write, for the classifiers' training")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--start", type=Path, nargs="+", default=[], help="a best.pt whose weights to go on from, or several: their mean")
    parser.add_argument("--strong", action="store_true", help="a first phase: every look distorted strongly, none soft or whitened")
    parser.add_argument("--epochs", type=int, default=12, help="0: take the weights of --start as they are")
    parser.add_argument("--batch", type=int, default=12, help="X-rays a step")
    parser.add_argument("--rate", type=float, default=8e-4, help="highest learning rate of the decoder; the encoder gets a third")
    parser.add_argument("--decay", type=float, default=0.01, help="weight decay")
    parser.add_argument("--average", type=float, default=0.97, help="share of the averaged weights that a step keeps")
    return parser.parse_args()


def segmentation_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of every cell plus one minus the soft Dice of every picture."""
    shares = torch.sigmoid(logits)
    overlap, total = (shares * target).sum((1, 2, 3)), (shares + target).sum((1, 2, 3))
    return functional.binary_cross_entropy_with_logits(logits, target) + 1 - ((2 * overlap + 1) / (total + 1)).mean()


def lung_logits(network: LungNet, inputs: np.ndarray, device: str) -> np.ndarray:
    """Logits, N x GRID x GRID, of prepared inputs."""
    network.eval()
    with torch.inference_mode():
        parts = [network(torch.from_numpy(inputs[i : i + 16]).to(device)).float().cpu().numpy()[:, 0] for i in range(0, len(inputs), 16)]
    return np.concatenate(parts)


class LungRun(Run):
    """A training run of the segmenter, whose targets come with the inputs."""

    SETTINGS = ("seed", "epochs", "batch", "rate", "decay", "average")

    def __init__(self, options: argparse.Namespace, steps_per_epoch: int, device: str):
        super().__init__(options, lungs_export.mean_network(options.start) if options.start else LungNet(), steps_per_epoch, device, freeze)
        encoder = [p for p in self.network.blocks.parameters() if p.requires_grad]
        decoder = [*self.network.decoder.parameters(), *self.network.lungs.parameters()]
        groups = [{"params": encoder, "share": 1 / 3}, {"params": decoder, "share": 1.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=options.rate, weight_decay=options.decay)

    def teach(self, inputs: torch.Tensor, masks: torch.Tensor, targets: None) -> float:
        return self.learn(inputs, lambda logits: segmentation_loss(logits, masks.to(self.device)))

    def judge(self, loss: float, inputs: np.ndarray, masks: list[np.ndarray]) -> None:
        """Measures Dice on `val`, writes the checkpoint, and keeps the averaged weights apart while they are the best."""
        scores = [lungs_evaluate.dice(logits, mask) for logits, mask in zip(lung_logits(self.average, inputs, self.device), masks)]
        row = {"epoch": self.epoch, "loss": round(loss, 4), "val_dice": round(float(np.mean(scores)), 4), "val_least": round(min(scores), 4)}
        self.history.append(row)
        self.save()
        if row["val_dice"] == max(earlier["val_dice"] for earlier in self.history):
            torch.save({"average": self.average.state_dict(), "history": self.history}, self.options.checkpoints / "best.pt")
        log.info("%s", json.dumps(row))


def inputs_of(cases: list[Case]) -> np.ndarray:
    return np.stack([normalise(squashed(load_grey(case.path))) for case in cases])


def main() -> None:
    options = arguments()
    device = start(options)
    views = LungViews(read_cases(options.data, "train"), options.seed, STRONG if options.strong else MIXED)
    chosen_on = read_cases(options.data, "val")
    inputs, masks = inputs_of(chosen_on), [load_mask(case.lungs) for case in chosen_on]
    run = LungRun(options, len(views) // options.batch, device)
    run.resume()
    if options.epochs == 0:
        run.judge(0.0, inputs, masks)
    while run.epoch < options.epochs:
        views.set_epoch(run.epoch)
        run.judge(run.train_epoch(DataLoader(views, batch_size=options.batch, drop_last=True)), inputs, masks)
    log.info("%d epochs took %.0f s", run.epoch, run.seconds)
    if options.pictures is None:
        return
    gate.train(options.checkpoints, options.data, options.pictures, options.threads, options.seed)
    lungs_export.export_checkpoints(options.checkpoints, options.out)
    lungs_evaluate.evaluate_folder(options.out, options.data, options.checkpoints, options.boxes)


if __name__ == "__main__":
    main()
