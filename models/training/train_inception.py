"""Trains covid-xray-inception, then exports and evaluates it: `python models/training/train_inception.py --boxes FILE`.

The first half (to `mixed5`) is frozen, so each X-ray's random views go through it once; their features are kept on disk and the
second half learns from them, which takes a third of the time. A run that was stopped goes on from its last finished epoch.
Nothing but the `train` split teaches and nothing but `val` calibrates.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

import evaluate
import export
import fitting
from data import TrainingViews, XRay, read_manifest, reference_tensors, sampling_weights
from inception import Inception, fetch, load_front
from preprocess import Recipe

log = logging.getLogger("train_inception")
RECALIBRATED = 320
"""Training views whose statistics replace those of the front's batch normalisations, which 8 bits hold poorly."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    fitting.add_arguments(parser, "covid-xray-inception", epochs=10, rate=1e-3, mixup=0.3)
    parser.add_argument("--views", type=int, default=6, help="random views of each X-ray")
    return parser.parse_args()


def recalibrate(network: Inception, views: TrainingViews) -> None:
    """Sets the front's batch statistics to those of random views."""
    norms = [module for module in network.front.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over all batches
    network.front.train()
    with torch.no_grad():
        for inputs, _ in DataLoader(torch.utils.data.Subset(views, range(RECALIBRATED)), batch_size=32):
            network.front(inputs.to(memory_format=torch.channels_last))
    network.front.eval()


def features_of(network: Inception, inputs: np.ndarray) -> np.ndarray:
    """The front's features in half precision."""
    return fitting.logits_of(network.front, inputs).to(torch.float16).numpy()


def random_features(network: Inception, views: TrainingViews, count: int, file: Path) -> np.ndarray:
    """Features of `count` random views of each X-ray: count x X-rays x channels x rows x columns, made once and kept in `file`."""
    partial = file.with_suffix(".part.npy")
    if not file.exists():
        shape = (count, len(views.xrays), *features_of(network, np.zeros((1, 3, views.side, views.side), np.float32)).shape[1:])
        kept = np.lib.format.open_memmap(partial, "w+", np.float16, shape)
        for draw in range(count):
            for first in tqdm(range(0, len(views.xrays), 32), desc=f"features {draw + 1}/{count}"):
                chosen = range(first, min(first + 32, len(views.xrays)))
                inputs = [views.view(index, np.random.default_rng([views.seed, 7, draw, index])) for index in chosen]
                kept[draw, first : first + 32] = features_of(network, np.stack(inputs))
        kept.flush()
        partial.replace(file)
    return np.load(file, mmap_mode="r")


class Features(Dataset):
    """One epoch of kept features: X-rays by their sampling weights, one of each one's views by chance."""

    def __init__(self, xrays: list[XRay], features: np.ndarray, seed: int):
        self.features = features
        self.seed = seed
        self.weights = sampling_weights(xrays)
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        rng = np.random.default_rng([self.seed, epoch])
        views, xrays = self.features.shape[:2]
        self.order = rng.choice(xrays, size=xrays, p=self.weights)
        self.view = rng.integers(views, size=xrays)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, int]:
        index = int(self.order[position])
        return torch.from_numpy(np.array(self.features[self.view[position], index])), index


def front(options: argparse.Namespace, views: TrainingViews) -> Inception:
    """The network with its front recalibrated; a resumed run finds the front beside its checkpoint."""
    network = Inception()
    file = options.checkpoints / "front.pt"
    if file.exists():
        network.front.load_state_dict(torch.load(file, weights_only=True))
    else:
        options.checkpoints.mkdir(parents=True, exist_ok=True)
        load_front(network, fetch(options.checkpoints))
        network.front.to(memory_format=torch.channels_last)
        recalibrate(network, views)
        torch.save(network.front.state_dict(), file)
    network.front.requires_grad_(False).eval()
    return network


def main() -> None:
    options = arguments()
    device = fitting.start(options)
    recipe = Recipe(side=256, crop="lungs" if options.boxes else "center-square", mean=0.0, std=1.0)
    train, val = (read_manifest(options.data, split, options.boxes) for split in ("train", "val"))
    views = TrainingViews(train, options.seed, recipe)
    network = front(options, views)
    features = Features(train, random_features(network, views, options.views, options.checkpoints / "features.npy"), options.seed)
    inputs, labels = reference_tensors(val, recipe)
    inputs = features_of(network, inputs)
    taught = evaluate.taught(options.teachers, train)
    targets = fitting.soft_targets(np.array([x.label for x in train]), options.smoothing, taught, options.teaching)
    run = fitting.Run(options, network.back, len(train) // options.batch, device)
    run.resume()
    while run.epoch < options.epochs:
        features.set_epoch(run.epoch)
        run.judge(run.train_epoch(DataLoader(features, batch_size=options.batch, drop_last=True), targets), inputs, labels)
    log.info("%d epochs took %.0f s", run.epoch, run.seconds)
    network.back = run.average.cpu()
    export.write_folder(export.INCEPTION, network, run.history[-1]["temperature"], options.out, recipe)
    evaluate.evaluate_folder(options.out, options.data, options.boxes)


if __name__ == "__main__":
    main()
