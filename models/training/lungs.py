"""Trains the lung segmenter: `python models/training/lungs.py`.

Only X-rays of `train` with a lung mask teach; `val` chooses the epoch. A run that was stopped goes on from its last epoch.
"""

import argparse
import copy
import json
import logging
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # waiting threads must not spin on cores that others need

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader
from tqdm import tqdm

from data import DEFAULT_DATA
from lungs_data import Case, LungViews, load_mask, read_cases, squashed
from lungs_network import LungNet, freeze
from preprocess import load_grey, normalise
from fitting import follow, learning_rate

log = logging.getLogger("lungs")
CHECKPOINTS = Path(__file__).resolve().parent / "checkpoints" / "lungs"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with manifest.csv and the X-rays")
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS, help="folder for checkpoints")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--batch", type=int, default=12, help="X-rays a step")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="highest learning rate of the decoder; the encoder gets a third")
    parser.add_argument("--decay", type=float, default=0.01, help="weight decay")
    parser.add_argument("--average", type=float, default=0.97, help="share of the averaged weights that a step keeps")
    return parser.parse_args()


def segmentation_loss(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of every cell plus one minus the soft Dice of every picture."""
    shares = torch.sigmoid(logits)
    overlap, total = (shares * target).sum((1, 2, 3)), (shares + target).sum((1, 2, 3))
    return functional.binary_cross_entropy_with_logits(logits, target) + 1 - ((2 * overlap + 1) / (total + 1)).mean()


def dice(logits: np.ndarray, mask: np.ndarray) -> float:
    """Dice of the thresholded logits with a mask of 0 and 255, at the mask's own size (logits interpolated linearly)."""
    height, width = mask.shape
    whole = functional.interpolate(torch.from_numpy(logits)[None, None], size=(height, width), mode="bilinear", align_corners=False)[0, 0]
    found, wanted = whole.numpy() > 0, mask > 127
    return float(2 * (found & wanted).sum() / max(1, found.sum() + wanted.sum()))


def lung_logits(network: LungNet, inputs: np.ndarray, device: str = "cpu") -> np.ndarray:
    """Logits, N x GRID x GRID, of prepared inputs."""
    network.eval()
    with torch.inference_mode():
        parts = [network(torch.from_numpy(inputs[i : i + 16]).to(device)).float().cpu().numpy()[:, 0] for i in range(0, len(inputs), 16)]
    return np.concatenate(parts)


def inputs_of(cases: list[Case]) -> np.ndarray:
    return np.stack([normalise(squashed(load_grey(case.path))) for case in cases])


class Run:
    """Everything a training run carries from epoch to epoch."""

    def __init__(self, options: argparse.Namespace, device: str, steps_per_epoch: int):
        self.options = options
        self.device = device
        self.steps, self.warmup = options.epochs * steps_per_epoch, steps_per_epoch
        self.network = LungNet().to(device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network)
        freeze(self.network)
        encoder = [p for p in self.network.blocks.parameters() if p.requires_grad]
        decoder = [*self.network.decoder.parameters(), *self.network.lungs.parameters()]
        groups = [{"params": encoder, "share": 1 / 3}, {"params": decoder, "share": 1.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=options.rate, weight_decay=options.decay)
        self.epoch, self.step, self.seconds = 0, 0, 0.0
        self.history: list[dict] = []

    @property
    def file(self) -> Path:
        return self.options.checkpoints / "last.pt"

    def settings(self) -> dict:
        """What a checkpoint must agree in with the run that resumes it."""
        return {k: getattr(self.options, k) for k in ("seed", "epochs", "batch", "rate", "decay", "average")}

    def save(self) -> None:
        """Writes the checkpoint beside the old one and swaps them; the averaged weights also alone, if `val` likes them best."""
        self.options.checkpoints.mkdir(parents=True, exist_ok=True)
        state = {"settings": self.settings(), "network": self.network.state_dict(), "average": self.average.state_dict()}
        state |= {"optimiser": self.optimiser.state_dict(), "random": torch.get_rng_state()}
        state |= {k: getattr(self, k) for k in ("epoch", "step", "seconds", "history")}
        torch.save(state, self.file.with_suffix(".new"))
        self.file.with_suffix(".new").replace(self.file)
        if max(row["val_dice"] for row in self.history) == self.history[-1]["val_dice"]:
            torch.save({"average": self.average.state_dict(), "history": self.history}, self.options.checkpoints / "best.pt")

    def resume(self) -> None:
        """Takes up the last checkpoint, if there is one of the same settings."""
        if not self.file.exists():
            return
        state = torch.load(self.file, map_location=self.device, weights_only=True)
        if state["settings"] != self.settings():
            raise SystemExit(f"{self.file} has other settings {state['settings']}: move it away or name other --checkpoints")
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.epoch, self.step, self.seconds, self.history = (state[k] for k in ("epoch", "step", "seconds", "history"))
        torch.set_rng_state(state["random"].cpu())
        log.info("resumed after epoch %d", self.epoch)

    def train_epoch(self, views: LungViews) -> float:
        """One pass over an epoch's views; returns the mean loss."""
        views.set_epoch(self.epoch)
        self.network.train()
        freeze(self.network)
        started, total = time.monotonic(), 0.0
        bar = tqdm(DataLoader(views, batch_size=self.options.batch, drop_last=True), desc=f"epoch {self.epoch + 1}/{self.options.epochs}")
        for count, (inputs, target) in enumerate(bar, start=1):
            for group in self.optimiser.param_groups:
                group["lr"] = self.options.rate * group["share"] * learning_rate(self.step, self.steps, self.warmup)
            logits = self.network(inputs.to(self.device, memory_format=torch.channels_last))
            loss = segmentation_loss(logits, target.to(self.device))
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
            self.optimiser.step()
            follow(self.average, self.network, self.step, self.options.average)
            self.step += 1
            total += loss.item()
            bar.set_postfix(loss=f"{total / count:.3f}")
        self.epoch += 1
        self.seconds += time.monotonic() - started
        return total / count


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", datefmt="%H:%M:%S")
    options = arguments()
    device = options.device if options.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    views = LungViews(read_cases(options.data, "train"), options.seed)
    chosen_on = read_cases(options.data, "val")
    inputs, masks = inputs_of(chosen_on), [load_mask(case.lungs) for case in chosen_on]
    run = Run(options, device, len(views) // options.batch)
    run.resume()
    while run.epoch < options.epochs:
        loss = run.train_epoch(views)
        scores = [dice(logits, mask) for logits, mask in zip(lung_logits(run.average, inputs, device), masks)]
        row = {"epoch": run.epoch, "loss": round(loss, 4), "val_dice": round(float(np.mean(scores)), 4), "val_worst": round(min(scores), 4)}
        run.history.append(row)
        run.save()
        log.info("%s", json.dumps(row))
    log.info("%d epochs took %.0f s", run.epoch, run.seconds)


if __name__ == "__main__":
    main()
