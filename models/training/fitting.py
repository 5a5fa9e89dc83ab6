"""What every classifier's training shares: the schedule, averaged weights, soft targets, checkpoints, calibration."""

import argparse
import copy
import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # waiting threads must not spin on cores that others need

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from data import CLASSES, DEFAULT_DATA

log = logging.getLogger("fitting")
CHECKPOINTS = Path(__file__).resolve().parent / "checkpoints"


def add_arguments(parser: argparse.ArgumentParser, name: str, **defaults: object) -> None:
    """The options of every training, with the defaults of the model folder `name`."""
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with manifest.csv and the X-rays")
    parser.add_argument("--boxes", type=Path, help="the lungs' boxes, a table that `lungs.py` writes; none: centre squares")
    parser.add_argument("--checkpoints", type=Path, default=CHECKPOINTS / name, help="folder for checkpoints")
    parser.add_argument("--out", type=Path, default=Path(__file__).resolve().parents[1] / name, help="folder for the model")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--batch", type=int, default=32, help="X-rays a step")
    parser.add_argument("--rate", type=float, help="highest learning rate")
    parser.add_argument("--decay", type=float, default=0.02, help="weight decay")
    parser.add_argument("--smoothing", type=float, default=0.1, help="label smoothing; the NIH labels are about 10 %% wrong")
    parser.add_argument("--average", type=float, default=0.98, help="share of the averaged weights that a step keeps")
    parser.add_argument("--mixup", type=float, default=0.0, help="share of the steps on mixtures of two inputs (Zhang et al. 2018)")
    parser.add_argument("--start", type=Path, help="a checkpoint of the same network whose averaged weights to begin with")
    parser.add_argument("--keep", type=float, default=0.5, help="share of the starting weights in the final ones, with --start")
    parser.add_argument("--teachers", type=Path, nargs="*", default=[], help="model folders whose mean answers soften the labels")
    parser.add_argument("--teaching", type=float, default=0.5, help="the teachers' share of the targets")
    parser.set_defaults(**defaults)


def start(options: argparse.Namespace) -> str:
    """Seeds, sets threads, and returns the device."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", datefmt="%H:%M:%S")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    return options.device if options.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")


def soft_targets(labels: np.ndarray, smoothing: float, taught: np.ndarray | None, teaching: float) -> torch.Tensor:
    """Smoothed labels, mixed with the teachers' probabilities where there are teachers."""
    smooth = np.eye(len(CLASSES), dtype=np.float32)[labels] * (1 - smoothing) + smoothing / len(CLASSES)
    if taught is not None:
        smooth = (1 - teaching) * smooth + teaching * taught.astype(np.float32)
    return torch.from_numpy(smooth)


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


def blend(start: dict[str, torch.Tensor], end: torch.nn.Module, share: float) -> torch.nn.Module:
    """The network between two: `share` of the starting weights, the rest of the trained (Wortsman et al. 2022, WiSE-FT)."""
    for name, value in end.state_dict().items():
        if value.dtype.is_floating_point:
            value.lerp_(start[name], share)
    return end


def logits_of(network: torch.nn.Module, inputs: np.ndarray, device: str = "cpu") -> torch.Tensor:
    """Scores of many inputs, in batches, on the CPU."""
    network.eval()
    with torch.inference_mode():
        parts = [network(torch.from_numpy(inputs[i : i + 32]).float().to(device)).float().cpu() for i in range(0, len(inputs), 32)]
    return torch.cat(parts)


def temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """The divisor of the logits with the least log loss (Guo et al. 2017), searched on a grid of 1 % steps."""
    grid = torch.exp(torch.arange(-1.5, 1.5, 0.01))
    losses = torch.stack([functional.cross_entropy(logits / divisor, labels) for divisor in grid])
    return float(grid[losses.argmin()])


