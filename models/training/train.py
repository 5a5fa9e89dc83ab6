"""Fine-tunes the covid-xray classifier, then exports and evaluates it: `python models/training/train.py`.

A run that was stopped goes on from its last finished epoch. Nothing but the `train` split teaches and nothing but `val`
calibrates; `test` and `external` are only scored, at the end.
"""

import argparse
import copy
import json
import logging
import math
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # waiting threads must not spin on cores that others need

import numpy as np
import torch
from torch.nn import functional
from torch.utils.data import DataLoader
from tqdm import tqdm

import evaluate
import export
from data import DEFAULT_DATA, TrainingViews, read_manifest, reference_tensors
from network import build, freeze

log = logging.getLogger("train")
CHECKPOINTS = Path(__file__).resolve().parent / "checkpoints"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with manifest.csv and the X-rays")
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS, help="folder for checkpoints")
    parser.add_argument("--out", type=Path, default=export.MODEL_FOLDER, help="folder for model.onnx and evaluation.json")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--batch", type=int, default=32, help="X-rays a step")
    parser.add_argument("--rate", type=float, default=5e-4, help="highest learning rate")
    parser.add_argument("--decay", type=float, default=0.02, help="weight decay")
    parser.add_argument("--smoothing", type=float, default=0.1, help="label smoothing; the NIH labels are about 10 %% wrong")
    parser.add_argument("--average", type=float, default=0.98, help="share of the averaged weights that a step keeps")
    return parser.parse_args()


def learning_rate(step: int, steps: int, warmup: int) -> float:
    """Share of the highest rate: a linear rise, then a half cosine down to nothing."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, steps - warmup)))


def follow(average: torch.nn.Module, network: torch.nn.Module, step: int, keep: float) -> None:
    """Moves the averaged weights and batch statistics towards the network's; the first steps move further."""
    keep = min(keep, (1 + step) / (10 + step))
    with torch.no_grad():
        for mean, value in zip(average.state_dict().values(), network.state_dict().values()):
            if mean.dtype.is_floating_point:
                mean.lerp_(value, 1 - keep)
            else:
                mean.copy_(value)


def logits_of(network: torch.nn.Module, inputs: np.ndarray, device: str) -> torch.Tensor:
    """Scores of many inputs, in batches, on the CPU."""
    network.eval()
    with torch.inference_mode():
        parts = [network(torch.from_numpy(inputs[i : i + 32]).to(device)).float().cpu() for i in range(0, len(inputs), 32)]
    return torch.cat(parts)


def temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The divisor of the logits with the least log loss (Guo et al. 2017), searched on a grid of 1 % steps."""
    grid = torch.exp(torch.arange(-1.5, 1.5, 0.01))
    losses = torch.stack([functional.cross_entropy(logits / divisor, labels) for divisor in grid])
    return float(grid[losses.argmin()])


class Run:
    """Everything a training run carries from epoch to epoch."""

    def __init__(self, options: argparse.Namespace, device: str, steps_per_epoch: int):
        self.options = options
        self.device = device
        self.steps = options.epochs * steps_per_epoch
        self.warmup = steps_per_epoch
        self.network = build().to(device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network)
        freeze(self.network)
        trainable = [p for p in self.network.parameters() if p.requires_grad]
        matrices, vectors = [p for p in trainable if p.ndim > 1], [p for p in trainable if p.ndim == 1]
        groups = [{"params": matrices, "weight_decay": options.decay}, {"params": vectors, "weight_decay": 0.0}]
        self.optimiser = torch.optim.AdamW(groups, lr=options.rate)
        self.epoch = 0
        self.step = 0
        self.seconds = 0.0
        self.history: list[dict] = []

    @property
    def file(self) -> Path:
        return self.options.checkpoints / "last.pt"

    def settings(self) -> dict:
        """What a checkpoint must agree in with the run that resumes it."""
        return {k: getattr(self.options, k) for k in ("seed", "epochs", "batch", "rate", "decay", "smoothing", "average")}

    def save(self) -> None:
        """Writes the checkpoint beside the old one and swaps them, so that a kill never leaves half a file."""
        self.options.checkpoints.mkdir(parents=True, exist_ok=True)
        state = {
            "settings": self.settings(),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "epoch": self.epoch,
            "step": self.step,
            "seconds": self.seconds,
            "history": self.history,
            "random": torch.get_rng_state(),
        }
        torch.save(state, self.file.with_suffix(".new"))
        self.file.with_suffix(".new").replace(self.file)

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

    def train_epoch(self, views: TrainingViews) -> float:
        """One pass over an epoch's views; returns the mean loss."""
        views.set_epoch(self.epoch)
        self.network.train()
        freeze(self.network)
        started, total = time.monotonic(), 0.0
        bar = tqdm(DataLoader(views, batch_size=self.options.batch, drop_last=True), desc=f"epoch {self.epoch + 1}/{self.options.epochs}")
        for count, (inputs, labels) in enumerate(bar, start=1):
            for group in self.optimiser.param_groups:
                group["lr"] = self.options.rate * learning_rate(self.step, self.steps, self.warmup)
            scores = self.network(inputs.to(self.device, memory_format=torch.channels_last))
            loss = functional.cross_entropy(scores, labels.to(self.device), label_smoothing=self.options.smoothing)
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
    views = TrainingViews(read_manifest(options.data, "train"), options.seed)
    inputs, labels = reference_tensors(read_manifest(options.data, "val"))
    labels = torch.from_numpy(labels)
    run = Run(options, device, len(views) // options.batch)
    run.resume()
    while run.epoch < options.epochs:
        loss = run.train_epoch(views)
        logits = logits_of(run.average, inputs, device)
        row = {
            "epoch": run.epoch,
            "loss": round(loss, 4),
            "val_loss": round(float(functional.cross_entropy(logits, labels)), 4),
            "val_accuracy": round(float((logits.argmax(1) == labels).float().mean()), 4),
            "temperature": round(temperature(logits, labels), 3),
        }
        run.history.append(row)
        run.save()
        log.info("%s", json.dumps(row))
    log.info("%d epochs took %.0f s", run.epoch, run.seconds)
    export.export_checkpoint(run.file, options.out)
    evaluate.evaluate_folder(options.out, options.data)


if __name__ == "__main__":
    main()
