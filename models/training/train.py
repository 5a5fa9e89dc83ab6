"""Fine-tunes the covid-xray classifier, then exports and evaluates it: `python models/training/train.py --boxes FILE`.

A run that was stopped goes on from its last finished epoch. Nothing but the `train` split teaches and nothing but `val`
calibrates; `test` and `external` are only scored, at the end.
"""

import argparse
import logging
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

import evaluate
import export
import fitting
from data import Strength, TrainingViews, read_manifest, reference_tensors
from lite0 import build, freeze
from preprocess import Recipe

log = logging.getLogger("train")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    fitting.add_arguments(parser, "covid-xray", epochs=24, rate=5e-4)
    parser.add_argument("--crop", choices=("center-square", "lungs"), help="what the finished classifier sees; none: the lungs, with --boxes")
    parser.add_argument("--small", type=int, default=160, help="side of the views in the first epochs, in pixels")
    parser.add_argument("--small-epochs", type=int, default=0, help="epochs of small views before those of full size")
    parser.add_argument("--painted", type=float, default=1.0, help="factor on the chances of painted borders, letters, marks, patches")
    parser.add_argument("--square", type=float, default=Strength.square, help="share of the views that show a square and not the lungs")
    return parser.parse_args()


def begin(checkpoint: Path | None) -> torch.nn.Module:
    """The network with ImageNet's weights, or another run's."""
    network = build(pretrained=checkpoint is None)
    if checkpoint is not None:
        network.load_state_dict(torch.load(checkpoint, map_location="cpu", weights_only=True)["average"])
    return network


def main() -> None:
    options = arguments()
    device = fitting.start(options)
    recipe = Recipe(crop="lungs" if options.boxes else "center-square")
    shipped = Recipe(crop=options.crop or recipe.crop)
    train, val = (read_manifest(options.data, split, options.boxes) for split in ("train", "val"))
    views = TrainingViews(train, options.seed, recipe, Strength(options.square, options.painted))
    inputs, labels = reference_tensors(val, shipped)
    taught = evaluate.taught(options.teachers, train)
    targets = fitting.soft_targets(np.array([x.label for x in train]), options.smoothing, taught, options.teaching)
    run = fitting.Run(options, begin(options.start), len(train) // options.batch, device, freeze)
    run.resume()
    while run.epoch < options.epochs:
        views.set_epoch(run.epoch, options.small if run.epoch < options.small_epochs else None)
        run.judge(run.train_epoch(DataLoader(views, batch_size=options.batch, drop_last=True), targets), inputs, labels)
    log.info("%d epochs took %.0f s", run.epoch, run.seconds)
    network = run.average.cpu()
    if options.start:
        network = fitting.blend(begin(options.start).state_dict(), network, options.keep)
    divisor = fitting.temperature(fitting.logits_of(network, inputs), torch.from_numpy(labels))
    export.write_folder(export.LITE0, network, divisor, options.out, shipped)
    evaluate.evaluate_folder(options.out, options.data, options.boxes)


if __name__ == "__main__":
    main()
