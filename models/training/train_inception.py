"""Trains covid-xray-inception, then exports and evaluates it: `python models/training/train_inception.py`.

The first half (to `mixed5`) is frozen, so each X-ray's random views go through it once; their features are kept on disk and the
second half learns from them, which takes a third of the time. A run that was stopped goes on from its last finished epoch; other
runs with the same `--features` find theirs there. Nothing but the `train` split teaches and nothing but `val` calibrates.
"""

import argparse
import copy
import logging
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

import evaluate
import export
import fitting
import looks
from data import Strength, TrainingViews, read_manifest, reference_tensors
from inception import Inception, convolutions, fetch, load
from preprocess import Recipe
from unfold import unfold

log = logging.getLogger("train_inception")
RECALIBRATED = 320
"""Training views whose statistics replace those of the front's batch normalisations, which 8 bits hold poorly."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    fitting.add_arguments(parser, "covid-xray-inception", epochs=10, rate=1e-3, mixup=0.4)
    parser.add_argument("--views", type=int, default=16, help="random views of each X-ray")
    parser.add_argument("--painted", type=float, default=0.5, help="factor on the chances of painted borders, letters, marks, patches")
    parser.add_argument("--features", type=Path, help="folder for the front and the views' features; none: --checkpoints")
    parser.add_argument("--bfloat16", action="store_true", help="the views' features in bfloat16: three times as fast where the processor has it")
    parser.add_argument("--teachers-see", choices=("picture", "view"), default="view", help="what teachers answer to: the X-ray or each view of it")
    parser.add_argument("--tuned", action="store_true", help="begin mixed6 to mixed10 with the package's weights, tuned on other pictures, not anew")
    parser.add_argument("--stop", type=int, help="end after this epoch although the learning rate was planned for --epochs")
    parser.add_argument("--trial", action="store_true", help="stop before `test` and `external` are scored")
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


def features_of(network: Inception, inputs: np.ndarray, bfloat16: bool = False) -> np.ndarray:
    """The front's features in half precision."""
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        return fitting.logits_of(network.front, inputs).to(torch.float16).numpy()


def front(folder: Path, views: TrainingViews) -> Inception:
    """The network with its front recalibrated; a later run finds the front in the folder."""
    network = Inception()
    file = folder / "front.pt"
    if file.exists():
        network.front.load_state_dict(torch.load(file, weights_only=True))
    else:
        load(network.front, fetch(folder))
        network.front.to(memory_format=torch.channels_last)
        recalibrate(network, views)
        torch.save(network.front.state_dict(), file)
    network.front.requires_grad_(False).eval()
    return network


def random_features(network: Inception, views: TrainingViews, options: argparse.Namespace, folder: Path) -> list[np.ndarray]:
    """Features of some random views of each X-ray: X-rays x channels x rows x columns each."""

    def answer(inputs: np.ndarray) -> np.ndarray:
        return features_of(network, inputs, options.bfloat16)

    return [looks.kept(folder / f"features-{draw}.npy", views, draw, answer) for draw in range(options.views)]


def targets_for(views: TrainingViews, options: argparse.Namespace, folder: Path) -> torch.Tensor:
    """What each view of each X-ray should be called, all X-rays' first views first."""
    labels = np.tile([xray.label for xray in views.xrays], options.views)
    taught = None
    if options.teachers and options.teachers_see == "view":
        taught = np.concatenate(looks.answers(options.teachers, views, options.views, folder))
    elif options.teachers:
        taught = np.tile(evaluate.taught(options.teachers, views.xrays), (options.views, 1))
    return fitting.soft_targets(labels, options.smoothing, taught, options.teaching)


def begin(network: Inception, options: argparse.Namespace, folder: Path, features: np.ndarray) -> dict[str, torch.Tensor] | None:
    """Sets the weights that the second half begins with; returns those of `--start`, a checkpoint or a shipped model.onnx."""
    second = 1 + len(convolutions(network.front))
    if options.tuned:
        load(network.back, fetch(folder), second)
    if options.start is None:
        return None
    if options.start.suffix == ".onnx":
        unfold(network.back, options.start, second, features)
    else:
        network.back.load_state_dict(torch.load(options.start, map_location="cpu", weights_only=True)["average"])
    return copy.deepcopy(network.back.state_dict())


def main() -> None:
    options = arguments()
    device = fitting.start(options)
    folder = options.features or options.checkpoints
    folder.mkdir(parents=True, exist_ok=True)
    recipe = Recipe(side=256, crop="lungs" if options.boxes else "center-square", mean=0.0, std=1.0)
    train, val = (read_manifest(options.data, split, options.boxes) for split in ("train", "val"))
    views = TrainingViews(train, options.seed, recipe, Strength(painted=options.painted))
    network = front(folder, views)
    features = looks.Features(train, random_features(network, views, options, folder), options.seed)
    targets = targets_for(views, options, folder)
    inputs, labels = reference_tensors(val, recipe)
    inputs = features_of(network, inputs)
    start = begin(network, options, folder, features.features[0][:RECALIBRATED])
    run = fitting.Run(options, network.back, len(train) // options.batch, device)
    run.resume()
    while run.epoch < (options.stop or options.epochs):
        features.set_epoch(run.epoch)
        run.judge(run.train_epoch(DataLoader(features, batch_size=options.batch, drop_last=True), targets), inputs, labels)
    log.info("%d epochs took %.0f s", run.epoch, run.seconds)
    network.back = fitting.blend(start, run.average.cpu(), options.keep) if start else run.average.cpu()
    divisor = fitting.temperature(fitting.logits_of(network.back, inputs), torch.from_numpy(labels))
    export.write_folder(export.INCEPTION, network, divisor, options.out, recipe)
    if not options.trial:
        evaluate.evaluate_folder(options.out, options.data, options.boxes)


if __name__ == "__main__":
    main()
