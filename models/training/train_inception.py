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
    fitting.add_arguments(parser, "covid-xray-inception", epochs=10, rate=1e-3, mixup=0.4)
    parser.add_argument("--views", type=int, default=4, help="random views of each X-ray")
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


def random_features(network: Inception, views: TrainingViews, count: int, folder: Path) -> list[np.ndarray]:
    """Features of `count` random views of each X-ray (X-rays x channels x rows x columns each), kept in files, made once."""
    kept = []
    for draw in range(count):
        file = folder / f"features-{draw}.npy"
        if not file.exists():
            rows = []
            for first in tqdm(range(0, len(views.xrays), 32), desc=f"features {draw + 1}/{count}"):
                chosen = range(first, min(first + 32, len(views.xrays)))
                inputs = [views.view(index, np.random.default_rng([views.seed, 7, draw, index])) for index in chosen]
                rows.append(features_of(network, np.stack(inputs)))
            partial = file.with_suffix(".part.npy")
            np.save(partial, np.concatenate(rows))
            partial.replace(file)
        kept.append(np.load(file, mmap_mode="r"))
    return kept


class Features(Dataset):
    """One epoch of kept features: X-rays by their sampling weights, one of each one's views by chance."""

    def __init__(self, xrays: list[XRay], features: list[np.ndarray], seed: int):
        self.features = features
        self.seed = seed
        self.weights = sampling_weights(xrays)
        self.set_epoch(0)

    def set_epoch(self, epoch: int) -> None:
        rng = np.random.default_rng([self.seed, epoch])
        count = len(self.weights)
        self.order = rng.choice(count, size=count, p=self.weights)
        self.view = rng.integers(len(self.features), size=count)

    def __len__(self) -> int:
        return len(self.order)

    def __getitem__(self, position: int) -> tuple[torch.Tensor, int]:
        index = int(self.order[position])
        return torch.from_numpy(np.array(self.features[self.view[position]][index])), index


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
    features = Features(train, random_features(network, views, options.views, options.checkpoints), options.seed)
    inputs, labels = reference_tensors(val, recipe)
    inputs = features_of(network, inputs)
    taught = evaluate.taught(options.teachers, train)
    targets = fitting.soft_targets(np.array([x.label for x in train]), options.smoothing, taught, options.teaching)
    start = torch.load(options.start, map_location="cpu", weights_only=True)["average"] if options.start else None
    if start:
        network.back.load_state_dict(start)
    run = fitting.Run(options, network.back, len(train) // options.batch, device)
    run.resume()
    while run.epoch < options.epochs:
        features.set_epoch(run.epoch)
        run.judge(run.train_epoch(DataLoader(features, batch_size=options.batch, drop_last=True), targets), inputs, labels)
    log.info("%d epochs took %.0f s", run.epoch, run.seconds)
    network.back = fitting.blend(start, run.average.cpu(), options.keep) if start else run.average.cpu()
    divisor = fitting.temperature(fitting.logits_of(network.back, inputs), torch.from_numpy(labels))
    export.write_folder(export.INCEPTION, network, divisor, options.out, recipe)
    evaluate.evaluate_folder(options.out, options.data, options.boxes)


if __name__ == "__main__":
    main()