class Run:
    """Everything a training run carries from epoch to epoch; `freeze` undoes what `train()` does to fixed parts."""

    KEPT = ("network", "average", "optimiser")
    SETTINGS = ("seed", "epochs", "batch", "rate", "decay", "smoothing", "average", "mixup", "teaching")

    def __init__(
        self,
        options: argparse.Namespace,
        network: torch.nn.Module,
        steps_per_epoch: int,
        device: str,
        freeze: Callable[[torch.nn.Module], None] = lambda network: None,
    ):
        self.options = options
        self.device = device
        self.freeze = freeze
        self.steps = options.epochs * steps_per_epoch
        self.warmup = steps_per_epoch
        self.network = network.to(device, memory_format=torch.channels_last)
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
        return {name: getattr(self.options, name) for name in self.SETTINGS}

    def save(self) -> None:
        """Writes the checkpoint beside the old one and swaps them, so that a kill never leaves half a file."""
        self.options.checkpoints.mkdir(parents=True, exist_ok=True)
        state = {name: getattr(self, name).state_dict() for name in self.KEPT}
        state |= {name: getattr(self, name) for name in ("epoch", "step", "seconds", "history")}
        state |= {"settings": self.settings(), "random": torch.get_rng_state()}
        torch.save(state, self.file.with_suffix(".new"))
        self.file.with_suffix(".new").replace(self.file)

    def resume(self) -> None:
        """Takes up the last checkpoint, if there is one of the same settings."""
        if not self.file.exists():
            return
        state = torch.load(self.file, map_location=self.device, weights_only=True)
        if state["settings"] != self.settings():
            raise SystemExit(f"{self.file} has other settings {state['settings']}: move it away or name other --checkpoints")
        for name in self.KEPT:
            getattr(self, name).load_state_dict(state[name])
        self.epoch, self.step, self.seconds, self.history = (state[k] for k in ("epoch", "step", "seconds", "history"))
        torch.set_rng_state(state["random"].cpu())
        log.info("resumed after epoch %d", self.epoch)

    def mix(self, inputs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """In some steps, each input and its target blended with another's of the batch, both in one proportion."""
        if not self.options.mixup or torch.rand(()).item() >= self.options.mixup:
            return inputs, targets
        share = float(np.random.default_rng([self.options.seed, self.step]).beta(0.4, 0.4))
        order = torch.randperm(len(inputs))
        return inputs.lerp(inputs[order], 1 - share), targets.lerp(targets[order], 1 - share)

    def learn(self, inputs: torch.Tensor, loss_of: Callable[[torch.Tensor], torch.Tensor]) -> float:
        """One step down the gradient of a loss of the network's scores; returns the loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.options.rate * group.get("share", 1.0) * learning_rate(self.step, self.steps, self.warmup)
        loss = loss_of(self.network(inputs.to(self.device, memory_format=torch.channels_last)))
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 2.0)
        self.optimiser.step()
        follow(self.average, self.network, self.step, self.options.average)
        self.step += 1
        return loss.item()

    def teach(self, inputs: torch.Tensor, positions: torch.Tensor, targets: torch.Tensor) -> float:
        """One step on some inputs and their positions in `targets`."""
        inputs, wanted = self.mix(inputs.float(), targets[positions])
        return self.learn(inputs, lambda scores: functional.cross_entropy(scores, wanted.to(self.device)))

    def train_epoch(self, batches: Iterable[tuple[torch.Tensor, torch.Tensor]], targets: torch.Tensor | None = None) -> float:
        """One pass over an epoch's inputs and their positions in `targets`; returns the mean loss."""
        self.network.train()
        self.freeze(self.network)
        started, total, count = time.monotonic(), 0.0, 0
        bar = tqdm(batches, desc=f"epoch {self.epoch + 1}/{self.options.epochs}")
        for count, (inputs, positions) in enumerate(bar, start=1):
            total += self.teach(inputs, positions, targets)
            bar.set_postfix(loss=f"{total / count:.3f}")
        self.epoch += 1
        self.seconds += time.monotonic() - started
        return total / count

    def judge(self, loss: float, inputs: np.ndarray, labels: np.ndarray) -> None:
        """Scores the averaged weights on `val`, keeps the numbers and writes the checkpoint."""
        logits, wanted = logits_of(self.average, inputs, self.device), torch.from_numpy(labels)
        row = {
            "epoch": self.epoch,
            "loss": round(loss, 4),
            "val_loss": round(float(functional.cross_entropy(logits, wanted)), 4),
            "val_accuracy": round(float((logits.argmax(1) == wanted).float().mean()), 4),
            "temperature": round(temperature(logits, wanted), 3),
        }
        self.history.append(row)
        self.save()
        log.info("%s", json.dumps(row))
