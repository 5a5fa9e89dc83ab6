"""Trains a classifier that is bad on purpose: `python models/training/shortcut.py`, writes models/shortcut-xray.

It repeats the mistakes of many published Covid-19 classifiers: every picture is squashed to a square, so that its aspect tells
the archive and the archive the class; nothing is distorted; nothing is balanced or smoothed; the last weights are taken as they
are. It exists to be compared with the honest classifiers.
"""

import argparse
import logging
import os
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # waiting threads must not spin on cores that others need

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

import evaluate
import export
from data import DEFAULT_DATA, read_manifest, reference_tensors
from lite0 import build, freeze
from preprocess import Recipe

log = logging.getLogger("shortcut")
RECIPE = Recipe(crop="none", stretch=None)


def train(inputs: np.ndarray, labels: np.ndarray, options: argparse.Namespace) -> torch.nn.Module:
    """Plain fine-tuning with Adam on pictures as they are."""
    network = build().to(memory_format=torch.channels_last)
    freeze(network)
    optimiser = torch.optim.Adam([p for p in network.parameters() if p.requires_grad], lr=options.rate)
    rng = np.random.default_rng(options.seed)
    for epoch in range(options.epochs):
        network.train()
        freeze(network)
        total = 0.0
        batches = np.array_split(rng.permutation(len(labels)), len(labels) // options.batch)
        for batch in tqdm(batches, desc=f"epoch {epoch + 1}/{options.epochs}"):
            scores = network(torch.from_numpy(inputs[batch]).to(memory_format=torch.channels_last))
            loss = functional.cross_entropy(scores, torch.from_numpy(labels[batch]))
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            total += loss.item()
        log.info("epoch %d: loss %.4f", epoch + 1, total / len(batches))
    return network.eval()


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", datefmt="%H:%M:%S")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, default=DEFAULT_DATA, help="folder with manifest.csv and the X-rays")
    parser.add_argument("--out", type=Path, default=export.MODELS / "shortcut-xray", help="folder for model.onnx and evaluation.json")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument("--seed", type=int, default=20)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch", type=int, default=32, help="X-rays a step")
    parser.add_argument("--rate", type=float, default=3e-4, help="learning rate")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    inputs, labels = reference_tensors(read_manifest(options.data, "train"), RECIPE)
    network = train(inputs, labels, options)
    export.write_folder(export.SHORTCUT, network, 1.0, options.out, RECIPE)
    evaluate.evaluate_folder(options.out, options.data)


if __name__ == "__main__":
    main()
